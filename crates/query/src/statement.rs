//! From a statement's text to what is to be done. Pure: no catalog, no data.
//!
//! Queries stay tokens (sqlparser and DataFusion plan them); everything else is parsed here by hand, because
//! ClickHouse's DDL has clauses that sqlparser refuses and whose ignoring must be said.

mod alter;
mod array_join;
mod cast_types;
mod clauses;
mod create;
pub(crate) mod cursor;
mod feeds;
mod forms;
mod insert;
mod intervals;
mod join_words;
mod joins;
mod limit_by;
mod limits;
mod lists;
mod literals;
pub(crate) mod matchers;
mod params;
mod scalars;
mod show;
mod tables;
#[cfg(test)]
mod tests;
pub(crate) mod tolerance;
mod totals;
mod values_function;

use std::collections::BTreeMap;

use sqlparser::ast;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::limits::DEPTH_MAX;

pub(crate) use alter::Place;
pub(crate) use alter::{AlterAction, ColumnChange};
pub(crate) use array_join::ARRAYS_MARKER;
pub(crate) use clauses::Clauses;
pub(crate) use create::{ColumnSpec, CreateMaterializedView, CreateTable, Replace};
pub(crate) use cursor::NameText;
pub(crate) use insert::Columns;
pub(crate) use joins::{ASOF_MARKER, LATEST_MARKER};
pub(crate) use limit_by::{LIMIT_BY_MARKER, TIES_MARKER};
pub(crate) use params::{Params, literal_of};
pub(crate) use scalars::SCALAR_MARKER;
pub(crate) use show::{Filter, Like, Show};
pub(crate) use totals::permit as permit_totals;

use self::cursor::{Cursor, is_word};
use crate::dialect::ZeptoDialect;

/// Tokens of a query or an expression that is planned later.
pub(crate) type Tokens = Vec<TokenWithSpan>;

/// A parsed text: the statement and the clauses behind it.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    /// What to do.
    pub(crate) statement: Statement,
    /// FORMAT and SETTINGS.
    pub(crate) clauses: Clauses,
}

/// What DROP, RENAME and EXISTS speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    /// A table (or, with DROP TABLE as in ClickHouse, a view).
    Table,
    /// A view.
    View,
    /// A database.
    Database,
    /// What there is none of here: dictionaries, temporary tables.
    Dictionary,
}

/// Which EXPLAIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExplainKind {
    /// The plans.
    Plan,
    /// Runs the query, then the plan with its counters.
    Analyze,
    /// The statement after rewriting, as SQL.
    Syntax,
}

/// One statement.
#[derive(Debug, Clone)]
pub(crate) enum Statement {
    /// A query: SELECT, WITH, VALUES.
    Query(Tokens),
    /// EXPLAIN of a query.
    Explain(ExplainKind, Tokens),
    /// INSERT INTO … SELECT or VALUES.
    Insert { table: NameText, columns: Columns, source: Tokens },
    /// CREATE TABLE.
    CreateTable(Box<CreateTable>),
    /// CREATE DATABASE.
    CreateDatabase { name: String, if_not_exists: bool },
    /// CREATE [OR REPLACE] VIEW.
    CreateView { name: NameText, query: Tokens, if_not_exists: bool, replace: bool },
    /// CREATE MATERIALIZED VIEW.
    CreateMaterializedView(Box<CreateMaterializedView>),
    /// DROP TABLE, VIEW or DATABASE.
    Drop { kind: ObjectKind, names: Vec<NameText>, if_exists: bool },
    /// EXCHANGE TABLES.
    Exchange(NameText, NameText),
    /// RENAME TABLE.
    Rename(Vec<(NameText, NameText)>),
    /// TRUNCATE TABLE.
    Truncate { table: NameText, if_exists: bool },
    /// ALTER TABLE.
    Alter { table: NameText, actions: Vec<AlterAction> },
    /// OPTIMIZE TABLE.
    Optimize { table: NameText },
    /// DELETE FROM.
    Delete { table: NameText, predicate: Tokens },
    /// UPDATE … SET.
    Update { table: NameText, assignments: Vec<(String, Tokens)>, predicate: Tokens },
    /// SHOW, DESCRIBE, EXISTS.
    Show(Show),
    /// USE database.
    Use(String),
    /// SET name = value.
    Set(BTreeMap<String, String>),
    /// KILL QUERY WHERE query_id = ….
    Kill { query_id: Option<String>, user: Option<String>, only_listed: bool },
}

impl Statement {
    /// Whether it changes data or the catalog.
    pub(crate) fn writes(&self) -> bool {
        !matches!(
            self,
            Self::Query(_)
                | Self::Explain(..)
                | Self::Show(_)
                | Self::Use(_)
                | Self::Set(_)
                | Self::Kill { .. }
        )
    }
}

/// Splits a text into tokens without whitespace, within the bounds on statements.
///
/// # Errors
/// `QueryIsTooLarge`, `TooDeepAst`, `SyntaxError`.
pub(crate) fn tokenize(sql: &str) -> Result<Tokens> {
    limits::check_size(sql)?;
    tokenize_long(sql)
}

/// The same for a text that was made here and may be longer.
///
/// # Errors
/// As [`tokenize`].
pub(crate) fn tokenize_long(sql: &str) -> Result<Tokens> {
    let dialect = ZeptoDialect;
    let tokens = Tokenizer::new(&dialect, sql)
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|error| Error::new(ErrorCode::SyntaxError, format!("Syntax error: {error}")))?;
    let mut tokens: Tokens =
        tokens.into_iter().filter(|t| !matches!(t.token, Token::Whitespace(_) | Token::EOF)).collect();
    while tokens.last().is_some_and(|t| t.token == Token::SemiColon) {
        tokens.pop();
    }
    literals::read(&mut tokens)?;
    literals::read_here_documents(&mut tokens);
    if tokens.is_empty() {
        return Err(Error::new(ErrorCode::SyntaxError, "Syntax error: empty query"));
    }
    if tokens.iter().any(|t| t.token == Token::SemiColon) {
        return Err(Error::new(ErrorCode::SyntaxError, "Syntax error: Multi-statements are not allowed"));
    }
    limits::check_depth(&tokens)?;
    Ok(tokens)
}

/// The same with `{name:Type}` replaced by its value.
///
/// # Errors
/// As [`tokenize`]; a parameter without a value, or with one that is not of its type.
pub(crate) fn parametrized(text: &str, params: &Params) -> Result<Tokens> {
    params::substitute(tokenize(text)?, params)
}

/// Parses one statement.
///
/// # Errors
/// What [`tokenize`] refuses, a text that is no statement, a parameter without a value.
pub(crate) fn parse(sql: &str, params: &Params) -> Result<Parsed> {
    let tokens = parametrized(sql, params)?;
    // CREATE TABLE has a SETTINGS clause of its own, which its parser reads.
    let creates = tokens.first().is_some_and(|t| is_word(&t.token, "CREATE"));
    let (tokens, clauses) = if creates { (tokens, Clauses::default()) } else { clauses::split(tokens)? };
    Ok(Parsed { statement: statement(Cursor::new(tokens))?, clauses })
}

fn statement(mut cursor: Cursor) -> Result<Statement> {
    let query = ["SELECT", "WITH", "FROM", "VALUES"].iter().any(|word| cursor.sees(&[word]))
        || cursor.peek() == Some(&Token::LParen);
    if query {
        return insert::or_query(cursor);
    }
    feeds::refuse(&cursor)?;
    if cursor.word("EXPLAIN") {
        return explain(cursor);
    }
    if cursor.word("INSERT") {
        return insert::insert(cursor, Vec::new());
    }
    if cursor.word("CREATE") {
        return create::create(cursor);
    }
    if cursor.word("REPLACE") {
        return create::replace(cursor);
    }
    if cursor.word("ALTER") {
        return alter::alter(cursor);
    }
    if let Some(show) = show::show(&mut cursor)? {
        return Ok(Statement::Show(show));
    }
    short_statement(cursor)
}

fn short_statement(mut cursor: Cursor) -> Result<Statement> {
    let statement = if cursor.word("DROP") {
        tables::drop(&mut cursor)?
    } else if cursor.word("RENAME") {
        tables::rename(&mut cursor)?
    } else if cursor.word("EXCHANGE") {
        tables::exchange(&mut cursor)?
    } else if cursor.word("TRUNCATE") {
        tables::truncate(&mut cursor)?
    } else if cursor.words(&["OPTIMIZE", "TABLE"]) {
        let table = cursor.table_name()?;
        cursor.rest();
        Statement::Optimize { table }
    } else if cursor.words(&["DELETE", "FROM"]) {
        let table = cursor.table_name()?;
        on_cluster(&mut cursor)?;
        cursor.expect_word("WHERE")?;
        Statement::Delete { table, predicate: cursor.rest() }
    } else if cursor.word("UPDATE") {
        let table = cursor.table_name()?;
        cursor.expect_word("SET")?;
        let (assignments, predicate) = alter::update(&mut cursor)?;
        Statement::Update { table, assignments, predicate }
    } else if cursor.word("USE") {
        Statement::Use(clauses::database(&mut cursor)?)
    } else if cursor.word("SET") {
        let mut settings = BTreeMap::new();
        clauses::assignments(&mut cursor, &mut settings)?;
        Statement::Set(settings)
    } else if cursor.words(&["SYSTEM", "FLUSH", "LOGS"]) {
        cursor.rest(); // There are none in tables.
        Statement::Set(BTreeMap::new())
    } else if cursor.words(&["KILL", "QUERY"]) {
        kill(&mut cursor)?
    } else {
        return Err(unknown(&cursor));
    };
    sync_words(&mut cursor);
    cursor.expect_end()?;
    Ok(statement)
}

fn unknown(cursor: &Cursor) -> Error {
    let known = [
        "ATTACH", "DETACH", "SYSTEM", "BACKUP", "RESTORE", "GRANT", "REVOKE", "CHECK", "UNDROP", "WATCH",
        "MOVE", "COPY", "MERGE", "BEGIN", "COMMIT", "ROLLBACK",
    ];
    match known.iter().find(|word| cursor.sees(&[word])) {
        Some(word) => Error::new(ErrorCode::NotImplemented, format!("{word} is not supported")),
        None => cursor.unexpected("SELECT, INSERT, CREATE, ALTER, DROP, SHOW, DESCRIBE or another statement"),
    }
}

/// Words at the end of DDL that say nothing on one node.
fn sync_words(cursor: &mut Cursor) {
    for word in ["SYNC", "ASYNC", "TEST"] {
        cursor.word(word);
    }
    cursor.words(&["NO", "DELAY"]);
}

/// Takes `ON CLUSTER name`.
pub(super) fn on_cluster(cursor: &mut Cursor) -> Result<bool> {
    if !cursor.words(&["ON", "CLUSTER"]) {
        return Ok(false);
    }
    match cursor.peek() {
        Some(Token::SingleQuotedString(_)) => cursor.string().map(|_| true),
        _ => cursor.identifier().map(|_| true),
    }
}

fn explain(mut cursor: Cursor) -> Result<Statement> {
    let kind = if cursor.word("ANALYZE") {
        ExplainKind::Analyze
    } else if cursor.word("SYNTAX") {
        ExplainKind::Syntax
    } else {
        for other in ["AST", "ESTIMATE", "TABLE", "QUERY"] {
            if cursor.sees(&[other]) {
                return Err(Error::new(
                    ErrorCode::NotImplemented,
                    format!("EXPLAIN {other} is not supported"),
                ));
            }
        }
        if !cursor.word("PLAN") {
            cursor.word("PIPELINE");
        }
        ExplainKind::Plan
    };
    // Options such as `indexes = 1`; there is one form of plan here, which shows everything.
    while matches!((cursor.peek_at(0), cursor.peek_at(1)), (Some(Token::Word(_)), Some(Token::Eq))) {
        cursor.next();
        cursor.next();
        cursor.next();
        cursor.symbol(&Token::Comma);
    }
    match statement(cursor)? {
        Statement::Query(tokens) => Ok(Statement::Explain(kind, tokens)),
        _ => Err(Error::new(ErrorCode::NotImplemented, "EXPLAIN of a statement that is not a query")),
    }
}

/// `WHERE query_id = 'x'`, `WHERE user = 'u'`, and AND between them.
fn kill(cursor: &mut Cursor) -> Result<Statement> {
    cursor.expect_word("WHERE")?;
    let (mut query_id, mut user) = (None, None);
    loop {
        let column = cursor.identifier()?;
        cursor.expect_symbol(&Token::Eq)?;
        let value = cursor.string()?;
        match column.as_str() {
            "query_id" => query_id = Some(value),
            "user" => user = Some(value),
            _ => {
                let message = format!("KILL QUERY knows query_id and user, not {column}");
                return Err(Error::new(ErrorCode::NotImplemented, message));
            }
        }
        if !cursor.word("AND") {
            let only_listed = cursor.word("TEST");
            return Ok(Statement::Kill { query_id, user, only_listed });
        }
    }
}

/// Parses a query's tokens to sqlparser's tree, with the forms that sqlparser lacks rewritten first.
///
/// # Errors
/// `SyntaxError`, `TooDeepAst`.
pub(crate) fn query(tokens: Tokens) -> Result<ast::Statement> {
    let tokens = cast_types::rewrite(forms::rewrite(matchers::rewrite(values_function::rewrite(tokens))));
    let tokens = scalars::rewrite(limit_by::rewrite(tokens));
    let tokens = lists::rewrite(joins::rewrite(join_words::rewrite(array_join::rewrite(tokens))?)?);
    let mut parser = parser(&ZeptoDialect, tokens);
    let query = parser.parse_query().map_err(parser_error)?;
    expect_end(&mut parser)?;
    Ok(ast::Statement::Query(query))
}

/// Parses an expression's tokens.
///
/// # Errors
/// `SyntaxError`, `TooDeepAst`.
pub(crate) fn expression(tokens: Tokens) -> Result<ast::Expr> {
    let tokens = lists::rewrite(cast_types::rewrite(forms::rewrite(tokens)));
    let mut parser = parser(&ZeptoDialect, tokens);
    let expr = parser.parse_expr().map_err(parser_error)?;
    expect_end(&mut parser)?;
    Ok(expr)
}

fn parser(dialect: &ZeptoDialect, tokens: Tokens) -> Parser<'_> {
    Parser::new(dialect).with_recursion_limit(DEPTH_MAX).with_tokens_with_locations(tokens)
}

fn expect_end(parser: &mut Parser<'_>) -> Result<()> {
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(()),
        token => {
            let place = next.span.start;
            let message = format!(
                "Syntax error: failed at '{token}' (line {}, col {}). Expected end of query",
                place.line, place.column
            );
            Err(Error::new(ErrorCode::SyntaxError, message))
        }
    }
}

fn parser_error(error: ParserError) -> Error {
    match error {
        ParserError::RecursionLimitExceeded => {
            Error::new(ErrorCode::TooDeepAst, format!("AST is too deep. Maximum: {DEPTH_MAX}"))
        }
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => {
            Error::new(ErrorCode::SyntaxError, format!("Syntax error: {text}"))
        }
    }
}

/// Cuts a script at its semicolons, outside of strings and comments. Empty statements are left out; a text that
/// cannot be cut comes back whole and fails when it is run.
#[must_use]
pub fn split_statements(script: &str) -> Vec<String> {
    let Ok(tokens) = Tokenizer::new(&ZeptoDialect, script).tokenize_with_location() else {
        return vec![script.to_owned()];
    };
    let starts: Vec<usize> = std::iter::once(0)
        .chain(script.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1))
        .collect();
    let mut statements = Vec::new();
    let (mut begin, mut has_content) = (0, false);
    let mut cut = |begin: usize, end: usize, has_content: bool| {
        if has_content {
            statements.push(script[begin..end].trim().to_owned());
        }
    };
    for token in &tokens {
        match token.token {
            Token::SemiColon => {
                let place = token.span.start;
                // Columns count characters, from 1.
                let line =
                    starts.get((place.line as usize).saturating_sub(1)).copied().unwrap_or(script.len());
                let skipped = script[line..].char_indices().nth((place.column as usize).saturating_sub(1));
                let at = skipped.map_or(script.len(), |(i, _)| line + i);
                cut(begin, at, has_content);
                (begin, has_content) = ((at + 1).min(script.len()), false);
            }
            Token::Whitespace(_) | Token::EOF => {}
            _ => has_content = true,
        }
    }
    cut(begin, script.len(), has_content);
    statements
}
