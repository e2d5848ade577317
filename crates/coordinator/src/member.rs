//! One member of the group: proposes, reads linearizably, and finds the leader when it does not lead itself.
//!
//! Promises: a proposal that is answered was applied by a majority's log; one whose answer is lost may have been, and
//! can be proposed again, because the state machine recognises repeats. A linearizable read sees every proposal that
//! was answered before it began.

mod network;
pub(crate) mod service;
pub(crate) mod start;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openraft::error::{CheckIsLeaderError, ClientWriteError, RaftError};
use openraft::{Raft, ServerState, SnapshotPolicy};
use tokio::sync::watch;
use tokio::time::Instant;
use zepto_proto::handshake::Secret;
use zepto_proto::refusal::{Refused, RefusedReason};

use crate::log::{Applied, Disk, Group, LogError, LogStore, MemberIdentity, StateMachine};
use crate::options::{Options, Times};
use crate::state::{Command, Outcome, Proposal, State, decode, encode};

use network::{Call, Peers};

/// Wait between tries while no leader is known.
const LEADER_PAUSE: Duration = Duration::from_millis(50);
/// Entries of the log after which the next snapshot is made.
const SNAPSHOT_ENTRIES: u64 = 1_000;
/// Entries of the log that stay behind a snapshot, for members that lag a little.
const LOG_ENTRIES_KEPT: u64 = 200;
/// Entries of one message to a follower.
const ENTRIES_PER_MESSAGE: u64 = 64;
/// Bytes of a snapshot that travel in one message.
const SNAPSHOT_CHUNK_BYTES: u64 = 1 << 20;

/// Why a member cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MemberError {
    /// Its disk.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The group's protocol stopped, as it does after a failed write.
    #[error("the group's log stopped: {0}")]
    Stopped(String),
    /// Times that contradict each other.
    #[error("{0}")]
    Options(String),
    /// `--bootstrap`, and a listed member has a log already.
    #[error(
        "--bootstrap is refused: member {member} at {address} belongs to a group already; start without --bootstrap, \
         or, if this member lost its disk, under a new id"
    )]
    AlreadyInitialised {
        /// The member.
        member: u64,
        /// Where it is.
        address: String,
    },
    /// The group knows this member with another disk.
    #[error(
        "member {member} is known to its group with another disk: what this one has promised is forgotten; let it \
         join under a new id"
    )]
    LostDisk {
        /// This member.
        member: u64,
    },
    /// A peer does not believe this member, or the other way round.
    #[error("{0}")]
    Refused(#[from] Refused),
}

/// One member of the group.
#[derive(Clone)]
pub struct Member {
    raft: Raft<Group>,
    applied: watch::Receiver<Applied>,
    identity: MemberIdentity,
    peers: Arc<Peers>,
    /// Whether this member may answer the group's protocol: not before a fresh disk was found to be a first start.
    admitted: Arc<AtomicBool>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn raft_config(cluster_id: &str, times: &Times) -> Result<openraft::Config, MemberError> {
    let ms = |time: Duration| time.as_millis() as u64;
    let config = openraft::Config {
        cluster_name: cluster_id.to_owned(),
        heartbeat_interval: ms(times.group_heartbeat),
        election_timeout_min: ms(times.election_min),
        election_timeout_max: ms(times.election_max),
        install_snapshot_timeout: ms(times.call),
        max_payload_entries: ENTRIES_PER_MESSAGE,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_ENTRIES),
        max_in_snapshot_log_to_keep: LOG_ENTRIES_KEPT,
        snapshot_max_chunk_size: SNAPSHOT_CHUNK_BYTES,
        ..openraft::Config::default()
    };
    config.validate().map_err(|error| MemberError::Options(error.to_string()))
}

impl Member {
    /// Opens the disk and starts the protocol; nobody is answered before [`Member::admit`].
    ///
    /// # Errors
    /// The disk's; times that contradict each other.
    pub(crate) async fn open(options: &Options, members: BTreeMap<u64, String>) -> Result<Self, MemberError> {
        let (data_dir, id) = (options.data_dir.clone(), options.member);
        let open = move || {
            let (disk, identity) = Disk::open(&data_dir, id)?;
            let (machine, applied) = StateMachine::open(disk.clone())?;
            Ok::<_, LogError>((disk, identity, machine, applied))
        };
        let opened = tokio::task::spawn_blocking(open).await;
        let (disk, identity, machine, applied) =
            opened.map_err(|error| LogError::Thread(error.to_string()))??;
        let peers = Arc::new(Peers::new(options, members));
        let config = Arc::new(raft_config(&options.cluster_id, &options.times)?);
        let factory = network::Factory { peers: peers.clone() };
        let raft = Raft::new(id, config, factory, LogStore::new(disk), machine)
            .await
            .map_err(|error| MemberError::Stopped(error.to_string()))?;
        Ok(Self { raft, applied, identity, peers, admitted: Arc::new(AtomicBool::new(false)) })
    }

    /// This member's id.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.identity.member
    }

    /// This member's disk.
    #[must_use]
    pub fn disk(&self) -> zepto_common::DiskId {
        self.identity.disk
    }

    /// Lets this member take part in the protocol.
    pub(crate) fn admit(&self) {
        self.admitted.store(true, Ordering::Release);
    }

    pub(crate) fn is_admitted(&self) -> bool {
        self.admitted.load(Ordering::Acquire)
    }

    /// The newest state that this member has applied.
    #[must_use]
    pub fn state(&self) -> Arc<State> {
        self.applied.borrow().state.clone()
    }

    /// Every state from now on.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<Applied> {
        self.applied.clone()
    }

    /// Whether this member leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.raft.metrics().borrow().state == ServerState::Leader
    }

    /// The leader, as far as this member knows, with its RPC address.
    #[must_use]
    pub fn leader(&self) -> Option<(u64, String)> {
        let id = self.raft.metrics().borrow().current_leader?;
        Some((id, self.peers.address(id)?.to_owned()))
    }

    /// Why the protocol stopped, if it did.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.raft.metrics().borrow().running_state.as_ref().err().map(ToString::to_string)
    }

    /// What the status page shows of the group.
    #[must_use]
    pub fn group_status(&self) -> serde_json::Value {
        let metrics = self.raft.metrics().borrow().clone();
        serde_json::json!({
            "member": self.id(),
            "role": format!("{:?}", metrics.state),
            "leader": metrics.current_leader,
            "term": metrics.current_term,
            "applied": metrics.last_applied.map(|it| it.index),
            "members": self.peers.members().iter().map(|(id, address)| {
                serde_json::json!({"id": id, "rpc": address})
            }).collect::<Vec<_>>(),
        })
    }

    pub(crate) fn secret(&self) -> &Secret {
        self.peers.secret()
    }

    /// Proposes a command, here or at the leader, until it was applied or the time is over.
    ///
    /// # Errors
    /// `NoLeader` when the time is over: it may have been applied all the same.
    pub async fn propose(&self, command: Command, time: Duration) -> Result<Outcome, Refused> {
        let deadline = Instant::now() + time;
        let mut last = "no leader is known".to_owned();
        while Instant::now() < deadline {
            match tokio::time::timeout_at(deadline, self.propose_here(&command)).await {
                Ok(Ok(Ok(outcome))) => return Ok(outcome),
                Ok(Ok(Err(Some(leader)))) if leader != self.id() => {
                    match self.propose_there(leader, &command, deadline).await {
                        Ok(outcome) => return Ok(outcome),
                        Err(refused) if refused.reason == RefusedReason::NoLeader => last = refused.message,
                        Err(refused) => return Err(refused),
                    }
                }
                Ok(Ok(Err(_))) => {}
                Ok(Err(refused)) => return Err(refused),
                Err(_) => last = "no majority answered in time".to_owned(),
            }
            tokio::time::sleep_until((Instant::now() + LEADER_PAUSE).min(deadline)).await;
        }
        Err(Refused::new(RefusedReason::NoLeader, last))
    }

    /// The outcome, or who leads instead.
    pub(crate) async fn propose_here(
        &self,
        command: &Command,
    ) -> Result<Result<Outcome, Option<u64>>, Refused> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let proposal = Proposal { at_ms: since.as_millis() as u64, command: command.clone() };
        match self.raft.client_write(proposal).await {
            Ok(response) => Ok(Ok(response.data)),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                Ok(Err(forward.leader_id))
            }
            Err(error) => Err(Refused::new(RefusedReason::NoLeader, error.to_string())),
        }
    }

    async fn propose_there(
        &self,
        leader: u64,
        command: &Command,
        deadline: Instant,
    ) -> Result<Outcome, Refused> {
        let time = deadline.saturating_duration_since(Instant::now());
        let bytes = self.peers.call(leader, Call::Propose, encode_message(command)?, time).await?;
        decode(&bytes).map_err(|error| Refused::new(RefusedReason::BadMessage, error.to_string()))
    }

    /// Waits until this member has applied everything that was answered before this call.
    ///
    /// # Errors
    /// `NoLeader` when the time is over.
    pub async fn catch_up(&self, time: Duration) -> Result<(), Refused> {
        let deadline = Instant::now() + time;
        let late = || Refused::new(RefusedReason::NoLeader, "no leader confirmed the read in time");
        while Instant::now() < deadline {
            let index = match tokio::time::timeout_at(deadline, self.read_index()).await {
                Ok(Ok(index)) => Some(index),
                Ok(Err(Some(leader))) if leader != self.id() => self.read_index_there(leader, deadline).await,
                _ => None,
            };
            if let Some(index) = index {
                let mut applied = self.applied.clone();
                let reached = applied.wait_for(|it| it.log_id.map_or(0, |id| id.index) >= index);
                return match tokio::time::timeout_at(deadline, reached).await {
                    Ok(Ok(_)) => Ok(()),
                    _ => Err(late()),
                };
            }
            tokio::time::sleep_until((Instant::now() + LEADER_PAUSE).min(deadline)).await;
        }
        Err(late())
    }

    /// The position that a read must see, if this member leads; else who does.
    pub(crate) async fn read_index(&self) -> Result<u64, Option<u64>> {
        match self.raft.get_read_log_id().await {
            Ok((read, _)) => Ok(read.map_or(0, |it| it.index)),
            Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(forward))) => Err(forward.leader_id),
            Err(_) => Err(None),
        }
    }

    async fn read_index_there(&self, leader: u64, deadline: Instant) -> Option<u64> {
        let time = deadline.saturating_duration_since(Instant::now());
        let bytes = self.peers.call(leader, Call::ReadIndex, Vec::new(), time).await.ok()?;
        decode(&bytes).ok()
    }

    /// Stops the protocol.
    pub(crate) async fn stop(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "the group's protocol did not end well");
        }
    }
}

pub(crate) fn encode_message<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Refused> {
    encode(value).map_err(|error| Refused::new(RefusedReason::BadMessage, error.to_string()))
}
