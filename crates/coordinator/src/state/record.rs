//! The nouns of the state.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use zepto_common::ids::{Boot, DiskId, Epoch, Lsn, NodeId, PartitionId};
use zepto_common::placement::Replica;
use zepto_common::{SchemaVersion, TableId};

/// What was fixed when the cluster was founded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRecord {
    /// Its name; every message carries it.
    pub id: String,
    /// P.
    pub partitions: u16,
    /// Copies that every partition should have, 1 to 3.
    pub replication_factor: u8,
    /// Copies below which a set is never shrunk.
    pub min_in_sync: u8,
}

/// What a process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NodeRole {
    /// Holds partitions.
    Storage,
    /// Holds nothing: a door and feeds.
    Ingest,
}

/// What the coordinators have decided about a node. Suspicion is the detector's alone and never stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NodeState {
    /// Registered; has not said that it is ready.
    Joining,
    /// Takes part.
    Active,
    /// Gives its partitions away before it goes for good.
    Leaving,
    /// Was silent for too long; may come back.
    Dead,
}

/// Where a node is reached, as `host:port`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// HTTP door.
    pub http: String,
    /// RPC between nodes.
    pub rpc: String,
    /// Datagrams.
    pub heartbeat: String,
}

/// A process of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its stable id.
    pub id: NodeId,
    /// What it is there for.
    pub role: NodeRole,
    /// Its data directory; None for a node that has none.
    pub disk: Option<DiskId>,
    /// Its newest start.
    pub incarnation: Boot,
    /// What was decided.
    pub state: NodeState,
    /// Where it is reached.
    pub addresses: Addresses,
    /// Failure domain; empty = unknown.
    pub zone: String,
    /// Its log refused a write or a sync: dead for ownership, reads may go on.
    pub log_failed: bool,
    /// This start of it was told to end: it is given nothing more, and gives up what it owns.
    #[serde(default)]
    pub stopping: bool,
    /// Disks that it had before, each with the newest start seen of it.
    pub retired: Vec<(DiskId, Boot)>,
    /// Since when it is in this state, milliseconds since 1970.
    pub since_ms: u64,
}

impl NodeRecord {
    /// The replica that this node is now; None without a disk.
    #[must_use]
    pub fn replica(&self) -> Option<Replica> {
        self.disk.map(|disk| Replica { node: self.id, disk })
    }
}

/// A copy on its way to another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The copy to take out when the new one is in sync; None for a repair, which only adds.
    pub from: Option<Replica>,
    /// The copy to make.
    pub to: Replica,
    /// When it began, milliseconds since 1970.
    pub started_ms: u64,
}

/// How a move ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveEnd {
    /// The new copy is in the set and the old one out of it.
    Finished,
    /// Taken back, by hand or because a disk went away.
    Cancelled,
}

/// A move that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveRecord {
    /// The partition.
    pub partition: PartitionId,
    /// What was to be done.
    pub movement: Move,
    /// How it ended.
    pub end: MoveEnd,
    /// When, milliseconds since 1970.
    pub ended_ms: u64,
}

/// What a sweep does to each partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SweepKind {
    /// The table is empty.
    Truncate,
    /// The table is gone.
    Drop,
    /// Rows that meet a condition go.
    Delete {
        /// The schema that it reads.
        schema: SchemaVersion,
        /// The condition.
        condition: String,
    },
}

/// A TRUNCATE, DROP or DELETE that waits for a committed frame in each partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// The catalog version that ordered it; its id.
    pub version: u64,
    /// The tables.
    pub tables: BTreeSet<TableId>,
    /// What to do.
    pub kind: SweepKind,
    /// Partitions whose owner has not reported it committed.
    pub remaining: BTreeSet<PartitionId>,
}

/// Something that one node at a time does, under a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Who does it, and in which start; None = nobody.
    pub holder: Option<(NodeId, Boot)>,
    /// Grows with every change of the holder: fences the one before.
    pub term: u64,
    /// How long the holder may be silent.
    pub lease_ms: u64,
    /// When it last renewed, milliseconds since 1970.
    pub renewed_ms: u64,
}

/// A snapshot for backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// Its name.
    pub name: String,
    /// When it was asked for, milliseconds since 1970.
    pub created_ms: u64,
    /// The catalog it was taken at.
    pub catalog_version: u64,
    /// Per partition the committed position and the epoch that it holds.
    pub positions: Vec<(PartitionId, Epoch, Lsn)>,
}

/// An override that may have lost rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForcedRecord {
    /// The partition.
    pub partition: PartitionId,
    /// The owner that was forced.
    pub to: Replica,
    /// Members of the set before.
    pub before: BTreeSet<Replica>,
    /// The epoch of the forced grant.
    pub epoch: Epoch,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
}
