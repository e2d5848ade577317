//! Between messages and the common crate's types. What comes from outside is checked here, once.

use std::collections::BTreeSet;

use zepto_common::BatchId;
use zepto_common::ids::{DiskId, Epoch, NodeId, PartitionId, SetVersion};
use zepto_common::placement::{Assignment, Grant, InSyncSet, Replica};

use crate::refusal::{Refused, RefusedReason};
use crate::{coordinate as wire, write};

/// A message that contradicts itself.
pub fn bad_message(what: impl Into<String>) -> Refused {
    Refused::new(RefusedReason::BadMessage, what)
}

/// A disk id's 16 bytes, big endian.
#[must_use]
pub fn disk_bytes(disk: DiskId) -> Vec<u8> {
    disk.0.to_be_bytes().to_vec()
}

/// The disk id in 16 bytes.
///
/// # Errors
/// `BadMessage` for another length.
pub fn disk_of(bytes: &[u8]) -> Result<DiskId, Refused> {
    let bytes = <[u8; 16]>::try_from(bytes)
        .map_err(|_| bad_message(format!("a disk id of {} bytes instead of 16", bytes.len())))?;
    Ok(DiskId(u128::from_be_bytes(bytes)))
}

/// A partition's number.
///
/// # Errors
/// `BadMessage` for a number that no partition has.
pub fn partition_of(number: u32) -> Result<PartitionId, Refused> {
    let number = u16::try_from(number).map_err(|_| bad_message(format!("partition {number}")))?;
    Ok(PartitionId(number))
}

impl From<Replica> for wire::Replica {
    fn from(replica: Replica) -> Self {
        Self { node_id: replica.node.0, disk_id: disk_bytes(replica.disk) }
    }
}

impl TryFrom<&wire::Replica> for Replica {
    type Error = Refused;

    fn try_from(replica: &wire::Replica) -> Result<Self, Refused> {
        Ok(Self { node: NodeId(replica.node_id), disk: disk_of(&replica.disk_id)? })
    }
}

impl From<BatchId> for write::Batch {
    fn from(batch: BatchId) -> Self {
        let id = match batch {
            BatchId::Token(token) => write::batch::Id::Token(token.to_be_bytes().to_vec()),
            BatchId::Source(source) => write::batch::Id::Source(source.to_be_bytes().to_vec()),
            BatchId::Producer { producer, sequence } => {
                write::batch::Id::Producer(write::Producer { producer, sequence })
            }
        };
        Self { id: Some(id) }
    }
}

/// A batch's name that must be there.
///
/// # Errors
/// `BadMessage` if it is not, or is none.
pub fn batch_of(batch: Option<write::Batch>) -> Result<BatchId, Refused> {
    match batch.and_then(|it| it.id) {
        Some(write::batch::Id::Token(bytes)) => {
            let bytes = <[u8; 16]>::try_from(bytes.as_slice())
                .map_err(|_| bad_message(format!("a token of {} bytes instead of 16", bytes.len())))?;
            Ok(BatchId::Token(u128::from_be_bytes(bytes)))
        }
        Some(write::batch::Id::Source(bytes)) => {
            let bytes = <[u8; 16]>::try_from(bytes.as_slice())
                .map_err(|_| bad_message(format!("a source of {} bytes instead of 16", bytes.len())))?;
            Ok(BatchId::Source(u128::from_be_bytes(bytes)))
        }
        Some(write::batch::Id::Producer(it)) => {
            Ok(BatchId::Producer { producer: it.producer, sequence: it.sequence })
        }
        None => Err(bad_message("rows without a batch id")),
    }
}

/// A replica that must be there.
///
/// # Errors
/// `BadMessage` if it is not, or is none.
pub fn replica_of(replica: Option<&wire::Replica>) -> Result<Replica, Refused> {
    replica.ok_or_else(|| bad_message("a replica is missing"))?.try_into()
}

/// Several replicas.
///
/// # Errors
/// `BadMessage` for one that is none.
pub fn replicas_of(replicas: &[wire::Replica]) -> Result<BTreeSet<Replica>, Refused> {
    replicas.iter().map(Replica::try_from).collect()
}

fn replicas(replicas: &BTreeSet<Replica>) -> Vec<wire::Replica> {
    replicas.iter().map(|it| (*it).into()).collect()
}

impl From<&Assignment> for wire::Assignment {
    fn from(assignment: &Assignment) -> Self {
        let grant = &assignment.grant;
        Self {
            partition: grant.partition.0.into(),
            epoch: grant.epoch.0,
            owner: Some(grant.owner.into()),
            set_version: grant.set.version.0,
            members: replicas(&grant.set.members),
            joining: replicas(&assignment.joining),
            leaving: replicas(&assignment.leaving),
            hand_over_to: None,
            released: false,
        }
    }
}

impl TryFrom<&wire::Assignment> for Assignment {
    type Error = Refused;

    fn try_from(assignment: &wire::Assignment) -> Result<Self, Refused> {
        let set = InSyncSet {
            version: SetVersion(assignment.set_version),
            members: replicas_of(&assignment.members)?,
        };
        let grant = Grant {
            partition: partition_of(assignment.partition)?,
            epoch: Epoch(assignment.epoch),
            owner: replica_of(assignment.owner.as_ref())?,
            set,
        };
        Ok(Self {
            grant,
            joining: replicas_of(&assignment.joining)?,
            leaving: replicas_of(&assignment.leaving)?,
        })
    }
}
