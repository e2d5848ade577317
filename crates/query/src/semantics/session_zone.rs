//! `session_timezone`: texts and dates beside a time that names no zone are told in the session's zone. Functions find the
//! zone in the session's options when they are computed.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, lit};
use zepto_common::types::ColumnType;

use super::SemanticOptions;
use crate::functions::scalar_function;

/// The zone that the session has set; empty for none.
pub(crate) fn session_zone(options: &ConfigOptions) -> &str {
    options.extensions.get::<SemanticOptions>().map_or("", |options| options.session_timezone.as_str())
}

/// Converts what stands beside times in a fresh plan, if the session has a zone.
pub(crate) fn in_session_zone(plan: LogicalPlan, options: &ConfigOptions) -> Result<LogicalPlan> {
    if session_zone(options).is_empty() {
        return Ok(plan);
    }
    let changed = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        let schemas: Vec<_> = node.inputs().into_iter().map(|input| Arc::clone(input.schema())).collect();
        let type_of = |expr: &Expr| {
            let mut fields = schemas.iter().filter_map(|schema| expr.to_field(schema.as_ref()).ok());
            fields.next().map(|(_, field)| ColumnType::of_field(&field))
        };
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| compared(expr, &type_of))?;
            Ok(if changed.transformed { changed.update_data(|expr| name.restore(expr)) } else { changed })
        })
    })?;
    Ok(changed.data)
}

fn compared(expr: Expr, type_of: &dyn Fn(&Expr) -> Option<ColumnType>) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
            let (l, r) = (time_without_zone(&left, type_of), time_without_zone(&right, type_of));
            let left = if let Some(ty) = &r { told(*left, ty, type_of)? } else { *left };
            let right = if let Some(ty) = &l { told(*right, ty, type_of)? } else { *right };
            Transformed::yes(Expr::BinaryExpr(BinaryExpr {
                left: Box::new(left),
                op,
                right: Box::new(right),
            }))
        }
        Expr::Between(between) => match time_without_zone(&between.expr, type_of) {
            Some(ty) => {
                let Between { expr, negated, low, high } = between;
                let (low, high) = (told(*low, &ty, type_of)?, told(*high, &ty, type_of)?);
                Transformed::yes(Expr::Between(Between::new(expr, negated, Box::new(low), Box::new(high))))
            }
            None => Transformed::no(Expr::Between(between)),
        },
        Expr::InList(InList { expr, list, negated }) => match time_without_zone(&expr, type_of) {
            Some(ty) => {
                let list: Result<Vec<Expr>> = list.into_iter().map(|item| told(item, &ty, type_of)).collect();
                Transformed::yes(Expr::InList(InList { expr, list: list?, negated }))
            }
            None => Transformed::no(Expr::InList(InList { expr, list, negated })),
        },
        other => Transformed::no(other),
    })
}

fn compares(op: Operator) -> bool {
    use Operator as O;
    matches!(op, O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq)
}

fn time_without_zone(expr: &Expr, type_of: &dyn Fn(&Expr) -> Option<ColumnType>) -> Option<ColumnType> {
    let ty = type_of(expr)?;
    matches!(ty.inner(), ColumnType::DateTime(None) | ColumnType::DateTime64(_, None))
        .then(|| ty.inner().clone())
}

/// A text constant or a date as the time that it tells in the session.
fn told(expr: Expr, like: &ColumnType, type_of: &dyn Fn(&Expr) -> Option<ColumnType>) -> Result<Expr> {
    let is_text =
        matches!(&expr, Expr::Literal(value, _) if value.data_type().is_string() && !value.is_null());
    let is_date = || type_of(&expr).is_some_and(|ty| *ty.inner() == ColumnType::Date);
    if !is_text && !is_date() {
        return Ok(expr);
    }
    // More digits than the column has must not be lost: no value equals such a text.
    let digits = match like {
        ColumnType::DateTime64(digits, _) => i64::from(*digits),
        _ => 0,
    };
    let fine = matches!(&expr, Expr::Literal(value, _) if value.try_as_str().flatten().is_some_and(|text| text.contains('.')));
    if digits == 0 && !fine {
        return call("toDateTime", vec![expr]);
    }
    call("toDateTime64", vec![expr, lit(ScalarValue::Int64(Some(if fine { 9 } else { digits })))])
}

fn call(name: &str, args: Vec<Expr>) -> Result<Expr> {
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(scalar_function(name)?, args)))
}
