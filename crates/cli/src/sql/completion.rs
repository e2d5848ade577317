//! What the line editor knows: words to complete, and when a statement is finished.

use std::collections::BTreeSet;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use super::statements;
use crate::client::Client;

/// Words of the dialect that people type most.
const KEYWORDS: &[&str] = &[
    "ADD",
    "ALTER",
    "ALL",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "ASOF",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COLUMN",
    "CREATE",
    "CROSS",
    "DATABASE",
    "DATABASES",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "ENGINE",
    "EXISTS",
    "EXPLAIN",
    "FILTER",
    "FORMAT",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "IF",
    "IN",
    "INNER",
    "INSERT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "KILL",
    "LATEST",
    "LEFT",
    "LIKE",
    "LIMIT",
    "MATERIALIZED",
    "MergeTree",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OPTIMIZE",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "PROCESSLIST",
    "QUERY",
    "RENAME",
    "RIGHT",
    "SELECT",
    "SET",
    "SETTINGS",
    "SHOW",
    "TABLE",
    "TABLES",
    "THEN",
    "TO",
    "TRUNCATE",
    "TTL",
    "UNION",
    "UPDATE",
    "USE",
    "USING",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
    "WITH",
];
/// Tables and columns that are offered at most.
const NAMES_MAX: usize = 20_000;

/// The editor's helper.
#[derive(Default)]
pub(super) struct Words {
    names: BTreeSet<String>,
}

impl Words {
    /// Learns the tables and columns of the server. A server that does not tell leaves the keywords.
    pub(super) fn learn(&mut self, client: &Client) {
        let sql =
            format!("SELECT database, table, name FROM system.columns LIMIT {NAMES_MAX} FORMAT TabSeparated");
        let Ok(text) = client.text(&sql) else { return };
        self.names = names_of(&text);
    }

    /// What the word before the cursor may become, and where that word begins.
    fn candidates(&self, line: &str, position: usize) -> (usize, Vec<String>) {
        let before = &line[..position];
        let start = before
            .rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.')))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let word = &before[start..];
        if word.is_empty() {
            return (start, Vec::new());
        }
        let lower_case = word.chars().all(|c| !c.is_uppercase());
        let keywords = KEYWORDS
            .iter()
            .filter(|keyword| starts_with(keyword, word))
            .map(|keyword| if lower_case { keyword.to_lowercase() } else { (*keyword).to_owned() });
        let names = self.names.iter().filter(|name| starts_with(name, word)).cloned();
        (start, names.chain(keywords).collect())
    }
}

/// Every way to write each table and column: bare, and with the table or the database before it.
fn names_of(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [database, table, column] = fields[..] else { continue };
        names.extend([
            table.to_owned(),
            column.to_owned(),
            format!("{database}.{table}"),
            format!("{table}.{column}"),
        ]);
    }
    names
}

fn starts_with(name: &str, word: &str) -> bool {
    name.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, words) = self.candidates(line, position);
        Ok((start, words.into_iter().map(|word| Pair { display: word.clone(), replacement: word }).collect()))
    }
}

impl Validator for Words {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        Ok(if statements::is_finished(text) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_tables_and_columns_are_completed() {
        let words = Words { names: names_of("default\ttrades\tprice\ndefault\ttrades\tsymbol\n") };
        let of = |line: &str| words.candidates(line, line.len());
        assert_eq!(of("SELECT pri"), (7, vec!["price".to_owned()]));
        assert_eq!(of("SELECT ü, trades.sy"), (11, vec!["trades.symbol".to_owned()]));
        assert_eq!(of("sele"), (0, vec!["select".to_owned()]));
        assert_eq!(of("SELE"), (0, vec!["SELECT".to_owned()]));
        assert_eq!(of("SELECT "), (7, Vec::new()));
    }
}
