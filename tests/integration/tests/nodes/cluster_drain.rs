//! A storage node leaves for good: drained over the door of another, then stopped, then forgotten.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::ledger::{self, Writer};
use zepto_integration::place::seed;

use crate::cluster_copies::{all_copies, keep_counting, keep_writing, more_rows};

/// What the moves may take.
const PATIENCE: Duration = Duration::from_secs(240);
const GOES: usize = 2;

fn node_status(cluster: &Cluster, node: usize) -> Result<Option<Value>> {
    let status = cluster.status()?;
    let nodes = status["nodes"].as_array().context("there are nodes")?;
    Ok(nodes.iter().find(|it| it["id"] == node).cloned())
}

#[test]
#[expect(clippy::print_stdout, reason = "what a test has seen")]
fn a_drained_node_gives_all_away_under_load_and_is_forgotten_when_it_ends() -> Result<()> {
    let mut cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), 3, 2)?;
    all_copies(&cluster)?;
    let mut writers: Vec<Writer> = (0..2).map(|number| Writer::new(number, seed().unwrap_or(1))).collect();
    let progress: Vec<_> = writers.iter().map(Writer::progress).collect();
    cluster.ingest()?.connect()?.query(ledger::TABLE)?;
    for (path, status) in [("/admin/nodes/9", 400), ("/admin/nodes/x", 400)] {
        let (said, why) = cluster.ask("DELETE", path)?;
        ensure!(said == status, "{path}: {said} {why}");
    }
    ensure!(cluster.ask("POST", "/admin/rebalance/pause")? == (200, json!({"rebalancing": "paused"})));
    let (_, status) = cluster.ask("GET", "/admin/rebalance/status")?;
    ensure!(status == json!({"rebalancing": "paused", "moves": [], "handovers": []}), "{status}");
    let (address, door) = (cluster.ingest()?.address(), cluster.storage(0)?.address());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let (told, ended) = (&progress, &stop);
        let busy: Vec<_> = writers
            .iter_mut()
            .map(|writer| scope.spawn(move || keep_writing(writer, address, ended)))
            .collect();
        let reader = scope.spawn(move || keep_counting(door, told, ended));
        let worked = (|| -> Result<()> {
            more_rows(&progress, 500)?;
            // A pause is for balance; a drain goes on.
            let (said, what) = cluster.ask("DELETE", &format!("/admin/nodes/{GOES}"))?;
            ensure!((said, &what) == (200, &json!({"id": GOES, "state": "LEAVING"})), "{said} {what}");
            let (said, why) = cluster.ask("DELETE", "/admin/nodes/1")?;
            ensure!(said == 400 && why.to_string().contains("one at a time"), "{said} {why}");
            eventually(PATIENCE, || {
                let node = node_status(&cluster, GOES)?.context("it is known while it runs")?;
                ensure!(node["copies"] == 0 && node["owned"] == 0, "it still has {node}");
                let under = &cluster.status()?["under_replicated"];
                ensure!(*under == 0, "{under} partitions lack a copy");
                Ok(())
            })?;
            more_rows(&progress, 100)?;
            Ok(())
        })();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        for writer in busy {
            writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
        }
        let answers = reader.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??;
        println!("{answers} counts had every acknowledged row");
        worked
    })?;
    let (_, history) = cluster.ask("GET", "/admin/rebalance/history")?;
    let ended = history["history"].as_array().context("there is a history")?;
    let off = |it: &&Value| it["from"] == GOES && it["end"] == "finished";
    ensure!(ended.iter().filter(off).count() > 100, "{} moves ended", ended.len());
    cluster.stop_storage(GOES)?;
    eventually(PATIENCE, || {
        ensure!(node_status(&cluster, GOES)?.is_none(), "node {GOES} is still known");
        Ok(())
    })?;
    let mut doors = [cluster.storage(0)?.connect()?, cluster.storage(1)?.connect()?];
    let stored = ledger::audit_nodes(&mut doors, &writers)?;
    println!("{stored} rows are on the two that stay");
    Ok(())
}
