use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;

use super::*;

#[test]
fn the_key_hash_has_not_moved() {
    // Golden vectors: xxh3_64 of the canonical text, then its partition of 256.
    for (text, hash) in [("", 0x2d06_8005_38d3_94c2_u64), ("a", 0xe6c6_32b6_1e96_4e1f)] {
        assert_eq!(key_hash(text.as_bytes()), hash, "{text:?}");
    }
    assert_eq!(partition_of(0x2d06_8005_38d3_94c2, 256).0, 0xc2);
}

#[test]
fn text_dictionary_and_number_of_one_canonical_text_share_a_partition() {
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("7"), Some("AAPL"), None]));
    let symbols: ArrayRef =
        Arc::new(vec![Some("7"), Some("AAPL"), None].into_iter().collect::<DictionaryArray<Int32Type>>());
    let number: ArrayRef = Arc::new(Int64Array::from(vec![7]));
    let of_text = partitions_of(&text, 256).unwrap();
    assert_eq!(of_text, partitions_of(&symbols, 256).unwrap());
    assert_eq!(of_text[0], partitions_of(&number, 256).unwrap()[0]);
}

#[test]
fn grouping_keeps_every_row_once_and_in_order_within_its_partition() {
    let n = 1000i64;
    let key: ArrayRef = Arc::new(StringArray::from_iter_values((0..n).map(|i| format!("k{}", i % 37))));
    let seq: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n));
    let rows = RecordBatch::try_from_iter([("k", key.clone()), ("n", seq)]).unwrap();
    let of_row = partitions_of(&key, 16).unwrap();
    let groups = group_rows(&rows, &of_row, 16, 3, |p| usize::from(p.0) % 3).unwrap();
    let mut seen = 0;
    for group in &groups {
        let keys = partitions_of(group.rows.column(0), 16).unwrap();
        let numbers = group.rows.column(1).as_primitive::<Int64Type>();
        let mut end = 0;
        for (partition, range) in &group.parts {
            assert_eq!(usize::from(partition.0) % 3, group.group);
            assert_eq!(range.start, end);
            end = range.end;
            let span = range.start as usize..range.end as usize;
            assert!(keys[span.clone()].iter().all(|p| *p == partition.0));
            assert!(numbers.values()[span].is_sorted());
        }
        assert_eq!(end as usize, group.rows.num_rows());
        seen += group.rows.num_rows();
    }
    assert_eq!(seen, 1000);
}
