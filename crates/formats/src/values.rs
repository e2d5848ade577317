//! VALUES: `(1, 'a'), (2, 'b')`. Literals are read straight into the columns; anything else is handed to the
//! evaluator as the text of an expression.

use zepto_common::limits::DEPTH_MAX;
use zepto_common::{ErrorCode, Result};

use crate::cells::{Cells, Style};
use crate::decode::{Block, Found, RowFormat, in_column};
use crate::encode::{Encoder, Fields, ResultTotals};
use crate::scan::{Cursor, Scan, Stop, excerpt, fault};
use crate::text::{push_quoted, push_text};

/// Reads tuples.
#[derive(Default)]
pub(crate) struct Values {
    started: bool,
    ended: bool,
}

impl Values {
    /// Passes over space, commas, `;` and comments before a tuple; false at the end.
    fn before_row(&self, cursor: &mut Cursor<'_>, ended: &mut bool) -> Scan<bool> {
        loop {
            cursor.skip_space();
            match cursor.peek_or_end()? {
                None => return Ok(false),
                Some(b'(') if !*ended => return Ok(true),
                Some(b',') if self.started && !*ended => cursor.at += 1,
                Some(b';') => {
                    *ended = true;
                    cursor.at += 1;
                }
                Some(b'-' | b'/') => skip_comment(cursor)?,
                Some(_) => return Err(cursor.expected(b'(')),
            }
        }
    }
}

fn skip_comment(cursor: &mut Cursor<'_>) -> Scan<()> {
    let rest = cursor.rest();
    match rest {
        [_] if !cursor.last => Err(Stop::More),
        [b'-', b'-', ..] => {
            match memchr::memchr(b'\n', rest) {
                Some(length) => cursor.at += length + 1,
                None if cursor.last => cursor.at = cursor.data.len(),
                None => return Err(Stop::More),
            }
            Ok(())
        }
        [b'/', b'*', inside @ ..] => match memchr::memmem::find(inside, b"*/") {
            Some(length) => {
                cursor.at += length + 4;
                Ok(())
            }
            None => Err(cursor.end()),
        },
        _ => Err(cursor.expected(b'(')),
    }
}

impl RowFormat for Values {
    fn fills_targets(&self) -> bool {
        true
    }

    fn row(&mut self, cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<Found> {
        let mut ended = self.ended;
        if !self.before_row(cursor, &mut ended)? {
            return Ok(Found::End);
        }
        cursor.at += 1;
        tuple(cursor, block).map_err(|stop| cut_short(stop, cursor))?;
        self.started = true;
        self.ended = ended;
        Ok(Found::Row)
    }
}

/// An input that ends inside a tuple is a syntax error, as in ClickHouse.
fn cut_short(stop: Stop, cursor: &Cursor<'_>) -> Stop {
    match stop {
        Stop::Fault(mut error)
            if cursor.at >= cursor.data.len() || error.message.contains("closing quote") =>
        {
            error.code = ErrorCode::SyntaxError;
            Stop::Fault(error)
        }
        other => other,
    }
}

/// Reads the values of a tuple and its closing bracket.
fn tuple(cursor: &mut Cursor<'_>, block: &mut Block) -> Scan<()> {
    let count = block.targets.len();
    for at in 0..count {
        cursor.skip_space();
        let index = block.targets[at];
        let last = at + 1 == count;
        value(cursor, index, last, block).map_err(|stop| in_column(stop, &block.columns[index].name))?;
        match (cursor.peek()?, last) {
            (b',', false) | (b')', true) => cursor.at += 1,
            (b',', true) => {
                cursor.at += 1;
                cursor.skip_space();
                if cursor.peek()? != b')' {
                    return Err(wrong_count(last, cursor, block, index));
                }
                cursor.at += 1;
            }
            _ => return Err(wrong_count(last, cursor, block, index)),
        }
    }
    Ok(())
}

#[cold]
fn wrong_count(last: bool, cursor: &Cursor<'_>, block: &Block, index: usize) -> Stop {
    let column = &block.columns[index];
    let wanted = if last { ')' } else { ',' };
    let rest = excerpt(cursor.rest());
    let message = format!(
        "Expected '{wanted}' after the value of column `{}` of type {} here: {rest}",
        column.name, column.ty
    );
    fault(ErrorCode::SyntaxError, message)
}

/// Reads one value and stops at the comma or bracket behind it.
#[inline]
fn value(cursor: &mut Cursor<'_>, index: usize, last: bool, block: &mut Block) -> Scan<()> {
    let start = cursor.at;
    let read = literal(cursor, index, block).and_then(|()| {
        if !matches!(cursor.data.get(cursor.at), Some(b',' | b')')) {
            cursor.skip_space();
        }
        let next = cursor.peek()?;
        Ok(next == b')' || next == b',')
    });
    match read {
        Ok(true) => Ok(()),
        Err(Stop::More) => Err(Stop::More),
        Ok(false) => expression(cursor, start, index, None, block),
        Err(Stop::Fault(error)) => match error.code {
            ErrorCode::ValueIsOutOfRange
            | ErrorCode::TooLargeStringSize
            | ErrorCode::TooDeepRecursion
            | ErrorCode::CannotInsertNullInOrdinaryColumn => Err(Stop::Fault(error)),
            _ if cursor.last && last && cursor.at >= cursor.data.len() => Err(Stop::Fault(error)),
            _ => expression(cursor, start, index, Some(error), block),
        },
    }
}

#[inline]
fn literal(cursor: &mut Cursor<'_>, index: usize, block: &mut Block) -> Scan<()> {
    match cursor.peek()? {
        b'N' | b'n' if cursor.word("NULL")? => return block.push_null(index),
        b'D' | b'd' if cursor.word("DEFAULT")? => {
            block.push_default(index);
            return Ok(());
        }
        _ => {}
    }
    push_quoted(&mut block.columns[index], cursor, 0)
}

/// Evaluates the text from `start` to the next comma or bracket outside of any nesting.
#[cold]
fn expression(
    cursor: &mut Cursor<'_>,
    start: usize,
    index: usize,
    cause: Option<Box<zepto_common::Error>>,
    block: &mut Block,
) -> Scan<()> {
    let rows = block.rows();
    block.columns[index].truncate(rows);
    cursor.at = start;
    skip_expression(cursor)?;
    let text = cursor.data[start..cursor.at].trim_ascii();
    let refuse = |cause: Option<Box<zepto_common::Error>>| match cause {
        Some(error) => Stop::Fault(error),
        None => fault(ErrorCode::SyntaxError, format!("Cannot parse expression {}", excerpt(text))),
    };
    let evaluator =
        block.evaluator.clone().filter(|_| block.settings.interpret_expressions && !text.is_empty());
    let (Some(evaluator), Ok(text)) = (evaluator, std::str::from_utf8(text)) else {
        return Err(refuse(cause));
    };
    let array = evaluator.evaluate(text, &block.columns[index].ty)?;
    if array.len() != 1 {
        return Err(zepto_common::Error::internal("an expression in VALUES has one value").into());
    }
    let cells = Cells::new(&array, &block.columns[index].ty, &block.settings.without_words())?;
    if cells.is_null(0) {
        return block.push_null(index);
    }
    let mut text = Vec::new();
    cells.write(0, Style::Raw, &mut text);
    push_text(&mut block.columns[index], &text)
}

/// Passes over a dollar sign, or over all of `$tag$ … $tag$`.
fn skip_here_document(cursor: &mut Cursor<'_>) -> Scan<()> {
    let rest = &cursor.rest()[1..];
    let tag = rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'));
    let Some(length) = tag else {
        // The tag goes on in bytes that have not come; a name at the very end is none.
        cursor.at += 1;
        return if cursor.last { Ok(()) } else { Err(cursor.end()) };
    };
    if rest[length] != b'$' {
        cursor.at += 1;
        return Ok(());
    }
    let mark = &cursor.rest()[..length + 2];
    match memchr::memmem::find(&cursor.rest()[mark.len()..], mark) {
        Some(inside) => cursor.at += inside + 2 * mark.len(),
        None => return Err(cursor.end()),
    }
    Ok(())
}

/// Passes over an expression: quotes, comments and brackets are seen, nothing else.
fn skip_expression(cursor: &mut Cursor<'_>) -> Scan<()> {
    let mut depth = 0usize;
    loop {
        match cursor.peek()? {
            b',' if depth == 0 => return Ok(()),
            b')' | b']' | b'}' if depth == 0 => return Ok(()),
            b')' | b']' | b'}' => depth -= 1,
            b'(' | b'[' | b'{' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(fault(ErrorCode::TooDeepRecursion, "An expression is nested too deep"));
                }
            }
            b'$' => {
                skip_here_document(cursor)?;
                continue;
            }
            quote @ (b'\'' | b'"' | b'`') => {
                cursor.at += 1;
                loop {
                    match cursor.peek()? {
                        b'\\' => cursor.at += 1,
                        byte if byte == quote => break,
                        _ => {}
                    }
                    cursor.at += 1;
                }
            }
            _ => {}
        }
        cursor.at += 1;
    }
}

/// Writes tuples, with commas between them and no end.
pub(crate) struct ValuesWriter {
    fields: Fields,
    any: bool,
}

impl ValuesWriter {
    pub(crate) fn new(fields: Fields) -> Self {
        Self { fields, any: false }
    }
}

impl Encoder for ValuesWriter {
    fn begin(&mut self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &arrow::array::RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let cells = self.fields.cells(batch)?;
        for row in 0..batch.num_rows() {
            out.extend_from_slice(if self.any { b",(" } else { b"(" });
            self.any = true;
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                cell.write(row, Style::Quoted, out);
            }
            out.push(b')');
        }
        Ok(())
    }

    fn finish(&mut self, _: &ResultTotals, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}
