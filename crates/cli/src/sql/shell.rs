//! The interactive loop: a line editor with history, statements of many lines, commands.

use std::path::PathBuf;

use anyhow::Result;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config, Editor};

use super::completion::Words;
use super::run::Runner;
use super::session::{Outcome, Session};
use super::statements::{self, Piece};

/// Entries that the history file keeps.
const HISTORY_MAX: usize = 5_000;

/// Talks until the user leaves.
pub(super) fn talk(session: &mut Session, history: Option<PathBuf>) -> Result<()> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(HISTORY_MAX)?
        .auto_add_history(true)
        .build();
    let mut editor: Editor<Words, DefaultHistory> = Editor::with_config(config)?;
    let mut words = Words::default();
    words.learn(session.runner().client());
    editor.set_helper(Some(words));
    if let Some(history) = &history {
        // The first start has none.
        let _none_yet = editor.load_history(history);
    }
    greet(session.runner());
    loop {
        match editor.readline("zepto> ") {
            Ok(line) => {
                if !take(session, &mut editor, &line) {
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
    let url = runner.client().url();
    match runner.client().version() {
        Ok(version) => println!("ZeptoDB {version} at {url}"),
        Err(error) => println!("{url}: {}", super::run::text_of(&error)),
    }
    println!("\\? for help");
}

/// Does what was said; false to leave.
fn take(session: &mut Session, editor: &mut Editor<Words, DefaultHistory>, said: &str) -> bool {
    for piece in statements::pieces(said) {
        match session.take(piece, false) {
            Outcome::Done => {}
            Outcome::Failed(error) => eprintln!("{error}"),
            Outcome::Cancelled => {
                // What was said behind it was meant to follow it.
                eprintln!("cancelled");
                return true;
            }
            Outcome::Quit => return false,
        }
        if let Piece::Statement(statement) = piece
            && changes_names(statement)
            && let Some(words) = editor.helper_mut()
        {
            words.learn(session.runner().client());
        }
    }
    true
}

fn changes_names(statement: &str) -> bool {
    matches!(statements::first_word(statement).as_str(), "CREATE" | "DROP" | "ALTER" | "RENAME" | "USE")
}
