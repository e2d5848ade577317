//! Which copies follow each partition, as the newest placement has it: a hint by which blocks are cut, so that one
//! encoding serves a whole block. When it is old, rows are cut out for who needs them, and nothing else changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use zepto_common::PartitionId;
use zepto_common::placement::{Placement, Replica};

/// The sets of followers that occur, and which partition has which.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    sets: Vec<Arc<[Replica]>>,
    set_of: Vec<usize>,
}

impl Followers {
    /// As a placement has them, without this node.
    pub(crate) fn of(placement: &Placement, me: Replica) -> Self {
        let (mut known, mut sets) = (BTreeMap::new(), Vec::new());
        let set_of = placement.partitions.iter().map(|agreed| {
            let members = agreed.grant.set.members.iter().chain(&agreed.joining);
            let mut others: Vec<Replica> = members.copied().filter(|it| *it != me).collect();
            others.sort_unstable();
            others.dedup();
            *known.entry(others).or_insert_with_key(|others| {
                sets.push(Arc::from(others.as_slice()));
                sets.len() - 1
            })
        });
        let set_of = set_of.collect();
        Self { sets, set_of }
    }

    /// How many sets there are.
    pub(crate) fn count(&self) -> usize {
        self.sets.len().max(1)
    }

    /// A partition's set, below [`Self::count`].
    pub(crate) fn set_of(&self, partition: PartitionId) -> usize {
        self.set_of.get(usize::from(partition.0)).copied().unwrap_or(0)
    }

    /// Who is in a set.
    pub(crate) fn members(&self, set: usize) -> Arc<[Replica]> {
        self.sets.get(set).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use zepto_common::placement::{Assignment, Grant, InSyncSet};
    use zepto_common::{DiskId, Epoch, NodeId};

    use super::*;

    fn replica(node: u32) -> Replica {
        Replica { node: NodeId(node), disk: DiskId(u128::from(node)) }
    }

    #[test]
    fn partitions_with_the_same_copies_share_a_set() {
        let assignment = |partition, owner, members: &[u32], joining: &[u32]| Assignment {
            grant: Grant {
                partition: PartitionId(partition),
                epoch: Epoch(1),
                owner: replica(owner),
                set: InSyncSet {
                    version: Default::default(),
                    members: members.iter().copied().map(replica).collect(),
                },
            },
            joining: joining.iter().copied().map(replica).collect(),
            leaving: Default::default(),
        };
        let partitions = vec![
            assignment(0, 1, &[1, 2], &[]),
            assignment(1, 1, &[1, 3], &[]),
            assignment(2, 1, &[1, 2], &[]),
            assignment(3, 1, &[1, 2], &[3]),
        ];
        let followers = Followers::of(&Placement { version: Default::default(), partitions }, replica(1));
        let sets: Vec<usize> = (0..4).map(|it| followers.set_of(PartitionId(it))).collect();
        assert_eq!((sets, followers.count()), (vec![0, 1, 0, 2], 3));
        assert_eq!(*followers.members(0), [replica(2)]);
        assert_eq!(*followers.members(2), [replica(2), replica(3)]);
        let unknown = Followers::default();
        assert_eq!((unknown.count(), unknown.set_of(PartitionId(9)), unknown.members(0).len()), (1, 0, 0));
    }
}
