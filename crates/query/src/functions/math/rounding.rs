//! Rounding.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{Decimal128Type, Float32Type, Float64Type};
use datafusion::common::Result;
use zepto_common::types::ColumnType;

use super::{narrow, wide_column, wrong_type};
use crate::functions::holds;
use crate::functions::scalar::{Arguments, Call};

/// The same in 32 bits, so that the result is the nearest of its type.
fn to_short_digits(value: f32, digits: i64, whole: fn(f64) -> f64) -> f32 {
    let scale = 10_f32.powi(digits.unsigned_abs().min(38) as i32);
    match digits {
        0 => whole(f64::from(value)) as f32,
        1.. => whole(f64::from(value * scale)) as f32 / scale,
        _ => whole(f64::from(value / scale)) as f32 * scale,
    }
}

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
        ColumnType::Float32 => {
            let values = call.array(0)?;
            let values = values.as_primitive::<Float32Type>();
            Ok(Arc::new(values.unary::<_, Float32Type>(|value| to_short_digits(value, digits, whole))))
        }
        ColumnType::Float64 => {
            let values = call.floats(0)?.unary::<_, Float64Type>(|value| to_digits(value, digits, whole));
            Ok(Arc::new(values))
        }
        ColumnType::Decimal(precision, scale) => {
            let drop = i64::from(*scale) - digits;
            let unit = 10_i128.pow(drop.clamp(0, 38) as u32);
            // Where the unit has more digits than any value, nothing is left.
            let unit_fits = drop <= i64::from(*precision);
            let step = |value| if unit_fits { step(value, unit, whole, halves_away) } else { 0 };
            let values = wide_column(call, 0)?.unary::<_, Decimal128Type>(step);
            Ok(Arc::new(values.with_precision_and_scale(*precision, *scale as i8)?))
        }
        ColumnType::Bool if digits < 0 => {
            let unit = 10_i128.pow((-digits).clamp(0, 38) as u32);
            let values = wide_column(call, 0)?;
            Ok(Arc::new(BooleanArray::from_unary(&values, |value| {
                step(value, unit, whole, halves_away) != 0
            })))
        }
        ty if digits < 0 => {
            let unit = 10_i128.pow((-digits).clamp(0, 38) as u32);
            let values = wide_column(call, 0)?;
            // Where the unit itself is no value of the type, nothing is left.
            let unit_fits = holds(ty, unit);
            let step = |value| if unit_fits { step(value, unit, whole, halves_away) } else { 0 };
            narrow(values.values().iter().map(|value| step(*value)).collect(), ty)
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
    // Twice a rest of 38 digits is more than i128 holds.
    let middle = (rest.unsigned_abs() * 2).cmp(&unit.unsigned_abs());
    if halves_away && middle == Ordering::Equal {
        return if value < 0 { down } else { down + unit };
    }
    let fraction = match middle {
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
        ty if ty.is_number() || ty == ColumnType::Bool => Ok(ty),
        other => Err(wrong_type("round", &other)),
    }
}
