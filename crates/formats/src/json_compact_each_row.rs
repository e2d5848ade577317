//! JSONCompactEachRow and JSONCompactStringsEachRow: an array per row, with or without lines of names and types.

use arrow::array::RecordBatch;
use zepto_common::Result;
use zepto_common::limits::COLUMNS_MAX;

use crate::decode::{Block, Found, RowFormat};
use crate::encode::{Encoder, Fields, ResultTotals};
use crate::header::{Header, Names};
use crate::json_each_row::before_row;
use crate::json_fields::{Form, words};
use crate::json_value::{skip_json, write_json_string};
use crate::scan::{Cursor, Scan};

/// Reads arrays, one per row.
pub(crate) struct JsonCompactEachRow {
    form: Form,
    header: Header,
    started: bool,
}

impl JsonCompactEachRow {
    pub(crate) fn new(form: Form, names: Names) -> Self {
        Self { form, header: Header::new(names), started: false }
    }
}

impl RowFormat for JsonCompactEachRow {
    fn fills_targets(&self) -> bool {
        self.header.is_absent()
    }

    fn skip_bad_row(&self, cursor: &mut Cursor<'_>) -> Scan<bool> {
        cursor.skip_line(true)?;
        Ok(true)
    }

    fn row(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<Found> {
        if self.header.is_open() {
            cursor.skip_space();
            if cursor.peek_or_end()?.is_none() {
                return Ok(Found::End);
            }
            let line = words(cursor, COLUMNS_MAX)?;
            self.header.take_line(line, block)?;
            return Ok(Found::Nothing);
        }
        let mut started = self.started || !self.header.is_absent();
        if !before_row(cursor, &mut started, &mut false, false)? {
            return Ok(Found::End);
        }
        compact_row(cursor, self.form, &self.header, block)?;
        self.started = true;
        Ok(Found::Row)
    }
}

/// Reads `[a, b]` into the columns of a header.
pub(crate) fn compact_row(
    cursor: &mut Cursor<'_>,
    form: Form,
    header: &Header,
    block: &mut Block,
) -> Scan<()> {
    cursor.expect(b'[')?;
    let mut scratch = std::mem::take(&mut block.scratch);
    let read = (|| {
        for at in 0..header.count(block) {
            cursor.skip_space();
            if at > 0 {
                cursor.expect(b',')?;
                cursor.skip_space();
            }
            match header.target(at, block) {
                Some(index) => form.read(cursor, index, &mut scratch, block)?,
                None => skip_json(cursor, 0)?,
            }
        }
        cursor.skip_space();
        cursor.expect(b']')
    })();
    block.scratch = scratch;
    read
}

/// Writes arrays, one per line.
pub(crate) struct JsonCompactEachRowWriter {
    form: Form,
    names: Names,
    fields: Fields,
}

impl JsonCompactEachRowWriter {
    pub(crate) fn new(form: Form, names: Names, fields: Fields) -> Self {
        Self { form, names, fields }
    }

    fn line<'a>(&self, words: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
        out.push(b'[');
        for (at, word) in words.enumerate() {
            if at > 0 {
                out.extend_from_slice(b", ");
            }
            write_json_string(word.as_bytes(), self.fields.settings().escape_forward_slashes, out);
        }
        out.extend_from_slice(b"]\n");
    }
}

impl Encoder for JsonCompactEachRowWriter {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.names != Names::Absent {
            self.line(self.fields.names(), out);
        }
        if self.names == Names::WithTypes {
            let types = self.fields.type_names();
            self.line(types.iter().map(String::as_str), out);
        }
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let cells = self.fields.cells(batch)?;
        let style = self.fields.json_style();
        let mut scratch = Vec::new();
        for row in 0..batch.num_rows() {
            out.push(b'[');
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                self.form.write(cell, row, style, &mut scratch, out);
            }
            out.extend_from_slice(b"]\n");
        }
        Ok(())
    }

    fn finish(&mut self, _: &ResultTotals, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn exception(&mut self, text: &str, out: &mut Vec<u8>) {
        self.line(std::iter::once(text), out);
    }
}
