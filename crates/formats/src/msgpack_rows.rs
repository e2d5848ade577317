//! MsgPack: ClickHouse's MessagePack, the values of each row one after another without any frame.
//!
//! Text is binary, times and Date are their ticks and days, Decimal its units (16 bytes little-endian past 18
//! digits), Bool an integer, UUID an extension of type 2 with its bytes in reading order.

use arrow::array::RecordBatch;
use zepto_common::{ErrorCode, Result};

use crate::column::{Column, Values};
use crate::decode::{Block, Found, RowFormat, in_column};
use crate::encode::{Encoder, Fields, ResultTotals};
use crate::msgpack::{Head, Rules, head, integer, push};
use crate::row_binary::swap_halves;
use crate::scan::{Cursor, Scan, Stop, fault};

/// ClickHouse's extension type for UUIDs.
pub(crate) const UUID: i8 = 2;

/// Reads rows.
pub(crate) struct MsgPack;

impl RowFormat for MsgPack {
    fn may_have_mark(&self, _: &Block) -> bool {
        false
    }

    fn fills_targets(&self) -> bool {
        true
    }

    fn row(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<Found> {
        if cursor.peek_or_end()?.is_none() {
            return Ok(Found::End);
        }
        let rules = Rules::raw(&block.settings);
        for at in 0..block.targets.len() {
            let index = block.targets[at];
            let read = head(cursor).and_then(|found| match found {
                Head::Nil => block.push_null(index),
                _ => push(&mut block.columns[index], found, cursor, rules, 0),
            });
            read.map_err(|stop| in_column(cut_short(stop), &block.columns[index].name))?;
        }
        Ok(Found::Row)
    }
}

/// An input that ends inside a row is wrong data, as in ClickHouse.
fn cut_short(stop: Stop) -> Stop {
    match stop {
        Stop::Fault(mut error) if error.code == ErrorCode::CannotReadAllData => {
            error.code = ErrorCode::IncorrectData;
            Stop::Fault(error)
        }
        other => other,
    }
}

/// Appends a value whose meaning is ClickHouse's own; false when it has none.
pub(crate) fn push_raw(column: &mut Column, head: Head<'_>) -> Scan<bool> {
    match (&mut column.values, head) {
        (Values::Decimal(v, precision, _), Head::Int(units)) => v.push(fits(units, *precision)?),
        (Values::Decimal(v, precision, _), Head::Binary(bytes)) => match <[u8; 16]>::try_from(bytes) {
            Ok(bytes) => v.push(fits(i128::from_le_bytes(bytes), *precision)?),
            Err(_) => return Err(fault(ErrorCode::IncorrectData, "A Decimal has 16 bytes")),
        },
        (Values::Time(v, clock), Head::Int(ticks)) => {
            // Ticks before 1970 are written as unsigned numbers.
            let ticks = match u64::try_from(ticks) {
                Ok(ticks) => ticks.cast_signed(),
                Err(_) => integer(head)?,
            };
            v.push(clock.of_binary(ticks)?);
        }
        (Values::Uuid(v), Head::Binary(bytes)) => v.push(swap_halves(uuid(bytes)?)),
        (Values::Uuid(v), Head::Extension(UUID, bytes)) => v.push(uuid(bytes)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn uuid(bytes: &[u8]) -> Scan<[u8; 16]> {
    bytes.try_into().map_err(|_| fault(ErrorCode::CannotParseUuid, "A UUID has 16 bytes"))
}

fn fits(units: i128, precision: u8) -> Scan<i128> {
    if units.unsigned_abs() < 10u128.pow(u32::from(precision)) {
        return Ok(units);
    }
    Err(fault(ErrorCode::ArgumentOutOfBound, "A Decimal has more digits than its type"))
}

/// Writes rows.
pub(crate) struct MsgPackWriter {
    fields: Fields,
}

impl MsgPackWriter {
    pub(crate) fn new(fields: Fields) -> Self {
        Self { fields }
    }
}

impl Encoder for MsgPackWriter {
    fn begin(&mut self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let cells = self.fields.cells(batch)?;
        for row in 0..batch.num_rows() {
            for (cell, ty) in cells.iter().zip(self.fields.types()) {
                cell.write_msgpack(row, ty, out);
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &ResultTotals, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}
