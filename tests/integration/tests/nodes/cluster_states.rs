//! Whole states of copies between processes: a node that lost its disk, or is new, gets its copies although no log has
//! what it lacks; what was acknowledged is there once, all the time and afterwards.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use zepto_harness::Request;
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::ledger::{self, Writer};
use zepto_integration::place::seed;

use crate::cluster_copies::{all_copies, at_rest, keep_counting, keep_writing, more_rows};

const NODES: usize = 3;
/// Losses of a disk, or joins, until a state was needed.
const ROUNDS_MAX: usize = 4;
/// What the way back of a whole node, or of a share of the partitions, may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// Runs `work` while writers write to the ingest node and others count at the storage nodes `counted`.
#[expect(clippy::print_stdout, reason = "what a test has seen")]
fn under_load(
    cluster: &mut Cluster,
    writers: &mut [Writer],
    counted: &[usize],
    work: impl FnOnce(&mut Cluster, &[Arc<AtomicU64>]) -> Result<()>,
) -> Result<()> {
    let progress: Vec<_> = writers.iter().map(Writer::progress).collect();
    let address = cluster.ingest()?.address();
    let doors: Vec<SocketAddr> =
        counted.iter().map(|node| Ok(cluster.storage(*node)?.address())).collect::<Result<_>>()?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (told, ended) = (&progress, &stop);
        let busy: Vec<_> = writers
            .iter_mut()
            .map(|writer| scope.spawn(move || keep_writing(writer, address, ended)))
            .collect();
        let readers: Vec<_> =
            doors.into_iter().map(|door| scope.spawn(move || keep_counting(door, told, ended))).collect();
        let worked = work(cluster, &progress);
        stop.store(true, Ordering::Relaxed);
        for writer in busy {
            writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
        }
        let mut answers = 0;
        for reader in readers {
            answers += reader.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??;
        }
        println!("{answers} counts had every acknowledged row");
        worked
    })
}

/// Has every node begin new logs, and let go of those before: no log has the first entries any more.
fn outgrow_logs(cluster: &mut Cluster) -> Result<()> {
    for node in 0..NODES {
        cluster.stop_storage(node)?;
        cluster.start_storage(node)?;
        all_copies(cluster)?;
        cluster.storage(node)?.connect()?.query("OPTIMIZE TABLE ledger")?;
    }
    Ok(())
}

/// States that a node has fetched since its start.
fn fetched(cluster: &Cluster, node: usize) -> Result<u64> {
    let response = cluster.storage(node)?.connect()?.send(&Request::get("/metrics"))?;
    let text = response.text();
    let name = "zepto_copy_states_fetched_total{outcome=\"fetched\"}";
    let values = text.lines().filter_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    Ok(values.sum::<f64>() as u64)
}

/// Waits until the nodes together have each row on two disks and nowhere else.
fn twice_each(cluster: &Cluster, rows: u64) -> Result<()> {
    eventually(PATIENCE, || {
        let held = cluster.own_rows("ledger")?;
        ensure!(held.iter().sum::<u64>() == 2 * rows, "{rows} rows twice, and the nodes have {held:?}");
        Ok(())
    })
}

#[test]
fn a_node_that_lost_its_disk_is_filled_again_and_then_carries_what_the_others_lose() -> Result<()> {
    let mut cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), NODES, 2)?;
    all_copies(&cluster)?;
    let mut writers: Vec<Writer> = (0..3).map(|number| Writer::new(number, seed().unwrap_or(1))).collect();
    cluster.ingest()?.connect()?.query(ledger::TABLE)?;
    under_load(&mut cluster, &mut writers, &[0, 2], |_, progress| more_rows(progress, 3_000).map(drop))?;
    // When a log file goes is the node's affair: until one of them was needed, the disk is lost again.
    let mut states = 0;
    for _ in 0..ROUNDS_MAX {
        outgrow_logs(&mut cluster)?;
        under_load(&mut cluster, &mut writers, &[0, 2], |cluster, progress| {
            cluster.kill_storage(1)?;
            cluster.lose_disk(1)?;
            more_rows(progress, 200)?;
            cluster.start_storage(1)?;
            at_rest(cluster, NODES)?;
            more_rows(progress, 200)?;
            Ok(())
        })?;
        states = fetched(&cluster, 1)?;
        if states > 0 {
            break;
        }
    }
    ensure!(states > 0, "nothing was fetched: the logs had it all");
    let stored = ledger::audit_nodes(&mut cluster.connect_storage()?, &writers)?;
    twice_each(&cluster, stored)?;
    // Each partition's other copy may be alone on the node that was filled.
    cluster.kill_storage(0)?;
    let mut doors = [cluster.storage(1)?.connect()?, cluster.storage(2)?.connect()?];
    eventually(PATIENCE, || {
        let again = ledger::audit_nodes(&mut doors, &writers)?;
        ensure!(again == stored, "{again} rows of {stored}");
        Ok(())
    })?;
    println!("{stored} rows, {states} whole states fetched");
    Ok(())
}

#[test]
fn a_node_that_joins_gets_its_share_under_load_and_every_count_is_exact() -> Result<()> {
    let mut cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), NODES, 2)?;
    all_copies(&cluster)?;
    let mut writers: Vec<Writer> = (0..3).map(|number| Writer::new(number, seed().unwrap_or(1))).collect();
    cluster.ingest()?.connect()?.query(ledger::TABLE)?;
    under_load(&mut cluster, &mut writers, &[0], |_, progress| more_rows(progress, 3_000).map(drop))?;
    let (mut states, mut nodes) = (0, NODES);
    while states == 0 && nodes < NODES + ROUNDS_MAX / 2 {
        outgrow_logs(&mut cluster)?;
        let before = cluster.copies()?;
        under_load(&mut cluster, &mut writers, &[0, 1, 2], |cluster, progress| {
            let joined = cluster.add_storage()?;
            nodes = joined + 1;
            at_rest(cluster, nodes)?;
            more_rows(progress, 200)?;
            states = fetched(cluster, joined)?;
            Ok(())
        })?;
        // No more goes than the share of the one that came, and a few that make room.
        let moved = cluster.copies()?.difference(&before).count();
        let share = before.len().div_ceil(nodes);
        ensure!(moved <= share + nodes, "{moved} copies moved for a share of {share}");
    }
    ensure!(states > 0, "nothing was fetched: the logs had it all");
    let stored = ledger::audit_nodes(&mut cluster.connect_storage()?, &writers)?;
    // The copies that moved away are gone from where they were.
    twice_each(&cluster, stored)?;
    println!("{stored} rows on {nodes} nodes, {states} whole states fetched");
    Ok(())
}
