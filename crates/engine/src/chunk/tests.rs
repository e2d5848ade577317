use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use zepto_common::types::ColumnType as T;

use super::*;
use crate::part::tests::rows::{self, Chance};

#[test]
fn ranges_that_do_not_cover_the_rows_are_refused() {
    let schema = rows::table(None, None, &[T::Int64]);
    let batch =
        RecordBatch::try_new(schema.storage_schema(), vec![Arc::new(Int64Array::from(vec![1, 2, 3]))])
            .unwrap();
    let chunk = |parts| Chunk::new(Arc::clone(&schema), batch.clone(), parts);
    assert!(chunk(vec![(PartitionId(0), 0..3)]).is_ok());
    assert!(chunk(vec![(PartitionId(0), 0..2)]).is_err());
    assert!(chunk(vec![(PartitionId(0), 0..1), (PartitionId(1), 2..3)]).is_err());
    assert!(chunk(vec![(PartitionId(1), 0..1), (PartitionId(0), 1..3)]).is_err());
}

#[test]
fn merged_chunks_keep_arrival_order_within_a_partition_and_share_one_dictionary() {
    let schema = rows::table(Some(T::Symbol), Some(T::DateTime(None)), &[T::Int64]);
    let mut chance = Chance(4);
    let one = |symbols: &[&str], chance: &mut Chance| {
        let keys = cast(&StringArray::from(symbols.to_vec()), &schema.columns[0].ty.storage_type()).unwrap();
        let ticks = Int64Array::from_iter_values(0..symbols.len() as i64);
        let time = cast(&ticks, &schema.columns[1].ty.storage_type()).unwrap();
        let batch = RecordBatch::try_new(schema.storage_schema(), vec![keys, time, Arc::new(ticks)]).unwrap();
        rows::chunk(&schema, &batch, chance)
    };
    let chunks = [one(&["b", "a", "b"], &mut chance), one(&["c", "b"], &mut chance)];
    let merged = Chunk::concat(&chunks).unwrap();
    assert_eq!(merged.time_range(), Some((0, 2)));
    let mut expected = rows::arrived(&chunks);
    expected.sort_by_key(|row| row.partition);
    assert_eq!(rows::arrived(&[Arc::new(merged.clone())]), expected);
    assert_eq!(merged.rows.column(0).as_any_dictionary().values().len(), 3);
}
