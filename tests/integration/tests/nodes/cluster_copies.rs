//! One coordinator, three storage nodes, one ingest node, two copies of each partition: what is acknowledged outlives any
//! one of them, and the rest goes on without it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use zepto_harness::{Connection, Request};
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::ledger::{self, Writer};
use zepto_integration::place::{rounds, seed};

const NODES: usize = 3;
/// Rounds of kills: in each a storage node, the ingest node and the coordinator.
const KILL_ROUNDS: usize = 7;
/// Who is killed in a round besides a storage node.
const OTHERS: u64 = 2;
/// What a failover, or the way back, may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the moves after a join may take.
const MOVES: Duration = Duration::from_secs(240);
/// The least share of 256 partitions that one of four nodes owns when nothing moves.
const SHARE_MIN: usize = 256 / 4 - 2;

fn cluster() -> Result<Cluster> {
    let cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), NODES, 2)?;
    all_copies(&cluster)?;
    Ok(cluster)
}

/// Waits until every partition has its copies.
pub(crate) fn all_copies(cluster: &Cluster) -> Result<()> {
    cluster.explained(eventually(PATIENCE, || {
        let status = cluster.status()?;
        ensure!(status["under_replicated"] == 0, "{} partitions lack a copy", status["under_replicated"]);
        Ok(())
    }))
}

fn total(progress: &[Arc<AtomicU64>]) -> u64 {
    progress.iter().map(|it| it.load(Ordering::Relaxed)).sum()
}

/// Waits until each writer has so many more rows acknowledged; how long it took.
pub(crate) fn more_rows(progress: &[Arc<AtomicU64>], more: u64) -> Result<Duration> {
    let begun = Instant::now();
    let before: Vec<u64> = progress.iter().map(|it| it.load(Ordering::Relaxed)).collect();
    eventually(PATIENCE, || {
        for (number, (it, before)) in progress.iter().zip(&before).enumerate() {
            let now = it.load(Ordering::Relaxed);
            ensure!(now >= before + more, "writer {number} has {now} rows acknowledged, and had {before}");
        }
        Ok(())
    })?;
    Ok(begun.elapsed())
}

#[test]
fn each_row_is_on_two_nodes_and_is_read_once() -> Result<()> {
    let cluster = cluster()?;
    let mut doors = cluster.connect_all()?;
    doors[0]
        .query("CREATE TABLE t (k String, ts DateTime64(9), v UInt64) ENGINE = MergeTree ORDER BY (k, ts)")?;
    for (number, door) in doors.iter_mut().enumerate() {
        let rows = format!(
            "INSERT INTO t SELECT concat('k', toString(number % 700)), toDateTime64(number, 9), {number} FROM numbers(5000)"
        );
        match door.send(&Request::statement(&rows))? {
            // The ingest node has no SELECT of its own.
            response if response.status == 200 => {}
            response => ensure!(number == NODES, "{}", response.text()),
        }
        // What was acknowledged is read from every node, whoever owns it.
        let sum = cluster.number("SELECT sum(v) FROM t")?;
        ensure!(sum == (0..=number as u64).map(|it| it * 5_000).sum::<u64>(), "door {number}: {sum}");
    }
    let rows = cluster.number("SELECT count() FROM t")?;
    // Those who follow show a row when they have heard that it is committed.
    eventually(PATIENCE, || {
        let held = cluster.own_rows("t")?;
        ensure!(held.iter().sum::<u64>() == 2 * rows, "{rows} rows twice, and the nodes have {held:?}");
        Ok(())
    })?;
    Ok(())
}

/// Writes until told to stop, also when the door goes and comes back.
pub(crate) fn keep_writing(writer: &mut Writer, address: SocketAddr, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        writer.write(address, stop)?;
        // The door is away: who is refused at once would take the processor from those who start it.
        thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

/// Counts at a node again and again: whatever was acknowledged before the question is in its answer. Gives how many answers
/// there were; a node that is away, or cannot answer now, gives none.
pub(crate) fn keep_counting(
    address: SocketAddr,
    progress: &[Arc<AtomicU64>],
    stop: &AtomicBool,
) -> Result<u64> {
    let mut answers = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut connection) = Connection::open(address) else {
            thread::park_timeout(Duration::from_millis(20));
            continue;
        };
        while !stop.load(Ordering::Relaxed) {
            let acknowledged = total(progress);
            let Ok(response) = connection.send(&Request::statement("SELECT count() FROM ledger")) else {
                break;
            };
            if response.status != 200 {
                continue;
            }
            let counted: u64 = response.text().trim().parse()?;
            ensure!(counted >= acknowledged, "{counted} rows, when {acknowledged} had been acknowledged");
            answers += 1;
        }
    }
    Ok(answers)
}

#[test]
fn acknowledged_rows_survive_kill_nine_and_the_others_go_on() -> Result<()> {
    let mut cluster = cluster()?;
    let seed = seed()?;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut writers: Vec<Writer> = (0..4).map(|number| Writer::new(number, seed)).collect();
    let progress: Vec<_> = writers.iter().map(Writer::progress).collect();
    cluster.ingest()?.connect()?.query(ledger::TABLE)?;
    let rounds = rounds(KILL_ROUNDS)?;
    let mut kills = 0;
    for round in 0..rounds {
        let victim = random.random_range(0..NODES);
        let address = cluster.ingest()?.address();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| -> Result<()> {
            let busy: Vec<_> = writers
                .iter_mut()
                .map(|writer| scope.spawn(|| keep_writing(writer, address, &stop)))
                .collect();
            let doors: Vec<SocketAddr> = (0..NODES)
                .filter(|node| *node != victim)
                .map(|node| Ok(cluster.storage(node)?.address()))
                .collect::<Result<_>>()?;
            let (told, ended) = (&progress, &stop);
            let readers: Vec<_> =
                doors.into_iter().map(|door| scope.spawn(move || keep_counting(door, told, ended))).collect();
            let worked = (|| -> Result<()> {
                more_rows(&progress, random.random_range(1..1_000))?;
                // In any order, and at once or one while the others come back.
                let mut others = [Role::Ingest, Role::Coordinator];
                if random.random_bool(0.5) {
                    others.reverse();
                }
                let before = random.random_range(0..=others.len());
                for role in &others[..before] {
                    kill(&mut cluster, *role)?;
                }
                cluster.kill_storage(victim)?;
                // Every writer goes on while the node is away: another has taken its partitions.
                let outage = more_rows(&progress, 400)?;
                println!("round {round}: node {victim} killed, all writers went on within {outage:?}");
                let owners = cluster.owners()?;
                ensure!(owners.values().all(|owner| *owner != victim as u64), "a dead node owns something");
                for role in &others[before..] {
                    kill(&mut cluster, *role)?;
                }
                cluster.start_storage(victim)?;
                all_copies(&cluster)?;
                more_rows(&progress, 400)?;
                Ok(())
            })();
            kills += 1 + OTHERS;
            stop.store(true, Ordering::Relaxed);
            for writer in busy {
                writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
            }
            let mut answers = 0;
            for reader in readers {
                answers += reader.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??;
            }
            println!("round {round}: {answers} counts of the others had every acknowledged row");
            worked
        })?;
        let stored = ledger::audit_nodes(&mut cluster.connect_storage()?, &writers)?;
        println!("round {round}: {} rows acknowledged, {stored} stored", total(&progress));
    }
    println!("{kills} kills: {} rows acknowledged, none lost, none twice", total(&progress));
    Ok(())
}

/// Who is killed besides a storage node.
#[derive(Debug, Clone, Copy)]
enum Role {
    Ingest,
    Coordinator,
}

fn kill(cluster: &mut Cluster, role: Role) -> Result<()> {
    match role {
        Role::Ingest => cluster.restart_ingest()?,
        Role::Coordinator => {
            cluster.kill_coordinator()?;
            cluster.start_coordinator()?;
        }
    }
    Ok(())
}

#[test]
fn a_node_that_stops_in_order_has_handed_its_partitions_over() -> Result<()> {
    let mut cluster = cluster()?;
    let mut door = cluster.ingest()?.connect()?;
    door.query("CREATE TABLE t (k String, v UInt64) ENGINE = MergeTree ORDER BY k")?;
    let rows = |from: u64| {
        let rows: Vec<String> = (from..from + 500).map(|row| format!("('k{row}', {row})")).collect();
        format!("INSERT INTO t VALUES {}", rows.join(", "))
    };
    door.query(&rows(0))?;
    for (round, victim) in [1, 2].into_iter().enumerate() {
        cluster.stop_storage(victim)?;
        // It is not dead yet by anybody's clock.
        cluster.explained(owns_nothing(&cluster, victim))?;
        ensure!(cluster.is_stopping(victim)?, "the coordinator knows that node {victim} comes back");
        // Whoever leads next knows it too: nothing is given to a node that is not there.
        cluster.kill_coordinator()?;
        cluster.start_coordinator()?;
        ensure!(cluster.is_stopping(victim)?, "a coordinator that starts again has not forgotten it");
        door.query(&rows(500 + round as u64 * 500))?;
        let count = cluster.storage(0)?.connect()?.query("SELECT count(), sum(v) FROM t")?;
        let rows = 1_000 + round as u64 * 500;
        ensure!(count.trim() == format!("{rows}\t{}", rows * (rows - 1) / 2), "{count}");
        cluster.start_storage(victim)?;
        all_copies(&cluster)?;
        ensure!(!cluster.is_stopping(victim)?, "node {victim} has started again");
        // Its share comes back by itself, and nobody is asked for more.
        eventually(PATIENCE, || {
            let (back, status) = (owned(&cluster, victim)?, cluster.status()?);
            ensure!(back >= SHARE_MIN, "node {victim} owns {back} partitions again");
            ensure!(status["handovers"] == 0, "{} partitions are to be handed over", status["handovers"]);
            Ok(())
        })?;
    }
    Ok(())
}

/// A node that has ended in order has given all away.
fn owns_nothing(cluster: &Cluster, node: usize) -> Result<()> {
    let left = owned(cluster, node)?;
    ensure!(left == 0, "node {node} has ended and owns {left} partitions");
    Ok(())
}

/// Partitions that a node owns.
fn owned(cluster: &Cluster, node: usize) -> Result<usize> {
    Ok(cluster.owners()?.values().filter(|owner| **owner == node as u64).count())
}

/// Writers write and readers count all the time; a node joins, and then each of the first is stopped in order while the
/// partitions still move.
#[test]
fn a_node_joins_and_others_stop_in_order_under_load_and_every_count_is_exact() -> Result<()> {
    let mut cluster = cluster()?;
    let mut writers: Vec<Writer> = (0..3).map(|number| Writer::new(number, seed().unwrap_or(1))).collect();
    cluster.ingest()?.connect()?.query(ledger::TABLE)?;
    let progress: Vec<_> = writers.iter().map(Writer::progress).collect();
    let (address, door) = (cluster.ingest()?.address(), cluster.storage(0)?.address());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let busy: Vec<_> =
            writers.iter_mut().map(|writer| scope.spawn(|| keep_writing(writer, address, &stop))).collect();
        let reader = scope.spawn(|| keep_counting(door, &progress, &stop));
        let worked = (|| -> Result<()> {
            more_rows(&progress, 500)?;
            let joined = cluster.add_storage()?;
            for victim in [1, 2] {
                eventually(PATIENCE, || {
                    ensure!(owned(&cluster, joined)? > 0, "node {joined} owns nothing yet");
                    Ok(())
                })?;
                cluster.stop_storage(victim)?;
                cluster.explained(owns_nothing(&cluster, victim))?;
                more_rows(&progress, 100)?;
                cluster.start_storage(victim)?;
                all_copies(&cluster)?;
            }
            at_rest(&cluster, NODES + 1)?;
            more_rows(&progress, 100)?;
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        for writer in busy {
            writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
        }
        let answers = reader.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??;
        println!("{answers} counts had every acknowledged row");
        worked
    })?;
    let stored = ledger::audit_nodes(&mut cluster.connect_storage()?, &writers)?;
    ensure!(counted(&cluster, "zepto_two_owners_total")? == 0, "two nodes spoke under one epoch");
    println!("{} rows acknowledged, {stored} stored", total(&progress));
    Ok(())
}

/// Waits until no partition lacks a copy or has one too many, nothing moves, and every node owns its share.
pub(crate) fn at_rest(cluster: &Cluster, nodes: usize) -> Result<()> {
    cluster.explained(eventually(MOVES, || {
        let status = cluster.status()?;
        for what in ["under_replicated", "moves", "handovers"] {
            ensure!(status[what] == 0, "{what}: {}", status[what]);
        }
        let partitions = status["partitions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let copies = |it: &serde_json::Value| it["followers"].as_array().map_or(0, Vec::len) + 1;
        let wrong = partitions.iter().filter(|it| copies(it) != 2 || it["leaving"] != serde_json::json!([]));
        ensure!(wrong.count() == 0, "not every partition has two copies");
        let most = partitions.len().div_ceil(nodes) + 1;
        for node in 0..nodes {
            let owned = owned(cluster, node)?;
            ensure!((SHARE_MIN..=most).contains(&owned), "node {node} owns {owned} of {}", partitions.len());
        }
        Ok(())
    }))
}

/// What the storage nodes count of a metric, together.
pub(crate) fn counted(cluster: &Cluster, metric: &str) -> Result<u64> {
    let mut sum = 0;
    for mut node in cluster.connect_storage()? {
        let response = node.send(&Request::get("/metrics"))?;
        let text = response.text();
        let values = text.lines().filter_map(|line| line.strip_prefix(metric)?.trim().parse::<f64>().ok());
        sum += values.sum::<f64>() as u64;
    }
    Ok(sum)
}

/// Stops a node with all that it is doing, and wakes it when its partitions have other owners; its connections are still
/// there.
fn sleep_until_relieved(cluster: &Cluster, sleeper: usize) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(cluster.storage(sleeper)?.pid())?);
    signal::kill(pid, Signal::SIGSTOP)?;
    let moved = eventually(PATIENCE, || {
        let owned = cluster.owners()?.values().filter(|owner| **owner == sleeper as u64).count();
        ensure!(owned == 0, "the node that sleeps owns {owned} partitions");
        Ok(())
    });
    signal::kill(pid, Signal::SIGCONT)?;
    moved
}

#[test]
fn an_owner_that_was_stopped_past_its_lease_is_fenced_when_it_wakes() -> Result<()> {
    let mut cluster = cluster()?;
    let seed = seed()?;
    println!("seed {seed}");
    let mut writers: Vec<Writer> = (0..4).map(|number| Writer::new(number, seed)).collect();
    let progress: Vec<_> = writers.iter().map(Writer::progress).collect();
    cluster.ingest()?.connect()?.query(ledger::TABLE)?;
    let (sleeper, address) = (1, cluster.ingest()?.address());
    let stop = AtomicBool::new(false);
    let before = counted(&cluster, "zepto_fenced_writes_total")?;
    thread::scope(|scope| -> Result<()> {
        let busy: Vec<_> =
            writers.iter_mut().map(|writer| scope.spawn(|| keep_writing(writer, address, &stop))).collect();
        let worked = (|| -> Result<()> {
            more_rows(&progress, 200)?;
            // It wakes as an owner and says so under its old tokens, unless it hears of its relief before that.
            for sleep in 0.. {
                sleep_until_relieved(&cluster, sleeper)?;
                let fenced = eventually(Duration::from_secs(5), || {
                    let fenced = counted(&cluster, "zepto_fenced_writes_total")?;
                    ensure!(fenced > before, "nobody was fenced in {} sleeps", sleep + 1);
                    Ok(())
                });
                more_rows(&progress, 400)?;
                all_copies(&cluster)?;
                if fenced.is_ok() || sleep == 3 {
                    return fenced;
                }
            }
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        for writer in busy {
            writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
        }
        worked
    })?;
    let stored = ledger::audit_nodes(&mut cluster.connect_storage()?, &writers)?;
    // What it had written without being allowed to is not there after its restart either.
    cluster.kill_storage(sleeper)?;
    cluster.start_storage(sleeper)?;
    all_copies(&cluster)?;
    ensure!(ledger::audit_nodes(&mut cluster.connect_storage()?, &writers)? == stored);
    ensure!(counted(&cluster, "zepto_two_owners_total")? == 0, "two nodes spoke under one epoch");
    Ok(())
}
