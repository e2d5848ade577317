//! The statement that makes a table again, as ClickHouse writes it.

use zepto_common::schema::{Column, ColumnDefault, TableSchema};
use zepto_common::types::ColumnType;
use zepto_engine::store::ViewDefinition;

use crate::statement::cursor::{quote, text_of};
use crate::views::query_of;

/// How a statement is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// As SHOW CREATE TABLE shows it.
    Many,
    /// As `system.tables` shows it.
    One,
}

/// A name as it must be written: in backticks unless it is a plain word.
fn identifier(name: &str) -> String {
    let plain = name
        .chars()
        .enumerate()
        .all(|(i, c)| c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit()));
    match plain && !name.is_empty() {
        true => name.to_owned(),
        false => backticks(name),
    }
}

/// A name in backticks, as it can stand in any statement.
#[must_use]
pub fn backticks(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// The columns of ORDER BY, with commas between them.
pub(super) fn order_by(schema: &TableSchema) -> String {
    let names = schema.order_by.iter().filter_map(|id| schema.index_of_id(*id));
    let names: Vec<String> = names.map(|i| identifier(&schema.columns[i].name)).collect();
    names.join(", ")
}

/// The engine's name without its arguments.
pub(super) fn engine_name(schema: &TableSchema) -> String {
    let name = schema.engine.split('(').next().unwrap_or_default();
    if name.is_empty() { "MergeTree".to_owned() } else { name.to_owned() }
}

/// The engine and its clauses, on one line.
pub(super) fn engine_full(schema: &TableSchema) -> String {
    engine_clauses(schema).join(" ")
}

fn engine_clauses(schema: &TableSchema) -> Vec<String> {
    let engine = if schema.engine.is_empty() { "MergeTree" } else { &schema.engine };
    let mut clauses = vec![engine.to_owned()];
    if !engine_name(schema).ends_with("MergeTree") {
        return clauses;
    }
    let order = order_by(schema);
    clauses.push(match (order.is_empty(), order.contains(',')) {
        (true, _) => "ORDER BY tuple()".to_owned(),
        (_, true) => format!("ORDER BY ({order})"),
        (_, false) => format!("ORDER BY {order}"),
    });
    if let (Some(seconds), Some(time)) = (schema.ttl_seconds, schema.time_index()) {
        clauses.push(format!("TTL {} + {}", identifier(&schema.columns[time].name), interval(seconds)));
    }
    // What ClickHouse writes when nobody set it; some tools look for it.
    clauses.push("SETTINGS index_granularity = 8192".to_owned());
    clauses
}

/// A length of time in the largest unit that it is a number of.
fn interval(seconds: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("Week", 604_800), ("Day", 86_400), ("Hour", 3_600), ("Minute", 60)];
    let unit = UNITS.into_iter().find(|(name, each)| {
        // A number of days is seldom meant as weeks, but for one.
        seconds > 0 && seconds.is_multiple_of(*each) && (*name != "Week" || seconds == *each)
    });
    let (name, each) = unit.unwrap_or(("Second", 1));
    format!("toInterval{name}({})", seconds / each)
}

/// A type as it stands in CREATE TABLE: on several lines, the elements of a tuple have lines of their own.
fn type_text(ty: &ColumnType, lines: Lines, depth: usize) -> String {
    match ty {
        _ if lines == Lines::One => ty.to_string(),
        ColumnType::Tuple(parts) if !parts.is_empty() => {
            let indent = "    ".repeat(depth + 1);
            let part = |part: &ColumnType| format!("\n{indent}{}", type_text(part, lines, depth + 1));
            format!("Tuple({})", parts.iter().map(part).collect::<Vec<_>>().join(","))
        }
        ColumnType::Array(of) => format!("Array({})", type_text(of, lines, depth)),
        ColumnType::Map(key, value) => {
            format!("Map({}, {})", type_text(key, lines, depth), type_text(value, lines, depth))
        }
        other => other.to_string(),
    }
}

fn column_text(column: &Column, lines: Lines) -> String {
    let mut text = format!("{} {}", backticks(&column.name), type_text(&column.ty, lines, 1));
    let (kind, expression) = default_text(column);
    if !kind.is_empty() {
        text.push_str(&format!(" {kind} {expression}"));
    }
    if !column.comment.is_empty() {
        text.push_str(&format!(" COMMENT {}", quote(&column.comment)));
    }
    text
}

fn columns_text(columns: &[Column], lines: Lines) -> String {
    let columns: Vec<String> = columns.iter().map(|column| column_text(column, lines)).collect();
    match lines {
        Lines::Many => format!("\n(\n    {}\n)\n", columns.join(",\n    ")),
        Lines::One => format!(" ({}) ", columns.join(", ")),
    }
}

/// The CREATE TABLE that makes this table again.
pub(crate) fn create_statement(schema: &TableSchema, lines: Lines) -> String {
    let (database, table) = (identifier(&schema.name.database), identifier(&schema.name.table));
    let mut clauses = engine_clauses(schema);
    if !schema.comment.is_empty() {
        clauses.push(format!("COMMENT {}", quote(&schema.comment)));
    }
    let between = if lines == Lines::Many { "\n" } else { " " };
    let columns = columns_text(&schema.columns, lines);
    format!("CREATE TABLE {database}.{table}{columns}ENGINE = {}", clauses.join(between))
}

/// The CREATE TABLE that makes this table again, on one line.
#[must_use]
pub fn create_table(schema: &TableSchema) -> String {
    create_statement(schema, Lines::One)
}

/// The CREATE VIEW that makes this view again; its query stands as its user wrote it.
pub(crate) fn create_view(view: &ViewDefinition, lines: Lines) -> String {
    // One that this build cannot read any more is shown as it is kept.
    let Ok(query) = query_of(view) else { return view.sql.clone() };
    if view.materialized || view.columns.is_empty() {
        return view.sql.clone();
    }
    let (database, name) = (identifier(&view.name.database), identifier(&view.name.table));
    let columns = columns_text(&view.columns, lines);
    format!("CREATE VIEW {database}.{name}{columns}AS {}", text_of(&query))
}

/// How a column's default is shown: kind and expression.
pub(crate) fn default_text(column: &Column) -> (String, String) {
    let expression = match (&column.default, column.ty.inner()) {
        (ColumnDefault::Zero, _) => return (String::new(), String::new()),
        (ColumnDefault::Now, ColumnType::DateTime64(precision, _)) => format!("now64({precision})"),
        (ColumnDefault::Now, _) => "now()".to_owned(),
        (ColumnDefault::Constant(text), ty) if ty.is_number() || *ty == ColumnType::Bool => text.clone(),
        (ColumnDefault::Constant(text), _) => quote(text),
    };
    ("DEFAULT".to_owned(), expression)
}
