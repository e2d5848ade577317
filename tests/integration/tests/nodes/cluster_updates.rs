//! UPDATE, and changes with subqueries, through any door of a cluster: in force everywhere when they are answered, once in each
//! row however owners and followers are killed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use zepto_harness::{Connection, Request};
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::place::{rounds, seed};

use crate::cluster_changes::{ask, asked_as_one_dies, cluster};
use crate::cluster_copies::all_copies;

const NODES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);
const KEYS: u64 = 300;

const TABLE: &str = "CREATE TABLE u (k String, ts DateTime64(9), v UInt64, n UInt64, s LowCardinality(String)) \
     ENGINE = MergeTree ORDER BY (k, ts)";

/// Rows of a round: one of each key, which spread over all partitions.
fn rows_of(round: u64) -> String {
    format!(
        "INSERT INTO u SELECT concat('k', toString(number)), toDateTime64(1700000000 + {round}, 9), {round}, 0, 'new' \
         FROM numbers({KEYS})"
    )
}

/// What every door says of a statement; they agree.
fn everywhere(cluster: &Cluster, sql: &str) -> Result<String> {
    let mut said = Vec::new();
    // Idle connections are closed: each statement has its own.
    for number in 0..=NODES {
        said.push(door(cluster, number)?.query(sql)?.trim().to_owned());
    }
    ensure!(said.windows(2).all(|two| two[0] == two[1]), "{sql}: the doors say {said:?}");
    said.pop().context("there are doors")
}

/// A storage node's door; the last is the ingest node's.
fn door(cluster: &Cluster, number: usize) -> Result<Connection> {
    let node = if number == NODES { cluster.ingest()? } else { cluster.storage(number)? };
    Ok(node.connect()?)
}

fn refused(cluster: &Cluster, sql: &str, code: u32) -> Result<()> {
    let response = cluster.storage(0)?.connect()?.send(&Request::statement(sql))?;
    ensure!(response.exception_code() == Some(code), "{sql}: {} {}", response.status, response.text());
    Ok(())
}

#[test]
fn an_update_is_in_force_at_every_door_when_it_is_answered() -> Result<()> {
    for copies in [1, 2] {
        let cluster = cluster(copies)?;
        let query = |number: usize, sql: &str| -> Result<String> { Ok(door(&cluster, number)?.query(sql)?) };
        query(0, TABLE)?;
        for round in 0..4 {
            query(round as usize, &rows_of(round))?;
        }
        // Each statement by another door; the last is the ingest node's.
        for door in 0..=NODES {
            let set = "n = v * 10 + 1, s = concat('r', toString(v))";
            let sql = match door % 2 {
                0 => format!("ALTER TABLE u UPDATE {set} WHERE v = {door} AND ts < now()"),
                _ => format!("UPDATE u SET {set} WHERE v = {door}"),
            };
            query(door, &sql)?;
            let sums: u64 = (0..=door as u64).map(|v| v * 10 + 1).sum();
            let said = everywhere(&cluster, "SELECT count(), sum(n), uniqExact(s) FROM u")?;
            let texts = door + 1 + usize::from(door < NODES);
            ensure!(said == format!("{}\t{}\t{texts}", 4 * KEYS, sums * KEYS), "{sql}: {said}");
        }
        let odd = "k IN (SELECT k FROM u WHERE v = 0 AND toUInt64(substring(k, 2)) % 2 = 1)";
        query(2, &format!("ALTER TABLE u UPDATE s = 'odd' WHERE {odd} AND n < (SELECT max(n) FROM u)"))?;
        let said = everywhere(&cluster, "SELECT countIf(s = 'odd'), count() FROM u")?;
        ensure!(said == format!("{}\t{}", 3 * KEYS / 2, 4 * KEYS), "{said}");
        query(NODES, &format!("DELETE FROM u WHERE {odd}"))?;
        let said = everywhere(&cluster, "SELECT count(), sum(toUInt64(substring(k, 2)) % 2) FROM u")?;
        ensure!(said == format!("{}\t0", 2 * KEYS), "{said}");
        let before = everywhere(&cluster, "SELECT v, sum(n), max(s) FROM u GROUP BY v ORDER BY v")?;
        for (sql, code) in [
            ("UPDATE u SET n = intDiv(1, 2 - v) WHERE v < 3", 153),
            ("UPDATE u SET n = NULL WHERE v = 1", 349),
            ("UPDATE u SET k = 'x' WHERE v = 1", 420),
            ("UPDATE u SET n = 1, n = 2 WHERE v = 1", 36),
            ("UPDATE u SET s = hostName() WHERE v = 1", 48),
            ("UPDATE u SET n = rand() WHERE v = 1", 48),
        ] {
            refused(&cluster, sql, code)?;
        }
        // With one copy nobody could tell whether it was done before a crash.
        let again = "UPDATE u SET n = n + 1 WHERE v = 1";
        if copies == 1 {
            refused(&cluster, again, 48)?;
        }
        let after = everywhere(&cluster, "SELECT v, sum(n), max(s) FROM u GROUP BY v ORDER BY v")?;
        ensure!(after == before, "what is refused has changed something: {after}");
        if copies == 2 {
            query(1, again)?;
            let said = everywhere(&cluster, "SELECT min(n), max(n) FROM u WHERE v = 1")?;
            ensure!(said == "12\t12", "{said}");
        }
        // A column that the rows in files do not have.
        query(0, "ALTER TABLE u ADD COLUMN later String")?;
        query(1, "UPDATE u SET later = concat(k, s) WHERE v = 3")?;
        let said = everywhere(&cluster, "SELECT countIf(later = concat(k, s)), countIf(later = '') FROM u")?;
        ensure!(said == format!("{}\t{}", KEYS / 2, 3 * KEYS / 2), "{said}");
    }
    Ok(())
}

/// Round and what all of its rows have, at one node.
fn counted(cluster: &Cluster) -> Result<BTreeMap<u64, u64>> {
    let mut said = Vec::new();
    for mut node in cluster.connect_running()? {
        let rows = node.query("SELECT v, min(n), max(n), count() FROM u GROUP BY v ORDER BY v")?;
        let mut there = BTreeMap::new();
        for line in rows.lines() {
            let numbers: Vec<u64> = line.split('\t').map(str::parse).collect::<Result<_, _>>()?;
            let [round, least, most, rows] = numbers[..] else { anyhow::bail!("{line}") };
            ensure!(least == most && rows == KEYS, "round {round}: {least} to {most} in {rows} rows");
            there.insert(round, least);
        }
        said.push(there);
    }
    ensure!(said.windows(2).all(|two| two[0] == two[1]), "the nodes read {said:?}");
    said.pop().context("a node runs")
}

/// A row that got `n + 1` twice would show it, and so would a copy that missed it.
#[test]
fn an_update_is_made_once_in_every_row_through_kill_nine() -> Result<()> {
    let mut cluster = cluster(2)?;
    let seed = seed()?;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    cluster.storage(0)?.connect()?.query(TABLE)?;
    let (mut expected, rounds, mut answered) = (BTreeMap::new(), rounds(6)?, 0);
    for round in 0..rounds as u64 {
        let victim = random.random_range(0..NODES);
        let door = (victim + 1) % NODES;
        let mut connection = cluster.storage(door)?.connect()?;
        connection.query(&rows_of(round))?;
        let sql = format!("UPDATE u SET n = n + 1 WHERE v = {round}");
        let (ok, pause) = asked_as_one_dies(&mut cluster, victim, (&mut connection, &sql), &mut random)?;
        println!("round {round}: node {victim} killed after {pause:?}, answered: {ok}");
        answered += u64::from(ok);
        cluster.start_storage(victim)?;
        // One that was not answered may be made or not, in all rows alike; the next one, which is answered, comes after it.
        let mut tries = 1;
        if !ok {
            let mut door = cluster.storage(door)?.connect()?;
            eventually(PATIENCE, || {
                tries += 1;
                ensure!(ask(&mut door, &sql), "{sql} is not carried out");
                Ok(())
            })?;
        }
        eventually(PATIENCE, || {
            let there = counted(&cluster)?;
            let made = there.get(&round).copied().context("the round is there")?;
            ensure!((1..=tries).contains(&made), "{sql} {tries} times, and {made} is there");
            expected.insert(round, made);
            ensure!(there == expected, "{there:?} is there, not {expected:?}");
            Ok(())
        })?;
        all_copies(&cluster)?;
    }
    // Whoever followed has the same rows: each node's partitions are read at the others.
    for victim in 0..NODES {
        cluster.kill_storage(victim)?;
        eventually(PATIENCE, || {
            let there = counted(&cluster)?;
            ensure!(there == expected, "without node {victim} {there:?} is there, not {expected:?}");
            Ok(())
        })?;
        cluster.start_storage(victim)?;
        all_copies(&cluster)?;
    }
    println!("{rounds} kills: {answered} updates were answered through them");
    Ok(())
}
