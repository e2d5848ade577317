//! The latest row of each key, ties included.

use super::buckets::TABLES;
use super::*;

const OPERATOR: &str = "only=last of each key";

fn question(dice: &mut Dice, table: &Table) -> String {
    let columns = dice.pick(&["*", "k, ts, i", "u, f", "k", "n, m, ts", "count(*), sum(i), max(ts)"]);
    let mut conditions: Vec<String> = Vec::new();
    if let Some(key) = table.key
        && dice.chance(4)
    {
        let keys: Vec<String> = (0..1 + dice.roll(3)).map(|_| key(dice.roll(table.keys + 2))).collect();
        conditions.push(format!("k IN ({})", keys.join(", ")));
    }
    for op in [">=", "<"] {
        if dice.chance(4) {
            let at = table.moment((dice.roll(1_800) as i64 - 300) * table.ticks);
            conditions.push(format!("ts {op} {at}"));
        }
    }
    let condition =
        if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
    format!("SELECT {columns} FROM t {condition} LATEST ON ts PARTITION BY k")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_rows_of_keys_are_those_of_the_generic_plan() {
    let mut shown = Tally::default();
    for seed in 0..16 {
        let table = TABLES[seed as usize % 3];
        let mut dice = Dice(seed * 7 + 1);
        let mut pair = Pair::new();
        table.create(&pair.bench).await;
        for event in 0..6 {
            let (rows, from) = (30 + dice.roll(500), dice.roll(1_500) as i64 - 400);
            table.insert(&pair.bench, &mut dice, rows, from).await;
            if event % 3 != 2 {
                pair.seal(seed % 2 == 1).await;
            }
            for _ in 0..8 {
                let sql = question(&mut dice, &table);
                pair.ask(OPERATOR, &sql).await;
            }
        }
        shown.add(pair.tally);
    }
    assert!(shown.all() >= 400, "{shown:?}");
    for state in ["runs", "files", "mixed"] {
        assert!(shown.0.get(state).is_some_and(|questions| *questions >= 10), "{shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_row_in_the_memtable_is_the_latest_only_by_its_time() {
    let mut pair = Pair::new();
    let bench = &pair.bench;
    bench.rows("CREATE TABLE t (k String, ts DateTime, i Int64) ENGINE = MergeTree ORDER BY (k, ts)").await;
    bench.rows("INSERT INTO t SELECT 'a', toDateTime(100 + number), number FROM numbers(50)").await;
    bench.rows("INSERT INTO t SELECT 'b', toDateTime(100 + number), number FROM numbers(50)").await;
    pair.seal(false).await;
    bench.rows("INSERT INTO t VALUES ('a', 120, 1000), ('b', 149, 1001), ('b', 148, 1002)").await;
    let sql = "SELECT k, i FROM t LATEST ON ts PARTITION BY k ORDER BY k";
    pair.ask(OPERATOR, sql).await;
    assert_eq!(pair.bench.rows(sql).await, ["a 49", "b 1001"]);
    assert_eq!(pair.tally.all(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_rows_by_other_keys_or_times_are_looked_for_among_all() {
    let bench = Bench::new();
    bench
        .rows(
            "CREATE TABLE t (k String, g Int64, ts DateTime, at DateTime) ENGINE = MergeTree ORDER BY (k, ts)",
        )
        .await;
    bench
        .rows("INSERT INTO t SELECT 'a', number % 3, toDateTime(number), toDateTime(1000 - number) FROM numbers(500)")
        .await;
    bench.store.checkpoint().await.unwrap();
    let others = [
        "SELECT * FROM t LATEST ON ts PARTITION BY g",
        "SELECT * FROM t LATEST ON ts PARTITION BY k, g",
        "SELECT * FROM t LATEST ON at PARTITION BY k",
        "SELECT * FROM t WHERE g = 1 LATEST ON ts PARTITION BY k",
    ];
    for sql in others {
        let plan = bench.rows(&format!("EXPLAIN {sql}")).await.join("\n");
        assert!(plan.contains("LatestExec") && !plan.contains(OPERATOR), "{sql}\n{plan}");
    }
    let plan = bench.rows("EXPLAIN SELECT * FROM t LATEST ON ts PARTITION BY k").await.join("\n");
    assert!(plan.contains(OPERATOR), "{plan}");
}
