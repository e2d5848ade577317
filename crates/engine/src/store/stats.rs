//! What the store tells about itself.

use std::sync::atomic::Ordering;

use zepto_common::TableId;
use zepto_common::schema::TableName;

use super::{LogState, Store};

/// Counters and sizes at one moment.
#[derive(Debug, Clone)]
pub struct StoreStats {
    /// Rows that came in since the start.
    pub rows_ingested: u64,
    /// Rows made durable since the start.
    pub rows_stored: u64,
    /// Rows recognised as stored before.
    pub rows_duplicate: u64,
    /// Rows answered with an error.
    pub rows_refused: u64,
    /// Rows in all tables.
    pub rows: u64,
    /// Rows that wait in the rings.
    pub queue_rows: u64,
    /// Slots of all rings.
    pub queue_capacity: u64,
    /// Bytes of rows that no segment has.
    pub memtable_bytes: u64,
    /// Bytes of rows and indexes of segments in memory.
    pub hot_bytes: u64,
    /// Bound of both.
    pub memory_limit: u64,
    /// Closed memtables that no segment has.
    pub runs: u64,
    /// Segments with their rows in memory.
    pub segments_hot: u64,
    /// Segments on disk only.
    pub segments_warm: u64,
    /// Bytes of segment files.
    pub segment_bytes: u64,
    /// Free bytes of the disk; 0 if it does not tell.
    pub disk_free: u64,
    /// Bytes of the disk; 0 if it does not tell.
    pub disk_total: u64,
    /// Log syncs since the start.
    pub syncs: u64,
    /// Checkpoints since the start.
    pub checkpoints: u64,
    /// Compactions since the start.
    pub compactions: u64,
    /// Damaged segments found since the start.
    pub segments_damaged: u64,
    /// Drain threads.
    pub drain_threads: u64,
    /// Version of the catalog.
    pub catalog_version: u64,
    /// Whether the logs take rows.
    pub log_state: LogState,
}

/// Sizes of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStats {
    /// The table.
    pub table: TableId,
    /// Its name.
    pub name: TableName,
    /// Rows, those that have expired and are not dropped yet included.
    pub rows: u64,
    /// Bytes in memory.
    pub memory_bytes: u64,
    /// Bytes of segment files.
    pub disk_bytes: u64,
    /// Memtable chunks and closed memtables.
    pub memory_parts: u64,
    /// Segments.
    pub segments: u64,
}

impl Store {
    /// Counters and sizes now.
    #[must_use]
    pub fn stats(&self) -> StoreStats {
        let shared = &self.shared;
        let space = shared.disk().space(&shared.options.data_dir).ok();
        let counters = &shared.counters;
        let (mut rows, mut runs, mut hot, mut warm, mut segment_bytes) = (0, 0, 0, 0, 0);
        for table in shared.tables.load().values() {
            for cell in &table.cells().shards {
                let state = cell.load();
                rows += state.rows();
                runs += state.sealed.len() as u64;
                segment_bytes += state.segments.iter().map(|stored| stored.bytes).sum::<u64>();
                let in_memory = state.segments.iter().filter(|stored| stored.segment.hot().is_some()).count();
                hot += in_memory as u64;
                warm += (state.segments.len() - in_memory) as u64;
            }
        }
        StoreStats {
            rows_ingested: counters.rows_ingested.load(Ordering::Relaxed),
            rows_stored: counters.rows_stored.load(Ordering::Relaxed),
            rows_duplicate: counters.rows_duplicate.load(Ordering::Relaxed),
            rows_refused: counters.rows_refused.load(Ordering::Relaxed),
            rows,
            queue_rows: shared.drains.iter().map(|drain| drain.ring.rows()).sum(),
            queue_capacity: (shared.options.ring_capacity * shared.drains.len()) as u64,
            memtable_bytes: shared.memory.unflushed() as u64,
            hot_bytes: shared.memory.hot() as u64,
            memory_limit: shared.memory.limit() as u64,
            runs,
            segments_hot: hot,
            segments_warm: warm,
            segment_bytes,
            disk_free: space.map_or(0, |space| space.free),
            disk_total: space.map_or(0, |space| space.total),
            syncs: counters.syncs.load(Ordering::Relaxed),
            checkpoints: counters.checkpoints.load(Ordering::Relaxed),
            compactions: counters.compactions.load(Ordering::Relaxed),
            segments_damaged: counters.segments_damaged.load(Ordering::Relaxed),
            drain_threads: shared.drains.len() as u64,
            catalog_version: shared.catalog.load().version(),
            log_state: shared.health.worst(),
        }
    }

    /// Sizes of every table, by id.
    #[must_use]
    pub fn table_stats(&self) -> Vec<TableStats> {
        let catalog = self.shared.catalog.load();
        let tables = self.shared.tables.load();
        let of_table = |schema: &std::sync::Arc<zepto_common::schema::TableSchema>| {
            let data = tables.get(&schema.id)?;
            let mut stats = TableStats {
                table: schema.id,
                name: schema.name.clone(),
                rows: 0,
                memory_bytes: 0,
                disk_bytes: 0,
                memory_parts: 0,
                segments: 0,
            };
            for cell in &data.cells().shards {
                let state = cell.load();
                let hot: usize = state.segments.iter().map(|stored| stored.segment.memory()).sum();
                stats.rows += state.rows();
                stats.memory_bytes += (state.unflushed_bytes() + hot) as u64;
                stats.disk_bytes += state.segments.iter().map(|stored| stored.bytes).sum::<u64>();
                stats.memory_parts += (state.chunks.len() + state.sealed.len()) as u64;
                stats.segments += state.segments.len() as u64;
            }
            Some(stats)
        };
        catalog.tables().filter_map(of_table).collect()
    }

    /// Why the store should get no requests; empty when it should.
    #[must_use]
    pub fn ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.shared.is_closed() {
            reasons.push("the node is shutting down".to_owned());
        }
        let threads = self.threads.lock();
        let alive = threads.as_ref().is_none_or(|threads| {
            !threads.background.is_finished() && threads.drains.iter().all(|drain| !drain.is_finished())
        });
        if !alive {
            reasons.push("a storage thread has died: see the log and restart".to_owned());
        }
        match self.shared.health.worst() {
            LogState::Healthy => {}
            LogState::ReadOnly { reason } | LogState::Failed { reason } => reasons.push(reason),
        }
        reasons
    }
}
