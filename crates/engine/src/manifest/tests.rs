use std::path::Path;

use bytes::Bytes;
use zepto_common::{PartitionId, SchemaVersion, TableId};

use super::{Manifest, SegmentEntry};

fn sample() -> Manifest {
    let mut manifest = Manifest::new(4, 2);
    manifest.applied = vec![1, 2, 3, 4];
    let segment = SegmentEntry { id: 1, shard: 1, schema: SchemaVersion(2), rows: 10, bytes: 99, age: 0 };
    manifest.table(TableId(7)).segments.push(segment);
    manifest.table(TableId(7)).floor = vec![0, 9, 0, 0];
    manifest.table(TableId(7)).cutoff = Some(-5);
    manifest.windows.insert((TableId(7), 0), Bytes::from_static(b"window"));
    manifest.windows.insert((TableId(7), 1), Bytes::from_static(b""));
    manifest.windows.insert((TableId(8), 1), Bytes::from_static(b"other"));
    manifest
}

#[test]
fn a_manifest_reads_back_as_it_was_written() {
    let manifest = sample();
    let bytes = manifest.encode().expect("encodes");
    assert_eq!(Manifest::decode(&bytes, Path::new("MANIFEST")).expect("decodes"), manifest);
}

#[test]
fn a_damaged_manifest_is_refused_with_file_and_offset() {
    let bytes = sample().encode().expect("encodes");
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let error = Manifest::decode(&damaged, Path::new("/d/MANIFEST")).expect_err("a changed byte is seen");
        assert!(error.message.starts_with("/d/MANIFEST: byte "), "{}", error.message);
    }
    for length in 0..bytes.len() {
        assert!(Manifest::decode(&bytes[..length], Path::new("MANIFEST")).is_err());
    }
}

#[test]
fn a_floor_goes_when_the_applied_lsns_have_passed_it() {
    let mut manifest = sample();
    assert_eq!(manifest.tables[&TableId(7)].floor_of(PartitionId(1)).0, 9);
    manifest.drop_passed_floors();
    assert!(!manifest.tables[&TableId(7)].floor.is_empty());
    manifest.applied[1] = 9;
    manifest.drop_passed_floors();
    assert!(manifest.tables[&TableId(7)].floor.is_empty());
}
