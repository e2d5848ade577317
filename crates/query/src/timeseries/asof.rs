//! As-of joins of two tables by their keys and times: both sides lie sorted, so each key's rows are passed once, side by
//! side, in place of a search per row. Rows of a key lie in one partition of either table: partitions are joined alone.

mod exec;
mod join;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, ReplaceChildrenOptions};
use zepto_common::schema::TableSchema;
use zepto_engine::series::Nearest;

use self::exec::AsOfMergeExec;
use self::join::Join;
use super::side::{Side, column_of};
use crate::asof::{AsOfJoinExec, Match};

/// The operator has other properties than the join.
const OTHER_CHILDREN: ReplaceChildrenOptions = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);

/// The rule.
#[derive(Debug)]
pub(super) struct MergeAsOf;

impl PhysicalOptimizerRule for MergeAsOf {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let replace = |node: Arc<dyn ExecutionPlan>| match replaced(&node)? {
            Some(new) => Ok(Transformed::yes(new)),
            None => Ok(Transformed::no(node)),
        };
        plan.transform_down(replace).map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "merge_asof"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// What takes the place of a join, or of a projection with the join below it; None when it stays.
fn replaced(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(join) = node.downcast_ref::<AsOfJoinExec>() {
        let all: Vec<usize> = (0..join.schema().fields().len()).collect();
        return Ok(merge_of(join, &all).map(|merge| Arc::new(merge) as Arc<dyn ExecutionPlan>));
    }
    let Some(projection) = node.downcast_ref::<ProjectionExec>() else { return Ok(None) };
    let Some(join) = projection.input().downcast_ref::<AsOfJoinExec>() else { return Ok(None) };
    // Keys and times are made only where somebody asks for them.
    let used = projection.expr().iter().flat_map(|of| collect_columns(&of.expr));
    let used: Vec<usize> = used.map(|column| column.index()).collect();
    let Some(merge) = merge_of(join, &used) else { return Ok(None) };
    Arc::clone(node).replace_children(vec![Arc::new(merge)], OTHER_CHILDREN).map(Some)
}

/// The operator in place of a join of which these columns are used.
fn merge_of(join: &AsOfJoinExec, used: &[usize]) -> Option<AsOfMergeExec> {
    let (left, right) = (Side::of(join.left())?, Side::of(join.right())?);
    let [(left_key, right_key)] = join.keys().as_slice() else { return None };
    let (left_table, right_table) = (left.table(), right.table());
    let keys = (column_of(left_key, &left)?, column_of(right_key, &right)?);
    let (left_time, right_time) = join.time();
    let times = (column_of(left_time, &left)?, column_of(right_time, &right)?);
    let sorted = Some(keys.0) == left_table.key_index()
        && Some(keys.1) == right_table.key_index()
        && Some(times.0) == left_table.time_index()
        && Some(times.1) == right_table.time_index();
    // Equal keys of one type lie in the same partition of both tables; floats are equal by other rules.
    let types = (key_type(left_table, keys.0), key_type(right_table, keys.1));
    let units = (time_type(left_table, times.0), time_type(right_table, times.1));
    if !sorted || types.0 != types.1 || types.0.is_floating() || units.0 != units.1 {
        return None;
    }
    let which = match join.how().kind {
        Match::AtOrBefore => Nearest::AtOrBefore,
        Match::Before => Nearest::Before,
        Match::AtOrAfter => Nearest::AtOrAfter,
        Match::After => Nearest::After,
    };
    let made = Join::new(&left, &right, used, (which, join.how()), join.schema())?;
    AsOfMergeExec::new(made, left.scan, right.scan)
}

fn key_type(table: &TableSchema, key: usize) -> arrow::datatypes::DataType {
    match table.columns[key].ty.storage_type() {
        arrow::datatypes::DataType::Dictionary(_, value) => *value,
        other => other,
    }
}

fn time_type(table: &TableSchema, time: usize) -> Option<arrow::datatypes::TimeUnit> {
    match table.columns[time].ty.storage_type() {
        arrow::datatypes::DataType::Timestamp(unit, _) => Some(unit),
        _ => None,
    }
}
