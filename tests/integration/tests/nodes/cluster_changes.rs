//! TRUNCATE, DELETE and TTL through any door of a cluster, with one copy of each partition and with two, also while owners
//! are killed.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use zepto_harness::{Connection, Request};
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::place::{rounds, seed};

use crate::cluster_copies::all_copies;

const NODES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);
const KEYS: u64 = 400;

/// Numbers of rounds whose rows no DELETE is for are above this.
const STAYS: u64 = 1_000_000;

pub(crate) fn cluster(copies: usize) -> Result<Cluster> {
    let cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), NODES, copies)?;
    all_copies(&cluster)?;
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

/// Every copy of every partition has what is read, and no more. While partitions move, some have a copy more for a while, and
/// a copy removes rows a moment after its owner.
fn copies_have(cluster: &Cluster, copies: u64, rows: u64) -> Result<()> {
    eventually(PATIENCE, || {
        let (held, status) = (cluster.own_rows("t")?, cluster.status()?);
        ensure!(
            held.iter().sum::<u64>() == copies * rows,
            "{rows} rows {copies} times, and the nodes have {held:?}; {} moves, {} handovers",
            status["moves"],
            status["handovers"]
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
        let sql = "DELETE FROM t WHERE hostName() = k";
        let response = cluster.storage(0)?.connect()?.send(&Request::statement(sql))?;
        ensure!(response.exception_code() == Some(48), "{sql}: {} {}", response.status, response.text());
        ensure!(cluster.number("SELECT sum(v) FROM t")? == 8 * KEYS, "what is refused has changed nothing");
    }
    Ok(())
}

/// Whether a statement is answered with success.
pub(crate) fn ask(door: &mut Connection, sql: &str) -> bool {
    door.send(&Request::statement(sql)).is_ok_and(|response| response.status == 200)
}

/// Whether a statement was answered while another node was killed, a chance moment after it was asked; and that moment.
pub(crate) fn asked_as_one_dies(
    cluster: &mut Cluster,
    victim: usize,
    (door, sql): (&mut Connection, &str),
    random: &mut StdRng,
) -> Result<(bool, Duration)> {
    let pause = Duration::from_millis(random.random_range(0..120));
    let answered = thread::scope(|scope| -> Result<bool> {
        let asked = scope.spawn(|| ask(door, sql));
        thread::park_timeout(pause);
        cluster.kill_storage(victim)?;
        asked.join().map_err(|_| anyhow::anyhow!("the asker panicked"))
    })?;
    Ok((answered, pause))
}

/// The rounds whose rows are read at every node, each of them whole.
fn rounds_there(cluster: &Cluster) -> Result<BTreeSet<u64>> {
    let mut seen = Vec::new();
    for mut node in cluster.connect_running()? {
        let rows = node.query("SELECT v, count(), uniqExact(k) FROM t GROUP BY v ORDER BY v")?;
        let mut there = BTreeSet::new();
        for line in rows.lines() {
            let numbers: Vec<u64> = line.split('\t').map(str::parse).collect::<Result<_, _>>()?;
            ensure!(
                numbers[1..] == [KEYS, KEYS],
                "round {}: {} rows of {} keys",
                numbers[0],
                numbers[1],
                numbers[2]
            );
            there.insert(numbers[0]);
        }
        seen.push(there);
    }
    ensure!(seen.windows(2).all(|two| two[0] == two[1]), "the nodes read {seen:?}");
    seen.pop().context("a node runs")
}

/// Waits until every node reads the rows of these rounds and no other.
fn has_rounds(cluster: &Cluster, expected: &BTreeSet<u64>) -> Result<()> {
    eventually(PATIENCE, || {
        let there = rounds_there(cluster)?;
        ensure!(there == *expected, "rounds {there:?} are there, not {expected:?}");
        Ok(())
    })
}

/// A DELETE or TRUNCATE that is under way when a node dies, which owns partitions and follows in others, is carried out in
/// every partition or in none; one that was answered is in force for ever, on every copy.
#[test]
fn changes_of_rows_are_whole_through_kill_nine_of_owners_and_followers() -> Result<()> {
    let mut cluster = cluster(2)?;
    let seed = seed()?;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    cluster.storage(0)?.connect()?.query(TABLE)?;
    let (mut expected, rounds) = (BTreeSet::new(), rounds(6)?);
    let mut answered = 0;
    for round in 0..rounds as u64 {
        let victim = random.random_range(0..NODES);
        let door = (victim + 1) % NODES;
        let mut connection = cluster.storage(door)?.connect()?;
        connection.query(&rows_of(round))?;
        connection.query(&rows_of(STAYS + round))?;
        expected.extend([round, STAYS + round]);
        has_rounds(&cluster, &expected)?;
        let (sql, after) = if round % 3 == 2 {
            ("TRUNCATE TABLE t".to_owned(), BTreeSet::new())
        } else {
            let left = expected.iter().copied().filter(|it| *it != round).collect();
            (format!("DELETE FROM t WHERE v = {round}"), left)
        };
        let (ok, pause) = asked_as_one_dies(&mut cluster, victim, (&mut connection, &sql), &mut random)?;
        println!("round {round}: {sql}, node {victim} killed after {pause:?}, answered: {ok}");
        answered += u64::from(ok);
        if ok {
            // In force while the node is away, and when it is back.
            has_rounds(&cluster, &after)?;
        }
        cluster.start_storage(victim)?;
        if !ok {
            // A change that was not answered may be about to begin: this one comes after it, and ends both.
            let mut door = cluster.storage(door)?.connect()?;
            eventually(PATIENCE, || {
                let there = rounds_there(&cluster)?;
                ensure!(there == after || there == expected, "{sql} is half done: {there:?} of {expected:?}");
                ensure!(ask(&mut door, &sql), "{sql} is not carried out");
                Ok(())
            })?;
        }
        has_rounds(&cluster, &after)?;
        all_copies(&cluster)?;
        copies_have(&cluster, 2, KEYS * after.len() as u64)?;
        expected = after;
    }
    // Whoever followed has the same rows: each node's partitions are read at the others.
    for victim in 0..NODES {
        cluster.kill_storage(victim)?;
        has_rounds(&cluster, &expected)?;
        cluster.start_storage(victim)?;
        all_copies(&cluster)?;
    }
    println!("{rounds} kills: {answered} changes were answered through them");
    Ok(())
}
