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

/// One chunk of small ones that follow each other; large ones stay as they are, where they are: of rows with the same key
/// and time the later ones come later.
fn gathered(chunks: Vec<Chunk>) -> Vec<Chunk> {
    let (mut out, mut small) = (Vec::with_capacity(chunks.len()), Vec::new());
    for chunk in chunks {
        if chunk.rows.num_rows() < SMALL_ROWS {
            small.push(Arc::new(chunk));
            continue;
        }
        merge_into(&mut out, std::mem::take(&mut small));
        out.push(chunk);
    }
    merge_into(&mut out, small);
    out
}

fn merge_into(out: &mut Vec<Chunk>, small: Vec<Arc<Chunk>>) {
    if small.len() > 1 {
        match Chunk::concat(&small) {
            Ok(merged) => return out.push(merged),
            // The rows are durable and must be seen: unmerged is as right, only slower.
            Err(error) => tracing::warn!(%error, "small chunks could not be merged"),
        }
    }
    out.extend(small.into_iter().map(Arc::unwrap_or_clone));
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

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;
    use zepto_common::PartitionId;
    use zepto_common::types::ColumnType;

    use super::*;
    use crate::part::tests::rows;

    #[test]
    fn small_chunks_are_merged_and_none_passes_a_large_one() {
        let schema = rows::table(None, None, &[ColumnType::Int64]);
        let chunk = |first: i64, count: usize| {
            let numbers = Int64Array::from_iter_values(first..first + count as i64);
            let rows = RecordBatch::try_new(schema.storage_schema(), vec![Arc::new(numbers)]).unwrap();
            Chunk::new(schema.clone(), rows, vec![(PartitionId(0), 0..count as u32)]).unwrap()
        };
        let large = SMALL_ROWS as i64;
        let chunks = vec![chunk(0, 1), chunk(1, 1), chunk(2, SMALL_ROWS), chunk(2 + large, 1)];
        let gathered = gathered(chunks);
        let sizes: Vec<usize> = gathered.iter().map(|chunk| chunk.rows.num_rows()).collect();
        assert_eq!(sizes, [2, SMALL_ROWS, 1]);
        let numbers = |chunk: &Chunk| chunk.rows.column(0).as_primitive::<Int64Type>().values().to_vec();
        assert!(gathered.iter().flat_map(numbers).eq(0..3 + large));
    }
}
