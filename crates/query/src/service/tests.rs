//! Statements end to end over a store in a temporary directory.

mod bounds;
mod creates;
mod external;
mod index_aggregates;
mod inserts;
mod joins;
mod mutations;
mod plans;
mod pruning;
mod stops;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use zepto_common::error::{ErrorCode, Result};
use zepto_common::service::{Answer, QueryService, RequestContext, Role};
use zepto_engine::{Store, StoreOptions};

use super::SqlService;
use crate::options::SqlOptions;

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

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut SqlOptions)) -> Self {
        Self::over(tempfile::tempdir().unwrap(), |_| {}, change)
    }

    /// Over a directory that may have data.
    fn over(
        dir: tempfile::TempDir,
        change_store: impl FnOnce(&mut StoreOptions),
        change: impl FnOnce(&mut SqlOptions),
    ) -> Self {
        let mut options = SqlOptions::new(tokio::runtime::Handle::current());
        options.spill_dir = Some(dir.path().join("spill"));
        options.threads = 2;
        change(&mut options);
        let mut store = StoreOptions::new(dir.path());
        store.seal.log_file_bytes = LOG_FILE_BYTES;
        store.fold = Some(crate::view_fold(&options).unwrap());
        change_store(&mut store);
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

    async fn try_rows(&self, sql: &str) -> Result<Vec<String>> {
        let (_, batches) = self.run_as(sql, context()).await?;
        Ok(batches.iter().flat_map(lines).collect())
    }

    /// Rows as text, values parted by blanks.
    async fn rows(&self, sql: &str) -> Vec<String> {
        match self.try_rows(sql).await {
            Ok(rows) => rows,
            Err(error) => panic!("{sql}: {} {error}", error.code),
        }
    }

    async fn code(&self, sql: &str) -> ErrorCode {
        match self.try_rows(sql).await {
            Ok(rows) => panic!("{sql} gave {rows:?}"),
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

fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" "))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_made_filled_and_grouped() {
    let bench = Bench::new();
    assert_eq!(bench.rows("SELECT 1").await, ["1"]);
    bench.ticks().await;
    assert_eq!(bench.rows("SELECT count(*) FROM ticks").await, ["3000"]);
    let got = bench
        .rows("SELECT symbol, count(*), sum(size), max(price) FROM ticks GROUP BY symbol ORDER BY symbol")
        .await;
    assert_eq!(got, ["S0 1000 1498500 2997.0", "S1 1000 1499500 2998.0", "S2 1000 1500500 2999.0"]);
    bench.store.checkpoint().await.unwrap();
    let got = bench
        .rows("SELECT symbol, count(*), sum(size), max(price) FROM ticks GROUP BY symbol ORDER BY symbol")
        .await;
    assert_eq!(got, ["S0 1000 1498500 2997.0", "S1 1000 1499500 2998.0", "S2 1000 1500500 2999.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalog_can_be_asked() {
    let bench = Bench::new();
    bench.ticks().await;
    assert_eq!(bench.rows("SHOW TABLES").await, ["ticks"]);
    assert_eq!(
        bench.rows("SHOW DATABASES").await,
        ["INFORMATION_SCHEMA", "default", "information_schema", "system"]
    );
    assert_eq!(bench.rows("EXISTS TABLE ticks").await, ["1"]);
    assert_eq!(bench.rows("EXISTS TABLE nope").await, ["0"]);
    let got = bench.rows("DESCRIBE TABLE ticks").await;
    assert_eq!(got[0].trim_end(), "symbol LowCardinality(String)");
    assert_eq!(got[1].trim_end(), "ts DateTime64(9)");
    let got = bench.rows("SHOW CREATE TABLE ticks").await;
    assert!(got[0].contains("ORDER BY (symbol, ts)"), "{got:?}");
    // The statement that is shown makes the table again.
    bench.rows("DROP TABLE ticks").await;
    bench.rows(&got[0]).await;
    assert_eq!(bench.rows("SHOW TABLES LIKE 't%'").await, ["ticks"]);
    let got = bench.rows("SELECT name, total_rows FROM system.tables WHERE database = 'default'").await;
    assert_eq!(got, ["ticks 0"]);
    assert_eq!(bench.rows("SELECT count(*) FROM system.columns WHERE table = 'ticks'").await, ["4"]);
    assert_eq!(bench.rows("SELECT dummy FROM system.one").await, ["0"]);
    assert_eq!(bench.rows("SELECT number FROM numbers(2, 3)").await, ["2", "3", "4"]);
    assert_eq!(bench.rows("SELECT number FROM system.numbers LIMIT 2").await, ["0", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standards_views_are_always_there_and_nobodys() {
    let bench = Bench::new();
    bench.ticks().await;
    bench.rows("CREATE VIEW v AS SELECT symbol FROM ticks").await;
    let views = "SELECT table_name, view_definition, TABLE_NAME FROM information_schema.views WHERE table_schema = 'default'";
    assert_eq!(bench.rows(views).await, ["v SELECT symbol FROM ticks v"]);
    for (name, database) in [("tables", "information_schema"), ("TABLES", "INFORMATION_SCHEMA")] {
        assert_eq!(bench.rows(&format!("EXISTS TABLE {database}.{name}")).await, ["1"]);
        assert_eq!(
            bench.code(&format!("CREATE DATABASE {database}")).await,
            ErrorCode::DatabaseAlreadyExists
        );
        bench.rows(&format!("CREATE DATABASE IF NOT EXISTS {database}")).await;
        assert_eq!(bench.code(&format!("DROP DATABASE {database}")).await, ErrorCode::AccessDenied);
        let create = format!("CREATE TABLE {database}.t (a Int8) ENGINE = MergeTree ORDER BY a");
        assert_eq!(bench.code(&create).await, ErrorCode::AccessDenied);
        let insert = format!("INSERT INTO {database}.{name} SELECT * FROM {database}.{name}");
        assert_eq!(bench.code(&insert).await, ErrorCode::NotImplemented);
    }
    let columns = "SHOW COLUMNS FROM information_schema.tables";
    assert_eq!(bench.code(columns).await, ErrorCode::NotImplemented, "DESCRIBE has them");
    assert_eq!(bench.code("SELECT * FROM information_schema.nope").await, ErrorCode::UnknownTable);
    let shown = bench.rows("SHOW CREATE TABLE information_schema.schemata").await;
    assert!(shown[0].starts_with("CREATE VIEW information_schema.schemata AS SELECT"), "{shown:?}");
    // What a user made with a build that had no such database stays the user's.
    bench.store.create_database("information_schema").await.unwrap();
    bench.rows("CREATE TABLE information_schema.tables (a Int8) ENGINE = MergeTree ORDER BY a").await;
    bench.rows("INSERT INTO information_schema.tables SELECT 7").await;
    assert_eq!(bench.rows("SELECT * FROM information_schema.tables").await, ["7"]);
    assert_eq!(bench.code("SELECT * FROM information_schema.columns").await, ErrorCode::UnknownTable);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_have_clickhouse_codes() {
    let bench = Bench::new();
    bench.ticks().await;
    assert_eq!(bench.code("SELECT * FROM nope").await, ErrorCode::UnknownTable);
    assert_eq!(bench.code("SELECT * FROM nope.t").await, ErrorCode::UnknownDatabase);
    assert_eq!(bench.code("SELECT nope FROM ticks").await, ErrorCode::UnknownIdentifier);
    assert_eq!(bench.code("SELECT nope(1)").await, ErrorCode::UnknownFunction);
    assert_eq!(bench.code("SELECT FROM WHERE").await, ErrorCode::SyntaxError);
    assert_eq!(bench.code("SELECT symbol, count(*) FROM ticks").await, ErrorCode::NotAnAggregate);
    assert_eq!(bench.code("CREATE TABLE ticks (a Int8)").await, ErrorCode::TableAlreadyExists);
    assert_eq!(bench.code("DROP TABLE nope").await, ErrorCode::UnknownTable);
    assert_eq!(bench.code("INSERT INTO ticks (nope) SELECT 1").await, ErrorCode::NoSuchColumnInTable);
    assert_eq!(bench.code("INSERT INTO ticks SELECT 1").await, ErrorCode::NumberOfColumnsDoesntMatch);
    assert_eq!(bench.code("SELECT Symbol FROM ticks").await, ErrorCode::UnknownIdentifier);
    assert_eq!(bench.code("CREATE TABLE x (a Int8) ENGINE = Nonsense").await, ErrorCode::UnknownStorage);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_is_its_query() {
    let bench = Bench::new();
    bench.ticks().await;
    bench.rows("CREATE DATABASE other").await;
    bench.rows("CREATE VIEW big AS SELECT symbol, price FROM ticks WHERE price >= 2998").await;
    assert_eq!(bench.rows("SELECT * FROM big ORDER BY price").await, ["S1 2998.0", "S2 2999.0"]);
    bench.rows("CREATE VIEW other.bigger AS SELECT max(price) AS m FROM default.big").await;
    assert_eq!(bench.rows("SELECT m FROM other.bigger").await, ["2999.0"]);
    assert_eq!(bench.rows("SELECT engine FROM system.tables WHERE name = 'big'").await, ["View"]);
    bench.rows("DROP VIEW big").await;
    assert_eq!(bench.code("SELECT * FROM big").await, ErrorCode::UnknownTable);
    assert_eq!(bench.code("SELECT * FROM other.bigger").await, ErrorCode::UnknownTable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_plan_never_gives_old_rows() {
    let bench = Bench::new();
    bench.rows("CREATE TABLE t (a Int64) ORDER BY a").await;
    assert_eq!(bench.rows("SELECT count(*), max(a) FROM t").await, ["0 0"]);
    bench.rows("INSERT INTO t SELECT 7").await;
    assert_eq!(bench.rows("SELECT count(*), max(a) FROM t").await, ["1 7"]);
    bench.rows("INSERT INTO t SELECT 9").await;
    assert_eq!(bench.rows("SELECT count(*), max(a) FROM t").await, ["2 9"]);
    bench.rows("ALTER TABLE t ADD COLUMN b Int64 DEFAULT 5").await;
    assert_eq!(bench.rows("SELECT a, b FROM t ORDER BY a").await, ["7 5", "9 5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_what_is_scanned() {
    let bench = Bench::new();
    bench.ticks().await;
    let plan = bench.rows("EXPLAIN SELECT price FROM ticks WHERE symbol = 'S1'").await.join("\n");
    assert!(plan.contains("PartScan") && !plan.contains("FilterExec"), "{plan}");
    let plan =
        bench.rows("EXPLAIN ANALYZE SELECT sum(price) FROM ticks WHERE symbol = 'S1'").await.join("\n");
    assert!(plan.contains("rows_scanned") && plan.contains("bytes_scanned"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_a_database_that_is_not_there_is_refused() {
    let bench = Bench::new();
    for sql in ["SELECT 1", "CREATE TABLE t (k String, ts DateTime) ORDER BY (k, ts)", "SHOW TABLES"] {
        let context = RequestContext { database: "nope".to_owned(), ..context() };
        let refusal = bench.run_as(sql, context).await.map(|(_, rows)| rows.len());
        assert_eq!(refusal.map_err(|error| error.code), Err(ErrorCode::UnknownDatabase), "{sql}");
    }
    let context = RequestContext { database: "system".to_owned(), ..context() };
    assert!(bench.run_as("SELECT * FROM one", context).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_beyond_64_bits_of_nanoseconds_is_out_of_range_wherever_it_is_met() {
    let bench = Bench::new();
    bench.rows("CREATE TABLE t (k String, ts DateTime64(9)) ORDER BY (k, ts)").await;
    // Of no rows nothing is compared.
    bench.rows("INSERT INTO t VALUES ('b', '2200-01-01 00:00:00')").await;
    for sql in [
        "SELECT count() FROM t WHERE ts = toDateTime64('2300-01-01 00:00:00', 3)",
        "SELECT count() FROM t WHERE ts <= '2300-01-01 00:00:00'",
        "SELECT toDateTime64('2299-01-01 00:00:00', 9)",
        "SELECT materialize(toDateTime64('2299-01-01 00:00:00', 3))::DateTime64(9)",
        "INSERT INTO t SELECT 'b', toDateTime64('2299-01-01 00:00:00', 3)",
        "INSERT INTO t SELECT 'b', toDateTime64('2299-01-01 00:00:00', 3) FROM numbers(2)",
        "INSERT INTO t VALUES ('b', '2299-01-01 00:00:00')",
    ] {
        assert_eq!(bench.code(sql).await, ErrorCode::ValueIsOutOfRange, "{sql}");
    }
    assert_eq!(bench.rows("SELECT count() FROM t").await, ["1"]);
}
