//! One coordinator, three storage nodes, one ingest node, replication factor 1: changes of the catalog from any node,
//! rows to the owners of their partitions, and both while processes are killed.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use zepto_common::partition::{key_hash, partition_of};
use zepto_harness::connection::percent_encode;
use zepto_harness::{Connection, Request, Response};
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::ledger::{self, Writer};
use zepto_integration::place::{rounds, seed};

const NODES: usize = 3;
/// What a node that was away may take to be as the others.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rows of the routed load.
const ROWS: u64 = 100_000;
/// Rows of one INSERT of it.
const ROWS_AT_ONCE: u64 = 25_000;
/// Keys of it.
const KEYS: u64 = 1_000;

fn cluster() -> Result<Cluster> {
    Cluster::start(env!("CARGO_TARGET_TMPDIR"), NODES)
}

fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

/// Status, ClickHouse's number and text of an answer that is an error.
fn refused(connection: &mut Connection, sql: &str) -> Result<(u16, Option<u32>, Response)> {
    let response = connection.send(&Request::statement(sql))?;
    Ok((response.status, response.exception_code(), response))
}

#[test]
fn a_change_of_the_catalog_is_in_force_on_every_node_when_any_of_them_answers() -> Result<()> {
    let cluster = cluster()?;
    let mut doors = cluster.connect_all()?;
    for at in 0..doors.len() {
        let create = format!("CREATE TABLE t{at} (k String, v Int64) ENGINE = MergeTree ORDER BY k");
        doors[at].query(&create)?;
        let (status, code, _) = refused(&mut doors[(at + 1) % (NODES + 1)], &create)?;
        ensure!((status, code) == (500, Some(57)), "a table is made once: {status} {code:?}");
        for door in &mut doors {
            door.query(&format!("INSERT INTO t{at} VALUES ('a', 1), ('b', 2)"))?;
            door.query(&format!("SELECT v FROM t{at}"))?;
        }
        ensure!(cluster.number(&format!("SELECT count() FROM t{at}"))? == 8);
        let other = (at + 1) % NODES;
        doors[at].query(&format!("ALTER TABLE t{at} ADD COLUMN w Int32 DEFAULT 7"))?;
        doors[other].query(&format!("SELECT w FROM t{at}"))?;
        doors[other].query(&format!("INSERT INTO t{at} (k, w) VALUES ('c', 9)"))?;
        ensure!(cluster.number(&format!("SELECT sum(w) FROM t{at}"))? == 8 * 7 + 9);
        doors[at].query(&format!("RENAME TABLE t{at} TO u{at}"))?;
        doors[other].query(&format!("INSERT INTO u{at} (k) VALUES ('d')"))?;
        doors[other].query(&format!("TRUNCATE TABLE u{at}"))?;
        ensure!(cluster.number(&format!("SELECT count() FROM u{at}"))? == 0, "TRUNCATE is for all nodes");
        doors[at].query(&format!("INSERT INTO u{at} (k) VALUES ('e')"))?;
        ensure!(cluster.number(&format!("SELECT count() FROM u{at}"))? == 1, "and once");
        doors[at].query(&format!("DROP TABLE u{at}"))?;
        for door in &mut doors {
            let (status, code, _) = refused(door, &format!("SELECT * FROM u{at}"))?;
            ensure!((status, code) == (404, Some(60)), "dropped everywhere: {status} {code:?}");
            let (status, code, _) = refused(door, &format!("INSERT INTO u{at} VALUES ('a', 1, 1)"))?;
            ensure!((status, code) == (404, Some(60)), "dropped everywhere: {status} {code:?}");
        }
    }
    let status = cluster.status()?;
    let catalog = status["catalog_version"].as_u64().context("a version")?;
    eventually(PATIENCE, || {
        for number in 0..NODES {
            let stats = cluster.storage(number)?.connect()?.send(&Request::get("/stats"))?;
            let stats: serde_json::Value = serde_json::from_slice(&stats.body)?;
            ensure!(stats["catalog_version"] == catalog, "node {number}: {stats}");
        }
        Ok(())
    })
}

#[test]
fn what_a_node_could_only_do_to_its_own_rows_is_refused() -> Result<()> {
    let cluster = cluster()?;
    let mut door = cluster.storage(1)?.connect()?;
    door.query("CREATE TABLE t (k String, v Int64) ENGINE = MergeTree ORDER BY k")?;
    let sql = "CREATE MATERIALIZED VIEW m AS SELECT k, count() AS n FROM t GROUP BY k";
    let (status, code, response) = refused(&mut door, sql)?;
    ensure!((status, code) == (501, Some(48)), "{sql}: {status} {}", response.text());
    Ok(())
}

/// One INSERT of the routed load.
fn load(from: u64) -> Request {
    let mut body = String::new();
    for row in from..from + ROWS_AT_ONCE {
        // Writing to a String cannot fail.
        let _infallible = writeln!(body, "key{}\t{}\t{row}", row % KEYS, 1_700_000_000 + row);
    }
    let statement = percent_encode("INSERT INTO load FORMAT TabSeparated");
    let target = format!("/?query={statement}&insert_deduplication_token=load{from}");
    Request::new("POST", &target, &[], body.into_bytes())
}

#[test]
fn rows_through_the_ingest_node_are_each_once_on_the_owner_of_their_partition() -> Result<()> {
    let cluster = cluster()?;
    let mut ingest = cluster.ingest()?.connect()?;
    let create = "CREATE TABLE load (k LowCardinality(String), ts DateTime64(9), v UInt64) ENGINE = MergeTree \
                  ORDER BY (k, ts)";
    ingest.query(create)?;
    for from in (0..ROWS).step_by(ROWS_AT_ONCE as usize) {
        let response = ingest.send(&load(from))?;
        ensure!(response.status == 200, "{}", response.text());
    }
    let counts = cluster.own_rows("load")?;
    ensure!(sum(&counts) == ROWS && counts.iter().all(|count| *count > 0), "{counts:?}");
    // A partition's rows are read at its owner and nowhere else: all are found, so all are there.
    ensure!(cluster.number("SELECT count() FROM load")? == ROWS);
    ensure!(cluster.number("SELECT sum(v) FROM load")? == ROWS * (ROWS - 1) / 2);
    // A repeat, through whichever door, is known by its token.
    for (door, from) in cluster.connect_all()?.iter_mut().zip((0..ROWS).step_by(ROWS_AT_ONCE as usize)) {
        let response = door.send(&load(from))?;
        ensure!(response.status == 200, "{}", response.text());
    }
    ensure!(cluster.number("SELECT count() FROM load")? == ROWS, "a token was stored twice");
    // Rows that come to a storage node go the same way, those of a SELECT too, and those without a key.
    for (number, node) in cluster.connect_storage()?.iter_mut().enumerate() {
        let select = format!(
            "INSERT INTO load SELECT concat('s', toString(number)), now64(9), {number} FROM numbers(500)"
        );
        node.query(&select)?;
        node.query(&format!("INSERT INTO load VALUES ('x{number}', now64(9), 1)"))?;
    }
    ensure!(cluster.number("SELECT count() FROM load")? == ROWS + 3 * 501);
    ensure!(cluster.number("SELECT count() FROM load WHERE k = 's77'")? == 3);
    ingest.query("CREATE TABLE heap (v UInt64) ENGINE = MergeTree ORDER BY tuple()")?;
    for value in 0..60 {
        ingest.query(&format!("INSERT INTO heap VALUES ({value})"))?;
    }
    ensure!(cluster.number("SELECT count() FROM heap")? == 60);
    let counts = cluster.own_rows("heap")?;
    ensure!(sum(&counts) == 60 && counts.iter().all(|count| *count > 0), "{counts:?}");
    Ok(())
}

/// Rows acknowledged to all writers.
fn total(progress: &[Arc<AtomicU64>]) -> u64 {
    progress.iter().map(|it| it.load(Ordering::Relaxed)).sum()
}

/// Waits until so many more rows are acknowledged.
fn more_rows(progress: &[Arc<AtomicU64>], more: u64) -> Result<()> {
    let wanted = total(progress) + more;
    eventually(PATIENCE, || {
        let now = total(progress);
        ensure!(now >= wanted, "{now} rows are acknowledged, {wanted} were awaited");
        Ok(())
    })
}

#[test]
fn acknowledged_rows_survive_kill_nine_of_a_storage_node_under_load() -> Result<()> {
    let mut cluster = cluster()?;
    let seed = seed()?;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut writers: Vec<Writer> = (0..4).map(|number| Writer::new(number, seed)).collect();
    let progress: Vec<_> = writers.iter().map(Writer::progress).collect();
    cluster.ingest()?.connect()?.query(ledger::TABLE)?;
    for round in 0..rounds(3)? {
        let victim = random.random_range(0..NODES);
        let address = cluster.ingest()?.address();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| -> Result<()> {
            let busy: Vec<_> =
                writers.iter_mut().map(|writer| scope.spawn(|| writer.write(address, &stop))).collect();
            let worked = (|| -> Result<()> {
                more_rows(&progress, random.random_range(1..5_000))?;
                cluster.kill_storage(victim)?;
                cluster.start_storage(victim)?;
                let before = cluster.own_rows("ledger")?[victim];
                more_rows(&progress, random.random_range(1..5_000))?;
                eventually(PATIENCE, || {
                    ensure!(
                        cluster.own_rows("ledger")?[victim] > before,
                        "node {victim} gets no rows any more"
                    );
                    Ok(())
                })
            })();
            stop.store(true, Ordering::Relaxed);
            for writer in busy {
                writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
            }
            worked
        })?;
        let stored = ledger::audit_nodes(&mut cluster.connect_storage()?, &writers)?;
        println!(
            "round {round}: node {victim} killed; {} rows acknowledged, {stored} stored",
            total(&progress)
        );
    }
    Ok(())
}

/// An INSERT that may take this long.
fn insert_within(seconds: u64, token: &str, rows: &[String]) -> Request {
    let statement = percent_encode("INSERT INTO t VALUES");
    let target =
        format!("/?query={statement}&insert_deduplication_token={token}&max_execution_time={seconds}");
    Request::new("POST", &target, &[], rows.join(", ").into_bytes())
}

#[test]
fn while_an_owner_is_away_its_rows_are_503_and_the_others_go_on() -> Result<()> {
    let mut cluster = cluster()?;
    let mut door = cluster.ingest()?.connect()?;
    door.query("CREATE TABLE t (k String, v Int64) ENGINE = MergeTree ORDER BY k")?;
    let owners = cluster.owners()?;
    let owner_of = |key: &String| {
        let partition = partition_of(key_hash(key.as_bytes()), owners.len() as u16);
        owners.get(&partition.0.into()).copied()
    };
    let keys: Vec<String> = (0..300).map(|number| format!("k{number}")).collect();
    let (away, there): (Vec<_>, Vec<_>) = keys.iter().partition(|key| owner_of(key) == Some(1));
    let rows = |keys: &[&String]| keys.iter().map(|key| format!("('{key}', 1)")).collect::<Vec<_>>();
    let all: Vec<_> = away.iter().chain(&there).copied().collect();
    cluster.kill_storage(1)?;
    // Nothing of it is stored: 503, and when to come again.
    let response = door.send(&insert_within(1, "away", &rows(&away)))?;
    ensure!(response.status == 503, "{}", response.text());
    ensure!(response.header("retry-after").is_some(), "{:?}", response.headers);
    // Rows of the others do not wait for it.
    let response = door.send(&insert_within(60, "there", &rows(&there)))?;
    ensure!(response.status == 200, "{}", response.text());
    // Stored in part: its outcome is not a 503, and the same token finishes it.
    let response = door.send(&insert_within(1, "all", &rows(&all)))?;
    ensure!(response.exception_code() == Some(319), "{} {}", response.status, response.text());
    cluster.start_storage(1)?;
    for (token, keys) in [("away", &away), ("all", &all)] {
        let response = door.send(&insert_within(60, token, &rows(keys)))?;
        ensure!(response.status == 200, "{token}: {}", response.text());
    }
    ensure!(cluster.number("SELECT count() FROM t")? == 2 * 300);
    let counts = cluster.own_rows("t")?;
    ensure!(sum(&counts) == 2 * 300 && counts[1] == 2 * away.len() as u64, "{counts:?}");
    Ok(())
}

/// What only coordinators can say is 503, with the time after which to ask again.
fn agreement_is_missing(door: &mut Connection) -> Result<()> {
    for sql in [
        "CREATE TABLE u (k String) ENGINE = MergeTree ORDER BY k",
        "CREATE TABLE IF NOT EXISTS t (k String) ENGINE = MergeTree ORDER BY k",
        // Whether it exists is not known.
        "SELECT * FROM u",
        "INSERT INTO u VALUES ('a')",
    ] {
        let (status, _, response) = refused(door, sql)?;
        ensure!(status == 503, "{sql}: {status} {}", response.text());
        ensure!(response.header("retry-after").is_some(), "{sql}: {:?}", response.headers);
    }
    Ok(())
}

#[test]
fn without_the_coordinator_rows_go_on_and_changes_are_503() -> Result<()> {
    let mut cluster = cluster()?;
    let create = "CREATE TABLE t (k String, v Int64) ENGINE = MergeTree ORDER BY k";
    cluster.ingest()?.connect()?.query(create)?;
    let insert = |door: &mut Connection, from: u64| -> Result<()> {
        let rows: Vec<String> = (from..from + 100).map(|row| format!("('k{row}', {row})")).collect();
        door.query(&format!("INSERT INTO t VALUES {}", rows.join(", ")))?;
        Ok(())
    };
    cluster.kill_coordinator()?;
    for (from, door) in cluster.connect_all()?.iter_mut().enumerate() {
        insert(door, from as u64 * 100)?;
        door.query("SELECT count() FROM t")?;
    }
    ensure!(cluster.number("SELECT count() FROM t")? == 400);
    // At once, because each is told so only when some seconds of asking are over.
    let mut doors = cluster.connect_all()?;
    thread::scope(|scope| {
        let all: Vec<_> = doors.iter_mut().map(|door| scope.spawn(|| agreement_is_missing(door))).collect();
        all.into_iter().try_for_each(|it| it.join().map_err(|_| anyhow::anyhow!("a panic"))?)
    })?;
    // A storage node that starts meanwhile knows its partitions from its disk.
    let addresses = cluster.kill_storage(2)?;
    cluster.start_storage_at(2, addresses)?;
    for (from, door) in cluster.connect_all()?.iter_mut().enumerate() {
        insert(door, 400 + from as u64 * 100)?;
    }
    ensure!(cluster.number("SELECT count() FROM t")? == 800);
    cluster.start_coordinator()?;
    let mut door = cluster.storage(0)?.connect()?;
    eventually(PATIENCE, || {
        Ok(door.query("CREATE TABLE IF NOT EXISTS u (k String) ENGINE = MergeTree ORDER BY k").map(drop)?)
    })?;
    for door in &mut cluster.connect_all()? {
        door.query("INSERT INTO u VALUES ('a')")?;
    }
    ensure!(cluster.number("SELECT count() FROM u")? == 4);
    Ok(())
}

#[test]
fn a_node_that_was_down_during_changes_takes_them_over_before_it_touches_a_table() -> Result<()> {
    let mut cluster = cluster()?;
    let mut door = cluster.ingest()?.connect()?;
    let rows = |table: &str, columns: &str, value: &str| {
        let rows: Vec<String> = (0..300).map(|row| format!("('k{row}', {value})")).collect();
        format!("INSERT INTO {table} ({columns}) VALUES {}", rows.join(", "))
    };
    for table in ["a", "b", "c"] {
        door.query(&format!("CREATE TABLE {table} (k String, v Int64) ENGINE = MergeTree ORDER BY k"))?;
        door.query(&rows(table, "k, v", "1"))?;
    }
    cluster.kill_storage(1)?;
    door.query("CREATE TABLE d (k String, v Int64) ENGINE = MergeTree ORDER BY k")?;
    door.query("ALTER TABLE a ADD COLUMN w Int64 DEFAULT 5")?;
    door.query("ALTER TABLE a RENAME COLUMN v TO x")?;
    door.query("RENAME TABLE c TO e")?;
    let (status, code, response) = refused(&mut door, "DROP TABLE b")?;
    ensure!(status == 200 || code == Some(159), "in force, but a node is away: {status} {}", response.text());
    door.query("CREATE TABLE b (k String, z String) ENGINE = MergeTree ORDER BY k")?;
    cluster.start_storage(1)?;
    let mut back = cluster.storage(1)?.connect()?;
    ensure!(back.query("SELECT sum(w) - 5 * count() FROM a")?.trim() == "0");
    ensure!(back.query("SELECT sum(x) - count() FROM a")?.trim() == "0");
    ensure!(back.query("SELECT count() FROM b")?.trim() == "0", "the new table b, not the old one");
    ensure!(back.query("SELECT count() FROM e")?.trim() != "0", "the rows of c have another name");
    let (status, code, _) = refused(&mut back, "SELECT * FROM c")?;
    ensure!((status, code) == (404, Some(60)), "{status} {code:?}");
    for (table, columns, value) in
        [("a", "k, w", "2"), ("b", "k, z", "'z'"), ("d", "k, v", "3"), ("e", "k, v", "4")]
    {
        door.query(&rows(table, columns, value))?;
    }
    for (table, count) in [("a", 600), ("b", 300), ("d", 300), ("e", 600)] {
        let all = cluster.number(&format!("SELECT count() FROM {table}"))?;
        let counts = cluster.own_rows(table)?;
        ensure!(all == count && counts[1] > 0, "{table}: {all} {counts:?}");
    }
    eventually(PATIENCE, || Ok(door.query("DROP TABLE b").map(drop)?))
}

/// The last placement and catalog on its disk will do.
#[test]
fn an_ingest_node_is_killed_and_serves_again_while_the_coordinator_is_away() -> Result<()> {
    let mut cluster = cluster()?;
    let mut ingest = cluster.ingest()?.connect()?;
    ingest.query("CREATE TABLE t (k String, v Int64) ENGINE = MergeTree ORDER BY k")?;
    ingest.query("INSERT INTO t VALUES ('a', 1), ('b', 2)")?;
    cluster.kill_coordinator()?;
    cluster.restart_ingest()?;
    let mut ingest = cluster.ingest()?.connect()?;
    ingest.query("INSERT INTO t VALUES ('c', 3)")?;
    ensure!(ingest.query("SELECT count(), sum(v) FROM t")?.trim() == "3\t6");
    let (status, _, answer) =
        refused(&mut ingest, "CREATE TABLE u (k String) ENGINE = MergeTree ORDER BY k")?;
    ensure!(status == 503 && answer.header("retry-after").is_some(), "{status}: {}", answer.text());
    Ok(())
}
