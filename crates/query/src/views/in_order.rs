//! Several plans one after the other, in one partition. States are merged in the order in which they come, and of
//! equal times the row that arrived first or last is to win: so states of earlier rows must come first. What is
//! inside is no child: the optimizer would run its partitions side by side and give their rows in any order.

use std::fmt;
use std::sync::Arc;

use datafusion::common::{Result, Statistics};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    SendableRecordBatchStream, StatisticsArgs, displayable,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::plan_inputs::{without_children, without_expressions};
use crate::provider;

/// The plans' partitions, each read to its end before the next begins.
#[derive(Debug)]
pub(super) struct InOrder {
    plans: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl InOrder {
    /// Of `first`, then of `then`, which has the same schema.
    pub(super) fn new(first: Arc<dyn ExecutionPlan>, then: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(then.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { plans: vec![first, then], properties: Arc::new(properties) }
    }
}

impl DisplayAs for InOrder {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InOrder:")?;
        for (at, plan) in self.plans.iter().enumerate() {
            write!(f, "{} [{}]", if at == 0 { "" } else { " then" }, chain(plan).join(" <- "))?;
        }
        Ok(())
    }
}

/// Each operator on the way from the root to the leaf, since the inside is no child that would be displayed.
fn chain(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    let own = displayable(plan.as_ref()).one_line().to_string().trim_end().to_owned();
    let below = plan.children().into_iter().flat_map(chain);
    std::iter::once(own).chain(below).collect()
}

impl ExecutionPlan for InOrder {
    fn name(&self) -> &'static str {
        "InOrder"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    without_children!();
    without_expressions!();

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let places: Vec<(Arc<dyn ExecutionPlan>, usize)> = self
            .plans
            .iter()
            .flat_map(|plan| (0..plan.output_partitioning().partition_count()).map(|at| (plan.clone(), at)))
            .collect();
        let streams = stream::iter(places).map(move |(plan, at)| plan.execute(at, context.clone()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), streams.try_flatten())))
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(Arc::new(provider::unknown_statistics(&self.schema())))
    }
}
