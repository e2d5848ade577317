//! Comparisons with NaN. In ClickHouse, as in IEEE 754, nothing but `!=` holds of a NaN; Arrow orders it behind all numbers,
//! or before them when its sign is set. So each comparison of floats says too that its sides lie between the infinities: in
//! comparisons again, which prune and are as quick.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator};
use zepto_common::types::ColumnType;

use super::numbers::is_float;
use super::operators::{as_arrow, binary};

/// `left operator right`, which no NaN fulfils.
pub(super) fn without_nan(
    operator: Operator,
    planned: Expr,
    (left, left_type): (&Expr, &ColumnType),
    (right, right_type): (&Expr, &ColumnType),
) -> Expr {
    let may_be = |side: &Expr, ty: &ColumnType| is_float(ty) && !is_number(side);
    let (left_may, right_may) = (may_be(left, left_type), may_be(right, right_type));
    let below = |side: &Expr, ty: &ColumnType| binary(side.clone(), Operator::LtEq, infinity(ty, false));
    let above = |side: &Expr, ty: &ColumnType| binary(side.clone(), Operator::GtEq, infinity(ty, true));
    let mut bounds = Vec::new();
    match operator {
        Operator::Gt | Operator::GtEq => {
            bounds.extend(left_may.then(|| below(left, left_type)));
            bounds.extend(right_may.then(|| above(right, right_type)));
        }
        Operator::Lt | Operator::LtEq => {
            bounds.extend(left_may.then(|| above(left, left_type)));
            bounds.extend(right_may.then(|| below(right, right_type)));
        }
        // A join finds NaN beside NaN in ClickHouse too.
        Operator::Eq | Operator::NotEq if left_may && right_may && !joins(left, right) => {
            bounds.extend([below(left, left_type), above(left, left_type)]);
        }
        _ => {}
    }
    let all = |all: Expr, bound: Expr| binary(all, Operator::And, bound);
    if operator == Operator::NotEq {
        return match bounds.into_iter().reduce(all) {
            Some(bounds) => binary(planned, Operator::Or, Expr::Not(Box::new(bounds))),
            None => planned,
        };
    }
    bounds.into_iter().fold(planned, all)
}

/// A constant that is a number and not NaN.
fn is_number(side: &Expr) -> bool {
    match side {
        Expr::Literal(value, _) => match value {
            ScalarValue::Float64(value) => value.is_some_and(|value| !value.is_nan()),
            ScalarValue::Float32(value) => value.is_some_and(|value| !value.is_nan()),
            _ => true,
        },
        Expr::Cast(cast) => is_number(&cast.expr),
        _ => false,
    }
}

/// Whether the sides are of two tables.
fn joins(left: &Expr, right: &Expr) -> bool {
    let tables = |side: &Expr| {
        side.column_refs().into_iter().map(|column| column.relation.clone()).collect::<Vec<_>>()
    };
    let (left, right) = (tables(left), tables(right));
    !left.is_empty() && !right.is_empty() && !left.iter().any(|table| right.contains(table))
}

fn infinity(ty: &ColumnType, negative: bool) -> Expr {
    let value = if negative { f64::NEG_INFINITY } else { f64::INFINITY };
    let literal = Expr::Literal(ScalarValue::Float64(Some(value)), None);
    if *ty.inner() == ColumnType::Float32 { as_arrow(literal, &DataType::Float32) } else { literal }
}
