//! Keys that a grouping set leaves out: ClickHouse gives the type's zero value, unless `group_by_use_nulls` is set or
//! the key is Nullable itself.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, Projection};

use crate::functions::scalar_function;

/// Puts ClickHouse's meaning into a fresh plan.
pub(crate) fn zeros_of_grouping_sets(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) if is_set(&aggregate) => Ok(Transformed::yes(filled(aggregate)?)),
        other => Ok(Transformed::no(other)),
    })?;
    match changed.transformed {
        true => changed
            .data
            .transform_up_with_subqueries(|node| Ok(Transformed::yes(node.recompute_schema()?)))
            .map(|changed| changed.data),
        false => Ok(changed.data),
    }
}

fn is_set(aggregate: &Aggregate) -> bool {
    matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)])
}

/// The aggregation under a projection of the same columns.
fn filled(aggregate: Aggregate) -> Result<LogicalPlan> {
    let input = Arc::clone(aggregate.input.schema());
    let keys: Result<Vec<bool>> = grouping_set_to_exprlist(&aggregate.group_expr)?
        .into_iter()
        .map(|key| key.nullable(input.as_ref()))
        .collect();
    let keys = keys?;
    // The number of the set is for the planner's own `grouping`, which goes away with it.
    let fields = aggregate.schema.iter().enumerate();
    let fields = fields.filter(|(_, (_, field))| field.name() != Aggregate::INTERNAL_GROUPING_ID);
    let columns = fields.map(|(at, (relation, field))| {
        let column = Expr::Column(Column::new(relation.cloned(), field.name()));
        match keys.get(at) {
            Some(false) => {
                let zero = ScalarFunction::new_udf(scalar_function("assumeNotNull")?, vec![column]);
                Ok(Expr::ScalarFunction(zero).alias_qualified(relation.cloned(), field.name()))
            }
            _ => Ok(column),
        }
    });
    let columns: Result<Vec<Expr>> = columns.collect();
    let columns = columns?;
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(LogicalPlan::Aggregate(aggregate)))?))
}
