//! The speaker's side: for each other replica a queue of what is to be said and a task that says it.
//!
//! Promises: [`PeerLinks::send`] never waits and never grows a queue beyond its bounds; a slow or dead listener costs
//! the others nothing; while there is no stream, what is to be said is dropped, for it would be old when it could be
//! said; a stream that breaks is opened again after a pause that grows to a bound.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rand::RngExt;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};
use zepto_common::ids::{NodeId, PlacementVersion};
use zepto_common::limits::{OWNER_CONNECT_TIME_MAX, WRITE_MESSAGE_BYTES_MAX};
use zepto_common::metric_names::{REPLICATE_DROPPED, REPLICATE_MESSAGES};
use zepto_common::placement::Replica;
use zepto_proto::handshake::check_envelope;
use zepto_proto::replicate as wire;
use zepto_proto::replicate::replicate_client::ReplicateClient;
use zepto_proto::wire::Wire;

use super::batch::{Batch, is_same};
use super::{CopyIdentity, Said, bytes_of};

/// Messages that may wait for one listener.
const MESSAGES_MAX: usize = 16_384;
/// Bytes that may wait for one listener, as long as more than one message waits.
const BYTES_MAX: usize = 64 << 20;
/// Messages of the stream that wait for the network.
const STREAM_SLOTS: usize = 2;
/// Other replicas that are spoken to at most.
const PEERS_MAX: usize = 1_024;
/// Pause after the first broken stream; doubles.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Between two pings of a connection, and how long an answer to one may take.
const PING: Duration = Duration::from_secs(5);

/// What waits for one listener.
#[derive(Debug, Default)]
struct Waiting {
    /// Each with its bytes; a block counts with the first of the messages in a row that share it.
    messages: VecDeque<(Said, usize)>,
    bytes: usize,
    /// A stream is open: what is said now can leave.
    open: bool,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Something waits.
    said: Notify,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) identity: CopyIdentity,
    pub(super) addresses: RwLock<BTreeMap<NodeId, String>>,
    /// What this node acts on.
    pub(super) versions: RwLock<(PlacementVersion, u64)>,
    queues: RwLock<HashMap<Replica, Arc<Queue>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// An address has changed.
    moved: Notify,
    runtime: Handle,
    stop: CancellationToken,
}

/// The streams to all other replicas. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PeerLinks {
    pub(super) shared: Arc<Shared>,
}

impl PeerLinks {
    /// No streams yet: they are opened when something is said.
    #[must_use]
    pub fn new(identity: CopyIdentity, runtime: Handle) -> Self {
        let shared = Shared {
            identity,
            addresses: RwLock::default(),
            versions: RwLock::default(),
            queues: RwLock::default(),
            tasks: Mutex::default(),
            moved: Notify::new(),
            runtime,
            stop: CancellationToken::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Where the nodes are, `host:port` each. A stream that is open stays until it breaks.
    pub fn set_addresses(&self, addresses: &BTreeMap<NodeId, String>) {
        let mut known = self.shared.addresses.write();
        if *known != *addresses {
            known.clone_from(addresses);
            drop(known);
            self.shared.moved.notify_waiters();
        }
    }

    /// What this node acts on, for the envelopes to come.
    pub fn set_versions(&self, placement: PlacementVersion, catalog: u64) {
        *self.shared.versions.write() = (placement, catalog);
    }

    /// Says something to a replica, now or never. Does not wait.
    pub fn send(&self, to: Replica, said: impl Into<Said>) {
        self.send_all(to, vec![said.into()]);
    }

    /// Says several things to a replica, in one message if there is room in it. Does not wait.
    pub fn send_all(&self, to: Replica, said: Vec<Said>) {
        let known = self.shared.queues.read().get(&to).cloned();
        let Some(queue) = known.or_else(|| self.begin(to)) else { return dropped(to, "unknown", said.len()) };
        let (lost, why) = queue.waiting.lock().take_in(said);
        if lost > 0 {
            dropped(to, why, lost);
        }
        queue.said.notify_one();
    }

    /// Bytes that wait for all listeners.
    #[cfg(test)]
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.shared.queues.read().values().map(|queue| queue.waiting.lock().bytes).sum()
    }

    /// Ends every stream; what waits is not said any more.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        let tasks = std::mem::take(&mut *self.shared.tasks.lock());
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a stream to a copy ended badly");
            }
        }
    }

    /// A queue and a task for a replica that was not spoken to before.
    fn begin(&self, to: Replica) -> Option<Arc<Queue>> {
        let shared = &self.shared;
        let mut queues = shared.queues.write();
        if let Some(queue) = queues.get(&to) {
            return Some(queue.clone());
        }
        if queues.len() >= PEERS_MAX || shared.stop.is_cancelled() {
            return None;
        }
        let queue = Arc::new(Queue::default());
        queues.insert(to, queue.clone());
        let task = shared.runtime.spawn(shared.clone().speak(to, queue.clone()));
        shared.tasks.lock().push(task);
        Some(queue)
    }
}

fn dropped(to: Replica, why: &'static str, messages: usize) {
    let labels = [("peer", to.node.to_string()), ("why", why.to_owned())];
    metrics::counter!(REPLICATE_DROPPED, &labels).increment(messages as u64);
}

impl Waiting {
    /// How many found no place, and why.
    fn take_in(&mut self, said: Vec<Said>) -> (usize, &'static str) {
        if !self.open {
            return (said.len(), "away");
        }
        let mut lost = 0;
        for said in said {
            let bytes = self.bytes_with(&said);
            let full = self.messages.len() >= MESSAGES_MAX || self.bytes + bytes > BYTES_MAX;
            if full && !self.messages.is_empty() {
                lost += 1;
                continue;
            }
            self.bytes += bytes;
            self.messages.push_back((said, bytes));
        }
        (lost, "full")
    }

    /// What a message adds to the bytes that wait.
    fn bytes_with(&self, said: &Said) -> usize {
        let last = self.messages.back().map_or(&[][..], |(last, _)| last.blocks.as_slice());
        let fresh = said.blocks.iter().filter(|block| !last.iter().any(|known| is_same(known, block)));
        bytes_of(&said.message) + fresh.map(|block| block.ipc.len()).sum::<usize>()
    }
}

impl Queue {
    fn open(&self) {
        self.waiting.lock().open = true;
    }

    /// Drops what waits; how many messages.
    fn close(&self) -> usize {
        let mut waiting = self.waiting.lock();
        let gone = std::mem::take(&mut waiting.messages);
        (waiting.bytes, waiting.open) = (0, false);
        drop(waiting);
        gone.len()
    }

    /// What goes out next.
    async fn next(&self) -> Batch {
        loop {
            let said = self.said.notified();
            {
                let mut waiting = self.waiting.lock();
                let mut batch = Batch::default();
                while waiting.messages.front().is_some_and(|(said, _)| batch.has_room(said)) {
                    let Some((said, bytes)) = waiting.messages.pop_front() else { break };
                    waiting.bytes = waiting.bytes.saturating_sub(bytes);
                    batch.take(said);
                }
                if !batch.is_empty() {
                    return batch;
                }
            }
            said.await;
        }
    }
}

impl Shared {
    /// Keeps a stream to one replica open until the node stops.
    async fn speak(self: Arc<Self>, to: Replica, queue: Arc<Queue>) {
        let mut pause = PAUSE_MIN;
        let mut known_fault = String::new();
        loop {
            let moved = self.moved.notified();
            let fault = tokio::select! {
                ended = self.stream(to, &queue, &mut pause) => ended.err(),
                () = self.stop.cancelled() => break,
            };
            let gone = queue.close();
            if gone > 0 {
                dropped(to, "broken", gone);
            }
            let fault = fault.unwrap_or_default();
            if fault != known_fault {
                tracing::warn!(node = %to.node, fault, "nothing can be said to a copy's node; it is tried again");
                known_fault = fault;
            }
            let jitter = rand::rng().random_range(0.5..1.0);
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(jitter)) => {}
                () = moved => {}
                () = self.stop.cancelled() => break,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        queue.close();
    }

    /// One stream, from its opening to its end.
    async fn stream(&self, to: Replica, queue: &Queue, pause: &mut Duration) -> Result<(), String> {
        let opened = tokio::time::timeout(OWNER_CONNECT_TIME_MAX, self.open(to)).await;
        let (words, mut replies) = opened.map_err(|_| "it did not answer in time".to_owned())??;
        *pause = PAUSE_MIN;
        tracing::debug!(node = %to.node, "a stream to a copy's node is open");
        queue.open();
        let labels = [("peer", to.node.to_string())];
        let said = metrics::counter!(REPLICATE_MESSAGES, &labels);
        let speaking = async {
            loop {
                // A slot first: what waits longer can be dropped by nobody.
                let Ok(slot) = words.reserve().await else { return };
                let batch = queue.next().await;
                said.increment(batch.messages.len() as u64);
                slot.send(self.request(batch));
            }
        };
        tokio::select! {
            () = speaking => Err("the stream ended".to_owned()),
            ended = replies.message() => match ended {
                Ok(Some(_)) => Err("it said something that was not asked".to_owned()),
                Ok(None) => Err("it ended the stream".to_owned()),
                Err(status) => Err(status.message().to_owned()),
            },
        }
    }

    fn request(&self, batch: Batch) -> wire::SpeakRequest {
        let envelope = Some(self.identity.envelope(*self.versions.read()));
        let Batch { messages, blocks, .. } = batch;
        wire::SpeakRequest { envelope, from: None, to: None, messages, blocks }
    }

    async fn open(
        &self,
        to: Replica,
    ) -> Result<(mpsc::Sender<wire::SpeakRequest>, Streaming<wire::SpeakReply>), String> {
        let address = self.addresses.read().get(&to.node).cloned();
        let address = address.ok_or_else(|| "its address is not known".to_owned())?;
        let client = ReplicateClient::new(connect(self.identity.secret.wire(), &address).await?)
            .max_decoding_message_size(WRITE_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(WRITE_MESSAGE_BYTES_MAX);
        let (words, outgoing) = mpsc::channel(STREAM_SLOTS);
        let mut first = self.request(Batch::default());
        (first.from, first.to) = (Some(self.identity.me.into()), Some(to.into()));
        words.send(first).await.map_err(|error| error.to_string())?;
        let mut request = Request::new(ReceiverStream::new(outgoing));
        self.identity.secret.sign_request(request.metadata_mut());
        let response = { client }.speak(request).await.map_err(|status| status.message().to_owned())?;
        self.identity.secret.check_answer(response.metadata()).map_err(|refused| refused.to_string())?;
        let mut replies = response.into_inner();
        let first = replies.message().await.map_err(|status| status.message().to_owned())?;
        let first = first.ok_or_else(|| "it ended the stream".to_owned())?;
        let listener = check_envelope(first.envelope.as_ref(), &self.identity.cluster_id, false);
        let listener = listener.map_err(|refused| refused.to_string())?;
        if listener.node_id != to.node.0 {
            return Err(format!("node {} answers there", listener.node_id));
        }
        Ok((words, replies))
    }
}

pub(super) async fn connect(wire: &Wire, address: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| error.to_string())?;
    let endpoint = endpoint
        .connect_timeout(OWNER_CONNECT_TIME_MAX)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(crate::write::link::STREAM_WINDOW)
        .initial_connection_window_size(crate::write::link::STREAM_WINDOW);
    wire.connect(endpoint).await.map_err(|error| crate::write::link::source_of(&error))
}
