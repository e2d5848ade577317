//! Reads Native blocks, each column as its bytes come: of a block its finished columns and the bytes of the one
//! that is being read are kept, never the whole input.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use zepto_common::limits::{BLOCK_ROWS, COLUMNAR_BYTES_MAX, COLUMNS_MAX, NAME_BYTES_MAX};
use zepto_common::{Error, ErrorCode, Result};

use super::values::{Reader, incorrect};
use super::wire;
use crate::column::Column;
use crate::columnar::Columnar;
use crate::decode::{Block, Decoder, error_of, in_column};
use crate::row_binary::length;
use crate::scan::{Cursor, Scan, Stop, fault};

/// Columns are converted and given on once a block of the input brings them to this many rows, so that blocks of
/// about the usual size are given on as they are.
const ENOUGH_ROWS: usize = BLOCK_ROWS / 2;

/// Bytes that are put behind an incomplete value to complete it.
const BRIDGE_BYTES: usize = 4 << 10;

/// Reads blocks.
pub(crate) struct NativeReader {
    columnar: Columnar,
    /// Bytes of a value that is not complete yet.
    carry: Vec<u8>,
    block: Option<Incoming>,
    blocks: u64,
    failed: Option<Error>,
}

/// A block that is being read.
struct Incoming {
    columns: usize,
    rows: usize,
    /// Columns so far, also those that are not kept.
    seen: usize,
    done: Vec<(Field, ArrayRef)>,
    current: Option<Part>,
    /// Bytes so far.
    bytes: usize,
}

/// A column that is being read.
struct Part {
    column: Column,
    reader: Reader,
    wanted: bool,
    begun: bool,
}

impl NativeReader {
    pub(crate) fn new(block: Block) -> Self {
        Self {
            columnar: Columnar::new(block, false),
            carry: Vec::new(),
            block: None,
            blocks: 0,
            failed: None,
        }
    }

    fn push_bytes(&mut self, data: &[u8], last: bool, out: &mut Vec<RecordBatch>) -> Result<()> {
        let mut rest = data;
        if !self.carry.is_empty() {
            // Mostly a few bytes complete what waits, and the rest need not be copied.
            let mut carry = std::mem::take(&mut self.carry);
            let before = carry.len();
            let bridge = data.len().min(BRIDGE_BYTES);
            carry.extend_from_slice(&data[..bridge]);
            let used = self.read(&carry, last && bridge == data.len(), out)?;
            if used < before {
                carry.extend_from_slice(&data[bridge..]);
                carry.drain(..used);
                let used = self.read(&carry, last, out)?;
                carry.drain(..used);
                self.carry = carry;
                return Ok(());
            }
            rest = &data[used - before..];
        }
        let used = self.read(rest, last, out)?;
        self.carry.extend_from_slice(&rest[used..]);
        Ok(())
    }

    /// Reads as far as the bytes go; gives the number of bytes used.
    fn read(&mut self, data: &[u8], last: bool, out: &mut Vec<RecordBatch>) -> Result<usize> {
        let mut cursor = Cursor::new(data, last);
        loop {
            let start = cursor.at;
            let step = match &mut self.block {
                None if cursor.at == data.len() => return Ok(cursor.at),
                None => head(&mut cursor).map(|block| self.block = Some(block)),
                Some(block) => block.step(&mut cursor, &self.columnar),
            };
            if let Some(block) = &mut self.block {
                block.bytes += cursor.at - start;
                if block.bytes > COLUMNAR_BYTES_MAX {
                    let message = format!("A Native block is longer than {COLUMNAR_BYTES_MAX} bytes");
                    return Err(self.located(Error::new(ErrorCode::TooLargeStringSize, message)));
                }
            }
            match step {
                Ok(()) => {}
                Err(Stop::More) => return Ok(cursor.at),
                Err(stop) => return Err(self.located(error_of(stop))),
            }
            if let Some(block) = self.block.take_if(|block| block.seen == block.columns) {
                self.give(block, out).map_err(|error| self.located(error))?;
                self.blocks += 1;
            }
        }
    }

    fn give(&mut self, block: Incoming, out: &mut Vec<RecordBatch>) -> Result<()> {
        if block.rows == 0 {
            return Ok(());
        }
        let (fields, arrays): (Vec<_>, Vec<_>) = block.done.into_iter().unzip();
        let options = RecordBatchOptions::new().with_row_count(Some(block.rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
        self.columnar.push(&batch, out)?;
        self.columnar.give_from(ENOUGH_ROWS, out)
    }

    fn located(&self, mut error: Error) -> Error {
        error.message = format!("{} (in block {})", error.message, self.blocks + 1);
        error
    }
}

fn counts(cursor: &mut Cursor<'_>) -> Scan<(usize, usize)> {
    let columns = length(cursor, COLUMNS_MAX, "columns")?;
    // A row takes a byte at least.
    Ok((columns, length(cursor, COLUMNAR_BYTES_MAX, "rows")?))
}

/// Reads the counts of a block.
fn head(cursor: &mut Cursor<'_>) -> Scan<Incoming> {
    let start = cursor.at;
    let (columns, rows) = counts(cursor).inspect_err(|_| cursor.at = start)?;
    if columns == 0 && rows > 0 {
        return Err(incorrect("A Native block has rows but no columns"));
    }
    Ok(Incoming { columns, rows, seen: 0, done: Vec::new(), current: None, bytes: 0 })
}

impl Incoming {
    /// Reads on the current column, or the head of the next one.
    fn step(&mut self, cursor: &mut Cursor<'_>, columnar: &Columnar) -> Scan<()> {
        if self.seen == self.columns {
            return Ok(());
        }
        let Some(part) = &mut self.current else {
            let start = cursor.at;
            let part = part(cursor, columnar).inspect_err(|_| cursor.at = start)?;
            self.current = Some(part);
            return Ok(());
        };
        let name = part.column.name.clone();
        part.read(self.rows, cursor).map_err(|stop| in_column(stop, &name))?;
        if part.wanted {
            let field = part.column.field();
            self.done.push((field, part.column.finish()?));
        }
        self.current = None;
        self.seen += 1;
        Ok(())
    }
}

/// Reads a column's name and type.
fn part(cursor: &mut Cursor<'_>, columnar: &Columnar) -> Scan<Part> {
    let name = text(cursor)?;
    let type_name = text(cursor)?;
    let wanted = columnar.takes(&name)?;
    let settings = columnar.settings();
    if !wanted && !settings.skip_unknown_fields {
        let message = format!("Unknown column with name {} found in Native data", name.escape_debug());
        return Err(fault(ErrorCode::IncorrectData, message));
    }
    let (wire, ty) = wire::parse(&type_name).map_err(|error| in_column(error.into(), &name))?;
    let reader = Reader::new(wire, &ty, settings);
    Ok(Part { column: Column::new(&name, &ty, settings), reader, wanted, begun: false })
}

fn text(cursor: &mut Cursor<'_>) -> Scan<String> {
    let size = length(cursor, NAME_BYTES_MAX * 64, "bytes in a name")?;
    Ok(String::from_utf8_lossy(cursor.take(size)?).into_owned())
}

impl Part {
    fn read(&mut self, rows: usize, cursor: &mut Cursor<'_>) -> Scan<()> {
        if rows == 0 {
            return Ok(());
        }
        if !self.begun {
            self.reader.prefix(cursor)?;
            self.begun = true;
        }
        self.reader.read(&mut self.column, rows, cursor)
    }
}

impl Decoder for NativeReader {
    fn push(&mut self, data: &[u8], out: &mut Vec<RecordBatch>) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.push_bytes(data, false, out).inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<RecordBatch>) -> Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.push_bytes(&[], true, out)?;
        self.columnar.finish(out)
    }
}
