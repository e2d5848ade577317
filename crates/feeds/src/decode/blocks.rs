//! The rows of many messages as blocks that the storage can take. All rows of a message are in one block; a message whose
//! rows are too large for any block is named.

#[cfg(test)]
mod tests;

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use zepto_common::Result;
use zepto_common::limits::{BLOCK_BYTES_MAX, FEED_MESSAGE_BYTES_MAX};
use zepto_common::source::with_offsets;

/// A column of the table in its storage type.
pub(super) enum Values {
    /// A value per row, as the batches that were read.
    Rows(Vec<ArrayRef>),
    /// A value per message.
    Messages(ArrayRef),
    /// One value for all.
    Constant(ArrayRef),
}

/// The rows of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Index of the message.
    pub(super) message: usize,
    /// Its rows among all that were read.
    pub(super) rows: Range<usize>,
    /// Its value in [`Values::Messages`].
    pub(super) nth: u32,
}

/// How large blocks and messages may be, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) block: usize,
    pub(super) message: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { block: BLOCK_BYTES_MAX, message: FEED_MESSAGE_BYTES_MAX }
    }
}

/// All rows that were read.
pub(super) struct Rows {
    schema: SchemaRef,
    columns: Vec<Values>,
    /// The first row of each batch.
    starts: Vec<usize>,
}

/// Parts by block, and the messages that are too large with their bytes.
pub(super) type Cut = (Vec<Vec<Part>>, Vec<(usize, usize)>);

impl Rows {
    /// `batches`: the rows of each batch.
    pub(super) fn new(
        schema: SchemaRef,
        columns: Vec<Values>,
        batches: impl IntoIterator<Item = usize>,
    ) -> Self {
        let mut all = 0;
        let start = |rows| {
            let start = all;
            all += rows;
            start
        };
        Self { schema, columns, starts: batches.into_iter().map(start).collect() }
    }

    /// Cuts where the message changes, so that a block grows no further than its bound but for one message.
    pub(super) fn cut(&self, parts: Vec<Part>, bounds: Bounds) -> Cut {
        let (mut blocks, mut too_large) = (Vec::new(), Vec::new());
        // Most often all is one block, and nobody needs to know the size of each message.
        if self.bytes_of_all(&parts) <= bounds.block.min(bounds.message) {
            blocks.extend((!parts.is_empty()).then_some(parts));
            return (blocks, too_large);
        }
        let (mut block, mut in_block) = (Vec::new(), 0);
        for part in parts {
            let bytes = self.bytes_of(&part);
            if bytes > bounds.message {
                too_large.push((part.message, bytes));
                continue;
            }
            if in_block + bytes > bounds.block && !block.is_empty() {
                blocks.push(std::mem::take(&mut block));
                in_block = 0;
            }
            in_block += bytes;
            block.push(part);
        }
        blocks.extend((!block.is_empty()).then_some(block));
        (blocks, too_large)
    }

    fn bytes_of_all(&self, parts: &[Part]) -> usize {
        let of = |values: &Values| match values {
            Values::Rows(batches) => batches.iter().map(|it| bytes(it, 0..it.len())).sum::<usize>(),
            Values::Messages(array) => parts.iter().map(|it| repeated(array, it.nth, &it.rows)).sum(),
            Values::Constant(array) => parts.iter().map(|it| repeated(array, 0, &it.rows)).sum(),
        };
        self.columns.iter().map(of).sum()
    }

    fn bytes_of(&self, part: &Part) -> usize {
        let of = |values: &Values| match values {
            Values::Rows(batches) => {
                self.places(&part.rows).map(|(batch, rows)| bytes(&batches[batch], rows)).sum()
            }
            Values::Messages(array) => repeated(array, part.nth, &part.rows),
            Values::Constant(array) => repeated(array, 0, &part.rows),
        };
        self.columns.iter().map(of).sum()
    }

    /// Batches that have some of these rows, and which of theirs.
    fn places(&self, rows: &Range<usize>) -> impl Iterator<Item = (usize, Range<usize>)> {
        let first = self.starts.partition_point(|start| *start <= rows.start).saturating_sub(1);
        let (from, to) = (rows.start, rows.end);
        (first..self.starts.len()).map_while(move |batch| {
            let start = self.starts[batch];
            let end = self.starts.get(batch + 1).copied().unwrap_or(usize::MAX).min(to);
            (start < to).then(|| (batch, from.max(start) - start..end - start))
        })
    }

    /// The rows of some messages with the offset of each as the last column.
    pub(super) fn block(&self, parts: &[Part], offset_of: impl Fn(usize) -> u64) -> Result<RecordBatch> {
        let (mut ranges, mut nth, mut offsets) = (Vec::<Range<usize>>::new(), Vec::new(), Vec::new());
        for part in parts {
            match ranges.last_mut() {
                Some(last) if last.end == part.rows.start => last.end = part.rows.end,
                _ => ranges.push(part.rows.clone()),
            }
            nth.resize(nth.len() + part.rows.len(), part.nth);
            offsets.resize(offsets.len() + part.rows.len(), offset_of(part.message));
        }
        let nth = UInt32Array::from(nth);
        let mut arrays = Vec::with_capacity(self.columns.len());
        for values in &self.columns {
            arrays.push(match values {
                Values::Messages(array) => take(array, &nth, None)?,
                Values::Constant(array) => take(array, &UInt32Array::from(vec![0; nth.len()]), None)?,
                Values::Rows(batches) => {
                    let places = ranges.iter().flat_map(|rows| self.places(rows));
                    let slices: Vec<ArrayRef> =
                        places.map(|(batch, rows)| batches[batch].slice(rows.start, rows.len())).collect();
                    match slices.as_slice() {
                        [one] => one.clone(),
                        many => concat(&many.iter().map(|it| it.as_ref()).collect::<Vec<_>>())?,
                    }
                }
            });
        }
        with_offsets(&RecordBatch::try_new(self.schema.clone(), arrays)?, UInt64Array::from(offsets))
    }
}

/// Bytes of one value in each of these rows.
fn repeated(array: &ArrayRef, at: u32, rows: &Range<usize>) -> usize {
    let at = at as usize;
    // A dictionary has the text once.
    let each = match array.data_type() {
        DataType::Dictionary(..) => size_of::<i32>(),
        _ => bytes(array, at..at + 1),
    };
    each * rows.len()
}

/// Bytes of some values of an array as they are stored.
fn bytes(array: &ArrayRef, rows: Range<usize>) -> usize {
    let count = rows.len();
    if let Some(width) = array.data_type().primitive_width() {
        return width * count;
    }
    if let Some(text) = array.as_string_opt::<i32>() {
        let offsets = text.value_offsets();
        return (offsets[rows.end] - offsets[rows.start]) as usize + size_of::<i32>() * count;
    }
    let dictionary = array.as_dictionary_opt::<Int32Type>();
    if let Some((keys, text)) =
        dictionary.and_then(|it| Some((it.keys(), it.values().as_string_opt::<i32>()?)))
    {
        // As if no text were twice in it.
        let length = |row| if keys.is_null(row) { 0 } else { text.value_length(keys.value(row) as usize) };
        return rows.map(|row| length(row) as usize).sum::<usize>() + size_of::<i32>() * count;
    }
    let some = array.slice(rows.start, count).to_data();
    some.get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}
