//! `groupArray(x) FROM (SELECT x … ORDER BY ts)`: an aggregate or a window without an order of its own takes the rows in the
//! order of the subquery. Nothing in a plan asks for that order, so its sort would be left out: [`KeepOrder`] puts a node
//! above the sort that asks for it, and [`crate::arrival`] has the rows stay in one stream up to the aggregate. A sort
//! below an operator whose result has no order of its input goes: nobody would see what it did.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchemaRef, Result, internal_err, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr::{LexOrdering, OrderingRequirements};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, PhysicalExpr,
    PlanProperties, ReplaceChildrenOptions,
};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use crate::arrival;

/// Finds the sorts of subqueries that somebody above relies on.
#[derive(Debug)]
pub(crate) struct KeepOrder;

impl AnalyzerRule for KeepOrder {
    fn name(&self) -> &str {
        "keep_order"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = plan.transform_up_with_subqueries(|node| {
            let kept = match &node {
                LogicalPlan::Aggregate(aggregate) => aggregate.aggr_expr.iter().any(takes_order),
                LogicalPlan::Window(window) => window.window_expr.iter().any(takes_order),
                LogicalPlan::Sort(_) | LogicalPlan::Join(_) => false,
                _ => return Ok(Transformed::no(node)),
            };
            node.map_children(|child| {
                let changed = below(child, kept)?;
                Ok(Transformed::new(changed.data, changed.transformed, TreeNodeRecursion::Continue))
            })
        })?;
        Ok(changed.data)
    }
}

/// Whether the value depends on the order in which rows come, and says nothing about it.
fn takes_order(expr: &Expr) -> bool {
    let found = expr.exists(|expr| {
        Ok(match expr {
            Expr::AggregateFunction(call) => {
                let ordered = !call.params.distinct && arrival::is_ordered(call.func.name());
                call.params.order_by.is_empty() && (call.func.name() == "groupArray" || ordered)
            }
            Expr::WindowFunction(call) => call.params.order_by.is_empty(),
            _ => false,
        })
    });
    found.unwrap_or(false)
}

/// An input with the sort of its subquery kept, or taken out.
fn below(input: LogicalPlan, kept: bool) -> Result<Transformed<LogicalPlan>> {
    input.transform_down(|node| {
        let stop = |node, changed| Ok(Transformed::new(node, changed, TreeNodeRecursion::Stop));
        match node {
            LogicalPlan::Sort(sort) if kept => {
                let node = KeptOrder { input: Arc::new(LogicalPlan::Sort(sort)) };
                stop(LogicalPlan::Extension(Extension { node: Arc::new(node) }), true)
            }
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => stop(Arc::unwrap_or_clone(sort.input), true),
            LogicalPlan::Projection(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Unnest(_) => Ok(Transformed::no(node)),
            LogicalPlan::Limit(_) if kept => Ok(Transformed::no(node)),
            other => stop(other, false),
        }
    })
}

/// Its input's order is needed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeptOrder {
    input: Arc<LogicalPlan>,
}

impl PartialOrd for KeptOrder {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        // Only equal plans have an order; the planner needs no more.
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for KeptOrder {
    fn name(&self) -> &str {
        "KeptOrder"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptOrder")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Some(input) = inputs.pop() else { return plan_err!("a kept order has one input") };
        Ok(Self { input: Arc::new(input) })
    }

    fn necessary_children_exprs(&self, output: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output.to_vec()])
    }
}

/// Plans [`KeptOrder`].
#[derive(Debug)]
pub(crate) struct KeptOrderPlanner;

#[async_trait]
impl ExtensionPlanner for KeptOrderPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if !node.as_any().is::<KeptOrder>() {
            return Ok(None);
        }
        let [input] = physical_inputs else { return plan_err!("a kept order has one input") };
        Ok(Some(match input.output_ordering().cloned() {
            Some(order) => Arc::new(KeptOrderExec { input: Arc::clone(input), order }),
            None => Arc::clone(input),
        }))
    }
}

/// Asks for the order; the rows pass.
#[derive(Debug)]
struct KeptOrderExec {
    input: Arc<dyn ExecutionPlan>,
    order: LexOrdering,
}

impl DisplayAs for KeptOrderExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptOrderExec: [{}]", self.order)
    }
}

impl ExecutionPlan for KeptOrderExec {
    fn name(&self) -> &'static str {
        "KeptOrderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![Some(OrderingRequirements::from(self.order.clone()))]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for key in &self.order {
            if f(&key.expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(input) = children.pop() else { return internal_err!("a kept order has one input") };
        Ok(Arc::new(Self { input, order: self.order.clone() }))
    }

    crate::plan_inputs::renewed_with_children!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}
