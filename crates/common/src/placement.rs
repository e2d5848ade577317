//! Who holds what: the words in which the coordinator, the owners and the doors speak about partitions. Data only;
//! the policy is the coordinator's, the protocol between copies is the replication crate's.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::{DiskId, Epoch, NodeId, PartitionId, PlacementVersion, SetVersion};

/// One copy's place: a node with the data directory that it has. The same node with another disk is another replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Replica {
    /// The node.
    pub node: NodeId,
    /// Its data directory.
    pub disk: DiskId,
}

/// The copies that hold every committed row of a partition. A write is acknowledged when all of them have synced it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InSyncSet {
    /// Grows by one with each change of the members.
    pub version: SetVersion,
    /// The owner is one of them.
    pub members: BTreeSet<Replica>,
}

/// One grant of ownership, as the owner's first message carries it to the followers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The partition.
    pub partition: PartitionId,
    /// The fencing token of this grant.
    pub epoch: Epoch,
    /// Who may append.
    pub owner: Replica,
    /// The in-sync set at the time of the grant.
    pub set: InSyncSet,
}

/// What the coordinator has agreed on for one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The newest grant, its set as last changed.
    pub grant: Grant,
    /// Copies on their way in: the owner brings them up to date and then proposes them for the set.
    pub joining: BTreeSet<Replica>,
    /// Copies to take out once the set is large enough without them; never the owner.
    pub leaving: BTreeSet<Replica>,
}

/// The agreed map; index = partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Grows with every change.
    pub version: PlacementVersion,
    /// One entry per partition, `0..P`.
    pub partitions: Vec<Assignment>,
}

impl Placement {
    /// The entry of a partition; None outside `0..P` and before the first placement.
    #[must_use]
    pub fn of(&self, partition: PartitionId) -> Option<&Assignment> {
        self.partitions.get(usize::from(partition.0))
    }

    /// The partitions that a node owns, ascending.
    pub fn owned_by(&self, node: NodeId) -> impl Iterator<Item = PartitionId> + '_ {
        self.partitions.iter().filter(move |it| it.grant.owner.node == node).map(|it| it.grant.partition)
    }
}
