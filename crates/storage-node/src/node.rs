//! Starts and stops one storage node: storage, then queries, then the door; and back in the opposite order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zepto_common::auth::Authenticator;
use zepto_common::limits::EXPRESSION_STACK_BYTES;
use zepto_common::service::{QueryService, RowSink};
use zepto_engine::disk::PacedDisk;
use zepto_engine::store::Codec;
use zepto_engine::{Store, StoreOptions};
use zepto_http::{Door, DoorLimits, NodeInfo, Tls, serve};
use zepto_process::telemetry;
use zepto_query::{SqlOptions, SqlService, conditions, view_fold};

use crate::bootstrap;
use crate::cluster::{self, Cluster, Sockets};
use crate::config::{Compression, Config, ConfigFaults};
use crate::info::{self, StorageInfo};
use crate::starting::StartingDoor;
use crate::upkeep;

/// Threads of the door's runtime besides the blocking ones.
const DOOR_THREADS_MAX: usize = 8;
/// How long runtimes may take to end after their work has.
const RUNTIME_PATIENCE: Duration = Duration::from_secs(10);

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration's faults.
    #[error(transparent)]
    Config(#[from] ConfigFaults),
    /// Storage, keys, certificates or the bootstrap file.
    #[error("{what}: {error} ({})", .error.code)]
    Part {
        /// What failed.
        what: &'static str,
        /// Why.
        error: zepto_common::Error,
    },
    /// The operating system.
    #[error("{what}: {error}")]
    System {
        /// What failed.
        what: String,
        /// Why.
        error: std::io::Error,
    },
    /// The metrics recorder.
    #[error("metrics: {0}")]
    Metrics(String),
}

pub(crate) fn part(what: &'static str) -> impl FnOnce(zepto_common::Error) -> StartError {
    move |error| StartError::Part { what, error }
}

pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> StartError {
    let what = what.into();
    move |error| StartError::System { what, error }
}

/// A node in service. Dropping it without [`RunningNode::stop`] is a crash as far as the data is concerned:
/// nothing acknowledged is lost, the next start replays.
#[derive(Debug)]
pub struct RunningNode {
    http: SocketAddr,
    shutdown: CancellationToken,
    door: Option<JoinHandle<std::io::Result<()>>>,
    door_runtime: Option<Runtime>,
    query_runtime: Option<Runtime>,
    store: Arc<Store>,
    info: Arc<StorageInfo>,
    cluster: Option<Cluster>,
}

/// Starts a node: opens its storage (replaying the logs), then listens.
///
/// # Errors
/// What stands in the way; nothing is left running.
pub fn start(config: Config) -> Result<RunningNode, StartError> {
    config.validate()?;
    let metrics = telemetry::metrics_handle().map_err(StartError::Metrics)?;
    let door_threads = config.worker_threads().clamp(2, DOOR_THREADS_MAX);
    let door_runtime = runtime("zepto-door", door_threads, None)?;
    let query_runtime = runtime("zepto-query", config.worker_threads(), Some(EXPRESSION_STACK_BYTES))?;
    let auth = Arc::new(authenticator(&config)?);
    let tls = load_tls(&config)?.map(Arc::new);
    // The port is taken before the replay, so that a wrong one is found at once.
    let address = SocketAddr::new(config.bind, config.http_port);
    let listener = door_runtime
        .block_on(TcpListener::bind(address))
        .map_err(system(format!("cannot listen on {address}")))?;
    let http = listener.local_addr().map_err(system("cannot tell the address in use"))?;
    let door = |sink: Arc<dyn RowSink>, queries: Arc<dyn QueryService>, node: Arc<dyn NodeInfo>| Door {
        sink,
        queries,
        node,
        auth: auth.clone(),
        limits: DoorLimits { insert_bytes: config.insert_bytes(), ..DoorLimits::default() },
        metrics: metrics.clone(),
        protect_metrics: config.auth.protect_metrics,
        tls: tls.clone(),
    };
    let clustered = config.cluster.is_on();
    if !clustered && cluster::was_clustered(&config.config.data_dir) {
        let what = "the data directory belongs to a cluster: name its coordinators (cluster.coordinators)";
        return Err(ConfigFaults(vec![what.to_owned()]).into());
    }
    let mut sockets = clustered.then(|| Sockets::bind(&config, &door_runtime)).transpose()?;
    log_start(&config, http, auth.is_open());
    let (identity, settings) = (info::identity(&config), info::settings(&config));
    let (starting, listener) = StartingDoor::open(listener, &door_runtime, identity, settings, door)?;

    let sql = sql_options(&config, &query_runtime);
    let store = understanding(&sql, store_options(&config)).map_err(part("queries"))?;
    let store = cluster::with_copies(sockets.as_mut(), &config, store, &door_runtime)?;
    let store = Store::open(store).map_err(part("storage"))?;
    let cluster = sockets.map(|sockets| Cluster::start(&config, &store, http, sockets, &door_runtime));
    let cluster = cluster.transpose()?;
    let queries = match &cluster {
        Some(cluster) => cluster.sql(store.clone(), sql),
        None => SqlService::new(store.clone(), sql),
    };
    let queries = Arc::new(queries.map_err(part("queries"))?);
    let (file, data_dir) = (config.bootstrap.as_deref(), &config.config.data_dir);
    door_runtime.block_on(bootstrap::run(file, data_dir, !clustered, &store, queries.as_ref()))?;
    let shutdown = CancellationToken::new();
    let known = cluster.as_ref().map(|cluster| (cluster.agreed().clone(), cluster.nodes().clone()));
    let info = Arc::new(StorageInfo::new(&config, store.clone(), known));
    let (sink, queries): (Arc<dyn RowSink>, Arc<dyn QueryService>) = match &cluster {
        Some(cluster) => (cluster.sink(), cluster.queries(queries)),
        None => (store.clone(), queries),
    };
    door_runtime.block_on(starting.close());
    let door = door_runtime.spawn(serve(listener, door(sink, queries, info.clone()), shutdown.clone()));
    door_runtime.spawn(upkeep::give_memory_back(store.clone(), shutdown.clone()));
    Ok(RunningNode {
        http,
        shutdown,
        door: Some(door),
        door_runtime: Some(door_runtime),
        query_runtime: Some(query_runtime),
        store,
        info,
        cluster,
    })
}

impl RunningNode {
    /// The address of the HTTP door.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// The addresses for other nodes, RPC and heartbeats; None for a node that runs alone.
    #[must_use]
    pub fn cluster_addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.cluster.as_ref().map(Cluster::addresses)
    }

    /// Says from now on that it is not ready, and goes on to serve: who sends requests here learns to stop before
    /// the port is closed, and the coordinators give it no more partitions.
    pub fn leave(&self) {
        self.info.leave();
        if let Some(cluster) = &self.cluster {
            cluster.say_stopping();
        }
    }

    /// Not ready, finish requests, flush, end every thread.
    ///
    /// # Errors
    /// What the last flush said; acknowledged rows are in the logs all the same.
    pub fn stop(self) -> Result<(), StartError> {
        self.end(true)
    }

    /// As [`Self::stop`], for a cluster that ends as a whole: hands no partition over to nodes that go too.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub fn stop_with_all(self) -> Result<(), StartError> {
        self.end(false)
    }

    fn end(mut self, hand_over: bool) -> Result<(), StartError> {
        self.leave();
        self.shutdown.cancel();
        if let (Some(runtime), Some(door)) = (&self.door_runtime, self.door.take()) {
            match runtime.block_on(door) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(system("the HTTP door ended badly")(error)),
                Err(error) => tracing::error!(%error, "the HTTP door's task failed"),
            }
        }
        if let (Some(runtime), Some(cluster)) = (&self.door_runtime, self.cluster.take()) {
            runtime.block_on(async {
                if hand_over {
                    cluster.leave().await;
                }
                cluster.stop().await;
            });
        }
        for runtime in [self.door_runtime.take(), self.query_runtime.take()].into_iter().flatten() {
            runtime.shutdown_timeout(RUNTIME_PATIENCE);
        }
        self.store.close().map_err(part("storage"))
    }
}

fn runtime(name: &'static str, threads: usize, stack: Option<usize>) -> Result<Runtime, StartError> {
    let mut builder = Builder::new_multi_thread();
    builder.thread_name(name).worker_threads(threads).enable_all();
    if let Some(stack) = stack {
        builder.thread_stack_size(stack);
    }
    builder.build().map_err(system(format!("cannot start the runtime {name}")))
}

fn authenticator(config: &Config) -> Result<Authenticator, StartError> {
    match &config.api_keys_file {
        Some(path) => Authenticator::from_file(path).map_err(part("API keys")),
        None => Ok(Authenticator::open()),
    }
}

fn load_tls(config: &Config) -> Result<Option<Tls>, StartError> {
    config.tls.files().map(Tls::load).transpose().map_err(part("TLS"))
}

fn store_options(config: &Config) -> StoreOptions {
    let mut options = StoreOptions::new(&config.config.data_dir);
    options.drain_threads = config.drain_threads();
    options.ring_capacity = config.ring_capacity();
    options.memory_limit = usize::try_from(config.memory_limit() / 10 * 6).unwrap_or(usize::MAX);
    options.ring_bytes = config.ring_bytes();
    // An existing directory keeps what it was made with; another wish for it is an error there.
    options.partitions = (config.cluster.partitions != zepto_common::limits::PARTITIONS_DEFAULT)
        .then_some(config.cluster.partitions);
    options.compression = match config.config.hdb_compression {
        Compression::None => Codec::None,
        Compression::Lz4 => Codec::Lz4,
        Compression::Zstd => Codec::Zstd,
        Compression::Snappy => Codec::Snappy,
    };
    options.allow_corrupt_tail = config.allow_corrupt_tail;
    options.check_time = Duration::from_secs(config.segment_check_seconds);
    if config.sync_at_least_us > 0 {
        options.disk = Arc::new(PacedDisk::new(Duration::from_micros(config.sync_at_least_us)));
    }
    options
}

fn sql_options(config: &Config, runtime: &Runtime) -> SqlOptions {
    let mut options = SqlOptions::new(runtime.handle().clone());
    options.threads = config.worker_threads();
    options.parallel_rows = config.config.parallel_threshold;
    options.memory_limit = usize::try_from(config.memory_limit() / 10 * 3).unwrap_or(usize::MAX);
    options.spill_dir = Some(config.config.data_dir.join("spill"));
    options.plans = config.config.query_cache_size;
    options.configuration = config.settings();
    options
}

/// With those who understand what the storage keeps as text: views and conditions.
fn understanding(sql: &SqlOptions, options: StoreOptions) -> zepto_common::Result<StoreOptions> {
    Ok(StoreOptions { fold: Some(view_fold(sql)?), conditions: Some(conditions(sql)?), ..options })
}

fn log_start(config: &Config, http: SocketAddr, open: bool) {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        %http,
        "pipeline: drain_threads={}, ring_capacity={}",
        config.drain_threads(),
        config.ring_capacity()
    );
    zepto_process::telemetry::log_configuration(&config.settings());
    if open {
        tracing::warn!("no API keys: everybody who reaches {http} is admin");
    }
}
