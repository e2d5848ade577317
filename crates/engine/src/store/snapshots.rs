//! Snapshots for backup.

use std::path::Path;

use zepto_common::{Error, ErrorCode, PartitionId, Result};

use super::{SnapshotInfo, Store};
use crate::background::Job;
use crate::background::snapshot::{MARK, SNAPSHOTS, check_name, read_mark, unknown};
use crate::disk::{Disk, DiskFile};
use crate::error::{EngineError, IoAction};
use crate::segment::tail_checksum;

/// The folder of a snapshot's segments.
const SEGMENTS: &str = "segments";

/// One file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Its place below the snapshot's folder: `CATALOG`, `MANIFEST` or `segments/<16 digits>.parquet`.
    pub path: String,
    /// Bytes of it.
    pub bytes: u64,
    /// Of a segment: what no other content has. `<disk>-<number>-<bytes>-<checksum of its end>`, and the end has the checksums
    /// of all its blocks. None for a file that each snapshot has anew.
    pub key: Option<String>,
}

impl Store {
    /// Makes a snapshot under `snapshots/<name>`: hard links, so it takes no room until segments are replaced. The
    /// folder (or a copy of it) opens as a data directory.
    ///
    /// # Errors
    /// `BadArguments` for a name that is taken or no plain file name; the disk's.
    pub async fn backup_snapshot(&self, name: &str) -> Result<SnapshotInfo> {
        let name = name.to_owned();
        self.job(|done| Job::Snapshot { name, shared: false, done }).await
    }

    /// As [`Self::backup_snapshot`] on a node that shares the partitions with others: of which it has every row is not
    /// known before [`Self::confirm_snapshot`].
    ///
    /// # Errors
    /// As there.
    pub async fn shared_snapshot(&self, name: &str) -> Result<SnapshotInfo> {
        let name = name.to_owned();
        self.job(|done| Job::Snapshot { name, shared: true, done }).await
    }

    /// Notes the partitions that this node owned, and could confirm, from before the snapshot was begun until after it was
    /// made, without a break.
    ///
    /// # Errors
    /// `BadArguments` for a name that no snapshot has; the disk's.
    pub async fn confirm_snapshot(&self, name: &str, whole: Vec<PartitionId>) -> Result<SnapshotInfo> {
        let name = name.to_owned();
        self.job(|done| Job::ConfirmSnapshot { name, whole, done }).await
    }

    /// Removes a snapshot; the room of what only it had is free then.
    ///
    /// # Errors
    /// `BadArguments` for a name that no snapshot has; the disk's.
    pub async fn remove_snapshot(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.job(|done| Job::RemoveSnapshot { name, done }).await
    }

    /// A snapshot and its files.
    ///
    /// # Errors
    /// `BadArguments` for a name that no snapshot has; the disk's; `CorruptedData` for a segment whose end is damaged.
    pub fn snapshot_files(&self, name: &str) -> Result<(SnapshotInfo, Vec<SnapshotFile>)> {
        check_name(name)?;
        let dir = self.shared.options.data_dir.join(SNAPSHOTS).join(name);
        let disk = self.shared.disk();
        let info = read_mark(disk, &dir.join(MARK))?.ok_or_else(|| unknown(name))?;
        let mut files = Vec::new();
        for path in ["CATALOG", "MANIFEST"] {
            let bytes = length(disk, &dir.join(path))?;
            files.push(SnapshotFile { path: path.to_owned(), bytes, key: None });
        }
        let segments = dir.join(SEGMENTS);
        let names =
            disk.list(&segments).map_err(|error| EngineError::io(IoAction::List, &segments, &error))?;
        for name in names {
            let path = segments.join(&name);
            let (bytes, checksum) = (length(disk, &path)?, tail_checksum(disk, &path)?);
            let number = name.trim_end_matches(".parquet");
            let key = format!("{}-{number}-{bytes}-{checksum:08x}", info.disk);
            files.push(SnapshotFile { path: format!("{SEGMENTS}/{name}"), bytes, key: Some(key) });
        }
        Ok((info, files))
    }

    /// One file of a snapshot, as [`Self::snapshot_files`] names it. It can be read to its end when the snapshot is removed
    /// meanwhile.
    ///
    /// # Errors
    /// `BadArguments` for a snapshot or a file that is not there; the disk's.
    pub fn open_snapshot_file(&self, name: &str, file: &str) -> Result<std::sync::Arc<dyn DiskFile>> {
        check_name(name)?;
        let no_such =
            || Error::new(ErrorCode::BadArguments, format!("snapshot {name} has no file {file:.200}"));
        let is_segment = |it: &str| {
            it.len() == 24 && it.ends_with(".parquet") && it[..16].bytes().all(|b| b.is_ascii_digit())
        };
        let known = matches!(file, "CATALOG" | "MANIFEST")
            || file.strip_prefix("segments/").is_some_and(|it| it.is_ascii() && is_segment(it));
        if !known {
            return Err(no_such());
        }
        let dir = self.shared.options.data_dir.join(SNAPSHOTS).join(name);
        let disk = self.shared.disk();
        read_mark(disk, &dir.join(MARK))?.ok_or_else(|| unknown(name))?;
        let path = dir.join(file);
        disk.open(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => no_such(),
            _ => EngineError::io(IoAction::Open, &path, &error).into(),
        })
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

fn length(disk: &dyn Disk, path: &Path) -> Result<u64> {
    let file = disk.open(path).map_err(|error| EngineError::io(IoAction::Open, path, &error))?;
    Ok(file.len().map_err(|error| EngineError::io(IoAction::Read, path, &error))?)
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
