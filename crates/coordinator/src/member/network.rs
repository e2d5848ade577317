//! Messages to other members, over one gRPC connection each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, RaftNetwork, RaftNetworkFactory};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use zepto_proto::client::MESSAGE_BYTES_MAX;
use zepto_proto::coordinate::members_client::MembersClient;
use zepto_proto::coordinate::{Envelope, MemberRequest};
use zepto_proto::handshake::{PROTOCOL, Secret, check_envelope};
use zepto_proto::refusal::{Refused, RefusedReason};

use crate::log::Group;
use crate::options::Options;
use crate::state::{decode, encode};

/// What may be asked of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Append,
    Vote,
    Snapshot,
    Propose,
    ReadIndex,
    Probe,
}

/// The other members and how they are reached.
pub(crate) struct Peers {
    own: u64,
    cluster_id: String,
    secret: Secret,
    members: BTreeMap<u64, String>,
    channels: BTreeMap<u64, Channel>,
}

impl Peers {
    pub(crate) fn new(options: &Options, members: BTreeMap<u64, String>) -> Self {
        let connect = |(id, address): (&u64, &String)| {
            let endpoint = match Endpoint::from_shared(format!("http://{address}")) {
                Ok(endpoint) => endpoint,
                Err(error) => {
                    tracing::error!(member = id, %address, %error, "not an address: this member is not reached");
                    return None;
                }
            };
            let endpoint = endpoint.connect_timeout(options.times.call).tcp_nodelay(true);
            Some((*id, options.secret.wire().connect_lazy(endpoint)))
        };
        let channels = members.iter().filter_map(connect).collect();
        let (cluster_id, secret) = (options.cluster_id.clone(), options.secret.clone());
        Self { own: options.member, cluster_id, secret, members, channels }
    }

    pub(crate) fn members(&self) -> &BTreeMap<u64, String> {
        &self.members
    }

    pub(crate) fn address(&self, member: u64) -> Option<&str> {
        self.members.get(&member).map(String::as_str)
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    pub(crate) fn envelope(&self) -> Envelope {
        Envelope {
            protocol: PROTOCOL,
            cluster_id: self.cluster_id.clone(),
            node_id: self.own as u32,
            ..Envelope::default()
        }
    }

    /// Asks one member; the answer's contents.
    pub(crate) async fn call(
        &self,
        to: u64,
        call: Call,
        contents: Vec<u8>,
        time: Duration,
    ) -> Result<Vec<u8>, Refused> {
        let no_answer = |what: String| Refused::new(RefusedReason::NoLeader, format!("member {to}: {what}"));
        let channel = self.channels.get(&to).ok_or_else(|| no_answer("it is not known".to_owned()))?;
        let mut client = MembersClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let mut request = Request::new(MemberRequest { envelope: Some(self.envelope()), to, contents });
        self.secret.sign_request(request.metadata_mut());
        let answer = async {
            match call {
                Call::Append => client.append_entries(request).await,
                Call::Vote => client.vote(request).await,
                Call::Snapshot => client.install_snapshot(request).await,
                Call::Propose => client.propose(request).await,
                Call::ReadIndex => client.read_index(request).await,
                Call::Probe => client.probe(request).await,
            }
        };
        let response = match tokio::time::timeout(time, answer).await {
            Err(_) => return Err(no_answer("it did not answer in time".to_owned())),
            Ok(Err(status)) => {
                return Err(Refused::of(&status).unwrap_or_else(|| no_answer(status.message().to_owned())));
            }
            Ok(Ok(response)) => response,
        };
        self.secret.check_answer(response.metadata())?;
        let reply = response.into_inner();
        check_envelope(reply.envelope.as_ref(), &self.cluster_id, false)?;
        Ok(reply.contents)
    }
}

/// Makes the connection to a member, as openraft asks for it.
pub(crate) struct Factory {
    pub(crate) peers: Arc<Peers>,
}

/// The connection to one member.
pub(crate) struct Connection {
    peers: Arc<Peers>,
    to: u64,
}

impl RaftNetworkFactory<Group> for Factory {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Connection {
        Connection { peers: self.peers.clone(), to: target }
    }
}

type CallError<E> = RPCError<u64, BasicNode, E>;

impl Connection {
    /// One message; what the other side's protocol refused is an error of its own.
    async fn ask<Q, A, E>(&self, call: Call, message: &Q, option: &RPCOption) -> Result<A, CallError<E>>
    where
        Q: Serialize,
        A: DeserializeOwned,
        E: std::error::Error + DeserializeOwned,
    {
        let contents = encode(message).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        let answer = self.peers.call(self.to, call, contents, option.hard_ttl()).await;
        let bytes = answer.map_err(|refused| {
            if refused.reason != RefusedReason::NoLeader {
                tracing::error!(member = self.to, %refused, "a member of the group refuses this one");
            }
            RPCError::Unreachable(Unreachable::new(&refused))
        })?;
        let result: Result<A, E> =
            decode(&bytes).map_err(|error| RPCError::Network(NetworkError::new(&error)))?;
        result.map_err(|error| RPCError::RemoteError(RemoteError::new(self.to, error)))
    }
}

impl RaftNetwork<Group> for Connection {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Group>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, CallError<RaftError<u64>>> {
        self.ask(Call::Append, &rpc, &option).await
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Group>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, CallError<RaftError<u64, InstallSnapshotError>>> {
        self.ask(Call::Snapshot, &rpc, &option).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        option: RPCOption,
    ) -> Result<VoteResponse<u64>, CallError<RaftError<u64>>> {
        self.ask(Call::Vote, &rpc, &option).await
    }
}
