//! Moves: a copy joins, enters the set, takes over if need be, and then the old copy is taken out. Nothing else.
//!
//! Which of these comes next is read off the assignment each time, so that a move cannot disagree with it.

use zepto_common::ids::{NodeId, PartitionId};
use zepto_common::placement::Replica;

use super::State;
use super::command::{GrantItem, MoveItem, Reason, Refusal};
use super::limits::MOVES_REMEMBERED;
use super::ownership::check_expected;
use super::record::{Move, MoveEnd, MoveRecord, NodeRecord, NodeState};

impl State {
    pub(super) fn start_move(&mut self, item: &MoveItem) -> Result<bool, Refusal> {
        let assignment = self.assignment(item.partition)?;
        let movement = Move { from: item.from, to: item.to, started_ms: self.clock_ms };
        if let Some(known) = self.moves.get(&item.partition) {
            if known.from == movement.from && known.to == movement.to {
                return Ok(false);
            }
            return Err(Refusal::new(Reason::AlreadyMoving, format!("partition {} moves", item.partition)));
        }
        if assignment.grant.set.members.contains(&item.to) {
            return Err(Refusal::new(Reason::AlreadyThere, format!("node {} has a copy", item.to.node)));
        }
        if let Some(from) = item.from
            && !assignment.grant.set.members.contains(&from)
        {
            return Err(Refusal::new(Reason::NotInSync, format!("node {} has no copy in sync", from.node)));
        }
        // Planned before the pause was agreed on.
        if self.paused && item.from.is_some_and(|from| self.could_stay(from)) {
            return Err(Refusal::new(Reason::Paused, "moves for the sake of balance are paused"));
        }
        if !self.is_able(item.to) {
            let message = format!("node {} is dead, has another disk, or its log failed", item.to.node);
            return Err(Refusal::new(Reason::NodeDead, message));
        }
        if !self.may_own(item.to) {
            return Err(Refusal::new(Reason::Stopping, format!("node {} was told to end", item.to.node)));
        }
        // A copy that was to come back and cannot any more is given up for the one that comes now.
        let mut joining = assignment.joining.clone();
        joining.retain(|it| self.is_able(*it));
        joining.insert(item.to);
        self.placement.partitions[usize::from(item.partition.0)].joining = joining;
        self.moves.insert(item.partition, movement);
        Ok(true)
    }

    pub(super) fn cancel_move(&mut self, partition: &PartitionId) -> Result<bool, Refusal> {
        let Some(movement) = self.moves.get(partition).cloned() else {
            return Err(Refusal::new(Reason::NotMoving, format!("partition {partition} does not move")));
        };
        self.end_move(*partition, MoveEnd::Cancelled);
        let Some(assignment) = self.placement.partitions.get_mut(usize::from(partition.0)) else {
            return Ok(true);
        };
        let from_stays = movement.from.is_some_and(|from| assignment.grant.set.members.contains(&from));
        if let Some(from) = movement.from {
            assignment.leaving.remove(&from);
        }
        if from_stays
            && assignment.grant.set.members.contains(&movement.to)
            && assignment.grant.owner != movement.to
        {
            assignment.leaving.insert(movement.to);
        }
        Ok(true)
    }

    /// Asks the owner to take a copy out that is more than the factor.
    pub(super) fn take_out(&mut self, item: &GrantItem) -> Result<bool, Refusal> {
        let factor = usize::from(self.founded()?.replication_factor);
        let assignment = self.assignment(item.partition)?;
        check_expected(assignment, item.expected)?;
        if assignment.grant.owner == item.to || !assignment.grant.set.members.contains(&item.to) {
            let message = format!("node {} is not a follower of partition {}", item.to.node, item.partition);
            return Err(Refusal::new(Reason::NotInSync, message));
        }
        let staying =
            assignment.grant.set.members.difference(&assignment.leaving).filter(|it| **it != item.to);
        if staying.count() < factor {
            return Err(Refusal::new(Reason::BelowMinInSync, "fewer copies than the factor would stay"));
        }
        Ok(self.placement.partitions[usize::from(item.partition.0)].leaving.insert(item.to))
    }

    /// Whether this copy's node could keep it: a move off it is for the sake of balance, and no repair or drain.
    #[must_use]
    pub fn could_stay(&self, copy: Replica) -> bool {
        let leaves = |it: &NodeRecord| it.state == NodeState::Leaving;
        self.is_able(copy) && !self.node(copy.node).is_some_and(leaves)
    }

    /// Partitions that move for the sake of balance.
    #[must_use]
    pub fn moving_for_balance(&self) -> Vec<PartitionId> {
        let for_balance = |it: &Move| it.from.is_some_and(|from| self.could_stay(from));
        self.moves.iter().filter(|(_, it)| for_balance(it)).map(|(partition, _)| *partition).collect()
    }

    pub(super) fn set_paused(&mut self, paused: bool) -> bool {
        std::mem::replace(&mut self.paused, paused) != paused
    }

    /// Writes a move into the history and takes back what it asked for.
    pub(super) fn end_move(&mut self, partition: PartitionId, end: MoveEnd) {
        let Some(movement) = self.moves.remove(&partition) else { return };
        self.wanted.remove(&partition);
        if let Some(assignment) = self.placement.partitions.get_mut(usize::from(partition.0)) {
            assignment.joining.remove(&movement.to);
        }
        self.move_history.push_back(MoveRecord { partition, movement, end, ended_ms: self.clock_ms });
        if self.move_history.len() > MOVES_REMEMBERED {
            self.move_history.pop_front();
        }
    }

    /// Takes the moves to a node that has started again one step on: what waited for its stop goes on.
    pub(super) fn settle_towards(&mut self, node: NodeId) {
        let moves = self.moves.iter().filter(|(_, it)| it.to.node == node);
        for partition in moves.map(|(partition, _)| *partition).collect::<Vec<_>>() {
            self.settle(partition);
        }
    }

    /// Takes a partition's move one step on, as far as its assignment allows.
    pub(super) fn settle(&mut self, partition: PartitionId) {
        let Some(movement) = self.moves.get(&partition).cloned() else { return };
        let may_own = self.may_own(movement.to);
        let Some(assignment) = self.placement.partitions.get_mut(usize::from(partition.0)) else { return };
        if !assignment.grant.set.members.contains(&movement.to) {
            return;
        }
        match movement.from {
            Some(from) if !assignment.grant.set.members.contains(&from) => {
                assignment.joining.remove(&from);
                self.end_move(partition, MoveEnd::Finished);
            }
            None => self.end_move(partition, MoveEnd::Finished),
            Some(from) if assignment.grant.owner == from => {
                if may_own {
                    self.wanted.insert(partition, movement.to);
                }
            }
            Some(from) => {
                assignment.leaving.insert(from);
            }
        }
    }
}
