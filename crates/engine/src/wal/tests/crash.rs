//! A power cut at every sync of a workload, in every kind of image.

use std::sync::Arc;

use super::{append_all, number_of, open, options, read};
use crate::disk::sim::Fault;
use crate::disk::{Disk, SimDisk};
use crate::wal::{Log, LogPosition};

/// What was true when so many syncs had begun.
#[derive(Debug, Clone, Copy)]
struct Mark {
    syncs: u64,
    acknowledged: u64,
    appended: u64,
    covered: u64,
}

/// Groups of several frames over small files, released in between; what holds at each moment.
fn workload(disk: &Arc<SimDisk>, log: &mut Log, first: u64, groups: &[(u64, usize)]) -> Vec<Mark> {
    let (mut marks, mut ends) = (Vec::new(), Vec::<(LogPosition, u64)>::new());
    let mut mark = Mark { syncs: 0, acknowledged: first - 1, appended: first - 1, covered: first - 1 };
    for (index, &(count, bytes)) in groups.iter().enumerate() {
        append_all(log, mark.appended + 1..=mark.appended + count, bytes);
        mark = Mark { syncs: disk.syncs(), appended: mark.appended + count, ..mark };
        marks.push(mark);
        log.sync().unwrap();
        ends.push((log.synced(), mark.appended));
        mark = Mark { syncs: disk.syncs(), acknowledged: mark.appended, ..mark };
        marks.push(mark);
        if index % 4 == 3 {
            let (covered, number) = ends[index - 2];
            mark = Mark { syncs: disk.syncs(), covered: number, ..mark };
            marks.push(mark);
            log.release(covered).unwrap();
        }
    }
    marks
}

/// Checks one image, restarts on it, writes on, and cuts the power again.
fn check_image(image: &Arc<SimDisk>, mark: Mark, context: &str, again: bool) {
    let (frames, summary) = read(image, false);
    let summary = summary.unwrap_or_else(|error| panic!("{context}: {error}"));
    let numbers: Vec<u64> = frames.iter().map(|(_, frame)| number_of(frame)).collect();
    let first = numbers.first().copied().unwrap_or(mark.appended + 1);
    let last = numbers.last().copied().unwrap_or(mark.covered);
    // Released files may be found again in any selection: frames that are covered do not count.
    let live: Vec<u64> = numbers.iter().copied().filter(|&number| number > mark.covered).collect();
    assert!(live.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{context}: a gap in {live:?}");
    assert!(first <= mark.covered + 1 || mark.acknowledged == mark.covered, "{context}: {first} of {mark:?}");
    assert!(
        last >= mark.acknowledged,
        "{context}: acknowledged {} but only {last} is there",
        mark.acknowledged
    );
    assert!(last <= mark.appended, "{context}: {last} was never appended");
    if !again {
        return;
    }
    image.record();
    let mut log = open(image, options(0, 2, 4096), summary.next_sequence(0));
    append_all(&mut log, last + 1..=last + 2, 600);
    let before = Mark { acknowledged: last, appended: last + 2, ..mark };
    log.sync().unwrap();
    let after = Mark { acknowledged: last + 2, syncs: image.syncs(), ..before };
    for boundary in image.boundaries() {
        let mark = if boundary.number() >= after.syncs { after } else { before };
        for (kind, second) in boundary.images(2) {
            check_image(&second, mark, &format!("{context}, then {} {kind:?}", boundary.number()), false);
        }
    }
}

fn run(groups: &[(u64, usize)], torn: u64, again: bool) -> usize {
    let disk = SimDisk::new();
    disk.record();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    let marks = workload(&disk, &mut log, 1, groups);
    let mut images = 0;
    for boundary in disk.boundaries() {
        let first = Mark { syncs: 0, acknowledged: 0, appended: 0, covered: 0 };
        let mark = marks.iter().rev().find(|mark| mark.syncs <= boundary.number()).copied().unwrap_or(first);
        // Releases and acknowledgements noted at this boundary happened before it.
        for (kind, image) in boundary.images(torn) {
            check_image(&image, mark, &format!("sync {} {kind:?}", boundary.number()), again);
            images += 1;
        }
    }
    images
}

#[test]
fn every_acknowledged_frame_survives_a_power_cut_at_any_sync_and_none_is_invented() {
    let groups: Vec<(u64, usize)> =
        (0..24).map(|n| (1 + n % 4, [60, 900, 1500, 300, 5000][n as usize % 5])).collect();
    let images = run(&groups, 24, true);
    assert!(images > 500, "{images}");
}

#[test]
fn groups_larger_than_a_file_survive_too() {
    let groups = [(30, 700), (2, 100), (25, 1000), (1, 20_000), (40, 500)];
    run(&groups, 40, true);
}

#[test]
fn a_torn_group_of_many_frames_is_never_taken_for_damage() {
    // Sectors of one unsynced write survive in any selection, so good frames follow bad ones.
    let groups = [(3, 100), (40, 50), (5, 80)];
    run(&groups, 300, false);
}

#[test]
fn a_file_made_ahead_and_never_begun_is_no_obstacle() {
    let disk = SimDisk::new();
    for boot in 1..=3 {
        let (_, summary) = read(&disk, false);
        drop(open(&disk, options(0, boot, 4096), summary.unwrap().next_sequence(0)));
    }
    let (_, summary) = read(&disk, false);
    let mut log = open(&disk, options(0, 9, 4096), summary.unwrap().next_sequence(0));
    append_all(&mut log, 1..=2, 50);
    log.sync().unwrap();
    assert_eq!(super::numbers(&disk), [1, 2]);
    assert_eq!(disk.list(&super::dir()).unwrap().len(), 1);
}

/// How a process ends without the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    SyncFailed,
}

/// Two groups and a clean end, until sync number `at` ends it; the frames that were acknowledged.
fn ended_early(disk: &Arc<SimDisk>, at: u64, end: End) -> u64 {
    let run = || {
        let mut acknowledged = 0;
        let fail_soon = || {
            if end == End::SyncFailed && disk.syncs() == at {
                disk.fail(Fault::SyncFails);
            }
        };
        fail_soon();
        let Ok(mut log) = Log::open(disk.clone(), super::dir(), options(0, 1, 4096), 1) else { return 0 };
        for group in 0..2u64 {
            append_all(&mut log, group * 3 + 1..=group * 3 + 3, 100);
            fail_soon();
            if log.sync().is_err() {
                return acknowledged;
            }
            acknowledged = group * 3 + 3;
        }
        fail_soon();
        let _ = log.close();
        acknowledged
    };
    if end == End::Killed {
        disk.freeze_at(at);
    }
    let acknowledged = run();
    disk.heal();
    disk.thaw();
    acknowledged
}

#[test]
fn what_a_start_replayed_is_durable_once_it_is_finished() {
    // The machine stays up, so the start reads from the page cache what no sync made durable: a tail, or a seal.
    // Then the power goes at every sync of the start.
    for end in [End::Killed, End::SyncFailed] {
        for at in 0..5 {
            let disk = SimDisk::new();
            let acknowledged = ended_early(&disk, at, end);
            disk.record();
            let (frames, summary) = read(&disk, false);
            let shown = frames.len() as u64;
            assert!(shown >= acknowledged);
            let finished = disk.syncs();
            let mut log = open(&disk, options(0, 2, 4096), summary.unwrap().next_sequence(0));
            append_all(&mut log, [shown + 1], 100);
            log.sync().unwrap();
            for boundary in disk.boundaries() {
                let durable = if boundary.number() >= finished { shown } else { acknowledged };
                let mark = Mark { syncs: 0, acknowledged: durable, appended: shown + 1, covered: 0 };
                for (kind, image) in boundary.images(40) {
                    check_image(
                        &image,
                        mark,
                        &format!("{end:?} at {at}, then {} {kind:?}", boundary.number()),
                        false,
                    );
                }
            }
        }
    }
}
