//! Carrying out the committed changes of a store with copies: TRUNCATE, expiry, DELETE, UPDATE.
//!
//! A change waits in its partition's way, so that once a checkpoint has put the partition's rows into segments, these have
//! exactly the rows below the change. The segments are written anew without the rows that go, with the next values of those
//! that are updated, and one replacement of the
//! manifest exchanges them and says that the change is applied: a crash before it leaves the partition as it was, with the
//! change still to be done; after it nothing is left to do. Drain threads go on meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::{DataType, Int64Type};
use zepto_common::schema::TableSchema;
use zepto_common::{ColumnId, Error, Lsn, PartitionId, Result, TableId};

use super::Background;
use super::files::entry_of;
use super::mutate::{BATCH_ROWS, Looked, of_shard};
use crate::chunk::Chunk;
use crate::copies::RowChange;
use crate::copies::change::WaitingChange;
use crate::part::Part;
use crate::shard::Command;
use crate::shard::copies::CopyCommand;
use crate::store::changes::{Condition, meets, updated};
use crate::table::{StoredSegment, TableData};

/// Time between two tries of a table's changes after a fault.
const CHANGE_RETRY: Duration = Duration::from_secs(5);

/// What becomes of the rows of one partition.
enum Fate {
    Gone,
    /// Those with a time below this go.
    Below(i64),
    /// Those that meet this go, or have other values; it reads rows of this schema.
    Matching(Arc<TableSchema>, Condition),
}

impl Background {
    /// Carries out what waits, one table after the other; all partitions of a table at once.
    ///
    /// # Errors
    /// The first fault; other tables were handled, and what failed waits on.
    pub(super) fn carry_out_changes(&mut self) -> Result<()> {
        let mut waiting: BTreeMap<TableId, Vec<WaitingChange>> = BTreeMap::new();
        let mut applied = Vec::new();
        for change in self.shared.changes.lock().values() {
            match self.manifest.applied[usize::from(change.partition.0)] >= change.lsn.0 {
                // Its drain thread has not heard of it, or had no room for the word.
                true => applied.push(change.clone()),
                false => waiting.entry(change.table).or_default().push(change.clone()),
            }
        }
        let mut result = self.tell_drains(&applied);
        let now = Instant::now();
        self.changes_failed.retain(|table, failed| {
            waiting.contains_key(table) && now.duration_since(*failed) < CHANGE_RETRY
        });
        for (table, changes) in waiting {
            if self.changes_failed.contains_key(&table) {
                continue;
            }
            let mut looked = Vec::new();
            let carried = self.change_table(table, changes, &mut looked);
            if carried.is_err() {
                self.changes_failed.insert(table, now);
                let written = looked.iter().filter_map(|l: &Looked| l.next.as_ref()?.as_ref());
                self.remove_segments(written.map(|stored| stored.id).collect::<Vec<_>>());
            }
            result = result.and(carried);
        }
        result
    }

    fn change_table(
        &mut self,
        id: TableId,
        mut changes: Vec<WaitingChange>,
        looked: &mut Vec<Looked>,
    ) -> Result<()> {
        let table = self.shared.tables.load().get(&id).cloned();
        // It was dropped: the drain threads pass the change by.
        let Some(table) = table else { return Ok(()) };
        // What cannot be judged costs no checkpoint.
        let fates = changes.iter().map(|it| Ok((it.partition, self.fate_of(it)?)));
        let mut fates: BTreeMap<PartitionId, Fate> = fates.collect::<Result<_>>()?;
        let shards: BTreeSet<usize> = changes.iter().map(|it| self.shared.shard_of(it.partition)).collect();
        // The logs stay: a copy that is away may lack their entries.
        let (cuts, flushed) = self.prepare(&shards.into_iter().collect::<Vec<_>>())?;
        self.commit_flushed(flushed, &cuts, None)?;
        // One that a drain thread has passed by is of a table that was dropped just now.
        changes.retain(|it| self.manifest.applied[usize::from(it.partition.0)] + 1 == it.lsn.0);
        if changes.is_empty() {
            return Ok(());
        }
        fates.retain(|partition, _| changes.iter().any(|it| it.partition == *partition));
        for (shard, cell) in table.cells().shards.iter().enumerate() {
            for stored in cell.load().segments.iter() {
                let part = Part::Segment(stored.segment.clone());
                let next = match left_of(&part, &fates)? {
                    None => continue,
                    Some((schema, left)) => self.segment_of(&schema, &left, Some(stored.age))?,
                };
                if let (Some(next), None) = (&next, stored.segment.hot()) {
                    next.segment.cool();
                }
                looked.push(Looked { shard, old: stored.id, next: Some(next) });
            }
        }
        self.commit_changes(&table, looked, &changes)?;
        // They are the manifest's now: whatever fails from here on, nobody may remove them.
        looked.clear();
        self.tell_drains(&changes)
    }

    fn fate_of(&self, waiting: &WaitingChange) -> Result<Fate> {
        Ok(match &waiting.change {
            RowChange::Truncate { .. } => Fate::Gone,
            RowChange::Expire { cutoff } => Fate::Below(*cutoff),
            RowChange::Delete { condition, .. } => {
                let catalog = self.shared.catalog.load();
                let schema = catalog.schema(waiting.table, waiting.schema).cloned();
                let schema =
                    schema.ok_or_else(|| Error::internal("the schema of a condition is not known"))?;
                let condition = self.shared.condition(&schema, condition)?;
                Fate::Matching(schema, condition)
            }
        })
    }

    fn commit_changes(
        &mut self,
        table: &Arc<TableData>,
        looked: &[Looked],
        changes: &[WaitingChange],
    ) -> Result<()> {
        self.sync_segments()?;
        let gone: Vec<u64> = looked.iter().map(|l| l.old).collect();
        let added: Vec<(usize, Arc<StoredSegment>)> =
            looked.iter().filter_map(|l| Some((l.shard, l.next.as_ref()?.clone()?))).collect();
        self.commit(|manifest| {
            let known = manifest.table(table.id);
            known.segments.retain(|entry| !gone.contains(&entry.id));
            known.segments.extend(added.iter().map(|(shard, stored)| entry_of(stored, *shard)));
            known.incarnation += 1;
            for change in changes {
                manifest.applied[usize::from(change.partition.0)] = change.lsn.0;
            }
        })?;
        for (shard, cell) in table.cells().shards.iter().enumerate() {
            let added = of_shard(&added, shard);
            cell.update(&self.shared.memory, |state| state.exchange(&[], &gone, &added));
        }
        self.remove_segments(gone);
        self.weigh_hot();
        Ok(())
    }

    fn tell_drains(&self, changes: &[WaitingChange]) -> Result<()> {
        let mut told: Vec<Vec<(PartitionId, Lsn)>> = self.shared.drains.iter().map(|_| Vec::new()).collect();
        for change in changes {
            told[self.shared.shard_of(change.partition)].push((change.partition, change.lsn));
        }
        let mut result = Ok(());
        for (drain, told) in self.shared.drains.iter().zip(told) {
            if !told.is_empty() {
                result = result.and(drain.command(Command::Copies(CopyCommand::Changed(told))));
            }
        }
        result
    }
}

/// What is left of a part: the schema of it, and its rows.
type Left = (Arc<TableSchema>, Vec<Arc<Chunk>>);

/// What is left of a part, in its own schema unless it gets values of columns that this does not have; None when all stays as it
/// is. A column that was dropped meanwhile is kept: a condition for another partition may come that reads it.
fn left_of(part: &Part, fates: &BTreeMap<PartitionId, Fate>) -> Result<Option<Left>> {
    let times = part.time_range();
    let touched = |partition: &PartitionId| match fates.get(partition) {
        None => false,
        Some(Fate::Below(cutoff)) => times.is_some_and(|(oldest, _)| oldest < *cutoff),
        Some(_) => true,
    };
    let stretches = part.partition_rows();
    if !stretches.iter().any(|(partition, _)| touched(partition)) {
        return Ok(None);
    }
    let own_fates = stretches.iter().filter_map(|(partition, _)| fates.get(partition));
    let schema = &schema_of(part.schema(), own_fates);
    let all: Vec<usize> = (0..schema.columns.len()).collect();
    let (mut left, mut any) = (Vec::new(), false);
    for (partition, range) in stretches {
        let fate = fates.get(&partition).filter(|_| touched(&partition));
        if let Some(Fate::Gone) = fate {
            any |= !range.is_empty();
            continue;
        }
        let ranges = std::slice::from_ref(&range);
        // What a condition reads may be of another schema than what is written: both give the same rows.
        let mut conditions = match fate {
            Some(Fate::Matching(of, condition)) if of.version != schema.version => {
                check_columns(part.schema(), of, &condition.reads)?;
                let columns: Vec<usize> = (0..of.columns.len()).collect();
                Some(part.scan(of, &columns, ranges, BATCH_ROWS))
            }
            _ => None,
        };
        for batch in part.scan(schema, &all, ranges, BATCH_ROWS) {
            let batch = batch?;
            let read = match &mut conditions {
                Some(rows) => rows.next().ok_or_else(|| Error::internal("two scans of a part differ"))??,
                None => batch.clone(),
            };
            let (rows, changed) = rows_left(schema, batch, &read, fate)?;
            any |= changed;
            if rows.num_rows() > 0 {
                let all_rows = 0..rows.num_rows() as u32;
                left.push(Arc::new(Chunk::new(schema.clone(), rows, vec![(partition, all_rows)])?));
            }
        }
    }
    Ok(any.then(|| (schema.clone(), left)))
}

/// The schema in which a part is written again.
fn schema_of<'a>(own: &Arc<TableSchema>, fates: impl Iterator<Item = &'a Fate>) -> Arc<TableSchema> {
    let mut schema = own.clone();
    for fate in fates {
        if let Fate::Matching(of, Condition { update: Some(update), .. }) = fate
            && of.version > schema.version
            && update.writes.iter().any(|id| schema.index_of_id(*id).is_none())
        {
            schema = of.clone();
        }
    }
    schema
}

/// What is left of rows of `schema` under a fate, and whether that is something else than before; `read` is the same rows as
/// the fate's condition reads them.
fn rows_left(
    schema: &TableSchema,
    rows: RecordBatch,
    read: &RecordBatch,
    fate: Option<&Fate>,
) -> Result<(RecordBatch, bool)> {
    let met = match fate {
        Some(Fate::Matching(_, condition)) => meets(condition, read),
        Some(Fate::Below(cutoff)) => below(schema, &rows, *cutoff)?,
        _ => return Ok((rows, false)),
    };
    if met.len() != rows.num_rows() {
        return Err(Error::internal("a condition says something of other rows than it was given"));
    }
    if met.true_count() == 0 {
        return Ok((rows, false));
    }
    let Some(Fate::Matching(of, Condition { update: Some(update), .. })) = fate else {
        return Ok((filter_record_batch(&rows, &not(&met)?)?, true));
    };
    let next = updated(update, read, &met)?;
    let mut columns = rows.columns().to_vec();
    for id in &update.writes {
        // One that was dropped meanwhile has no value any more.
        if let (Some(from), Some(to)) = (of.index_of_id(*id), schema.index_of_id(*id)) {
            columns[to] = next.column(from).clone();
        }
    }
    Ok((RecordBatch::try_new(rows.schema(), columns)?, true))
}

/// Refuses to judge rows by a column whose values are not there any more, because they were written again after it was dropped:
/// this copy would keep other rows than the others.
fn check_columns(has: &TableSchema, of: &TableSchema, reads: &[ColumnId]) -> Result<()> {
    let gone = |id: &&ColumnId| has.version > of.version && !has.columns.iter().any(|it| it.id == **id);
    match reads.iter().find(gone) {
        None => Ok(()),
        Some(id) => Err(Error::internal(format!(
            "a change of {} reads column {id}, which was dropped and is not in this copy's files any more: give the node an \
             empty disk, so that it fetches its copies anew",
            of.name
        ))),
    }
}

fn below(schema: &TableSchema, batch: &RecordBatch, cutoff: i64) -> Result<BooleanArray> {
    let time = schema.time_index().ok_or_else(|| Error::internal("rows without a time cannot expire"))?;
    let ticks = arrow::compute::cast(batch.column(time), &DataType::Int64)?;
    let ticks = ticks.as_primitive::<Int64Type>();
    Ok(ticks.iter().map(|tick| Some(tick.is_some_and(|tick| tick < cutoff))).collect())
}

#[cfg(test)]
mod tests;
