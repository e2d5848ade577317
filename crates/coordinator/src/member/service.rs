//! What a member answers to the others.

use serde::{Deserialize, Serialize};
use tonic::{Request, Response, Status};
use zepto_common::ids::DiskId;
use zepto_proto::coordinate::members_server::Members;
use zepto_proto::coordinate::{MemberReply, MemberRequest};
use zepto_proto::handshake::check_envelope;
use zepto_proto::refusal::{Refused, RefusedReason};

use super::{Member, encode_message};
use crate::state::decode;

/// What a member says of itself before it takes part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ProbeAnswer {
    /// It has a log.
    pub(crate) initialised: bool,
    /// The disk with which the group knows the asker.
    pub(crate) asker_disk: Option<DiskId>,
}

/// The service between members.
#[derive(Debug, Clone)]
pub(crate) struct MemberService {
    member: Member,
}

impl MemberService {
    pub(crate) fn new(member: Member) -> Self {
        Self { member }
    }

    /// Who asks, and what; refused before anything is believed.
    fn open(&self, request: Request<MemberRequest>) -> Result<(u64, Vec<u8>), Refused> {
        self.member.secret().check_request(request.metadata())?;
        let message = request.into_inner();
        let envelope = check_envelope(message.envelope.as_ref(), self.member.peers.cluster_id(), false)?;
        if message.to != self.member.id() {
            let text = format!("this is member {}, not {}", self.member.id(), message.to);
            return Err(Refused::new(RefusedReason::WrongMember, text));
        }
        Ok((envelope.node_id.into(), message.contents))
    }

    fn open_protocol<T: serde::de::DeserializeOwned>(
        &self,
        request: Request<MemberRequest>,
    ) -> Result<T, Refused> {
        let (_, contents) = self.open(request)?;
        if !self.member.is_admitted() {
            return Err(Refused::new(RefusedReason::NoLeader, "this member has not looked around yet"));
        }
        decode(&contents).map_err(|error| Refused::new(RefusedReason::BadMessage, error.to_string()))
    }

    fn reply<T: Serialize>(&self, answer: &T) -> Result<Response<MemberReply>, Status> {
        let contents = encode_message(answer)?;
        let envelope = Some(self.member.peers.envelope());
        let mut response = Response::new(MemberReply { envelope, contents });
        self.member.secret().sign_answer(response.metadata_mut());
        Ok(response)
    }
}

fn not_the_leader(leader: Option<u64>) -> Refused {
    let who = leader.map_or_else(|| "nobody".to_owned(), |id| format!("member {id}"));
    Refused::new(RefusedReason::NoLeader, format!("this member does not lead; {who} does"))
}

#[tonic::async_trait]
impl Members for MemberService {
    async fn append_entries(&self, request: Request<MemberRequest>) -> Result<Response<MemberReply>, Status> {
        let message = self.open_protocol(request)?;
        self.reply(&self.member.raft.append_entries(message).await)
    }

    async fn vote(&self, request: Request<MemberRequest>) -> Result<Response<MemberReply>, Status> {
        let message = self.open_protocol(request)?;
        self.reply(&self.member.raft.vote(message).await)
    }

    async fn install_snapshot(
        &self,
        request: Request<MemberRequest>,
    ) -> Result<Response<MemberReply>, Status> {
        let message = self.open_protocol(request)?;
        self.reply(&self.member.raft.install_snapshot(message).await)
    }

    async fn propose(&self, request: Request<MemberRequest>) -> Result<Response<MemberReply>, Status> {
        let command = self.open_protocol(request)?;
        match self.member.propose_here(&command).await? {
            Ok(outcome) => self.reply(&outcome),
            Err(leader) => Err(not_the_leader(leader).into()),
        }
    }

    async fn read_index(&self, request: Request<MemberRequest>) -> Result<Response<MemberReply>, Status> {
        self.open(request)?;
        match self.member.read_index().await {
            Ok(index) => self.reply(&index),
            Err(leader) => Err(not_the_leader(leader).into()),
        }
    }

    async fn probe(&self, request: Request<MemberRequest>) -> Result<Response<MemberReply>, Status> {
        let (asker, _) = self.open(request)?;
        let initialised = self.member.is_initialised().await?;
        let asker_disk = self.member.state().member_disk(asker);
        self.reply(&ProbeAnswer { initialised, asker_disk })
    }
}
