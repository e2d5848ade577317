//! Materialized views: equal to their query at every moment, whatever form the rows are in.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use zepto_common::error::ErrorCode;

use super::*;

const BARS: &str = "SELECT symbol, toStartOfMinute(ts) AS minute, count(*) AS n, sum(size) AS volume, \
     avg(price) AS mean, min(price) AS low, max(price) AS high, first(price, ts) AS open, last(price, ts) AS close, \
     vwap(price, size) AS vwap, argMax(venue, price) AS at FROM ticks WHERE size > 2 GROUP BY symbol, minute";
const TOTALS: &str =
    "SELECT count(*) AS n, sum(size) + 1 AS s, stddevPop(price) AS d, max(venue) AS v FROM ticks";
const LARGE: &str = "SELECT ts, symbol, price * 2 AS twice FROM ticks WHERE size >= 90";

/// A store whose background thread does nothing by itself.
fn quiet(options: &mut StoreOptions) {
    options.seal.tick = Duration::from_secs(3_600);
    options.drain_threads = 2;
}

impl Bench {
    fn quiet(dir: tempfile::TempDir) -> Self {
        Self::over(dir, quiet, |_| {})
    }

    async fn venue_ticks(&self) {
        self.rows(
            "CREATE TABLE ticks (symbol LowCardinality(String), ts DateTime64(9), price Nullable(Float64), \
             size Int64, venue String) ENGINE = MergeTree ORDER BY (symbol, ts)",
        )
        .await;
    }

    /// Inserts random rows: late, with equal times, with NULLs.
    async fn random_ticks(&self, random: &mut StdRng, rows: usize) {
        // Equal times of one key have equal prices, and equal prices one venue: which of them comes first is open.
        let values: Vec<String> = (0..rows)
            .map(|_| {
                let (key, time) = (random.random_range(0..5), random.random_range(-40..40));
                let price = (time * 37 + key * 11) % 200;
                let size = random.random_range(0..100);
                let shown = if random.random_bool(0.05) { "NULL".to_owned() } else { format!("{price}.25") };
                format!(
                    "('K{key}', fromUnixTimestamp64Nano(1700000000000000000 + {time} * 10000000000), {shown}, {size}, \
                     'v{price}')"
                )
            })
            .collect();
        self.rows(&format!("INSERT INTO ticks SELECT * FROM (VALUES {}) AS t", values.join(", "))).await;
    }

    pub(super) async fn sorted(&self, sql: &str) -> Vec<String> {
        let mut rows = self.rows(sql).await;
        rows.sort();
        rows
    }
}

/// Views of three kinds, filled in random steps: inserts, checkpoints, restarts.
#[tokio::test(flavor = "multi_thread")]
async fn a_materialized_view_is_its_query_at_every_moment() {
    for seed in 0..6 {
        let random = &mut StdRng::seed_from_u64(seed);
        let mut bench = Bench::quiet(tempfile::tempdir().unwrap());
        bench.venue_ticks().await;
        if seed % 2 == 1 {
            bench.random_ticks(random, 200).await;
        }
        let populate = if seed % 2 == 1 { "POPULATE " } else { "" };
        for (name, sql) in [("bars", BARS), ("totals", TOTALS), ("large", LARGE)] {
            bench.rows(&format!("CREATE MATERIALIZED VIEW {name} {populate}AS {sql}")).await;
        }
        for step in 0..12 {
            match random.random_range(0..6) {
                0 => bench.store.checkpoint().await.unwrap(),
                1 if step > 3 => {
                    let Bench { service, store, _dir: dir } = bench;
                    drop(service);
                    if random.random_bool(0.5) { store.close_without_flush() } else { store.close() }
                        .unwrap();
                    drop(store);
                    bench = Bench::quiet(dir);
                }
                _ => {
                    let rows = random.random_range(1..120);
                    bench.random_ticks(random, rows).await;
                }
            }
            for (name, sql) in [("bars", BARS), ("totals", TOTALS), ("large", LARGE)] {
                let (view, query) =
                    (bench.sorted(&format!("SELECT * FROM {name}")).await, bench.sorted(sql).await);
                assert_eq!(view.len(), query.len(), "seed {seed}, step {step}, {name}");
                for (view, query) in view.iter().zip(&query) {
                    assert!(about(view, query), "seed {seed}, step {step}, {name}:\n{view}\n{query}");
                }
            }
        }
    }
}

/// Sums of floats depend on the order of addition in their last digits.
fn about(one: &str, other: &str) -> bool {
    let (one, other): (Vec<&str>, Vec<&str>) = (one.split(' ').collect(), other.split(' ').collect());
    one.len() == other.len()
        && one.iter().zip(&other).all(|(a, b)| {
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0);
            a == b || matches!((a.parse(), b.parse()), (Ok(a), Ok(b)) if close(a, b))
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_without_populate_counts_only_what_comes_after_it() {
    let bench = Bench::quiet(tempfile::tempdir().unwrap());
    bench.ticks().await;
    bench.rows("CREATE MATERIALIZED VIEW later AS SELECT count(*) AS n, sum(size) AS s FROM ticks").await;
    assert_eq!(bench.rows("SELECT n, s FROM later").await, ["0 0"]);
    bench.rows("INSERT INTO ticks SELECT 'S9', fromUnixTimestamp64Nano(5), 1.5, 7").await;
    assert_eq!(bench.rows("SELECT n, s FROM later").await, ["1 7"]);
    bench.store.checkpoint().await.unwrap();
    assert_eq!(bench.rows("SELECT s FROM later").await, ["7"]);
    assert_eq!(bench.rows("SELECT count(*) FROM later").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_is_counted_once_however_often_states_are_merged() {
    let bench = Bench::quiet(tempfile::tempdir().unwrap());
    bench.rows("CREATE TABLE t (k Int64, ts DateTime64(3), x Int64) ORDER BY (k, ts)").await;
    bench
        .rows("CREATE MATERIALIZED VIEW v AS SELECT k, sum(x) AS s, argMin(x, ts) AS f FROM t GROUP BY k")
        .await;
    for round in 0..20 {
        let sql = format!(
            "INSERT INTO t SELECT number % 3, fromUnixTimestamp64Milli({round}), number FROM numbers(30)"
        );
        bench.rows(&sql).await;
        bench.store.checkpoint().await.unwrap();
        bench.store.look_now().await.unwrap();
    }
    assert_eq!(bench.rows("SELECT * FROM v ORDER BY k").await, ["0 2700 0", "1 2900 1", "2 3100 2"]);
    let catalog = bench.store.catalog();
    let states = bench.store.view_snapshot(catalog.views().next().unwrap()).unwrap().states;
    let rows: usize = states.iter().map(zepto_engine::Part::rows).sum();
    assert!(rows <= 8 * 3, "{rows} states in {} segments", states.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_outlives_the_rows_that_it_counted() {
    let bench = Bench::quiet(tempfile::tempdir().unwrap());
    bench.rows("CREATE TABLE t (k String, ts DateTime64(3), x Int64) ORDER BY (k, ts)").await;
    bench
        .rows("CREATE MATERIALIZED VIEW v AS SELECT toStartOfHour(ts) AS h, sum(x) AS s FROM t GROUP BY h")
        .await;
    bench
        .rows("INSERT INTO t SELECT 'a', fromUnixTimestamp64Milli(1000 * number), 1 FROM numbers(7200)")
        .await;
    bench.store.checkpoint().await.unwrap();
    bench
        .rows("INSERT INTO t SELECT 'b', fromUnixTimestamp64Milli(1000 * number), 1 FROM numbers(3600)")
        .await;
    bench.rows("ALTER TABLE t MODIFY TTL ts + INTERVAL 1 DAY").await;
    bench.store.expire().await.unwrap();
    assert_eq!(bench.rows("SELECT count(*) FROM t").await, ["0"]);
    let sums = ["7200", "3600"];
    assert_eq!(bench.rows("SELECT s FROM v ORDER BY h").await, sums);
    bench.store.checkpoint().await.unwrap();
    bench.store.expire().await.unwrap();
    assert_eq!(bench.rows("SELECT s FROM v ORDER BY h").await, sums);
    // A longer TTL removes what has expired for good; the view keeps it.
    bench
        .rows("INSERT INTO t SELECT 'c', fromUnixTimestamp64Milli(1000 * number), 1 FROM numbers(3600)")
        .await;
    bench.rows("ALTER TABLE t MODIFY TTL ts + INTERVAL 100000 DAY").await;
    assert_eq!(bench.rows("SELECT s FROM v ORDER BY h").await, ["10800", "3600"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_views_cannot_lose_rows_or_columns_under_them() {
    let bench = Bench::new();
    bench.ticks().await;
    bench
        .rows("CREATE MATERIALIZED VIEW v AS SELECT symbol, sum(size) AS s FROM ticks GROUP BY symbol")
        .await;
    for sql in [
        "DROP TABLE ticks",
        "TRUNCATE TABLE ticks",
        "DELETE FROM ticks WHERE size = 1",
        "ALTER TABLE ticks UPDATE size = 2 WHERE size = 1",
    ] {
        assert_eq!(bench.code(sql).await, ErrorCode::HaveDependentObjects, "{sql}");
    }
    assert_eq!(bench.code("ALTER TABLE ticks DROP COLUMN size").await, ErrorCode::AlterOfColumnIsForbidden);
    assert_eq!(
        bench.code("ALTER TABLE ticks RENAME COLUMN size TO volume").await,
        ErrorCode::AlterOfColumnIsForbidden
    );
    bench.rows("ALTER TABLE ticks DROP COLUMN price").await;
    bench.rows("RENAME TABLE ticks TO trades").await;
    bench.rows("INSERT INTO trades SELECT 'S9', fromUnixTimestamp64Nano(5), 7").await;
    assert_eq!(bench.rows("SELECT * FROM v").await, ["S9 7"]);
    bench.rows("DROP VIEW v").await;
    assert_eq!(bench.code("SELECT * FROM v").await, ErrorCode::UnknownTable);
    bench.rows("DROP TABLE trades").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_cannot_count_a_row_says_so_and_the_table_goes_on() {
    let bench = Bench::quiet(tempfile::tempdir().unwrap());
    bench.rows("CREATE TABLE t (ts DateTime64(3), x String) ORDER BY ts").await;
    bench.rows("CREATE MATERIALIZED VIEW v AS SELECT sum(toInt64(x)) AS s FROM t").await;
    bench.rows("CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t").await;
    bench.rows("INSERT INTO t SELECT fromUnixTimestamp64Milli(1), '7'").await;
    assert_eq!(bench.rows("SELECT s FROM v").await, ["7"]);
    bench.rows("INSERT INTO t SELECT fromUnixTimestamp64Milli(2), 'seven'").await;
    assert_eq!(bench.code("SELECT s FROM v").await, ErrorCode::CannotParseText);
    bench.store.checkpoint().await.unwrap();
    assert_eq!(bench.code("SELECT s FROM v").await, ErrorCode::IncorrectData);
    assert_eq!(bench.rows("SELECT n FROM n").await, ["2"]);
    assert_eq!(bench.rows("SELECT count(*) FROM t").await, ["2"]);
    bench.rows("INSERT INTO t SELECT fromUnixTimestamp64Milli(9), '1'").await;
    bench.store.checkpoint().await.unwrap();
    let Bench { service, store, _dir: dir } = bench;
    drop(service);
    store.close().unwrap();
    drop(store);
    let bench = Bench::quiet(dir);
    assert_eq!(bench.code("SELECT s FROM v").await, ErrorCode::IncorrectData);
    assert_eq!(bench.rows("SELECT n FROM n").await, ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_up_to_date_is_refused() {
    let bench = Bench::new();
    bench.ticks().await;
    bench.rows("CREATE VIEW plain AS SELECT * FROM ticks").await;
    for query in [
        "SELECT symbol, uniqExact(size) FROM ticks GROUP BY symbol",
        "SELECT symbol, quantile(0.5)(price) FROM ticks GROUP BY symbol",
        "SELECT a.symbol FROM ticks a JOIN ticks b ON a.ts = b.ts",
        "SELECT symbol FROM ticks ORDER BY ts",
        "SELECT symbol FROM ticks LIMIT 1",
        "SELECT count(*) FROM ticks WHERE ts > now()",
        "SELECT max(s) FROM (SELECT sum(size) AS s FROM ticks GROUP BY symbol)",
        "SELECT symbol, lag(price) OVER (ORDER BY ts) FROM ticks",
        "SELECT symbol FROM plain",
        "WITH w AS (SELECT symbol FROM ticks) SELECT symbol FROM w",
        "SELECT number FROM numbers(3)",
        "SELECT 1",
        "SELECT symbol FROM ticks UNION ALL SELECT symbol FROM ticks",
        "SELECT symbol FROM ticks WHERE size = (SELECT max(size) FROM ticks)",
    ] {
        let sql = format!("CREATE MATERIALIZED VIEW v AS {query}");
        assert_eq!(bench.code(&sql).await, ErrorCode::NotImplemented, "{sql}");
    }
    let sql = "CREATE MATERIALIZED VIEW v TO ticks AS SELECT symbol FROM ticks";
    assert_eq!(bench.code(sql).await, ErrorCode::NotImplemented);
    assert_eq!(bench.code("CREATE MATERIALIZED VIEW v AS SELECT x FROM nope").await, ErrorCode::UnknownTable);
    assert_eq!(bench.rows("SHOW TABLES").await, ["plain", "ticks"]);
}

/// What is on disk must be read by the next version: a change of DataFusion that changes a state is seen here.
#[tokio::test(flavor = "multi_thread")]
async fn the_forms_of_stored_states_are_those_that_are_documented() {
    let bench = Bench::new();
    bench
        .rows("CREATE TABLE t (k String, ts DateTime64(3), x Int64, u UInt32, p Float64, s Nullable(String))")
        .await;
    let calls = [
        ("count(*)", "s1 Int64"),
        ("count(s)", "s1 Int64"),
        ("sum(x)", "s1 Nullable(Decimal(38, 0))"),
        ("sum(u)", "s1 Nullable(Decimal(38, 0))"),
        ("sum(p)", "s1 Nullable(Float64)"),
        ("avg(x)", "s1 Nullable(UInt64), s2 Nullable(Float64)"),
        ("avg(p)", "s1 Nullable(UInt64), s2 Nullable(Float64)"),
        ("min(p)", "s1 Nullable(Float64)"),
        ("max(s)", "s1 Nullable(String)"),
        ("stddevPop(p)", "s1 Nullable(UInt64), s2 Nullable(Float64), s3 Nullable(Float64)"),
        ("stddevSamp(x)", "s1 Nullable(UInt64), s2 Nullable(Float64), s3 Nullable(Float64)"),
        ("varPop(p)", "s1 Nullable(UInt64), s2 Nullable(Float64), s3 Nullable(Float64)"),
        ("varSamp(p)", "s1 Nullable(UInt64), s2 Nullable(Float64), s3 Nullable(Float64)"),
        (
            "corr(p, x)",
            "s1 Nullable(UInt64), s2 Nullable(Float64), s3 Nullable(Float64), s4 Nullable(Float64), s5 Nullable(Float64), s6 Nullable(Float64)",
        ),
        (
            "covarPop(p, x)",
            "s1 Nullable(UInt64), s2 Nullable(Float64), s3 Nullable(Float64), s4 Nullable(Float64)",
        ),
        (
            "covarSamp(p, x)",
            "s1 Nullable(UInt64), s2 Nullable(Float64), s3 Nullable(Float64), s4 Nullable(Float64)",
        ),
        ("any(x)", "s1 Nullable(Decimal(38, 0)), s2 Nullable(String), s3 Nullable(Int64)"),
        ("anyLast(s)", "s1 Nullable(Decimal(38, 0)), s2 Nullable(String), s3 Nullable(String)"),
        ("argMin(x, p)", "s1 Nullable(Decimal(38, 0)), s2 Nullable(String), s3 Nullable(Int64)"),
        ("argMax(s, ts)", "s1 Nullable(Decimal(38, 0)), s2 Nullable(String), s3 Nullable(String)"),
        ("first(p, ts)", "s1 Nullable(Decimal(38, 0)), s2 Nullable(String), s3 Nullable(Float64)"),
        ("last(x, ts)", "s1 Nullable(Decimal(38, 0)), s2 Nullable(String), s3 Nullable(Int64)"),
        ("vwap(p, u)", "s1 Float64, s2 Float64"),
        ("avgWeighted(p, p)", "s1 Float64, s2 Float64"),
    ];
    let mut found = Vec::new();
    for (call, _) in calls {
        bench.rows(&format!("CREATE MATERIALIZED VIEW v AS SELECT k, {call} AS a FROM t GROUP BY k")).await;
        let catalog = bench.store.catalog();
        let view = catalog.views().next().unwrap();
        let states = view.states.as_ref().unwrap();
        let forms: Vec<String> =
            states.columns[1..].iter().map(|column| format!("{} {}", column.name, column.ty)).collect();
        found.push((call, forms.join(", ")));
        bench.rows("DROP VIEW v").await;
    }
    for ((call, found), (_, wanted)) in found.iter().zip(calls) {
        assert_eq!(found, wanted, "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_materialized_view_is_in_the_catalog() {
    let bench = Bench::new();
    bench.ticks().await;
    let sql = "CREATE MATERIALIZED VIEW v ENGINE = SummingMergeTree ORDER BY symbol POPULATE AS \
               SELECT symbol, count() AS n, sumIf(size, price > 1) AS s FROM ticks GROUP BY symbol";
    let (answer, _) = bench.run_as(sql, context()).await.unwrap();
    assert!(answer.warnings[0].contains("SummingMergeTree"), "{:?}", answer.warnings);
    assert_eq!(bench.code(sql).await, ErrorCode::TableAlreadyExists);
    bench.rows(&sql.replace("VIEW v", "VIEW IF NOT EXISTS v")).await;
    assert_eq!(bench.rows("SELECT engine FROM system.tables WHERE name = 'v'").await, ["MaterializedView"]);
    assert_eq!(bench.rows("EXISTS VIEW v").await, ["1"]);
    let got = bench.rows("DESCRIBE TABLE v").await;
    let got: Vec<&str> = got.iter().map(|line| line.trim_end()).collect();
    assert_eq!(got, ["symbol LowCardinality(String)", "n UInt64", "s Int64"]);
    let rows = bench.rows("SELECT symbol, n, s FROM v WHERE symbol > 'S0' ORDER BY symbol").await;
    assert_eq!(rows, ["S1 1000 1499499", "S2 1000 1500500"]);
    let alone = bench.rows("SELECT sum(n) FROM v WHERE s > 0 SETTINGS max_threads = 1").await;
    assert_eq!(alone, ["3000"]);
    let plan = bench.rows("EXPLAIN SELECT n FROM v").await.join("\n");
    assert!(plan.contains("InOrder: [") && plan.contains("v (states)"), "{plan}");
    assert_eq!(bench.code("INSERT INTO v SELECT 'x', 1, 1").await, ErrorCode::NotImplemented);
    let create = bench.rows("SHOW CREATE TABLE v").await;
    bench.rows("DROP VIEW v").await;
    bench.rows(&create[0].replace("\\n", " ")).await;
    assert_eq!(bench.rows("SELECT sum(n) FROM v").await, ["3000"]);
    bench.rows("DROP TABLE v").await;
    assert_eq!(bench.code("SELECT * FROM v").await, ErrorCode::UnknownTable);
    // Nothing of it is left on the disk either.
    bench.store.checkpoint().await.unwrap();
    let snapshot = bench.store.stats();
    assert_eq!(snapshot.rows, 3000);
}

/// Rows of equal times in stored states, in merged ones and in memory: the first and the last to arrive win.
#[tokio::test(flavor = "multi_thread")]
async fn ties_in_a_view_go_to_the_first_and_the_last_to_arrive() {
    let mut bench = Bench::quiet(tempfile::tempdir().unwrap());
    bench
        .rows("CREATE TABLE tied (k String, n Int64, ts DateTime64(9)) ENGINE = MergeTree ORDER BY (k, ts)")
        .await;
    let query = "SELECT k, first(n, ts) AS f, last(n, ts) AS l, argMax(n, ts) AS x, argMin(n, ts) AS m FROM tied \
         GROUP BY k";
    bench.rows(&format!("CREATE MATERIALIZED VIEW ties AS {query}")).await;
    for round in 0..24_i64 {
        for key in ["A", "B", "C"] {
            bench.rows(&format!("INSERT INTO tied VALUES ('{key}', {round}, '2024-01-01 00:00:00')")).await;
        }
        let expected: Vec<String> = ["A", "B", "C"].iter().map(|k| format!("{k} 0 {round} 0 0")).collect();
        for _ in 0..8 {
            assert_eq!(bench.sorted("SELECT * FROM ties").await, expected, "round {round}");
        }
        if round % 3 != 2 {
            bench.store.checkpoint().await.unwrap();
        }
        if round == 12 {
            let Bench { service, store, _dir: dir } = bench;
            drop(service);
            store.close().unwrap();
            drop(store);
            bench = Bench::quiet(dir);
        }
    }
}
