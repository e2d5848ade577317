//! Starts and stops one ingest node: the port, then the coordinators, then the door; and back in the opposite order.
//!
//! Promises: it listens at once and is not ready until it knows a placement, a catalog and a storage node; `stop`
//! finishes the requests in flight and the batches of feeds, and ends every task.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zepto_cluster::write::sink::SinkTimes;
use zepto_cluster::{EdgeIdentity, OwnerPool, PoolLimits, Pulse, RoutedSink};
use zepto_common::auth::Authenticator;
use zepto_common::ids::NodeId;
use zepto_common::service::RowSink;
use zepto_feeds::Feeds;
use zepto_http::{Door, DoorLimits, Tls, serve};
use zepto_process::parts::{read_secret, settings};
use zepto_process::{AddNode, ConfigFaults};
use zepto_proto::client::{ClientError, CoordinatorClient, Deadlines, Identity};
use zepto_proto::coordinate::Addresses;
use zepto_proto::handshake::Secret;
use zepto_proto::wire::Wire;
use zepto_tls::PeerTls;

use crate::agreed::Agreed;
use crate::beat;
use crate::config::Config;
use crate::info::IngestInfo;
use crate::memory::{Memory, Reached};
use crate::queries::NoQueries;
use crate::rpc::{self, Port};

/// Why a node did not start, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        error: std::io::Error,
    },
    /// The coordinators' addresses.
    #[error("coordinators: {0}")]
    Coordinators(#[from] ClientError),
    /// The configuration's faults.
    #[error(transparent)]
    Config(#[from] ConfigFaults),
    /// Keys, certificates, the memory or the heartbeats.
    #[error("{what}: {error} ({})", .error.code)]
    Part {
        /// What failed.
        what: &'static str,
        /// Why.
        error: zepto_common::Error,
    },
    /// The door ended by itself.
    #[error("the HTTP door ended badly: {0}")]
    Door(String),
}

/// A node in service.
pub struct IngestNode {
    http: SocketAddr,
    rpc: SocketAddr,
    heartbeat: SocketAddr,
    info: Arc<IngestInfo>,
    door: JoinSet<std::io::Result<()>>,
    tasks: JoinSet<()>,
    pulse: Arc<Pulse>,
    feeds: Feeds,
    /// Ends the door.
    shutdown: CancellationToken,
    /// Ends what the door needs.
    stop: CancellationToken,
}

/// The ports, taken before anything else so that a wrong one is found at once.
struct Ports {
    http: TcpListener,
    rpc: TcpListener,
    http_address: SocketAddr,
    rpc_address: SocketAddr,
}

impl Ports {
    async fn bind(config: &Config) -> Result<Self, StartError> {
        let (http, http_address) = listen(SocketAddr::new(config.bind, config.http_port)).await?;
        let (rpc, rpc_address) = listen(SocketAddr::new(config.bind, config.rpc_port())).await?;
        Ok(Self { http, rpc, http_address, rpc_address })
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let fault = |error| StartError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let bound = listener.local_addr().map_err(fault)?;
    Ok((listener, bound))
}

/// What routes rows and statements: made before the door.
struct Ways {
    agreed: Arc<Agreed>,
    sink: Arc<RoutedSink>,
    pool: Arc<OwnerPool>,
}

impl Ways {
    fn open(config: &Config, secret: &Secret) -> Result<Self, StartError> {
        let cluster = &config.cluster;
        let memory = Memory::open(config.config.data_dir.as_deref(), &cluster.id).map_err(part("memory"))?;
        let (node, incarnation) = (config.id(), memory.kept().incarnation);
        let identity = Identity {
            cluster_id: cluster.id.clone(),
            node_id: node.0,
            incarnation: 0,
            secret: secret.clone(),
        };
        let client = CoordinatorClient::new(&cluster.coordinators, identity, Deadlines::default())?;
        let edge = EdgeIdentity { cluster_id: cluster.id.clone(), node, incarnation, secret: secret.clone() };
        let limits = PoolLimits {
            requests_waiting: config.pipeline.ring_capacity(),
            bytes_in_flight: config.bytes_to_an_owner(),
            ..PoolLimits::default()
        };
        let pool = Arc::new(OwnerPool::new(edge, limits));
        let agreed = Agreed::new(client, pool.clone(), node, memory, added(config));
        let sink = RoutedSink::new(agreed.clone(), pool.clone(), agreed.placement(), SinkTimes::default());
        Ok(Self { agreed, sink: Arc::new(sink), pool })
    }
}

/// The storage nodes named by hand. They hear heartbeats where this node does, by custom.
fn added(config: &Config) -> BTreeMap<NodeId, Reached> {
    let beat = |host: &str| match config.heartbeat_port() {
        0 => String::new(),
        port => format!("{host}:{port}"),
    };
    let reached = |node: &AddNode| Reached {
        http: format!("{}:{}", node.host, node.http_port),
        rpc: node.rpc(config.cluster.rpc_port_offset).unwrap_or_default(),
        heartbeat: beat(&node.host),
        active: true,
    };
    config.cluster.add_nodes.iter().map(|node| (NodeId(node.id), reached(node))).collect()
}

fn part(what: &'static str) -> impl FnOnce(zepto_common::Error) -> StartError {
    move |error| StartError::Part { what, error }
}

impl IngestNode {
    /// Starts a node on the runtime of the caller.
    ///
    /// # Errors
    /// What stands in the way; coordinators that are away do not.
    pub async fn start(config: Config, metrics: PrometheusHandle) -> Result<Self, StartError> {
        config.validate()?;
        let auth = match &config.api_keys_file {
            Some(path) => Authenticator::from_file(path).map_err(part("API keys"))?,
            None => Authenticator::open(),
        };
        let tls = load_tls(&config)?;
        let text = read_secret(config.cluster.secret_file.as_deref())?;
        let tls_between = config.cluster.tls.files().map(PeerTls::load).transpose();
        let wire = tls_between.map_err(part("TLS between nodes"))?.map(|tls| Wire::tls(Arc::new(tls)));
        let secret = Secret::new(&text).over(wire.unwrap_or_default());
        let ports = Ports::bind(&config).await?;
        let (http, rpc) = (ports.http_address, ports.rpc_address);
        let Ways { agreed, sink, pool } = Ways::open(&config, &secret)?;
        let beat = beat::start(&config, &text, &agreed, (&sink, &pool), (http, rpc));
        let pulse = Arc::new(beat.await.map_err(part("heartbeats"))?);
        let heartbeat = pulse.address();
        log_start(&config, http, auth.is_open());
        let rows: Arc<dyn RowSink> = sink.clone();
        let node = config.id().0;
        let feeds = config.feeds.iter().cloned().map(|feed| feed.at_node(node)).collect();
        let feeds = Feeds::start(feeds, &rows);
        let info = Arc::new(IngestInfo::new(
            &config,
            agreed.clone(),
            sink.clone(),
            pool.clone(),
            secret.wire().peer_tls().cloned(),
            feeds.statuses(),
        ));
        let (shutdown, stop) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        let port = Port { info: info.clone(), agreed: agreed.clone(), metrics: metrics.clone(), secret };
        tasks.spawn(rpc::serve(ports.rpc, port, stop.clone()));
        tasks.spawn(agreed.clone().watch(pulse.clone(), stop.clone()));
        let addresses = advertised(&config, http, rpc, heartbeat);
        let interval = Duration::from_millis(config.cluster.heartbeat_interval_ms);
        let insert_bytes = config.insert_bytes();
        tasks.spawn(agreed.stay_alive(addresses, interval, stop.clone()));
        tracing::info!("Peer RPC server: port {}", rpc.port());
        let limits = DoorLimits { insert_bytes, ..DoorLimits::default() };
        let door = Door {
            sink,
            queries: Arc::new(NoQueries(pool)),
            node: info.clone(),
            auth: Arc::new(auth),
            limits,
            metrics,
            protect_metrics: config.auth.protect_metrics,
            tls: tls.map(Arc::new),
        };
        let mut doors = JoinSet::new();
        doors.spawn(serve(ports.http, door, shutdown.clone()));
        Ok(Self { http, rpc, heartbeat, info, door: doors, tasks, pulse, feeds, shutdown, stop })
    }

    /// The addresses for other processes of the cluster: RPC, heartbeats.
    #[must_use]
    pub fn cluster_addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.rpc, self.heartbeat)
    }

    /// The address of the HTTP door.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// Says from now on that it is not ready, and goes on to serve.
    pub fn leave(&self) {
        self.info.leave();
    }

    /// Not ready, finish requests, end every task.
    ///
    /// # Errors
    /// What the door said at its end.
    pub async fn stop(mut self) -> Result<(), StartError> {
        self.leave();
        self.shutdown.cancel();
        // They write by the same ways as the door: both end before these do.
        self.feeds.stop().await;
        let ended = self.door.join_next().await;
        self.stop.cancel();
        // The last heartbeat says that the node goes.
        self.pulse.end().await;
        while self.tasks.join_next().await.is_some() {}
        match ended {
            Some(Ok(Err(error))) => Err(StartError::Door(error.to_string())),
            Some(Err(error)) => Err(StartError::Door(error.to_string())),
            Some(Ok(Ok(()))) | None => Ok(()),
        }
    }
}

fn load_tls(config: &Config) -> Result<Option<Tls>, StartError> {
    config.tls.files().map(Tls::load).transpose().map_err(part("TLS"))
}

/// Where others reach this node.
fn advertised(config: &Config, http: SocketAddr, rpc: SocketAddr, heartbeat: SocketAddr) -> Addresses {
    let host = |address: SocketAddr| match &config.cluster.advertise_host {
        Some(host) => format!("{host}:{}", address.port()),
        None => address.to_string(),
    };
    let scheme = if config.tls.cert.is_some() { "https://" } else { "" };
    Addresses { http: format!("{scheme}{}", host(http)), rpc: host(rpc), heartbeat: host(heartbeat) }
}

fn log_start(config: &Config, http: SocketAddr, open: bool) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %http,
        "pipeline: drain_threads={}, ring_capacity={}",
        config.pipeline.drain_threads(),
        config.pipeline.ring_capacity()
    );
    zepto_process::telemetry::log_configuration(&settings(config));
    if open {
        tracing::warn!("no API keys: everybody who reaches {http} is admin");
    }
}
