//! `zepto sql`: runs statements on a node, from a person, an argument, a file or a pipe.

mod command;
mod completion;
mod guard;
mod run;
mod session;
mod shell;
mod statements;

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::client::{Client, Server};
use run::Runner;
use session::{Outcome, Session};

/// Exit code of a program that Ctrl-C ended, as shells have it.
const INTERRUPTED: u8 = 130;

/// Runs SQL.
#[derive(Args)]
pub(crate) struct Sql {
    #[command(flatten)]
    server: Server,
    /// Statements to run, separated by `;`, and commands, each on its line. An INSERT that ends with FORMAT reads its rows from standard input
    #[arg(short = 'q', long, value_name = "SQL", conflicts_with = "file", allow_hyphen_values = true)]
    query: Option<String>,
    /// File with statements, separated by `;`, and commands, each on its line
    #[arg(short = 'f', long)]
    file: Option<PathBuf>,
    /// Output format [default: PrettyCompact on a terminal, else TabSeparated]
    #[arg(long)]
    format: Option<String>,
    /// Show how long statements take
    #[arg(long)]
    timing: bool,
    /// Where the history is kept [default: .zepto_history in the home directory]
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
}

/// What the user can change while talking.
#[derive(Debug, Clone)]
struct Settings {
    /// Output format for statements that name none.
    format: String,
    /// Print the time of each statement.
    timing: bool,
}

impl Sql {
    /// Talks or runs the script.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let on_terminal = io::stdout().is_terminal();
        let default_format = if on_terminal { "PrettyCompact" } else { "TabSeparated" };
        let mut settings = Settings {
            format: self.format.clone().unwrap_or_else(|| default_format.to_owned()),
            timing: self.timing,
        };
        let runner = Runner::new(Client::new(&self.server)?)?;
        if let Some(script) = self.script()? {
            return Ok(run_script(&mut Session::new(runner, settings), &script));
        }
        let history = self.history.clone().or_else(|| Some(std::env::home_dir()?.join(".zepto_history")));
        settings.timing |= on_terminal;
        shell::talk(&mut Session::new(runner, settings), history)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The statements given from outside; None to talk with a person.
    fn script(&self) -> Result<Option<String>> {
        if let Some(query) = &self.query {
            return Ok(Some(query.clone()));
        }
        if let Some(file) = &self.file {
            let text = std::fs::read_to_string(file);
            return text.with_context(|| format!("cannot read {}", file.display())).map(Some);
        }
        if io::stdin().is_terminal() {
            return Ok(None);
        }
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        Ok(Some(text))
    }
}

/// Does the pieces in order up to the first that fails.
fn run_script(session: &mut Session, script: &str) -> ExitCode {
    for piece in statements::pieces(script) {
        match session.take(piece, true) {
            Outcome::Done => {}
            Outcome::Quit => break,
            Outcome::Failed(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
            Outcome::Cancelled => return ExitCode::from(INTERRUPTED),
        }
    }
    ExitCode::SUCCESS
}
