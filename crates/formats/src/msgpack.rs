//! MsgPackColumns: one MessagePack map of column name → array of the column's values.
//!
//! The message is read when it is whole. A first pass over it checks its form and every declared length against
//! the bytes that are there, and notes where each column's values begin; then rows are read across the columns.
//! So nothing is allocated for a length that only was declared, and nesting costs no stack in the first pass.

use zepto_common::ErrorCode;
use zepto_common::limits::{COLUMNAR_BYTES_MAX, COLUMNS_MAX, DEPTH_MAX, ROW_BYTES_MAX};

use crate::cells::write_float;
use crate::column::{Column, Values};
use crate::decode::{Block, Found, RowFormat, in_column, null_refused};
use crate::msgpack_rows::push_raw;
use crate::number::{Integer, read_decimal};
use crate::scan::{Cursor, Scan, Stop, fault};
use crate::settings::FormatSettings;
use crate::text::{check_size, parse_bool, push_text};

/// MessagePack's own extension type for times.
const TIMESTAMP: i8 = -1;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// Reads rows.
#[derive(Default)]
pub(crate) struct MsgPackColumns {
    /// Once the message is whole.
    message: Option<Message>,
}

/// Where a message's columns are.
#[derive(Debug, Default)]
struct Message {
    /// Column of the table, and where its next value begins.
    columns: Vec<(usize, usize)>,
    /// Rows that are left.
    rows: usize,
}

/// How values become a column's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// nil is the zero value where NULL is no value.
    nulls: bool,
    /// As ClickHouse's MsgPack: integers are units of a Decimal and ticks of a time, UUIDs are binary.
    raw: bool,
}

impl Rules {
    fn of_columns(settings: &FormatSettings) -> Self {
        Self { nulls: settings.null_as_default, raw: false }
    }

    /// The rules of ClickHouse's MsgPack.
    pub(crate) fn raw(settings: &FormatSettings) -> Self {
        Self { nulls: settings.null_as_default, raw: true }
    }
}

/// The first part of a value: all of it, but for the elements of lists and maps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Head<'a> {
    Nil,
    Bool(bool),
    /// Any integer.
    Int(i128),
    F32(f32),
    F64(f64),
    Text(&'a [u8]),
    Binary(&'a [u8]),
    /// This many values follow.
    Array(usize),
    /// This many pairs follow.
    Map(usize),
    /// An extension's type and bytes.
    Extension(i8, &'a [u8]),
}

impl Head<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::F32(_) | Self::F64(_) => "float",
            Self::Text(_) => "string",
            Self::Binary(_) => "binary",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Extension(..) => "extension",
        }
    }
}

/// A big-endian unsigned number of this many bytes.
fn unsigned(cursor: &mut Cursor<'_>, bytes: usize) -> Scan<u64> {
    Ok(cursor.take(bytes)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// A big-endian signed number of this many bytes.
fn signed(cursor: &mut Cursor<'_>, bytes: usize) -> Scan<i128> {
    let unused = 64 - 8 * bytes as u32;
    Ok(i128::from((unsigned(cursor, bytes)? << unused).cast_signed() >> unused))
}

/// A declared length; more than there are bytes left cannot be.
fn length(cursor: &mut Cursor<'_>, bytes: usize) -> Scan<usize> {
    usize::try_from(unsigned(cursor, bytes)?).map_err(|_| too_long())
}

#[cold]
fn too_long() -> Stop {
    fault(ErrorCode::CannotReadAllData, "Cannot read all data: a MessagePack length reaches behind the end")
}

pub(crate) fn head<'a>(cursor: &mut Cursor<'a>) -> Scan<Head<'a>> {
    let first = cursor.take(1)?[0];
    let found = match first {
        0x00..=0x7F => Head::Int(i128::from(first)),
        0x80..=0x8F => Head::Map(usize::from(first & 0x0F)),
        0x90..=0x9F => Head::Array(usize::from(first & 0x0F)),
        0xA0..=0xBF => Head::Text(cursor.take(usize::from(first & 0x1F))?),
        0xC0 => Head::Nil,
        0xC1 => return Err(fault(ErrorCode::IncorrectData, "Byte 0xC1 begins no MessagePack value")),
        0xC2 | 0xC3 => Head::Bool(first == 0xC3),
        0xC4..=0xC6 => {
            let size = length(cursor, 1 << (first - 0xC4))?;
            Head::Binary(cursor.take(size)?)
        }
        0xC7..=0xC9 => {
            let size = length(cursor, 1 << (first - 0xC7))?;
            extension(cursor, size)?
        }
        0xCA => Head::F32(f32::from_bits(unsigned(cursor, 4)? as u32)),
        0xCB => Head::F64(f64::from_bits(unsigned(cursor, 8)?)),
        0xCC..=0xCF => Head::Int(i128::from(unsigned(cursor, 1 << (first - 0xCC))?)),
        0xD0..=0xD3 => Head::Int(signed(cursor, 1 << (first - 0xD0))?),
        0xD4..=0xD8 => extension(cursor, 1 << (first - 0xD4))?,
        0xD9..=0xDB => {
            let size = length(cursor, 1 << (first - 0xD9))?;
            Head::Text(cursor.take(size)?)
        }
        0xDC | 0xDD => Head::Array(length(cursor, 2 << (first - 0xDC))?),
        0xDE | 0xDF => Head::Map(length(cursor, 2 << (first - 0xDE))?),
        0xE0..=0xFF => Head::Int(i128::from(first.cast_signed())),
    };
    // Every value has a byte at least.
    let least = match found {
        Head::Array(count) => count,
        Head::Map(count) => count.saturating_mul(2),
        _ => 0,
    };
    if least <= cursor.rest().len() {
        Ok(found)
    } else if cursor.last || least > ROW_BYTES_MAX {
        Err(too_long())
    } else {
        Err(Stop::More)
    }
}

fn extension<'a>(cursor: &mut Cursor<'a>, size: usize) -> Scan<Head<'a>> {
    let kind = cursor.take(1)?[0].cast_signed();
    Ok(Head::Extension(kind, cursor.take(size)?))
}

/// Passes over this many values with all that is inside them.
fn skip(cursor: &mut Cursor<'_>, values: usize) -> Scan<()> {
    // Each head has a byte at least and adds less than 2^34, so this cannot overflow.
    let mut open = values as u64;
    while open > 0 {
        open -= 1;
        open += match head(cursor)? {
            Head::Array(count) => count as u64,
            Head::Map(count) => 2 * count as u64,
            _ => 0,
        };
    }
    Ok(())
}

impl Message {
    /// Checks a whole message and finds its columns.
    fn find(data: &[u8], block: &Block) -> Scan<Self> {
        let mut cursor = Cursor::new(data, true);
        let count = match head(&mut cursor)? {
            Head::Map(count) if count <= COLUMNS_MAX => count,
            Head::Map(count) => {
                let text = format!("{count} columns are more than {COLUMNS_MAX}");
                return Err(fault(ErrorCode::TooLargeStringSize, text));
            }
            other => {
                let text =
                    format!("A map of column name to array was expected, not a MessagePack {}", other.name());
                return Err(fault(ErrorCode::TypeMismatch, text));
            }
        };
        let mut message = Self::default();
        for number in 0..count {
            let name = match head(&mut cursor)? {
                Head::Text(name) => String::from_utf8_lossy(name),
                other => {
                    let text = format!("A column's name was expected, not a MessagePack {}", other.name());
                    return Err(fault(ErrorCode::TypeMismatch, text));
                }
            };
            message.column(&mut cursor, &name, number == 0, block).map_err(|stop| in_column(stop, &name))?;
        }
        if !cursor.rest().is_empty() {
            return Err(fault(ErrorCode::IncorrectData, "Bytes follow behind the MessagePack map"));
        }
        let bytes = message.rows.saturating_mul(block.row_width());
        if bytes > COLUMNAR_BYTES_MAX {
            let text = format!(
                "The rows of one message take more than {COLUMNAR_BYTES_MAX} bytes; send it in parts"
            );
            return Err(fault(ErrorCode::MemoryLimitExceeded, text));
        }
        Ok(message)
    }

    /// Notes one column and passes over its values.
    fn column(&mut self, cursor: &mut Cursor<'_>, name: &str, first: bool, block: &Block) -> Scan<()> {
        let rows = match head(cursor)? {
            Head::Array(rows) => rows,
            other => {
                let text = format!("An array of values was expected, not a MessagePack {}", other.name());
                return Err(fault(ErrorCode::TypeMismatch, text));
            }
        };
        if first {
            self.rows = rows;
        } else if rows != self.rows {
            let text = format!("The column has {rows} values, the first one has {}", self.rows);
            return Err(fault(ErrorCode::IncorrectData, text));
        }
        match block.targets.iter().find(|index| *block.columns[**index].name == *name) {
            Some(index) if self.columns.iter().any(|(known, _)| known == index) => {
                return Err(fault(ErrorCode::IncorrectData, "The column stands in the map twice"));
            }
            Some(index) => self.columns.push((*index, cursor.at)),
            None if block.settings.skip_unknown_fields => {}
            None => {
                let text = format!("Unknown field found in the data: '{}'", name.escape_debug());
                return Err(fault(ErrorCode::IncorrectData, text));
            }
        }
        skip(cursor, rows)
    }
}

impl RowFormat for MsgPackColumns {
    fn may_have_mark(&self, _: &Block) -> bool {
        false
    }

    fn unit(&self) -> &'static str {
        "MessagePack message"
    }

    fn row(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<Found> {
        if !cursor.last {
            return Err(Stop::More);
        }
        if self.message.is_none() {
            self.message = Some(Message::find(cursor.data, block)?);
        }
        let Some(message) = self.message.as_mut().filter(|message| message.rows > 0) else {
            return Ok(Found::End);
        };
        message.rows -= 1;
        let mut used = 0;
        for (index, at) in &mut message.columns {
            let mut value = Cursor { data: cursor.data, at: *at, last: true };
            let found = head(&mut value)?;
            let pushed = match found {
                Head::Nil => block.push_null(*index),
                _ => {
                    push(&mut block.columns[*index], found, &mut value, Rules::of_columns(&block.settings), 0)
                }
            };
            pushed.map_err(|stop| in_column(stop, &block.columns[*index].name))?;
            used += value.at - *at;
            *at = value.at;
        }
        // The sum of all rows is less than the message, so this stays within it.
        cursor.at += used;
        Ok(Found::Row)
    }
}

/// Appends a value that is not nil; `cursor` stands behind its head.
pub(crate) fn push(
    column: &mut Column,
    head: Head<'_>,
    cursor: &mut Cursor<'_>,
    rules: Rules,
    depth: usize,
) -> Scan<()> {
    if let Head::Text(text) = head {
        check_size(text)?;
        return push_text(column, text);
    }
    if rules.raw && push_raw(column, head)? {
        column.mark_valid();
        return Ok(());
    }
    match (&mut column.values, head) {
        (Values::I8(v), head) => v.push(integer(head)?),
        (Values::I16(v), head) => v.push(integer(head)?),
        (Values::I32(v), head) => v.push(integer(head)?),
        (Values::I64(v), head) => v.push(integer(head)?),
        (Values::U8(v), head) => v.push(integer(head)?),
        (Values::U16(v), head) => v.push(integer(head)?),
        (Values::U32(v), head) => v.push(integer(head)?),
        (Values::U64(v), head) => v.push(integer(head)?),
        (Values::F64(v), Head::Int(value)) => v.push(value as f64),
        (Values::F64(v), Head::F32(value)) => v.push(f64::from(value)),
        (Values::F64(v), Head::F64(value)) => v.push(value),
        (Values::F32(v), Head::Int(value)) => v.push(value as f32),
        (Values::F32(v), Head::F32(value)) => v.push(value),
        (Values::F32(v), Head::F64(value)) => v.push(value as f32),
        (Values::Bool(v), Head::Bool(value)) => v.push(value),
        (Values::Bool(v), Head::Int(value)) => v.push(parse_bool(value.to_string().as_bytes())?),
        (Values::Text(v), Head::Binary(value)) => {
            check_size(value)?;
            v.push(value);
        }
        (Values::Symbol(v), Head::Binary(value)) => {
            check_size(value)?;
            v.push(value);
        }
        (Values::Uuid(v), Head::Binary(value)) => match <[u8; 16]>::try_from(value) {
            Ok(bytes) => v.push(bytes),
            Err(_) => return Err(fault(ErrorCode::CannotParseUuid, "A UUID has 16 bytes")),
        },
        (Values::Decimal(v, precision, scale), Head::Int(_) | Head::F32(_) | Head::F64(_)) => {
            let text = number_text(head);
            v.push(read_decimal(&mut Cursor::new(&text, true), *precision, *scale)?);
        }
        (Values::Date(..) | Values::Time(..), head) => push_time(column, head)?,
        (Values::Array(..) | Values::Map(..) | Values::Tuple(..), head) => {
            push_nested(column, head, cursor, rules, depth)?;
        }
        (_, head) => return Err(mismatch(column, head)),
    }
    column.mark_valid();
    Ok(())
}

#[cold]
fn mismatch(column: &Column, head: Head<'_>) -> Stop {
    fault(ErrorCode::TypeMismatch, format!("A MessagePack {} does not become {}", head.name(), column.ty))
}

pub(crate) fn integer<T: Integer>(head: Head<'_>) -> Scan<T> {
    let value = match head {
        Head::Int(value) => value,
        Head::Bool(value) => i128::from(value),
        other => {
            let text = format!("A MessagePack {} does not become an integer", other.name());
            return Err(fault(ErrorCode::TypeMismatch, text));
        }
    };
    let magnitude = u64::try_from(value.unsigned_abs()).ok();
    magnitude.and_then(|magnitude| T::from_parts(value < 0, magnitude)).ok_or_else(|| {
        fault(ErrorCode::ValueIsOutOfRange, format!("Number {value} does not fit the column's type"))
    })
}

/// A number as the shortest text that means it.
fn number_text(head: Head<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    match head {
        Head::Int(value) => text.extend_from_slice(value.to_string().as_bytes()),
        Head::F32(value) => write_float(value, &mut text),
        Head::F64(value) => write_float(value, &mut text),
        _ => {}
    }
    text
}

/// Times from the timestamp extension, from seconds (ticks when they are too many), and with a fraction.
fn push_time(column: &mut Column, head: Head<'_>) -> Scan<()> {
    let timestamp = match head {
        Head::Extension(TIMESTAMP, bytes) => Some(timestamp(bytes)?),
        _ => None,
    };
    match (&mut column.values, timestamp, head) {
        (Values::Date(v), Some((seconds, _)), _) => {
            let days = i32::try_from(seconds.div_euclid(DAY));
            v.push(days.map_err(|_| Stop::from(crate::time::out_of_range()))?);
        }
        (Values::Date(v), _, Head::Int(_)) => v.push(integer(head)?),
        (Values::Time(v, clock), Some((seconds, nanos)), _) => v.push(clock.stored(seconds, nanos)?),
        (Values::Time(v, clock), _, Head::Int(value)) => {
            let whole =
                u64::try_from(value.unsigned_abs()).map_err(|_| Stop::from(crate::time::out_of_range()))?;
            v.push(clock.of_number(value < 0, whole, b"")?);
        }
        (Values::Time(v, clock), _, Head::F32(_) | Head::F64(_)) => {
            let text = number_text(head);
            let (negative, digits) = match text.split_first() {
                Some((b'-', rest)) => (true, rest),
                _ => (false, &text[..]),
            };
            let mut parts = digits.splitn(2, |byte| *byte == b'.');
            let (whole, fraction) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let whole = std::str::from_utf8(whole).ok().and_then(|whole| whole.parse().ok());
            let plain = fraction.iter().all(u8::is_ascii_digit);
            let whole = whole.filter(|_| plain).ok_or_else(|| Stop::from(crate::time::out_of_range()))?;
            v.push(clock.of_number(negative, whole, fraction)?);
        }
        _ => return Err(mismatch(column, head)),
    }
    Ok(())
}

/// Seconds since 1970 and nanoseconds of a timestamp of 4, 8 or 12 bytes.
fn timestamp(bytes: &[u8]) -> Scan<(i64, u32)> {
    let mut cursor = Cursor::new(bytes, true);
    let (seconds, nanos) = match bytes.len() {
        4 => (unsigned(&mut cursor, 4)?.cast_signed(), 0),
        8 => {
            let both = unsigned(&mut cursor, 8)?;
            ((both & 0x3_FFFF_FFFF).cast_signed(), both >> 34)
        }
        12 => {
            let nanos = unsigned(&mut cursor, 4)?;
            (unsigned(&mut cursor, 8)?.cast_signed(), nanos)
        }
        _ => return Err(fault(ErrorCode::IncorrectData, "A MessagePack timestamp has 4, 8 or 12 bytes")),
    };
    match u32::try_from(nanos) {
        Ok(nanos) if nanos < 1_000_000_000 => Ok((seconds, nanos)),
        _ => Err(fault(ErrorCode::IncorrectData, "A MessagePack timestamp has less than 10^9 nanoseconds")),
    }
}

fn push_nested(
    column: &mut Column,
    found: Head<'_>,
    cursor: &mut Cursor<'_>,
    rules: Rules,
    depth: usize,
) -> Scan<()> {
    if depth >= DEPTH_MAX {
        return Err(fault(ErrorCode::TooDeepRecursion, "A value is nested too deep"));
    }
    match (&mut column.values, found) {
        (Values::Array(ends, item), Head::Array(count)) => {
            for _ in 0..count {
                push_item(item, cursor, rules, depth + 1)?;
            }
            ends.push(item.len() as i32);
        }
        (Values::Map(ends, pair), Head::Map(count)) => {
            for _ in 0..count {
                push_item(&mut pair.0, cursor, rules, depth + 1)?;
                push_item(&mut pair.1, cursor, rules, depth + 1)?;
            }
            ends.push(pair.0.len() as i32);
        }
        (Values::Tuple(parts, rows), Head::Array(count)) => {
            if count != parts.len() {
                let text = format!("A tuple of {} elements was expected, not of {count}", parts.len());
                return Err(fault(ErrorCode::IncorrectData, text));
            }
            for part in parts {
                push_item(part, cursor, rules, depth + 1)?;
            }
            *rows += 1;
        }
        _ => return Err(mismatch(column, found)),
    }
    Ok(())
}

/// Appends an element of a nested value.
fn push_item(column: &mut Column, cursor: &mut Cursor<'_>, rules: Rules, depth: usize) -> Scan<()> {
    match head(cursor)? {
        Head::Nil if column.nullable() || rules.nulls => {
            column.push_zero();
            Ok(())
        }
        Head::Nil => Err(null_refused(&column.name)),
        found => push(column, found, cursor, rules, depth),
    }
}
