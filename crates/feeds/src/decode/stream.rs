//! Many messages through one reader of rows, so that which rows are whose is known and a bad one takes nobody along.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
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
    pub(super) rows: RecordBatch,
    /// How many each message has; 0 for those with a fault.
    pub(super) rows_of: Vec<u32>,
}

/// Reads all messages without a fault; `put` writes the bytes of one. Faults found are noted.
pub(super) fn read(
    format: Format,
    cut: Cut,
    table: &Arc<TableSchema>,
    settings: &FormatSettings,
    faults: &mut [Option<String>],
    mut put: impl FnMut(usize, &mut Vec<u8>) -> Result<(), String>,
) -> Result<Read> {
    let open = || decoder(format, table, None, settings, None);
    let (mut bytes, mut batches) = (Vec::new(), Vec::new());
    let mut rows_of = vec![0; faults.len()];
    let mut first = 0;
    while first < faults.len() {
        let (mut reader, mut found, mut before) = (open()?, Vec::new(), 0);
        let mut bad = None;
        for at in first..faults.len() {
            if faults[at].is_some() {
                continue;
            }
            bytes.clear();
            if let Err(fault) = put(at, &mut bytes) {
                faults[at] = Some(fault);
                continue;
            }
            match push(reader.as_mut(), cut, &mut bytes, before, &mut found) {
                Ok(rows) => {
                    rows_of[at] = (rows - before) as u32;
                    before = rows;
                }
                Err(fault) => {
                    faults[at] = Some(fault);
                    bad = Some(at);
                    break;
                }
            }
        }
        let end = bad.unwrap_or(faults.len());
        if bad.is_some() {
            // The reader has rows of the bad one: those before it are read once more, by another.
            (reader, found) = (open()?, Vec::new());
            for at in first..end {
                if rows_of[at] > 0 {
                    bytes.clear();
                    if put(at, &mut bytes).is_ok() {
                        let _known_good = push(reader.as_mut(), cut, &mut bytes, 0, &mut found);
                    }
                }
            }
        }
        reader.finish(&mut found)?;
        batches.append(&mut found);
        first = end + usize::from(bad.is_some());
    }
    let rows = match batches.first() {
        Some(batch) => concat_batches(&batch.schema(), &batches)?,
        None => RecordBatch::new_empty(table.storage_schema()),
    };
    Ok(Read { rows, rows_of })
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
