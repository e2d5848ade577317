//! Filters go below an as-of join where they are about left columns alone: they drop left rows whole. A filter on
//! right columns stays above: below, it would change which row is the nearest.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Extension, Filter, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::node::AsOfJoin;

/// The rule.
#[derive(Debug)]
pub(crate) struct PushBelowAsOf;

impl OptimizerRule for PushBelowAsOf {
    fn name(&self) -> &str {
        "push_below_asof"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(Filter { predicate, input, .. }) = &plan else {
            return Ok(Transformed::no(plan));
        };
        let LogicalPlan::Extension(Extension { node }) = &**input else { return Ok(Transformed::no(plan)) };
        let Some(join) = node.as_any().downcast_ref::<AsOfJoin>() else { return Ok(Transformed::no(plan)) };
        let (below, above): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(predicate.clone())
            .into_iter()
            .partition(|condition| is_about_left(condition, join));
        let Some(below) = conjunction(below) else { return Ok(Transformed::no(plan)) };
        let left = LogicalPlan::Filter(Filter::try_new(below, join.left.clone())?);
        let join = AsOfJoin { left: Arc::new(left), ..join.clone() };
        let joined = LogicalPlan::Extension(Extension { node: Arc::new(join) });
        Ok(Transformed::yes(match conjunction(above) {
            Some(above) => LogicalPlan::Filter(Filter::try_new(above, Arc::new(joined))?),
            None => joined,
        }))
    }
}

fn is_about_left(condition: &Expr, join: &AsOfJoin) -> bool {
    let columns = condition.column_refs();
    !columns.is_empty()
        && !condition.is_volatile()
        && columns.iter().all(|column| join.left.schema().has_column(column))
}
