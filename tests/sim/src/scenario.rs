//! What a history is to be like, and what happened in it.

use zepto_replication::plant::Plant;

use crate::network::MS;

/// How large a history is.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Storage nodes.
    pub nodes: usize,
    /// Partitions.
    pub partitions: usize,
    /// Copies of each.
    pub factor: usize,
    /// Copies in sync below which no set shrinks.
    pub min_in_sync: usize,
    /// Writers of each.
    pub writers: usize,
    /// Writes of each writer.
    pub writes: u64,
    /// How long things may fail, in nanoseconds.
    pub trouble: u64,
    /// How long healing may take.
    pub patience: u64,
    /// A bug to plant.
    pub plant: Option<Plant>,
    /// A bug of the writers: each attempt has another key.
    pub new_keys: bool,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            nodes: 4,
            partitions: 2,
            factor: 3,
            min_in_sync: 1,
            writers: 2,
            writes: 40,
            trouble: 12_000 * MS,
            patience: 40_000 * MS,
            plant: None,
            new_keys: false,
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The first promise that was broken, with its time.
    pub fault: Option<String>,
    /// Committed frames.
    pub committed: usize,
    /// Acknowledged writes.
    pub acknowledged: usize,
    /// Reads that were answered.
    pub reads: u64,
    /// Refused messages of old owners.
    pub fenced: u64,
    /// Owners that were replaced.
    pub failovers: u64,
    /// Counts of faults.
    pub crashes: u64,
    /// Nodes stopped and continued.
    pub pauses: u64,
    /// Links cut.
    pub cuts: u64,
    /// Volumes lost.
    pub lost_disks: u64,
    /// Copies moved.
    pub moves: u64,
    /// Nodes stopped in order.
    pub stops: u64,
    /// Times that a set would have become too small.
    pub held_sets: u64,
}
