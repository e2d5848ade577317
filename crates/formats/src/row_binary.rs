//! RowBinary: values in ClickHouse's binary form, row after row.
//!
//! Numbers are little-endian; a string is its length as LEB128 and its bytes; Nullable is a byte (1 = NULL)
//! before the value; Array is a length and the elements; UUID is two 64-bit halves, each little-endian.

mod bulk;
#[cfg(test)]
mod tests;

use zepto_common::limits::{COLUMNS_MAX, DEPTH_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode, Result};

use crate::cells::write_rows;
use crate::column::{Column, Values};
use crate::decode::{Block, Found, RowFormat, in_column};
use crate::encode::{Encoder, Fields, ResultTotals};
use crate::header::{Header, Names};
use crate::scan::{Cursor, Scan, Stop, fault};

/// Reads rows.
pub(crate) struct RowBinary {
    names: Names,
    header: Header,
    /// Columns for fields that the table does not have, so that their bytes can be passed over.
    unknown: Vec<Option<Column>>,
    bulk: bulk::Bulk,
}

impl RowBinary {
    pub(crate) fn new(names: Names) -> Self {
        Self { names, header: Header::new(names), unknown: Vec::new(), bulk: bulk::Bulk::default() }
    }

    /// `n`, n names, and n types when the format has them.
    fn header(&mut self, cursor: &mut Cursor<'_>, block: &Block) -> Scan<()> {
        let count = length(cursor, COLUMNS_MAX, "columns")?;
        let names = strings(cursor, count)?;
        let types = if self.names == Names::WithTypes { Some(strings(cursor, count)?) } else { None };
        self.header.take_line(names, block)?;
        let typed = types.unwrap_or_default();
        if self.names == Names::WithTypes {
            self.header.take_line(typed.clone(), block)?;
        }
        for at in 0..count {
            let unknown = match (self.header.target(at, block), typed.get(at)) {
                (Some(_), _) => None,
                (None, Some(name)) => Some(Column::new("", &name.parse::<ColumnType>()?, &block.settings)),
                (None, None) => {
                    let message =
                        "A field that is no column of the table cannot be passed over without its type";
                    return Err(fault(ErrorCode::IncorrectData, message));
                }
            };
            self.unknown.push(unknown);
        }
        Ok(())
    }
}

fn strings(cursor: &mut Cursor<'_>, count: usize) -> Scan<Vec<String>> {
    let mut found = Vec::new();
    for _ in 0..count {
        let size = length(cursor, NAME_BYTES_MAX * 64, "bytes in a name")?;
        found.push(String::from_utf8_lossy(cursor.take(size)?).into_owned());
    }
    Ok(found)
}

/// A length that is at most `max`.
#[inline]
pub(crate) fn length(cursor: &mut Cursor<'_>, max: usize, what: &str) -> Scan<usize> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = match cursor.data.get(cursor.at) {
            Some(byte) => *byte,
            None if cursor.last => return Err(early_end()),
            None => return Err(Stop::More),
        };
        cursor.at += 1;
        value |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return match usize::try_from(value) {
                Ok(size) if size <= max => Ok(size),
                _ => Err(too_large(value, max, what)),
            };
        }
    }
    Err(fault(ErrorCode::IncorrectData, "A length is longer than ten bytes"))
}

#[cold]
fn too_large(value: u64, max: usize, what: &str) -> Stop {
    fault(ErrorCode::TooLargeStringSize, format!("{value} {what} are more than {max}"))
}

#[cold]
fn early_end() -> Stop {
    fault(ErrorCode::AttemptToReadAfterEof, "Attempt to read after the end of the data")
}

#[inline]
fn fixed<const N: usize>(cursor: &mut Cursor<'_>) -> Scan<[u8; N]> {
    match cursor.data[cursor.at..].first_chunk::<N>() {
        Some(bytes) => {
            cursor.at += N;
            Ok(*bytes)
        }
        None => cursor.take(N).and(Err(Stop::More)),
    }
}

/// ClickHouse's UUID: two 64-bit halves, each little-endian. The same way back.
pub(crate) fn swap_halves(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[..8].reverse();
    bytes[8..].reverse();
    bytes
}

/// Reads one value.
#[inline]
fn read(column: &mut Column, cursor: &mut Cursor<'_>) -> Scan<()> {
    if column.nullable() {
        match fixed::<1>(cursor)?[0] {
            0 => {}
            _ => {
                column.push_zero();
                return Ok(());
            }
        }
    }
    read_value(column, cursor, 0)
}

fn read_value(column: &mut Column, cursor: &mut Cursor<'_>, depth: usize) -> Scan<()> {
    match &mut column.values {
        Values::I64(v) => v.push(i64::from_le_bytes(fixed(cursor)?)),
        Values::F64(v) => v.push(f64::from_le_bytes(fixed(cursor)?)),
        Values::Time(v, clock) => v.push(match column.ty.inner() {
            ColumnType::DateTime(_) => i64::from(u32::from_le_bytes(fixed(cursor)?)),
            _ => clock.of_binary(i64::from_le_bytes(fixed(cursor)?))?,
        }),
        Values::Symbol(v) => {
            let size = length(cursor, VALUE_BYTES_MAX, "bytes in a value")?;
            v.push(cursor.take(size)?);
        }
        Values::Text(v) => {
            let size = length(cursor, VALUE_BYTES_MAX, "bytes in a value")?;
            v.push(cursor.take(size)?);
        }
        Values::Bool(v) => v.push(match fixed::<1>(cursor)?[0] {
            0 => false,
            1 => true,
            other => {
                return Err(fault(ErrorCode::CannotParseBool, format!("{other} is neither true nor false")));
            }
        }),
        Values::I8(v) => v.push(i8::from_le_bytes(fixed(cursor)?)),
        Values::I16(v) => v.push(i16::from_le_bytes(fixed(cursor)?)),
        Values::I32(v) => v.push(i32::from_le_bytes(fixed(cursor)?)),
        Values::U8(v) => v.push(u8::from_le_bytes(fixed(cursor)?)),
        Values::U16(v) => v.push(u16::from_le_bytes(fixed(cursor)?)),
        Values::U32(v) => v.push(u32::from_le_bytes(fixed(cursor)?)),
        Values::U64(v) => v.push(u64::from_le_bytes(fixed(cursor)?)),
        Values::F32(v) => v.push(f32::from_le_bytes(fixed(cursor)?)),
        // Date is a UInt16 of days in ClickHouse; the type is the same here for both of its date types.
        Values::Date(v) => v.push(i32::from(u16::from_le_bytes(fixed(cursor)?))),
        Values::Uuid(v) => v.push(swap_halves(fixed(cursor)?)),
        Values::Decimal(v, precision, _) => {
            let value = match *precision {
                ..=9 => i128::from(i32::from_le_bytes(fixed(cursor)?)),
                10..=18 => i128::from(i64::from_le_bytes(fixed(cursor)?)),
                _ => i128::from_le_bytes(fixed(cursor)?),
            };
            if value.unsigned_abs() >= 10u128.pow(u32::from(*precision)) {
                return Err(fault(ErrorCode::ArgumentOutOfBound, "A Decimal has more digits than its type"));
            }
            v.push(value);
        }
        Values::Array(..) | Values::Tuple(..) | Values::Map(..) | Values::Nothing(_) => {
            read_nested(column, cursor, depth)?;
        }
    }
    column.mark_valid();
    Ok(())
}

fn read_nested(column: &mut Column, cursor: &mut Cursor<'_>, depth: usize) -> Scan<()> {
    if depth >= DEPTH_MAX {
        return Err(fault(ErrorCode::TooDeepRecursion, "A value is nested too deep"));
    }
    match &mut column.values {
        Values::Array(ends, item) => {
            for _ in 0..elements(cursor, item)? {
                read(item, cursor)?;
            }
            ends.push(item.len() as i32);
        }
        Values::Map(ends, pair) => {
            for _ in 0..elements(cursor, &pair.0)? {
                read(&mut pair.0, cursor)?;
                read(&mut pair.1, cursor)?;
            }
            ends.push(pair.0.len() as i32);
        }
        Values::Tuple(columns, rows) => {
            for part in columns {
                read(part, cursor)?;
            }
            *rows += 1;
        }
        _ => {
            return Err(
                Error::new(ErrorCode::IncorrectData, "A column without a type has no binary form").into()
            );
        }
    }
    Ok(())
}

/// A count of elements. Elements of no bytes (empty tuples) could be any number, so they are refused.
fn elements(cursor: &mut Cursor<'_>, item: &Column) -> Scan<usize> {
    let count = length(cursor, VALUE_BYTES_MAX, "elements of a value")?;
    if count > 0 && matches!(&item.values, Values::Tuple(parts, _) if parts.is_empty()) {
        return Err(fault(ErrorCode::IncorrectData, "An element without bytes has no binary form"));
    }
    Ok(count)
}

impl RowFormat for RowBinary {
    fn fills_targets(&self) -> bool {
        self.header.is_absent()
    }

    fn may_have_mark(&self, _: &Block) -> bool {
        false
    }

    fn rows(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> usize {
        self.bulk.read(cursor, block)
    }

    fn row(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<Found> {
        if cursor.peek_or_end()?.is_none() {
            return Ok(Found::End);
        }
        if self.header.is_open() {
            self.header(cursor, block)?;
            return Ok(Found::Nothing);
        }
        if self.header.count(block) == 0 {
            // Rows without bytes would never end.
            return Err(fault(ErrorCode::IncorrectData, "Bytes follow a header without columns"));
        }
        for at in 0..self.header.count(block) {
            match self.header.target(at, block) {
                Some(index) => {
                    let column = &mut block.columns[index];
                    read(column, cursor).map_err(|stop| in_column(stop, &column.name))?;
                }
                None => {
                    if let Some(Some(column)) = self.unknown.get_mut(at) {
                        column.truncate(0);
                        read(column, cursor)?;
                    }
                }
            }
        }
        Ok(Found::Row)
    }
}

/// Writes a length as LEB128.
#[inline]
pub(crate) fn write_length(value: usize, out: &mut Vec<u8>) {
    if value < 0x80 {
        out.push(value as u8);
    } else {
        write_long_length(value, out);
    }
}

#[inline(never)]
fn write_long_length(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    write_length(text.len(), out);
    out.extend_from_slice(text);
}

/// Writes rows.
pub(crate) struct RowBinaryWriter {
    names: Names,
    fields: Fields,
}

impl RowBinaryWriter {
    pub(crate) fn new(names: Names, fields: Fields) -> Self {
        Self { names, fields }
    }
}

impl Encoder for RowBinaryWriter {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.names != Names::Absent {
            write_length(self.fields.types().len(), out);
            self.fields.names().for_each(|name| write_string(name.as_bytes(), out));
        }
        if self.names == Names::WithTypes {
            self.fields.type_names().iter().for_each(|name| write_string(name.as_bytes(), out));
        }
        Ok(())
    }

    fn batch(&mut self, batch: &arrow::array::RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let cells = self.fields.cells(batch)?;
        if write_rows(&cells, self.fields.types(), batch.num_rows(), out) {
            return Ok(());
        }
        for row in 0..batch.num_rows() {
            for (cell, ty) in cells.iter().zip(self.fields.types()) {
                cell.write_binary(row, ty, out);
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &ResultTotals, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}
