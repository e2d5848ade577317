//! Names of log files: `<thread>-<sequence>.wal`, and `.spare` for those that wait to be used again.

use std::path::{Path, PathBuf};

/// What a name in the log's folder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) thread: u16,
    pub(super) sequence: u64,
    pub(super) spare: bool,
}

impl FileName {
    pub(super) fn log(thread: u16, sequence: u64) -> Self {
        Self { thread, sequence, spare: false }
    }

    pub(super) fn spare(thread: u16, sequence: u64) -> Self {
        Self { thread, sequence, spare: true }
    }

    pub(super) fn in_dir(self, dir: &Path) -> PathBuf {
        let ending = if self.spare { "spare" } else { "wal" };
        dir.join(format!("{:05}-{:020}.{ending}", self.thread, self.sequence))
    }

    /// None for a name that is not a log file's.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (stem, ending) = name.split_once('.')?;
        let (thread, sequence) = stem.split_once('-')?;
        let spare = match ending {
            "wal" => false,
            "spare" => true,
            _ => return None,
        };
        if thread.len() != 5 || sequence.len() != 20 || !stem.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        {
            return None;
        }
        Some(Self { thread: thread.parse().ok()?, sequence: sequence.parse().ok()?, spare })
    }
}
