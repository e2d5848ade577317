//! Starts and stops one ingest node: the port, then the coordinators, then the door; and back in the opposite order.
//!
//! Promises: it listens at once and is not ready until it knows a placement, a catalog and a storage node; `stop`
//! finishes the requests in flight and the batches of feeds, and ends every task.

use std::net::SocketAddr;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zepto_cluster::write::sink::SinkTimes;
use zepto_cluster::{EdgeIdentity, OwnerPool, PoolLimits, RoutedSink};
use zepto_common::auth::Authenticator;
use zepto_common::service::RowSink;
use zepto_feeds::Feeds;
use zepto_http::{Door, DoorLimits, serve};
use zepto_proto::client::{ClientError, CoordinatorClient, Deadlines, Identity};

use crate::agreed::Agreed;
use crate::info::IngestInfo;
use crate::options::Options;
use crate::queries::NoQueries;

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
    /// The file of API keys.
    #[error("API keys: {0}")]
    Keys(zepto_common::Error),
    /// The door ended by itself.
    #[error("the HTTP door ended badly: {0}")]
    Door(String),
}

/// A node in service.
pub struct IngestNode {
    http: SocketAddr,
    info: Arc<IngestInfo>,
    door: JoinSet<std::io::Result<()>>,
    tasks: JoinSet<()>,
    feeds: Feeds,
    /// Ends the door.
    shutdown: CancellationToken,
    /// Ends what the door needs.
    stop: CancellationToken,
}

impl IngestNode {
    /// Starts a node on the runtime of the caller.
    ///
    /// # Errors
    /// What stands in the way; coordinators that are away do not.
    pub async fn start(options: Options, metrics: PrometheusHandle) -> Result<Self, StartError> {
        let auth = match &options.api_keys_file {
            Some(path) => Authenticator::from_file(path).map_err(StartError::Keys)?,
            None => Authenticator::open(),
        };
        let address = SocketAddr::new(options.bind, options.http_port);
        let listen = |error| StartError::Listen { address, error };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let http = listener.local_addr().map_err(listen)?;
        if auth.is_open() {
            tracing::warn!("no API keys: everybody who reaches {http} is admin");
        }
        let identity = Identity {
            cluster_id: options.cluster_id.clone(),
            node_id: options.node.0,
            incarnation: 0,
            secret: options.secret.clone(),
        };
        let client = CoordinatorClient::new(&options.coordinators, identity, Deadlines::default())?;
        let edge = EdgeIdentity {
            cluster_id: options.cluster_id.clone(),
            node: options.node,
            incarnation: 0,
            secret: options.secret.clone(),
        };
        let pool = Arc::new(OwnerPool::new(edge, PoolLimits::default()));
        let agreed = Agreed::new(client, pool.clone(), options.cluster_id.clone(), http.to_string());
        let sink = RoutedSink::new(agreed.clone(), pool.clone(), agreed.placement(), SinkTimes::default());
        let sink = Arc::new(sink);
        let info = Arc::new(IngestInfo::new(&options, agreed.clone(), sink.clone(), pool));
        let (shutdown, stop) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(agreed.clone().watch(stop.clone()));
        tasks.spawn(agreed.stay_alive(options.heartbeat, stop.clone()));
        let rows: Arc<dyn RowSink> = sink.clone();
        let feeds = Feeds::start(options.feeds, &rows);
        info.show_feeds(feeds.statuses());
        let door = Door {
            sink,
            queries: Arc::new(NoQueries),
            node: info.clone(),
            auth: Arc::new(auth),
            limits: DoorLimits::default(),
            metrics,
            protect_metrics: options.protect_metrics,
            tls: None,
        };
        let mut doors = JoinSet::new();
        doors.spawn(serve(listener, door, shutdown.clone()));
        Ok(Self { http, info, door: doors, tasks, feeds, shutdown, stop })
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
        while self.tasks.join_next().await.is_some() {}
        match ended {
            Some(Ok(Err(error))) => Err(StartError::Door(error.to_string())),
            Some(Err(error)) => Err(StartError::Door(error.to_string())),
            Some(Ok(Ok(()))) | None => Ok(()),
        }
    }
}
