//! Does what was said, statement or command, the same for a person, a pipe, a file and `-q`.

use super::Settings;
use super::command::{self, Command};
use super::run::{Ended, Runner};
use super::statements::{self, Piece};

/// The format of `\\x`.
const EXPANDED: &str = "Vertical";

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All is well.
    Done,
    /// An error, for the terminal.
    Failed(String),
    /// Ended by Ctrl-C.
    Cancelled,
    /// The user leaves.
    Quit,
}

/// A talk with one server: settings last from one piece to the next.
pub(super) struct Session {
    runner: Runner,
    settings: Settings,
    /// The format that `\\x` goes back to; None while it is off.
    before_expanded: Option<String>,
}

impl Session {
    /// A session that begins with these settings.
    pub(super) fn new(runner: Runner, settings: Settings) -> Self {
        Self { runner, settings, before_expanded: None }
    }

    /// What runs the statements.
    pub(super) fn runner(&self) -> &Runner {
        &self.runner
    }

    /// Does one piece. `rows_from_stdin`: an INSERT without rows reads them from standard input.
    pub(super) fn take(&mut self, piece: Piece<'_>, rows_from_stdin: bool) -> Outcome {
        match piece {
            Piece::Statement(sql) => {
                let rows = rows_from_stdin && statements::wants_rows(sql);
                self.run(sql, rows)
            }
            Piece::Command(line) => match command::parse(line) {
                Ok(command) => self.command(command),
                Err(fault) => Outcome::Failed(fault),
            },
        }
    }

    fn command(&mut self, command: Command) -> Outcome {
        match command {
            Command::Quit => return Outcome::Quit,
            Command::Help => println!("{}", command::HELP),
            Command::Timing(on) => {
                self.settings.timing = on.unwrap_or(!self.settings.timing);
                eprintln!("timing is {}", word(self.settings.timing));
            }
            Command::Expanded(on) => {
                self.expand(on.unwrap_or(self.before_expanded.is_none()));
                eprintln!("expanded output is {}", word(self.before_expanded.is_some()));
            }
            Command::Format(Some(name)) => {
                self.before_expanded = None;
                eprintln!("format is {name}");
                self.settings.format = name;
            }
            Command::Format(None) => println!("{}", self.settings.format),
            Command::Statement(sql) => return self.run(&sql, false),
        }
        Outcome::Done
    }

    fn expand(&mut self, on: bool) {
        match (on, self.before_expanded.take()) {
            (true, None) => {
                let before = std::mem::replace(&mut self.settings.format, EXPANDED.to_owned());
                self.before_expanded = Some(before);
            }
            (true, before) => self.before_expanded = before,
            (false, Some(before)) => self.settings.format = before,
            (false, None) => {}
        }
    }

    fn run(&self, sql: &str, rows_from_stdin: bool) -> Outcome {
        match self.runner.run(sql, rows_from_stdin, &self.settings) {
            Ended::Done => Outcome::Done,
            Ended::Failed(error) => Outcome::Failed(error),
            Ended::Cancelled => Outcome::Cancelled,
        }
    }
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
