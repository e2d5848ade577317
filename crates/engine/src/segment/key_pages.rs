//! The key column of a row group, written from the index: its rows lie in runs of equal keys, so nothing has to be
//! hashed or compared per row to make a dictionary and its run lengths.

#[cfg(test)]
mod tests;

use std::ops::Range;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use crate::run::RunIndex;

/// Rows of a page, as the writer of the other columns has them.
const PAGE_ROWS: usize = 20_000;
/// Bytes of a dictionary above which other encodings are smaller.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;
/// Rows per key below which run lengths are larger than packed numbers.
const ROWS_PER_KEY_MIN: usize = 4;

/// A column chunk that only has to be put into its row group.
pub(super) type Chunk = (Bytes, ColumnCloseResult);

/// The key column of these rows; None if it is no text, or run lengths do not suit it.
pub(super) fn chunk(index: &RunIndex, rows: Range<usize>, column: &ColumnDescPtr) -> Result<Option<Chunk>> {
    let Some(keys) = index.keys.as_ref().filter(|keys| *keys.data_type() == DataType::Utf8) else {
        return Ok(None);
    };
    let keys = keys.as_string::<i32>();
    let slots = index.slot_of(rows.start)..index.slot_of(rows.end - 1) + 1;
    let bytes = (keys.value_offsets()[slots.end] - keys.value_offsets()[slots.start]) as usize;
    let levels = match (column.max_def_level(), keys.null_count()) {
        (0, 0) => false,
        (1, _) => true,
        _ => return Ok(None),
    };
    let suits = rows.len() >= slots.len() * ROWS_PER_KEY_MIN
        && bytes + slots.len() * 4 <= DICTIONARY_BYTES_MAX
        && column.max_rep_level() == 0
        && column.physical_type() == Type::BYTE_ARRAY;
    if !suits {
        return Ok(None);
    }
    let dictionary = Dictionary::new(keys, slots);
    write(index, rows, column, &dictionary, levels).map(Some)
}

/// The distinct keys of a row group.
struct Dictionary {
    /// First slot.
    first: usize,
    /// Its number by slot; None is NULL.
    numbers: Vec<Option<u32>>,
    /// Values as Parquet's plain encoding has them.
    plain: Vec<u8>,
    count: u32,
}

impl Dictionary {
    fn new(keys: &StringArray, slots: Range<usize>) -> Self {
        let (mut plain, mut count) = (Vec::new(), 0);
        let mut number = |slot| {
            let key = keys.is_valid(slot).then(|| keys.value(slot).as_bytes())?;
            plain.extend_from_slice(&(key.len() as u32).to_le_bytes());
            plain.extend_from_slice(key);
            count += 1;
            Some(count - 1)
        };
        let (first, numbers) = (slots.start, slots.map(&mut number).collect());
        Self { first, numbers, plain, count }
    }

    /// Bits of a number; one even where there is one value only, as not every reader knows numbers without bits.
    fn bits(&self) -> u32 {
        (u32::BITS - self.count.saturating_sub(1).leading_zeros()).max(1)
    }

    fn page(&self) -> Page {
        Page::DictionaryPage {
            buf: self.plain.clone().into(),
            num_values: self.count,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        }
    }

    /// The page of these rows.
    fn data_page(&self, index: &RunIndex, rows: Range<usize>, levels: bool) -> Page {
        let (mut valid, mut numbers) = (Vec::new(), vec![self.bits() as u8]);
        let width = self.bits().div_ceil(8) as usize;
        let (mut row, mut slot) = (rows.start, index.slot_of(rows.start));
        while row < rows.end {
            let end = (index.offsets[slot + 1] as usize).min(rows.end);
            let number = self.numbers[slot - self.first];
            if let Some(number) = number {
                run(end - row, &number.to_le_bytes()[..width], &mut numbers);
            }
            if levels {
                run(end - row, &[u8::from(number.is_some())], &mut valid);
            }
            (row, slot) = (end, slot + 1);
        }
        let mut bytes = Vec::with_capacity(4 + valid.len() + numbers.len());
        if levels {
            bytes.extend_from_slice(&(valid.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&valid);
        }
        bytes.extend_from_slice(&numbers);
        Page::DataPage {
            buf: bytes.into(),
            num_values: rows.len() as u32,
            encoding: Encoding::RLE_DICTIONARY,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        }
    }
}

/// One run of Parquet's hybrid encoding: twice its length as LEB128, and the value.
fn run(length: usize, value: &[u8], out: &mut Vec<u8>) {
    let mut header = length << 1;
    while header >= 0x80 {
        out.push(header as u8 | 0x80);
        header >>= 7;
    }
    out.push(header as u8);
    out.extend_from_slice(value);
}

fn write(
    index: &RunIndex,
    rows: Range<usize>,
    column: &ColumnDescPtr,
    dictionary: &Dictionary,
    levels: bool,
) -> Result<Chunk> {
    let mut sink = TrackedWrite::new(Vec::new());
    let mut pages = SerializedPageWriter::new(&mut sink);
    let mut write_page = |page: Page| {
        let size = page.buffer().len();
        pages.write_page(CompressedPage::new(page, size))
    };
    write_page(dictionary.page())?;
    let mut places = OffsetIndexBuilder::new();
    let mut first_page = None;
    for start in rows.clone().step_by(PAGE_ROWS) {
        let of_page = start..rows.end.min(start + PAGE_ROWS);
        let written = write_page(dictionary.data_page(index, of_page.clone(), levels))?;
        first_page.get_or_insert(written.offset as i64);
        places.append_row_count(of_page.len() as i64);
        places.append_offset_and_size(written.offset as i64, written.compressed_size as i32);
    }
    let bytes = Bytes::from(sink.into_inner()?);
    let metadata = ColumnChunkMetaData::builder(column.clone())
        .set_compression(Compression::UNCOMPRESSED)
        .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
        .set_total_compressed_size(bytes.len() as i64)
        .set_total_uncompressed_size(bytes.len() as i64)
        .set_num_values(rows.len() as i64)
        .set_dictionary_page_offset(Some(0))
        .set_data_page_offset(first_page.unwrap_or_default())
        .build()?;
    let close = ColumnCloseResult {
        bytes_written: bytes.len() as u64,
        rows_written: rows.len() as u64,
        metadata,
        bloom_filter: None,
        column_index: None,
        offset_index: Some(places.build()),
    };
    Ok((bytes, close))
}
