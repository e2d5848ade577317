//! Times as people and mail write them, by ClickHouse's rules of `best_effort`: `2 Jan 2024 3:04 PM`, `02/01/2024`,
//! `20240102T030405Z`. A text must say which year it means.

use super::{date_days, nanos_of};
use crate::number::digits;

/// Seconds of the text's clock since 1970, nanoseconds, and seconds east of UTC if the text says so.
type Moment = (i64, u32, Option<i64>);

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// Hours east of UTC; ClickHouse knows no others.
const ZONES: [(&str, i64); 5] = [("z", 0), ("utc", 0), ("gmt", 0), ("msk", 3), ("msd", 4)];

/// A part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part<'a> {
    Digits(&'a [u8]),
    Word(&'a [u8]),
    Mark(u8),
}

fn parts(text: &[u8]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text.trim_ascii();
    while let Some(first) = rest.first() {
        let is_same: fn(&u8) -> bool = match first {
            b'0'..=b'9' => u8::is_ascii_digit,
            b'a'..=b'z' | b'A'..=b'Z' => u8::is_ascii_alphabetic,
            _ => |_| false,
        };
        let length = rest.iter().take_while(|byte| is_same(byte)).count();
        parts.push(match (length, first) {
            (0, mark) => Part::Mark(*mark),
            (_, b'0'..=b'9') => Part::Digits(&rest[..length]),
            _ => Part::Word(&rest[..length]),
        });
        rest = &rest[length.max(1)..];
    }
    parts
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Found {
    year: Option<i64>,
    month: Option<u32>,
    day: Option<u32>,
    time: Option<(u32, u32, u32)>,
    nanos: u32,
    afternoon: Option<bool>,
    offset: Option<i64>,
}

fn number(text: &[u8]) -> Option<u32> {
    u32::try_from(digits(text).value?).ok()
}

fn is_name(word: &[u8], name: &str) -> bool {
    (word.len() == 3 && name.as_bytes()[..3].eq_ignore_ascii_case(word))
        || name.as_bytes().eq_ignore_ascii_case(word)
}

fn year_of(text: &[u8]) -> Option<i64> {
    let value = i64::from(number(text)?);
    match text.len() {
        4 => Some(value),
        2 => Some(if value < 70 { 2_000 + value } else { 1_900 + value }),
        _ => None,
    }
}

/// Reads the text.
pub(super) fn read(text: &[u8]) -> Option<Moment> {
    let parts = parts(text);
    let mut found = Found::default();
    let mut at = 0;
    while at < parts.len() {
        at += found.take(&parts[at..])?;
    }
    found.moment()
}

impl Found {
    /// Takes the next parts; gives how many.
    fn take(&mut self, parts: &[Part<'_>]) -> Option<usize> {
        use Part::{Digits, Mark, Word};
        match *parts {
            [Mark(b' ' | b','), ..] => Some(1),
            [Digits(hour), Mark(b':'), Digits(minute), ref rest @ ..] if self.time.is_none() => {
                let (second, used) = match *rest {
                    [Mark(b':'), Digits(second), ..] => (number(second)?, 5),
                    _ => (0, 3),
                };
                if hour.len() > 2 || minute.len() > 2 {
                    return None;
                }
                self.time = Some((number(hour)?, number(minute)?, second));
                Some(used + self.fraction(&parts[used..]))
            }
            [Mark(sign @ (b'+' | b'-')), Digits(hours), ref rest @ ..] if self.time.is_some() => {
                self.zone(sign, hours, rest)
            }
            [Word(word), ..] => self.word(word),
            [Digits(date), ref rest @ ..] => self.digits(date, rest),
            _ => None,
        }
    }

    fn fraction(&mut self, rest: &[Part<'_>]) -> usize {
        match *rest {
            [Part::Mark(b'.'), Part::Digits(fraction), ..] => {
                self.nanos = nanos_of(fraction);
                2
            }
            _ => 0,
        }
    }

    fn zone(&mut self, sign: u8, hours: &[u8], rest: &[Part<'_>]) -> Option<usize> {
        let (hour, minute, used) = match (hours.len(), rest) {
            (4, _) => (number(&hours[..2])?, number(&hours[2..])?, 2),
            (1 | 2, [Part::Mark(b':'), Part::Digits(minute), ..]) => (number(hours)?, number(minute)?, 4),
            (1 | 2, _) => (number(hours)?, 0, 2),
            _ => return None,
        };
        let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60;
        let seconds = if sign == b'-' { -seconds } else { seconds };
        // `UTC+3` is three hours east of it.
        self.offset = Some(self.offset.unwrap_or(0) + seconds);
        (hour < 24 && minute < 60).then_some(used)
    }

    fn word(&mut self, word: &[u8]) -> Option<usize> {
        let place = |names: &[&str]| names.iter().position(|name| is_name(word, name));
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("am") || is("pm") {
            self.time?;
            self.afternoon = Some(is("pm"));
        } else if is("t") {
            self.year?;
        } else if let Some(month) = place(&MONTHS).filter(|_| self.month.is_none()) {
            self.month = Some(month as u32 + 1);
        } else if let Some((_, hours)) = ZONES.iter().find(|(name, _)| is(name)) {
            self.time?;
            self.offset = Some(hours * 3_600);
        } else {
            place(&WEEKDAYS)?;
        }
        Some(1)
    }

    /// Digits that no colon follows: a date, a part of one, or a time without colons behind a date.
    fn digits(&mut self, date: &[u8], rest: &[Part<'_>]) -> Option<usize> {
        use Part::{Digits, Mark, Word};
        let has_date = self.year.is_some() && self.day.is_some();
        match (date.len(), rest) {
            (14, _) if self.year.is_none() => {
                self.compact_date(date)?;
                self.compact_time(&date[8..])?;
                Some(1 + self.fraction(rest))
            }
            (8, _) if self.year.is_none() => self.compact_date(date).map(|()| 1),
            (6, _) if has_date && self.time.is_none() => {
                self.compact_time(date)?;
                Some(1 + self.fraction(rest))
            }
            (4, [Mark(mark @ (b'-' | b'/' | b'.')), Digits(month), Mark(again), Digits(day), ..])
                if self.year.is_none() && mark == again =>
            {
                (self.year, self.month, self.day) = (year_of(date), number(month), number(day));
                Some(5)
            }
            (1 | 2, [Mark(mark @ (b'-' | b'/' | b'.')), Digits(month), Mark(again), Digits(year), ..])
                if self.day.is_none() && mark == again && year.len() == 4 =>
            {
                (self.day, self.month, self.year) = (number(date), number(month), year_of(year));
                Some(5)
            }
            (1 | 2, [Mark(b'-'), Word(month), Mark(b'-'), Digits(year), ..]) if self.day.is_none() => {
                self.month = MONTHS.iter().position(|name| is_name(month, name)).map(|at| at as u32 + 1);
                (self.day, self.year) = (number(date), year_of(year));
                self.month.map(|_| 5)
            }
            (4, _) if self.year.is_none() => {
                self.year = year_of(date);
                Some(1)
            }
            (1 | 2, _)
                if self.day.is_none()
                    && (self.month.is_some() || matches!(rest, [Mark(b' '), Word(_), ..])) =>
            {
                self.day = number(date);
                Some(1)
            }
            _ => None,
        }
    }

    fn compact_date(&mut self, date: &[u8]) -> Option<()> {
        (self.year, self.month, self.day) = (year_of(&date[..4]), number(&date[4..6]), number(&date[6..8]));
        Some(())
    }

    fn compact_time(&mut self, time: &[u8]) -> Option<()> {
        self.time = Some((number(&time[..2])?, number(&time[2..4])?, number(&time[4..6])?));
        Some(())
    }

    fn moment(self) -> Option<Moment> {
        let (mut hour, minute, second) = self.time.unwrap_or_default();
        match self.afternoon {
            Some(true) if hour < 12 => hour += 12,
            Some(false) if hour == 12 => hour = 0,
            _ => {}
        }
        let days = date_days(self.year?, self.month?, self.day?)?;
        let seconds = super::day_seconds(hour, minute, second)?;
        Some((days * super::DAY + seconds, self.nanos, self.offset))
    }
}
