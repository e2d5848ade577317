//! Rules on the plan: cells of outer joins without a match hold zero values (`join_use_nulls = 0`), and NaN sorts
//! after all numbers in both directions.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, DFSchemaRef, JoinType, Result};
use datafusion::config::{ConfigExtension, ConfigOptions};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::expr::{ScalarFunction, Sort as SortExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan, Projection, Sort};
use datafusion::optimizer::AnalyzerRule;

use super::numbers::zero_of;
use crate::asof;
use crate::functions::scalar_function;

datafusion::common::extensions_options! {
    /// Settings of a statement that change what it means.
    pub struct SemanticOptions {
        /// Whether cells of outer joins without a match are NULL rather than zero values.
        pub join_use_nulls: bool, default = false
        /// Who sent it.
        pub user: String, default = String::new()
    }
}

impl ConfigExtension for SemanticOptions {
    const PREFIX: &'static str = "zepto";
}

pub(super) fn all() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    vec![Arc::new(OuterJoinZeros), Arc::new(NanLast)]
}

#[derive(Debug)]
struct OuterJoinZeros;

impl AnalyzerRule for OuterJoinZeros {
    fn name(&self) -> &str {
        "outer_join_zeros"
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        if config.extensions.get::<SemanticOptions>().is_some_and(|options| options.join_use_nulls) {
            return Ok(plan);
        }
        let changed = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) if fills(&join) => {
                let sides = match join.join_type {
                    JoinType::Left => (false, true),
                    JoinType::Right => (true, false),
                    _ => (true, true),
                };
                let inputs = [Arc::clone(join.left.schema()), Arc::clone(join.right.schema())];
                Ok(Transformed::yes(filled(LogicalPlan::Join(join), &inputs, sides)?))
            }
            LogicalPlan::Extension(node) => match asof::outer_inputs(&node) {
                Some(inputs) => {
                    Ok(Transformed::yes(filled(LogicalPlan::Extension(node), &inputs, (false, true))?))
                }
                None => Ok(Transformed::no(LogicalPlan::Extension(node))),
            },
            // A node above a changed one has the narrower types.
            other => Ok(Transformed::no(other)),
        })?;
        if !changed.transformed {
            return Ok(changed.data);
        }
        Ok(changed
            .data
            .transform_up_with_subqueries(|node| Ok(Transformed::yes(node.recompute_schema()?)))?
            .data)
    }
}

fn fills(join: &Join) -> bool {
    matches!(join.join_type, JoinType::Left | JoinType::Right | JoinType::Full)
}

/// A join with zero values in the columns of the sides that can lack a match.
fn filled(
    join: LogicalPlan,
    [left, right]: &[DFSchemaRef; 2],
    (left_filled, right_filled): (bool, bool),
) -> Result<LogicalPlan> {
    let lefts = left.fields().len();
    let inputs: Vec<bool> =
        left.fields().iter().chain(right.fields().iter()).map(|field| field.is_nullable()).collect();
    let schema = Arc::clone(join.schema());
    let exprs: Result<Vec<Expr>> = schema
        .iter()
        .enumerate()
        .map(|(i, (qualifier, field))| {
            let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
            let fill = if i < lefts { left_filled } else { right_filled };
            let zero = zero_of(field.data_type())?;
            if !fill || inputs.get(i).copied().unwrap_or(true) || zero.is_null() {
                return Ok(column);
            }
            let value = coalesce(vec![column, Expr::Literal(zero, None)]);
            let metadata = (!field.metadata().is_empty()).then(|| field.metadata().clone().into());
            Ok(value.alias_qualified_with_metadata(qualifier.cloned(), field.name(), metadata))
        })
        .collect();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs?, Arc::new(join))?))
}

#[derive(Debug)]
struct NanLast;

impl AnalyzerRule for NanLast {
    fn name(&self) -> &str {
        "nan_last"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Sort(sort) => Ok(Transformed::yes(LogicalPlan::Sort(nan_last(sort)?))),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(changed.data)
    }
}

/// Arrow orders NaN by its sign bit, which an operation's result may have or not: so both directions need the key.
fn nan_last(sort: Sort) -> Result<Sort> {
    let schema = Arc::clone(sort.input.schema());
    let mut exprs = Vec::with_capacity(sort.expr.len());
    for by in sort.expr {
        if is_float(&by.expr, &schema) {
            let test = ScalarFunction::new_udf(scalar_function("isNaN")?, vec![by.expr.clone()]);
            exprs.push(SortExpr::new(Expr::ScalarFunction(test), true, by.nulls_first));
        }
        exprs.push(by);
    }
    Ok(Sort { expr: exprs, ..sort })
}

fn is_float(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|ty| ty.is_floating())
}
