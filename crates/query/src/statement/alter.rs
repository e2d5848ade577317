//! ALTER TABLE, the assignments of UPDATE, and TTL expressions.

use sqlparser::tokenizer::Token;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::types::ColumnType;

use super::create::{ColumnSpec, codecs, column, column_type, ends_default};
use super::cursor::{Cursor, text_of};
use super::{Statement, Tokens, on_cluster};

/// One action of ALTER TABLE.
#[derive(Debug, Clone)]
pub(crate) enum AlterAction {
    /// ADD COLUMN … [FIRST | AFTER name].
    AddColumn { spec: ColumnSpec, if_not_exists: bool, place: Place },
    /// DROP COLUMN.
    DropColumn { name: String, if_exists: bool },
    /// RENAME COLUMN a TO b.
    RenameColumn { from: String, to: String, if_exists: bool },
    /// MODIFY COLUMN.
    ModifyColumn { name: String, if_exists: bool, change: ColumnChange },
    /// COMMENT COLUMN name 'text'.
    CommentColumn { name: String, comment: String },
    /// MODIFY TTL or SET TTL, in seconds; None removes it.
    Ttl(Option<u64>),
    /// DELETE WHERE.
    Delete(Tokens),
    /// UPDATE a = x WHERE.
    Update { assignments: Vec<(String, Tokens)>, predicate: Tokens },
    /// RENAME TO.
    RenameTo(super::NameText),
    /// MODIFY COMMENT.
    Comment(String),
}

/// What MODIFY COLUMN says of a column; what is None or false stays.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnChange {
    /// Its type.
    pub(crate) ty: Option<ColumnType>,
    /// Its DEFAULT.
    pub(crate) default: Option<Tokens>,
    /// REMOVE DEFAULT.
    pub(crate) without_default: bool,
    /// Its COMMENT; empty removes it.
    pub(crate) comment: Option<String>,
}

/// Where a new column stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind all others.
    Last,
    /// Before all others.
    First,
    /// Behind this one.
    After(String),
}

/// Reads what follows ALTER.
pub(super) fn alter(mut cursor: Cursor) -> Result<Statement> {
    if !cursor.word("TABLE") {
        return Err(Error::new(ErrorCode::NotImplemented, "Only ALTER TABLE is supported"));
    }
    let table = cursor.table_name()?;
    on_cluster(&mut cursor)?;
    let mut actions = Vec::new();
    loop {
        actions.push(action(&mut cursor)?);
        if !cursor.symbol(&Token::Comma) {
            break;
        }
    }
    cursor.expect_end()?;
    Ok(Statement::Alter { table, actions })
}

fn action(cursor: &mut Cursor) -> Result<AlterAction> {
    if cursor.word("ADD") {
        add_column(cursor)
    } else if cursor.words(&["DROP", "COLUMN"]) {
        let if_exists = cursor.if_exists();
        Ok(AlterAction::DropColumn { name: cursor.identifier()?, if_exists })
    } else if cursor.words(&["RENAME", "COLUMN"]) {
        let if_exists = cursor.if_exists();
        let from = cursor.identifier()?;
        cursor.expect_word("TO")?;
        Ok(AlterAction::RenameColumn { from, to: cursor.identifier()?, if_exists })
    } else if cursor.words(&["RENAME", "TO"]) {
        Ok(AlterAction::RenameTo(cursor.table_name()?))
    } else if cursor.words(&["MODIFY", "TTL"]) {
        Ok(AlterAction::Ttl(Some(ttl_expression(cursor)?.1)))
    } else if cursor.words(&["REMOVE", "TTL"]) {
        Ok(AlterAction::Ttl(None))
    } else if cursor.words(&["SET", "TTL"]) {
        Ok(AlterAction::Ttl(Some(duration(cursor)?)))
    } else if cursor.words(&["SET", "STORAGE", "POLICY"]) {
        Err(Error::new(
            ErrorCode::NotImplemented,
            "STORAGE POLICY needs the cold tier, which this node lacks",
        ))
    } else if cursor.words(&["MODIFY", "COMMENT"]) {
        Ok(AlterAction::Comment(cursor.string()?))
    } else if cursor.words(&["MODIFY", "COLUMN"]) || cursor.words(&["ALTER", "COLUMN"]) {
        modify_column(cursor)
    } else if cursor.words(&["COMMENT", "COLUMN"]) {
        cursor.if_exists();
        Ok(AlterAction::CommentColumn { name: cursor.identifier()?, comment: cursor.string()? })
    } else if cursor.words(&["DELETE", "WHERE"]) {
        Ok(AlterAction::Delete(cursor.rest()))
    } else if cursor.word("UPDATE") {
        let (assignments, predicate) = update(cursor)?;
        Ok(AlterAction::Update { assignments, predicate })
    } else {
        unsupported(cursor)
    }
}

fn unsupported(cursor: &Cursor) -> Result<AlterAction> {
    let known = [
        "ATTACH",
        "DETACH",
        "FREEZE",
        "UNFREEZE",
        "FETCH",
        "MOVE",
        "REPLACE",
        "MATERIALIZE",
        "CLEAR",
        "MODIFY",
        "RESET",
        "DROP",
        "COMMENT",
        "APPLY",
    ];
    match known.iter().find(|word| cursor.sees(&[word])) {
        Some(word) => {
            Err(Error::new(ErrorCode::NotImplemented, format!("ALTER TABLE … {word} is not supported")))
        }
        None => Err(cursor.unexpected("ADD, DROP, RENAME, MODIFY, SET TTL, DELETE or UPDATE")),
    }
}

fn add_column(cursor: &mut Cursor) -> Result<AlterAction> {
    if !cursor.word("COLUMN") {
        return Err(Error::new(ErrorCode::NotImplemented, "ALTER TABLE … ADD is supported for columns only"));
    }
    let if_not_exists = cursor.if_not_exists();
    let spec = column(cursor, &mut Vec::new())?;
    let place = if cursor.word("FIRST") {
        Place::First
    } else if cursor.word("AFTER") {
        Place::After(cursor.identifier()?)
    } else {
        Place::Last
    };
    Ok(AlterAction::AddColumn { spec, if_not_exists, place })
}

/// Reads `[IF EXISTS] name [[TYPE] Type] [DEFAULT e] [COMMENT 's'] [CODEC(…)]` or `name REMOVE DEFAULT | COMMENT | CODEC`.
fn modify_column(cursor: &mut Cursor) -> Result<AlterAction> {
    let if_exists = cursor.if_exists();
    let name = cursor.identifier()?;
    let mut change = ColumnChange::default();
    if cursor.word("REMOVE") {
        match () {
            () if cursor.word("DEFAULT") => change.without_default = true,
            () if cursor.word("COMMENT") => change.comment = Some(String::new()),
            () if cursor.word("CODEC") => {}
            () => return unsupported_change(cursor),
        }
        return Ok(AlterAction::ModifyColumn { name, if_exists, change });
    }
    cursor.word("TYPE");
    if !["DEFAULT", "COMMENT", "CODEC", "MODIFY", "RESET"].iter().any(|word| cursor.sees(&[word])) {
        change.ty = Some(column_type(cursor)?);
    }
    loop {
        if cursor.word("DEFAULT") {
            change.default = Some(cursor.until(ends_default));
        } else if cursor.word("COMMENT") {
            change.comment = Some(cursor.string()?);
        } else if cursor.word("CODEC") {
            // Columns have no codecs.
            codecs::read(cursor)?;
        } else if cursor.words(&["NOT", "NULL"]) {
        } else if cursor.word("NULL") {
            change.ty = change.ty.map(ColumnType::nullable);
        } else if cursor.at_end() || cursor.peek() == Some(&Token::Comma) {
            return Ok(AlterAction::ModifyColumn { name, if_exists, change });
        } else {
            return unsupported_change(cursor);
        }
    }
}

fn unsupported_change(cursor: &Cursor) -> Result<AlterAction> {
    let known =
        ["MATERIALIZED", "ALIAS", "EPHEMERAL", "TTL", "FIRST", "AFTER", "MODIFY", "RESET", "SETTINGS"];
    match known.iter().find(|word| cursor.sees(&[word])) {
        Some(word) => {
            Err(Error::new(ErrorCode::NotImplemented, format!("MODIFY COLUMN … {word} is not supported")))
        }
        None => Err(cursor.unexpected("DEFAULT, COMMENT or CODEC")),
    }
}

/// Reads `a = x, b = y WHERE p`.
pub(super) fn update(cursor: &mut Cursor) -> Result<(Vec<(String, Tokens)>, Tokens)> {
    let mut assignments = Vec::new();
    loop {
        let name = cursor.identifier()?;
        cursor.expect_symbol(&Token::Eq)?;
        let value = cursor.until(|c| c.peek() == Some(&Token::Comma) || c.sees(&["WHERE"]));
        if value.is_empty() {
            return Err(cursor.unexpected("expression"));
        }
        assignments.push((name, value));
        if !cursor.symbol(&Token::Comma) {
            break;
        }
    }
    cursor.expect_word("WHERE")?;
    Ok((assignments, cursor.rest()))
}

/// Reads `column + INTERVAL 90 DAY [DELETE]`, `column + toIntervalDay(90)`; gives the column and seconds.
pub(super) fn ttl_expression(cursor: &mut Cursor) -> Result<(String, u64)> {
    let mut column = cursor.identifier()?;
    // toDateTime(column), toDate(column)
    if cursor.peek() == Some(&Token::LParen) {
        column = Cursor::new(cursor.parenthesised()?).identifier()?;
    }
    cursor.expect_symbol(&Token::Plus)?;
    let seconds = if cursor.word("INTERVAL") { duration(cursor)? } else { interval_function(cursor)? };
    cursor.word("DELETE");
    if cursor.sees(&["TO"]) || cursor.sees(&["GROUP"]) || cursor.sees(&["WHERE"]) {
        return Err(Error::new(ErrorCode::NotImplemented, "TTL can only delete rows"));
    }
    Ok((column, seconds))
}

fn interval_function(cursor: &mut Cursor) -> Result<u64> {
    let name = cursor.identifier()?;
    let amount = text_of(&cursor.parenthesised()?);
    let unit = name.strip_prefix("toInterval").ok_or_else(|| cursor.unexpected("INTERVAL"))?;
    seconds(&amount, unit).ok_or_else(|| cursor.unexpected("INTERVAL n unit"))
}

/// Reads `90 DAYS`, in seconds.
fn duration(cursor: &mut Cursor) -> Result<u64> {
    let amount = match cursor.next() {
        Some(Token::Number(text, _) | Token::SingleQuotedString(text)) => text,
        _ => return Err(cursor.unexpected("number")),
    };
    let (amount, unit) = match amount.split_once(' ') {
        Some((amount, unit)) => (amount.to_owned(), unit.to_owned()),
        None => (amount, cursor.identifier()?),
    };
    seconds(&amount, &unit)
        .ok_or_else(|| cursor.unexpected("SECONDS, MINUTES, HOURS, DAYS, WEEKS, MONTHS or YEARS"))
}

fn seconds(amount: &str, unit: &str) -> Option<u64> {
    let amount: u64 = amount.trim().parse().ok()?;
    let unit = unit.to_ascii_lowercase();
    // A month is 30 days and a year 365: a TTL is a length of time, not a date.
    let each = match unit.strip_suffix('s').unwrap_or(&unit) {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        "week" => 7 * 86_400,
        "month" => 30 * 86_400,
        "quarter" => 91 * 86_400,
        "year" => 365 * 86_400,
        _ => return None,
    };
    amount.checked_mul(each)
}
