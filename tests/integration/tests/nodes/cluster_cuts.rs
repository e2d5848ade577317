//! Networks that break between running processes: what is acknowledged on either side of a cut is there once afterwards,
//! no count is ever wrong, the side that can go on does so soon, and what was cut off comes back by itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use zepto_harness::Request;
use zepto_integration::cluster::{Cluster, Pace, eventually};
use zepto_integration::ledger::{self, Writer};
use zepto_integration::load::{Doors, Running, under_load};
use zepto_integration::network::{Network, Peer, Traffic};
use zepto_integration::place::{is_soak, seed};

use crate::cluster_copies::{all_copies, counted};

const NODES: usize = 3;
/// The storage node that is cut off, and the two others.
const VICTIM: usize = 1;
const OTHERS: [usize; 2] = [0, 2];
/// Readers: one at each storage node, and this one at the ingest node.
const INGEST: usize = NODES;
/// Writers: two at the ingest node, one at a node that stays, one at the node that is cut off.
const AT_INGEST: [usize; 2] = [0, 1];
const NOT_CUT_OFF: [usize; 3] = [0, 1, 2];
const READ_ON: [usize; 3] = [OTHERS[0], OTHERS[1], INGEST];
const ALL: [usize; 4] = [0, 1, 2, 3];
/// What anything may take that has no bound of its own.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a count is given: none may need it at a door that has a way to all owners.
const COUNT_SECONDS: u64 = 60;

/// Short times in a test run, those of a user in a soak.
fn pace() -> Pace {
    if is_soak() { Pace::Usual } else { Pace::Short }
}

/// How long anybody who has a way to the others may wait: dead is a silent node after 10 s with a user's times, after 4 s
/// here.
fn wait_max() -> Duration {
    Duration::from_secs(if is_soak() { 15 } else { 9 })
}

/// A cut lasts longer than any lease, and longer than a node may be silent.
fn cut_min() -> Duration {
    Duration::from_secs(if is_soak() { 16 } else { 6 })
}

fn storage(node: usize) -> Peer {
    Peer::Storage(node as u8)
}

/// A cluster in the middle of its work.
struct Scene {
    cluster: Cluster,
    writers: Vec<Writer>,
    doors: Doors,
}

#[expect(clippy::print_stdout, reason = "what a test has seen")]
impl Scene {
    fn new() -> Result<Self> {
        let cluster = Cluster::with_network(env!("CARGO_TARGET_TMPDIR"), NODES, pace())?;
        all_copies(&cluster)?;
        cluster.ingest()?.connect()?.query(ledger::TABLE)?;
        let seed = seed()?;
        println!("seed {seed}");
        let writers = ALL.iter().map(|number| Writer::new(*number as u32, seed)).collect();
        let ingest = cluster.ingest()?.address();
        let storage = (0..NODES).map(|node| Ok(cluster.storage(node)?.address()));
        let readers = storage.chain([Ok(ingest)]).collect::<Result<Vec<SocketAddr>>>()?;
        let writers_at = vec![ingest, ingest, readers[OTHERS[0]], readers[VICTIM]];
        let doors = Doors { writers: writers_at, readers, count_seconds: COUNT_SECONDS };
        Ok(Self { cluster, writers, doors })
    }

    /// Cuts, sees what the cluster makes of it, heals, and sees that all is as before.
    fn play(&mut self, cut: &Cut<'_>) -> Result<()> {
        let Self { cluster, writers, doors } = self;
        let network = cluster.network()?;
        let (longest, seen) = under_load(doors, writers, |load| {
            load.more_rows(&ALL, 200, PATIENCE)?;
            let before = cut.stopped(network)?;
            load.forget_waits();
            let begun = Instant::now();
            for (from, to) in &cut.ways {
                network.cut(*from, *to, cut.traffic)?;
            }
            (cut.shows)(cluster, load)?;
            load.more_rows(cut.go_on, 400, PATIENCE)?;
            while begun.elapsed() < cut_min() {
                load.more_rows(cut.go_on, 1, PATIENCE)?;
            }
            let answers = load.answers();
            eventually(wait_max(), || {
                let now = load.answers();
                let silent = cut.read_on.iter().find(|reader| now[**reader] == answers[**reader]);
                ensure!(silent.is_none(), "reader {silent:?} gets no answer while the cut lasts");
                Ok(())
            })?;
            for ((now, before), way) in cut.stopped(network)?.iter().zip(&before).zip(&cut.ways) {
                ensure!(now > before, "nothing was on its way {way:?}: the cut has cut nothing");
            }
            let lasted = begun.elapsed();
            network.heal();
            let back = load.more_rows(&ALL, 100, PATIENCE)?;
            let longest = load.longest_wait(cut.go_on);
            all_copies(cluster)?;
            all_active(cluster)?;
            println!(
                "{}: cut for {lasted:.1?}, the longest wait {longest:.1?}, all again after {back:.1?}",
                cut.name
            );
            Ok(longest)
        })?;
        let stored = ledger::audit_nodes(&mut cluster.connect_all()?, writers)?;
        let acknowledged: u64 = writers.iter().map(Writer::acknowledged).sum();
        println!("1 cuts: {}, {acknowledged} rows acknowledged, {stored} stored; {seen:?}", cut.name);
        ensure!(longest <= wait_max(), "{}: a writer waited {longest:?}", cut.name);
        ensure!(counted(cluster, "zepto_two_owners_total")? == 0, "two nodes spoke under one epoch");
        ensure!(seen.iter().all(|it| it.answers > 0), "every node counts: {seen:?}");
        let slow = cut.read_on.iter().map(|reader| seen[*reader].longest).max().unwrap_or_default();
        ensure!(slow <= wait_max(), "{}: a count had no answer for {slow:?}", cut.name);
        Ok(())
    }
}

/// A fault of the network.
struct Cut<'a> {
    name: &'a str,
    ways: Vec<(Peer, Peer)>,
    traffic: Traffic,
    /// Waits for what the processes make of it.
    shows: &'a dyn Fn(&Cluster, &Running) -> Result<()>,
    /// Writers that have a way to all owners.
    go_on: &'a [usize],
    /// Readers whose node has a way to all owners, before or after.
    read_on: &'a [usize],
}

impl Cut<'_> {
    /// What was kept of each of its ways and the way back.
    fn stopped(&self, network: &Network) -> Result<Vec<u64>> {
        let kept = |from, to| -> Result<u64> {
            let counts = network.counts(from, to)?;
            Ok(if self.traffic == Traffic::Udp { counts.lost } else { counts.held })
        };
        self.ways.iter().map(|(from, to)| Ok(kept(*from, *to)? + kept(*to, *from)?)).collect()
    }
}

/// Both directions between one and each of the others.
fn between(one: Peer, others: &[Peer]) -> Vec<(Peer, Peer)> {
    [to_each(one, others), from_each(others, one)].concat()
}

fn to_each(one: Peer, others: &[Peer]) -> Vec<(Peer, Peer)> {
    others.iter().map(|other| (one, *other)).collect()
}

fn from_each(others: &[Peer], one: Peer) -> Vec<(Peer, Peer)> {
    others.iter().map(|other| (*other, one)).collect()
}

/// The state of a node as somebody shows it.
fn state_in(shown: &Value, node: usize) -> Result<String> {
    let nodes = shown["nodes"].as_array().context("there are nodes")?;
    let known = nodes.iter().find(|it| it["id"] == node).with_context(|| format!("node {node} is known"))?;
    Ok(known["state"].as_str().context("a state")?.to_owned())
}

/// The state of a storage node as another one shows it.
fn state_at(cluster: &Cluster, door: usize, node: usize) -> Result<String> {
    let response = cluster.storage(door)?.connect()?.send(&Request::get("/admin/nodes"))?;
    ensure!(response.status == 200, "{}", response.text());
    state_in(&serde_json::from_slice(&response.body)?, node)
}

/// The state of a storage node as the coordinator shows it.
fn state(cluster: &Cluster, node: usize) -> Result<String> {
    state_in(&cluster.status()?, node)
}

fn all_active(cluster: &Cluster) -> Result<()> {
    eventually(PATIENCE, || {
        for node in 0..NODES {
            let state = state(cluster, node)?;
            ensure!(state == "ACTIVE", "node {node} is {state}");
        }
        Ok(())
    })
}

/// Waits until the node that is cut off was called dead and others own its partitions.
fn relieved(cluster: &Cluster, _: &Running) -> Result<()> {
    eventually(PATIENCE, || {
        let (state, owners) = (state(cluster, VICTIM)?, cluster.owners()?);
        let owned = owners.values().filter(|owner| **owner == VICTIM as u64).count();
        ensure!(state == "DEAD" && owned == 0, "the node that is cut off is {state} and owns {owned}");
        Ok(())
    })
}

/// Waits until the sets are smaller; nobody is dead, and the node that is cut off owns what it did.
fn alone(cluster: &Cluster, load: &Running) -> Result<()> {
    let before = cluster.owners()?;
    eventually(PATIENCE, || {
        let status = cluster.status()?;
        let partitions = status["partitions"].as_array().context("there is a placement")?;
        let single = |it: &&Value| it["owner"] == VICTIM && it["followers"] == serde_json::json!([]);
        let (single, owned) =
            (partitions.iter().filter(single).count(), before.values().filter(|it| **it == VICTIM as u64));
        ensure!(single == owned.count(), "{single} partitions of the node that is cut off are alone");
        Ok(())
    })?;
    load.more_rows(&AT_INGEST, 400, PATIENCE)?;
    ensure!(cluster.owners()? == before, "a partition has another owner although every owner is heard");
    all_active(cluster)
}

#[test]
fn an_owner_cut_from_the_coordinator_is_relieved_and_neither_side_takes_a_row_that_is_lost() -> Result<()> {
    Scene::new()?.play(&Cut {
        name: "owner and coordinator",
        ways: between(storage(VICTIM), &[Peer::Coordinator]),
        traffic: Traffic::All,
        shows: &relieved,
        go_on: &NOT_CUT_OFF,
        read_on: &READ_ON,
    })
}

#[test]
fn an_owner_cut_from_its_followers_goes_on_alone_and_they_catch_up() -> Result<()> {
    Scene::new()?.play(&Cut {
        name: "owner and followers",
        ways: between(storage(VICTIM), &OTHERS.map(storage)),
        traffic: Traffic::All,
        shows: &alone,
        // Who comes by a storage node has no way to one side or the other.
        go_on: &AT_INGEST,
        read_on: &[],
    })
}

#[test]
fn a_cut_in_one_direction_only_splits_nothing() -> Result<()> {
    let mut scene = Scene::new()?;
    let (victim, others) = (storage(VICTIM), OTHERS.map(storage));
    scene.play(&Cut {
        name: "owner to coordinator",
        ways: vec![(victim, Peer::Coordinator)],
        traffic: Traffic::All,
        shows: &relieved,
        go_on: &NOT_CUT_OFF,
        read_on: &READ_ON,
    })?;
    scene.play(&Cut {
        name: "owner to followers",
        ways: to_each(victim, &others),
        traffic: Traffic::All,
        shows: &alone,
        go_on: &AT_INGEST,
        read_on: &[],
    })?;
    scene.play(&Cut {
        name: "followers to owner",
        ways: from_each(&others, victim),
        traffic: Traffic::All,
        shows: &alone,
        go_on: &AT_INGEST,
        read_on: &[],
    })
}

/// Waits until each suspects each other; nothing else changes.
fn suspected(cluster: &Cluster, load: &Running) -> Result<()> {
    let before = cluster.owners()?;
    eventually(PATIENCE, || {
        for (node, other) in [(0, 1), (1, 2), (2, 0)] {
            let state = state_at(cluster, node, other)?;
            ensure!(state == "SUSPECT", "node {node} calls node {other} {state}");
        }
        Ok(())
    })?;
    load.more_rows(&ALL, 4_000, PATIENCE)?;
    ensure!(cluster.owners()? == before, "a partition has another owner although every call arrives");
    all_active(cluster)
}

#[test]
fn without_heartbeats_nodes_are_suspected_and_nothing_else_changes() -> Result<()> {
    let mut scene = Scene::new()?;
    let peers = scene.cluster.network()?.peers();
    let ways = peers.iter().flat_map(|one| to_each(*one, &peers)).filter(|(from, to)| from != to).collect();
    scene.play(&Cut {
        name: "heartbeats",
        ways,
        traffic: Traffic::Udp,
        shows: &suspected,
        go_on: &ALL,
        read_on: &[0, 1, 2, INGEST],
    })?;
    eventually(PATIENCE, || {
        let state = state_at(&scene.cluster, 0, VICTIM)?;
        ensure!(state == "ACTIVE", "node 0 calls node {VICTIM} {state}");
        Ok(())
    })
}

#[test]
fn an_owner_whose_heartbeats_alone_arrive_is_relieved() -> Result<()> {
    let mut scene = Scene::new()?;
    let victim = storage(VICTIM);
    let others = [Peer::Coordinator, Peer::Ingest, storage(OTHERS[0]), storage(OTHERS[1])];
    let heard = |cluster: &Cluster, load: &Running| -> Result<()> {
        let network = cluster.network()?;
        let before = network.counts(victim, Peer::Coordinator)?.datagrams;
        relieved(cluster, load)?;
        let after = network.counts(victim, Peer::Coordinator)?.datagrams;
        ensure!(after > before, "no heartbeat arrived: everything was cut");
        Ok(())
    };
    scene.play(&Cut {
        name: "all but heartbeats",
        ways: between(victim, &others),
        traffic: Traffic::Tcp,
        shows: &heard,
        go_on: &NOT_CUT_OFF,
        read_on: &READ_ON,
    })
}
