use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::basic::Encoding;
use parquet::file::metadata::PageIndexPolicy;
use zepto_common::types::ColumnType as T;

use crate::disk::{Disk, RealDisk};
use crate::part::Part;
use crate::part::tests::rows::{self, Chance};
use crate::run::Run;
use crate::segment::{Codec, Segment};

/// The run of these keys, and the bytes of its segment.
fn written(ty: &T, keys: &[Option<String>]) -> (Arc<Run>, Bytes) {
    let schema =
        rows::table(Some(ty.clone()), Some(T::DateTime64(9, None)), &[T::Array(Box::new(T::Int8)), T::Int64]);
    let storage = schema.storage_schema();
    let texts: ArrayRef = Arc::new(keys.iter().map(Option::as_deref).collect::<StringArray>());
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..keys.len() as i64));
    let lists = arrow::array::new_null_array(&DataType::Int8, 0);
    let offsets = arrow::buffer::OffsetBuffer::from_lengths(std::iter::repeat_n(0, keys.len()));
    let DataType::List(item) = storage.field(2).data_type() else { panic!("a list is stored as one") };
    let lists: ArrayRef = Arc::new(arrow::array::ListArray::new(item.clone(), offsets, lists, None));
    let columns = vec![
        cast(&texts, storage.field(0).data_type()).unwrap(),
        cast(&numbers, storage.field(1).data_type()).unwrap(),
        lists,
        numbers,
    ];
    let batch = RecordBatch::try_new(storage, columns).unwrap();
    let run = Arc::new(Run::build(&schema, &[rows::chunk(&schema, &batch, &mut Chance(7))]).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.parquet");
    let disk: &dyn Disk = &RealDisk;
    let segment = Segment::write(disk, &path, &run, Codec::Lz4).unwrap();
    segment.cool();
    segment.load().unwrap();
    (run, std::fs::read(&path).unwrap().into())
}

/// The key column as a reader sees it that knows nothing of the index.
fn keys_in(file: &Bytes, selection: Option<RowSelection>) -> Vec<Option<String>> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let mut reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options).unwrap();
    if let Some(selection) = selection {
        reader = reader.with_row_selection(selection);
    }
    let mut keys = Vec::new();
    for batch in reader.with_batch_size(1_000).build().unwrap() {
        let column = cast(batch.unwrap().column(0), &DataType::Utf8).unwrap();
        keys.extend(column.as_string::<i32>().iter().map(|key| key.map(str::to_owned)));
    }
    keys
}

fn keys_of(run: &Arc<Run>) -> Vec<Option<String>> {
    let schema = run.schema().clone();
    let mut keys = Vec::new();
    for batch in Part::Run(run.clone()).scan(&schema, &[0], std::slice::from_ref(&(0..run.rows())), 4_096) {
        let column = cast(batch.unwrap().column(0), &DataType::Utf8).unwrap();
        keys.extend(column.as_string::<i32>().iter().map(|key| key.map(str::to_owned)));
    }
    keys
}

/// Whether the file's row groups have the key's pages from the index.
fn check(ty: T, keys: &[Option<String>]) -> Vec<bool> {
    let (run, file) = written(&ty, keys);
    let expected = keys_of(&run);
    assert_eq!(expected.len(), keys.len());
    assert!(keys_in(&file, None) == expected, "{ty}: {} rows", keys.len());
    // Whoever passes over rows goes by the offset index.
    if keys.len() > 100 {
        let (skip, take) = (keys.len() * 2 / 3, keys.len() / 4);
        let selection = RowSelection::from(vec![RowSelector::skip(skip), RowSelector::select(take)]);
        assert!(keys_in(&file, Some(selection)) == expected[skip..skip + take], "{ty}");
    }
    let metadata = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().metadata().clone();
    let ours = |group: &parquet::file::metadata::RowGroupMetaData| {
        let encodings: Vec<Encoding> = group.column(0).encodings().collect();
        group.column(0).compression() == parquet::basic::Compression::UNCOMPRESSED
            && encodings.contains(&Encoding::RLE_DICTIONARY)
    };
    metadata.row_groups().iter().map(ours).collect()
}

fn keys(rows: usize, key: impl Fn(usize) -> Option<String>) -> Vec<Option<String>> {
    (0..rows).map(key).collect()
}

#[test]
fn another_reader_finds_the_keys_of_the_index() {
    for ty in [T::Symbol, T::String, T::Symbol.nullable(), T::String.nullable()] {
        assert_eq!(check(ty.clone(), &keys(1, |_| Some(String::new()))), [false]);
        assert_eq!(check(ty.clone(), &keys(5_000, |_| Some("one".to_owned()))), [true]);
        // Pages of 20,000 rows that end inside of keys, numbers of one and two bytes.
        assert_eq!(check(ty.clone(), &keys(60_000, |i| Some(format!("K{}", i % 256)))), [true]);
        assert_eq!(check(ty.clone(), &keys(60_000, |i| Some(format!("K{}", i % 257)))), [true]);
        assert_eq!(check(ty.clone(), &keys(3_000, |i| Some(format!("K{i}")))), [false], "all are distinct");
        let long = |i: usize| Some(["", "é\0", &"x".repeat(10 << 10)][i % 3].to_owned());
        assert_eq!(check(ty.clone(), &keys(1_000, long)), [true]);
        let much = |i: usize| Some(format!("{}{}", i % 200, "y".repeat(10 << 10)));
        assert_eq!(check(ty, &keys(1_000, much)), [false], "the dictionary would be too large");
    }
}

#[test]
fn a_null_key_is_no_value_of_the_dictionary() {
    for ty in [T::Symbol.nullable(), T::String.nullable()] {
        assert_eq!(check(ty.clone(), &keys(2_000, |i| (i % 3 > 0).then(|| format!("K{}", i % 40)))), [true]);
        assert_eq!(check(ty, &keys(2_000, |_| None)), [true]);
    }
}

#[test]
fn row_groups_have_dictionaries_of_their_own() {
    let groups = check(T::Symbol, &keys(600_000, |i| Some(format!("K{}", i % 1_000))));
    assert_eq!(groups, [true, true, true]);
}
