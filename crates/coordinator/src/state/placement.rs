//! Copies of a partition: the first placement, and the owner's proposals for the in-sync set.

use std::collections::BTreeSet;

use zepto_common::ids::{Epoch, PartitionId, SetVersion};
use zepto_common::placement::{Assignment, Grant, InSyncSet, Replica};

use super::State;
use super::command::{Home, Reason, Refusal, SetChange};
use super::limits::SET_MEMBERS_MAX;
use super::ownership::check_expected;

impl State {
    /// Gives every partition its first owner and copies. All of them are empty, so all are in sync.
    pub(super) fn place(&mut self, homes: &[Home]) -> Result<bool, Refusal> {
        let partitions = usize::from(self.founded()?.partitions);
        if !self.placement.partitions.is_empty() {
            return Err(Refusal::new(Reason::AlreadyPlaced, "the partitions have their places already"));
        }
        if homes.len() != partitions {
            let message = format!("{} homes for {partitions} partitions", homes.len());
            return Err(Refusal::new(Reason::BadRequest, message));
        }
        for home in homes {
            if !home.members.contains(&home.owner) || home.members.len() > SET_MEMBERS_MAX {
                return Err(Refusal::new(Reason::OwnerMissing, "an owner is one of its partition's copies"));
            }
            if let Some(unable) = home.members.iter().find(|it| !self.is_able(**it)) {
                let message = format!("node {} is not there with this disk", unable.node);
                return Err(Refusal::new(Reason::UnknownNode, message));
            }
        }
        self.placement.partitions =
            (0u16..).zip(homes).map(|(p, home)| self.first(PartitionId(p), home)).collect();
        for (highest, assignment) in self.highest_epochs.iter_mut().zip(&self.placement.partitions) {
            *highest = assignment.grant.epoch;
        }
        self.placement.version.0 += 1;
        Ok(true)
    }

    fn first(&self, partition: PartitionId, home: &Home) -> Assignment {
        let highest = self.highest_epochs[usize::from(partition.0)];
        let set = InSyncSet { version: SetVersion(1), members: home.members.clone() };
        let grant = Grant { partition, epoch: Epoch(highest.0 + 1), owner: home.owner, set };
        Assignment { grant, joining: BTreeSet::new(), leaving: BTreeSet::new() }
    }

    /// The owner's next set, if nothing changed since the owner looked.
    pub(super) fn change_set(&mut self, proposer: Replica, change: &SetChange) -> Result<bool, Refusal> {
        let min_in_sync = usize::from(self.founded()?.min_in_sync);
        let assignment = self.assignment(change.partition)?;
        if assignment.grant.owner != proposer {
            return Err(Refusal::new(
                Reason::NotOwner,
                format!("partition {} is not yours", change.partition),
            ));
        }
        let set = &assignment.grant.set;
        if assignment.grant.epoch == change.expected.epoch
            && set.version.0 == change.expected.set_version.0 + 1
            && set.members == change.members
        {
            // A repeat of a proposal whose answer was lost.
            return Ok(false);
        }
        check_expected(assignment, change.expected)?;
        self.check_members(assignment, &change.members, min_in_sync)?;
        // The same members too are a new version: the owner gives an addition up that may still be under way, and counts
        // on that copy until no change of this version can be agreed on any more.
        self.set_members(change.partition, &change.members);
        self.settle(change.partition);
        Ok(true)
    }

    fn check_members(
        &self,
        assignment: &Assignment,
        next: &BTreeSet<Replica>,
        min_in_sync: usize,
    ) -> Result<(), Refusal> {
        let current = &assignment.grant.set.members;
        if !next.contains(&assignment.grant.owner) {
            return Err(Refusal::new(Reason::OwnerMissing, "the owner is always in its set"));
        }
        if next.len() > SET_MEMBERS_MAX {
            return Err(Refusal::new(Reason::TooManyMembers, format!("at most {SET_MEMBERS_MAX} copies")));
        }
        let removes = current.difference(next).next().is_some();
        if removes && next.len() < min_in_sync {
            let message = format!("{} copies would be in sync and {min_in_sync} must be", next.len());
            return Err(Refusal::new(Reason::BelowMinInSync, message));
        }
        for added in next.difference(current) {
            if !assignment.joining.contains(added) {
                let message = format!("node {} with this disk was not asked to join", added.node);
                return Err(Refusal::new(Reason::NotJoining, message));
            }
            if !self.is_able(*added) {
                let message = format!("node {} is dead, has another disk, or its log failed", added.node);
                return Err(Refusal::new(Reason::NodeDead, message));
            }
        }
        Ok(())
    }

    fn set_members(&mut self, partition: PartitionId, next: &BTreeSet<Replica>) {
        let moving_out = self.moves.get(&partition).and_then(|it| it.from);
        let assignment = &mut self.placement.partitions[usize::from(partition.0)];
        let set = &mut assignment.grant.set;
        for removed in set.members.difference(next) {
            let wanted_out = assignment.leaving.remove(removed) || moving_out == Some(*removed);
            // A copy that fell behind is still one of the homes: it may come back when it has caught up.
            if !wanted_out {
                assignment.joining.insert(*removed);
            }
        }
        assignment.joining.retain(|it| !next.contains(it));
        set.members.clone_from(next);
        set.version.0 += 1;
        if self.wanted.get(&partition).is_some_and(|to| !next.contains(to)) {
            self.wanted.remove(&partition);
        }
    }
}
