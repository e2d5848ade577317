//! A segment: a run as a Parquet file that other tools can read, with our index and checksums in its footer.
//!
//! Every byte is covered by a checksum that is verified before it is decoded; a file that was cut or changed is
//! refused with its name and the offset. docs/formats/segment.md has the format to the byte.

mod file;
mod format;
mod key_pages;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, Result};

use crate::disk::Disk;
use crate::part::Batches;
use crate::part::scan::{Groups, Output};
use crate::run::{Run, RunIndex};

/// How a segment's pages are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Not at all.
    None,
    /// LZ4 (raw blocks): little CPU.
    #[default]
    Lz4,
    /// Zstandard, level 1: smaller, slower.
    Zstd,
    /// Snappy, which every Parquet reader knows.
    Snappy,
}

/// A sorted file, perhaps with its rows in memory.
#[derive(Debug)]
pub struct Segment {
    file: file::SegmentFile,
    schema: Arc<TableSchema>,
    index: Arc<RunIndex>,
    time_range: Option<(i64, i64)>,
    metadata: ArrowReaderMetadata,
    hot: ArcSwapOption<Run>,
}

/// The checksum of a segment file's tail, which is verified: together with the length it stands for the whole content.
///
/// # Errors
/// `CannotOpenFile`; `CorruptedData` for a file whose end is damaged.
pub(crate) fn tail_checksum(disk: &dyn Disk, path: &Path) -> Result<u32> {
    let file = disk.open(path).map_err(|error| {
        Error::new(ErrorCode::CannotOpenFile, format!("cannot open segment {}: {error}", path.display()))
    })?;
    read::tail_checksum(file.as_ref(), path)
}

impl Segment {
    /// Writes a run as a new file and syncs its data; the name is durable once the caller has synced the folder.
    /// The segment is hot. On a fault no file is left, as far as the disk permits.
    ///
    /// # Errors
    /// `NotEnoughSpace`, `TableIsReadOnly`, `CannotWriteToFileDescriptor`, `CannotFsync`, naming the file.
    pub fn write(disk: &dyn Disk, path: &Path, run: &Arc<Run>, codec: Codec) -> Result<Self> {
        let segment = write::write(disk, path, run, codec)?;
        segment.hot.store(Some(Arc::clone(run)));
        Ok(segment)
    }

    /// Opens a file by its footer; rows are read when they are asked for.
    ///
    /// # Errors
    /// `CannotOpenFile`; `CorruptedData` for a file that is cut, changed, or no segment, naming file and offset.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self> {
        let file = disk.open(path).map_err(|error| {
            Error::new(ErrorCode::CannotOpenFile, format!("cannot open segment {}: {error}", path.display()))
        })?;
        read::open(file, path, None)
    }

    /// Reads the whole file once and verifies it.
    ///
    /// # Errors
    /// `CorruptedData` and `CannotReadAllData`, naming file and offset.
    pub fn check(&self) -> Result<()> {
        self.file.check()
    }

    /// The schema version that its rows have, as written into the file.
    #[must_use]
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    /// Where the rows lie.
    #[must_use]
    pub fn index(&self) -> &Arc<RunIndex> {
        &self.index
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.index.rows()
    }

    /// Smallest and largest raw tick of the time column; None without one or without rows.
    #[must_use]
    pub fn time_range(&self) -> Option<(i64, i64)> {
        self.time_range
    }

    /// The file's name when it was opened.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        self.file.path()
    }

    /// Bytes of the file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file.length()
    }

    /// Bytes of memory held now: the index, and the rows while it is hot (run and segment share one index).
    #[must_use]
    pub fn memory(&self) -> usize {
        self.hot().map_or_else(|| self.index.memory(), |run| run.memory())
    }

    /// All rows in memory: the hot run, or one read from the file (which does not make the segment hot).
    ///
    /// # Errors
    /// `CorruptedData` or the system's, naming file and offset.
    pub fn load(&self) -> Result<Arc<Run>> {
        match self.hot() {
            Some(run) => Ok(run),
            None => Ok(Arc::new(read::load(self)?)),
        }
    }

    /// The rows, if they are in memory.
    #[must_use]
    pub fn hot(&self) -> Option<Arc<Run>> {
        self.hot.load_full()
    }

    /// Keeps these rows, which are this segment's, in memory.
    pub fn set_hot(&self, run: Arc<Run>) {
        self.hot.store(Some(run));
    }

    /// Lets go of the rows in memory; scans that run keep theirs until they end.
    pub fn cool(&self) {
        self.hot.store(None);
    }

    /// Batches read from the file.
    pub(crate) fn scan(self: &Arc<Self>, output: Output, groups: Groups) -> Batches {
        read::scan(self, output, groups)
    }
}
