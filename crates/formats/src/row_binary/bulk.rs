//! Many rows at once, column after column: what a row costs is then no choice of a type and no check per value.
//!
//! First the rows are measured, then each column is read in one loop. Only complete rows of plain columns are read
//! here. Whatever is wrong with a row, its values or its end, is left to the reader of single rows, which says what.

use zepto_common::limits::{BLOCK_BYTES_MAX, BLOCK_ROWS, VALUE_BYTES_MAX};
use zepto_common::types::ColumnType;

use super::{length, swap_halves};
use crate::column::{Column, Values};
use crate::decode::Block;
use crate::scan::Cursor;

/// Rows that are read at once: their bytes stay near the processor from one column to the next.
const ROWS: usize = 512;

/// What is known about the rows of an input.
#[derive(Debug, Default)]
pub(super) struct Bulk {
    shape: Option<Shape>,
    /// Where each row starts, and the end of the last.
    starts: Vec<usize>,
    /// Where the next value of each row starts.
    at: Vec<usize>,
}

/// The bytes of a row.
#[derive(Debug)]
enum Shape {
    /// Bytes of fixed size before each text, and after the last.
    Plain(Vec<usize>),
    /// Some column can be read row by row only.
    Other,
}

impl Shape {
    fn of(block: &Block) -> Self {
        let mut gaps = vec![0];
        for column in &block.columns {
            match (width(column), gaps.last_mut()) {
                (Some(Width::Fixed(bytes)), Some(gap)) => *gap += bytes,
                (Some(Width::Text), _) => gaps.push(0),
                _ => return Self::Other,
            }
        }
        // Rows without bytes are refused elsewhere.
        if block.columns.is_empty() { Self::Other } else { Self::Plain(gaps) }
    }
}

enum Width {
    Fixed(usize),
    Text,
}

/// The width of a column's values; None if they are of no plain kind.
fn width(column: &Column) -> Option<Width> {
    if column.nullable() {
        return None;
    }
    Some(match &column.values {
        Values::Text(_) | Values::Symbol(_) => Width::Text,
        Values::Bool(_) | Values::I8(_) | Values::U8(_) => Width::Fixed(1),
        Values::I16(_) | Values::U16(_) | Values::Date(_) => Width::Fixed(2),
        Values::I32(_) | Values::U32(_) | Values::F32(_) => Width::Fixed(4),
        Values::I64(_) | Values::U64(_) | Values::F64(_) => Width::Fixed(8),
        Values::Time(..) => Width::Fixed(if is_seconds(column) { 4 } else { 8 }),
        Values::Uuid(_) => Width::Fixed(16),
        _ => return None,
    })
}

/// Whether the column is a DateTime, which travels in four bytes.
fn is_seconds(column: &Column) -> bool {
    matches!(column.ty.inner(), ColumnType::DateTime(_))
}

impl Bulk {
    /// Reads rows that have a value for every column, in the table's order; gives how many there were. The cursor
    /// stands behind them, and they are in the block.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> usize {
        let Shape::Plain(gaps) = self.shape.get_or_insert_with(|| Shape::of(block)) else { return 0 };
        measure(cursor, gaps, block, &mut self.starts);
        let measured = self.starts.len() - 1;
        if measured == 0 {
            return 0;
        }
        if block.rows() == 0 {
            // About as many as the bytes at hand hold: vectors that grow are copied, and their pages are made anew.
            let row = (self.starts[measured] - cursor.at).div_ceil(measured).max(1);
            let expected = (cursor.rest().len() / row + 1).min(BLOCK_ROWS);
            block.columns.iter_mut().for_each(|column| column.reserve(expected));
        }
        self.at.clear();
        self.at.extend_from_slice(&self.starts[..measured]);
        let mut good = measured;
        for column in &mut block.columns {
            good = good.min(read_column(column, cursor.data, &mut self.at[..good]));
        }
        let bytes = self.starts[good] - cursor.at;
        cursor.at = self.starts[good];
        block.end_rows(good, bytes);
        good
    }
}

/// Notes where complete rows start, as many as the block takes.
fn measure(cursor: &Cursor<'_>, gaps: &[usize], block: &Block, starts: &mut Vec<usize>) {
    starts.clear();
    starts.push(cursor.at);
    let rows = ROWS.min(BLOCK_ROWS - block.rows());
    let mut bytes_left = BLOCK_BYTES_MAX.saturating_sub(block.bytes());
    let mut at = cursor.at;
    while starts.len() <= rows && bytes_left > 0 {
        let start = at;
        let Some(end) = row_end(cursor.data, start, gaps) else { return };
        at = end;
        bytes_left = bytes_left.saturating_sub(end - start + block.row_width());
        starts.push(end);
    }
}

/// The end of the row that starts here; None if it is not whole, or wrong.
#[inline]
fn row_end(data: &[u8], start: usize, gaps: &[usize]) -> Option<usize> {
    let (first, texts) = gaps.split_first()?;
    let mut at = start + first;
    for gap in texts {
        let (from, length) = text_at(data, at)?;
        at = from + length + gap;
    }
    (at <= data.len()).then_some(at)
}

/// Where the bytes of a text start, and how many they are.
#[inline]
fn text_at(data: &[u8], at: usize) -> Option<(usize, usize)> {
    match data.get(at)? {
        short @ ..0x80 => Some((at + 1, usize::from(*short))),
        _ => {
            let mut cursor = Cursor { data, at, last: false };
            let size = length(&mut cursor, VALUE_BYTES_MAX, "bytes in a value").ok()?;
            Some((cursor.at, size))
        }
    }
}

/// The fixed bytes at a place that was measured, which is then behind them.
#[inline]
fn fixed<const N: usize>(data: &[u8], at: &mut usize) -> [u8; N] {
    let bytes = data.get(*at..).and_then(|rest| rest.first_chunk::<N>());
    *at += N;
    bytes.copied().unwrap_or([0; N])
}

/// Reads one value of each row into a column, up to the first that it does not take; gives how many it took.
fn read_column(column: &mut Column, data: &[u8], at: &mut [usize]) -> usize {
    macro_rules! numbers {
        ($values:expr, $ty:ty) => {
            $values.extend(at.iter_mut().map(|at| <$ty>::from_le_bytes(fixed(data, at))))
        };
    }
    let seconds = is_seconds(column);
    match &mut column.values {
        Values::I8(v) => numbers!(v, i8),
        Values::I16(v) => numbers!(v, i16),
        Values::I32(v) => numbers!(v, i32),
        Values::I64(v) => numbers!(v, i64),
        Values::U8(v) => numbers!(v, u8),
        Values::U16(v) => numbers!(v, u16),
        Values::U32(v) => numbers!(v, u32),
        Values::U64(v) => numbers!(v, u64),
        Values::F32(v) => numbers!(v, f32),
        Values::F64(v) => numbers!(v, f64),
        Values::Date(v) => {
            v.extend(at.iter_mut().map(|at| i32::from(u16::from_le_bytes(fixed(data, at)))));
        }
        Values::Uuid(v) => v.extend(at.iter_mut().map(|at| swap_halves(fixed(data, at)))),
        Values::Time(v, _) if seconds => {
            v.extend(at.iter_mut().map(|at| i64::from(u32::from_le_bytes(fixed(data, at)))));
        }
        Values::Time(v, clock) => match clock.binary_step() {
            1 => numbers!(v, i64),
            step => {
                let ticks = |at: &mut usize| i64::from_le_bytes(fixed(data, at)).checked_mul(step);
                return taken(v, at, ticks);
            }
        },
        Values::Bool(v) => return taken(v, at, |at| bool_of(fixed(data, at))),
        Values::Text(v) => at.iter_mut().for_each(|at| v.push(text(data, at))),
        Values::Symbol(v) => at.iter_mut().for_each(|at| v.push(text(data, at))),
        _ => return 0,
    }
    at.len()
}

fn bool_of([byte]: [u8; 1]) -> Option<bool> {
    match byte {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Appends values up to the first that is none; gives how many.
fn taken<T>(values: &mut Vec<T>, at: &mut [usize], value: impl Fn(&mut usize) -> Option<T>) -> usize {
    let before = values.len();
    values.extend(at.iter_mut().map_while(value));
    values.len() - before
}

/// The text at a place that was measured, which is then behind it.
#[inline]
fn text<'a>(data: &'a [u8], at: &mut usize) -> &'a [u8] {
    let (from, length) = text_at(data, *at).unwrap_or((*at, 0));
    *at = from + length;
    data.get(from..*at).unwrap_or_default()
}
