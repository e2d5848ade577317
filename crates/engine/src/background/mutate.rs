//! Changes of stored rows: DELETE and UPDATE by rewriting, TRUNCATE, DROP. The manifest's replacement is the one
//! point at which they happen: before it all rows are as they were, after it all are changed, also after a crash.

use std::sync::Arc;

use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, Result};

use super::files::entry_of;
use super::pause::Paused;
use super::views::{Counted, record};
use super::{Background, Transform};
use crate::chunk::Chunk;
use crate::part::Part;
use crate::run::Run;
use crate::table::{Cells, StoredSegment, TableData};

/// Rows that a transformation sees at once.
pub(super) const BATCH_ROWS: usize = 65_536;
/// Flushes before the drain threads are stopped for the rest of a rewrite.
const FLUSHES_MAX: usize = 3;
/// Unflushed rows that are few enough to be rewritten while the drain threads stand still.
const PAUSED_ROWS_MAX: usize = 200_000;

/// What a rewrite found out about one part.
enum Changed {
    No,
    /// The rows that are left, as chunks, and how many rows were changed or removed.
    Yes(Vec<Arc<Chunk>>, u64),
}

/// A segment that was looked at, with what takes its place if anything changed.
pub(super) struct Looked {
    pub(super) shard: usize,
    pub(super) old: u64,
    /// None: it stays. Some(None): no row is left.
    pub(super) next: Option<Option<Arc<StoredSegment>>>,
}

/// The rows of one shard that no segment has, before and after.
struct Fresh {
    shard: usize,
    before: Vec<Part>,
    rows: Vec<Arc<Chunk>>,
    counted: Vec<Counted>,
}

impl Background {
    /// Applies a transformation to every row of a table at one moment; gives the number of rows changed.
    ///
    /// # Errors
    /// What the transformation says, or the disk; nothing changed then.
    pub(super) fn rewrite(&mut self, table: &Arc<TableData>, transform: &Transform) -> Result<u64> {
        let schema = self.newest(table)?;
        let mut looked: Vec<Looked> = Vec::new();
        let mut changed = 0;
        let result = self.try_rewrite(table, &schema, transform, &mut looked, &mut changed);
        if result.is_err() {
            let orphans: Vec<u64> =
                looked.iter().filter_map(|l| l.next.as_ref()?.as_ref().map(|s| s.id)).collect();
            self.remove_segments(orphans);
        }
        self.weigh_hot();
        result.map(|()| changed)
    }

    fn try_rewrite(
        &mut self,
        table: &Arc<TableData>,
        schema: &Arc<TableSchema>,
        transform: &Transform,
        looked: &mut Vec<Looked>,
        changed: &mut u64,
    ) -> Result<()> {
        // Most rows are looked at while writers go on: segments do not change under the background thread.
        for _ in 0..FLUSHES_MAX {
            self.checkpoint_all()?;
            self.look_at_segments(table, schema, transform, looked, changed)?;
            if unflushed_rows(table) <= PAUSED_ROWS_MAX {
                break;
            }
        }
        let paused = self.pause()?;
        let mut fresh: Vec<Fresh> = Vec::new();
        let mut memory_changed = false;
        for (shard, cell) in table.cells().shards.iter().enumerate() {
            let before: Vec<Part> = cell.load().unflushed().collect();
            let mut rows = Vec::new();
            for part in &before {
                match transformed(part, schema, transform)? {
                    Changed::Yes(left, count) => {
                        memory_changed = true;
                        *changed += count;
                        rows.extend(left);
                    }
                    Changed::No => rows.extend(untouched(part, schema)?),
                }
            }
            fresh.push(Fresh { shard, before, rows, counted: Vec::new() });
        }
        if !memory_changed {
            fresh.clear();
        }
        if *changed == 0 {
            return Ok(());
        }
        for fresh in &mut fresh {
            // They become segments: whoever follows the table counts them now, as they were.
            fresh.counted = self.count(table.id, &fresh.before)?;
        }
        self.commit_rewrite(table, schema, looked, fresh, memory_changed.then_some(paused))
    }

    fn look_at_segments(
        &mut self,
        table: &Arc<TableData>,
        schema: &Arc<TableSchema>,
        transform: &Transform,
        looked: &mut Vec<Looked>,
        changed: &mut u64,
    ) -> Result<()> {
        for shard in 0..self.shared.drains.len() {
            let segments = table.cells().shards[shard].load().segments.clone();
            for stored in segments.iter() {
                if looked.iter().any(|seen| seen.old == stored.id) {
                    continue;
                }
                let next = match transformed(&Part::Segment(stored.segment.clone()), schema, transform)? {
                    Changed::No => None,
                    Changed::Yes(left, count) => {
                        *changed += count;
                        Some(self.segment_of(schema, &left, Some(stored.age))?)
                    }
                };
                looked.push(Looked { shard, old: stored.id, next });
            }
        }
        Ok(())
    }

    pub(super) fn segment_of(
        &mut self,
        schema: &Arc<TableSchema>,
        rows: &[Arc<Chunk>],
        age: Option<u64>,
    ) -> Result<Option<Arc<StoredSegment>>> {
        if rows.iter().all(|chunk| chunk.rows.num_rows() == 0) {
            return Ok(None);
        }
        let run = Arc::new(Run::build(schema, rows)?);
        Ok(Some(self.write_segment_aged(&run, age)?))
    }

    /// `paused` is given when rows of memtables are rewritten too: then all of them become segments.
    fn commit_rewrite(
        &mut self,
        table: &Arc<TableData>,
        schema: &Arc<TableSchema>,
        looked: &mut Vec<Looked>,
        fresh: Vec<Fresh>,
        paused: Option<Paused>,
    ) -> Result<()> {
        for Fresh { shard, rows, .. } in &fresh {
            if let Some(stored) = self.segment_of(schema, rows, None)? {
                // An id that no segment had: only the new one counts.
                looked.push(Looked { shard: *shard, old: stored.id, next: Some(Some(stored)) });
            }
        }
        self.sync_segments()?;
        let gone: Vec<u64> = looked.iter().filter(|l| l.next.is_some()).map(|l| l.old).collect();
        let added: Vec<(usize, Arc<StoredSegment>)> =
            looked.iter().filter_map(|l| Some((l.shard, l.next.as_ref()?.clone()?))).collect();
        let floor = paused.as_ref().map(|paused| paused.applied.clone());
        self.commit(|manifest| {
            let known = manifest.table(table.id);
            known.segments.retain(|entry| !gone.contains(&entry.id));
            known.segments.extend(added.iter().map(|(shard, stored)| entry_of(stored, *shard)));
            known.incarnation += 1;
            fresh.iter().for_each(|fresh| record(&mut known.views, &fresh.counted, fresh.shard));
            if let Some(floor) = floor {
                known.floor = floor;
            }
        })?;
        // Writers may go on only after the swap; when memtables are untouched their cells are changed in place.
        let old = table.cells();
        if paused.is_some() {
            let next = Cells::new(old.shards.len());
            for (shard, (cell, next)) in old.shards.iter().zip(&next.shards).enumerate() {
                let mut state = (*cell.load()).clone();
                state.chunks.clear();
                state.opened = None;
                let sealed: Vec<u64> = state.sealed.iter().map(|sealed| sealed.id).collect();
                state.exchange(&sealed, &gone, &of_shard(&added, shard));
                let counted = fresh.iter().filter(|fresh| fresh.shard == shard);
                counted.flat_map(|fresh| &fresh.counted).for_each(|counted| counted.show(&mut state));
                next.put(state);
            }
            table.replace_cells(next, &self.shared.memory);
        } else {
            for (shard, cell) in old.shards.iter().enumerate() {
                let added = of_shard(&added, shard);
                cell.update(&self.shared.memory, |state| state.exchange(&[], &gone, &added));
            }
        }
        let added: Vec<u64> = added.iter().map(|(_, stored)| stored.id).collect();
        self.remove_segments(gone.into_iter().filter(|id| !added.contains(id)));
        drop(paused);
        Ok(())
    }

    /// Removes every row that was applied before now.
    ///
    /// # Errors
    /// The disk's; nothing changed then.
    pub(super) fn truncate(&mut self, table: &Arc<TableData>) -> Result<()> {
        self.newest(table)?;
        let paused = self.pause()?;
        let cells = table.cells();
        let segments = cells.shards.iter().flat_map(|cell| cell.load().segments.to_vec());
        let gone: Vec<u64> = segments.map(|stored| stored.id).collect();
        // A reload under the same tokens is wanted, and must be stored.
        let mut forgetful = self.manifest.clone();
        forgetful.forget_tokens(table.id, &paused.applied)?;
        self.commit(|manifest| {
            *manifest = forgetful;
            let known = manifest.table(table.id);
            known.segments.clear();
            known.floor.clone_from(&paused.applied);
            known.incarnation += 1;
        })?;
        paused.forget_tokens(table.id);
        let next = Cells::new(cells.shards.len());
        for (cell, next) in cells.shards.iter().zip(&next.shards) {
            let state = crate::table::TableShard { cutoff: cell.load().cutoff, ..Default::default() };
            next.put(state);
        }
        table.replace_cells(next, &self.shared.memory);
        drop(paused);
        self.remove_segments(gone);
        self.weigh_hot();
        Ok(())
    }

    /// Frees what dropped tables hold. The catalog no longer has them; after a crash the next start does this.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn forget(&mut self, tables: &[Arc<TableData>]) -> Result<()> {
        let paused = self.pause()?;
        for table in tables {
            let shards = table.cells().shards.len();
            table.replace_cells(Cells::new(shards), &self.shared.memory);
        }
        let ids: Vec<_> = tables.iter().map(|table| table.id).collect();
        let known = self.manifest.tables.iter().filter(|(id, _)| ids.contains(id));
        let gone: Vec<u64> = known.flat_map(|(_, table)| table.entries().map(|entry| entry.id)).collect();
        drop(paused);
        for drain in &self.shared.drains {
            drain.command(crate::shard::Command::Forget(ids.clone()))?;
        }
        self.commit(|manifest| manifest.retain_tables(|id| !ids.contains(&id)))?;
        self.remove_segments(gone);
        self.weigh_hot();
        Ok(())
    }

    /// The newest schema of a table that still exists.
    pub(super) fn newest(&self, table: &Arc<TableData>) -> Result<Arc<TableSchema>> {
        let catalog = self.shared.catalog.load();
        let schema = catalog.table_by_id(table.id).filter(|_| !table.is_dropped());
        schema.cloned().ok_or_else(|| {
            Error::new(ErrorCode::UnknownTable, format!("Table {} does not exist (it was dropped)", table.id))
        })
    }
}

pub(super) fn of_shard(added: &[(usize, Arc<StoredSegment>)], shard: usize) -> Vec<Arc<StoredSegment>> {
    added.iter().filter(|(of, _)| *of == shard).map(|(_, stored)| stored.clone()).collect()
}

fn unflushed_rows(table: &TableData) -> usize {
    let rows = |cell: &crate::table::Cell| {
        let state = cell.load();
        state.active_rows() + state.sealed.iter().map(|sealed| sealed.rows).sum::<usize>()
    };
    table.cells().shards.iter().map(rows).sum()
}

fn transformed(part: &Part, schema: &Arc<TableSchema>, transform: &Transform) -> Result<Changed> {
    let all: Vec<usize> = (0..schema.columns.len()).collect();
    let (mut left, mut count, mut any) = (Vec::new(), 0, false);
    for (partition, range) in part.partition_rows() {
        for batch in part.scan(schema, &all, std::slice::from_ref(&range), BATCH_ROWS) {
            let batch = batch?;
            let rows = match transform(batch.clone())? {
                None => batch,
                Some(next) => {
                    any = true;
                    count += rows_changed(&batch, &next);
                    next
                }
            };
            if rows.num_rows() > 0 {
                let all_rows = 0..rows.num_rows() as u32;
                left.push(Arc::new(Chunk::new(schema.clone(), rows, vec![(partition, all_rows)])?));
            }
        }
    }
    Ok(if any { Changed::Yes(left, count) } else { Changed::No })
}

/// Rows removed, or for an update that keeps the number, rows that differ.
fn rows_changed(before: &arrow::array::RecordBatch, after: &arrow::array::RecordBatch) -> u64 {
    if after.num_rows() != before.num_rows() {
        return before.num_rows().abs_diff(after.num_rows()) as u64;
    }
    let mut differs = vec![false; before.num_rows()];
    for (old, new) in before.columns().iter().zip(after.columns()) {
        match arrow::compute::kernels::cmp::distinct(old, new) {
            Ok(distinct) => {
                differs.iter_mut().enumerate().for_each(|(row, differs)| *differs |= distinct.value(row));
            }
            // Lists have no such kernel.
            Err(_) => {
                let one = |row| old.slice(row, 1).as_ref() != new.slice(row, 1).as_ref();
                differs.iter_mut().enumerate().for_each(|(row, differs)| *differs |= one(row));
            }
        }
    }
    differs.iter().filter(|&&differs| differs).count() as u64
}

fn untouched(part: &Part, schema: &Arc<TableSchema>) -> Result<Vec<Arc<Chunk>>> {
    if let Part::Chunk(chunk) = part {
        return Ok(vec![chunk.clone()]);
    }
    let keep: Transform = Arc::new(|batch| Ok(Some(batch)));
    match transformed(part, schema, &keep)? {
        Changed::Yes(rows, _) => Ok(rows),
        Changed::No => Ok(Vec::new()),
    }
}
