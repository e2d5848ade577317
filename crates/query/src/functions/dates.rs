//! Parts of dates and times, their arithmetic, differences and text forms.

mod pattern;
mod shift;
mod unix;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use zepto_common::ErrorCode;
use zepto_common::types::{ColumnType, ticks_per_second};

use super::bucket::days_in;
use super::calendar::{DAY, Zone, civil_of, days_of, parse_best_effort, weekday};
use super::casts::{best_effort_type, named_zone};
use super::convert::{OnFault, parse_times};
use super::scalar::{Arguments, Call, Scalar, fault, int_of};
use super::timestamps::{from_days, from_ticks, rescale, ticks, unit_and_zone};
use super::{Plan, Row, row};
use pattern::format;
use shift::{add, add_type, difference, difference_type, subtract, subtract_type};
use unix::{from_unix, unix};

fn zone_for(call: &Call<'_>, at: usize) -> Result<Zone> {
    match call.constant_text(at)? {
        Some(name) => Zone::named(Some(name)),
        None => super::timestamps::zone_of(&call.base(0)),
    }
}

/// Days since 1970 in the zone that argument `at` names, else in the time's own.
fn days_by(call: &Call<'_>, at: usize) -> Result<Int64Array> {
    let zone = match call.constant_text(at)? {
        Some(name) => Some(Arc::from(name)),
        None => unit_and_zone(&call.base(0)).and_then(|(_, zone)| zone),
    };
    days_in(call, zone.as_deref())
}

/// A part of the local date.
fn day_part(call: &Call<'_>, part: fn(i64) -> i64) -> Result<ArrayRef> {
    Ok(cast(&days_by(call, 1)?.unary::<_, Int64Type>(part), &call.ty.query_type())?)
}

/// `toDayOfWeek(ts[, mode[, zone]])`: from Monday or, by the mode's second bit, Sunday; from 1 or, by its lower bits, 0.
fn day_of_week(call: &Call<'_>) -> Result<ArrayRef> {
    call.constant_text(1)?;
    let mode = call.literal(1).and_then(int_of).unwrap_or(0) & 3;
    let days = days_by(call, 2)?.unary::<_, Int64Type>(|day| match mode {
        0 => weekday(day),
        1 => weekday(day) - 1,
        2 => weekday(day) % 7,
        _ => weekday(day) % 7 + 1,
    });
    Ok(cast(&days, &call.ty.query_type())?)
}

/// A mode of weeks is a UInt8.
fn week_type(args: &Arguments<'_>, ty: ColumnType) -> Result<ColumnType> {
    match args.base(1) {
        ColumnType::UInt8 | ColumnType::Nothing => Ok(ty),
        other => {
            let message = format!("Illegal type {other} of the mode of weeks: it must be UInt8");
            Err(fault(ErrorCode::IllegalTypeOfArgument, message))
        }
    }
}

/// A part of the local time of day, from its seconds.
fn clock_part(call: &Call<'_>, part: fn(i64) -> i64) -> Result<ArrayRef> {
    let (values, per_second) = ticks(&call.array(0)?)?;
    let mut zone = zone_for(call, 1)?;
    let parts: Int64Array = values
        .iter()
        .map(|tick| tick.map(|tick| part(zone.local(tick.div_euclid(per_second)).rem_euclid(DAY))))
        .collect();
    Ok(cast(&parts, &call.ty.query_type())?)
}

macro_rules! day {
    ($ty:ident, $part:expr) => {
        Plan::Scalar(Scalar::pure((1, 2), |_| Ok(ColumnType::$ty), |call| day_part(call, $part)))
    };
}

macro_rules! clock {
    ($part:expr) => {
        Plan::Scalar(Scalar::pure((1, 2), |_| Ok(ColumnType::UInt8), |call| clock_part(call, $part)))
    };
}

fn iso_week(day: i64) -> i64 {
    let thursday = day - (weekday(day) - 1) + 3;
    (thursday - days_of(civil_of(thursday).0, 1, 1)) / 7 + 1
}

fn iso_year(day: i64) -> i64 {
    civil_of(day - (weekday(day) - 1) + 3).0
}

/// `toWeek(ts[, mode])`.
fn week(call: &Call<'_>) -> Result<ArrayRef> {
    let mode = super::words::week_mode(call);
    let weeks = days_by(call, 2)?.unary::<_, Int64Type>(|day| super::words::week_of(day, mode).1);
    Ok(cast(&weeks, &call.ty.query_type())?)
}

fn fraction(call: &Call<'_>, per: i64, ty: &DataType) -> Result<ArrayRef> {
    let (values, per_second) = ticks(&call.array(0)?)?;
    let parts = values.unary::<_, Int64Type>(|tick| {
        (i128::from(tick.rem_euclid(per_second)) * i128::from(per) / i128::from(per_second)) as i64
    });
    Ok(cast(&parts, ty)?)
}

macro_rules! from_unix {
    ($digits:expr) => {
        Plan::Scalar(Scalar::pure(
            (1, 2),
            |args| Ok(ColumnType::DateTime64($digits, named_zone(args, 1)?)),
            |call| from_unix(call, $digits),
        ))
    };
}

/// Today in UTC or the named zone, plus `offset` days.
fn today(call: &Call<'_>, offset: i64) -> Result<ArrayRef> {
    let mut zone = Zone::named(call.literal_text(0))?;
    let now = zepto_common::clock::wall_nanos().div_euclid(1_000_000_000);
    from_days(&Int64Array::from(vec![zone.local(now).div_euclid(DAY) + offset; call.rows]))
}

fn best_effort(call: &Call<'_>, on_fault: OnFault) -> Result<ArrayRef> {
    let Some((unit, zone)) = unit_and_zone(call.ty) else {
        return Err(fault(ErrorCode::LogicalError, "A parsed time is a time"));
    };
    let zone_at = if matches!(call.ty.inner(), ColumnType::DateTime(_)) { 1 } else { 2 };
    let spoken = call.constant_text(zone_at)?.map(str::to_owned);
    let texts = call.texts(0)?;
    let ticks = parse_times(&texts, ticks_per_second(unit), spoken.as_deref(), on_fault, parse_best_effort)?;
    Ok(from_ticks(ticks, unit, zone))
}

macro_rules! best_effort {
    ($on_fault:expr) => {
        Plan::Scalar(Scalar::pure(
            (1, 3),
            |args| {
                let ty = best_effort_type(args)?;
                Ok(if $on_fault == OnFault::Null { ty.nullable() } else { ty })
            },
            |call| best_effort(call, $on_fault),
        ))
    };
    (fine $on_fault:expr) => {
        Plan::Scalar(Scalar::pure(
            (1, 3),
            |args| {
                let digits = args.int(1).unwrap_or(3).clamp(0, 9) as u8;
                let ty = ColumnType::DateTime64(digits, named_zone(args, 2)?);
                Ok(if $on_fault == OnFault::Null { ty.nullable() } else { ty })
            },
            |call| best_effort(call, $on_fault),
        ))
    };
}

fn make_date(call: &Call<'_>) -> Result<ArrayRef> {
    let (years, months, days) = (call.ints(0)?, call.ints(1)?, call.ints(2)?);
    let made: Int64Array = (0..call.rows)
        .map(|row| {
            let (year, month, day) = (years.value(row), months.value(row), days.value(row));
            // A day behind a short month's end is one of the next month.
            let fits = (1970..=2149).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
            let made = || days_of(year, month, 1) + day - 1;
            Some(if fits { made() } else { 0 })
        })
        .collect();
    from_days(&made)
}

fn in_zone(call: &Call<'_>) -> Result<ArrayRef> {
    let (values, per_second) = ticks(&call.array(0)?)?;
    let Some((unit, zone)) = unit_and_zone(call.ty) else {
        return Err(fault(ErrorCode::LogicalError, "A time in a zone is a time"));
    };
    Ok(from_ticks(rescale(&values, per_second, ticks_per_second(unit))?, unit, zone))
}

fn in_zone_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let zone = named_zone(args, 1)?;
    if let Some(name) = &zone {
        Zone::named(Some(name))?;
    }
    match args.base(0) {
        ColumnType::DateTime64(digits, _) => Ok(ColumnType::DateTime64(digits, zone)),
        ColumnType::DateTime(_) => Ok(ColumnType::DateTime(zone)),
        other => Err(fault(ErrorCode::IllegalTypeOfArgument, format!("{other} has no time zone"))),
    }
}

fn zone_of_type(call: &Call<'_>) -> Result<ArrayRef> {
    let name = zone_for(call, 1)?.name();
    ScalarValue::Utf8View(Some(name)).to_array_of_size(call.rows)
}

/// Date and time functions.
pub(crate) const ROWS: &[Row] = &[
    row("toYear", &["YEAR"], "toYear(ts[, zone])", "The year.", day!(UInt16, |day| civil_of(day).0)),
    row("toQuarter", &["QUARTER"], "toQuarter(ts)", "1 to 4.", day!(UInt8, |day| (civil_of(day).1 + 2) / 3)),
    row("toMonth", &["MONTH"], "toMonth(ts)", "1 to 12.", day!(UInt8, |day| civil_of(day).1)),
    row(
        "toDayOfMonth",
        &["DAY", "DAYOFMONTH"],
        "toDayOfMonth(ts)",
        "1 to 31.",
        day!(UInt8, |day| civil_of(day).2),
    ),
    row(
        "toDayOfYear",
        &["DAYOFYEAR"],
        "toDayOfYear(ts)",
        "1 to 366.",
        day!(UInt16, |day| day - days_of(civil_of(day).0, 1, 1) + 1),
    ),
    row(
        "toDayOfWeek",
        &["DAYOFWEEK"],
        "toDayOfWeek(ts[, mode[, zone]])",
        "1 (Monday) to 7; by the mode from 0 or from Sunday.",
        Plan::Scalar(Scalar::pure((1, 3), |args| week_type(args, ColumnType::UInt8), day_of_week)),
    ),
    row("toISOWeek", &[], "toISOWeek(ts)", "Week of the year by ISO 8601.", day!(UInt8, iso_week)),
    row("toISOYear", &[], "toISOYear(ts)", "Year of the ISO week.", day!(UInt16, iso_year)),
    row(
        "toWeek",
        &[],
        "toWeek(ts[, mode[, zone]])",
        "Week of the year; mode 0 counts Sundays, mode 3 is ISO 8601.",
        Plan::Scalar(Scalar::pure((1, 3), |args| week_type(args, ColumnType::UInt8), week)),
    ),
    row("toHour", &["HOUR"], "toHour(ts)", "0 to 23.", clock!(|clock| clock / 3_600)),
    row("toMinute", &["MINUTE"], "toMinute(ts)", "0 to 59.", clock!(|clock| clock / 60 % 60)),
    row("toSecond", &["SECOND"], "toSecond(ts)", "0 to 59.", clock!(|clock| clock % 60)),
    row(
        "toMillisecond",
        &["MILLISECOND"],
        "toMillisecond(ts)",
        "0 to 999.",
        Plan::Scalar(Scalar::pure(
            (1, 1),
            |_| Ok(ColumnType::UInt16),
            |call| fraction(call, 1_000, &DataType::UInt16),
        )),
    ),
    row(
        "toYYYYMM",
        &[],
        "toYYYYMM(ts)",
        "The month as a number like 202401.",
        day!(UInt32, |day| {
            let (y, m, _) = civil_of(day);
            y * 100 + m
        }),
    ),
    row(
        "toYYYYMMDD",
        &[],
        "toYYYYMMDD(ts)",
        "The day as a number like 20240102.",
        day!(UInt32, |day| {
            let (y, m, d) = civil_of(day);
            y * 10_000 + m * 100 + d
        }),
    ),
    row(
        "toLastDayOfMonth",
        &["LAST_DAY"],
        "toLastDayOfMonth(ts)",
        "The month's last day.",
        Plan::Scalar(Scalar::pure(
            (1, 2),
            |_| Ok(ColumnType::Date),
            |call| {
                from_days(&days_by(call, 1)?.unary::<_, Int64Type>(|day| {
                    let (y, m, _) = civil_of(day);
                    days_of(y, m, super::calendar::month_days(y, m))
                }))
            },
        )),
    ),
    row(
        "toUnixTimestamp",
        &[],
        "toUnixTimestamp(ts)",
        "Seconds since 1970.",
        Plan::Scalar(Scalar::pure((1, 2), |_| Ok(ColumnType::UInt32), |call| unix(call, 1))),
    ),
    row(
        "toUnixTimestamp64Second",
        &[],
        "toUnixTimestamp64Second(ts)",
        "Seconds since 1970.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::Int64), |call| unix(call, 1))),
    ),
    row(
        "toUnixTimestamp64Milli",
        &[],
        "toUnixTimestamp64Milli(ts)",
        "Milliseconds since 1970.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::Int64), |call| unix(call, 1_000))),
    ),
    row(
        "toUnixTimestamp64Micro",
        &[],
        "toUnixTimestamp64Micro(ts)",
        "Microseconds since 1970.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::Int64), |call| unix(call, 1_000_000))),
    ),
    row(
        "toUnixTimestamp64Nano",
        &[],
        "toUnixTimestamp64Nano(ts)",
        "Nanoseconds since 1970.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::Int64), |call| unix(call, 1_000_000_000))),
    ),
    row(
        "fromUnixTimestamp64Second",
        &[],
        "fromUnixTimestamp64Second(n[, zone])",
        "A time from seconds since 1970.",
        from_unix!(0),
    ),
    row(
        "fromUnixTimestamp64Milli",
        &[],
        "fromUnixTimestamp64Milli(n[, zone])",
        "A time from milliseconds since 1970.",
        from_unix!(3),
    ),
    row(
        "fromUnixTimestamp64Micro",
        &[],
        "fromUnixTimestamp64Micro(n[, zone])",
        "A time from microseconds since 1970.",
        from_unix!(6),
    ),
    row(
        "fromUnixTimestamp64Nano",
        &[],
        "fromUnixTimestamp64Nano(n[, zone])",
        "A time from nanoseconds since 1970.",
        from_unix!(9),
    ),
    row(
        "fromUnixTimestamp",
        &["FROM_UNIXTIME"],
        "fromUnixTimestamp(n[, format[, zone]])",
        "A DateTime from seconds since 1970; with a format a text.",
        Plan::Ast(super::rewrites::from_unix_timestamp),
    ),
    row(
        "__from_unix",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::DateTime(None)), |call| from_unix(call, 0))),
    ),
    row("__add_interval", &[], "", "", Plan::Scalar(Scalar::pure((3, 3), add_type, add))),
    row("__time_difference", &[], "", "", Plan::Scalar(Scalar::pure((2, 2), subtract_type, subtract))),
    row(
        "dateDiff",
        &["date_diff", "DATE_DIFF", "timestampDiff", "TIMESTAMP_DIFF"],
        "dateDiff('unit', from, to)",
        "Borders of the unit between two times.",
        Plan::Ast(super::rewrites::date_difference),
    ),
    row("__date_diff", &[], "", "", Plan::Scalar(Scalar::pure((3, 4), difference_type, difference))),
    row(
        "now",
        &["current_timestamp", "NOW"],
        "now()",
        "The time when the statement began, in seconds.",
        Plan::Ast(super::rewrites::now),
    ),
    row(
        "now64",
        &[],
        "now64([digits])",
        "The time when the statement began, in 10^-digits seconds.",
        Plan::Ast(super::rewrites::now64),
    ),
    row(
        "today",
        &["current_date", "curdate"],
        "today()",
        "The date when the statement began.",
        Plan::Scalar(Scalar::pure((0, 1), |_| Ok(ColumnType::Date), |call| today(call, 0)).stable()),
    ),
    row(
        "yesterday",
        &[],
        "yesterday()",
        "The day before today.",
        Plan::Scalar(Scalar::pure((0, 1), |_| Ok(ColumnType::Date), |call| today(call, -1)).stable()),
    ),
    row(
        "formatDateTime",
        &["DATE_FORMAT"],
        "formatDateTime(ts, pattern[, zone])",
        "The time by a pattern of %Y %m %d %H %i %S and the like.",
        Plan::Scalar(Scalar::pure((2, 3), |_| Ok(ColumnType::String), format)),
    ),
    row(
        "parseDateTimeBestEffort",
        &[],
        "parseDateTimeBestEffort(text[, zone])",
        "Reads a time in one of many forms.",
        best_effort!(OnFault::Error),
    ),
    row(
        "parseDateTimeBestEffortOrNull",
        &[],
        "parseDateTimeBestEffortOrNull(text)",
        "The same, NULL when it cannot be read.",
        best_effort!(OnFault::Null),
    ),
    row(
        "parseDateTimeBestEffortOrZero",
        &[],
        "parseDateTimeBestEffortOrZero(text)",
        "The same, 1970-01-01 when it cannot be read.",
        best_effort!(OnFault::Zero),
    ),
    row(
        "parseDateTime64BestEffort",
        &[],
        "parseDateTime64BestEffort(text[, digits[, zone]])",
        "The same with a fraction of a second.",
        best_effort!(fine OnFault::Error),
    ),
    row(
        "parseDateTime64BestEffortOrNull",
        &[],
        "parseDateTime64BestEffortOrNull(text[, digits])",
        "The same, NULL when it cannot be read.",
        best_effort!(fine OnFault::Null),
    ),
    row(
        "makeDate",
        &["MAKEDATE"],
        "makeDate(year, month, day)",
        "A date from its parts.",
        Plan::Scalar(Scalar::pure((3, 3), |_| Ok(ColumnType::Date), make_date)),
    ),
    row(
        "toTimeZone",
        &["toTimezone"],
        "toTimeZone(ts, zone)",
        "The same moment shown in another zone.",
        Plan::Scalar(Scalar::pure((2, 2), in_zone_type, in_zone)),
    ),
    row(
        "timeZoneOf",
        &["timezoneOf"],
        "timeZoneOf(ts)",
        "The zone that a time is shown in.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::String), zone_of_type)),
    ),
];
