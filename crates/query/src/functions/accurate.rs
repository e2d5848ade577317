//! Conversion that refuses what the type cannot hold, where [`convert`](super::convert::convert) would wrap or cut.

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::compute::{cast, nullif};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::convert::{OnFault, convert};
use super::scalar::fault;

/// First and last second that a text of a date can name: the years 0 and 9999.
const SECONDS: (i128, i128) = (-62_167_219_200, 253_402_300_799);
/// Seconds of the first and last nanosecond that 64 bits hold.
const SECONDS_OF_NANOS: (i128, i128) = (-9_223_372_036, 9_223_372_036);
/// Last second that a number can mean as a Date.
const DATE_SECONDS_MAX: i128 = 4_294_967_295;

/// What of a number must fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// All of it; a float may be rounded to a shorter one.
    Whole,
    /// All of it, but for the fraction of a decimal, as `accurateCast` has it.
    Exact,
    /// Its size: a fraction is cut off.
    Size,
}

/// `array` of type `from` as type `to` (query form). A value that `to` cannot hold is an error or NULL.
///
/// # Errors
/// `CannotConvertType`, and those of the conversion.
pub(crate) fn convert_accurately(
    array: &ArrayRef,
    from: &ColumnType,
    to: &ColumnType,
    fit: Fit,
    on_fault: OnFault,
) -> Result<ArrayRef> {
    let (source, target) = (from.inner(), to.inner());
    if let (ColumnType::Array(of), ColumnType::Array(item), Some(list)) =
        (source, target, array.as_list_opt::<i32>())
    {
        convert_accurately(list.values(), of, item, fit, OnFault::Error)?;
        return convert(array, from, to, on_fault);
    }
    let Some(unfit) = unfit(array, source, target, fit)? else { return convert(array, from, to, on_fault) };
    if unfit.true_count() == 0 {
        return convert(array, from, to, on_fault);
    }
    if on_fault == OnFault::Null {
        // What does not fit is taken out first: a conversion of it might fail.
        return convert(&nullif(array, &unfit)?, from, to, on_fault);
    }
    let message = format!("Value in column {from} cannot be safely converted into type {to}");
    Err(fault(ErrorCode::CannotConvertType, message))
}

/// Which values the target cannot hold; None where that is not for numbers to say.
fn unfit(array: &ArrayRef, from: &ColumnType, to: &ColumnType, fit: Fit) -> Result<Option<BooleanArray>> {
    use ColumnType as T;
    let whole_only =
        fit != Fit::Size && to.is_number() && !matches!(to, T::Float32 | T::Float64 | T::Decimal(..));
    if fit == Fit::Exact && matches!(to, T::Float32 | T::Float64) {
        return rounded(array, from, to);
    }
    let Some((least, most)) = bounds(to) else { return Ok(None) };
    let fits = |whole: Option<i128>| whole.is_some_and(|whole| (least..=most).contains(&whole));
    let of_float = |value: f64| {
        let whole = value.is_finite() && (!whole_only || value.fract() == 0.0);
        whole.then_some(if fit == Fit::Size { value.trunc() } else { value.floor() } as i128)
    };
    Ok(Some(match from {
        T::Float32 | T::Float64 => {
            let values = cast(array, &DataType::Float64)?;
            BooleanArray::from_unary(values.as_primitive::<Float64Type>(), |value| !fits(of_float(value)))
        }
        T::Decimal(_, scale) => {
            let unit = 10_i128.pow(u32::from(*scale));
            let whole = |value: i128| match fit {
                Fit::Exact if whole_only => Some(value / unit),
                _ => (!whole_only || value % unit == 0).then(|| value.div_euclid(unit)),
            };
            BooleanArray::from_unary(array.as_primitive::<Decimal128Type>(), |value| !fits(whole(value)))
        }
        T::UInt64 => {
            let values = array.as_primitive::<UInt64Type>();
            BooleanArray::from_unary(values, |value| !fits(Some(i128::from(value))))
        }
        ty if ty.is_number() => {
            let values = cast(array, &DataType::Int64)?;
            let values = values.as_primitive::<Int64Type>();
            BooleanArray::from_unary(values, |value| !fits(Some(i128::from(value))))
        }
        _ => return Ok(None),
    }))
}

/// Which numbers a float type would round.
fn rounded(array: &ArrayRef, from: &ColumnType, to: &ColumnType) -> Result<Option<BooleanArray>> {
    use ColumnType as T;
    let of_float = |value: f64| match to {
        T::Float32 => !value.is_nan() && f64::from(value as f32) != value,
        _ => false,
    };
    let of_whole = |value: i128| match to {
        T::Float32 => value as f32 as i128 != value,
        _ => value as f64 as i128 != value,
    };
    Ok(Some(match from {
        T::Float64 => BooleanArray::from_unary(array.as_primitive::<Float64Type>(), of_float),
        T::UInt64 => {
            BooleanArray::from_unary(array.as_primitive::<UInt64Type>(), |value| of_whole(value.into()))
        }
        ty if ty.is_number() && !matches!(ty, T::Float32 | T::Decimal(..)) => {
            let values = cast(array, &DataType::Int64)?;
            BooleanArray::from_unary(values.as_primitive::<Int64Type>(), |value| of_whole(value.into()))
        }
        _ => return Ok(None),
    }))
}

/// Whether a type of whole numbers holds the number; of other types true.
pub(crate) fn holds(ty: &ColumnType, whole: i128) -> bool {
    bounds(ty).is_none_or(|(least, most)| (least..=most).contains(&whole))
}

/// Least and most whole number that a type holds; of times, in seconds.
fn bounds(ty: &ColumnType) -> Option<(i128, i128)> {
    use ColumnType as T;
    Some(match ty {
        T::Int8 => (i8::MIN.into(), i8::MAX.into()),
        T::Int16 => (i16::MIN.into(), i16::MAX.into()),
        T::Int32 => (i32::MIN.into(), i32::MAX.into()),
        T::Int64 => (i64::MIN.into(), i64::MAX.into()),
        T::UInt8 => (0, u8::MAX.into()),
        T::UInt16 => (0, u16::MAX.into()),
        T::UInt32 => (0, u32::MAX.into()),
        T::UInt64 => (0, u64::MAX.into()),
        T::Date => (0, DATE_SECONDS_MAX),
        T::DateTime64(7..=9, _) => SECONDS_OF_NANOS,
        T::DateTime(_) | T::DateTime64(..) => SECONDS,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, Float64Array, Int64Array};

    use super::*;

    fn check(array: impl Array + 'static, from: ColumnType, to: &str) -> Vec<bool> {
        let array: ArrayRef = Arc::new(array);
        let to: ColumnType = to.parse().unwrap();
        let made = convert_accurately(&array, &from, &to, Fit::Whole, OnFault::Null).unwrap();
        let held: Vec<bool> = (0..made.len()).map(|row| made.is_valid(row)).collect();
        let strict = convert_accurately(&array, &from, &to, Fit::Whole, OnFault::Error);
        assert_eq!(strict.is_ok(), held.iter().all(|held| *held), "{to}");
        held
    }

    #[test]
    fn what_a_type_cannot_hold_is_refused() {
        let ints = |values: &[i64]| Int64Array::from(values.to_vec());
        let floats = |values: &[f64]| Float64Array::from(values.to_vec());
        assert_eq!(
            check(ints(&[-129, -128, 127, 128]), ColumnType::Int64, "Int8"),
            [false, true, true, false]
        );
        assert_eq!(check(ints(&[-1, 0, i64::MAX]), ColumnType::Int64, "UInt64"), [false, true, true]);
        let odd = floats(&[1.0, 1.5, f64::NAN, 1e30, -0.0]);
        assert_eq!(check(odd, ColumnType::Float64, "Int64"), [true, false, false, false, true]);
        let times = floats(&[1.5, 1e300, f64::NAN, -9e9, 1e11]);
        assert_eq!(check(times, ColumnType::Float64, "DateTime64(9)"), [true, false, false, true, false]);
        assert_eq!(check(ints(&[1_700_000_000, i64::MAX]), ColumnType::Int64, "DateTime"), [true, false]);
        assert_eq!(check(ints(&[-1, 19_000]), ColumnType::Int64, "Date"), [false, true]);
    }
}
