//! The agreed placement as one register, in place of the Raft group: it can be away, but never forgets and never
//! contradicts itself. Its rules are those of the real one: a grant goes to an in-sync disk only, a set changes by
//! compare-and-set of its owner only, another disk of a node first leaves every set.

use std::collections::{BTreeMap, BTreeSet};

use zepto_common::ids::{DiskId, Epoch, NodeId, PartitionId, PlacementVersion, SetVersion};
use zepto_common::placement::{Assignment, Grant, InSyncSet, Placement, Replica};
use zepto_replication::Change;

use crate::random::Random;

/// What is known of a node.
#[derive(Debug)]
struct Registered {
    disk: DiskId,
    heard: u64,
    dead: bool,
}

/// The register.
#[derive(Debug)]
pub struct Coordinator {
    /// What is agreed.
    pub placement: Placement,
    nodes: BTreeMap<NodeId, Registered>,
    factor: usize,
    dead_after: u64,
    /// Nothing was decided before: a late own clock starts the observation again.
    last_tick: u64,
    /// Whether it can be asked.
    pub away: bool,
    /// Owners that were replaced.
    pub failovers: u64,
}

impl Coordinator {
    /// A first placement over these replicas.
    #[must_use]
    pub fn new(replicas: &[Replica], partitions: usize, factor: usize, dead_after: u64) -> Self {
        let nodes = replicas.iter().map(|it| (it.node, Registered { disk: it.disk, heard: 0, dead: false }));
        let partitions = (0..partitions).map(|p| {
            let members: BTreeSet<Replica> =
                (0..factor.min(replicas.len())).map(|i| replicas[(p + i) % replicas.len()]).collect();
            let grant = Grant {
                partition: PartitionId(p as u16),
                epoch: Epoch(1),
                owner: replicas[p % replicas.len()],
                set: InSyncSet { version: SetVersion(1), members },
            };
            Assignment { grant, joining: BTreeSet::new(), leaving: BTreeSet::new() }
        });
        let placement = Placement { version: PlacementVersion(1), partitions: partitions.collect() };
        let nodes = nodes.collect();
        Self { placement, nodes, factor, dead_after, last_tick: 0, away: false, failovers: 0 }
    }

    /// A heartbeat; with another disk than before the old one leaves every set.
    pub fn heard(&mut self, now: u64, from: Replica) {
        let known =
            self.nodes.entry(from.node).or_insert(Registered { disk: from.disk, heard: now, dead: false });
        known.heard = now;
        known.dead = false;
        if known.disk == from.disk {
            return;
        }
        let old = Replica { node: from.node, disk: std::mem::replace(&mut known.disk, from.disk) };
        for p in 0..self.placement.partitions.len() {
            self.remove_disk(p, old);
        }
    }

    fn remove_disk(&mut self, p: usize, old: Replica) {
        let it = &mut self.placement.partitions[p];
        it.joining.remove(&old);
        it.leaving.remove(&old);
        if !it.grant.set.members.contains(&old) || it.grant.set.members.len() == 1 {
            return;
        }
        it.grant.set.members.remove(&old);
        it.grant.set.version.0 += 1;
        self.placement.version.0 += 1;
        if it.grant.owner == old {
            // Every member has every committed frame; one that lives is better.
            let members = it.grant.set.members.clone();
            let next = members.iter().copied().find(|it| self.alive(*it)).or(members.first().copied());
            if let Some(next) = next {
                self.grant(p, next);
            }
        }
    }

    fn alive(&self, replica: Replica) -> bool {
        self.nodes.get(&replica.node).is_some_and(|it| it.disk == replica.disk && !it.dead)
    }

    fn grant(&mut self, p: usize, owner: Replica) {
        let it = &mut self.placement.partitions[p];
        assert!(it.grant.set.members.contains(&owner), "a grant goes to an in-sync disk only");
        it.grant.epoch.0 += 1;
        it.grant.owner = owner;
        self.placement.version.0 += 1;
        self.failovers += 1;
    }

    /// Declares the silent dead, replaces dead owners, fills thin sets.
    pub fn tick(&mut self, now: u64) {
        if now - self.last_tick > self.dead_after / 4 {
            self.nodes.values_mut().for_each(|it| it.heard = it.heard.max(now));
        }
        self.last_tick = now;
        for it in self.nodes.values_mut() {
            it.dead |= now - it.heard > self.dead_after;
        }
        for p in 0..self.placement.partitions.len() {
            self.mend(p);
        }
    }

    fn mend(&mut self, p: usize) {
        let it = &self.placement.partitions[p];
        let (owner, set) = (it.grant.owner, it.grant.set.members.clone());
        if !self.alive(owner)
            && let Some(next) = set.iter().copied().find(|it| self.alive(*it))
        {
            self.grant(p, next);
        }
        let joining: BTreeSet<Replica> = self.placement.partitions[p]
            .joining
            .iter()
            .copied()
            .filter(|it| self.alive(*it) && !set.contains(it))
            .collect();
        let free = self
            .nodes
            .iter()
            .map(|(node, it)| Replica { node: *node, disk: it.disk })
            .find(|it| self.alive(*it) && !set.contains(it) && !joining.contains(it));
        let thin = set.len() + joining.len() < self.factor;
        let it = &mut self.placement.partitions[p];
        it.joining = joining;
        it.joining.extend(free.filter(|_| thin));
        it.leaving.retain(|it| set.contains(it));
    }

    /// An owner asks.
    pub fn propose(&mut self, change: &Change, random: &mut Random) {
        match change {
            Change::Set { partition, epoch, version, members } => {
                let grant = &self.placement.partitions[usize::from(partition.0)].grant;
                let known = members.iter().all(|it| {
                    grant.set.members.contains(it)
                        || self.nodes.get(&it.node).is_some_and(|node| node.disk == it.disk)
                });
                if grant.epoch != *epoch
                    || grant.set.version != *version
                    || !members.contains(&grant.owner)
                    || !known
                {
                    return;
                }
                let it = &mut self.placement.partitions[usize::from(partition.0)];
                it.grant.set = InSyncSet { version: SetVersion(version.0 + 1), members: members.clone() };
                it.joining.retain(|it| !members.contains(it));
                it.leaving.retain(|it| members.contains(it));
                self.placement.version.0 += 1;
            }
            Change::HandOver { partition, epoch } => {
                let p = usize::from(partition.0);
                let grant = &self.placement.partitions[p].grant;
                if grant.epoch == *epoch {
                    let owner = grant.owner;
                    let others: Vec<Replica> = grant
                        .set
                        .members
                        .iter()
                        .copied()
                        .filter(|it| *it != owner && self.alive(*it))
                        .collect();
                    if !others.is_empty() {
                        self.grant(p, others[random.below(others.len())]);
                    }
                }
            }
        }
    }

    /// Begins a move: a node joins, and a member that is not the owner is to leave once there are enough.
    pub fn start_move(&mut self, random: &mut Random) {
        let p = random.below(self.placement.partitions.len());
        let it = &self.placement.partitions[p];
        let set = &it.grant.set.members;
        let all: Vec<Replica> =
            self.nodes.iter().map(|(node, it)| Replica { node: *node, disk: it.disk }).collect();
        let others: Vec<Replica> =
            all.into_iter().filter(|it| self.alive(*it) && !set.contains(it)).collect();
        let leavers: Vec<Replica> = set.iter().copied().filter(|member| *member != it.grant.owner).collect();
        let excess = set.len() > self.factor;
        let it = &mut self.placement.partitions[p];
        if excess && !leavers.is_empty() {
            it.leaving.insert(leavers[random.below(leavers.len())]);
        } else if !others.is_empty() {
            it.joining.insert(others[random.below(others.len())]);
        }
        self.placement.version.0 += 1;
    }

    /// Whether this disk may be lost: no set has it as its only member, nor shares it with a disk that is gone.
    #[must_use]
    pub fn can_spare(&self, replica: Replica) -> bool {
        self.placement.partitions.iter().all(|it| {
            let set = &it.grant.set.members;
            !set.contains(&replica)
                || set.iter().any(|other| {
                    *other != replica
                        && self.nodes.get(&other.node).is_some_and(|node| node.disk == other.disk)
                })
        })
    }
}
