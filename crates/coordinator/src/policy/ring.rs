//! The hash ring: 128 points per node, and each partition's walk over the nodes from its own point on.
//!
//! The hash is XXH3-64 over little-endian bytes, written by hand, so that the ring is the same in every process,
//! version and byte order: `node:u32, point:u32` for a point, `"partition", partition:u16` for a partition. Golden
//! vectors stand in the tests.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash, Hasher};

use hashring::HashRing;
use xxhash_rust::xxh3::xxh3_64;
use zepto_common::ids::{NodeId, PartitionId};

use super::VIRTUAL_NODES;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    node: NodeId,
    point: u32,
}

impl Point {
    fn key(self) -> u64 {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.node.0.to_le_bytes());
        bytes[4..].copy_from_slice(&self.point.to_le_bytes());
        xxh3_64(&bytes)
    }
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.key());
    }
}

struct PartitionKey(PartitionId);

impl PartitionKey {
    fn key(&self) -> u64 {
        let mut bytes = *b"partition\0\0";
        bytes[9..].copy_from_slice(&self.0.0.to_le_bytes());
        xxh3_64(&bytes)
    }
}

impl Hash for PartitionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.key());
    }
}

/// The keys are hashes already.
#[derive(Debug, Clone, Copy, Default)]
struct Unchanged(u64);

impl Hasher for Unchanged {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl BuildHasher for Unchanged {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

/// The ring of some nodes.
pub struct Ring {
    ring: HashRing<Point, Unchanged>,
    /// The nodes of all points in the ring's order.
    order: Vec<NodeId>,
    /// Where a point stands in that order.
    places: HashMap<u64, usize>,
    nodes: usize,
}

impl Ring {
    /// The ring of these nodes, each counted once.
    #[must_use]
    pub fn new(nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let nodes: BTreeSet<NodeId> = nodes.into_iter().collect();
        let points: Vec<Point> = nodes
            .iter()
            .flat_map(|&node| (0..VIRTUAL_NODES).map(move |point| Point { node, point }))
            .collect();
        // The ring cannot be walked from a key: its order is kept beside it.
        let mut ring = HashRing::with_hasher(Unchanged::default());
        ring.batch_add(points.clone());
        let mut order = points;
        order.sort_by_key(|point| point.key());
        let places = order.iter().enumerate().map(|(place, point)| (point.key(), place)).collect();
        let order = order.into_iter().map(|point| point.node).collect();
        Self { ring, order, places, nodes: nodes.len() }
    }

    /// The node whose point follows the partition's.
    #[must_use]
    pub fn home(&self, partition: PartitionId) -> Option<NodeId> {
        self.ring.get(&PartitionKey(partition)).map(|point| point.node)
    }

    /// All nodes, each once, in the order in which their points follow the partition's.
    #[must_use]
    pub fn walk(&self, partition: PartitionId) -> Vec<NodeId> {
        let first = self.ring.get(&PartitionKey(partition));
        let Some(&start) = first.and_then(|point| self.places.get(&point.key())) else { return Vec::new() };
        let mut walk = Vec::with_capacity(self.nodes);
        for &node in self.order[start..].iter().chain(&self.order[..start]) {
            if !walk.contains(&node) {
                walk.push(node);
                if walk.len() == self.nodes {
                    break;
                }
            }
        }
        walk
    }
}

#[cfg(test)]
#[path = "ring/tests.rs"]
mod tests;
