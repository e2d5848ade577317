//! Many messages through one reader of rows, so that which rows are whose is known and a bad one takes nobody along.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use zepto_common::Result;
use zepto_common::schema::TableSchema;
use zepto_formats::{Decoder, Format, FormatSettings, decoder};

/// How messages are held apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// By their own ends.
    Bytes,
    /// By a line end, which is put where there is none.
    Lines,
}

/// The rows of messages.
pub(super) struct Read {
    /// In order.
    pub(super) batches: Vec<RecordBatch>,
    /// How many each message has; 0 for those with a fault.
    pub(super) rows_of: Vec<u32>,
    schema: SchemaRef,
}

impl Read {
    /// All of them as one batch, where they are few: a text of 2 GiB is more than an array holds.
    pub(super) fn whole(&self) -> Result<RecordBatch> {
        Ok(concat_batches(&self.schema, &self.batches)?)
    }

    /// For each message the row after its last.
    pub(super) fn ends(&self) -> Vec<usize> {
        let mut end = 0;
        let after = |rows: &u32| {
            end += *rows as usize;
            end
        };
        self.rows_of.iter().map(after).collect()
    }
}

/// Reads all messages without a fault; `put` writes the bytes of one. Faults found are noted.
pub(super) fn read(
    format: Format,
    cut: Cut,
    table: &Arc<TableSchema>,
    settings: &FormatSettings,
    faults: &mut [Option<String>],
    put: impl FnMut(usize, &mut Vec<u8>) -> Result<(), String>,
) -> Result<Read> {
    let open = || decoder(format, table, None, settings, None);
    let mut stream = Stream { open, cut, put, faults, rows_of: Vec::new(), bytes: Vec::new() };
    stream.rows_of.resize(stream.faults.len(), 0);
    let (mut batches, mut first) = (Vec::new(), 0);
    while first < stream.faults.len() {
        let (end, mut found) = stream.read_from(first)?;
        batches.append(&mut found);
        first = end;
    }
    let schema = batches.first().map_or_else(|| table.storage_schema(), RecordBatch::schema);
    Ok(Read { batches, rows_of: stream.rows_of, schema })
}

struct Stream<'a, O, P> {
    open: O,
    cut: Cut,
    put: P,
    faults: &'a mut [Option<String>],
    rows_of: Vec<u32>,
    bytes: Vec<u8>,
}

impl<O, P> Stream<'_, O, P>
where
    O: Fn() -> Result<Box<dyn Decoder>>,
    P: FnMut(usize, &mut Vec<u8>) -> Result<(), String>,
{
    /// Reads messages up to the end or to the next bad one; gives where it goes on, and the rows.
    fn read_from(&mut self, first: usize) -> Result<(usize, Vec<RecordBatch>)> {
        let (mut reader, mut found, mut before) = ((self.open)()?, Vec::new(), 0);
        let mut end = self.faults.len();
        for at in first..end {
            if !self.fetch(at) {
                continue;
            }
            match push(reader.as_mut(), self.cut, &mut self.bytes, before, &mut found) {
                Ok(rows) => {
                    self.rows_of[at] = (rows - before) as u32;
                    before = rows;
                }
                Err(_) => {
                    if !self.is_bad_alone(at)? {
                        // A block ended here, and one of those before is at fault.
                        return self.read_without_the_bad(first, at + 1);
                    }
                    end = at;
                    break;
                }
            }
        }
        if end < self.faults.len() {
            // The reader has rows of the bad one: those before it are read once more, by another.
            (reader, found) = self.again(first, end)?;
        }
        match reader.finish(&mut found) {
            Ok(()) => Ok(((end + 1).min(self.faults.len()), found)),
            // What a text is shows when its block ends.
            Err(_) => self.read_without_the_bad(first, end),
        }
    }

    /// The bytes of a message; false for one that has a fault.
    fn fetch(&mut self, at: usize) -> bool {
        self.bytes.clear();
        if self.faults[at].is_none()
            && let Err(fault) = (self.put)(at, &mut self.bytes)
        {
            self.faults[at] = Some(fault);
        }
        self.faults[at].is_none()
    }

    /// Another reader with the good ones.
    fn again(&mut self, first: usize, end: usize) -> Result<(Box<dyn Decoder>, Vec<RecordBatch>)> {
        let (mut reader, mut found) = ((self.open)()?, Vec::new());
        for at in first..end {
            if self.rows_of[at] > 0 && self.fetch(at) {
                let _known_good = push(reader.as_mut(), self.cut, &mut self.bytes, 0, &mut found);
            }
        }
        Ok((reader, found))
    }

    /// Whether a message is bad without the others, which is noted.
    fn is_bad_alone(&mut self, at: usize) -> Result<bool> {
        if !self.fetch(at) {
            return Ok(true);
        }
        let (mut reader, mut found) = ((self.open)()?, Vec::new());
        let read = push(reader.as_mut(), self.cut, &mut self.bytes, 0, &mut found);
        let read = read.and_then(|_| reader.finish(&mut found).map_err(|error| error.message));
        if let Err(fault) = read {
            self.faults[at] = Some(fault);
            self.rows_of[at] = 0;
        }
        Ok(self.faults[at].is_some())
    }

    /// Tries each of these alone, then reads the good ones together.
    fn read_without_the_bad(&mut self, first: usize, end: usize) -> Result<(usize, Vec<RecordBatch>)> {
        let mut bad = 0;
        for at in first..end {
            if self.faults[at].is_none() && self.is_bad_alone(at)? {
                bad += 1;
            }
        }
        self.rows_of[first..end].fill(0);
        match bad {
            // Each is good, but not after the others.
            0 => self.read_one_by_one(first, end),
            // Each time some are found, so this ends.
            _ => self.read_from(first),
        }
    }

    /// Each of these by a reader of its own.
    fn read_one_by_one(&mut self, first: usize, end: usize) -> Result<(usize, Vec<RecordBatch>)> {
        let mut found = Vec::new();
        for at in first..end {
            if !self.fetch(at) {
                continue;
            }
            let (mut reader, mut own) = ((self.open)()?, Vec::new());
            let read = push(reader.as_mut(), self.cut, &mut self.bytes, 0, &mut own);
            let read = read.and_then(|rows| match reader.finish(&mut own) {
                Ok(()) => Ok(rows),
                Err(error) => Err(error.message),
            });
            match read {
                Ok(rows) => {
                    self.rows_of[at] = rows as u32;
                    found.append(&mut own);
                }
                Err(fault) => self.faults[at] = Some(fault),
            }
        }
        Ok((end, found))
    }
}

/// Reads one message; gives the rows so far.
fn push(
    reader: &mut dyn Decoder,
    cut: Cut,
    bytes: &mut Vec<u8>,
    before: u64,
    out: &mut Vec<RecordBatch>,
) -> Result<u64, String> {
    if cut == Cut::Lines && bytes.last() != Some(&b'\n') {
        bytes.push(b'\n');
    }
    reader.push(bytes, out).map_err(|error| error.message)?;
    let Some((rows, rest)) = reader.progress() else {
        return Err("a format without rows".to_owned());
    };
    let whole = match cut {
        Cut::Bytes => rest.is_empty(),
        Cut::Lines => rest.iter().all(u8::is_ascii_whitespace),
    };
    if !whole {
        return Err("the message ends within a row".to_owned());
    }
    if rows == before {
        return Err("the message has no row".to_owned());
    }
    Ok(rows)
}
