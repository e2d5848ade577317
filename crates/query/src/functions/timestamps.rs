//! Timestamp columns as ticks, and back.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt64Type,
};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::{ColumnType, ticks_per_second};

use super::calendar::{DAY, Zone};
use super::scalar::fault;

/// The ticks of a timestamp column, and how many make a second. Dates are midnights UTC.
pub(crate) fn ticks(array: &ArrayRef) -> Result<(Int64Array, i64)> {
    Ok(match array.data_type() {
        DataType::Timestamp(unit, _) => {
            let ticks = match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().reinterpret_cast(),
                TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().reinterpret_cast(),
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().reinterpret_cast(),
                TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().reinterpret_cast(),
            };
            (ticks, ticks_per_second(*unit))
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            (days.unary(|day| i64::from(day) * DAY), 1)
        }
        other => {
            let message = format!("Illegal type {other} of argument: expected Date, DateTime or DateTime64");
            return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
        }
    })
}

/// The unit and zone of a timestamp type; Date counts as DateTime.
pub(crate) fn unit_and_zone(ty: &ColumnType) -> Option<(TimeUnit, Option<Arc<str>>)> {
    match ty.inner() {
        ColumnType::Date => Some((TimeUnit::Second, None)),
        ColumnType::DateTime(zone) => Some((TimeUnit::Second, zone.clone())),
        ColumnType::DateTime64(digits, zone) => Some((zepto_common::types::unit_of(*digits), zone.clone())),
        _ => None,
    }
}

/// The zone that a time's parts are told in.
pub(crate) fn zone_of(ty: &ColumnType) -> Result<Zone> {
    if *ty.inner() == ColumnType::Date {
        return Zone::named(Some("UTC"));
    }
    let zone = unit_and_zone(ty).and_then(|(_, zone)| zone);
    Zone::named(zone.as_deref())
}

/// Ticks as a timestamp column of this unit and zone.
pub(crate) fn from_ticks(ticks: Int64Array, unit: TimeUnit, zone: Option<Arc<str>>) -> ArrayRef {
    match unit {
        TimeUnit::Second => Arc::new(relabel::<TimestampSecondType>(ticks).with_timezone_opt(zone)),
        TimeUnit::Millisecond => Arc::new(relabel::<TimestampMillisecondType>(ticks).with_timezone_opt(zone)),
        TimeUnit::Microsecond => Arc::new(relabel::<TimestampMicrosecondType>(ticks).with_timezone_opt(zone)),
        TimeUnit::Nanosecond => Arc::new(relabel::<TimestampNanosecondType>(ticks).with_timezone_opt(zone)),
    }
}

fn relabel<T: arrow::datatypes::ArrowPrimitiveType<Native = i64>>(ticks: Int64Array) -> PrimitiveArray<T> {
    ticks.reinterpret_cast()
}

/// Days as a Date column.
pub(crate) fn from_days(days: &Int64Array) -> Result<ArrayRef> {
    Ok(cast(&cast(days, &DataType::Int32)?, &DataType::Date32)?)
}

/// Ticks in another resolution: finer multiplies (an error past the range of 64 bits), coarser rounds down.
pub(crate) fn rescale(ticks: &Int64Array, from: i64, to: i64) -> Result<Int64Array> {
    if from == to {
        return Ok(ticks.clone());
    }
    if from > to {
        let step = from / to;
        return Ok(ticks.unary(|tick| tick.div_euclid(step)));
    }
    let step = to / from;
    ticks.try_unary(|tick| {
        tick.checked_mul(step).ok_or_else(|| {
            fault(
                ErrorCode::ValueIsOutOfRange,
                "The time is outside the range of DateTime64(9): 1677 to 2262",
            )
        })
    })
}

/// Seconds (rounded down) of ticks.
pub(crate) fn seconds(ticks: &Int64Array, per_second: i64) -> Int64Array {
    ticks.unary(|tick| tick.div_euclid(per_second))
}

/// Numbers as whole ones, cut; what is beyond 64 bits is the last there is.
pub(crate) fn whole_numbers(array: &ArrayRef) -> Result<Int64Array> {
    if let Some(unsigned) = array.as_primitive_opt::<UInt64Type>() {
        return Ok(unsigned.unary(|number| i64::try_from(number).unwrap_or(i64::MAX)));
    }
    if let Some(floats) = array.as_primitive_opt::<Float64Type>() {
        return Ok(floats.unary(|number| number as i64));
    }
    Ok(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}
