//! The log's format does not change by accident: each kind of frame, as a whole file, byte for byte.
//!
//! A file here was written by the version of the format that docs/formats/wal.md describes. If a test fails, files
//! on users' disks can no longer be read: raise the version and read both.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use zepto_common::ids::SetVersion;
use zepto_common::placement::{Grant, InSyncSet, Replica};
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::{
    BatchId, Boot, ColumnId, DiskId, Epoch, Lsn, NodeId, PartitionId, SchemaVersion, TableId, Token,
};
use zepto_engine::copies::{Block, Payload, RowChange};
use zepto_engine::disk::{Disk, SimDisk, read_file};
use zepto_engine::wal::{
    CheckpointFrame, CopiesFrame, CopyFrame, EpochStartFrame, ForgetFrame, Frame, Log, LogOptions,
    MutationFrame, MutationKind, ObjectAction, ObjectReferenceFrame, Place, ReplayOptions, RowsFrame,
    RowsItem, SchemaFrame, SourceOffset, TruncateFrame, TtlCutoffFrame, ViewFrame, replay,
};
use zepto_replication::{Entry, History, Key, LogOp, Position};

const DISK: DiskId = DiskId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
const TOKEN: Token = Token { epoch: Epoch(0x0102_0304_0506_0708), boot: Boot(0x1112_1314_1516_1718) };
const FILE: &str = "/wal/00003-00000000000000000042.wal";

fn places() -> Vec<Place> {
    vec![
        Place { partition: PartitionId(3), lsn: Lsn(1_000) },
        Place { partition: PartitionId(255), lsn: Lsn(7) },
    ]
}

fn rows(batch: Option<BatchId>) -> Frame {
    let item = |partition, lsn, first_row, rows| RowsItem {
        partition: PartitionId(partition),
        lsn: Lsn(lsn),
        first_row,
        rows,
    };
    Frame::Rows(RowsFrame {
        table: TableId(77),
        schema: SchemaVersion(5),
        token: TOKEN,
        batch,
        block: 9,
        items: vec![item(3, 1_001, 0, 10), item(255, 8, 10, 1)],
        payload: Bytes::from_static(b"any bytes, here 25 of them"),
    })
}

fn schema() -> Arc<TableSchema> {
    let column = |id, name: &str, ty: &str| Column {
        id: ColumnId(id),
        name: name.to_owned(),
        ty: ty.parse().unwrap(),
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    Arc::new(TableSchema {
        id: TableId(77),
        version: SchemaVersion(5),
        name: TableName::new("default", "trades"),
        columns: vec![column(1, "symbol", "String"), column(2, "ts", "DateTime64(9)")],
        key: Some(ColumnId(1)),
        time: Some(ColumnId(2)),
        order_by: vec![],
        ttl_seconds: Some(86_400),
        engine: "MergeTree".to_owned(),
        comment: String::new(),
    })
}

fn frames() -> Vec<(&'static str, Frame)> {
    let (token, places, table) = (TOKEN, places(), TableId(77));
    let offsets = vec![SourceOffset { source: 0, offset: 12 }, SourceOffset { source: 3, offset: u64::MAX }];
    let mutation = |kind, predicate: &str| {
        let (places, predicate) = (self::places(), predicate.to_owned());
        Frame::Mutation(MutationFrame { token, places, table, mutation: 21, kind, predicate })
    };
    vec![
        ("rows_without_batch", rows(None)),
        ("rows_of_producer", rows(Some(BatchId::Producer { producer: 0xaabb, sequence: 0xccdd }))),
        ("rows_with_token", rows(Some(BatchId::Token(0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100)))),
        ("rows_of_source", rows(Some(BatchId::Source(0x1f1e_1d1c_1b1a_1918_1716_1514_1312_1110)))),
        ("schema", Frame::Schema(SchemaFrame { token, places: places.clone(), schema: schema() })),
        (
            "checkpoint",
            Frame::Checkpoint(CheckpointFrame {
                token,
                places: places.clone(),
                table: TableId(77),
                feed: "kafka".into(),
                offsets,
            }),
        ),
        ("epoch_start", Frame::EpochStart(EpochStartFrame { token, places: places.clone() })),
        (
            "ttl_cutoff",
            Frame::TtlCutoff(TtlCutoffFrame { token, places: places.clone(), table, cutoff: -1_700_000_000 }),
        ),
        ("truncate", Frame::Truncate(TruncateFrame { token, partition: PartitionId(3), to: Lsn(999) })),
        ("mutation_delete", mutation(MutationKind::Delete, "price > 5")),
        ("mutation_update", mutation(MutationKind::Update, "price > 5")),
        ("mutation_truncate_table", mutation(MutationKind::TruncateTable, "")),
        ("mutation_drop_table", mutation(MutationKind::DropTable, "")),
        (
            "view",
            Frame::View(ViewFrame {
                token,
                places: places.clone(),
                source: table,
                view: TableId(78),
                definition: "SELECT symbol, max(price) FROM trades GROUP BY symbol".into(),
            }),
        ),
        ("forget", Frame::Forget(ForgetFrame { token, partition: PartitionId(3), epoch: Epoch(6) })),
        ("object_add", object(ObjectAction::Add)),
        ("object_drop", object(ObjectAction::Drop)),
        ("copy_entry_rows", copy(entry(Some(BatchId::Producer { producer: 0xaabb, sequence: 0xccdd })))),
        ("copy_entry_rows_without_batch", copy(entry(None))),
        (
            "copy_entry_start",
            copy(LogOp::Append(Entry { key: None, content: 0, payload: None, position: position() })),
        ),
        ("copy_entry_truncate", change(&RowChange::Truncate { mutation: 0x4142 })),
        ("copy_entry_expire", change(&RowChange::Expire { cutoff: -0x5152 })),
        ("copy_entry_delete", change(&RowChange::Delete { mutation: 0x4143, condition: "id = 5".into() })),
        ("copy_seen", copy(LogOp::Seen(TOKEN, grant()))),
        ("copy_followed", copy(LogOp::Followed(Epoch(6)))),
        ("copy_pending", copy(LogOp::Pending(SetVersion(12), grant().set.members))),
        ("copy_committed", copy(LogOp::Committed(Lsn(1_000)))),
        ("copy_cut", copy(LogOp::Truncate(Lsn(999)))),
        ("copy_installed", copy(LogOp::Installed(history()))),
        ("copies", copies()),
    ]
}

/// Entries of two copies, one of them part of a block.
fn copies() -> Frame {
    let ipc = Bytes::from_static(b"any bytes, here 25 of them");
    let block = Arc::new(Block::new(TableId(77), SchemaVersion(5), 11, ipc));
    let part = |partition: u16, number, first, rows| {
        let LogOp::Append(entry) = entry(Some(BatchId::Token(0xaabb_ccdd << 64))) else { unreachable!() };
        let payload = Some(Payload::of_block(block.clone(), first, rows));
        CopyFrame { partition: PartitionId(partition), number, op: LogOp::Append(Entry { payload, ..entry }) }
    };
    let committed = CopyFrame { partition: PartitionId(258), number: 0x22, op: LogOp::Committed(Lsn(1_000)) };
    let entries = vec![part(258, 0x21, 0, 7), committed, part(259, 0x31, 7, 4)];
    Frame::Copies(Box::new(CopiesFrame { block, entries }))
}

fn copy(op: LogOp<Payload>) -> Frame {
    // The token of a frame that has none of its own is what its body says.
    Frame::Copy(Box::new(CopyFrame { partition: PartitionId(258), number: 0x2122_2324_2526_2728, op }))
}

fn position() -> Position {
    Position { token: TOKEN, lsn: Lsn(1_001) }
}

fn entry(batch: Option<BatchId>) -> LogOp<Payload> {
    let table = TableId(77);
    let key = batch.map(|batch| Key { table, batch, block: 9 });
    let rows = Payload::new(table, SchemaVersion(5), 11, Bytes::from_static(b"any bytes, here 25 of them"));
    LogOp::Append(Entry { position: position(), key, content: 0x3132_3334_3536_3738, payload: Some(rows) })
}

fn change(change: &RowChange) -> Frame {
    let (table, schema) = (TableId(77), SchemaVersion(5));
    let key = change.mutation().map(|sequence| {
        let batch = BatchId::Producer { producer: u64::MAX, sequence };
        Key { table, batch, block: 0 }
    });
    let payload = Some(Payload::change(table, schema, change));
    copy(LogOp::Append(Entry { position: position(), key, content: 0x3132_3334_3536_3738, payload }))
}

fn replica(node: u32) -> Replica {
    Replica { node: NodeId(node), disk: DiskId(u128::from(node) << 100 | 5) }
}

fn grant() -> Grant {
    let set = InSyncSet { version: SetVersion(12), members: [replica(1), replica(4)].into() };
    Grant { partition: PartitionId(258), epoch: TOKEN.epoch, owner: replica(4), set }
}

fn history() -> History {
    let early = Token { epoch: Epoch(3), boot: Boot(9) };
    History::from_stretches(vec![(early, Lsn(1)), (TOKEN, Lsn(900))], Lsn(1_000)).unwrap()
}

fn object(action: ObjectAction) -> Frame {
    let object = "77/3/6/5d3e.parquet".to_owned();
    let (token, table) = (TOKEN, TableId(77));
    Frame::ObjectReference(ObjectReferenceFrame {
        token,
        places: places(),
        table,
        action,
        object,
        rows: 5,
        bytes: 6,
    })
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wal").join(format!("{name}.bin"))
}

/// A file with one frame and the seal, without the reserved rest.
fn written(frame: &Frame) -> Vec<u8> {
    let disk = SimDisk::new();
    let options = LogOptions { file_bytes: 4096, ..LogOptions::new(3, DISK, Boot(17)) };
    let mut log = Log::open(disk.clone(), "/wal".into(), options, 42).unwrap();
    log.append(frame).unwrap();
    log.sync().unwrap();
    let end = log.position().offset as usize;
    log.close().unwrap();
    let mut file = read_file(disk.as_ref(), Path::new(FILE), 1 << 20).unwrap();
    file.truncate(end + 56);
    file
}

/// Two files, each with its frames and its seal; the first goes on in the second.
fn two_files() -> [(&'static str, Vec<u8>); 2] {
    let disk = SimDisk::new();
    let options = LogOptions { file_bytes: 1024, ..LogOptions::new(3, DISK, Boot(17)) };
    let mut log = Log::open(disk.clone(), "/wal".into(), options, 42).unwrap();
    let frames = frames();
    let (_, frame) = frames.iter().find(|(name, _)| *name == "schema").unwrap();
    let mut ends = [0, 0];
    while log.position().sequence < 44 {
        ends[log.position().sequence as usize - 42] = log.position().offset as usize;
        log.append(frame).unwrap();
        log.sync().unwrap();
    }
    let file = |sequence: u64, length: usize| {
        let path = format!("/wal/00003-{sequence:020}.wal");
        let mut file = read_file(disk.as_ref(), Path::new(&path), 1 << 20).unwrap();
        file.truncate(length);
        file
    };
    [("continued", file(42, ends[0] + 64)), ("continuation", file(43, ends[1]))]
}

#[test]
fn every_kind_of_frame_is_written_as_it_always_was() {
    for (name, frame) in frames() {
        let golden = std::fs::read(golden(name)).unwrap();
        assert_eq!(written(&frame), golden, "{name}");
    }
    for (name, file) in two_files() {
        assert_eq!(file, std::fs::read(golden(name)).unwrap(), "{name}");
    }
}

#[test]
fn every_kind_of_frame_that_was_ever_written_is_read() {
    for (name, frame) in frames() {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/wal")).unwrap();
        let file = disk.create(Path::new(FILE)).unwrap();
        file.write_at(&std::fs::read(golden(name)).unwrap(), 0).unwrap();
        let options = ReplayOptions { disk_id: DISK, allow_corrupt_tail: false, heads: None };
        let found: Vec<Frame> =
            replay(disk, Path::new("/wal"), options).unwrap().map(|next| next.unwrap().1).collect();
        assert_eq!(found, [frame], "{name}");
    }
}

/// Before the table was named the positions of a feed were those of no table.
#[test]
fn positions_without_a_table_are_read() {
    let old = golden("x").parent().unwrap().with_file_name("wal_0_1").join("checkpoint.bin");
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/wal")).unwrap();
    let file = disk.create(Path::new(FILE)).unwrap();
    file.write_at(&std::fs::read(old).unwrap(), 0).unwrap();
    let options = ReplayOptions { disk_id: DISK, allow_corrupt_tail: false, heads: None };
    let found: Vec<Frame> =
        replay(disk, Path::new("/wal"), options).unwrap().map(|next| next.unwrap().1).collect();
    let (_, mut wanted) = frames().into_iter().find(|(name, _)| *name == "checkpoint").unwrap();
    if let Frame::Checkpoint(frame) = &mut wanted {
        frame.table = TableId(0);
    }
    assert_eq!(found, [wanted]);
}

/// Version 0.1 left its files' length out of the header.
#[test]
fn files_of_version_0_1_are_read() {
    for name in ["rows_with_token", "schema"] {
        let old = golden(name).parent().unwrap().with_file_name("wal_0_1").join(format!("{name}.bin"));
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/wal")).unwrap();
        let file = disk.create(Path::new(FILE)).unwrap();
        file.write_at(&std::fs::read(old).unwrap(), 0).unwrap();
        let options = ReplayOptions { disk_id: DISK, allow_corrupt_tail: false, heads: None };
        let found: Vec<Frame> =
            replay(disk, Path::new("/wal"), options).unwrap().map(|next| next.unwrap().1).collect();
        let wanted = frames().into_iter().find(|(known, _)| *known == name).unwrap().1;
        assert_eq!(found, [wanted], "{name}");
    }
}

#[test]
fn there_is_no_golden_file_that_nothing_checks() {
    let dir = golden("x").parent().unwrap().to_owned();
    let mut there: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let names = frames().into_iter().map(|(name, _)| name).chain(two_files().map(|(name, _)| name));
    let mut known: Vec<String> = names.map(|name| format!("{name}.bin")).collect();
    there.sort();
    known.sort();
    assert_eq!(there, known);
}

/// `cargo test -p zepto-engine --test wal_golden -- --ignored` after a deliberate new version.
#[test]
#[ignore = "writes the files that the other tests compare with"]
fn write_golden_files() {
    for (name, frame) in frames() {
        std::fs::write(golden(name), written(&frame)).unwrap();
    }
    for (name, file) in two_files() {
        std::fs::write(golden(name), file).unwrap();
    }
}
