//! Keys of joins that have no common type: DataFusion would read the texts of one side as the numbers of the other.

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Operator};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::operators::type_of;
use crate::functions::fault;

/// The plan as it is.
///
/// # Errors
/// `NoCommonType` for a key that is a text on one side alone.
pub(crate) fn check_join_keys(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Join(join) = node {
            check(join)?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(plan)
}

fn check(join: &Join) -> Result<()> {
    let keys = join.on.iter().map(|(left, right)| (left, right));
    let conditions = join.filter.iter().flat_map(split_conjunction).filter_map(|condition| match condition {
        Expr::BinaryExpr(binary) if binary.op == Operator::Eq => Some((&*binary.left, &*binary.right)),
        _ => None,
    });
    let is_text = |ty: &ColumnType| matches!(ty.inner(), ColumnType::String | ColumnType::Symbol);
    let is_other = |ty: &ColumnType| {
        ty.is_number() || ty.inner().is_time() || matches!(ty.inner(), ColumnType::Bool | ColumnType::Date)
    };
    for (left, right) in keys.chain(conditions) {
        // A constant beside a column is no key, and is read as the column's type.
        if left.column_refs().is_empty() || right.column_refs().is_empty() {
            continue;
        }
        let known = |side| type_of(side, join.left.schema()).or_else(|| type_of(side, join.right.schema()));
        let (Some(left), Some(right)) = (known(left), known(right)) else { continue };
        if is_text(&left) && is_other(&right) || is_other(&left) && is_text(&right) {
            let message = format!("There is no supertype for the keys of a join, {left} and {right}");
            return Err(fault(ErrorCode::NoCommonType, message));
        }
    }
    Ok(())
}
