//! Sums and differences of times.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DataFusionError, Result};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use crate::functions::bucket::Width;
use crate::functions::calendar::{DAY, Zone, add_months, civil_of};
use crate::functions::convert::{OnFault, convert};
use crate::functions::scalar::{Arguments, Call, fault};
use crate::functions::timestamps::{from_days, from_ticks, rescale, ticks, unit_and_zone};

/// Seconds of the years 0 to 9999: no other has a date in digits.
const SECONDS_TOLD: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

fn add_unit(value: Option<&str>) -> Result<Width> {
    let bad = || fault(ErrorCode::BadArguments, "Unknown unit of time");
    value.and_then(|word| Width::of_word(word.trim_start_matches('-'), 1)).ok_or_else(bad)
}

/// Adding keeps the type, except that a part finer than the type holds makes it finer.
pub(super) fn add_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let width = add_unit(args.text(2))?;
    let (digits, zone) = match args.base(0) {
        ColumnType::Date if !matches!(width, Width::Nanos(_)) => return Ok(ColumnType::Date),
        ColumnType::Date => (None, None),
        ColumnType::DateTime(zone) => (None, zone),
        ColumnType::DateTime64(digits, zone) => (Some(digits), zone),
        ColumnType::String | ColumnType::Symbol => (Some(3), None),
        other => {
            let message = format!("Illegal type {other} of argument: expected Date, DateTime or DateTime64");
            return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
        }
    };
    let finer = match width {
        Width::Nanos(nanos) if nanos < 1_000 => Some(9),
        Width::Nanos(nanos) if nanos < 1_000_000 => Some(6),
        Width::Nanos(nanos) if nanos < 1_000_000_000 => Some(3),
        _ => None,
    };
    Ok(match digits.max(finer) {
        Some(digits) => ColumnType::DateTime64(digits, zone),
        None => ColumnType::DateTime(zone),
    })
}

/// `__add_interval(time, count, 'unit')`.
pub(super) fn add(call: &Call<'_>) -> Result<ArrayRef> {
    let width = add_unit(call.literal_text(2))?;
    let back = call.literal_text(2).is_some_and(|unit| unit.starts_with('-'));
    let counts: Int64Array = call.ints(1)?.unary(|count| if back { count.saturating_neg() } else { count });
    let source = convert(&call.array(0)?, &call.base(0), call.ty, OnFault::Error)?;
    let (values, per_second) = ticks(&source)?;
    if *call.ty.inner() == ColumnType::Date {
        let pairs = values.iter().zip(&counts);
        let moved: Result<Int64Array> = pairs
            .map(|pair| match pair {
                (Some(seconds), Some(count)) => move_day(seconds.div_euclid(DAY), count, width).map(Some),
                _ => Ok(None),
            })
            .collect();
        return from_days(&moved?);
    }
    let Some((unit, zone_name)) = unit_and_zone(call.ty) else {
        return Err(fault(ErrorCode::LogicalError, "A sum of time and interval is a time"));
    };
    let mut zone = Zone::named(zone_name.as_deref())?;
    let pairs = values.iter().zip(&counts);
    let moved: Result<Int64Array> = pairs
        .map(|(tick, count)| match (tick, count) {
            (Some(tick), Some(count)) => add_one(tick, count, per_second, width, &mut zone).map(Some),
            _ => Ok(None),
        })
        .collect();
    Ok(from_ticks(moved?, unit, zone_name))
}

fn add_one(tick: i64, count: i64, per_second: i64, width: Width, zone: &mut Zone) -> Result<i64> {
    if let Width::Nanos(nanos) = width {
        let step = i128::from(count) * (i128::from(nanos) * i128::from(per_second) / 1_000_000_000);
        let moved = i64::try_from(i128::from(tick) + step).map_err(|_| range())?;
        let is_told = SECONDS_TOLD.contains(&moved.div_euclid(per_second));
        return if is_told { Ok(moved) } else { Err(range()) };
    }
    let (utc, rest) = (tick.div_euclid(per_second), tick.rem_euclid(per_second));
    let local = zone.local(utc);
    let day = move_day(local.div_euclid(DAY), count, width)?;
    let moved = zone.utc(day * DAY + local.rem_euclid(DAY));
    moved.checked_mul(per_second).and_then(|ticks| ticks.checked_add(rest)).ok_or_else(range)
}

fn range() -> DataFusionError {
    fault(ErrorCode::ValueIsOutOfRange, "The sum is outside the range of the time type")
}

/// The day that many units later; an error past the days that 32 bits hold.
fn move_day(day: i64, count: i64, width: Width) -> Result<i64> {
    /// No sum of so many days or months is a day that there is, and their arithmetic stays within 64 bits.
    const FAR: u64 = 1 << 33;
    let by = |each: i64| count.checked_mul(each).filter(|by| by.unsigned_abs() <= FAR);
    let moved = match width {
        Width::Nanos(_) => Some(day),
        Width::Days(days) => by(days).map(|by| day + by),
        Width::Weeks(weeks) => by(weeks * 7).map(|by| day + by),
        Width::Months(months) => by(months).map(|by| add_months(day, by)),
        Width::Years(years) => by(years * 12).map(|by| add_months(day, by)),
    };
    moved.filter(|day| i32::try_from(*day).is_ok()).ok_or_else(range)
}

/// Times of a second or more give Int32 seconds (dates: days), finer ones a Decimal of seconds.
pub(super) fn subtract_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let digits = |ty: ColumnType| match ty {
        ColumnType::DateTime64(digits, _) => Some(digits),
        _ => None,
    };
    Ok(match digits(args.base(0)).max(digits(args.base(1))) {
        Some(digits) => ColumnType::Decimal(18, digits),
        None => ColumnType::Int32,
    })
}

pub(super) fn subtract(call: &Call<'_>) -> Result<ArrayRef> {
    let side = |at: usize, to: i64| -> Result<Int64Array> {
        let (values, per_second) = ticks(&call.array(at)?)?;
        rescale(&values, per_second, to)
    };
    if let ColumnType::Decimal(precision, scale) = call.ty.inner() {
        let to = 10_i64.pow(u32::from(*scale));
        let differences: arrow::array::Decimal128Array =
            arrow::compute::binary(&side(0, to)?, &side(1, to)?, |a: i64, b: i64| {
                i128::from(a) - i128::from(b)
            })?;
        return Ok(Arc::new(differences.with_precision_and_scale(*precision, *scale as i8)?));
    }
    let seconds: Int64Array = arrow::compute::binary(&side(0, 1)?, &side(1, 1)?, |a: i64, b: i64| a - b)?;
    let both_dates = call.base(0) == ColumnType::Date && call.base(1) == ColumnType::Date;
    let unit = if both_dates { DAY } else { 1 };
    Ok(cast(&seconds.unary::<_, Int64Type>(|seconds| seconds / unit), &DataType::Int32)?)
}

/// Numbers are no times.
pub(super) fn difference_type(args: &Arguments<'_>) -> Result<ColumnType> {
    for side in [args.base(1), args.base(2)] {
        if side.is_number() || side == ColumnType::Bool {
            let message =
                format!("Illegal type {side} of argument of function dateDiff: expected a date or a time");
            return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
        }
    }
    Ok(ColumnType::Int64)
}

/// `dateDiff('unit', from, to[, zone])`: unit borders crossed.
pub(super) fn difference(call: &Call<'_>) -> Result<ArrayRef> {
    let unit = call.literal_text(0).unwrap_or_default().to_owned();
    let width = add_unit(Some(&unit))?;
    let side = |at: usize| -> Result<(Int64Array, Zone)> {
        let zone = match call.literal_text(3) {
            Some(name) => Some(Arc::from(name)),
            None => unit_and_zone(&call.base(at)).and_then(|(_, zone)| zone),
        };
        let exact = ColumnType::DateTime64(9, zone.clone());
        let array = convert(&call.array(at)?, &call.base(at), &exact, OnFault::Error)?;
        Ok((ticks(&array)?.0, Zone::named(zone.as_deref())?))
    };
    let ((from, mut from_zone), (to, mut to_zone)) = (side(1)?, side(2)?);
    let index = |nanos: i64, zone: &mut Zone| unit_index(nanos, width, zone);
    let differences: Int64Array = from
        .iter()
        .zip(&to)
        .map(|(from, to)| Some(index(to?, &mut to_zone) - index(from?, &mut from_zone)))
        .collect();
    Ok(Arc::new(differences))
}

/// The number of the unit that a moment lies in.
fn unit_index(nanos: i64, width: Width, zone: &mut Zone) -> i64 {
    let utc = nanos.div_euclid(1_000_000_000);
    match width {
        Width::Nanos(step) if step < 60_000_000_000 => nanos.div_euclid(step),
        // An hour that the clock shows twice, or not at all, has passed or not all the same: only what an offset has
        // beside whole units moves the borders.
        Width::Nanos(step) => {
            let step = step / 1_000_000_000;
            (utc + zone.offset(utc).rem_euclid(step)).div_euclid(step)
        }
        _ => {
            let day = zone.local(utc).div_euclid(DAY);
            let (year, month, _) = civil_of(day);
            match width {
                Width::Weeks(_) => (day + 3).div_euclid(7),
                Width::Months(months) => (year * 12 + month - 1).div_euclid(months),
                Width::Years(_) => year,
                _ => day,
            }
        }
    }
}
