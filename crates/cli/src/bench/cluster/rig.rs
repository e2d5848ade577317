//! A cluster started for a measurement: one coordinator, storage nodes, one ingest node, each a process.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use zepto_harness::node::{START_WAIT, program_named};
use zepto_harness::{Connection, Launch, Node, Request};

use super::super::Bench;
use super::super::load::{Door, pause};
use super::super::rig::{
    IDLE_CPU, LOG_FILTER, SETTLE_MAX, SETTLE_PAUSE, SETTLE_QUIET, create_table, data_root,
};

/// Longest wait for a placement in which every storage node owns partitions and every copy is in sync.
const PLACED_WAIT: Duration = Duration::from_secs(60);

/// Processor time by role.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ClusterCost {
    /// Of the ingest node.
    pub(super) ingest: Duration,
    /// Of all storage nodes together.
    pub(super) storage: Duration,
    /// Of the coordinator.
    pub(super) coordinator: Duration,
}

impl ClusterCost {
    /// Of all processes.
    pub(super) fn all(&self) -> Duration {
        self.ingest + self.storage + self.coordinator
    }

    /// What has been spent since.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            ingest: self.ingest.saturating_sub(before.ingest),
            storage: self.storage.saturating_sub(before.storage),
            coordinator: self.coordinator.saturating_sub(before.coordinator),
        }
    }
}

/// The processes; killed when dropped.
pub(super) struct ClusterRig {
    ingest: Node,
    storage: Vec<Node>,
    coordinator: Node,
    /// Removed with its contents when the rig goes.
    _folder: TempDir,
}

impl Door for ClusterRig {
    fn connect(&self) -> Result<Connection> {
        self.ingest.connect().context("cannot connect to the ingest node")
    }
}

impl ClusterRig {
    /// A fresh cluster with the usual times; every storage node owns partitions, and no copy is missing.
    pub(super) fn start(options: &Bench, nodes: usize, copies: u8) -> Result<Self> {
        let folder = TempDir::with_prefix_in("bench-cluster-", data_root(options)?)?;
        let factor = copies.to_string();
        let coordinator = launch(folder.path(), "zepto_coordinator", "coordinator")?
            .flag("--replication-factor")
            .flag(&factor)
            .start()?;
        let rpc = coordinator.rpc_address().context("a coordinator has an RPC address")?.to_string();
        let member = |program, name: &str| -> Result<Launch> {
            Ok(launch(folder.path(), program, name)?.flag("--coordinator").flag(&rpc))
        };
        // All listen before one is waited for: the first placement is over those that are there.
        let storage = (0..nodes).map(|number| {
            let launch = member("zepto_storage_node", &format!("storage-{number}"))?;
            Ok(launch.flag("--node-id").flag(number.to_string()).start_listening()?)
        });
        let storage = storage.collect::<Result<Vec<Node>>>()?;
        for node in &storage {
            node.wait_ready(START_WAIT)?;
        }
        let ingest = member("zepto_ingest_node", "ingest")?.diskless().start()?;
        let rig = Self { ingest, storage, coordinator, _folder: folder };
        rig.wait_placed()?;
        Ok(rig)
    }

    fn wait_placed(&self) -> Result<()> {
        let deadline = Instant::now() + PLACED_WAIT;
        loop {
            let text =
                self.coordinator.connect()?.send(&zepto_harness::Request::get("/admin/cluster"))?.text();
            let status: serde_json::Value =
                serde_json::from_str(&text).context("the coordinator's status")?;
            let owners: std::collections::BTreeSet<u64> = status["partitions"]
                .as_array()
                .context("there is a placement")?
                .iter()
                .filter_map(|partition| partition["owner"].as_u64())
                .collect();
            let missing = status["under_replicated"].as_u64().unwrap_or(0);
            if owners.len() == self.storage.len() && missing == 0 {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "after a minute {owners:?} own partitions, {missing} lack copies"
            );
            pause(SETTLE_PAUSE);
        }
    }

    /// Makes the table that all measurements use.
    pub(super) fn create_table(&self, name: &str) -> Result<()> {
        self.connect()?.query(&create_table(name))?;
        Ok(())
    }

    /// A connection to a storage node.
    pub(super) fn storage(&self, number: usize) -> Result<Connection> {
        let node = self.storage.get(number).with_context(|| format!("there is no storage node {number}"))?;
        Ok(node.connect()?)
    }

    /// Rows of a table, over all nodes.
    pub(super) fn rows(&self, table: &str) -> Result<u64> {
        let text = self.storage(0)?.query(&format!("SELECT count() FROM {table}"))?;
        text.trim().parse().with_context(|| format!("{text} is no number of rows"))
    }

    /// What the processes have cost so far.
    pub(super) fn cost(&self) -> Result<ClusterCost> {
        let mut storage = Duration::ZERO;
        for node in &self.storage {
            storage += node.cost()?.cpu;
        }
        Ok(ClusterCost {
            ingest: self.ingest.cost()?.cpu,
            storage,
            coordinator: self.coordinator.cost()?.cpu,
        })
    }

    /// Has every storage node put the rows of its memtables in order and on disk: a snapshot does.
    pub(super) fn flush(&self) -> Result<()> {
        for number in 0..self.storage.len() {
            let flushed =
                self.storage(number)?.send(&Request::new("POST", "/admin/snapshot", &[], &[][..]))?;
            ensure!(flushed.status == 200, "storage node {number} did not flush: {}", flushed.text());
        }
        Ok(())
    }

    /// Waits until the processors are idle but for signs of life.
    pub(super) fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + SETTLE_MAX;
        let processes = u32::try_from(self.storage.len() + 2)?;
        let mut quiet = 0;
        let mut before = self.cost()?;
        while quiet < SETTLE_QUIET {
            if Instant::now() > deadline {
                bail!("the cluster did not come to rest within {} s", SETTLE_MAX.as_secs());
            }
            pause(SETTLE_PAUSE);
            let now = self.cost()?;
            quiet = if now.since(&before).all() < IDLE_CPU * processes { quiet + 1 } else { 0 };
            before = now;
        }
        Ok(())
    }
}

/// A program of the cluster with what all of them are told.
fn launch(folder: &Path, program: &str, name: &str) -> Result<Launch> {
    let launch = Launch::new(&program_named(program)?, &folder.join(name));
    let log = ["--log-level", LOG_FILTER, "--log-format", "json"];
    Ok(log.into_iter().fold(launch, Launch::flag))
}
