//! What takes longer than a change may wait for, or needs more than Rust: `bench`, `fixture`, `slt-generate`.

use anyhow::{Context, Result};
use clap::Args;

use crate::metadata::Metadata;
use crate::program;
use crate::workspace::Workspace;

/// Builds a release and measures it over loopback.
#[derive(Args)]
pub(crate) struct Bench {
    /// Arguments for `zepto bench` (default: `all`; `query` measures other engines too, needs python3), or `formats` and names of formats (default: all): them beside ClickHouse's own (needs python3)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Bench {
    /// Pinned versions of the engines that are measured beside ours.
    const PEERS: &'static str = "xtask/peers/requirements.txt";

    pub(crate) fn run(&self, workspace: &Workspace) -> Result<bool> {
        if self.arguments.first().is_some_and(|first| first == "formats") {
            return formats(workspace, &self.arguments[1..]);
        }
        let build = ["build", "--locked", "--release", "--workspace", "--bins"];
        if !program::succeeds(program::cargo(workspace).args(build))? {
            return Ok(false);
        }
        let program = Metadata::load(workspace)?.target.join("release").join("zepto");
        let mut command = std::process::Command::new(program);
        command.current_dir(&workspace.root).arg("bench");
        if self.arguments.is_empty() {
            command.arg("all");
        }
        if self.arguments.first().is_some_and(|first| first == "query") {
            let peers = program::python(workspace, Self::PEERS)?;
            command.args(&self.arguments).arg("--python").arg(peers.get_program());
            return program::succeeds(&mut command);
        }
        program::succeeds(command.args(&self.arguments))
    }
}

/// Measures the formats beside the oracle's own, without a node. Only this package, which knows no DataFusion.
fn formats(workspace: &Workspace, only: &[String]) -> Result<bool> {
    let oracle = program::python(workspace, SltGenerate::REQUIREMENTS)?;
    let run = ["run", "--locked", "--release", "-p", "zepto-formats", "--example", "rates", "--"];
    program::succeeds(program::cargo(workspace).args(run).arg(oracle.get_program()).args(only))
}

/// Writes the fixture of this version: data, statements with their answers, HTTP answers.
#[derive(Args)]
pub(crate) struct Fixture {}

impl Fixture {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<bool> {
        let build = ["build", "--locked", "--workspace", "--bins"];
        if !program::succeeds(program::cargo(workspace).args(build))? {
            return Ok(false);
        }
        let write =
            ["--test", "nodes", "--", "--ignored", "--nocapture", "write_the_fixture_of_this_version"];
        program::succeeds(program::cargo(workspace).args(["test", "--locked", "--workspace"]).args(write))
    }
}

/// Computes the expected results of the .slt files and the goldens anew with the oracle. Arguments name case files of
/// the first; then the goldens stay.
#[derive(Args)]
pub(crate) struct SltGenerate {
    /// Arguments for the generator script
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl SltGenerate {
    /// Generator of the statements with the oracle's results.
    const SCRIPT: &'static str = "tests/slt/generate.py";
    /// Generator of the expressions, the errors and the list of what ClickHouse has.
    const GOLDENS: &'static str = "tests/goldens/generate.py";
    /// Pinned versions of the oracles.
    const REQUIREMENTS: &'static str = "tests/slt/requirements.txt";

    pub(crate) fn run(&self, workspace: &Workspace) -> Result<bool> {
        let python = || {
            program::python(workspace, Self::REQUIREMENTS)
                .context("the oracle needs python3; only this command does")
        };
        let statements = program::succeeds(python()?.arg(Self::SCRIPT).args(&self.arguments))?;
        Ok(statements && (!self.arguments.is_empty() || program::succeeds(python()?.arg(Self::GOLDENS))?))
    }
}
