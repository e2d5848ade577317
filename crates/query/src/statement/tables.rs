//! Statements about whole tables: DROP, RENAME, EXCHANGE, TRUNCATE.

use sqlparser::tokenizer::Token;
use zepto_common::error::{Error, ErrorCode, Result};

use super::cursor::Cursor;
use super::{ObjectKind, Statement, on_cluster};

pub(super) fn drop(cursor: &mut Cursor) -> Result<Statement> {
    cursor.word("TEMPORARY");
    let kind = if cursor.word("TABLE") {
        ObjectKind::Table
    } else if cursor.word("VIEW") {
        ObjectKind::View
    } else if cursor.word("DATABASE") || cursor.word("SCHEMA") {
        ObjectKind::Database
    } else {
        return Err(cursor.unexpected("TABLE, VIEW or DATABASE"));
    };
    let if_exists = cursor.if_exists();
    let mut names = vec![cursor.table_name()?];
    while cursor.symbol(&Token::Comma) {
        names.push(cursor.table_name()?);
    }
    on_cluster(cursor)?;
    Ok(Statement::Drop { kind, names, if_exists })
}

pub(super) fn rename(cursor: &mut Cursor) -> Result<Statement> {
    if cursor.sees(&["DATABASE"]) || cursor.sees(&["DICTIONARY"]) {
        return Err(Error::new(ErrorCode::NotImplemented, "Only tables can be renamed"));
    }
    cursor.word("TABLE");
    let mut pairs = Vec::new();
    loop {
        let from = cursor.table_name()?;
        cursor.expect_word("TO")?;
        pairs.push((from, cursor.table_name()?));
        if !cursor.symbol(&Token::Comma) {
            break;
        }
    }
    on_cluster(cursor)?;
    Ok(Statement::Rename(pairs))
}

/// `TABLES a AND b`.
pub(super) fn exchange(cursor: &mut Cursor) -> Result<Statement> {
    if cursor.sees(&["DICTIONARIES"]) {
        return Err(Error::new(ErrorCode::NotImplemented, "Only tables can be exchanged"));
    }
    cursor.expect_word("TABLES")?;
    let one = cursor.table_name()?;
    cursor.expect_word("AND")?;
    let other = cursor.table_name()?;
    on_cluster(cursor)?;
    Ok(Statement::Exchange(one, other))
}

/// `[TABLE] [IF EXISTS] t`.
pub(super) fn truncate(cursor: &mut Cursor) -> Result<Statement> {
    for other in ["DATABASE", "ALL"] {
        if cursor.sees(&[other]) && !cursor.at_last() {
            return Err(Error::new(ErrorCode::NotImplemented, format!("TRUNCATE {other} is not supported")));
        }
    }
    cursor.word("TABLE");
    let if_exists = cursor.if_exists();
    let table = cursor.table_name()?;
    on_cluster(cursor)?;
    Ok(Statement::Truncate { table, if_exists })
}
