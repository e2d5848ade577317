//! The listener's side: checks who speaks, hands on what is said, and says why it stops to listen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::BoxStream;
use futures::{StreamExt, future, stream};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use zepto_common::ids::{Boot, Epoch, PartitionId, Token};
use zepto_common::limits::{
    OWNER_CONNECT_TIME_MAX, STATE_BYTES_PER_SECOND, STATE_PIECE_TIME_MAX, STATE_PIECES_WAITING,
    STATES_SENT_MAX, WRITE_MESSAGE_BYTES_MAX,
};
use zepto_common::metric_names::{REPLICATE_UNHEARD, STATES_SENDING};
use zepto_common::placement::Replica;
use zepto_proto::convert::{bad_message, partition_of, replica_of};
use zepto_proto::coordinate::{Envelope, Replica as WireReplica};
use zepto_proto::handshake::check_envelope;
use zepto_proto::refusal::{Refused, RefusedReason};
use zepto_proto::replicate as wire;
use zepto_proto::replicate::fetch_reply::Piece;
use zepto_proto::replicate::replicate_server::{Replicate, ReplicateServer};

use super::{CopyAsk, CopyIdentity, CopyListener, StatePieces};

struct Shared<L> {
    listener: L,
    identity: CopyIdentity,
    sending: Sending,
}

/// The replicate service of one node.
pub struct CopyService<L>(Arc<Shared<L>>);

/// The service, to be added to a gRPC server.
pub fn copy_server<L: CopyListener>(listener: L, identity: CopyIdentity) -> ReplicateServer<CopyService<L>> {
    ReplicateServer::new(CopyService(Arc::new(Shared { listener, identity, sending: Sending::default() })))
        .max_decoding_message_size(WRITE_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(WRITE_MESSAGE_BYTES_MAX)
}

#[tonic::async_trait]
impl<L: CopyListener> Replicate for CopyService<L> {
    type SpeakStream = BoxStream<'static, Result<wire::SpeakReply, Status>>;

    async fn speak(
        &self,
        request: Request<Streaming<wire::SpeakRequest>>,
    ) -> Result<Response<Self::SpeakStream>, Status> {
        let peer = request.remote_addr();
        let opened = self.0.open(request).await;
        let (from, words) = opened.map_err(|refused| {
            tracing::warn!(?peer, %refused, "a copy's node is not listened to");
            Status::from(refused)
        })?;
        let shared = self.0.clone();
        let envelope = shared.identity.envelope(shared.listener.versions());
        let first = wire::SpeakReply { envelope: Some(envelope) };
        // The stream is read while its answer is: it ends with the connection, and nobody else has to end it.
        let listening = stream::once(async move { shared.listen(from, words).await });
        let refusals = listening.filter_map(|ended| future::ready(ended.err().map(Err)));
        let replies = stream::once(future::ready(Ok(first))).chain(refusals);
        let mut response = Response::new(replies.boxed());
        self.0.identity.secret.sign_answer(response.metadata_mut());
        Ok(response)
    }

    type FetchStream = BoxStream<'static, Result<wire::FetchReply, Status>>;

    async fn fetch(
        &self,
        request: Request<wire::FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        let shared = &self.0;
        shared.identity.secret.check_request(request.metadata())?;
        let it = request.into_inner();
        let ask =
            shared.asked(it.envelope.as_ref(), (it.from.as_ref(), it.to.as_ref()), it.partition, it.token)?;
        let place = shared.sending.enter(ask)?;
        let pieces = shared.listener.pin(ask).await?;
        let envelope = shared.identity.envelope(shared.listener.versions());
        let (words, outgoing) = mpsc::channel(STATE_PIECES_WAITING);
        // Ends when the asker is gone, or has not taken a piece in time.
        tokio::task::spawn_blocking(move || send(pieces, &envelope, &words, place));
        let mut response = Response::new(ReceiverStream::new(outgoing).boxed());
        shared.identity.secret.sign_answer(response.metadata_mut());
        Ok(response)
    }

    async fn leave(
        &self,
        request: Request<wire::LeaveRequest>,
    ) -> Result<Response<wire::LeaveReply>, Status> {
        let shared = &self.0;
        shared.identity.secret.check_request(request.metadata())?;
        let it = request.into_inner();
        let ask =
            shared.asked(it.envelope.as_ref(), (it.from.as_ref(), it.to.as_ref()), it.partition, it.token)?;
        let granted = shared.listener.does_without(ask).await?;
        let envelope = Some(shared.identity.envelope(shared.listener.versions()));
        let mut response = Response::new(wire::LeaveReply { envelope, granted });
        shared.identity.secret.sign_answer(response.metadata_mut());
        Ok(response)
    }
}

/// Sends the pieces of a state, as fast as they are taken and no faster than the bound.
fn send(
    pieces: StatePieces,
    envelope: &Envelope,
    words: &mpsc::Sender<Result<wire::FetchReply, Status>>,
    place: Place,
) {
    let runtime = tokio::runtime::Handle::current();
    let begun = Instant::now();
    let mut bytes = 0;
    for piece in pieces {
        let last = piece.is_err();
        let reply = piece.map_err(Status::from).map(|piece| {
            bytes += piece_bytes(&piece);
            wire::FetchReply { envelope: Some(envelope.clone()), piece: Some(piece) }
        });
        let sent = runtime.block_on(async {
            let due = Duration::from_secs_f64(bytes as f64 / STATE_BYTES_PER_SECOND as f64);
            tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
            tokio::time::timeout(STATE_PIECE_TIME_MAX, words.send(reply)).await
        });
        if last || !matches!(sent, Ok(Ok(()))) {
            break;
        }
    }
    drop(place);
}

fn piece_bytes(piece: &Piece) -> usize {
    match piece {
        Piece::Rows(rows) => rows.ipc.len(),
        Piece::Window(window) => window.bytes.len(),
        Piece::Begin(_) | Piece::End(_) => 0,
    }
}

/// The states that are being sent: each copy one of each partition, and few in all.
#[derive(Debug, Default)]
struct Sending(Arc<Mutex<BTreeSet<(Replica, PartitionId)>>>);

/// A place among them, given back when it is dropped.
struct Place {
    sending: Arc<Mutex<BTreeSet<(Replica, PartitionId)>>>,
    key: (Replica, PartitionId),
}

impl Sending {
    fn enter(&self, ask: CopyAsk) -> Result<Place, Refused> {
        let mut under_way = self.0.lock();
        let key = (ask.from, ask.partition);
        if under_way.len() >= STATES_SENT_MAX || !under_way.insert(key) {
            let message = format!("{} whole states are being sent already", under_way.len());
            return Err(Refused::new(RefusedReason::Busy, message));
        }
        metrics::gauge!(STATES_SENDING).set(under_way.len() as f64);
        Ok(Place { sending: self.0.clone(), key })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut under_way = self.sending.lock();
        under_way.remove(&self.key);
        metrics::gauge!(STATES_SENDING).set(under_way.len() as f64);
    }
}

impl<L: CopyListener> Shared<L> {
    /// Checks who asks, and whether this disk is meant.
    fn asked(
        &self,
        envelope: Option<&Envelope>,
        (from, to): (Option<&WireReplica>, Option<&WireReplica>),
        partition: u32,
        token: Option<wire::Token>,
    ) -> Result<CopyAsk, Refused> {
        let envelope = check_envelope(envelope, &self.identity.cluster_id, false)?;
        let (from, to) = (replica_of(from)?, replica_of(to)?);
        if envelope.node_id != from.node.0 {
            return Err(bad_message(format!("node {} asks for node {}", envelope.node_id, from.node)));
        }
        if to != self.identity.me {
            let message = format!("what is asked of node {} came to node {}", to.node, self.identity.me.node);
            return Err(Refused::new(RefusedReason::WrongMember, message));
        }
        let token = token.ok_or_else(|| bad_message("the token is missing"))?;
        let token = Token { epoch: Epoch(token.epoch), boot: Boot(token.boot) };
        Ok(CopyAsk { from, partition: partition_of(partition)?, token })
    }

    /// Checks the secret and the first message.
    async fn open(
        &self,
        request: Request<Streaming<wire::SpeakRequest>>,
    ) -> Result<(Replica, Streaming<wire::SpeakRequest>), Refused> {
        self.identity.secret.check_request(request.metadata())?;
        let mut words = request.into_inner();
        let first = tokio::time::timeout(OWNER_CONNECT_TIME_MAX, words.message()).await;
        let Ok(Ok(Some(first))) = first else {
            return Err(bad_message("a stream of a copy's node without a first message"));
        };
        let envelope = check_envelope(first.envelope.as_ref(), &self.identity.cluster_id, false)?;
        let (from, to) = (replica_of(first.from.as_ref())?, replica_of(first.to.as_ref())?);
        if envelope.node_id != from.node.0 {
            return Err(bad_message(format!("node {} speaks for node {}", envelope.node_id, from.node)));
        }
        if to != self.identity.me {
            let me = self.identity.me;
            let message = format!(
                "words for node {} with disk {} came to node {} with disk {}",
                to.node, to.disk, me.node, me.disk
            );
            return Err(Refused::new(RefusedReason::WrongMember, message));
        }
        if !first.messages.is_empty() {
            return Err(bad_message("words in the first message"));
        }
        Ok((from, words))
    }

    /// Hands on what is said, to the stream's end.
    async fn listen(
        self: Arc<Self>,
        from: Replica,
        mut words: Streaming<wire::SpeakRequest>,
    ) -> Result<(), Status> {
        loop {
            let request = match words.message().await {
                Ok(Some(request)) => request,
                Ok(None) => return Ok(()),
                Err(status) => {
                    tracing::debug!(node = %from.node, %status, "a stream of a copy's node broke");
                    return Ok(());
                }
            };
            if let Err(refused) = self.take(from, request) {
                tracing::warn!(node = %from.node, %refused, "a copy's node is not listened to any more");
                return Err(refused.into());
            }
        }
    }

    fn take(&self, from: Replica, request: wire::SpeakRequest) -> Result<(), Refused> {
        check_envelope(request.envelope.as_ref(), &self.identity.cluster_id, false)?;
        let unheard = self.listener.hear(from, request.messages, request.blocks)?;
        if unheard > 0 {
            metrics::counter!(REPLICATE_UNHEARD, "peer" => from.node.to_string()).increment(unheard);
        }
        Ok(())
    }
}
