//! JSONColumns (an object of arrays), JSONCompactColumns (an array of arrays) and JSONColumnsWithMetadata: a JSON
//! document with one array per column.
//!
//! Rows lie across the document, so it is held whole in both directions, up to a limit. A reader first passes over
//! it to find where each column's values begin, and then reads rows across the columns.

use arrow::array::RecordBatch;
use zepto_common::limits::{COLUMNAR_BYTES_MAX, COLUMNS_MAX};
use zepto_common::{Error, ErrorCode, Result};

use crate::cells::{Cells, Style};
use crate::decode::{Block, Found, RowFormat, in_column};
use crate::encode::{Encoder, Fields, ResultTotals};
use crate::json::{write_figures, write_meta};
use crate::json_beside::write_beside;
use crate::json_fields::Form;
use crate::json_value::{json_string, list, skip_json, write_json_string};
use crate::scan::{Cursor, Scan, Stop, fault};

/// The shape of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Arrays by name.
    Named,
    /// Arrays in the columns' order.
    Ordered,
    /// The member `data` of the document holds arrays by name.
    WithMetadata,
}

/// Reads rows.
pub(crate) struct JsonColumns {
    shape: Shape,
    /// Once the document is whole.
    document: Option<Document>,
}

/// Where a document's columns are.
#[derive(Debug, Default)]
struct Document {
    /// Column of the table, and where its next value begins.
    columns: Vec<(usize, usize)>,
    /// Rows that are left; None before the first column.
    rows: Option<usize>,
    seen: usize,
}

impl JsonColumns {
    pub(crate) fn new(shape: Shape) -> Self {
        Self { shape, document: None }
    }

    /// Checks a whole document and finds its columns.
    fn find(&self, from: &Cursor<'_>, block: &Block) -> Scan<Document> {
        let mut cursor = Cursor { data: from.data, at: from.at, last: true };
        let mut found = Document::default();
        cursor.skip_space();
        if cursor.rest().is_empty() {
            return Ok(found);
        }
        match self.shape {
            Shape::Named => found.object(&mut cursor, block)?,
            Shape::Ordered => found.array(&mut cursor, block)?,
            Shape::WithMetadata => {
                open(&cursor, b'{')?;
                list(&mut cursor, b'}', |cursor| {
                    let is_data = name(cursor)? == "data";
                    if is_data { found.object(cursor, block) } else { skip_json(cursor, 0) }
                })?;
            }
        }
        cursor.skip_space();
        if !cursor.rest().is_empty() && cursor.rest() != b";" {
            return Err(cursor.expected(b';'));
        }
        Ok(found)
    }
}

fn open(cursor: &Cursor<'_>, bracket: u8) -> Scan<()> {
    if cursor.peek()? == bracket { Ok(()) } else { Err(cursor.expected(bracket)) }
}

/// Reads `"name":` and the space behind it.
fn name(cursor: &mut Cursor<'_>) -> Scan<String> {
    let mut scratch = Vec::new();
    let name = String::from_utf8_lossy(json_string(cursor, &mut scratch)?).into_owned();
    cursor.skip_space();
    cursor.expect(b':')?;
    cursor.skip_space();
    Ok(name)
}

impl Document {
    fn object(&mut self, cursor: &mut Cursor<'_>, block: &Block) -> Scan<()> {
        open(cursor, b'{')?;
        let columns = block.by_name(block.settings.name_matching);
        list(cursor, b'}', |cursor| {
            let name = name(cursor)?;
            let index = columns.find(name.as_bytes())?;
            if index.is_none() && !block.settings.skip_unknown_fields {
                let text = format!("Unknown column found in input data: {}", name.escape_debug());
                return Err(fault(ErrorCode::IncorrectData, text));
            }
            self.column(cursor, index).map_err(|stop| in_column(stop, &name))
        })
    }

    fn array(&mut self, cursor: &mut Cursor<'_>, block: &Block) -> Scan<()> {
        open(cursor, b'[')?;
        list(cursor, b']', |cursor| {
            let Some(index) = block.targets.get(self.seen).copied() else {
                let text =
                    format!("The data has more columns than the {} of the INSERT", block.targets.len());
                return Err(fault(ErrorCode::IncorrectData, text));
            };
            self.column(cursor, Some(index)).map_err(|stop| in_column(stop, &block.columns[index].name))
        })
    }

    /// Notes one column and passes over its values.
    fn column(&mut self, cursor: &mut Cursor<'_>, index: Option<usize>) -> Scan<()> {
        self.seen += 1;
        if self.seen > COLUMNS_MAX {
            return Err(fault(ErrorCode::IncorrectData, format!("More than {COLUMNS_MAX} columns")));
        }
        open(cursor, b'[')?;
        if let Some(index) = index {
            if self.columns.iter().any(|(known, _)| *known == index) {
                return Err(fault(ErrorCode::IncorrectData, "The column stands in the data twice"));
            }
            self.columns.push((index, cursor.at + 1));
        }
        let mut rows = 0;
        list(cursor, b']', |cursor| {
            rows += 1;
            skip_json(cursor, 0)
        })?;
        match self.rows {
            Some(known) if known != rows => {
                let text = format!("The column has {rows} values, the first one has {known}");
                Err(fault(ErrorCode::IncorrectData, text))
            }
            _ => {
                self.rows = Some(rows);
                Ok(())
            }
        }
    }
}

impl RowFormat for JsonColumns {
    fn unit(&self) -> &'static str {
        "JSON document of columns"
    }

    fn row(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<Found> {
        if !cursor.last {
            return Err(Stop::More);
        }
        if self.document.is_none() {
            self.document = Some(self.find(cursor, block)?);
        }
        let Some(document) = self.document.as_mut().filter(|found| found.rows.is_some_and(|rows| rows > 0))
        else {
            return Ok(Found::End);
        };
        document.rows = document.rows.map(|rows| rows - 1);
        let mut scratch = std::mem::take(&mut block.scratch);
        let mut used = 0;
        for (index, at) in &mut document.columns {
            let mut value = Cursor { data: cursor.data, at: *at, last: true };
            value.skip_space();
            if value.peek()? == b',' {
                value.at += 1;
                value.skip_space();
            }
            Form::Values.read(&mut value, *index, &mut scratch, block)?;
            // A value must end where the first pass saw it end.
            value.skip_space();
            if !matches!(value.peek()?, b',' | b']') {
                return Err(in_column(value.expected(b','), &block.columns[*index].name));
            }
            used += value.at - *at;
            *at = value.at;
        }
        block.scratch = scratch;
        // The sum of all rows is less than the document, so this stays within it.
        cursor.at += used;
        Ok(Found::Row)
    }
}

/// Writes the document.
pub(crate) struct JsonColumnsWriter {
    shape: Shape,
    fields: Fields,
    /// The result so far, and its bytes in memory.
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl JsonColumnsWriter {
    pub(crate) fn new(shape: Shape, fields: Fields) -> Self {
        Self { shape, fields, batches: Vec::new(), bytes: 0 }
    }

    /// Writes one column's values.
    fn column(&self, at: usize, out: &mut Vec<u8>) -> Result<()> {
        let style = Style::Json(self.fields.json_style());
        let ty = &self.fields.types()[at];
        let mut any = false;
        for batch in &self.batches {
            let cells = Cells::new(batch.column(at), ty, self.fields.settings())?;
            for row in 0..batch.num_rows() {
                if any {
                    out.extend_from_slice(b", ");
                }
                any = true;
                cells.write(row, style, out);
            }
            bounded(out.len())?;
        }
        Ok(())
    }
}

fn bounded(bytes: usize) -> Result<()> {
    if bytes <= COLUMNAR_BYTES_MAX {
        return Ok(());
    }
    let message = format!("A result in columns is held whole, and at most {COLUMNAR_BYTES_MAX} bytes");
    Err(Error::new(ErrorCode::MemoryLimitExceeded, message))
}

impl Encoder for JsonColumnsWriter {
    fn begin(&mut self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, _: &mut Vec<u8>) -> Result<()> {
        if batch.num_rows() > 0 {
            self.bytes += batch.get_array_memory_size();
            self.batches.push(batch.clone());
        }
        bounded(self.bytes)
    }

    fn finish(&mut self, totals: &ResultTotals, out: &mut Vec<u8>) -> Result<()> {
        let (open, close, indent): (&[u8], &[u8], &[u8]) = match self.shape {
            Shape::Named => (b"{\n", b"\n}\n", b"\t"),
            Shape::Ordered => (b"[\n", b"\n]\n", b"\t"),
            Shape::WithMetadata => {
                out.extend_from_slice(b"{\n");
                write_meta(&self.fields, out);
                (b",\n\n\t\"data\":\n\t{\n", b"\n\t}", b"\t\t")
            }
        };
        out.extend_from_slice(open);
        let slash = self.fields.settings().escape_forward_slashes;
        // Only JSONColumns shows the columns of a result without rows.
        let rows: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        let shown = self.shape == Shape::Named || rows > 0;
        for (at, name) in self.fields.names().filter(|_| shown).enumerate() {
            if at > 0 {
                out.extend_from_slice(b",\n");
            }
            out.extend_from_slice(indent);
            if self.shape != Shape::Ordered {
                write_json_string(name.as_bytes(), slash, out);
                out.extend_from_slice(b": ");
            }
            out.push(b'[');
            self.column(at, out)?;
            out.push(b']');
        }
        out.extend_from_slice(close);
        if self.shape == Shape::WithMetadata {
            write_beside(&self.fields, false, Form::Values, totals, out)?;
            let told = self.fields.settings().write_statistics;
            write_figures(rows as u64, told.then_some(totals), None, out);
        }
        Ok(())
    }
}
