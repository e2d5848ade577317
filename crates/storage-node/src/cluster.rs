//! The storage node as one of several: what it agrees on with the coordinators, what it owns, and how rows and
//! changes of the catalog find their way. A node without coordinators has none of this.
//!
//! - [`agreed`]: follows the coordinators: catalog into the store, placement, nodes; registers, stays alive
//! - `memory`: what of it outlives the process, in the file `CLUSTER`
//! - `owner`: rows for partitions of this node, from any edge
//! - `copies`: the copies of partitions that other nodes have too, in a cluster that keeps more than one
//! - `changes`: has changes of the catalog agreed on
//! - `sweeps`: carries TRUNCATE, DELETE and DROP out, partition by partition
//! - `reads`: rows of other owners' partitions for statements here, and the other way round
//! - `queries`: statements see a catalog that is new enough
//! - `beat`: heartbeats; `clocks`: what they tell of this node's wall clock
//! - `nodes`: who is there, for people
//!
//! Promises: no row is taken for a partition that this disk does not own by the newest placement known; a table is
//! touched only under the id and schema that the coordinators gave it; while no coordinator answers, rows go on.

pub(crate) mod agreed;
mod beat;
mod changes;
mod clocks;
mod copies;
mod memory;
pub(crate) mod nodes;
mod owner;
mod queries;
mod reads;
mod sweeps;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Router;
use zepto_cluster::write::server::tuned;
use zepto_cluster::write::sink::SinkTimes;
use zepto_cluster::{
    CopyIdentity, EdgeIdentity, OwnerIdentity, OwnerPool, PeerLinks, PoolLimits, Pulse, RoutedSink,
    copy_server, owner_server,
};
use zepto_common::ids::{Boot, NodeId};
use zepto_common::service::{QueryService, RowSink};
use zepto_common::{Error, ErrorCode};
use zepto_engine::{Store, StoreOptions};
use zepto_process::AddNode;
use zepto_proto::client::{CoordinatorClient, Deadlines, Identity};
use zepto_proto::handshake::Secret;
use zepto_proto::wire::Wire;
use zepto_query::cluster::Clustered;
use zepto_query::{ClusterSide, SqlOptions, SqlService};
use zepto_tls::PeerTls;

use crate::config::{ClusterConfig, Config};
use crate::node::{StartError, part, system};
use agreed::{Agreed, Me, Ways};
use changes::Proposer;
use copies::{Ears, Proposals, Voice};
use memory::{Memory, Reached, ReachedNodes};
use nodes::Nodes;
use owner::Owner;
use queries::ClusterQueries;
use reads::server::{Late, query_server};
use reads::{Held, Readers};

/// For one call to the coordinators with all its tries: a statement must not wait long to hear that they are away.
const COORDINATOR_TIMES: Deadlines =
    Deadlines { call: std::time::Duration::from_secs(5), attempt: std::time::Duration::from_secs(3) };

/// What a clustered node has before its storage is opened.
pub(crate) struct Sockets {
    rpc: TcpListener,
    rpc_address: SocketAddr,
    /// With copies: the drain threads' way out, and what they will ask the coordinators.
    voice: Option<(Arc<Voice>, Proposals)>,
}

impl Sockets {
    /// Takes the RPC port.
    ///
    /// # Errors
    /// It is taken.
    pub(crate) fn bind(config: &Config, runtime: &Runtime) -> Result<Self, StartError> {
        let address = SocketAddr::new(config.bind, config.rpc_port());
        let bound = runtime.block_on(TcpListener::bind(address));
        let rpc = bound.map_err(system(format!("cannot listen on {address}")))?;
        let rpc_address = rpc.local_addr().map_err(system("cannot tell the address in use"))?;
        Ok(Self { rpc, rpc_address, voice: None })
    }

    /// How the storage is to be opened: with copies if it was made so, or the cluster keeps more than one and it is
    /// still to be made.
    ///
    /// # Errors
    /// A data directory that cannot be read; no coordinator that could say it.
    fn storage(
        &mut self,
        config: &Config,
        mut options: StoreOptions,
        runtime: &Runtime,
    ) -> Result<StoreOptions, StartError> {
        let made = Store::made_with_copies(&options).map_err(part("storage"))?;
        let with = match made {
            Some(with) => with,
            None => {
                let _inside = runtime.enter();
                let client = client_of(config, 0)?;
                runtime.block_on(copies::cluster_has_copies(&client)).map_err(part("cluster"))?
            }
        };
        if with {
            let (carried, voice, proposals) = copies::options(NodeId(config.node_id), &config.cluster);
            options.copies = Some(carried);
            self.voice = Some((voice, proposals));
        }
        Ok(options)
    }
}

/// The options for a node's storage: a clustered one may carry copies.
///
/// # Errors
/// As [`Sockets::storage`].
pub(crate) fn with_copies(
    sockets: Option<&mut Sockets>,
    config: &Config,
    options: StoreOptions,
    runtime: &Runtime,
) -> Result<StoreOptions, StartError> {
    match sockets {
        Some(sockets) => sockets.storage(config, options, runtime),
        None => Ok(options),
    }
}

/// A client of the coordinators for this start.
fn client_of(config: &Config, incarnation: u64) -> Result<CoordinatorClient, StartError> {
    let cluster = &config.cluster;
    let secret = handshake_secret(cluster)?;
    let identity = Identity { cluster_id: cluster.id.clone(), node_id: config.node_id, incarnation, secret };
    let client = CoordinatorClient::new(&cluster.coordinators, identity, COORDINATOR_TIMES);
    client.map_err(|error| bad_option(&error)).map_err(part("cluster"))
}

/// A clustered node's side of the cluster, running.
pub(crate) struct Cluster {
    agreed: Arc<Agreed>,
    sink: Arc<RoutedSink>,
    pool: Arc<OwnerPool>,
    nodes: Arc<Nodes>,
    readers: Arc<Readers>,
    /// Answers other nodes' reads once the SQL side is there.
    reads: Late,
    rpc: SocketAddr,
    heartbeat: SocketAddr,
    /// With copies.
    links: Option<PeerLinks>,
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("rpc", &self.rpc).finish_non_exhaustive()
    }
}

fn secret_of(config: &ClusterConfig) -> Result<String, StartError> {
    Ok(zepto_process::parts::read_secret(config.secret_file.as_deref())?)
}

/// The secret, and the connections over which its proofs go.
fn handshake_secret(config: &ClusterConfig) -> Result<Secret, StartError> {
    let tls = config.tls.files().map(PeerTls::load).transpose().map_err(part("TLS between nodes"))?;
    let wire = tls.map(|tls| Wire::tls(Arc::new(tls))).unwrap_or_default();
    Ok(Secret::new(&secret_of(config)?).over(wire))
}

impl Cluster {
    /// Joins: serves rows for its partitions, follows the coordinators, makes itself heard.
    ///
    /// # Errors
    /// A disk of another cluster or of a node that ran alone; addresses.
    pub(crate) fn start(
        config: &Config,
        store: &Arc<Store>,
        http: SocketAddr,
        sockets: Sockets,
        runtime: &Runtime,
    ) -> Result<Self, StartError> {
        let _inside = runtime.enter();
        let cluster = &config.cluster;
        let text = secret_of(cluster)?;
        let (node, secret) = (NodeId(config.node_id), handshake_secret(cluster)?);
        let wire = secret.wire().clone();
        let memory = Memory::open(&config.config.data_dir, &cluster.id, store).map_err(part("cluster"))?;
        let incarnation = store.boot().0;
        let client = client_of(config, incarnation)?;
        let me = Me { node, disk: store.disk_id(), incarnation };
        let agreed = Agreed::new(client, store.clone(), memory, me, added(config));
        let owner = Owner::new(store.clone(), agreed.clone());
        let edge = EdgeIdentity { cluster_id: cluster.id.clone(), node, incarnation, secret: secret.clone() };
        let readers = Readers::new(agreed.clone(), edge.clone(), runtime.handle().clone());
        let reads = Late::default();
        let pool = owner_pool(config, edge, &owner);
        let sink = RoutedSink::new(agreed.clone(), pool.clone(), agreed.placement(), SinkTimes::default());
        let pulse = runtime.block_on(beat::start(config, text.trim(), &agreed, http, sockets.rpc_address))?;
        let (heartbeat, pulse) = (pulse.address(), Arc::new(pulse));
        let addresses = advertised(config, http, sockets.rpc_address, heartbeat);
        let identity =
            OwnerIdentity { cluster_id: cluster.id.clone(), node, incarnation, secret: secret.clone() };
        let nodes = Arc::new(Nodes::new(agreed.clone(), pulse.clone()));
        let stop = CancellationToken::new();
        let mut services = tuned(Server::builder())
            .add_service(owner_server(owner, identity.clone(), config.bytes_from_edges()))
            .add_service(query_server(reads.clone(), agreed.clone(), identity));
        let mut tasks = Vec::new();
        let mut links = None;
        if let Some(parts) = sockets.voice {
            let identity =
                CopyIdentity { cluster_id: cluster.id.clone(), me: me.replica(), incarnation, secret };
            services = services.add_service(copy_server(Ears(agreed.clone()), identity.clone()));
            links = Some(copies::start(parts, identity, &agreed, runtime, &stop, &mut tasks));
        }
        let ways = Ways { pool: pool.clone(), pulse: pulse.clone(), links: links.clone() };
        tasks.extend([
            runtime.spawn(serve(sockets.rpc, wire, services, stop.clone())),
            runtime.spawn(agreed.clone().watch(ways, stop.clone())),
            runtime.spawn(agreed.clone().stay_alive(
                addresses,
                cluster.zone.clone(),
                interval(cluster),
                stop.clone(),
            )),
            runtime.spawn(sweeps::run(agreed.clone(), stop.clone())),
            runtime.spawn(clocks::compare(agreed.clone(), pulse.clone(), stop.clone())),
            runtime.spawn(goodbye(pulse, stop.clone())),
        ]);
        tracing::info!("Peer RPC server: port {}", sockets.rpc_address.port());
        Ok(Self {
            agreed,
            sink: Arc::new(sink),
            pool,
            nodes,
            readers,
            reads,
            rpc: sockets.rpc_address,
            heartbeat,
            links,
            tasks,
            stop,
        })
    }

    /// Where the rows of INSERTs go.
    pub(crate) fn sink(&self) -> Arc<dyn RowSink> {
        self.sink.clone()
    }

    /// What the SQL side needs of the cluster.
    fn side(&self) -> ClusterSide {
        ClusterSide {
            changes: Arc::new(Proposer::new(self.agreed.clone())),
            rows: self.sink.clone(),
            nodes: self.nodes.clone(),
            statements: self.pool.clone(),
        }
    }

    /// How its statements read other nodes' rows.
    fn clustered(&self) -> Clustered {
        let Me { node, incarnation, .. } = self.agreed.me;
        let holdings = Arc::new(Held(self.agreed.clone()));
        Clustered { node, boot: Boot(incarnation), peers: self.readers.clone(), holdings }
    }

    /// The SQL side of a node of a cluster; from now on other nodes' reads are answered.
    ///
    /// # Errors
    /// As [`SqlService::new`].
    pub(crate) fn sql(&self, store: Arc<Store>, options: SqlOptions) -> zepto_common::Result<SqlService> {
        let service = SqlService::distributed(store, options, self.side(), self.clustered())?;
        if let Some(owner) = service.owner() {
            // Once per node.
            let _first = self.reads.set(owner);
        }
        Ok(service)
    }

    /// The SQL side behind a catalog that is new enough.
    pub(crate) fn queries(&self, inner: Arc<SqlService>) -> Arc<dyn QueryService> {
        Arc::new(ClusterQueries::new(inner, self.agreed.clone()))
    }

    /// What is agreed on.
    pub(crate) fn agreed(&self) -> &Arc<Agreed> {
        &self.agreed
    }

    /// Who is there.
    pub(crate) fn nodes(&self) -> &Arc<Nodes> {
        &self.nodes
    }

    /// The addresses in use: RPC, heartbeats.
    pub(crate) fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.rpc, self.heartbeat)
    }

    /// Says from now on that it ends: nothing more is given to it.
    pub(crate) fn say_stopping(&self) {
        self.agreed.say_stopping();
    }

    /// Gives its partitions to others where others have them too.
    pub(crate) async fn leave(&self) {
        if self.links.is_some() {
            copies::handovers::leave(&self.agreed).await;
        }
    }

    /// Ends every task.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Some(links) = &self.links {
            links.stop().await;
        }
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the cluster ended badly");
            }
        }
    }
}

/// The ways to all owners, of which this node is one.
fn owner_pool(config: &Config, edge: EdgeIdentity, owner: &Owner) -> Arc<OwnerPool> {
    let limits = PoolLimits { bytes_in_flight: config.bytes_to_an_owner(), ..PoolLimits::default() };
    Arc::new(OwnerPool::new(edge, limits).with_local(Arc::new(owner.clone())))
}

/// The nodes named by hand. They hear heartbeats where this node does, by custom.
fn added(config: &Config) -> ReachedNodes {
    let beat = |host: &str| match config.heartbeat_port() {
        0 => String::new(),
        port => format!("{host}:{port}"),
    };
    let reached = |node: &AddNode| Reached {
        rpc: node.rpc(config.cluster.rpc_port_offset).unwrap_or_default(),
        heartbeat: beat(&node.host),
    };
    config.cluster.add_nodes.iter().map(|node| (NodeId(node.id), reached(node))).collect()
}

/// Where others reach this node.
fn advertised(
    config: &Config,
    http: SocketAddr,
    rpc: SocketAddr,
    heartbeat: SocketAddr,
) -> zepto_proto::coordinate::Addresses {
    let host = |address: SocketAddr| match &config.cluster.advertise_host {
        Some(host) => format!("{host}:{}", address.port()),
        None => address.to_string(),
    };
    // Whoever passes statements on must know how to speak to the door.
    let scheme = if config.tls.cert.is_some() { "https://" } else { "" };
    zepto_proto::coordinate::Addresses {
        http: format!("{scheme}{}", host(http)),
        rpc: host(rpc),
        heartbeat: host(heartbeat),
    }
}

fn interval(config: &ClusterConfig) -> std::time::Duration {
    std::time::Duration::from_millis(config.heartbeat_interval_ms)
}

fn bad_option(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorCode::InvalidConfigParameter, error.to_string())
}

/// Serves rows and reads of this node's partitions until the node stops.
async fn serve(listener: TcpListener, wire: Wire, services: Router, stop: CancellationToken) {
    let incoming = wire.incoming(listener);
    // Edges keep their streams open: they are cut, and what was not answered is asked again under its batch id.
    tokio::select! {
        served = services.serve_with_incoming(incoming) => {
            if let Err(error) = served {
                tracing::error!(%error, "the RPC port closed by itself");
            }
        }
        () = stop.cancelled() => {}
    }
}

/// The last heartbeat says that the node goes.
async fn goodbye(pulse: Arc<Pulse>, stop: CancellationToken) {
    stop.cancelled().await;
    pulse.end().await;
}

/// Whether this data directory was a cluster node's.
pub(crate) fn was_clustered(data_dir: &Path) -> bool {
    memory::path(data_dir).exists()
}
