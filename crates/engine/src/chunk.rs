//! A chunk: committed rows as they came, grouped by partition but not sorted. Memtables are lists of chunks.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use zepto_common::schema::TableSchema;
use zepto_common::{Error, PartitionId, Result};

use crate::part::evolve::Evolution;
use crate::run::columns;

/// Rows in arrival order within each partition.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// What the columns are.
    pub schema: Arc<TableSchema>,
    /// All columns of the schema, in its order, in storage types.
    pub rows: RecordBatch,
    /// Partition and row range, ascending by partition, each partition once, covering all rows without a gap.
    pub parts: Vec<(PartitionId, Range<u32>)>,
    time_range: Option<(i64, i64)>,
}

impl Chunk {
    /// A chunk of these rows.
    ///
    /// # Errors
    /// `LogicalError` if the columns are not those of the schema or the ranges do not cover the rows.
    pub fn new(
        schema: Arc<TableSchema>,
        rows: RecordBatch,
        parts: Vec<(PartitionId, Range<u32>)>,
    ) -> Result<Self> {
        check_columns(&schema, &rows)?;
        check_parts(&parts, rows.num_rows())?;
        let time_range = match schema.time_index() {
            Some(time) => columns::ticks_range(&columns::ticks(rows.column(time))?),
            None => None,
        };
        Ok(Self { schema, rows, parts, time_range })
    }

    /// One chunk of the rows of many: grouped by partition, and within one in the order of `chunks`. Its schema is
    /// the newest among them; its symbol columns have one dictionary each, of the values that occur.
    ///
    /// # Errors
    /// `LogicalError` for no chunk at all; `TooManyRowsOrBytes` if a column outgrows Arrow's 32-bit offsets.
    pub fn concat(chunks: &[Arc<Self>]) -> Result<Self> {
        let newest = chunks.iter().map(|chunk| &chunk.schema).max_by_key(|schema| schema.version);
        let schema = Arc::clone(newest.ok_or_else(|| Error::internal("no chunks to merge"))?);
        let total: usize = chunks.iter().map(|chunk| chunk.rows.num_rows()).sum();
        columns::check_rows(total)?;
        let (order, parts) = group(chunks);
        let inputs: Result<Vec<Vec<ArrayRef>>> =
            chunks.iter().map(|chunk| Evolution::new(&chunk.schema, &schema)?.columns(&chunk.rows)).collect();
        let inputs = inputs?;
        let gathered: Result<Vec<ArrayRef>> = (0..schema.columns.len())
            .map(|column| {
                let pieces: Vec<ArrayRef> = inputs.iter().map(|input| Arc::clone(&input[column])).collect();
                columns::gather(columns::concat(&pieces)?, &order)
            })
            .collect();
        Self::new(Arc::clone(&schema), columns::batch(schema.storage_schema(), gathered?, total)?, parts)
    }

    /// Bytes held (buffers shared with other chunks are counted by each).
    #[must_use]
    pub fn memory(&self) -> usize {
        self.rows.columns().iter().map(columns::memory).sum()
    }

    /// Smallest and largest tick of the time column; None without one or without rows.
    #[must_use]
    pub fn time_range(&self) -> Option<(i64, i64)> {
        self.time_range
    }
}

/// # Errors
/// `LogicalError` if the columns are not those of the schema.
pub(crate) fn check_columns(schema: &TableSchema, rows: &RecordBatch) -> Result<()> {
    let fits = schema.columns.len() == rows.num_columns()
        && schema.columns.iter().zip(rows.columns()).all(|(c, a)| c.ty.storage_type() == *a.data_type());
    if fits {
        Ok(())
    } else {
        Err(Error::internal(format!("rows do not have the columns of {}", schema.name)))
    }
}

fn check_parts(parts: &[(PartitionId, Range<u32>)], rows: usize) -> Result<()> {
    let mut end = 0;
    for (_, range) in parts {
        if range.start != end || range.end < range.start {
            return Err(Error::internal(format!("partition ranges have a gap at row {end}")));
        }
        end = range.end;
    }
    if !parts.windows(2).all(|pair| pair[0].0 < pair[1].0) || end as usize != rows {
        return Err(Error::internal(format!(
            "partition ranges end at row {end} of {rows} or are not ascending"
        )));
    }
    Ok(())
}

/// The row order that groups chunks by partition, as positions in their concatenation, and the new ranges.
fn group(chunks: &[Arc<Chunk>]) -> (Vec<u32>, Vec<(PartitionId, Range<u32>)>) {
    let mut pieces = Vec::new();
    let mut base = 0u32;
    for chunk in chunks {
        pieces.extend(chunk.parts.iter().map(|(p, range)| (*p, base + range.start..base + range.end)));
        base += chunk.rows.num_rows() as u32;
    }
    pieces.sort_by_key(|(partition, _)| *partition);
    let mut order = Vec::with_capacity(base as usize);
    let mut parts: Vec<(PartitionId, Range<u32>)> = Vec::new();
    for (partition, range) in pieces {
        let start = order.len() as u32;
        order.extend(range);
        match parts.last_mut() {
            Some((last, covered)) if *last == partition => covered.end = order.len() as u32,
            _ => parts.push((partition, start..order.len() as u32)),
        }
    }
    (order, parts)
}
