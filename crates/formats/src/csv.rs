//! CSV: fields between commas, double quotes around text, `\N` for NULL.

use zepto_common::{ErrorCode, Result};

use crate::cells::{Cells, Style, csv_string};
use crate::column::{Column, Values};
use crate::decode::{Block, Found, RowFormat, in_column, null_refused};
use crate::encode::{Encoder, Fields, ResultTotals};
use crate::header::{Header, Names};
use crate::scan::{Cursor, Scan, Stop, excerpt, fault};
use crate::settings::FormatSettings;
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
}

/// The fields of a line as texts.
fn words(cursor: &mut Cursor<'_>, delimiter: u8) -> Scan<Vec<String>> {
    let mut words = Vec::new();
    loop {
        let field = read_field(cursor, delimiter)?;
        let mut text = Vec::new();
        words.push(String::from_utf8_lossy(plain(&field, &mut text)).into_owned());
        if cursor.peek_or_end()? == Some(delimiter) {
            cursor.at += 1;
            continue;
        }
        end_of_line(cursor, delimiter)?;
        return Ok(words);
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

/// Reads the field of a column, of a tuple one for each element.
fn read_column(cursor: &mut Cursor<'_>, delimiter: u8, index: usize, block: &mut Block) -> Scan<()> {
    if matches!(block.columns[index].values, Values::Tuple(..)) {
        return read_tuple(cursor, delimiter, index, block);
    }
    let field = read_field(cursor, delimiter)?;
    match unquoted(&field, &block.settings) {
        Special::Null => return block.push_null(index),
        Special::Empty => block.push_default(index),
        Special::Flag(word) if block.columns[index].is_bool() => {
            push_text(&mut block.columns[index], word)?;
        }
        Special::Flag(_) | Special::No => {
            let mut scratch = std::mem::take(&mut block.scratch);
            let pushed = push(&mut block.columns[index], plain(&field, &mut scratch));
            block.scratch = scratch;
            return pushed;
        }
    }
    Ok(())
}

/// A tuple is a field for each element; where its first one is empty that alone stands for the whole default.
fn read_tuple(cursor: &mut Cursor<'_>, delimiter: u8, index: usize, block: &mut Block) -> Scan<()> {
    let start = cursor.at;
    let first = read_field(cursor, delimiter)?;
    if matches!(unquoted(&first, &block.settings), Special::Empty) {
        block.push_default(index);
        return Ok(());
    }
    cursor.at = start;
    let mut scratch = std::mem::take(&mut block.scratch);
    let read = read_elements(cursor, delimiter, &mut block.columns[index], &block.settings, &mut scratch);
    block.scratch = scratch;
    read
}

fn read_elements(
    cursor: &mut Cursor<'_>,
    delimiter: u8,
    column: &mut Column,
    settings: &FormatSettings,
    scratch: &mut Vec<u8>,
) -> Scan<()> {
    if let Values::Tuple(parts, rows) = &mut column.values {
        for (at, part) in parts.iter_mut().enumerate() {
            if at > 0 {
                cursor.expect(delimiter)?;
            }
            // NULL for a tuple within one stands for all of it.
            let start = cursor.at;
            if matches!(part.values, Values::Tuple(..)) && settings.null_as_default {
                if matches!(unquoted(&read_field(cursor, delimiter)?, settings), Special::Null) {
                    part.push_zero();
                    continue;
                }
                cursor.at = start;
            }
            read_elements(cursor, delimiter, part, settings, scratch)?;
        }
        *rows += 1;
        return Ok(());
    }
    let field = read_field(cursor, delimiter)?;
    match unquoted(&field, settings) {
        Special::Null if column.nullable() || settings.null_as_default => column.push_zero(),
        Special::Null => return Err(null_refused(&column.name)),
        Special::Flag(word) if column.is_bool() => push_text(column, word)?,
        _ => push(column, plain(&field, scratch))?,
    }
    Ok(())
}

fn push(column: &mut Column, text: &[u8]) -> Scan<()> {
    push_text(column, if text.is_empty() && column.is_exact() { b"0" } else { text })
}

/// What a field without quotes may stand for beside its text.
enum Special {
    Null,
    Empty,
    /// The usual word for a flag that has another name.
    Flag(&'static [u8]),
    No,
}

fn unquoted(field: &Field<'_>, settings: &FormatSettings) -> Special {
    if field.quoted {
        return Special::No;
    }
    let text = field.text;
    match &settings.words {
        None if text == b"\\N" => Special::Null,
        Some(words) if text == words.csv_null.as_bytes() => Special::Null,
        _ if settings.csv_empty_as_default && text.trim_ascii_end().is_empty() => Special::Empty,
        Some(words) => words.flag(text.trim_ascii_end()).map_or(Special::No, Special::Flag),
        None => Special::No,
    }
}

impl RowFormat for Csv {
    fn fills_targets(&self) -> bool {
        self.header.is_absent()
    }

    fn may_have_mark(&self, block: &Block) -> bool {
        !self.header.is_absent() || !block.begins_with_text()
    }

    fn skip_bad_row(&self, cursor: &mut Cursor<'_>) -> Scan<bool> {
        cursor.skip_line(false)?;
        Ok(true)
    }

    fn row(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<Found> {
        if cursor.peek_or_end()?.is_none() {
            return Ok(Found::End);
        }
        let delimiter = block.settings.csv_delimiter;
        let line = |cursor: &mut Cursor<'_>| words(cursor, delimiter);
        if self.header.is_new() {
            let FormatSettings { csv_skip_lines, csv_detect_header, .. } = block.settings;
            self.header.begin(cursor, block, csv_skip_lines, csv_detect_header, line)?;
            return Ok(Found::Nothing);
        }
        if self.header.is_open() {
            let words = line(cursor)?;
            self.header.take_line(words, block)?;
            return Ok(Found::Nothing);
        }
        let count = self.header.count(block);
        for at in 0..count {
            if at > 0 {
                match cursor.peek_or_end()? {
                    Some(byte) if byte == delimiter => cursor.at += 1,
                    _ => return Err(cursor.expected(delimiter)),
                }
            }
            match self.header.target(at, block) {
                Some(index) => read_column(cursor, delimiter, index, block)
                    .map_err(|stop| in_column(stop, &block.columns[index].name))?,
                None => {
                    read_field(cursor, delimiter)?;
                }
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

    fn line_end(&self) -> &'static [u8] {
        if self.fields.settings().csv_crlf { b"\r\n" } else { b"\n" }
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
        let end = self.line_end();
        let mut line = |words: Vec<&String>| {
            for (at, word) in words.into_iter().enumerate() {
                if at > 0 {
                    out.push(delimiter);
                }
                csv_string(word.as_bytes(), out);
            }
            out.extend_from_slice(end);
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
        let (delimiter, end) = (self.fields.settings().csv_delimiter, self.line_end());
        for row in 0..batch.num_rows() {
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(delimiter);
                }
                write_cell(cell, row, delimiter, out);
            }
            out.extend_from_slice(end);
        }
        Ok(())
    }

    fn finish(&mut self, totals: &ResultTotals, out: &mut Vec<u8>) -> Result<()> {
        for (_, batch) in totals.beside() {
            out.extend_from_slice(self.line_end());
            self.batch(batch, out)?;
        }
        Ok(())
    }
}
