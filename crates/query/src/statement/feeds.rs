//! Statements about feeds, none of which there is: they are refused with where feeds stand instead.

use zepto_common::{Error, ErrorCode, Result};

use super::cursor::Cursor;

/// How they begin.
const STATEMENTS: [[&str; 2]; 6] = [
    ["CREATE", "FEED"],
    ["ALTER", "FEED"],
    ["DROP", "FEED"],
    ["PAUSE", "FEED"],
    ["RESUME", "FEED"],
    ["SHOW", "FEEDS"],
];

/// Refuses a statement that is one of them.
///
/// # Errors
/// `NotImplemented`.
pub(super) fn refuse(cursor: &Cursor) -> Result<()> {
    let Some(words) = STATEMENTS.iter().find(|words| cursor.sees(&words[..])) else { return Ok(()) };
    let message = format!(
        "{} is not supported: feeds stand in the configuration of ingest nodes, whose GET /admin/feeds shows them",
        words.join(" ")
    );
    Err(Error::new(ErrorCode::NotImplemented, message))
}
