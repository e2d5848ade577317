//! `cargo xtask fuzz`: the decoders under inputs that are led by which branches they reach.
//!
//! The program is built apart from everything else, because every crate in it counts its branches
//! (LLVM's SanitizerCoverage, which stable Rust passes on).

use anyhow::{Context, Result};
use clap::Args;

use crate::metadata::Metadata;
use crate::program;
use crate::workspace::Workspace;

/// What makes the compiler count branches.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters";

/// Fuzzes the decoders, led by the branches that inputs reach; arguments go to `zepto-fuzz`.
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Arguments for the program, `--help` lists them (default: 600 seconds for each decoder)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Fuzz {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<bool> {
        let usual = ["--seconds".to_owned(), "600".to_owned()];
        let arguments = if self.arguments.is_empty() { &usual[..] } else { &self.arguments };
        campaign(workspace, arguments, |line| println!("{line}"))
    }
}

/// Builds the program and runs it; each line that it prints is handed over. True when nothing was found.
pub(crate) fn campaign(workspace: &Workspace, arguments: &[String], each: impl FnMut(&str)) -> Result<bool> {
    let folder = Metadata::load(workspace)?.target.join("fuzz");
    let build = folder.join("build");
    let host = host(workspace)?;
    let mut cargo = program::cargo(workspace);
    // With a target named, programs that only help to build are left as they are.
    cargo.args(["build", "--locked", "-p", "zepto-fuzz", "--bin", "zepto-fuzz", "--features", "coverage"]);
    cargo.args(["--target", &host]).arg("--target-dir").arg(&build).env("RUSTFLAGS", FLAGS);
    if !program::succeeds(&mut cargo)? {
        return Ok(false);
    }
    let mut program = std::process::Command::new(build.join(&host).join("debug").join("zepto-fuzz"));
    program.current_dir(&workspace.root).arg("--folder").arg(folder.join("inputs")).args(arguments);
    program::lines(&mut program, each)
}

/// The machine's target triple.
fn host(workspace: &Workspace) -> Result<String> {
    let mut cargo = program::cargo(workspace);
    let said = String::from_utf8(program::output(cargo.args(["--version", "--verbose"]))?)?;
    let line = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("`cargo --version --verbose` names no host")?.to_owned())
}
