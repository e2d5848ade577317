//! Sorting chunks into a run.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::row::{RowConverter, Rows, SortField};
use zepto_common::schema::TableSchema;
use zepto_common::{PartitionId, Result};

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
        let chunk_keys: Result<Vec<ChunkKeys>> = inputs
            .iter()
            .zip(chunks)
            .map(|(input, chunk)| ChunkKeys::new(key.map(|key| Arc::clone(&input[key])), chunk.parts.clone()))
            .collect();
        let chunk_keys = chunk_keys?;
        let layout = layout::of_chunks(&chunk_keys, rows);
        let all = |column: usize| inputs.iter().map(|input| Arc::clone(&input[column])).collect();
        finish(schema, layout, &all, None)
    }
}

/// The pieces of one column (by index) whose concatenation a layout orders.
pub(super) type Pieces<'a> = dyn Fn(usize) -> Vec<ArrayRef> + 'a;

/// Sorts within slots, gathers each column once and makes the index.
pub(super) fn finish(
    schema: &Arc<TableSchema>,
    mut layout: Layout<'_>,
    pieces: &Pieces<'_>,
    cutoff: Option<i64>,
) -> Result<Run> {
    let key = schema.key_index();
    let time = schema.time_index();
    let concat = |column: usize| match pieces(column) {
        pieces if pieces.is_empty() => {
            Ok(arrow::array::new_empty_array(&schema.columns[column].ty.storage_type()))
        }
        pieces => columns::concat(&pieces),
    };
    let mut ticks = None;
    let mut time_column = None;
    if let Some(time) = time {
        let unsorted = concat(time)?;
        let raw = columns::ticks(&unsorted)?;
        let mut sorted = layout::sort_by_time(&mut layout, &raw);
        if let Some(cutoff) = cutoff {
            layout.drop_leading(|range| sorted[range].partition_point(|&tick| tick < cutoff));
            sorted.retain(|&tick| tick >= cutoff);
        }
        ticks = Some(sorted);
        time_column = Some(columns::gather(unsorted, &layout.order)?);
    } else if let Some(rows) = order_rows(schema, &concat)? {
        layout::sort_by_rows(&mut layout, &rows);
    }
    let mut gathered: Vec<Option<ArrayRef>> = Vec::with_capacity(schema.columns.len());
    for column in 0..schema.columns.len() {
        gathered.push(match column {
            _ if key == Some(column) => None,
            _ if time == Some(column) => time_column.take(),
            _ => {
                let rows = columns::gather(concat(column)?, &layout.order)?;
                // Values of expired rows leave the dictionary, whose extremes are the column's.
                let symbols = cutoff.is_some() && rows.as_any_dictionary_opt().is_some();
                Some(if symbols { columns::concat(&[rows])? } else { rows })
            }
        });
    }
    let index = index_of(schema, &layout, ticks.as_deref(), &gathered)?;
    Run::new(Arc::clone(schema), gathered, Arc::new(index))
}

/// What rows of a slot are compared by in a table without a time column; None if by nothing.
fn order_rows(schema: &TableSchema, concat: &dyn Fn(usize) -> Result<ArrayRef>) -> Result<Option<Rows>> {
    let by: Vec<usize> = schema
        .order_by
        .iter()
        .filter(|&&id| schema.key != Some(id))
        .filter_map(|&id| schema.index_of_id(id))
        .collect();
    if by.is_empty() {
        return Ok(None);
    }
    let columns: Result<Vec<ArrayRef>> = by.iter().map(|&column| concat(column)).collect();
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
    let bytes: Vec<Option<&[u8]>> = layout.slots.iter().map(|pair| pair.key).collect();
    let keys = key_type.map(|ty| keys::array_of(&bytes, &ty)).transpose()?;
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
