//! Snapshots for backup.

use std::path::Path;

use zepto_common::{Error, ErrorCode, Result};

use super::{SnapshotInfo, Store};
use crate::background::Job;
use crate::background::snapshot::{MARK, SNAPSHOTS};
use crate::disk::{Disk, read_file};
use crate::error::{EngineError, IoAction};

/// Bytes of a snapshot's mark.
const MARK_BYTES_MAX: u64 = 1 << 20;

impl Store {
    /// Makes a snapshot under `snapshots/<name>`: hard links, so it takes no room until segments are replaced. The
    /// folder (or a copy of it) opens as a data directory.
    ///
    /// # Errors
    /// `BadArguments` for a name that is taken or no plain file name; the disk's.
    pub async fn backup_snapshot(&self, name: &str) -> Result<SnapshotInfo> {
        let name = name.to_owned();
        self.job(|done| Job::Snapshot { name, done }).await
    }

    /// All complete snapshots, by name.
    ///
    /// # Errors
    /// The disk's; `CorruptedData` for a mark that cannot be read.
    pub fn snapshots(&self) -> Result<Vec<SnapshotInfo>> {
        let dir = self.shared.options.data_dir.join(SNAPSHOTS);
        let disk = self.shared.disk();
        let names = disk.list(&dir).map_err(|error| EngineError::io(IoAction::List, &dir, &error))?;
        let mut found = Vec::new();
        for name in names {
            found.extend(read_mark(disk, &dir.join(name).join(MARK))?);
        }
        Ok(found)
    }
}

fn read_mark(disk: &dyn Disk, path: &Path) -> Result<Option<SnapshotInfo>> {
    match read_file(disk, path, MARK_BYTES_MAX) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::new(ErrorCode::CorruptedData, format!("{}: byte 0: {error}", path.display()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EngineError::io(IoAction::Read, path, &error).into()),
    }
}

/// Removes what is left of snapshots that were not finished.
///
/// # Errors
/// The disk's.
pub(super) fn remove_unfinished(disk: &dyn Disk, data_dir: &Path) -> Result<()> {
    let dir = data_dir.join(SNAPSHOTS);
    let names = disk.list(&dir).map_err(|error| EngineError::io(IoAction::List, &dir, &error))?;
    for name in names {
        let snapshot = dir.join(name);
        if disk.open(&snapshot.join(MARK)).is_err() {
            disk.remove_dir_all(&snapshot)
                .map_err(|error| EngineError::io(IoAction::Remove, &snapshot, &error))?;
        }
    }
    Ok(())
}
