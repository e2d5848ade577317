//! Comparisons that DataFusion would make of other values: decimals with floats, UUIDs with texts.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator};
use zepto_common::types::ColumnType;

use super::numbers::is_float;
use super::operators::{Sides, as_arrow, binary, function};

/// Decimals with floats, and UUIDs with texts.
pub(super) fn exact(
    operator: Operator,
    expr: &Sides<'_>,
    left: &ColumnType,
    right: &ColumnType,
) -> Option<Expr> {
    let (a, b) = match (left.inner(), right.inner()) {
        (ColumnType::Decimal(p, s), float) if is_float(float) => with_float(expr.left, (*p, *s), expr.right),
        (float, ColumnType::Decimal(p, s)) if is_float(float) => {
            let (b, a) = with_float(expr.right, (*p, *s), expr.left);
            (a, b)
        }
        (ColumnType::Uuid, ColumnType::String) => (expr.left.clone(), as_uuid(expr.right)?),
        (ColumnType::String, ColumnType::Uuid) => (as_uuid(expr.left)?, expr.right.clone()),
        _ => return None,
    };
    Some(binary(a, operator, b))
}

fn as_uuid(text: &Expr) -> Option<Expr> {
    function("toUUID", vec![text.clone()]).ok()
}

/// A decimal beside a float: a constant is the decimal that was written, anything else compares as float.
fn with_float(decimal: &Expr, (precision, scale): (u8, u8), float: &Expr) -> (Expr, Expr) {
    let constant = match float {
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => written(*value, precision, scale),
        _ => None,
    };
    match constant {
        Some(constant) => (decimal.clone(), Expr::Literal(constant, None)),
        None => {
            let as_float = |side: &Expr| as_arrow(side.clone(), &DataType::Float64);
            (as_float(decimal), as_float(float))
        }
    }
}

/// The shortest decimal that reads as this float, of the other side's type if it fits there; None when no decimal
/// holds both.
fn written(value: f64, precision: u8, scale: u8) -> Option<ScalarValue> {
    const DIGITS_MAX: usize = 38;
    if !value.is_finite() {
        return None;
    }
    let text = value.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole_digits = whole.trim_start_matches('-').trim_start_matches('0').len();
    let places = fraction.len().max(usize::from(scale));
    if whole_digits.max(usize::from(precision - scale)) + places > DIGITS_MAX {
        return None;
    }
    let digits = format!("{whole}{fraction:0<places$}").parse().ok()?;
    let fits = places == usize::from(scale) && whole_digits <= usize::from(precision - scale);
    let precision = if fits { precision } else { (whole_digits + places).max(1) as u8 };
    Some(ScalarValue::Decimal128(Some(digits), precision, places as i8))
}
