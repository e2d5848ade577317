//! A cluster of real processes on loopback: one coordinator, storage nodes, one ingest node. Each can be killed and
//! started again.

mod situation;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use zepto_harness::node::{START_WAIT, program_named};
use zepto_harness::{Connection, Launch, Node, Request};

use crate::network::{Network, Peer};

/// Between two signs of life, and until a silent node is suspected and dead: shorter than a user would set them.
const TIMES: [&str; 6] = ["--heartbeat-interval-ms", "200", "--suspect-ms", "1000", "--dead-ms", "4000"];
/// How long an answer of a copy holds, and its silence is borne: below the time in which a node is dead.
const LEASES: [&str; 4] = ["--lease-ms", "1500", "--replicate-timeout-ms", "600"];
/// Configuration of the ingest node, where it has one.
const INGEST_CONFIG: &str = "ingest.yaml";
/// Pause between two looks at something that is awaited.
const PAUSE: Duration = Duration::from_millis(50);

/// How soon a silent process is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Sooner than a user would have it: a node is dead after 4 s.
    Short,
    /// As the programs do by themselves: after 10 s.
    Usual,
}

/// How the processes are started.
#[derive(Debug)]
struct Plan {
    folder: TempDir,
    /// Copies of each partition.
    copies: usize,
    pace: Pace,
    /// What lies between them, if its ways can be cut.
    network: Option<Network>,
    /// Copies in sync below which no set shrinks.
    min_in_sync: usize,
    /// More flags of the storage nodes and the ingest node.
    node_flags: Vec<String>,
}

/// The processes; killed when dropped.
#[derive(Debug)]
pub struct Cluster {
    coordinator: Option<Node>,
    coordinator_rpc: SocketAddr,
    storage: Vec<Option<Node>>,
    ingest: Option<Node>,
    /// Last: the processes end before the ground goes that they stand on.
    plan: Plan,
}

impl Cluster {
    /// As [`Self::with_copies`], with one copy of each partition.
    ///
    /// # Errors
    /// As there.
    pub fn start(root: &str, nodes: usize) -> Result<Self> {
        Self::with_copies(root, nodes, 1)
    }

    /// Starts a coordinator, so many storage nodes and an ingest node; all are ready and every storage node owns
    /// partitions.
    ///
    /// # Errors
    /// A program that was not built or does not become ready.
    pub fn with_copies(root: &str, nodes: usize, copies: usize) -> Result<Self> {
        Self::run(Plan::new(root, copies)?, nodes)
    }

    /// As [`Self::with_copies`], with two copies and a network between the processes whose ways can be cut.
    ///
    /// # Errors
    /// As there.
    pub fn with_network(root: &str, nodes: usize, pace: Pace) -> Result<Self> {
        Self::run(Plan { pace, network: Some(Network::new(nodes)?), ..Plan::new(root, 2)? }, nodes)
    }

    /// As [`Self::with_copies`], with two copies and more flags for the storage nodes and the ingest node.
    ///
    /// # Errors
    /// As there.
    pub fn with_flags(root: &str, nodes: usize, flags: &[&str]) -> Result<Self> {
        let node_flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self::run(Plan { node_flags, ..Plan::new(root, 2)? }, nodes)
    }

    /// As [`Self::with_copies`], with so many copies in sync below which no set shrinks.
    ///
    /// # Errors
    /// As there.
    pub fn with_min_in_sync(root: &str, nodes: usize, copies: usize, min_in_sync: usize) -> Result<Self> {
        Self::run(Plan { min_in_sync, ..Plan::new(root, copies)? }, nodes)
    }

    fn run(plan: Plan, nodes: usize) -> Result<Self> {
        let coordinator = plan.coordinator(None)?.start()?;
        let rpc = coordinator.rpc_address().context("a coordinator has an RPC address")?;
        // All listen before one is waited for: the first placement is over those that are there.
        let storage: Result<Vec<Node>> =
            (0..nodes).map(|number| Ok(plan.storage(rpc, number)?.start_listening()?)).collect();
        let storage = storage?;
        for node in &storage {
            node.wait_ready(START_WAIT)?;
        }
        let ingest = Some(plan.ingest(rpc)?.start()?);
        let storage = storage.into_iter().map(Some).collect();
        let cluster = Self { plan, coordinator: Some(coordinator), coordinator_rpc: rpc, storage, ingest };
        let owners = cluster.owners()?;
        for number in 0..nodes {
            let owned = owners.values().filter(|owner| **owner == number as u64).count();
            ensure!(owned > 0, "node {number} owns nothing of the first placement: {owners:?}");
        }
        Ok(cluster)
    }

    /// What lies between the processes.
    ///
    /// # Errors
    /// It was started without a network that can be cut.
    pub fn network(&self) -> Result<&Network> {
        self.plan.network.as_ref().context("the cluster has a network of its own")
    }

    /// Gives the ingest node a configuration, and starts it again with that.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn configure_ingest(&mut self, text: &str) -> Result<()> {
        std::fs::write(self.plan.folder.path().join(INGEST_CONFIG), text)?;
        self.restart_ingest()
    }

    /// Starts one more ingest node, with this configuration and id; the caller has it.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn another_ingest(&self, text: &str, id: u32) -> Result<Node> {
        let name = format!("ingest-{id}");
        let config = self.plan.folder.path().join(format!("{name}.yaml"));
        std::fs::write(&config, text)?;
        let launch = self.plan.launch("zepto_ingest_node", &name, Peer::Ingest, &TIMES[..2])?;
        let launch = self.plan.told(launch, self.coordinator_rpc).flag("--node-id").flag(id.to_string());
        Ok(launch.flag("--config").flag(config.display().to_string()).start()?)
    }

    /// What the ingest node has written into its log.
    ///
    /// # Errors
    /// There is none.
    pub fn ingest_log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.plan.folder.path().join("ingest.log"))?)
    }

    /// The ingest node.
    ///
    /// # Errors
    /// It was killed, and did not start again.
    pub fn ingest(&self) -> Result<&Node> {
        self.ingest.as_ref().context("the ingest node runs")
    }

    /// kill -9 for the ingest node, which is started again where it was.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn restart_ingest(&mut self) -> Result<()> {
        let address = self.kill_ingest()?;
        self.start_ingest_at(address)
    }

    /// kill -9 for the ingest node; where it was.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill_ingest(&mut self) -> Result<SocketAddr> {
        let node = self.ingest.take().context("the ingest node runs")?;
        let address = node.address();
        node.kill()?;
        Ok(address)
    }

    /// Starts the ingest node where it was.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_ingest_at(&mut self, address: SocketAddr) -> Result<()> {
        let mut launch = self.plan.ingest(self.coordinator_rpc)?;
        if self.plan.network.is_none() {
            launch.http_port = address.port();
            for port in ["--rpc-port", "--heartbeat-port"] {
                launch = launch.flag(port).flag("0");
            }
        }
        self.ingest = Some(launch.start()?);
        Ok(())
    }

    /// A storage node that runs.
    ///
    /// # Errors
    /// It was killed.
    pub fn storage(&self, number: usize) -> Result<&Node> {
        self.storage[number].as_ref().with_context(|| format!("storage node {number} runs"))
    }

    /// Connections to all storage nodes.
    ///
    /// # Errors
    /// One is away.
    pub fn connect_storage(&self) -> Result<Vec<Connection>> {
        (0..self.storage.len()).map(|number| Ok(self.storage(number)?.connect()?)).collect()
    }

    /// Connections to the storage nodes that run.
    ///
    /// # Errors
    /// One does not answer.
    pub fn connect_running(&self) -> Result<Vec<Connection>> {
        self.storage.iter().flatten().map(|node| Ok(node.connect()?)).collect()
    }

    /// Connections to all doors: the storage nodes, then the ingest node.
    ///
    /// # Errors
    /// One is away.
    pub fn connect_all(&self) -> Result<Vec<Connection>> {
        let mut all = self.connect_storage()?;
        all.push(self.ingest()?.connect()?);
        Ok(all)
    }

    /// The number that every storage node gives for a statement, over the rows of all.
    ///
    /// # Errors
    /// A node that is away, an answer that is no number, or two different ones.
    pub fn number(&self, sql: &str) -> Result<u64> {
        let numbers = self.numbers(sql)?;
        ensure!(numbers.windows(2).all(|two| two[0] == two[1]), "{sql}: the nodes say {numbers:?}");
        numbers.first().copied().context("there is a storage node")
    }

    /// Rows of a table that each storage node has.
    ///
    /// # Errors
    /// As [`Self::numbers`].
    pub fn own_rows(&self, table: &str) -> Result<Vec<u64>> {
        self.numbers(&format!("SELECT sum(rows) FROM system.parts WHERE table = '{table}'"))
    }

    /// The number that each storage node gives for a statement.
    ///
    /// # Errors
    /// A node that is away, or an answer that is no number.
    pub fn numbers(&self, sql: &str) -> Result<Vec<u64>> {
        let numbers = self.connect_storage()?;
        numbers.into_iter().map(|mut node| Ok(node.query(sql)?.trim().parse()?)).collect()
    }

    /// kill -9 for a storage node; the addresses that it had.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill_storage(&mut self, number: usize) -> Result<(SocketAddr, SocketAddr)> {
        let node = self.storage[number].take().context("it runs")?;
        let addresses = (node.address(), node.rpc_address().context("a storage node has an RPC address")?);
        node.kill()?;
        Ok(addresses)
    }

    /// Asks a storage node to end in order, and waits until it has.
    ///
    /// # Errors
    /// It does not run, or ends badly.
    pub fn stop_storage(&mut self, number: usize) -> Result<()> {
        let status = self.storage[number].take().context("it runs")?.terminate()?;
        ensure!(status.success(), "storage node {number} ended with {status}");
        Ok(())
    }

    /// Starts a storage node again on any ports, and waits until it is ready.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_storage(&mut self, number: usize) -> Result<()> {
        let launch = self.plan.storage(self.coordinator_rpc, number)?;
        self.storage[number] = Some(launch.start()?);
        Ok(())
    }

    /// Starts one more storage node, and waits until it is ready; its number.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn add_storage(&mut self) -> Result<usize> {
        self.storage.push(None);
        let number = self.storage.len() - 1;
        self.start_storage(number)?;
        Ok(number)
    }

    /// Removes the data directory of a storage node that does not run: its next start makes another disk.
    ///
    /// # Errors
    /// The folder cannot be removed.
    pub fn lose_disk(&self, number: usize) -> Result<()> {
        ensure!(self.storage[number].is_none(), "storage node {number} runs");
        Ok(std::fs::remove_dir_all(self.plan.folder.path().join(format!("storage-{number}")))?)
    }

    /// Starts a storage node again where it was.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_storage_at(&mut self, number: usize, (http, rpc): (SocketAddr, SocketAddr)) -> Result<()> {
        let mut launch = self.plan.storage(self.coordinator_rpc, number)?;
        launch.http_port = http.port();
        let launch = launch.flag("--rpc-port").flag(rpc.port().to_string());
        self.storage[number] = Some(launch.flag("--heartbeat-port").flag("0").start()?);
        Ok(())
    }

    /// kill -9 for the coordinator.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill_coordinator(&mut self) -> Result<()> {
        self.coordinator.take().context("it runs")?.kill()?;
        Ok(())
    }

    /// Starts the coordinator again, where it was.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn start_coordinator(&mut self) -> Result<()> {
        let launch = self.plan.coordinator(Some(self.coordinator_rpc))?;
        self.coordinator = Some(launch.start()?);
        Ok(())
    }

    /// What the coordinator says of the cluster.
    ///
    /// # Errors
    /// It is away.
    pub fn status(&self) -> Result<Value> {
        let coordinator = self.coordinator.as_ref().context("the coordinator runs")?;
        let response = coordinator.connect()?.send(&Request::get("/admin/cluster"))?;
        ensure!(response.status == 200, "{}", response.text());
        Ok(serde_json::from_slice(&response.body)?)
    }

    /// Whether the coordinator knows that a node was told to end.
    ///
    /// # Errors
    /// The coordinator is away, or does not know the node.
    pub fn is_stopping(&self, node: usize) -> Result<bool> {
        let status = self.status()?;
        let nodes = status["nodes"].as_array().context("there are nodes")?;
        let known = nodes.iter().find(|it| it["id"] == node);
        known.and_then(|it| it["stopping"].as_bool()).with_context(|| format!("node {node} is known"))
    }

    /// All copies in sync: partition and node.
    ///
    /// # Errors
    /// The coordinator is away, or has no placement.
    pub fn copies(&self) -> Result<BTreeSet<(u64, u64)>> {
        let status = self.status()?;
        let partitions = status["partitions"].as_array().context("there is a placement")?;
        let of = |it: &Value| {
            let followers = it["followers"].as_array()?.iter().filter_map(Value::as_u64);
            let (partition, owner) = (it["partition"].as_u64()?, it["owner"].as_u64()?);
            Some(followers.chain([owner]).map(|node| (partition, node)).collect::<Vec<_>>())
        };
        let copies: Option<Vec<_>> = partitions.iter().map(of).collect();
        Ok(copies.context("a partition has copies")?.into_iter().flatten().collect())
    }

    /// Asks the ingest node's door; the status and what it says.
    ///
    /// # Errors
    /// It is away, or its answer is no JSON.
    pub fn ask(&self, method: &str, path: &str) -> Result<(u16, Value)> {
        let request = Request::new(method, path, &[], Vec::new());
        let response = self.ingest()?.connect()?.send(&request)?;
        let value = serde_json::from_slice(&response.body).unwrap_or_else(|_| response.text().into());
        Ok((response.status, value))
    }

    /// The owner of each partition.
    ///
    /// # Errors
    /// The coordinator is away, or has no placement.
    pub fn owners(&self) -> Result<BTreeMap<u64, u64>> {
        let status = self.status()?;
        let partitions = status["partitions"].as_array().context("there is a placement")?;
        let owner = |it: &Value| Some((it["partition"].as_u64()?, it["owner"].as_u64()?));
        partitions.iter().map(owner).collect::<Option<_>>().context("a partition has an owner")
    }
}

impl Plan {
    fn new(root: &str, copies: usize) -> Result<Self> {
        let folder = TempDir::new_in(root).with_context(|| format!("cannot make a folder in {root}"))?;
        Ok(Self { folder, copies, min_in_sync: 1, pace: Pace::Short, network: None, node_flags: Vec::new() })
    }

    fn coordinator(&self, at: Option<SocketAddr>) -> Result<Launch> {
        let launch = self.launch("zepto_coordinator", "coordinator", Peer::Coordinator, &TIMES)?;
        let launch = launch.flag("--replication-factor").flag(self.copies.to_string());
        let launch = launch.flag("--min-in-sync").flag(self.min_in_sync.to_string());
        Ok(match at.filter(|_| self.network.is_none()) {
            None => launch,
            Some(rpc) => launch.flag("--rpc-port").flag(rpc.port().to_string()),
        })
    }

    fn ingest(&self, coordinator: SocketAddr) -> Result<Launch> {
        let launch = self.launch("zepto_ingest_node", "ingest", Peer::Ingest, &TIMES[..2])?;
        let launch = self.told(launch, coordinator);
        let config = self.folder.path().join(INGEST_CONFIG);
        Ok(match config.exists() {
            true => launch.flag("--config").flag(config.display().to_string()),
            false => launch,
        })
    }

    fn storage(&self, coordinator: SocketAddr, number: usize) -> Result<Launch> {
        let times = [&TIMES[..4], &LEASES].concat();
        let peer = Peer::Storage(u8::try_from(number).context("few storage nodes")?);
        let launch = self.launch("zepto_storage_node", &format!("storage-{number}"), peer, &times)?;
        Ok(self
            .told(launch, coordinator)
            .flag("--node-id")
            .flag(number.to_string())
            .flag("--leave-ms")
            .flag("0"))
    }

    /// A program of this name with its data beside those of the others.
    fn launch(&self, program: &str, data: &str, peer: Peer, times: &[&str]) -> Result<Launch> {
        let mut launch = Launch::new(&program_named(program)?, &self.folder.path().join(data));
        if self.pace == Pace::Short {
            launch = times.iter().fold(launch, |launch, flag| launch.flag(*flag));
        }
        if let Some(network) = &self.network {
            launch.http_port = network.http_port();
            launch = network.flags(peer).into_iter().fold(launch, Launch::flag);
        }
        Ok(launch)
    }

    /// Where the coordinator is, unless a network's way leads there, and what else this cluster's nodes are told.
    fn told(&self, launch: Launch, coordinator: SocketAddr) -> Launch {
        let launch = self.node_flags.iter().fold(launch, Launch::flag);
        match self.network {
            Some(_) => launch,
            None => launch.flag("--coordinator").flag(coordinator.to_string()),
        }
    }
}

/// Asks again until it is so.
///
/// # Errors
/// The last reason why not, after this time.
pub fn eventually(wait: Duration, mut look: impl FnMut() -> Result<()>) -> Result<()> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(()) => return Ok(()),
            Err(why) if begun.elapsed() > wait => return Err(why),
            Err(_) => pause(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "other processes do not tell when they are done: they are asked again"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}
