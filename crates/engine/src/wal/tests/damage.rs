//! Damage against torn tails: what may be lost quietly, and what must stop the start.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::{append_all, dir, number_of, numbers, open, options, read, rows};
use crate::disk::{Disk, SimDisk, read_full};
use crate::error::EngineError;
use crate::wal::{Frame, LogPosition};

pub(super) fn path(sequence: u64) -> PathBuf {
    dir().join(format!("00000-{sequence:020}.wal"))
}

/// Groups of three frames in one large file; where each frame begins, and where the log ends.
fn large_file(groups: u64) -> (Arc<SimDisk>, Vec<LogPosition>, LogPosition) {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 1 << 16), 1);
    for group in 0..groups {
        append_all(&mut log, group * 3 + 1..=group * 3 + 3, 200);
        log.sync().unwrap();
    }
    let (frames, end) = (read_without_finish(&disk), log.position());
    (disk, frames, end)
}

fn read_without_finish(disk: &Arc<SimDisk>) -> Vec<LogPosition> {
    let replay = crate::wal::replay(disk.clone(), &dir(), super::replay_options(false)).unwrap();
    replay.map(|next| next.unwrap().0).collect()
}

#[test]
fn damage_to_a_synced_frame_is_an_error_that_names_file_and_offset() {
    let (disk, frames, _) = large_file(3);
    for (hurt, begin) in frames.iter().enumerate().take(6) {
        let image = disk.now().image(crate::disk::sim::CrashImage::Everything);
        image.flip(&path(1), begin.offset + 100, 0x10).unwrap();
        let (read_frames, outcome) = read(&image, false);
        assert_eq!(read_frames.len(), hurt, "earlier frames are not lost");
        match outcome.unwrap_err() {
            EngineError::Corrupt { path: at, offset, .. } => {
                assert_eq!((at, offset), (path(1), begin.offset));
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn damage_to_the_last_group_cannot_be_told_from_a_torn_tail() {
    let (disk, frames, end) = large_file(3);
    disk.flip(&path(1), frames[7].offset + 100, 0x10).unwrap();
    let (read_frames, outcome) = read(&disk, false);
    assert_eq!(read_frames.len(), 7);
    let summary = outcome.unwrap();
    let torn = &summary.torn[0];
    assert_eq!((torn.offset, torn.bytes), (frames[7].offset, end.offset - frames[7].offset));
    assert_eq!((torn.frames, torn.corrupt), (1, false));
}

#[test]
fn after_a_clean_end_damage_to_the_last_group_is_found() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 1 << 16), 1);
    append_all(&mut log, 1..=3, 200);
    log.sync().unwrap();
    log.close().unwrap();
    disk.flip(&path(1), 200, 1).unwrap();
    assert!(matches!(read(&disk, false).1, Err(EngineError::Corrupt { .. })));
}

#[test]
fn a_corrupt_tail_is_cut_only_when_asked_and_the_next_start_needs_not_be_asked() {
    let (disk, frames, end) = large_file(3);
    disk.flip(&path(1), frames[2].offset + 100, 0x10).unwrap();
    assert!(read(&disk, false).1.is_err());
    let (read_frames, outcome) = read(&disk, true);
    assert_eq!(read_frames.len(), 2);
    let summary = outcome.unwrap();
    let torn = &summary.torn[0];
    assert!(torn.corrupt && torn.frames == 6 && torn.bytes == end.offset - frames[2].offset);
    let mut log = open(&disk, options(0, 2, 4096), summary.next_sequence(0));
    append_all(&mut log, [50], 10);
    log.sync().unwrap();
    assert_eq!(numbers(&disk), [1, 2, 50]);
}

#[test]
fn allow_corrupt_tail_does_not_touch_files_that_others_follow() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, 1..=12, 700);
    log.sync().unwrap();
    for sequence in 1..=2 {
        let image = disk.now().image(crate::disk::sim::CrashImage::Everything);
        image.flip(&path(sequence), 3000, 1).unwrap();
        assert!(matches!(read(&image, true).1, Err(EngineError::Corrupt { .. })), "{sequence}");
    }
}

#[test]
fn a_damaged_file_header_stops_the_start() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    for number in 1..=12 {
        append_all(&mut log, [number], 700);
        log.sync().unwrap();
    }
    let newest = log.position().sequence;
    for sequence in 1..=newest {
        let image = disk.now().image(crate::disk::sim::CrashImage::Everything);
        image.flip(&path(sequence), 20, 1).unwrap();
        assert!(matches!(read(&image, false).1, Err(EngineError::Corrupt { .. })), "{sequence}");
    }
}

#[test]
fn a_newest_file_that_was_cut_is_refused_until_its_end_is_given_up() {
    let (disk, frames, end) = large_file(5);
    let cut = frames[10].offset + 20;
    assert!(cut < end.offset);
    disk.open(&path(1)).unwrap().set_len(cut).unwrap();
    let (found, outcome) = read(&disk, false);
    assert_eq!(found.len(), 10);
    let EngineError::Corrupt { path: at, offset, what } = outcome.unwrap_err() else {
        panic!("another fault")
    };
    assert_eq!((at, offset), (path(1), cut));
    assert!(what.contains("made with 65536 bytes"), "{what}");
    assert_eq!(read(&disk, true).0.len(), 10);
    assert_eq!(numbers(&disk), (1..=10).collect::<Vec<_>>(), "what was given up once is not asked for again");
}

#[test]
fn a_file_cut_short_in_the_middle_of_the_log_stops_the_start() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, 1..=12, 700);
    log.sync().unwrap();
    let first = read_without_finish(&disk)[2];
    disk.open(&path(1)).unwrap().set_len(first.offset).unwrap();
    assert!(matches!(read(&disk, true).1, Err(EngineError::Corrupt { .. })));
}

#[test]
fn a_whole_frame_inside_a_payload_is_never_taken_for_a_frame() {
    // A client stores bytes of this very log; then the frame that carries them is torn.
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 1 << 16), 1);
    append_all(&mut log, 1..=2, 200);
    log.sync().unwrap();
    append_all(&mut log, [3], 200);
    log.sync().unwrap();
    let mut copy = vec![0; log.position().offset as usize];
    let file = disk.open(&path(1)).unwrap();
    read_full(file.as_ref(), &mut copy, 0).unwrap();
    let Frame::Rows(mut carrier) = rows(4, 0) else { unreachable!() };
    carrier.payload = Bytes::from(copy);
    let begin = log.position();
    log.append(&Frame::Rows(carrier)).unwrap();
    log.sync().unwrap();
    disk.flip(&path(1), begin.offset + 60, 1).unwrap();
    let (frames, outcome) = read(&disk, false);
    assert_eq!(frames.len(), 3);
    assert_eq!(outcome.unwrap().torn[0].frames, 0);
}

#[test]
fn a_newer_file_is_refused_by_name_and_not_called_corrupt() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, [1], 10);
    log.sync().unwrap();
    let file = disk.open(&path(1)).unwrap();
    let mut header = [0; 64];
    read_full(file.as_ref(), &mut header, 0).unwrap();
    header[8] = 2;
    let crc = crc32c::crc32c(&header[..60]);
    header[60..].copy_from_slice(&crc.to_le_bytes());
    file.write_at(&header, 0).unwrap();
    assert!(matches!(read(&disk, true).1, Err(EngineError::TooNew { .. })));
}

/// Several files and groups; the numbers in them and the first number of the last group.
fn small_files(sizes: &[usize]) -> (Arc<SimDisk>, Vec<(LogPosition, u64)>, u64) {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    let mut last = 1;
    for (index, sizes) in sizes.chunks(3).enumerate() {
        last = index as u64 * 3 + 1;
        for (number, &bytes) in (last..).zip(sizes) {
            append_all(&mut log, [number], bytes);
        }
        log.sync().unwrap();
    }
    let replay = crate::wal::replay(disk.clone(), &dir(), super::replay_options(false)).unwrap();
    let frames = replay.map(|next| next.unwrap()).map(|(at, frame)| (at, number_of(&frame))).collect();
    (disk, frames, last)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_flipped_byte_gives_a_prefix_and_silence_only_about_the_last_group(
        sizes in prop::collection::vec(0usize..1200, 3..18),
        file in any::<prop::sample::Index>(),
        offset in 0u64..4096,
        mask in 1u8..=255,
        allow in any::<bool>(),
    ) {
        let (disk, frames, last_group) = small_files(&sizes);
        let files = frames.last().unwrap().0.sequence;
        let hurt = path(file.index(files as usize) as u64 + 1);
        disk.flip(&hurt, offset, mask).unwrap();
        let (found, outcome) = read(&disk, allow);
        let found: Vec<u64> = found.iter().map(|(_, frame)| number_of(frame)).collect();
        prop_assert!(found.iter().copied().eq(1..=found.len() as u64), "{found:?}");
        if outcome.is_ok() && !allow {
            prop_assert!(found.len() as u64 + 1 >= last_group, "{} of {}", found.len(), frames.len());
        }
        // A frame before the damage is never lost.
        let here = |at: &LogPosition| path(at.sequence) == hurt;
        let before = frames.iter().filter(|(at, _)| at.sequence < file_number(&hurt) || here(at) && offset >= 64)
            .take_while(|(at, _)| !here(at) || at.offset < offset).count();
        prop_assert!(found.len() + 1 >= before || outcome.is_err());
    }

    #[test]
    fn any_cut_of_the_newest_file_gives_a_prefix(
        sizes in prop::collection::vec(0usize..1200, 1..12),
        cut in 0u64..4096,
    ) {
        let (disk, frames, _) = small_files(&sizes);
        let newest = frames.last().unwrap().0.sequence;
        disk.open(&path(newest)).unwrap().set_len(cut).unwrap();
        let whole = frames.iter().enumerate().filter(|(index, (at, _))| {
            at.sequence < newest || frames.get(index + 1).is_some_and(|next| next.0.offset <= cut)
        }).count();
        let (found, outcome) = read(&disk, false);
        // A group was synced before the place of the cut: then the file was longer, and its end is missing.
        let refused = matches!(&outcome, Err(EngineError::Corrupt { offset, .. }) if *offset == cut);
        prop_assert!(outcome.is_ok() || refused && read(&disk, true).1.is_ok());
        prop_assert!(found.len() >= whole, "{} of {}", found.len(), whole);
        prop_assert!(found.iter().map(|(_, frame)| number_of(frame)).eq(1..=found.len() as u64));
    }

    #[test]
    fn garbage_never_panics_and_is_never_a_frame(garbage in prop::collection::vec(any::<u8>(), 0..5000)) {
        let disk = SimDisk::new();
        disk.create_dir_all(&dir()).unwrap();
        disk.create(&path(1)).unwrap().write_at(&garbage, 0).unwrap();
        let (found, outcome) = read(&disk, true);
        prop_assert!(found.is_empty());
        prop_assert!(outcome.is_ok());
    }
}

fn file_number(path: &std::path::Path) -> u64 {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    name.split_once('-').unwrap().1.parse().unwrap()
}
