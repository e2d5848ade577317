//! Parts of texts, and texts made longer.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, StringViewArray};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::map;
use crate::functions::meter::Meter;
use crate::functions::render;
use crate::functions::scalar::{Arguments, Call, Scalar, fault};
use crate::functions::{Plan, Row, row};

/// Longest text that a repeating or padding function makes.
const MADE_BYTES_MAX: usize = 16 << 20;

/// Start and end of a part by ClickHouse's rules: offsets from 1, negative from the end, length may be negative.
pub(super) fn part(size: i64, offset: i64, length: Option<i64>) -> (usize, usize) {
    let start = match offset {
        0 => return (0, 0),
        1.. => offset - 1,
        _ => size + offset,
    };
    let end = match length {
        None => size,
        Some(length) if length >= 0 => start.saturating_add(length),
        Some(length) => size + length,
    };
    let (start, end) = (start.clamp(0, size), end.clamp(0, size));
    (start as usize, end.max(start) as usize)
}

pub(super) fn substring(call: &Call<'_>, utf8: bool) -> Result<ArrayRef> {
    let offsets = call.ints(1)?;
    let lengths = if call.len() > 2 { Some(call.ints(2)?) } else { None };
    map(call, |text, row| {
        let length = lengths.as_ref().map(|lengths| lengths.value(row));
        if !utf8 && text.is_ascii() {
            let (start, end) = part(text.len() as i64, offsets.value(row), length);
            return Ok(Cow::Owned(text[start..end].to_owned()));
        }
        if utf8 {
            let chars: Vec<char> = text.chars().collect();
            let (start, end) = part(chars.len() as i64, offsets.value(row), length);
            return Ok(Cow::Owned(chars[start..end].iter().collect()));
        }
        let (start, end) = part(text.len() as i64, offsets.value(row), length);
        Ok(Cow::Owned(String::from_utf8_lossy(&text.as_bytes()[start..end]).into_owned()))
    })
}

pub(super) fn pad(call: &Call<'_>, left: bool, utf8: bool) -> Result<ArrayRef> {
    let lengths = call.ints(1)?;
    let fill = if call.len() > 2 { Some(call.texts(2)?) } else { None };
    take_all(call.meter(), lengths.iter().flatten().map(|length| length.max(0) as usize))?;
    map(call, |text, row| {
        let wanted = lengths.value(row).max(0) as usize;
        check_made(wanted)?;
        let size = if utf8 { text.chars().count() } else { text.len() };
        let fill = fill.as_ref().map_or(" ", |fill| fill.value(row));
        let fill = if fill.is_empty() { " " } else { fill };
        if size >= wanted {
            let kept: String = if utf8 {
                text.chars().take(wanted).collect()
            } else {
                String::from_utf8_lossy(&text.as_bytes()[..wanted]).into_owned()
            };
            return Ok(Cow::Owned(kept));
        }
        let padding: String = fill.chars().cycle().take(wanted - size).collect();
        Ok(Cow::Owned(if left { padding + text } else { text.to_owned() + &padding }))
    })
}

/// Room for all of them, before the first is made. One that is too long by itself is told by [`check_made`].
fn take_all(mut meter: Meter, sizes: impl Iterator<Item = usize>) -> Result<()> {
    sizes.filter(|size| *size <= MADE_BYTES_MAX).try_for_each(|size| meter.take(size))
}

pub(super) fn check_made(bytes: usize) -> Result<()> {
    if bytes > MADE_BYTES_MAX {
        let message = format!("A text of {bytes} bytes is over the limit of {MADE_BYTES_MAX}");
        return Err(fault(ErrorCode::TooLargeStringSize, message));
    }
    Ok(())
}

pub(super) fn repeat(call: &Call<'_>) -> Result<ArrayRef> {
    let (counts, texts) = (call.ints(1)?, call.texts(0)?);
    let sizes = (0..call.rows).filter(|row| texts.is_valid(*row));
    take_all(
        call.meter(),
        sizes.map(|row| texts.value(row).len().saturating_mul(counts.value(row).max(0) as usize)),
    )?;
    map(call, |text, row| {
        let count = counts.value(row).max(0) as usize;
        check_made(text.len().saturating_mul(count))?;
        Ok(Cow::Owned(text.repeat(count)))
    })
}

/// `format('{} is {1}', a, b)`.
pub(super) fn format(call: &Call<'_>) -> Result<ArrayRef> {
    let columns: Result<Vec<StringViewArray>> =
        (1..call.len()).map(|i| render::texts(&call.array(i)?, &call.base(i))).collect();
    let columns = columns?;
    map(call, |pattern, row| {
        let mut out = String::new();
        let (mut rest, mut next) = (pattern, 0);
        while let Some(open) = rest.find(['{', '}']) {
            out.push_str(&rest[..open]);
            let doubled = rest[open..].starts_with("{{") || rest[open..].starts_with("}}");
            if doubled {
                out.push_str(&rest[open..=open]);
                rest = &rest[open + 2..];
                continue;
            }
            let Some(close) = rest[open..].find('}').filter(|_| rest[open..].starts_with('{')) else {
                return Err(fault(ErrorCode::BadArguments, "Unbalanced braces in the pattern of format"));
            };
            let inside = &rest[open + 1..open + close];
            let index = if inside.is_empty() { next } else { inside.parse().unwrap_or(usize::MAX) };
            next = index.saturating_add(1);
            match columns.get(index) {
                Some(column) if column.is_valid(row) => {
                    check_made(out.len() + column.value(row).len())?;
                    out.push_str(column.value(row));
                }
                Some(_) => {}
                None => {
                    return Err(fault(
                        ErrorCode::BadArguments,
                        "Not enough arguments for the pattern of format",
                    ));
                }
            }
            rest = &rest[open + close + 1..];
        }
        out.push_str(rest);
        Ok(Cow::Owned(out))
    })
}

/// An array keeps its type.
pub(super) fn reversed_type(args: &Arguments<'_>) -> Result<ColumnType> {
    match args.base(0) {
        array @ ColumnType::Array(_) => Ok(array),
        _ => Ok(ColumnType::String),
    }
}

pub(super) fn reversed(call: &Call<'_>) -> Result<ArrayRef> {
    match call.base(0) {
        ColumnType::Array(_) => crate::functions::arrays::reversed(call),
        _ => map(call, |text, _| Ok(Cow::Owned(text.chars().rev().collect::<String>()))),
    }
}

pub(super) fn ends(call: &Call<'_>, left: bool) -> Result<ArrayRef> {
    let counts = call.ints(1)?;
    map(call, |text, row| {
        let (size, count) = (text.len() as i64, counts.value(row));
        let kept = if count >= 0 { count.min(size) } else { (size + count).max(0) };
        let (start, end) = if left { (0, kept) } else { (size - kept, size) };
        Ok(Cow::Owned(String::from_utf8_lossy(&text.as_bytes()[start as usize..end as usize]).into_owned()))
    })
}

/// Texts of a width in characters.
pub(crate) const PADS: &[Row] = &[
    row(
        "leftPadUTF8",
        &[],
        "leftPadUTF8(s, length[, fill])",
        "Filled at the left to a length in characters.",
        Plan::Scalar(Scalar::pure((2, 3), |_| Ok(ColumnType::String), |call| pad(call, true, true))),
    ),
    row(
        "rightPadUTF8",
        &[],
        "rightPadUTF8(s, length[, fill])",
        "Filled at the right to a length in characters.",
        Plan::Scalar(Scalar::pure((2, 3), |_| Ok(ColumnType::String), |call| pad(call, false, true))),
    ),
];
