//! Fields of JSON rows: as JSON values, or (the formats with Strings in their names) each as its text in a string.

use zepto_common::ErrorCode;

use crate::cells::{Cells, JsonStyle, Style};
use crate::decode::{Block, in_column};
use crate::json_value::{json_string, push_json, take_null, write_json_string};
use crate::scan::{Cursor, Scan, excerpt, fault};
use crate::text::push_text;

/// What a field is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A JSON value of the column's kind.
    Values,
    /// A string that holds the value's text.
    Strings,
}

/// NULL inside a string, in any case, also in columns of text: as ClickHouse.
const NULLS: [&str; 2] = ["NULL", "ᴺᵁᴸᴸ"];

impl Form {
    /// Reads a field into column `index`; null is NULL or the default.
    #[inline]
    pub(crate) fn read(
        self,
        cursor: &mut Cursor<'_>,
        index: usize,
        scratch: &mut Vec<u8>,
        block: &mut Block,
    ) -> Scan<()> {
        let read = match self {
            Self::Values => value(cursor, index, scratch, block),
            Self::Strings => string(cursor, index, scratch, block),
        };
        read.map_err(|stop| in_column(stop, &block.columns[index].name))
    }

    /// Writes a field.
    #[inline]
    pub(crate) fn write(
        self,
        cells: &Cells,
        row: usize,
        style: JsonStyle,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Values => cells.write(row, Style::Json(style), out),
            Self::Strings => {
                scratch.clear();
                cells.write(row, Style::Pretty, scratch);
                write_json_string(scratch, style.escape_slash, out);
            }
        }
    }
}

#[inline]
fn value(cursor: &mut Cursor<'_>, index: usize, scratch: &mut Vec<u8>, block: &mut Block) -> Scan<()> {
    if take_null(cursor)? {
        return block.push_null(index);
    }
    push_json(&mut block.columns[index], cursor, scratch, &block.settings, 0)
}

fn string(cursor: &mut Cursor<'_>, index: usize, scratch: &mut Vec<u8>, block: &mut Block) -> Scan<()> {
    let text = json_string(cursor, scratch)?;
    let is_null = NULLS.iter().any(|null| text.eq_ignore_ascii_case(null.as_bytes()));
    if is_null && (block.columns[index].nullable() || block.settings.null_as_default) {
        return block.push_null(index);
    }
    push_text(&mut block.columns[index], text)
}

/// Reads `["a", "b"]`, a header line.
pub(crate) fn words(cursor: &mut Cursor<'_>, max: usize) -> Scan<Vec<String>> {
    let mut words = Vec::new();
    let mut scratch = Vec::new();
    cursor.skip_space();
    if cursor.peek()? != b'[' {
        return Err(cursor.expected(b'['));
    }
    crate::json_value::list(cursor, b']', |cursor| {
        let word = json_string(cursor, &mut scratch)?;
        if words.len() >= max {
            let message = format!("A header has more than {max} names, the next one is {}", excerpt(word));
            return Err(fault(ErrorCode::IncorrectData, message));
        }
        words.push(String::from_utf8_lossy(word).into_owned());
        Ok(())
    })?;
    Ok(words)
}
