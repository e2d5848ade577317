#![expect(clippy::single_range_in_vec_init, reason = "one row range is meant")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use zepto_common::types::ColumnType as T;

use super::*;
use crate::disk::{Disk, RealDisk, SimDisk};
use crate::part::tests::rows::{self, Chance};
use crate::part::{Part, Selection};

const CODECS: [Codec; 4] = [Codec::None, Codec::Lz4, Codec::Zstd, Codec::Snappy];

fn disk() -> (Arc<SimDisk>, PathBuf) {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/data")).unwrap();
    (disk, PathBuf::from("/data/1.parquet"))
}

fn run_of(
    schema: &Arc<TableSchema>,
    count: usize,
    most: usize,
    keys: usize,
    chance: &mut Chance,
) -> Arc<Run> {
    Arc::new(Run::build(schema, &rows::chunks(schema, count, most, keys, chance)).unwrap())
}

/// Reads all of a file by every way there is; the first fault.
fn read_all(disk: &dyn Disk, path: &Path) -> Result<Vec<rows::Row>> {
    let segment = Arc::new(Segment::open(disk, path)?);
    let schema = Arc::clone(segment.schema());
    let all: Vec<usize> = (0..schema.columns.len()).collect();
    let ranges = [0..segment.rows()];
    let batches: Vec<_> =
        Part::Segment(Arc::clone(&segment)).scan(&schema, &all, &ranges, 1000).collect::<Result<_>>()?;
    segment.load()?;
    Ok(rows::rows_of(&schema, &batches))
}

#[test]
fn every_type_comes_back_bit_by_bit() {
    let mut chance = Chance(1);
    for (i, ty) in rows::all_types().into_iter().enumerate() {
        let (disk, path) = disk();
        let schema = rows::table(Some(T::Symbol), Some(T::DateTime64(9, None)), std::slice::from_ref(&ty));
        let run = run_of(&schema, 3, 200, 5, &mut chance);
        let expected = rows::scanned(&Part::Run(Arc::clone(&run)), &[0..run.rows()], 1000);
        Segment::write(disk.as_ref(), &path, &run, CODECS[i % 4]).unwrap();
        let found = read_all(disk.as_ref(), &path).unwrap_or_else(|error| panic!("{ty}: {error}"));
        assert_eq!(rows::bare(&found), rows::bare(&expected), "{ty}");
        let loaded = Segment::open(disk.as_ref(), &path).unwrap().load().unwrap();
        let found = rows::scanned(&Part::Run(loaded), &[0..run.rows()], 1000);
        assert_eq!(rows::bare(&found), rows::bare(&expected), "{ty}");
    }
}

#[test]
fn every_type_can_be_a_key() {
    let mut chance = Chance(2);
    let mut types = rows::plain_types();
    types.extend(rows::plain_types().into_iter().map(T::nullable));
    for ty in types {
        let (disk, path) = disk();
        let schema = rows::table(Some(ty.clone()), Some(T::DateTime(None)), &[T::Int32]);
        let run = run_of(&schema, 2, 100, 6, &mut chance);
        Segment::write(disk.as_ref(), &path, &run, Codec::Lz4).unwrap();
        let expected = rows::scanned(&Part::Run(Arc::clone(&run)), &[0..run.rows()], 1000);
        let found = read_all(disk.as_ref(), &path).unwrap_or_else(|error| panic!("{ty}: {error}"));
        assert_eq!(rows::bare(&found), rows::bare(&expected), "{ty}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_cold_segment_answers_as_its_run_does(seed: u64, keys in 1usize..30, batch_rows in 1usize..200, shape in 0usize..4) {
        let mut chance = Chance(seed);
        let (disk, path) = disk();
        let key = (shape != 0).then_some(T::Symbol.nullable());
        let time = (shape != 1).then_some(T::DateTime64(9, None));
        let schema = rows::table(key, time, &[T::Float64, T::Symbol.nullable(), T::String, T::Array(Box::new(T::Int64))]);
        let run = run_of(&schema, 3, 150, keys, &mut chance);
        let segment = Segment::write(disk.as_ref(), &path, &run, Codec::Lz4).unwrap();
        prop_assert!(segment.hot().is_some());
        segment.cool();
        let (hot, cold) = (Part::Run(Arc::clone(&run)), Part::Segment(Arc::new(segment)));
        let ranges = rows::some_ranges(run.rows(), &mut chance);
        prop_assert_eq!(rows::scanned(&cold, &ranges, batch_rows), rows::scanned(&hot, &ranges, batch_rows));
        for column in &schema.columns {
            let stats = |part: &Part| format!("{:?}", part.column_stats(column.id));
            prop_assert_eq!(stats(&cold), stats(&hot));
        }
        prop_assert_eq!(cold.time_range(), hot.time_range());
        let selection = Selection { time: Some((-5, 5)), ..Selection::default() };
        let (narrow, wide) = (hot.select(&selection), cold.select(&selection));
        prop_assert!(narrow.iter().cloned().flatten().all(|row| wide.iter().any(|range| range.contains(&row))));
        let projected: usize = cold.scan(&schema, &[0], &ranges, batch_rows).map(|b| b.unwrap().num_rows()).sum();
        prop_assert_eq!(projected, ranges.iter().map(ExactSizeIterator::len).sum::<usize>());
        let counted: usize = cold.scan(&schema, &[], &ranges, batch_rows).map(|b| b.unwrap().num_rows()).sum();
        prop_assert_eq!(counted, projected);
    }

    #[test]
    fn a_changed_or_cut_file_is_refused(seed: u64, keys in 1usize..10, codec in 0usize..4) {
        let mut chance = Chance(seed);
        let (disk, path) = disk();
        let schema = rows::table(Some(T::Symbol), Some(T::DateTime64(9, None)), &[T::Float64, T::String.nullable()]);
        let run = run_of(&schema, 2, 60, keys, &mut chance);
        Segment::write(disk.as_ref(), &path, &run, CODECS[codec]).unwrap();
        let length = disk.open(&path).unwrap().len().unwrap();
        prop_assert!(read_all(disk.as_ref(), &path).is_ok());
        for _ in 0..24 {
            // Parquet's magic at the very start is never read; everything else is covered.
            let offset = chance.next() % length;
            let mask = 1 << chance.below(8);
            disk.flip(&path, offset, mask).unwrap();
            let read = read_all(disk.as_ref(), &path);
            prop_assert!(read.is_err() || run.rows() == 0, "a flip at {} of {} went unseen", offset, length);
            if let Err(error) = read {
                prop_assert!(error.message.contains("1.parquet"), "{}", error.message);
            }
            disk.flip(&path, offset, mask).unwrap();
        }
        let file = disk.open(&path).unwrap();
        for _ in 0..4 {
            let cut = chance.next() % file.len().unwrap().max(1);
            file.set_len(cut).unwrap();
            prop_assert!(read_all(disk.as_ref(), &path).is_err());
        }
    }
}

#[test]
fn row_groups_are_cut_and_read_across() {
    let mut chance = Chance(3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.parquet");
    let schema = rows::table(Some(T::Symbol), Some(T::DateTime64(9, None)), &[T::Int64]);
    let chunk = rows::chunk(&schema, &rows::rows(&schema, 700_000, 40, &mut chance), &mut chance);
    let run = Arc::new(Run::build(&schema, &[chunk]).unwrap());
    let segment = Arc::new(Segment::write(&RealDisk, &path, &run, Codec::Lz4).unwrap());
    segment.cool();
    assert!(segment.metadata.metadata().num_row_groups() >= 2);
    let cold = Part::Segment(Arc::clone(&segment));
    let hot = Part::Run(run);
    for _ in 0..20 {
        let ranges = rows::some_ranges(700_000, &mut chance);
        assert!(rows::scanned(&cold, &ranges, 5000) == rows::scanned(&hot, &ranges, 5000));
    }
    assert!(
        rows::bare(&rows::scanned(&Part::Run(segment.load().unwrap()), &[0..700_000], 9999))
            == rows::bare(&rows::scanned(&hot, &[0..700_000], 9999))
    );
}

#[test]
fn an_empty_run_is_a_segment_too() {
    let (disk, path) = disk();
    let schema = rows::table(Some(T::Symbol), Some(T::DateTime(None)), &[T::Float64]);
    let run = Arc::new(Run::build(&schema, &[]).unwrap());
    Segment::write(disk.as_ref(), &path, &run, Codec::Zstd).unwrap();
    assert!(read_all(disk.as_ref(), &path).unwrap().is_empty());
}

#[test]
fn a_full_disk_is_said_and_leaves_no_file() {
    let (disk, path) = disk();
    let schema = rows::table(Some(T::Symbol), Some(T::DateTime(None)), &[T::Float64]);
    let run = run_of(&schema, 1, 100, 3, &mut Chance(1));
    disk.set_capacity(10);
    let error = Segment::write(disk.as_ref(), &path, &run, Codec::None).unwrap_err();
    assert_eq!(error.code, ErrorCode::NotEnoughSpace, "{error}");
    assert!(disk.list(Path::new("/data")).unwrap().is_empty());
}

#[test]
fn a_comment_that_looks_like_the_mark_does_not_confuse() {
    let (disk, path) = disk();
    let mut schema = (*rows::table(None, None, &[T::Int8])).clone();
    schema.comment = "zepto-tail:0000000000000000:00000000;".to_owned();
    let run = run_of(&Arc::new(schema), 1, 50, 1, &mut Chance(8));
    Segment::write(disk.as_ref(), &path, &run, Codec::Lz4).unwrap();
    assert!(read_all(disk.as_ref(), &path).is_ok());
}

#[test]
fn an_index_comes_back_from_its_bytes_and_damaged_bytes_do_not() {
    let schema =
        rows::table(Some(T::Symbol.nullable()), Some(T::DateTime(None)), &[T::Float64, T::Decimal(9, 2)]);
    let run = run_of(&schema, 4, 300, 3, &mut Chance(1));
    assert!(!run.index().stats.is_empty());
    let bytes = format::encode_index(run.index()).unwrap();
    let back = format::decode_index(&bytes).unwrap();
    assert_eq!(format!("{back:?}"), format!("{:?}", run.index()));
    for offset in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[offset] ^= 4;
        assert!(format::decode_index(&damaged).is_err());
        assert!(format::decode_index(&bytes[..offset]).is_err());
    }
}

/// The table and rows of the golden file: every plain type, with and without NULL.
fn golden_run() -> Arc<Run> {
    let mut types = rows::plain_types();
    types.extend(rows::plain_types().into_iter().map(T::nullable));
    let schema = rows::table(Some(T::Symbol.nullable()), Some(T::DateTime64(9, None)), &types);
    run_of(&schema, 2, 150, 2, &mut Chance(42))
}

#[test]
fn a_file_of_format_version_1_is_still_read() {
    let (disk, path) = disk();
    disk.create(&path).unwrap().write_at(include_bytes!("golden/v1.parquet"), 0).unwrap();
    let run = golden_run();
    let expected = rows::scanned(&Part::Run(Arc::clone(&run)), &[0..run.rows()], 1000);
    assert_eq!(rows::bare(&read_all(disk.as_ref(), &path).unwrap()), rows::bare(&expected));
    let segment = Segment::open(disk.as_ref(), &path).unwrap();
    assert_eq!(format!("{:?}", segment.index()), format!("{:?}", run.index()));
}

#[test]
#[ignore = "writes the golden file anew, for a new format version"]
fn write_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/segment/golden/v1.parquet");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(&path);
    Segment::write(&RealDisk, &path, &golden_run(), Codec::Lz4).unwrap();
}

#[test]
fn a_segment_just_written_shares_the_index_of_its_run() {
    let (disk, path) = disk();
    let schema = rows::table(Some(T::Symbol), Some(T::DateTime64(9, None)), &[T::Float64]);
    let run = run_of(&schema, 3, 200, 5, &mut Chance(4));
    let segment = Segment::write(disk.as_ref(), &path, &run, Codec::Lz4).unwrap();
    assert!(Arc::ptr_eq(segment.index(), run.index()));
    let opened = Segment::open(disk.as_ref(), &path).unwrap();
    assert_eq!(opened.index().offsets, run.index().offsets);
    assert_eq!(opened.index().memory(), run.index().memory());
}
