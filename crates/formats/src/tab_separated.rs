//! TabSeparated: fields between tabs, rows between line ends, backslash escapes; Raw has no escapes.

use zepto_common::{ErrorCode, Result};

use crate::decode::{Block, Found, RowFormat, in_column};
use crate::header::{Header, Names};
use crate::scan::{Cursor, Scan, excerpt, fault};
use crate::settings::FormatSettings;
use crate::text::{push_text, unescape};

/// Reads rows.
pub(crate) struct TabSeparated {
    raw: bool,
    header: Header,
}

impl TabSeparated {
    /// A reader; `names` says which header lines come first.
    pub(crate) fn new(raw: bool, names: Names) -> Self {
        Self { raw, header: Header::new(names) }
    }

    /// The end of the field at the cursor: a tab, a line end, or the end of all data.
    fn field_end(&self, cursor: &Cursor<'_>) -> Scan<usize> {
        let mut at = cursor.at;
        loop {
            let rest = &cursor.data[at..];
            let found = if self.raw {
                memchr::memchr2(b'\t', b'\n', rest)
            } else {
                memchr::memchr3(b'\t', b'\n', b'\\', rest)
            };
            match found {
                Some(length) if rest[length] == b'\\' => {
                    at += length + 2;
                    if at > cursor.data.len() {
                        return Err(cursor.end());
                    }
                }
                Some(length) => return Ok(at + length),
                None if cursor.last => return Ok(cursor.data.len()),
                None => return Err(cursor.end()),
            }
        }
    }

    /// The fields of a line as texts.
    fn words(&self, cursor: &mut Cursor<'_>) -> Scan<Vec<String>> {
        let mut fields = Vec::new();
        loop {
            let end = self.field_end(cursor)?;
            let mut text = Vec::new();
            self.decode(&cursor.data[cursor.at..end], &mut text)?;
            cursor.at = end;
            let ends_line = cursor.data.get(end) != Some(&b'\t');
            if ends_line && text.last() == Some(&b'\r') {
                text.pop();
            }
            fields.push(String::from_utf8_lossy(&text).into_owned());
            cursor.at += usize::from(end < cursor.data.len());
            if ends_line {
                return Ok(fields);
            }
        }
    }

    fn decode(&self, field: &[u8], out: &mut Vec<u8>) -> Scan<()> {
        if self.raw {
            out.extend_from_slice(field);
            return Ok(());
        }
        let mut cursor = Cursor::new(field, true);
        while let Some(length) = memchr::memchr(b'\\', cursor.rest()) {
            out.extend_from_slice(&cursor.rest()[..length]);
            cursor.at += length + 1;
            unescape(&mut cursor, out)?;
        }
        out.extend_from_slice(cursor.rest());
        Ok(())
    }

    fn field(&self, field: &[u8], index: usize, block: &mut Block) -> Scan<()> {
        match &block.settings.words {
            None if field == b"\\N" => return block.push_null(index),
            Some(words) if field == words.tsv_null.as_bytes() => return block.push_null(index),
            Some(words) if block.columns[index].is_bool() => {
                if let Some(word) = words.flag(field) {
                    return push_text(&mut block.columns[index], word);
                }
            }
            _ => {}
        }
        if field.is_empty() && block.settings.tsv_empty_as_default {
            block.push_default(index);
            return Ok(());
        }
        if field.is_empty() && block.columns[index].is_exact() {
            return push_text(&mut block.columns[index], b"0");
        }
        // Nested values have their own escapes, inside their quotes.
        if self.raw || block.columns[index].is_nested() || memchr::memchr(b'\\', field).is_none() {
            return push_text(&mut block.columns[index], field);
        }
        let mut text = std::mem::take(&mut block.scratch);
        text.clear();
        let pushed = self.decode(field, &mut text).and_then(|()| push_text(&mut block.columns[index], &text));
        block.scratch = text;
        pushed
    }
}

impl RowFormat for TabSeparated {
    fn fills_targets(&self) -> bool {
        self.header.is_absent()
    }

    fn may_have_mark(&self, block: &Block) -> bool {
        !self.header.is_absent() || !block.begins_with_text()
    }

    fn skip_bad_row(&self, cursor: &mut Cursor<'_>) -> Scan<bool> {
        cursor.skip_line(!self.raw)?;
        Ok(true)
    }

    fn row(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<Found> {
        if cursor.peek_or_end()?.is_none() {
            return Ok(Found::End);
        }
        if self.header.is_new() {
            let FormatSettings { tsv_skip_lines, tsv_detect_header, .. } = block.settings;
            let mut header = std::mem::replace(&mut self.header, Header::new(Names::Absent));
            let begun = header.begin(cursor, block, tsv_skip_lines, tsv_detect_header, |at| self.words(at));
            self.header = header;
            return begun.map(|()| Found::Nothing);
        }
        if self.header.is_open() {
            let words = self.words(cursor)?;
            self.header.take_line(words, block)?;
            return Ok(Found::Nothing);
        }
        let count = self.header.count(block);
        for at in 0..count {
            let end = self.field_end(cursor)?;
            let closes = cursor.data.get(end) != Some(&b'\t');
            if let Some(index) = self.header.target(at, block) {
                let field = &cursor.data[cursor.at..end];
                if closes && at + 1 == count && field.last() == Some(&b'\r') {
                    return Err(carriage_return());
                }
                self.field(field, index, block)
                    .map_err(|stop| in_column(stop, &block.columns[index].name))?;
            }
            if closes != (at + 1 == count) {
                return Err(wrong_count(closes, at, &cursor.data[cursor.at..]));
            }
            cursor.at = (end + 1).min(cursor.data.len());
        }
        Ok(Found::Row)
    }
}

#[cold]
fn carriage_return() -> crate::scan::Stop {
    let message =
        "A row ends with carriage return and line feed; TabSeparated rows end with a line feed only";
    fault(ErrorCode::IncorrectData, message)
}

#[cold]
fn wrong_count(too_few: bool, at: usize, rest: &[u8]) -> crate::scan::Stop {
    let wanted = if too_few { "\\t" } else { "\\n" };
    let message =
        format!("Cannot parse input: expected '{wanted}' after field {} before: {}", at + 1, excerpt(rest));
    fault(ErrorCode::CannotParseInputAssertionFailed, message)
}

/// What follows the backslash of each byte that has an escape; 0 for the others.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut at = 0;
    let known = *b"\x08b\x0Cf\nn\rr\tt\x000\'\'\\\\";
    while at < known.len() {
        escapes[known[at] as usize] = known[at + 1];
        at += 2;
    }
    escapes
};

/// Writes text with TabSeparated's escapes.
pub(crate) fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| ESCAPES[usize::from(*byte)] != 0) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', ESCAPES[usize::from(rest[at])]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Writes rows.
pub(crate) struct TabSeparatedWriter {
    raw: bool,
    names: Names,
    fields: crate::encode::Fields,
}

impl TabSeparatedWriter {
    pub(crate) fn new(raw: bool, names: Names, fields: crate::encode::Fields) -> Self {
        Self { raw, names, fields }
    }

    fn line_end(&self) -> &'static [u8] {
        if self.fields.settings().tsv_crlf { b"\r\n" } else { b"\n" }
    }

    fn line<'a>(&self, words: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
        for (at, word) in words.enumerate() {
            if at > 0 {
                out.push(b'\t');
            }
            if self.raw {
                out.extend_from_slice(word.as_bytes());
            } else {
                escape(word.as_bytes(), out);
            }
        }
        out.extend_from_slice(self.line_end());
    }
}

impl crate::encode::Encoder for TabSeparatedWriter {
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

    fn batch(&mut self, batch: &arrow::array::RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        use crate::cells::Style;
        let cells = self.fields.cells(batch)?;
        let style = if self.raw { Style::Raw } else { Style::Escaped };
        for row in 0..batch.num_rows() {
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(b'\t');
                }
                cell.write(row, style, out);
            }
            out.extend_from_slice(self.line_end());
        }
        Ok(())
    }

    fn finish(&mut self, totals: &crate::encode::ResultTotals, out: &mut Vec<u8>) -> Result<()> {
        for (_, batch) in totals.beside() {
            out.extend_from_slice(self.line_end());
            self.batch(batch, out)?;
        }
        Ok(())
    }
}
