//! Compaction: neighbouring segments of like size become one, so that a table has few.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use zepto_common::{Error, Result};

use super::Background;
use super::files::entry_of;
use crate::part::Part;
use crate::run::{MergeOptions, Run};
use crate::table::{StoredSegment, TableData};

/// Segments of one size class that are merged together.
const FAN_IN: usize = 4;
/// Rows of the smallest size class; each class is [`FAN_IN`] times as large as the one before.
const CLASS_ROWS: u64 = 16 << 10;
/// Segments of more rows than this are left alone: what a merge holds in memory is bounded by it.
pub(super) const COMPACT_ROWS_MAX: u64 = 8 << 20;
/// Bytes of files that one merge takes at most.
const COMPACT_BYTES_MAX: u64 = 512 << 20;

/// What the choice needs to know of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) times: Option<(i64, i64)>,
}

fn class_of(rows: u64) -> u32 {
    (rows / CLASS_ROWS).max(1).ilog(FAN_IN as u64)
}

/// The segments to merge now, oldest first: a stretch of [`FAN_IN`] neighbours of one size class or smaller.
/// With `span_max` (tables with a TTL) the result covers no more time than that, so that whole segments expire.
pub(super) fn choose(segments: &[Candidate], span_max: Option<i64>) -> Option<std::ops::Range<usize>> {
    for (last, newest) in segments.iter().enumerate().rev() {
        let class = class_of(newest.rows);
        let mut start = last;
        let (mut rows, mut bytes, mut times) = (newest.rows, newest.bytes, newest.times);
        while start > 0 && class_of(segments[start - 1].rows) <= class {
            let older = &segments[start - 1];
            let joined = match (times, older.times) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (one, other) => one.or(other),
            };
            let span = joined.map_or(0, |(from, to)| to.saturating_sub(from));
            let fits = rows + older.rows <= COMPACT_ROWS_MAX
                && bytes + older.bytes <= COMPACT_BYTES_MAX
                && span_max.is_none_or(|most| span <= most);
            if !fits {
                break;
            }
            (rows, bytes, times) = (rows + older.rows, bytes + older.bytes, joined);
            start -= 1;
        }
        if last + 1 - start >= FAN_IN {
            return Some(start..last + 1);
        }
    }
    None
}

impl Background {
    /// Does one compaction, if there is one to do; whether it did.
    pub(super) fn compact_one(&mut self) -> bool {
        let tables: Vec<Arc<TableData>> = self.shared.tables.load().values().cloned().collect();
        for table in tables {
            if self.has_changes(&table) {
                continue;
            }
            for shard in 0..self.shared.drains.len() {
                let state = table.cells().shards[shard].load();
                if state.segments.len() < FAN_IN {
                    continue;
                }
                let span_max = self.span_max(&table);
                let mut groups = state.segments.chunk_by(|a, b| self.same_cut(a, b));
                let chosen = groups.find_map(|group| {
                    let candidates: Vec<Candidate> = group.iter().map(|s| candidate_of(s)).collect();
                    choose(&candidates, span_max).map(|range| group[range].to_vec())
                });
                let Some(chosen) = chosen else { continue };
                match self.merge_segments(&table, shard, &chosen) {
                    Ok(()) => return true,
                    Err(error) => tracing::warn!(%error, "a compaction failed and will be tried again"),
                }
            }
        }
        false
    }

    /// Whether changes of its rows wait. Merging writes the columns of today, and a condition may read one that was dropped
    /// since.
    fn has_changes(&self, table: &TableData) -> bool {
        self.shared.changes.lock().values().any(|change| change.table == table.id)
    }

    /// Whether the rows of both were cut by drain threads in the same way, so that merging them keeps the order in which a
    /// key's rows came.
    pub(super) fn same_cut(&self, a: &StoredSegment, b: &StoredSegment) -> bool {
        self.manifest.cut_of(a.age) == self.manifest.cut_of(b.age)
    }

    /// Most time that a merged segment of a table may cover, in ticks.
    fn span_max(&self, table: &TableData) -> Option<i64> {
        let catalog = self.shared.catalog.load();
        let schema = catalog.table_by_id(table.id)?;
        let seconds = i64::try_from(schema.ttl_seconds?).ok()?;
        Some((super::ttl::ticks_per_second_of(schema)?.saturating_mul(seconds) / 8).max(1))
    }

    /// Replaces segments of one shard by one that has their unexpired rows.
    ///
    /// # Errors
    /// The disk's; the old ones stay.
    pub(super) fn merge_segments(
        &mut self,
        table: &Arc<TableData>,
        shard: usize,
        old: &[Arc<StoredSegment>],
    ) -> Result<()> {
        let catalog = self.shared.catalog.load_full();
        let Some(schema) = catalog.table_by_id(table.id) else { return Ok(()) };
        let cutoff = table.cells().shards[shard].load().cutoff;
        let parts: Vec<Part> = old.iter().map(|stored| Part::Segment(stored.segment.clone())).collect();
        let age = old.iter().map(|stored| stored.age).min();
        let was_hot = old.iter().any(|stored| stored.segment.hot().is_some());
        let run = Arc::new(Run::merge_with(schema, &parts, MergeOptions { cutoff })?);
        drop(parts);
        let added = if run.rows() == 0 { Vec::new() } else { vec![self.write_segment_aged(&run, age)?] };
        self.sync_segments()?;
        self.swap_segments(table, shard, old, &added)?;
        if !was_hot {
            added.iter().for_each(|stored| stored.segment.cool());
        }
        self.weigh_hot();
        self.shared.counters.compactions.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Commits an exchange of segments of one shard, shows it and removes the old files.
    ///
    /// # Errors
    /// The disk's; nothing changed then.
    pub(super) fn swap_segments(
        &mut self,
        table: &Arc<TableData>,
        shard: usize,
        old: &[Arc<StoredSegment>],
        added: &[Arc<StoredSegment>],
    ) -> Result<()> {
        if table.is_dropped() {
            self.remove_segments(added.iter().map(|stored| stored.id).collect::<Vec<_>>());
            return Ok(());
        }
        let gone: Vec<u64> = old.iter().map(|stored| stored.id).collect();
        self.commit(|manifest| {
            let known = &mut manifest.table(table.id).segments;
            known.retain(|entry| !gone.contains(&entry.id));
            known.extend(added.iter().map(|stored| entry_of(stored, shard)));
        })?;
        table.cells().shards[shard].update(&self.shared.memory, |cell| cell.exchange(&[], &gone, added));
        self.remove_segments(gone);
        Ok(())
    }

    /// Flushes a table and merges its segments, as many into one as the bounds permit.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn optimize(&mut self, table: &Arc<TableData>) -> Result<()> {
        if table.is_dropped() {
            return Err(Error::new(zepto_common::ErrorCode::UnknownTable, "the table was dropped"));
        }
        self.checkpoint_all()?;
        if self.has_changes(table) {
            let message = "a DELETE, TRUNCATE or TTL of this table is being carried out: repeat later";
            return Err(Error::new(zepto_common::ErrorCode::NotReady, message));
        }
        for shard in 0..self.shared.drains.len() {
            let segments = table.cells().shards[shard].load().segments.clone();
            let groups: Vec<&[Arc<StoredSegment>]> = segments.chunk_by(|a, b| self.same_cut(a, b)).collect();
            for segments in groups {
                let mut start = 0;
                while start < segments.len() {
                    let end = stretch(segments, start);
                    if end - start > 1 {
                        self.merge_segments(table, shard, &segments[start..end])?;
                    }
                    start = end;
                }
            }
        }
        Ok(())
    }
}

/// The end of the longest stretch from `start` that fits one merge.
fn stretch(segments: &[Arc<StoredSegment>], start: usize) -> usize {
    let (mut rows, mut end) = (0, start);
    while end < segments.len() && (end == start || rows + segments[end].rows <= COMPACT_ROWS_MAX) {
        rows += segments[end].rows;
        end += 1;
    }
    end
}

fn candidate_of(stored: &StoredSegment) -> Candidate {
    Candidate { rows: stored.rows, bytes: stored.bytes, times: stored.segment.index().time_range() }
}
