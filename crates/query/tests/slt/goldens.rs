//! Expressions and errors of `tests/goldens`: names, types, rows and codes are the oracle's.
//!
//! A case that the case file marks with a reason answers otherwise here; the reason stands in `docs/deviations.md`.
//! A marked case that answers as the oracle does fails too, so that the list stays true.

use std::path::{Path, PathBuf};

use zepto_common::ErrorCode;

use super::database::Database;

/// The workspace.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file of the workspace.
pub(super) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("the file is there")
}

fn plain(cell: &str) -> String {
    let (mut out, mut chars) = (String::new(), cell.chars());
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                other => out.extend(other),
            },
            other => out.push(other),
        }
    }
    out
}

/// The cells of each case.
pub(super) fn cases(path: &str) -> Vec<Vec<String>> {
    let text = read(path);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').map(plain).collect()).collect()
}

/// What stands at the top of a case file.
pub(super) fn prepared_statements(path: &str) -> Vec<String> {
    let makes = |line: &&str| line.starts_with("CREATE TABLE") || line.starts_with("INSERT INTO");
    let text = read(path);
    let lines = text.lines().filter(|line| !line.starts_with("--") && !line.is_empty());
    lines.take_while(makes).map(|line| line.trim_end_matches(';').to_owned()).collect()
}

/// Runs it.
async fn prepared(path: &str) -> Database {
    let database = Database::new();
    for sql in prepared_statements(path) {
        database.query(&sql).await.expect("the tables can be made");
    }
    database
}

async fn answer(database: &Database, sql: &str) -> String {
    match database.query_as(sql, "TSVWithNamesAndTypes").await {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => error.clickhouse_text(),
    }
}

/// What is wrong with a case, if anything.
fn judged(sql: &str, wanted: &str, got: &str, reason: &str) -> Option<String> {
    match (wanted == got, reason.is_empty()) {
        (true, true) | (false, false) => None,
        (true, false) => Some(format!("{sql}\n  is the oracle's by now, but marked: {reason}")),
        (false, true) => Some(format!("{sql}\n  wanted: {wanted:?}\n  got:    {got:?}")),
    }
}

async fn answers(stem: &str) -> (usize, usize, Vec<String>) {
    let database = prepared(&format!("tests/goldens/{stem}.sql")).await;
    let (mut differing, mut wrong) = (0, Vec::new());
    let cases = cases(&format!("tests/goldens/{stem}.tsv"));
    for case in &cases {
        let [sql, names, types, rows, reason]: &[String; 5] =
            case.as_slice().try_into().expect("a case has five cells");
        let wanted = if names.is_empty() { rows.clone() } else { format!("{names}\n{types}\n{rows}") };
        differing += usize::from(!reason.is_empty());
        wrong.extend(judged(sql, &wanted, &answer(&database, sql).await, reason));
    }
    (cases.len(), differing, wrong)
}

async fn errors() -> (usize, usize, Vec<String>) {
    let database = prepared("tests/goldens/errors.sql").await;
    let (mut differing, mut wrong) = (0, Vec::new());
    let cases = cases("tests/goldens/errors.tsv");
    for case in &cases {
        let [sql, code, name, reason]: &[String; 4] =
            case.as_slice().try_into().expect("a case has four cells");
        let got = match database.query(sql).await {
            Ok(rows) => format!("no error: {rows:?}"),
            Err(error) => format!("{} {}", error.code.number(), error.code.name()),
        };
        differing += usize::from(!reason.is_empty());
        wrong.extend(judged(sql, &format!("{code} {name}"), &got, reason));
    }
    (cases.len(), differing, wrong)
}

/// What was run; nothing may be wrong.
fn judge(what: &str, (count, differing, wrong): (usize, usize, Vec<String>)) -> String {
    assert!(count > 0, "there are cases");
    assert!(wrong.is_empty(), "{} of {count} {what} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    format!("{what}: {count} cases, {differing} of them differ for a reason")
}

#[test]
fn expressions_have_the_oracles_names_types_and_values() {
    let (count, differing, wrong) = super::on_runtime(answers("expressions"));
    assert!(count >= 300, "at least 300 expressions, not {count}");
    println!("{}", judge("expressions", (count, differing, wrong)));
}

#[test]
fn grafanas_statements_have_the_oracles_answers() {
    println!("{}", judge("Grafana's statements", super::on_runtime(answers("grafana"))));
}

#[test]
fn refused_statements_have_the_oracles_codes() {
    let (count, differing, wrong) = super::on_runtime(errors());
    assert!(count >= 40, "at least 40 errors, not {count}");
    println!("{}", judge("errors", (count, differing, wrong)));
}

/// The cells of a marked case's reason are the first cells of rows in the list of deviations.
#[test]
fn every_marked_case_has_its_reason_in_the_list_of_deviations() {
    let list = read("docs/deviations.md");
    for (path, at) in [
        ("tests/goldens/expressions.tsv", 4),
        ("tests/goldens/grafana.tsv", 4),
        ("tests/goldens/errors.tsv", 3),
    ] {
        for case in cases(path) {
            let reason = &case[at];
            assert!(
                reason.is_empty() || list.contains(&format!("| {reason} |")),
                "not in the list: {reason}"
            );
        }
    }
}

#[test]
fn codes_of_the_goldens_have_a_status() {
    for case in cases("tests/goldens/errors.tsv").iter().filter(|case| case[3].is_empty()) {
        let number: u32 = case[1].parse().expect("a number");
        let code = ErrorCode::ALL.iter().find(|code| code.number() == number);
        assert!(code.is_some_and(|code| code.http_status() >= 400), "{number} is not known here");
    }
}
