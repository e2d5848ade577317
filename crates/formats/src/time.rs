//! Dates and times from and to text: the calendar, zones, and ClickHouse's text forms.

mod best;
mod write;

use std::cell::Cell;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use zepto_common::types::{ticks_per_second, unit_of};
use zepto_common::{Error, ErrorCode, Result};

use crate::number::digits;
use crate::settings::{FormatSettings, TimeOutput};

use write::Second;
pub(crate) use write::write_date;

const DAY: i64 = 86_400;
/// Numbers from here on (the year 2284 in seconds) are ticks of the column, as in ClickHouse.
const FIRST_TICKS: u64 = 9_908_870_400;

/// Days since 1970 of a date of the proleptic Gregorian calendar.
pub(crate) fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = i64::from((month + 9) % 12);
    let day_of_year = (153 * shifted + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date of a day since 1970.
#[inline]
pub(crate) fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    if let Ok(shifted) = u32::try_from(shifted) {
        return civil_from_shifted(shifted);
    }
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The date of a day since March of the year 0: half as many bits, half the time.
#[inline]
fn civil_from_shifted(shifted: u32) -> (i64, u32, u32) {
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (i64::from(year_of_era + era * 400 + u32::from(month <= 2)), month, day)
}

fn days_in_month(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// How a column keeps time: its precision, its ticks and its zone.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// Digits after the second that the type shows.
    pub(crate) precision: u8,
    /// Ticks of the stored number per second.
    pub(crate) ticks: i64,
    zone: Option<Tz>,
    output: TimeOutput,
    best_effort: bool,
    /// The second that was written last: times that stand together often share it.
    last: Cell<Second>,
}

impl Clock {
    /// The clock of a DateTime (precision 0) or DateTime64 with this zone.
    pub(crate) fn new(precision: u8, zone: Option<&str>, settings: &FormatSettings) -> Self {
        let zone = zone.and_then(|name| name.parse::<Tz>().ok()).or(settings.time_zone);
        Self {
            precision,
            ticks: ticks_per_second(unit_of(precision)),
            zone: zone.filter(|tz| *tz != Tz::UTC),
            output: settings.time_output,
            best_effort: settings.best_effort,
            last: Cell::default(),
        }
    }

    /// Seconds to add to UTC at this moment.
    fn offset_at(&self, seconds: i64) -> i64 {
        let Some(zone) = self.zone else { return 0 };
        let naive = DateTime::from_timestamp(seconds, 0).map(|t| t.naive_utc());
        naive.map_or(0, |naive| i64::from(zone.offset_from_utc_datetime(&naive).fix().local_minus_utc()))
    }

    /// UTC seconds of a wall clock reading: the earlier one when it occurs twice, moved forward when it is left out.
    fn utc_of_local(&self, local: i64) -> i64 {
        let Some(zone) = self.zone else { return local };
        let Some(naive) = DateTime::from_timestamp(local, 0).map(|t| t.naive_utc()) else { return local };
        local - offset_of_local(zone, &naive)
    }

    /// The stored number for seconds and nanoseconds; finer digits are cut off.
    pub(crate) fn stored(&self, seconds: i64, nanos: u32) -> Result<i64> {
        let cut = 10u32.pow(u32::from(9 - self.precision.min(9)));
        let nanos = i64::from(nanos / cut * cut);
        let fraction = nanos / (1_000_000_000 / self.ticks);
        // Over 128 bits: the earliest seconds of the range are reached from below with a positive fraction.
        let ticks = i128::from(seconds) * i128::from(self.ticks) + i128::from(fraction);
        i64::try_from(ticks).map_err(|_| out_of_range())
    }

    /// A bare number: seconds with their fraction, or ticks of the type when it is too big for seconds.
    pub(crate) fn of_number(&self, negative: bool, whole: u64, fraction: &[u8]) -> Result<i64> {
        if self.precision > 0 && whole >= FIRST_TICKS && fraction.is_empty() {
            let shown = i64::try_from(whole).map_err(|_| out_of_range())?;
            let per_tick = self.ticks / 10i64.pow(u32::from(self.precision));
            let value = shown.checked_mul(per_tick).ok_or_else(out_of_range)?;
            return Ok(if negative { -value } else { value });
        }
        let whole = i64::try_from(whole).map_err(|_| out_of_range())?;
        let value = self.stored(whole, nanos_of(fraction))?;
        Ok(if negative { -value } else { value })
    }

    /// The stored number of a text, which must be a time from its first to its last byte.
    pub(crate) fn parse(&self, text: &[u8]) -> Result<i64> {
        let parsed = match fixed(text) {
            Some((seconds, rest)) => self.after_seconds(seconds, rest, text),
            None => self.parse_other(text),
        };
        parsed.or_else(|error| self.parse_best(text).unwrap_or(Err(error)))
    }

    /// Other forms that `best_effort` reads; None for none of them.
    #[cold]
    fn parse_best(&self, text: &[u8]) -> Option<Result<i64>> {
        let (local, nanos, offset) = best::read(text).filter(|_| self.best_effort)?;
        let seconds = offset.map_or_else(|| self.utc_of_local(local), |offset| local - offset);
        Some(self.stored(seconds, nanos))
    }

    /// What follows `YYYY-MM-DD hh:mm:ss`: fraction and zone.
    fn after_seconds(&self, local: i64, rest: &[u8], text: &[u8]) -> Result<i64> {
        let (nanos, rest) = match rest {
            [b'.', fraction @ ..] => {
                let count = digits(fraction).count;
                (nanos_of(&fraction[..count]), &fraction[count..])
            }
            _ => (0, rest),
        };
        let seconds = if rest.is_empty() {
            self.utc_of_local(local)
        } else {
            local - zone_offset(rest).ok_or_else(|| no_time(text))?
        };
        self.stored(seconds, nanos)
    }

    fn parse_other(&self, text: &[u8]) -> Result<i64> {
        let (negative, body) = match text {
            [b'-', body @ ..] => (true, body),
            _ => (false, text),
        };
        let whole = digits(body);
        match body.get(whole.count) {
            None if whole.count > 0 => self.parse_digits(negative, body, text),
            Some(b'.') if whole.count > 4 => {
                let fraction = &body[whole.count + 1..];
                if digits(fraction).count < fraction.len() {
                    return Err(no_time(text));
                }
                if whole.count == 14 && self.best_effort && !negative {
                    return self.parse_best(text).unwrap_or_else(|| Err(no_time(text)));
                }
                if self.precision == 0 && self.best_effort {
                    let message = format!("A DateTime has no fraction: {}", crate::scan::excerpt(text));
                    return Err(Error::new(ErrorCode::CannotParseInputAssertionFailed, message));
                }
                self.of_number(negative, whole.value.ok_or_else(out_of_range)?, fraction)
            }
            _ if negative => Err(no_time(text)),
            _ => self.parse_loose(text),
        }
    }

    fn parse_digits(&self, negative: bool, body: &[u8], text: &[u8]) -> Result<i64> {
        let value = digits(body).value.ok_or_else(out_of_range)?;
        if !self.best_effort {
            return if body.len() < 5 && !negative {
                Err(no_time(text))
            } else {
                self.of_number(negative, value, b"")
            };
        }
        let split = |unit: u64| {
            let nanos = (value % unit) * (1_000_000_000 / unit);
            self.stored((value / unit) as i64, nanos as u32)
        };
        match body.len() {
            _ if negative => Err(no_time(text)),
            9 | 10 => split(1),
            13 => split(1_000),
            16 => split(1_000_000),
            19 => split(1_000_000_000),
            8 => self.compact(value * 1_000_000, text),
            14 => self.compact(value, text),
            _ => Err(no_time(text)),
        }
    }

    /// `YYYYMMDDhhmmss` as one number.
    fn compact(&self, value: u64, text: &[u8]) -> Result<i64> {
        let part = |unit: u64, size: u64| (value / unit % size) as u32;
        let days = date_days((value / 10_000_000_000) as i64, part(100_000_000, 100), part(1_000_000, 100));
        let seconds = day_seconds(part(10_000, 100), part(100, 100), part(1, 100));
        let (days, seconds) = days.zip(seconds).ok_or_else(|| no_time(text))?;
        self.stored(self.utc_of_local(days * DAY + seconds), 0)
    }

    /// One- or two-digit parts, `/` between date parts, missing seconds or time.
    fn parse_loose(&self, text: &[u8]) -> Result<i64> {
        let read = || -> Option<(i64, &[u8])> {
            let (days, mut rest) = loose_date(text)?;
            let mut seconds = 0;
            if let [b' ' | b'T', time @ ..] = rest {
                let (hour, after) = short(time)?;
                let (minute, after) = short(after.strip_prefix(b":")?)?;
                let (second, after) = match after.strip_prefix(b":") {
                    Some(after) => short(after)?,
                    None => (0, after),
                };
                seconds = day_seconds(hour, minute, second)?;
                rest = after;
            }
            Some((days * DAY + seconds, rest))
        };
        let (local, rest) = read().ok_or_else(|| no_time(text))?;
        self.after_seconds(local, rest, text)
    }

    /// The stored number in ticks of 10^-precision, ClickHouse's binary form.
    pub(crate) fn to_binary(&self, value: i64) -> i64 {
        value.div_euclid(self.ticks / 10i64.pow(u32::from(self.precision)))
    }

    /// The stored number of ClickHouse's binary form.
    pub(crate) fn of_binary(&self, value: i64) -> Result<i64> {
        value.checked_mul(self.binary_step()).ok_or_else(out_of_range)
    }

    /// Stored ticks of one step of ClickHouse's binary form.
    pub(crate) fn binary_step(&self) -> i64 {
        self.ticks / 10i64.pow(u32::from(self.precision))
    }
}

fn offset_of_local(zone: Tz, naive: &NaiveDateTime) -> i64 {
    let seconds = |offset: <Tz as TimeZone>::Offset| i64::from(offset.fix().local_minus_utc());
    match zone.offset_from_local_datetime(naive) {
        MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => seconds(offset),
        // Inside a gap: the offset that was in force before it.
        MappedLocalTime::None => {
            seconds(zone.offset_from_utc_datetime(&(*naive - chrono::Duration::days(1))))
        }
    }
}

#[cold]
pub(crate) fn out_of_range() -> Error {
    Error::new(ErrorCode::ValueIsOutOfRange, "Time is outside the range of the column's type")
}

#[cold]
fn no_time(text: &[u8]) -> Error {
    Error::new(
        ErrorCode::CannotParseDateTime,
        format!("Cannot parse DateTime: {}", crate::scan::excerpt(text)),
    )
}

/// Nanoseconds of the digits after a point; those past nine are cut off.
fn nanos_of(fraction: &[u8]) -> u32 {
    let shown = &fraction[..fraction.len().min(9)];
    let value = digits(shown).value.unwrap_or(0) as u32;
    value * 10u32.pow(9 - shown.len() as u32)
}

fn date_days(year: i64, month: u32, day: u32) -> Option<i64> {
    let valid = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    valid.then(|| days_from_civil(year, month, day))
}

/// Seconds of a time of day; a leap second counts as the next second.
fn day_seconds(hour: u32, minute: u32, second: u32) -> Option<i64> {
    let valid = hour < 24 && minute < 60 && second <= 60;
    valid.then(|| i64::from(hour * 3_600 + minute * 60 + second))
}

#[inline]
fn two(text: &[u8; 19], at: usize) -> u32 {
    u32::from(text[at].wrapping_sub(b'0')) * 10 + u32::from(text[at + 1].wrapping_sub(b'0'))
}

/// `YYYY-MM-DD hh:mm:ss` (or with T) at the start: local seconds and the rest.
#[inline]
fn fixed(text: &[u8]) -> Option<(i64, &[u8])> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let marks = head[4] == b'-' && head[7] == b'-' && head[13] == b':' && head[16] == b':';
    let figures =
        [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18].iter().all(|at| head[*at].is_ascii_digit());
    if !marks || !figures || !matches!(head[10], b' ' | b'T') {
        return None;
    }
    let days = date_days(i64::from(two(head, 0) * 100 + two(head, 2)), two(head, 5), two(head, 8))?;
    let seconds = day_seconds(two(head, 11), two(head, 14), two(head, 17))?;
    Some((days * DAY + seconds, rest))
}

/// A number of one or two digits.
fn short(text: &[u8]) -> Option<(u32, &[u8])> {
    let count = digits(text).count;
    let value = digits(&text[..count.min(2)]).value?;
    (1..=2).contains(&count).then(|| (value as u32, &text[count..]))
}

fn loose_date(text: &[u8]) -> Option<(i64, &[u8])> {
    let year = digits(text);
    let mark = *text.get(4)?;
    if year.count != 4 || !matches!(mark, b'-' | b'/' | b'.') {
        return None;
    }
    let (month, rest) = short(&text[5..])?;
    let (day, rest) = short(rest.strip_prefix(&[mark])?)?;
    Some((date_days(year.value? as i64, month, day)?, rest))
}

/// `Z`, `UTC`, `GMT`, `+hh`, `+hhmm` or `+hh:mm`: seconds east of UTC.
fn zone_offset(text: &[u8]) -> Option<i64> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let (sign, body) = match text {
        b"Z" | b"z" | b"UTC" | b"GMT" => return Some(0),
        [b'+', body @ ..] => (1, body),
        [b'-', body @ ..] => (-1, body),
        _ => return None,
    };
    let (hours, minutes) = match body.len() {
        1 | 2 => (short(body)?, (0, &b""[..])),
        4 => (short(&body[..2])?, short(&body[2..])?),
        5 if body[2] == b':' => (short(&body[..2])?, short(&body[3..])?),
        _ => return None,
    };
    let valid = hours.1.is_empty() && minutes.1.is_empty() && hours.0 < 24 && minutes.0 < 60;
    valid.then(|| sign * i64::from(hours.0 * 3_600 + minutes.0 * 60))
}

/// Days since 1970 of a date's text; a time behind it is cut off.
pub(crate) fn parse_date(text: &[u8]) -> Result<i32> {
    let bad = || {
        Error::new(ErrorCode::CannotParseDate, format!("Cannot parse Date: {}", crate::scan::excerpt(text)))
    };
    let all = digits(text);
    let days = if all.count == text.len() && all.count > 0 {
        match all.count {
            8 => {
                let value = all.value.ok_or_else(bad)?;
                date_days((value / 10_000) as i64, (value / 100 % 100) as u32, (value % 100) as u32)
            }
            _ => None,
        }
    } else {
        match loose_date(text) {
            Some((days, b"")) => Some(days),
            Some((days, [b' ' | b'T', ..])) => fixed(text).map(|_| days),
            _ => None,
        }
    };
    days.and_then(|days| i32::try_from(days).ok()).ok_or_else(bad)
}
