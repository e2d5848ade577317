//! Rounding.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{Decimal128Type, Float64Type};
use datafusion::common::Result;
use zepto_common::types::ColumnType;

use super::{narrow, wide_column, wrong_type};
use crate::functions::scalar::{Arguments, Call};

/// Rounds to `digits` after the point by `whole`, which rounds to whole numbers.
fn to_digits(value: f64, digits: i64, whole: fn(f64) -> f64) -> f64 {
    let scale = 10_f64.powi(digits.unsigned_abs().min(300) as i32);
    match digits {
        0 => whole(value),
        1.. => whole(value * scale) / scale,
        _ => whole(value / scale) * scale,
    }
}

/// Rounding keeps the type; integers change only with negative digits.
pub(super) fn rounded(call: &Call<'_>, whole: fn(f64) -> f64, halves_away: bool) -> Result<ArrayRef> {
    let digits = if call.len() > 1 { call.ints(1)?.iter().next().flatten().unwrap_or(0) } else { 0 };
    match call.ty.inner() {
        ColumnType::Float32 | ColumnType::Float64 => {
            let values = call.floats(0)?.unary::<_, Float64Type>(|value| to_digits(value, digits, whole));
            Ok(cast(&values, &call.ty.query_type())?)
        }
        ColumnType::Decimal(precision, scale) => {
            let drop = i64::from(*scale) - digits;
            let unit = 10_i128.pow(drop.clamp(0, 38) as u32);
            let values = wide_column(call, 0)?
                .unary::<_, Decimal128Type>(|value| step(value, unit, whole, halves_away));
            Ok(Arc::new(values.with_precision_and_scale(*precision, *scale as i8)?))
        }
        ty if digits < 0 => {
            let unit = 10_i128.pow((-digits).clamp(0, 38) as u32);
            let values = wide_column(call, 0)?;
            narrow(values.values().iter().map(|value| step(*value, unit, whole, halves_away)).collect(), ty)
        }
        _ => call.array(0),
    }
}

/// The multiple of `unit` that `whole` would choose; halves go away from zero for decimals.
fn step(value: i128, unit: i128, whole: fn(f64) -> f64, halves_away: bool) -> i128 {
    let rest = value.rem_euclid(unit);
    if rest == 0 {
        return value;
    }
    let down = value - rest;
    if halves_away && rest * 2 == unit {
        return if value < 0 { down } else { down + unit };
    }
    let fraction = match (rest * 2).cmp(&unit) {
        Ordering::Less => 0.25,
        Ordering::Equal => 0.5,
        Ordering::Greater => 0.75,
    };
    // A small number that lies between two whole ones as the value does between two multiples: of the same sign, which
    // matters to truncation, and as even, which matters to halves.
    let odd = (down / unit).rem_euclid(2) as f64;
    let base = if value < 0 { odd - 2.0 } else { odd };
    down + (whole(base + fraction) - base) as i128 * unit
}

pub(super) fn round_type(args: &Arguments<'_>) -> Result<ColumnType> {
    match args.base(0) {
        ColumnType::Bool => Ok(ColumnType::UInt8),
        ty if ty.is_number() => Ok(ty),
        other => Err(wrong_type("round", &other)),
    }
}
