//! The facade of one node's storage. Rows that [`Store`] acknowledged are durable and visible; a snapshot is
//! taken without waiting for anybody; everything it starts is joined by [`Store::close`].
//!
//! Threads: `zepto-drain-N` take rows from the rings, log and publish them; `zepto-background` seals, flushes,
//! compacts, cools, expires and rewrites, one job at a time, and alone replaces the manifest.

pub(crate) mod changes;
mod copies;
mod ddl;
mod health;
mod mutate;
mod open;
mod options;
mod parts;
mod positions;
pub(crate) mod shared;
mod snapshots;
mod stats;
mod whole;
pub(crate) mod write;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use zepto_common::{Boot, DiskId, Error, ErrorCode, Result, TableId};

use crate::background::Job;
use crate::catalog::Catalog;
use crate::identity::DirectoryLock;
use shared::Shared;

pub use crate::background::SnapshotInfo;
pub use crate::catalog::{AlterOp, ColumnPosition, NewTable, ViewDefinition};
pub use crate::segment::Codec;
pub use crate::table::{TableSnapshot, ViewSnapshot};
pub use changes::{Condition, Conditions, Judge, Rewriter, Update};
pub use health::LogState;
pub use mutate::RewriteFn;
pub use options::{SealLimits, StoreOptions};
pub use parts::{PartResult, PartStored};
pub use positions::FeedPosition;
pub use snapshots::SnapshotFile;
pub use stats::{StoreStats, TableStats};
pub use whole::Intake;
pub(crate) use write::encode_rows;

/// How long [`Store::close`] waits for one thread to take the word that it should end.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// One node's storage, open.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    /// Taken by the first close.
    threads: Mutex<Option<Threads>>,
    /// Held until the last thread has ended.
    _lock: Option<DirectoryLock>,
}

#[derive(Debug)]
struct Threads {
    drains: Vec<JoinHandle<()>>,
    background: JoinHandle<()>,
}

impl Store {
    /// Opens a data directory, or makes one: counts the start, reads catalog and manifest, replays every log
    /// (flushing on the way when memory runs short), removes files that nothing refers to.
    ///
    /// # Errors
    /// `CannotOpenFile` if another process uses the directory; `CorruptedData` with file and offset;
    /// `InvalidConfigParameter` for other partitions than it was made with; the disk's.
    pub fn open(options: StoreOptions) -> Result<Arc<Self>> {
        open::open(options)
    }

    /// Refuses new writes, finishes those that wait, flushes everything and joins every thread. A second call
    /// does nothing.
    ///
    /// # Errors
    /// What the last flush says; the acknowledged rows are in the logs all the same.
    pub fn close(&self) -> Result<()> {
        self.stop(true)
    }

    /// As [`close`](Self::close) without the flush: the next open replays the logs.
    ///
    /// # Errors
    /// A thread that died.
    pub fn close_without_flush(&self) -> Result<()> {
        self.stop(false)
    }

    fn stop(&self, flush: bool) -> Result<()> {
        let Some(threads) = self.threads.lock().take() else { return Ok(()) };
        self.shared.refuse_writes();
        let (done, flushed) = std::sync::mpsc::sync_channel(1);
        // The drain threads still run: the last checkpoint needs them.
        let stopping = self.shared.jobs.send(Job::Stop { flush, done });
        let result = match stopping {
            Ok(()) => flushed.recv().unwrap_or_else(|_| Err(died("background"))),
            Err(_) => Err(died("background")),
        };
        for drain in &self.shared.drains {
            drain.stop(STOP_PATIENCE);
        }
        let mut panicked = None;
        for drain in threads.drains {
            if drain.join().is_err() {
                panicked = Some(died("drain"));
            }
        }
        if threads.background.join().is_err() {
            panicked = Some(died("background"));
        }
        self.shared.fail_waiting();
        panicked.map_or(result, Err)
    }

    /// The catalog now; wait-free.
    #[must_use]
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog.load_full()
    }

    /// All rows of a table at this moment; wait-free.
    ///
    /// # Errors
    /// `UnknownTable`.
    pub fn snapshot(&self, table: TableId) -> Result<TableSnapshot> {
        let catalog = self.shared.catalog.load();
        let unknown = || Error::new(ErrorCode::UnknownTable, format!("Table {table} does not exist"));
        let schema = catalog.table_by_id(table).ok_or_else(unknown)?;
        let tables = self.shared.tables.load();
        Ok(tables.get(&table).ok_or_else(unknown)?.snapshot(schema.clone(), self.shared.elders_below))
    }

    /// What a materialized view is made of at this moment; wait-free.
    ///
    /// # Errors
    /// `UnknownTable`.
    pub fn view_snapshot(&self, view: &ViewDefinition) -> Result<ViewSnapshot> {
        let unknown = || Error::new(ErrorCode::UnknownTable, format!("View {} does not exist", view.name));
        let (id, source) = view.target.zip(view.source).ok_or_else(unknown)?;
        let catalog = self.shared.catalog.load();
        let schema = catalog.table_by_id(source).ok_or_else(unknown)?;
        let tables = self.shared.tables.load();
        let snapshot = tables.get(&source).ok_or_else(unknown)?.view_snapshot(schema.clone(), id);
        // A view leaves the catalog before its states go: if it is still there, the states were all of them.
        match self.shared.catalog.load().view_by_id(id) {
            Some(_) => Ok(snapshot),
            None => Err(unknown()),
        }
    }

    /// The identity of the data directory.
    #[must_use]
    pub fn disk_id(&self) -> DiskId {
        self.shared.disk_id
    }

    /// The number of this start.
    #[must_use]
    pub fn boot(&self) -> Boot {
        self.shared.token.boot
    }

    /// Partitions of the data directory.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        self.shared.partitions
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.stop(false) {
            tracing::error!(%error, "the store did not stop cleanly");
        }
    }
}

fn died(thread: &str) -> Error {
    Error::internal(format!("a {thread} thread has died"))
}
