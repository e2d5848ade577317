//! CREATE TABLE, VIEW, MATERIALIZED VIEW and DATABASE.

pub(super) mod codecs;

use sqlparser::tokenizer::Token;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::limits::COLUMNS_MAX;
use zepto_common::types::ColumnType;

use super::cursor::{Cursor, NameText, is_word, text_of};
use super::{Statement, Tokens, on_cluster};

/// A column as written in CREATE or ALTER.
#[derive(Debug, Clone)]
pub(crate) struct ColumnSpec {
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) ty: ColumnType,
    /// The DEFAULT expression.
    pub(crate) default: Option<Tokens>,
    /// The COMMENT.
    pub(crate) comment: String,
}

/// What becomes of a table that has the name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Replace {
    /// It stays.
    #[default]
    No,
    /// CREATE OR REPLACE: the new one takes its place.
    IfThere,
    /// REPLACE: the same, and it has to be there.
    MustBeThere,
}

/// CREATE TABLE as written.
#[derive(Debug, Clone, Default)]
pub(crate) struct CreateTable {
    /// The table.
    pub(crate) name: Option<NameText>,
    /// IF NOT EXISTS.
    pub(crate) if_not_exists: bool,
    /// OR REPLACE.
    pub(crate) replace: Replace,
    /// The column list.
    pub(crate) columns: Vec<ColumnSpec>,
    /// `AS other_table`: take its columns.
    pub(crate) like: Option<NameText>,
    /// `AS SELECT …`: take its columns and rows.
    pub(crate) query: Option<Tokens>,
    /// EMPTY before AS: take no rows.
    pub(crate) empty: bool,
    /// The ENGINE clause's text.
    pub(crate) engine: String,
    /// Columns of ORDER BY (or PRIMARY KEY when there is no ORDER BY).
    pub(crate) order_by: Vec<String>,
    /// Column and seconds of the TTL clause.
    pub(crate) ttl: Option<(String, u64)>,
    /// COMMENT of the table.
    pub(crate) comment: String,
    /// What was read and has no effect here.
    pub(crate) warnings: Vec<String>,
}

/// Reads what follows CREATE.
pub(super) fn create(mut cursor: Cursor) -> Result<Statement> {
    let replace = cursor.words(&["OR", "REPLACE"]);
    if cursor.sees(&["TEMPORARY"]) {
        return Err(Error::new(ErrorCode::NotImplemented, "Temporary tables are not supported"));
    }
    if replace && !(cursor.sees(&["TABLE"]) || cursor.sees(&["VIEW"])) {
        return Err(Error::new(
            ErrorCode::NotImplemented,
            "CREATE OR REPLACE is supported for tables and views",
        ));
    }
    if cursor.word("DATABASE") || cursor.word("SCHEMA") {
        return database(cursor);
    }
    if cursor.words(&["MATERIALIZED", "VIEW"]) {
        return materialized_view(cursor);
    }
    if cursor.word("VIEW") {
        let if_not_exists = cursor.if_not_exists();
        let name = cursor.table_name()?;
        on_cluster(&mut cursor)?;
        cursor.expect_word("AS")?;
        return Ok(Statement::CreateView { name, query: cursor.rest(), if_not_exists, replace });
    }
    if cursor.word("TABLE") {
        return table(cursor, if replace { Replace::IfThere } else { Replace::No });
    }
    for other in ["FUNCTION", "DICTIONARY", "USER", "ROLE", "INDEX", "QUOTA"] {
        if cursor.sees(&[other]) {
            return Err(Error::new(ErrorCode::NotImplemented, format!("CREATE {other} is not supported")));
        }
    }
    Err(cursor.unexpected("TABLE, VIEW, MATERIALIZED VIEW or DATABASE"))
}

/// CREATE MATERIALIZED VIEW as written.
#[derive(Debug, Clone)]
pub(crate) struct CreateMaterializedView {
    /// The view.
    pub(crate) name: NameText,
    /// An existing one is no error.
    pub(crate) if_not_exists: bool,
    /// POPULATE: the rows that are there already count.
    pub(crate) populate: bool,
    /// What follows AS.
    pub(crate) query: Tokens,
    /// What was read and has no effect here.
    pub(crate) warnings: Vec<String>,
}

/// Reads `[IF NOT EXISTS] name [ENGINE = …] [ORDER BY …] [POPULATE] AS SELECT …`.
fn materialized_view(mut cursor: Cursor) -> Result<Statement> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.table_name()?;
    let mut warnings = Vec::new();
    if on_cluster(&mut cursor)? {
        warnings.push("ON CLUSTER is ignored: every node has every view".to_owned());
    }
    if cursor.sees(&["TO"]) {
        let message = "CREATE MATERIALIZED VIEW … TO is not supported: the view keeps its rows itself";
        return Err(Error::new(ErrorCode::NotImplemented, message));
    }
    if cursor.sees(&["REFRESH"]) {
        let message = "REFRESH is not supported: a view is always up to date";
        return Err(Error::new(ErrorCode::NotImplemented, message));
    }
    let ends = |c: &Cursor| c.sees(&["POPULATE"]) || c.sees(&["AS"]);
    let storage = cursor.until(ends);
    check_storage(storage.clone())?;
    let storage = text_of(&storage);
    if !storage.is_empty() {
        warnings.push(format!("{storage} is ignored: the view chooses how its states are stored"));
    }
    let populate = cursor.word("POPULATE");
    cursor.expect_word("AS")?;
    let query = cursor.rest();
    Ok(Statement::CreateMaterializedView(Box::new(CreateMaterializedView {
        name,
        if_not_exists,
        populate,
        query,
        warnings,
    })))
}

/// Refuses words that are no clause of storage: passed over, they would say nothing.
fn check_storage(storage: Tokens) -> Result<()> {
    let mut cursor = Cursor::new(storage);
    if cursor.peek() == Some(&Token::LParen) {
        cursor.parenthesised()?;
    }
    let mut passed = CreateTable::default();
    while !cursor.at_end() {
        let plain = cursor.sees(&["ENGINE"]) && {
            cursor.word("ENGINE");
            cursor.symbol(&Token::Eq);
            cursor.identifier()?;
            if cursor.peek() == Some(&Token::LParen) {
                cursor.parenthesised()?;
            }
            true
        };
        if !plain {
            clause(&mut cursor, &mut passed)?;
        }
    }
    Ok(())
}

fn database(mut cursor: Cursor) -> Result<Statement> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.identifier()?;
    on_cluster(&mut cursor)?;
    if cursor.word("ENGINE") {
        cursor.symbol(&Token::Eq);
        cursor.identifier()?;
        if cursor.peek() == Some(&Token::LParen) {
            cursor.parenthesised()?;
        }
    }
    if cursor.word("COMMENT") {
        cursor.string()?;
    }
    cursor.expect_end()?;
    Ok(Statement::CreateDatabase { name, if_not_exists })
}

/// Reads what follows REPLACE.
pub(super) fn replace(mut cursor: Cursor) -> Result<Statement> {
    cursor.expect_word("TABLE")?;
    table(cursor, Replace::MustBeThere)
}

fn table(mut cursor: Cursor, replace: Replace) -> Result<Statement> {
    let if_not_exists = replace == Replace::No && cursor.if_not_exists();
    let mut create = CreateTable { if_not_exists, replace, ..CreateTable::default() };
    create.name = Some(cursor.table_name()?);
    if on_cluster(&mut cursor)? {
        create.warnings.push("ON CLUSTER is ignored: every node has every table".to_owned());
    }
    if cursor.peek() == Some(&Token::LParen) {
        let mut inside = Cursor::new(cursor.parenthesised()?);
        column_list(&mut inside, &mut create)?;
    }
    while !cursor.at_end() {
        clause(&mut cursor, &mut create)?;
    }
    if create.columns.is_empty() && create.like.is_none() && create.query.is_none() {
        return Err(Error::new(
            ErrorCode::EmptyListOfColumnsQueried,
            "Incorrect CREATE query: required list of column descriptions or AS section or SELECT",
        ));
    }
    Ok(Statement::CreateTable(Box::new(create)))
}

fn column_list(cursor: &mut Cursor, create: &mut CreateTable) -> Result<()> {
    while !cursor.at_end() {
        if cursor.sees(&["CONSTRAINT"]) {
            constraint(cursor, create)?;
        } else if cursor.sees(&["INDEX"]) || cursor.sees(&["PROJECTION"]) {
            let text = text_of(&cursor.until(|c| c.peek() == Some(&Token::Comma)));
            create.warnings.push(format!("{text} is ignored"));
        } else if cursor.words(&["PRIMARY", "KEY"]) {
            let names = expression_columns(cursor)?;
            if create.order_by.is_empty() {
                create.order_by = names;
            }
        } else {
            let spec = column(cursor, &mut create.warnings)?;
            create.columns.push(spec);
        }
        if create.columns.len() > COLUMNS_MAX {
            let message = format!("A table has at most {COLUMNS_MAX} columns");
            return Err(Error::new(ErrorCode::BadArguments, message));
        }
        if !cursor.symbol(&Token::Comma) {
            break;
        }
    }
    cursor.expect_end()
}

/// Reads `name Type [NULL | NOT NULL] [DEFAULT e] [COMMENT 's'] [CODEC(…)] [TTL …]`.
pub(super) fn column(cursor: &mut Cursor, warnings: &mut Vec<String>) -> Result<ColumnSpec> {
    let name = cursor.identifier()?;
    let ty = column_type(cursor)?;
    let mut spec = ColumnSpec { name, ty, default: None, comment: String::new() };
    loop {
        if cursor.words(&["NOT", "NULL"]) {
            continue;
        }
        if cursor.word("NULL") {
            spec.ty = spec.ty.nullable();
        } else if cursor.word("DEFAULT") {
            spec.default = Some(cursor.until(ends_default));
        } else if cursor.word("COMMENT") {
            spec.comment = cursor.string()?;
        } else if cursor.word("CODEC") {
            let codec = codecs::read(cursor)?;
            warnings.push(format!("CODEC({codec}) of column {} is ignored", spec.name));
        } else if cursor.words(&["PRIMARY", "KEY"]) {
            warnings.push(format!("PRIMARY KEY of column {} is ignored: use ORDER BY", spec.name));
        } else if cursor.sees(&["MATERIALIZED"]) || cursor.sees(&["ALIAS"]) || cursor.sees(&["EPHEMERAL"]) {
            let message =
                format!("Column {} : MATERIALIZED, ALIAS and EPHEMERAL are not supported", spec.name);
            return Err(Error::new(ErrorCode::NotImplemented, message));
        } else if cursor.sees(&["TTL"]) {
            let message = format!("Column {}: TTL of a single column is not supported", spec.name);
            return Err(Error::new(ErrorCode::NotImplemented, message));
        } else {
            return Ok(spec);
        }
    }
}

pub(super) fn ends_default(cursor: &Cursor) -> bool {
    cursor.peek() == Some(&Token::Comma)
        || ["COMMENT", "CODEC", "TTL", "AFTER", "FIRST"].iter().any(|word| cursor.sees(&[word]))
        || cursor.sees(&["PRIMARY", "KEY"])
}

/// Reads a type: a name (or `DOUBLE PRECISION`) and its arguments.
pub(super) fn column_type(cursor: &mut Cursor) -> Result<ColumnType> {
    if cursor.words(&["DOUBLE", "PRECISION"]) {
        return Ok(ColumnType::Float64);
    }
    let name = cursor.identifier()?;
    if cursor.peek() != Some(&Token::LParen) {
        return name.parse();
    }
    let arguments = text_of(&cursor.parenthesised()?);
    format!("{name}({arguments})").parse()
}

fn clause(cursor: &mut Cursor, create: &mut CreateTable) -> Result<()> {
    if cursor.word("ENGINE") {
        cursor.symbol(&Token::Eq);
        let name = cursor.identifier()?;
        let arguments = match cursor.peek() {
            Some(Token::LParen) => {
                let arguments = cursor.parenthesised()?;
                check_list(arguments.clone())?;
                text_of(&arguments)
            }
            _ => String::new(),
        };
        engine(&name, &arguments, create)
    } else if cursor.words(&["ORDER", "BY"]) {
        create.order_by = expression_columns(cursor)?;
        Ok(())
    } else if cursor.words(&["PRIMARY", "KEY"]) {
        let names = expression_columns(cursor)?;
        if create.order_by.is_empty() {
            create.order_by = names;
        }
        Ok(())
    } else if cursor.words(&["PARTITION", "BY"]) {
        ignored(cursor, ("PARTITION BY", check_list), "rows are spread by the hash of the key", create)
    } else if cursor.words(&["SAMPLE", "BY"]) {
        ignored(cursor, ("SAMPLE BY", check_list), "tables are not sampled", create)
    } else if cursor.word("TTL") {
        create.ttl = Some(super::alter::ttl_expression(cursor)?);
        Ok(())
    } else if cursor.word("SETTINGS") {
        ignored(cursor, ("SETTINGS", check_settings), "tables have no settings", create)
    } else if cursor.word("COMMENT") {
        create.comment = cursor.string()?;
        Ok(())
    } else if cursor.words(&["EMPTY", "AS"]) {
        create.empty = true;
        source(cursor, create)
    } else if cursor.word("AS") {
        source(cursor, create)
    } else if cursor.sees(&["DEDUP"]) {
        // Passed over, a table would keep what it was told to replace.
        Err(Error::new(ErrorCode::NotImplemented, "DEDUP UPSERT KEYS is not supported: every row is kept"))
    } else {
        Err(cursor.unexpected("ENGINE, ORDER BY, PARTITION BY, TTL, SETTINGS, COMMENT or AS"))
    }
}

fn source(cursor: &mut Cursor, create: &mut CreateTable) -> Result<()> {
    let query = ["SELECT", "WITH"].iter().any(|word| cursor.sees(&[word]));
    if query || cursor.peek() == Some(&Token::LParen) {
        create.query = Some(cursor.rest());
    } else {
        create.like = Some(cursor.table_name()?);
    }
    Ok(())
}

/// Accepts MergeTree and Memory and refuses the engines that would do something else with the rows.
fn engine(name: &str, arguments: &str, create: &mut CreateTable) -> Result<()> {
    let plain =
        ["MergeTree", "ReplicatedMergeTree", "SharedMergeTree", "Memory", "Log", "TinyLog", "StripeLog"];
    if !plain.contains(&name) {
        let known = name.ends_with("MergeTree")
            || ["Distributed", "Kafka", "Buffer", "Null", "Merge"].contains(&name);
        let code = if known { ErrorCode::NotImplemented } else { ErrorCode::UnknownStorage };
        let message = match known {
            true => format!("Table engine {name} is not supported; MergeTree is"),
            false => format!("Unknown table engine {name}"),
        };
        return Err(Error::new(code, message));
    }
    if name != "MergeTree" {
        create.warnings.push(format!("ENGINE = {name} is stored as MergeTree"));
    }
    create.engine = if arguments.is_empty() { name.to_owned() } else { format!("{name}({arguments})") };
    Ok(())
}

fn ends_clause(cursor: &Cursor) -> bool {
    ["ENGINE", "TTL", "SETTINGS", "COMMENT", "AS", "DEDUP"].iter().any(|word| cursor.sees(&[word]))
        || cursor.sees(&["EMPTY", "AS"])
        || ["ORDER", "PARTITION", "SAMPLE"].iter().any(|word| cursor.sees(&[word, "BY"]))
        || cursor.sees(&["PRIMARY", "KEY"])
}

/// A clause without effect. What it says is read all the same: words that are passed over could mean anything.
fn ignored(
    cursor: &mut Cursor,
    (clause, check): (&str, fn(Tokens) -> Result<()>),
    reason: &str,
    create: &mut CreateTable,
) -> Result<()> {
    let said = cursor.until(ends_clause);
    check(said.clone())?;
    create.warnings.push(format!("{clause} {} is ignored: {reason}", text_of(&said)));
    Ok(())
}

/// Expressions with commas between them, or none.
pub(super) fn check_list(tokens: Tokens) -> Result<()> {
    let mut cursor = Cursor::new(tokens);
    while !cursor.at_end() {
        super::expression(cursor.until(|c| c.peek() == Some(&Token::Comma)))?;
        if !cursor.symbol(&Token::Comma) {
            break;
        }
    }
    cursor.expect_end()
}

/// `name = value`, with commas between them.
fn check_settings(tokens: Tokens) -> Result<()> {
    let mut cursor = Cursor::new(tokens);
    loop {
        cursor.identifier()?;
        cursor.expect_symbol(&Token::Eq)?;
        super::expression(cursor.until(|c| c.peek() == Some(&Token::Comma)))?;
        if !cursor.symbol(&Token::Comma) {
            return cursor.expect_end();
        }
    }
}

/// `CONSTRAINT name ASSUME e` tells the planner something; CHECK would have to be kept.
fn constraint(cursor: &mut Cursor, create: &mut CreateTable) -> Result<()> {
    cursor.expect_word("CONSTRAINT")?;
    let name = cursor.identifier()?;
    if cursor.sees(&["CHECK"]) {
        let message = format!("CONSTRAINT {name} CHECK is not supported: no INSERT would be held to it");
        return Err(Error::new(ErrorCode::NotImplemented, message));
    }
    cursor.expect_word("ASSUME")?;
    let assumed = cursor.until(|c| c.peek() == Some(&Token::Comma));
    super::expression(assumed.clone())?;
    create.warnings.push(format!("CONSTRAINT {name} ASSUME {} is ignored", text_of(&assumed)));
    Ok(())
}

/// A key of ORDER BY without ASC or DESC.
fn without_direction(mut key: Tokens) -> Tokens {
    if key.last().is_some_and(|last| ["ASC", "DESC"].iter().any(|word| is_word(&last.token, word))) {
        key.pop();
    }
    key
}

/// The columns of `a`, `(a, b)` or `tuple()`; an expression counts as its first column.
fn expression_columns(cursor: &mut Cursor) -> Result<Vec<String>> {
    let tokens = cursor.until(|c| ends_clause(c) || c.peek() == Some(&Token::Comma));
    let mut inside = Cursor::new(tokens);
    inside.word("tuple");
    if inside.peek() == Some(&Token::LParen) {
        let list = inside.parenthesised()?;
        inside.expect_end()?;
        inside = Cursor::new(list);
    }
    let mut names = Vec::new();
    while !inside.at_end() {
        let element = inside.until(|c| c.peek() == Some(&Token::Comma));
        super::expression(without_direction(element.clone()))?;
        let mut words = element.iter().enumerate().filter_map(|(i, t)| match &t.token {
            // A word before a parenthesis is a function.
            Token::Word(word) if element.get(i + 1).is_none_or(|n| n.token != Token::LParen) => {
                Some(word.value.clone())
            }
            _ => None,
        });
        names.extend(words.next());
        if !inside.symbol(&Token::Comma) {
            break;
        }
    }
    inside.expect_end()?;
    Ok(names)
}
