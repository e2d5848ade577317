//! A part: a chunk, a run or a segment, read the same way. A table's rows are the rows of its parts.

pub(crate) mod constant;
pub(crate) mod evolve;
pub(crate) mod scan;
mod select;
#[cfg(test)]
pub(crate) mod tests;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use zepto_common::schema::TableSchema;
use zepto_common::{ColumnId, PartitionId, Result};

use crate::chunk::Chunk;
use crate::run::{ColumnStats, Run, RunIndex, stats};
use crate::segment::Segment;

/// Rows of one table, immutable. Cloning shares them.
#[derive(Debug, Clone)]
pub enum Part {
    /// Unsorted rows of a memtable.
    Chunk(Arc<Chunk>),
    /// Sorted rows in memory.
    Run(Arc<Run>),
    /// Sorted rows in a file, perhaps in memory too.
    Segment(Arc<Segment>),
}

/// Which rows are wanted; what is None does not restrict.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Wanted keys, in the index's key type (Utf8 for text); a NULL among them wants NULL.
    pub keys: Option<ArrayRef>,
    /// Wanted partitions, ascending.
    pub partitions: Option<Vec<PartitionId>>,
    /// Wanted ticks of the time column, both ends included.
    pub time: Option<(i64, i64)>,
}

/// Batches of a scan, in row order.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

impl Part {
    /// The schema version that its rows have.
    #[must_use]
    pub fn schema(&self) -> &Arc<TableSchema> {
        match self {
            Self::Chunk(chunk) => &chunk.schema,
            Self::Run(run) => run.schema(),
            Self::Segment(segment) => segment.schema(),
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Chunk(chunk) => chunk.rows.num_rows(),
            Self::Run(run) => run.rows(),
            Self::Segment(segment) => segment.rows(),
        }
    }

    /// Bytes of memory held now.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self {
            Self::Chunk(chunk) => chunk.memory(),
            Self::Run(run) => run.memory(),
            Self::Segment(segment) => segment.memory(),
        }
    }

    /// Smallest and largest raw tick of the time column, exact; None without one or without rows.
    #[must_use]
    pub fn time_range(&self) -> Option<(i64, i64)> {
        match self {
            Self::Chunk(chunk) => chunk.time_range(),
            Self::Run(run) => run.time_range(),
            Self::Segment(segment) => segment.time_range(),
        }
    }

    /// The index; None for a chunk.
    #[must_use]
    pub fn index(&self) -> Option<&Arc<RunIndex>> {
        match self {
            Self::Chunk(_) => None,
            Self::Run(run) => Some(run.index()),
            Self::Segment(segment) => Some(segment.index()),
        }
    }

    /// Partition and rows of each stretch, ascending by partition.
    #[must_use]
    pub fn partition_rows(&self) -> Vec<(PartitionId, Range<usize>)> {
        match self {
            Self::Chunk(chunk) => {
                chunk.parts.iter().map(|(p, range)| (*p, range.start as usize..range.end as usize)).collect()
            }
            _ => self.index().map(|index| index.partition_rows().collect()).unwrap_or_default(),
        }
    }

    /// Statistics of a column over all rows, exact; None for a column that this part's version does not have. A
    /// chunk's are computed on the spot.
    #[must_use]
    pub fn column_stats(&self, column: ColumnId) -> Option<ColumnStats> {
        match self {
            Self::Chunk(chunk) => {
                let array = chunk.rows.column(chunk.schema.index_of_id(column)?);
                Some(stats::of_loose_column(array))
            }
            _ => self.index()?.column_stats(column).cloned(),
        }
    }

    /// Row ranges that can hold wanted rows, ascending and disjoint. Never misses one; for a sorted part in memory
    /// the keys, partitions and (where the table has a time column) times are met exactly.
    #[must_use]
    pub fn select(&self, selection: &Selection) -> Vec<Range<usize>> {
        select::ranges(self, selection)
    }

    /// The rows of `ranges` (ascending, disjoint) as batches of at most `batch_rows` rows: the columns of `target`
    /// with the indexes `projection`, in storage types. Columns are matched by id; one that was added later has its
    /// default. With an empty projection the batches have only a row count. A fault ends the iterator.
    pub fn scan(
        &self,
        target: &Arc<TableSchema>,
        projection: &[usize],
        ranges: &[Range<usize>],
        batch_rows: usize,
    ) -> Batches {
        scan::batches(self, target, projection, ranges, batch_rows)
    }
}
