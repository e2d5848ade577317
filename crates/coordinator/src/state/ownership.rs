//! Who owns a partition: grants, asked and given handovers, and the override by hand.

use zepto_common::ids::{Epoch, PartitionId};
use zepto_common::placement::{Assignment, Replica};

use super::State;
use super::command::{Expected, GrantItem, HandoverItem, Reason, Refusal};
use super::limits::FORCED_REMEMBERED;
use super::record::{ForcedRecord, MoveEnd};

impl State {
    /// Failover: ownership to a member of the in-sync set.
    pub(super) fn grant(&mut self, item: &GrantItem) -> Result<bool, Refusal> {
        let assignment = self.assignment(item.partition)?;
        if assignment.grant.owner == item.to && assignment.grant.epoch > item.expected.epoch {
            // A repeat of a proposal whose answer was lost.
            return Ok(false);
        }
        check_expected(assignment, item.expected)?;
        self.check_successor(assignment, item.to)?;
        self.set_owner(item.partition, item.to, false);
        Ok(true)
    }

    /// Asks the owner to release its lease to a member of the set.
    pub(super) fn ask_handover(&mut self, item: &GrantItem) -> Result<bool, Refusal> {
        let assignment = self.assignment(item.partition)?;
        check_expected(assignment, item.expected)?;
        self.check_successor(assignment, item.to)?;
        // Planned before the pause was agreed on.
        if self.paused && self.could_stay(assignment.grant.owner) {
            return Err(Refusal::new(Reason::Paused, "handovers for the sake of balance are paused"));
        }
        Ok(self.wanted.insert(item.partition, item.to) != Some(item.to))
    }

    /// The owner has stopped; the next one may begin at once.
    pub(super) fn hand_over(&mut self, from: Replica, item: &HandoverItem) -> Result<bool, Refusal> {
        let assignment = self.assignment(item.partition)?;
        if assignment.grant.owner != from {
            return Err(Refusal::new(Reason::NotOwner, format!("partition {} is not yours", item.partition)));
        }
        if assignment.grant.epoch != item.epoch {
            return Err(stale_epoch(assignment.grant.epoch));
        }
        let to = match item.to {
            Some(to) => to,
            None => self.successor(item.partition).ok_or_else(|| {
                let message = format!("no other copy of partition {} could own it", item.partition);
                Refusal::new(Reason::NoSuccessor, message)
            })?,
        };
        self.check_successor(assignment, to)?;
        self.set_owner(item.partition, to, true);
        Ok(true)
    }

    /// Who would own a partition next: the wanted replica, else the able member that owns the fewest partitions.
    #[must_use]
    pub fn successor(&self, partition: PartitionId) -> Option<Replica> {
        let assignment = self.placement.of(partition)?;
        let may = |to: Replica| self.check_successor(assignment, to).is_ok();
        if let Some(&to) = self.wanted.get(&partition)
            && may(to)
        {
            return Some(to);
        }
        let rank = |to: &Replica| {
            let leaving = assignment.leaving.contains(to);
            let settled = self.node(to.node).is_some_and(|it| it.state == super::NodeState::Active);
            (leaving, !settled, self.placement.owned_by(to.node).count(), to.node)
        };
        assignment.grant.set.members.iter().copied().filter(|&to| may(to)).min_by_key(rank)
    }

    fn check_successor(&self, assignment: &Assignment, to: Replica) -> Result<(), Refusal> {
        let refuse = |reason, what: &str| Err(Refusal::new(reason, format!("node {}: {what}", to.node)));
        if assignment.grant.owner == to {
            return refuse(Reason::AlreadyOwner, "owns the partition already");
        }
        if !assignment.grant.set.members.contains(&to) {
            return refuse(Reason::NotInSync, "this disk is not in the in-sync set");
        }
        match self.nodes.get(&to.node) {
            None => refuse(Reason::UnknownNode, "is not known"),
            Some(node) if node.disk != Some(to.disk) => {
                refuse(Reason::DiskReplaced, "has another disk by now")
            }
            Some(node) if node.state == super::NodeState::Dead => refuse(Reason::NodeDead, "is dead"),
            Some(node) if node.log_failed => refuse(Reason::LogFailed, "its log refused a write"),
            Some(node) if node.stopping => refuse(Reason::Stopping, "was told to end"),
            Some(_) => Ok(()),
        }
    }

    /// Gives a partition a new epoch and owner.
    fn set_owner(&mut self, partition: PartitionId, to: Replica, released: bool) -> Epoch {
        let index = usize::from(partition.0);
        let assignment = &mut self.placement.partitions[index];
        let highest = &mut self.highest_epochs[index];
        *highest = Epoch(highest.0.max(assignment.grant.epoch.0) + 1);
        assignment.grant.epoch = *highest;
        assignment.grant.owner = to;
        assignment.leaving.remove(&to);
        let epoch = *highest;
        self.wanted.remove(&partition);
        if released {
            self.released.insert(partition);
        } else {
            self.released.remove(&partition);
        }
        self.settle(partition);
        epoch
    }

    /// Makes one replica owner and whole set, whatever it lacks.
    pub(super) fn force_owner(
        &mut self,
        partition: PartitionId,
        to: Replica,
        accept_loss: bool,
    ) -> Result<bool, Refusal> {
        self.assignment(partition)?;
        if !accept_loss {
            let message = "rows that only other copies have would be lost: say so with --accept-loss";
            return Err(Refusal::new(Reason::LossNotAccepted, message));
        }
        if !self.is_able(to) {
            let message = format!("node {} is not there with this disk and a healthy log", to.node);
            return Err(Refusal::new(Reason::UnknownNode, message));
        }
        if self.moves.contains_key(&partition) {
            self.end_move(partition, MoveEnd::Cancelled);
        }
        let assignment = &mut self.placement.partitions[usize::from(partition.0)];
        let before = std::mem::replace(&mut assignment.grant.set.members, [to].into());
        assignment.grant.set.version.0 += 1;
        assignment.leaving.clear();
        assignment.joining = before.iter().copied().filter(|it| *it != to).collect();
        let joining = assignment.joining.clone();
        let current: Vec<Replica> = joining.into_iter().filter(|it| self.is_current(*it)).collect();
        self.placement.partitions[usize::from(partition.0)].joining = current.into_iter().collect();
        let epoch = self.set_owner(partition, to, false);
        self.forced.push_back(ForcedRecord { partition, to, before, epoch, at_ms: self.clock_ms });
        if self.forced.len() > FORCED_REMEMBERED {
            self.forced.pop_front();
        }
        self.placement.version.0 += 1;
        Ok(true)
    }
}

fn stale_epoch(newest: Epoch) -> Refusal {
    Refusal::new(Reason::StaleEpoch, format!("the newest epoch is {newest}"))
}

/// Compare and set.
pub(super) fn check_expected(assignment: &Assignment, expected: Expected) -> Result<(), Refusal> {
    if assignment.grant.epoch != expected.epoch {
        return Err(stale_epoch(assignment.grant.epoch));
    }
    let version = assignment.grant.set.version;
    if version != expected.set_version {
        return Err(Refusal::new(Reason::StaleSet, format!("the newest set version is {version}")));
    }
    Ok(())
}
