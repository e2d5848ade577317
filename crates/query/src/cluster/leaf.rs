//! The place of a cut subtree in the plan of the node that was asked, and the rules that make it executable.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use super::cut::{self, Local};
use super::{Attempt, RemoteExec, Want};
use crate::provider::EngineTable;

/// The leaf of the logical plan.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    /// The subtree's number in the optimized plan.
    number: u32,
    print: u64,
    want: Want,
    /// Rows with other keys are not in it.
    keys: Option<ArrayRef>,
    schema: DFSchemaRef,
    /// The root of the subtree, for people.
    label: String,
}

impl Remote {
    /// For `subtree`; what it gives has this schema in the plan.
    pub(super) fn plan(
        subtree: &LogicalPlan,
        number: u32,
        schema: &DFSchemaRef,
        want: Want,
        local: &Local,
    ) -> LogicalPlan {
        let keys = local.scan.as_ref().and_then(|scan| {
            let provider = source_as_provider(&scan.source).ok()?;
            provider.downcast_ref::<EngineTable>()?.wanted_keys(&scan.filters)
        });
        let print = cut::print(subtree);
        let label = subtree.display().to_string();
        let node = Self { number, print, want, keys, schema: schema.clone(), label };
        LogicalPlan::Extension(Extension { node: Arc::new(node) })
    }
}

/// Within one plan the number says it all.
impl PartialEq for Remote {
    fn eq(&self, other: &Self) -> bool {
        (self.number, self.print, self.want) == (other.number, other.print, other.want)
    }
}

impl Eq for Remote {}

impl Hash for Remote {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.number, self.print).hash(state);
    }
}

impl PartialOrd for Remote {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for Remote {
    fn name(&self) -> &str {
        "Remote"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote: {:?} of {} ({})", self.want, self.number, self.label)?;
        match &self.keys {
            Some(keys) => write!(f, ", keys={}", keys.len()),
            None => Ok(()),
        }
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, _: Vec<LogicalPlan>) -> Result<Self> {
        Ok(self.clone())
    }
}

/// Plans [`Remote`].
#[derive(Debug)]
pub(crate) struct RemotePlanner;

#[async_trait]
impl ExtensionPlanner for RemotePlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        _: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<Remote>() else { return Ok(None) };
        let Some(attempt) = session.config().get_extension::<Attempt>() else {
            return internal_err!("a part of a plan for owners is planned outside of a statement");
        };
        let schema = node.schema.inner().clone();
        let fragment = attempt.fragment(node.number, node.print, node.want)?;
        let label = format!("{:?} of {} ({})", node.want, node.number, node.label);
        RemoteExec::of_fragment(attempt, fragment, node.keys.as_ref(), schema, label).map(Some)
    }
}

/// Puts the owners' states in the place of the half of an aggregation that would make them here. Must be the first
/// rule: later ones move what stands between an aggregation and its input.
#[derive(Debug)]
pub(crate) struct TakeStates;

impl PhysicalOptimizerRule for TakeStates {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let take = |node: Arc<dyn ExecutionPlan>| {
            let Some(aggregate) = node.downcast_ref::<AggregateExec>() else {
                return Ok(Transformed::no(node));
            };
            let states = (*aggregate.mode() == AggregateMode::Partial)
                .then(|| aggregate.input().downcast_ref::<RemoteExec>())
                .flatten()
                .and_then(|leaf| leaf.giving_states(aggregate.schema()));
            Ok(match states {
                Some(states) => Transformed::yes(states),
                None => Transformed::no(node),
            })
        };
        plan.transform_up(take).map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "take_states"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
