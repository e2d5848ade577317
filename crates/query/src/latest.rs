//! `LATEST ON ts PARTITION BY k`: the row of each key with the latest time; of rows with the same time the last to arrive.
//!
//! The clause becomes `row_number() OVER (PARTITION BY k ORDER BY ts DESC) = 1` on its way through DataFusion's planner.
//! [`TakeLatest`] makes a [`node::Latest`] of that shape, whoever wrote it: a window would sort all rows, and of equal times
//! give any. [`exec::LatestExec`] passes over the rows once and keeps one per key.

mod exec;
mod node;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::WindowFunctionDefinition;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    BinaryExpr, Expr, Extension, LogicalPlan, LogicalPlanBuilder, Operator, SortExpr, UserDefinedLogicalNode,
    Window, lit,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

pub(crate) use self::exec::LatestExec;
use self::exec::{Layer, Order};
pub(crate) use self::node::Latest;

/// Puts [`Latest`] in the place of a row number that must be one, once the filter is next to the window.
#[derive(Debug)]
pub(crate) struct TakeLatest;

impl OptimizerRule for TakeLatest {
    fn name(&self) -> &str {
        "take_latest"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, node: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = &node else { return Ok(Transformed::no(node)) };
        // Columns that nobody needs may have been left out in between.
        let (input, kept) = match filter.input.as_ref() {
            LogicalPlan::Projection(pick) if pick.expr.iter().all(|expr| matches!(expr, Expr::Column(_))) => {
                (pick.input.as_ref(), Some(pick.expr.clone()))
            }
            input => (input, None),
        };
        let Some((window, column, keys, time)) = latest_of(&filter.predicate, input) else {
            return Ok(Transformed::no(node));
        };
        let rows = latest(window, &column, keys, time)?;
        Ok(Transformed::yes(match kept {
            Some(kept) => LogicalPlanBuilder::from(rows).project(kept)?.build()?,
            None => rows,
        }))
    }
}

/// The window, the row number's column, the keys and the time, if a filter over it has that shape.
fn latest_of<'a>(
    predicate: &Expr,
    input: &'a LogicalPlan,
) -> Option<(&'a Window, Column, Vec<Expr>, SortExpr)> {
    let LogicalPlan::Window(window) = input else { return None };
    let [number] = window.window_expr.as_slice() else { return None };
    let (at, _) = window.schema.iter().enumerate().last()?;
    let (qualifier, field) = window.schema.qualified_field(at);
    let column = Column::new(qualifier.cloned(), field.name().clone());
    if !is_one(predicate, &column) {
        return None;
    }
    let Expr::WindowFunction(call) = number.clone().unalias() else { return None };
    let WindowFunctionDefinition::WindowUDF(function) = &call.fun else { return None };
    let parameters = call.params;
    let [time] = parameters.order_by.as_slice() else { return None };
    let plain = function.name() == "row_number" && parameters.filter.is_none() && !parameters.distinct;
    (plain && !parameters.partition_by.is_empty() && !time.asc).then(|| {
        let time = time.clone();
        (window, column, parameters.partition_by, time)
    })
}

fn is_one(predicate: &Expr, column: &Column) -> bool {
    match predicate {
        Expr::ScalarFunction(call) if call.func.name() == "__truth" => {
            call.args.first().is_some_and(|inner| is_one(inner, column))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let one = match right.as_ref() {
                Expr::Literal(value, _) => value.cast_to(&arrow::datatypes::DataType::Int64).ok(),
                _ => None,
            };
            matches!(left.as_ref(), Expr::Column(found) if found == column)
                && one == Some(ScalarValue::Int64(Some(1)))
        }
        _ => false,
    }
}

/// The latest rows, with the row number that they have.
fn latest(window: &Window, number: &Column, keys: Vec<Expr>, time: SortExpr) -> Result<LogicalPlan> {
    let node = Latest { input: Arc::clone(&window.input), keys, time };
    let rows = LogicalPlan::Extension(Extension { node: Arc::new(node) });
    let columns = rows.schema().columns().into_iter().map(Expr::Column);
    let number = lit(1_u64).alias_qualified(number.relation.clone(), number.name.clone());
    let columns: Vec<Expr> = columns.chain([number]).collect();
    LogicalPlanBuilder::from(rows).project(columns)?.build()
}

/// Plans [`Latest`].
#[derive(Debug)]
pub(crate) struct LatestPlanner;

#[async_trait]
impl ExtensionPlanner for LatestPlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<Latest>() else { return Ok(None) };
        let (&[logical], [input]) = (logical_inputs, physical_inputs) else {
            return plan_err!("LATEST ON has one input");
        };
        let made = |expr: &Expr| planner.create_physical_expr(expr, logical.schema(), session, context);
        let keys: Result<Vec<_>> = node.keys.iter().map(made).collect();
        let order =
            Order { keys: keys?, time: made(&node.time.expr)?, null_is_latest: node.time.nulls_first };
        let each = LatestExec::new(Arc::clone(input), order.clone(), Layer::Each);
        Ok(Some(Arc::new(LatestExec::new(Arc::new(each), order, Layer::All))))
    }
}
