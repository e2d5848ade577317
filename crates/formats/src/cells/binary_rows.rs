//! Many rows in RowBinary's form at once, column after column: the kind of a value is then chosen once per column and
//! no byte is appended. First the rows are measured, then each column puts its values where they belong.

use std::ops::Range;

use zepto_common::types::ColumnType;

use super::{Cells, Kind};
use crate::row_binary::{swap_halves, write_length};

/// Rows that are written at once: their bytes stay near the processor from one column to the next.
const ROWS: usize = 512;

/// Writes all rows; false, and nothing is written, if some column can be written value by value only.
pub(crate) fn write_rows(cells: &[Cells], types: &[ColumnType], rows: usize, out: &mut Vec<u8>) -> bool {
    let widths: Option<Vec<_>> = cells.iter().zip(types).map(|(cell, ty)| cell.binary_width(ty)).collect();
    let Some(widths) = widths else { return false };
    let mut at = Vec::with_capacity(ROWS);
    for first in (0..rows).step_by(ROWS) {
        let chunk = first..rows.min(first + ROWS);
        let end = places(cells, &widths, chunk.clone(), out.len(), &mut at);
        out.resize(end, 0);
        for (cell, ty) in cells.iter().zip(types) {
            cell.put_binary(chunk.clone(), ty, &mut at, out);
        }
    }
    true
}

/// The width of a column's values.
enum Width {
    Fixed(usize),
    Text,
}

/// Finds where each row starts; gives where the last one ends.
fn places(cells: &[Cells], widths: &[Width], rows: Range<usize>, start: usize, at: &mut Vec<usize>) -> usize {
    let fixed: usize =
        widths.iter().map(|width| if let Width::Fixed(bytes) = width { *bytes } else { 0 }).sum();
    at.clear();
    at.resize(rows.len(), fixed);
    for cell in cells {
        if let Kind::Text(texts) = &cell.kind {
            // A view's low 32 bits are the text's length.
            for (size, view) in at.iter_mut().zip(&texts.views()[rows.clone()]) {
                let length = *view as u32 as usize;
                *size += length + length_width(length);
            }
        }
    }
    let mut next = start;
    for place in at.iter_mut() {
        next += std::mem::replace(place, next);
    }
    next
}

/// The bytes of a length as LEB128.
#[inline]
fn length_width(length: usize) -> usize {
    if length < 0x80 { 1 } else { (usize::BITS - length.leading_zeros()).div_ceil(7) as usize }
}

impl Cells {
    /// The width of the column's values; None if they are of no plain kind, or may be NULL.
    fn binary_width(&self, ty: &ColumnType) -> Option<Width> {
        if ty.is_nullable() {
            return None;
        }
        Some(match &self.kind {
            Kind::Text(_) => Width::Text,
            Kind::Bool(_) | Kind::I8(_) | Kind::U8(_) => Width::Fixed(1),
            Kind::I16(_) | Kind::U16(_) | Kind::Date(_) => Width::Fixed(2),
            Kind::I32(_) | Kind::U32(_) | Kind::F32(_) => Width::Fixed(4),
            Kind::I64(_) | Kind::U64(_) | Kind::F64(_) => Width::Fixed(8),
            Kind::Time(..) => Width::Fixed(if is_seconds(ty) { 4 } else { 8 }),
            Kind::Uuid(_) => Width::Fixed(16),
            _ => return None,
        })
    }

    /// Puts these rows' values at their places, which are then behind them.
    fn put_binary(&self, rows: Range<usize>, ty: &ColumnType, at: &mut [usize], out: &mut [u8]) {
        macro_rules! numbers {
            ($array:expr) => {
                put(&$array.values()[rows], at, out, |value| value.to_le_bytes())
            };
        }
        match &self.kind {
            Kind::Bool(a) => {
                for (place, row) in at.iter_mut().zip(rows) {
                    put_one([u8::from(a.value(row))], place, out);
                }
            }
            Kind::I8(a) => numbers!(a),
            Kind::I16(a) => numbers!(a),
            Kind::I32(a) => numbers!(a),
            Kind::I64(a) => numbers!(a),
            Kind::U8(a) => numbers!(a),
            Kind::U16(a) => numbers!(a),
            Kind::U32(a) => numbers!(a),
            Kind::U64(a) => numbers!(a),
            Kind::F32(a) => numbers!(a),
            Kind::F64(a) => numbers!(a),
            // Outside the range of ClickHouse's types the nearest value is written.
            Kind::Date(a) => put(&a.values()[rows], at, out, |days| {
                ((*days).clamp(0, i32::from(u16::MAX)) as u16).to_le_bytes()
            }),
            Kind::Time(a, _) if is_seconds(ty) => put(&a[rows], at, out, |seconds| {
                ((*seconds).clamp(0, i64::from(u32::MAX)) as u32).to_le_bytes()
            }),
            Kind::Time(a, clock) => put(&a[rows], at, out, |ticks| clock.to_binary(*ticks).to_le_bytes()),
            Kind::Text(a) => {
                for (place, row) in at.iter_mut().zip(rows) {
                    put_text(a.value(row).as_bytes(), place, out);
                }
            }
            Kind::Uuid(a) => {
                for (place, row) in at.iter_mut().zip(rows) {
                    put_one(swap_halves(<[u8; 16]>::try_from(a.value(row)).unwrap_or_default()), place, out);
                }
            }
            // `binary_width` keeps them out.
            Kind::Decimal(..) | Kind::Array(..) | Kind::Map(..) | Kind::Tuple(_) | Kind::Nothing => {}
        }
    }
}

/// Whether the type is a DateTime, which travels in four bytes.
fn is_seconds(ty: &ColumnType) -> bool {
    matches!(ty.inner(), ColumnType::DateTime(_))
}

fn put<T, const N: usize>(values: &[T], at: &mut [usize], out: &mut [u8], bytes: impl Fn(&T) -> [u8; N]) {
    for (place, value) in at.iter_mut().zip(values) {
        put_one(bytes(value), place, out);
    }
}

#[inline]
fn put_one<const N: usize>(bytes: [u8; N], place: &mut usize, out: &mut [u8]) {
    out[*place..*place + N].copy_from_slice(&bytes);
    *place += N;
}

#[inline]
fn put_text(text: &[u8], place: &mut usize, out: &mut [u8]) {
    if text.len() < 0x80 {
        out[*place] = text.len() as u8;
        *place += 1;
    } else {
        let mut length = Vec::with_capacity(10);
        write_length(text.len(), &mut length);
        out[*place..*place + length.len()].copy_from_slice(&length);
        *place += length.len();
    }
    out[*place..*place + text.len()].copy_from_slice(text);
    *place += text.len();
}
