//! Sums and other folds of an array's numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::{each, item, list};
use crate::functions::lists::{array_of, numbers};
use crate::functions::scalar::{Arguments, Call, fault};
use crate::semantics::numbers::is_float;

/// Folds each array's numbers as floats.
pub(super) fn fold(call: &Call<'_>, body: fn(&[f64]) -> f64) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    // Decimals by their digits, which floats hold exactly as long as there are few.
    let (values, unit) = match list.values().as_primitive_opt::<Decimal128Type>() {
        Some(digits) => {
            (digits.unary::<_, Float64Type>(|digits| digits as f64), 10_f64.powi(digits.scale().into()))
        }
        None => (cast(list.values(), &DataType::Float64)?.as_primitive::<Float64Type>().clone(), 1.0),
    };
    let folded = arrow::array::Float64Array::from_iter_values((0..list.len()).map(|row| {
        let (start, length) = (list.value_offsets()[row] as usize, list.value_length(row) as usize);
        let kept: Vec<f64> =
            (start..start + length).filter(|at| values.is_valid(*at)).map(|at| values.value(at)).collect();
        body(&kept) / unit
    }));
    Ok(cast(&folded, &call.ty.query_type())?)
}

/// The type of the items, which have to be numbers.
pub(crate) fn number_item(args: &Arguments<'_>) -> Result<ColumnType> {
    match item(args, 0)? {
        ty if ty.is_number() || matches!(ty.inner(), ColumnType::Bool | ColumnType::Nothing) => Ok(ty),
        other => {
            let message = format!("Numbers of an array are added up, not {other}");
            Err(fault(ErrorCode::IllegalTypeOfArgument, message))
        }
    }
}

/// Exact, as far as the result's digits go.
fn decimal_sums(call: &Call<'_>) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let values = cast(list.values(), &call.ty.query_type())?;
    let values = values.as_primitive::<Decimal128Type>();
    let sums: Decimal128Array = (0..list.len())
        .map(|row| {
            let (start, length) = (list.value_offsets()[row] as usize, list.value_length(row) as usize);
            let kept = (start..start + length).filter(|at| values.is_valid(*at));
            Some(kept.fold(0_i128, |sum, at| sum.wrapping_add(values.value(at))))
        })
        .collect();
    Ok(Arc::new(sums.with_precision_and_scale(values.precision(), values.scale())?))
}

/// Whole numbers are added exactly; the sum wraps.
pub(super) fn sum(call: &Call<'_>) -> Result<ArrayRef> {
    match call.ty.inner() {
        ColumnType::Float64 => return fold(call, |values| values.iter().fold(0.0, |sum, value| sum + value)),
        ColumnType::Decimal(..) => return decimal_sums(call),
        _ => {}
    }
    let list = list(call, 0)?;
    let values = cast(list.values(), &call.ty.query_type())?;
    let values = cast(&values, &DataType::Int64)?;
    let values = values.as_primitive::<arrow::datatypes::Int64Type>();
    let sums: Int64Array = (0..list.len())
        .map(|row| {
            let (start, length) = (list.value_offsets()[row] as usize, list.value_length(row) as usize);
            let kept = (start..start + length).filter(|at| values.is_valid(*at));
            Some(kept.fold(0_i64, |sum, at| sum.wrapping_add(values.value(at))))
        })
        .collect();
    Ok(cast(&sums, &call.ty.query_type())?)
}

/// What becomes of each array's numbers, one from the other, in the result's type: floats, or whole numbers and the digits
/// of decimals.
fn each_number(
    call: &Call<'_>,
    floats: fn(&[f64]) -> Vec<f64>,
    wholes: fn(&[i128]) -> Vec<i128>,
) -> Result<ArrayRef> {
    let ColumnType::Array(of) = call.ty else { return call.array(0) };
    each(call, |values, _| {
        if is_float(of) {
            let values: Vec<f64> = numbers(&values)?.iter().map(Option::unwrap_or_default).collect();
            return Ok(Arc::new(Float64Array::from(floats(&values))));
        }
        if let ColumnType::Decimal(precision, scale) = *of.inner() {
            let values = cast(&values, &of.query_type())?;
            let values = values.as_primitive::<Decimal128Type>().iter().map(Option::unwrap_or_default);
            let made = Decimal128Array::from(wholes(&values.collect::<Vec<i128>>()));
            return Ok(Arc::new(made.with_precision_and_scale(precision, scale as i8)?));
        }
        let values = cast(&values, &DataType::Int64)?;
        let values = values.as_primitive::<Int64Type>().iter().map(|value| i128::from(value.unwrap_or(0)));
        let made = wholes(&values.collect::<Vec<i128>>()).into_iter().map(|value| value as i64);
        Ok(Arc::new(Int64Array::from_iter_values(made)))
    })
}

pub(crate) fn running_sum(call: &Call<'_>) -> Result<ArrayRef> {
    each_number(
        call,
        |values| {
            let mut sum = 0.0;
            values
                .iter()
                .map(|value| {
                    sum += value;
                    sum
                })
                .collect()
        },
        |values| {
            let mut sum = 0_i128;
            values
                .iter()
                .map(|value| {
                    sum = sum.wrapping_add(*value);
                    sum
                })
                .collect()
        },
    )
}

pub(crate) fn difference_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let of = number_item(args)?;
    Ok(array_of(match of.inner() {
        decimal @ ColumnType::Decimal(..) => decimal.clone(),
        of if is_float(of) => ColumnType::Float64,
        of => crate::semantics::numbers::sum(of, of, true),
    }))
}

pub(crate) fn differences(call: &Call<'_>) -> Result<ArrayRef> {
    each_number(
        call,
        |values| {
            let steps = values.windows(2).map(|pair| pair[1] - pair[0]);
            values.iter().take(1).map(|_| 0.0).chain(steps).collect()
        },
        |values| {
            let steps = values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
            values.iter().take(1).map(|_| 0).chain(steps).collect()
        },
    )
}
