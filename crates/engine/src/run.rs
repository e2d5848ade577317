//! A run: immutable rows in memory, sorted by (partition, key, time, arrival), with the index that finds them.
//!
//! The key is constant over each slot of the index, so the key column is not stored per row. A table without a
//! time column is sorted by its ORDER BY columns instead (ascending, NULL first), then arrival.

mod build;
pub(crate) mod columns;
mod gather;
pub mod index;
pub(crate) mod keys;
mod layout;
mod merge;
pub(crate) mod stats;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::ArrayRef;
use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, Result};

pub use index::{ColumnStats, KeyStats, RunIndex, Sum, Sums};
pub use merge::MergeOptions;

/// Sorted rows with their index.
#[derive(Debug, Clone)]
pub struct Run {
    schema: Arc<TableSchema>,
    columns: Vec<Option<ArrayRef>>,
    index: Arc<RunIndex>,
    memory: usize,
    time_range: Option<(i64, i64)>,
}

impl Run {
    /// A run of columns that are sorted as the index says. The key's place is None.
    ///
    /// # Errors
    /// `CorruptedData` if index, columns and schema do not fit together.
    pub(crate) fn new(
        schema: Arc<TableSchema>,
        columns: Vec<Option<ArrayRef>>,
        index: Arc<RunIndex>,
    ) -> Result<Self> {
        let fault = |what: String| Err(Error::new(ErrorCode::CorruptedData, what));
        if columns.len() != schema.columns.len() {
            return fault(format!(
                "{} columns for {} of {}",
                columns.len(),
                schema.columns.len(),
                schema.name
            ));
        }
        let key = schema.key_index();
        for (i, (column, of)) in columns.iter().zip(&schema.columns).enumerate() {
            let fits = match column {
                None => key == Some(i) && index.keys.is_some(),
                Some(array) => array.len() == index.rows() && *array.data_type() == of.ty.storage_type(),
            };
            if !fits {
                return fault(format!("column {} of {} does not fit its run", of.name, schema.name));
            }
        }
        let memory = columns.iter().flatten().map(columns::memory).sum::<usize>() + index.memory();
        let time_range = index.time_range();
        Ok(Self { schema, columns, index, memory, time_range })
    }

    /// What the columns are.
    #[must_use]
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    /// Where the rows lie.
    #[must_use]
    pub fn index(&self) -> &Arc<RunIndex> {
        &self.index
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.index.rows()
    }

    /// The columns in schema order, in storage types; None in the key's place.
    #[must_use]
    pub fn columns(&self) -> &[Option<ArrayRef>] {
        &self.columns
    }

    /// Smallest and largest raw tick of the time column; None without one or without rows.
    #[must_use]
    pub fn time_range(&self) -> Option<(i64, i64)> {
        self.time_range
    }

    /// Bytes held by columns and index.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.memory
    }
}
