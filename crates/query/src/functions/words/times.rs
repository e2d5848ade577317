//! Parts of times that are made, counted or numbered.

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use datafusion::common::Result;
use std::sync::Arc;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use crate::functions::bucket::Width;
use crate::functions::calendar::{DAY, Zone, add_months, civil_of, days_of, month_days, weekday};
use crate::functions::convert::{OnFault, convert};
use crate::functions::scalar::{Call, fault, int_of};
use crate::functions::timestamps::{from_ticks, ticks, unit_and_zone, zone_of};

/// `makeDateTime(…)`: 1970 for parts that no calendar has.
pub(crate) fn made(call: &Call<'_>) -> Result<ArrayRef> {
    let parts: Result<Vec<Int64Array>> = (0..6).map(|i| call.ints(i)).collect();
    let parts = parts?;
    let Some((unit, zone_name)) = unit_and_zone(call.ty) else {
        return Err(fault(ErrorCode::LogicalError, "makeDateTime gives a time"));
    };
    let mut zone = Zone::named(zone_name.as_deref())?;
    let times: Int64Array = (0..call.rows)
        .map(|row| {
            let [year, month, day, hour, minute, second]: [i64; 6] =
                std::array::from_fn(|i| parts[i].value(row));
            let fits = (1970..=2106).contains(&year)
                && (1..=12).contains(&month)
                && (1..=month_days(year, month)).contains(&day)
                && (0..24).contains(&hour)
                && (0..60).contains(&minute)
                && (0..60).contains(&second);
            let local = || days_of(year, month, day) * DAY + hour * 3_600 + minute * 60 + second;
            Some(if fits { zone.utc(local()).clamp(0, i64::from(u32::MAX)) } else { 0 })
        })
        .collect();
    Ok(from_ticks(times, unit, zone_name))
}

/// `age('unit', from, to[, zone])`: whole units, towards zero.
pub(crate) fn age(call: &Call<'_>) -> Result<ArrayRef> {
    let width = call.literal_text(0).and_then(|word| Width::of_word(word, 1));
    let Some(width) = width else { return Err(fault(ErrorCode::BadArguments, "Unknown unit of time")) };
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
    let local = |nanos: i64, zone: &mut Zone| {
        let (seconds, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
        i128::from(zone.local(seconds)) * 1_000_000_000 + i128::from(rest)
    };
    let ages: Int64Array = from
        .iter()
        .zip(&to)
        .map(|(from, to)| {
            let (from, to) = (from?, to?);
            let step = match width {
                Width::Nanos(step) => return Some((to - from) / step),
                Width::Days(days) => days,
                Width::Weeks(weeks) => weeks * 7,
                Width::Months(months) => {
                    return Some(
                        months_between(local(from, &mut from_zone), local(to, &mut to_zone)) / months,
                    );
                }
                Width::Years(years) => {
                    let months = months_between(local(from, &mut from_zone), local(to, &mut to_zone));
                    return Some(months / (12 * years));
                }
            };
            let days =
                (local(to, &mut to_zone) - local(from, &mut from_zone)) / (i128::from(DAY) * 1_000_000_000);
            Some(days as i64 / step)
        })
        .collect();
    Ok(Arc::new(ages))
}

/// Whole months between two local moments in nanoseconds, towards zero.
fn months_between(from: i128, to: i128) -> i64 {
    if to < from {
        return -months_between(to, from);
    }
    let day_nanos = i128::from(DAY) * 1_000_000_000;
    let day = |at: i128| at.div_euclid(day_nanos) as i64;
    let ((y1, m1, _), (y2, m2, _)) = (civil_of(day(from)), civil_of(day(to)));
    let months = (y2 - y1) * 12 + m2 - m1;
    let moved = i128::from(add_months(day(from), months)) * day_nanos + from.rem_euclid(day_nanos);
    let full = i128::from(i64::from(moved > to));
    months - full as i64
}

/// Year and number of the week by one of MySQL's modes, which ClickHouse has too.
pub(crate) fn week_of(day: i64, mode: i64) -> (i64, i64) {
    let monday_first = mode & 1 != 0;
    let mut week_year = mode & 2 != 0;
    // Without Monday in front the bit means the opposite.
    let first_weekday = (mode & 4 != 0) == monday_first;
    if mode & 8 != 0 {
        return week_with_first_day(day, monday_first);
    }
    let week_day = |day: i64| if monday_first { weekday(day) - 1 } else { weekday(day) % 7 };
    let (mut year, month, date) = civil_of(day);
    let mut first = days_of(year, 1, 1);
    let mut first_day = week_day(first);
    let starts_late = |first_day: i64| if first_weekday { first_day != 0 } else { first_day >= 4 };
    if month == 1 && date <= 7 - first_day {
        if !week_year && starts_late(first_day) {
            return (year, 0);
        }
        week_year = true;
        year -= 1;
        let days = days_of(year + 1, 1, 1) - days_of(year, 1, 1);
        first -= days;
        first_day = (first_day + 53 * 7 - days).rem_euclid(7);
    }
    let days = match starts_late(first_day) {
        true => day - (first + 7 - first_day),
        false => day - (first - first_day),
    };
    if week_year && days >= 52 * 7 {
        let length = days_of(year + 1, 1, 1) - days_of(year, 1, 1);
        let next = (first_day + length).rem_euclid(7);
        if !starts_late(next) {
            return (year + 1, 1);
        }
    }
    (year, days / 7 + 1)
}

/// Modes 8 and 9: the week with the first of January is the first one.
fn week_with_first_day(day: i64, monday_first: bool) -> (i64, i64) {
    let week_day = |day: i64| if monday_first { weekday(day) - 1 } else { weekday(day) % 7 };
    let week_start = |day: i64| day - week_day(day);
    let (year, _, _) = civil_of(day);
    if week_start(day) == week_start(days_of(year + 1, 1, 1)) {
        return (year + 1, 1);
    }
    (year, (week_start(day) - week_start(days_of(year, 1, 1))) / 7 + 1)
}

/// The mode of `toWeek` and `toYearWeek`.
pub(crate) fn week_mode(call: &Call<'_>) -> i64 {
    let mode = call.literal(1).and_then(int_of).unwrap_or(0);
    mode & 15
}

/// `toYearWeek(ts[, mode])`: a week that belongs to the year before is counted there.
pub(crate) fn year_week(call: &Call<'_>) -> Result<ArrayRef> {
    let mode = week_mode(call) | 2;
    let (values, per_second) = ticks(&call.array(0)?)?;
    let mut zone = match call.constant_text(2)? {
        Some(name) => Zone::named(Some(name))?,
        None => zone_of(&call.base(0))?,
    };
    let weeks = values.iter().map(|tick| {
        let day = zone.local(tick?.div_euclid(per_second)).div_euclid(DAY);
        let (year, week) = week_of(day, mode);
        u32::try_from(year * 100 + week).ok()
    });
    Ok(Arc::new(weeks.collect::<UInt32Array>()))
}
