//! What the facade, the drain threads and the background thread share.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use zepto_common::{DiskId, Error, ErrorCode, PartitionId, Result, TableId, Token};

use super::health::Health;
use super::options::StoreOptions;
use crate::background::Job;
use crate::catalog::Catalog;
use crate::copies::change::WaitingChange;
use crate::copies::followers::Followers;
use crate::dedup::marks::Resume;
use crate::disk::{Disk, replace_file};
use crate::error::{EngineError, IoAction};
use crate::memory::MemoryBudget;
use crate::shard::Drain;
use crate::table::TableData;

/// Counters of rows.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) rows_ingested: AtomicU64,
    pub(crate) rows_stored: AtomicU64,
    pub(crate) rows_duplicate: AtomicU64,
    pub(crate) rows_refused: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) compactions: AtomicU64,
    pub(crate) segments_damaged: AtomicU64,
}

/// Everything that more than one thread touches.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: StoreOptions,
    pub(crate) disk_id: DiskId,
    pub(crate) token: Token,
    pub(crate) partitions: u16,
    pub(crate) catalog: ArcSwap<Catalog>,
    /// Held while the catalog is changed.
    pub(crate) ddl: Mutex<()>,
    pub(crate) tables: ArcSwap<HashMap<TableId, Arc<TableData>>>,
    pub(crate) drains: Vec<Drain>,
    /// Committed changes that the background thread has to carry out: of each partition the next one.
    pub(crate) changes: Mutex<BTreeMap<PartitionId, WaitingChange>>,
    /// Bounded; drain threads only ever try.
    pub(crate) jobs: SyncSender<Job>,
    pub(crate) memory: MemoryBudget,
    pub(crate) counters: Counters,
    pub(crate) health: Health,
    pub(crate) sealed_ids: AtomicU64,
    /// No row may expire by this node's clock.
    pub(crate) expiry_held: AtomicBool,
    /// Copies of each partition that there are to be; 0 = not known.
    pub(crate) copies_expected: AtomicUsize,
    /// Which copies follow the partitions, by the newest placement.
    pub(crate) followers: ArcSwap<Followers>,
    /// Numbers that spread the blocks of tables without a key.
    pub(crate) block_ids: AtomicU64,
    /// Segments of an age below this were cut by another number of drain threads.
    pub(crate) elders_below: u64,
    /// A job to free memory waits already.
    pub(crate) relief_asked: AtomicBool,
    /// Where feeds go on, by table and stream; the drain threads write it after their sync.
    pub(crate) positions: Mutex<HashMap<TableId, BTreeMap<String, Resume>>>,
    closed: AtomicBool,
}

/// What [`Shared::new`] needs to know.
pub(crate) struct SharedParts {
    pub(crate) options: StoreOptions,
    pub(crate) disk_id: DiskId,
    pub(crate) token: Token,
    pub(crate) partitions: u16,
    pub(crate) elders_below: u64,
    pub(crate) catalog: Catalog,
    pub(crate) jobs: SyncSender<Job>,
}

impl Shared {
    pub(crate) fn new(parts: SharedParts) -> Self {
        let options = parts.options;
        let threads = options.drain_threads;
        let tables =
            parts.catalog.tables().map(|t| (t.id, Arc::new(TableData::new(t.id, threads)))).collect();
        Self {
            disk_id: parts.disk_id,
            token: parts.token,
            partitions: parts.partitions,
            catalog: ArcSwap::from_pointee(parts.catalog),
            ddl: Mutex::new(()),
            tables: ArcSwap::from_pointee(tables),
            drains: (0..threads).map(|_| Drain::new(options.ring_capacity, options.ring_bytes)).collect(),
            jobs: parts.jobs,
            memory: MemoryBudget::new(options.memory_limit),
            counters: Counters::default(),
            health: Health::new(threads),
            sealed_ids: AtomicU64::new(1),
            changes: Mutex::default(),
            // Until somebody has compared it with those of other nodes.
            expiry_held: AtomicBool::new(options.copies.is_some()),
            copies_expected: AtomicUsize::new(0),
            followers: ArcSwap::default(),
            block_ids: AtomicU64::new(rand::random()),
            elders_below: parts.elders_below,
            relief_asked: AtomicBool::new(false),
            positions: Mutex::default(),
            closed: AtomicBool::new(false),
            options,
        }
    }

    /// The file system.
    pub(crate) fn disk(&self) -> &dyn Disk {
        self.options.disk.as_ref()
    }

    /// The drain thread that owns a partition.
    pub(crate) fn shard_of(&self, partition: PartitionId) -> usize {
        usize::from(partition.0) % self.drains.len()
    }

    /// A table's data.
    ///
    /// # Errors
    /// `UnknownTable`.
    pub(crate) fn data(&self, table: TableId) -> Result<Arc<TableData>> {
        self.tables.load().get(&table).cloned().ok_or_else(|| {
            Error::new(ErrorCode::UnknownTable, format!("Table {table} does not exist (it was dropped)"))
        })
    }

    /// An id for a closed memtable.
    pub(crate) fn next_sealed_id(&self) -> u64 {
        self.sealed_ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes a catalog durable and shows it. The caller holds the DDL lock.
    ///
    /// # Errors
    /// The disk's; the catalog of before is in force then.
    pub(crate) fn commit_catalog(&self, next: Catalog) -> Result<()> {
        let path = self.options.data_dir.join("CATALOG");
        let bytes = crate::catalog::file::encode(&next)?;
        replace_file(self.disk(), &path, &bytes)
            .map_err(|error| EngineError::io(IoAction::Write, &path, &error))?;
        let mut tables = HashMap::clone(&self.tables.load());
        for table in next.tables() {
            let fresh = || Arc::new(TableData::new(table.id, self.drains.len()));
            tables.entry(table.id).or_insert_with(fresh);
        }
        let mut gone = Vec::new();
        for (id, data) in tables.iter().filter(|(id, _)| next.table_by_id(**id).is_none()) {
            data.mark_dropped();
            gone.push(*id);
        }
        // New data first, gone data last: whoever finds a table in the catalog finds its data too.
        self.tables.store(Arc::new(tables.clone()));
        self.catalog.store(Arc::new(next));
        if !gone.is_empty() {
            tables.retain(|id, _| !gone.contains(id));
            self.tables.store(Arc::new(tables));
        }
        Ok(())
    }

    /// Hands a job to the background thread without waiting; false when its queue is full (the caller's reason
    /// for the job stays, so it asks again later).
    pub(crate) fn try_job(&self, job: Job) -> bool {
        !matches!(self.jobs.try_send(job), Err(TrySendError::Full(_) | TrySendError::Disconnected(_)))
    }

    /// From now on every write is refused.
    pub(crate) fn refuse_writes(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Answers what still waits in the rings after the drain threads have ended.
    pub(crate) fn fail_waiting(&self) {
        for drain in &self.drains {
            drain.refuse_all(&closing());
        }
    }
}

/// The answer to whoever comes after the close.
pub(crate) fn closing() -> Error {
    Error::new(ErrorCode::NotReady, "the node is shutting down: repeat the request elsewhere or later")
}
