//! Numbers from text: integers eight digits at a time, floats exactly, decimals with their scale.

use zepto_common::ErrorCode;

use crate::scan::{Cursor, Scan, Stop, excerpt, fault};

/// An integer type that a magnitude and a sign can become.
pub(crate) trait Integer: Copy {
    /// The value, or None when it does not fit.
    fn from_parts(negative: bool, magnitude: u64) -> Option<Self>;
}

macro_rules! integer {
    (signed $($ty:ty)*) => {$(
        impl Integer for $ty {
            #[inline]
            fn from_parts(negative: bool, magnitude: u64) -> Option<Self> {
                if negative {
                    0i64.checked_sub_unsigned(magnitude)?.try_into().ok()
                } else {
                    magnitude.try_into().ok()
                }
            }
        }
    )*};
    (unsigned $($ty:ty)*) => {$(
        impl Integer for $ty {
            #[inline]
            fn from_parts(negative: bool, magnitude: u64) -> Option<Self> {
                if negative && magnitude > 0 { None } else { magnitude.try_into().ok() }
            }
        }
    )*};
}
integer!(signed i8 i16 i32 i64);
integer!(unsigned u8 u16 u32 u64);

/// Digits read: their value (None past u64) and how many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digits {
    pub(crate) value: Option<u64>,
    pub(crate) count: usize,
}

/// The value of eight ASCII digits, or None when one is none.
#[inline]
fn eight(chunk: [u8; 8]) -> Option<u64> {
    let word = u64::from_le_bytes(chunk);
    let low = word.wrapping_sub(0x3030_3030_3030_3030);
    let high = word.wrapping_add(0x4646_4646_4646_4646);
    if (low | high) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = low.wrapping_mul(10).wrapping_add(low >> 8);
    let first = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let second = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    Some(first.wrapping_add(second) >> 32)
}

/// Leading digits of a slice.
#[inline]
pub(crate) fn digits(data: &[u8]) -> Digits {
    let mut value = 0u64;
    let mut count = 0;
    while count < 16
        && let Some(chunk) = data[count..].first_chunk::<8>()
        && let Some(part) = eight(*chunk)
    {
        value = value * 100_000_000 + part;
        count += 8;
    }
    let mut sum = Some(value);
    while let Some(byte @ b'0'..=b'9') = data.get(count) {
        let digit = u64::from(byte - b'0');
        sum = if count < 18 {
            value = value * 10 + digit;
            Some(value)
        } else {
            sum.and_then(|v| v.checked_mul(10)).and_then(|v| v.checked_add(digit))
        };
        count += 1;
    }
    Digits { value: sum, count }
}

/// ClickHouse's code for an integer without digits is that of the byte that should have come after it.
#[cold]
fn no_integer(data: &[u8]) -> Stop {
    let message = format!("Cannot parse input: expected an integer before: {}", excerpt(data));
    fault(ErrorCode::CannotParseInputAssertionFailed, message)
}

#[cold]
fn no_number(data: &[u8]) -> Stop {
    let message = format!("Cannot parse number: no digits at {}", excerpt(data));
    fault(ErrorCode::CannotParseNumber, message)
}

#[cold]
fn too_big(data: &[u8]) -> Stop {
    let message = format!("Number at {} does not fit the column's type", excerpt(data));
    fault(ErrorCode::ValueIsOutOfRange, message)
}

/// Reads an integer; stops at the first byte that is no digit.
#[inline]
pub(crate) fn read_integer<T: Integer>(cursor: &mut Cursor<'_>) -> Scan<T> {
    let start = cursor.at;
    let negative = match cursor.peek()? {
        b'-' => true,
        b'+' => false,
        _ => {
            return read_magnitude(cursor, start, false);
        }
    };
    cursor.at += 1;
    read_magnitude(cursor, start, negative)
}

#[inline]
fn read_magnitude<T: Integer>(cursor: &mut Cursor<'_>, start: usize, negative: bool) -> Scan<T> {
    let found = digits(cursor.rest());
    let end = cursor.at + found.count;
    if end == cursor.data.len() && !cursor.last {
        return Err(Stop::More);
    }
    if found.count == 0 {
        return Err(no_integer(&cursor.data[start..]));
    }
    cursor.at = end;
    found.value.and_then(|v| T::from_parts(negative, v)).ok_or_else(|| too_big(&cursor.data[start..end]))
}

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Reads a float: plain decimals of up to 15 digits by one exact division, all else by `fast_float2`.
#[inline]
pub(crate) fn read_float(cursor: &mut Cursor<'_>) -> Scan<f64> {
    let data = cursor.data;
    let negative = cursor.peek()? == b'-';
    let start = cursor.at + usize::from(negative);
    let whole = digits(&data[start..]);
    let mut end = start + whole.count;
    let mut mantissa = whole.value.unwrap_or(u64::MAX);
    let mut fraction = 0;
    if whole.count <= 15 && data.get(end) == Some(&b'.') {
        let part = digits(&data[end + 1..]);
        fraction = part.count;
        end += 1 + fraction;
        if whole.count + fraction <= 15 {
            mantissa = mantissa * 10u64.pow(fraction as u32) + part.value.unwrap_or(0);
        }
    }
    let plain = whole.count + fraction <= 15 && whole.count > 0;
    match data.get(end) {
        Some(b',' | b')' | b'}' | b'\t' | b'\n' | b']' | b' ' | b'"' | b'\r' | b'\'') if plain => {}
        None if plain && cursor.last => {}
        _ => return read_odd_float(cursor),
    }
    cursor.at = end;
    let value = mantissa as f64 / POWERS[fraction];
    Ok(if negative { -value } else { value })
}

#[cold]
fn read_odd_float(cursor: &mut Cursor<'_>) -> Scan<f64> {
    let length = cursor
        .rest()
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')))
        .unwrap_or(cursor.rest().len());
    let end = cursor.at + length;
    if end == cursor.data.len() && !cursor.last {
        return Err(Stop::More);
    }
    let text = &cursor.data[cursor.at..end];
    match fast_float2::parse_partial::<f64, _>(text) {
        Ok((value, used)) => {
            cursor.at += used;
            Ok(value)
        }
        Err(_) => Err(no_number(&cursor.data[cursor.at..])),
    }
}

/// Reads a 32-bit float from text without rounding twice.
pub(crate) fn read_float32(cursor: &mut Cursor<'_>) -> Scan<f32> {
    let start = cursor.at;
    let wide = read_float(cursor)?;
    let narrow = fast_float2::parse::<f32, _>(&cursor.data[start..cursor.at]);
    Ok(narrow.unwrap_or(wide as f32))
}

const EXPONENT_MAX: i64 = 1_000;

/// Reads a decimal as units of 10^-scale; digits finer than the scale are cut off, as ClickHouse does.
pub(crate) fn read_decimal(cursor: &mut Cursor<'_>, precision: u8, scale: u8) -> Scan<i128> {
    let start = cursor.at;
    let negative = match cursor.peek()? {
        sign @ (b'-' | b'+') => {
            cursor.at += 1;
            sign == b'-'
        }
        _ => false,
    };
    let mut significant: Vec<u8> = Vec::new();
    let (mut exponent, mut any, mut seen_point) = (0i64, false, false);
    loop {
        match cursor.peek_or_end()? {
            Some(digit @ b'0'..=b'9') => {
                any = true;
                exponent -= i64::from(seen_point);
                if digit != b'0' || !significant.is_empty() {
                    significant.push(digit - b'0');
                }
            }
            Some(b'.') if !seen_point => seen_point = true,
            _ => break,
        }
        cursor.at += 1;
    }
    if !any {
        return Err(no_number(&cursor.data[start..]));
    }
    if let Some(b'e' | b'E') = cursor.peek_or_end()? {
        cursor.at += 1;
        exponent += i64::from(read_integer::<i32>(cursor)?);
    }
    let shift = exponent + i64::from(scale);
    let value = shifted(&significant, shift).filter(|v| *v < 10i128.pow(u32::from(precision)));
    let value = value.ok_or_else(|| {
        let text = excerpt(&cursor.data[start..cursor.at]);
        fault(
            ErrorCode::ArgumentOutOfBound,
            format!("Decimal value {text} is too big for Decimal({precision}, {scale})"),
        )
    })?;
    Ok(if negative { -value } else { value })
}

/// `digits * 10^shift`, cut towards zero; None past 38 digits.
fn shifted(significant: &[u8], shift: i64) -> Option<i128> {
    if significant.is_empty() || shift < -EXPONENT_MAX - significant.len() as i64 {
        return Some(0);
    }
    let kept = significant.len() as i64 + shift;
    if kept > 38 {
        return None;
    }
    let take = kept.clamp(0, significant.len() as i64) as usize;
    let head = significant[..take].iter().fold(0i128, |sum, digit| sum * 10 + i128::from(*digit));
    head.checked_mul(10i128.checked_pow(shift.max(0) as u32)?)
}
