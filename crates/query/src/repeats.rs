//! Arrays that joins and windows write out once for each row that they match. Nobody counts what such an operator makes
//! of one block of rows, so it gets small blocks, and the widest row that goes into it is multiplied before it is.
//! Texts need none of this: their copies are views.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ReplaceChildrenOptions};
use futures::{Stream, StreamExt};

use crate::functions::{Meter, widest_row};

/// Rows of a block where arrays may be repeated; a row of [`zepto_common::limits::FUNCTION_BYTES_MAX`] / this is
/// the widest that passes.
const ROWS: usize = 256;

/// Counts arrays before joins and windows repeat them.
#[derive(Debug)]
pub(crate) struct MeterRepeats;

/// What an operator multiplies the rows of its inputs by.
#[derive(Debug, Clone, Copy)]
enum Times {
    /// The rows of a block.
    Block,
    /// All rows that came.
    All,
}

impl PhysicalOptimizerRule for MeterRepeats {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let metered = plan.transform_up(|node| {
            let Some(times) = times_of(&node) else { return Ok(Transformed::no(node)) };
            let children = node.children().into_iter().map(|child| {
                let input = Arc::clone(child);
                Arc::new(RepeatsExec { input, counts: Some(times) }) as Arc<dyn ExecutionPlan>
            });
            let children = children.collect();
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            let input = node.replace_children(children, options)?;
            Ok(Transformed::yes(Arc::new(RepeatsExec { input, counts: None })))
        })?;
        Ok(metered.data)
    }

    fn name(&self) -> &str {
        "meter_repeats"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// None = the operator repeats no arrays.
fn times_of(node: &Arc<dyn ExecutionPlan>) -> Option<Times> {
    let join = node.is::<HashJoinExec>()
        || node.is::<SortMergeJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<CrossJoinExec>();
    let schema = node.schema();
    let first_new = match join {
        true => 0,
        false => node.children().first()?.schema().fields().len().min(schema.fields().len()),
    };
    let arrays = schema.fields()[first_new..].iter().any(|field| has_arrays(field.data_type()));
    match (join, arrays) {
        (_, false) => None,
        (true, true) => Some(Times::Block),
        _ if node.is::<BoundedWindowAggExec>() => Some(Times::Block),
        _ if node.is::<WindowAggExec>() => Some(Times::All),
        _ => None,
    }
}

fn has_arrays(ty: &DataType) -> bool {
    match ty {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Map(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_arrays(field.data_type())),
        _ => false,
    }
}

/// Counts the rows that go into an operator, or (without counts) runs the operator with small blocks.
#[derive(Debug)]
struct RepeatsExec {
    input: Arc<dyn ExecutionPlan>,
    counts: Option<Times>,
}

impl DisplayAs for RepeatsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RepeatsExec")
    }
}

impl ExecutionPlan for RepeatsExec {
    fn name(&self) -> &'static str {
        "RepeatsExec"
    }

    crate::plan_inputs::passes_rows_on!(|node, input| Self { input, counts: node.counts });

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(times) = self.counts else {
            return self.input.execute(partition, in_small_blocks(&context));
        };
        let input = self.input.execute(partition, context)?;
        Ok(Box::pin(Counted { input, times, rest: None, rows: 0, widest: 0 }))
    }
}

fn in_small_blocks(context: &TaskContext) -> Arc<TaskContext> {
    let config = context.session_config().clone();
    let rows = ROWS.min(config.batch_size());
    Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        config.with_batch_size(rows),
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        context.runtime_env(),
    ))
}

struct Counted {
    input: SendableRecordBatchStream,
    times: Times,
    /// What is left of a batch.
    rest: Option<RecordBatch>,
    /// Rows that came.
    rows: usize,
    /// Bytes of the widest of them.
    widest: usize,
}

impl Counted {
    /// A slice that is small enough, if what can be made of its rows is, too.
    fn measured(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let block = batch.slice(0, rows.min(ROWS));
        self.rest = (rows > ROWS).then(|| batch.slice(ROWS, rows - ROWS));
        self.rows += block.num_rows();
        let width = |(at, column)| match has_arrays(block.schema_ref().field(at).data_type()) {
            true => widest_row(column),
            false => 0,
        };
        self.widest = self.widest.max(block.columns().iter().enumerate().map(width).sum());
        let times = match self.times {
            Times::Block => ROWS,
            Times::All => self.rows,
        };
        Meter::of_rows().take(self.widest.saturating_mul(times))?;
        Ok(block)
    }
}

impl Stream for Counted {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let batch = match self.rest.take() {
            Some(rest) => rest,
            None => match self.input.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(batch))) => batch,
                other => return other,
            },
        };
        Poll::Ready(Some(self.measured(batch)))
    }
}

impl RecordBatchStream for Counted {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
