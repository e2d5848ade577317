//! The interactive loop: a line editor with history, statements of many lines, commands.

use std::path::PathBuf;

use anyhow::Result;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Editor};

use super::command::{self, Command};
use super::completion::Words;
use super::run::{Ended, Runner};
use super::{Settings, statements};

/// Entries that the history file keeps.
const HISTORY_MAX: usize = 5_000;

/// Talks until the user leaves.
pub(super) fn talk(runner: &Runner, settings: &mut Settings, history: Option<PathBuf>) -> Result<()> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(HISTORY_MAX)?
        .auto_add_history(true)
        .build();
    let mut editor: Editor<Words, DefaultHistory> = Editor::with_config(config)?;
    let mut words = Words::default();
    words.learn(runner.client());
    editor.set_helper(Some(words));
    if let Some(history) = &history {
        // The first start has none.
        let _none_yet = editor.load_history(history);
    }
    greet(runner);
    loop {
        match editor.readline("zepto> ") {
            Ok(line) => {
                if !take(runner, settings, &mut editor, &line) {
                    break;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(history) = &history
        && let Err(error) = editor.save_history(history)
    {
        eprintln!("history not kept: {}: {error}", history.display());
    }
    Ok(())
}

fn greet(runner: &Runner) {
    match runner.client().text("SELECT version()") {
        Ok(version) => println!("ZeptoDB at {}, version {}", runner.client().url(), version.trim_end()),
        Err(error) => println!("{}: {}", runner.client().url(), super::run::text_of(&error)),
    }
    println!("\\? for help");
}

/// Does what a line says; false to leave.
fn take(
    runner: &Runner,
    settings: &mut Settings,
    editor: &mut Editor<Words, DefaultHistory>,
    line: &str,
) -> bool {
    match command::parse(line) {
        Some(Ok(Command::Quit)) => return false,
        Some(Ok(Command::Help)) => println!("{}", command::HELP),
        Some(Ok(Command::Timing)) => {
            settings.timing = !settings.timing;
            println!("timing is {}", if settings.timing { "on" } else { "off" });
        }
        Some(Ok(Command::Format(Some(name)))) => settings.format = name,
        Some(Ok(Command::Format(None))) => println!("{}", settings.format),
        Some(Ok(Command::Statement(sql))) => report(runner.run(&sql, false, settings)),
        Some(Err(fault)) => eprintln!("{fault}"),
        None => {
            for statement in statements::split(line) {
                report(runner.run(statement, false, settings));
                if changes_names(statement)
                    && let Some(words) = editor.helper_mut()
                {
                    words.learn(runner.client());
                }
            }
        }
    }
    true
}

fn report(ended: Ended) {
    match ended {
        Ended::Done => {}
        Ended::Failed(error) => eprintln!("{error}"),
        Ended::Cancelled => eprintln!("cancelled"),
    }
}

fn changes_names(statement: &str) -> bool {
    matches!(statements::first_word(statement).as_str(), "CREATE" | "DROP" | "ALTER" | "RENAME" | "USE")
}
