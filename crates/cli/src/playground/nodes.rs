//! The processes of the playground as tasks of this one: a whole cluster, or one storage node alone. Everything listens
//! on loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::runtime::Runtime;
use zepto_coordinator::server::Listeners;
use zepto_coordinator::{Coordinator, Times};
use zepto_harness::{Connection, Request, Response};
use zepto_ingest_node::IngestNode;
use zepto_process::{memory, telemetry};
use zepto_storage_node::{Config, RunningNode, StartError, start};

/// Storage nodes of the cluster.
const STORAGE_NODES: u32 = 3;
/// Copies of each partition.
const COPIES: u8 = 2;
/// Port of the first storage node that is tried first when none is asked for, and those of the ingest node and the
/// coordinator beside it.
const PORT: u16 = 8123;
/// Between two signs of life: a cluster in one process need not be patient.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long the first placement waits for more nodes: they start at the same time.
const SETTLE: Duration = Duration::from_secs(1);
/// How long all nodes may take to be ready.
const READY_WAIT: Duration = Duration::from_secs(120);
/// Between two questions whether one is.
const READY_PAUSE: Duration = Duration::from_millis(20);

/// What runs.
pub(super) enum Nodes {
    /// One storage node that is a database by itself.
    Single(Box<RunningNode>),
    /// One coordinator, storage nodes, one ingest node.
    Cluster(Box<Cluster>),
}

/// A whole cluster.
pub(super) struct Cluster {
    runtime: Runtime,
    coordinator: Coordinator,
    storage: Vec<RunningNode>,
    ingest: IngestNode,
}

impl Nodes {
    /// One node on the port asked for, or on 8123, or on any.
    pub(super) fn single(folder: &Path, port: Option<u16>) -> Result<Self> {
        let config = |port| {
            let mut config = Config { http_port: port, ..Config::default() };
            config.config.data_dir = folder.to_path_buf();
            config
        };
        Ok(Self::Single(Box::new(on_port(port, |port| start(config(port)))?)))
    }

    /// A cluster; its first storage node on the port asked for, or on 8123, or on any.
    pub(super) fn cluster(folder: &Path, port: Option<u16>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("playground")
            .enable_all()
            .build()?;
        let coordinator = runtime.block_on(coordinator(folder, port))?;
        let rpc = coordinator.rpc_address();
        // At the same time: the first placement is over those that are there.
        let starting: Vec<_> = (0..STORAGE_NODES)
            .map(|node| {
                let config = move |port| storage_config(node, port, rpc);
                let folder = folder.join(format!("storage-{node}"));
                let port = if node == 0 { port } else { Some(0) };
                thread::spawn(move || {
                    on_port(port, |port| {
                        let mut config = config(port);
                        config.config.data_dir.clone_from(&folder);
                        start(config)
                    })
                })
            })
            .collect();
        let started: Vec<Result<RunningNode>> = starting
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("a storage node's start panicked")))
            .collect();
        let storage = started.into_iter().collect::<Result<Vec<_>>>()?;
        let ingest = runtime.block_on(ingest(folder, port, rpc))?;
        let cluster = Cluster { runtime, coordinator, storage, ingest };
        for address in cluster.doors() {
            wait_until(address, "/ready", |answer| answer.status == 200)?;
        }
        // The nodes are ready before the coordinator has heard so.
        wait_until(cluster.ingest.http_address(), "/admin/cluster", |answer| {
            answer.status == 200 && !answer.text().contains("\"JOINING\"")
        })?;
        Ok(Self::Cluster(Box::new(cluster)))
    }

    /// Where rows go in, and questions are asked.
    pub(super) fn front(&self) -> SocketAddr {
        match self {
            Self::Single(node) => node.http_address(),
            Self::Cluster(cluster) => cluster.ingest.http_address(),
        }
    }

    /// What runs where, for people.
    pub(super) fn describe(&self) -> Result<String> {
        let Self::Cluster(cluster) = self else {
            return Ok(format!("One storage node is running at http://{}.\n", self.front()));
        };
        let mut text = format!(
            "A cluster is running in this process; each row has {COPIES} copies.\n\n\
             coordinator     http://{}\n",
            cluster.coordinator.http_address()
        );
        for (number, node) in cluster.storage.iter().enumerate() {
            text += &format!("storage node {number}  http://{}\n", node.http_address());
        }
        text += &format!("ingest node     http://{}\n", cluster.ingest.http_address());
        Ok(format!("{text}\n$ zepto cluster status\n{}", self.status()?.unwrap_or_default()))
    }

    /// What `zepto cluster status` prints; None for a single node.
    fn status(&self) -> Result<Option<String>> {
        let Self::Cluster(_) = self else { return Ok(None) };
        let answer = Connection::open(self.front())?.send(&Request::get("/admin/cluster"))?;
        let status: Value = serde_json::from_str(&answer.text()).context("the answer is no status")?;
        Ok(Some(crate::cluster::report(&status)))
    }

    /// Ends everything in order.
    pub(super) fn stop(self) -> Result<()> {
        let cluster = match self {
            Self::Single(node) => return Ok((*node).stop()?),
            Self::Cluster(cluster) => *cluster,
        };
        let Cluster { runtime, coordinator, storage, ingest } = cluster;
        runtime.block_on(ingest.stop())?;
        // All go: nobody is left to hand anything over to.
        let stopped: Vec<_> = storage.into_iter().map(RunningNode::stop_with_all).collect();
        runtime.block_on(coordinator.stop());
        Ok(stopped.into_iter().collect::<Result<_, _>>()?)
    }
}

impl Cluster {
    fn doors(&self) -> Vec<SocketAddr> {
        let storage = self.storage.iter().map(RunningNode::http_address);
        storage.chain([self.ingest.http_address()]).collect()
    }
}

/// Tries the port asked for, or 8123 and then any.
fn on_port<T>(asked: Option<u16>, begin: impl Fn(u16) -> Result<T, StartError>) -> Result<T> {
    if let Some(port) = asked {
        return Ok(begin(port)?);
    }
    match begin(PORT) {
        Err(StartError::System { error, .. }) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Ok(begin(0)?)
        }
        result => Ok(result?),
    }
}

/// The port beside the first storage node's that is usual, if nothing was asked for and it is free; else any.
async fn beside(asked: Option<u16>, offset: u16) -> u16 {
    let usual = PORT + offset;
    let free = asked.is_none() && tokio::net::TcpListener::bind(("127.0.0.1", usual)).await.is_ok();
    if free { usual } else { 0 }
}

async fn coordinator(folder: &Path, asked: Option<u16>) -> Result<Coordinator> {
    let alone = zepto_coordinator::Options::alone(folder.join("coordinator"));
    let options = zepto_coordinator::Options {
        http_port: beside(asked, 2).await,
        replication_factor: COPIES,
        times: Times { interval: INTERVAL, settle: SETTLE, ..Times::default() },
        ..alone
    };
    let listeners = Listeners::bind(&options).await?;
    Ok(Coordinator::start(options, listeners).await?)
}

fn storage_config(node: u32, port: u16, coordinator: SocketAddr) -> Config {
    let mut config = Config { http_port: port, node_id: node, ..Config::default() };
    // They share the machine.
    config.memory_limit = (memory::memory_limit_default() / u64::from(STORAGE_NODES)).max(256 << 20);
    config.cluster.coordinators = vec![coordinator.to_string()];
    config.cluster.rpc_port = Some(0);
    config.cluster.heartbeat_port = Some(0);
    config.cluster.heartbeat_interval_ms = INTERVAL.as_millis() as u64;
    config
}

async fn ingest(folder: &Path, asked: Option<u16>, coordinator: SocketAddr) -> Result<IngestNode> {
    let mut config = zepto_ingest_node::Config { http_port: beside(asked, 1).await, ..Default::default() };
    config.config.data_dir = Some(folder.join("ingest"));
    config.pod_name = Some("playground".to_owned());
    config.cluster.coordinators = vec![coordinator.to_string()];
    config.cluster.rpc_port = Some(0);
    config.cluster.heartbeat_port = Some(0);
    config.cluster.heartbeat_interval_ms = INTERVAL.as_millis() as u64;
    let metrics = telemetry::metrics_handle().map_err(anyhow::Error::msg)?;
    Ok(IngestNode::start(config, metrics).await?)
}

fn wait_until(address: SocketAddr, path: &str, is_so: impl Fn(&Response) -> bool) -> Result<()> {
    let begun = Instant::now();
    loop {
        let answer = Connection::open(address)?.send(&Request::get(path))?;
        if is_so(&answer) {
            return Ok(());
        }
        if begun.elapsed() > READY_WAIT {
            bail!("http://{address} is not ready: {}", answer.text());
        }
        thread::park_timeout(READY_PAUSE);
    }
}
