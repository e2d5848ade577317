//! What SQL must answer, as an oracle says: the .slt files of `tests/slt` and the goldens of `tests/goldens`.
//!
//! Results are written as TabSeparated, the form in which the oracle gave them; a query that ends with
//! `FORMAT TSVWithNamesAndTypes` is compared with its columns' names and types. `ZEPTO_SLT=<part of a name>` picks
//! files; without it all run. The differences of all files are told at once.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod cluster;
mod compatibility;
mod database;
mod differential;
mod faults;
mod goldens;
mod shapes;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Record, Runner};
use zepto_common::Error;

use database::Database;

#[derive(Debug, thiserror::Error)]
#[error("{}", .0.clickhouse_text())]
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// Lines of TabSeparated with `(empty)` for an empty cell, as the generator writes them.
fn lines(text: &str) -> Vec<Vec<String>> {
    let cell = |cell: &str| if cell.is_empty() { "(empty)".to_owned() } else { cell.to_owned() };
    let lines: Vec<&str> = text.strip_suffix('\n').map_or_else(Vec::new, |text| text.split('\n').collect());
    lines.into_iter().map(|line| vec![line.split('\t').map(cell).collect::<Vec<_>>().join("\t")]).collect()
}

#[async_trait]
impl AsyncDB for Database {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        match self.query(sql).await? {
            None => Ok(DBOutput::StatementComplete(0)),
            Some(text) => Ok(DBOutput::Rows { types: vec![DefaultColumnType::Text], rows: lines(&text) }),
        }
    }

    async fn shutdown(&mut self) {}
}

/// Every byte counts.
fn exact(_: sqllogictest::Normalizer, actual: &[Vec<String>], expected: &[String]) -> bool {
    actual.iter().map(|row| row.concat()).eq(expected.iter().cloned())
}

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/slt");
    #[expect(clippy::disallowed_methods, reason = "the developer's choice of files, not configuration")]
    let wanted = std::env::var("ZEPTO_SLT").unwrap_or_default();
    let entries =
        std::fs::read_dir(dir).expect("tests/slt is there").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .filter(|path| path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains(&wanted)))
        .collect();
    files.sort();
    files
}

/// Statements run and what went wrong with them.
async fn run(path: &Path) -> (usize, Vec<String>) {
    let mut runner = Runner::new(|| async { Ok(Database::new()) });
    runner.with_validator(exact);
    let records = sqllogictest::parse_file(path).expect("the file can be parsed");
    let (mut count, mut failures) = (0, Vec::new());
    for record in records {
        count += usize::from(matches!(record, Record::Statement { .. } | Record::Query { .. }));
        if let Err(error) = runner.run_async(record).await {
            failures.push(format!("{error}"));
        }
    }
    (count, failures)
}

/// Runs a test's future with the stack that deep statements need.
fn on_runtime<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(8 << 20)
        .enable_all()
        .build()
        .expect("a runtime");
    let task = runtime.spawn(task);
    runtime.block_on(task).expect("the run ends")
}

#[test]
fn every_answer_is_the_oracles() {
    let (count, failures) = on_runtime(async {
        let (mut count, mut failures) = (0, Vec::new());
        for path in files() {
            let (run, failed) = run(&path).await;
            println!("{}: {run} statements, {} wrong", path.display(), failed.len());
            count += run;
            failures.extend(failed);
        }
        (count, failures)
    });
    assert!(count > 0, "there are statements");
    assert!(
        failures.is_empty(),
        "{} of {count} statements are wrong:\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}
