//! Numbers as text.

/// Bytes of the longest exponent, `e-324` or `e+308`.
const EXPONENT_BYTES_MAX: usize = 5;

pub(super) fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The shortest text that reads back as the same float, in the layout of ECMAScript (and ClickHouse).
pub(crate) fn write_float<F: zmij::Float + Into<f64> + Copy>(value: F, out: &mut Vec<u8>) {
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

/// Units of 10^-scale without zeros at the end.
pub(super) fn decimal(value: i128, scale: u8, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let value = value.unsigned_abs();
    let fraction: u128 = match (u64::try_from(value), 10u64.checked_pow(u32::from(scale))) {
        // Division of 128 bits costs as much as all the rest.
        (Ok(value), Some(size)) => {
            integer(value / size, out);
            u128::from(value % size)
        }
        _ => {
            let size = 10u128.pow(u32::from(scale));
            integer(value / size, out);
            value % size
        }
    };
    if fraction > 0 {
        let mut buffer = itoa::Buffer::new();
        let text = match u64::try_from(fraction) {
            Ok(fraction) => buffer.format(fraction),
            Err(_) => buffer.format(fraction),
        };
        out.push(b'.');
        out.extend_from_slice(&[b'0'; 39][..usize::from(scale) - text.len()]);
        out.extend_from_slice(text.trim_end_matches('0').as_bytes());
    }
}
