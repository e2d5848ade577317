//! The agreed placement as one register, in place of the Raft group: it can be away, but never forgets and never
//! contradicts itself. Its rules are those of the real one: a grant goes to an in-sync disk only, a set changes by
//! compare-and-set of its owner only, another disk of a node first leaves every set.

use std::collections::{BTreeMap, BTreeSet};

use zepto_common::ids::{DiskId, Epoch, NodeId, PartitionId, PlacementVersion, SetVersion};
use zepto_common::placement::{Assignment, Grant, InSyncSet, Placement, Replica};
use zepto_replication::Change;

use crate::random::Random;

/// One in so many of what might be done to a partition with a copy on its way in takes that back.
const CANCELLED: usize = 3;

/// Partitions whose owner is asked to hand over, and to whom.
pub type Wanted = BTreeMap<usize, Replica>;

/// What a node says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Sign {
    /// Which start of it says so.
    pub start: u64,
    /// It was told to end.
    pub stopping: bool,
}

/// What is known of a node.
#[derive(Debug)]
struct Registered {
    disk: DiskId,
    heard: u64,
    dead: bool,
    start: u64,
    stopping: bool,
}

impl Registered {
    fn new(disk: DiskId, start: u64, heard: u64) -> Self {
        Self { disk, heard, dead: false, start, stopping: false }
    }
}

/// The register.
#[derive(Debug)]
pub struct Coordinator {
    /// What is agreed.
    pub placement: Placement,
    /// Owners that are asked to hand over.
    pub wanted: Wanted,
    /// Copies to take out when they do not own any more.
    off: BTreeMap<usize, Replica>,
    nodes: BTreeMap<NodeId, Registered>,
    factor: usize,
    /// No set becomes smaller than this.
    min_in_sync: usize,
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
    pub fn new(
        replicas: &[Replica],
        partitions: usize,
        (factor, min_in_sync): (usize, usize),
        dead_after: u64,
    ) -> Self {
        let nodes = replicas.iter().map(|it| (it.node, Registered::new(it.disk, 0, 0)));
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
        let (wanted, off) = (Wanted::new(), BTreeMap::new());
        Self {
            placement,
            wanted,
            off,
            nodes,
            factor,
            min_in_sync,
            dead_after,
            last_tick: 0,
            away: false,
            failovers: 0,
        }
    }

    /// A heartbeat; with another disk than before the old one leaves every set. What an older start says counts no more.
    pub fn heard(&mut self, now: u64, from: Replica, sign: Sign) {
        let known = self.nodes.entry(from.node).or_insert(Registered::new(from.disk, sign.start, now));
        if sign.start < known.start {
            return;
        }
        known.stopping = sign.stopping || (known.stopping && known.start == sign.start);
        known.start = sign.start;
        known.heard = now;
        known.dead = false;
        if sign.stopping {
            self.wanted.retain(|_, to| to.node != from.node);
        }
        let known = self.nodes.entry(from.node).or_insert(Registered::new(from.disk, sign.start, now));
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
            let alive = || members.iter().copied().find(|it| self.alive(*it));
            let next = members.iter().copied().find(|it| self.may_own(*it)).or_else(alive);
            let next = next.or(members.first().copied());
            if let Some(next) = next {
                self.grant(p, next);
            }
        }
    }

    fn alive(&self, replica: Replica) -> bool {
        self.nodes.get(&replica.node).is_some_and(|it| it.disk == replica.disk && !it.dead)
    }

    /// Whether it could be given a partition.
    fn may_own(&self, replica: Replica) -> bool {
        self.alive(replica) && self.nodes.get(&replica.node).is_some_and(|it| !it.stopping)
    }

    fn grant(&mut self, p: usize, owner: Replica) {
        self.wanted.remove(&p);
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
            && let Some(next) = set.iter().copied().find(|it| self.may_own(*it))
        {
            self.grant(p, next);
        }
        self.mend_wanted(p);
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
            .find(|it| self.may_own(*it) && !set.contains(it) && !joining.contains(it));
        let thin = set.len() + joining.len() < self.factor;
        let it = &mut self.placement.partitions[p];
        it.joining = joining;
        it.joining.extend(free.filter(|_| thin));
        it.leaving.retain(|it| set.contains(it));
    }

    /// Who is to go is relieved first, and then taken out.
    fn mend_wanted(&mut self, p: usize) {
        let grant = self.placement.partitions[p].grant.clone();
        let (owner, set) = (grant.owner, grant.set.members);
        let may = |it: &Replica| *it != owner && set.contains(it) && self.may_own(*it);
        let (withdrawn, next) =
            (self.wanted.get(&p).is_some_and(|to| !may(to)), set.iter().copied().find(may));
        if withdrawn {
            self.wanted.remove(&p);
        }
        let Some(&from) = self.off.get(&p) else { return };
        if !set.contains(&from) {
            self.off.remove(&p);
        } else if owner != from && set.len() > self.factor {
            self.off.remove(&p);
            self.placement.partitions[p].leaving.insert(from);
            self.placement.version.0 += 1;
        } else if owner == from
            && let Some(next) = next
        {
            self.wanted.entry(p).or_insert(next);
        }
    }

    /// Asks an owner to hand over to another member, as for balance.
    pub fn ask_some(&mut self, random: &mut Random) {
        let p = random.below(self.placement.partitions.len());
        let grant = &self.placement.partitions[p].grant;
        let members = grant.set.members.iter().copied();
        let others: Vec<Replica> = members.filter(|it| *it != grant.owner && self.may_own(*it)).collect();
        if !others.is_empty() {
            self.wanted.insert(p, others[random.below(others.len())]);
        }
    }

    /// How many partitions a node owns.
    #[must_use]
    pub fn owned_by(&self, node: usize) -> usize {
        self.placement.partitions.iter().filter(|it| it.grant.owner.node.0 as usize == node).count()
    }

    /// An owner asks; false when the set may not become so small.
    pub fn propose(&mut self, change: &Change, random: &mut Random) -> bool {
        match change {
            Change::Set { partition, epoch, version, members } => {
                let grant = &self.placement.partitions[usize::from(partition.0)].grant;
                let known = members.iter().all(|it| {
                    let invited = self.placement.partitions[usize::from(partition.0)].joining.contains(it);
                    grant.set.members.contains(it)
                        || invited && self.nodes.get(&it.node).is_some_and(|node| node.disk == it.disk)
                });
                if grant.epoch != *epoch
                    || grant.set.version != *version
                    || !members.contains(&grant.owner)
                    || !known
                {
                    return true;
                }
                if members.len() < self.min_in_sync && !grant.set.members.is_subset(members) {
                    return false;
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
                        .filter(|it| *it != owner && self.may_own(*it))
                        .collect();
                    if !others.is_empty() {
                        let wanted = self.wanted.get(&p).copied().filter(|to| others.contains(to));
                        self.grant(p, wanted.unwrap_or(others[random.below(others.len())]));
                    }
                }
            }
        }
        true
    }

    /// Begins a move: a node joins, and a member is to leave once there are enough; if it owns, another owns first.
    pub fn start_move(&mut self, random: &mut Random) {
        let p = random.below(self.placement.partitions.len());
        let it = &self.placement.partitions[p];
        let set = &it.grant.set.members;
        let all: Vec<Replica> =
            self.nodes.iter().map(|(node, it)| Replica { node: *node, disk: it.disk }).collect();
        let others: Vec<Replica> =
            all.into_iter().filter(|it| self.may_own(*it) && !set.contains(it)).collect();
        let (leavers, owner): (Vec<Replica>, _) = (set.iter().copied().collect(), it.grant.owner);
        let excess = set.len() > self.factor;
        let it = &mut self.placement.partitions[p];
        if !it.joining.is_empty() && random.below(CANCELLED) == 0 {
            // Taken back; an owner may have asked for it to come in already.
            it.joining.clear();
        } else if excess {
            let leaver = leavers[random.below(leavers.len())];
            if leaver == owner {
                self.off.insert(p, leaver);
            } else {
                it.leaving.insert(leaver);
            }
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
