//! What the engine asks of whoever understands a materialized view's query. The engine keeps *partial states* (for
//! an average: sum and count) beside the source's segments and decides when rows are counted; what a state is, and
//! how two become one, is the query side's business.

use std::sync::Arc;

use arrow::array::RecordBatch;
use zepto_common::schema::TableSchema;
use zepto_common::{PartitionId, Result};

use crate::catalog::ViewDefinition;
use crate::part::Part;

/// States by the partition of the rows that they count: storage types of the view's schema of states. Each
/// partition once, ascending.
pub type States = Vec<(PartitionId, RecordBatch)>;

/// Computes the states of materialized views. Called by the background thread and at start, never by a writer.
pub trait ViewFold: Send + Sync + std::fmt::Debug {
    /// The states of rows of the source, partition by partition; rows with a time below `not_before` (raw ticks of
    /// the time column) do not count.
    ///
    /// # Errors
    /// What the view's query says to a row: an overflow, a value that cannot be converted. The view stops then.
    fn fold(
        &self,
        view: &ViewDefinition,
        source: &Arc<TableSchema>,
        rows: &[Part],
        not_before: Option<i64>,
    ) -> Result<States>;

    /// The states of the rows that these states count: fewer, and the same in every answer.
    ///
    /// # Errors
    /// A segment that cannot be read, an overflow.
    fn merge(&self, view: &ViewDefinition, source: &Arc<TableSchema>, states: &[Part]) -> Result<States>;
}
