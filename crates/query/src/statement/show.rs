//! SHOW, DESCRIBE and EXISTS.

use sqlparser::tokenizer::Token;
use zepto_common::error::{Error, ErrorCode, Result};

use super::cursor::{Cursor, NameText};
use super::{ObjectKind, Tokens};

/// A statement that asks about the catalog or the server.
#[derive(Debug, Clone)]
pub(crate) enum Show {
    /// SHOW TABLES [FROM db] [LIKE pattern] [LIMIT n].
    Tables { database: Option<String>, like: Option<Like>, limit: Option<u64> },
    /// SHOW DATABASES.
    Databases { like: Option<Like> },
    /// SHOW CREATE TABLE or VIEW.
    CreateTable(NameText),
    /// SHOW CREATE DATABASE.
    CreateDatabase(String),
    /// SHOW [FULL] COLUMNS FROM t [LIKE pattern] [LIMIT n].
    Columns { table: NameText, full: bool, like: Option<Like>, limit: Option<u64> },
    /// What is one table of `system`, with its query: SHOW CLUSTERS, DICTIONARIES, ENGINES.
    Table(&'static str),
    /// SHOW SETTING name.
    Setting(String),
    /// SHOW PROCESSLIST.
    ProcessList,
    /// SHOW FUNCTIONS.
    Functions { like: Option<Like> },
    /// SHOW SETTINGS.
    Settings { like: Option<Like> },
    /// DESCRIBE TABLE.
    Describe(NameText),
    /// DESCRIBE (SELECT …).
    DescribeQuery(Tokens),
    /// EXISTS TABLE, VIEW or DATABASE.
    Exists(ObjectKind, NameText),
}

/// A LIKE clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Like {
    /// The pattern.
    pub(crate) pattern: String,
    /// NOT LIKE.
    pub(crate) negated: bool,
    /// ILIKE.
    pub(crate) any_case: bool,
}

/// Words behind SHOW that ask for one table of `system`.
const OF_SYSTEM: [(&str, &str); 3] = [
    ("CLUSTERS", "SELECT DISTINCT cluster FROM system.clusters ORDER BY cluster"),
    ("DICTIONARIES", "SELECT name FROM system.dictionaries ORDER BY name"),
    ("ENGINES", "SELECT * FROM system.table_engines ORDER BY name"),
];

/// Reads one of these statements; None when it is another.
pub(super) fn show(cursor: &mut Cursor) -> Result<Option<Show>> {
    let show = if cursor.word("SHOW") {
        show_what(cursor)?
    } else if cursor.word("DESCRIBE") || cursor.word("DESC") {
        describe(cursor)?
    } else if cursor.word("EXISTS") {
        exists(cursor)?
    } else {
        return Ok(None);
    };
    cursor.expect_end()?;
    Ok(Some(show))
}

fn show_what(cursor: &mut Cursor) -> Result<Show> {
    let full = cursor.word("FULL");
    if cursor.words(&["CREATE", "DATABASE"]) {
        return Ok(Show::CreateDatabase(cursor.identifier()?));
    }
    if cursor.word("CREATE") {
        let _kind_is_named = cursor.word("TABLE") || cursor.word("VIEW");
        return Ok(Show::CreateTable(cursor.table_name()?));
    }
    if cursor.word("TABLES") {
        let named = cursor.word("FROM") || cursor.word("IN");
        let database = if named { Some(cursor.identifier()?) } else { None };
        let like = like(cursor)?;
        let limit = limit(cursor)?;
        return Ok(Show::Tables { database, like, limit });
    }
    if cursor.word("DATABASES") || cursor.word("SCHEMAS") {
        return Ok(Show::Databases { like: like(cursor)? });
    }
    if cursor.word("COLUMNS") || cursor.word("FIELDS") {
        if !cursor.word("IN") {
            cursor.expect_word("FROM")?;
        }
        let mut table = cursor.table_name()?;
        if cursor.word("FROM") || cursor.word("IN") {
            table.database = Some(cursor.identifier()?);
        }
        let (like, limit) = (like(cursor)?, limit(cursor)?);
        return Ok(Show::Columns { table, full, like, limit });
    }
    if cursor.word("PROCESSLIST") {
        return Ok(Show::ProcessList);
    }
    if cursor.word("FUNCTIONS") {
        return Ok(Show::Functions { like: like(cursor)? });
    }
    if cursor.word("SETTINGS") || cursor.words(&["CHANGED", "SETTINGS"]) {
        return Ok(Show::Settings { like: like(cursor)? });
    }
    if cursor.word("SETTING") {
        return Ok(Show::Setting(cursor.identifier()?));
    }
    for (word, query) in OF_SYSTEM {
        if cursor.word(word) {
            return Ok(Show::Table(query));
        }
    }
    for other in ["CLUSTER", "GRANTS", "USERS", "INDEX", "INDEXES", "ACCESS"] {
        if cursor.sees(&[other]) {
            return Err(Error::new(ErrorCode::NotImplemented, format!("SHOW {other} is not supported")));
        }
    }
    Err(cursor.unexpected("TABLES, DATABASES, CREATE TABLE, COLUMNS, PROCESSLIST, FUNCTIONS or SETTINGS"))
}

fn like(cursor: &mut Cursor) -> Result<Option<Like>> {
    let negated = cursor.word("NOT");
    let any_case = cursor.word("ILIKE");
    if any_case || cursor.word("LIKE") {
        return Ok(Some(Like { pattern: cursor.string()?, negated, any_case }));
    }
    if negated { Err(cursor.unexpected("LIKE")) } else { Ok(None) }
}

fn limit(cursor: &mut Cursor) -> Result<Option<u64>> {
    if !cursor.word("LIMIT") {
        return Ok(None);
    }
    match cursor.next() {
        Some(Token::Number(text, _)) => {
            text.parse().map(Some).map_err(|_| cursor.unexpected("number of rows"))
        }
        _ => Err(cursor.unexpected("number of rows")),
    }
}

fn describe(cursor: &mut Cursor) -> Result<Show> {
    cursor.word("TABLE");
    if cursor.peek() == Some(&Token::LParen) {
        return Ok(Show::DescribeQuery(cursor.parenthesised()?));
    }
    if cursor.sees(&["SELECT"]) || cursor.sees(&["WITH"]) {
        return Ok(Show::DescribeQuery(cursor.rest()));
    }
    Ok(Show::Describe(cursor.table_name()?))
}

fn exists(cursor: &mut Cursor) -> Result<Show> {
    cursor.word("TEMPORARY");
    let kind = if cursor.word("DATABASE") {
        ObjectKind::Database
    } else if cursor.word("VIEW") {
        ObjectKind::View
    } else {
        cursor.word("TABLE");
        ObjectKind::Table
    };
    Ok(Show::Exists(kind, cursor.table_name()?))
}
