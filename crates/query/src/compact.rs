//! Texts of their own for rows that are held.
//!
//! The rows of a batch that a scan gives out point into the texts of a whole run. An operator that holds many batches (a
//! sort, a join) counts these texts once per batch: a few megabytes looked like gigabytes, and spilled nothing that helped.
//! So below such operators the rows get their own copies.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, GenericByteViewArray, RecordBatch};
use arrow::datatypes::{ByteViewType, DataType};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ReplaceChildrenOptions};
use futures::StreamExt;

/// Texts that are less than this many times as large as what the rows have of them stay shared.
const SHARED_TIMES: usize = 2;
/// Bytes of a text that lie in its view.
const INLINE_BYTES: u32 = 12;

/// Puts a [`CompactExec`] below each operator that holds rows with texts.
#[derive(Debug)]
pub(crate) struct CompactHeldTexts;

impl PhysicalOptimizerRule for CompactHeldTexts {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let compacted = plan.transform_up(|node| {
            let held = held_children(node.as_ref());
            let texts = |child: &&Arc<dyn ExecutionPlan>| has_views(child);
            if !node.children().iter().take(held).any(texts) {
                return Ok(Transformed::no(node));
            }
            let compact = |(at, child): (usize, &Arc<dyn ExecutionPlan>)| match at < held && has_views(child)
            {
                true => Arc::new(CompactExec { input: Arc::clone(child) }) as Arc<dyn ExecutionPlan>,
                false => Arc::clone(child),
            };
            let children = node.children().into_iter().enumerate().map(compact).collect();
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Ok(Transformed::yes(node.replace_children(children, options)?))
        })?;
        Ok(compacted.data)
    }

    fn name(&self) -> &str {
        "compact_held_texts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// How many of a node's children, from the first, it holds batches of.
fn held_children(node: &dyn ExecutionPlan) -> usize {
    if node.is::<SortMergeJoinExec>() {
        2
    } else if node.is::<SortExec>()
        || node.is::<HashJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<CrossJoinExec>()
    {
        // Of a join the left side: the rows of the other stream by.
        1
    } else {
        0
    }
}

fn has_views(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = plan.schema();
    schema.fields().iter().any(|field| matches!(field.data_type(), DataType::Utf8View | DataType::BinaryView))
}

/// Gives rows texts of their own.
#[derive(Debug)]
struct CompactExec {
    input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for CompactExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompactExec")
    }
}

impl ExecutionPlan for CompactExec {
    fn name(&self) -> &'static str {
        "CompactExec"
    }

    crate::plan_inputs::passes_rows_on!(|_node, input| Self { input });

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let schema = input.schema();
        let compacted = input.map(|batch| batch.and_then(|batch| compact(&batch)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, compacted)))
    }
}

fn compact(batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => own(column, column.as_string_view()),
        DataType::BinaryView => own(column, column.as_binary_view()),
        _ => Arc::clone(column),
    });
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns.collect(), &options)?)
}

fn own<T: ByteViewType>(column: &ArrayRef, views: &GenericByteViewArray<T>) -> ArrayRef {
    let shared: usize = views.data_buffers().iter().map(|buffer| buffer.len()).sum();
    let lengths = views.views().iter().map(|view| *view as u32).filter(|length| *length > INLINE_BYTES);
    let own: usize = lengths.map(|length| length as usize).sum();
    if shared <= own.saturating_mul(SHARED_TIMES) { Arc::clone(column) } else { Arc::new(views.gc()) }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringViewArray;

    use super::*;

    #[test]
    fn a_slice_gets_texts_of_its_own_and_what_is_whole_stays_shared() {
        let texts: Vec<String> = (0..1_000).map(|n| format!("a text of some length, number {n}")).collect();
        let whole: ArrayRef = Arc::new(texts.iter().map(Some).collect::<StringViewArray>());
        let batch = |column: ArrayRef| RecordBatch::try_from_iter([("t", column)]).unwrap();
        let slice = batch(whole.slice(10, 20));
        let compacted = compact(&slice).unwrap();
        assert_eq!(compacted, slice);
        let bytes = |batch: &RecordBatch| {
            let column = batch.column(0).as_string_view();
            column.data_buffers().iter().map(|buffer| buffer.len()).sum::<usize>()
        };
        assert!(bytes(&slice) > 30_000 && bytes(&compacted) < 1_000, "{}", bytes(&compacted));
        let whole = batch(whole);
        assert_eq!(bytes(&compact(&whole).unwrap()), bytes(&whole));
    }
}
