//! The copy's side of what it asks its owner: the whole state, and leave to go. A connection of its own each, so that bytes
//! of a state never stand before a heartbeat.

use tonic::{Request, Streaming};
use zepto_common::PartitionId;
use zepto_common::ids::Token;
use zepto_common::limits::{OWNER_CONNECT_TIME_MAX, WRITE_MESSAGE_BYTES_MAX};
use zepto_common::placement::Replica;
use zepto_proto::handshake::check_envelope;
use zepto_proto::replicate as wire;
use zepto_proto::replicate::fetch_reply::Piece;
use zepto_proto::replicate::replicate_client::ReplicateClient;

use super::links::{PeerLinks, connect};

/// The pieces of a state as they come.
#[derive(Debug)]
pub struct StateStream(Streaming<wire::FetchReply>);

impl StateStream {
    /// The next piece; None at the end of the stream.
    ///
    /// # Errors
    /// The stream broke, or the owner has refused to go on.
    pub async fn next(&mut self) -> Result<Option<Piece>, String> {
        let came = tokio::time::timeout(zepto_common::limits::STATE_PIECE_TIME_MAX, self.0.message()).await;
        let came = came.map_err(|_| "a piece did not come in time".to_owned())?;
        let reply = came.map_err(|status| status.message().to_owned())?;
        let Some(reply) = reply else { return Ok(None) };
        reply.piece.map(Some).ok_or_else(|| "a reply without a piece".to_owned())
    }
}

impl PeerLinks {
    async fn client(&self, to: Replica) -> Result<ReplicateClient<tonic::transport::Channel>, String> {
        let address = self.shared.addresses.read().get(&to.node).cloned();
        let address = address.ok_or_else(|| "its address is not known".to_owned())?;
        let wire = self.shared.identity.secret.wire();
        let connected = tokio::time::timeout(OWNER_CONNECT_TIME_MAX, connect(wire, &address)).await;
        let channel = connected.map_err(|_| "it did not answer in time".to_owned())??;
        Ok(ReplicateClient::new(channel).max_decoding_message_size(WRITE_MESSAGE_BYTES_MAX))
    }

    /// Asks the owner of a partition for its whole state.
    ///
    /// # Errors
    /// It cannot be reached, or refuses.
    pub async fn fetch(
        &self,
        owner: Replica,
        partition: PartitionId,
        token: Token,
    ) -> Result<StateStream, String> {
        let mut client = self.client(owner).await?;
        let mut request = Request::new(wire::FetchRequest {
            envelope: Some(self.shared.identity.envelope(*self.shared.versions.read())),
            from: Some(self.shared.identity.me.into()),
            to: Some(owner.into()),
            partition: partition.0.into(),
            token: Some(wire::Token { epoch: token.epoch.0, boot: token.boot.0 }),
        });
        self.shared.identity.secret.sign_request(request.metadata_mut());
        let response = client.fetch(request).await.map_err(|status| status.message().to_owned())?;
        self.check(response.metadata())?;
        Ok(StateStream(response.into_inner()))
    }

    /// Asks the owner of a partition whether it does without the copy here.
    ///
    /// # Errors
    /// It cannot be reached, or refuses.
    pub async fn leave(&self, owner: Replica, partition: PartitionId, token: Token) -> Result<bool, String> {
        let mut client = self.client(owner).await?;
        let mut request = Request::new(wire::LeaveRequest {
            envelope: Some(self.shared.identity.envelope(*self.shared.versions.read())),
            from: Some(self.shared.identity.me.into()),
            to: Some(owner.into()),
            partition: partition.0.into(),
            token: Some(wire::Token { epoch: token.epoch.0, boot: token.boot.0 }),
        });
        request.set_timeout(OWNER_CONNECT_TIME_MAX);
        self.shared.identity.secret.sign_request(request.metadata_mut());
        let response = client.leave(request).await.map_err(|status| status.message().to_owned())?;
        self.check(response.metadata())?;
        let reply = response.into_inner();
        let owner_there = check_envelope(reply.envelope.as_ref(), &self.shared.identity.cluster_id, false);
        owner_there.map_err(|refused| refused.to_string())?;
        Ok(reply.granted)
    }

    fn check(&self, metadata: &tonic::metadata::MetadataMap) -> Result<(), String> {
        self.shared.identity.secret.check_answer(metadata).map_err(|refused| refused.to_string())
    }
}
