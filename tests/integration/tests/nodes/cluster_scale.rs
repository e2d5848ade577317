//! A cluster grows and shrinks while rows are written and counted: no count is wrong at any moment, and at the end each
//! node has its share.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use zepto_harness::Connection;
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::ledger::{self, Writer};
use zepto_integration::load::{Doors, Running, under_load};
use zepto_integration::place::seed;

use crate::cluster_copies::all_copies;
use crate::cluster_drain::{change, node, twice_each};

/// What the moves of one step may take.
const PATIENCE: Duration = Duration::from_secs(240);
/// A writer waits no longer than this for its next acknowledgement, since nobody fails.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// A count whose owners change while it asks is asked anew, until this is over.
const COUNT_TIME_MAX: Duration = Duration::from_secs(30);
const ALL: [usize; 3] = [0, 1, 2];

/// Waits until nothing moves, every partition has two copies on these nodes, and each owns its share: by the bound of the
/// placement, one above the even share and no more.
fn balanced(cluster: &Cluster, nodes: &[usize]) -> Result<()> {
    cluster.explained(eventually(PATIENCE, || {
        let status = cluster.status()?;
        for what in ["under_replicated", "moves", "handovers"] {
            ensure!(status[what] == 0, "{what}: {}", status[what]);
        }
        let partitions = status["partitions"].as_array().context("there is a placement")?;
        let settled = |it: &Value| {
            let followers = it["followers"].as_array().map_or(0, Vec::len);
            followers == 1 && it["leaving"] == json!([]) && it["joining"] == json!([])
        };
        ensure!(partitions.iter().all(settled), "not every partition has two copies that stay");
        let (owners, copies) = (cluster.owners()?, cluster.copies()?);
        let most = |things: usize| things.div_ceil(nodes.len()) + 1;
        let (mut owned, mut held) = (0, 0);
        for node in nodes {
            let own = owners.values().filter(|owner| **owner == *node as u64).count();
            let hold = copies.iter().filter(|(_, of)| *of == *node as u64).count();
            ensure!(own <= most(partitions.len()) && own > 0, "node {node} owns {own}");
            ensure!(hold <= most(2 * partitions.len()), "node {node} has {hold} copies");
            (owned, held) = (owned + own, held + hold);
        }
        ensure!(owned == partitions.len() && held == 2 * partitions.len(), "others still have something");
        Ok(())
    }))
}

/// A node gives all away, ends and is forgotten.
fn drain(cluster: &mut Cluster, goes: usize) -> Result<()> {
    change(cluster, "DELETE", &format!("/admin/nodes/{goes}"))?;
    eventually(PATIENCE, || {
        let node = node(cluster, goes)?.context("it is known while it runs")?;
        ensure!(node["copies"] == 0 && node["owned"] == 0, "it still has {node}");
        Ok(())
    })?;
    cluster.stop_storage(goes)?;
    eventually(PATIENCE, || {
        ensure!(node(cluster, goes)?.is_none(), "node {goes} is still known");
        Ok(())
    })
}

/// Every reader has counted since the last step, and every writer goes on.
#[expect(clippy::print_stdout, reason = "what a test has seen")]
fn goes_on(load: &Running, answers: &mut Vec<u64>, step: &str) -> Result<()> {
    load.more_rows(&ALL, 100, PATIENCE)?;
    eventually(PATIENCE, || {
        let now = load.answers();
        ensure!(now.iter().zip(&*answers).all(|(now, before)| now > before), "answers: {answers:?}, {now:?}");
        Ok(())
    })?;
    *answers = load.answers();
    println!(
        "{step}: {answers:?} counts were exact, the longest wait of a writer {:.1?}",
        load.longest_wait(&ALL)
    );
    Ok(())
}

#[test]
fn a_cluster_grows_from_three_to_five_and_shrinks_to_three_and_every_count_is_exact() -> Result<()> {
    let mut cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), 3, 2)?;
    all_copies(&cluster)?;
    cluster.ingest()?.connect()?.query(ledger::TABLE)?;
    let seed = seed()?;
    println!("seed {seed}");
    let mut writers: Vec<Writer> = ALL.iter().map(|number| Writer::new(*number as u32, seed)).collect();
    let (ingest, stays) = (cluster.ingest()?.address(), cluster.storage(0)?.address());
    let doors = Doors {
        writers: vec![ingest, ingest, stays],
        readers: vec![ingest, stays, cluster.storage(2)?.address()],
        count_seconds: 60,
    };
    let (longest, seen) = under_load(&doors, &mut writers, |load| {
        let mut answers = load.answers();
        load.more_rows(&ALL, 2_000, PATIENCE)?;
        load.forget_waits();
        // The second comes while partitions move to the first.
        let joined = [cluster.add_storage()?, cluster.add_storage()?];
        balanced(&cluster, &[0, 1, 2, joined[0], joined[1]])?;
        goes_on(load, &mut answers, "five nodes")?;
        // One of the first and one of those that came.
        for goes in [1, joined[1]] {
            drain(&mut cluster, goes)?;
            goes_on(load, &mut answers, &format!("without node {goes}"))?;
        }
        balanced(&cluster, &[0, 2, joined[0]])?;
        goes_on(load, &mut answers, "three nodes")?;
        Ok(load.longest_wait(&ALL))
    })?;
    let left: Result<Vec<Connection>> =
        [0, 2, 3].into_iter().map(|node| Ok(cluster.storage(node)?.connect()?)).collect();
    let mut left = left?;
    let stored = ledger::audit_nodes(&mut left, &writers)?;
    twice_each(&cluster, &[0, 2, 3], stored)?;
    println!("{stored} rows; the longest wait of a writer {longest:.1?}; {seen:?}");
    ensure!(seen.iter().all(|it| it.refusals == 0), "nobody failed, and a count was refused: {seen:?}");
    let slow = seen.iter().map(|it| it.longest).max().unwrap_or_default();
    ensure!(slow <= COUNT_TIME_MAX, "a count took {slow:?}");
    ensure!(longest <= WAIT_MAX, "a writer waited {longest:?} although nobody failed");
    Ok(())
}
