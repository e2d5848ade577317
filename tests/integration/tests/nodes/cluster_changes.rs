//! TRUNCATE, DELETE and TTL through any door of a cluster, with one copy of each partition and with two, also while owners
//! are killed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use zepto_harness::{Connection, Request};
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::place::{rounds, seed};

const NODES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);
const KEYS: u64 = 400;

fn cluster(copies: usize) -> Result<Cluster> {
    let cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), NODES, copies)?;
    eventually(PATIENCE, || {
        let status = cluster.status()?;
        ensure!(status["under_replicated"] == 0, "{} partitions lack a copy", status["under_replicated"]);
        Ok(())
    })?;
    Ok(cluster)
}

/// Rows of a round: one of each key, which spread over all partitions.
fn rows_of(round: u64) -> String {
    let rows: Vec<String> =
        (0..KEYS).map(|key| format!("('k{key}', toDateTime64(1700000000 + {round}, 9), {round})")).collect();
    format!("INSERT INTO t VALUES {}", rows.join(", "))
}

const TABLE: &str =
    "CREATE TABLE t (k String, ts DateTime64(9), v UInt64) ENGINE = MergeTree ORDER BY (k, ts)";

/// Every copy of every partition has what is read, and no more.
fn copies_have(cluster: &Cluster, copies: u64, rows: u64) -> Result<()> {
    eventually(PATIENCE, || {
        let held = cluster.own_rows("t")?;
        ensure!(
            held.iter().sum::<u64>() == copies * rows,
            "{rows} rows {copies} times, and the nodes have {held:?}"
        );
        Ok(())
    })
}

#[test]
fn changes_of_rows_are_in_force_at_every_door_when_they_are_answered() -> Result<()> {
    for copies in [1, 2] {
        let cluster = cluster(copies)?;
        // Idle connections are closed: each statement has its own.
        let query = |door: usize, sql: &str| -> Result<String> {
            let node = if door == NODES { cluster.ingest()? } else { cluster.storage(door)? };
            Ok(node.connect()?.query(sql)?)
        };
        query(0, TABLE)?;
        for round in 0..6 {
            query(0, &rows_of(round))?;
        }
        // Each statement by another door; the last is the ingest node's.
        for door in 0..=NODES {
            let number = door as u64;
            let sql = match number % 2 {
                0 => format!("DELETE FROM t WHERE v = {number} AND ts < now()"),
                _ => format!("ALTER TABLE t DELETE WHERE v = {number}"),
            };
            query(door, &sql)?;
            let (left, sum) = (5 - number, (number + 1..6).sum::<u64>());
            for node in 0..NODES {
                let count = query(node, "SELECT count(), sum(v) FROM t")?;
                let expected = format!("{}\t{}", left * KEYS, sum * KEYS);
                ensure!(count.trim() == expected, "{sql}: {count:?} at node {node}, not {expected:?}");
            }
        }
        copies_have(&cluster, copies as u64, 2 * KEYS)?;
        query(1, "ALTER TABLE t MODIFY TTL ts + INTERVAL 1 DAY")?;
        eventually(PATIENCE, || {
            let rows = cluster.number("SELECT count() FROM t")?;
            ensure!(rows == 0, "{rows} rows of 2023 have not expired after a day");
            Ok(())
        })?;
        copies_have(&cluster, copies as u64, 0)?;
        // The rows that come are of the same year.
        query(1, "ALTER TABLE t MODIFY TTL ts + INTERVAL 100 YEAR")?;
        query(2, &rows_of(7))?;
        query(0, "TRUNCATE TABLE t")?;
        ensure!(cluster.number("SELECT count() FROM t")? == 0, "TRUNCATE is for all nodes");
        query(2, &rows_of(8))?;
        ensure!(cluster.number("SELECT count() FROM t")? == KEYS, "what comes after it stays");
        copies_have(&cluster, copies as u64, KEYS)?;
        for sql in ["ALTER TABLE t UPDATE v = 1 WHERE v = 8", "DELETE FROM t WHERE hostName() = k"] {
            let response = cluster.storage(0)?.connect()?.send(&Request::statement(sql))?;
            ensure!(response.exception_code() == Some(48), "{sql}: {} {}", response.status, response.text());
        }
        ensure!(cluster.number("SELECT sum(v) FROM t")? == 8 * KEYS, "what is refused has changed nothing");
    }
    Ok(())
}

/// Asks for a change until it is answered with success, or stops: with the answer of the last try.
fn ask(door: &mut Connection, sql: &str) -> bool {
    door.send(&Request::statement(sql)).is_ok_and(|response| response.status == 200)
}

/// A DELETE or TRUNCATE that is under way when an owner dies is carried out in every partition or in none; one that was
/// answered is in force for ever.
#[test]
fn changes_of_rows_are_whole_through_kill_nine_of_owners() -> Result<()> {
    let mut cluster = cluster(2)?;
    let seed = seed()?;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    cluster.storage(0)?.connect()?.query(TABLE)?;
    let (mut expected, rounds) = (0, rounds(6)?);
    let mut answered = 0;
    for round in 0..rounds as u64 {
        let victim = random.random_range(0..NODES);
        let door = (victim + 1) % NODES;
        let truncates = round % 3 == 2;
        let mut connection = cluster.storage(door)?.connect()?;
        connection.query(&rows_of(round))?;
        connection.query(&rows_of(1_000_000))?;
        let sql = match truncates {
            true => "TRUNCATE TABLE t".to_owned(),
            false => format!("DELETE FROM t WHERE v = {round}"),
        };
        let before = expected + 2 * KEYS;
        let after = if truncates { 0 } else { before - KEYS };
        let ended = AtomicBool::new(false);
        let pause = Duration::from_millis(random.random_range(0..120));
        let ok = thread::scope(|scope| -> Result<bool> {
            let asked = scope.spawn(|| {
                let ok = ask(&mut connection, &sql);
                ended.store(true, Ordering::Relaxed);
                ok
            });
            thread::park_timeout(pause);
            cluster.kill_storage(victim)?;
            asked.join().map_err(|_| anyhow::anyhow!("the asker panicked"))
        })?;
        answered += u64::from(ok);
        cluster.start_storage(victim)?;
        // What was agreed on is carried on without anybody asking again.
        let count = || cluster.number("SELECT count() FROM t");
        eventually(PATIENCE, || {
            let rows = count()?;
            ensure!(
                rows == after || (!ok && rows == before),
                "{sql} (answered: {ok}): {rows} of {before} rows, {after} expected"
            );
            Ok(())
        })?;
        if !ok {
            // A change that was not answered may be about to begin: this one comes after it, and ends both.
            eventually(PATIENCE, || {
                ensure!(ask(&mut cluster.storage(door)?.connect()?, &sql), "{sql} is not carried out");
                Ok(())
            })?;
        }
        ensure!(count()? == after, "{sql} is in force");
        // The next round may make other copies the owners: they must have carried it out too.
        eventually(PATIENCE, || {
            let status = cluster.status()?;
            ensure!(status["under_replicated"] == 0, "{} partitions lack a copy", status["under_replicated"]);
            Ok(())
        })?;
        println!("round {round}: {sql}, node {victim} killed after {pause:?}, answered: {ok}");
        expected = after;
    }
    println!("{rounds} kills, {answered} changes were answered through them");
    Ok(())
}
