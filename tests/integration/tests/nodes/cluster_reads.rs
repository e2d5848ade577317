//! SELECT over three storage nodes: the same answer at every door, also while nodes are killed, stopped and come back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use zepto_harness::node::program_named;
use zepto_harness::{Connection, Launch, Request};
use zepto_integration::cluster::{Cluster, eventually};

const NODES: usize = 3;
/// What a node that was away may take to be as the others.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rows of the table.
const ROWS: u64 = 60_000;

const TABLES: [&str; 3] = [
    "CREATE TABLE t (k LowCardinality(String), ts DateTime64(3), x Int64, f Float64, n Nullable(Int64), s String) \
     ENGINE = MergeTree ORDER BY (k, ts)",
    "CREATE TABLE q (k LowCardinality(String), ts DateTime64(3), bid Float64) ENGINE = MergeTree ORDER BY (k, ts)",
    "CREATE TABLE heap (v UInt64, a Array(String)) ENGINE = MergeTree ORDER BY tuple()",
];

fn inserts() -> Vec<String> {
    let n = "CAST(number AS Int64)";
    let heap = |from: u64| {
        format!("INSERT INTO heap SELECT number, [toString(number), 'x'] FROM numbers({from}, 100)")
    };
    let mut all = vec![
        format!(
            "INSERT INTO t SELECT concat('K', toString(number * 7919 % 400)), \
             fromUnixTimestamp64Milli(1700000000000 + {n} * 1000), {n} * 31 % 1009, {n} % 96 / 4, \
             if(number % 5 = 0, NULL, {n} % 11), concat('a somewhat longer text ', toString({n} % 23)) \
             FROM numbers({ROWS})"
        ),
        format!(
            "INSERT INTO q SELECT concat('K', toString(number % 400)), \
             fromUnixTimestamp64Milli(1700000000000 + {n} * 3700), {n} % 13 / 2 FROM numbers(9000)"
        ),
    ];
    all.extend((0..10).map(|block| heap(block * 100)));
    all
}

/// Every answer is exact, whatever order sums are added in.
const QUERIES: &[&str] = &[
    "SELECT count(), sum(x), min(ts), max(f), uniqExact(k), sum(n) FROM t",
    "SELECT k, count(), sum(x), max(s) FROM t GROUP BY k ORDER BY k",
    "SELECT s, count(), avg(x), quantileExact(0.9)(x) FROM t GROUP BY s ORDER BY s",
    "SELECT toStartOfHour(ts) AS h, argMax(x, ts), countIf(n > 3) FROM t WHERE ts < now() GROUP BY h ORDER BY h",
    "SELECT k, ts, x, s FROM t ORDER BY ts DESC LIMIT 25",
    "SELECT k, ts, x, f, n, s FROM t WHERE x % 50 = 3 ORDER BY ts",
    "SELECT * FROM t ORDER BY ts, k LIMIT 40000",
    "SELECT count(), sum(x * f) FROM t WHERE k = 'K7'",
    "SELECT x FROM t WHERE k IN ('K1', 'K2') AND ts > '2023-11-15 00:00:00' ORDER BY x, ts",
    "SELECT k, ts, sum(x) OVER (PARTITION BY k ORDER BY ts) AS run FROM t WHERE x > 990 ORDER BY k, ts",
    "SELECT count(), sum(b.bid) FROM t a ASOF JOIN q b ON a.k = b.k AND a.ts >= b.ts",
    "SELECT a.k, count() FROM t a JOIN q b ON a.k = b.k WHERE b.bid = 1 AND a.x < 5 GROUP BY a.k ORDER BY a.k",
    "SELECT count() FROM t WHERE x > (SELECT avg(x) FROM t) AND k IN (SELECT k FROM q WHERE bid > 5)",
    "SELECT count(), sum(v), sum(length(a)) FROM heap",
    "SELECT v, a FROM heap WHERE v % 7 = 0 ORDER BY v",
    "SELECT DISTINCT s FROM t ORDER BY s",
    "SELECT count() FROM t WHERE rand() >= 0",
];

fn fill(door: &mut Connection) -> Result<()> {
    for sql in TABLES.into_iter().map(str::to_owned).chain(inserts()) {
        door.query(&sql)?;
    }
    Ok(())
}

/// What one node that runs alone answers.
fn lone_answers() -> Result<Vec<String>> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let node = Launch::new(&program_named("zepto_storage_node")?, folder.path()).start()?;
    let mut door = node.connect()?;
    fill(&mut door)?;
    QUERIES.iter().map(|sql| Ok(door.query(sql)?)).collect()
}

fn all_agree(cluster: &Cluster, wanted: &[String]) -> Result<usize> {
    let mut compared = 0;
    for (at, door) in cluster.connect_all()?.iter_mut().enumerate() {
        for (sql, wanted) in QUERIES.iter().zip(wanted) {
            let answer = door.query(sql)?;
            ensure!(answer == *wanted, "door {at}: {sql}\n{answer}\nwanted:\n{wanted}");
            compared += 1;
        }
    }
    Ok(compared)
}

#[test]
fn every_door_of_a_cluster_answers_as_one_node_does() -> Result<()> {
    let wanted = lone_answers()?;
    let mut cluster = Cluster::start(env!("CARGO_TARGET_TMPDIR"), NODES)?;
    fill(&mut cluster.ingest()?.connect()?)?;
    println!("{} answers compared", all_agree(&cluster, &wanted)?);
    // While an owner is away its rows are missing: an error, never a smaller answer. Others' keys are answered.
    cluster.kill_storage(1)?;
    let mut door = cluster.storage(0)?.connect()?;
    for sql in ["SELECT count() FROM t", "SELECT * FROM t", "SELECT k, count() FROM t GROUP BY k"] {
        let response = door.send(&Request::statement(&format!("{sql} SETTINGS max_execution_time = 2")))?;
        let code = response.exception_code();
        ensure!(matches!(code, Some(159 | 279)), "{sql}: {} {}", response.status, response.text());
    }
    let mut answered = 0;
    for key in 0..12 {
        let sql = format!("SELECT count() FROM t WHERE k = 'K{key}' SETTINGS max_execution_time = 1");
        let response = door.send(&Request::statement(&sql))?;
        if response.status == 200 {
            ensure!(response.text().trim() == (ROWS / 400).to_string(), "{}", response.text());
            answered += 1;
        }
    }
    ensure!((1..12).contains(&answered), "{answered} of 12 keys are answered without node 1");
    cluster.start_storage(1)?;
    eventually(PATIENCE, || all_agree(&cluster, &wanted).map(drop))?;
    // A statement that begins while its owner is down waits for it.
    cluster.kill_storage(2)?;
    let asked = std::thread::spawn(move || -> Result<String> { Ok(door.query(QUERIES[0])?) });
    cluster.start_storage(2)?;
    let answer = asked.join().map_err(|_| anyhow::anyhow!("a panic"))??;
    ensure!(answer == wanted[0], "{answer}");
    println!("{} answers compared", all_agree(&cluster, &wanted)?);
    Ok(())
}

#[test]
fn a_deadline_holds_for_rows_of_other_nodes() -> Result<()> {
    let cluster = Cluster::start(env!("CARGO_TARGET_TMPDIR"), NODES)?;
    fill(&mut cluster.ingest()?.connect()?)?;
    let mut door = cluster.storage(0)?.connect()?;
    let begun = Instant::now();
    let sql = "SELECT count() FROM t a, t b, t c WHERE a.x * b.x + c.x = 7 SETTINGS max_execution_time = 1";
    let response = door.send(&Request::statement(sql))?;
    ensure!(response.exception_code() == Some(159), "{} {}", response.status, response.text());
    ensure!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    // Nothing is left that holds a thread or a snapshot at the owners.
    let answer = door.query("SELECT count() FROM t").context("after the deadline")?;
    ensure!(answer.trim() == ROWS.to_string(), "{answer}");
    Ok(())
}
