//! The next few commands on the way from where copies are to where they should be.

use std::collections::BTreeMap;

use zepto_common::ids::{NodeId, PartitionId};
use zepto_common::placement::{Assignment, Replica};

use super::failover::expected;
use super::target::{Candidate, Home, target};
use super::{
    HANDOVERS_IN_FLIGHT, MOVES_IN_FLIGHT, MOVES_IN_FLIGHT_PER_NODE, REPAIRS_IN_FLIGHT,
    REPAIRS_IN_FLIGHT_PER_NODE,
};
use crate::state::command::{Command, GrantItem, Home as FirstHome, MoveItem};
use crate::state::{NodeRecord, NodeRole, NodeState, State};

/// Nodes that may hold copies at this time. One that is dead keeps its copies for `repair_after_ms`, since it will
/// most likely come back with its disk; so does one that was told to end, and until it is back it gets nothing.
#[must_use]
pub fn candidates(state: &State, now_ms: u64, repair_after_ms: u64) -> Vec<Candidate> {
    let keeps = |node: &&NodeRecord| {
        node.role == NodeRole::Storage
            && match node.state {
                NodeState::Active => true,
                NodeState::Joining => true,
                NodeState::Leaving => false,
                NodeState::Dead => now_ms.saturating_sub(node.since_ms) < repair_after_ms,
            }
    };
    let candidate = |node: &NodeRecord| Candidate {
        node: node.id,
        zone: node.zone.clone(),
        takes: node.state == NodeState::Active && !node.log_failed && !node.stopping,
    };
    state.nodes().filter(keeps).map(candidate).collect()
}

/// The first placement, over all active nodes; None while there are none, or when there is a placement.
#[must_use]
pub fn first_placement(state: &State) -> Option<Command> {
    let cluster = state.cluster()?;
    let candidates: Vec<_> = candidates(state, 0, 0).into_iter().filter(|it| it.takes).collect();
    if candidates.is_empty() || !state.placement().partitions.is_empty() {
        return None;
    }
    let nowhere = vec![Home::default(); usize::from(cluster.partitions)];
    let homes = target(&nowhere, &candidates, usize::from(cluster.replication_factor));
    let replica = |node: NodeId| state.node(node).and_then(NodeRecord::replica);
    let first = |home: &Home| {
        let members = home.copies.iter().copied().map(replica).collect::<Option<_>>()?;
        Some(FirstHome { owner: replica(home.owner?)?, members })
    };
    Some(Command::Place { homes: homes.iter().map(first).collect::<Option<_>>()? })
}

/// Where copies will be when the moves under way have ended.
fn settled(state: &State) -> Vec<Home> {
    let home = |assignment: &Assignment| {
        let partition = assignment.grant.partition;
        let current = assignment.grant.set.members.iter().filter(|it| state.is_current(**it));
        let mut copies: std::collections::BTreeSet<NodeId> = current.map(|it| it.node).collect();
        let coming = assignment.joining.iter().filter(|it| state.is_able(**it));
        copies.extend(coming.map(|it| it.node));
        for leaving in &assignment.leaving {
            copies.remove(&leaving.node);
        }
        let mut owner = assignment.grant.owner.node;
        if let Some(movement) = state.moves().get(&partition) {
            copies.insert(movement.to.node);
            if let Some(from) = movement.from {
                copies.remove(&from.node);
                owner = if owner == from.node { movement.to.node } else { owner };
            }
        }
        if let Some(to) = state.wanted().get(&partition) {
            owner = to.node;
        }
        Home { owner: Some(owner), copies }
    };
    state.placement().partitions.iter().map(home).collect()
}

/// Where copies should be at this time; index = partition.
#[must_use]
pub fn wished(state: &State, now_ms: u64, repair_after_ms: u64) -> Vec<Home> {
    let Some(cluster) = state.cluster() else { return Vec::new() };
    let candidates = candidates(state, now_ms, repair_after_ms);
    target(&settled(state), &candidates, usize::from(cluster.replication_factor))
}

/// The next commands towards the target; empty when nothing is to be done or the bounds of what may be under way are
/// reached. Repairs and drains go on while rebalancing is paused.
#[must_use]
pub fn steps(state: &State, now_ms: u64, repair_after_ms: u64) -> Vec<Command> {
    let mut batch = Batch::new(state);
    for (assignment, wish) in state.placement().partitions.iter().zip(wished(state, now_ms, repair_after_ms))
    {
        if assignment.grant.set.members.iter().any(|it| state.is_able(*it)) {
            batch.consider(assignment, &wish);
        }
    }
    batch.into_commands()
}

struct Batch<'a> {
    state: &'a State,
    factor: usize,
    coming: BTreeMap<NodeId, usize>,
    under_way: usize,
    asked: usize,
    moves: Vec<MoveItem>,
    handovers: Vec<GrantItem>,
    outs: Vec<GrantItem>,
    cancels: Vec<PartitionId>,
}

impl<'a> Batch<'a> {
    fn new(state: &'a State) -> Self {
        let mut coming: BTreeMap<NodeId, usize> = BTreeMap::new();
        for movement in state.moves().values() {
            *coming.entry(movement.to.node).or_default() += 1;
        }
        Self {
            state,
            factor: state.cluster().map_or(1, |it| usize::from(it.replication_factor)),
            coming,
            under_way: state.moves().len(),
            asked: state.wanted().len(),
            moves: Vec::new(),
            handovers: Vec::new(),
            outs: Vec::new(),
            cancels: Vec::new(),
        }
    }

    fn consider(&mut self, assignment: &Assignment, wish: &Home) {
        let partition = assignment.grant.partition;
        if let Some(movement) = self.state.moves().get(&partition) {
            if !self.state.is_able(movement.to) {
                self.cancels.push(partition);
            }
            return;
        }
        let members = &assignment.grant.set.members;
        let has = |node: NodeId| members.iter().any(|it| it.node == node && self.state.is_current(*it));
        let is_coming =
            |node: NodeId| assignment.joining.iter().any(|it| it.node == node && self.state.is_able(*it));
        let missing = wish.copies.iter().copied().find(|it| !has(*it) && !is_coming(*it));
        let extra = self.extra(assignment, wish);
        let staying = members.len() - assignment.leaving.len();
        match (missing, extra) {
            (Some(to), _) if staying < self.factor => self.start(partition, None, to),
            (Some(to), Some(from)) if self.may_move(from) => self.start(partition, Some(from), to),
            (None, Some(from)) if staying > self.factor && from != assignment.grant.owner => {
                self.outs.push(GrantItem { partition, expected: expected(assignment), to: from });
            }
            _ => self.consider_owner(assignment, wish),
        }
    }

    /// A copy that should not be there: rather a follower's, and rather one that cannot come back.
    fn extra(&self, assignment: &Assignment, wish: &Home) -> Option<Replica> {
        let unwished = |it: &&Replica| {
            let wished = wish.copies.contains(&it.node) && self.state.is_current(**it);
            !(wished || assignment.leaving.contains(*it))
        };
        let rank = |it: &&Replica| (self.state.is_able(**it), **it == assignment.grant.owner, **it);
        assignment.grant.set.members.iter().filter(unwished).min_by_key(rank).copied()
    }

    /// Moves for the sake of balance stop under a pause; those off a node that leaves or is gone go on.
    fn may_move(&self, from: Replica) -> bool {
        !(self.state.is_paused() && self.state.could_stay(from))
    }

    fn start(&mut self, partition: PartitionId, from: Option<Replica>, to: NodeId) {
        let Some(to) = self.state.node(to).and_then(NodeRecord::replica) else { return };
        let coming = self.coming.entry(to.node).or_default();
        let (most, most_per_node) = match from {
            Some(_) => (MOVES_IN_FLIGHT, MOVES_IN_FLIGHT_PER_NODE),
            None => (REPAIRS_IN_FLIGHT, REPAIRS_IN_FLIGHT_PER_NODE),
        };
        if self.under_way >= most || *coming >= most_per_node || !self.state.may_own(to) {
            return;
        }
        *coming += 1;
        self.under_way += 1;
        self.moves.push(MoveItem { partition, from, to });
    }

    fn consider_owner(&mut self, assignment: &Assignment, wish: &Home) {
        let grant = &assignment.grant;
        let wished = grant.set.members.iter().find(|it| Some(it.node) == wish.owner);
        let Some(&to) = wished.filter(|it| self.state.may_own(**it)) else { return };
        let asked = self.state.wanted().contains_key(&grant.partition);
        if to == grant.owner || asked || self.asked >= HANDOVERS_IN_FLIGHT || !self.may_move(grant.owner) {
            return;
        }
        self.asked += 1;
        self.handovers.push(GrantItem { partition: grant.partition, expected: expected(assignment), to });
    }

    fn into_commands(self) -> Vec<Command> {
        let mut commands = Vec::new();
        if !self.cancels.is_empty() {
            commands.push(Command::CancelMoves { partitions: self.cancels });
        }
        if !self.outs.is_empty() {
            commands.push(Command::TakeOut { items: self.outs });
        }
        if !self.handovers.is_empty() {
            commands.push(Command::AskHandover { items: self.handovers });
        }
        if !self.moves.is_empty() {
            commands.push(Command::StartMoves { items: self.moves });
        }
        commands
    }
}
