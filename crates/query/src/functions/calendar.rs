//! Days, clocks and time zones as plain integer arithmetic; zone rules come from chrono-tz.

use std::cell::Cell;

use chrono::{NaiveDate, Offset, TimeZone};
use chrono_tz::Tz;
use datafusion::common::Result;
use zepto_common::ErrorCode;

use super::scalar::fault;

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// Days since 1970-01-01 of a civil date (Hinnant's algorithm; proleptic Gregorian).
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + (yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719_468
}

/// The civil date (year, month, day) of days since 1970-01-01.
pub(crate) fn civil_of(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// Days of a month.
pub(crate) fn month_days(year: i64, month: i64) -> i64 {
    let (y, m) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_of(y, m, 1) - days_of(year, month, 1)
}

/// 1 (Monday) to 7.
pub(crate) fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// The same day `months` later, or the month's last day where there is none.
pub(crate) fn add_months(days: i64, months: i64) -> i64 {
    let (year, month, day) = civil_of(days);
    let total = year * 12 + (month - 1) + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    days_of(year, month, day.min(month_days(year, month)))
}

/// A time zone with the last answer remembered: offsets change at most on quarter hours.
pub(crate) struct Zone {
    zone: Option<Tz>,
    slot: i64,
    offset: i64,
}

/// Zone offsets are constant within slots of this many seconds.
const SLOT: i64 = 900;

thread_local! {
    /// The zone of times that name none, while this thread computes a function for a session that has set one.
    static SESSION: Cell<Option<Tz>> = const { Cell::new(None) };
}

/// Runs what computes a function in a session with this `session_timezone`. What it runs does not wait, so the thread is
/// its own.
pub(crate) fn in_session_zone<T>(name: &str, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Tz>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SESSION.set(self.0);
        }
    }
    // Times in UTC need no rules; an unknown zone was refused with the setting.
    let zone = name.parse().ok().filter(|_| !is_utc(name));
    let _restore = Restore(SESSION.replace(zone));
    work()
}

fn is_utc(name: &str) -> bool {
    matches!(name, "UTC" | "+00:00" | "Etc/UTC" | "GMT")
}

impl Zone {
    /// The named zone; the session's for none, which is UTC where none is set.
    pub(crate) fn named(name: Option<&str>) -> Result<Self> {
        let zone = match name {
            None => SESSION.get(),
            Some(name) if is_utc(name) => None,
            Some(name) => match name.parse::<Tz>() {
                Ok(zone) => Some(zone),
                Err(_) => return Err(fault(ErrorCode::BadArguments, format!("Unknown time zone {name}"))),
            },
        };
        Ok(Self { zone, slot: i64::MIN, offset: 0 })
    }

    /// Whether local time is UTC.
    pub(crate) fn is_utc(&self) -> bool {
        self.zone.is_none()
    }

    /// Seconds to add to UTC at this moment.
    pub(crate) fn offset(&mut self, utc: i64) -> i64 {
        let Some(zone) = self.zone else { return 0 };
        let slot = utc.div_euclid(SLOT);
        if slot != self.slot {
            let offset = chrono::DateTime::from_timestamp(utc, 0)
                .map(|at| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc());
            (self.slot, self.offset) = (slot, i64::from(offset.unwrap_or(0)));
        }
        self.offset
    }

    /// Local seconds of a moment.
    pub(crate) fn local(&mut self, utc: i64) -> i64 {
        utc + self.offset(utc)
    }

    /// The moment of local seconds; the earlier of two, and within a gap the moment by the offset after it.
    pub(crate) fn utc(&mut self, local: i64) -> i64 {
        if self.zone.is_none() {
            return local;
        }
        let before = local - self.offset(local - DAY);
        if before + self.offset(before) == local { before } else { local - self.offset(local + DAY) }
    }

    /// Whether the clock changes within a day of this moment.
    pub(crate) fn changes(&mut self, utc: i64) -> bool {
        let before = self.offset(utc - DAY);
        before != self.offset(utc) || before != self.offset(utc + DAY)
    }

    /// The moment at which the clock shows these local seconds first, or where it leaps over them the moment of the leap.
    pub(crate) fn first(&mut self, local: i64) -> i64 {
        let (early, late) = (local - self.offset(local - DAY), local - self.offset(local + DAY));
        if self.local(early) == local || self.local(late) == local || early < late {
            return if self.local(early) == local { early } else { late };
        }
        // Between the two the clock leaps: below it shows less, from there on more.
        let (mut below, mut above) = (late, early);
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            if self.local(middle) < local { below = middle } else { above = middle }
        }
        above
    }

    /// The zone's IANA name.
    pub(crate) fn name(&self) -> String {
        self.zone.map_or_else(|| "UTC".to_owned(), |zone| zone.name().to_owned())
    }
}

/// A parsed date and time: seconds (local unless `utc`), nanoseconds within the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    /// Nanoseconds, 0 to 999999999.
    pub(crate) nanos: i64,
    /// Whether the text named its offset.
    pub(crate) utc: bool,
}

/// Reads `YYYY-MM-DD`, `YYYY-MM-DD hh:mm[:ss[.fraction]]` (a `T` may stand for the blank), an offset or `Z` after
/// it, or a number of seconds since 1970.
pub(crate) fn parse(text: &str) -> Option<Parsed> {
    let text = text.trim();
    if let Some((date, rest)) = parse_date(text) {
        let seconds = date * DAY;
        let rest = rest.strip_prefix(['T', ' ', 't']).unwrap_or(rest);
        if rest.is_empty() {
            return Some(Parsed { seconds, nanos: 0, utc: false });
        }
        return parse_clock(seconds, rest);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    Some(Parsed { seconds, nanos: nanos_of(fraction)?, utc: true })
}

/// `20240105` as days.
pub(crate) fn compact_date(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.len() != 8 || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (year, month, day) = (digits(&text[..4])?, digits(&text[4..6])?, digits(&text[6..])?);
    let valid = (1..=12).contains(&month) && day >= 1 && day <= month_days(year, month);
    valid.then(|| days_of(year, month, day))
}

/// The date at the start of a text as days, and the rest.
pub(crate) fn parse_date(text: &str) -> Option<(i64, &str)> {
    let bytes = text.as_bytes();
    let separator = *bytes.get(4)?;
    if !matches!(separator, b'-' | b'/' | b'.') {
        return None;
    }
    let year = digits(text.get(..4)?)?;
    let (month, rest) = short_number(text.get(5..)?)?;
    let rest = rest.strip_prefix(separator as char)?;
    let (day, rest) = short_number(rest)?;
    let valid = (1..=12).contains(&month) && day >= 1 && day <= month_days(year, month);
    valid.then(|| (days_of(year, month, day), rest))
}

fn short_number(text: &str) -> Option<(i64, &str)> {
    let length = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    Some((digits(text.get(..length)?)?, &text[length..]))
}

fn digits(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn nanos_of(fraction: &str) -> Option<i64> {
    if fraction.is_empty() {
        return Some(0);
    }
    let kept = &fraction[..fraction.len().min(9)];
    Some(digits(kept)? * 10_i64.pow(9 - kept.len() as u32))
}

fn parse_clock(date: i64, text: &str) -> Option<Parsed> {
    let end = text.find(['Z', 'z', '+', '-', ' ']).unwrap_or(text.len());
    let (clock, zone) = (&text[..end], text[end..].trim());
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':');
    let hour = digits(parts.next()?)?;
    let minute = digits(parts.next()?)?;
    let second = parts.next().map_or(Some(0), digits)?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = date + hour * 3_600 + minute * 60 + second;
    let nanos = nanos_of(fraction)?;
    match zone {
        "" => Some(Parsed { seconds, nanos, utc: false }),
        "Z" | "z" | "UTC" | "GMT" => Some(Parsed { seconds, nanos, utc: true }),
        offset => Some(Parsed { seconds: seconds - parse_offset(offset)?, nanos, utc: true }),
    }
}

fn parse_offset(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let plain: String = text.get(1..)?.chars().filter(|c| *c != ':').collect();
    let value = digits(&plain)?;
    let (hours, minutes) = if plain.len() <= 2 { (value, 0) } else { (value / 100, value % 100) };
    (hours <= 15 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// Reads what [`parse`] reads, and `20240102`, `20240102030405`, `02/01/2024`, `2 Jan 2024 03:04`, milliseconds
/// since 1970 (13 digits) and the like.
pub(crate) fn parse_best_effort(text: &str) -> Option<Parsed> {
    let text = text.trim();
    if text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return parse_digits(text);
    }
    parse(text).or_else(|| parse_words(text))
}

fn parse_digits(text: &str) -> Option<Parsed> {
    let value = digits(text)?;
    let part = |from: usize, to: usize| digits(&text[from..to]);
    match text.len() {
        8 => Some(Parsed {
            seconds: checked_days(part(0, 4)?, part(4, 6)?, part(6, 8)?)? * DAY,
            nanos: 0,
            utc: false,
        }),
        14 => {
            let days = checked_days(part(0, 4)?, part(4, 6)?, part(6, 8)?)?;
            let seconds = days * DAY + part(8, 10)? * 3_600 + part(10, 12)? * 60 + part(12, 14)?;
            Some(Parsed { seconds, nanos: 0, utc: false })
        }
        13 => Some(Parsed { seconds: value / 1_000, nanos: value % 1_000 * 1_000_000, utc: true }),
        _ => Some(Parsed { seconds: value, nanos: 0, utc: true }),
    }
}

fn checked_days(year: i64, month: i64, day: i64) -> Option<i64> {
    NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32).map(|_| days_of(year, month, day))
}

fn parse_words(text: &str) -> Option<Parsed> {
    let (mut year, mut month, mut day, mut clock) = (None, None, None, None);
    for word in text.split([' ', ',', '-', '/']).filter(|word| !word.is_empty()) {
        let lower = word.to_ascii_lowercase();
        if let Some(at) = MONTHS.iter().position(|name| lower.starts_with(name)) {
            // `2024 7 Jan`: the number was no month.
            day = day.or(month);
            month = Some(at as i64 + 1);
        } else if word.contains(':') {
            clock = Some(word);
        } else if let Some(number) = digits(word) {
            match (word.len(), day, month) {
                (4, ..) => year = Some(number),
                // Behind the year stands the month.
                (_, None, None) if year.is_some() => month = Some(number),
                (_, None, _) => day = Some(number),
                (_, Some(_), None) => month = Some(number),
                _ => return None,
            }
        } else if !["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
            .iter()
            .any(|name| lower.starts_with(name))
        {
            return None;
        }
    }
    let date = checked_days(year?, month?, day?)? * DAY;
    match clock {
        Some(clock) => parse_clock(date, clock),
        None => Some(Parsed { seconds: date, nanos: 0, utc: false }),
    }
}
