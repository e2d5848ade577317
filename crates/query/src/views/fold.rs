//! Computes states for the engine: on its background thread, without the query runtime.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use futures::TryStreamExt;
use zepto_common::PartitionId;
use zepto_common::error::{Error, Result};
use zepto_common::limits::EXPRESSION_STACK_BYTES;
use zepto_common::schema::TableSchema;
use zepto_engine::Part;
use zepto_engine::store::ViewDefinition;
use zepto_engine::view::{States, ViewFold};

use super::leaf::Rows;
use super::{Recipe, Recipes, states};
use crate::error::from_datafusion;
use crate::options::SqlOptions;
use crate::provider;
use crate::session::Sessions;

/// Row ranges of parts.
type Ranges = Vec<(Part, Vec<Range<usize>>)>;

#[derive(Debug)]
struct Fold {
    sessions: Sessions,
    recipes: Recipes,
}

/// Who computes the states of materialized views, for [`zepto_engine::StoreOptions`].
///
/// # Errors
/// A function that cannot be registered.
pub fn view_fold(options: &SqlOptions) -> Result<Arc<dyn ViewFold>> {
    let options = SqlOptions { spill_dir: None, ..options.clone() };
    Ok(Arc::new(Fold { sessions: Sessions::new(&options)?, recipes: Recipes::default() }))
}

impl ViewFold for Fold {
    fn fold(
        &self,
        view: &ViewDefinition,
        source: &Arc<TableSchema>,
        rows: &[Part],
        not_before: Option<i64>,
    ) -> Result<States> {
        on_own_stack(|| {
            let recipe = block_on(self.recipes.of(&self.sessions, view, source))?;
            let table = stored_schema(view)?;
            by_partition(rows)
                .into_iter()
                .map(|(partition, ranges)| {
                    let rows: Rows<'_> =
                        &|columns| provider::scan_ranges(source, columns, ranges.clone(), not_before);
                    let plan = recipe.fold_plan(rows).map_err(from_datafusion)?;
                    Ok((partition, self.run(&plan, &table)?))
                })
                .collect()
        })
    }

    fn merge(&self, view: &ViewDefinition, source: &Arc<TableSchema>, parts: &[Part]) -> Result<States> {
        on_own_stack(|| {
            let recipe = block_on(self.recipes.of(&self.sessions, view, source))?;
            let table = stored_schema(view)?;
            by_partition(parts)
                .into_iter()
                .map(|(partition, ranges)| {
                    let stored = stored_states(&recipe, &table, ranges)?;
                    let merged = recipe.merge_plan(stored.clone()).map_err(from_datafusion)?;
                    Ok((partition, self.run(&merged.unwrap_or(stored), &table)?))
                })
                .collect()
        })
    }
}

impl Fold {
    fn run(&self, plan: &Arc<dyn ExecutionPlan>, table: &TableSchema) -> Result<RecordBatch> {
        let context = self.sessions.task_of_none();
        let mut batches = Vec::new();
        for partition in 0..plan.properties().partitioning.partition_count() {
            let stream = plan.execute(partition, context.clone()).map_err(from_datafusion)?;
            batches.extend(block_on(stream.try_collect::<Vec<_>>()).map_err(from_datafusion)?);
        }
        let all = concat_batches(&plan.schema(), &batches)?;
        states::to_storage(&all, table)
    }
}

fn stored_schema(view: &ViewDefinition) -> Result<Arc<TableSchema>> {
    let schema = view.states.clone().map(Arc::new);
    schema.ok_or_else(|| Error::internal(format!("view {} has no schema of states", view.name)))
}

/// Stored states as the plans want them.
///
/// # Errors
/// DataFusion's.
pub(super) fn stored_states(
    recipe: &Recipe,
    table: &Arc<TableSchema>,
    ranges: Ranges,
) -> Result<Arc<dyn ExecutionPlan>> {
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    let scan = provider::scan_ranges(table, &columns, ranges, None).map_err(from_datafusion)?;
    as_states(recipe, scan).map_err(from_datafusion)
}

/// A scan of stored states as the plans want them.
pub(super) fn as_states(
    recipe: &Recipe,
    scan: Arc<dyn ExecutionPlan>,
) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
    let expressions = states::projection(&scan.schema(), &recipe.states());
    Ok(Arc::new(ProjectionExec::try_new(expressions, scan)?))
}

fn by_partition(parts: &[Part]) -> BTreeMap<PartitionId, Ranges> {
    let mut found: BTreeMap<PartitionId, Ranges> = BTreeMap::new();
    for part in parts {
        for (partition, range) in part.partition_rows() {
            found.entry(partition).or_default().push((part.clone(), std::iter::once(range).collect()));
        }
    }
    found
}

/// Nothing in these futures waits for anything but computation.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    futures::executor::block_on(future)
}

/// Runs it on a thread with a deep stack, outside of any runtime.
pub(crate) fn on_own_stack<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("zepto-views".to_owned()).stack_size(EXPRESSION_STACK_BYTES);
        let thread = thread.spawn_scoped(scope, work);
        let thread = thread.map_err(|error| Error::internal(format!("cannot start a thread: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(Error::internal("computing a view's states panicked")))
    })
}
