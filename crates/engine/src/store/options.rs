//! How a store is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zepto_common::limits::{
    LOG_FILE_BYTES, MEMTABLE_AGE_MAX, MEMTABLE_BYTES_MAX, MEMTABLE_ROWS_MAX, PARTITIONS_DEFAULT,
    PARTITIONS_MAX, RING_BYTES_MAX, RING_CAPACITY_DEFAULT, SEGMENT_CHECK_TIME,
};
use zepto_common::{Error, ErrorCode, Result};

use super::changes::Conditions;
use crate::copies::CopyOptions;
use crate::disk::{Disk, RealDisk, Space};
use crate::segment::Codec;
use crate::view::ViewFold;

/// Memory for data when the options say nothing, in bytes.
const MEMORY_DEFAULT: usize = 4 << 30;
/// Least memory for data: below, every block would wait for a checkpoint.
const MEMORY_MIN: usize = 16 << 20;
/// Bytes that must be free for rows to be taken, on a disk that is not small.
const DISK_RESERVE: u64 = 64 << 20;
/// Part of the disk that one log file may take.
const LOG_FILE_OF_DISK: u64 = 64;
/// A log file may always have this size.
const LOG_FILE_MIN: u64 = 1 << 20;
/// Part of the disk that one drain thread's log may take before a checkpoint.
const LOG_OF_DISK: u64 = 16;
/// Part of the disk that may be kept in reserve.
const RESERVE_OF_DISK: u64 = 8;
/// Most drain threads.
const DRAIN_THREADS_MAX: usize = 256;

/// When memtables are closed and logs are checkpointed.
#[derive(Debug, Clone)]
pub struct SealLimits {
    /// Rows of a memtable (one table, one drain thread).
    pub rows: usize,
    /// Bytes of a memtable.
    pub bytes: usize,
    /// Age of a memtable's oldest row.
    pub age: Duration,
    /// Bytes of one drain thread's log since its last checkpoint.
    pub log_bytes: u64,
    /// Time between two checkpoints of a drain thread that has rows.
    pub checkpoint_age: Duration,
    /// How often the background thread looks for work; tests that want none set an hour.
    pub tick: Duration,
    /// How often expired rows are looked for.
    pub ttl_tick: Duration,
    /// Bytes of one log file.
    pub log_file_bytes: u64,
}

impl Default for SealLimits {
    fn default() -> Self {
        Self {
            rows: MEMTABLE_ROWS_MAX,
            bytes: MEMTABLE_BYTES_MAX,
            age: MEMTABLE_AGE_MAX,
            log_bytes: 256 << 20,
            checkpoint_age: Duration::from_secs(600),
            tick: Duration::from_millis(500),
            ttl_tick: Duration::from_secs(10),
            log_file_bytes: LOG_FILE_BYTES,
        }
    }
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where the data is.
    pub data_dir: PathBuf,
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// Keep other processes out by a lock file; only off for a simulated disk.
    pub exclusive: bool,
    /// Threads that log rows; 0 = max(2, cores / 4).
    pub drain_threads: usize,
    /// Slots of each thread's ring; 0 = the default.
    pub ring_capacity: usize,
    /// Bytes of rows that may wait in each ring.
    pub ring_bytes: usize,
    /// Bytes of rows and indexes in memory.
    pub memory_limit: usize,
    /// Partitions of a fresh directory; None takes the default, or what an existing one has.
    pub partitions: Option<u16>,
    /// How segments are compressed.
    pub compression: Codec,
    /// Cut a log at its first corrupt frame if nothing valid follows, instead of refusing to start.
    pub allow_corrupt_tail: bool,
    /// Time in which the start verifies segments; what is left is verified while the store serves.
    pub check_time: Duration,
    /// Bytes that must be free on the disk for writes to be taken.
    pub disk_reserve: u64,
    /// When memtables are closed and logs are checkpointed.
    pub seal: SealLimits,
    /// Who computes the states of materialized views; without one they stop.
    pub fold: Option<Arc<dyn ViewFold>>,
    /// Who understands the conditions of DELETE, in a store with copies.
    pub conditions: Option<Arc<dyn Conditions>>,
    /// Carry copies of partitions that other nodes have too; None for a store that stands alone.
    pub copies: Option<CopyOptions>,
}

impl StoreOptions {
    /// The defaults for a directory of the real file system.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            disk: Arc::new(RealDisk),
            exclusive: true,
            drain_threads: 0,
            ring_capacity: 0,
            ring_bytes: RING_BYTES_MAX,
            memory_limit: MEMORY_DEFAULT,
            partitions: None,
            compression: Codec::default(),
            allow_corrupt_tail: false,
            check_time: SEGMENT_CHECK_TIME,
            disk_reserve: DISK_RESERVE,
            seal: SealLimits::default(),
            fold: None,
            conditions: None,
            copies: None,
        }
    }

    /// The options with every 0 replaced by its meaning.
    ///
    /// # Errors
    /// `InvalidConfigParameter`.
    pub(crate) fn settled(mut self) -> Result<Self> {
        let invalid = |what: String| Err(Error::new(ErrorCode::InvalidConfigParameter, what));
        if self.drain_threads == 0 {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            self.drain_threads = (cores / 4).max(2);
        }
        if self.ring_capacity == 0 {
            self.ring_capacity = RING_CAPACITY_DEFAULT;
        }
        if self.drain_threads > DRAIN_THREADS_MAX {
            return invalid(format!("drain threads: {} of at most {DRAIN_THREADS_MAX}", self.drain_threads));
        }
        if self.memory_limit < MEMORY_MIN {
            return invalid(format!("memory limit: {} of at least {MEMORY_MIN} bytes", self.memory_limit));
        }
        if self.partitions.is_some_and(|partitions| partitions == 0 || partitions > PARTITIONS_MAX) {
            return invalid(format!("partitions: 1 to {PARTITIONS_MAX} are possible"));
        }
        Ok(self)
    }

    /// Fits what is reserved on the disk to the size of a small one: logs that were never let go would fill it.
    pub(crate) fn fit_to_disk(&mut self) {
        // A disk that cannot tell its size keeps the sizes of a large one.
        let Ok(Space { total, .. }) = self.disk.space(&self.data_dir) else { return };
        let seal = &mut self.seal;
        seal.log_file_bytes = seal.log_file_bytes.min((total / LOG_FILE_OF_DISK).max(LOG_FILE_MIN));
        seal.log_bytes = seal.log_bytes.min((total / LOG_OF_DISK).max(LOG_FILE_MIN));
        // A reserve that somebody chose is kept.
        if self.disk_reserve == DISK_RESERVE {
            self.disk_reserve = DISK_RESERVE.min(total / RESERVE_OF_DISK);
        }
    }

    /// Partitions of a fresh directory.
    pub(crate) fn partitions_wanted(&self) -> u16 {
        self.partitions.unwrap_or(PARTITIONS_DEFAULT)
    }
}
