//! Clauses at the end of any statement: `SETTINGS a = b, …` and `FORMAT x`, in either order.

use std::collections::BTreeMap;

use sqlparser::tokenizer::{Token, TokenWithSpan};
use zepto_common::error::Result;

use super::cursor::{Cursor, is_word, text_of};

/// What stood behind the statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Clauses {
    /// The FORMAT clause, as written.
    pub(crate) format: Option<String>,
    /// The SETTINGS clause; strings without quotes.
    pub(crate) settings: BTreeMap<String, String>,
}

/// Cuts the clauses off.
///
/// # Errors
/// A SETTINGS clause that is not `name = value, …`.
pub(crate) fn split(mut tokens: Vec<TokenWithSpan>) -> Result<(Vec<TokenWithSpan>, Clauses)> {
    let mut clauses = Clauses::default();
    // Each of the two clauses can come once or, around the other, twice; more is a syntax error later.
    for _ in 0..3 {
        if let [.., format, name] = tokens.as_slice()
            && is_word(&format.token, "FORMAT")
            && let Token::Word(word) = &name.token
            && tokens.len() > 2
        {
            clauses.format = Some(word.value.clone());
            tokens.truncate(tokens.len() - 2);
        } else if let Some(at) = settings_at(&tokens) {
            let behind = tokens.split_off(at);
            parse_settings(&mut Cursor::new(behind), &mut clauses.settings)?;
        } else {
            break;
        }
    }
    Ok((tokens, clauses))
}

/// The place of a top-level SETTINGS that is followed by assignments up to the end.
fn settings_at(tokens: &[TokenWithSpan]) -> Option<usize> {
    let mut depth = 0usize;
    for (at, TokenWithSpan { token, .. }) in tokens.iter().enumerate().rev() {
        match token {
            Token::RParen | Token::RBracket | Token::RBrace => depth += 1,
            Token::LParen | Token::LBracket | Token::LBrace => depth = depth.checked_sub(1)?,
            token if depth == 0 && at > 0 && is_word(token, "SETTINGS") => {
                let name = tokens.get(at + 1).map(|t| &t.token);
                let equals = tokens.get(at + 2).map(|t| &t.token);
                let assigns = matches!((name, equals), (Some(Token::Word(_)), Some(Token::Eq)));
                let formatted = tokens[at..].iter().any(|t| is_word(&t.token, "FORMAT"));
                return (assigns && !formatted).then_some(at);
            }
            _ => {}
        }
    }
    None
}

/// Reads `SETTINGS name = value, …` to the end.
fn parse_settings(cursor: &mut Cursor, into: &mut BTreeMap<String, String>) -> Result<()> {
    cursor.expect_word("SETTINGS")?;
    assignments(cursor, into)
}

/// Reads `name = value, …` to the end.
///
/// # Errors
/// Anything else.
pub(crate) fn assignments(cursor: &mut Cursor, into: &mut BTreeMap<String, String>) -> Result<()> {
    loop {
        let name = cursor.identifier()?;
        cursor.expect_symbol(&Token::Eq)?;
        let value = cursor.until(|c| c.peek() == Some(&Token::Comma));
        let value = match value.as_slice() {
            [] => return Err(cursor.unexpected("value of a setting")),
            [TokenWithSpan { token: Token::SingleQuotedString(text), .. }] => text.clone(),
            other => text_of(other),
        };
        into.insert(name, value);
        if !cursor.symbol(&Token::Comma) {
            return cursor.expect_end();
        }
    }
}

/// The database of `USE [DATABASE] d`, which may itself be called so.
pub(super) fn database(cursor: &mut Cursor) -> Result<String> {
    let name = cursor.identifier()?;
    let is_word = name.eq_ignore_ascii_case("DATABASE") && !cursor.at_end();
    if is_word { cursor.identifier() } else { Ok(name) }
}
