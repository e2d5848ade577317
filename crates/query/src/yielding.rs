//! Joins that can be stopped. DataFusion's operators give way when their leaves are read, but a nested loop compares
//! each batch that it reads with every row of its other side: without a pause in between, its task holds its thread,
//! and neither a deadline nor a kill gets to it. A join by a key with few values gives rows for as long out of one
//! batch, to an aggregate that asks for the next and the next.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ReplaceChildrenOptions};
use futures::{Stream, StreamExt};

use crate::error::external;
use crate::running::QueryHandle;

/// Rows that a nested loop gets at once.
const ROWS_MAX: usize = 1_024;

/// Puts a pause between the batches that a nested loop reads, and between those that a join gives.
#[derive(Debug)]
pub(crate) struct PauseInLoops;

impl PhysicalOptimizerRule for PauseInLoops {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let paused = plan.transform_up(|node| {
            if node.is::<HashJoinExec>() || node.is::<SortMergeJoinExec>() {
                return Ok(Transformed::yes(PauseExec::over(node)));
            }
            if !node.is::<NestedLoopJoinExec>() && !node.is::<CrossJoinExec>() {
                return Ok(Transformed::no(node));
            }
            let pause = |child: &Arc<dyn ExecutionPlan>| {
                Arc::new(PauseExec { input: Arc::clone(child), rows: ROWS_MAX }) as Arc<dyn ExecutionPlan>
            };
            let children = node.children().into_iter().map(pause).collect();
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Ok(Transformed::yes(PauseExec::over(node.replace_children(children, options)?)))
        })?;
        Ok(paused.data)
    }

    fn name(&self) -> &str {
        "pause_in_loops"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Gives its input's batches in slices, a pause after each, and ends with the statement.
#[derive(Debug)]
pub(crate) struct PauseExec {
    input: Arc<dyn ExecutionPlan>,
    /// Rows of a slice.
    rows: usize,
}

impl PauseExec {
    /// Over a join, with its batches as they are.
    pub(crate) fn over(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input, rows: usize::MAX })
    }

    /// What it gives the batches of.
    pub(crate) fn input(&self) -> Arc<dyn ExecutionPlan> {
        Arc::clone(&self.input)
    }
}

impl DisplayAs for PauseExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PauseExec")
    }
}

impl ExecutionPlan for PauseExec {
    fn name(&self) -> &'static str {
        "PauseExec"
    }

    crate::plan_inputs::passes_rows_on!(|node, input| Self { input, rows: node.rows });

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let query = context.session_config().get_extension::<QueryHandle>();
        let input = self.input.execute(partition, context)?;
        Ok(Box::pin(Pauses { input, query, most: self.rows, rest: None, pause: false }))
    }
}

struct Pauses {
    input: SendableRecordBatchStream,
    query: Option<Arc<QueryHandle>>,
    /// Rows of a slice.
    most: usize,
    /// What is left of a batch.
    rest: Option<RecordBatch>,
    /// Whether a pause is due.
    pause: bool,
}

impl Stream for Pauses {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(stopped) = self.query.as_ref().and_then(|query| query.stopped()) {
            return Poll::Ready(Some(Err(external(stopped))));
        }
        if std::mem::take(&mut self.pause) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let batch = match self.rest.take() {
            Some(rest) => rest,
            None => match self.input.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(batch))) => batch,
                other => return other,
            },
        };
        self.pause = true;
        let rows = batch.num_rows();
        if rows <= self.most {
            return Poll::Ready(Some(Ok(batch)));
        }
        self.rest = Some(batch.slice(self.most, rows - self.most));
        Poll::Ready(Some(Ok(batch.slice(0, self.most))))
    }
}

impl RecordBatchStream for Pauses {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
