//! What DataFusion's reasoning about the order of rows cannot take is put into forms that it does not reason about.
//!
//! - A key of a window whose value differs from call to call is computed once per row, below the window: the order by a
//!   key that is computed again is no order.
//! - A condition that equates a column with a function of itself, as `toStartOfMinute(ts) = ts`, is no equality of two
//!   columns: as one it makes the order by either of them look like the order by the other and back.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, LogicalPlan, Operator, Projection, Window};
use datafusion::optimizer::AnalyzerRule;

use crate::functions::scalar_function;

/// Keys of windows that differ from call to call.
#[derive(Debug)]
pub(super) struct VolatileKeys;

impl AnalyzerRule for VolatileKeys {
    fn name(&self) -> &str {
        "volatile_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Window(window) if window.window_expr.iter().any(Expr::is_volatile) => {
                computed_below(window)
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(changed.data)
    }
}

fn computed_below(window: Window) -> Result<Transformed<LogicalPlan>> {
    let mut columns: Vec<Expr> =
        window.input.schema().iter().map(|(qualifier, field)| Expr::from((qualifier, field))).collect();
    let mut computed: Vec<(Expr, Column)> = Vec::new();
    let mut below = |expr: Expr| -> Expr {
        if !expr.is_volatile() {
            return expr;
        }
        if let Some((_, column)) = computed.iter().find(|(known, _)| *known == expr) {
            return Expr::Column(column.clone());
        }
        let name = format!("__window_key_{}", computed.len());
        let column = Column::new_unqualified(name.clone());
        columns.push(expr.clone().alias(name));
        computed.push((expr, column.clone()));
        Expr::Column(column)
    };
    let names = NamePreserver::new_for_projection();
    let exprs: Result<Vec<Expr>> = window
        .window_expr
        .into_iter()
        .map(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| match expr {
                Expr::WindowFunction(mut function) => {
                    let params = &mut function.params;
                    for by in &mut params.order_by {
                        by.expr = below(std::mem::take(&mut by.expr));
                    }
                    for by in params.partition_by.iter_mut().chain(&mut params.args) {
                        *by = below(std::mem::take(by));
                    }
                    Ok(Transformed::yes(Expr::WindowFunction(function)))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(name.restore(changed.data))
        })
        .collect();
    let exprs = exprs?;
    let input = Projection::try_new(columns, window.input)?;
    let window = Window::try_new(exprs, Arc::new(LogicalPlan::Projection(input)))?;
    Ok(Transformed::yes(LogicalPlan::Window(window)))
}

/// Conditions on a column and a function of it.
#[derive(Debug)]
pub(super) struct SelfEqualities;

impl AnalyzerRule for SelfEqualities {
    fn name(&self) -> &str {
        "self_equalities"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Filter(filter) => {
                let predicate = filter.predicate.transform_up(|expr| match expr {
                    Expr::BinaryExpr(test) if is_of_itself(&test) => {
                        let call = ScalarFunction::new_udf(
                            scalar_function("__truth")?,
                            vec![Expr::BinaryExpr(test)],
                        );
                        Ok(Transformed::yes(Expr::ScalarFunction(call)))
                    }
                    other => Ok(Transformed::no(other)),
                })?;
                let changed = predicate.transformed;
                let filter = Filter::try_new(predicate.data, filter.input)?;
                Ok(Transformed::new_transformed(LogicalPlan::Filter(filter), changed))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(changed.data)
    }
}

fn is_of_itself(test: &BinaryExpr) -> bool {
    if test.op != Operator::Eq {
        return false;
    }
    let (left, right) = (test.left.column_refs(), test.right.column_refs());
    left.iter().any(|column| right.contains(column))
}
