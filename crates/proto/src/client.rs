//! The coordinators as a node sees them: any of them takes any call, those that are away are passed over, and what can
//! be asked again is asked again until the deadline.
//!
//! Promises: a call ends within its deadline; every answer's secret, protocol and cluster are checked; every call of
//! this client can be repeated without harm, because the state machine recognises repeats. A refusal that asking again
//! cannot change (wrong secret, wrong cluster, …) ends the call at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::coordinate as wire;
use crate::coordinate::Envelope;
use crate::coordinate::coordinate_client::CoordinateClient;
use crate::handshake::{PROTOCOL, Secret, check_envelope};
use crate::refusal::{Refused, RefusedReason};
use crate::view::{Changes, View};

/// Bytes of one message. A catalog of ten thousand tables has some 20 MB.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Wait before the second try; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(25);
/// The longest wait between tries.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// A watch stream that says nothing for so long is dead: the server says so at least every few seconds.
const WATCH_SILENCE_MAX: Duration = Duration::from_secs(15);

/// Why a call did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// A coordinator, or this side, does not believe the other, or the message was bad.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// No coordinator answered in time. What was proposed may have happened all the same.
    #[error("no coordinator answered within {deadline:?}: {last}")]
    Unavailable {
        /// How long it was tried.
        deadline: Duration,
        /// What the last one said.
        last: String,
    },
    /// An address that is none.
    #[error("{0}")]
    Address(String),
}

/// How a node is, as it says itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Condition {
    /// It knows a catalog and a placement and its log is replayed: it may become ACTIVE.
    pub ready: bool,
    /// Its log refused a write or a sync.
    pub log_failed: bool,
    /// It was told to end.
    pub stopping: bool,
}

/// Who this node is, for its messages.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The cluster; empty while it is not known.
    pub cluster_id: String,
    /// This node.
    pub node_id: u32,
    /// This start.
    pub incarnation: u64,
    /// The cluster's secret.
    pub secret: Secret,
}

/// Times of a client.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// For a whole call with all its tries.
    pub call: Duration,
    /// For one try.
    pub attempt: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { call: Duration::from_secs(10), attempt: Duration::from_secs(3) }
    }
}

/// A client of all coordinators. Cheap to clone; clones share connections and the idea of who leads.
#[derive(Debug, Clone)]
pub struct CoordinatorClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    peers: Vec<(String, Channel)>,
    /// Index of the coordinator that answered last.
    preferred: AtomicUsize,
    identity: RwLock<Identity>,
    deadlines: Deadlines,
    placement_version: AtomicU64,
    catalog_version: AtomicU64,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($request:ident) -> $reply:ident;)*) => {
        impl CoordinatorClient {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// No coordinator answers in time, or one does not believe this node.
                pub async fn $name(&self, mut request: wire::$request) -> Result<wire::$reply, ClientError> {
                    let mut tries = Tries::new(self.shared.deadlines);
                    loop {
                        let (index, channel) = self.preferred();
                        request.envelope = Some(self.envelope());
                        let message = self.sign(request.clone());
                        let mut client = client(channel);
                        let answer = tokio::time::timeout(tries.attempt(), client.$name(message)).await;
                        match self.judge(answer, |reply| reply.envelope.as_ref()) {
                            Ok(reply) => return Ok(reply),
                            Err(fault) => tries.after(self, index, fault).await?,
                        }
                    }
                }
            )*
        }
    };
}

calls! {
    /// Tells the start of this node. A refusal stands in the answer.
    register(RegisterRequest) -> RegisterReply;
    /// The owner's proposals for its in-sync sets.
    propose_sets(ProposeSetsRequest) -> PartitionsReply;
    /// The owner has stopped and gives partitions up.
    hand_over(HandoverRequest) -> PartitionsReply;
    /// A change of the catalog.
    ddl(DdlRequest) -> DdlReply;
    /// Partitions have committed a sweep's frame.
    finish_sweep(FinishSweepRequest) -> DoneReply;
    /// The catalog that every acknowledged statement has left.
    read_catalog(ReadCatalogRequest) -> ReadCatalogReply;
    /// Moves, and the pause of rebalancing.
    move_partitions(MoveRequest) -> PartitionsReply;
    /// Drains, keeps or forgets a node.
    change_node(NodeRequest) -> DoneReply;
    /// Overrides who owns a partition.
    force_owner(ForceOwnerRequest) -> DoneReply;
    /// Makes, changes or takes away an API key.
    change_key(KeyRequest) -> DoneReply;
    /// Claims, renews or releases a named work.
    change_work(WorkRequest) -> WorkReply;
    /// What `/admin/cluster` shows.
    status(StatusRequest) -> StatusReply;
    /// Moves under way, and the newest that ended.
    rebalance(RebalanceRequest) -> StatusReply;
}

fn client(channel: Channel) -> CoordinateClient<Channel> {
    CoordinateClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

/// Why one try failed.
#[derive(Debug)]
enum Fault {
    Final(Refused),
    Passing(String),
}

impl CoordinatorClient {
    /// A client of the coordinators at these addresses, `host:port` each. Connects when the first call is made, so it
    /// needs a runtime. Names are resolved again at each connect.
    ///
    /// # Errors
    /// No address, or one that is none.
    pub fn new(addresses: &[String], identity: Identity, deadlines: Deadlines) -> Result<Self, ClientError> {
        let peers: Result<Vec<_>, ClientError> = addresses
            .iter()
            .map(|address| {
                let endpoint = Endpoint::from_shared(format!("http://{address}"))
                    .map_err(|error| ClientError::Address(format!("{address}: {error}")))?;
                let endpoint = endpoint.connect_timeout(deadlines.attempt).tcp_nodelay(true);
                let endpoint = endpoint
                    .http2_keep_alive_interval(Duration::from_secs(5))
                    .keep_alive_timeout(Duration::from_secs(5));
                Ok((address.clone(), identity.secret.wire().connect_lazy(endpoint)))
            })
            .collect();
        let peers = peers?;
        if peers.is_empty() {
            return Err(ClientError::Address("no coordinator was named".to_owned()));
        }
        let shared = Shared {
            peers,
            preferred: AtomicUsize::new(0),
            identity: RwLock::new(identity),
            deadlines,
            placement_version: AtomicU64::new(0),
            catalog_version: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Takes over what registration taught: the cluster and the number of this start.
    pub fn set_identity(&self, cluster_id: &str, incarnation: u64) {
        let mut identity = self.shared.identity.write();
        cluster_id.clone_into(&mut identity.cluster_id);
        identity.incarnation = incarnation;
    }

    /// Notes what this node acts on, for the envelopes to come.
    pub fn set_versions(&self, placement: u64, catalog: u64) {
        self.shared.placement_version.store(placement, Ordering::Relaxed);
        self.shared.catalog_version.store(catalog, Ordering::Relaxed);
    }

    /// Tells every coordinator that this node is there, all at once; one try each. Answers in the order of the
    /// addresses.
    pub async fn keep_alive(&self, condition: Condition) -> Vec<Result<wire::KeepAliveReply, ClientError>> {
        let Condition { ready, log_failed, stopping } = condition;
        let deadline = self.shared.deadlines.attempt;
        let ask = |(_, channel): &(String, Channel)| {
            let request =
                wire::KeepAliveRequest { envelope: Some(self.envelope()), ready, log_failed, stopping };
            let (message, mut client) = (self.sign(request), client(channel.clone()));
            async move {
                let answer = tokio::time::timeout(deadline, client.keep_alive(message)).await;
                self.judge(answer, |reply| reply.envelope.as_ref()).map_err(|fault| match fault {
                    Fault::Final(refused) => ClientError::Refused(refused),
                    Fault::Passing(last) => ClientError::Unavailable { deadline, last },
                })
            }
        };
        futures::future::join_all(self.shared.peers.iter().map(ask)).await
    }

    /// Watches the agreed state. Nothing is asked before the first [`Watcher::next`].
    #[must_use]
    pub fn watch(&self) -> Watcher {
        Watcher { client: self.clone(), stream: None, peer: 0, view: View::default(), pause: PAUSE_MIN }
    }

    fn preferred(&self) -> (usize, Channel) {
        let index = self.shared.preferred.load(Ordering::Relaxed) % self.shared.peers.len();
        (index, self.shared.peers[index].1.clone())
    }

    /// The next call asks the coordinator after this one.
    fn pass_over(&self, index: usize) {
        let next = (index + 1) % self.shared.peers.len();
        let _another_passed_it_over =
            self.shared.preferred.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn envelope(&self) -> Envelope {
        let identity = self.shared.identity.read();
        Envelope {
            protocol: PROTOCOL,
            cluster_id: identity.cluster_id.clone(),
            node_id: identity.node_id,
            incarnation: identity.incarnation,
            placement_version: self.shared.placement_version.load(Ordering::Relaxed),
            catalog_version: self.shared.catalog_version.load(Ordering::Relaxed),
        }
    }

    fn sign<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        self.shared.identity.read().secret.sign_request(request.metadata_mut());
        request
    }

    fn judge<T>(
        &self,
        answer: Result<Result<Response<T>, Status>, tokio::time::error::Elapsed>,
        envelope: impl Fn(&T) -> Option<&Envelope>,
    ) -> Result<T, Fault> {
        let response = match answer {
            Err(_) => return Err(Fault::Passing("it did not answer in time".to_owned())),
            Ok(Err(status)) => return Err(fault_of(&status)),
            Ok(Ok(response)) => response,
        };
        let identity = self.shared.identity.read();
        identity.secret.check_answer(response.metadata()).map_err(Fault::Final)?;
        let reply = response.into_inner();
        check_envelope(envelope(&reply), &identity.cluster_id, true).map_err(Fault::Final)?;
        Ok(reply)
    }
}

fn fault_of(status: &Status) -> Fault {
    match Refused::of(status) {
        Some(refused) if matches!(refused.reason, RefusedReason::NoLeader | RefusedReason::Busy) => {
            Fault::Passing(refused.to_string())
        }
        Some(refused) => Fault::Final(refused),
        None if status.code() == Code::InvalidArgument => {
            Fault::Final(Refused::new(RefusedReason::BadMessage, status.message()))
        }
        None => Fault::Passing(format!("{:?}: {}", status.code(), reason(status))),
    }
}

/// The innermost reason: a connection that was refused or whose certificate is not believed, not "transport error".
fn reason(status: &Status) -> String {
    let mut reason: &dyn std::error::Error = status;
    let mut text = status.message().to_owned();
    while let Some(source) = reason.source() {
        text = source.to_string();
        reason = source;
    }
    text
}

/// The budget of one call.
struct Tries {
    deadlines: Deadlines,
    begun: Instant,
    pause: Duration,
}

impl Tries {
    fn new(deadlines: Deadlines) -> Self {
        Self { deadlines, begun: Instant::now(), pause: PAUSE_MIN }
    }

    fn left(&self) -> Duration {
        self.deadlines.call.saturating_sub(self.begun.elapsed())
    }

    fn attempt(&self) -> Duration {
        self.deadlines.attempt.min(self.left())
    }

    /// Waits before the next try, if there is to be one.
    async fn after(
        &mut self,
        client: &CoordinatorClient,
        index: usize,
        fault: Fault,
    ) -> Result<(), ClientError> {
        let last = match fault {
            Fault::Final(refused) => return Err(refused.into()),
            Fault::Passing(last) => format!("{}: {last}", client.shared.peers[index].0),
        };
        client.pass_over(index);
        if self.left() <= self.pause {
            return Err(ClientError::Unavailable { deadline: self.deadlines.call, last });
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        Ok(())
    }
}

/// A watch of the agreed state that opens its stream again whenever it breaks.
#[derive(Debug)]
pub struct Watcher {
    client: CoordinatorClient,
    stream: Option<Streaming<wire::WatchReply>>,
    /// Index of the coordinator that the stream comes from, or was to come from.
    peer: usize,
    view: View,
    pause: Duration,
}

impl Watcher {
    /// What is known so far. It may be old while no coordinator can be reached.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Waits for the next change. Never returns while nothing changes; a broken stream is opened again at another
    /// coordinator, which sends the whole view first. Drop the future to stop waiting: nothing is lost.
    ///
    /// # Errors
    /// A refusal that asking again cannot change.
    pub async fn next(&mut self) -> Result<Changes, Refused> {
        loop {
            match self.step().await {
                Ok(changes) if changes == Changes::default() => {}
                Ok(changes) => {
                    self.pause = PAUSE_MIN;
                    return Ok(changes);
                }
                Err(Fault::Final(refused)) => return Err(refused),
                Err(Fault::Passing(reason)) => {
                    tracing::debug!(%reason, "the watch of the coordinators broke; opening it again");
                    self.stream = None;
                    self.client.pass_over(self.peer);
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Changes, Fault> {
        let Some(stream) = &mut self.stream else {
            return self.open().await.map(|()| Changes::default());
        };
        let reply = match tokio::time::timeout(WATCH_SILENCE_MAX, stream.message()).await {
            Err(_) => return Err(Fault::Passing("the stream fell silent".to_owned())),
            Ok(Err(status)) => return Err(fault_of(&status)),
            Ok(Ok(None)) => return Err(Fault::Passing("the stream ended".to_owned())),
            Ok(Ok(Some(reply))) => reply,
        };
        let cluster_id = self.client.shared.identity.read().cluster_id.clone();
        check_envelope(reply.envelope.as_ref(), &cluster_id, true).map_err(Fault::Final)?;
        // A coordinator that lags behind the one before tells nothing that is not known already.
        if !reply.idle && reply.revision < self.view.revision {
            return Err(Fault::Passing(format!(
                "it is at {}, before {}",
                reply.revision, self.view.revision
            )));
        }
        let changes = self.view.take(reply).map_err(|refused| Fault::Passing(refused.to_string()))?;
        self.client.set_versions(self.view.placement.version.0, self.view.catalog.version());
        Ok(changes)
    }

    async fn open(&mut self) -> Result<(), Fault> {
        let (index, channel) = self.client.preferred();
        self.peer = index;
        let message = self.client.sign(wire::WatchRequest { envelope: Some(self.client.envelope()) });
        let mut peer = client(channel);
        let opened = tokio::time::timeout(self.client.shared.deadlines.attempt, peer.watch(message)).await;
        match opened {
            Err(_) => Err(Fault::Passing("it did not answer in time".to_owned())),
            Ok(Err(status)) => Err(fault_of(&status)),
            Ok(Ok(response)) => {
                let secret = self.client.shared.identity.read().secret.clone();
                secret.check_answer(response.metadata()).map_err(Fault::Final)?;
                self.stream = Some(response.into_inner());
                Ok(())
            }
        }
    }
}
