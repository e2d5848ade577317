//! A value from its whole text (TabSeparated and CSV fields after unescaping, strings in VALUES and JSON), and
//! ClickHouse's quoted form of nested values (`['a', 'b']`, `{'k': 1}`, `(1, 'x')`).

use zepto_common::escapes::{Escape, byte_of_hex, escape};
use zepto_common::limits::{DEPTH_MAX, VALUE_BYTES_MAX};
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode};

use crate::column::{Column, Values};
use crate::decode::null_refused;
use crate::number::{digits, read_decimal, read_float, read_float32, read_integer};
use crate::scan::{Cursor, Scan, Stop, excerpt, fault};
use crate::time::parse_date;

/// Refuses strings that no column may hold.
#[inline]
pub(crate) fn check_size(value: &[u8]) -> Scan<()> {
    if value.len() > VALUE_BYTES_MAX {
        let message = format!("A value is longer than {VALUE_BYTES_MAX} bytes");
        return Err(fault(ErrorCode::TooLargeStringSize, message));
    }
    Ok(())
}

/// Appends the value of a text that is one value from its first to its last byte.
pub(crate) fn push_text(column: &mut Column, text: &[u8]) -> Scan<()> {
    match &mut column.values {
        Values::Text(values) => {
            check_size(text)?;
            values.push(text);
        }
        Values::Symbol(values) => {
            check_size(text)?;
            values.push(text);
        }
        Values::Time(values, clock) => values.push(clock.parse(text)?),
        Values::Date(values) => values.push(parse_date(text)?),
        Values::Uuid(values) => values.push(parse_uuid(text)?),
        Values::Bool(values) => values.push(parse_bool(text)?),
        _ => {
            let mut cursor = Cursor::new(text, true);
            push_quoted(column, &mut cursor, 0)?;
            if cursor.at < text.len() {
                return Err(trailing(&text[cursor.at..]));
            }
            return Ok(());
        }
    }
    column.mark_valid();
    Ok(())
}

#[cold]
fn trailing(rest: &[u8]) -> Stop {
    let message = format!("Cannot parse input: expected the end of the value before: {}", excerpt(rest));
    fault(ErrorCode::CannotParseInputAssertionFailed, message)
}

/// ClickHouse's spellings of true and false.
pub(crate) fn parse_bool(text: &[u8]) -> Scan<bool> {
    const TRUE: [&str; 7] = ["true", "1", "t", "y", "yes", "on", "enable"];
    const FALSE: [&str; 7] = ["false", "0", "f", "n", "no", "off", "disable"];
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
    match (is(&TRUE), is(&FALSE) || text.eq_ignore_ascii_case(b"disabled")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ if text.eq_ignore_ascii_case(b"enabled") => Ok(true),
        _ => Err(fault(ErrorCode::CannotParseBool, format!("Cannot parse boolean value: {}", excerpt(text)))),
    }
}

/// `8-4-4-4-12` hex digits, or 32 without dashes.
pub(crate) fn parse_uuid(text: &[u8]) -> Scan<[u8; 16]> {
    let shape = matches!(text.len(), 32 | 36);
    let parsed =
        std::str::from_utf8(text).ok().filter(|_| shape).and_then(|text| uuid::Uuid::try_parse(text).ok());
    parsed
        .map(uuid::Uuid::into_bytes)
        .ok_or_else(|| fault(ErrorCode::CannotParseUuid, format!("Cannot parse uuid {}", excerpt(text))))
}

/// Reads one value in the quoted form, as in VALUES; numbers may be quoted, text must be.
pub(crate) fn push_quoted(column: &mut Column, cursor: &mut Cursor<'_>, depth: usize) -> Scan<()> {
    match &mut column.values {
        Values::I64(v) => v.push(number(cursor, read_integer)?),
        Values::F64(v) => v.push(number(cursor, read_float)?),
        Values::Text(v) => quoted(cursor, |text| {
            check_size(text)?;
            v.push(text);
            Ok(())
        })?,
        Values::Symbol(v) => quoted(cursor, |text| {
            check_size(text)?;
            v.push(text);
            Ok(())
        })?,
        Values::Time(v, clock) => v.push(match cursor.peek()? {
            b'\'' => quoted(cursor, |text| Ok(clock.parse(text)?))?,
            _ => {
                let (negative, whole, fraction) = bare_time(cursor)?;
                clock.of_number(negative, whole, fraction)?
            }
        }),
        Values::I8(v) => v.push(number(cursor, read_integer)?),
        Values::I16(v) => v.push(number(cursor, read_integer)?),
        Values::I32(v) => v.push(number(cursor, read_integer)?),
        Values::U8(v) => v.push(number(cursor, read_integer)?),
        Values::U16(v) => v.push(number(cursor, read_integer)?),
        Values::U32(v) => v.push(number(cursor, read_integer)?),
        Values::U64(v) => v.push(number(cursor, read_integer)?),
        Values::F32(v) => v.push(number(cursor, read_float32)?),
        Values::Decimal(v, precision, scale) => {
            let (precision, scale) = (*precision, *scale);
            v.push(number(cursor, |cursor| read_decimal(cursor, precision, scale))?);
        }
        Values::Bool(v) => v.push(match cursor.peek()? {
            b'\'' => quoted(cursor, parse_bool)?,
            _ => bare_bool(cursor)?,
        }),
        Values::Date(v) => v.push(match cursor.peek()? {
            b'\'' => quoted(cursor, |text| Ok(parse_date(text)?))?,
            _ => read_integer(cursor)?,
        }),
        Values::Uuid(v) => v.push(quoted(cursor, parse_uuid)?),
        Values::Array(..) | Values::Tuple(..) | Values::Map(..) | Values::Nothing(_) => {
            push_quoted_nested(column, cursor, depth)?;
        }
    }
    column.mark_valid();
    Ok(())
}

fn number<'a, T>(cursor: &mut Cursor<'a>, read: impl FnOnce(&mut Cursor<'_>) -> Scan<T>) -> Scan<T> {
    match cursor.peek()? {
        b'\'' => {}
        b't' | b'T' if cursor.word("true")? => return read(&mut Cursor::new(b"1", true)),
        b'f' | b'F' if cursor.word("false")? => return read(&mut Cursor::new(b"0", true)),
        _ => return read(cursor),
    }
    quoted(cursor, |text| {
        let mut inner = Cursor::new(text, true);
        let value = read(&mut inner)?;
        if inner.at < text.len() { Err(trailing(&text[inner.at..])) } else { Ok(value) }
    })
}

fn bare_bool(cursor: &mut Cursor<'_>) -> Scan<bool> {
    let length = cursor.rest().iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(cursor.rest().len());
    if cursor.at + length == cursor.data.len() && !cursor.last {
        return Err(Stop::More);
    }
    let value = parse_bool(&cursor.rest()[..length])?;
    cursor.at += length;
    Ok(value)
}

/// A number in seconds: sign, whole part, digits after the point.
pub(crate) fn bare_time<'a>(cursor: &mut Cursor<'a>) -> Scan<(bool, u64, &'a [u8])> {
    let negative = cursor.peek()? == b'-';
    cursor.at += usize::from(negative);
    let start = cursor.at;
    let whole: u64 = match cursor.peek()? {
        b'+' | b'-' => return Err(cursor.expected(b'0')),
        _ => read_integer(cursor)?,
    };
    debug_assert!(cursor.at > start, "an integer has digits");
    let mut fraction: &[u8] = b"";
    if cursor.peek_or_end()? == Some(b'.') {
        let count = digits(&cursor.data[cursor.at + 1..]).count;
        fraction = &cursor.data[cursor.at + 1..][..count];
        cursor.at += 1 + count;
        cursor.peek_or_end()?;
    }
    Ok((negative, whole, fraction))
}

/// Reads a single-quoted string and hands on its text.
#[inline]
pub(crate) fn quoted<T>(cursor: &mut Cursor<'_>, with: impl FnOnce(&[u8]) -> Scan<T>) -> Scan<T> {
    if cursor.peek()? != b'\'' {
        return Err(no_quote(cursor));
    }
    let start = cursor.at + 1;
    let Some(length) = memchr::memchr2(b'\'', b'\\', &cursor.data[start..]) else {
        return Err(unclosed(cursor));
    };
    let end = start + length;
    let plain_end = cursor.data[end] == b'\''
        && match cursor.data.get(end + 1) {
            Some(next) => *next != b'\'',
            None if cursor.last => true,
            None => return Err(Stop::More),
        };
    if plain_end {
        cursor.at = end + 1;
        return with(&cursor.data[start..end]);
    }
    let mut text = Vec::new();
    unquote(cursor, &mut text)?;
    with(&text)
}

#[cold]
fn no_quote(cursor: &Cursor<'_>) -> Stop {
    let message =
        format!("Cannot parse quoted string: expected opening quote ''' before: {}", excerpt(cursor.rest()));
    fault(ErrorCode::CannotParseQuotedString, message)
}

#[cold]
fn unclosed(cursor: &Cursor<'_>) -> Stop {
    if cursor.last {
        fault(ErrorCode::CannotParseQuotedString, "Cannot parse quoted string: expected closing quote '''")
    } else {
        Stop::More
    }
}

/// Reads a single-quoted string with escapes or doubled quotes into `out`.
fn unquote(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Scan<()> {
    cursor.expect(b'\'')?;
    loop {
        let Some(length) = memchr::memchr2(b'\'', b'\\', cursor.rest()) else {
            return Err(unclosed(cursor));
        };
        out.extend_from_slice(&cursor.rest()[..length]);
        cursor.at += length;
        if cursor.data[cursor.at] == b'\\' {
            cursor.at += 1;
            unescape(cursor, out)?;
            continue;
        }
        cursor.at += 1;
        match cursor.peek_or_end()? {
            Some(b'\'') => {
                out.push(b'\'');
                cursor.at += 1;
            }
            _ => return Ok(()),
        }
    }
}

/// Reads what follows a backslash.
pub(crate) fn unescape(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Scan<()> {
    let mark = cursor.peek().map_err(|stop| match stop {
        Stop::Fault(_) => fault(
            ErrorCode::CannotParseEscapeSequence,
            "Cannot parse escape sequence: unexpected end of data",
        ),
        Stop::More => Stop::More,
    })?;
    cursor.at += 1;
    let byte = match escape(mark) {
        Escape::Byte(byte) => byte,
        Escape::Nothing => return Ok(()),
        Escape::Hex => {
            let hex = cursor.take(2).map_err(|stop| match stop {
                Stop::Fault(_) => fault(ErrorCode::CannotParseEscapeSequence, "Cannot parse escape sequence"),
                Stop::More => Stop::More,
            })?;
            byte_of_hex([hex[0], hex[1]])
        }
        Escape::Kept(byte) => {
            out.push(b'\\');
            byte
        }
    };
    out.push(byte);
    Ok(())
}

fn push_quoted_nested(column: &mut Column, cursor: &mut Cursor<'_>, depth: usize) -> Scan<()> {
    if depth >= DEPTH_MAX {
        return Err(fault(ErrorCode::TooDeepRecursion, "A value is nested too deep"));
    }
    match &mut column.values {
        Values::Array(ends, item) => {
            cursor.expect(b'[')?;
            sequence(cursor, b']', |cursor| push_item(item, cursor, depth + 1))?;
            ends.push(item.len() as i32);
        }
        Values::Map(ends, pair) => {
            cursor.expect(b'{')?;
            sequence(cursor, b'}', |cursor| {
                push_item(&mut pair.0, cursor, depth + 1)?;
                cursor.skip_space();
                if cursor.peek()? != b'=' {
                    cursor.expect(b':')?;
                } else {
                    cursor.at += 1;
                }
                cursor.skip_space();
                push_item(&mut pair.1, cursor, depth + 1)
            })?;
            ends.push(pair.0.len() as i32);
        }
        Values::Tuple(columns, rows) => {
            cursor.expect(b'(')?;
            for (at, part) in columns.iter_mut().enumerate() {
                cursor.skip_space();
                if at > 0 {
                    cursor.expect(b',')?;
                    cursor.skip_space();
                }
                push_item(part, cursor, depth + 1)?;
            }
            cursor.skip_space();
            if columns.len() == 1 && cursor.peek()? == b',' {
                cursor.at += 1;
                cursor.skip_space();
            }
            cursor.expect(b')')?;
            *rows += 1;
        }
        Values::Nothing(rows) => {
            if !cursor.word("NULL")? {
                return Err(cursor.expected(b'N'));
            }
            *rows += 1;
        }
        _ => return Err(Error::internal("only nested columns come here").into()),
    }
    Ok(())
}

/// One element of a nested value, which may be NULL when its type allows it.
fn push_item(column: &mut Column, cursor: &mut Cursor<'_>, depth: usize) -> Scan<()> {
    if matches!(cursor.peek()?, b'N' | b'n') && column.ty != ColumnType::Nothing && cursor.word("NULL")? {
        if !column.nullable() {
            return Err(null_refused(&column.name));
        }
        column.push_zero();
        return Ok(());
    }
    push_quoted(column, cursor, depth)
}

/// Reads comma-separated elements up to `close`.
fn sequence(
    cursor: &mut Cursor<'_>,
    close: u8,
    mut element: impl FnMut(&mut Cursor<'_>) -> Scan<()>,
) -> Scan<()> {
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
            _ => return Err(cursor.expected(close)),
        }
    }
}
