//! From synced frames to what queries see.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use zepto_common::TableId;

use super::Shard;
use crate::background::Job;
use crate::chunk::Chunk;
use crate::table::merge::tail_to_merge;
use crate::table::{ActiveChunk, TableData, TableShard};

/// Chunks below this many rows are merged with others of the same pass.
const SMALL_ROWS: usize = 4_096;

/// The rows of one pass for one table.
#[derive(Debug)]
pub(super) struct TableRows {
    pub(super) table: Arc<TableData>,
    pub(super) chunks: Vec<Chunk>,
}

impl Shard {
    /// Publishes the rows of a pass: one pointer swap per table.
    pub(super) fn apply(&mut self, rows: BTreeMap<TableId, TableRows>, now: Instant) {
        for (id, TableRows { table, chunks }) in rows {
            if table.is_dropped() {
                continue;
            }
            let added: Vec<ActiveChunk> = gathered(chunks).into_iter().map(ActiveChunk::new).collect();
            let sealed_id = self.shared.next_sealed_id();
            let limits = &self.shared.options.seal;
            let sealed = table.cells().shards[self.index].update(&self.shared.memory, |cell| {
                for chunk in added {
                    cell.push(chunk, now);
                }
                merge_tail(cell);
                let full = cell.active_rows() >= limits.rows || cell.active_bytes() >= limits.bytes;
                full && cell.seal(sealed_id)
            });
            if sealed {
                // If the queue is full the next look at all tables finds it.
                self.shared.try_job(Job::Seal { table: table.clone(), shard: self.index });
            }
            self.dirty.insert(id, table);
        }
        self.ask_for_checkpoint();
    }

    fn ask_for_checkpoint(&mut self) {
        let limit = self.shared.options.seal.log_bytes;
        if self.logged.bytes >= limit && !self.logged.asked {
            self.logged.asked = self.shared.try_job(Job::Flush { shard: self.index });
        }
        if self.shared.memory.wants_flush() && !self.shared.relief_asked.swap(true, Ordering::AcqRel) {
            let taken = self.shared.try_job(Job::Relieve);
            self.shared.relief_asked.store(taken, Ordering::Release);
        }
    }
}

/// One chunk of all small ones, at the place of the first; large ones stay as they are.
fn gathered(chunks: Vec<Chunk>) -> Vec<Chunk> {
    let (small, large): (Vec<_>, Vec<_>) =
        chunks.into_iter().partition(|chunk| chunk.rows.num_rows() < SMALL_ROWS);
    if small.len() < 2 {
        return small.into_iter().chain(large).collect();
    }
    let small: Vec<Arc<Chunk>> = small.into_iter().map(Arc::new).collect();
    match Chunk::concat(&small) {
        Ok(merged) => std::iter::once(merged).chain(large).collect(),
        Err(error) => {
            // The rows are durable and must be seen: unmerged is as right, only slower.
            tracing::warn!(%error, "small chunks could not be merged");
            small.into_iter().map(Arc::unwrap_or_clone).chain(large).collect()
        }
    }
}

/// Merges chunks at the end of the list until there are few.
pub(crate) fn merge_tail(cell: &mut TableShard) {
    while let Some(range) = tail_to_merge(cell.chunks.iter().map(ActiveChunk::rows)) {
        let parts: Vec<Arc<Chunk>> = cell.chunks[range.clone()].iter().map(|c| c.chunk.clone()).collect();
        match Chunk::concat(&parts) {
            Ok(merged) => drop(cell.chunks.splice(range, [ActiveChunk::new(merged)])),
            Err(error) => {
                tracing::warn!(%error, "small chunks could not be merged");
                return;
            }
        }
    }
}
