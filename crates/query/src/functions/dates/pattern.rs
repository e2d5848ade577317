//! `formatDateTime`.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringViewBuilder};
use datafusion::common::Result;
use zepto_common::ErrorCode;

use super::{iso_week, iso_year, zone_for};
use crate::functions::calendar::{DAY, civil_of, days_of, weekday};
use crate::functions::scalar::{Call, fault};
use crate::functions::timestamps::ticks;

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment taken apart for formatting.
struct Moment {
    day: i64,
    clock: i64,
    micros: i64,
    offset: i64,
}

fn format_one(out: &mut String, pattern: &str, at: &Moment) -> Result<()> {
    let (year, month, day) = civil_of(at.day);
    let (hour, minute, second) = (at.clock / 3_600, at.clock / 60 % 60, at.clock % 60);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        // Writing into a String cannot fail.
        let _ = match chars.next() {
            Some('Y') => write!(out, "{year:04}"),
            Some('y') => write!(out, "{:02}", year % 100),
            Some('C') => write!(out, "{:02}", year / 100),
            Some('m') => write!(out, "{month:02}"),
            Some('c') => write!(out, "{month:02}"),
            Some('d') => write!(out, "{day:02}"),
            Some('e') => write!(out, "{day}"),
            Some('F') => write!(out, "{year:04}-{month:02}-{day:02}"),
            Some('D') => write!(out, "{month:02}/{day:02}/{:02}", year % 100),
            Some('H') => write!(out, "{hour:02}"),
            Some('k') => write!(out, "{hour:2}"),
            Some('h' | 'I') => write!(out, "{:02}", (hour + 11) % 12 + 1),
            Some('i') => write!(out, "{minute:02}"),
            Some('M') => out.write_str(MONTHS[month as usize - 1]),
            Some('b') => out.write_str(&MONTHS[month as usize - 1][..3]),
            Some('s' | 'S') => write!(out, "{second:02}"),
            Some('f') => write!(out, "{:06}", at.micros),
            Some('R') => write!(out, "{hour:02}:{minute:02}"),
            Some('T') => write!(out, "{hour:02}:{minute:02}:{second:02}"),
            Some('r') => write!(out, "{:02}:{minute:02} {}", (hour + 11) % 12 + 1, half(hour)),
            Some('p') => out.write_str(half(hour)),
            Some('j') => write!(out, "{:03}", at.day - days_of(year, 1, 1) + 1),
            Some('Q') => write!(out, "{}", (month + 2) / 3),
            Some('u') => write!(out, "{}", weekday(at.day)),
            Some('w') => write!(out, "{}", weekday(at.day) % 7),
            Some('W') => out.write_str(DAYS[weekday(at.day) as usize - 1]),
            Some('a') => out.write_str(&DAYS[weekday(at.day) as usize - 1][..3]),
            Some('V') => write!(out, "{:02}", iso_week(at.day)),
            Some('G') => write!(out, "{:04}", iso_year(at.day)),
            Some('g') => write!(out, "{:02}", iso_year(at.day) % 100),
            Some('z') => {
                let sign = if at.offset < 0 { '-' } else { '+' };
                let size = at.offset.abs();
                write!(out, "{sign}{:02}{:02}", size / 3_600, size / 60 % 60)
            }
            Some('n') => out.write_str("\n"),
            Some('t') => out.write_str("\t"),
            Some('%') => out.write_str("%"),
            other => {
                let message = format!("Format '%{}' is not known", other.unwrap_or(' '));
                return Err(fault(ErrorCode::BadArguments, message));
            }
        };
    }
    Ok(())
}

fn half(hour: i64) -> &'static str {
    if hour < 12 { "AM" } else { "PM" }
}

pub(super) fn format(call: &Call<'_>) -> Result<ArrayRef> {
    let (values, per_second) = ticks(&call.array(0)?)?;
    let mut zone = zone_for(call, 2)?;
    let patterns = call.texts(1)?;
    let mut out = StringViewBuilder::with_capacity(call.rows);
    let mut text = String::new();
    for row in 0..values.len() {
        text.clear();
        if values.is_null(row) || patterns.is_null(row) {
            out.append_null();
            continue;
        }
        let tick = values.value(row);
        let utc = tick.div_euclid(per_second);
        let offset = zone.offset(utc);
        let (day, clock) = ((utc + offset).div_euclid(DAY), (utc + offset).rem_euclid(DAY));
        let micros = i128::from(tick.rem_euclid(per_second)) * 1_000_000 / i128::from(per_second);
        let moment = Moment { day, clock, micros: micros as i64, offset };
        format_one(&mut text, patterns.value(row), &moment)?;
        out.append_value(&text);
    }
    Ok(Arc::new(out.finish()))
}
