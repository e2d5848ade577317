//! JSON values read straight into columns.

use zepto_common::ErrorCode;
use zepto_common::limits::DEPTH_MAX;

use crate::column::{Column, Values};
use crate::decode::null_refused;
use crate::number::{read_decimal, read_float, read_float32, read_integer};
use crate::scan::{Cursor, Scan, Stop, excerpt, fault};
use crate::settings::FormatSettings;
use crate::text::{bare_time, check_size, parse_bool, parse_uuid, push_text};
use crate::time::parse_date;

/// Reads a string; its text lies in the input or, when it has escapes, in `scratch`.
#[inline]
pub(crate) fn json_string<'s, 'a: 's>(cursor: &mut Cursor<'a>, scratch: &'s mut Vec<u8>) -> Scan<&'s [u8]> {
    if cursor.peek()? != b'"' {
        return Err(no_quote(cursor));
    }
    let data: &'a [u8] = cursor.data;
    let start = cursor.at + 1;
    match memchr::memchr2(b'"', b'\\', &data[start..]) {
        Some(length) if data[start + length] == b'"' => {
            cursor.at = start + length + 1;
            Ok(&data[start..start + length])
        }
        Some(_) => {
            scratch.clear();
            cursor.at = start;
            unescape_json(cursor, scratch)?;
            Ok(scratch)
        }
        None => Err(unclosed(cursor)),
    }
}

#[cold]
fn no_quote(cursor: &Cursor<'_>) -> Stop {
    let message =
        format!("Cannot parse JSON string: expected opening quote before: {}", excerpt(cursor.rest()));
    fault(ErrorCode::CannotParseQuotedString, message)
}

#[cold]
fn unclosed(cursor: &Cursor<'_>) -> Stop {
    if cursor.last {
        fault(ErrorCode::CannotParseQuotedString, "Cannot parse JSON string: expected closing quote")
    } else {
        Stop::More
    }
}

#[cold]
fn bad_escape(what: &str) -> Stop {
    fault(ErrorCode::CannotParseEscapeSequence, format!("Cannot parse escape sequence: {what}"))
}

/// Reads up to and past the closing quote.
fn unescape_json(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Scan<()> {
    loop {
        let Some(length) = memchr::memchr2(b'"', b'\\', cursor.rest()) else {
            return Err(unclosed(cursor));
        };
        out.extend_from_slice(&cursor.rest()[..length]);
        cursor.at += length + 1;
        if cursor.data[cursor.at - 1] == b'"' {
            return Ok(());
        }
        let mark = cursor.peek()?;
        cursor.at += 1;
        match mark {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'u' => unicode(cursor, out)?,
            b'"' | b'\\' | b'/' | b'\'' => out.push(mark),
            other => out.extend_from_slice(&[b'\\', other]),
        }
    }
}

fn hex4(cursor: &mut Cursor<'_>) -> Scan<u32> {
    let text = cursor.take(4).map_err(|stop| match stop {
        Stop::Fault(_) => bad_escape("less than four digits after \\u"),
        Stop::More => Stop::More,
    })?;
    let digit = |byte: &u8| {
        char::from(*byte).to_digit(16).ok_or_else(|| bad_escape("no hexadecimal digit after \\u"))
    };
    text.iter().try_fold(0, |sum, byte| Ok(sum * 16 + digit(byte)?))
}

fn unicode(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Scan<()> {
    let first = hex4(cursor)?;
    let code = if (0xD800..0xDC00).contains(&first) {
        let missing = || bad_escape("missing second part of surrogate pair");
        for wanted in *b"\\u" {
            if cursor.peek()? != wanted {
                return Err(missing());
            }
            cursor.at += 1;
        }
        let second = hex4(cursor)?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(missing());
        }
        0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)
    } else {
        first
    };
    let letter =
        char::from_u32(code).ok_or_else(|| bad_escape("second part of surrogate pair without first"))?;
    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(())
}

/// Passes over one value.
pub(crate) fn skip_json(cursor: &mut Cursor<'_>, depth: usize) -> Scan<()> {
    if depth >= DEPTH_MAX {
        return Err(fault(ErrorCode::TooDeepRecursion, "JSON is nested too deep"));
    }
    cursor.skip_space();
    match cursor.peek()? {
        b'"' => json_string(cursor, &mut Vec::new()).map(|_| ()),
        b'[' => list(cursor, b']', |cursor| skip_json(cursor, depth + 1)),
        b'{' => list(cursor, b'}', |cursor| {
            json_string(cursor, &mut Vec::new())?;
            cursor.skip_space();
            cursor.expect(b':')?;
            skip_json(cursor, depth + 1)
        }),
        _ => {
            let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
            let length = cursor.rest().iter().position(|b| !is_word(b)).unwrap_or(cursor.rest().len());
            if cursor.at + length == cursor.data.len() && !cursor.last {
                return Err(Stop::More);
            }
            if length == 0 {
                let message = format!("Cannot parse JSON value before: {}", excerpt(cursor.rest()));
                return Err(fault(ErrorCode::IncorrectData, message));
            }
            cursor.at += length;
            Ok(())
        }
    }
}

/// Reads `[a, b]` or `{a, b}` with the cursor at the opening bracket.
pub(crate) fn list(
    cursor: &mut Cursor<'_>,
    close: u8,
    mut element: impl FnMut(&mut Cursor<'_>) -> Scan<()>,
) -> Scan<()> {
    cursor.at += 1;
    cursor.skip_space();
    if cursor.peek()? == close {
        cursor.at += 1;
        return Ok(());
    }
    loop {
        cursor.skip_space();
        element(cursor)?;
        cursor.skip_space();
        match cursor.peek()? {
            b',' => cursor.at += 1,
            byte if byte == close => {
                cursor.at += 1;
                return Ok(());
            }
            _ => return Err(cursor.expected(b',')),
        }
    }
}

/// Whether `null` is next; it is passed over.
#[inline]
pub(crate) fn take_null(cursor: &mut Cursor<'_>) -> Scan<bool> {
    if cursor.peek()? == b'n' { cursor.word("null") } else { Ok(false) }
}

/// Reads a value that is not null into a column.
pub(crate) fn push_json(
    column: &mut Column,
    cursor: &mut Cursor<'_>,
    scratch: &mut Vec<u8>,
    settings: &FormatSettings,
    depth: usize,
) -> Scan<()> {
    match &mut column.values {
        Values::I64(v) => v.push(exact(cursor, scratch, read_integer)?),
        Values::F64(v) => v.push(number(cursor, scratch, read_float)?),
        Values::Text(_) | Values::Symbol(_) => return push_json_text(column, cursor, scratch),
        Values::Time(v, clock) => v.push(match cursor.peek()? {
            b'"' => clock.parse(json_string(cursor, scratch)?)?,
            _ => {
                let (negative, whole, fraction) = bare_time(cursor)?;
                clock.of_number(negative, whole, fraction)?
            }
        }),
        Values::I8(v) => v.push(exact(cursor, scratch, read_integer)?),
        Values::I16(v) => v.push(exact(cursor, scratch, read_integer)?),
        Values::I32(v) => v.push(exact(cursor, scratch, read_integer)?),
        Values::U8(v) => v.push(exact(cursor, scratch, read_integer)?),
        Values::U16(v) => v.push(exact(cursor, scratch, read_integer)?),
        Values::U32(v) => v.push(exact(cursor, scratch, read_integer)?),
        Values::U64(v) => v.push(exact(cursor, scratch, read_integer)?),
        Values::F32(v) => v.push(number(cursor, scratch, read_float32)?),
        Values::Decimal(v, precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            v.push(exact(cursor, scratch, |cursor| read_decimal(cursor, precision, scale))?);
        }
        Values::Bool(v) => v.push(parse_bool(scalar(cursor, scratch)?)?),
        // A bare number is days.
        Values::Date(v) => v.push(match cursor.peek()? {
            b'"' => parse_date(json_string(cursor, scratch)?)?,
            _ => read_integer(cursor)?,
        }),
        Values::Uuid(v) => v.push(parse_uuid(json_string(cursor, scratch)?)?),
        Values::Array(..) | Values::Tuple(..) | Values::Map(..) | Values::Nothing(_) => {
            push_json_nested(column, cursor, scratch, settings, depth)?;
        }
    }
    column.mark_valid();
    Ok(())
}

/// The text of a string or of a bare word or number.
fn scalar<'s, 'a: 's>(cursor: &mut Cursor<'a>, scratch: &'s mut Vec<u8>) -> Scan<&'s [u8]> {
    if cursor.peek()? == b'"' {
        return json_string(cursor, scratch);
    }
    let data: &'a [u8] = cursor.data;
    let start = cursor.at;
    skip_json(cursor, 0)?;
    Ok(&data[start..cursor.at])
}

#[inline]
fn number<T>(
    cursor: &mut Cursor<'_>,
    scratch: &mut Vec<u8>,
    read: impl FnOnce(&mut Cursor<'_>) -> Scan<T>,
) -> Scan<T> {
    match cursor.peek()? {
        b'"' => {
            let text = json_string(cursor, scratch)?;
            let mut inner = Cursor::new(text, true);
            let value = read(&mut inner)?;
            if inner.at < text.len() { Err(inner.expected(b'"')) } else { Ok(value) }
        }
        b't' if cursor.word("true")? => read(&mut Cursor::new(b"1", true)),
        b'f' if cursor.word("false")? => read(&mut Cursor::new(b"0", true)),
        _ => read(cursor),
    }
}

/// The same for numbers that are 0 in an empty string.
#[inline]
fn exact<T>(
    cursor: &mut Cursor<'_>,
    scratch: &mut Vec<u8>,
    read: impl FnOnce(&mut Cursor<'_>) -> Scan<T>,
) -> Scan<T> {
    if cursor.rest().starts_with(b"\"\"") {
        cursor.at += 2;
        return read(&mut Cursor::new(b"0", true));
    }
    number(cursor, scratch, read)
}

/// Text columns take strings, and any other value as it is written.
fn push_json_text(column: &mut Column, cursor: &mut Cursor<'_>, scratch: &mut Vec<u8>) -> Scan<()> {
    let text = if cursor.peek()? == b'"' {
        json_string(cursor, scratch)?
    } else {
        let data = cursor.data;
        let start = cursor.at;
        skip_json(cursor, 0)?;
        &data[start..cursor.at]
    };
    check_size(text)?;
    match &mut column.values {
        Values::Text(v) => v.push(text),
        Values::Symbol(v) => v.push(text),
        _ => return push_text(column, text),
    }
    column.mark_valid();
    Ok(())
}

fn push_json_nested(
    column: &mut Column,
    cursor: &mut Cursor<'_>,
    scratch: &mut Vec<u8>,
    settings: &FormatSettings,
    depth: usize,
) -> Scan<()> {
    if depth >= DEPTH_MAX {
        return Err(fault(ErrorCode::TooDeepRecursion, "JSON is nested too deep"));
    }
    match &mut column.values {
        Values::Array(ends, item) => {
            open(cursor, b'[')?;
            list(cursor, b']', |cursor| push_json_item(item, cursor, scratch, settings, depth + 1))?;
            ends.push(item.len() as i32);
        }
        Values::Map(ends, pair) => {
            open(cursor, b'{')?;
            list(cursor, b'}', |cursor| {
                push_text(&mut pair.0, json_string(cursor, scratch)?)?;
                cursor.skip_space();
                cursor.expect(b':')?;
                cursor.skip_space();
                push_json_item(&mut pair.1, cursor, scratch, settings, depth + 1)
            })?;
            ends.push(pair.0.len() as i32);
        }
        Values::Tuple(columns, rows) => {
            open(cursor, b'[')?;
            let mut parts = columns.iter_mut();
            list(cursor, b']', |cursor| match parts.next() {
                Some(part) => push_json_item(part, cursor, scratch, settings, depth + 1),
                None => Err(cursor.expected(b']')),
            })?;
            if parts.next().is_some() {
                return Err(fault(
                    ErrorCode::CannotParseInputAssertionFailed,
                    "A tuple has too few elements",
                ));
            }
            *rows += 1;
        }
        _ => return Err(fault(ErrorCode::IncorrectData, "A column without a type takes only null")),
    }
    Ok(())
}

fn open(cursor: &Cursor<'_>, bracket: u8) -> Scan<()> {
    if cursor.peek()? == bracket { Ok(()) } else { Err(cursor.expected(bracket)) }
}

fn push_json_item(
    column: &mut Column,
    cursor: &mut Cursor<'_>,
    scratch: &mut Vec<u8>,
    settings: &FormatSettings,
    depth: usize,
) -> Scan<()> {
    if take_null(cursor)? {
        if !column.nullable() && !settings.null_as_default {
            return Err(null_refused(&column.name));
        }
        column.push_zero();
        return Ok(());
    }
    push_json(column, cursor, scratch, settings, depth)
}

/// Writes a JSON string.
pub(crate) fn write_json_string(text: &[u8], escape_slash: bool, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut start = 0;
    for (at, byte) in text.iter().enumerate() {
        let escaped: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'/' if escape_slash => b"\\/",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            8 => b"\\b",
            12 => b"\\f",
            0..=31 => {
                out.extend_from_slice(&text[start..at]);
                out.extend_from_slice(format!("\\u{byte:04X}").as_bytes());
                start = at + 1;
                continue;
            }
            // U+2028 and U+2029 end lines in JavaScript.
            0xE2 if text[at..].starts_with("\u{2028}".as_bytes())
                || text[at..].starts_with("\u{2029}".as_bytes()) =>
            {
                out.extend_from_slice(&text[start..at]);
                out.extend_from_slice(if text[at + 2] == 0xA8 { b"\\u2028" } else { b"\\u2029" });
                start = at + 3;
                continue;
            }
            _ => continue,
        };
        out.extend_from_slice(&text[start..at]);
        out.extend_from_slice(escaped);
        start = at + 1;
    }
    out.extend_from_slice(&text[start..]);
    out.push(b'"');
}
