//! What takes longer than a change may wait for, or needs more than Rust: `bench`, `soak`, `slt-generate`.

use anyhow::{Context, Result};
use clap::Args;

use crate::metadata::Metadata;
use crate::program;
use crate::suite;
use crate::workspace::Workspace;

/// Environment variable by which tests that loop (kill rounds, crash images, random cases) multiply their
/// number of rounds.
const FACTOR: &str = "ZEPTO_TEST_FACTOR";
/// Builds a release and measures it over loopback.
#[derive(Args)]
pub(crate) struct Bench {
    /// Arguments for `zepto bench` (default: `all`)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Bench {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<bool> {
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
        program::succeeds(command.args(&self.arguments))
    }
}

/// Runs the tests with many more rounds of what loops: kills, crash images, random cases.
#[derive(Args)]
pub(crate) struct Soak {
    /// How many times the usual number of rounds
    #[arg(long, default_value_t = 20)]
    factor: u32,
    /// Only tests whose name contains this
    filter: Option<String>,
}

impl Soak {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<bool> {
        let build = ["build", "--locked", "--workspace", "--all-targets"];
        if !program::succeeds(program::cargo(workspace).args(build))? {
            return Ok(false);
        }
        let mut test =
            vec!["test", "--locked", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"];
        test.extend(self.filter.as_deref());
        let tally = suite::tests(workspace, &test, &[(FACTOR, self.factor.to_string())])?;
        Ok(suite::finish(&tally))
    }
}

/// Computes the expected results of the .slt files anew with the oracle.
#[derive(Args)]
pub(crate) struct SltGenerate {
    /// Arguments for the generator script
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl SltGenerate {
    /// Generator of the statements with the oracle's results.
    const SCRIPT: &'static str = "tests/slt/generate.py";
    /// Pinned versions of the oracles.
    const REQUIREMENTS: &'static str = "tests/slt/requirements.txt";

    pub(crate) fn run(&self, workspace: &Workspace) -> Result<bool> {
        let mut python = program::python(workspace, Self::REQUIREMENTS)
            .context("the oracle needs python3; only this command does")?;
        program::succeeds(python.arg(Self::SCRIPT).args(&self.arguments))
    }
}
