//! Drives a [`RowFormat`]: rows that bytes cut anywhere, byte order marks, rows that are wrong and left out.

use arrow::array::RecordBatch;
use zepto_common::limits::ROW_BYTES_MAX;
use zepto_common::{Error, ErrorCode, Result};

use super::{Block, Decoder, Found, RowFormat, error_of};
use crate::scan::{Cursor, Stop};

/// Drives a [`RowFormat`] over pushed bytes.
pub(crate) struct RowDecoder<F> {
    format: F,
    block: Block,
    /// Bytes of a row that is not complete yet.
    carry: Vec<u8>,
    /// Size of `carry` at which reading is tried again: grows geometrically, so a long row costs linear time.
    retry_at: usize,
    /// Wrong rows that were left out.
    errors: u64,
    /// Reading is past a byte order mark.
    begun: bool,
    ended: bool,
    failed: Option<Error>,
}

/// Whether a fault says that a row is wrong, and not the request.
fn is_of_the_data(code: ErrorCode) -> bool {
    use ErrorCode as E;
    matches!(
        code,
        E::CannotParseText
            | E::CannotParseEscapeSequence
            | E::CannotParseQuotedString
            | E::CannotParseInputAssertionFailed
            | E::CannotParseDate
            | E::CannotParseDateTime
            | E::CannotParseNumber
            | E::CannotParseUuid
            | E::CannotParseBool
            | E::CannotReadAllData
            | E::IncorrectData
            | E::ValueIsOutOfRange
            | E::ArgumentOutOfBound
            | E::CannotInsertNullInOrdinaryColumn
            | E::TooLargeStringSize
    )
}

/// The bytes EF BB BF, which some programs put before their text.
const MARK: &[u8] = "\u{FEFF}".as_bytes();

impl<F: RowFormat> RowDecoder<F> {
    pub(crate) fn new(format: F, block: Block) -> Self {
        Self {
            format,
            block,
            carry: Vec::new(),
            retry_at: 0,
            errors: 0,
            begun: false,
            ended: false,
            failed: None,
        }
    }

    /// Reads all complete rows; gives the number of bytes used.
    fn read(&mut self, data: &[u8], last: bool, out: &mut Vec<RecordBatch>) -> Result<usize> {
        let mut cursor = Cursor::new(data, last);
        if !self.begun {
            if MARK.starts_with(data) && data.len() < MARK.len() && !last {
                return Ok(0);
            }
            if data.starts_with(MARK) && self.format.may_have_mark(&self.block) {
                cursor.at = MARK.len();
            }
            self.begun = true;
        }
        let (mut full, mut in_order) = self.fills();
        while !self.ended {
            if in_order && self.format.rows(&mut cursor, &mut self.block) > 0 {
                if self.block.is_full() {
                    out.push(self.cut()?);
                }
                continue;
            }
            let start = cursor.at;
            match self.format.row(&mut cursor, &mut self.block) {
                Ok(Found::Row) => {
                    self.block.end_row(cursor.at - start, full);
                    if self.block.is_full() {
                        out.push(self.cut()?);
                    }
                }
                // It may have been a header.
                Ok(Found::Nothing) => (full, in_order) = self.fills(),
                Ok(Found::End) => self.ended = true,
                Err(Stop::More) if !last => {
                    self.block.rollback();
                    return Ok(start);
                }
                Err(stop) => match self.tolerate(error_of(stop), &mut cursor)? {
                    true => {}
                    false => return Ok(start),
                },
            }
        }
        Ok(data.len())
    }

    /// Leaves a wrong row out if the settings allow so many; false when its end is not there yet.
    fn tolerate(&mut self, error: Error, cursor: &mut Cursor<'_>) -> Result<bool> {
        let allowed = self.block.settings.tolerance;
        let errors = self.errors + 1;
        let share = errors as f64 / (self.block.rows_total() + errors) as f64;
        if !is_of_the_data(error.code) || (errors > allowed.rows && share > allowed.share) {
            return Err(self.located(error));
        }
        self.block.rollback();
        match self.format.skip_bad_row(cursor) {
            Ok(true) => self.errors = errors,
            Err(Stop::More) if !cursor.last => return Ok(false),
            Ok(false) | Err(_) => return Err(self.located(error)),
        }
        Ok(true)
    }

    /// Whether rows have a value for every column of the table, and whether in its order.
    fn fills(&self) -> (bool, bool) {
        let full = self.format.fills_targets() && self.block.targets.len() == self.block.columns.len();
        (full, full && self.block.targets.is_sorted())
    }

    fn cut(&mut self) -> Result<RecordBatch> {
        let first = self.block.rows_before + 1;
        let last = self.block.rows_total();
        self.block.finish().map_err(|mut error| {
            error.message = format!("{} (in rows {first} to {last})", error.message);
            error
        })
    }

    fn located(&self, mut error: Error) -> Error {
        error.message = format!("{} (at row {})", error.message, self.block.rows_total() + 1);
        error
    }

    fn push_bytes(&mut self, data: &[u8], out: &mut Vec<RecordBatch>) -> Result<()> {
        if self.carry.is_empty() {
            let used = self.read(data, false, out)?;
            self.carry.extend_from_slice(&data[used..]);
        } else {
            self.carry.extend_from_slice(data);
            if self.carry.len() >= self.retry_at {
                let mut carry = std::mem::take(&mut self.carry);
                let used = self.read(&carry, false, out)?;
                carry.drain(..used);
                self.carry = carry;
            } else {
                return self.check_carry();
            }
        }
        self.retry_at = self.carry.len() * 2;
        self.check_carry()
    }

    fn check_carry(&self) -> Result<()> {
        if self.carry.len() > ROW_BYTES_MAX {
            let message = format!("A {} is longer than {ROW_BYTES_MAX} bytes", self.format.unit());
            return Err(self.located(Error::new(ErrorCode::TooLargeStringSize, message)));
        }
        Ok(())
    }
}

impl<F: RowFormat> Decoder for RowDecoder<F> {
    fn push(&mut self, data: &[u8], out: &mut Vec<RecordBatch>) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.push_bytes(data, out).inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn progress(&self) -> Option<(u64, &[u8])> {
        Some((self.block.rows_total(), &self.carry))
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<RecordBatch>) -> Result<()> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let carry = std::mem::take(&mut self.carry);
        self.read(&carry, true, out)?;
        if self.block.rows() > 0 {
            out.push(self.cut()?);
        }
        Ok(())
    }
}
