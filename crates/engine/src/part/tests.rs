#![expect(clippy::single_range_in_vec_init, reason = "one row range is meant")]

pub(crate) mod rows;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use proptest::prelude::*;
use zepto_common::schema::{Column, ColumnDefault, TableSchema};
use zepto_common::types::ColumnType as T;
use zepto_common::{ColumnId, PartitionId, SchemaVersion};

use super::*;
use rows::Chance;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_selection_never_misses_and_is_exact_on_runs(
        seed: u64, key in 0usize..6, timed: bool, keys in 1usize..30,
        by_key: bool, by_time: bool, by_partition: bool
    ) {
        let mut chance = Chance(seed);
        let key = [T::Symbol, T::Symbol.nullable(), T::Int64, T::String, T::Uuid.nullable(), T::Float64][key].clone();
        let schema = rows::table(Some(key), timed.then_some(T::DateTime64(9, None)), &[T::Int32]);
        let chunks = rows::chunks(&schema, 3, 150, keys, &mut chance);
        let run = Arc::new(Run::build(&schema, &chunks).unwrap());
        let wanted_keys = (by_key && run.index().slots() > 0).then(|| {
            let all = run.index().keys.clone().unwrap();
            let picks: Vec<ArrayRef> = (0..3).map(|_| all.slice(chance.below(all.len()), 1)).collect();
            concat(&[&picks[0], &picks[1], &picks[2], &rows::null_of(all.data_type())]).unwrap()
        });
        let from = chance.below(40) as i64 - 30;
        let selection = Selection {
            keys: wanted_keys.clone(),
            partitions: by_partition.then(|| vec![PartitionId(1), PartitionId(4)]),
            time: by_time.then(|| (from, from + chance.below(20) as i64)),
        };
        let wanted_bytes = wanted_keys.map(|keys| {
            let field = arrow::row::SortField::new(keys.data_type().clone());
            let rows = arrow::row::RowConverter::new(vec![field]).unwrap().convert_columns(&[keys]).unwrap();
            rows.iter().map(|row| row.data().to_vec()).collect::<Vec<_>>()
        });
        let matches = |row: &rows::Row| {
            wanted_bytes.as_ref().is_none_or(|wanted| wanted.contains(&row.key))
                && selection.partitions.as_ref().is_none_or(|wanted| wanted.contains(&row.partition.unwrap()))
                && (selection.time.is_none() || row.time.is_none()
                    || selection.time.is_some_and(|(from, to)| row.time >= Some(from) && row.time <= Some(to)))
        };
        let expected: Vec<rows::Row> = rows::sorted(rows::arrived(&chunks)).into_iter().filter(matches).collect();
        let part = Part::Run(run);
        let found = rows::scanned(&part, &part.select(&selection), 7);
        prop_assert_eq!(rows::bare(&found), rows::bare(&expected));
        for chunk in chunks {
            let arrived = rows::arrived(std::slice::from_ref(&chunk));
            let ranges = Part::Chunk(chunk).select(&selection);
            for (i, row) in arrived.iter().enumerate() {
                prop_assert!(!matches(row) || ranges.iter().any(|range| range.contains(&i)));
            }
        }
    }

    #[test]
    fn a_scan_gives_the_rows_of_its_ranges(seed: u64, keys in 1usize..20, batch_rows in 1usize..64) {
        let mut chance = Chance(seed);
        let schema = rows::table(Some(T::Symbol.nullable()), Some(T::DateTime(None)), &[T::Symbol, T::String]);
        let chunks = rows::chunks(&schema, 3, 150, keys, &mut chance);
        let run = Part::Run(Arc::new(Run::build(&schema, &chunks).unwrap()));
        let whole = rows::sorted(rows::arrived(&chunks));
        let ranges = rows::some_ranges(whole.len(), &mut chance);
        let expected: Vec<rows::Row> = ranges.iter().cloned().flatten().map(|row| whole[row].clone()).collect();
        prop_assert_eq!(rows::bare(&rows::scanned(&run, &ranges, batch_rows)), rows::bare(&expected));
        let counted: usize = run.scan(&schema, &[], &ranges, batch_rows).map(|b| b.unwrap().num_rows()).sum();
        prop_assert_eq!(counted, expected.len());
        let chunk = Part::Chunk(Arc::new(Chunk::concat(&chunks).unwrap()));
        prop_assert_eq!(chunk.rows(), whole.len());
        prop_assert_eq!(chunk.time_range(), run.time_range());
        let mut arrived = rows::arrived(&chunks);
        arrived.sort_by_key(|row| row.partition);
        prop_assert_eq!(rows::bare(&rows::scanned(&chunk, &[0..whole.len()], batch_rows)), rows::bare(&arrived));
    }
}

fn evolved(schema: &TableSchema, added: &[(T, ColumnDefault)]) -> Arc<TableSchema> {
    let mut newer = schema.clone();
    newer.version = SchemaVersion(schema.version.0 + 1);
    newer.columns.retain(|column| column.name != "c0");
    newer.columns.iter_mut().for_each(|column| column.name.insert_str(0, "new "));
    for (i, (ty, default)) in added.iter().enumerate() {
        newer.columns.insert(
            i,
            Column {
                id: ColumnId(100 + i as u32),
                name: format!("a{i}"),
                ty: ty.clone(),
                default: default.clone(),
                comment: String::new(),
            },
        );
    }
    Arc::new(newer)
}

#[test]
fn old_rows_have_the_default_of_a_column_added_later() {
    let constant = |text: &str| ColumnDefault::Constant(text.to_owned());
    let added = [
        (T::Int64, constant("-7")),
        (T::Symbol, constant("it's")),
        (T::Uuid, constant("61f0c404-5cb3-11e7-907b-a6006ad3dba0")),
        (T::DateTime64(3, None), constant("1970-01-01 00:00:01.5")),
        (T::DateTime(None), constant("1700000000")),
        (T::Decimal(9, 2), constant("1.25")),
        (T::Bool, constant("true")),
        (T::Array(Box::new(T::String)), constant("['a, b','c']")),
        (T::Float64.nullable(), ColumnDefault::Zero),
        (T::String, ColumnDefault::Zero),
        (T::Date, ColumnDefault::Now),
    ];
    let schema = rows::table(Some(T::Symbol), Some(T::DateTime64(9, None)), &[T::Int32, T::String]);
    let newer = evolved(&schema, &added);
    let mut chance = Chance(11);
    let chunks = rows::chunks(&schema, 2, 50, 3, &mut chance);
    let count = chunks.iter().map(|chunk| chunk.rows.num_rows()).sum::<usize>();
    let run = Run::build(&schema, &chunks).unwrap();
    let all: Vec<usize> = (0..newer.columns.len()).collect();
    let rebuilt = Run::build(&newer, &chunks).unwrap();
    let old: Vec<RecordBatch> =
        Part::Run(Arc::new(run)).scan(&newer, &all, &[0..count], 1000).map(Result::unwrap).collect();
    let new = rows::whole(&Part::Run(Arc::new(rebuilt)));
    assert_eq!(old.len(), 1);
    assert_eq!(rows::bare(&rows::rows_of(&newer, &old)), rows::bare(&rows::rows_of(&newer, &[new])));
    let rows = &old[0];
    assert_eq!(rows.schema(), newer.storage_schema());
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().value(3), -7);
    let text = |column: usize| {
        let text = cast(rows.column(column), &DataType::Utf8).unwrap();
        text.as_string::<i32>().value(3).to_owned()
    };
    assert_eq!(text(1), "it's");
    assert_eq!(rows.column(2).as_fixed_size_binary().value(3)[..2], [0x61, 0xf0]);
    assert_eq!((text(3), text(4)), ("1970-01-01T00:00:01.500".to_owned(), "2023-11-14T22:13:20".to_owned()));
    assert_eq!((text(5), text(6)), ("1.25".to_owned(), "true".to_owned()));
    let list = rows.column(7).as_list::<i32>().value(3);
    assert_eq!(list.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a, b", "c"]);
    assert!(rows.column(8).is_null(3));
    assert_eq!((text(9), text(10)), (String::new(), "1970-01-01".to_owned()));
}

#[test]
fn every_type_has_a_zero_value_for_old_rows() {
    for ty in rows::all_types() {
        let schema = rows::table(None, None, &[T::Int8]);
        let newer = evolved(&schema, &[(ty.clone(), ColumnDefault::Zero)]);
        let chunk = rows::chunks(&schema, 1, 30, 1, &mut Chance(5)).remove(0);
        let count = chunk.rows.num_rows();
        let batch = Part::Chunk(chunk).scan(&newer, &[0], &[0..count], 100).next().unwrap().unwrap();
        assert_eq!(batch.num_rows(), count, "{ty}");
        assert_eq!(batch.column(0).null_count() > 0, ty.is_nullable(), "{ty}");
    }
}

#[test]
fn a_default_that_is_no_value_of_its_type_is_an_error() {
    let schema = rows::table(None, None, &[T::Int8]);
    let newer = evolved(&schema, &[(T::Int64, ColumnDefault::Constant("seven".to_owned()))]);
    let chunk = rows::chunks(&schema, 1, 30, 1, &mut Chance(5)).remove(0);
    let mut scan = Part::Chunk(chunk).scan(&newer, &[0], &[0..1], 100);
    assert!(scan.next().unwrap().unwrap_err().message.contains("a0"));
    assert!(scan.next().is_none());
}

#[test]
fn a_small_batch_does_not_carry_a_large_dictionary_of_keys() {
    let schema = rows::table(Some(T::Symbol), Some(T::DateTime(None)), &[]);
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values((0..5000).map(|i| format!("k{i:05}"))));
    let keys = cast(&keys, &schema.columns[0].ty.storage_type()).unwrap();
    let time = cast(&Int64Array::from(vec![0; 5000]), &schema.columns[1].ty.storage_type()).unwrap();
    let batch = RecordBatch::try_new(schema.storage_schema(), vec![keys, time]).unwrap();
    let run = Run::build(&schema, &[rows::chunk(&schema, &batch, &mut Chance(1))]).unwrap();
    for batch in Part::Run(Arc::new(run)).scan(&schema, &[0], &[0..5000], 10) {
        assert!(batch.unwrap().column(0).as_dictionary::<Int32Type>().values().len() <= 10);
    }
}

#[test]
fn ranges_outside_a_part_are_refused() {
    let schema = rows::table(None, None, &[T::Int8]);
    let chunk = rows::chunks(&schema, 1, 30, 1, &mut Chance(5)).remove(0);
    let rows = chunk.rows.num_rows();
    assert!(Part::Chunk(chunk).scan(&schema, &[0], &[0..rows + 1], 100).next().unwrap().is_err());
}
