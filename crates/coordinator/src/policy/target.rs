//! Where copies and ownership should be: bounded load on a ring, with as few moves as the bounds allow.
//!
//! No node has more than `ceil(P*RF/N) + 1` copies nor owns more than `ceil(P/N) + 1` partitions, and a node that takes
//! copies has not less than `floor(P*RF/N) - 1` of them unless zones forbid it. What is there stays where the bounds allow; what has to go
//! somewhere goes to the first node of the partition's walk over the ring that has room, in a zone that the partition
//! is not in yet if there is one. Ownership moves only among copies, along shortest paths.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use zepto_common::ids::{NodeId, PartitionId};

use super::ring::Ring;

/// A node that may hold copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// Its failure domain; empty = one of its own.
    pub zone: String,
    /// Whether it may get more than it has (one that is dead or was told to end keeps its copies and gets none).
    pub takes: bool,
}

/// Where one partition is, or should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Home {
    /// Who owns it; None = nobody yet.
    pub owner: Option<NodeId>,
    /// All that have a copy, the owner among them.
    pub copies: BTreeSet<NodeId>,
}

/// The most copies that a node may have.
#[must_use]
pub fn copies_max(partitions: usize, factor: usize, nodes: usize) -> usize {
    (partitions * factor.min(nodes)).div_ceil(nodes.max(1)) + 1
}

/// The most partitions that a node may own.
#[must_use]
pub fn owned_max(partitions: usize, nodes: usize) -> usize {
    partitions.div_ceil(nodes.max(1)) + 1
}

/// The homes that partitions should have, given where they are. Without candidates nothing changes.
#[must_use]
pub fn target(current: &[Home], candidates: &[Candidate], factor: usize) -> Vec<Home> {
    if candidates.is_empty() {
        return current.to_vec();
    }
    let mut plan = Plan::new(current, candidates, factor);
    plan.keep(current);
    plan.fill();
    plan.shed();
    plan.settle();
    plan.choose_owners(current);
    plan.homes
}

struct Plan<'a> {
    candidates: BTreeMap<NodeId, &'a Candidate>,
    walks: Vec<Vec<NodeId>>,
    factor: usize,
    copies_max: usize,
    homes: Vec<Home>,
    owned_before: Vec<Option<NodeId>>,
    load: BTreeMap<NodeId, usize>,
}

impl<'a> Plan<'a> {
    fn new(current: &[Home], candidates: &'a [Candidate], factor: usize) -> Self {
        let ring = Ring::new(candidates.iter().map(|it| it.node));
        let count = candidates.len();
        Self {
            candidates: candidates.iter().map(|it| (it.node, it)).collect(),
            walks: (0..current.len()).map(|p| ring.walk(PartitionId(p as u16))).collect(),
            factor: factor.min(count),
            copies_max: copies_max(current.len(), factor, count),
            homes: vec![Home::default(); current.len()],
            owned_before: current.iter().map(|it| it.owner).collect(),
            load: candidates.iter().map(|it| (it.node, 0)).collect(),
        }
    }

    fn load(&self, node: NodeId) -> usize {
        self.load.get(&node).copied().unwrap_or(usize::MAX)
    }

    fn add(&mut self, partition: usize, node: NodeId) {
        if self.homes[partition].copies.insert(node) {
            *self.load.entry(node).or_default() += 1;
        }
    }

    fn remove(&mut self, partition: usize, node: NodeId) {
        if self.homes[partition].copies.remove(&node) {
            *self.load.entry(node).or_default() -= 1;
        }
    }

    fn takes(&self, node: NodeId) -> bool {
        self.candidates.get(&node).is_some_and(|it| it.takes)
    }

    /// Whether these two would fail together.
    fn same_zone(&self, a: NodeId, b: NodeId) -> bool {
        let zone = |node| self.candidates.get(&node).map_or("", |it| it.zone.as_str());
        a == b || (!zone(a).is_empty() && zone(a) == zone(b))
    }

    /// Whether a partition would be in one more zone with this node, `without` being gone.
    fn is_new_zone(&self, partition: usize, node: NodeId, without: Option<NodeId>) -> bool {
        let stays = |it: &&NodeId| Some(**it) != without;
        !self.homes[partition].copies.iter().filter(stays).any(|&it| self.same_zone(it, node))
    }

    /// In how many zones a partition is, if one copy were on another node.
    fn zones_with(&self, partition: usize, moved: Option<(NodeId, NodeId)>) -> usize {
        let place = |node: NodeId| moved.filter(|(from, _)| *from == node).map_or(node, |(_, to)| to);
        let nodes: Vec<NodeId> = self.homes[partition].copies.iter().map(|it| place(*it)).collect();
        let first_of_zone =
            |(index, node): &(usize, &NodeId)| !nodes[..*index].iter().any(|it| self.same_zone(*it, **node));
        nodes.iter().enumerate().filter(first_of_zone).count()
    }

    /// What is there and may stay; of too many copies the owner's and those of the emptier nodes.
    fn keep(&mut self, current: &[Home]) {
        for (partition, home) in current.iter().enumerate() {
            for &node in home.copies.iter().filter(|it| self.candidates.contains_key(it)).collect::<Vec<_>>()
            {
                self.add(partition, node);
            }
        }
        for partition in 0..current.len() {
            while self.homes[partition].copies.len() > self.factor {
                let owner = self.owned_before[partition];
                let rank = |it: &NodeId| {
                    let doubled = !self.is_new_zone(partition, *it, Some(*it));
                    (Some(*it) != owner, doubled, self.load(*it), *it)
                };
                let Some(node) = self.homes[partition].copies.iter().copied().max_by_key(rank) else { break };
                self.remove(partition, node);
            }
        }
    }

    /// The first node of the walk that has room, in a new zone if there is one, rather one below the mean.
    fn choose(&self, partition: usize, without: Option<NodeId>) -> Option<NodeId> {
        let room = |it: &&NodeId| {
            self.takes(**it)
                && self.load(**it) < self.copies_max
                && Some(**it) != without
                && !self.homes[partition].copies.contains(it)
        };
        let rank = |it: &&NodeId| {
            // Up to the mean first: a node that is filled above it now may have to give something away later.
            (!self.is_new_zone(partition, **it, without), self.load(**it) + 1 >= self.copies_max)
        };
        // Of equals the first in the walk.
        self.walks[partition].iter().filter(room).min_by_key(rank).copied()
    }

    fn fill(&mut self) {
        for partition in 0..self.homes.len() {
            while self.homes[partition].copies.len() < self.factor {
                let Some(node) = self.choose(partition, None).or_else(|| self.make_room(partition)) else {
                    break;
                };
                self.add(partition, node);
            }
        }
    }

    /// All nodes with room have this partition already: one that has not gives another partition to one that has room.
    fn make_room(&mut self, partition: usize) -> Option<NodeId> {
        let full: Vec<NodeId> = self.walks[partition]
            .iter()
            .copied()
            .filter(|it| self.takes(*it) && !self.homes[partition].copies.contains(it))
            .collect();
        let roomy: Vec<NodeId> = self.walks[partition]
            .iter()
            .copied()
            .filter(|it| self.takes(*it) && self.load(*it) < self.copies_max)
            .collect();
        for &giver in &full {
            for &taker in &roomy {
                let other = (0..self.homes.len()).find(|&other| {
                    let copies = &self.homes[other].copies;
                    copies.contains(&giver) && !copies.contains(&taker)
                });
                if let Some(other) = other {
                    self.remove(other, giver);
                    self.add(other, taker);
                    return Some(giver);
                }
            }
        }
        None
    }

    /// Nodes above the bound give copies away: first those that they do not own, and that the ring puts elsewhere.
    fn shed(&mut self) {
        let nodes: Vec<NodeId> = self.load.keys().copied().collect();
        for node in nodes {
            if self.load(node) <= self.copies_max {
                continue;
            }
            let mut mine: Vec<usize> =
                (0..self.homes.len()).filter(|&p| self.homes[p].copies.contains(&node)).collect();
            mine.sort_by_key(|&p| {
                (self.owned_before[p] == Some(node), std::cmp::Reverse(self.distance(p, node)), p)
            });
            for partition in mine {
                if self.load(node) <= self.copies_max {
                    break;
                }
                if let Some(to) = self.choose(partition, Some(node)) {
                    self.remove(partition, node);
                    self.add(partition, to);
                }
            }
        }
    }

    /// How late a node comes in a partition's walk.
    fn distance(&self, partition: usize, node: NodeId) -> usize {
        self.walks[partition].iter().position(|it| *it == node).unwrap_or(usize::MAX)
    }

    /// Zones apart and nobody far below the mean, until neither changes anything. It ends: lifting never
    /// leaves a partition in fewer zones, spreading puts one in more each time, and lifts between even loads out.
    fn settle(&mut self) {
        for _ in 0..=self.homes.len() {
            let before = self.homes.clone();
            self.spread_zones();
            self.lift();
            if self.homes == before {
                return;
            }
        }
    }

    /// A partition with two copies in one zone moves one of them, if a node elsewhere has room.
    fn spread_zones(&mut self) {
        for partition in 0..self.homes.len() {
            let copies: Vec<NodeId> = self.homes[partition].copies.iter().copied().collect();
            let owner = self.owned_before[partition];
            let doubled = |it: &&NodeId| {
                Some(**it) != owner && !self.is_new_zone(partition, **it, Some(**it)) && self.takes(**it)
            };
            let Some(&from) = copies.iter().find(doubled) else { continue };
            if let Some(to) = self.choose(partition, Some(from))
                && self.is_new_zone(partition, to, Some(from))
            {
                self.remove(partition, from);
                self.add(partition, to);
            }
        }
    }

    /// Nodes far below the mean get copies from those above it: a node that joined a large cluster is of use too.
    fn lift(&mut self) {
        let takers = self.candidates.values().filter(|it| it.takes).count();
        if takers == 0 {
            return;
        }
        let total: usize = self.load.values().sum();
        let mean = total / self.candidates.len();
        let least = mean.saturating_sub(1);
        for _ in 0..total {
            let low = self.load.iter().filter(|(node, load)| self.takes(**node) && **load < least);
            let Some((&low, &low_load)) = low.min_by_key(|(node, load)| (**load, **node)) else { return };
            let Some((partition, from)) = self.best_to_pull(low, low_load) else { return };
            self.remove(partition, from);
            self.add(partition, low);
        }
    }

    /// A copy to pull: from the fullest nodes, keeping zones apart, not owned, early in the walk.
    fn best_to_pull(&self, to: NodeId, to_load: usize) -> Option<(usize, NodeId)> {
        let mut best = None;
        for (partition, home) in self.homes.iter().enumerate() {
            if home.copies.contains(&to) {
                continue;
            }
            for &from in home.copies.iter().filter(|it| self.load(**it) > to_load + 1) {
                if self.zones_with(partition, Some((from, to))) < self.zones_with(partition, None) {
                    continue;
                }
                let owned = self.owned_before[partition] == Some(from);
                let fullness = std::cmp::Reverse(self.load(from));
                let rank = (fullness, owned, self.distance(partition, to), partition, from);
                if best.as_ref().is_none_or(|(known, _, _)| rank < *known) {
                    best = Some((rank, partition, from));
                }
            }
        }
        best.map(|(_, partition, from)| (partition, from))
    }

    fn choose_owners(&mut self, current: &[Home]) {
        let mut owned: BTreeMap<NodeId, usize> = self.load.keys().map(|node| (*node, 0)).collect();
        let mut open = Vec::new();
        for (partition, home) in current.iter().enumerate() {
            match home.owner.filter(|it| self.homes[partition].copies.contains(it)) {
                Some(owner) => {
                    self.homes[partition].owner = Some(owner);
                    *owned.entry(owner).or_default() += 1;
                }
                None => open.push(partition),
            }
        }
        for partition in open {
            let rank =
                |it: &NodeId| (!self.takes(*it), owned.get(it).copied(), self.distance(partition, *it));
            let owner = self.homes[partition].copies.iter().copied().min_by_key(rank);
            self.homes[partition].owner = owner;
            if let Some(owner) = owner {
                *owned.entry(owner).or_default() += 1;
            }
        }
        let most = owned_max(self.homes.len(), self.candidates.len());
        let least = (self.homes.len() / self.candidates.len()).saturating_sub(1);
        let takers: BTreeSet<NodeId> = self.load.keys().copied().filter(|it| self.takes(*it)).collect();
        for _ in 0..self.homes.len() {
            let over = owned.values().any(|count| *count > most);
            let moved = if over {
                self.shift(&mut owned, &|_, count| count > most, &|node, count| {
                    takers.contains(&node) && count < most
                })
            } else {
                self.shift(&mut owned, &|_, count| count > least + 1, &|node, count| {
                    takers.contains(&node) && count < least
                })
            };
            if !moved {
                break;
            }
        }
    }

    /// Moves one ownership from a source to the nearest sink, over nodes that pass one on.
    fn shift(
        &mut self,
        owned: &mut BTreeMap<NodeId, usize>,
        is_source: &dyn Fn(NodeId, usize) -> bool,
        is_sink: &dyn Fn(NodeId, usize) -> bool,
    ) -> bool {
        let mut came: BTreeMap<NodeId, Option<(NodeId, usize)>> = BTreeMap::new();
        let mut queue = VecDeque::new();
        let mut sources: Vec<(NodeId, usize)> =
            owned.iter().map(|(node, count)| (*node, *count)).filter(|it| is_source(it.0, it.1)).collect();
        sources.sort_by_key(|(node, count)| (std::cmp::Reverse(*count), *node));
        for (node, _) in sources {
            came.insert(node, None);
            queue.push_back(node);
        }
        while let Some(node) = queue.pop_front() {
            if came[&node].is_some() && is_sink(node, owned.get(&node).copied().unwrap_or(0)) {
                self.pass_along(owned, &came, node);
                return true;
            }
            for partition in 0..self.homes.len() {
                if self.homes[partition].owner != Some(node) {
                    continue;
                }
                for &next in &self.homes[partition].copies {
                    if self.takes(next) && !came.contains_key(&next) {
                        came.insert(next, Some((node, partition)));
                        queue.push_back(next);
                    }
                }
            }
        }
        false
    }

    fn pass_along(
        &mut self,
        owned: &mut BTreeMap<NodeId, usize>,
        came: &BTreeMap<NodeId, Option<(NodeId, usize)>>,
        sink: NodeId,
    ) {
        *owned.entry(sink).or_default() += 1;
        let mut node = sink;
        while let Some(Some((before, partition))) = came.get(&node).copied() {
            self.homes[partition].owner = Some(node);
            node = before;
        }
        *owned.entry(node).or_default() -= 1;
    }
}
