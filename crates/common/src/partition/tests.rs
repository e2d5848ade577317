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

#[test]
fn each_group_has_a_dictionary_of_its_own_values_in_the_order_of_its_rows() {
    let text = |i: i64| match i % 50 {
        0 => None,
        1 => Some(String::new()),
        2 => Some("x".repeat(10_000)),
        _ => Some(format!("k{}", i % 700)),
    };
    let texts: Vec<Option<String>> = (0..1_000).map(text).collect();
    let key: ArrayRef = Arc::new(texts.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>());
    let seq: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1_000));
    let rows = RecordBatch::try_from_iter([("k", key.clone()), ("n", seq)]).unwrap();
    let groups =
        group_rows(&rows, &partitions_of(&key, 16).unwrap(), 16, 2, |p| usize::from(p.0) % 2).unwrap();
    let mut held = 0;
    for group in &groups {
        let symbols = group.rows.column(0).as_dictionary::<Int32Type>();
        let numbers = group.rows.column(1).as_primitive::<Int64Type>();
        let found = symbols.downcast_dict::<StringArray>().unwrap();
        let mut first_seen = 0;
        for (row, (found, &number)) in found.into_iter().zip(numbers.values()).enumerate() {
            assert_eq!(found, texts[number as usize].as_deref());
            if found.is_some() {
                let value = symbols.keys().value(row);
                assert!(value <= first_seen, "values lie in the order in which rows have them");
                first_seen = first_seen.max(value + 1);
            }
        }
        assert_eq!(first_seen as usize, symbols.values().len(), "no value is there without a row");
        held += symbols.values().len();
    }
    assert_eq!(held, key.as_dictionary::<Int32Type>().values().len(), "no key is in two groups");
}

#[test]
fn a_dictionary_of_few_values_is_shared_by_all_groups() {
    let key: ArrayRef =
        Arc::new((0..1_000).map(|i| Some(["a", "b", "c"][i % 3])).collect::<DictionaryArray<Int32Type>>());
    let rows = RecordBatch::try_from_iter([("k", key.clone())]).unwrap();
    let of_row: Vec<u16> = (0..1_000).map(|row| row % 2).collect();
    let groups = group_rows(&rows, &of_row, 2, 2, |p| usize::from(p.0)).unwrap();
    assert!(groups.iter().all(|g| g.rows.column(0).as_dictionary::<Int32Type>().values().len() == 3));
}

#[test]
fn a_partition_is_the_remainder_whatever_the_number_of_partitions() {
    for partitions in [0u16, 1, 2, 3, 255, 256, 1_000, 4_096] {
        for hash in [0u64, 1, 255, 256, 0x2d06_8005_38d3_94c2, u64::MAX] {
            let remainder = hash % u64::from(partitions.max(1));
            assert_eq!(u64::from(partition_of(hash, partitions).0), remainder);
        }
    }
}
