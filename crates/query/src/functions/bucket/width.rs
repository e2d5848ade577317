//! A bucket's width.

use datafusion::common::ScalarValue;

use crate::functions::calendar::{civil_of, days_of, weekday};

/// A bucket's width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// Nanoseconds, up to hours.
    Nanos(i64),
    /// Days.
    Days(i64),
    /// Weeks.
    Weeks(i64),
    /// Months.
    Months(i64),
    /// Years.
    Years(i64),
}

/// Most days, weeks, months and years of a width.
const COUNT_MAX: u64 = 1 << 32;

/// Nanoseconds of a second.
pub(super) const SECOND: i64 = 1_000_000_000;

impl Width {
    /// The width that a word names, as `minute` or `months`; None also for one that is longer than all time.
    pub(crate) fn of_word(word: &str, count: i64) -> Option<Self> {
        let lower = word.to_ascii_lowercase();
        let nanos = |each: i64| count.checked_mul(each).map(Self::Nanos);
        // Nothing is as long as these: the arithmetic on days and months stays far within 64 bits.
        let long = |each: i64| count.checked_mul(each).filter(|count| count.unsigned_abs() <= COUNT_MAX);
        match lower.trim_end_matches('s') {
            "nanosecond" => nanos(1),
            "microsecond" => nanos(1_000),
            "millisecond" => nanos(1_000_000),
            "second" => nanos(SECOND),
            "minute" => nanos(60 * SECOND),
            "hour" => nanos(3_600 * SECOND),
            "day" => long(1).map(Self::Days),
            "week" => long(1).map(Self::Weeks),
            "month" => long(1).map(Self::Months),
            "quarter" => long(3).map(Self::Months),
            "year" => long(1).map(Self::Years),
            _ => None,
        }
    }

    /// The width that a text like `5 minute` tells; intervals come in this form (see [`super::rewrites`]).
    pub(crate) fn of_interval(value: &ScalarValue) -> Option<Self> {
        let text = value.try_as_str().flatten()?.trim();
        let (count, unit) = text.split_once(' ').unwrap_or(("1", text));
        count.parse().ok().filter(|count| *count > 0).and_then(|count| Self::of_word(unit.trim(), count))
    }

    pub(super) fn is_date(self) -> bool {
        matches!(self, Self::Weeks(_) | Self::Months(_) | Self::Years(_))
    }

    /// The start of the bucket of a local day; only for widths of days and more.
    pub(super) fn floor_day(self, day: i64) -> i64 {
        match self {
            Self::Nanos(_) => day,
            Self::Days(n) => day - day.rem_euclid(n),
            Self::Weeks(1) => day - (weekday(day) - 1),
            Self::Weeks(n) => 4 + (day - 4).div_euclid(n * 7) * (n * 7),
            Self::Months(n) => {
                let (year, month, _) = civil_of(day);
                let months = ((year - 1900) * 12 + month - 1).div_euclid(n) * n;
                days_of(1900 + months.div_euclid(12), months.rem_euclid(12) + 1, 1)
            }
            Self::Years(n) => days_of(civil_of(day).0.div_euclid(n) * n, 1, 1),
        }
    }
}
