//! One stream of rows to one owner: sends sub-requests, gives each its answer, and ends as a whole.
//!
//! Promises: a sub-request that was not sent is told as [`Lost::NotSent`]; one that was sent and not answered when the
//! stream ends as [`Lost::Unanswered`]. Its permit is held until its answer comes or the stream ends, whoever still
//! waits for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use zepto_common::ids::NodeId;
use zepto_common::limits::{OWNER_CONNECT_TIME_MAX, WRITE_MESSAGE_BYTES_MAX};
use zepto_proto::coordinate::Envelope;
use zepto_proto::handshake::check_envelope;
use zepto_proto::refusal::{Refused, RefusedReason};
use zepto_proto::write as wire;
use zepto_proto::write::write_client::WriteClient;

use super::pool::EdgeIdentity;

/// Bytes that a peer may send before it is told to go on.
pub(crate) const STREAM_WINDOW: u32 = 8 << 20;
/// Between two pings of a connection, and how long an answer to one may take.
const PING: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) enum Lost {
    /// Certainly not sent.
    NotSent(String),
    /// Sent, perhaps taken.
    Unanswered(String),
    /// The two sides do not believe each other: asking again changes nothing.
    Refused(Refused),
}

type Answer = Result<wire::SubReply, Lost>;

struct Waiting {
    answer: oneshot::Sender<Answer>,
    _permit: OwnedSemaphorePermit,
}

/// A stream in service.
pub(crate) struct Link {
    channel: Channel,
    messages: mpsc::Sender<wire::WriteMessage>,
    waiting: Mutex<Option<HashMap<u64, Waiting>>>,
    next_id: AtomicU64,
    cut: CancellationToken,
}

impl Link {
    /// Connects, opens the stream and checks the owner's first message.
    pub(crate) async fn open(
        address: &str,
        to: NodeId,
        identity: &EdgeIdentity,
        waiting: usize,
    ) -> Result<Arc<Self>, Lost> {
        let opening = Self::try_open(address, to, identity, waiting);
        match tokio::time::timeout(OWNER_CONNECT_TIME_MAX, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(Lost::NotSent(format!("node {to} at {address} did not answer in time"))),
        }
    }

    async fn try_open(
        address: &str,
        to: NodeId,
        identity: &EdgeIdentity,
        waiting: usize,
    ) -> Result<Arc<Self>, Lost> {
        let away =
            |what: &dyn std::fmt::Display| Lost::NotSent(format!("node {to} at {address} is away: {what}"));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| away(&error))?;
        let endpoint = endpoint
            .connect_timeout(OWNER_CONNECT_TIME_MAX)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(STREAM_WINDOW);
        let connected = identity.secret.wire().connect(endpoint).await;
        let channel = connected.map_err(|error| away(&source_of(&error)))?;
        let (messages, outgoing) = mpsc::channel(waiting.max(1));
        let first = wire::WriteMessage {
            envelope: Some(identity.envelope()),
            requests: Vec::new(),
            to_node_id: to.0,
        };
        messages.send(first).await.map_err(|error| away(&error))?;
        let mut request = Request::new(ReceiverStream::new(outgoing));
        identity.secret.sign_request(request.metadata_mut());
        let refused = |status: Status| match Refused::of(&status) {
            Some(refused) if refused.reason != RefusedReason::WrongMember => Lost::Refused(refused),
            _ => away(&status.message()),
        };
        let response = client(channel.clone()).write(request).await.map_err(refused)?;
        identity.secret.check_answer(response.metadata()).map_err(Lost::Refused)?;
        let mut replies = response.into_inner();
        let first = replies.message().await.map_err(refused)?;
        let first = first.ok_or_else(|| away(&"it ended the stream"))?;
        let owner = check(&first, identity)?;
        if owner.node_id != to.0 {
            return Err(away(&format!("node {} answers there", owner.node_id)));
        }
        let link = Arc::new(Self {
            channel,
            messages,
            waiting: Mutex::new(Some(HashMap::new())),
            next_id: AtomicU64::new(1),
            cut: CancellationToken::new(),
        });
        tokio::spawn(link.clone().read(replies, identity.clone(), to));
        Ok(link)
    }

    /// Whether the stream has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.waiting.lock().is_none()
    }

    /// Ends the stream: what waits is lost, and its room is given back.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    /// Sends one sub-request; its answer comes by the receiver.
    pub(crate) async fn send(
        &self,
        envelope: Envelope,
        mut request: wire::SubRequest,
        permit: OwnedSemaphorePermit,
    ) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        request.id = id;
        let waiting = Waiting { answer, _permit: permit };
        // The slot comes first: whoever gives up while it waits for one leaves nothing behind.
        let Ok(slot) = self.messages.reserve().await else {
            let _gave_up = waiting.answer.send(Err(Lost::NotSent("the stream has ended".to_owned())));
            return receiver;
        };
        {
            let mut open = self.waiting.lock();
            let Some(open) = open.as_mut() else {
                let _gave_up = waiting.answer.send(Err(Lost::NotSent("the stream has ended".to_owned())));
                return receiver;
            };
            open.insert(id, waiting);
        }
        slot.send(wire::WriteMessage { envelope: Some(envelope), requests: vec![request], to_node_id: 0 });
        receiver
    }

    /// Asks for the positions of a feed; the owner's first message was checked on the same connection.
    pub(crate) async fn positions(
        &self,
        request: wire::PositionsRequest,
        identity: &EdgeIdentity,
    ) -> Result<wire::PositionsReply, Lost> {
        let unanswered = |status: Status| match Refused::of(&status) {
            Some(refused) if refused.reason != RefusedReason::WrongMember => Lost::Refused(refused),
            _ => Lost::Unanswered(status.message().to_owned()),
        };
        let mut request = Request::new(request);
        identity.secret.sign_request(request.metadata_mut());
        let response = client(self.channel.clone()).positions(request).await.map_err(unanswered)?;
        identity.secret.check_answer(response.metadata()).map_err(Lost::Refused)?;
        let reply = response.into_inner();
        check_envelope(reply.envelope.as_ref(), &identity.cluster_id, false).map_err(Lost::Refused)?;
        Ok(reply)
    }

    fn taken(&self, id: u64) -> Option<Waiting> {
        self.waiting.lock().as_mut()?.remove(&id)
    }

    async fn read(
        self: Arc<Self>,
        mut replies: Streaming<wire::WriteReply>,
        identity: EdgeIdentity,
        to: NodeId,
    ) {
        let lost = loop {
            let reply = tokio::select! {
                reply = replies.message() => reply,
                () = self.cut.cancelled() => break Lost::Unanswered("it did not answer in time".to_owned()),
            };
            let reply = match reply {
                Ok(Some(reply)) => reply,
                Ok(None) => break Lost::Unanswered("it ended the stream".to_owned()),
                Err(status) => break Lost::Unanswered(status.message().to_owned()),
            };
            if let Err(lost) = check(&reply, &identity) {
                tracing::warn!(%to, ?lost, "an owner's answers are not believed");
                break Lost::Unanswered("its answer was not believed".to_owned());
            }
            for answer in reply.replies {
                if let Some(waiting) = self.taken(answer.id) {
                    let _gave_up = waiting.answer.send(Ok(answer));
                }
            }
        };
        tracing::debug!(%to, ?lost, "a stream of rows ended");
        let left = self.waiting.lock().take().unwrap_or_default();
        for waiting in left.into_values() {
            let _gave_up = waiting.answer.send(Err(lost.clone()));
        }
    }
}

/// The error's innermost cause: the outer ones only say "transport error".
pub(crate) fn source_of(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

fn check(reply: &wire::WriteReply, identity: &EdgeIdentity) -> Result<Envelope, Lost> {
    check_envelope(reply.envelope.as_ref(), &identity.cluster_id, false).map_err(Lost::Refused)
}

fn client(channel: Channel) -> WriteClient<Channel> {
    WriteClient::new(channel)
        .max_decoding_message_size(WRITE_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(WRITE_MESSAGE_BYTES_MAX)
}
