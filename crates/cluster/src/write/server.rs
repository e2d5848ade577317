//! The owner's side of the write service: checks who sends, decodes, hands on, answers out of order.
//!
//! Promises: nothing of a message is looked at before the peer's secret, protocol, cluster and addressee were found
//! right; a refusal says why to the peer and in this node's log; all edges together hold a bounded number of bytes here,
//! beyond which their streams are not read; an answer is sent only for what the [`OwnerWrites`] has said.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use zepto_common::ids::{NodeId, PlacementVersion};
use zepto_common::limits::{OWNER_CONNECT_TIME_MAX, OWNER_REQUESTS_IN_FLIGHT, WRITE_MESSAGE_BYTES_MAX};
use zepto_common::{Error, ErrorCode};
use zepto_proto::convert::bad_message;
use zepto_proto::coordinate::Envelope;
use zepto_proto::handshake::{PROTOCOL, Secret, check_envelope};
use zepto_proto::refusal::{Refused, RefusedReason};
use zepto_proto::write as wire;
use zepto_proto::write::write_server::{Write, WriteServer};

use super::codec::{outcome_message, owner_batch};
use super::positions::{at_of, reply_of};
use super::{OwnerWrites, PartOutcome, PositionsAt, Verdict};

/// Bytes that one permit stands for.
const UNIT: usize = 4 << 10;
/// Rows of more bytes are decoded off the reactor.
const TRIFLE: usize = 256 << 10;

/// Who this owner is.
#[derive(Debug, Clone)]
pub struct OwnerIdentity {
    /// The cluster.
    pub cluster_id: String,
    /// This node.
    pub node: NodeId,
    /// This start.
    pub incarnation: u64,
    /// The cluster's secret.
    pub secret: Secret,
}

struct Shared<W> {
    owner: W,
    identity: OwnerIdentity,
    room: Arc<Semaphore>,
    /// All of that room.
    units: usize,
}

/// The write service of one owner.
pub struct OwnerService<W>(Arc<Shared<W>>);

/// The service, to be added to a gRPC server. It holds so many bytes of rows, of all edges together.
pub fn owner_server<W: OwnerWrites>(
    owner: W,
    identity: OwnerIdentity,
    bytes: usize,
) -> WriteServer<OwnerService<W>> {
    let units = (bytes / UNIT).max(1);
    let room = Arc::new(Semaphore::new(units));
    WriteServer::new(OwnerService(Arc::new(Shared { owner, identity, room, units })))
        .max_decoding_message_size(WRITE_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(WRITE_MESSAGE_BYTES_MAX)
}

type Answers = mpsc::Sender<Result<wire::WriteReply, Status>>;

#[tonic::async_trait]
impl<W: OwnerWrites> Write for OwnerService<W> {
    type WriteStream = BoxStream<'static, Result<wire::WriteReply, Status>>;

    async fn write(
        &self,
        request: Request<Streaming<wire::WriteMessage>>,
    ) -> Result<Response<Self::WriteStream>, Status> {
        let peer = request.remote_addr();
        let opened = self.0.open(request).await;
        let (from, messages) = opened.map_err(|refused| {
            tracing::warn!(?peer, %refused, "a stream of rows is refused");
            Status::from(refused)
        })?;
        let (answers, replies) = mpsc::channel(OWNER_REQUESTS_IN_FLIGHT);
        // There is room: nothing was sent yet.
        let _first = answers.try_send(Ok(self.0.reply(Vec::new())));
        tokio::spawn(self.0.clone().read(from, messages, answers));
        let mut response = Response::new(ReceiverStream::new(replies).boxed());
        self.0.identity.secret.sign_answer(response.metadata_mut());
        Ok(response)
    }

    async fn positions(
        &self,
        request: Request<wire::PositionsRequest>,
    ) -> Result<Response<wire::PositionsReply>, Status> {
        let at = self.0.positions_of(request).map_err(|refused| {
            tracing::warn!(%refused, "a question for positions is refused");
            Status::from(refused)
        })?;
        let home = at.home;
        let told = self.0.owner.positions(at).await;
        let mut response = Response::new(reply_of(home, told, self.0.envelope()));
        self.0.identity.secret.sign_answer(response.metadata_mut());
        Ok(response)
    }
}

impl<W: OwnerWrites> Shared<W> {
    /// Checks the secret and the first message.
    async fn open(
        &self,
        request: Request<Streaming<wire::WriteMessage>>,
    ) -> Result<(NodeId, Streaming<wire::WriteMessage>), Refused> {
        self.identity.secret.check_request(request.metadata())?;
        let mut messages = request.into_inner();
        let first = tokio::time::timeout(OWNER_CONNECT_TIME_MAX, messages.message()).await;
        let Ok(Ok(Some(first))) = first else {
            return Err(bad_message("a stream of rows without a first message"));
        };
        let envelope = self.check(&first)?;
        if first.to_node_id != self.identity.node.0 {
            let message = format!("rows for node {} came to node {}", first.to_node_id, self.identity.node);
            return Err(Refused::new(RefusedReason::WrongMember, message));
        }
        if !first.requests.is_empty() {
            return Err(bad_message("rows in the first message"));
        }
        Ok((NodeId(envelope.node_id), messages))
    }

    fn positions_of(&self, request: Request<wire::PositionsRequest>) -> Result<PositionsAt, Refused> {
        self.identity.secret.check_request(request.metadata())?;
        let request = request.into_inner();
        let envelope = check_envelope(request.envelope.as_ref(), &self.identity.cluster_id, false)?;
        if request.to_node_id != self.identity.node.0 {
            let message =
                format!("a question for node {} came to node {}", request.to_node_id, self.identity.node);
            return Err(Refused::new(RefusedReason::WrongMember, message));
        }
        at_of(PlacementVersion(envelope.placement_version), request)
    }

    fn check(&self, message: &wire::WriteMessage) -> Result<Envelope, Refused> {
        check_envelope(message.envelope.as_ref(), &self.identity.cluster_id, false)
    }

    fn envelope(&self) -> Envelope {
        let (placement, catalog) = self.owner.versions();
        Envelope {
            protocol: PROTOCOL,
            cluster_id: self.identity.cluster_id.clone(),
            node_id: self.identity.node.0,
            incarnation: self.identity.incarnation,
            placement_version: placement.0,
            catalog_version: catalog,
        }
    }

    fn reply(&self, replies: Vec<wire::SubReply>) -> wire::WriteReply {
        wire::WriteReply { envelope: Some(self.envelope()), replies }
    }

    /// Reads the stream to its end; each sub-request is a task of its own.
    async fn read(
        self: Arc<Self>,
        from: NodeId,
        mut messages: Streaming<wire::WriteMessage>,
        answers: Answers,
    ) {
        loop {
            let message = tokio::select! {
                message = messages.message() => message,
                () = answers.closed() => return,
            };
            let message = match message {
                Ok(Some(message)) => message,
                Ok(None) => return,
                Err(status) => {
                    tracing::debug!(%from, %status, "a stream of rows broke");
                    return;
                }
            };
            let placement = match self.check(&message) {
                Ok(envelope) => PlacementVersion(envelope.placement_version),
                Err(refused) => {
                    tracing::warn!(%from, %refused, "a stream of rows is refused");
                    let _peer_gone = answers.send(Err(refused.into())).await;
                    return;
                }
            };
            for request in message.requests {
                let units = (request.rows.len() / UNIT + 1).min(self.units) as u32;
                let Ok(permit) = self.room.clone().acquire_many_owned(units).await else { return };
                let work = self.clone().answer(from, placement, request, permit, answers.clone());
                tokio::spawn(work);
            }
        }
    }

    async fn answer(
        self: Arc<Self>,
        from: NodeId,
        placement: PlacementVersion,
        request: wire::SubRequest,
        permit: OwnedSemaphorePermit,
        answers: Answers,
    ) {
        let id = request.id;
        let asked: Vec<u32> = request.parts.iter().map(|it| it.partition).collect();
        let decoded = if request.rows.len() <= TRIFLE {
            Ok(owner_batch(from, placement, request))
        } else {
            tokio::task::spawn_blocking(move || owner_batch(from, placement, request)).await
        };
        let parts = match decoded {
            Ok(Ok(batch)) => {
                // A fault of the owner's code must not leave the edge without an answer.
                let written = std::panic::AssertUnwindSafe(self.owner.write(batch)).catch_unwind().await;
                written.unwrap_or_default().iter().map(outcome_message).collect()
            }
            Ok(Err(refused)) => {
                tracing::warn!(%from, %refused, "rows are refused");
                let error = Error::new(ErrorCode::IncorrectData, refused.to_string());
                refuse_all(&asked, &error)
            }
            Err(fault) => refuse_all(&asked, &Error::internal(fault.to_string())),
        };
        let reply = self.reply(vec![wire::SubReply { id, parts }]);
        drop(permit);
        let _edge_gone = answers.send(Ok(reply)).await;
    }
}

fn refuse_all(asked: &[u32], error: &Error) -> Vec<wire::PartOutcome> {
    let outcome = PartOutcome { partition: Default::default(), verdict: Verdict::Refused(error.clone()) };
    let message = outcome_message(&outcome);
    asked.iter().map(|&partition| wire::PartOutcome { partition, ..message.clone() }).collect()
}

/// How an owner's gRPC server should keep its connections.
#[must_use]
pub fn tuned(server: tonic::transport::Server) -> tonic::transport::Server {
    server
        .http2_keepalive_interval(Some(Duration::from_secs(5)))
        .http2_keepalive_timeout(Some(Duration::from_secs(5)))
        .initial_stream_window_size(super::link::STREAM_WINDOW)
        .initial_connection_window_size(super::link::STREAM_WINDOW)
}
