//! Aggregates by key and bucket of time.

use super::*;

const OPERATOR: &str = "BucketAggregateExec";

const AGGREGATES: [&str; 30] = [
    "count(*)",
    "count(n)",
    "count(m)",
    "sum(i)",
    "sum(u)",
    "sum(m)",
    "sum(f)",
    "sum(g)",
    "sum(n)",
    "avg(f)",
    "avg(i)",
    "avg(n)",
    "avg(m)",
    "min(f)",
    "max(f)",
    "min(g)",
    "max(n)",
    "min(i)",
    "max(u)",
    "max(m)",
    "min(ts)",
    "max(ts)",
    "vwap(f, u)",
    "vwap(n, i)",
    "avgWeighted(g, m)",
    "stddevPop(i)",
    "stddevSamp(n)",
    "varPop(u)",
    "varSamp(m)",
    "sum(toFloat64(i))",
];

/// Aggregates that depend on which of equal times came first.
const ORDERED: [&str; 12] = [
    "first(f, ts)",
    "last(f, ts)",
    "first(i, ts)",
    "last(u, ts)",
    "first(m, ts)",
    "last(n, ts)",
    "argMin(i, ts)",
    "argMax(i, ts)",
    "argMax(m, ts)",
    "ohlc(f, ts)",
    "ohlc(n, ts)",
    "ohlc(i, ts)",
];

const BUCKETS: [&str; 12] = [
    "xbar(ts, INTERVAL 10 SECOND)",
    "xbar(ts, INTERVAL 1 MINUTE)",
    "time_bucket(INTERVAL 7 SECOND, ts)",
    "date_bin(INTERVAL 30 SECOND, ts)",
    "date_trunc('minute', ts)",
    "toStartOfMinute(ts)",
    "toStartOfFiveMinutes(ts)",
    "toStartOfHour(ts)",
    "toStartOfDay(ts)",
    "toStartOfInterval(ts, INTERVAL 3 MINUTE)",
    "toStartOfSecond(ts)",
    "toStartOfInterval(ts, INTERVAL 100 SECOND)",
];

/// A random question.
fn question(dice: &mut Dice, table: &Table) -> String {
    let by_key = table.key.is_some() && !dice.chance(4);
    let mut conditions: Vec<String> = Vec::new();
    let mut one_key = false;
    if let Some(key) = table.key
        && dice.chance(3)
    {
        let keys: Vec<String> = (0..1 + dice.roll(3)).map(|_| key(dice.roll(table.keys + 2))).collect();
        one_key = keys.len() == 1;
        conditions.push(format!("k IN ({})", keys.join(", ")));
    }
    let mut groups: Vec<&str> = Vec::new();
    if by_key {
        groups.push("k");
    }
    // Without any group all rows, or those of one key, are one.
    if !(by_key && dice.chance(5) || !by_key && dice.chance(4)) {
        groups.push(dice.pick(&BUCKETS));
    }
    if dice.chance(2) {
        groups.reverse();
    }
    let count = 1 + dice.roll(6) as usize;
    let ordered = by_key || one_key;
    let aggregates: Vec<&str> = (0..count)
        .map(|_| if ordered && dice.chance(3) { dice.pick(&ORDERED) } else { dice.pick(&AGGREGATES) })
        .collect();
    let moment = |seconds: i64| table.moment(seconds * table.ticks);
    if dice.chance(3) {
        conditions.push(format!("ts >= {}", moment(dice.roll(1_500) as i64 - 300)));
    }
    if dice.chance(3) {
        conditions.push(format!("ts < {}", moment(dice.roll(1_500) as i64 + 300)));
    }
    let condition =
        if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let (groups, aggregates) = (groups.join(", "), aggregates.join(", "));
    match groups.is_empty() {
        true => format!("SELECT {aggregates} FROM t {condition}"),
        false => format!("SELECT {groups}, {aggregates} FROM t {condition} GROUP BY {groups}"),
    }
}

pub(super) const TABLES: [Table; 5] = [
    Table {
        create: "CREATE TABLE t (k LowCardinality(String), ts DateTime64(6), COLUMNS) ENGINE = MergeTree \
                 ORDER BY (k, ts)",
        key: Some(|n| if n == 0 { "''".to_owned() } else { format!("'K{n}'") }),
        keys: 8,
        ticks: 1_000_000,
        reach: 1_000_000_000,
    },
    // Many ties.
    Table {
        create: "CREATE TABLE t (k Int64, ts DateTime, COLUMNS) ENGINE = MergeTree ORDER BY (k, ts)",
        key: Some(|n| (n as i64 - 3).to_string()),
        keys: 5,
        ticks: 1,
        reach: 100,
    },
    Table {
        create: "CREATE TABLE t (k String, ts DateTime64(3), COLUMNS) ENGINE = MergeTree ORDER BY (k, ts)",
        key: Some(|n| format!("'{}'", "x".repeat(n as usize % 20))),
        keys: 3,
        ticks: 1_000,
        reach: 300_000,
    },
    Table {
        create: "CREATE TABLE t (k UInt32, ts DateTime64(9), COLUMNS) ENGINE = MergeTree ORDER BY (k, ts)",
        key: Some(|n| n.to_string()),
        keys: 40,
        ticks: 1_000_000_000,
        reach: 3_000_000_000,
    },
    Table {
        create: "CREATE TABLE t (ts DateTime64(6), COLUMNS) ENGINE = MergeTree ORDER BY ts",
        key: None,
        keys: 4,
        ticks: 1_000_000,
        reach: 900_000_000,
    },
];

/// One table through a random life, with questions between its events.
async fn live(seed: u64, table: Table, cold: bool, questions: usize) -> Tally {
    let mut dice = Dice(seed);
    let mut pair = Pair::new();
    table.create(&pair.bench).await;
    let events = 8;
    for event in 0..events {
        let from = dice.roll(1_500) as i64 - 400;
        match dice.roll(10) {
            0 => pair.seal(cold).await,
            1 => pair.seal(true).await,
            2 => drop(answer(&pair.bench.service, "DELETE FROM t WHERE u < 100").await),
            3 => table.insert(&pair.bench, &mut dice, 1, from).await,
            _ => {
                let rows = 50 + dice.roll(700);
                table.insert(&pair.bench, &mut dice, rows, from).await;
                if dice.chance(2) {
                    pair.seal(cold).await;
                }
            }
        }
        for _ in 0..questions / events + usize::from(event < questions % events) {
            let sql = question(&mut dice, &table);
            pair.ask(OPERATOR, &sql).await;
        }
    }
    pair.tally
}

/// Cases of one kind of table.
async fn cases(at: usize, lives: u64) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..lives {
        tally.add(live(seed * 31 + at as u64, TABLES[at], seed % 3 == 2, 64).await);
    }
    tally
}

macro_rules! cases {
    ($($name:ident $at:expr, $lives:expr, $least:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            cases($at, $lives).await.assert_at_least($least);
        })*
    };
}

cases! {
    buckets_of_symbols_are_those_of_the_generic_plan 0, 12, 480;
    buckets_of_ties_are_those_of_the_generic_plan 1, 12, 450;
    buckets_of_texts_are_those_of_the_generic_plan 2, 8, 320;
    buckets_of_numbers_are_those_of_the_generic_plan 3, 8, 250;
    buckets_without_a_key_are_those_of_the_generic_plan 4, 6, 200;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_keys_have_their_buckets() {
    let mut pair = Pair::new();
    TABLES[3].create(&pair.bench).await;
    let insert = "INSERT INTO t SELECT CAST(number % 100000 AS UInt32), \
                  fromUnixTimestamp64Nano(CAST(intDiv(number, 100000) AS Int64) * 40000000000), \
                  CAST(number AS Float64), 1, NULL, CAST(number AS Int64), 7, 3 FROM numbers(900000)";
    pair.bench.rows(insert).await;
    pair.seal(false).await;
    let grouped = "SELECT k, xbar(ts, INTERVAL 1 MINUTE) AS b, count(*), sum(i), last(f, ts), max(i) FROM t GROUP BY k, b";
    let all =
        "SELECT count(*), sum(c), sum(s), sum(l), sum(m), uniqExact(k), uniqExact(b) FROM (GROUPED) AS g";
    let sql = all
        .replace("GROUPED", &grouped.replace("count(*)", "count(*) AS c").replace("sum(i)", "sum(i) AS s"));
    let sql = sql.replace("last(f, ts)", "last(f, ts) AS l").replace("max(i) FROM", "max(i) AS m FROM");
    pair.ask(OPERATOR, &sql).await;
    pair.ask(OPERATOR, "SELECT k, toStartOfHour(ts) AS b, count(*) FROM t WHERE k = 77 GROUP BY k, b").await;
    assert_eq!(pair.tally.all(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buckets_whole_sum_beyond_64_bits_is_refused() {
    let mut pair = Pair::new();
    let bench = &pair.bench;
    bench.rows("CREATE TABLE t (k String, ts DateTime, i Int64) ENGINE = MergeTree ORDER BY (k, ts)").await;
    bench
        .rows("INSERT INTO t SELECT 'a', toDateTime(1000 + number), 9223372036854775807 FROM numbers(100)")
        .await;
    let sql = "SELECT k, toStartOfMinute(ts) AS b, sum(i) FROM t GROUP BY k, b";
    assert_eq!(bench.code(sql).await, ErrorCode::ValueIsOutOfRange);
    pair.ask(OPERATOR, sql).await;
    pair.ask(OPERATOR, "SELECT toStartOfSecond(ts) AS b, sum(i) FROM t GROUP BY b").await;
    assert_eq!(pair.tally.all(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_equal_times_in_a_bucket_the_order_of_arrival_decides() {
    let mut pair = Pair::new();
    let bench = &pair.bench;
    bench.rows("CREATE TABLE t (k String, ts DateTime, i Int64) ENGINE = MergeTree ORDER BY (k, ts)").await;
    for part in 0..4 {
        let sql = format!("INSERT INTO t SELECT 'a', toDateTime(100), number + {part} * 10 FROM numbers(10)");
        bench.rows(&sql).await;
        if part < 2 {
            pair.seal(part == 1).await;
        }
    }
    let sql = "SELECT k, toStartOfMinute(ts) AS b, first(i, ts), last(i, ts), argMin(i, ts), argMax(i, ts), \
               ohlc(i, ts) FROM t GROUP BY k, b";
    assert!(pair.bench.rows(sql).await[0].contains(" 0 39 0 0 {1: 0.0, 2: 39.0, 3: 0.0, 4: 39.0}"));
    pair.ask(OPERATOR, sql).await;
    assert_eq!(pair.tally.all(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_came_later_have_their_defaults_in_older_rows() {
    let mut pair = Pair::new();
    let bench = &pair.bench;
    bench.rows("CREATE TABLE t (k String, ts DateTime, i Int64) ENGINE = MergeTree ORDER BY (k, ts)").await;
    let insert = |more: &str| {
        format!(
            "INSERT INTO t SELECT concat('K', toString(number % 3)), toDateTime(number), number{more} FROM numbers(300)"
        )
    };
    bench.rows(&insert("")).await;
    pair.seal(false).await;
    bench.rows("ALTER TABLE t ADD COLUMN z Int64 DEFAULT 7").await;
    bench.rows("ALTER TABLE t RENAME COLUMN i TO j").await;
    let sql = "SELECT k, toStartOfMinute(ts) AS b, sum(z), min(z), sum(j), last(z, ts) FROM t GROUP BY k, b";
    pair.ask(OPERATOR, sql).await;
    pair.bench.rows(&insert(", 9")).await;
    pair.ask(OPERATOR, sql).await;
    pair.seal(true).await;
    pair.ask(OPERATOR, sql).await;
    assert_eq!(pair.tally.all(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_another_shape_keeps_the_generic_plan() {
    let bench = Bench::new();
    bench.ticks().await;
    let others = [
        "SELECT symbol, toStartOfMonth(ts) AS b, count(*) FROM ticks GROUP BY symbol, b",
        "SELECT symbol, toStartOfHour(ts, 'Europe/Berlin') AS b, count(*) FROM ticks GROUP BY symbol, b",
        "SELECT symbol, toStartOfMinute(ts) AS b, uniqExact(size) FROM ticks GROUP BY symbol, b",
        "SELECT symbol, toStartOfMinute(ts) AS b, sum(size) FROM ticks WHERE price > 5 GROUP BY symbol, b",
        "SELECT size, toStartOfMinute(ts) AS b, sum(size) FROM ticks GROUP BY size, b",
        // Of rows of several keys nobody knows which came first.
        "SELECT toStartOfMinute(ts) AS b, first(size, ts) FROM ticks GROUP BY b",
        "SELECT symbol, toStartOfMinute(ts) AS b, sumIf(size, price > 5) FROM ticks GROUP BY symbol, b",
        "SELECT symbol, date_bin(INTERVAL 1 MINUTE, ts, toDateTime(7)) AS b, sum(size) FROM ticks GROUP BY symbol, b",
    ];
    for sql in others {
        let plan = bench.rows(&format!("EXPLAIN {sql}")).await.join("\n");
        assert!(!plan.contains(OPERATOR), "{sql}\n{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sessions_zone_moves_its_buckets() {
    let bench = Bench::new();
    bench.rows("CREATE TABLE t (k String, ts DateTime, i Int64) ENGINE = MergeTree ORDER BY (k, ts)").await;
    bench.rows("INSERT INTO t SELECT 'a', toDateTime(number * 1800), 1 FROM numbers(48)").await;
    let asked = |zone: &str| {
        let mut context = context();
        context.settings.insert("session_timezone".to_owned(), zone.to_owned());
        context
    };
    let sql = "SELECT k, toStartOfDay(ts) AS b, count(*) FROM t GROUP BY k, b ORDER BY b";
    let counts = |batches: &[RecordBatch]| -> Vec<String> { batches.iter().flat_map(lines).collect() };
    let (_, utc) = bench.run_as(sql, asked("UTC")).await.unwrap();
    assert_eq!(counts(&utc).len(), 1);
    let (_, kolkata) = bench.run_as(sql, asked("Asia/Kolkata")).await.unwrap();
    assert_eq!(
        counts(&kolkata).iter().map(|line| line.rsplit(' ').next().unwrap()).collect::<Vec<_>>(),
        ["37", "11"]
    );
}
