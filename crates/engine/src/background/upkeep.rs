//! What the background thread does when it looks around: old memtables, long logs, short memory, many segments.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Background, warn_of};
use crate::ballast;
use crate::chunk::Chunk;
use crate::table::merge::groups_to_merge;
use crate::table::{ActiveChunk, StoredSegment, TableData};

/// Chunks of one memtable that are tolerated before they are merged.
const CHUNKS_MAX: usize = 24;
/// Rows of a chunk that a merge makes.
const MERGED_ROWS_MAX: usize = 128 << 10;
/// Time between a flush for memory that failed and the next.
const FLUSH_RETRY: Duration = Duration::from_secs(1);
/// Time between two attempts to make room on a disk that is short of it.
const ROOM_RETRY: Duration = Duration::from_secs(10);
/// Time between two looks at the room that is kept for the next start.
const BALLAST_TICK: Duration = Duration::from_secs(60);
/// Compactions per look: other work must not wait long.
const COMPACTIONS_PER_LOOK: usize = 2;

impl Background {
    pub(super) fn look_after_everything(&mut self) {
        let now = Instant::now();
        let tables: Vec<Arc<TableData>> = self.shared.tables.load().values().cloned().collect();
        for table in &tables {
            for shard in 0..self.shared.drains.len() {
                self.tend_memtable(table, shard, now);
            }
        }
        warn_of(self.carry_out_changes(), super::CHANGES_WAIT);
        self.checkpoint_what_is_due(now);
        self.make_room_on_disk(now);
        self.relieve_memory();
        if now.duration_since(self.looked_for_expired) >= self.shared.options.seal.ttl_tick {
            self.looked_for_expired = now;
            warn_of(self.expire_all(), "expired rows could not be dropped and will be later");
        }
        for _ in 0..COMPACTIONS_PER_LOOK {
            let (compacted, merged) = (self.compact_one(), self.merge_states_of_one());
            if !compacted && !merged {
                break;
            }
        }
        self.check_some_segments();
        self.collect_garbage();
    }

    /// Closes a memtable that is old, sorts those that are closed, merges many chunks.
    fn tend_memtable(&self, table: &Arc<TableData>, shard: usize, now: Instant) {
        let limits = &self.shared.options.seal;
        let cells = table.cells();
        let cell = &cells.shards[shard];
        let state = cell.load();
        if state.opened.is_some_and(|opened| now.duration_since(opened) >= limits.age) {
            let id = self.shared.next_sealed_id();
            cell.update(&self.shared.memory, |cell| cell.seal(id));
        } else if state.chunks.len() > CHUNKS_MAX {
            self.merge_chunks(table, shard);
        }
        warn_of(self.sort_closed(table, shard), "a memtable could not be sorted");
    }

    fn merge_chunks(&self, table: &Arc<TableData>, shard: usize) {
        let cells = table.cells();
        let chunks = cells.shards[shard].load().chunks.clone();
        let rows: Vec<usize> = chunks.iter().map(ActiveChunk::rows).collect();
        // From the end, so that the positions of those before stay right.
        for range in groups_to_merge(&rows, MERGED_ROWS_MAX).into_iter().rev() {
            let old: Vec<Arc<Chunk>> = chunks[range].iter().map(|active| active.chunk.clone()).collect();
            let merged = match Chunk::concat(&old) {
                Ok(merged) => ActiveChunk::new(merged),
                Err(error) => {
                    tracing::warn!(%error, "chunks could not be merged");
                    continue;
                }
            };
            cells.shards[shard].update(&self.shared.memory, |cell| {
                // The drain thread may have merged or closed them meanwhile: then this merge is void.
                let same = |at: usize| {
                    cell.chunks[at..].iter().map(|c| &c.chunk).zip(&old).all(|(a, b)| Arc::ptr_eq(a, b))
                };
                let at = cell.chunks.iter().position(|c| Arc::ptr_eq(&c.chunk, &old[0]));
                if let Some(at) = at
                    && at + old.len() <= cell.chunks.len()
                    && same(at)
                {
                    cell.chunks.splice(at..at + old.len(), [merged]);
                }
            });
        }
    }

    fn checkpoint_what_is_due(&mut self, now: Instant) {
        let age = self.shared.options.seal.checkpoint_age;
        let due: Vec<usize> = (0..self.shared.drains.len())
            .filter(|&shard| {
                let old = now.duration_since(self.checkpointed[shard]) >= age;
                old && (self.has_unflushed(shard) || !self.covered[shard])
            })
            .collect();
        if !due.is_empty() {
            warn_of(self.checkpoint(&due), "a checkpoint failed and will be tried again");
        }
    }

    /// On a disk that is short of room, turns rows in logs into segments, which are smaller, and removes log files that
    /// wait to be used again. Rows of tables that were dropped or emptied go with their logs.
    fn make_room_on_disk(&mut self, now: Instant) {
        let options = &self.shared.options;
        let free = self.shared.disk().space(&options.data_dir).map(|space| space.free);
        // A disk that cannot tell is not known to be short.
        if free.map_or(true, |free| free >= options.disk_reserve) {
            self.made_room = None;
            self.keep_ballast(now);
            return;
        }
        if self.made_room.is_some_and(|made| now.duration_since(made) < ROOM_RETRY) {
            return;
        }
        self.made_room = Some(now);
        for drain in &self.shared.drains {
            warn_of(
                drain.command(crate::shard::Command::DropSpares),
                "log files that wait to be used again stay until the next try",
            );
        }
        warn_of(
            self.checkpoint_all(),
            "a checkpoint to make room on the disk failed and will be tried again",
        );
    }

    /// Sees to the room for the next start. A store that keeps no reserve keeps none for this either.
    fn keep_ballast(&mut self, now: Instant) {
        let rested = self.ballast_tried.is_none_or(|tried| now.duration_since(tried) >= BALLAST_TICK);
        let options = &self.shared.options;
        if rested && options.disk_reserve > 0 {
            self.ballast_tried = Some(now);
            let kept = ballast::take_on(self.shared.disk(), &options.data_dir, options.disk_reserve);
            if let Err(error) = kept {
                tracing::warn!(%error, "no room could be kept for a start on a full disk until the next try");
            }
        }
    }

    fn has_unflushed(&self, shard: usize) -> bool {
        let tables = self.shared.tables.load();
        tables.values().any(|table| table.cells().shards[shard].load().unflushed_bytes() > 0)
    }

    /// Flushes when unflushed rows take much, and cools. A flush that failed is not tried again at once: writers ask
    /// for memory with every block, and a full disk does not get empty by asking.
    pub(super) fn relieve_memory(&mut self) {
        let rested = self.flush_failed.is_none_or(|failed| failed.elapsed() >= FLUSH_RETRY);
        if self.shared.memory.wants_flush() && rested {
            let flushed = self.checkpoint_all();
            self.flush_failed = flushed.is_err().then(Instant::now);
            warn_of(flushed, "a checkpoint to free memory failed and will be tried again");
        }
        self.relieve_hot();
    }

    /// Cools the oldest hot segments while everything together takes too much.
    pub(crate) fn relieve_hot(&mut self) {
        self.weigh_hot();
        let mut excess = self.shared.memory.excess();
        if excess == 0 {
            return;
        }
        let mut hot: Vec<Arc<StoredSegment>> =
            self.segments().filter(|s| s.segment.hot().is_some()).collect();
        hot.sort_by_key(|stored| stored.id);
        for stored in hot {
            if excess == 0 {
                break;
            }
            let before = stored.segment.memory();
            stored.segment.cool();
            excess = excess.saturating_sub(before - stored.segment.memory().min(before));
        }
        self.weigh_hot();
    }

    fn segments(&self) -> impl Iterator<Item = Arc<StoredSegment>> + use<> {
        let tables = self.shared.tables.load_full();
        let cells: Vec<_> = tables.values().map(|table| table.cells()).collect();
        cells.into_iter().flat_map(|cells| {
            cells
                .shards
                .iter()
                .flat_map(|cell| cell.load().all_segments().cloned().collect::<Vec<_>>())
                .collect::<Vec<_>>()
        })
    }

    /// Tells the budget what segments hold in memory.
    pub(crate) fn weigh_hot(&self) {
        self.shared.memory.set_hot(self.segments().map(|stored| stored.segment.memory()).sum());
    }
}
