//! Laws of the log, on a disk that can lose power.

mod codec;
mod crash;
mod damage;
mod ends;
mod faults;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use zepto_common::{BatchId, Boot, DiskId, Epoch, Lsn, PartitionId, SchemaVersion, TableId, Token};

use super::{Frame, Log, LogOptions, LogPosition, ReplayOptions, ReplaySummary, RowsFrame, RowsItem, replay};
use crate::disk::SimDisk;
use crate::error::Result;

const DISK: DiskId = DiskId(0x0123_4567_89ab_cdef_0011_2233_4455_6677);

fn dir() -> PathBuf {
    PathBuf::from("/data/wal")
}

fn options(thread: u16, boot: u64, file_bytes: u64) -> LogOptions {
    LogOptions { file_bytes, ..LogOptions::new(thread, DISK, Boot(boot)) }
}

fn open(disk: &Arc<SimDisk>, options: LogOptions, sequence: u64) -> Log {
    Log::open(disk.clone(), dir(), options, sequence).unwrap()
}

/// A rows frame that `number` alone determines; `bytes` of payload.
fn rows(number: u64, bytes: usize) -> Frame {
    let payload: Vec<u8> = (0..bytes).map(|i| (number as usize * 31 + i * 7) as u8).collect();
    Frame::Rows(RowsFrame {
        table: TableId(number),
        schema: SchemaVersion(1),
        token: Token { epoch: Epoch(3), boot: Boot(9) },
        batch: Some(BatchId::Producer { producer: 5, sequence: number }),
        block: 2,
        items: vec![RowsItem { partition: PartitionId(7), lsn: Lsn(number), first_row: 0, rows: 4 }],
        payload: payload.into(),
    })
}

fn number_of(frame: &Frame) -> u64 {
    match frame {
        Frame::Rows(rows) => rows.table.0,
        other => panic!("not a rows frame: {other:?}"),
    }
}

fn replay_options(allow_corrupt_tail: bool) -> ReplayOptions {
    ReplayOptions { disk_id: DISK, allow_corrupt_tail, heads: None }
}

type Replayed = Vec<(LogPosition, Frame)>;

/// All frames up to the end or the first error.
fn read(disk: &Arc<SimDisk>, allow_corrupt_tail: bool) -> (Replayed, Result<ReplaySummary>) {
    read_with(disk, replay_options(allow_corrupt_tail))
}

fn read_with(disk: &Arc<SimDisk>, options: ReplayOptions) -> (Replayed, Result<ReplaySummary>) {
    let mut replay = match replay(disk.clone(), &dir(), options) {
        Ok(replay) => replay,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut frames = Vec::new();
    while let Some(next) = replay.next() {
        match next {
            Ok(frame) => frames.push(frame),
            Err(error) => {
                assert!(replay.next().is_none(), "nothing follows an error");
                return (frames, Err(error));
            }
        }
    }
    (frames, replay.finish())
}

fn numbers(disk: &Arc<SimDisk>) -> Vec<u64> {
    let (frames, summary) = read(disk, false);
    summary.unwrap();
    frames.iter().map(|(_, frame)| number_of(frame)).collect()
}

fn append_all(log: &mut Log, numbers: impl IntoIterator<Item = u64>, bytes: usize) {
    for number in numbers {
        log.append(&rows(number, bytes)).unwrap();
    }
}

fn file_names(disk: &SimDisk) -> Vec<String> {
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    disk.files().iter().map(|(path, _)| name(path)).collect()
}

#[test]
fn what_was_synced_is_replayed_in_order_and_what_was_not_appended_is_not() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 1 << 16), 1);
    append_all(&mut log, 1..=3, 100);
    log.sync().unwrap();
    append_all(&mut log, 4..=5, 1000);
    log.sync().unwrap();
    assert_eq!(numbers(&disk), [1, 2, 3, 4, 5]);
}

#[test]
fn a_sync_is_one_write_and_one_sync() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 1 << 20), 1);
    append_all(&mut log, 1..=50, 300);
    let before = disk.syncs();
    log.sync().unwrap();
    assert_eq!(disk.syncs() - before, 1);
    assert_eq!(log.sync().unwrap(), std::time::Duration::ZERO);
    assert_eq!(disk.syncs() - before, 1, "an empty group costs nothing");
}

#[test]
fn frames_come_back_at_the_position_they_were_appended_at() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    let mut positions = Vec::new();
    for number in 1..=20 {
        log.append(&rows(number, 500)).unwrap();
        // A frame that opens a new file begins behind that file's header.
        positions.push(log.position());
        log.sync().unwrap();
        assert_eq!(log.synced(), log.position());
    }
    let (frames, _) = read(&disk, false);
    assert_eq!(frames.len(), 20);
    for ((begin, _), end) in frames.iter().zip(&positions) {
        assert!(begin < end && begin.sequence == end.sequence);
    }
    for pair in frames.windows(2) {
        assert!(pair[0].0 < pair[1].0);
    }
}

#[test]
fn a_frame_never_spans_files_and_a_large_one_gets_a_file_of_its_own_size() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, [1], 100);
    append_all(&mut log, [2], 50_000);
    append_all(&mut log, [3], 100);
    log.sync().unwrap();
    assert_eq!(numbers(&disk), [1, 2, 3]);
    let lengths: Vec<u64> = disk.files().iter().map(|(_, length)| *length).collect();
    assert_eq!(lengths.len(), 3);
    assert!(lengths[0] == 4096 && lengths[1] > 50_000 && lengths[1] < 51_000 && lengths[2] == 4096);
}

#[test]
fn a_file_never_grows_beyond_what_was_reserved_for_it() {
    // Every size modulo the alignment, so that some frame leaves no room at all, not even for the seal.
    for bytes in (0..400).step_by(8) {
        let disk = SimDisk::new();
        let mut log = open(&disk, options(0, 1, 2048), 1);
        append_all(&mut log, 1..=9, 200);
        append_all(&mut log, 10..=20, bytes);
        log.sync().unwrap();
        log.close().unwrap();
        assert!(disk.files().iter().all(|(_, length)| *length == 2048), "{bytes}: {:?}", disk.files());
        assert_eq!(numbers(&disk), (1..=20).collect::<Vec<_>>());
        assert!(disk.files().iter().all(|(_, length)| *length == 2048), "{bytes}: {:?}", disk.files());
    }
}

#[test]
fn released_files_are_used_again_and_their_old_frames_never_come_back() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    // Equal sizes: old frames stand exactly where new ones would.
    for number in 1..=200 {
        append_all(&mut log, [number], 700);
        log.sync().unwrap();
        log.release(log.synced()).unwrap();
        let replayed = numbers_without_finish(&disk);
        assert_eq!(replayed.last(), Some(&number));
        assert!(replayed.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{replayed:?}");
        assert!(replayed.len() <= 5);
    }
    assert!(disk.files().len() <= 6, "{:?}", file_names(&disk));
    assert!(file_names(&disk).iter().any(|name| name.ends_with(".spare")));
}

fn numbers_without_finish(disk: &Arc<SimDisk>) -> Vec<u64> {
    let replay = replay(disk.clone(), &dir(), replay_options(false)).unwrap();
    replay.map(|next| number_of(&next.unwrap().1)).collect()
}

#[test]
fn nothing_that_is_not_covered_is_released() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    let mut positions = Vec::new();
    for number in 1..=30 {
        append_all(&mut log, [number], 700);
        log.sync().unwrap();
        positions.push(log.synced());
    }
    let covered = 17;
    log.release(positions[covered - 1]).unwrap();
    let left = numbers_without_finish(&disk);
    assert!(left[0] <= covered as u64 + 1 && left[0] > 10, "{left:?}");
    assert_eq!(left.last(), Some(&30));
}

#[test]
fn the_number_of_spares_is_bounded() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, 1..=100, 700);
    log.sync().unwrap();
    log.release(log.synced()).unwrap();
    let spares = file_names(&disk).iter().filter(|name| name.ends_with(".spare")).count();
    assert_eq!(spares, zepto_common::limits::LOG_SPARES_MAX);
    drop(log);
    let log = open(&disk, LogOptions { spares_max: 2, ..options(0, 2, 4096) }, 1000);
    drop(log);
    let spares = file_names(&disk).iter().filter(|name| name.ends_with(".spare")).count();
    // One was taken for the new file.
    assert_eq!(spares, 1);
}

#[test]
fn logs_of_threads_that_are_gone_are_replayed_in_the_order_of_starts() {
    let disk = SimDisk::new();
    // Thread 2 in start 1, then thread 0 in start 2 has the same partition.
    let mut log = open(&disk, options(2, 1, 4096), 1);
    append_all(&mut log, 1..=10, 700);
    log.sync().unwrap();
    drop(log);
    let (_, summary) = read(&disk, false);
    let summary = summary.unwrap();
    assert_eq!((summary.next_sequence(2), summary.next_sequence(0)), (4, 1));
    let mut log = open(&disk, options(0, 2, 4096), summary.next_sequence(0));
    append_all(&mut log, 11..=15, 700);
    log.sync().unwrap();
    log.close().unwrap();
    assert_eq!(numbers(&disk), (1..=15).collect::<Vec<_>>());
    let (_, summary) = read(&disk, false);
    let mut summary = summary.unwrap();
    assert_eq!(summary.frames(), 15);
    summary.release(disk.as_ref(), &dir(), 1).unwrap();
    assert_eq!(file_names(&disk), Vec::<String>::new());
}

#[test]
fn a_log_may_be_reopened_again_and_again() {
    let disk = SimDisk::new();
    let mut number = 0;
    for boot in 1..=6 {
        let (frames, summary) = read(&disk, false);
        assert_eq!(frames.len() as u64, number);
        let mut log = open(&disk, options(0, boot, 4096), summary.unwrap().next_sequence(0));
        append_all(&mut log, number + 1..=number + 3, 900);
        log.sync().unwrap();
        number += 3;
        if boot % 2 == 0 {
            log.close().unwrap();
        }
    }
    assert_eq!(numbers(&disk), (1..=18).collect::<Vec<_>>());
}

#[test]
fn a_frame_over_the_limit_is_refused_and_leaves_the_group_as_it_was() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, [1], 10);
    let position = log.position();
    let Frame::Rows(mut large) = rows(2, 0) else { unreachable!() };
    large.payload = Bytes::from(vec![0; zepto_common::limits::FRAME_BYTES_MAX]);
    let refused = log.append(&Frame::Rows(large)).unwrap_err();
    assert_eq!(refused.code(), zepto_common::ErrorCode::TooManyRowsOrBytes);
    assert_eq!(log.position(), position);
    log.sync().unwrap();
    assert_eq!(numbers(&disk), [1]);
}

#[test]
fn a_replay_that_did_not_reach_its_end_cannot_be_finished() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, 1..=2, 10);
    log.sync().unwrap();
    let mut replay = replay(disk.clone(), &dir(), replay_options(false)).unwrap();
    replay.next().unwrap().unwrap();
    replay.finish().unwrap_err();
}

#[test]
fn a_log_of_another_disk_is_refused() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, [1], 10);
    log.sync().unwrap();
    let other = ReplayOptions { disk_id: DiskId(1), allow_corrupt_tail: true, heads: None };
    let refused = replay(disk.clone(), &dir(), other).unwrap_err();
    assert!(refused.to_string().contains("belongs to disk"), "{refused}");
}

#[test]
fn a_missing_folder_is_an_empty_log() {
    let (frames, summary) = read(&SimDisk::new(), false);
    assert!(frames.is_empty());
    assert_eq!(summary.unwrap().next_sequence(0), 1);
}
