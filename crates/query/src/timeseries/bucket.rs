//! `GROUP BY key, bucket(ts)`: the rows of a key lie sorted by time, so a bucket is a stretch of them.
//!
//! With the key among the groups (or only one key wanted), a group lies in one partition: the operator gives the results,
//! in place of both halves of the aggregation. Without it, or where only the first half is planned, the operator gives partial states,
//! one per partition and group, and the second half merges them.

mod exec;
mod finish;
mod group;
mod measure;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use zepto_engine::Part;

use self::exec::{BucketAggregateExec, Shape};
use self::group::Grouping;
use crate::provider::PartScan;
use crate::semantics::session_zone;

/// Rows per slot below which cutting slots into buckets is no quicker than hashing rows.
const ROWS_PER_SLOT_MIN: usize = 8;

/// The rule.
#[derive(Debug)]
pub(super) struct AggregateBuckets;

impl PhysicalOptimizerRule for AggregateBuckets {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        options: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let zone = session_zone(options);
        let replace = |node: Arc<dyn ExecutionPlan>| match replaced(&node, zone) {
            Some(new) => Ok(Transformed::yes(new)),
            None => Ok(Transformed::no(node)),
        };
        plan.transform_down(replace).map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "aggregate_buckets"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The scan below an aggregation, and what is computed in between.
pub(super) struct Input<'a> {
    scan: &'a PartScan,
    projection: Option<&'a ProjectionExec>,
    /// The session's zone; empty for none.
    session_zone: &'a str,
}

impl<'a> Input<'a> {
    fn of(aggregate: &'a AggregateExec, session_zone: &'a str) -> Option<Self> {
        let mut input = aggregate.input();
        let projection = input.downcast_ref::<ProjectionExec>();
        if let Some(projection) = projection {
            input = projection.input();
        }
        let scan = input.downcast_ref::<PartScan>().filter(|scan| scan.source().limit.is_none())?;
        Some(Self { scan, projection, session_zone })
    }

    /// An expression over the aggregation's input as one over the scan.
    fn over_scan(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
        let Some(projection) = self.projection else { return Some(Arc::clone(expr)) };
        let below = |expr: Arc<dyn PhysicalExpr>| {
            let column =
                expr.downcast_ref::<Column>().and_then(|column| projection.expr().get(column.index()));
            Ok(match column {
                Some(of) => Transformed::yes(Arc::clone(&of.expr)),
                None => Transformed::no(expr),
            })
        };
        Arc::clone(expr).transform_up(below).ok().map(|transformed| transformed.data)
    }
}

/// What takes an aggregation's place; None when it stays.
fn replaced(node: &Arc<dyn ExecutionPlan>, zone: &str) -> Option<Arc<dyn ExecutionPlan>> {
    let aggregate = node.downcast_ref::<AggregateExec>()?;
    if aggregate.limit_options().is_some() {
        return None;
    }
    match aggregate.mode() {
        AggregateMode::Final | AggregateMode::FinalPartitioned => {
            let half = aggregate.input().downcast_ref::<AggregateExec>()?;
            (*half.mode() == AggregateMode::Partial).then_some(())?;
            made(half, aggregate, true, zone)
        }
        AggregateMode::Single | AggregateMode::SinglePartitioned => made(aggregate, aggregate, true, zone),
        AggregateMode::Partial => made(aggregate, aggregate, false, zone),
        AggregateMode::PartialReduce => None,
    }
}

/// The operator for the aggregation that begins with `half` and gives what `whole` does.
fn made(
    half: &AggregateExec,
    whole: &AggregateExec,
    complete: bool,
    zone: &str,
) -> Option<Arc<dyn ExecutionPlan>> {
    let input = Input::of(half, zone)?;
    let grouping = Grouping::of(half, &input)?;
    let alone = grouping.by_key || input.scan.work().one_key;
    // Without groups, the second half gives a row even of no rows.
    if complete && (!alone || grouping.groups.is_empty()) {
        return None;
    }
    let measures = measure::all(half, &input)?;
    // Of rows of several keys nobody knows which came first.
    if !alone && measures.iter().any(measure::Measure::is_by_arrival) {
        return None;
    }
    pays(input.scan, &grouping).then_some(())?;
    let shape = Shape { schema: whole.schema(), grouping, complete };
    Some(Arc::new(BucketAggregateExec::new(shape, measures, input.scan)?))
}

/// Whether there are enough rows in order for it to be worth while.
fn pays(scan: &PartScan, grouping: &Grouping) -> bool {
    let (mut rows, mut loose, mut slots) = (0, 0, 0);
    for piece in &scan.work().pieces {
        rows += piece.rows();
        match &piece.part {
            Part::Chunk(_) => loose += piece.rows(),
            part => {
                let Some(index) = part.index() else { return false };
                slots += match piece.ranges.as_slice() {
                    [range] if range.len() == part.rows() => index.slots(),
                    ranges => ranges.len(),
                };
            }
        }
    }
    if grouping.width.is_none() && loose * 4 > rows {
        return false;
    }
    rows > 0 && (rows - loose) >= slots * ROWS_PER_SLOT_MIN
}
