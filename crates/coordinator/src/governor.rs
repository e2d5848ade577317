//! The loop that runs on every member and proposes only where it leads: founds the cluster, places partitions, declares
//! the dead, grants to survivors, moves towards balance, forgets what is gone.
//!
//! Everything it decides comes from the pure functions of `policy` and `detector`; everything it wants is a proposal
//! that the state machine checks. It may stop at any point and go on elsewhere.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use zepto_common::ids::NodeId;

use crate::lookout::{Lookout, Observations};
use crate::member::{Member, MemberError};
use crate::options::Options;
use crate::policy::failover::failover;
use crate::policy::steps::{first_placement, steps};
use crate::state::{ClusterRecord, Command, NodeRole, NodeState, Outcome, State};

/// Rounds of proposals after one change, before the next tick.
const ROUNDS_MAX: usize = 8;
pub(crate) struct Governor {
    options: Options,
    member: Member,
    observations: Arc<Observations>,
}

impl Governor {
    pub(crate) fn new(options: Options, member: Member, observations: Arc<Observations>) -> Self {
        Self { options, member, observations }
    }

    /// Runs until it is told to stop. It looks around all the while that it waits for the group, so that the time which a
    /// proposal takes is none in which nobody was looking.
    ///
    /// # Errors
    /// The group is of another cluster, or its protocol stopped.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), MemberError> {
        let lookout = Lookout::new(&self.options, self.member.clone(), self.observations.clone());
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            () = lookout.run() => Ok(()),
            ended = self.act_again_and_again() => ended,
        }
    }

    async fn act_again_and_again(&self) -> Result<(), MemberError> {
        let mut states = self.member.states();
        let mut ticks = tokio::time::interval(self.options.times.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.observations.found_dead() => {}
                changed = states.changed() => {
                    if changed.is_err() {
                        return Err(MemberError::Stopped("the state machine is gone".to_owned()));
                    }
                }
            }
            if let Some(fault) = self.member.fault() {
                return Err(MemberError::Stopped(fault));
            }
            states.mark_unchanged();
            self.act().await?;
        }
    }

    /// Proposes what is to be done now, and again while that changes the state.
    async fn act(&self) -> Result<(), MemberError> {
        self.check_cluster()?;
        self.record_itself().await;
        for _ in 0..ROUNDS_MAX {
            if !self.member.leads() {
                return Ok(());
            }
            let commands = self.wanted(&self.member.state());
            let mut changed = false;
            for command in commands {
                changed |= self.propose(command).await;
            }
            if !changed {
                return Ok(());
            }
        }
        Ok(())
    }

    fn check_cluster(&self) -> Result<(), MemberError> {
        let state = self.member.state();
        match state.cluster() {
            Some(cluster) if cluster.id != self.options.cluster_id => {
                let message =
                    format!("this group is of cluster {:?}, not {:?}", cluster.id, self.options.cluster_id);
                let reason = zepto_proto::refusal::RefusedReason::WrongCluster;
                Err(zepto_proto::refusal::Refused::new(reason, message).into())
            }
            _ => Ok(()),
        }
    }

    /// Each member lets the group know its disk, so that it is recognised without it.
    async fn record_itself(&self) {
        let state = self.member.state();
        if state.cluster().is_some()
            && state.member_disk(self.member.id()).is_none()
            && self.member.leader().is_some()
        {
            let (member, disk) = (self.member.id(), self.member.disk());
            self.propose(Command::RecordMember { member, disk }).await;
        }
    }

    fn wanted(&self, state: &State) -> Vec<Command> {
        let Some(_) = state.cluster() else {
            return vec![Command::Found(ClusterRecord {
                id: self.options.cluster_id.clone(),
                partitions: self.options.partitions,
                replication_factor: self.options.replication_factor,
                min_in_sync: self.options.min_in_sync,
            })];
        };
        let now_ms = wall_ms();
        let mut commands = self.deaths(state);
        commands.extend(self.activations(state));
        commands.extend(self.first_placement(state, now_ms));
        let heard = self.observations.heard_lately();
        let grants = failover(state, &heard);
        if !grants.is_empty() {
            commands.push(Command::Grant { items: grants });
        }
        commands.extend(steps(state, now_ms, self.options.times.repair_after.as_millis() as u64));
        commands.extend(gone(state).map(|node| Command::RemoveNode { node }));
        commands
    }

    fn deaths(&self, state: &State) -> Vec<Command> {
        let silent = self.observations.silent();
        let living = state.nodes().filter(|node| node.state != NodeState::Dead);
        let dead = living.filter(|node| silent.contains(&(node.id, node.incarnation)));
        let dead = dead.inspect(|node| {
            tracing::warn!(node = %node.id, incarnation = %node.incarnation, "silent for too long: declaring it dead");
        });
        dead.map(|node| Command::MarkDead { node: node.id, incarnation: node.incarnation }).collect()
    }

    fn activations(&self, state: &State) -> Vec<Command> {
        let joining = state.nodes().filter(|node| node.state == NodeState::Joining);
        let joining = joining.filter(|node| self.observations.is_ready(node.id, node.incarnation));
        joining.map(|node| Command::ActivateNode { node: node.id, incarnation: node.incarnation }).collect()
    }

    /// Waits until nobody came for a while, so that the first nodes share the partitions without a move.
    fn first_placement(&self, state: &State, now_ms: u64) -> Option<Command> {
        let storage = || state.nodes().filter(|node| node.role == NodeRole::Storage);
        let newest = storage().map(|node| node.since_ms).max()?;
        let settled = now_ms.saturating_sub(newest) >= self.options.times.settle.as_millis() as u64;
        let none_joins = storage().all(|node| node.state != NodeState::Joining);
        (settled && none_joins).then(|| first_placement(state)).flatten()
    }

    /// True if the state is another one now.
    async fn propose(&self, command: Command) -> bool {
        let shown = format!("{command:.200?}");
        match self.member.propose(command, self.options.times.call).await {
            Ok(Outcome::Refused(refusal)) => {
                tracing::warn!(command = %shown, %refusal, "refused");
                false
            }
            Ok(Outcome::Done { changed }) => changed,
            Ok(Outcome::Items(items)) => items.iter().any(|item| item.refusal.is_none()),
            Ok(_) => true,
            Err(refused) => {
                tracing::debug!(command = %shown, %refused, "not proposed");
                false
            }
        }
    }
}

/// Milliseconds since 1970.
pub(crate) fn wall_ms() -> u64 {
    (zepto_common::clock::wall_nanos() / 1_000_000).unsigned_abs()
}

/// Dead storage nodes that hold nothing any more.
fn gone(state: &State) -> impl Iterator<Item = NodeId> + '_ {
    let holds = |node: NodeId| {
        state.placement().partitions.iter().any(|it| {
            let members = it.grant.set.members.iter().chain(&it.joining);
            it.grant.owner.node == node || members.into_iter().any(|member| member.node == node)
        })
    };
    let dead = state.nodes().filter(|node| node.role == NodeRole::Storage && node.state == NodeState::Dead);
    dead.map(|node| node.id).filter(move |id| !state.placement().partitions.is_empty() && !holds(*id))
}
