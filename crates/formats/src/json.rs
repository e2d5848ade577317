//! JSON, JSONCompact, JSONStrings and JSONCompactStrings: one document with the columns' names and types, the rows, and figures.

use zepto_common::Result;

use crate::cells::Cells;
use crate::decode::{Block, Found, RowFormat};
use crate::encode::{Encoder, Fields, ResultTotals};
use crate::header::{Header, Names};
use crate::json_beside::write_beside;
use crate::json_compact_each_row::compact_row;
use crate::json_each_row::JsonEachRow;
use crate::json_fields::Form;
use crate::json_value::{json_string, skip_json, write_json_string};
use crate::scan::{Cursor, Scan};

/// Where a reader stands in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// Between members of the document.
    Members,
    /// Inside `data`.
    Data,
    End,
}

/// Reads the `data` member of a document; the other members are passed over.
pub(crate) struct Json {
    compact: bool,
    object: JsonEachRow,
    /// None: arrays are in the columns' order.
    header: Header,
    place: Place,
}

impl Json {
    pub(crate) fn new(compact: bool, block: &Block) -> Self {
        Self {
            compact,
            object: JsonEachRow::new(Form::Values, block),
            header: Header::new(Names::Absent),
            place: Place::Start,
        }
    }

    /// Reads up to the first row or past one other member.
    fn member(&self, cursor: &mut Cursor<'_>) -> Scan<Place> {
        cursor.skip_space();
        if self.place == Place::Members && cursor.peek()? == b',' {
            cursor.at += 1;
            cursor.skip_space();
        }
        if cursor.peek()? == b'}' {
            cursor.at += 1;
            return Ok(Place::End);
        }
        let mut scratch = Vec::new();
        let is_data = json_string(cursor, &mut scratch)? == b"data";
        cursor.skip_space();
        cursor.expect(b':')?;
        cursor.skip_space();
        if is_data {
            cursor.expect(b'[')?;
            return Ok(Place::Data);
        }
        skip_json(cursor, 0)?;
        Ok(Place::Members)
    }
}

impl RowFormat for Json {
    fn row(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<Found> {
        cursor.skip_space();
        match self.place {
            Place::End => {
                return match cursor.peek_or_end()? {
                    None => Ok(Found::End),
                    Some(b';') => {
                        cursor.at += 1;
                        Ok(Found::Nothing)
                    }
                    Some(_) => Err(cursor.expected(b';')),
                };
            }
            Place::Start => {
                if cursor.peek_or_end()?.is_none() {
                    return Ok(Found::End);
                }
                cursor.expect(b'{')?;
                self.place = Place::Members;
                return Ok(Found::Nothing);
            }
            Place::Members => {
                self.place = self.member(cursor)?;
                return Ok(Found::Nothing);
            }
            Place::Data => {}
        }
        if cursor.peek()? == b',' {
            cursor.at += 1;
            cursor.skip_space();
        }
        if cursor.peek()? == b']' {
            cursor.at += 1;
            self.place = Place::Members;
            return Ok(Found::Nothing);
        }
        if self.compact {
            compact_row(cursor, Form::Values, &self.header, block)?;
        } else {
            self.object.object(cursor, block)?;
        }
        Ok(Found::Row)
    }
}

/// Writes the document.
pub(crate) struct JsonWriter {
    compact: bool,
    form: Form,
    fields: Fields,
    keys: Vec<Vec<u8>>,
    rows: u64,
    scratch: Vec<u8>,
}

impl JsonWriter {
    pub(crate) fn new(compact: bool, form: Form, fields: Fields) -> Self {
        let slash = fields.settings().escape_forward_slashes;
        let key = |name: &str| {
            let mut text = b"\t\t\t".to_vec();
            write_json_string(name.as_bytes(), slash, &mut text);
            text.extend_from_slice(b": ");
            text
        };
        Self { compact, form, keys: fields.names().map(key).collect(), fields, rows: 0, scratch: Vec::new() }
    }

    fn row(&mut self, cells: &[Cells], row: usize, out: &mut Vec<u8>) {
        let mut style = self.fields.json_style();
        if self.compact {
            out.extend_from_slice(b"\t\t[");
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                self.form.write(cell, row, style, &mut self.scratch, out);
            }
            out.push(b']');
            return;
        }
        style.indent = self.fields.settings().json_pretty_print.then_some(3);
        out.extend_from_slice(b"\t\t{\n");
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(b",\n");
            }
            out.extend_from_slice(&self.keys[at]);
            self.form.write(cell, row, style, &mut self.scratch, out);
        }
        out.extend_from_slice(b"\n\t\t}");
    }
}

impl Encoder for JsonWriter {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(b"{\n");
        write_meta(&self.fields, out);
        out.extend_from_slice(b",\n\n\t\"data\":\n\t[\n");
        Ok(())
    }

    fn batch(&mut self, batch: &arrow::array::RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let cells = self.fields.cells(batch)?;
        for row in 0..batch.num_rows() {
            if self.rows > 0 {
                out.extend_from_slice(b",\n");
            }
            self.rows += 1;
            self.row(&cells, row, out);
        }
        Ok(())
    }

    fn finish(&mut self, totals: &ResultTotals, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(b"\n\t]");
        write_beside(&self.fields, self.compact, self.form, totals, out)?;
        let told = self.fields.settings().write_statistics;
        write_figures(self.rows, told.then_some(totals), None, out);
        Ok(())
    }

    fn exception(&mut self, text: &str, out: &mut Vec<u8>) {
        let mut quoted = Vec::new();
        write_json_string(text.as_bytes(), self.fields.settings().escape_forward_slashes, &mut quoted);
        out.extend_from_slice(b"\n\t]");
        write_figures(self.rows, None, Some(&quoted), out);
    }
}

/// Writes the member `meta`: names and types.
pub(crate) fn write_meta(fields: &Fields, out: &mut Vec<u8>) {
    let slash = fields.settings().escape_forward_slashes;
    out.extend_from_slice(b"\t\"meta\":\n\t[\n");
    for (at, (name, ty)) in fields.names().zip(fields.type_names()).enumerate() {
        out.extend_from_slice(if at > 0 {
            b",\n\t\t{\n\t\t\t\"name\": "
        } else {
            b"\t\t{\n\t\t\t\"name\": "
        });
        write_json_string(name.as_bytes(), slash, out);
        out.extend_from_slice(b",\n\t\t\t\"type\": ");
        write_json_string(ty.as_bytes(), slash, out);
        out.extend_from_slice(b"\n\t\t}");
    }
    out.extend_from_slice(b"\n\t]");
}

/// Writes what follows the member `data`, to the end of the document: no statistics without totals; the exception is a
/// string of JSON.
pub(crate) fn write_figures(
    rows: u64,
    totals: Option<&ResultTotals>,
    exception: Option<&[u8]>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(format!(",\n\n\t\"rows\": {rows}").as_bytes());
    if let Some(totals) = totals {
        let statistics = format!(
            ",\n\n\t\"statistics\":\n\t{{\n\t\t\"elapsed\": {:.9},\n\t\t\"rows_read\": {},\n\t\t\"bytes_read\": {}\n\t}}",
            totals.elapsed.as_secs_f64(),
            totals.rows_read,
            totals.bytes_read
        );
        out.extend_from_slice(statistics.as_bytes());
    }
    if let Some(exception) = exception {
        out.extend_from_slice(b",\n\n\t\"exception\": ");
        out.extend_from_slice(exception);
    }
    out.extend_from_slice(b"\n}\n");
}
