//! A log whose end is gone: the files that must be there.

use std::path::Path;
use std::sync::Arc;

use zepto_common::Boot;

use super::damage::path;
use super::{append_all, dir, open, options, read_with, replay_options};
use crate::disk::{Disk, SimDisk};
use crate::error::EngineError;
use crate::wal::{LogHeads, ReplayOptions};

fn heads(boot: u64, first: &[u64]) -> ReplayOptions {
    ReplayOptions {
        heads: Some(LogHeads { boot: Boot(boot), first: first.to_vec() }),
        ..replay_options(false)
    }
}

/// Twelve frames over three files; the node was killed.
fn three_files() -> Arc<SimDisk> {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 1, 4096), 1);
    append_all(&mut log, 1..=12, 700);
    log.sync().unwrap();
    assert_eq!(log.position().sequence, 3);
    disk
}

/// The start is refused and names this file; with permission it gives this number of frames.
fn refused(disk: &Arc<SimDisk>, options: &ReplayOptions, file: &Path, left: usize) {
    let (_, outcome) = read_with(disk, options.clone());
    match outcome.unwrap_err() {
        EngineError::Corrupt { path, .. } => assert_eq!(path, file),
        other => panic!("{other}"),
    }
    let (frames, outcome) = read_with(disk, ReplayOptions { allow_corrupt_tail: true, ..options.clone() });
    assert!(outcome.unwrap().torn.iter().any(|torn| torn.corrupt), "what was given up is told");
    assert_eq!(frames.len(), left);
}

#[test]
fn a_whole_log_is_taken() {
    let (frames, outcome) = read_with(&three_files(), heads(1, &[1]));
    outcome.unwrap();
    assert_eq!(frames.len(), 12);
}

#[test]
fn a_newest_file_that_was_removed_is_missed() {
    let disk = three_files();
    disk.remove(&path(3)).unwrap();
    refused(&disk, &heads(1, &[1]), &path(3), 8);
}

#[test]
fn a_newest_file_that_was_emptied_or_cut_is_missed() {
    for length in [0, 1, 63, 64, 100, 4095] {
        let disk = three_files();
        disk.open(&path(3)).unwrap().set_len(length).unwrap();
        let (_, outcome) = read_with(&disk, heads(1, &[1]));
        match outcome {
            Err(EngineError::Corrupt { path: at, .. }) => assert_eq!(at, path(3), "{length} bytes"),
            other => panic!("{length} bytes: {other:?}"),
        }
    }
}

#[test]
fn logs_that_are_gone_altogether_are_missed() {
    let disk = three_files();
    let mut other = open(&disk, options(1, 1, 4096), 1);
    append_all(&mut other, 1..=2, 700);
    other.sync().unwrap();
    let of_other = dir().join(format!("00001-{:020}.wal", 1));
    disk.remove(&of_other).unwrap();
    refused(&disk, &heads(1, &[1, 1]), &of_other, 12);
    for file in 1..=3 {
        disk.remove(&path(file)).unwrap();
    }
    refused(&disk, &heads(1, &[1]), &path(1), 0);
}

#[test]
fn a_first_file_that_was_emptied_is_missed() {
    let disk = SimDisk::new();
    let mut log = open(&disk, options(0, 4, 4096), 7);
    append_all(&mut log, 1..=2, 700);
    log.sync().unwrap();
    disk.open(&path(7)).unwrap().set_len(0).unwrap();
    refused(&disk, &heads(4, &[7]), &path(7), 0);
}

/// Releasing does not sync the folder: after a loss of power a released file may be there again and the one behind it
/// not.
#[test]
fn what_a_power_cut_brings_back_of_an_earlier_start_asks_for_nothing() {
    let disk = three_files();
    disk.remove(&path(2)).unwrap();
    disk.remove(&path(3)).unwrap();
    let mut log = open(&disk, options(1, 2, 4096), 1);
    append_all(&mut log, 1..=2, 700);
    log.sync().unwrap();
    let first = vec![1, 1];
    let ended = LogHeads { boot: Boot(2), first };
    let options = ReplayOptions { heads: Some(ended), ..replay_options(false) };
    read_with(&disk, options).1.unwrap();
}
