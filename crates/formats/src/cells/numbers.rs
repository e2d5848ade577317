//! Numbers as text.

use crate::digits::{EIGHT_DIGITS, put, put_fraction, put_integer};

/// Bytes of the longest exponent, `e-324` or `e+308`.
const EXPONENT_BYTES_MAX: usize = 5;

/// An integer as its sign and its size.
pub(super) trait Whole: Copy {
    fn parts(self) -> (bool, u64);
}

macro_rules! whole {
    (signed $($ty:ty)*) => {$(
        impl Whole for $ty {
            #[inline]
            fn parts(self) -> (bool, u64) {
                (self < 0, u64::from(self.unsigned_abs()))
            }
        }
    )*};
    (unsigned $($ty:ty)*) => {$(
        impl Whole for $ty {
            #[inline]
            fn parts(self) -> (bool, u64) {
                (false, u64::from(self))
            }
        }
    )*};
}
whole!(signed i8 i16 i32 i64);
whole!(unsigned u8 u16 u32 u64);

#[inline]
pub(super) fn integer(value: impl Whole, out: &mut Vec<u8>) {
    let (negative, size) = value.parts();
    if negative {
        out.push(b'-');
    }
    put_integer(size, out);
}

/// The shortest text that reads back as the same float, in the layout of ECMAScript (and ClickHouse).
#[inline]
pub(crate) fn write_float<F: zmij::Float + Into<f64> + Copy>(value: F, out: &mut Vec<u8>) {
    if size_of::<F>() == size_of::<f64>()
        && let Some((whole, fraction)) = short_decimal(value.into().abs())
    {
        if value.into().is_sign_negative() {
            out.push(b'-');
        }
        put_integer(whole, out);
        put_fraction(fraction, out);
        return;
    }
    write_any_float(value, out);
}

/// A float's whole part and 10^-8 behind it, if it is the nearest to a decimal of at most 15 digits, eight of them
/// behind the point (four from 10^7 on), and its text has no exponent.
///
/// Such a decimal is the shortest text: floats tell all decimals of 15 digits apart, so no other one of 15 digits or
/// fewer reads back as this float. A division of two numbers that floats hold exactly gives the nearest float.
#[inline]
fn short_decimal(size: f64) -> Option<(u64, u32)> {
    // The least number without an exponent.
    const PLAIN_MIN: f64 = 1e-6;
    if size < 1e7 {
        let units = (size * 1e8 + 0.5) as i64 as u64;
        let exact = units as f64 / 1e8 == size && (size >= PLAIN_MIN || units == 0);
        exact.then_some((units / EIGHT_DIGITS, (units % EIGHT_DIGITS) as u32))
    } else if size < 1e11 {
        let units = (size * 1e4 + 0.5) as i64 as u64;
        (units as f64 / 1e4 == size).then_some((units / 10_000, (units % 10_000) as u32 * 10_000))
    } else {
        None
    }
}

#[inline(never)]
fn write_any_float<F: zmij::Float + Into<f64> + Copy>(value: F, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    if !wide.is_finite() {
        out.extend_from_slice(match wide {
            _ if wide.is_nan() => b"nan",
            _ if wide < 0.0 => b"-inf",
            _ => b"inf",
        });
        return;
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    // Only the last bytes can be an exponent.
    let tail = text.len().saturating_sub(EXPONENT_BYTES_MAX);
    match text.as_bytes()[tail..].iter().position(|byte| *byte == b'e') {
        None => out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes()),
        Some(at) => {
            let (mantissa, exponent) = text.split_at(tail + at);
            write_exponent(mantissa, exponent[1..].parse().unwrap_or(0), out);
        }
    }
}

fn write_exponent(mantissa: &str, exponent: i32, out: &mut Vec<u8>) {
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (head, tail) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let tail = if tail == "0" { "" } else { tail };
    out.extend_from_slice(sign.as_bytes());
    if (0..21).contains(&exponent) {
        out.extend_from_slice(head.as_bytes());
        let whole = exponent as usize;
        let cut = tail.len().min(whole);
        out.extend_from_slice(&tail.as_bytes()[..cut]);
        out.extend(std::iter::repeat_n(b'0', whole - cut));
        if cut < tail.len() {
            out.push(b'.');
            out.extend_from_slice(&tail.as_bytes()[cut..]);
        }
    } else if (-6..0).contains(&exponent) {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(tail.as_bytes());
    } else {
        out.extend_from_slice(head.as_bytes());
        if !tail.is_empty() {
            out.push(b'.');
            out.extend_from_slice(tail.as_bytes());
        }
        out.push(b'e');
        integer(exponent, out);
    }
}

/// Powers of ten up to the last that 64 bits hold.
const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// Units of 10^-scale without zeros at the end.
#[inline]
pub(super) fn decimal(value: i128, scale: u8, zeros: bool, out: &mut Vec<u8>) {
    let start = out.len();
    short(value, scale, out);
    if zeros && scale > 0 {
        let written = memchr::memchr(b'.', &out[start..]).map(|at| out.len() - start - at - 1);
        if written.is_none() {
            out.push(b'.');
        }
        out.extend(std::iter::repeat_n(b'0', usize::from(scale) - written.unwrap_or(0)));
    }
}

fn short(value: i128, scale: u8, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    // Division of 128 bits costs as much as all the rest.
    match (u64::try_from(value.unsigned_abs()), POWERS.get(usize::from(scale))) {
        (Ok(value), Some(size)) if scale <= 8 => {
            put_integer(value / size, out);
            put_fraction((value % size * POWERS[8 - usize::from(scale)]) as u32, out);
        }
        (Ok(value), Some(size)) => {
            put_integer(value / size, out);
            long_fraction(u128::from(value % size), scale, out);
        }
        _ => {
            let size = 10u128.pow(u32::from(scale));
            let (whole, fraction) = (value.unsigned_abs() / size, value.unsigned_abs() % size);
            out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
            long_fraction(fraction, scale, out);
        }
    }
}

fn long_fraction(fraction: u128, scale: u8, out: &mut Vec<u8>) {
    if fraction == 0 {
        return;
    }
    let mut buffer = itoa::Buffer::new();
    let text = match u64::try_from(fraction) {
        Ok(fraction) => buffer.format(fraction),
        Err(_) => buffer.format(fraction),
    };
    out.push(b'.');
    put(&[b'0'; 39], usize::from(scale) - text.len(), out);
    out.extend_from_slice(text.trim_end_matches('0').as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(value: f64) -> (String, String) {
        let (mut short, mut any) = (Vec::new(), Vec::new());
        write_float(value, &mut short);
        write_any_float(value, &mut any);
        (String::from_utf8(short).expect("text"), String::from_utf8(any).expect("text"))
    }

    #[test]
    fn a_float_written_the_short_way_has_the_shortest_digits_and_the_same_layout() {
        let edges = [
            0.0,
            1e-6,
            1e-7,
            9.9e-7,
            1.1e-6,
            0.3,
            0.1 + 0.2,
            1.5,
            123.45,
            9_999_999.999_999_99,
            1e7,
            1e7 + 0.1,
            1e8,
            12_345_678.123_4,
            12_345_678.123_45,
            99_999_999_999.999_9,
            1e11,
            1e15,
            1e21,
            1e22,
            5e-324,
            f64::MAX,
            f64::INFINITY,
            f64::NAN,
            4_503_599_627_370_496.5,
            0.000_000_5,
            0.000_001_5,
            2e-8,
        ];
        for value in edges.into_iter().flat_map(|value| [value, -value]) {
            let (short, any) = both(value);
            assert_eq!(short, any, "{value:e}");
        }
        let mut taken = 0;
        for i in 0..400_000u64 {
            let bits = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let (digits, power) = ((bits >> (i % 60)) as f64, 10f64.powi((i % 12) as i32));
            // Decimals, their neighbours, and any bits at all.
            let near = digits / power;
            for value in [near, near.next_up(), near.next_down(), f64::from_bits(bits)] {
                let (short, any) = both(value);
                assert_eq!(short, any, "{value:e}");
                taken += usize::from(short_decimal(value.abs()).is_some());
            }
        }
        assert!(taken > 50_000, "the short way was taken {taken} times only");
    }

    #[test]
    fn a_decimal_is_written_like_its_digits_with_a_point() {
        for scale in 0..=38u8 {
            for value in [
                0i128,
                1,
                -1,
                10,
                99,
                12_300,
                -1_000_000_007,
                i128::from(u64::MAX),
                -(10i128.pow(37)),
                10i128.pow(38) - 1,
            ] {
                let mut out = Vec::new();
                decimal(value, scale, false, &mut out);
                let digits = format!("{:0>width$}", value.unsigned_abs(), width = usize::from(scale) + 1);
                let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
                let fraction = fraction.trim_end_matches('0');
                let point = if fraction.is_empty() { "" } else { "." };
                let sign = if value < 0 { "-" } else { "" };
                assert_eq!(
                    String::from_utf8_lossy(&out),
                    format!("{sign}{whole}{point}{fraction}"),
                    "{value} {scale}"
                );
            }
        }
    }
}
