//! INSERT whose rows come from a query.

use sqlparser::tokenizer::Token;
use zepto_common::error::{Error, ErrorCode, Result};

use super::cursor::{Cursor, is_word};
use super::{Statement, Tokens};

/// The columns that an INSERT names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Columns {
    /// All of the table.
    All,
    /// These.
    Named(Vec<String>),
    /// `(* EXCEPT(a))`: all but these.
    Except(Vec<String>),
}

/// Reads what follows INSERT; `with` is a WITH clause that stood before it and belongs to its query.
pub(super) fn insert(mut cursor: Cursor, with: Tokens) -> Result<Statement> {
    cursor.word("INTO");
    cursor.word("TABLE");
    if cursor.sees(&["FUNCTION"]) {
        return Err(Error::new(ErrorCode::NotImplemented, "INSERT INTO FUNCTION is not supported"));
    }
    let table = cursor.table_name()?;
    let lists_columns = cursor.peek() == Some(&Token::LParen)
        && !matches!(cursor.peek_at(1), Some(token) if is_word(token, "SELECT") || is_word(token, "WITH"));
    let columns = match lists_columns {
        true => columns(Cursor::new(cursor.parenthesised()?))?,
        false => Columns::All,
    };
    let source = cursor.rest();
    match source.first() {
        Some(first) if is_word(&first.token, "FORMAT") => {
            Err(Error::new(ErrorCode::NotImplemented, "INSERT … FORMAT has its data in the request's body"))
        }
        Some(_) => Ok(Statement::Insert { table, columns, source: [with, source].concat() }),
        None => Err(cursor.unexpected("SELECT or VALUES")),
    }
}

/// A query, or `WITH … INSERT INTO …`, whose clause belongs to the query of the INSERT.
pub(super) fn or_query(mut cursor: Cursor) -> Result<Statement> {
    if !cursor.sees(&["WITH"]) {
        return Ok(Statement::Query(cursor.rest()));
    }
    let with = cursor.until(|c| c.sees(&["INSERT", "INTO"]));
    match cursor.word("INSERT") {
        true => insert(cursor, with),
        false => Ok(Statement::Query([with, cursor.rest()].concat())),
    }
}

/// `a, b`, `*`, `* EXCEPT(a, b)`, `* EXCEPT a`.
fn columns(mut cursor: Cursor) -> Result<Columns> {
    if !cursor.symbol(&Token::Mul) {
        return identifiers(cursor).map(Columns::Named);
    }
    if cursor.at_end() {
        return Ok(Columns::All);
    }
    cursor.expect_word("EXCEPT")?;
    let except = match cursor.peek() {
        Some(Token::LParen) => identifiers(Cursor::new(cursor.parenthesised()?))?,
        _ => vec![cursor.identifier()?],
    };
    cursor.expect_end()?;
    Ok(Columns::Except(except))
}

/// A comma-separated list of identifiers, nothing else.
fn identifiers(mut cursor: Cursor) -> Result<Vec<String>> {
    let mut names = Vec::new();
    while !cursor.at_end() {
        names.push(cursor.identifier()?);
        if !cursor.symbol(&Token::Comma) {
            break;
        }
    }
    cursor.expect_end()?;
    Ok(names)
}
