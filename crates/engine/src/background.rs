//! The background thread: it alone replaces the manifest and touches segment files, one job at a time, so nothing
//! it does needs a lock against itself. Jobs asked for by people wait for an answer; the rest it finds by looking.

mod changes;
mod check;
mod checkpoint;
mod compact;
pub(crate) mod files;
mod mutate;
mod pause;
pub(crate) mod replace;
pub(crate) mod snapshot;
#[cfg(test)]
mod tests;
mod ttl;
mod upkeep;
pub(crate) mod views;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Instant;

use arrow::array::RecordBatch;
use tokio::sync::oneshot;
use zepto_common::schema::TableSchema;
use zepto_common::{Error, PartitionId, Result, TableId};

use crate::catalog::ViewDefinition;
use crate::chunk::Chunk;
use crate::disk::replace_file;
use crate::error::{EngineError, IoAction};
use crate::manifest::Manifest;
use crate::store::shared::Shared;
use crate::table::{StoredSegment, TableData};
use crate::wal::ReplaySummary;

/// Jobs that may wait.
pub(crate) const JOBS_MAX: usize = 1_024;

/// What is said when a committed change could not be carried out.
const CHANGES_WAIT: &str =
    "a committed change of rows cannot be carried out yet: its partitions show nothing newer";

/// Answers whoever asked for a job.
pub(crate) type Done<T> = oneshot::Sender<Result<T>>;

/// Gives the rows to keep of a batch; None when all stay as they are.
pub(crate) type Transform = Arc<dyn Fn(RecordBatch) -> Result<Option<RecordBatch>> + Send + Sync>;

/// A snapshot for backup.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SnapshotInfo {
    /// Its name.
    pub name: String,
    /// Its folder, which opens as a data directory.
    pub path: PathBuf,
    /// Version of the catalog in it.
    pub catalog_version: u64,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// When it was made, nanoseconds since 1970 by the wall clock.
    pub created_nanos: i64,
    /// Identity of the data directory, 32 hex digits: segment numbers are its own.
    #[serde(default)]
    pub disk: String,
    /// In a cluster, the partitions of which it has every row that was acknowledged before it was asked for, and none that
    /// is not committed; of others it may have anything. None: of a store that stands alone, which has them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<Vec<PartitionId>>,
}

/// Work for the background thread.
pub(crate) enum Job {
    /// Sort the closed memtables of a table.
    Seal { table: Arc<TableData>, shard: usize },
    /// Checkpoint a shard whose log is long.
    Flush { shard: usize },
    /// Memory is short.
    Relieve,
    /// Checkpoint every shard.
    Checkpoint { done: Done<()> },
    /// Merge all segments of a table.
    Optimize { table: Arc<TableData>, done: Done<()> },
    /// Change the rows of a table.
    Rewrite { table: Arc<TableData>, transform: Transform, done: Done<u64> },
    /// Remove the rows of a table.
    Truncate { table: Arc<TableData>, done: Done<()> },
    /// Drop expired rows for good and forget the cutoff, because the TTL was lengthened or removed.
    ResetCutoff { table: Arc<TableData>, done: Done<()> },
    /// Free the disk of tables that are gone.
    Forget { tables: Vec<Arc<TableData>>, done: Done<()> },
    /// Begin a materialized view.
    CreateView { view: Box<ViewDefinition>, backfill: bool, done: Done<()> },
    /// Let go of the states of a view that is gone.
    ForgetView { source: Arc<TableData>, view: TableId, done: Done<()> },
    /// Carry out the committed changes that wait.
    Changes,
    /// Look after everything now.
    LookNow { done: Done<()> },
    /// Look for expired rows now.
    Expire { done: Done<()> },
    /// Make a snapshot.
    Snapshot { name: String, shared: bool, done: Done<SnapshotInfo> },
    /// Note which partitions a snapshot has whole.
    ConfirmSnapshot { name: String, whole: Vec<PartitionId>, done: Done<SnapshotInfo> },
    /// Remove a snapshot.
    RemoveSnapshot { name: String, done: Done<()> },
    /// Write rows of another node's copy as a segment that no manifest names yet.
    Stage { schema: Arc<TableSchema>, chunks: Vec<Arc<Chunk>>, done: Done<Arc<StoredSegment>> },
    /// Remove segments that no manifest names.
    Discard { segments: Vec<u64> },
    /// Replace the copies of a drain thread that wait for it.
    Replace { shard: usize },
    /// Flush if asked to, then end.
    Stop { flush: bool, done: SyncSender<Result<()>> },
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Seal { .. } => "Seal",
            Self::Flush { .. } => "Flush",
            Self::Relieve => "Relieve",
            Self::Checkpoint { .. } => "Checkpoint",
            Self::Optimize { .. } => "Optimize",
            Self::Rewrite { .. } => "Rewrite",
            Self::Truncate { .. } => "Truncate",
            Self::ResetCutoff { .. } => "ResetCutoff",
            Self::Forget { .. } => "Forget",
            Self::CreateView { .. } => "CreateView",
            Self::ForgetView { .. } => "ForgetView",
            Self::Changes => "Changes",
            Self::LookNow { .. } => "LookNow",
            Self::Expire { .. } => "Expire",
            Self::Snapshot { .. } => "Snapshot",
            Self::ConfirmSnapshot { .. } => "ConfirmSnapshot",
            Self::RemoveSnapshot { .. } => "RemoveSnapshot",
            Self::Stage { .. } => "Stage",
            Self::Discard { .. } => "Discard",
            Self::Replace { .. } => "Replace",
            Self::Stop { .. } => "Stop",
        })
    }
}

/// The state that the background thread alone has.
#[derive(Debug)]
pub(crate) struct Background {
    pub(crate) shared: Arc<Shared>,
    /// As on the disk, but for `next_segment`, which only grows.
    pub(crate) manifest: Manifest,
    /// Log files of earlier starts, until every shard has been checkpointed in this one.
    pub(crate) old_logs: Option<ReplaySummary>,
    /// Shards checkpointed in this start.
    pub(crate) covered: Vec<bool>,
    /// Files that no manifest names and that could not be removed yet.
    pub(crate) garbage: Vec<PathBuf>,
    /// False after a failed replacement of the manifest: it is not known which of two a restart would find, so no
    /// file that either names may go.
    manifest_known: bool,
    pub(crate) looked_for_expired: Instant,
    /// When the room for the next start was last looked at.
    pub(crate) ballast_tried: Option<Instant>,
    /// When a flush to free memory failed last, if the newest did.
    pub(crate) flush_failed: Option<Instant>,
    /// When the changes of a table could not be carried out.
    pub(crate) changes_failed: BTreeMap<TableId, Instant>,
    /// When room was made on a disk that is still short of it.
    made_room: Option<Instant>,
    /// By shard.
    pub(crate) checkpointed: Vec<Instant>,
    /// Segments that the start had no time to verify.
    pub(crate) unchecked: VecDeque<Arc<StoredSegment>>,
}

impl Background {
    pub(crate) fn new(shared: Arc<Shared>, manifest: Manifest) -> Self {
        let covered = vec![false; shared.drains.len()];
        Self {
            checkpointed: vec![Instant::now(); covered.len()],
            shared,
            manifest,
            old_logs: None,
            covered,
            garbage: Vec::new(),
            manifest_known: true,
            looked_for_expired: Instant::now(),
            ballast_tried: None,
            flush_failed: None,
            changes_failed: BTreeMap::new(),
            made_room: None,
            unchecked: VecDeque::new(),
        }
    }

    /// The thread's body: ends on [`Job::Stop`] or when the store is gone.
    pub(crate) fn run(mut self, jobs: Receiver<Job>) {
        let tick = self.shared.options.seal.tick;
        let mut next = Instant::now() + tick;
        loop {
            match jobs.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Job::Stop { flush, done }) => {
                    let result = if flush { self.checkpoint_all() } else { Ok(()) };
                    let _ = done.send(result);
                    return;
                }
                Ok(job) => self.perform(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= next {
                self.look_after_everything();
                next = Instant::now() + tick;
            }
        }
    }

    fn perform(&mut self, job: Job) {
        match job {
            Job::Seal { table, shard } => {
                let sorted = self.sort_closed(&table, shard);
                warn_of(sorted, "a memtable could not be sorted");
            }
            Job::Flush { shard } => {
                let flushed = self.checkpoint(&[shard]);
                warn_of(flushed, "a checkpoint failed and will be tried again");
            }
            Job::Relieve => {
                self.shared.relief_asked.store(false, Ordering::Release);
                self.relieve_memory();
            }
            Job::Checkpoint { done } => answer(done, self.checkpoint_all()),
            Job::Optimize { table, done } => answer(done, self.optimize(&table)),
            Job::Rewrite { table, transform, done } => answer(done, self.rewrite(&table, &transform)),
            Job::Truncate { table, done } => answer(done, self.truncate(&table)),
            Job::ResetCutoff { table, done } => answer(done, self.reset_cutoff(&table)),
            Job::Forget { tables, done } => answer(done, self.forget(&tables)),
            Job::CreateView { view, backfill, done } => answer(done, self.create_view(*view, backfill)),
            Job::ForgetView { source, view, done } => answer(done, self.forget_view(&source, view)),
            Job::Changes => warn_of(self.carry_out_changes(), CHANGES_WAIT),
            Job::LookNow { done } => {
                self.look_after_everything();
                answer(done, Ok(()));
            }
            Job::Expire { done } => answer(done, self.expire_all()),
            Job::Snapshot { name, shared, done } => answer(done, self.snapshot(&name, shared)),
            Job::ConfirmSnapshot { name, whole, done } => answer(done, self.confirm_snapshot(&name, whole)),
            Job::RemoveSnapshot { name, done } => answer(done, self.remove_snapshot(&name)),
            Job::Stage { schema, chunks, done } => self.stage(&schema, &chunks, done),
            Job::Discard { segments } => self.remove_segments(segments),
            Job::Replace { shard } => self.try_replace(shard),
            Job::Stop { .. } => {}
        }
    }

    /// Replaces the manifest by a changed copy; on success it is in force, on a fault the one before is (and no
    /// file that either names may be removed).
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn commit(&mut self, change: impl FnOnce(&mut Manifest)) -> Result<()> {
        let (threads, boot) = (self.shared.drains.len() as u16, self.shared.token.boot);
        self.commit_keeping_threads(|manifest| {
            manifest.set_threads(threads, boot);
            change(manifest);
        })
    }

    /// As [`Self::commit`], before the windows are cut for this start's number of drain threads.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn commit_keeping_threads(&mut self, change: impl FnOnce(&mut Manifest)) -> Result<()> {
        let mut next = self.manifest.clone();
        change(&mut next);
        next.version += 1;
        next.boot = self.shared.token.boot;
        next.drop_passed_floors();
        let path = self.shared.options.data_dir.join("MANIFEST");
        let bytes = next.encode()?;
        self.manifest_known = false;
        replace_file(self.shared.disk(), &path, &bytes)
            .map_err(|error| Error::from(EngineError::io(IoAction::Write, &path, &error)))?;
        self.manifest_known = true;
        self.manifest = next;
        Ok(())
    }
}

fn answer<T>(done: Done<T>, result: Result<T>) {
    // Whoever asked may have gone away; the work is done all the same.
    let _ = done.send(result);
}

pub(crate) fn warn_of(result: Result<()>, what: &str) {
    if let Err(error) = result {
        tracing::warn!(%error, "{what}");
    }
}
