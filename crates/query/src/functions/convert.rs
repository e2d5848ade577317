//! Conversion between any two types, as `CAST` and the `to…` functions do it.
//!
//! Integers wrap, floats lose their fraction, texts must be read whole. A text that cannot be read is an error,
//! NULL or the type's zero value, as [`OnFault`] says.

mod wrap;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryBuilder, Int64Array, PrimitiveArray,
    StringViewArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::common::{DataFusionError, Result};
use zepto_common::ErrorCode;
use zepto_common::types::{ColumnType, ticks_per_second};

use super::accurate::holds;
use super::calendar::{DAY, Parsed, Zone, compact_date, parse};
use super::decimals::to_decimal;
use super::render;
use super::scalar::fault;
use super::timestamps::{from_days, from_ticks, rescale, ticks, unit_and_zone, whole_numbers, zone_of};

pub(crate) use wrap::{Wrap, machine_i64};

/// A text of fewer digits is no number of seconds since 1970.
const SECONDS_DIGITS_MIN: usize = 5;

/// What a text that cannot be read becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFault {
    /// An error.
    Error,
    /// NULL.
    Null,
    /// The type's zero value.
    Zero,
}

/// `array` of type `from` as type `to` (query form).
pub(crate) fn convert(
    array: &ArrayRef,
    from: &ColumnType,
    to: &ColumnType,
    on_fault: OnFault,
) -> Result<ArrayRef> {
    use ColumnType as T;
    let (from, target) = (from.inner(), to.inner());
    if *array.data_type() == DataType::Null {
        return Ok(new_null_array(&to.query_type(), array.len()));
    }
    if from == target {
        return Ok(cast(array, &to.query_type())?);
    }
    match target {
        T::String | T::Symbol => Ok(Arc::new(render::texts(array, from)?)),
        T::Bool => to_bool(array, from, on_fault),
        T::Date => to_date(array, from, on_fault),
        T::DateTime(zone) => to_time(array, from, (TimeUnit::Second, true), zone.clone(), on_fault),
        T::DateTime64(digits, zone) => {
            let unit = zepto_common::types::unit_of(*digits);
            let exact = to_time(array, from, (unit, false), zone.clone(), on_fault)?;
            // A text names a moment, whose digits are cut; a number is cut towards zero.
            let of_text = matches!(from, T::String | T::Symbol);
            truncate_digits(exact, unit, *digits, zone.clone(), of_text)
        }
        T::Uuid => to_uuid(array, on_fault),
        T::Decimal(..) => to_decimal(array, from, target, on_fault),
        T::Array(of) => super::written::to_array(array, from, of, on_fault),
        T::Tuple(of) if matches!(from, T::String | T::Symbol) => super::written::tuples(array, of, on_fault),
        T::Map(..) if matches!(from, T::String | T::Symbol) => {
            Err(fault(ErrorCode::TypeMismatch, format!("Unsupported types to CAST AS Map: {from}, {target}")))
        }
        target if target.is_number() => to_number(array, from, target, on_fault),
        _ => Ok(cast(array, &to.query_type())?),
    }
}

fn unreadable(text: &str, ty: &str) -> DataFusionError {
    let hint =
        format!("Note: there are to{ty}OrZero and to{ty}OrNull functions, which return zero/NULL instead");
    let code = match ty {
        "Date" => ErrorCode::CannotParseDate,
        "Float32" | "Float64" => ErrorCode::CannotParseNumber,
        _ => ErrorCode::CannotParseText,
    };
    fault(code, format!("Cannot parse string '{text}' as {ty}. {hint}"))
}

/// Reads each text, or does what `on_fault` says.
fn read<T>(
    texts: &StringViewArray,
    ty: &str,
    on_fault: OnFault,
    zero: T::Native,
    parse: impl Fn(&str) -> Option<T::Native>,
) -> Result<PrimitiveArray<T>>
where
    T: ArrowPrimitiveType,
{
    texts
        .iter()
        .map(|text| match (text, on_fault) {
            (None, OnFault::Zero) => Ok(Some(zero)),
            (None, _) => Ok(None),
            (Some(text), OnFault::Error) => parse(text).map(Some).ok_or_else(|| unreadable(text, ty)),
            (Some(text), OnFault::Null) => Ok(parse(text)),
            (Some(text), OnFault::Zero) => Ok(Some(parse(text).unwrap_or(zero))),
        })
        .collect()
}

/// Numbers that other numbers are made from.
enum Numbers {
    Int(Int64Array),
    UInt(arrow::array::UInt64Array),
    Float(arrow::array::Float64Array),
}

fn numbers(array: &ArrayRef, from: &ColumnType) -> Result<Option<Numbers>> {
    use ColumnType as T;
    Ok(Some(match from {
        T::Float32 | T::Float64 | T::Decimal(..) => {
            Numbers::Float(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
        }
        T::UInt64 => Numbers::UInt(array.as_primitive::<UInt64Type>().clone()),
        T::Date => {
            Numbers::Int(cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?.as_primitive().clone())
        }
        T::DateTime(_) | T::DateTime64(..) => {
            let (ticks, per_second) = ticks(array)?;
            Numbers::Int(ticks.unary(|tick| tick / per_second))
        }
        ty if ty.is_number() || *ty == T::Bool => {
            Numbers::Int(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
        }
        _ => return Ok(None),
    }))
}

fn to_number(array: &ArrayRef, from: &ColumnType, to: &ColumnType, on_fault: OnFault) -> Result<ArrayRef> {
    use ColumnType as T;
    if let (T::DateTime64(..), T::Float64) = (from, to) {
        let (ticks, per_second) = ticks(array)?;
        return Ok(Arc::new(ticks.unary::<_, Float64Type>(|tick| tick as f64 / per_second as f64)));
    }
    if let (T::Decimal(_, scale), true) = (from, !matches!(to, T::Float32 | T::Float64)) {
        let unit = 10_i128.pow(u32::from(*scale));
        let whole: Int64Array = array.as_primitive::<Decimal128Type>().unary(|value| (value / unit) as i64);
        return to_number(&(Arc::new(whole) as ArrayRef), &T::Int64, to, on_fault);
    }
    match to {
        T::Int8 => make::<Int8Type>(array, from, to, on_fault),
        T::Int16 => make::<Int16Type>(array, from, to, on_fault),
        T::Int32 => make::<Int32Type>(array, from, to, on_fault),
        T::Int64 => make::<Int64Type>(array, from, to, on_fault),
        T::UInt8 => make::<UInt8Type>(array, from, to, on_fault),
        T::UInt16 => make::<UInt16Type>(array, from, to, on_fault),
        T::UInt32 => make::<UInt32Type>(array, from, to, on_fault),
        T::UInt64 => make::<UInt64Type>(array, from, to, on_fault),
        T::Float32 => make::<Float32Type>(array, from, to, on_fault),
        _ => make::<Float64Type>(array, from, to, on_fault),
    }
}

fn make<T>(array: &ArrayRef, from: &ColumnType, to: &ColumnType, on_fault: OnFault) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: Wrap,
{
    let Some(numbers) = numbers(array, from)? else {
        let texts = cast(array, &DataType::Utf8View)?;
        let name = to.to_string();
        let is_float = matches!(to, ColumnType::Float32 | ColumnType::Float64);
        let parse = |text: &str| {
            if is_float {
                parse_float(text).map(Wrap::of_f64)
            } else {
                // ClickHouse wraps where a fault would be an error, and has a fault where that has a value.
                let fits = |whole: &i128| on_fault == OnFault::Error || holds(to, *whole);
                parse_int(text, to).filter(fits).map(Wrap::of_i128)
            }
        };
        return Ok(Arc::new(read::<T>(texts.as_string_view(), &name, on_fault, Wrap::of_i64(0), parse)?));
    };
    Ok(match numbers {
        Numbers::Int(values) => Arc::new(values.unary::<_, T>(Wrap::of_i64)),
        Numbers::UInt(values) => Arc::new(values.unary::<_, T>(Wrap::of_u64)),
        Numbers::Float(values) => {
            let is_float = matches!(to, ColumnType::Float32 | ColumnType::Float64);
            if !is_float && values.iter().flatten().any(|value| !value.is_finite()) {
                return without_infinite::<T>(&values, on_fault);
            }
            Arc::new(values.unary::<_, T>(Wrap::of_f64))
        }
    })
}

/// Floats as integers where some are infinite or NaN, which no integer is.
fn without_infinite<T>(values: &arrow::array::Float64Array, on_fault: OnFault) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: Wrap,
{
    let one = |value: Option<f64>| match (value, on_fault) {
        (None, _) => Ok(None),
        (Some(value), _) if value.is_finite() => Ok(Some(T::Native::of_f64(value))),
        (_, OnFault::Null) => Ok(None),
        (_, OnFault::Zero) => Ok(Some(T::Native::of_i64(0))),
        (_, OnFault::Error) => {
            Err(fault(ErrorCode::CannotConvertType, "Unexpected inf or nan to integer conversion"))
        }
    };
    let made: Result<PrimitiveArray<T>> = values.iter().map(one).collect();
    Ok(Arc::new(made?))
}

/// A whole number in decimal digits. A sign is read only where the type has one.
fn parse_int(text: &str, ty: &ColumnType) -> Option<i128> {
    let unsigned =
        matches!(ty, ColumnType::UInt8 | ColumnType::UInt16 | ColumnType::UInt32 | ColumnType::UInt64);
    if unsigned && text.starts_with('-') {
        return None;
    }
    text.parse().ok()
}

fn parse_float(text: &str) -> Option<f64> {
    // Rust also reads "infinity" and "NaN" in any case, as ClickHouse does.
    text.parse().ok()
}

fn to_bool(array: &ArrayRef, from: &ColumnType, on_fault: OnFault) -> Result<ArrayRef> {
    if *array.data_type() == DataType::Boolean {
        return Ok(Arc::clone(array));
    }
    if from.is_number() {
        return Ok(Arc::new(truth(array)?));
    }
    let texts = cast(array, &DataType::Utf8View)?;
    let values: Result<BooleanArray> = texts
        .as_string_view()
        .iter()
        .map(|text| {
            let Some(text) = text else { return Ok(None) };
            match (text.to_ascii_lowercase().as_str(), on_fault) {
                ("true" | "t" | "1" | "y" | "yes" | "on", _) => Ok(Some(true)),
                ("false" | "f" | "0" | "n" | "no" | "off", _) => Ok(Some(false)),
                (_, OnFault::Zero) => Ok(Some(false)),
                (_, OnFault::Null) => Ok(None),
                _ => Err(fault(ErrorCode::CannotParseBool, format!("Cannot parse boolean value '{text}'"))),
            }
        })
        .collect();
    Ok(Arc::new(values?))
}

/// Whether each number is not zero.
pub(crate) fn truth(array: &ArrayRef) -> Result<BooleanArray> {
    if *array.data_type() == DataType::Boolean {
        return Ok(array.as_boolean().clone());
    }
    let floats = cast(array, &DataType::Float64)?;
    let floats = floats.as_primitive::<Float64Type>();
    Ok(BooleanArray::from_unary(floats, |value| value != 0.0))
}

fn to_date(array: &ArrayRef, from: &ColumnType, on_fault: OnFault) -> Result<ArrayRef> {
    if let Some((_, _)) = unit_and_zone(from) {
        let (ticks, per_second) = ticks(array)?;
        let mut zone = zone_of(from)?;
        return from_days(&local_days(&ticks, per_second, &mut zone));
    }
    if from.is_number() {
        // Small numbers are days, others seconds.
        let days = |n: i64| if n > 65_535 { n.min(i64::from(u32::MAX)).div_euclid(DAY) } else { n.max(0) };
        let numbers = without_unheld(whole_numbers(array)?, on_fault);
        return from_days(&numbers.unary(days));
    }
    let texts = cast(array, &DataType::Utf8View)?;
    let days = read::<Int64Type>(texts.as_string_view(), "Date", on_fault, 0, |text| {
        let digits = text.trim().bytes().all(|byte| byte.is_ascii_digit());
        let told = if digits { None } else { parse(text) };
        compact_date(text).or_else(|| told.map(|at| at.seconds.div_euclid(DAY)))
    })?;
    from_days(&days)
}

/// Days since 1970 by the zone's calendar.
pub(crate) fn local_days(ticks: &Int64Array, per_second: i64, zone: &mut Zone) -> Int64Array {
    if zone.is_utc() {
        return ticks.unary(|tick| tick.div_euclid(per_second * DAY));
    }
    let days =
        ticks.iter().map(|tick| tick.map(|tick| zone.local(tick.div_euclid(per_second)).div_euclid(DAY)));
    days.collect()
}

fn to_time(
    array: &ArrayRef,
    from: &ColumnType,
    (unit, is_date_time): (TimeUnit, bool),
    zone: Option<Arc<str>>,
    on_fault: OnFault,
) -> Result<ArrayRef> {
    use ColumnType as T;
    let to = ticks_per_second(unit);
    let ticks = match from {
        T::Date => {
            let (midnights, _) = ticks(array)?;
            let mut rules = Zone::named(zone.as_deref())?;
            let moments: Int64Array =
                midnights.iter().map(|local| local.map(|local| rules.utc(local))).collect();
            rescale(&moments, 1, to)?
        }
        T::DateTime(_) | T::DateTime64(..) => {
            let (ticks, per_second) = ticks(array)?;
            if per_second > to && !is_date_time {
                ticks.unary(|tick| tick / (per_second / to))
            } else {
                rescale(&ticks, per_second, to)?
            }
        }
        T::Float32 | T::Float64 | T::Decimal(..) => {
            let seconds = cast(array, &DataType::Float64)?;
            of_fractions(seconds.as_primitive(), to, is_date_time, on_fault)?
        }
        ty if ty.is_number() || *ty == T::Bool => {
            let seconds = whole_numbers(array)?;
            match on_fault {
                _ if is_date_time => without_unheld(seconds, on_fault).unary(in_seconds),
                OnFault::Null => seconds.unary_opt(|second| second.checked_mul(to)),
                _ => rescale(&seconds, 1, to)?,
            }
        }
        _ => {
            let texts = cast(array, &DataType::Utf8View)?;
            parse_times(texts.as_string_view(), to, zone.as_deref(), on_fault, parse_moment)?
        }
    };
    Ok(from_ticks(ticks, unit, zone))
}

/// What [`parse`] reads, but no digits that are rather a part of a date that is written wrong than seconds since 1970.
fn parse_moment(text: &str) -> Option<Parsed> {
    let digits = text.trim();
    let few = digits.len() < SECONDS_DIGITS_MIN && digits.bytes().all(|byte| byte.is_ascii_digit());
    if few { None } else { parse(text) }
}

/// Numbers that are no seconds of a DateTime become NULL where that is what faults become.
fn without_unheld(seconds: Int64Array, on_fault: OnFault) -> Int64Array {
    match on_fault {
        OnFault::Null => seconds.unary_opt(|second| u32::try_from(second).ok().map(i64::from)),
        _ => seconds,
    }
}

/// A number of seconds within what DateTime holds.
pub(crate) fn in_seconds(seconds: i64) -> i64 {
    seconds.clamp(0, i64::from(u32::MAX))
}

/// Seconds with a fraction as ticks. DateTime ends at its first or last second; DateTime64 refuses what it cannot hold.
fn of_fractions(
    seconds: &arrow::array::Float64Array,
    per_second: i64,
    is_date_time: bool,
    on_fault: OnFault,
) -> Result<Int64Array> {
    let one = |seconds: f64| {
        let ticks = seconds * per_second as f64;
        let held = (i64::MIN as f64..i64::MAX as f64).contains(&ticks);
        match on_fault {
            _ if is_date_time => Ok(Some(in_seconds(ticks as i64))),
            _ if held => Ok(Some(ticks as i64)),
            OnFault::Null => Ok(None),
            OnFault::Zero => Ok(Some(0)),
            OnFault::Error => {
                Err(fault(ErrorCode::Decimals, "The number is outside the range of DateTime64"))
            }
        }
    };
    seconds.iter().map(|seconds| seconds.map_or(Ok(None), one)).collect()
}

/// Texts as ticks; a text without an offset is told in the zone.
pub(crate) fn parse_times(
    texts: &StringViewArray,
    per_second: i64,
    zone: Option<&str>,
    on_fault: OnFault,
    parse: fn(&str) -> Option<Parsed>,
) -> Result<Int64Array> {
    let rules = std::cell::RefCell::new(Zone::named(zone)?);
    let beyond = std::cell::Cell::new(false);
    let ticks = read::<Int64Type>(texts, "DateTime", on_fault, 0, |text| {
        let at = parse(text)?;
        let seconds = if at.utc { at.seconds } else { rules.borrow_mut().utc(at.seconds) };
        let ticks = seconds.checked_mul(per_second);
        let ticks = ticks.and_then(|ticks| ticks.checked_add(at.nanos / (1_000_000_000 / per_second)));
        beyond.set(ticks.is_none());
        ticks
    });
    ticks.map_err(|error| {
        let DataFusionError::External(inner) = &error else { return error };
        if beyond.get() {
            return crate::error::external(crate::error::time_out_of_range());
        }
        let code =
            if on_fault == OnFault::Error { ErrorCode::CannotParseDateTime } else { ErrorCode::LogicalError };
        fault(code, inner.to_string())
    })
}

/// Digits finer than the type says are cut, as storage does.
fn truncate_digits(
    array: ArrayRef,
    unit: TimeUnit,
    digits: u8,
    zone: Option<Arc<str>>,
    down: bool,
) -> Result<ArrayRef> {
    let step = ticks_per_second(unit) / 10_i64.pow(u32::from(digits));
    if step <= 1 {
        return Ok(array);
    }
    let (ticks, _) = ticks(&array)?;
    let cut = |tick: i64| tick - if down { tick.rem_euclid(step) } else { tick % step };
    Ok(from_ticks(ticks.unary(cut), unit, zone))
}

fn to_uuid(array: &ArrayRef, on_fault: OnFault) -> Result<ArrayRef> {
    let texts = cast(array, &DataType::Utf8View)?;
    let mut out = FixedSizeBinaryBuilder::with_capacity(array.len(), 16);
    for text in texts.as_string_view() {
        let parsed = text.map(uuid::Uuid::parse_str);
        match (parsed, on_fault) {
            (Some(Ok(value)), _) => out.append_value(value.as_bytes())?,
            (Some(Err(_)), OnFault::Zero) => out.append_value([0_u8; 16])?,
            (Some(Err(_)), OnFault::Error) => {
                let message = format!("Cannot parse uuid {}", text.unwrap_or_default());
                return Err(fault(ErrorCode::CannotParseUuid, message));
            }
            _ => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}
