//! A full disk, a read-only disk, a disk that fails.

use std::sync::Arc;

use zepto_common::ErrorCode;

use super::{append_all, dir, numbers, open, options, read};
use crate::disk::sim::Fault;
use crate::disk::{Disk, SimDisk};
use crate::error::EngineError;
use crate::wal::Log;

#[test]
fn after_a_full_disk_the_log_goes_on_and_what_was_refused_never_comes_back() {
    // The disk fills up at every 64th byte of a workload whose groups have equal sizes, so that a refused frame
    // left behind would stand exactly at the end of a later good group.
    let mut refused_at_write = 0;
    for room in (0..12_000).step_by(64) {
        let disk = SimDisk::new();
        let mut log = open(&disk, options(0, 1, 4096), 1);
        append_all(&mut log, [1], 400);
        log.sync().unwrap();
        disk.fail(Fault::NoSpaceAfter(room));
        let mut stored = vec![1];
        for group in 0..4u64 {
            let (frames, position) = (group * 10 + 10..group * 10 + 16, log.synced());
            append_all(&mut log, frames.clone(), 400);
            disk.record();
            match log.sync() {
                Ok(_) => stored.extend(frames),
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::NotEnoughSpace, "{error}");
                    assert!(!log.has_failed());
                    assert_eq!((log.position(), log.synced()), (position, position));
                    refused_at_write += 1;
                    check_images(&disk, &stored, room);
                    check_taking_back(&disk, &stored, room);
                    disk.heal();
                    append_all(&mut log, [group * 10 + 17], 400);
                    log.sync().unwrap();
                    stored.push(group * 10 + 17);
                    let file = format!("00000-{:020}.wal", log.position().sequence);
                    let length = disk.open(&dir().join(file)).unwrap().len().unwrap();
                    assert_eq!(length, 4096, "what was cut off is reserved again");
                }
            }
        }
        check_images(&disk, &stored, room);
        log.close().unwrap();
        assert_eq!(numbers(&disk), stored, "room {room}");
    }
    assert!(refused_at_write > 100);
}

#[test]
fn after_a_read_only_disk_the_log_goes_on_and_what_was_refused_comes_back_only_with_a_crash_before() {
    let mut left_behind = 0;
    for room in (0..12_000).step_by(64) {
        let disk = SimDisk::new();
        let mut log = open(&disk, options(0, 1, 4096), 1);
        append_all(&mut log, [1], 400);
        log.sync().unwrap();
        disk.fail(Fault::ReadOnlyAfter(room));
        let mut stored = vec![1];
        for group in 0..4u64 {
            let (frames, position) = (group * 10 + 10..group * 10 + 16, log.synced());
            append_all(&mut log, frames.clone(), 400);
            let Err(error) = log.sync() else {
                stored.extend(frames);
                continue;
            };
            assert_eq!(error.code(), ErrorCode::TableIsReadOnly, "{error}");
            assert!(!log.has_failed());
            assert_eq!((log.position(), log.synced()), (position, position));
            let unknown = matches!(error, EngineError::LeftBehind { .. });
            left_behind += i32::from(unknown);
            let attempted: Vec<u64> = stored.iter().copied().chain(frames).collect();
            for (kind, image) in disk.now().images(4) {
                let found = numbers(&image);
                let allowed = attempted.starts_with(&found) && found.len() >= stored.len();
                assert!(allowed && (unknown || found == stored), "room {room} {kind:?}: {found:?}");
            }
            append_all(&mut log, [group * 10 + 16], 400);
            let again = log.sync().expect_err("nothing has changed");
            let owed = matches!(again, EngineError::LeftBehind { .. });
            assert!(again.code() == ErrorCode::TableIsReadOnly && !(unknown && owed), "room {room}: {again}");
            disk.heal();
            append_all(&mut log, [group * 10 + 17], 400);
            log.sync().unwrap();
            stored.push(group * 10 + 17);
        }
        check_images(&disk, &stored, room);
        log.close().unwrap();
        assert_eq!(numbers(&disk), stored, "room {room}");
    }
    assert!(left_behind > 50, "{left_behind}");
}

#[test]
fn what_a_read_only_disk_left_behind_is_cut_off_before_anything_is_written() {
    for power_lost_at in 0..3 {
        let disk = SimDisk::new();
        let mut log = open(&disk, options(0, 1, 1 << 16), 1);
        append_all(&mut log, [1], 400);
        log.sync().unwrap();
        disk.fail(Fault::ReadOnlyAfter(1_000));
        append_all(&mut log, 2..=6, 400);
        assert!(matches!(log.sync(), Err(EngineError::LeftBehind { .. })));
        disk.heal();
        disk.record();
        append_all(&mut log, [7], 400);
        log.sync().unwrap();
        let boundary = disk.boundaries().into_iter().nth(power_lost_at);
        let Some(boundary) = boundary else { continue };
        for (kind, image) in boundary.images(3) {
            let found = numbers(&image);
            let apart = !(found.contains(&7) && found.contains(&2));
            assert!(found[0] == 1 && apart, "{power_lost_at} {kind:?}: {found:?}");
        }
    }
}

/// The power goes before the refusal is answered: frames of the group may be there, the start goes well.
fn check_taking_back(disk: &Arc<SimDisk>, stored: &[u64], room: u64) {
    for boundary in disk.boundaries() {
        for (kind, image) in boundary.images(2) {
            let found = numbers(&image);
            assert!(found.starts_with(stored), "room {room}, {} {kind:?}: {found:?}", boundary.number());
        }
    }
}

/// Nothing is in flight: every image of this moment has exactly these frames.
fn check_images(disk: &Arc<SimDisk>, stored: &[u64], room: u64) {
    for (kind, image) in disk.now().images(4) {
        assert_eq!(numbers(&image), stored, "room {room} {kind:?}");
    }
}

#[test]
fn no_room_for_the_next_file_shows_before_anything_is_written() {
    let disk = SimDisk::new();
    disk.set_capacity(10_000);
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, 1..=4, 700);
    log.sync().unwrap();
    append_all(&mut log, 5..=14, 700);
    let syncs = disk.syncs();
    assert_eq!(log.sync().unwrap_err().code(), ErrorCode::NotEnoughSpace);
    assert!(disk.syncs() - syncs <= 1, "at most the folder was synced");
    disk.set_capacity(1 << 20);
    append_all(&mut log, 5..=14, 700);
    log.sync().unwrap();
    assert_eq!(numbers(&disk), (1..=14).collect::<Vec<_>>());
}

#[test]
fn after_a_failed_sync_the_log_refuses_everything_until_it_is_opened_again() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, 1..=2, 100);
    log.sync().unwrap();
    append_all(&mut log, [3], 100);
    disk.fail(Fault::SyncFails);
    let failed = log.sync().unwrap_err();
    assert_eq!(failed.code(), ErrorCode::CannotFsync);
    assert!(failed.to_string().contains("restart"), "{failed}");
    // The next sync would succeed and lie: the kernel has dropped the pages.
    disk.heal();
    assert!(matches!(log.sync(), Err(EngineError::LogFailed { .. })));
    assert!(matches!(log.append(&super::rows(4, 1)), Err(EngineError::LogFailed { .. })));
    assert!(log.has_failed());
    assert!(matches!(log.close(), Err(EngineError::LogFailed { .. })));
    let cut = disk.now().image(crate::disk::sim::CrashImage::DurableOnly);
    assert_eq!(numbers(&cut), [1, 2]);
}

#[test]
fn after_a_failed_write_the_log_refuses_everything() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, [1], 100);
    disk.fail(Fault::WriteFails);
    assert_eq!(log.sync().unwrap_err().code(), ErrorCode::CannotFsync);
    disk.heal();
    assert!(matches!(log.sync(), Err(EngineError::LogFailed { .. })));
}

#[test]
fn a_failed_sync_of_the_folder_poisons_the_log() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, 1..=20, 700);
    disk.fail(Fault::SyncFails);
    assert!(matches!(log.sync(), Err(EngineError::LogFailed { .. })));
    disk.heal();
    assert!(matches!(log.sync(), Err(EngineError::LogFailed { .. })));
}

#[test]
fn a_read_only_disk_is_refused_in_clear_words() {
    let disk = SimDisk::new();
    disk.create_dir_all(&dir()).unwrap();
    disk.fail(Fault::ReadOnly);
    let refused = Log::open(disk.clone(), dir(), options(0, 1, 4096), 1).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::TableIsReadOnly);
    assert!(refused.to_string().contains("read-only"), "{refused}");
}

#[test]
fn an_unreadable_log_stops_the_start() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, [1], 100);
    log.sync().unwrap();
    disk.fail(Fault::ReadFails);
    let (frames, outcome) = read(&disk, true);
    assert!(frames.is_empty());
    assert_eq!(outcome.unwrap_err().code(), ErrorCode::CannotReadAllData);
}

/// A node whose disk filled up must come back to be read: its start writes a few bytes and reserves what there is.
#[test]
fn a_start_needs_room_for_its_own_bytes_only() {
    let disk = SimDisk::new();
    disk.set_capacity(4_000);
    let mut log = open(&disk, options(0, 1, 1 << 20), 1);
    append_all(&mut log, [1], 400);
    log.sync().unwrap();
    append_all(&mut log, [2], 40_000);
    assert_eq!(log.sync().unwrap_err().code(), ErrorCode::NotEnoughSpace);
    disk.set_capacity(u64::MAX);
    append_all(&mut log, [3], 40_000);
    log.sync().unwrap();
    log.close().unwrap();
    assert_eq!(numbers(&disk), [1, 3]);
}
