//! Of rows with the same time, `first`, `last` and LATEST ON take the first and the last to arrive. A table's scan knows that order
//! for the rows of one key; a plan with such a function keeps it: a key's rows stay in one stream from the scan to the
//! aggregate. Between rows of different keys no order is promised.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::SessionConfig;

use crate::latest::Latest;
use crate::subquery_order::KeptOrder;

/// Aggregates whose result depends on the order of the rows.
const ORDERED: [&str; 7] = ["any", "anyLast", "argMax", "argMin", "first", "last", "ohlc"];

/// Whether an aggregate of this name gives another result when the rows come in another order.
pub(crate) fn is_ordered(name: &str) -> bool {
    ORDERED.contains(&name)
}

/// Tells scans, as an extension of a session, that a key's rows must come as they arrived.
#[derive(Debug)]
pub(crate) struct AsArrived;

/// The configuration to plan with when the order of rows matters; None when it does not.
///
/// # Errors
/// None of its own.
pub(crate) fn ordered(plan: &LogicalPlan, config: &SessionConfig) -> Result<Option<SessionConfig>> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Extension(extension) = node {
            let node = extension.node.as_any();
            found |= node.is::<Latest>() || node.is::<KeptOrder>();
        }
        node.apply_expressions(|expr| expr.apply(|expr| Ok(visit(expr, &mut found))))?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if !found {
        return Ok(None);
    }
    let mut config = config.clone().with_extension(Arc::new(AsArrived));
    // It deals batches of one stream out to several.
    config.options_mut().optimizer.enable_round_robin_repartition = false;
    Ok(Some(config))
}

fn visit(expr: &Expr, found: &mut bool) -> TreeNodeRecursion {
    let name = match expr {
        Expr::AggregateFunction(call) => call.func.name(),
        Expr::WindowFunction(call) => call.fun.name(),
        _ => return TreeNodeRecursion::Continue,
    };
    *found |= is_ordered(name);
    if *found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue }
}
