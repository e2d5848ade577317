use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use proptest::prelude::*;
use zepto_common::types::ColumnType as T;

use super::*;
use crate::chunk::Chunk;
use crate::part::Part;
use crate::part::tests::rows::{self, Chance};

fn key_type(pick: usize) -> Option<T> {
    let mut types = rows::plain_types();
    types.extend(rows::plain_types().into_iter().map(T::nullable));
    types.push(T::Array(Box::new(T::Int32)));
    types.push(T::Symbol);
    types.push(T::Symbol);
    types.get(pick % (types.len() + 1)).cloned()
}

fn time_type(pick: usize) -> Option<T> {
    [None, Some(T::DateTime(None)), Some(T::DateTime64(9, None)), Some(T::DateTime64(3, None))][pick % 4]
        .clone()
}

fn others() -> Vec<T> {
    vec![
        T::Float64,
        T::Int64.nullable(),
        T::Symbol,
        T::String.nullable(),
        T::Bool,
        T::Array(Box::new(T::Int8)),
    ]
}

fn all_of(run: Run) -> Vec<rows::Row> {
    let rows = run.rows();
    rows::scanned(&Part::Run(Arc::new(run)), std::slice::from_ref(&(0..rows)), 100)
}

/// Per slot: rows, then for one column the values that are not NULL, in row order.
fn check_stats(run: &Run) {
    let index = run.index();
    index.check().unwrap();
    for (id, stats) in &index.stats {
        let column = run.columns()[run.schema().index_of_id(*id).unwrap()].clone().unwrap();
        let floats = column.data_type().is_floating();
        for slot in 0..index.slots() {
            let range = index.slot_rows(slot);
            let values = column.slice(range.start, range.len());
            assert_eq!(stats.counts[slot] as usize, range.len() - values.null_count());
            if floats {
                let values: Vec<f64> = cast(&values, &DataType::Float64)
                    .unwrap()
                    .as_primitive::<Float64Type>()
                    .iter()
                    .flatten()
                    .collect();
                let Sums::F(sums) = &stats.sums else { panic!("floats have float sums") };
                let sum: f64 = values.iter().fold(0.0, |sum, value| sum + value);
                assert_eq!(sums[slot].to_bits(), sum.to_bits());
                let at = |array: &ArrayRef| array.as_primitive::<Float64Type>().value(slot);
                let real: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
                if let Some(min) = real.iter().copied().reduce(f64::min) {
                    assert_eq!(at(&stats.min), min);
                    assert_eq!(at(&stats.max), real.iter().copied().reduce(f64::max).unwrap());
                } else if !values.is_empty() {
                    assert!(at(&stats.min).is_nan() && at(&stats.max).is_nan());
                }
                if let (Some(first), Some(last)) = (values.first(), values.last()) {
                    assert_eq!(at(&stats.first).to_bits(), first.to_bits());
                    assert_eq!(at(&stats.last).to_bits(), last.to_bits());
                } else {
                    assert!(stats.first.is_null(slot) && stats.min.is_null(slot));
                }
            } else {
                let values: Vec<i64> = values.as_primitive::<Int64Type>().iter().flatten().collect();
                let Sums::I(sums) = &stats.sums else { panic!("integers have exact sums") };
                assert_eq!(sums[slot], values.iter().map(|&value| i128::from(value)).sum::<i128>());
                let at = |array: &ArrayRef| {
                    let array = array.as_primitive::<Int64Type>();
                    array.is_valid(slot).then(|| array.value(slot))
                };
                assert_eq!(at(&stats.min), values.iter().copied().min());
                assert_eq!(at(&stats.max), values.iter().copied().max());
                assert_eq!(at(&stats.first), values.first().copied());
                assert_eq!(at(&stats.last), values.last().copied());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_run_has_the_rows_of_its_chunks_in_the_promised_order(
        seed: u64, key in 0usize..50, time in 0usize..4, count in 0usize..5, most in 0usize..300, keys in 1usize..40
    ) {
        let mut chance = Chance(seed);
        let schema = rows::table(key_type(key), time_type(time), &others());
        let chunks = rows::chunks(&schema, count, most, keys, &mut chance);
        let expected = rows::sorted(rows::arrived(&chunks));
        let run = Run::build(&schema, &chunks).unwrap();
        check_stats(&run);
        prop_assert_eq!(run.index().time_range(), expected.iter().filter_map(|row| row.time)
            .fold(None, |range: Option<(i64, i64)>, t| Some(range.map_or((t, t), |(a, b)| (a.min(t), b.max(t))))));
        prop_assert_eq!(rows::bare(&all_of(run)), rows::bare(&expected));
    }

    #[test]
    fn a_merge_has_the_rows_of_its_parts_in_the_promised_order(
        seed: u64, key in 0usize..50, time in 0usize..4, parts in 0usize..5, keys in 1usize..40, cut: bool
    ) {
        let mut chance = Chance(seed);
        let schema = rows::table(key_type(key), time_type(time), &others());
        let cutoff = cut.then(|| chance.below(20) as i64 - 10);
        let mut inputs = Vec::new();
        let mut arrived = Vec::new();
        for _ in 0..parts {
            if chance.below(2) == 0 {
                let chunks = rows::chunks(&schema, 1, 120, keys, &mut chance);
                arrived.extend(rows::arrived(&chunks));
                inputs.push(Part::Chunk(Arc::clone(&chunks[0])));
            } else {
                let chunks = rows::chunks(&schema, 3, 120, keys, &mut chance);
                arrived.extend(rows::arrived(&chunks));
                inputs.push(Part::Run(Arc::new(Run::build(&schema, &chunks).unwrap())));
            }
        }
        if schema.time.is_some() {
            arrived.retain(|row| row.time >= cutoff || cutoff.is_none());
        }
        let run = Run::merge_with(&schema, &inputs, MergeOptions { cutoff }).unwrap();
        check_stats(&run);
        prop_assert_eq!(rows::bare(&all_of(run)), rows::bare(&rows::sorted(arrived)));
    }
}

#[test]
fn a_hundred_thousand_keys_come_out_in_order() {
    let schema = rows::table(Some(T::Symbol), Some(T::DateTime64(9, None)), &[T::Float64]);
    let mut chance = Chance(3);
    let chunks = rows::chunks(&schema, 4, 60_000, 100_000, &mut chance);
    let run = Run::build(&schema, &chunks).unwrap();
    assert!(run.index().slots() > 10_000);
    assert!(run.index().stats.is_empty(), "few rows per key: no statistics per slot");
    assert_eq!(rows::bare(&all_of(run)), rows::bare(&rows::sorted(rows::arrived(&chunks))));
}

#[test]
fn a_table_without_time_is_sorted_by_its_order_by() {
    let mut schema = (*rows::table(None, None, &[T::Int64.nullable(), T::String])).clone();
    schema.order_by = vec![schema.columns[0].id, schema.columns[1].id];
    let schema = Arc::new(schema);
    let batch = RecordBatch::try_new(
        schema.storage_schema(),
        vec![
            Arc::new(Int64Array::from(vec![Some(2), None, Some(-1), Some(2)])),
            Arc::new(StringArray::from(vec!["b", "z", "q", "a"])),
        ],
    )
    .unwrap();
    let chunk = Chunk::new(Arc::clone(&schema), batch, vec![(zepto_common::PartitionId(3), 0..4)]).unwrap();
    let run = Run::build(&schema, &[Arc::new(chunk)]).unwrap();
    let texts = run.columns()[1].clone().unwrap();
    assert_eq!(texts.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["z", "q", "a", "b"]);
}

#[test]
fn a_decimal_sum_beyond_128_bits_is_left_out_and_not_wrong() {
    let ty = T::Decimal(38, 0);
    let schema = rows::table(None, None, std::slice::from_ref(&ty));
    let most = 10i128.pow(38) - 1;
    let values = arrow::array::Decimal128Array::from_iter_values(std::iter::repeat_n(most, 64));
    let values = values.with_precision_and_scale(38, 0).unwrap();
    let batch = RecordBatch::try_new(schema.storage_schema(), vec![Arc::new(values)]).unwrap();
    let chunk = Chunk::new(Arc::clone(&schema), batch, vec![(zepto_common::PartitionId(0), 0..64)]).unwrap();
    let run = Run::build(&schema, &[Arc::new(chunk)]).unwrap();
    assert!(run.index().stats.is_empty());
    let stats = run.index().column_stats(schema.columns[0].id).unwrap();
    assert!(stats.sum.is_none() && stats.min.is_some());
}

#[test]
fn whole_run_statistics_of_the_key_count_its_rows() {
    let schema = rows::table(Some(T::Int64.nullable()), Some(T::DateTime(None)), &[]);
    let keys: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), None, Some(5), Some(-2), None, None]));
    let time = cast(&Int64Array::from(vec![1; 6]), &schema.columns[1].ty.storage_type()).unwrap();
    let batch = RecordBatch::try_new(schema.storage_schema(), vec![keys, time]).unwrap();
    let run = Run::build(&schema, &[rows::chunk(&schema, &batch, &mut Chance(1))]).unwrap();
    let stats = run.index().column_stats(schema.columns[0].id).unwrap();
    assert_eq!((stats.nulls, stats.sum), (3, Some(Sum::I(8))));
    assert_eq!(stats.min.as_ref().unwrap().as_primitive::<Int64Type>().value(0), -2);
}

#[test]
fn a_nan_is_neither_smallest_nor_largest_beside_numbers() {
    let schema = rows::table(None, None, &[T::Float64]);
    let values: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 3.0, f64::NAN, -1.0]));
    let batch = RecordBatch::try_new(schema.storage_schema(), vec![values]).unwrap();
    let run = Run::build(&schema, &[rows::chunk(&schema, &batch, &mut Chance(1))]).unwrap();
    let stats = run.index().column_stats(schema.columns[0].id).unwrap();
    assert_eq!(stats.nans, 2);
    assert_eq!(stats.min.as_ref().unwrap().as_primitive::<Float64Type>().value(0), -1.0);
    assert_eq!(stats.max.as_ref().unwrap().as_primitive::<Float64Type>().value(0), 3.0);
}

#[test]
fn keys_are_numbered_by_first_sight_whatever_their_length() {
    let mut keys: Vec<Option<Vec<u8>>> = vec![None, Some(Vec::new())];
    // Lengths around all that the table treats apart, with zeros that must not look like an end.
    for length in 1..40usize {
        for last in [0u8, 1, 200] {
            keys.push(Some(vec![0; length - 1].into_iter().chain([last]).collect()));
            keys.push(Some(std::iter::once(last).chain(vec![7; length - 1]).collect()));
        }
    }
    keys.extend((0..5_000u32).map(|i| Some(format!("K{i}").into_bytes())));
    keys.push(Some(vec![b'x'; 10_000]));
    let borrowed: Vec<Option<&[u8]>> = keys.iter().map(|key| key.as_deref()).collect();
    let mut numbers = keys::Numbers::default();
    // A table that was cleared knows nothing, whether it was large or small.
    for count in [borrowed.len(), 3, borrowed.len()] {
        let mut known: Vec<Option<&[u8]>> = Vec::new();
        for key in borrowed[..count].iter().chain(&borrowed[..count]) {
            let id = numbers.intern(*key) as usize;
            if id == known.len() {
                known.push(*key);
            }
            assert_eq!(known[id], *key);
        }
        let distinct: std::collections::BTreeSet<_> = borrowed[..count].iter().collect();
        assert_eq!((distinct.len(), numbers.len()), (known.len(), known.len()));
        let ranked: Vec<_> = numbers.ranked().into_iter().map(|id| known[id as usize]).collect();
        assert!(ranked.is_sorted());
        numbers.clear();
        assert_eq!(numbers.len(), 0);
    }
}
