//! The writer of one thread's log.
//!
//! Frames gather in a buffer; `sync` writes it and syncs. Where a group does not fit into the file any more, the
//! file is ended by a seal and the group goes on in the next one. All files that a group needs are made before its
//! first byte is written, so want of room shows before anything has to be taken back.

mod spares;
mod taking_back;

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use zepto_common::limits::{
    FRAME_BYTES_MAX, LOG_FILE_BYTES, LOG_GROUP_BYTES_MAX, LOG_GROUP_KEEP_BYTES, LOG_SPARES_MAX,
};
use zepto_common::{Boot, DiskId};

use super::LogPosition;
use super::codec::{
    FILE_HEADER_BYTES, FileHeader, FileIdentity, SEAL_BYTES, encode_frame, encode_seal, frame_stride,
};
use super::files::FileName;
use super::frame::Frame;
use crate::disk::{Disk, DiskFile};
use crate::error::{EngineError, IoAction, Result};

/// What a log is opened with.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// The drain thread.
    pub thread: u16,
    /// Identity of the data directory.
    pub disk_id: DiskId,
    /// This start of the node. Starts must grow: replay goes by them.
    pub boot: Boot,
    /// Bytes of one file; a larger frame gets a file of its own size.
    pub file_bytes: u64,
    /// Released files kept for use again.
    pub spares_max: usize,
}

impl LogOptions {
    /// Options with the default sizes.
    #[must_use]
    pub fn new(thread: u16, disk_id: DiskId, boot: Boot) -> Self {
        Self { thread, disk_id, boot, file_bytes: LOG_FILE_BYTES, spares_max: LOG_SPARES_MAX }
    }
}

/// A file of the log that is being written or is ready to be.
#[derive(Debug)]
struct OpenFile {
    file: Arc<dyn DiskFile>,
    /// Bytes it may grow to.
    capacity: u64,
    /// Bytes reserved on the disk.
    reserved: u64,
    /// There was no room to reserve: the file grows as it is written.
    unreserved: bool,
}

/// The part of a group that goes into one file.
#[derive(Debug, Clone, Copy)]
struct Segment {
    sequence: u64,
    capacity: u64,
    /// Where it begins in the file.
    offset: u64,
    /// Where it begins in the group buffer.
    start: usize,
}

/// Writer of one thread's log; used by that thread alone.
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: LogOptions,
    /// The file in use and those made ahead, by sequence.
    files: BTreeMap<u64, OpenFile>,
    /// Sealed files that are not released: sequence and capacity.
    sealed: Vec<(u64, u64)>,
    /// Files that wait to be used again, each of `file_bytes`.
    spares: Vec<PathBuf>,
    /// Names were made or changed and the folder is not synced.
    names_dirty: bool,
    /// Up to here all is durable.
    synced: LogPosition,
    /// Where the next frame goes.
    next: LogPosition,
    /// Bytes of the file that `next` is in.
    capacity: u64,
    /// Frames that wait for a sync.
    group: Vec<u8>,
    segments: Vec<Segment>,
    /// What of a refused group is in the files and has to be cut off before anything is written.
    owed: Vec<Segment>,
    /// Why the log takes nothing more.
    failure: Option<String>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("dir", &self.dir)
            .field("thread", &self.options.thread)
            .field("synced", &self.synced)
            .field("next", &self.next)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Log {
    /// Begins a new file with `next_sequence`, which [`super::ReplaySummary::next_sequence`] gives. Files that replay
    /// found are not touched; [`super::ReplaySummary::release`] removes them once they are covered.
    ///
    /// # Errors
    /// `DiskFull`, `ReadOnlyDisk`, `Io`.
    pub fn open(disk: Arc<dyn Disk>, dir: PathBuf, options: LogOptions, next_sequence: u64) -> Result<Self> {
        disk.create_dir_all(&dir).map_err(|error| EngineError::io(IoAction::Create, &dir, &error))?;
        let start = LogPosition { sequence: next_sequence, offset: 0 };
        let mut log = Self {
            disk,
            dir,
            capacity: options.file_bytes,
            options,
            files: BTreeMap::new(),
            sealed: Vec::new(),
            spares: Vec::new(),
            names_dirty: false,
            synced: start,
            next: start,
            group: Vec::new(),
            segments: Vec::new(),
            owed: Vec::new(),
            failure: None,
        };
        log.adopt_spares()?;
        log.prepare(start.sequence, log.capacity)?;
        log.sync_names()?;
        Ok(log)
    }

    /// Puts a frame into the group that the next [`Self::sync`] makes durable. No I/O happens here.
    ///
    /// # Errors
    /// `LogFailed`; `TooLarge` for a frame over [`FRAME_BYTES_MAX`] or a group over [`LOG_GROUP_BYTES_MAX`] (then
    /// the group is as it was before: sync and append again).
    pub fn append(&mut self, frame: &Frame) -> Result<()> {
        self.append_at(frame).map(|_| ())
    }

    /// As [`Self::append`]; tells where the frame stands.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_at(&mut self, frame: &Frame) -> Result<LogPosition> {
        self.check()?;
        let stride = frame_stride(frame);
        let too_large =
            |what, bytes, limit| EngineError::TooLarge { what, bytes: bytes as u64, limit: limit as u64 };
        if stride > FRAME_BYTES_MAX {
            return Err(too_large("a log frame", stride, FRAME_BYTES_MAX));
        }
        if !self.group.is_empty() && self.group.len() + stride > LOG_GROUP_BYTES_MAX {
            return Err(too_large("a group of log frames", self.group.len() + stride, LOG_GROUP_BYTES_MAX));
        }
        self.make_room(stride as u64);
        self.group.reserve(stride);
        let (identity, synced) = (self.identity(), self.group_start());
        encode_frame(&mut self.group, &identity, self.next.offset, synced, frame);
        let at = self.next;
        self.next.offset += stride as u64;
        Ok(at)
    }

    /// Makes all appended frames durable: one write and one sync per file, which is one file but at a file's end.
    /// Returns how long it took; zero if nothing waited.
    ///
    /// # Errors
    /// `DiskFull` and `ReadOnlyDisk`: none of the group is stored, nor will it be replayed; the log stands where it
    /// stood after the last sync and works on when there is room. `LeftBehind`: as those, but a crash before the log
    /// works on may bring the group back. `LogFailed`: the group may be stored or not; the log takes nothing more
    /// until it is opened again.
    pub fn sync(&mut self) -> Result<Duration> {
        self.check()?;
        if self.group.is_empty() {
            return Ok(Duration::ZERO);
        }
        let started = Instant::now();
        let prepared = self.settle().and_then(|()| self.prepare_group());
        prepared.map_err(|error| self.refuse(error))?;
        for index in 0..self.segments.len() {
            self.write_segment(index)?;
        }
        self.accept();
        Ok(started.elapsed())
    }

    /// Where the next frame will begin: all that is appended lies below.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        self.next
    }

    /// All below is durable.
    #[must_use]
    pub fn synced(&self) -> LogPosition {
        self.synced
    }

    /// Bytes of frames that wait for a sync.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.group.len()
    }

    /// Bytes of files that are in use or not released; spares not counted.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        let open: u64 = self.files.values().map(|file| file.capacity).sum();
        open + self.sealed.iter().map(|(_, capacity)| capacity).sum::<u64>()
    }

    /// Whether an earlier fault made the log refuse everything.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Syncs what waits and seals the file, so that the next start can tell damage at its end from a torn tail.
    ///
    /// # Errors
    /// As [`Self::sync`].
    pub fn close(mut self) -> Result<()> {
        self.sync()?;
        if self.next.offset > 0 {
            self.seal(None);
            self.sync()?;
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        match &self.failure {
            Some(cause) => Err(EngineError::LogFailed { path: self.dir.clone(), cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Remembers the fault for ever; what it answers to the writers of this group and all later ones.
    fn poison(&mut self, error: &EngineError) -> EngineError {
        let cause = error.to_string();
        tracing::error!(dir = %self.dir.display(), %cause, "the log failed: writes are refused until a restart");
        self.failure = Some(cause.clone());
        EngineError::LogFailed { path: self.dir.clone(), cause }
    }

    /// A fault that leaves no byte of the group, or a cut that is owed.
    fn refuse(&mut self, error: EngineError) -> EngineError {
        match error {
            EngineError::DiskFull { .. }
            | EngineError::ReadOnlyDisk { .. }
            | EngineError::LeftBehind { .. } => {
                self.discard();
                error
            }
            other => self.poison(&other),
        }
    }

    fn path(&self, sequence: u64) -> PathBuf {
        FileName::log(self.options.thread, sequence).in_dir(&self.dir)
    }

    fn identity(&self) -> FileIdentity {
        let LogOptions { thread, disk_id, .. } = self.options;
        FileIdentity { disk_id, thread, sequence: self.next.sequence }
    }

    /// Offset in the file of `next` below which all is synced.
    fn group_start(&self) -> u64 {
        if self.next.sequence == self.synced.sequence { self.synced.offset } else { 0 }
    }

    /// Sees to it that a frame of this stride, and a seal after it, fits where `next` stands.
    fn make_room(&mut self, stride: u64) {
        let needed = stride + SEAL_BYTES as u64;
        let fresh = self.options.file_bytes.max(FILE_HEADER_BYTES as u64 + needed);
        if self.next.offset > 0 && self.next.offset + needed > self.capacity {
            self.seal(Some(fresh));
            self.next = LogPosition { sequence: self.next.sequence + 1, offset: 0 };
        }
        if self.next.offset == 0 {
            self.capacity = fresh;
        }
        self.begin_segment();
        if self.next.offset == 0 {
            let unreserved = self.files.get(&self.next.sequence).is_some_and(|file| file.unreserved);
            let reserved = if unreserved { 0 } else { self.capacity };
            let header = FileHeader { identity: self.identity(), boot: self.options.boot, reserved };
            header.encode(&mut self.group);
            self.next.offset = FILE_HEADER_BYTES as u64;
        }
    }

    fn begin_segment(&mut self) {
        if self.segments.last().is_none_or(|segment| segment.sequence != self.next.sequence) {
            let LogPosition { sequence, offset } = self.next;
            self.segments.push(Segment {
                sequence,
                capacity: self.capacity,
                offset,
                start: self.group.len(),
            });
        }
    }

    fn seal(&mut self, next: Option<u64>) {
        self.begin_segment();
        let (identity, synced) = (self.identity(), self.group_start());
        let before = self.group.len();
        encode_seal(&mut self.group, &identity, self.next.offset, synced, next);
        self.next.offset += (self.group.len() - before) as u64;
    }

    /// Makes every file that the group needs, with names durable and room reserved.
    fn prepare_group(&mut self) -> Result<()> {
        for index in 0..self.segments.len() {
            let Segment { sequence, capacity, .. } = self.segments[index];
            self.prepare(sequence, capacity)?;
        }
        self.sync_names()
    }

    fn prepare(&mut self, sequence: u64, capacity: u64) -> Result<()> {
        let path = self.path(sequence);
        let first = self.files.is_empty();
        if !self.files.contains_key(&sequence) {
            let file = self.new_file(&path, capacity)?;
            self.names_dirty = true;
            self.files.insert(sequence, OpenFile { file, capacity, reserved: 0, unreserved: false });
        }
        match self.files.get_mut(&sequence) {
            Some(open) if open.reserved < capacity => {
                let mut allocated = open.file.allocate(capacity);
                if allocated.is_err() {
                    // File systems keep what they could reserve: the rest of the disk, which others need.
                    let _ = open.file.set_len(open.reserved);
                }
                if first && allocated.as_ref().is_err_and(|error| error.kind() == ErrorKind::StorageFull) {
                    // A start must not need more room than its few bytes: what is stored is to be read. Rows are
                    // refused while the disk has less than its reserve.
                    tracing::warn!(path = %path.display(), "the disk is nearly full: no room is reserved for the log");
                    allocated = Ok(());
                    open.unreserved = true;
                }
                allocated.map_err(|error| EngineError::io(IoAction::Write, &path, &error))?;
                if !first {
                    // The seal of the file before says how long this one is: no crash may make it shorter.
                    let synced = open.file.sync_data();
                    synced.map_err(|error| EngineError::io(IoAction::Sync, &path, &error))?;
                }
                open.reserved = capacity;
                open.capacity = open.capacity.max(capacity);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn new_file(&mut self, path: &Path, capacity: u64) -> Result<Arc<dyn DiskFile>> {
        if capacity == self.options.file_bytes
            && let Some(spare) = self.spares.pop()
        {
            let renamed = self.disk.rename(&spare, path);
            renamed.map_err(|error| EngineError::io(IoAction::Rename, &spare, &error))?;
            self.names_dirty = true;
            return self.disk.open(path).map_err(|error| EngineError::io(IoAction::Open, path, &error));
        }
        self.disk.create(path).map_err(|error| EngineError::io(IoAction::Create, path, &error))
    }

    fn sync_names(&mut self) -> Result<()> {
        if self.names_dirty {
            let synced = self.disk.sync_dir(&self.dir);
            synced.map_err(|error| EngineError::io(IoAction::Sync, &self.dir, &error))?;
            self.names_dirty = false;
        }
        Ok(())
    }

    /// The bytes of a segment in the group buffer.
    fn segment_range(&self, index: usize) -> std::ops::Range<usize> {
        let end = self.segments.get(index + 1).map_or(self.group.len(), |next| next.start);
        self.segments[index].start..end
    }

    fn segment_file(&self, index: usize) -> Result<(Arc<dyn DiskFile>, PathBuf)> {
        let sequence = self.segments[index].sequence;
        match self.files.get(&sequence) {
            Some(open) => Ok((open.file.clone(), self.path(sequence))),
            None => Err(EngineError::Internal(format!("log file {sequence} was not made"))),
        }
    }

    fn write_segment(&mut self, index: usize) -> Result<()> {
        let (file, path) = self.segment_file(index)?;
        let bytes = &self.group[self.segment_range(index)];
        if let Err(error) = file.write_at(bytes, self.segments[index].offset) {
            return Err(match EngineError::io(IoAction::Write, &path, &error) {
                refusal @ (EngineError::DiskFull { .. } | EngineError::ReadOnlyDisk { .. }) => {
                    self.take_back(index, refusal)
                }
                other => self.poison(&other),
            });
        }
        if let Err(error) = file.sync_data() {
            // Not by `EngineError::io`: even a full disk leaves it open here what is stored.
            let (action, kind, message) = (IoAction::Sync, error.kind(), error.to_string());
            return Err(self.poison(&EngineError::Io { action, path, kind, message }));
        }
        Ok(())
    }

    /// The whole group is durable.
    fn accept(&mut self) {
        for segment in &self.segments {
            if segment.sequence < self.next.sequence
                && let Some(open) = self.files.remove(&segment.sequence)
            {
                self.sealed.push((segment.sequence, open.capacity));
            }
        }
        self.synced = self.next;
        self.clear_group();
    }

    /// Back to where the last sync left the log. Files made ahead stay for the next group.
    fn discard(&mut self) {
        self.next = self.synced;
        self.capacity =
            self.files.get(&self.next.sequence).map_or(self.options.file_bytes, |open| open.capacity);
        self.clear_group();
    }

    fn clear_group(&mut self) {
        self.group.clear();
        self.group.shrink_to(LOG_GROUP_KEEP_BYTES);
        self.segments.clear();
    }
}
