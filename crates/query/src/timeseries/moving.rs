//! Window functions over the rows of a key in time order: `OVER (PARTITION BY key ORDER BY ts …)`. The rows lie in that
//! order already, so nothing is sorted: a key's rows are put together, and each function runs over them.
//!
//! Moving sums, means, counts and extremes of the last n rows have loops of their own; the other functions (lag, lead, ema,
//! ranks, frames of other kinds) are computed by DataFusion, key by key. Of rows with one time, the first to arrive comes
//! first.

mod exec;
mod window;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use self::exec::MovingExec;
use super::side::{Side, column_of};

/// The rule.
#[derive(Debug)]
pub(super) struct MoveInOrder;

impl PhysicalOptimizerRule for MoveInOrder {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let replace = |node: Arc<dyn ExecutionPlan>| match replaced(&node) {
            Some(new) => Ok(Transformed::yes(new)),
            None => Ok(Transformed::no(node)),
        };
        plan.transform_down(replace).map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "move_in_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The functions of a window node, and its input.
fn windows_of(node: &Arc<dyn ExecutionPlan>) -> Option<(&[Arc<dyn WindowExpr>], &Arc<dyn ExecutionPlan>)> {
    if let Some(node) = node.downcast_ref::<BoundedWindowAggExec>() {
        return Some((node.window_expr(), node.input()));
    }
    node.downcast_ref::<WindowAggExec>().map(|node| (node.window_expr(), node.input()))
}

/// What takes the place of window nodes that stand one above the other; None when they stay.
fn replaced(node: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let mut layers = Vec::new();
    let mut below = node;
    while let Some((functions, input)) = windows_of(below) {
        layers.push(functions);
        below = input;
    }
    if layers.is_empty() {
        return None;
    }
    let side = Side::of(below)?;
    let functions: Vec<Arc<dyn WindowExpr>> =
        layers.into_iter().rev().flat_map(|layer| layer.iter().cloned()).collect();
    functions.iter().all(|function| is_in_order(function, &side)).then_some(())?;
    Some(Arc::new(MovingExec::new(node.schema(), functions, &side)?))
}

/// Whether a function wants the rows of a key in time order.
fn is_in_order(function: &Arc<dyn WindowExpr>, side: &Side<'_>) -> bool {
    let (table, one_key) = (side.table(), side.scan.work().one_key);
    let (Some(time), Some(key)) = (table.time_index(), table.key_index()) else { return false };
    // Floats are equal in the index by other rules (NaN, -0) than in SQL.
    if table.columns[key].ty.storage_type().is_floating() {
        return false;
    }
    let by_key = match function.partition_by() {
        [] => one_key,
        [by] => column_of(by, side) == Some(key),
        _ => false,
    };
    let [order] = function.order_by() else { return false };
    by_key && column_of(&order.expr, side) == Some(time) && !order.options.descending
}
