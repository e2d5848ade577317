//! Numbers as ASCII digits, eight at a time, and bytes appended by copies of a fixed size.

/// The first number of nine digits.
pub(crate) const EIGHT_DIGITS: u64 = 100_000_000;

/// Appends the first `length` of these bytes. All are written and the rest is taken back: a copy whose size is known
/// to the compiler is an instruction or two, any other is a call.
#[inline(always)]
pub(crate) fn put<const N: usize>(bytes: &[u8; N], length: usize, out: &mut Vec<u8>) {
    debug_assert!(length <= N, "{length} of {N} bytes");
    let end = out.len() + length;
    out.extend_from_slice(bytes);
    out.truncate(end);
}

/// Texts up to this length are copied with a fixed size, if so many bytes follow their start.
const FIXED_BYTES: usize = 32;

/// Appends the first `length` bytes of a text that is followed by others.
#[inline(always)]
pub(crate) fn put_start(text_and_more: &[u8], length: usize, out: &mut Vec<u8>) {
    match text_and_more.first_chunk::<FIXED_BYTES>() {
        Some(fixed) if length <= FIXED_BYTES => put(fixed, length, out),
        _ => out.extend_from_slice(&text_and_more[..length]),
    }
}

/// The digits of a number below 10^8 as values from 0 to 9, the first in the lowest byte: halves of four, two and one
/// digit, each division a multiplication in all lanes at once.
#[inline]
fn digits_of(value: u32) -> u64 {
    debug_assert!(u64::from(value) < EIGHT_DIGITS, "{value} has more than eight digits");
    let (high, low) = (u64::from(value / 10_000), u64::from(value % 10_000));
    let fours = high | low << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x7F_0000_007F;
    let twos = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000F_000F_000F_000F;
    tens | (twos - 10 * tens) << 8
}

/// `0` in each byte.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// A number below 10^8 as eight digits.
#[inline]
pub(crate) fn eight(value: u32) -> [u8; 8] {
    (digits_of(value) | ZEROS).to_le_bytes()
}

/// Appends a number below 10^8 without zeros before it.
#[inline]
fn put_small(value: u32, out: &mut Vec<u8>) {
    let digits = digits_of(value);
    // Zeros before the first other digit; the last digit always stays.
    let zeros = (digits.trailing_zeros() / 8).min(7);
    put(&((digits | ZEROS) >> (8 * zeros)).to_le_bytes(), 8 - zeros as usize, out);
}

/// Appends a number.
#[inline]
pub(crate) fn put_integer(value: u64, out: &mut Vec<u8>) {
    if value < EIGHT_DIGITS {
        put_small(value as u32, out);
    } else {
        put_big(value, out);
    }
}

fn put_big(value: u64, out: &mut Vec<u8>) {
    let (high, low) = (value / EIGHT_DIGITS, (value % EIGHT_DIGITS) as u32);
    if high < EIGHT_DIGITS {
        put_small(high as u32, out);
    } else {
        put_small((high / EIGHT_DIGITS) as u32, out);
        put(&eight((high % EIGHT_DIGITS) as u32), 8, out);
    }
    put(&eight(low), 8, out);
}

/// Appends a point and so many 10^-8, without zeros at the end; nothing at all for 0.
#[inline]
pub(crate) fn put_fraction(value: u32, out: &mut Vec<u8>) {
    let digits = digits_of(value);
    let zeros = digits.leading_zeros() as usize / 8;
    if zeros < 8 {
        let mut text = [b'.'; 9];
        text[1..].copy_from_slice(&(digits | ZEROS).to_le_bytes());
        put(&text, 9 - zeros, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integer(value: u64) -> String {
        let mut out = b"x".to_vec();
        put_integer(value, &mut out);
        String::from_utf8(out).expect("digits")
    }

    #[test]
    fn integers_are_written_as_the_standard_library_writes_them() {
        let edges =
            (0..20u32).flat_map(|power| [10u64.pow(power) - 1, 10u64.pow(power), 10u64.pow(power) + 1]);
        let spread = (0..200_000u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (i % 64));
        for value in edges.chain(spread).chain([u64::MAX, u64::MAX - 1, i64::MAX as u64]).chain(0..12_000) {
            assert_eq!(integer(value), format!("x{value}"));
        }
    }

    #[test]
    fn every_four_digits_are_written_right_in_both_halves() {
        for value in 0..10_000u32 {
            assert_eq!(eight(value), *format!("{value:08}").as_bytes());
            assert_eq!(
                eight(value * 10_000 + 9_999 - value),
                *format!("{value:04}{:04}", 9_999 - value).as_bytes()
            );
        }
    }

    #[test]
    fn a_fraction_has_no_zeros_at_its_end() {
        for (value, text) in
            [(0, ""), (1, ".00000001"), (10, ".0000001"), (12_000_000, ".12"), (99_999_999, ".99999999")]
        {
            let mut out = Vec::new();
            put_fraction(value, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
