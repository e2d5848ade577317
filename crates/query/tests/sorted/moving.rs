//! Window functions over the rows of a key in time order.

use super::*;

const OPERATOR: &str = "MovingExec";

const FUNCTIONS: [&str; 32] = [
    "sum(i) OVER (W ROWS BETWEEN 4 PRECEDING AND CURRENT ROW)",
    "sum(f) OVER (W ROWS BETWEEN 19 PRECEDING AND CURRENT ROW)",
    "sum(n) OVER (W ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)",
    "sum(u) OVER (W ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)",
    "avg(i) OVER (W ROWS BETWEEN 7 PRECEDING AND CURRENT ROW)",
    "avg(f) OVER (W ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
    "avg(m) OVER (W ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
    "min(f) OVER (W ROWS BETWEEN 5 PRECEDING AND CURRENT ROW)",
    "max(f) OVER (W ROWS BETWEEN 300 PRECEDING AND CURRENT ROW)",
    "max(i) OVER (W ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
    "min(n) OVER (W ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)",
    "count(*) OVER (W ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)",
    "count(m) OVER (W ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)",
    "sum(i) OVER (W ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
    "max(i) OVER (W ROWS BETWEEN CURRENT ROW AND CURRENT ROW)",
    "sum(i) OVER (W ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING)",
    "sumIf(i, u > 500) OVER (W ROWS BETWEEN 6 PRECEDING AND CURRENT ROW)",
    "mavg(f, 20) OVER (W)",
    "msum(i, 3) OVER (W)",
    "mmin(g, 4) OVER (W)",
    "mmax(u, 4) OVER (W)",
    "mcount(n, 4) OVER (W)",
    "mdev(i, 5) OVER (W)",
    "ema(i, 5) OVER (W)",
    "ema(n, 0.5) OVER (W)",
    "delta(i) OVER (W)",
    "ratio(u) OVER (W)",
    "lag(i, 3) OVER (W)",
    "lead(f) OVER (W)",
    "fills(n) OVER (W)",
    "row_number() OVER (W)",
    "first_value(i) OVER (W)",
];

fn question(dice: &mut Dice, table: &Table) -> String {
    let functions: Vec<String> = (0..1 + dice.roll(3))
        .map(|_| dice.pick(&FUNCTIONS).replace("(W", "(PARTITION BY k ORDER BY ts"))
        .collect();
    let mut conditions: Vec<String> = Vec::new();
    if let Some(key) = table.key
        && dice.chance(3)
    {
        conditions.push(format!("k = {}", key(dice.roll(table.keys + 1))));
    }
    if dice.chance(3) {
        conditions.push(format!("ts >= fromUnixTimestamp64Milli({})", dice.roll(900) * 1_000));
    }
    let condition =
        if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    let functions: Vec<String> =
        functions.iter().enumerate().map(|(at, text)| format!("{text} AS w{at}")).collect();
    let columns = dice.pick(&["k, ts, i, ", "i, ", "", "ts, u, k, m, "]);
    let rows = format!("SELECT {columns}{} FROM t {condition}", functions.join(", "));
    if dice.chance(5) { format!("SELECT count(*), max(w0) FROM ({rows}) AS q") } else { rows }
}

const TABLES: [Table; 3] = [
    Table {
        create: "CREATE TABLE t (k LowCardinality(String), ts DateTime64(9), COLUMNS) ENGINE = MergeTree \
                 ORDER BY (k, ts)",
        key: Some(|n| format!("'K{n}'")),
        keys: 6,
        ticks: 1_000_000_000,
        reach: 1_000_000_000_000,
    },
    Table {
        create: "CREATE TABLE t (k Int64, ts DateTime64(6), COLUMNS) ENGINE = MergeTree ORDER BY (k, ts)",
        key: Some(|n| (n as i64 - 1).to_string()),
        keys: 30,
        ticks: 1_000_000,
        reach: 1_000_000_000,
    },
    Table {
        create: "CREATE TABLE t (k String, ts DateTime64(9), COLUMNS) ENGINE = MergeTree ORDER BY (k, ts)",
        key: Some(|n| format!("'{n}'")),
        keys: 2,
        ticks: 1_000_000_000,
        reach: 900_000_000_000,
    },
];

async fn live(seed: u64, table: Table, cold: bool, questions: usize) -> usize {
    let mut dice = Dice(seed);
    let mut pair = Pair::new();
    table.create(&pair.bench).await;
    let events = 6;
    for _ in 0..events {
        let (rows, from) = (dice.roll(300), dice.roll(600) as i64 - 200);
        table.insert(&pair.bench, &mut dice, rows, from).await;
        if dice.chance(2) {
            pair.seal(cold).await;
        }
        for _ in 0..questions / events {
            let sql = question(&mut dice, &table);
            pair.ask(OPERATOR, &sql).await;
        }
    }
    pair.shown
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_me() {
    let mut dice = Dice(0);
    let pair = Pair::new();
    TABLES[0].create(&pair.bench).await;
    TABLES[0].insert(&pair.bench, &mut dice, 12, 0).await;
    let sql = "SELECT k, ts, u, sum(u) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS w1, row_number() OVER (PARTITION BY k ORDER BY ts) AS w2 FROM t ORDER BY k, ts";
    for service in [&pair.bench.service, &pair.generic] {
        println!("{}", answer(service, sql).await.unwrap().join("\n"));
    }
    println!("{}", pair.bench.rows(&format!("EXPLAIN {sql}")).await.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_in_order_are_those_of_the_generic_plan() {
    let mut shown = 0;
    for seed in 0..12 {
        shown += live(seed, TABLES[seed as usize % 3], seed % 2 == 1, 48).await;
    }
    assert!(shown >= 450, "{shown} plans had the operator");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_rows_with_one_time_the_first_to_arrive_comes_first() {
    let pair = Pair::new();
    pair.bench
        .rows("CREATE TABLE t (k String, ts DateTime, i Int64) ENGINE = MergeTree ORDER BY (k, ts)")
        .await;
    for i in 0..6 {
        pair.bench.rows(&format!("INSERT INTO t VALUES ('a', 100, {i})")).await;
        if i == 1 || i == 3 {
            pair.seal(i == 3).await;
        }
    }
    let sql = "SELECT i, sum(i) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s, \
               row_number() OVER (PARTITION BY k ORDER BY ts) AS n FROM t ORDER BY n";
    let plan = pair.bench.rows(&format!("EXPLAIN {sql}")).await.join("\n");
    assert!(plan.contains(OPERATOR), "{plan}");
    assert_eq!(pair.bench.rows(sql).await, ["0 0 1", "1 1 2", "2 3 3", "3 5 4", "4 7 5", "5 9 6"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moving_whole_sum_beyond_64_bits_is_refused() {
    let mut pair = Pair::new();
    pair.bench
        .rows("CREATE TABLE t (k String, ts DateTime, i Int64) ENGINE = MergeTree ORDER BY (k, ts)")
        .await;
    pair.bench
        .rows("INSERT INTO t SELECT 'a', toDateTime(1000 + number), 9223372036854775807 FROM numbers(9)")
        .await;
    pair.ask(OPERATOR, "SELECT msum(i, 1) OVER (PARTITION BY k ORDER BY ts) FROM t").await;
    let sql = "SELECT msum(i, 2) OVER (PARTITION BY k ORDER BY ts) FROM t";
    pair.ask(OPERATOR, sql).await;
    assert_eq!(pair.bench.code(sql).await, ErrorCode::ValueIsOutOfRange);
    assert_eq!(pair.shown, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_of_another_shape_keep_the_generic_plan() {
    let bench = Bench::new();
    bench.ticks().await;
    let others = [
        "SELECT sum(size) OVER (PARTITION BY symbol ORDER BY ts DESC) FROM ticks",
        "SELECT sum(size) OVER (ORDER BY ts) FROM ticks",
        "SELECT sum(size) OVER (PARTITION BY symbol) FROM ticks",
        "SELECT sum(size) OVER (PARTITION BY symbol, size ORDER BY ts) FROM ticks",
        "SELECT sum(size) OVER (PARTITION BY symbol ORDER BY ts, size) FROM ticks",
        "SELECT sum(size) OVER (PARTITION BY symbol ORDER BY ts), sum(size) OVER (PARTITION BY size ORDER BY ts) FROM ticks",
        "SELECT sum(size) OVER (PARTITION BY symbol ORDER BY ts) FROM ticks WHERE size > 5",
    ];
    for sql in others {
        let plan = bench.rows(&format!("EXPLAIN {sql}")).await.join("\n");
        assert!(!plan.contains(OPERATOR), "{sql}\n{plan}");
    }
}
