//! Checkpoints: closed memtables become segments, and the manifest says how far the logs are covered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use zepto_common::{Result, TableId};

use super::files::entry_of;
use super::views::{Beginning, Counted, record};
use super::{Background, warn_of};
use crate::chunk::Chunk;
use crate::part::Part;
use crate::run::Run;
use crate::shard::{Command, Cut};
use crate::table::{Sealed, StoredSegment, TableData};

/// Rows of one segment that a checkpoint writes: memtables of one table are merged up to here.
const SEGMENT_ROWS_MAX: usize = 4 << 20;

/// Where each shard of a checkpoint stands.
pub(super) type Cuts = Vec<(usize, Cut)>;

/// The closed memtables of one table and shard on their way into segments.
#[derive(Debug)]
pub(crate) struct Flushed {
    pub(crate) table: Arc<TableData>,
    pub(crate) shard: usize,
    pub(crate) sealed: Vec<u64>,
    pub(crate) segments: Vec<Arc<StoredSegment>>,
    /// What the views that follow the table count of them.
    pub(crate) counted: Vec<Counted>,
}

impl Flushed {
    /// Files that were written, of rows and of states.
    fn files(&self) -> impl Iterator<Item = u64> {
        let states = self.counted.iter().filter_map(|counted| counted.states.as_ref().ok()).flatten();
        self.segments.iter().chain(states).map(|stored| stored.id)
    }
}

impl Background {
    /// Makes runs of the closed memtables that are still chunks.
    ///
    /// # Errors
    /// Building a run failed; the chunks stay.
    pub(super) fn sort_closed(&self, table: &Arc<TableData>, shard: usize) -> Result<()> {
        let cells = table.cells();
        for sealed in &cells.shards[shard].load().sealed {
            if sealed.parts.iter().all(|part| matches!(part, Part::Run(_))) {
                continue;
            }
            let run = self.run_of(sealed)?;
            let next =
                Sealed { id: sealed.id, bytes: run.memory(), rows: run.rows(), parts: vec![Part::Run(run)] };
            cells.shards[shard].update(&self.shared.memory, |cell| cell.replace_sealed(next));
        }
        Ok(())
    }

    fn run_of(&self, sealed: &Sealed) -> Result<Arc<Run>> {
        if let [Part::Run(run)] = sealed.parts.as_slice() {
            return Ok(run.clone());
        }
        let chunks: Vec<Arc<Chunk>> = sealed
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Chunk(chunk) => Some(chunk.clone()),
                _ => None,
            })
            .collect();
        let newest = chunks.iter().map(|chunk| &chunk.schema).max_by_key(|schema| schema.version);
        let schema = newest.ok_or_else(|| zepto_common::Error::internal("a closed memtable without rows"))?;
        Ok(Arc::new(Run::build(schema, &chunks)?))
    }

    /// Checkpoints every shard.
    ///
    /// # Errors
    /// As [`Self::checkpoint`].
    pub(crate) fn checkpoint_all(&mut self) -> Result<()> {
        let shards: Vec<usize> = (0..self.shared.drains.len()).collect();
        self.checkpoint(&shards)
    }

    /// Puts all applied rows of these shards into segments and lets go of their logs.
    ///
    /// # Errors
    /// The disk's. Rows stay in memory and logs, and the next checkpoint takes them along.
    pub(crate) fn checkpoint(&mut self, shards: &[usize]) -> Result<()> {
        let (cuts, flushed) = self.prepare(shards)?;
        self.commit_flushed(flushed, &cuts, None)?;
        self.let_go(cuts);
        Ok(())
    }

    /// Cuts these shards and writes what a checkpoint of them commits.
    ///
    /// # Errors
    /// The disk's; nothing is left behind.
    pub(super) fn prepare(&mut self, shards: &[usize]) -> Result<(Cuts, Vec<Flushed>)> {
        let mut cuts = Vec::with_capacity(shards.len());
        for &shard in shards {
            cuts.push((shard, self.cut(shard)?));
        }
        let mut flushed = Vec::new();
        for (shard, cut) in &cuts {
            let written = self.flush_shard(*shard, cut.sealed_below, &mut flushed);
            if let Err(error) = written {
                self.discard(&flushed);
                return Err(error);
            }
        }
        Ok((cuts, flushed))
    }

    /// Lets go of the logs that a committed checkpoint covers.
    pub(super) fn let_go(&mut self, cuts: Cuts) {
        self.shared.counters.checkpoints.fetch_add(1, Ordering::Relaxed);
        for (shard, cut) in cuts {
            self.checkpointed[shard] = Instant::now();
            if !cut.covers_old {
                continue;
            }
            self.covered[shard] = true;
            warn_of(
                self.shared.drains[shard].command(Command::Release(cut.position)),
                "covered log files stay until the next checkpoint",
            );
        }
        self.release_old_logs();
    }

    /// Gives up segments that no manifest will name.
    pub(super) fn discard(&mut self, flushed: &[Flushed]) {
        let written: Vec<u64> = flushed.iter().flat_map(Flushed::files).collect();
        self.remove_segments(written);
    }

    /// Writes the closed memtables of a shard with ids below `sealed_below`.
    ///
    /// # Errors
    /// The disk's; files written so far are garbage then.
    pub(crate) fn flush_shard(
        &mut self,
        shard: usize,
        sealed_below: u64,
        flushed: &mut Vec<Flushed>,
    ) -> Result<()> {
        let tables: Vec<Arc<TableData>> = self.shared.tables.load().values().cloned().collect();
        for table in tables {
            let state = table.cells().shards[shard].load();
            let sealed: Vec<_> = state.sealed.iter().filter(|s| s.id < sealed_below).cloned().collect();
            if sealed.is_empty() {
                continue;
            }
            let ids = sealed.iter().map(|s| s.id).collect();
            flushed.push(Flushed { table, shard, sealed: ids, segments: Vec::new(), counted: Vec::new() });
            if let Some(batch) = flushed.last_mut() {
                self.write_sealed(&sealed, state.cutoff, batch)?;
            }
        }
        Ok(())
    }

    fn write_sealed(
        &mut self,
        sealed: &[Arc<Sealed>],
        cutoff: Option<i64>,
        into: &mut Flushed,
    ) -> Result<()> {
        for group in groups_of(sealed, SEGMENT_ROWS_MAX) {
            let runs: Result<Vec<Arc<Run>>> = group.iter().map(|sealed| self.run_of(sealed)).collect();
            let runs = runs?;
            // Views count what has expired too: queries of them showed it until now.
            let rows: Vec<Part> = runs.iter().cloned().map(Part::Run).collect();
            into.counted.extend(self.count(into.table.id, &rows)?);
            let run = self.merge_runs(&runs, cutoff)?;
            drop(runs);
            if run.rows() > 0 {
                into.segments.push(self.write_segment(&run)?);
            }
        }
        Ok(())
    }

    fn merge_runs(&self, runs: &[Arc<Run>], cutoff: Option<i64>) -> Result<Arc<Run>> {
        let expired =
            |run: &Run| matches!((cutoff, run.index().time_range()), (Some(c), Some((min, _))) if min < c);
        if let [run] = runs
            && !expired(run)
        {
            return Ok(run.clone());
        }
        let newest = runs.iter().map(|run| run.schema()).max_by_key(|schema| schema.version);
        let schema = newest.ok_or_else(|| zepto_common::Error::internal("no runs to merge"))?;
        let parts: Vec<Part> = runs.iter().cloned().map(Part::Run).collect();
        Ok(Arc::new(Run::merge_with(schema, &parts, crate::run::MergeOptions { cutoff })?))
    }

    /// Commits segments with the lsns that they cover, then shows them in place of the memtables.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn commit_flushed(
        &mut self,
        flushed: Vec<Flushed>,
        cuts: &[(usize, Cut)],
        beginning: Option<&Beginning>,
    ) -> Result<()> {
        // A table that was dropped meanwhile takes its fresh files with it.
        let (flushed, dropped): (Vec<_>, Vec<_>) = flushed.into_iter().partition(|f| !f.table.is_dropped());
        let dropped: Vec<u64> = dropped.iter().flat_map(Flushed::files).collect();
        if !flushed.is_empty() || beginning.is_some() {
            self.sync_segments()?;
        }
        let cutoffs: Vec<(TableId, i64)> = self.cutoffs();
        let committed = self.commit(|manifest| {
            for (table, cutoff) in &cutoffs {
                let known = manifest.table(*table);
                known.cutoff = known.cutoff.max(Some(*cutoff));
            }
            for batch in &flushed {
                let entries = batch.segments.iter().map(|segment| entry_of(segment, batch.shard));
                let known = manifest.table(batch.table.id);
                known.segments.extend(entries);
                record(&mut known.views, &batch.counted, batch.shard);
            }
            if let Some(begun) = beginning {
                begun.enter(manifest);
            }
            for (shard, cut) in cuts {
                for (partition, lsn) in &cut.applied {
                    manifest.applied[usize::from(partition.0)] = lsn.0;
                }
                let threads =
                    if cut.copies.is_empty() { usize::MAX } else { usize::from(manifest.drain_threads) };
                manifest.windows.retain(|&(_, of), _| usize::from(of) % threads != *shard);
                manifest
                    .windows
                    .extend(cut.windows.iter().map(|(id, of, bytes)| ((*id, *of), bytes.clone())));
                for (partition, state) in &cut.copies {
                    if let Some(slot) =
                        manifest.copies.as_mut().and_then(|all| all.get_mut(usize::from(partition.0)))
                    {
                        slot.clone_from(state);
                    }
                }
            }
        });
        if let Err(error) = committed {
            self.discard(&flushed);
            self.remove_segments(beginning.into_iter().flat_map(Beginning::files).collect::<Vec<_>>());
            return Err(error);
        }
        for batch in &flushed {
            let cells = batch.table.cells();
            cells.shards[batch.shard].update(&self.shared.memory, |cell| {
                cell.exchange(&batch.sealed, &[], &batch.segments);
                batch.counted.iter().for_each(|counted| counted.show(cell));
            });
        }
        if let Some(begun) = beginning {
            begun.show(&self.shared.memory);
        }
        self.remove_segments(dropped);
        self.weigh_hot();
        Ok(())
    }

    /// The highest cutoff of each table that has one. All are in the logs already.
    fn cutoffs(&self) -> Vec<(TableId, i64)> {
        let tables = self.shared.tables.load();
        let cutoff = |table: &Arc<TableData>| {
            let cells = table.cells();
            Some((table.id, cells.shards.iter().filter_map(|cell| cell.load().cutoff).max()?))
        };
        tables.values().filter_map(cutoff).collect()
    }

    /// Removes the log files of earlier starts once every shard was checkpointed in this one.
    pub(crate) fn release_old_logs(&mut self) {
        if !self.covered.iter().all(|&covered| covered) {
            return;
        }
        if let Some(mut old) = self.old_logs.take() {
            let dir = self.shared.options.data_dir.join("wal");
            if let Err(error) = old.release(self.shared.disk(), &dir, self.shared.drains.len() as u16) {
                tracing::warn!(%error, "old log files could not be removed yet");
                self.old_logs = Some(old);
            }
        }
    }
}

/// Neighbouring memtables in groups of at most so many rows, each with at least one.
fn groups_of(sealed: &[Arc<Sealed>], rows_max: usize) -> Vec<&[Arc<Sealed>]> {
    let (mut groups, mut start, mut rows) = (Vec::new(), 0, 0);
    for (index, memtable) in sealed.iter().enumerate() {
        if index > start && rows + memtable.rows > rows_max {
            groups.push(&sealed[start..index]);
            (start, rows) = (index, 0);
        }
        rows += memtable.rows;
    }
    groups.push(&sealed[start..]);
    groups
}
