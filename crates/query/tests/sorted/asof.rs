//! As-of joins of two sorted tables.

use super::*;

const OPERATOR: &str = "AsOfMergeExec";

/// A type of key, and how its values are written.
type KindOfKey = (&'static str, fn(u64) -> String);

/// Kinds of key.
const KEYS: [KindOfKey; 3] = [
    ("LowCardinality(String)", |n| format!("'K{n}'")),
    ("Int64", |n| (n as i64 - 2).to_string()),
    ("Nullable(String)", |n| if n == 0 { "NULL".to_owned() } else { format!("'{n}'") }),
];

/// Inserts rows whose number `x` tells them apart. Times of `r` never tie: the generic plan breaks ties by chance.
async fn insert(
    pair: &Pair,
    dice: &mut Dice,
    table: &str,
    key: fn(u64) -> String,
    next: &mut u64,
    from: i64,
) {
    let rows = 1 + dice.roll(300);
    let mut sql = format!("INSERT INTO {table} VALUES ");
    for row in 0..rows {
        let comma = if row == 0 { "" } else { "," };
        let fraction = if table == "r" { (*next % 1_000) as i64 } else { dice.roll(1_000) as i64 };
        let tick = (from + dice.roll(600) as i64) * 1_000 + fraction;
        let value = if dice.chance(6) { "NULL".to_owned() } else { dice.roll(100).to_string() };
        write!(
            sql,
            "{comma}({}, fromUnixTimestamp64Milli({tick}), {next}, {value}, 't{}')",
            key(dice.roll(6)),
            dice.roll(9)
        )
        .unwrap();
        *next += 1;
    }
    pair.bench.rows(&sql).await;
}

fn question(dice: &mut Dice) -> String {
    let kind = dice.pick(&["ASOF JOIN", "ASOF LEFT JOIN"]);
    let op = dice.pick(&[">=", ">", "<=", "<"]);
    let columns = dice.pick(&[
        "l.x, r.x",
        "l.k, l.ts, l.x, l.v, l.s, r.k, r.ts, r.x, r.v, r.s",
        "r.v, l.x",
        "l.s, r.s, l.x + r.x",
        "count(*), sum(l.x), sum(r.x), max(r.v)",
        "l.x, r.ts",
        "l.x",
    ]);
    let left = dice.pick(&[
        "l",
        "l",
        "(SELECT k, ts, x, v, s FROM l WHERE ts > fromUnixTimestamp64Milli(200000)) AS l",
    ]);
    let right = dice.pick(&[
        "r",
        "r",
        "(SELECT k, ts, x, v, s FROM r WHERE ts < fromUnixTimestamp64Milli(400000)) AS r",
    ]);
    let condition =
        dice.pick(&["", "", "WHERE l.ts > fromUnixTimestamp64Milli(100000)", "WHERE l.x % 3 = 0"]);
    let near = dice.pick(&["", "", "TOLERANCE 2 SECOND", "TOLERANCE 700ms", "TOLERANCE INTERVAL 1 MINUTE"]);
    let nulls = dice.pick(&["", "SETTINGS join_use_nulls = 1"]);
    format!(
        "SELECT {columns} FROM {left} {kind} {right} ON l.k = r.k AND l.ts {op} r.ts {near} {condition} {nulls}"
    )
}

async fn live(seed: u64, key: (&str, fn(u64) -> String), cold: bool, questions: usize) -> Tally {
    let mut dice = Dice(seed);
    let mut pair = Pair::new();
    for table in ["l", "r"] {
        let create = format!(
            "CREATE TABLE {table} (k {}, ts DateTime64(3), x UInt64, v Nullable(Int32), s LowCardinality(String)) \
             ENGINE = MergeTree ORDER BY (k, ts) SETTINGS allow_nullable_key = 1",
            key.0
        );
        pair.bench.rows(&create).await;
    }
    let (mut left, mut right) = (0, 0);
    let events = 6;
    for event in 0..events {
        let from = dice.roll(300) as i64 - 100;
        if !dice.chance(4) {
            insert(&pair, &mut dice, "l", key.1, &mut left, from).await;
        }
        // Each millisecond of the right table is used once.
        if event > 0 && right < 700 {
            insert(&pair, &mut dice, "r", key.1, &mut right, from).await;
        }
        if dice.chance(2) {
            pair.seal(cold).await;
        }
        for _ in 0..questions / events {
            let sql = question(&mut dice);
            pair.ask(OPERATOR, &sql).await;
        }
    }
    pair.tally
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_joins_are_those_of_the_generic_plan() {
    let mut tally = Tally::default();
    for seed in 0..12 {
        tally.add(live(seed, KEYS[seed as usize % 3], seed % 2 == 1, 48).await);
    }
    tally.assert_at_least(450);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tolerance_takes_the_matches_away_that_are_farther() {
    let mut dice = Dice(77);
    let mut pair = Pair::new();
    for table in ["l", "r"] {
        let create = format!(
            "CREATE TABLE {table} (k Int64, ts DateTime64(3), x UInt64, v Nullable(Int32), s LowCardinality(String)) \
             ENGINE = MergeTree ORDER BY (k, ts)"
        );
        pair.bench.rows(&create).await;
    }
    let (mut left, mut right, mut nearer) = (0, 0, 0);
    for event in 0..6 {
        insert(&pair, &mut dice, "l", KEYS[1].1, &mut left, event * 50).await;
        if right < 700 {
            insert(&pair, &mut dice, "r", KEYS[1].1, &mut right, event * 50).await;
        }
        if event == 2 {
            pair.seal(true).await;
        }
        for (op, milliseconds) in [(">=", 0), (">", 300), (">=", 5_000), ("<=", 700), ("<", 2_000)] {
            let columns = "SELECT l.x AS a, r.x AS b, l.ts AS t, r.ts AS u FROM l";
            let condition = format!("ON l.k = r.k AND l.ts {op} r.ts");
            let all = format!("{columns} ASOF JOIN r {condition}");
            let inner = format!("{all} TOLERANCE {milliseconds} MILLISECOND");
            let far = "abs(toUnixTimestamp64Milli(t) - toUnixTimestamp64Milli(u))";
            let kept = pair
                .bench
                .rows(&format!("SELECT a, b FROM ({all}) WHERE {far} <= {milliseconds} ORDER BY a"))
                .await;
            let whole = pair.bench.rows(&format!("SELECT count() FROM ({all})")).await;
            nearer += usize::from(!kept.is_empty() && whole[0] != kept.len().to_string());
            pair.ask(OPERATOR, &inner).await;
            let got = pair.bench.rows(&format!("SELECT a, b FROM ({inner}) ORDER BY a")).await;
            assert_eq!(got, kept, "{inner}");
            // A left join keeps the others, with nothing beside them.
            let outer =
                format!("{columns} ASOF LEFT JOIN r {condition} TOLERANCE {milliseconds} MILLISECOND");
            pair.ask(OPERATOR, &outer).await;
            let matched = format!("SELECT count(), count(b) FROM ({outer}) SETTINGS join_use_nulls = 1");
            assert_eq!(pair.bench.rows(&matched).await, [format!("{left} {}", kept.len())], "{outer}");
        }
    }
    assert!(nearer >= 15, "only {nearer} tolerances were between all and none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tolerance_has_a_unit_where_times_are_ordered_and_none_where_numbers_are() {
    let bench = Bench::new();
    bench
        .rows("CREATE TABLE l (k Int64, ts DateTime, d Date, n UInt64) ENGINE = MergeTree ORDER BY (k, ts)")
        .await;
    bench
        .rows("INSERT INTO l VALUES (1, 100, '2024-01-05', 18446744073709551615), (1, 90, '2024-01-02', 5)")
        .await;
    let count = async |on: &str| {
        bench.rows(&format!("SELECT count() FROM l ASOF JOIN l AS r ON l.k = r.k AND {on}")).await
    };
    assert_eq!(count("l.ts > r.ts TOLERANCE 9s").await, ["0"]);
    assert_eq!(count("l.ts > r.ts TOLERANCE 10500 ms").await, ["1"]);
    assert_eq!(count("l.d > r.d TOLERANCE 71 HOURS").await, ["0"]);
    assert_eq!(count("l.d > r.d TOLERANCE 3 DAY").await, ["1"]);
    assert_eq!(count("l.n > r.n TOLERANCE 1000").await, ["0"]);
    assert_eq!(count("l.n > r.n").await, ["1"]);
    for on in ["l.ts > r.ts TOLERANCE 10", "l.n > r.n TOLERANCE 5s"] {
        let sql = format!("SELECT count() FROM l ASOF JOIN l AS r ON l.k = r.k AND {on}");
        assert_eq!(bench.code(&sql).await, ErrorCode::IllegalTypeOfArgument, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_right_rows_with_one_time_the_last_to_arrive_is_taken() {
    let mut pair = Pair::new();
    for table in ["l", "r"] {
        let create = format!(
            "CREATE TABLE {table} (k String, ts DateTime, x Int64) ENGINE = MergeTree ORDER BY (k, ts)"
        );
        pair.bench.rows(&create).await;
    }
    pair.bench.rows("INSERT INTO l VALUES ('a', 100, 1), ('a', 99, 2), ('a', 101, 3)").await;
    for x in 0..6 {
        pair.bench.rows(&format!("INSERT INTO r VALUES ('a', 100, {x})")).await;
        if x == 1 || x == 3 {
            pair.seal(x == 3).await;
        }
    }
    for (op, expected) in
        [(">=", vec!["1 5", "3 5"]), ("<=", vec!["1 5", "2 5"]), (">", vec!["3 5"]), ("<", vec!["2 5"])]
    {
        let sql = format!("SELECT l.x, r.x FROM l ASOF JOIN r ON l.k = r.k AND l.ts {op} r.ts ORDER BY l.x");
        pair.ask(OPERATOR, &sql).await;
        assert_eq!(pair.bench.rows(&sql).await, expected, "{op}");
    }
    assert_eq!(pair.tally.all(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_of_another_shape_keep_the_generic_plan() {
    let bench = Bench::new();
    for (table, key, precision) in
        [("l", "String", 3), ("r", "String", 3), ("n", "Int64", 3), ("p", "String", 6)]
    {
        let create = format!(
            "CREATE TABLE {table} (k {key}, ts DateTime64({precision}), x Int64, o String) ENGINE = MergeTree ORDER BY (k, ts)"
        );
        bench.rows(&create).await;
        bench
            .rows(&format!(
                "INSERT INTO {table} VALUES ({}, 100, 1, 'a')",
                if key == "Int64" { "1" } else { "'a'" }
            ))
            .await;
    }
    let others = [
        "SELECT l.x FROM l ASOF JOIN r ON l.k = r.k AND l.o = r.o AND l.ts >= r.ts",
        "SELECT l.x FROM l ASOF JOIN r ON l.o = r.o AND l.ts >= r.ts",
        "SELECT l.x FROM l ASOF JOIN r ON l.k = r.k AND l.x >= r.x",
        "SELECT l.x FROM l ASOF JOIN n ON l.x = n.k AND l.ts >= n.ts",
        "SELECT l.x FROM l ASOF JOIN p ON l.k = p.k AND l.ts >= p.ts",
        "SELECT l.x FROM l ASOF JOIN (SELECT * FROM r WHERE x > 3) AS r ON l.k = r.k AND l.ts >= r.ts",
    ];
    for sql in others {
        let plan = bench.rows(&format!("EXPLAIN {sql}")).await.join("\n");
        assert!(plan.contains("AsOfJoinExec") && !plan.contains(OPERATOR), "{sql}\n{plan}");
    }
}
