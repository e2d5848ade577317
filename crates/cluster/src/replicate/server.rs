//! The listener's side: checks who speaks, hands on what is said, and says why it stops to listen.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, future, stream};
use tonic::{Request, Response, Status, Streaming};
use zepto_common::limits::{OWNER_CONNECT_TIME_MAX, WRITE_MESSAGE_BYTES_MAX};
use zepto_common::metric_names::REPLICATE_UNHEARD;
use zepto_common::placement::Replica;
use zepto_proto::convert::{bad_message, replica_of};
use zepto_proto::handshake::check_envelope;
use zepto_proto::refusal::{Refused, RefusedReason};
use zepto_proto::replicate as wire;
use zepto_proto::replicate::replicate_server::{Replicate, ReplicateServer};

use super::{CopyIdentity, CopyListener};

struct Shared<L> {
    listener: L,
    identity: CopyIdentity,
}

/// The replicate service of one node.
pub struct CopyService<L>(Arc<Shared<L>>);

/// The service, to be added to a gRPC server.
pub fn copy_server<L: CopyListener>(listener: L, identity: CopyIdentity) -> ReplicateServer<CopyService<L>> {
    ReplicateServer::new(CopyService(Arc::new(Shared { listener, identity })))
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
}

impl<L: CopyListener> Shared<L> {
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
        for message in request.messages {
            if !self.listener.hear(from, message)? {
                metrics::counter!(REPLICATE_UNHEARD, "peer" => from.node.to_string()).increment(1);
            }
        }
        Ok(())
    }
}
