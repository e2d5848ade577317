//! The service for nodes: checks who asks, turns messages into commands, and outcomes into answers.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use tonic::{Request, Response, Status};
use zepto_common::auth::KeyRecord;
use zepto_common::catalog::Ddl;
use zepto_common::ids::{Boot, Epoch, NodeId, PartitionId, SetVersion};
use zepto_common::placement::Assignment;
use zepto_proto::convert::{bad_message, disk_bytes, disk_of, partition_of, replica_of, replicas_of};
use zepto_proto::coordinate as wire;
use zepto_proto::coordinate::Envelope;
use zepto_proto::coordinate::coordinate_server::Coordinate;
use zepto_proto::handshake::{PROTOCOL, check_envelope};
use zepto_proto::refusal::{Refused, RefusedReason};

use super::{Core, rebalance, watch};
use crate::state::command::{Expected, HandoverItem, MoveItem, Registration, SetChange};
use crate::state::{
    Addresses, Command, ItemOutcome, NodeRecord, NodeRole, NodeState, Outcome, Refusal, State, Sweep,
    SweepKind,
};

/// What nodes and the command line talk to.
pub(super) struct NodeService {
    core: Arc<Core>,
}

impl Core {
    /// The envelope of what is told of this state.
    pub(super) fn envelope_of(&self, state: &State) -> Envelope {
        Envelope {
            protocol: PROTOCOL,
            cluster_id: self.options.cluster_id.clone(),
            node_id: self.options.member as u32,
            incarnation: 0,
            placement_version: state.placement().version.0,
            catalog_version: state.catalog().version(),
        }
    }

    pub(super) fn envelope(&self) -> Envelope {
        self.envelope_of(&self.member.state())
    }

    /// Checks who asks. Whoever passes was heard.
    fn admit<T>(
        &self,
        request: Request<T>,
        envelope: impl Fn(&T) -> Option<&Envelope>,
    ) -> Result<(Envelope, T), Refused> {
        self.member.secret().check_request(request.metadata())?;
        let message = request.into_inner();
        // A fresh disk, or a person's command line, has no cluster yet.
        let envelope = check_envelope(envelope(&message), &self.options.cluster_id, true)?;
        self.observations.heard(NodeId(envelope.node_id), Boot(envelope.incarnation));
        Ok((envelope, message))
    }

    fn answer<T>(&self, message: T) -> Response<T> {
        let mut response = Response::new(message);
        self.member.secret().sign_answer(response.metadata_mut());
        response
    }

    async fn propose(&self, command: Command) -> Result<Outcome, Refused> {
        self.member.propose(command, self.options.times.call).await
    }

    fn partitions_reply(&self, outcome: Outcome) -> wire::PartitionsReply {
        let state = self.member.state();
        let (refusal, outcomes) = match outcome {
            Outcome::Items(items) => (None, items),
            other => (refusal_of(&other), Vec::new()),
        };
        let outcomes = outcomes.iter().map(|item| item_message(&state, item)).collect();
        wire::PartitionsReply { envelope: Some(self.envelope()), refusal, outcomes }
    }

    async fn done(&self, command: Command) -> Result<Response<wire::DoneReply>, Status> {
        let refusal = refusal_of(&self.propose(command).await?);
        Ok(self.answer(wire::DoneReply { envelope: Some(self.envelope()), refusal }))
    }
}

fn refusal_message(refusal: &Refusal) -> wire::Refusal {
    wire::Refusal { reason: format!("{:?}", refusal.reason), message: refusal.message.clone() }
}

fn refusal_of(outcome: &Outcome) -> Option<wire::Refusal> {
    match outcome {
        Outcome::Refused(refusal) => Some(refusal_message(refusal)),
        _ => None,
    }
}

fn item_message(state: &State, item: &ItemOutcome) -> wire::PartitionOutcome {
    wire::PartitionOutcome {
        partition: item.partition.0.into(),
        refusal: item.refusal.as_ref().map(refusal_message),
        assignment: item.assignment.as_ref().map(|it| assignment_message(state, it)),
    }
}

/// An assignment with what the owner is asked for and what followers need to know.
pub(super) fn assignment_message(state: &State, assignment: &Assignment) -> wire::Assignment {
    let partition = assignment.grant.partition;
    wire::Assignment {
        hand_over_to: state.wanted().get(&partition).map(|to| (*to).into()),
        released: state.is_released(partition),
        ..wire::Assignment::from(assignment)
    }
}

pub(super) fn node_message(node: &NodeRecord) -> wire::Node {
    let role = match node.role {
        NodeRole::Storage => wire::Role::Storage,
        NodeRole::Ingest => wire::Role::Ingest,
    };
    let state = match node.state {
        NodeState::Joining => wire::NodeState::Joining,
        NodeState::Active => wire::NodeState::Active,
        NodeState::Leaving => wire::NodeState::Leaving,
        NodeState::Dead => wire::NodeState::Dead,
    };
    let Addresses { http, rpc, heartbeat } = node.addresses.clone();
    wire::Node {
        node_id: node.id.0,
        role: role.into(),
        disk_id: node.disk.map(disk_bytes).unwrap_or_default(),
        incarnation: node.incarnation.0,
        state: state.into(),
        addresses: Some(wire::Addresses { http, rpc, heartbeat }),
        zone: node.zone.clone(),
        log_failed: node.log_failed,
        stopping: node.stopping,
    }
}

pub(super) fn sweep_message(sweep: &Sweep) -> wire::Sweep {
    let (schema, condition) = match &sweep.kind {
        SweepKind::Delete { schema, condition } => (schema.0, condition.clone().into_bytes()),
        SweepKind::Truncate | SweepKind::Drop => (0, Vec::new()),
    };
    wire::Sweep {
        schema_version: schema,
        condition,
        version: sweep.version,
        tables: sweep.tables.iter().map(|id| id.0).collect(),
        drop: sweep.kind == SweepKind::Drop,
        remaining: sweep.remaining.iter().map(|it| it.0.into()).collect(),
    }
}

fn partitions_of(numbers: &[u32]) -> Result<Vec<PartitionId>, Refused> {
    numbers.iter().map(|number| partition_of(*number)).collect()
}

fn registration_of(envelope: &Envelope, request: wire::RegisterRequest) -> Result<Registration, Refused> {
    let role = match request.role() {
        wire::Role::Storage => NodeRole::Storage,
        wire::Role::Ingest => NodeRole::Ingest,
        wire::Role::Unspecified => return Err(bad_message("a node without a role")),
    };
    let disk = if request.disk_id.is_empty() { None } else { Some(disk_of(&request.disk_id)?) };
    let wire::Addresses { http, rpc, heartbeat } = request.addresses.unwrap_or_default();
    let epochs: Result<_, Refused> =
        request.epochs.iter().map(|it| Ok((partition_of(it.partition)?, Epoch(it.epoch)))).collect();
    Ok(Registration {
        cluster_id: envelope.cluster_id.clone(),
        node: NodeId(envelope.node_id),
        role,
        disk,
        incarnation: Boot(envelope.incarnation),
        addresses: Addresses { http, rpc, heartbeat },
        zone: request.zone,
        epochs: epochs?,
    })
}

impl NodeService {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    async fn moved(&self, action: Option<wire::move_request::Action>) -> Result<Outcome, Refused> {
        use wire::move_request::Action;
        let command = match action {
            None => return Err(bad_message("a move request without an action")),
            Some(Action::Pause(paused)) => Command::SetPaused(paused),
            Some(Action::Cancel(list)) if list.partitions.is_empty() => {
                // Those that were agreed on a moment ago are among them, whichever coordinator is asked.
                self.core.member.catch_up(self.core.options.times.call).await?;
                Command::CancelMoves { partitions: self.core.member.state().moving_for_balance() }
            }
            Some(Action::Cancel(list)) => {
                Command::CancelMoves { partitions: partitions_of(&list.partitions)? }
            }
            Some(Action::Start(list)) => {
                let item = |it: &wire::Move| {
                    let from = it.from.as_ref().map(|from| replica_of(Some(from))).transpose()?;
                    Ok(MoveItem {
                        partition: partition_of(it.partition)?,
                        from,
                        to: replica_of(it.to.as_ref())?,
                    })
                };
                Command::StartMoves { items: list.moves.iter().map(item).collect::<Result<_, Refused>>()? }
            }
        };
        self.core.propose(command).await
    }
}

type WatchStream = Pin<Box<dyn Stream<Item = Result<wire::WatchReply, Status>> + Send>>;

#[tonic::async_trait]
impl Coordinate for NodeService {
    type WatchStream = WatchStream;

    async fn register(
        &self,
        request: Request<wire::RegisterRequest>,
    ) -> Result<Response<wire::RegisterReply>, Status> {
        let (envelope, message) = self.core.admit(request, |it| it.envelope.as_ref())?;
        let registration = registration_of(&envelope, message)?;
        let outcome = self.core.propose(Command::RegisterNode(registration)).await?;
        let state = self.core.member.state();
        let sizes = state.cluster();
        let incarnation = match outcome {
            Outcome::Registered { incarnation } => incarnation.0,
            _ => 0,
        };
        Ok(self.core.answer(wire::RegisterReply {
            envelope: Some(self.core.envelope()),
            refusal: refusal_of(&outcome),
            incarnation,
            partitions: sizes.map_or(0, |it| it.partitions.into()),
            replication_factor: sizes.map_or(0, |it| it.replication_factor.into()),
            min_in_sync: sizes.map_or(0, |it| it.min_in_sync.into()),
        }))
    }

    async fn keep_alive(
        &self,
        request: Request<wire::KeepAliveRequest>,
    ) -> Result<Response<wire::KeepAliveReply>, Status> {
        let (envelope, message) = self.core.admit(request, |it| it.envelope.as_ref())?;
        let (node, incarnation) = (NodeId(envelope.node_id), Boot(envelope.incarnation));
        let state = self.core.member.state();
        let known =
            state.node(node).filter(|it| it.incarnation == incarnation && it.state != NodeState::Dead);
        let log_failed = known.is_some_and(|it| message.log_failed && !it.log_failed);
        if message.ready && known.is_some() {
            self.core.observations.ready(node, incarnation);
        }
        let stopping = known.is_some_and(|it| message.stopping && !it.stopping);
        // Every member hears of it; the leader alone proposes.
        if log_failed && self.core.member.leads() {
            self.core.propose(Command::ReportLogFailed { node, incarnation }).await?;
        }
        if stopping && self.core.member.leads() {
            self.core.propose(Command::ReportStopping { node, incarnation }).await?;
        }
        Ok(self.core.answer(wire::KeepAliveReply {
            envelope: Some(self.core.envelope()),
            leader: self.core.member.leader().map(|(_, address)| address).unwrap_or_default(),
            register_again: known.is_none(),
        }))
    }

    async fn watch(&self, request: Request<wire::WatchRequest>) -> Result<Response<WatchStream>, Status> {
        self.core.admit(request, |it| it.envelope.as_ref())?;
        let permit = self.core.watches.clone().try_acquire_owned();
        let permit = permit.map_err(|_| Refused::new(RefusedReason::Busy, "too many watch streams"))?;
        Ok(self.core.answer(Box::pin(watch::stream(self.core.clone(), permit))))
    }

    async fn propose_sets(
        &self,
        request: Request<wire::ProposeSetsRequest>,
    ) -> Result<Response<wire::PartitionsReply>, Status> {
        let (_, message) = self.core.admit(request, |it| it.envelope.as_ref())?;
        let item = |it: &wire::SetChange| {
            let expected = Expected { epoch: Epoch(it.epoch), set_version: SetVersion(it.set_version) };
            Ok(SetChange {
                partition: partition_of(it.partition)?,
                expected,
                members: replicas_of(&it.members)?,
            })
        };
        let items = message.changes.iter().map(item).collect::<Result<_, Refused>>()?;
        let command = Command::ChangeSets { proposer: replica_of(message.proposer.as_ref())?, items };
        let outcome = self.core.propose(command).await?;
        Ok(self.core.answer(self.core.partitions_reply(outcome)))
    }

    async fn hand_over(
        &self,
        request: Request<wire::HandoverRequest>,
    ) -> Result<Response<wire::PartitionsReply>, Status> {
        let (_, message) = self.core.admit(request, |it| it.envelope.as_ref())?;
        let item = |it: &wire::Handover| {
            let to = it.to.as_ref().map(|to| replica_of(Some(to))).transpose()?;
            Ok(HandoverItem { partition: partition_of(it.partition)?, epoch: Epoch(it.epoch), to })
        };
        let items = message.handovers.iter().map(item).collect::<Result<_, Refused>>()?;
        let command = Command::Handover { from: replica_of(message.from.as_ref())?, items };
        let outcome = self.core.propose(command).await?;
        Ok(self.core.answer(self.core.partitions_reply(outcome)))
    }

    async fn ddl(&self, request: Request<wire::DdlRequest>) -> Result<Response<wire::DdlReply>, Status> {
        let (_, message) = self.core.admit(request, |it| it.envelope.as_ref())?;
        let id = <[u8; 16]>::try_from(message.request_id.as_slice())
            .map_err(|_| bad_message("a request id has 16 bytes"))?;
        let statement: Ddl = serde_json::from_slice(&message.statement)
            .map_err(|error| bad_message(format!("a statement that cannot be read: {error}")))?;
        let command = Command::Ddl { request: u128::from_be_bytes(id), statement };
        let mut reply = wire::DdlReply::default();
        match self.core.propose(command).await? {
            Outcome::Ddl { catalog_version, sweeps } => {
                (reply.catalog_version, reply.sweeps) = (catalog_version, sweeps);
            }
            Outcome::DdlRefused { code, message } => {
                reply.error_code = code;
                reply.refusal = Some(wire::Refusal { reason: "Ddl".to_owned(), message });
            }
            other => reply.refusal = refusal_of(&other),
        }
        reply.envelope = Some(self.core.envelope());
        Ok(self.core.answer(reply))
    }

    async fn finish_sweep(
        &self,
        request: Request<wire::FinishSweepRequest>,
    ) -> Result<Response<wire::DoneReply>, Status> {
        let (_, message) = self.core.admit(request, |it| it.envelope.as_ref())?;
        let partitions = partitions_of(&message.partitions)?;
        self.core.done(Command::FinishSweep { version: message.sweep, partitions }).await
    }

    async fn read_catalog(
        &self,
        request: Request<wire::ReadCatalogRequest>,
    ) -> Result<Response<wire::ReadCatalogReply>, Status> {
        let (_, message) = self.core.admit(request, |it| it.envelope.as_ref())?;
        self.core.member.catch_up(self.core.options.times.call).await?;
        let state = self.core.member.state();
        let catalog_version = state.catalog().version();
        let catalog = if catalog_version == message.known_version {
            Vec::new()
        } else {
            serde_json::to_vec(state.catalog()).map_err(|error| Status::internal(error.to_string()))?
        };
        let envelope = Some(self.core.envelope_of(&state));
        Ok(self.core.answer(wire::ReadCatalogReply { envelope, catalog_version, catalog }))
    }

    async fn move_partitions(
        &self,
        request: Request<wire::MoveRequest>,
    ) -> Result<Response<wire::PartitionsReply>, Status> {
        let (_, message) = self.core.admit(request, |it| it.envelope.as_ref())?;
        let outcome = self.moved(message.action).await?;
        Ok(self.core.answer(self.core.partitions_reply(outcome)))
    }

    async fn change_node(
        &self,
        request: Request<wire::NodeRequest>,
    ) -> Result<Response<wire::DoneReply>, Status> {
        use wire::node_request::Action;
        let (_, message) = self.core.admit(request, |it| it.envelope.as_ref())?;
        let node = NodeId(message.target);
        let command = match message.action() {
            Action::Drain => Command::DrainNode { node },
            Action::CancelDrain => Command::CancelDrain { node },
            Action::Remove => Command::RemoveNode { node },
            Action::Unspecified => return Err(bad_message("a node request without an action").into()),
        };
        self.core.done(command).await
    }

    async fn force_owner(
        &self,
        request: Request<wire::ForceOwnerRequest>,
    ) -> Result<Response<wire::DoneReply>, Status> {
        let (_, message) = self.core.admit(request, |it| it.envelope.as_ref())?;
        let partition = partition_of(message.partition)?;
        let to = match message.to.as_ref().filter(|to| to.disk_id.is_empty()) {
            // People name nodes, not disks.
            Some(to) => self.core.replica_now(NodeId(to.node_id))?,
            None => replica_of(message.to.as_ref())?,
        };
        tracing::error!(%partition, to = %to.node, accept_loss = message.accept_loss, "an owner is forced by hand");
        self.core.done(Command::ForceOwner { partition, to, accept_loss: message.accept_loss }).await
    }

    async fn change_key(
        &self,
        request: Request<wire::KeyRequest>,
    ) -> Result<Response<wire::DoneReply>, Status> {
        use wire::key_request::Action;
        let (_, message) = self.core.admit(request, |it| it.envelope.as_ref())?;
        let command = match message.action {
            Some(Action::Put(line)) => {
                let record: KeyRecord = serde_json::from_str(&line)
                    .map_err(|error| bad_message(format!("a key that cannot be read: {error}")))?;
                Command::PutKey(record)
            }
            Some(Action::Revoke(id)) => Command::RevokeKey { id },
            None => return Err(bad_message("a key request without an action").into()),
        };
        self.core.done(command).await
    }

    async fn change_work(
        &self,
        request: Request<wire::WorkRequest>,
    ) -> Result<Response<wire::WorkReply>, Status> {
        use wire::work_request::Action;
        let (envelope, message) = self.core.admit(request, |it| it.envelope.as_ref())?;
        let (node, incarnation) = (NodeId(envelope.node_id), Boot(envelope.incarnation));
        let (action, name, term, lease_ms) = (message.action(), message.name, message.term, message.lease_ms);
        let command = match action {
            Action::Claim => Command::ClaimWork { name, node, incarnation, lease_ms },
            Action::Renew => Command::RenewWork { name, node, term },
            Action::Release => Command::ReleaseWork { name, node, term },
            Action::Unspecified => return Err(bad_message("a work request without an action").into()),
        };
        let outcome = self.core.propose(command).await?;
        let term = match outcome {
            Outcome::Claimed { term } => term,
            _ => term,
        };
        let envelope = Some(self.core.envelope());
        Ok(self.core.answer(wire::WorkReply { envelope, refusal: refusal_of(&outcome), term }))
    }

    async fn rebalance(
        &self,
        request: Request<wire::RebalanceRequest>,
    ) -> Result<Response<wire::StatusReply>, Status> {
        self.core.admit(request, |it| it.envelope.as_ref())?;
        let status = rebalance::rebalance(&self.core.member.state()).to_string().into_bytes();
        Ok(self.core.answer(wire::StatusReply { envelope: Some(self.core.envelope()), status }))
    }

    async fn status(
        &self,
        request: Request<wire::StatusRequest>,
    ) -> Result<Response<wire::StatusReply>, Status> {
        self.core.admit(request, |it| it.envelope.as_ref())?;
        let status = self.core.status().to_string().into_bytes();
        Ok(self.core.answer(wire::StatusReply { envelope: Some(self.core.envelope()), status }))
    }
}
