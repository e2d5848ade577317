//! Rows that a feed brings: each has the offset of its message in the source's partition.
//!
//! Such a block has the batch id [`BatchId::Source`] and block number 0, its rows are of one partition of the source in
//! the order of their offsets, all rows of a message are in one block, and its last column, beyond those of the table,
//! holds the offsets. Whoever sends blocks of a source sends one after the other, from the resume position on without
//! leaving a message out: then a row at or below what a partition has seen of the source is there already.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, UInt64Type};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, ErrorCode, Result};
use crate::ids::{BatchId, PartitionId, TableId};
use crate::partition::partition_of_block;
use crate::schema::TableSchema;

/// Name of the column of offsets.
const OFFSETS: &str = "_offset";

/// What a feed follows (its name, a slash, the name of the topic) on its way into a table.
#[derive(Debug, Clone)]
pub struct FeedStream {
    /// Where its rows go.
    pub table: Arc<TableSchema>,
    /// Feed and topic.
    pub name: String,
}

impl FeedStream {
    /// The batch id of the rows of one partition of it.
    #[must_use]
    pub fn batch(&self, source: u32) -> BatchId {
        let mut text = Vec::with_capacity(self.name.len() + 5);
        text.extend_from_slice(self.name.as_bytes());
        text.push(0);
        text.extend_from_slice(&source.to_le_bytes());
        BatchId::Source(xxh3_128(&text))
    }
}

/// The partition that keeps the resume positions of a stream.
#[must_use]
pub fn home_of_stream(table: TableId, name: &str, partitions: u16) -> PartitionId {
    partition_of_block(table.0, xxh3_128(name.as_bytes()), 0, partitions)
}

/// Rows of a table and their offsets as one batch.
///
/// # Errors
/// Another number of offsets than of rows.
pub fn with_offsets(rows: &RecordBatch, offsets: UInt64Array) -> Result<RecordBatch> {
    let schema = rows.schema();
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(OFFSETS, DataType::UInt64, false)));
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(offsets) as ArrayRef);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// The rows of the table and the offsets in a batch of [`with_offsets`].
///
/// # Errors
/// `IncorrectData` where the last column is none of offsets.
pub fn split_offsets(batch: &RecordBatch) -> Result<(RecordBatch, UInt64Array)> {
    let fault = || Error::new(ErrorCode::IncorrectData, "rows of a source without a column of offsets");
    let last = batch.num_columns().checked_sub(1).ok_or_else(fault)?;
    let offsets = batch.column(last).as_primitive_opt::<UInt64Type>().ok_or_else(fault)?;
    if batch.schema().field(last).name() != OFFSETS || offsets.null_count() > 0 {
        return Err(fault());
    }
    let kept: Vec<usize> = (0..last).collect();
    Ok((batch.project(&kept)?, offsets.clone()))
}

/// Checks that offsets do not fall.
///
/// # Errors
/// `IncorrectData`.
pub fn check_order(offsets: &[u64]) -> Result<()> {
    match offsets.is_sorted() {
        true => Ok(()),
        false => Err(Error::new(ErrorCode::IncorrectData, "rows of a source whose offsets fall")),
    }
}
