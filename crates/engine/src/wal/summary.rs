//! What a replay found, and what the log files need before a new log may begin.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::files::FileName;
use crate::disk::Disk;
use crate::error::{EngineError, IoAction, Result};

/// A log file of an earlier start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldLog {
    /// The file.
    pub path: PathBuf,
    /// The drain thread that wrote it.
    pub thread: u16,
    /// Its sequence number.
    pub sequence: u64,
    /// Frames replayed from it.
    pub frames: u64,
    /// Bytes that they end at.
    pub end: u64,
}

/// The end of a log that was cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub path: PathBuf,
    /// The first byte that is not used.
    pub offset: u64,
    /// Bytes of data behind it, as far as it can be told.
    pub bytes: u64,
    /// Good frames behind it that are not used either.
    pub frames: u64,
    /// True if synced data was lost, which `allow_corrupt_tail` permitted.
    pub corrupt: bool,
}

/// The result of a finished replay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplaySummary {
    /// Files with frames, in the order of replay.
    pub logs: Vec<OldLog>,
    /// Tails that were cut off.
    pub torn: Vec<TornTail>,
    /// Highest sequence per thread, of any file.
    pub(super) highest: BTreeMap<u16, u64>,
    /// Threads that have spares.
    pub(super) spares: BTreeSet<u16>,
}

impl ReplaySummary {
    /// Frames replayed.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.logs.iter().map(|log| log.frames).sum()
    }

    /// The sequence that this thread's new log begins with.
    #[must_use]
    pub fn next_sequence(&self, thread: u16) -> u64 {
        self.highest.get(&thread).map_or(1, |highest| highest + 1)
    }

    /// Removes the old files, and spares of threads from `threads` on, which have no log now. To be called when the
    /// manifest covers every frame that was replayed, of *all* threads: a file of one thread may hold partitions
    /// that belong to another since the number of threads changed. May be repeated.
    ///
    /// # Errors
    /// `Io`; what was not removed is found again by the next start, whose frames are covered.
    pub fn release(&mut self, disk: &dyn Disk, dir: &Path, threads: u16) -> Result<()> {
        while let Some(log) = self.logs.first() {
            remove(disk, &log.path)?;
            self.logs.remove(0);
        }
        if self.spares.iter().all(|&thread| thread < threads) {
            return Ok(());
        }
        let names = disk.list(dir).map_err(|error| EngineError::io(IoAction::List, dir, &error))?;
        let spares = names.iter().filter_map(|name| FileName::parse(name));
        spares
            .filter(|name| name.spare && name.thread >= threads)
            .try_for_each(|name| remove(disk, &name.in_dir(dir)))
    }
}

pub(super) fn remove(disk: &dyn Disk, path: &Path) -> Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(EngineError::io(IoAction::Remove, path, &error))
        }
        _ => Ok(()),
    }
}
