//! Runs the .slt files of `tests/slt`, whose answers are an oracle's, against a service over a fresh store.
//!
//! Results are written as TabSeparated, the form in which the oracle gave them; a query that ends with
//! `FORMAT TSVWithNamesAndTypes` is compared with its columns' names and types. `ZEPTO_SLT=<part of a name>` picks
//! files; without it all run. The differences of all files are told at once.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Record, Runner};
use tokio_util::sync::CancellationToken;
use zepto_common::schema::TableName;
use zepto_common::service::{QueryService, RequestContext, Role, RowSink, WriteRequest};
use zepto_common::{Error, ErrorCode};
use zepto_engine::store::{Store, StoreOptions};
use zepto_formats::insert::InsertHead;
use zepto_formats::{Format, FormatSettings, ResultTotals};
use zepto_query::{SqlOptions, SqlService};

/// How long one statement may take.
const WAIT: Duration = Duration::from_secs(60);

struct Database {
    store: Arc<Store>,
    service: SqlService,
    _dir: tempfile::TempDir,
}

#[derive(Debug, thiserror::Error)]
#[error("{}", .0.clickhouse_text())]
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl Database {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut options = StoreOptions::new(dir.path());
        options.partitions = Some(8);
        let store = Store::open(options).expect("a fresh store opens");
        let runtime = tokio::runtime::Handle::current();
        let service = SqlService::new(Arc::clone(&store), SqlOptions::new(runtime)).expect("a service");
        Self { store, service, _dir: dir }
    }

    fn context() -> RequestContext {
        RequestContext {
            query_id: uuid::Uuid::new_v4().to_string(),
            user: "default".to_owned(),
            role: Role::Admin,
            database: "default".to_owned(),
            settings: BTreeMap::new(),
            params: BTreeMap::new(),
            external_tables: Vec::new(),
            read_only: false,
            deadline: Instant::now() + WAIT,
            cancel: CancellationToken::new(),
        }
    }

    /// What the HTTP door does with the data of an INSERT.
    async fn insert(&self, sql: &str, head: InsertHead) -> Result<(), Error> {
        let (database, table) = head.table;
        let name = TableName::new(database.unwrap_or_else(|| "default".to_owned()), table);
        let schema = self.store.table(&name).await?;
        let evaluator = self.service.evaluator(&Self::context());
        let settings = FormatSettings::default();
        let format = Format::parse(head.format.as_deref().unwrap_or("Values"))?;
        let columns = head.columns.as_deref();
        let mut decoder = zepto_formats::decoder(format, &schema, columns, &settings, Some(evaluator))?;
        let mut blocks = Vec::new();
        decoder.push(&sql.as_bytes()[head.data_offset..], &mut blocks)?;
        decoder.finish(&mut blocks)?;
        for (block, rows) in blocks.into_iter().enumerate() {
            let request = WriteRequest {
                table: Arc::clone(&schema),
                batch: None,
                block: block as u32,
                repeatable: true,
                rows,
            };
            self.store.write(request, Instant::now() + WAIT).await?;
        }
        Ok(())
    }

    async fn query(&self, sql: &str) -> Result<Option<String>, Error> {
        if let Some(head) = InsertHead::parse(sql.as_bytes())? {
            self.insert(sql, head).await?;
            return Ok(None);
        }
        let answer = self.service.run(sql, Self::context()).await?;
        let Some((schema, mut rows)) = answer.rows else { return Ok(None) };
        let format = Format::parse(answer.format.as_deref().unwrap_or("TabSeparated"))?;
        let mut encoder = zepto_formats::encoder(format, schema, &FormatSettings::default())?;
        let mut out = Vec::new();
        encoder.begin(&mut out)?;
        while let Some(batch) = rows.next().await {
            encoder.batch(&batch?, &mut out)?;
        }
        encoder.finish(&ResultTotals::default(), &mut out)?;
        String::from_utf8(out)
            .map(Some)
            .map_err(|error| Error::new(ErrorCode::LogicalError, error.to_string()))
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

#[test]
fn every_answer_is_the_oracles() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(8 << 20)
        .enable_all()
        .build()
        .expect("a runtime");
    let task = runtime.spawn(async {
        let (mut count, mut failures) = (0, Vec::new());
        for path in files() {
            let (run, failed) = run(&path).await;
            println!("{}: {run} statements, {} wrong", path.display(), failed.len());
            count += run;
            failures.extend(failed);
        }
        (count, failures)
    });
    let (count, failures) = runtime.block_on(task).expect("the run ends");
    assert!(count > 0, "there are statements");
    assert!(
        failures.is_empty(),
        "{} of {count} statements are wrong:\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}
