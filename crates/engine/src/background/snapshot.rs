//! Snapshots for backup: a folder of hard links, with catalog and manifest, that opens as a data directory.

use std::path::Path;

use zepto_common::clock::wall_nanos;
use zepto_common::names::is_file_name;
use zepto_common::{Error, ErrorCode, PartitionId, Result};

use super::{Background, SnapshotInfo};
use crate::disk::{Disk, read_file, replace_file};
use crate::error::{EngineError, IoAction};
use crate::manifest::{TableManifest, segment_path, segments_dir};

/// The folder of all snapshots in a data directory.
pub(crate) const SNAPSHOTS: &str = "snapshots";
/// The file whose presence says that a snapshot is complete.
pub(crate) const MARK: &str = "SNAPSHOT";
/// Bytes of a snapshot's mark.
const MARK_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a snapshot's name.
const NAME_MAX: usize = 100;

/// Whether a snapshot may have this name.
///
/// # Errors
/// `BadArguments`.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if !is_file_name(name, NAME_MAX) {
        let message = format!("a snapshot's name has 1 to {NAME_MAX} letters, digits, '-', '_' and '.'");
        return Err(Error::new(ErrorCode::BadArguments, message));
    }
    Ok(())
}

/// There is no snapshot of this name.
pub(crate) fn unknown(name: &str) -> Error {
    Error::new(
        ErrorCode::BadArguments,
        format!("there is no snapshot {name}: GET /admin/snapshots lists them"),
    )
}

fn mark_of(info: &SnapshotInfo) -> Result<Vec<u8>> {
    serde_json::to_vec(info).map_err(|error| Error::internal(error.to_string()))
}

/// What a snapshot's mark says; None without one.
///
/// # Errors
/// The disk's; `CorruptedData` for a mark that cannot be read.
pub(crate) fn read_mark(disk: &dyn Disk, path: &Path) -> Result<Option<SnapshotInfo>> {
    match read_file(disk, path, MARK_BYTES_MAX) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::new(ErrorCode::CorruptedData, format!("{}: byte 0: {error}", path.display()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EngineError::io(IoAction::Read, path, &error).into()),
    }
}

fn fault(action: IoAction, path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |error| EngineError::io(action, path, &error).into()
}

impl Background {
    /// Flushes everything and links it into `snapshots/<name>`.
    ///
    /// # Errors
    /// `BadArguments` for a name that is no plain file name or is taken; the disk's.
    pub(super) fn snapshot(&mut self, name: &str, shared: bool) -> Result<SnapshotInfo> {
        check_name(name)?;
        self.checkpoint_all()?;
        let dir = self.shared.options.data_dir.join(SNAPSHOTS).join(name);
        let disk = self.shared.options.disk.clone();
        if disk.open(&dir.join(MARK)).is_ok() {
            return Err(Error::new(ErrorCode::BadArguments, format!("there is a snapshot {name} already")));
        }
        let made = self.fill(disk.as_ref(), &dir, name, shared);
        if made.is_err() {
            // Half of a snapshot has no mark and is removed at the next start if it cannot be now.
            let _ = disk.remove_dir_all(&dir);
        }
        made
    }

    /// Notes of which partitions a snapshot has every row.
    ///
    /// # Errors
    /// `BadArguments` for a name that no snapshot has; the disk's.
    pub(super) fn confirm_snapshot(&self, name: &str, whole: Vec<PartitionId>) -> Result<SnapshotInfo> {
        let (disk, mark) =
            (self.shared.disk(), self.shared.options.data_dir.join(SNAPSHOTS).join(name).join(MARK));
        let known = read_mark(disk, &mark)?.ok_or_else(|| unknown(name))?;
        let info = SnapshotInfo { whole: Some(whole), ..known };
        replace_file(disk, &mark, &mark_of(&info)?).map_err(fault(IoAction::Write, &mark))?;
        Ok(info)
    }

    /// Removes a snapshot: its mark first, so that half of one is none.
    ///
    /// # Errors
    /// `BadArguments` for a name that no snapshot has; the disk's.
    pub(super) fn remove_snapshot(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let dir = self.shared.options.data_dir.join(SNAPSHOTS).join(name);
        let (disk, mark) = (self.shared.disk(), dir.join(MARK));
        match disk.remove(&mark) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(unknown(name)),
            Err(error) => return Err(fault(IoAction::Remove, &mark)(error)),
        }
        disk.sync_dir(&dir).map_err(fault(IoAction::Sync, &dir))?;
        disk.remove_dir_all(&dir).map_err(fault(IoAction::Remove, &dir))
    }

    fn fill(&self, disk: &dyn Disk, dir: &Path, name: &str, shared: bool) -> Result<SnapshotInfo> {
        let to_dir = segments_dir(dir);
        disk.create_dir_all(&to_dir).map_err(fault(IoAction::Create, &to_dir))?;
        let (mut rows, mut bytes) = (0, 0);
        let catalog = self.shared.catalog.load_full();
        let mut manifest = self.manifest.clone();
        manifest.retain_tables(|id| catalog.table_by_id(id).is_some());
        manifest.retain_views(|id| catalog.view_by_id(id).is_some());
        for table in manifest.tables.values() {
            rows += table.segments.iter().map(|entry| entry.rows).sum::<u64>();
        }
        for entry in manifest.tables.values().flat_map(TableManifest::entries) {
            let (from, to) =
                (segment_path(&self.shared.options.data_dir, entry.id), segment_path(dir, entry.id));
            disk.hard_link(&from, &to).map_err(fault(IoAction::Rename, &to))?;
            bytes += entry.bytes;
        }
        disk.sync_dir(&to_dir).map_err(fault(IoAction::Sync, &to_dir))?;
        let info = SnapshotInfo {
            name: name.to_owned(),
            path: dir.to_path_buf(),
            catalog_version: catalog.version(),
            rows,
            bytes,
            created_nanos: wall_nanos(),
            disk: self.shared.disk_id.to_string(),
            // Nothing is sure of it before somebody has asked the partitions again.
            whole: shared.then(Vec::new),
        };
        let files = [
            ("CATALOG", crate::catalog::file::encode(&catalog)?),
            ("MANIFEST", manifest.encode()?),
            (MARK, mark_of(&info)?),
        ];
        for (file, contents) in files {
            let path = dir.join(file);
            replace_file(disk, &path, &contents).map_err(fault(IoAction::Write, &path))?;
        }
        Ok(info)
    }
}
