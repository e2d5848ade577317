//! Sorting chunks into a run.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::ScalarBuffer;
use arrow::row::{RowConverter, Rows, SortField};
use zepto_common::schema::TableSchema;
use zepto_common::{PartitionId, Result};

use super::gather::{Gather, Sources, array_of, is_dictionary};
use super::layout::{self, ChunkKeys, Layout};
use super::{Run, RunIndex, columns, keys, stats};
use crate::chunk::Chunk;
use crate::part::evolve::Evolution;

impl Run {
    /// Sorts the rows of these chunks, which arrived in this order, into a run of this schema.
    ///
    /// # Errors
    /// `TooManyRowsOrBytes` if they do not fit one run; `LogicalError` for a key type without an order.
    pub fn build(schema: &Arc<TableSchema>, chunks: &[Arc<Chunk>]) -> Result<Self> {
        let rows = chunks.iter().map(|chunk| chunk.rows.num_rows()).sum();
        columns::check_rows(rows)?;
        let inputs: Result<Vec<Vec<ArrayRef>>> =
            chunks.iter().map(|chunk| Evolution::new(&chunk.schema, schema)?.columns(&chunk.rows)).collect();
        let inputs = inputs?;
        let key = schema.key_index();
        let keys_of = |(input, chunk): (&Vec<ArrayRef>, &Arc<Chunk>)| {
            ChunkKeys::new(key.map(|key| &input[key]), chunk.parts.clone())
        };
        let chunk_keys: Result<Vec<ChunkKeys>> = inputs.iter().zip(chunks).map(keys_of).collect();
        let chunk_keys = chunk_keys?;
        let layout = layout::of_chunks(&chunk_keys, rows);
        let columns = inputs.into_iter().map(|input| input.into_iter().map(Some).collect()).collect();
        let sources = Sources::new(columns, chunks.iter().map(|chunk| chunk.rows.num_rows()));
        finish(schema, layout, &sources, None)
    }
}

/// Sorts within slots, gathers each column once and makes the index.
pub(super) fn finish(
    schema: &Arc<TableSchema>,
    mut layout: Layout<'_>,
    sources: &Sources,
    cutoff: Option<i64>,
) -> Result<Run> {
    let (key, time) = (schema.key_index(), schema.time_index());
    let mut ticks = None;
    if let Some(time) = time {
        let mut sorted = sources.ticks(time, &layout)?;
        layout::sort_by_time(&mut layout, &mut sorted);
        if let Some(cutoff) = cutoff {
            layout.drop_leading(|range| sorted[range].partition_point(|&tick| tick < cutoff));
            sorted.retain(|&tick| tick >= cutoff);
        }
        ticks = Some(sorted);
    } else if let Some(rows) = order_rows(schema, sources)? {
        layout::sort_by_rows(&mut layout, &rows, &sources.places);
    }
    let ticks = ticks.map(ScalarBuffer::from);
    let gather = Gather::new(sources, &layout);
    let mut gathered: Vec<Option<ArrayRef>> = Vec::with_capacity(schema.columns.len());
    for (column, of) in schema.columns.iter().enumerate() {
        let ty = of.ty.storage_type();
        gathered.push(match &ticks {
            _ if key == Some(column) => None,
            // The ticks are the column: it shares their memory.
            Some(ticks) if time == Some(column) => Some(array_of(ticks.inner().clone(), &ty)?),
            _ => {
                let rows = gather.column(column, &ty)?;
                // Values of expired rows leave the dictionary, whose extremes are the column's.
                let symbols = cutoff.is_some() && is_dictionary(&rows);
                Some(if symbols { columns::concat(&[rows])? } else { rows })
            }
        });
    }
    let index = index_of(schema, &layout, ticks.as_deref(), &gathered)?;
    Run::new(Arc::clone(schema), gathered, Arc::new(index))
}

/// What rows of a slot are compared by in a table without a time column; None if by nothing.
fn order_rows(schema: &TableSchema, sources: &Sources) -> Result<Option<Rows>> {
    let by: Vec<usize> = schema
        .order_by
        .iter()
        .filter(|&&id| schema.key != Some(id))
        .filter_map(|&id| schema.index_of_id(id))
        .collect();
    if by.is_empty() {
        return Ok(None);
    }
    let concat = |&column: &usize| sources.concat(column, &schema.columns[column].ty.storage_type());
    let columns: Result<Vec<ArrayRef>> = by.iter().map(concat).collect();
    let columns = columns?;
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    Ok(Some(RowConverter::new(fields)?.convert_columns(&columns)?))
}

fn index_of(
    schema: &TableSchema,
    layout: &Layout<'_>,
    ticks: Option<&[i64]>,
    gathered: &[Option<ArrayRef>],
) -> Result<RunIndex> {
    let key_type = schema.key_index().map(|key| keys::value_type(&schema.columns[key].ty.storage_type()));
    let keys = key_type.map(|ty| keys::array_of(&layout.keys, &ty)).transpose()?;
    let of_slots = |pick: &dyn Fn(Range<usize>) -> usize, ticks: &[i64]| -> Vec<i64> {
        layout.ranges().map(|range| ticks[pick(range)]).collect()
    };
    let times =
        ticks.map(|ticks| (of_slots(&|range| range.start, ticks), of_slots(&|range| range.end - 1, ticks)));
    let partitions: Vec<(PartitionId, Range<u32>)> = layout.partitions();
    let mut index = RunIndex {
        partitions,
        keys,
        offsets: layout.offsets.clone(),
        times,
        stats: Vec::new(),
        columns: Vec::new(),
    };
    let worth_it = stats::worth_it(&index);
    for (column, array) in schema.columns.iter().zip(gathered) {
        match (array, &index.keys) {
            (Some(array), _) => {
                index.columns.push((column.id, stats::of_column(array)));
                let per_slot = worth_it.then(|| stats::per_slot(array, &index.offsets)).flatten();
                index.stats.extend(per_slot.map(|stats| (column.id, stats)));
            }
            (None, Some(keys)) => index.columns.push((column.id, stats::of_key(keys, &index.offsets))),
            (None, None) => {}
        }
    }
    Ok(index)
}
