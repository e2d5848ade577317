//! Where rows go: from a partition to its owner, after the last placement that this node has heard of. The table may
//! be old; an owner that is one no more refuses, and the sender asks for a newer table.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use zepto_common::ids::{Epoch, PartitionId};
use zepto_common::partition::group_rows;
use zepto_common::placement::{Placement, Replica};
use zepto_common::{Error, ErrorCode, Result};

/// One owner's rows of a block, its partitions in ascending order.
#[derive(Debug, Clone)]
pub struct OwnerRows {
    /// To whom.
    pub owner: Replica,
    /// The rows, partition after partition.
    pub rows: RecordBatch,
    /// Each partition with its epoch as the table has it, and its rows.
    pub parts: Vec<(PartitionId, Epoch, std::ops::Range<u32>)>,
}

/// The routing table of one moment; a newer placement makes a new one.
#[derive(Debug, Clone, Default)]
pub struct PartitionRouter {
    placement: Arc<Placement>,
    /// The owners, in the order of their group numbers.
    owners: Vec<Replica>,
    /// Group number of each partition's owner.
    group: Vec<usize>,
}

impl PartitionRouter {
    /// After this placement.
    #[must_use]
    pub fn new(placement: Arc<Placement>) -> Self {
        let mut numbers: BTreeMap<Replica, usize> = BTreeMap::new();
        for it in &placement.partitions {
            numbers.entry(it.grant.owner).or_default();
        }
        for (number, place) in numbers.values_mut().enumerate() {
            *place = number;
        }
        let group = placement.partitions.iter().map(|it| numbers[&it.grant.owner]).collect();
        Self { owners: numbers.into_keys().collect(), group, placement }
    }

    /// The placement that it follows.
    #[must_use]
    pub fn placement(&self) -> &Arc<Placement> {
        &self.placement
    }

    /// The owner of a partition and the epoch of its grant.
    #[must_use]
    pub fn owner(&self, partition: PartitionId) -> Option<(Replica, Epoch)> {
        self.placement.of(partition).map(|it| (it.grant.owner, it.grant.epoch))
    }

    /// Everybody that owns something, ascending.
    #[must_use]
    pub fn owners(&self) -> &[Replica] {
        &self.owners
    }

    /// Cuts a block by owner, given the partition of each row. Every row is in exactly one part, and rows of one
    /// partition keep their order.
    ///
    /// # Errors
    /// `NotReady` (503) while no placement is known; Arrow's for a batch that contradicts its schema.
    pub fn split(&self, rows: &RecordBatch, partition_of_row: &[u16]) -> Result<Vec<OwnerRows>> {
        let partitions = self.group.len() as u16;
        if partitions == 0 {
            return Err(Error::new(ErrorCode::NotReady, "no placement is known yet: try again"));
        }
        let groups = group_rows(rows, partition_of_row, partitions, self.owners.len(), |p| {
            self.group[usize::from(p.0)]
        })?;
        let with_epoch = |(partition, range)| {
            let epoch = self.owner(partition).map(|it| it.1).unwrap_or_default();
            (partition, epoch, range)
        };
        Ok(groups
            .into_iter()
            .map(|it| OwnerRows {
                owner: self.owners[it.group],
                rows: it.rows,
                parts: it.parts.into_iter().map(with_epoch).collect(),
            })
            .collect())
    }
}
