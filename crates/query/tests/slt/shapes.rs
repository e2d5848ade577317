//! The shapes that are cut between nodes, over more rows than the .slt files have: three nodes against one, with parts
//! of statements answered by the owners and with plain scans, and how many rows travel.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::cluster::Cluster;
use super::database::Database;
use super::differential::Compared;

/// Rows of the large table.
const ROWS: u64 = 40_000;
/// Values of its key.
const KEYS: u64 = 300;

fn tables() -> Vec<String> {
    let n = "CAST(number AS Int64)";
    vec![
        "CREATE TABLE t (k LowCardinality(String), ts DateTime64(3), x Int64, f Float64, n Nullable(Int64), s String) \
         ENGINE = MergeTree ORDER BY (k, ts)"
            .to_owned(),
        "CREATE TABLE q (k LowCardinality(String), ts DateTime64(3), bid Float64) ENGINE = MergeTree ORDER BY (k, ts)"
            .to_owned(),
        "CREATE TABLE loose (ts DateTime64(3), x Int64) ENGINE = MergeTree ORDER BY ts".to_owned(),
        "CREATE TABLE empty (k Int32, x Int64) ENGINE = MergeTree ORDER BY k".to_owned(),
        "CREATE TABLE floats (k Float64, x Int64) ENGINE = MergeTree ORDER BY k".to_owned(),
        "INSERT INTO floats VALUES (0.0, 1), (-0.0, 2), (1.5, 3), (1.5, 4), (nan, 5), (nan, 6)".to_owned(),
        format!(
            "INSERT INTO t SELECT concat('K', toString(number * 7919 % {KEYS})), \
             fromUnixTimestamp64Milli(1700000000000 + {n} * 1000), {n} * 31 % 1009, {n} % 97 / 4, \
             if(number % 5 = 0, NULL, {n} % 11), toString({n} % 23) FROM numbers({ROWS})"
        ),
        format!(
            "INSERT INTO q SELECT concat('K', toString(number % {KEYS})), \
             fromUnixTimestamp64Milli(1700000000000 + {n} * 3700), {n} % 13 / 2 FROM numbers(9000)"
        ),
        format!("INSERT INTO loose SELECT fromUnixTimestamp64Milli({n} * 10), {n} FROM numbers(5000)"),
        format!("INSERT INTO loose SELECT fromUnixTimestamp64Milli({n} * 10), {n} FROM numbers(5000, 5000)"),
    ]
}

/// Statements with the most rows that may travel between the nodes for them; None if all may.
const SHAPES: &[(&str, Option<usize>)] = &[
    // Aggregations without the key: states.
    ("SELECT count(), sum(x), min(f), max(n), avg(x) FROM t", Some(20)),
    ("SELECT s, count(), sum(x), uniqExact(x) FROM t GROUP BY s ORDER BY s", Some(200)),
    (
        "SELECT s, count(DISTINCT x % 10) AS c FROM t WHERE n > 3 GROUP BY s HAVING c > 1 ORDER BY s",
        Some(1_400),
    ),
    ("SELECT countIf(x > 500), sumIf(x, s = '7'), avgIf(f, n IS NULL) FROM t", Some(20)),
    ("SELECT toStartOfHour(ts) AS h, count(), sum(n) FROM t GROUP BY h ORDER BY h", Some(300)),
    ("SELECT quantileExact(0.5)(x), median(x) FROM t", Some(20)),
    ("SELECT DISTINCT s FROM t ORDER BY s", Some(200)),
    ("SELECT count() FROM t WHERE ts >= '2023-11-15 00:00:00'", Some(20)),
    ("SELECT argMax(x, ts), argMin(x, ts) FROM t", Some(20)),
    ("SELECT sum(x) / count() AS m, stddevPop(f), corr(x, f) FROM t WHERE s != '3'", Some(20)),
    ("SELECT count() FROM (SELECT s, x FROM t GROUP BY s, x)", None),
    ("SELECT uniqExact(s), count(n), sum(n) FROM t WHERE k = 'K17'", Some(10)),
    ("SELECT count(), sum(x), max(k) FROM empty", Some(20)),
    ("SELECT x, count() FROM empty GROUP BY x", Some(1)),
    ("SELECT count(), sum(x) FROM loose WHERE x % 3 = 0", Some(20)),
    ("SELECT x % 10 AS d, count() FROM loose GROUP BY d ORDER BY d", Some(100)),
    // By the key: whole at the owners.
    ("SELECT k, count(), sum(x), max(f) FROM t GROUP BY k ORDER BY k", Some(300)),
    ("SELECT k, sum(x) AS total FROM t GROUP BY k HAVING total > 60000 ORDER BY total, k", Some(300)),
    ("SELECT k, s, count() FROM t WHERE x < 100 GROUP BY k, s ORDER BY k, s LIMIT 50", None),
    (
        "SELECT k, quantileExact(0.9)(x), arraySort(groupArray(x)) FROM t WHERE f < 3 GROUP BY k ORDER BY k",
        Some(300),
    ),
    ("SELECT max(total), min(total), count() FROM (SELECT k, sum(x) AS total FROM t GROUP BY k)", Some(20)),
    ("SELECT k AS key, count() AS c FROM t AS a GROUP BY key ORDER BY c DESC, key LIMIT 5", Some(30)),
    (
        "SELECT k, ts, sum(x) OVER (PARTITION BY k ORDER BY ts) AS run FROM t WHERE x > 990 ORDER BY k, ts",
        None,
    ),
    ("SELECT max(r) FROM (SELECT row_number() OVER (PARTITION BY k ORDER BY ts, x) AS r FROM t)", Some(20)),
    ("SELECT max(r) FROM (SELECT row_number() OVER (PARTITION BY s ORDER BY ts, x) AS r FROM t)", None),
    ("SELECT k, sum(x) FROM floats GROUP BY k ORDER BY k, sum(x)", None),
    (
        "SELECT k, last_value(x) FROM (SELECT k, x FROM t WHERE ts = '2023-11-14 22:13:20') GROUP BY k",
        Some(5),
    ),
    // Rows: filtered, projected, cut.
    ("SELECT k, ts, x FROM t ORDER BY ts DESC, k LIMIT 7", Some(21)),
    ("SELECT k, x FROM t WHERE x = 77 AND s IN ('1', '2', '3') ORDER BY k, x, ts", Some(10)),
    ("SELECT x + 1 AS y FROM t WHERE k IN ('K1', 'K2') AND y % 2 = 0 ORDER BY y", None),
    ("SELECT s, x FROM t ORDER BY x DESC, ts LIMIT 3 OFFSET 4", Some(21)),
    ("SELECT count() FROM (SELECT x FROM t LIMIT 10)", None),
    ("SELECT count() FROM (SELECT x FROM t WHERE x > 3 LIMIT 10)", None),
    ("SELECT k, x FROM t ORDER BY k, ts LIMIT 1 BY k LIMIT 20", None),
    ("SELECT * FROM t WHERE 1 = 0", Some(0)),
    ("SELECT count() FROM t WHERE k = 'nobody'", Some(5)),
    ("SELECT count() FROM t WHERE k = 'K1' AND k = 'K2'", Some(0)),
    // Above the cuts.
    ("SELECT count() FROM t WHERE x > (SELECT avg(x) FROM t)", None),
    ("SELECT count() FROM t WHERE k IN (SELECT k FROM q WHERE bid > 6)", None),
    ("SELECT count() FROM t a WHERE EXISTS (SELECT 1 FROM q b WHERE a.k = b.k AND b.bid > 5)", None),
    (
        "SELECT a.k, count() FROM t a JOIN q b ON a.k = b.k WHERE b.bid = 1 AND a.x < 5 GROUP BY a.k ORDER BY a.k",
        None,
    ),
    ("SELECT count(), sum(b.bid) FROM t a ASOF JOIN q b ON a.k = b.k AND a.ts >= b.ts", None),
    ("SELECT count(), sum(b.x) FROM t a LEFT JOIN loose b ON a.x = b.x", None),
    ("SELECT 1 AS a, count() FROM t UNION ALL SELECT 2, count() FROM q ORDER BY a", Some(40)),
    (
        "WITH g AS (SELECT s, sum(x) AS v FROM t GROUP BY s) SELECT a.s, a.v - b.v FROM g a JOIN g b ON a.s = b.s ORDER BY a.s",
        None,
    ),
    ("SELECT s, count() FROM t GROUP BY s WITH ROLLUP ORDER BY s NULLS LAST", None),
    (
        "SELECT k, sum(x) AS v, rank() OVER (ORDER BY sum(x), k) FROM t GROUP BY k ORDER BY v, k LIMIT 9",
        Some(300),
    ),
    ("SELECT count() FROM t WHERE ts < now()", Some(20)),
    (
        "SELECT toStartOfInterval(ts, INTERVAL 1 HOUR) AS h, sum(x) FROM t WHERE ts < now() AND k IN ('K5', 'K6') GROUP BY h ORDER BY h",
        Some(80),
    ),
    (
        "SELECT * FROM (SELECT k, max(ts) AS m FROM t GROUP BY k) a JOIN (SELECT k, count() AS c FROM q GROUP BY k) b ON a.k = b.k ORDER BY a.k",
        Some(600),
    ),
    // Refused, whoever is asked.
    ("SELECT sum(k) FROM t", None),
    ("SELECT k, throwIf(x > 1000) FROM t", None),
    ("SELECT intDiv(x, x - 5) FROM t", None),
];

async fn filled(database: &Database) {
    for sql in tables() {
        database.query(&sql).await.expect("the tables are made");
    }
}

#[test]
fn what_owners_answer_is_what_one_node_answers() {
    let compared = super::on_runtime(async {
        let one = Database::new();
        let cluster = Arc::new(Cluster::new(3, 2).expect("three nodes"));
        let three = Database::over(cluster.clone());
        let scans = Arc::new(Cluster::with(3, 1, |options| options.fragments = false).expect("three nodes"));
        let by_scans = Database::over(scans.clone());
        for database in [&one, &three, &by_scans] {
            filled(database).await;
        }
        let mut too_many = Vec::new();
        let (mut compared, mut plain) = (Compared::default(), Compared::default());
        for (sql, most) in SHAPES {
            let before = cluster.world.shipped.load(Ordering::Relaxed);
            let answer = one.query(sql).await;
            compared.take(sql, answer.clone(), three.query(sql).await);
            plain.take(sql, answer, by_scans.query(sql).await);
            let shipped = cluster.world.shipped.load(Ordering::Relaxed) - before;
            if most.is_some_and(|most| shipped > most) {
                too_many.push(format!("{shipped} for {sql}"));
            }
        }
        compared.end(&cluster);
        plain.end(&scans);
        (compared, plain, too_many)
    });
    println!("{}", compared.0.judge("shapes"));
    println!("{}", compared.1.judge("shapes by plain scans"));
    assert!(compared.2.is_empty(), "too many rows travel: {:#?}", compared.2);
    assert!(compared.0.shipped * 4 < compared.1.shipped, "owners answer for their rows");
}
