//! Times and dates as text.

use super::{Clock, DAY, civil_from_days};
use crate::digits::{eight, put};
use crate::settings::TimeOutput;

/// Bytes of `YYYY-MM-DD hh:mm:ss`.
const SECOND_BYTES: usize = 19;

/// A second as text, with a point behind it and room for nine digits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Second {
    /// Since 1970, in UTC; None before the first.
    seconds: Option<i64>,
    text: [u8; 32],
}

impl Clock {
    /// Seconds since 1970, and nanoseconds after them.
    #[inline]
    fn split(&self, value: i64) -> (i64, u32) {
        // Each divisor is a constant: a division by what only the run knows costs ten times as much.
        let (seconds, nanos) = match self.ticks {
            1_000_000_000 => (value.div_euclid(1_000_000_000), value.rem_euclid(1_000_000_000)),
            1_000_000 => (value.div_euclid(1_000_000), value.rem_euclid(1_000_000) * 1_000),
            1_000 => (value.div_euclid(1_000), value.rem_euclid(1_000) * 1_000_000),
            _ => (value, 0),
        };
        (seconds, nanos as u32)
    }

    /// Writes the stored number as text.
    #[inline]
    pub(crate) fn write(&self, value: i64, out: &mut Vec<u8>) {
        let (seconds, nanos) = self.split(value);
        if self.output == TimeOutput::Unix {
            return self.write_unix(value, seconds, nanos, out);
        }
        let mut second = self.last.get();
        if second.seconds != Some(seconds) {
            let Some(next) = self.second(seconds) else {
                return self.write_far(seconds, nanos, out);
            };
            self.last.set(next);
            second = next;
        }
        match self.precision {
            0 => put(&second.text, SECOND_BYTES, out),
            precision => {
                put_nanos(nanos, &mut second.text);
                put(&second.text, SECOND_BYTES + 1 + usize::from(precision.min(9)), out);
            }
        }
        if self.output == TimeOutput::Iso {
            out.push(b'Z');
        }
    }

    /// What a second of UTC is where it is shown, and the mark between date and time.
    fn shown(&self, seconds: i64) -> (i64, u8) {
        match self.output {
            TimeOutput::Iso => (seconds, b'T'),
            _ => (seconds + self.offset_at(seconds), b' '),
        }
    }

    /// The text of a second; None outside the years 0 to 9999.
    #[inline(never)]
    fn second(&self, seconds: i64) -> Option<Second> {
        let (shown, mark) = self.shown(seconds);
        let mut text = [b'0'; 32];
        text[..10].copy_from_slice(&date_text(shown.div_euclid(DAY))?);
        text[10..=SECOND_BYTES].copy_from_slice(&time_text(shown, mark));
        Some(Second { seconds: Some(seconds), text })
    }

    /// A time whose year has not four digits.
    #[cold]
    fn write_far(&self, seconds: i64, nanos: u32, out: &mut Vec<u8>) {
        let (shown, mark) = self.shown(seconds);
        write_date(shown.div_euclid(DAY), out);
        let time = time_text(shown, mark);
        out.extend_from_slice(&time[..time.len() - 1]);
        self.write_fraction(nanos, out);
        if self.output == TimeOutput::Iso {
            out.push(b'Z');
        }
    }

    #[inline(never)]
    fn write_unix(&self, value: i64, seconds: i64, nanos: u32, out: &mut Vec<u8>) {
        let (seconds, nanos) = if value < 0 && nanos > 0 {
            out.push(b'-');
            (-(seconds + 1), 1_000_000_000 - nanos)
        } else {
            (seconds, nanos)
        };
        out.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
        self.write_fraction(nanos, out);
    }

    fn write_fraction(&self, nanos: u32, out: &mut Vec<u8>) {
        if self.precision > 0 {
            let mut text = [b'.'; 32];
            put_nanos(nanos, &mut text);
            out.extend_from_slice(&text[SECOND_BYTES..=SECOND_BYTES + usize::from(self.precision.min(9))]);
        }
    }
}

/// Nine digits behind the point of a second's text.
#[inline]
fn put_nanos(nanos: u32, text: &mut [u8; 32]) {
    text[20] = b'0' + (nanos / 100_000_000) as u8;
    text[21..29].copy_from_slice(&eight(nanos % 100_000_000));
}

/// `mark`, `hh:mm:ss` and a point.
fn time_text(seconds: i64, mark: u8) -> [u8; 10] {
    let of_day = seconds.rem_euclid(DAY) as u32;
    let digits = eight(of_day / 3_600 * 10_000 + of_day / 60 % 60 * 100 + of_day % 60);
    let [_, _, h, hh, m, mm, s, ss] = digits;
    [mark, h, hh, b':', m, mm, b':', s, ss, b'.']
}

/// `YYYY-MM-DD`; None outside the years 0 to 9999.
#[inline]
fn date_text(days: i64) -> Option<[u8; 10]> {
    let (year, month, day) = civil_from_days(days);
    if !(0..=9_999).contains(&year) {
        return None;
    }
    let [y, yy, yyy, yyyy, m, mm, d, dd] = eight(year as u32 * 10_000 + month * 100 + day);
    Some([y, yy, yyy, yyyy, b'-', m, mm, b'-', d, dd])
}

/// Writes `YYYY-MM-DD`.
#[inline]
pub(crate) fn write_date(days: i64, out: &mut Vec<u8>) {
    match date_text(days) {
        Some(text) => out.extend_from_slice(&text),
        None => write_far_date(days, out),
    }
}

#[cold]
fn write_far_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    out.extend_from_slice(format!("{year:05}-{month:02}-{day:02}").as_bytes());
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::settings::FormatSettings;

    fn clock(precision: u8, zone: Option<&str>, output: TimeOutput) -> Clock {
        Clock::new(precision, zone, &FormatSettings { time_output: output, ..FormatSettings::default() })
    }

    fn text(clock: &Clock, value: i64) -> String {
        let mut out = Vec::new();
        clock.write(value, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_time_is_written_the_same_whatever_was_written_before_it() {
        let mut values: Vec<i64> =
            (0..2_000i64).map(|i| i * 48_611_111_111_111 - 40_000_000_000_000_000).collect();
        // Around a change of the clocks in Berlin, in the same second and in the next.
        values.extend((-3..3i64).map(|i| 1_711_846_800_000_000_000 + i * 500_000_000));
        values.extend([0, -1, 1, 999_999_999, -999_999_999, i64::MIN, i64::MAX]);
        for zone in [None, Some("Europe/Berlin")] {
            for output in [TimeOutput::Simple, TimeOutput::Iso, TimeOutput::Unix] {
                for precision in [0, 3, 6, 9] {
                    let kept = clock(precision, zone, output);
                    for value in values.iter().flat_map(|value| [*value, *value, value.wrapping_add(7)]) {
                        let fresh = clock(precision, zone, output);
                        assert_eq!(text(&kept, value), text(&fresh, value), "{value} {output:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn times_of_the_calendar_are_written_as_chrono_writes_them() {
        let nanos = clock(9, None, TimeOutput::Simple);
        let seconds = clock(0, Some("Europe/Berlin"), TimeOutput::Simple);
        for i in 0..200_000i64 {
            let value = (i.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed())) >> (i % 8);
            let wanted = DateTime::from_timestamp_nanos(value).format("%Y-%m-%d %H:%M:%S%.9f").to_string();
            assert_eq!(text(&nanos, value), wanted);
            let value = value.rem_euclid(200_000_000_000);
            let local = DateTime::from_timestamp(value, 0)
                .expect("in range")
                .with_timezone(&chrono_tz::Europe::Berlin);
            assert_eq!(text(&seconds, value), local.format("%Y-%m-%d %H:%M:%S").to_string());
        }
    }
}
