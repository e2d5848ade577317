//! `docs/clickhouse-compatibility.md`, made from the code: what ClickHouse has (`tests/goldens/surface.tsv`, by its own
//! tables) beside what is there. Statements are run. `cargo test --workspace --test slt -- --ignored` writes it.

use std::collections::BTreeMap;
use std::fmt::Write;

use zepto_common::settings;
use zepto_common::types::ColumnType;
use zepto_formats::Format;
use zepto_query::functions::{self, difference, is_known};

use super::database::Database;
use super::goldens::{read, root};

const PAGE: &str = "docs/clickhouse-compatibility.md";

/// Statements in the order in which they run, with what they are.
const STATEMENTS: &[(&str, &str)] = &[
    ("CREATE DATABASE", "CREATE DATABASE IF NOT EXISTS shop"),
    (
        "CREATE TABLE … ENGINE",
        "CREATE TABLE t (k String, x Int64, ts DateTime64(3)) ENGINE = MergeTree ORDER BY ts",
    ),
    ("CREATE TABLE … AS SELECT", "CREATE TABLE made ENGINE = MergeTree ORDER BY x AS SELECT 1 AS x"),
    ("CREATE TEMPORARY TABLE", "CREATE TEMPORARY TABLE tmp (x Int64)"),
    ("CREATE VIEW", "CREATE VIEW v AS SELECT k, x FROM t"),
    (
        "CREATE MATERIALIZED VIEW",
        "CREATE MATERIALIZED VIEW m AS SELECT k, toStartOfHour(ts) AS h, sum(x) AS s FROM t GROUP BY k, h",
    ),
    (
        "CREATE DICTIONARY",
        "CREATE DICTIONARY d (k UInt64) PRIMARY KEY k SOURCE(NULL()) LAYOUT(FLAT()) LIFETIME(0)",
    ),
    ("CREATE FUNCTION", "CREATE FUNCTION twice AS (x) -> x * 2"),
    ("CREATE USER, GRANT", "CREATE USER somebody"),
    ("INSERT … VALUES", "INSERT INTO t VALUES ('a', 1, '2024-01-02 00:00:00')"),
    ("INSERT … SELECT", "INSERT INTO t SELECT k, x + 1, ts FROM t"),
    ("SELECT", "SELECT k, x FROM t"),
    ("SELECT … FINAL", "SELECT k FROM t FINAL"),
    ("SELECT … PREWHERE", "SELECT k FROM t PREWHERE x = 1"),
    ("SELECT … SAMPLE", "SELECT k FROM t SAMPLE 0.5"),
    ("SELECT DISTINCT", "SELECT DISTINCT k FROM t"),
    ("SELECT DISTINCT ON", "SELECT DISTINCT ON (k) k, x FROM t"),
    ("GROUP BY ALL", "SELECT k, sum(x) FROM t GROUP BY ALL"),
    ("GROUP BY … WITH TOTALS", "SELECT k, sum(x) FROM t GROUP BY k WITH TOTALS"),
    ("GROUP BY … WITH ROLLUP, CUBE", "SELECT k, sum(x) FROM t GROUP BY k WITH ROLLUP"),
    ("HAVING", "SELECT k, sum(x) AS s FROM t GROUP BY k HAVING s > 1"),
    ("QUALIFY", "SELECT k FROM t QUALIFY row_number() OVER (PARTITION BY k ORDER BY ts) = 1"),
    ("WINDOW", "SELECT sum(x) OVER w FROM t WINDOW w AS (PARTITION BY k ORDER BY ts)"),
    ("ORDER BY ALL", "SELECT k, x FROM t ORDER BY ALL"),
    ("ORDER BY … WITH FILL", "SELECT x FROM t ORDER BY x WITH FILL STEP 1"),
    (
        "ORDER BY … WITH FILL INTERPOLATE",
        "SELECT x, 1 AS y FROM t ORDER BY x WITH FILL STEP 1 INTERPOLATE (y)",
    ),
    ("LIMIT, OFFSET", "SELECT k FROM t ORDER BY x LIMIT 1 OFFSET 1"),
    ("LIMIT … BY", "SELECT k FROM t ORDER BY x LIMIT 1 BY k"),
    ("LIMIT … WITH TIES", "SELECT k FROM t ORDER BY x LIMIT 1 WITH TIES"),
    ("WITH … AS (SELECT …)", "WITH s AS (SELECT k FROM t) SELECT * FROM s"),
    ("WITH expression AS name", "WITH 1 AS one SELECT one + 1"),
    (
        "WITH RECURSIVE",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT * FROM r",
    ),
    ("JOIN: INNER, LEFT, RIGHT, FULL, CROSS", "SELECT a.k FROM t a LEFT JOIN t b ON a.k = b.k"),
    ("JOIN: ASOF", "SELECT a.k FROM t a ASOF JOIN t b ON a.k = b.k AND a.ts >= b.ts"),
    ("JOIN: SEMI, ANTI", "SELECT a.k FROM t a LEFT SEMI JOIN t b ON a.k = b.k"),
    ("JOIN: ANY", "SELECT a.k FROM t a ANY LEFT JOIN t b ON a.k = b.k"),
    ("ARRAY JOIN", "SELECT y FROM (SELECT [1, 2] AS a) ARRAY JOIN a AS y"),
    ("LEFT ARRAY JOIN", "SELECT y FROM (SELECT [1, 2] AS a) LEFT ARRAY JOIN a AS y"),
    ("UNION, INTERSECT, EXCEPT", "SELECT 1 UNION ALL SELECT 2"),
    ("IN (SELECT …) in WHERE", "SELECT k FROM t WHERE k IN (SELECT k FROM t)"),
    ("IN (SELECT …) in the list", "SELECT k IN (SELECT k FROM t) FROM t"),
    ("EXISTS (SELECT …) in WHERE", "SELECT k FROM t a WHERE EXISTS (SELECT 1 FROM t b WHERE a.k = b.k)"),
    ("SELECT COLUMNS('…')", "SELECT COLUMNS('^k') FROM t"),
    ("SELECT * EXCEPT, REPLACE", "SELECT * EXCEPT (ts) REPLACE (x + 1 AS x) FROM t"),
    ("SELECT * APPLY", "SELECT * APPLY (toString) FROM t"),
    ("lambdas", "SELECT arrayMap(x -> x + 1, [1, 2])"),
    ("condition ? a : b", "SELECT x > 1 ? 'a' : 'b' FROM t"),
    ("FORMAT and SETTINGS behind a statement", "SELECT 1 SETTINGS max_threads = 1 FORMAT JSONEachRow"),
    ("EXPLAIN", "EXPLAIN SELECT 1"),
    ("EXPLAIN SYNTAX", "EXPLAIN SYNTAX SELECT 1"),
    ("EXPLAIN PIPELINE", "EXPLAIN PIPELINE SELECT 1"),
    ("DESCRIBE TABLE", "DESCRIBE TABLE t"),
    ("DESCRIBE (SELECT …)", "DESCRIBE (SELECT 1 AS a)"),
    ("EXISTS TABLE", "EXISTS TABLE t"),
    ("EXISTS DATABASE", "EXISTS DATABASE shop"),
    ("SHOW DATABASES", "SHOW DATABASES"),
    ("SHOW TABLES", "SHOW TABLES LIKE 't%'"),
    ("SHOW COLUMNS", "SHOW COLUMNS FROM t"),
    ("SHOW CREATE TABLE", "SHOW CREATE TABLE t"),
    ("SHOW PROCESSLIST", "SHOW PROCESSLIST"),
    ("SHOW CLUSTERS, DICTIONARIES, ENGINES", "SHOW ENGINES"),
    ("SHOW SETTING", "SHOW SETTING max_threads"),
    ("SYSTEM FLUSH LOGS", "SYSTEM FLUSH LOGS"),
    ("SHOW SETTINGS", "SHOW SETTINGS LIKE 'max%'"),
    ("SHOW FUNCTIONS", "SHOW FUNCTIONS"),
    ("USE", "USE shop"),
    ("SET", "SET max_threads = 1"),
    ("ALTER TABLE ADD COLUMN", "ALTER TABLE t ADD COLUMN y Int64"),
    ("ALTER TABLE RENAME COLUMN", "ALTER TABLE t RENAME COLUMN y TO z"),
    ("ALTER TABLE MODIFY COLUMN", "ALTER TABLE t MODIFY COLUMN z Int32"),
    ("ALTER TABLE DROP COLUMN", "ALTER TABLE t DROP COLUMN z"),
    ("ALTER TABLE MODIFY TTL", "ALTER TABLE t MODIFY TTL toDateTime(ts) + INTERVAL 1 YEAR"),
    ("ALTER TABLE DELETE", "ALTER TABLE t DELETE WHERE x = 99"),
    ("ALTER TABLE UPDATE", "ALTER TABLE t UPDATE x = 5 WHERE x = 98"),
    ("ALTER TABLE … PARTITION", "ALTER TABLE t DROP PARTITION '2024'"),
    ("DELETE FROM", "DELETE FROM t WHERE x = 97"),
    ("UPDATE", "UPDATE t SET x = 1 WHERE x = 96"),
    ("OPTIMIZE TABLE", "OPTIMIZE TABLE t FINAL"),
    ("TRUNCATE TABLE", "TRUNCATE TABLE t"),
    ("RENAME TABLE", "RENAME TABLE t TO u"),
    ("EXCHANGE TABLES", "EXCHANGE TABLES t AND u"),
    ("DROP VIEW", "DROP VIEW v"),
    ("DROP TABLE", "DROP TABLE IF EXISTS made"),
    ("DROP DATABASE", "DROP DATABASE IF EXISTS shop"),
    ("KILL QUERY", "KILL QUERY WHERE query_id = 'none'"),
    ("CHECK TABLE", "CHECK TABLE u"),
    ("SYSTEM …", "SYSTEM FLUSH LOGS"),
    ("ATTACH, DETACH", "DETACH TABLE u"),
    ("BACKUP, RESTORE", "BACKUP TABLE u TO File('x')"),
];

/// Statements that are understood but differ.
const STATEMENT_DIFFERENCES: &[(&str, &str)] = &[
    ("EXPLAIN", "the plans of this engine"),
    ("EXPLAIN SYNTAX", "the statement as it goes to the planner"),
    ("SELECT … FINAL", "says nothing: rows are never versions of each other"),
    ("ORDER BY … WITH FILL", "for one column, the last of ORDER BY; whole numbers and times"),
    (
        "ORDER BY … WITH FILL INTERPOLATE",
        "repeats the value before, a constant, or `linear(y)`; no other expressions",
    ),
    ("JOIN: SEMI, ANTI", "ANTI gives no columns of the other side; ON with equalities of qualified columns"),
    ("JOIN: ANY", "not FULL; ON with equalities of qualified columns"),
    ("ARRAY JOIN", "not beside another join"),
    ("UNION, INTERSECT, EXCEPT", "ORDER BY behind them sorts the whole; EXCEPT without a word is DISTINCT"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Yes,
    Differs(&'static str),
    No,
}

impl State {
    fn text(self) -> String {
        match self {
            Self::Yes => "yes".to_owned(),
            Self::Differs(why) => format!("differs: {why}"),
            Self::No => "no".to_owned(),
        }
    }
}

/// A section: its title and, in order, what there is with its state.
struct Section {
    title: &'static str,
    entries: Vec<(String, State)>,
}

impl Section {
    fn counts(&self) -> [usize; 3] {
        let count =
            |wanted: fn(State) -> bool| self.entries.iter().filter(|(_, state)| wanted(*state)).count();
        [
            count(|state| state == State::Yes),
            count(|state| matches!(state, State::Differs(_))),
            count(|state| state == State::No),
        ]
    }

    fn write(&self, out: &mut String) {
        let _ = writeln!(out, "\n## {}\n\n| name | state |\n|---|---|", self.title);
        for (name, state) in self.entries.iter().filter(|(_, state)| *state != State::No) {
            let _ = writeln!(out, "| `{name}` | {} |", state.text());
        }
        let missing: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, state)| *state == State::No)
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if !missing.is_empty() {
            let _ = writeln!(out, "\nNot there: {}.", missing.join(", "));
        }
    }
}

/// Names by kind.
fn surface() -> BTreeMap<String, Vec<(String, String)>> {
    let mut kinds: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for line in read("tests/goldens/surface.tsv").lines().filter(|line| !line.starts_with('#')) {
        let mut cells = line.split('\t').map(str::to_owned);
        if let (Some(kind), Some(name)) = (cells.next(), cells.next()) {
            kinds.entry(kind).or_default().push((name, cells.next().unwrap_or_default()));
        }
    }
    kinds
}

fn function_state(name: &str) -> State {
    match (is_known(name), difference(name)) {
        (false, _) => State::No,
        (true, Some(why)) => State::Differs(why),
        (true, None) => State::Yes,
    }
}

fn type_state(name: &str) -> State {
    let spelling = match name {
        "Array" => "Array(Int8)",
        "Tuple" => "Tuple(Int8, String)",
        "Map" => "Map(String, Int8)",
        "Nullable" => "Nullable(Int8)",
        "LowCardinality" => "LowCardinality(String)",
        "Decimal" => "Decimal(9, 2)",
        "Decimal32" => "Decimal32(2)",
        "Decimal64" => "Decimal64(2)",
        "Decimal128" => "Decimal128(2)",
        "Decimal256" => "Decimal256(2)",
        "DateTime64" => "DateTime64(3)",
        "FixedString" => "FixedString(4)",
        "Enum" | "Enum8" => "Enum8('a' = 1)",
        "Enum16" => "Enum16('a' = 1)",
        other => other,
    };
    match (name, spelling.parse::<ColumnType>()) {
        ("LowCardinality", Ok(_)) => State::Differs("of String"),
        ("Tuple", Ok(_)) => State::Differs("without names of its elements"),
        (_, Ok(ty)) if ty.to_string() == spelling || spelling.starts_with("Decimal") => State::Yes,
        (_, Ok(ColumnType::String)) => State::Differs("kept as String"),
        (_, Ok(_)) => State::Differs("kept as another type"),
        (_, Err(_)) => State::No,
    }
}

fn format_state(name: &str) -> State {
    match Format::parse(name) {
        Ok(format) if format.can_read() && format.can_write() => State::Yes,
        Ok(format) if format.can_write() => State::Differs("written only"),
        Ok(_) => State::Differs("read only"),
        Err(_) => State::No,
    }
}

async fn statement_states() -> Vec<(String, State)> {
    let database = Database::new();
    let mut entries = Vec::new();
    for (name, sql) in STATEMENTS {
        let state = match database.query(sql).await {
            Err(_) => State::No,
            Ok(_) => STATEMENT_DIFFERENCES
                .iter()
                .find(|(known, _)| known == name)
                .map_or(State::Yes, |(_, why)| State::Differs(why)),
        };
        entries.push(((*name).to_owned(), state));
    }
    entries
}

async fn page() -> String {
    let kinds = surface();
    let names = |kind: &str| kinds.get(kind).cloned().unwrap_or_default();
    let of = |kind: &str, state: fn(&str) -> State| -> Vec<(String, State)> {
        names(kind).into_iter().map(|(name, _)| (name.clone(), state(&name))).collect()
    };
    let taken = |name: &str| match settings::rest(name) {
        _ if settings::is_known(name) => State::Yes,
        Some(settings::Rest::Taken) => State::Yes,
        Some(settings::Rest::Default) => State::Differs("only its default is taken"),
        None => State::No,
    };
    let tables = |name: &str| {
        if ["numbers", "generate_series", "values"].contains(&name) { State::Yes } else { State::No }
    };
    let sections = [
        Section { title: "Statements and clauses", entries: statement_states().await },
        Section { title: "Functions", entries: of("function", function_state) },
        Section { title: "Aggregate functions", entries: of("aggregate", function_state) },
        Section { title: "Table functions", entries: of("table function", tables) },
        Section { title: "Types", entries: of("type", type_state) },
        Section { title: "Formats", entries: of("format", format_state) },
        Section { title: "Settings", entries: of("setting", taken) },
    ];
    let theirs: Vec<String> = ["function", "aggregate"]
        .iter()
        .flat_map(|kind| names(kind))
        .map(|(name, _)| name.to_lowercase())
        .collect();
    let ours: Vec<String> = functions::list()
        .iter()
        .filter(|line| !theirs.contains(&line.name.to_lowercase()))
        .map(|line| format!("`{}`", line.name))
        .collect();
    let mut out = String::from(
        "# What of ClickHouse is there\n\n\
         Written by a program from the code; do not edit. What ClickHouse has is by its own tables (the version that \
         `tests/goldens` is made with); statements were run. Combinators behind aggregates: `If`, `Distinct`, `OrNull`, \
         `OrDefault`. A setting that is there is taken; which of them do something is in [protocol.md](protocol.md). \
         Differences with their reasons are in [deviations.md](deviations.md).\n\n\
         | what | yes | differs | no |\n|---|---|---|---|\n",
    );
    for section in &sections {
        let [yes, differs, no] = section.counts();
        let _ = writeln!(out, "| {} | {yes} | {differs} | {no} |", section.title);
    }
    let _ = writeln!(out, "| Functions beyond ClickHouse's | {} | | |", ours.len());
    sections.iter().for_each(|section| section.write(&mut out));
    let _ = writeln!(out, "\n## Functions beyond ClickHouse's\n\n{}.", ours.join(", "));
    out
}

#[test]
fn the_published_list_is_what_the_code_has() {
    let page = super::on_runtime(page());
    assert!(
        page == read(PAGE),
        "{PAGE} is out of date: cargo test --workspace --test slt -- --ignored writes it"
    );
}

#[test]
#[ignore = "writes the page that the other test compares"]
fn write_the_published_list() {
    let page = super::on_runtime(page());
    std::fs::write(root().join(PAGE), page).expect("the page can be written");
}

#[test]
fn the_table_of_formats_has_every_format_with_its_directions() {
    let shown = super::on_runtime(async {
        let database = Database::new();
        database
            .query("SELECT name, is_input, is_output, content_type FROM system.formats ORDER BY name")
            .await
    });
    let mut formats: Vec<String> = Format::ALL
        .iter()
        .map(|it| {
            let (read, write) = (u8::from(it.can_read()), u8::from(it.can_write()));
            format!("{}\t{read}\t{write}\t{}\n", it.name(), it.content_type())
        })
        .collect();
    formats.sort();
    assert_eq!(shown.unwrap().unwrap(), formats.concat());
}
