//! Time buckets: `xbar`, `time_bucket`, `toStartOf…`, `date_trunc`.
//!
//! Buckets of seconds to hours are counted in local time from 1970-01-01, days from 1970-01-01, weeks from a
//! Monday, months and years by the calendar.

mod width;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{Float64Type, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::calendar::{DAY, Zone, weekday};
use super::scalar::{Arguments, Call, Scalar, fault};
use super::timestamps::{from_days, from_ticks, rescale, ticks, unit_and_zone};
use super::{Plan, Row, row};
use width::SECOND;
pub(crate) use width::Width;

/// Nanoseconds of the widest bucket that no change of a clock cuts.
const HOUR: i64 = 3_600 * SECOND;

/// The starts of the buckets, in ticks of `per_second`.
pub(crate) fn floor(
    ticks: &Int64Array,
    per_second: i64,
    width: Width,
    zone: &mut Zone,
) -> Result<Int64Array> {
    let tick_nanos = SECOND / per_second;
    if let Width::Nanos(nanos) = width {
        if nanos < tick_nanos {
            return Ok(ticks.clone());
        }
        if nanos % tick_nanos != 0 {
            return Err(fault(ErrorCode::BadArguments, "The bucket is no multiple of the time's resolution"));
        }
        let step = nanos / tick_nanos;
        if zone.is_utc() || nanos <= 60 * SECOND {
            return try_map(ticks, |tick| tick.checked_sub(tick.rem_euclid(step)).ok_or_else(too_early));
        }
        return try_map(ticks, |tick| {
            let offset = zone.offset(tick.div_euclid(per_second)) * per_second;
            let local = tick.checked_add(offset).ok_or_else(too_early)?;
            let start = local.checked_sub(local.rem_euclid(step)).and_then(|start| start.checked_sub(offset));
            let start = start.ok_or_else(too_early)?;
            match nanos > HOUR && zone.changes(start.div_euclid(per_second)) {
                true => Ok(zone.first(local.div_euclid(step) * step / per_second) * per_second),
                false => Ok(start),
            }
        });
    }
    try_map(ticks, |tick| {
        let day = zone.local(tick.div_euclid(per_second)).div_euclid(DAY);
        zone.utc(width.floor_day(day) * DAY).checked_mul(per_second).ok_or_else(too_early)
    })
}

fn too_early() -> DataFusionError {
    fault(ErrorCode::ValueIsOutOfRange, "The bucket begins outside the range of DateTime64(9): 1677 to 2262")
}

fn try_map(values: &Int64Array, mut body: impl FnMut(i64) -> Result<i64>) -> Result<Int64Array> {
    values.iter().map(|value| value.map(&mut body).transpose()).collect()
}

fn map(values: &Int64Array, mut body: impl FnMut(i64) -> i64) -> Int64Array {
    values.iter().map(|value| value.map(&mut body)).collect()
}

/// A bucket function's width: fixed by the name, or the second argument.
fn width_of_literal(value: Option<&ScalarValue>) -> Result<Width> {
    let bad = || {
        let zero = value.and_then(|value| value.try_as_str().flatten()).is_some();
        let code = if zero { ErrorCode::ArgumentOutOfBound } else { ErrorCode::IllegalTypeOfArgument };
        fault(code, "The bucket's width must be a constant INTERVAL greater than zero")
    };
    value.and_then(Width::of_interval).ok_or_else(bad)
}

fn zone_name(call: &Call<'_>, at: usize) -> Result<Option<Arc<str>>> {
    Ok(match call.constant_text(at)? {
        Some(zone) => Some(Arc::from(zone)),
        None => unit_and_zone(&call.base(0)).and_then(|(_, zone)| zone),
    })
}

fn arg_zone(args: &Arguments<'_>, at: usize) -> Option<Arc<str>> {
    match args.text(at) {
        Some(zone) => Some(Arc::from(zone)),
        None => unit_and_zone(&args.base(0)).and_then(|(_, zone)| zone),
    }
}

/// ClickHouse's result type of a bucket: Date for weeks and more, DateTime from a second on, else DateTime64.
fn bucket_type(args: &Arguments<'_>, width: Width, zone_at: usize) -> Result<ColumnType> {
    let base = args.base(0);
    // A date has no parts of a day.
    let is_fine = base == ColumnType::Date && matches!(width, Width::Nanos(_));
    if is_fine || unit_and_zone(&base).is_none() {
        let message = format!("Illegal type {base} of argument: expected Date, DateTime or DateTime64");
        return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
    }
    let zone = arg_zone(args, zone_at);
    Ok(match width {
        _ if width.is_date() => ColumnType::Date,
        Width::Nanos(nanos) if nanos < 1_000 => ColumnType::DateTime64(9, zone),
        Width::Nanos(nanos) if nanos < 1_000_000 => ColumnType::DateTime64(6, zone),
        Width::Nanos(nanos) if nanos < SECOND => ColumnType::DateTime64(3, zone),
        _ => ColumnType::DateTime(zone),
    })
}

fn run(call: &Call<'_>, width: Width, zone_at: usize) -> Result<ArrayRef> {
    let array = call.array(0)?;
    let (values, per_second) = ticks(&array)?;
    let zone_name = zone_name(call, zone_at)?;
    let mut zone = Zone::named(zone_name.as_deref())?;
    if matches!(call.ty.inner(), ColumnType::Date) {
        let days = if call.base(0) == ColumnType::Date {
            values.unary(|seconds| seconds.div_euclid(DAY))
        } else {
            super::convert::local_days(&values, per_second, &mut zone)
        };
        return from_days(&days.unary::<_, Int64Type>(|day| width.floor_day(day)));
    }
    let values = match call.base(0) {
        // A date begins when its day begins in the zone.
        ColumnType::Date => map(&values, |local| zone.utc(local)),
        _ => values,
    };
    let Some((unit, named)) = unit_and_zone(call.ty) else {
        return Err(fault(ErrorCode::LogicalError, "A bucket is a time"));
    };
    // A bucket is a multiple of the result's ticks. In these there is room for the starts of the first buckets that
    // nanoseconds reach into.
    let wanted = zepto_common::types::ticks_per_second(unit);
    let coarse = match width {
        Width::Nanos(nanos) if nanos % (SECOND / wanted) != 0 => per_second,
        _ => wanted.min(per_second),
    };
    let starts = floor(&rescale(&values, per_second, coarse)?, coarse, width, &mut zone)?;
    Ok(from_ticks(rescale(&starts, coarse, wanted)?, unit, named))
}

macro_rules! fixed {
    ($width:expr) => {
        Plan::Scalar(Scalar::pure((1, 2), |args| bucket_type(args, $width, 1), |call| run(call, $width, 1)))
    };
}

fn interval_type(args: &Arguments<'_>) -> Result<ColumnType> {
    bucket_type(args, width_of_literal(args.literals.get(1).copied().flatten())?, 2)
}

fn interval_run(call: &Call<'_>) -> Result<ArrayRef> {
    run(call, width_of_literal(call.literal(1))?, 2)
}

/// Seconds and parts of them keep a DateTime64's digits.
fn fine_type(args: &Arguments<'_>, width: Width) -> Result<ColumnType> {
    Ok(match (args.base(0), bucket_type(args, width, 1)?) {
        (ColumnType::DateTime64(own, _), ColumnType::DateTime64(digits, zone)) => {
            ColumnType::DateTime64(own.max(digits), zone)
        }
        (ColumnType::DateTime64(own, _), ColumnType::DateTime(zone)) => ColumnType::DateTime64(own, zone),
        (_, bucket) => bucket,
    })
}

macro_rules! fine {
    ($width:expr) => {
        Plan::Scalar(Scalar::pure((1, 2), |args| fine_type(args, $width), |call| run(call, $width, 1)))
    };
}

fn trunc_width(word: Option<&str>) -> Result<Width> {
    word.and_then(|word| Width::of_word(word, 1)).ok_or_else(|| {
        fault(ErrorCode::BadArguments, "The first argument must name a unit of time, as 'hour'")
    })
}

/// `date_trunc(unit, time)` has the time second; the rules read argument 0, so the arguments are turned round
/// before planning (see [`super::rewrites::truncate`]).
fn trunc_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let width = trunc_width(args.text(1))?;
    Ok(match bucket_type(args, width, 2)? {
        ColumnType::DateTime(zone) if matches!(args.base(0), ColumnType::DateTime64(..)) => {
            ColumnType::DateTime64(0, zone)
        }
        other => other,
    })
}

fn trunc_run(call: &Call<'_>) -> Result<ArrayRef> {
    run(call, trunc_width(call.literal_text(1))?, 2)
}

/// `xbar` keeps the type of what it rounds down.
fn xbar_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let base = args.base(0);
    if unit_and_zone(&base).is_some() || base.is_number() {
        return Ok(match (&base, args.base(1)) {
            (ColumnType::Date, _) => base,
            (ty, ColumnType::Float32 | ColumnType::Float64) if ty.is_number() => ColumnType::Float64,
            (ColumnType::Float32 | ColumnType::Decimal(..), _) => ColumnType::Float64,
            _ => base,
        });
    }
    Err(fault(ErrorCode::IllegalTypeOfArgument, format!("xbar rounds numbers and times, not {base}")))
}

fn xbar_run(call: &Call<'_>) -> Result<ArrayRef> {
    let base = call.base(0);
    let Some((unit, zone)) = unit_and_zone(&base) else {
        return xbar_numbers(call);
    };
    let width = match call.literal(1) {
        Some(value) if value.data_type().is_integer() => {
            Width::Nanos(super::scalar::int_of(value).unwrap_or(0))
        }
        value => width_of_literal(value)?,
    };
    let width = match width {
        Width::Nanos(nanos) if nanos <= 0 => {
            return Err(fault(ErrorCode::BadArguments, "The bucket's width must be greater than zero"));
        }
        Width::Nanos(nanos) if base == ColumnType::Date => Width::Days((nanos / (DAY * SECOND)).max(1)),
        width => width,
    };
    let array = call.array(0)?;
    let (values, per_second) = ticks(&array)?;
    let starts = floor(&values, per_second, width, &mut Zone::named(zone.as_deref())?)?;
    if base == ColumnType::Date {
        return from_days(&starts.unary(|seconds| seconds.div_euclid(DAY)));
    }
    Ok(from_ticks(starts, unit, zone))
}

fn xbar_numbers(call: &Call<'_>) -> Result<ArrayRef> {
    let zero = || fault(ErrorCode::BadArguments, "The bucket's width must be greater than zero");
    if matches!(call.ty.inner(), ColumnType::Float64) {
        let (values, widths) = (call.floats(0)?, call.floats(1)?);
        let floored = arrow::compute::binary::<_, _, _, Float64Type>(&values, &widths, |value, width| {
            (value / width).floor() * width
        })?;
        return Ok(Arc::new(floored));
    }
    let (values, widths) = (call.ints(0)?, call.ints(1)?);
    if widths.iter().flatten().any(|width| width <= 0) {
        return Err(zero());
    }
    let floored: Int64Array =
        arrow::compute::binary(&values, &widths, |value: i64, width: i64| value - value.rem_euclid(width))?;
    Ok(Arc::new(floored))
}

/// `date_bin(interval, time [, origin])`, turned round like `date_trunc`: (time, interval, origin).
fn bin_run(call: &Call<'_>) -> Result<ArrayRef> {
    if call.len() < 3 {
        return xbar_run(call);
    }
    let Width::Nanos(nanos) = (match width_of_literal(call.literal(1))? {
        Width::Days(days) => Width::Nanos(days * DAY * SECOND),
        Width::Weeks(weeks) => Width::Nanos(weeks * 7 * DAY * SECOND),
        other => other,
    }) else {
        return Err(fault(ErrorCode::NotImplemented, "date_bin with an origin takes widths up to weeks"));
    };
    let Some((unit, zone)) = unit_and_zone(&call.base(0)) else {
        return Err(fault(ErrorCode::IllegalTypeOfArgument, "date_bin rounds times"));
    };
    let (values, per_second) = ticks(&call.array(0)?)?;
    let origin = super::convert::convert(
        &call.array(2)?,
        &call.base(2),
        &ColumnType::DateTime64(9, zone.clone()),
        super::convert::OnFault::Error,
    )?;
    let (origins, _) = ticks(&origin)?;
    let step = (nanos / (SECOND / per_second)).max(1);
    let starts: Int64Array = arrow::compute::binary(&values, &origins, |tick: i64, origin: i64| {
        let origin = origin / (SECOND / per_second);
        origin + (tick - origin).div_euclid(step) * step
    })?;
    Ok(from_ticks(starts, unit, zone))
}

/// Mode 1, 3, 5 and 7 start weeks on Monday, the others on Sunday.
fn week_run(call: &Call<'_>) -> Result<ArrayRef> {
    call.constant_text(1)?;
    let mode = call.literal(1).and_then(super::scalar::int_of).unwrap_or(0);
    let zone_name = zone_name(call, 2)?;
    let days = days_in(call, zone_name.as_deref())?;
    let first = i64::from(mode % 2 == 1);
    from_days(&days.unary::<_, Int64Type>(|day| {
        if first == 1 { day - (weekday(day) - 1) } else { day - weekday(day) % 7 }
    }))
}

/// Argument 0 as days of the zone's calendar.
pub(crate) fn days_in(call: &Call<'_>, zone: Option<&str>) -> Result<Int64Array> {
    let array = call.array(0)?;
    let (values, per_second) = ticks(&array)?;
    if call.base(0) == ColumnType::Date {
        return Ok(values.unary(|seconds| seconds.div_euclid(DAY)));
    }
    Ok(super::convert::local_days(&values, per_second, &mut Zone::named(zone)?))
}

/// The bucket that a planned call of one of this module's functions rounds a time to, for operators that aggregate
/// per bucket: the width in nanoseconds when buckets are of equal length and counted from 1970 UTC. `zone` is the
/// column's; a literal may name another.
#[must_use]
pub fn uniform_width(function: &str, literals: &[Option<&ScalarValue>], zone: Option<&str>) -> Option<i64> {
    let literal = |at: usize| literals.get(at).copied().flatten();
    let zone = literals
        .iter()
        .skip(1)
        .flatten()
        .filter_map(|value| value.try_as_str().flatten())
        .find(|text| Zone::named(Some(text)).is_ok())
        .or(zone);
    let utc = matches!(zone, None | Some("UTC"));
    let width = match function {
        "toStartOfMillisecond" => Width::Nanos(1_000_000),
        "toStartOfSecond" => Width::Nanos(SECOND),
        "toStartOfMinute" => Width::Nanos(60 * SECOND),
        "toStartOfFiveMinutes" => Width::Nanos(300 * SECOND),
        "toStartOfTenMinutes" => Width::Nanos(600 * SECOND),
        "toStartOfFifteenMinutes" => Width::Nanos(900 * SECOND),
        "toStartOfHour" => Width::Nanos(3_600 * SECOND),
        "toStartOfDay" => Width::Days(1),
        "__date_trunc" => Width::of_word(literal(1)?.try_as_str().flatten()?, 1)?,
        // With an origin, buckets are counted from there.
        "__date_bin" if literals.len() > 2 => return None,
        "toStartOfInterval" | "xbar" | "__date_bin" => match literal(1)? {
            value if value.data_type().is_integer() => Width::Nanos(super::scalar::int_of(value)?),
            value => Width::of_interval(value)?,
        },
        _ => return None,
    };
    match width {
        Width::Nanos(nanos) if nanos > 0 && (utc || nanos <= 60 * SECOND) => Some(nanos),
        Width::Days(days) if utc && days > 0 => days.checked_mul(DAY * SECOND),
        _ => None,
    }
}

/// Bucket functions.
pub(crate) const ROWS: &[Row] = &[
    row(
        "xbar",
        &[],
        "xbar(x, width)",
        "Rounds a number or a time down to a multiple of the width; a number as a time's width is nanoseconds.",
        Plan::Scalar(Scalar::pure((2, 2), xbar_type, xbar_run)),
    ),
    row(
        "time_bucket",
        &[],
        "time_bucket(width, ts)",
        "xbar with the width first.",
        Plan::Sql("xbar($2, $1)"),
    ),
    row(
        "date_bin",
        &[],
        "date_bin(width, ts[, origin])",
        "Rounds a time down to a multiple of the width after the origin (1970 by default).",
        Plan::Ast(super::rewrites::bin),
    ),
    row("__date_bin", &[], "", "", Plan::Scalar(Scalar::pure((2, 3), xbar_type, bin_run))),
    row(
        "date_trunc",
        &["dateTrunc", "DATE_TRUNC"],
        "date_trunc('hour', ts[, zone])",
        "Start of the unit that the time lies in.",
        Plan::Ast(super::rewrites::truncate),
    ),
    row("__date_trunc", &[], "", "", Plan::Scalar(Scalar::pure((2, 3), trunc_type, trunc_run))),
    row(
        "toStartOfInterval",
        &[],
        "toStartOfInterval(ts, INTERVAL n unit[, zone])",
        "Start of the bucket that the time lies in.",
        Plan::Scalar(Scalar::pure((2, 3), interval_type, interval_run)),
    ),
    row(
        "toStartOfNanosecond",
        &[],
        "toStartOfNanosecond(ts)",
        "Rounds down to nanoseconds.",
        fixed!(Width::Nanos(1)),
    ),
    row(
        "toStartOfMicrosecond",
        &[],
        "toStartOfMicrosecond(ts)",
        "Rounds down to microseconds.",
        fine!(Width::Nanos(1_000)),
    ),
    row(
        "toStartOfMillisecond",
        &[],
        "toStartOfMillisecond(ts)",
        "Rounds down to milliseconds.",
        fine!(Width::Nanos(1_000_000)),
    ),
    row(
        "toStartOfSecond",
        &[],
        "toStartOfSecond(ts)",
        "Rounds down to seconds.",
        fine!(Width::Nanos(SECOND)),
    ),
    row(
        "toStartOfMinute",
        &[],
        "toStartOfMinute(ts)",
        "Rounds down to minutes.",
        fixed!(Width::Nanos(60 * SECOND)),
    ),
    row(
        "toStartOfFiveMinutes",
        &["toStartOfFiveMinute"],
        "toStartOfFiveMinutes(ts)",
        "Rounds down to five minutes.",
        fixed!(Width::Nanos(300 * SECOND)),
    ),
    row(
        "toStartOfTenMinutes",
        &[],
        "toStartOfTenMinutes(ts)",
        "Rounds down to ten minutes.",
        fixed!(Width::Nanos(600 * SECOND)),
    ),
    row(
        "toStartOfFifteenMinutes",
        &[],
        "toStartOfFifteenMinutes(ts)",
        "Rounds down to a quarter of an hour.",
        fixed!(Width::Nanos(900 * SECOND)),
    ),
    row(
        "toStartOfHour",
        &[],
        "toStartOfHour(ts)",
        "Rounds down to hours.",
        fixed!(Width::Nanos(3_600 * SECOND)),
    ),
    row(
        "toStartOfDay",
        &[],
        "toStartOfDay(ts)",
        "Rounds down to midnight.",
        Plan::Scalar(Scalar::pure(
            (1, 2),
            |args| Ok(ColumnType::DateTime(arg_zone(args, 1))),
            |call| run(call, Width::Days(1), 1),
        )),
    ),
    row(
        "toStartOfWeek",
        &[],
        "toStartOfWeek(ts[, mode[, zone]])",
        "Rounds down to Sunday, with mode 1 to Monday.",
        Plan::Scalar(Scalar::pure((1, 3), |_| Ok(ColumnType::Date), week_run)),
    ),
    row("toMonday", &[], "toMonday(ts)", "Rounds down to Monday.", fixed!(Width::Weeks(1))),
    row(
        "toStartOfMonth",
        &[],
        "toStartOfMonth(ts)",
        "Rounds down to the first of the month.",
        fixed!(Width::Months(1)),
    ),
    row(
        "toStartOfQuarter",
        &[],
        "toStartOfQuarter(ts)",
        "Rounds down to the first of the quarter.",
        fixed!(Width::Months(3)),
    ),
    row(
        "toStartOfYear",
        &[],
        "toStartOfYear(ts)",
        "Rounds down to the first of January.",
        fixed!(Width::Years(1)),
    ),
];
