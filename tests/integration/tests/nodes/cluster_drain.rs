//! Moves and drains over the doors: a node gives all away and leaves for good, rebalancing is paused, taken back and
//! resumed; every acknowledged row is there once all the time.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use zepto_harness::node::program_named;
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::ledger::{self, Writer};
use zepto_integration::place::seed;

use crate::cluster_copies::{all_copies, at_rest, keep_counting, keep_writing, more_rows};

/// What the moves may take.
const PATIENCE: Duration = Duration::from_secs(240);
/// Many of the coordinator's ticks: what has not begun by then does not begin.
const A_WHILE: Duration = Duration::from_secs(3);
/// Tries to take moves back while there are any.
const CANCELS_MAX: usize = 20;

/// Three nodes with two copies of each partition, and writers with the table.
fn loaded() -> Result<(Cluster, Vec<Writer>)> {
    let cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), 3, 2)?;
    all_copies(&cluster)?;
    cluster.ingest()?.connect()?.query(ledger::TABLE)?;
    let writers = (0..2).map(|number| Writer::new(number, seed().unwrap_or(1))).collect();
    Ok((cluster, writers))
}

/// Runs `work` while the writers write to the ingest node and a reader counts at node 0.
#[expect(clippy::print_stdout, reason = "what a test has seen")]
fn under_load(
    cluster: &mut Cluster,
    writers: &mut [Writer],
    work: impl FnOnce(&mut Cluster, &[Arc<AtomicU64>]) -> Result<()>,
) -> Result<()> {
    let progress: Vec<_> = writers.iter().map(Writer::progress).collect();
    let (address, door) = (cluster.ingest()?.address(), cluster.storage(0)?.address());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (told, ended) = (&progress, &stop);
        let busy: Vec<_> = writers
            .iter_mut()
            .map(|writer| scope.spawn(move || keep_writing(writer, address, ended)))
            .collect();
        let reader = scope.spawn(move || keep_counting(door, told, ended));
        let worked = more_rows(&progress, 300).and_then(|_| work(cluster, &progress));
        stop.store(true, Ordering::Relaxed);
        for writer in busy {
            writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
        }
        let answers = reader.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??;
        println!("{answers} counts had every acknowledged row");
        worked
    })
}

/// What the coordinator says of a node; None if it does not know it.
pub(crate) fn node(cluster: &Cluster, number: usize) -> Result<Option<Value>> {
    let status = cluster.status()?;
    let nodes = status["nodes"].as_array().context("there are nodes")?;
    Ok(nodes.iter().find(|it| it["id"] == number).cloned())
}

/// Asks for a change that must be accepted.
pub(crate) fn change(cluster: &Cluster, method: &str, path: &str) -> Result<Value> {
    let (status, said) = cluster.ask(method, path)?;
    ensure!(status == 200, "{method} {path}: {status} {said}");
    Ok(said)
}

/// What `zepto cluster …` says, asked at the ingest node.
fn zepto(cluster: &Cluster, words: &[&str]) -> Result<String> {
    let url = format!("http://{}", cluster.ingest()?.address());
    let mut command = Command::new(program_named("zepto")?);
    let output = command.arg("cluster").args(words).args(["--url", &url]).output()?;
    let (said, why) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "zepto cluster {words:?}: {why}");
    Ok(said)
}

/// Asks for a change that must be refused with these words.
fn refused(cluster: &Cluster, method: &str, path: &str, words: &str) -> Result<()> {
    let (status, said) = cluster.ask(method, path)?;
    let said = said.as_str().unwrap_or_default();
    ensure!(status == 400 && said.contains("Code: 36") && said.contains(words), "{path}: {status} {said}");
    Ok(())
}

/// Moves that ended in this way, off this node if one is given.
fn ended(cluster: &Cluster, end: &str, from: Option<usize>) -> Result<usize> {
    let history = change(cluster, "GET", "/admin/rebalance/history")?;
    let moves = history["history"].as_array().context("there is a history")?;
    let is_meant = |it: &&Value| it["end"] == end && from.is_none_or(|from| it["from"] == from);
    Ok(moves.iter().filter(is_meant).count())
}

/// Waits until the nodes together have each row on two disks and nowhere else.
pub(crate) fn twice_each(cluster: &Cluster, nodes: &[usize], rows: u64) -> Result<()> {
    eventually(PATIENCE, || {
        let held: Vec<u64> = nodes.iter().map(|node| own_rows(cluster, *node)).collect::<Result<_>>()?;
        ensure!(held.iter().sum::<u64>() == 2 * rows, "{rows} rows twice, and the nodes have {held:?}");
        Ok(())
    })
}

/// Rows that a node has itself.
fn own_rows(cluster: &Cluster, node: usize) -> Result<u64> {
    let sql = "SELECT sum(rows) FROM system.parts WHERE table = 'ledger'";
    Ok(cluster.storage(node)?.connect()?.query(sql)?.trim().parse()?)
}

/// The history is bounded to the newest, so more than these are not seen.
const GIVEN_AWAY_MIN: usize = 100;

#[test]
fn a_drained_node_gives_all_away_under_load_and_is_forgotten_when_it_ends() -> Result<()> {
    let goes = 2;
    let (mut cluster, mut writers) = loaded()?;
    refused(&cluster, "DELETE", "/admin/nodes/9", "there is no node 9")?;
    under_load(&mut cluster, &mut writers, |cluster, progress| {
        // A pause is for balance; a drain goes on.
        change(cluster, "POST", "/admin/rebalance/pause")?;
        let status = change(cluster, "GET", "/admin/rebalance/status")?;
        ensure!(status == json!({"rebalancing": "paused", "moves": [], "handovers": []}), "{status}");
        let path = format!("/admin/nodes/{goes}");
        let said = change(cluster, "DELETE", &path)?;
        ensure!(said == json!({"id": goes, "state": "LEAVING"}), "{said}");
        ensure!(change(cluster, "DELETE", &path)? == said, "asked again, it is so already");
        refused(cluster, "DELETE", "/admin/nodes/1", "one at a time")?;
        eventually(PATIENCE, || {
            let status = cluster.status()?;
            let under = status["under_replicated"].as_u64().context("a number")?;
            ensure!(under == 0, "{under} partitions lack a copy");
            let node = node(cluster, goes)?.context("it is known while it runs")?;
            ensure!(node["state"] == "LEAVING", "{node}");
            ensure!(node["copies"] == 0 && node["owned"] == 0, "it still has {node}");
            Ok(())
        })?;
        more_rows(progress, 100)?;
        Ok(())
    })?;
    let given = ended(&cluster, "finished", Some(goes))?;
    ensure!(given > GIVEN_AWAY_MIN, "{given} moves off node {goes} ended");
    eventually(PATIENCE, || {
        let rows = own_rows(&cluster, goes)?;
        ensure!(rows == 0, "{rows} rows are still on the disk of the node that leaves");
        Ok(())
    })?;
    cluster.stop_storage(goes)?;
    eventually(PATIENCE, || {
        ensure!(node(&cluster, goes)?.is_none(), "node {goes} is still known");
        Ok(())
    })?;
    refused(&cluster, "DELETE", "/admin/nodes/1", "1 nodes would stay and the replication factor is 2")?;
    refused(&cluster, "DELETE", &format!("/admin/nodes/{goes}"), "there is no node")?;
    let mut doors = [cluster.storage(0)?.connect()?, cluster.storage(1)?.connect()?];
    let stored = ledger::audit_nodes(&mut doors, &writers)?;
    twice_each(&cluster, &[0, 1], stored)?;
    println!("{stored} rows are on the two that stay, {given} moves");
    Ok(())
}

/// Takes moves back while there are any; how many.
fn cancel_some(cluster: &Cluster) -> Result<u64> {
    for _ in 0..CANCELS_MAX {
        change(cluster, "POST", "/admin/rebalance/resume")?;
        eventually(PATIENCE, || {
            let status = change(cluster, "GET", "/admin/rebalance/status")?;
            ensure!(status["rebalancing"] == "on", "{status}");
            ensure!(status["moves"] != json!([]), "nothing moves");
            Ok(())
        })?;
        let said = change(cluster, "POST", "/admin/rebalance/cancel")?;
        ensure!(said["rebalancing"] == "paused", "{said}");
        let cancelled = said["cancelled"].as_u64().context("a number")?;
        if cancelled > 0 {
            return Ok(cancelled);
        }
    }
    anyhow::bail!("whatever moved had ended in each of {CANCELS_MAX} tries")
}

/// Waits until nothing is under way, and sees that nothing begins: the copies stay where they are.
fn nothing_moves(cluster: &Cluster) -> Result<()> {
    eventually(PATIENCE, || {
        let status = cluster.status()?;
        for what in ["under_replicated", "moves", "handovers"] {
            ensure!(status[what] == 0, "{what}: {}", status[what]);
        }
        let copies = cluster.copies()?.len();
        ensure!(copies == 2 * 256, "{copies} copies of 256 partitions");
        Ok(())
    })?;
    let before = cluster.copies()?;
    let moved = eventually(A_WHILE, || {
        ensure!(cluster.copies()? != before || cluster.status()?["moves"] != 0, "nothing moves");
        Ok(())
    });
    ensure!(moved.is_err(), "something moves");
    Ok(())
}

#[test]
fn a_pause_holds_new_moves_a_cancel_takes_those_under_way_back_and_afterwards_all_goes_on() -> Result<()> {
    let (mut cluster, mut writers) = loaded()?;
    under_load(&mut cluster, &mut writers, |cluster, progress| {
        change(cluster, "POST", "/admin/rebalance/pause")?;
        let joined = cluster.add_storage()?;
        eventually(PATIENCE, || {
            let node = node(cluster, joined)?.context("it is known")?;
            ensure!(node["state"] == "ACTIVE", "{node}");
            Ok(())
        })?;
        nothing_moves(cluster)?;
        let node_now = node(cluster, joined)?.context("it is known")?;
        ensure!(node_now["copies"] == 0, "it came during a pause: {node_now}");
        let cancelled = cancel_some(cluster)?;
        nothing_moves(cluster)?;
        let taken_back = ended(cluster, "cancelled", None)? as u64;
        ensure!(
            taken_back >= cancelled,
            "{cancelled} moves were cancelled, and the history has {taken_back}"
        );
        println!("{cancelled} moves were taken back");
        change(cluster, "POST", "/admin/rebalance/start")?;
        at_rest(cluster, 4)?;
        // A drain that was a mistake: the node keeps what it has, and gets back what it gave away.
        let words = zepto(cluster, &["drain", &joined.to_string()])?;
        ensure!(words.contains("is leaving"), "{words}");
        eventually(PATIENCE, || {
            let gone = ended(cluster, "finished", Some(joined))?;
            ensure!(gone > 0, "nothing has left it yet");
            Ok(())
        })?;
        let words = zepto(cluster, &["rebalance", "status"])?;
        ensure!(words.contains("rebalancing") && words.contains("handovers"), "{words}");
        zepto(cluster, &["drain", &joined.to_string(), "--cancel"])?;
        at_rest(cluster, 4)?;
        let kept = node(cluster, joined)?.context("it is known")?;
        ensure!(kept["state"] == "ACTIVE", "{kept}");
        more_rows(progress, 100)?;
        Ok(())
    })?;
    let stored = ledger::audit_nodes(&mut cluster.connect_storage()?, &writers)?;
    twice_each(&cluster, &[0, 1, 2, 3], stored)?;
    println!("{stored} rows, each on two of four nodes");
    Ok(())
}
