//! The loop that runs on every member and proposes only where it leads: founds the cluster, places partitions, declares
//! the dead, grants to survivors, moves towards balance, forgets what is gone.
//!
//! Everything it decides comes from the pure functions of `policy` and `detector`; everything it wants is a proposal
//! that the state machine checks. It may stop at any point and go on elsewhere.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use zepto_common::ids::{Boot, NodeId};

use crate::detector::{Detector, Order, Settings};
use crate::member::{Member, MemberError};
use crate::options::Options;
use crate::policy::failover::failover;
use crate::policy::steps::{first_placement, steps};
use crate::state::{ClusterRecord, Command, NodeRole, NodeState, Outcome, State};

/// Rounds of proposals after one change, before the next tick.
const ROUNDS_MAX: usize = 8;
/// The first bytes of an HTTP/2 connection: the preface and empty SETTINGS. Any answer shows a process that runs.
const HTTP2_HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Time since the machine started, sleep included.
pub(crate) fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// What the doors tell the loop.
#[derive(Debug)]
pub(crate) struct Observations {
    detector: Mutex<Detector>,
    /// Starts that said that they are ready.
    ready: Mutex<BTreeSet<(NodeId, Boot)>>,
}

impl Observations {
    pub(crate) fn new(options: &Options) -> Self {
        let times = &options.times;
        let settings = Settings { interval: times.interval, suspect: times.suspect, dead: times.dead };
        Self { detector: Mutex::new(Detector::new(settings)), ready: Mutex::default() }
    }

    /// A node made itself heard by authenticated traffic.
    pub(crate) fn heard(&self, node: NodeId, incarnation: Boot) {
        self.detector.lock().heard(now(), node, incarnation);
    }

    /// A start of a node says that it is ready; bounded by the nodes that are known.
    pub(crate) fn ready(&self, node: NodeId, incarnation: Boot) {
        self.ready.lock().insert((node, incarnation));
    }

    /// What this member thinks of a node.
    pub(crate) fn opinion(&self, node: NodeId) -> Option<crate::detector::Opinion> {
        self.detector.lock().opinion(now(), node)
    }
}

pub(crate) struct Governor {
    options: Options,
    member: Member,
    observations: Arc<Observations>,
    probes: JoinSet<(NodeId, Boot, bool)>,
}

impl Governor {
    pub(crate) fn new(options: Options, member: Member, observations: Arc<Observations>) -> Self {
        Self { options, member, observations, probes: JoinSet::new() }
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// The group is of another cluster, or its protocol stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), MemberError> {
        let mut states = self.member.states();
        let mut ticks = tokio::time::interval(self.options.times.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => self.tick().await?,
                changed = states.changed() => {
                    if changed.is_err() {
                        return Err(MemberError::Stopped("the state machine is gone".to_owned()));
                    }
                    states.mark_unchanged();
                    self.act().await?;
                }
                Some(probed) = self.probes.join_next() => {
                    if let Ok((node, incarnation, answered)) = probed {
                        self.observations.detector.lock().probed(node, incarnation, answered);
                    }
                }
            }
        }
    }

    async fn tick(&mut self) -> Result<(), MemberError> {
        if let Some(fault) = self.member.fault() {
            return Err(MemberError::Stopped(fault));
        }
        let state = self.member.state();
        let expected: Vec<_> = state
            .nodes()
            .filter(|node| node.state != NodeState::Dead)
            .map(|node| (node.id, node.incarnation, node.role == NodeRole::Storage))
            .collect();
        let orders = {
            let mut detector = self.observations.detector.lock();
            detector.expect(now(), expected);
            detector.tick(now(), self.member.leads())
        };
        self.observations.ready.lock().retain(|(node, incarnation)| {
            state.node(*node).is_some_and(|known| known.incarnation == *incarnation)
        });
        for order in orders {
            match order {
                Order::Probe(node, incarnation) => self.probe(&state, node, incarnation),
                Order::MarkDead(node, incarnation) => {
                    tracing::warn!(%node, %incarnation, "silent for too long: declaring it dead");
                    self.propose(Command::MarkDead { node, incarnation }).await;
                }
            }
        }
        self.act().await
    }

    fn probe(&mut self, state: &State, node: NodeId, incarnation: Boot) {
        let address = state.node(node).map(|known| known.addresses.rpc.clone()).unwrap_or_default();
        let time = self.options.times.interval;
        self.probes.spawn(async move {
            let answered = tokio::time::timeout(time, answers(&address)).await.unwrap_or(false);
            (node, incarnation, answered)
        });
    }

    /// Proposes what is to be done now, and again while that changes the state.
    async fn act(&mut self) -> Result<(), MemberError> {
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
        let mut commands = self.activations(state);
        commands.extend(self.first_placement(state, now_ms));
        let heard = self.observations.detector.lock().heard_lately(now());
        let grants = failover(state, &heard);
        if !grants.is_empty() {
            commands.push(Command::Grant { items: grants });
        }
        commands.extend(steps(state, now_ms, self.options.times.repair_after.as_millis() as u64));
        commands.extend(gone(state).map(|node| Command::RemoveNode { node }));
        commands
    }

    fn activations(&self, state: &State) -> Vec<Command> {
        let ready = self.observations.ready.lock();
        let joining = state.nodes().filter(|node| node.state == NodeState::Joining);
        let joining = joining.filter(|node| ready.contains(&(node.id, node.incarnation)));
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

/// Whether a process behind this address says anything at all; a stopped one accepts connections but says nothing.
async fn answers(address: &str) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(HTTP2_HELLO).await?;
        stream.read(&mut [0; 1]).await
    };
    matches!(asked.await, Ok(1))
}
