//! Expiry: a cutoff is logged and shown first, then what lies wholly below it goes from disk and memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Int64Type};
use tokio::sync::oneshot;
use zepto_common::clock::wall_nanos;
use zepto_common::schema::TableSchema;
use zepto_common::types::ticks_per_second;
use zepto_common::{Error, PartitionId, Result};

use super::pause::stuck;
use super::{Background, Transform};
use crate::copies::{Payload, RowChange};
use crate::part::Part;
use crate::shard::Command;
use crate::shard::copies::{ChangeItem, CopyCommand};
use crate::table::{StoredSegment, TableData};

/// How long a drain thread may take to log a cutoff.
const PATIENCE: Duration = Duration::from_secs(60);
/// A cutoff moves by at least this share of the TTL, so that a busy table does not log one at every look.
const STEP_SHARE: i64 = 1_000;
/// With copies, cutoffs in the time of one TTL: rows stay that share of it longer, and each look that finds some writes
/// segments anew.
const STEPS: i64 = 16;

/// Ticks per second of a table's time column.
pub(super) fn ticks_per_second_of(schema: &TableSchema) -> Option<i64> {
    match schema.columns[schema.time_index()?].ty.storage_type() {
        DataType::Timestamp(unit, _) => Some(ticks_per_second(unit)),
        _ => None,
    }
}

/// Rows with a tick below this are too old at `now` (nanoseconds since 1970); None when nothing can be.
pub(super) fn cutoff_at(now: i64, ttl_seconds: u64, ticks: i64) -> Option<i64> {
    let now = i128::from(now) * i128::from(ticks) / 1_000_000_000;
    i64::try_from(now - i128::from(ttl_seconds) * i128::from(ticks)).ok()
}

impl Background {
    /// Expires the rows of every table with a TTL.
    ///
    /// # Errors
    /// The first fault; other tables were handled.
    pub(super) fn expire_all(&mut self) -> Result<()> {
        if self.shared.expiry_held.load(Ordering::Acquire) {
            return Ok(());
        }
        if self.shared.options.copies.is_some() {
            return self.expire_copies();
        }
        let tables: Vec<Arc<TableData>> = self.shared.tables.load().values().cloned().collect();
        let mut result = Ok(());
        for table in tables {
            let Ok(schema) = self.newest(&table) else { continue };
            let (Some(ttl), Some(ticks)) = (schema.ttl_seconds, ticks_per_second_of(&schema)) else {
                continue;
            };
            let Some(cutoff) = cutoff_at(wall_nanos(), ttl, ticks) else { continue };
            let step = i64::try_from(ttl).unwrap_or(i64::MAX).saturating_mul(ticks) / STEP_SHARE;
            let expired = self.expire(&table, cutoff, step);
            result = result.and(expired);
        }
        result
    }

    /// With copies the owner of a partition has a cutoff logged, and each copy removes what lies below it. Cutoffs are
    /// multiples of a step, so that the owners of many partitions choose the same and a segment is written anew once for
    /// all.
    fn expire_copies(&mut self) -> Result<()> {
        let tables: Vec<Arc<TableData>> = self.shared.tables.load().values().cloned().collect();
        for table in tables {
            let Ok(schema) = self.newest(&table) else { continue };
            let (Some(ttl), Some(ticks)) = (schema.ttl_seconds, ticks_per_second_of(&schema)) else {
                continue;
            };
            let Some(cutoff) = cutoff_at(wall_nanos(), ttl, ticks) else { continue };
            let step = (i64::try_from(ttl).unwrap_or(i64::MAX) / STEPS).max(1).saturating_mul(ticks);
            let cutoff = cutoff.div_euclid(step).saturating_mul(step);
            let change = RowChange::Expire { cutoff };
            let payload = Payload::change(table.id, schema.version, &change);
            for (shard, drain) in self.shared.drains.iter().enumerate() {
                if oldest(&table.cells().shards[shard].load()).is_none_or(|oldest| oldest >= cutoff) {
                    continue;
                }
                let mine = (0..self.shared.partitions).map(PartitionId);
                let mine = mine.filter(|partition| self.shared.shard_of(*partition) == shard);
                // Nobody waits for the answers: of a partition that another node owns it is a no, and what was not logged
                // now is asked for again at the next look.
                let parts = mine.map(|partition| (partition, oneshot::channel().0)).collect();
                let item = ChangeItem { change: change.clone(), payload: payload.clone(), parts };
                drain.command(Command::Copies(CopyCommand::Change(item)))?;
            }
        }
        Ok(())
    }

    fn expire(&mut self, table: &Arc<TableData>, cutoff: i64, step: i64) -> Result<()> {
        for shard in 0..self.shared.drains.len() {
            let state = table.cells().shards[shard].load();
            let old_rows = oldest(&state).is_some_and(|oldest| oldest < cutoff);
            let moved = state.cutoff.is_none_or(|before| cutoff.saturating_sub(before) > step);
            if old_rows && moved {
                let (done, logged) = sync_channel(1);
                let command = Command::Expire { table: table.clone(), cutoff, done };
                self.shared.drains[shard].command(command)?;
                logged.recv_timeout(PATIENCE).map_err(|_| stuck())??;
            }
            self.drop_expired(table, shard)?;
        }
        Ok(())
    }

    /// Lets go of segments and closed memtables of which no row is left, and records the cutoff.
    fn drop_expired(&mut self, table: &Arc<TableData>, shard: usize) -> Result<()> {
        let state = table.cells().shards[shard].load();
        let Some(cutoff) = state.cutoff else { return Ok(()) };
        let below = |range: Option<(i64, i64)>| range.is_some_and(|(_, newest)| newest < cutoff);
        let expired: Vec<Arc<StoredSegment>> =
            state.segments.iter().filter(|s| below(s.segment.index().time_range())).cloned().collect();
        if !expired.is_empty() {
            let gone: Vec<u64> = expired.iter().map(|stored| stored.id).collect();
            self.commit(|manifest| {
                let known = manifest.table(table.id);
                known.cutoff = known.cutoff.max(Some(cutoff));
                known.segments.retain(|entry| !gone.contains(&entry.id));
            })?;
            table.cells().shards[shard].update(&self.shared.memory, |cell| cell.exchange(&[], &gone, &[]));
            self.remove_segments(gone);
            self.weigh_hot();
        }
        if self.shared.catalog.load().views_of(table.id).next().is_some() {
            // Views count the rows of a memtable when it is flushed, expired or not.
            return Ok(());
        }
        // The log still has these rows, and the cutoff, which is logged too, hides them after a replay.
        let memtables: Vec<u64> = state
            .sealed
            .iter()
            .filter(|sealed| sealed.parts.iter().all(|part| below(part.time_range())))
            .map(|sealed| sealed.id)
            .collect();
        if !memtables.is_empty() {
            table.cells().shards[shard]
                .update(&self.shared.memory, |cell| cell.exchange(&memtables, &[], &[]));
        }
        Ok(())
    }

    /// Removes expired rows for good and forgets the cutoff: a longer TTL must not hide old rows that come later.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn reset_cutoff(&mut self, table: &Arc<TableData>) -> Result<()> {
        let cells = table.cells();
        let Some(cutoff) = cells.shards.iter().filter_map(|cell| cell.load().cutoff).max() else {
            return Ok(());
        };
        let schema = self.newest(table)?;
        let time = schema.time_index().ok_or_else(|| Error::internal("a cutoff without a time column"))?;
        let transform: Transform = Arc::new(move |batch| unexpired(batch, time, cutoff));
        self.rewrite(table, &transform)?;
        // Cutoff frames in the logs are at or below the applied lsns after this checkpoint, so replay skips them.
        self.checkpoint_all()?;
        self.commit(|manifest| manifest.table(table.id).cutoff = None)?;
        for cell in &table.cells().shards {
            cell.update(&self.shared.memory, |state| state.cutoff = None);
        }
        Ok(())
    }
}

fn oldest(state: &crate::table::TableShard) -> Option<i64> {
    let segments = state.segments.iter().map(|stored| stored.segment.index().time_range());
    let sealed = state.sealed.iter().flat_map(|sealed| sealed.parts.iter().map(Part::time_range));
    let active = state.chunks.iter().map(|active| active.chunk.time_range());
    segments.chain(sealed).chain(active).flatten().map(|(from, _)| from).min()
}

fn unexpired(batch: RecordBatch, time: usize, cutoff: i64) -> Result<Option<RecordBatch>> {
    let ticks = arrow::compute::cast(batch.column(time), &DataType::Int64)?;
    let keep: BooleanArray =
        ticks.as_primitive::<Int64Type>().iter().map(|t| Some(t.is_none_or(|t| t >= cutoff))).collect();
    if keep.true_count() == batch.num_rows() {
        return Ok(None);
    }
    Ok(Some(filter_record_batch(&batch, &keep)?))
}
