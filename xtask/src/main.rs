//! The developer's commands, which CI runs too: `cargo xtask test` is the whole check of the project.
//!
//! - [`suite`]: `test`, every check and every test, ending in one line of counts
//! - [`deps`]: `deps`, who may know whom, against the list in ARCHITECTURE.md
//! - [`tidy`]: `tidy`, sizes, names, module docs, links
//! - [`licences`]: `licences`, every dependency's licence and the bans of deny.toml
//! - [`longer`]: `bench`, `fixture`, `slt-generate`, which take more time or need Python
//! - [`fuzz`]: `fuzz`, the decoders under inputs led by coverage
//! - [`soak`]: the tests that loop, for minutes or hours

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool speaks to its terminal")]

mod deps;
mod finding;
mod fuzz;
mod libtest;
mod licences;
mod longer;
mod metadata;
mod program;
mod soak;
mod suite;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::finding::Finding;
use crate::workspace::Workspace;

/// The developer's commands of ZeptoDB.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs every check and every test; the last line says how many passed and failed
    Test,
    /// Checks who depends on whom against the list in ARCHITECTURE.md
    Deps,
    /// Checks sizes of files and functions, names, module docs and links
    Tidy,
    /// Checks the licences of all dependencies and the bans of deny.toml
    Licences,
    /// Builds a release and measures it over loopback; extra arguments go to `zepto bench`
    Bench(longer::Bench),
    /// Runs the long versions of the tests
    Soak(soak::Soak),
    /// Fuzzes the decoders, led by the branches that inputs reach
    Fuzz(fuzz::Fuzz),
    /// Writes the fixture of this version, which later versions must be able to read
    Fixture(longer::Fixture),
    /// Computes the expected results of the .slt files anew with the oracle (needs python3)
    SltGenerate(longer::SltGenerate),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let workspace = Workspace::find()?;
    match &arguments.command {
        Command::Test => suite::run(&workspace),
        Command::Deps => Ok(show("deps", &deps::check(&workspace)?)),
        Command::Tidy => Ok(show("tidy", &tidy::check(&workspace)?)),
        Command::Licences => Ok(show("licences", &licences::check(&workspace)?)),
        Command::Bench(options) => options.run(&workspace),
        Command::Soak(options) => options.run(&workspace),
        Command::Fuzz(options) => options.run(&workspace),
        Command::Fixture(options) => options.run(&workspace),
        Command::SltGenerate(options) => options.run(&workspace),
    }
}

/// Prints a checker's findings; true when there is none.
fn show(checker: &str, findings: &[Finding]) -> bool {
    for finding in findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("{checker}: no findings");
    } else {
        println!("{checker}: {} findings", findings.len());
    }
    findings.is_empty()
}
