//! What a door needs from its node, and the bounds it keeps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use zepto_common::auth::Authenticator;
use zepto_common::limits;
use zepto_common::service::{QueryService, RowSink};
use zepto_common::{Error, ErrorCode, Result};
use zepto_tls::Tls;

use crate::sessions::Sessions;

/// Facts about a node that do not change while it runs.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `storage` or `ingest`.
    pub role: &'static str,
    /// The node's id as text.
    pub node_id: String,
    /// The name that clients see, `X-ClickHouse-Server-Display-Name`.
    pub display_name: String,
    /// The version as error texts and `/admin/version` tell it.
    pub version: String,
    /// When the process was ready to listen.
    pub started: Instant,
}

/// A statement on its way to a node that runs statements.
#[derive(Debug)]
pub struct ForwardedStatement {
    /// The path and parameters as they came.
    pub uri: http::Uri,
    /// The headers as they came, the credentials among them.
    pub headers: http::HeaderMap,
    /// It came by a method that only reads; its text is among the parameters then.
    pub read_only: bool,
    /// Its text, inflated; no INSERT with data.
    pub sql: String,
    /// The form that it came in, inflated, with its text and tables; None when it came without one.
    pub form: Option<Vec<Bytes>>,
    /// The id of the session that it is of.
    pub session: Option<String>,
    /// Its id, the client's or one of the door.
    pub query_id: String,
    /// End of the wait for the head of the answer.
    pub deadline: Instant,
}

/// Runs statements elsewhere, for a node without a SQL engine.
#[async_trait]
pub trait Forward: Send + Sync {
    /// The other node's answer, whatever it is; its body streams.
    ///
    /// # Errors
    /// `NotReady` when nobody can be reached: nothing was run. `SocketTimeout` when the answer did not begin in time.
    async fn forward(&self, statement: ForwardedStatement) -> Result<http::Response<axum::body::Body>>;
}

/// What `POST /admin/rebalance/…` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebalanceChange {
    /// No more moves for the sake of balance begin.
    Pause,
    /// They do again.
    Resume,
    /// A pause, and those under way are taken back.
    Cancel,
    /// This node gives all away that it has, so that it can leave for good.
    Drain(u32),
    /// This node stays after all.
    Keep(u32),
    /// This node, with the disk that it has, owns a partition from now on, whatever it lacks of it.
    ForceOwner {
        /// The partition.
        partition: u32,
        /// The node.
        node: u32,
        /// Rows that only other copies have may be lost.
        accept_loss: bool,
    },
}

fn no_storage() -> Error {
    Error::new(ErrorCode::NotImplemented, "this node has no storage: ask a storage node for snapshots")
}

fn alone() -> Error {
    Error::new(ErrorCode::NotImplemented, "this node runs alone: there is no cluster")
}

/// What the door tells about its node. Every method answers at once, but for [`Self::create_snapshot`] and those that ask
/// the coordinators.
#[async_trait]
pub trait NodeInfo: Send + Sync {
    /// Who the node is.
    fn identity(&self) -> &Identity;

    /// Why the process cannot serve at all; None while it can. `/health` is 503 with this text.
    fn unhealthy(&self) -> Option<String> {
        None
    }

    /// Why the node should get no requests now; empty when it is ready.
    fn not_ready(&self) -> Vec<String>;

    /// Who runs the statements that are no INSERT with data; None = this node's own [`Door::queries`].
    fn forward(&self) -> Option<&dyn Forward> {
        None
    }

    /// The node's counters, for `/stats`.
    fn stats(&self) -> Value;

    /// The settings in force, secrets redacted, for `/admin/settings`.
    fn settings(&self) -> Value;

    /// Sets the gauges of the metrics registry to what holds now.
    fn refresh_gauges(&self);

    /// The nodes with their states, for `/admin/nodes`; without a cluster there is this one.
    async fn nodes(&self) -> Value {
        let identity = self.identity();
        let id = identity.node_id.parse::<u32>().unwrap_or_default();
        json!({"nodes": [{"id": id, "role": identity.role, "state": "ACTIVE"}]})
    }

    /// What the cluster has agreed on, for `/admin/cluster`.
    ///
    /// # Errors
    /// `NotImplemented` on a node that runs alone.
    async fn cluster(&self) -> Result<Value> {
        Err(alone())
    }

    /// Moves under way and those that ended, for `/admin/rebalance`.
    ///
    /// # Errors
    /// `NotImplemented` on a node that runs alone.
    async fn rebalance(&self) -> Result<Value> {
        Err(alone())
    }

    /// Changes what moves. The answer says what is agreed on, not that it is done.
    ///
    /// # Errors
    /// `NotImplemented` on a node that runs alone; `NotReady` while no coordinator answers; what they refuse.
    async fn change_rebalance(&self, _change: RebalanceChange) -> Result<Value> {
        Err(alone())
    }

    /// The feeds that run here, for `/admin/feeds`.
    fn feeds(&self) -> Value {
        json!({ "feeds": [] })
    }

    /// Makes a consistent snapshot; the name is the node's choice when there is none.
    ///
    /// # Errors
    /// `BadArguments` for a name that cannot be or is taken; the storage's faults.
    async fn create_snapshot(&self, _name: Option<&str>) -> Result<Value> {
        Err(no_storage())
    }

    /// The snapshots there are.
    ///
    /// # Errors
    /// The storage's faults.
    fn snapshots(&self) -> Result<Value> {
        Err(no_storage())
    }

    /// One snapshot and its files.
    ///
    /// # Errors
    /// `BadArguments` for a name that no snapshot has; the storage's faults.
    fn snapshot(&self, _name: &str) -> Result<Value> {
        Err(no_storage())
    }

    /// A file of a snapshot.
    ///
    /// # Errors
    /// `BadArguments` for a snapshot or a file that is not there; the storage's faults.
    fn snapshot_file(&self, _name: &str, _file: &str) -> Result<Box<dyn StoredFile>> {
        Err(no_storage())
    }

    /// Removes a snapshot.
    ///
    /// # Errors
    /// `BadArguments` for a name that no snapshot has; the storage's faults.
    async fn remove_snapshot(&self, _name: &str) -> Result<Value> {
        Err(no_storage())
    }
}

/// A file that is sent as it is.
pub trait StoredFile: Send + Sync {
    /// Bytes of it.
    fn bytes(&self) -> u64;

    /// Reads up to the buffer's length from there; how many bytes. Blocks.
    ///
    /// # Errors
    /// The disk's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize>;
}

/// The bounds of one door; the defaults are those of [`zepto_common::limits`].
#[derive(Debug, Clone)]
pub struct DoorLimits {
    /// Connections open at once.
    pub connections: usize,
    /// Time for a request's head, and of idling between requests.
    pub head_time: Duration,
    /// Time for a TLS handshake.
    pub handshake_time: Duration,
    /// Silence of a peer within a body or an answer.
    pub stall: Duration,
    /// A statement without `max_execution_time`.
    pub query_time: Duration,
    /// An INSERT without `max_execution_time`.
    pub insert_time: Duration,
    /// Requests in flight after shutdown was asked for.
    pub shutdown_time: Duration,
    /// Decoded bytes of all INSERTs together.
    pub insert_bytes: usize,
    /// How long an INSERT waits for room among those bytes.
    pub insert_wait: Duration,
    /// Bytes of one answer held back under `wait_end_of_query`.
    pub result_wait_bytes: usize,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            connections: limits::HTTP_CONNECTIONS_MAX,
            head_time: limits::HTTP_HEAD_TIME_MAX,
            handshake_time: limits::HTTP_HANDSHAKE_TIME_MAX,
            stall: limits::HTTP_STALL_MAX,
            query_time: limits::QUERY_TIME_DEFAULT,
            insert_time: limits::HTTP_INSERT_TIME_MAX,
            shutdown_time: limits::HTTP_SHUTDOWN_TIME_MAX,
            insert_bytes: limits::INSERT_BYTES_IN_FLIGHT,
            insert_wait: limits::QUEUE_WAIT,
            result_wait_bytes: limits::RESULT_WAIT_BYTES_MAX,
        }
    }
}

/// Everything behind one HTTP port.
#[derive(Clone)]
pub struct Door {
    /// Takes the rows of INSERTs.
    pub sink: Arc<dyn RowSink>,
    /// Runs all other statements.
    pub queries: Arc<dyn QueryService>,
    /// Tells about the node.
    pub node: Arc<dyn NodeInfo>,
    /// Recognises subjects.
    pub auth: Arc<Authenticator>,
    /// The bounds.
    pub limits: DoorLimits,
    /// The registry behind `/metrics`.
    pub metrics: PrometheusHandle,
    /// `/metrics` needs the role metrics.
    pub protect_metrics: bool,
    /// Speak TLS; None is plain text.
    pub tls: Option<Arc<Tls>>,
}

/// A door in service: what its requests share.
pub(crate) struct Service {
    pub(crate) door: Door,
    /// Fires when the node leaves.
    pub(crate) shutdown: CancellationToken,
    /// Permits of [`BUDGET_UNIT`] bytes each, of bodies and of the rows that they become.
    pub(crate) budget: Arc<Semaphore>,
    /// All permits of `budget`.
    pub(crate) budget_units: u32,
    /// Bounds the threads that decode and encode, so that they leave cores to the rest.
    pub(crate) workers: Arc<Semaphore>,
    pub(crate) sessions: Arc<Sessions>,
}

/// Bytes that one permit of the INSERT budget stands for.
pub(crate) const BUDGET_UNIT: usize = 4_096;

/// Permits of the INSERT budget that so many bytes need.
pub(crate) fn units_of(bytes: usize) -> usize {
    bytes / BUDGET_UNIT + 1
}

impl Service {
    pub(crate) fn new(door: Door, shutdown: CancellationToken) -> Arc<Self> {
        let units = (door.limits.insert_bytes / BUDGET_UNIT).clamp(1, Semaphore::MAX_PERMITS.min(1 << 30));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            door,
            shutdown,
            budget: Arc::new(Semaphore::new(units)),
            budget_units: units as u32,
            workers: Arc::new(Semaphore::new(cores)),
            sessions: Arc::default(),
        })
    }

    pub(crate) fn identity(&self) -> &Identity {
        self.door.node.identity()
    }

    /// Room in the INSERT budget, all of it at most; it is given back when the permit goes.
    pub(crate) async fn room_for(&self, units: u32, wait: Duration) -> Result<OwnedSemaphorePermit> {
        let units = units.min(self.budget_units);
        match tokio::time::timeout(wait, self.budget.clone().acquire_many_owned(units)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(closed)) => Err(Error::internal(closed.to_string())),
            Err(_) => {
                Err(Error::new(ErrorCode::Overloaded, "too many rows are on their way, try again later"))
            }
        }
    }

    /// Runs work that keeps a core busy, off the reactor when it is more than a trifle.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        trifle: bool,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        if trifle {
            return Ok(work());
        }
        let stopped = |what: &dyn std::fmt::Display| Error::internal(format!("worker: {what}"));
        let permit = self.workers.clone().acquire_owned().await.map_err(|error| stopped(&error))?;
        let done = tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(permit);
            outcome
        });
        done.await.map_err(|error| stopped(&error))
    }
}
