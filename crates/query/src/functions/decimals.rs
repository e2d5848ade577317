//! Conversion to Decimal: digits beyond the scale are cut, as ClickHouse cuts them; what the precision cannot hold is refused.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, PrimitiveArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::convert::OnFault;
use super::scalar::fault;
use super::timestamps::ticks;

/// `array` of type `from` as the Decimal `to`.
pub(crate) fn to_decimal(
    array: &ArrayRef,
    from: &ColumnType,
    to: &ColumnType,
    on_fault: OnFault,
) -> Result<ArrayRef> {
    let ColumnType::Decimal(precision, scale) = *to.inner() else {
        return Err(fault(ErrorCode::LogicalError, "A Decimal is made only for a Decimal"));
    };
    let source: ArrayRef = match from {
        ColumnType::Float32 | ColumnType::Float64 => {
            let floats = cast(array, &DataType::Float64)?;
            return of_floats(floats.as_primitive(), precision, scale, on_fault);
        }
        ColumnType::Decimal(_, have) if *have > scale => {
            let step = 10_i128.pow(u32::from(have - scale));
            let cut: Decimal128Array = array.as_primitive::<Decimal128Type>().unary(|value| value / step);
            Arc::new(cut.with_precision_and_scale(38, scale as i8)?)
        }
        ColumnType::String | ColumnType::Symbol => {
            let texts = cast(array, &DataType::Utf8View)?;
            let cut =
                texts.as_string_view().iter().map(|text| text.map(|text| without_digits_beyond(text, scale)));
            Arc::new(cut.collect::<arrow::array::StringArray>())
        }
        ColumnType::Bool => cast(array, &DataType::Int64)?,
        ColumnType::DateTime(_) | ColumnType::DateTime64(..) => {
            let (ticks, per_second) = ticks(array)?;
            let wide =
                PrimitiveArray::<Decimal128Type>::from_iter(ticks.iter().map(|tick| tick.map(i128::from)));
            let digits = per_second.ilog10() as u8;
            let step = 10_i128.pow(u32::from(digits.saturating_sub(scale)));
            let cut: Decimal128Array = wide.unary(|value| value / step);
            Arc::new(cut.with_precision_and_scale(38, digits.min(scale) as i8)?)
        }
        _ => Arc::clone(array),
    };
    let strict = CastOptions { safe: on_fault != OnFault::Error, ..CastOptions::default() };
    let made = cast_with_options(&source, &to.query_type(), &strict)
        .map_err(|error| fault(ErrorCode::Decimals, format!("Cannot convert to {to}: {error}")))?;
    zero_for_null(made, on_fault)
}

fn zero_for_null(made: ArrayRef, on_fault: OnFault) -> Result<ArrayRef> {
    if on_fault != OnFault::Zero {
        return Ok(made);
    }
    let zero = datafusion::common::ScalarValue::new_zero(made.data_type())?.to_array_of_size(made.len())?;
    Ok(arrow::compute::kernels::zip::zip(&arrow::compute::is_null(&made)?, &zero, &made)?)
}

fn of_floats(
    floats: &PrimitiveArray<Float64Type>,
    precision: u8,
    scale: u8,
    on_fault: OnFault,
) -> Result<ArrayRef> {
    let (unit, most) = (10f64.powi(i32::from(scale)), 10f64.powi(i32::from(precision)));
    let one = |value: f64| {
        let digits = value * unit;
        match on_fault {
            _ if digits.abs() < most => Ok(Some(digits as i128)),
            OnFault::Error => {
                let message = format!("{value} is outside the range of Decimal({precision}, {scale})");
                Err(fault(ErrorCode::Decimals, message))
            }
            _ => Ok(None),
        }
    };
    let made: Result<Decimal128Array> = floats.iter().map(|value| value.map_or(Ok(None), one)).collect();
    zero_for_null(Arc::new(made?.with_precision_and_scale(precision, scale as i8)?), on_fault)
}

/// A number's text with at most so many digits behind the point. One with an exponent stays as it is.
fn without_digits_beyond(text: &str, scale: u8) -> &str {
    match text.find('.') {
        Some(point) if text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+')) => {
            let keep = point + usize::from(scale > 0) + usize::from(scale);
            &text[..keep.min(text.len())]
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, StringArray};

    use super::*;

    #[test]
    fn digits_are_cut_and_never_rounded() {
        let to = ColumnType::Decimal(9, 2);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["1.999", "-1.999", "5", ".5", "7."]));
        let made = to_decimal(&texts, &ColumnType::String, &to, OnFault::Error).unwrap();
        assert_eq!(made.as_primitive::<Decimal128Type>().values(), &[199, -199, 500, 50, 700]);
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.999, -1.999, 0.5]));
        let made = to_decimal(&floats, &ColumnType::Float64, &to, OnFault::Error).unwrap();
        assert_eq!(made.as_primitive::<Decimal128Type>().values(), &[199, -199, 50]);
        let fine =
            to_decimal(&floats, &ColumnType::Float64, &ColumnType::Decimal(18, 4), OnFault::Error).unwrap();
        let coarse = to_decimal(&fine, &ColumnType::Decimal(18, 4), &to, OnFault::Error).unwrap();
        assert_eq!(coarse.as_primitive::<Decimal128Type>().values(), &[199, -199, 50]);
    }

    #[test]
    fn what_the_precision_cannot_hold_is_refused_or_null() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![1e7, 1.0, f64::NAN]));
        let to = ColumnType::Decimal(9, 2);
        assert!(to_decimal(&floats, &ColumnType::Float64, &to, OnFault::Error).is_err());
        let made = to_decimal(&floats, &ColumnType::Float64, &to, OnFault::Null).unwrap();
        assert_eq!((made.is_null(0), made.is_null(1), made.is_null(2)), (true, false, true));
    }
}
