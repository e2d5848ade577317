//! Segment files: written, opened, removed.

use std::path::PathBuf;
use std::sync::Arc;

use zepto_common::{Error, ErrorCode, Result};

use super::Background;
use crate::error::{EngineError, IoAction};
use crate::manifest::{SegmentEntry, segment_path, segments_dir};
use crate::run::Run;
use crate::segment::Segment;
use crate::table::StoredSegment;

impl Background {
    /// Writes a run as a new segment, hot. The folder is not synced: [`Self::sync_segments`] before the commit.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn write_segment(&mut self, run: &Arc<Run>) -> Result<Arc<StoredSegment>> {
        self.write_segment_aged(run, None)
    }

    /// The same for rows of segments that it replaces: it takes the age of the oldest of them.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn write_segment_aged(
        &mut self,
        run: &Arc<Run>,
        age: Option<u64>,
    ) -> Result<Arc<StoredSegment>> {
        let id = self.manifest.take_segment_id();
        let path = segment_path(&self.shared.options.data_dir, id);
        let segment = Segment::write(self.shared.disk(), &path, run, self.shared.options.compression)?;
        Ok(Arc::new(StoredSegment {
            id,
            age: age.unwrap_or(id),
            rows: segment.rows() as u64,
            bytes: segment.file_bytes(),
            segment: Arc::new(segment),
        }))
    }

    /// Opens a segment that the manifest names, cold.
    ///
    /// # Errors
    /// `CorruptedData` with file and offset; also when the file is not the one that the manifest means.
    pub(crate) fn open_segment(&self, entry: &SegmentEntry) -> Result<Arc<StoredSegment>> {
        let path = segment_path(&self.shared.options.data_dir, entry.id);
        let segment = Segment::open(self.shared.disk(), &path)?;
        let (rows, bytes) = (segment.rows() as u64, segment.file_bytes());
        if (rows, bytes) != (entry.rows, entry.bytes) {
            let message = format!(
                "{}: byte 0: it has {rows} rows in {bytes} bytes, the manifest says {} in {}",
                path.display(),
                entry.rows,
                entry.bytes
            );
            return Err(Error::new(ErrorCode::CorruptedData, message));
        }
        let (id, age) = (entry.id, entry.age());
        Ok(Arc::new(StoredSegment { id, age, segment: Arc::new(segment), rows, bytes }))
    }

    /// Makes the names of new segments durable.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn sync_segments(&self) -> Result<()> {
        let dir = segments_dir(&self.shared.options.data_dir);
        let synced = self.shared.disk().sync_dir(&dir);
        synced.map_err(|error| EngineError::io(IoAction::Sync, &dir, &error).into())
    }

    /// Removes the files of segments that the manifest no longer names. Queries that read them keep them open.
    pub(crate) fn remove_segments(&mut self, ids: impl IntoIterator<Item = u64>) {
        let dir = self.shared.options.data_dir.clone();
        self.garbage.extend(ids.into_iter().map(|id| segment_path(&dir, id)));
        self.collect_garbage();
    }

    /// Removes what could not be removed before.
    pub(crate) fn collect_garbage(&mut self) {
        if !self.manifest_known {
            return;
        }
        let disk = self.shared.options.disk.clone();
        let stays = |path: &PathBuf| match disk.remove(path) {
            Ok(()) => false,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "a file that nothing needs could not be removed yet");
                true
            }
        };
        self.garbage.retain(stays);
    }
}

/// What the manifest says of a segment.
pub(crate) fn entry_of(segment: &StoredSegment, shard: usize) -> SegmentEntry {
    SegmentEntry {
        id: segment.id,
        shard: shard as u16,
        schema: segment.segment.schema().version,
        rows: segment.rows,
        bytes: segment.bytes,
        age: 0,
    }
    .aged(segment.age)
}
