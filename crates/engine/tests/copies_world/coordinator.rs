//! The agreed placement as one register that never forgets.

use std::collections::BTreeSet;

use zepto_common::ids::{PlacementVersion, SetVersion};
use zepto_common::placement::{Assignment, Grant, InSyncSet, Placement, Replica};
use zepto_common::{Epoch, PartitionId};
use zepto_replication::Change;

/// Silence after which a node is dead, in milliseconds; longer than a lease.
const DEAD: u64 = 1_500;

#[derive(Debug, Default)]
pub(crate) struct Coordinator {
    pub(crate) placement: Placement,
    pub(crate) failovers: u64,
    replicas: Vec<Replica>,
    silent: Vec<u64>,
    /// Copies that are to go, or are gone.
    pub(crate) excluded: BTreeSet<(u16, Replica)>,
}

impl Coordinator {
    pub(crate) fn new(replicas: &[Replica], partitions: u16) -> Self {
        let members: BTreeSet<Replica> = replicas.iter().copied().collect();
        let partitions = (0..partitions).map(|p| {
            let set = InSyncSet { version: SetVersion(1), members: members.clone() };
            let owner = replicas[usize::from(p) % replicas.len()];
            let grant = Grant { partition: PartitionId(p), epoch: Epoch(1), owner, set };
            Assignment { grant, joining: BTreeSet::new(), leaving: BTreeSet::new() }
        });
        Self {
            placement: Placement { version: PlacementVersion(1), partitions: partitions.collect() },
            failovers: 0,
            replicas: replicas.to_vec(),
            silent: vec![0; replicas.len()],
            excluded: BTreeSet::new(),
        }
    }

    /// A node has come with another disk: the old one is in no set any more.
    pub(crate) fn replace_disk(&mut self, old: Replica, new: Replica) {
        for p in 0..self.placement.partitions.len() {
            let grant = &mut self.placement.partitions[p].grant;
            if grant.set.members.remove(&old) {
                grant.set.version.0 += 1;
                self.placement.version.0 += 1;
            }
            let next = grant.set.members.iter().copied().find(|it| *it != old);
            if grant.owner == old {
                let next = next.expect("another copy is in sync");
                self.grant(p, next);
            }
        }
        self.replicas.iter_mut().filter(|it| **it == old).for_each(|it| *it = new);
    }

    fn lives(&self, replica: Replica) -> bool {
        self.silent[replica.node.0 as usize] < DEAD
    }

    fn grant(&mut self, p: usize, owner: Replica) {
        let grant = &mut self.placement.partitions[p].grant;
        assert!(grant.set.members.contains(&owner), "a grant goes to an in-sync disk only");
        grant.epoch.0 += 1;
        grant.owner = owner;
        self.placement.version.0 += 1;
        self.failovers += 1;
    }

    /// Time passed: dead owners are replaced, thin sets are filled.
    pub(crate) fn pass(&mut self, milliseconds: u64, alive: &[bool]) {
        for (silent, alive) in self.silent.iter_mut().zip(alive) {
            *silent = if *alive { 0 } else { *silent + milliseconds };
        }
        for p in 0..self.placement.partitions.len() {
            let grant = self.placement.partitions[p].grant.clone();
            let next = grant.set.members.iter().copied().find(|it| self.lives(*it));
            if let Some(next) = next.filter(|_| !self.lives(grant.owner)) {
                self.grant(p, next);
            }
            let joining = self.replicas.iter().copied();
            let out = |it: &Replica| self.excluded.contains(&(p as u16, *it));
            let joining = joining.filter(|it| self.lives(*it) && !grant.set.members.contains(it) && !out(it));
            let joining = joining.collect();
            let leaving: BTreeSet<Replica> = grant.set.members.iter().copied().filter(out).collect();
            if self.placement.partitions[p].leaving != leaving {
                self.placement.partitions[p].leaving = leaving;
                self.placement.version.0 += 1;
            }
            if self.placement.partitions[p].joining != joining {
                self.placement.partitions[p].joining = joining;
                self.placement.version.0 += 1;
            }
        }
    }

    pub(crate) fn propose(&mut self, change: &Change) {
        match change {
            Change::Set { partition, epoch, version, members } => {
                let it = &mut self.placement.partitions[usize::from(partition.0)];
                let grant = &mut it.grant;
                if (grant.epoch, grant.set.version) == (*epoch, *version) && members.contains(&grant.owner) {
                    grant.set = InSyncSet { version: SetVersion(version.0 + 1), members: members.clone() };
                    it.joining.retain(|it| !members.contains(it));
                    self.placement.version.0 += 1;
                }
            }
            Change::HandOver { partition, epoch } => {
                let p = usize::from(partition.0);
                let grant = self.placement.partitions[p].grant.clone();
                let next = grant.set.members.iter().copied().find(|it| *it != grant.owner && self.lives(*it));
                if let Some(next) = next.filter(|_| grant.epoch == *epoch) {
                    self.grant(p, next);
                }
            }
        }
    }
}
