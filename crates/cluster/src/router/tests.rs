use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::UInt32Type;
use proptest::prelude::*;
use zepto_common::ids::{DiskId, Epoch, NodeId, PartitionId, PlacementVersion, SetVersion};
use zepto_common::partition::partitions_of;
use zepto_common::placement::{Assignment, Grant, InSyncSet, Placement, Replica};

use super::PartitionRouter;

fn replica(node: u32) -> Replica {
    Replica { node: NodeId(node), disk: DiskId(u128::from(node)) }
}

/// A placement by the owner of each partition; a partition's epoch is its number and 100.
fn placement(owners: &[u32]) -> Arc<Placement> {
    let partitions = owners.iter().enumerate().map(|(p, owner)| Assignment {
        grant: Grant {
            partition: PartitionId(p as u16),
            epoch: Epoch(100 + p as u64),
            owner: replica(*owner),
            set: InSyncSet { version: SetVersion(1), members: [replica(*owner)].into() },
        },
        joining: BTreeSet::new(),
        leaving: BTreeSet::new(),
    });
    Arc::new(Placement { version: PlacementVersion(1), partitions: partitions.collect() })
}

fn block(keys: &[String]) -> RecordBatch {
    let text: ArrayRef = Arc::new(StringArray::from_iter_values(keys));
    let number: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..keys.len() as u32));
    RecordBatch::try_from_iter([("key", text), ("number", number)]).unwrap()
}

#[test]
fn without_a_placement_nothing_is_sent() {
    let error = PartitionRouter::default().split(&block(&["a".to_owned()]), &[0]).unwrap_err();
    assert_eq!(error.code.http_status(), 503);
}

proptest! {
    #[test]
    fn every_row_goes_once_to_the_owner_of_its_partition_in_order(
        owners in proptest::collection::vec(0u32..5, 1..40),
        keys in proptest::collection::vec("[a-f]{0,3}", 0..200),
    ) {
        let router = PartitionRouter::new(placement(&owners));
        let rows = block(&keys);
        let partitions = partitions_of(rows.column(0), owners.len() as u16).unwrap();
        let mut seen = BTreeMap::new();
        for part in router.split(&rows, &partitions).unwrap() {
            let numbers = part.rows.column(1).as_primitive::<UInt32Type>().values().to_vec();
            let mut next = 0;
            for (partition, epoch, range) in part.parts {
                prop_assert_eq!(range.start, next, "the parts cover the rows");
                next = range.end;
                prop_assert_eq!(router.owner(partition), Some((part.owner, epoch)));
                prop_assert_eq!(epoch, Epoch(100 + u64::from(partition.0)));
                let own = &numbers[range.start as usize..range.end as usize];
                prop_assert!(own.is_sorted(), "rows of a partition keep their order");
                for row in own {
                    prop_assert_eq!(partitions[*row as usize], partition.0);
                    prop_assert!(seen.insert(*row, ()).is_none());
                }
            }
            prop_assert_eq!(next as usize, part.rows.num_rows());
        }
        prop_assert_eq!(seen.len(), keys.len());
    }
}
