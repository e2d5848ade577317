//! CSV: fields between commas, double quotes around text, `\N` for NULL.

use zepto_common::{ErrorCode, Result};

use crate::cells::{Cells, Style, csv_string};
use crate::decode::{Block, Found, RowFormat, in_column};
use crate::encode::{Encoder, Fields, ResultTotals};
use crate::header::{Header, Names};
use crate::scan::{Cursor, Scan, Stop, excerpt, fault};
use crate::text::push_text;

/// Reads rows.
pub(crate) struct Csv {
    header: Header,
}

/// A field as it lies in the input.
struct Field<'a> {
    text: &'a [u8],
    quoted: bool,
    /// Quotes inside are doubled.
    doubled: bool,
}

impl Csv {
    pub(crate) fn new(names: Names) -> Self {
        Self { header: Header::new(names) }
    }

    fn header_line(&mut self, cursor: &mut Cursor<'_>, block: &Block) -> Scan<()> {
        let delimiter = block.settings.csv_delimiter;
        let mut names = Vec::new();
        loop {
            let field = read_field(cursor, delimiter)?;
            let mut text = Vec::new();
            names.push(String::from_utf8_lossy(plain(&field, &mut text)).into_owned());
            if cursor.peek_or_end()? == Some(delimiter) {
                cursor.at += 1;
                continue;
            }
            end_of_line(cursor, delimiter)?;
            return self.header.take_line(names, block);
        }
    }
}

/// Reads a field; the cursor stops at the delimiter or line end behind it.
fn read_field<'a>(cursor: &mut Cursor<'a>, delimiter: u8) -> Scan<Field<'a>> {
    let data = cursor.data;
    skip_blank(cursor, delimiter);
    if cursor.peek_or_end()? != Some(b'"') {
        let rest = &data[cursor.at..];
        let length = match memchr::memchr3(delimiter, b'\n', b'\r', rest) {
            Some(length) => length,
            None if cursor.last => rest.len(),
            None => return Err(Stop::More),
        };
        cursor.at += length;
        return Ok(Field { text: &rest[..length], quoted: false, doubled: false });
    }
    let start = cursor.at + 1;
    let (mut at, mut doubled) = (start, false);
    loop {
        let Some(length) = memchr::memchr(b'"', &data[at..]) else {
            return Err(if cursor.last {
                fault(ErrorCode::CannotParseQuotedString, "Cannot parse CSV: expected closing quote '\"'")
            } else {
                Stop::More
            });
        };
        at += length + 1;
        match data.get(at) {
            Some(b'"') => {
                doubled = true;
                at += 1;
            }
            None if !cursor.last => return Err(Stop::More),
            _ => break,
        }
    }
    cursor.at = at;
    skip_blank(cursor, delimiter);
    cursor.peek_or_end()?;
    Ok(Field { text: &data[start..at - 1], quoted: true, doubled })
}

fn skip_blank(cursor: &mut Cursor<'_>, delimiter: u8) {
    while let Some(byte @ (b' ' | b'\t')) = cursor.data.get(cursor.at)
        && *byte != delimiter
    {
        cursor.at += 1;
    }
}

/// A field's text without its quotes.
fn plain<'s>(field: &Field<'s>, scratch: &'s mut Vec<u8>) -> &'s [u8] {
    if field.doubled {
        scratch.clear();
        let mut rest = field.text;
        while let Some(at) = memchr::memchr(b'"', rest) {
            scratch.extend_from_slice(&rest[..=at]);
            rest = &rest[(at + 2).min(rest.len())..];
        }
        scratch.extend_from_slice(rest);
        return scratch;
    }
    if field.quoted { field.text } else { field.text.trim_ascii_end() }
}

/// Passes over the end of a row, with one delimiter before it allowed.
fn end_of_line(cursor: &mut Cursor<'_>, delimiter: u8) -> Scan<()> {
    if cursor.peek_or_end()? == Some(delimiter) {
        let before = cursor.at;
        cursor.at += 1;
        skip_blank(cursor, delimiter);
        if !matches!(cursor.peek_or_end()?, None | Some(b'\n' | b'\r')) {
            cursor.at = before;
        }
    }
    match cursor.peek_or_end()? {
        None => Ok(()),
        Some(b'\n') => {
            cursor.at += 1;
            Ok(())
        }
        Some(b'\r') => {
            cursor.at += 1;
            if cursor.peek_or_end()? == Some(b'\n') {
                cursor.at += 1;
            }
            Ok(())
        }
        Some(_) => {
            let message = format!("Expected end of line before: {}", excerpt(cursor.rest()));
            Err(fault(ErrorCode::IncorrectData, message))
        }
    }
}

fn push_field(field: &Field<'_>, index: usize, block: &mut Block) -> Scan<()> {
    if !field.quoted {
        let text = field.text.trim_ascii_end();
        if text == b"\\N" {
            return block.push_null(index);
        }
        if text.is_empty() && block.settings.csv_empty_as_default {
            block.push_default(index);
            return Ok(());
        }
    }
    let mut scratch = std::mem::take(&mut block.scratch);
    let pushed = push_text(&mut block.columns[index], plain(field, &mut scratch));
    block.scratch = scratch;
    pushed
}

impl RowFormat for Csv {
    fn fills_targets(&self) -> bool {
        self.header.is_absent()
    }

    fn row(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<Found> {
        if cursor.peek_or_end()?.is_none() {
            return Ok(Found::End);
        }
        if self.header.is_open() {
            self.header_line(cursor, block)?;
            return Ok(Found::Nothing);
        }
        let delimiter = block.settings.csv_delimiter;
        let count = self.header.count(block);
        for at in 0..count {
            if at > 0 {
                match cursor.peek_or_end()? {
                    Some(byte) if byte == delimiter => cursor.at += 1,
                    _ => return Err(cursor.expected(delimiter)),
                }
            }
            let field = read_field(cursor, delimiter)?;
            if let Some(index) = self.header.target(at, block) {
                push_field(&field, index, block)
                    .map_err(|stop| in_column(stop, &block.columns[index].name))?;
            }
        }
        end_of_line(cursor, delimiter)?;
        Ok(Found::Row)
    }
}

/// Writes rows.
pub(crate) struct CsvWriter {
    names: Names,
    fields: Fields,
}

impl CsvWriter {
    pub(crate) fn new(names: Names, fields: Fields) -> Self {
        Self { names, fields }
    }
}

/// Writes a value; a tuple is a field for each of its elements.
fn write_cell(cells: &Cells, row: usize, delimiter: u8, out: &mut Vec<u8>) {
    let Some(parts) = cells.parts() else {
        cells.write(row, Style::Csv, out);
        return;
    };
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            out.push(delimiter);
        }
        write_cell(part, row, delimiter, out);
    }
}

fn header_of(name: &str, ty: &zepto_common::types::ColumnType, into: &mut Vec<(String, String)>) {
    match ty {
        zepto_common::types::ColumnType::Tuple(parts) => {
            for (at, part) in parts.iter().enumerate() {
                header_of(&format!("{name}.{}", at + 1), part, into);
            }
        }
        _ => into.push((name.to_owned(), ty.to_string())),
    }
}

impl Encoder for CsvWriter {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let mut header = Vec::new();
        self.fields.names().zip(self.fields.types()).for_each(|(name, ty)| header_of(name, ty, &mut header));
        let delimiter = self.fields.settings().csv_delimiter;
        let mut line = |words: Vec<&String>| {
            for (at, word) in words.into_iter().enumerate() {
                if at > 0 {
                    out.push(delimiter);
                }
                csv_string(word.as_bytes(), out);
            }
            out.push(b'\n');
        };
        if self.names != Names::Absent {
            line(header.iter().map(|(name, _)| name).collect());
        }
        if self.names == Names::WithTypes {
            line(header.iter().map(|(_, ty)| ty).collect());
        }
        Ok(())
    }

    fn batch(&mut self, batch: &arrow::array::RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let cells = self.fields.cells(batch)?;
        let delimiter = self.fields.settings().csv_delimiter;
        for row in 0..batch.num_rows() {
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(delimiter);
                }
                write_cell(cell, row, delimiter, out);
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn finish(&mut self, totals: &ResultTotals, out: &mut Vec<u8>) -> Result<()> {
        for (_, batch) in totals.beside() {
            out.push(b'\n');
            self.batch(batch, out)?;
        }
        Ok(())
    }
}
