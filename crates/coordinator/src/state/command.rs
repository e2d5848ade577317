//! What can be proposed, and what comes of it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use zepto_common::auth::KeyRecord;
use zepto_common::catalog::Ddl;
use zepto_common::ids::{Boot, DiskId, Epoch, NodeId, PartitionId, SetVersion};
use zepto_common::placement::{Assignment, Replica};

use super::record::{Addresses, ClusterRecord, NodeRole, SnapshotRecord};

/// A command with the time at which the leader of then proposed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Milliseconds since 1970 by the proposer's wall clock.
    pub at_ms: u64,
    /// What to do.
    pub command: Command,
}

/// A change to be agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Gives a new group its cluster id and sizes; once.
    Found(ClusterRecord),
    /// The disk of a member of the group, at its first start.
    RecordMember {
        /// The member.
        member: u64,
        /// Its disk.
        disk: DiskId,
    },
    /// A start of a node.
    RegisterNode(Registration),
    /// The node knows a catalog and a placement.
    ActivateNode {
        /// The node.
        node: NodeId,
        /// The start that this is about.
        incarnation: Boot,
    },
    /// The detector's verdict.
    MarkDead {
        /// The node.
        node: NodeId,
        /// The start that was silent.
        incarnation: Boot,
    },
    /// The node's log refused a write.
    ReportLogFailed {
        /// The node.
        node: NodeId,
        /// The start that this is about.
        incarnation: Boot,
    },
    /// The node was told to end; its next start is another one.
    ReportStopping {
        /// The node.
        node: NodeId,
        /// The start that ends.
        incarnation: Boot,
    },
    /// The node shall leave for good.
    DrainNode {
        /// The node.
        node: NodeId,
    },
    /// The node shall stay.
    CancelDrain {
        /// The node.
        node: NodeId,
    },
    /// Forgets a node that holds nothing.
    RemoveNode {
        /// The node.
        node: NodeId,
    },
    /// The first placement, of partitions without rows; index = partition.
    Place {
        /// One per partition.
        homes: Vec<Home>,
    },
    /// Failover: ownership to an in-sync replica.
    Grant {
        /// One per partition.
        items: Vec<GrantItem>,
    },
    /// Asks owners to hand over.
    AskHandover {
        /// One per partition.
        items: Vec<GrantItem>,
    },
    /// The owner has stopped and releases its lease.
    Handover {
        /// The owner.
        from: Replica,
        /// One per partition.
        items: Vec<HandoverItem>,
    },
    /// The owner's proposals for its in-sync sets.
    ChangeSets {
        /// The owner.
        proposer: Replica,
        /// One per partition.
        items: Vec<SetChange>,
    },
    /// Ownership to a replica that may lack rows.
    ForceOwner {
        /// The partition.
        partition: PartitionId,
        /// The replica that becomes the whole set.
        to: Replica,
        /// Must be true.
        accept_loss: bool,
    },
    /// Begins moves and repairs.
    StartMoves {
        /// One per partition.
        items: Vec<MoveItem>,
    },
    /// Asks owners to take copies out that are more than the factor.
    TakeOut {
        /// One per partition.
        items: Vec<GrantItem>,
    },
    /// Takes moves back.
    CancelMoves {
        /// The partitions.
        partitions: Vec<PartitionId>,
    },
    /// Pauses or resumes moves for the sake of balance.
    SetPaused(bool),
    /// A change of the catalog, applied once per request id.
    Ddl {
        /// Chosen by the client; the same for every try.
        request: u128,
        /// The change.
        statement: Ddl,
    },
    /// Partitions have committed a sweep's frame.
    FinishSweep {
        /// The sweep.
        version: u64,
        /// Those done.
        partitions: Vec<PartitionId>,
    },
    /// Makes an API key or changes it (`disabled`).
    PutKey(KeyRecord),
    /// Takes an API key away.
    RevokeKey {
        /// Its id.
        id: String,
    },
    /// Takes a work that is free, or whose lease ran out.
    ClaimWork {
        /// The work.
        name: String,
        /// Who wants it.
        node: NodeId,
        /// Its start.
        incarnation: Boot,
        /// How long it may be silent.
        lease_ms: u64,
    },
    /// The holder is still there.
    RenewWork {
        /// The work.
        name: String,
        /// The holder.
        node: NodeId,
        /// Its term.
        term: u64,
    },
    /// The holder gives it up.
    ReleaseWork {
        /// The work.
        name: String,
        /// The holder.
        node: NodeId,
        /// Its term.
        term: u64,
    },
    /// Records a snapshot.
    PutSnapshot(SnapshotRecord),
    /// Forgets a snapshot.
    DropSnapshot {
        /// Its name.
        name: String,
    },
}

/// What a node says of itself at its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The cluster that its disk belongs to; empty for a fresh disk.
    pub cluster_id: String,
    /// Its id.
    pub node: NodeId,
    /// What it is there for.
    pub role: NodeRole,
    /// Its data directory; None for a node that has none.
    pub disk: Option<DiskId>,
    /// Durable counter of its starts; 0 for a node without a disk, which is given one.
    pub incarnation: Boot,
    /// Where it is reached.
    pub addresses: Addresses,
    /// Failure domain; empty = unknown.
    pub zone: String,
    /// The highest epoch that its disk knows, per partition; only those above 0.
    pub epochs: Vec<(PartitionId, Epoch)>,
}

/// A partition's first owner and copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The owner; one of the members.
    pub owner: Replica,
    /// All copies.
    pub members: BTreeSet<Replica>,
}

/// The grant and set that the proposer had seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Epoch of the newest grant.
    pub epoch: Epoch,
    /// Version of its set.
    pub set_version: SetVersion,
}

/// A replica of one partition: to own it, or to be taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantItem {
    /// The partition.
    pub partition: PartitionId,
    /// Compare and set.
    pub expected: Expected,
    /// The replica that it is about.
    pub to: Replica,
}

/// Release of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoverItem {
    /// The partition.
    pub partition: PartitionId,
    /// The epoch that is given up.
    pub epoch: Epoch,
    /// Who shall get it; None = whoever is wanted, else the able member with the fewest partitions.
    pub to: Option<Replica>,
}

/// The next set of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetChange {
    /// The partition.
    pub partition: PartitionId,
    /// Compare and set.
    pub expected: Expected,
    /// All members of the next set.
    pub members: BTreeSet<Replica>,
}

/// One move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveItem {
    /// The partition.
    pub partition: PartitionId,
    /// The copy to take out; None for a repair.
    pub from: Option<Replica>,
    /// The copy to make.
    pub to: Replica,
}

/// Names the partition that an item of a list is about.
pub(crate) trait OfPartition {
    /// The partition.
    fn partition(&self) -> PartitionId;
}

macro_rules! of_partition {
    ($($name:ident),*) => {
        $(impl OfPartition for $name {
            fn partition(&self) -> PartitionId {
                self.partition
            }
        })*
    };
}

of_partition!(GrantItem, HandoverItem, SetChange, MoveItem);

impl OfPartition for PartitionId {
    fn partition(&self) -> PartitionId {
        *self
    }
}

/// Why a proposal was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The group has no cluster id yet.
    NotFounded,
    /// The group has one already, or sizes that cannot be.
    BadFounding,
    /// The disk belongs to another cluster.
    WrongCluster,
    /// The id does not fit the role.
    BadNodeId,
    /// No such node.
    UnknownNode,
    /// A newer start of this node is known.
    StaleIncarnation,
    /// The node's disk is another one by now.
    DiskReplaced,
    /// The node is dead.
    NodeDead,
    /// The node's log refused a write.
    LogFailed,
    /// The node was told to end.
    Stopping,
    /// An empty group met a disk with rows.
    HasData,
    /// Another node is leaving.
    AnotherLeaves,
    /// Too few nodes would stay.
    TooFewNodes,
    /// The node still holds copies.
    StillHolds,
    /// No such partition.
    UnknownPartition,
    /// There is a placement already.
    AlreadyPlaced,
    /// The proposer does not own the partition.
    NotOwner,
    /// The epoch is not the newest.
    StaleEpoch,
    /// The set has changed.
    StaleSet,
    /// The replica is not in the set.
    NotInSync,
    /// The next set lacks the owner.
    OwnerMissing,
    /// The next set would be below `min_in_sync`.
    BelowMinInSync,
    /// The coordinator did not ask for this copy.
    NotJoining,
    /// Too many copies.
    TooManyMembers,
    /// The replica owns it already.
    AlreadyOwner,
    /// The replica has a copy already.
    AlreadyThere,
    /// The partition moves already.
    AlreadyMoving,
    /// The partition does not move.
    NotMoving,
    /// Moves for the sake of balance are paused.
    Paused,
    /// Nobody else could own it.
    NoSuccessor,
    /// The loss was not accepted.
    LossNotAccepted,
    /// No such sweep, key, work or snapshot.
    NotFound,
    /// The last admin key.
    LastAdminKey,
    /// Another holds the work.
    Held,
    /// A bound of the cluster is reached.
    LimitReached,
    /// The request contradicts itself.
    BadRequest,
}

/// A refusal, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub reason: Reason,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.message, self.reason)
    }
}

/// What came of one item of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemOutcome {
    /// The partition.
    pub partition: PartitionId,
    /// Why not; None = done, or already so.
    pub refusal: Option<Refusal>,
    /// What is agreed on for this partition now.
    pub assignment: Option<Assignment>,
}

/// What came of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, or already so.
    Done {
        /// Whether anything is different now.
        changed: bool,
    },
    /// The node is known.
    Registered {
        /// Its start: as it said, or the number that it was given.
        incarnation: Boot,
    },
    /// One per item.
    Items(Vec<ItemOutcome>),
    /// The statement is part of the catalog.
    Ddl {
        /// The version with which it came in force.
        catalog_version: u64,
        /// Whether the partitions have something to do before it may be acknowledged (TRUNCATE, DROP).
        sweeps: bool,
    },
    /// The statement was refused, with the code that the client gets.
    DdlRefused {
        /// ClickHouse's number.
        code: u32,
        /// For people.
        message: String,
    },
    /// The work is the claimer's.
    Claimed {
        /// Its term.
        term: u64,
    },
    /// Nothing was changed.
    Refused(Refusal),
}
