//! Aggregates from run indexes say what the rows say.

use std::fmt::Write;

use super::*;

const TABLE: &str = "CREATE TABLE t (k LowCardinality(String), ts DateTime64(6), f Float64, g Float32, \
                     n Nullable(Float64), i Int64, u UInt32, m Nullable(Int32)) \
                     ENGINE = MergeTree ORDER BY (k, ts)";

const AGGREGATES: [&str; 5] = [
    "count(*), count(n), count(m), sum(i), sum(u), sum(m), round(sum(f), 3), round(sum(g), 2)",
    "round(avg(f), 3), round(avg(i), 3), round(avg(n), 3), round(avg(m), 3), count(ts)",
    "min(f), max(f), min(g), max(g), min(i), max(u), min(m), max(n), min(ts), max(ts)",
    "first(f, ts), last(f, ts), first(i, ts), last(u, ts), first(m, ts), last(n, ts)",
    "sum(i), min(n), last(g, ts)",
];

/// A service over the same store that reads rows.
fn by_rows(bench: &Bench) -> SqlService {
    let mut options = SqlOptions::new(tokio::runtime::Handle::current());
    options.threads = 2;
    options.index_aggregates = false;
    SqlService::new(bench.store.clone(), options).unwrap()
}

async fn answer(service: &SqlService, sql: &str) -> Vec<String> {
    let mut answer = service.run(sql, context()).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut out = Vec::new();
    if let Some((_, rows)) = &mut answer.rows {
        while let Some(batch) = rows.next().await {
            out.extend(lines(&batch.unwrap()));
        }
    }
    out
}

/// A linear congruential generator: the same rows in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Inserts rows of random keys with times in `[from, from + 1000)` seconds; nearly all keys have many rows.
async fn insert(bench: &Bench, dice: &mut Dice, rows: usize, keys: u64, from: i64) {
    let mut sql = "INSERT INTO t VALUES ".to_owned();
    for row in 0..rows {
        let key = if dice.roll(97) == 0 { String::new() } else { format!("K{}", dice.roll(keys)) };
        let seconds = from + dice.roll(1_000) as i64;
        // Ties across batches have no order that two plans share; a test of its own has ties.
        let tick = seconds * 1_000_000 + dice.roll(1_000_000) as i64;
        let float = match (key.as_str(), dice.roll(40)) {
            ("K1", 0) => "nan".to_owned(),
            ("K2", 0) => "-0.0".to_owned(),
            ("K3", 0) => "inf".to_owned(),
            _ => format!("{}.25", dice.roll(2_000) as i64 - 1_000),
        };
        let or_null = |value: u64, null: bool| if null { "NULL".to_owned() } else { value.to_string() };
        let (null, gone) = (key == "K0" || dice.roll(9) == 0, key == "K4" && dice.roll(3) > 0);
        let comma = if row == 0 { "" } else { "," };
        write!(
            sql,
            "{comma}('{key}', fromUnixTimestamp64Micro({tick}), {float}, {}.5, {}, {}, {}, {})",
            dice.roll(50),
            or_null(dice.roll(77), null),
            dice.roll(1_000_000) as i64 - 500_000,
            dice.roll(1_000),
            or_null(dice.roll(55), gone),
        )
        .unwrap();
    }
    bench.rows(&sql).await;
}

async fn seal(bench: &Bench) {
    bench.store.checkpoint().await.unwrap();
}

/// Compares all aggregates under all predicates; gives how many plans had the operator.
async fn compare(bench: &Bench, rows: &SqlService) -> usize {
    let mut shown = 0;
    let predicates = [
        "",
        "WHERE k = 'K1'",
        "WHERE k IN ('K0', 'K2', 'K9', '')",
        "WHERE ts >= fromUnixTimestamp64Milli(300000)",
        "WHERE ts < fromUnixTimestamp64Milli(1500000)",
        "WHERE k = 'K5' AND ts < fromUnixTimestamp64Milli(700000)",
    ];
    for aggregates in AGGREGATES {
        for predicate in predicates {
            for (head, tail) in [("k, ", "GROUP BY k ORDER BY k"), ("", "")] {
                let sql = format!("SELECT {head}{aggregates} FROM t {predicate} {tail}");
                let plan = bench.rows(&format!("EXPLAIN {sql}")).await.join("\n");
                let generic = answer(rows, &format!("EXPLAIN {sql}")).await.join("\n");
                assert!(!generic.contains("IndexAggregateExec"), "{generic}");
                shown += usize::from(plan.contains("IndexAggregateExec"));
                assert_eq!(bench.rows(&sql).await, answer(rows, &sql).await, "{sql}\n{plan}");
            }
        }
    }
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_says_what_the_rows_say() {
    let bench = Bench::new();
    let rows = by_rows(&bench);
    bench.rows(TABLE).await;
    let mut dice = Dice(7);
    assert_eq!(compare(&bench, &rows).await, 0, "an empty table has no index");
    insert(&bench, &mut dice, 1, 1, 0).await;
    assert_eq!(compare(&bench, &rows).await, 0, "a memtable has no index");
    insert(&bench, &mut dice, 1_500, 8, -400).await;
    seal(&bench).await;
    assert!(compare(&bench, &rows).await >= 20, "one run");
    insert(&bench, &mut dice, 1_500, 8, 900).await;
    assert!(compare(&bench, &rows).await >= 20, "a run and a memtable");
    seal(&bench).await;
    insert(&bench, &mut dice, 300, 8, 100).await;
    assert!(compare(&bench, &rows).await >= 20, "two runs and late rows");
    bench.rows("DELETE FROM t WHERE u < 200").await;
    assert!(compare(&bench, &rows).await >= 20, "after DELETE");
    bench.rows("ALTER TABLE t ADD COLUMN late Int64 DEFAULT 5").await;
    let sql = "SELECT k, sum(late), sum(i) FROM t GROUP BY k ORDER BY k";
    assert_eq!(bench.rows(sql).await, answer(&rows, sql).await);
    let id = bench.store.catalog().tables().next().unwrap().id;
    seal(&bench).await;
    bench.store.optimize(id).await.unwrap();
    // A segment that is only in its file is answered by slots where it is wanted whole.
    assert!(compare(&bench, &rows).await > 0, "after OPTIMIZE");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_keys_of_few_rows_are_read_as_rows() {
    let bench = Bench::new();
    let rows = by_rows(&bench);
    bench.rows(TABLE).await;
    insert(&bench, &mut Dice(3), 2_000, 900, 0).await;
    seal(&bench).await;
    compare(&bench, &rows).await;
    let plan = bench.rows("EXPLAIN SELECT k, count(*) FROM t GROUP BY k").await.join("\n");
    assert!(!plan.contains("IndexAggregateExec"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_rows_with_one_time_the_order_of_arrival_decides() {
    let bench = Bench::new();
    bench.rows(TABLE).await;
    let insert = "INSERT INTO t (k, ts, i) SELECT 'a', fromUnixTimestamp64Milli(1000), \
                  CAST(number AS Int64) + 1 FROM numbers(64)";
    bench.rows(insert).await;
    seal(&bench).await;
    let sql = "SELECT k, first(i, ts), last(i, ts) FROM t GROUP BY k";
    let plan = bench.rows(&format!("EXPLAIN {sql}")).await.join("\n");
    assert!(plan.contains("IndexAggregateExec"), "{plan}");
    assert_eq!(bench.rows(sql).await, ["a 1 64"]);
    // A tie with another part is left to the rows.
    bench.rows(insert).await;
    let plan = bench.rows(&format!("EXPLAIN {sql}")).await.join("\n");
    assert!(!plan.contains("IndexAggregateExec"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_read_where_the_index_knows() {
    let bench = Bench::new();
    let rows = by_rows(&bench);
    bench.ticks().await;
    seal(&bench).await;
    let sql = "SELECT symbol, sum(size), avg(price), count(*), max(price), last(size, ts) FROM ticks \
               GROUP BY symbol ORDER BY symbol";
    let plan = bench.rows(&format!("EXPLAIN ANALYZE {sql}")).await.join("\n");
    assert!(plan.contains("slots=3") && !plan.contains("PartScan"), "{plan}");
    let (read, _) = bench.run_as(sql, context()).await.unwrap();
    assert_eq!(read.progress.read_rows.load(std::sync::atomic::Ordering::Relaxed), 0);
    assert_eq!(bench.rows(sql).await, answer(&rows, sql).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_sum_beyond_64_bits_is_refused() {
    let bench = Bench::new();
    bench.rows("CREATE TABLE big (k String, ts DateTime, i Int64) ENGINE = MergeTree ORDER BY (k, ts)").await;
    bench
        .rows("INSERT INTO big SELECT 'a', toDateTime(1000 + number), 9223372036854775807 FROM numbers(100)")
        .await;
    seal(&bench).await;
    let plan = bench.rows("EXPLAIN SELECT k, sum(i) FROM big GROUP BY k").await.join("\n");
    assert!(plan.contains("IndexAggregateExec"), "{plan}");
    assert_eq!(bench.code("SELECT k, sum(i) FROM big GROUP BY k").await, ErrorCode::ValueIsOutOfRange);
    assert_eq!(bench.rows("SELECT max(i) FROM big WHERE k = 'a'").await, ["9223372036854775807"]);
}
