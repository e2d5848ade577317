//! Division to whole numbers.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::{division_by_zero, is_float, wide};
use crate::functions::accurate::holds;
use crate::functions::convert::{OnFault, convert};
use crate::functions::scalar::{Call, fault};

pub(super) fn int_div(call: &Call<'_>) -> Result<ArrayRef> {
    for i in 0..2 {
        if is_float(&call.base(i)) && call.floats(i)?.iter().flatten().any(|value| !value.is_finite()) {
            let message = "Cannot perform integer division on infinite or too large floating point numbers";
            return Err(fault(ErrorCode::IllegalDivision, message));
        }
    }
    if is_float(&call.base(0)) || is_float(&call.base(1)) {
        return of_floats(call, |right| if right == 0.0 { Err(division_by_zero()) } else { Ok(()) });
    }
    let units = units(call);
    wide(call, |left, right| {
        let quotient = quotient(left, right, units).ok_or_else(division_by_zero)?;
        // The other side of the only quotient that has no room in the type of its dividend.
        if right < 0 && quotient == i128::from(i64::MAX) + 1 {
            let message = "Division of minimal signed number by minus one";
            return Err(fault(ErrorCode::IllegalDivision, message));
        }
        Ok(quotient)
    })
}

/// The quotient of numbers of which one has a fraction, cut; 0 where `check` lets a zero pass.
fn of_floats(call: &Call<'_>, check: fn(f64) -> Result<()>) -> Result<ArrayRef> {
    let (lefts, rights) = (call.floats(0)?, call.floats(1)?);
    let quotients: Result<Int64Array> = lefts
        .iter()
        .zip(&rights)
        .map(|pair| {
            let (Some(left), Some(right)) = pair else { return Ok(None) };
            check(right)?;
            let quotient = if right == 0.0 { 0.0 } else { (left / right).trunc() };
            if !quotient.is_finite() || !holds(call.ty.inner(), quotient as i128) {
                let message =
                    "Cannot perform integer division, because it will produce infinite or too large number";
                return Err(fault(ErrorCode::IllegalDivision, message));
            }
            Ok(Some(quotient as i128 as i64))
        })
        .collect();
    let quotients: ArrayRef = Arc::new(quotients?);
    convert(&quotients, &ColumnType::Int64, call.ty, OnFault::Error)
}

pub(super) fn int_div_or_zero(call: &Call<'_>) -> Result<ArrayRef> {
    if is_float(&call.base(0)) || is_float(&call.base(1)) {
        return of_floats(call, |_| Ok(()));
    }
    let units = units(call);
    wide(call, |left, right| Ok(quotient(left, right, units).unwrap_or(0)))
}

/// What the stored numbers of both sides are to be divided by.
fn units(call: &Call<'_>) -> (i128, i128) {
    (unit(&call.base(0)), unit(&call.base(1)))
}

fn unit(ty: &ColumnType) -> i128 {
    match ty {
        ColumnType::Decimal(_, scale) => 10_i128.pow(u32::from(*scale)),
        _ => 1,
    }
}

/// None for a division by zero, and for decimals that are too long for it.
fn quotient(left: i128, right: i128, (left_unit, right_unit): (i128, i128)) -> Option<i128> {
    left.checked_mul(right_unit)?.checked_div(right.checked_mul(left_unit)?)
}
