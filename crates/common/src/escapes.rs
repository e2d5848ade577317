//! Backslash escapes of ClickHouse's text literals and text formats: one table for all that read them.

use crate::error::{Error, ErrorCode, Result};

/// What a backslash and the byte behind it mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// This byte.
    Byte(u8),
    /// The byte of two hexadecimal digits that follow.
    Hex,
    /// Nothing at all.
    Nothing,
    /// No escape: the backslash stays, and so does this byte.
    Kept(u8),
}

/// The meaning of a backslash before `mark`.
#[must_use]
pub fn escape(mark: u8) -> Escape {
    Escape::Byte(match mark {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'0' => 0,
        b'a' => 7,
        b'v' => 11,
        b'e' => 27,
        b'N' => return Escape::Nothing,
        b'x' => return Escape::Hex,
        b'\\' | b'\'' | b'"' | b'`' | b'/' | b'=' => mark,
        // A line end or a tab is itself.
        control if control.is_ascii_control() => control,
        other => return Escape::Kept(other),
    })
}

/// The byte of two hexadecimal digits; what is no digit counts as 0, as in ClickHouse.
#[must_use]
pub fn byte_of_hex(digits: [u8; 2]) -> u8 {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
    digit(digits[0]) << 4 | digit(digits[1])
}

/// The bytes that a literal means, from what stands between its quotes: escapes and doubled quotes.
///
/// # Errors
/// `CannotParseEscapeSequence` where it ends within an escape.
pub fn unescape_literal(raw: &[u8]) -> Result<Vec<u8>> {
    let ends = || Error::new(ErrorCode::CannotParseEscapeSequence, "Cannot parse escape sequence");
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == b'\'' {
            // The second of a doubled quote.
            bytes.next();
        }
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match escape(bytes.next().ok_or_else(ends)?) {
            Escape::Byte(byte) => out.push(byte),
            Escape::Hex => {
                out.push(byte_of_hex([bytes.next().ok_or_else(ends)?, bytes.next().ok_or_else(ends)?]));
            }
            Escape::Nothing => {}
            Escape::Kept(byte) => out.extend([b'\\', byte]),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_escapes_are_put_in_and_unknown_ones_stay() {
        let cases: [(&str, &[u8]); 8] = [
            (r"a\nb", b"a\nb"),
            (r"^\d+$", br"^\d+$"),
            (r"50\%\_", br"50\%\_"),
            (r"\x41\xe9", b"A\xe9"),
            (r"it''s \'so\'", b"it's 'so'"),
            (r"\\d", br"\d"),
            (r"\N\e\v", b"\x1b\x0b"),
            (r"\u0041", br"\u0041"),
        ];
        for (raw, meant) in cases {
            assert_eq!(unescape_literal(raw.as_bytes()).unwrap(), meant, "{raw}");
        }
        for cut in [r"\", r"\x4"] {
            assert!(unescape_literal(cut.as_bytes()).is_err(), "{cut}");
        }
    }
}
