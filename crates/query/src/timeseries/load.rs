//! A unit's rows as sorted sources. Rows of runs in memory are shared; those of files are read; those of a memtable are
//! sorted into a run of their own.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use datafusion::common::{Result, internal_err};
use datafusion::physical_expr::utils::reassign_expr_columns;
use datafusion::physical_plan::PhysicalExpr;
use zepto_common::PartitionId;
use zepto_common::schema::{Column, TableSchema};
use zepto_engine::Part;
use zepto_engine::chunk::Chunk;
use zepto_engine::run::{Run, RunIndex};
use zepto_engine::series;

use super::unit::{Share, Unit};
use crate::error::external;
use crate::provider::{Source as ScanSource, batch_bytes, to_query};

/// Bytes of a text's view.
const VIEW_BYTES: usize = 16;

/// Which columns are loaded, and which rows of inexact shares are wanted.
#[derive(Debug, Clone)]
pub(super) struct Loader {
    /// The key, if the table has one, the time, then the columns that were asked for, each once.
    schema: Arc<TableSchema>,
    filter: Option<Arc<dyn PhysicalExpr>>,
    time: usize,
}

/// The wanted rows of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SlotRows {
    /// The slot in the index.
    pub(super) slot: usize,
    /// Rows of the loaded columns.
    pub(super) rows: Range<usize>,
}

/// Sorted rows of a unit.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    /// Has the slots' keys.
    pub(super) index: Arc<RunIndex>,
    /// Ascending by slot; none empty.
    pub(super) slots: Vec<SlotRows>,
    /// Raw ticks.
    pub(super) ticks: arrow::buffer::ScalarBuffer<i64>,
    /// Time, then the columns that were asked for, in storage types.
    pub(super) columns: Vec<ArrayRef>,
    /// Bytes that were copied for it.
    pub(super) copied: usize,
}

/// What was read.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Read {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

impl Loader {
    /// Loads the columns with these indexes in the table's schema; None for a table without a time column.
    pub(super) fn new(scan: &ScanSource, columns: &[usize]) -> Option<Self> {
        let table = &scan.schema;
        let time = table.time_index()?;
        let mut wanted: Vec<usize> = table.key_index().into_iter().collect();
        wanted.push(time);
        wanted
            .extend(columns.iter().filter(|column| **column != time && Some(**column) != table.key_index()));
        let mut narrow = TableSchema::clone(table);
        narrow.columns = wanted.iter().map(|&column| table.columns[column].clone()).collect();
        let time = usize::from(table.key_index().is_some());
        Some(Self { schema: Arc::new(narrow), filter: scan.filter.clone(), time })
    }

    /// Where a column of the table is among the loaded ones.
    pub(super) fn place(&self, table: &TableSchema, column: usize) -> Option<usize> {
        let id = table.columns.get(column)?.id;
        self.schema.index_of_id(id)?.checked_sub(self.time)
    }

    /// About how many bytes loading a unit copies, to ask for them before: a text counts as its view.
    pub(super) fn copied_bytes(&self, unit: &Unit) -> usize {
        let width = |column: &Column| column.ty.storage_type().primitive_width().unwrap_or(VIEW_BYTES);
        unit.copied_rows().saturating_mul(self.schema.columns.iter().map(width).sum())
    }

    /// A unit's rows, one source after the other as their rows arrived.
    pub(super) fn load(&self, partition: PartitionId, unit: &Unit, read: &mut Read) -> Result<Vec<Loaded>> {
        let mut loaded = Vec::new();
        let mut loose: Vec<Arc<Chunk>> = Vec::new();
        for share in &unit.shares {
            match &share.part {
                Part::Chunk(_) => loose.extend(self.chunk(partition, share, read)?),
                _ => {
                    self.settle(&mut loose, &mut loaded)?;
                    loaded.extend(self.sorted(share, read)?);
                }
            }
        }
        self.settle(&mut loose, &mut loaded)?;
        Ok(loaded)
    }

    /// Sorts the chunks that have come together.
    fn settle(&self, loose: &mut Vec<Arc<Chunk>>, loaded: &mut Vec<Loaded>) -> Result<()> {
        if loose.is_empty() {
            return Ok(());
        }
        let run = Run::build(&self.schema, &std::mem::take(loose)).map_err(external)?;
        let all = std::iter::once(0..run.rows()).collect();
        let share = Share { part: Part::Run(Arc::new(run)), ranges: all, exact: true };
        if let Some(mut source) = self.sorted(&share, &mut Read::default())? {
            source.copied = share.part.memory();
            loaded.push(source);
        }
        Ok(())
    }

    /// The wanted rows of a chunk.
    fn chunk(&self, partition: PartitionId, share: &Share, read: &mut Read) -> Result<Option<Arc<Chunk>>> {
        let all: Vec<usize> = (0..self.schema.columns.len()).collect();
        let mut rows = self.batch(share, &all)?;
        read.add(rows.num_rows(), batch_bytes(&rows));
        if !share.exact
            && let Some(keep) = self.wanted(&rows)?
        {
            rows = filter_record_batch(&rows, &keep)?;
        }
        if rows.num_rows() == 0 {
            return Ok(None);
        }
        let parts = vec![(partition, 0..rows.num_rows() as u32)];
        Ok(Some(Arc::new(Chunk::new(Arc::clone(&self.schema), rows, parts).map_err(external)?)))
    }

    /// All rows of a share's ranges, one after the other.
    fn batch(&self, share: &Share, columns: &[usize]) -> Result<RecordBatch> {
        let rows = share.ranges.iter().map(Range::len).sum::<usize>().max(1);
        let batches: zepto_common::Result<Vec<RecordBatch>> =
            share.part.scan(&self.schema, columns, &share.ranges, rows).collect();
        let mut batches = batches.map_err(external)?;
        match (batches.len(), batches.first()) {
            (1, _) => Ok(batches.remove(0)),
            (_, Some(first)) => Ok(concat_batches(&first.schema(), &batches)?),
            _ => internal_err!("a share of a unit has no rows"),
        }
    }

    /// The wanted rows of a sorted part.
    fn sorted(&self, share: &Share, read: &mut Read) -> Result<Option<Loaded>> {
        let Some(index) = share.part.index().cloned() else {
            return internal_err!("a part that is no chunk has an index");
        };
        let (Some(first), Some(last)) = (share.ranges.first(), share.ranges.last()) else { return Ok(None) };
        let in_memory = matches!(share.part, Part::Run(_));
        // Rows in memory are shared as they lie, with those between the ranges; others are read alone.
        let hull = Share { ranges: std::iter::once(first.start..last.end).collect(), ..share.clone() };
        let from = if share.exact { self.time } else { 0 };
        let columns: Vec<usize> = (from..self.schema.columns.len()).collect();
        let batch = self.batch(if in_memory { &hull } else { share }, &columns)?;
        let mut slots = Vec::new();
        let (mut offset, mut wanted) = (0, 0);
        for range in &share.ranges {
            let place = if in_memory { range.start - first.start } else { offset };
            push_slots(&index, range, place, &mut slots);
            offset += range.len();
            wanted += range.len();
        }
        let bytes = batch_bytes(&batch);
        read.add(wanted, bytes / batch.num_rows().max(1) * wanted);
        if !share.exact {
            self.narrow(&mut slots, &batch)?;
        }
        let columns = batch.columns()[self.time - from..].to_vec();
        let ticks = series::ticks(&columns[0]).map_err(external)?;
        let copied = if in_memory { 0 } else { bytes };
        Ok(Some(Loaded { index, slots, ticks, columns, copied }))
    }

    /// Which rows of a batch of all loaded columns are wanted; None for all.
    fn wanted(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        let Some(filter) = &self.filter else { return Ok(None) };
        let schema = self.schema.query_schema();
        let filter = reassign_expr_columns(Arc::clone(filter), &schema)?;
        let seen = to_query(batch, &schema).map_err(external)?;
        let keep = filter.evaluate(&seen)?.into_array(seen.num_rows())?;
        Ok(Some(keep.as_boolean().clone()))
    }

    /// Leaves the wanted rows of each slot. They have no gap: a slot has one key, and wanted times have none.
    fn narrow(&self, slots: &mut Vec<SlotRows>, batch: &RecordBatch) -> Result<()> {
        let Some(keep) = self.wanted(batch)? else { return Ok(()) };
        let wanted = |row: &usize| keep.is_valid(*row) && keep.value(*row);
        slots.retain_mut(|slot| {
            let Some(start) = slot.rows.clone().find(wanted) else { return false };
            let end = slot.rows.clone().rfind(wanted).map_or(start, |last| last + 1);
            slot.rows = start..end;
            true
        });
        Ok(())
    }
}

impl Read {
    fn add(&mut self, rows: usize, bytes: usize) {
        self.rows += rows;
        self.bytes += bytes;
    }
}

/// The slots of a range of rows that lies at `place` among the loaded ones.
fn push_slots(index: &RunIndex, range: &Range<usize>, place: usize, slots: &mut Vec<SlotRows>) {
    if range.is_empty() {
        return;
    }
    let (mut row, mut slot) = (range.start, index.slot_of(range.start));
    while row < range.end {
        let end = index.slot_rows(slot).end.min(range.end);
        let rows = place + row - range.start..place + end - range.start;
        match slots.last_mut().filter(|last| last.slot == slot && last.rows.end == rows.start) {
            Some(last) => last.rows.end = rows.end,
            None => slots.push(SlotRows { slot, rows }),
        }
        (row, slot) = (end, slot + 1);
    }
}
