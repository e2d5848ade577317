//! Operators over sorted data say what the generic plan says, on random data and random questions.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

mod asof;
mod buckets;
mod latest;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use zepto_common::error::{ErrorCode, Result};
use zepto_common::service::{Answer, QueryService, RequestContext, Role};
use zepto_engine::{Part, Store, StoreOptions};
use zepto_query::{SqlOptions, SqlService};

/// A log file of a test's store: small, since many are open at once.
const LOG_FILE_BYTES: u64 = 1 << 20;

/// A service over an empty store.
struct Bench {
    service: SqlService,
    store: Arc<Store>,
    _dir: tempfile::TempDir,
}

fn context() -> RequestContext {
    RequestContext {
        query_id: String::new(),
        user: "tester".to_owned(),
        role: Role::Admin,
        database: "default".to_owned(),
        settings: BTreeMap::new(),
        params: BTreeMap::new(),
        external_tables: Vec::new(),
        ending: Arc::default(),
        read_only: false,
        deadline: Instant::now() + Duration::from_secs(60),
        cancel: CancellationToken::new(),
    }
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" "))
        .collect()
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = SqlOptions::new(tokio::runtime::Handle::current());
        options.threads = 2;
        options.index_aggregates = false;
        let mut store = StoreOptions::new(dir.path());
        store.seal.log_file_bytes = LOG_FILE_BYTES;
        store.fold = Some(zepto_query::view_fold(&options).unwrap());
        let store = Store::open(store).unwrap();
        let service = SqlService::new(store.clone(), options).unwrap();
        Self { service, store, _dir: dir }
    }

    async fn run_as(&self, sql: &str, context: RequestContext) -> Result<(Answer, Vec<RecordBatch>)> {
        let mut answer = self.service.run(sql, context).await?;
        let mut batches = Vec::new();
        if let Some((_, rows)) = &mut answer.rows {
            while let Some(batch) = rows.next().await {
                batches.push(batch?);
            }
        }
        Ok((answer, batches))
    }

    /// Rows as text, values parted by blanks.
    async fn rows(&self, sql: &str) -> Vec<String> {
        match self.run_as(sql, context()).await {
            Ok((_, batches)) => batches.iter().flat_map(lines).collect(),
            Err(error) => panic!("{sql}: {} {error}", error.code),
        }
    }

    async fn code(&self, sql: &str) -> ErrorCode {
        match self.run_as(sql, context()).await {
            Ok((_, batches)) => panic!("{sql} gave {batches:?}"),
            Err(error) => error.code,
        }
    }

    /// A table of ticks: 3 symbols, 1,000 rows each, a second apart, price = row number.
    async fn ticks(&self) {
        self.rows(
            "CREATE TABLE ticks (symbol LowCardinality(String), ts DateTime64(9), price Float64, size Int64) \
             ENGINE = MergeTree ORDER BY (symbol, ts)",
        )
        .await;
        self.rows(
            "INSERT INTO ticks SELECT concat('S', CAST(number % 3 AS String)), \
             fromUnixTimestamp64Nano(1700000000000000000 + CAST(number AS Int64) * 1000000000), \
             CAST(number AS Float64), CAST(number AS Int64) FROM numbers(3000)",
        )
        .await;
    }
}

/// A service over the same store without operators of our own.
fn generic(bench: &Bench) -> SqlService {
    let mut options = SqlOptions::new(tokio::runtime::Handle::current());
    options.threads = 2;
    options.index_aggregates = false;
    options.sorted_operators = false;
    SqlService::new(bench.store.clone(), options).unwrap()
}

/// The answer's lines, or the error's code.
async fn answer(service: &SqlService, sql: &str) -> std::result::Result<Vec<String>, ErrorCode> {
    let mut answer = service.run(sql, context()).await.map_err(|error| error.code)?;
    let mut out = Vec::new();
    if let Some((_, rows)) = &mut answer.rows {
        while let Some(batch) = rows.next().await {
            out.extend(lines(&batch.map_err(|error| error.code)?));
        }
    }
    Ok(out)
}

/// A linear congruential generator: the same cases in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len() as u64) as usize]
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.roll(one_in) == 0
    }
}

/// Equal words, or numbers that differ in their last digits only.
fn are_close(one: &str, other: &str) -> bool {
    let words =
        |line: &str| -> Vec<String> { line.split([' ', ',', '{', '}', ':']).map(str::to_owned).collect() };
    let (one, other) = (words(one), words(other));
    one.len() == other.len()
        && one.iter().zip(&other).all(|(a, b)| {
            a == b
                || match (a.parse::<f64>(), b.parse::<f64>()) {
                    (Ok(a), Ok(b)) => a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
                    _ => false,
                }
        })
}

/// How a table of random rows is made.
#[derive(Clone, Copy)]
struct Table {
    create: &'static str,
    /// The key of a number; None for a table without one.
    key: Option<fn(u64) -> String>,
    keys: u64,
    /// Ticks of a second.
    ticks: i64,
    /// Times lie within so many ticks: few make ties.
    reach: u64,
}

const COLUMNS: &str = "f Float64, g Float32, n Nullable(Float64), i Int64, u UInt32, m Nullable(Int32)";

impl Table {
    async fn create(&self, bench: &Bench) {
        bench.rows(&self.create.replace("COLUMNS", COLUMNS)).await;
    }

    /// A time of the time column's type; a DateTime is not before 1970.
    fn moment(&self, tick: i64) -> String {
        match self.ticks {
            1 => format!("toDateTime({})", tick.max(0)),
            1_000 => format!("fromUnixTimestamp64Milli({tick})"),
            1_000_000 => format!("fromUnixTimestamp64Micro({tick})"),
            _ => format!("fromUnixTimestamp64Nano({tick})"),
        }
    }

    /// Inserts rows at random times from `from` seconds on.
    async fn insert(&self, bench: &Bench, dice: &mut Dice, rows: u64, from: i64) {
        if rows == 0 {
            return;
        }
        let mut sql = "INSERT INTO t VALUES ".to_owned();
        for row in 0..rows {
            let number = dice.roll(self.keys);
            let tick = from * self.ticks + dice.roll(self.reach) as i64;
            let float = match dice.roll(60) {
                0 => "nan".to_owned(),
                1 => "inf".to_owned(),
                2 => "-0.0".to_owned(),
                _ => format!("{}.25", dice.roll(2_000) as i64 - 1_000),
            };
            let or_null = |value: u64, null: bool| if null { "NULL".to_owned() } else { value.to_string() };
            // Some keys have NULLs alone.
            let (null, gone) = (number == 0 || dice.chance(9), number == 1 || dice.chance(3));
            let comma = if row == 0 { "" } else { "," };
            let key = self.key.map_or(String::new(), |key| format!("{}, ", key(number)));
            let time = self.moment(tick);
            let (third, fourth) = (or_null(dice.roll(77), null), or_null(dice.roll(55), gone));
            let (whole, small) = (dice.roll(1_000_000) as i64 - 500_000, dice.roll(1_000));
            write!(
                sql,
                "{comma}({key}{time}, {float}, {}.5, {third}, {whole}, {small}, {fourth})",
                dice.roll(50)
            )
            .unwrap();
        }
        bench.rows(&sql).await;
    }
}

/// Questions whose plan had the operator, by where the rows were.
#[derive(Debug, Default)]
struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    fn add(&mut self, other: Self) {
        for (state, questions) in other.0 {
            *self.0.entry(state).or_default() += questions;
        }
    }

    fn all(&self) -> usize {
        self.0.values().sum()
    }

    /// At least so many questions in all, and some wherever rows can be.
    fn assert_at_least(&self, questions: usize) {
        assert!(self.all() >= questions, "{} plans had the operator: {self:?}", self.all());
        for state in ["memtable", "runs", "files", "mixed"] {
            assert!(self.0.get(state).is_some_and(|shown| *shown >= 10), "{state}: {self:?}");
        }
    }
}

/// One service with the operators and one without, over one store.
struct Pair {
    bench: Bench,
    generic: SqlService,
    tally: Tally,
}

impl Pair {
    fn new() -> Self {
        let bench = Bench::new();
        let generic = generic(&bench);
        Self { bench, generic, tally: Tally::default() }
    }

    fn parts(&self) -> Vec<Part> {
        let store = &self.bench.store;
        let tables: Vec<_> = store.catalog().tables().map(|table| table.id).collect();
        tables.into_iter().flat_map(|table| store.snapshot(table).unwrap().parts.clone()).collect()
    }

    /// Where the rows are.
    fn state(&self) -> &'static str {
        let kinds: std::collections::BTreeSet<&'static str> = self
            .parts()
            .iter()
            .filter(|part| part.rows() > 0)
            .map(|part| match part {
                Part::Chunk(_) => "memtable",
                Part::Segment(segment) if segment.hot().is_none() => "files",
                _ => "runs",
            })
            .collect();
        match kinds.len() {
            1 => kinds.into_iter().next().unwrap(),
            _ => "mixed",
        }
    }

    /// Rows leave the memtable for runs, and these are merged; for files alone if `cold`.
    async fn seal(&self, cold: bool) {
        self.bench.store.checkpoint().await.unwrap();
        if cold {
            let tables: Vec<_> = self.bench.store.catalog().tables().map(|table| table.id).collect();
            for table in tables {
                self.bench.store.optimize(table).await.unwrap();
            }
            for part in self.parts() {
                if let Part::Segment(segment) = part {
                    segment.cool();
                }
            }
        }
    }

    /// Asks both; rows in any order unless the question has one.
    async fn ask(&mut self, operator: &str, sql: &str) {
        let plan = self.bench.rows(&format!("EXPLAIN {sql}")).await.join("\n");
        if plan.contains(operator) {
            *self.tally.0.entry(self.state()).or_default() += 1;
        }
        let (ours, theirs) = (answer(&self.bench.service, sql).await, answer(&self.generic, sql).await);
        let (mut ours, mut theirs) = match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (ours, theirs) => {
                assert_eq!(ours, theirs, "{sql}\n{plan}");
                return;
            }
        };
        if !sql.contains("ORDER BY") {
            ours.sort_unstable();
            theirs.sort_unstable();
        }
        let same = ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| are_close(a, b));
        if !same {
            let apart: Vec<_> = ours.iter().zip(&theirs).filter(|(a, b)| !are_close(a, b)).take(5).collect();
            panic!("{sql}\n{plan}\n{} rows for {}: {apart:#?}", ours.len(), theirs.len());
        }
    }
}
