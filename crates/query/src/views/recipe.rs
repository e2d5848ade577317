//! How a view is computed: its plan, cut at the aggregation.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, AggregateOutputMode};
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::{ExecutionPlan, ReplaceChildrenOptions};
use zepto_common::ColumnId;
use zepto_common::error::{Error, Result};
use zepto_common::schema::TableSchema;
use zepto_engine::store::ViewDefinition;

use super::check::{check, check_functions};
use super::leaf::{OnlySource, Rows, fill};
use super::states;
use crate::error::from_datafusion;
use crate::planner;
use crate::session::Sessions;
use crate::statement::Tokens;

/// How a view over one version of its source is computed.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// What the view gives.
    pub(crate) schema: SchemaRef,
    /// The columns of the source that the query reads.
    pub(crate) reads: Vec<ColumnId>,
    /// Rows to states. Its leaf is to be filled.
    partial: Arc<dyn ExecutionPlan>,
    /// The whole query; where there is an aggregation, `partial` is in it.
    whole: Arc<dyn ExecutionPlan>,
    source: Arc<TableSchema>,
}

fn is_final(aggregate: &AggregateExec) -> bool {
    matches!(aggregate.mode(), AggregateMode::Final | AggregateMode::FinalPartitioned)
}

impl Recipe {
    /// For a query over `source`, whatever name it has there.
    ///
    /// # Errors
    /// ClickHouse's code for what is wrong with the query, `NotImplemented` for what a view cannot have.
    pub(crate) async fn new(
        sessions: &Sessions,
        query: Tokens,
        database: &str,
        source: &Arc<TableSchema>,
    ) -> Result<Self> {
        let state = sessions.view_state(database, Arc::new(OnlySource(source.clone())));
        let plan = planner::plan_query(&state, query).await?;
        check_functions(&plan)?;
        let plan = crate::constants::optimize(&state, &plan)?;
        check(&plan)?;
        let whole =
            state.query_planner().create_physical_plan(&plan, &state).await.map_err(from_datafusion)?;
        let partial = partial_of(&whole)?;
        let recipe = Self {
            schema: Arc::new(plan.schema().as_arrow().clone()),
            reads: reads(&plan, source),
            partial,
            whole,
            source: source.clone(),
        };
        states::check_types(&recipe.states())?;
        Ok(recipe)
    }

    /// The schema of the states as the plans have it.
    pub(super) fn states(&self) -> SchemaRef {
        self.partial.schema()
    }

    /// How states are stored.
    ///
    /// # Errors
    /// A type that cannot be.
    pub(crate) fn states_schema(&self, view: &ViewDefinition) -> Result<TableSchema> {
        let groups = self.aggregation().map_or(usize::MAX, |aggregate| aggregate.group_expr().expr().len());
        states::table_of(view, &self.states(), &self.source, groups)
    }

    /// Whether stored states are in the form that this program computes.
    ///
    /// # Errors
    /// `IncompatibleColumns`, with what to do.
    pub(super) fn check_states(&self, view: &ViewDefinition) -> Result<()> {
        states::check_same(view, &self.states_schema(view)?)
    }

    fn aggregation(&self) -> Option<&AggregateExec> {
        self.partial.downcast_ref::<AggregateExec>()
    }

    /// Rows to states.
    ///
    /// # Errors
    /// DataFusion's.
    pub(super) fn fold_plan(&self, rows: Rows<'_>) -> DfResult<Arc<dyn ExecutionPlan>> {
        fill(&self.partial, rows)
    }

    /// States to fewer states; None where states are rows and cannot become fewer.
    ///
    /// # Errors
    /// DataFusion's.
    pub(super) fn merge_plan(
        &self,
        states: Arc<dyn ExecutionPlan>,
    ) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
        let Some(aggregate) = self.aggregation() else { return Ok(None) };
        let merge = AggregateExec::try_new(
            AggregateMode::PartialReduce,
            aggregate.group_expr().as_final(),
            aggregate.aggr_expr().to_vec(),
            aggregate.filter_expr().to_vec(),
            states,
            aggregate.input_schema(),
        )?;
        Ok(Some(Arc::new(merge)))
    }

    /// The view's rows: `combine` gets the states of the given rows and adds the stored ones.
    ///
    /// # Errors
    /// DataFusion's.
    pub(super) fn query_plan(
        &self,
        rows: Rows<'_>,
        combine: &dyn Fn(Arc<dyn ExecutionPlan>) -> DfResult<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let all = combine(fill(&self.partial, rows)?)?;
        if self.aggregation().is_none() {
            return Ok(all);
        }
        let finished = self.whole.clone().transform_down(|node| {
            if !node.downcast_ref::<AggregateExec>().is_some_and(is_final) {
                return Ok(Transformed::no(node));
            }
            let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            let finish = node.replace_children(vec![all.clone()], options)?;
            Ok(Transformed::new(finish, true, TreeNodeRecursion::Jump))
        })?;
        Ok(finished.data)
    }
}

/// The half below the final aggregation, or the whole plan when there is none.
fn partial_of(whole: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let (mut partial, mut aggregates) = (None, 0);
    let visited = whole.apply(|node| {
        if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
            aggregates += 1;
            let gives_states = aggregate.mode().output_mode() == AggregateOutputMode::Partial;
            if gives_states {
                partial = Some(node.clone());
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.map_err(from_datafusion)?;
    match (partial, aggregates) {
        (None, 0) => Ok(whole.clone()),
        (Some(partial), 2) => Ok(partial),
        _ => Err(Error::internal(format!("the plan of a view has {aggregates} aggregations"))),
    }
}

fn reads(plan: &LogicalPlan, source: &TableSchema) -> Vec<ColumnId> {
    let mut reads = Vec::new();
    // Nothing in the closure fails.
    let _ = plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let all = || (0..source.columns.len()).collect();
            let columns: Vec<usize> = scan.projection.clone().unwrap_or_else(all);
            reads.extend(columns.into_iter().map(|column| source.columns[column].id));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    reads
}
