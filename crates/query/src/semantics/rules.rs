//! Rules on the plan; the one here sorts NaN after all numbers in both directions.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::config::{ConfigExtension, ConfigOptions};
use datafusion::logical_expr::expr::{ScalarFunction, Sort as SortExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Sort};
use datafusion::optimizer::AnalyzerRule;

use super::frames::EmptyFrames;
use super::orders::{SelfEqualities, VolatileKeys};
use super::outer_joins::OuterJoins;
use crate::functions::scalar_function;
use crate::subquery_order::KeepOrder;

datafusion::common::extensions_options! {
    /// Settings of a statement that change what it means.
    pub struct SemanticOptions {
        /// Whether cells of outer joins without a match are NULL rather than zero values.
        pub join_use_nulls: bool, default = false
        /// The zone of times that name none; empty for UTC.
        pub session_timezone: String, default = String::new()
        /// Who sent it.
        pub user: String, default = String::new()
    }
}

impl ConfigExtension for SemanticOptions {
    const PREFIX: &'static str = "zepto";
}

pub(super) fn all() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    vec![
        Arc::new(OuterJoins),
        Arc::new(NanLast),
        Arc::new(EmptyFrames),
        Arc::new(VolatileKeys),
        Arc::new(SelfEqualities),
        Arc::new(KeepOrder),
    ]
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
        super::frames::nan_last_in_windows(changed.data)
    }
}

/// Arrow orders NaN by its sign bit, which an operation's result may have or not: so both directions need the key.
fn nan_last(sort: Sort) -> Result<Sort> {
    let schema = Arc::clone(sort.input.schema());
    Ok(Sort { expr: keys_with_nan_last(sort.expr, &schema)?, ..sort })
}

/// Keys of an order with one more before each float.
pub(super) fn keys_with_nan_last(keys: Vec<SortExpr>, schema: &DFSchema) -> Result<Vec<SortExpr>> {
    let mut exprs = Vec::with_capacity(keys.len());
    for by in keys {
        if is_float(&by.expr, schema) {
            let test = ScalarFunction::new_udf(scalar_function("isNaN")?, vec![by.expr.clone()]);
            exprs.push(SortExpr::new(Expr::ScalarFunction(test), true, by.nulls_first));
        }
        exprs.push(by);
    }
    Ok(exprs)
}

pub(super) fn is_float(expr: &Expr, schema: &DFSchema) -> bool {
    expr.get_type(schema).is_ok_and(|ty| ty.is_floating())
}
