//! JSONEachRow and JSONStringsEachRow: an object per row.

use zepto_common::{ErrorCode, Result};

use crate::by_name::ByName;
use crate::decode::{Block, Found, RowFormat};
use crate::encode::{Encoder, Fields, ResultTotals};
use crate::json_fields::Form;
use crate::json_value::{json_string, skip_json, write_json_string};
use crate::scan::{Cursor, Scan, Stop, excerpt, fault};

/// Reads objects, with or without commas and line ends between them, also inside one array.
pub(crate) struct JsonEachRow {
    index: ByName,
    form: Form,
    started: bool,
    in_array: bool,
}

impl JsonEachRow {
    pub(crate) fn new(form: Form, block: &Block) -> Self {
        let index = block.by_name(block.settings.name_matching);
        Self { index, form, started: false, in_array: false }
    }

    /// The column of a key: most often the one after the last.
    #[inline]
    fn column_of(&self, key: &[u8], guess: usize, block: &Block) -> Scan<Option<usize>> {
        match block.targets.get(guess) {
            Some(index) if block.columns[*index].name.as_bytes() == key => Ok(Some(*index)),
            _ => self.index.find(key),
        }
    }

    fn field(&self, cursor: &mut Cursor<'_>, guess: usize, block: &mut Block) -> Scan<()> {
        let mut scratch = std::mem::take(&mut block.scratch);
        let found =
            json_string(cursor, &mut scratch).and_then(|key| match self.column_of(key, guess, block)? {
                Some(index) if block.has(index) => Err(duplicate(key)),
                None if !block.settings.skip_unknown_fields => Err(unknown(key)),
                found => Ok(found),
            });
        let read = found.and_then(|index| {
            cursor.skip_space();
            cursor.expect(b':')?;
            cursor.skip_space();
            match index {
                Some(index) => self.form.read(cursor, index, &mut scratch, block),
                None => skip_json(cursor, 0),
            }
        });
        block.scratch = scratch;
        read
    }

    /// Reads one object into the target columns.
    pub(crate) fn object(&self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<()> {
        cursor.expect(b'{')?;
        cursor.skip_space();
        if cursor.peek()? == b'}' {
            cursor.at += 1;
            return Ok(());
        }
        let mut guess = 0;
        loop {
            cursor.skip_space();
            self.field(cursor, guess, block)?;
            guess += 1;
            cursor.skip_space();
            match cursor.peek().map_err(cut_short)? {
                b',' => cursor.at += 1,
                b'}' => {
                    cursor.at += 1;
                    return Ok(());
                }
                _ => return Err(cursor.expected(b',')),
            }
        }
    }
}

#[cold]
fn duplicate(key: &[u8]) -> Stop {
    fault(ErrorCode::IncorrectData, format!("Duplicate field found while parsing JSON: {}", excerpt(key)))
}

#[cold]
fn unknown(key: &[u8]) -> Stop {
    fault(ErrorCode::IncorrectData, format!("Unknown field found while parsing JSON: {}", excerpt(key)))
}

/// Passes over what may stand before a row: space, commas, `;`, the brackets of one array around all rows.
/// Gives false at the end of the data.
pub(crate) fn before_row(
    cursor: &mut Cursor<'_>,
    started: &mut bool,
    in_array: &mut bool,
    array: bool,
) -> Scan<bool> {
    loop {
        cursor.skip_space();
        match cursor.peek_or_end()? {
            None if *in_array => return Err(cursor.end()),
            None => return Ok(false),
            Some(b',') if *started => cursor.at += 1,
            Some(b';') if !*in_array => cursor.at += 1,
            Some(b'[') if array && !*started && !*in_array => {
                *in_array = true;
                cursor.at += 1;
            }
            Some(b']') if *in_array => {
                *in_array = false;
                *started = true;
                cursor.at += 1;
            }
            Some(_) => return Ok(true),
        }
    }
}

impl RowFormat for JsonEachRow {
    fn skip_bad_row(&self, cursor: &mut Cursor<'_>) -> Scan<bool> {
        cursor.skip_line(true)?;
        Ok(true)
    }

    fn row(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<Found> {
        // The state is kept only when the row was read whole: a row that is read again starts as it did before.
        let (mut started, mut in_array) = (self.started, self.in_array);
        if !before_row(cursor, &mut started, &mut in_array, true)? {
            return Ok(Found::End);
        }
        self.object(cursor, block)?;
        self.started = true;
        self.in_array = in_array;
        Ok(Found::Row)
    }
}

#[cold]
fn cut_short(stop: Stop) -> Stop {
    match stop {
        Stop::More => Stop::More,
        Stop::Fault(_) => {
            fault(ErrorCode::CannotReadAllData, "Unexpected end of stream while parsing JSONEachRow format")
        }
    }
}

/// Writes objects, one per line; perhaps as one array.
pub(crate) struct JsonEachRowWriter {
    form: Form,
    array: bool,
    /// Whether a row was written.
    started: bool,
    fields: Fields,
    keys: Vec<Vec<u8>>,
}

impl JsonEachRowWriter {
    pub(crate) fn new(form: Form, fields: Fields) -> Self {
        let slash = fields.settings().escape_forward_slashes;
        let key = |name: &str| {
            let mut text = Vec::new();
            write_json_string(name.as_bytes(), slash, &mut text);
            text.push(b':');
            text
        };
        let array = fields.settings().json_array_of_rows;
        Self { form, array, started: false, keys: fields.names().map(key).collect(), fields }
    }
}

impl Encoder for JsonEachRowWriter {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.array {
            out.extend_from_slice(b"[\n");
        }
        Ok(())
    }

    fn batch(&mut self, batch: &arrow::array::RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let cells = self.fields.cells(batch)?;
        let style = self.fields.json_style();
        let mut scratch = Vec::new();
        for row in 0..batch.num_rows() {
            if self.array && std::mem::replace(&mut self.started, true) {
                out.extend_from_slice(b",\n");
            }
            out.push(b'{');
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(&self.keys[at]);
                self.form.write(cell, row, style, &mut scratch, out);
            }
            out.extend_from_slice(if self.array { b"}" } else { b"}\n" });
        }
        Ok(())
    }

    fn finish(&mut self, _: &ResultTotals, out: &mut Vec<u8>) -> Result<()> {
        if self.array {
            out.extend_from_slice(b"\n]\n");
        }
        Ok(())
    }

    fn exception(&mut self, text: &str, out: &mut Vec<u8>) {
        if self.array && self.started {
            out.extend_from_slice(b",\n");
        }
        out.extend_from_slice(b"{\"exception\": ");
        write_json_string(text.as_bytes(), self.fields.settings().escape_forward_slashes, out);
        out.extend_from_slice(if self.array { b"}\n]\n" } else { b"}\n" });
    }
}
