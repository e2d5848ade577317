//! Whether the end of a log is still there: what the files and the last start say must exist.
//!
//! The rows of a log that lost its end would be missing without a word, since the end is where nothing follows. Two
//! things tell of it: the seal of a file that goes on in the next one, and the list of the first files of the last
//! start. Files in the middle need none of this: the positions of later frames miss them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zepto_common::Boot;

use super::files::FileName;
use crate::error::{EngineError, Result};

/// Length of a file whose first group the log took back because the disk was full or read-only.
pub(super) const TAKEN_BACK_BYTES: u64 = 8;

/// The files with which a start began its logs. Written when they are durable and before a row is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHeads {
    /// The start.
    pub boot: Boot,
    /// Number of the first file, by drain thread.
    pub first: Vec<u64>,
}

/// The file that must follow, as the seal of the file before says.
#[derive(Debug, Clone, Copy)]
struct Follower {
    sequence: u64,
    bytes: u64,
}

/// Watches the files of a replay in their order.
#[derive(Debug)]
pub(super) struct Chain {
    dir: PathBuf,
    heads: Option<LogHeads>,
    /// Highest file per thread that has a frame or had one.
    begun: BTreeMap<u16, u64>,
    wanted: BTreeMap<u16, Follower>,
}

impl Chain {
    pub(super) fn new(dir: &Path, heads: Option<LogHeads>) -> Self {
        Self { dir: dir.to_owned(), heads, begun: BTreeMap::new(), wanted: BTreeMap::new() }
    }

    /// A file with a header of its own. True if no crash can have made it shorter than its header says.
    pub(super) fn begin(&mut self, name: FileName) -> bool {
        let highest = self.begun.entry(name.thread).or_default();
        *highest = name.sequence.max(*highest);
        self.wanted.remove(&name.thread).is_some_and(|follower| follower.sequence == name.sequence)
    }

    /// A file that has no header.
    ///
    /// # Errors
    /// `Corrupt` if it was cut.
    pub(super) fn meet_unbegun(&mut self, name: FileName, length: u64) -> Result<()> {
        let follower = self.wanted.remove(&name.thread);
        let follower = follower.filter(|follower| follower.sequence == name.sequence);
        match follower {
            Some(Follower { bytes, .. }) if length < bytes && length != TAKEN_BACK_BYTES => {
                let what = format!("the file has {length} bytes, it was made with {bytes}{}", advice());
                Err(EngineError::corrupt(&name.in_dir(&self.dir), length, what))
            }
            _ => Ok(()),
        }
    }

    /// A file of this start ended by a seal that says that the log goes on in a file of `bytes`. Files of earlier
    /// starts may be left-overs of a release that a loss of power undid in part: nothing is asked of them.
    pub(super) fn goes_on(&mut self, name: FileName, boot: Boot, bytes: u64) {
        if self.heads.as_ref().is_some_and(|heads| boot >= heads.boot) {
            self.wanted.insert(name.thread, Follower { sequence: name.sequence + 1, bytes });
        }
    }

    /// What is missing after all files.
    ///
    /// # Errors
    /// `Corrupt`, naming the file.
    pub(super) fn finish(&self) -> Result<()> {
        if let Some((&thread, follower)) = self.wanted.first_key_value() {
            let path = FileName::log(thread, follower.sequence).in_dir(&self.dir);
            let what = format!("the file is missing although the one before it goes on in it{}", advice());
            return Err(EngineError::corrupt(&path, 0, what));
        }
        let Some(heads) = &self.heads else { return Ok(()) };
        for (thread, &first) in (0..).zip(&heads.first) {
            if self.begun.get(&thread).is_none_or(|&highest| highest < first) {
                let path = FileName::log(thread, first).in_dir(&self.dir);
                let boot = heads.boot;
                let what = format!(
                    "the file that start {boot} wrote is missing or empty, and no later one is there{}",
                    advice()
                );
                return Err(EngineError::corrupt(&path, 0, what));
            }
        }
        Ok(())
    }
}

fn advice() -> &'static str {
    "; restore it, or start once with allow_corrupt_tail if losing the rows in it is acceptable"
}
