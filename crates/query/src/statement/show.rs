//! SHOW, DESCRIBE and EXISTS.

use sqlparser::tokenizer::Token;
use zepto_common::error::{Error, ErrorCode, Result};

use super::cursor::{Cursor, NameText};
use super::{ObjectKind, Tokens};

/// A statement that asks about the catalog or the server.
#[derive(Debug, Clone)]
pub(crate) enum Show {
    /// SHOW [FULL] TABLES [FROM db] [LIKE pattern | WHERE e] [LIMIT n].
    Tables { full: bool, database: Option<String>, like: Option<Filter>, limit: Option<u64> },
    /// SHOW DATABASES [LIKE pattern] [LIMIT n].
    Databases { like: Option<Filter>, limit: Option<u64> },
    /// SHOW CREATE TABLE or VIEW.
    CreateTable(NameText),
    /// SHOW CREATE DATABASE.
    CreateDatabase(String),
    /// SHOW [FULL] COLUMNS FROM t [LIKE pattern] [LIMIT n].
    Columns { table: NameText, full: bool, like: Option<Filter>, limit: Option<u64> },
    /// SHOW INDEX FROM t.
    Index(NameText),
    /// What there is none of here.
    None { column: &'static str },
    /// What is one table of `system`, with its query: SHOW CLUSTERS, DICTIONARIES, ENGINES.
    Table { query: &'static str, column: &'static str, like: Option<Like>, limit: Option<u64> },
    /// SHOW SETTING name.
    Setting(String),
    /// SHOW PROCESSLIST.
    ProcessList,
    /// SHOW FUNCTIONS.
    Functions { like: Option<Filter> },
    /// SHOW [CHANGED] SETTINGS.
    Settings { like: Option<Filter>, changed: bool },
    /// DESCRIBE TABLE.
    Describe(NameText),
    /// DESCRIBE (SELECT …).
    DescribeQuery(Tokens),
    /// EXISTS TABLE, VIEW or DATABASE.
    Exists(ObjectKind, NameText),
}

/// Which rows are shown.
#[derive(Debug, Clone)]
pub(crate) enum Filter {
    /// Those with a name like this.
    Like(Like),
    /// Those for which this is true.
    Where(Tokens),
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

/// Words behind SHOW that ask for one table of `system`: the query, and the column by which its rows are sorted.
const OF_SYSTEM: [(&str, &str, &str); 5] = [
    ("CLUSTER", "SELECT * FROM system.nodes", "id"),
    ("CLUSTERS", "SELECT DISTINCT cluster FROM system.clusters", "cluster"),
    ("DICTIONARIES", "SELECT name FROM system.dictionaries", "name"),
    ("ENGINES", "SELECT * FROM system.table_engines", "name"),
    (
        "MERGES",
        "SELECT table, database, CAST(NULL AS Nullable(Float64)) AS estimate_complete, elapsed, progress, is_mutation, \
         '' AS size_compressed, '' AS memory_usage FROM system.merges",
        "table",
    ),
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
    cursor.word("EXTENDED");
    let full = cursor.word("FULL");
    if cursor.word("CREATE") {
        return create(cursor);
    }
    if cursor.words(&["TEMPORARY", "TABLES"]) {
        filter(cursor)?;
        limit(cursor)?;
        return Ok(Show::None { column: "name" });
    }
    if cursor.word("TABLES") {
        let named = cursor.word("FROM") || cursor.word("IN");
        let database = if named { Some(cursor.identifier()?) } else { None };
        let (like, limit) = (filter(cursor)?, limit(cursor)?);
        return Ok(Show::Tables { full, database, like, limit });
    }
    if cursor.word("DATABASES") || cursor.word("SCHEMAS") {
        let (like, limit) = (filter(cursor)?, limit(cursor)?);
        return Ok(Show::Databases { like, limit });
    }
    if cursor.word("COLUMNS") || cursor.word("FIELDS") {
        let table = table_of(cursor)?;
        let (like, limit) = (filter(cursor)?, limit(cursor)?);
        return Ok(Show::Columns { table, full, like, limit });
    }
    if ["INDEX", "INDEXES", "INDICES", "KEYS"].iter().any(|word| cursor.word(word)) {
        return Ok(Show::Index(table_of(cursor)?));
    }
    if cursor.word("PROCESSLIST") {
        return Ok(Show::ProcessList);
    }
    if cursor.word("FUNCTIONS") {
        return Ok(Show::Functions { like: filter(cursor)? });
    }
    let changed = cursor.word("CHANGED");
    if cursor.word("SETTINGS") {
        return Ok(Show::Settings { like: filter(cursor)?, changed });
    }
    if cursor.word("SETTING") {
        return Ok(Show::Setting(cursor.identifier()?));
    }
    for (word, query, column) in OF_SYSTEM {
        if cursor.word(word) {
            if word == "DICTIONARIES" && (cursor.word("FROM") || cursor.word("IN")) {
                cursor.identifier()?;
            }
            let (like, limit) = (like(cursor)?, limit(cursor)?);
            return Ok(Show::Table { query, column, like, limit });
        }
    }
    for other in ["GRANTS", "USERS", "ROLES", "QUOTAS", "POLICIES", "PROFILES", "ACCESS", "FILESYSTEM"] {
        if cursor.sees(&[other]) {
            return Err(Error::new(ErrorCode::NotImplemented, format!("SHOW {other} is not supported")));
        }
    }
    Err(cursor.unexpected("TABLES, DATABASES, CREATE TABLE, COLUMNS, PROCESSLIST, FUNCTIONS or SETTINGS"))
}

fn create(cursor: &mut Cursor) -> Result<Show> {
    if cursor.word("DATABASE") {
        return Ok(Show::CreateDatabase(cursor.identifier()?));
    }
    for other in ["USER", "ROLE", "QUOTA", "PROFILE", "POLICY", "DICTIONARY"] {
        if cursor.sees(&[other]) && !cursor.at_last() {
            let message = format!("SHOW CREATE {other} is not supported");
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
    }
    let _kind_is_named = cursor.word("TABLE") || cursor.word("VIEW");
    Ok(Show::CreateTable(cursor.table_name()?))
}

/// `FROM t`, `FROM t FROM db`.
fn table_of(cursor: &mut Cursor) -> Result<NameText> {
    if !cursor.word("IN") {
        cursor.expect_word("FROM")?;
    }
    let mut table = cursor.table_name()?;
    if cursor.word("FROM") || cursor.word("IN") {
        table.database = Some(cursor.identifier()?);
    }
    Ok(table)
}

fn filter(cursor: &mut Cursor) -> Result<Option<Filter>> {
    if cursor.word("WHERE") {
        let condition = cursor.until(|c| c.sees(&["LIMIT"]));
        super::expression(condition.clone())?;
        return Ok(Some(Filter::Where(condition)));
    }
    Ok(like(cursor)?.map(Filter::Like))
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
    if cursor.peek_at(1) == Some(&Token::LParen) {
        // A table function.
        let select = super::tokenize("SELECT * FROM")?;
        return Ok(Show::DescribeQuery([select, cursor.rest()].concat()));
    }
    Ok(Show::Describe(cursor.table_name()?))
}

fn exists(cursor: &mut Cursor) -> Result<Show> {
    let temporary = cursor.word("TEMPORARY");
    if temporary || (cursor.sees(&["DICTIONARY"]) && !cursor.at_last()) {
        // There are none.
        let _kind = cursor.word("TABLE") || cursor.word("DICTIONARY");
        cursor.table_name()?;
        return Ok(Show::Exists(ObjectKind::Dictionary, NameText { database: None, table: String::new() }));
    }
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
