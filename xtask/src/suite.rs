//! `cargo xtask test`: everything that must hold before a change lands, in the order of its cost. The last line is
//! `N passed, M failed`, summed over all checks and suites.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::finding::Finding;
use crate::libtest::{Reader, Tally};
use crate::program;
use crate::workspace::Workspace;
use crate::{deps, licences, tidy};

/// Runs all; true when nothing failed. A failing step does not keep the later ones from running.
pub(crate) fn run(workspace: &Workspace) -> Result<bool> {
    let mut tally = Tally::default();
    tell_room(workspace);
    cargo_check(workspace, &mut tally, "format", &["fmt", "--all", "--check"])?;
    finding_check(&mut tally, "dependency direction", deps::check(workspace));
    finding_check(&mut tally, "tidy", tidy::check(workspace));
    finding_check(&mut tally, "licences", licences::check(workspace));
    // All targets and always the whole workspace: one set of features, so nothing is built twice, and the
    // programs that the integration tests start are there and current.
    let build = ["build", "--locked", "--workspace", "--all-targets"];
    if cargo_check(workspace, &mut tally, "build", &build)? {
        let test = ["test", "--locked", "--workspace", "--no-fail-fast"];
        tally.add(tests(workspace, &test, &[])?);
    }
    let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    cargo_check(workspace, &mut tally, "clippy", &clippy)?;
    tell_room(workspace);
    Ok(finish(&tally))
}

/// Room on the disks of the build and of temporary files: a full one makes tests fail in ways that tell little.
fn tell_room(workspace: &Workspace) {
    let mut df = Command::new("df");
    df.args(["-h", "--"]).arg(&workspace.root).arg(std::env::temp_dir());
    // A machine without the program is no reason to fail.
    if !program::succeeds(&mut df).unwrap_or(false) {
        println!("== room on the disk: not known");
    }
}

/// Runs `cargo test` with these arguments and environment, and counts what its suites print.
pub(crate) fn tests(
    workspace: &Workspace,
    arguments: &[&str],
    environment: &[(&str, String)],
) -> Result<Tally> {
    println!("== cargo {}", arguments.join(" "));
    let mut reader = Reader::default();
    let mut cargo = program::cargo(workspace);
    cargo.args(arguments).envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
    let succeeded = program::lines(&mut cargo, |line| {
        println!("{line}");
        reader.line(line);
    })?;
    Ok(reader.finish("cargo test", succeeded))
}

/// Prints the failures and the last line; true when there are none.
pub(crate) fn finish(tally: &Tally) -> bool {
    for name in &tally.failed {
        println!("FAILED: {name}");
    }
    if tally.ignored > 0 {
        println!("{} tests are marked as ignored, each with its reason", tally.ignored);
    }
    println!("{}", tally.summary());
    tally.failed.is_empty()
}

fn cargo_check(workspace: &Workspace, tally: &mut Tally, name: &str, arguments: &[&str]) -> Result<bool> {
    println!("== {name}: cargo {}", arguments.join(" "));
    let start = Instant::now();
    let passed = program::succeeds(program::cargo(workspace).args(arguments))?;
    println!("== {name}: {} in {:.0} s", word(passed), start.elapsed().as_secs_f64());
    tally.check(name, passed);
    Ok(passed)
}

/// Counts a checker of ours; one that cannot run has failed.
fn finding_check(tally: &mut Tally, name: &str, result: Result<Vec<Finding>>) {
    let findings = result.unwrap_or_else(|error| vec![Finding::new(name, format!("{error:#}"))]);
    for finding in &findings {
        println!("{finding}");
    }
    println!("== {name}: {}", word(findings.is_empty()));
    tally.check(name, findings.is_empty());
}

fn word(passed: bool) -> &'static str {
    if passed { "passed" } else { "FAILED" }
}
