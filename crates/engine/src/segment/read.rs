//! Opening a segment by its footer, and reading only the columns and rows that are asked for.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    RowSelection,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use zepto_common::{Error, ErrorCode, Result};

use super::file::{SegmentFile, damaged, read_exact};
use super::{Segment, format, write};
use crate::disk::DiskFile;
use crate::part::Batches;
use crate::part::scan::{Groups, Output};
use crate::run::{Run, RunIndex, columns};

/// Footer length and Parquet's magic at the very end.
const END_BYTES: usize = 8;
const MAGIC: &[u8; 4] = b"PAR1";

/// Rows read at once when a whole segment is loaded.
const LOAD_ROWS: usize = 64 << 10;

/// Opens a file; `known` is its index if it was written just now, so that run and segment share one.
pub(super) fn open(file: Arc<dyn DiskFile>, path: &Path, known: Option<&Arc<RunIndex>>) -> Result<Segment> {
    let length = file.len().map_err(|error| {
        Error::new(ErrorCode::CannotReadAllData, format!("length of segment {}: {error}", path.display()))
    })?;
    let (data, tail) = read_tail(file.as_ref(), path, length)?;
    let fault = |error: parquet::errors::ParquetError| damaged(path, data, error);
    let mut reader = ParquetMetaDataReader::new()
        .with_column_index_policy(PageIndexPolicy::Skip)
        .with_offset_index_policy(PageIndexPolicy::Optional);
    reader.try_parse_sized(&tail, length).map_err(fault)?;
    let metadata = Arc::new(reader.finish().map_err(fault)?);
    let entries = metadata.file_metadata().key_value_metadata().map_or(&[][..], Vec::as_slice);
    let format::Entries { schema, index, checksums } = format::read_entries(path, data, entries, known)?;
    if metadata.file_metadata().num_rows() != index.rows() as i64 {
        return Err(damaged(path, data, "the file and its index differ in their rows"));
    }
    let metadata = ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new()).map_err(fault)?;
    let expected = write::file_schema(&schema);
    let types = |schema: &arrow::datatypes::Schema| -> Vec<_> {
        schema.fields().iter().map(|field| field.data_type().clone()).collect()
    };
    if types(metadata.schema()) != types(&expected) {
        return Err(damaged(path, data, "the columns are not those of the schema"));
    }
    let file = SegmentFile::new(file, path, length, data, checksums);
    Ok(Segment {
        file,
        schema: Arc::new(schema),
        time_range: index.time_range(),
        index,
        metadata,
        hot: ArcSwapOption::const_empty(),
    })
}

/// The checksum of a segment's tail, which is verified.
pub(super) fn tail_checksum(file: &dyn DiskFile, path: &Path) -> Result<u32> {
    let length = file.len().map_err(|error| {
        Error::new(ErrorCode::CannotReadAllData, format!("length of segment {}: {error}", path.display()))
    })?;
    let (data, tail) = read_tail(file, path, length)?;
    format::checksum_of(&tail).ok_or_else(|| damaged(path, data, "the footer has no mark of ours"))
}

/// Where the data ends, and the verified bytes from there on. Nothing is decoded before its checksum matched.
fn read_tail(file: &dyn DiskFile, path: &Path, length: u64) -> Result<(u64, Bytes)> {
    let end_start = length.checked_sub(END_BYTES as u64).ok_or_else(|| damaged(path, length, "too short"))?;
    let end = read_exact(file, path, end_start, END_BYTES)?;
    let (size, magic) = end.split_at(4);
    if magic != MAGIC {
        return Err(damaged(path, length - 4, "it does not end as a Parquet file does"));
    }
    let size = size.iter().rev().fold(0u64, |size, &byte| size << 8 | u64::from(byte));
    let start = end_start
        .checked_sub(size)
        .ok_or_else(|| damaged(path, end_start, format!("a footer of {size} bytes does not fit")))?;
    let footer = read_exact(file, path, start, size as usize)?;
    let data = format::data_end(&footer)
        .filter(|&data| data <= start)
        .ok_or_else(|| damaged(path, start, "the footer has no mark of ours"))?;
    let mut tail = read_exact(file, path, data, (start - data) as usize)?;
    tail.extend_from_slice(&footer);
    tail.extend_from_slice(&end);
    if !format::is_signed(&tail) {
        return Err(damaged(path, data, "the checksum of the footer does not match"));
    }
    Ok((data, Bytes::from(tail)))
}

pub(super) fn load(segment: &Segment) -> Result<Run> {
    let key = segment.schema.key_index();
    let wanted: Vec<usize> = (0..segment.schema.columns.len()).filter(|&i| key != Some(i)).collect();
    let mut pieces: Vec<Vec<ArrayRef>> = vec![Vec::new(); wanted.len()];
    if !wanted.is_empty() && segment.rows() > 0 {
        for batch in reader(segment, &wanted, None, LOAD_ROWS)? {
            let batch = batch.map_err(|error| of_arrow(segment, &error))?;
            for (column, array) in pieces.iter_mut().zip(batch.columns()) {
                column.push(Arc::clone(array));
            }
        }
    }
    let mut columns: Vec<Option<ArrayRef>> = vec![None; segment.schema.columns.len()];
    for (&column, pieces) in wanted.iter().zip(&pieces) {
        columns[column] = Some(match pieces.as_slice() {
            [] => arrow::array::new_empty_array(&segment.schema.columns[column].ty.storage_type()),
            pieces => columns::concat(pieces)?,
        });
    }
    Run::new(Arc::clone(&segment.schema), columns, Arc::clone(&segment.index))
}

fn reader(
    segment: &Segment,
    columns: &[usize],
    ranges: Option<&[Range<usize>]>,
    batch_rows: usize,
) -> Result<ParquetRecordBatchReader> {
    let metadata = segment.metadata.clone();
    let mask = ProjectionMask::roots(metadata.parquet_schema(), columns.iter().copied());
    let sizes: Vec<usize> =
        metadata.metadata().row_groups().iter().map(|group| group.num_rows().max(0) as usize).collect();
    let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(segment.file.clone(), metadata)
        .with_projection(mask)
        .with_batch_size(batch_rows);
    if let Some(ranges) = ranges {
        let (groups, ranges, rows) = in_groups(&sizes, ranges);
        let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), rows);
        builder = builder.with_row_groups(groups).with_row_selection(selection);
    }
    builder.build().map_err(|error| damaged(segment.path(), 0, error))
}

/// The row groups that hold these rows, the ranges counted in those groups only, and their rows.
fn in_groups(sizes: &[usize], ranges: &[Range<usize>]) -> (Vec<usize>, Vec<Range<usize>>, usize) {
    let (mut groups, mut moved, mut rows, mut start) = (Vec::new(), Vec::new(), 0, 0);
    let mut next = 0;
    for (group, &size) in sizes.iter().enumerate() {
        let end = start + size;
        let mut used = false;
        while let Some(range) = ranges.get(next).filter(|range| range.start < end) {
            let cut = range.start.max(start)..range.end.min(end);
            if !cut.is_empty() {
                used = true;
                moved.push(cut.start - start + rows..cut.end - start + rows);
            }
            if range.end > end {
                break;
            }
            next += 1;
        }
        if used {
            groups.push(group);
            rows += size;
        }
        start = end;
    }
    (groups, moved, rows)
}

pub(super) fn scan(segment: &Arc<Segment>, output: Output, groups: Groups) -> Batches {
    let needed = output.needed(true);
    Box::new(SegmentScan {
        segment: Arc::clone(segment),
        output,
        groups,
        needed,
        reader: None,
        failed: false,
    })
}

/// Scan of a file. It is opened at the first batch.
struct SegmentScan {
    segment: Arc<Segment>,
    output: Output,
    groups: Groups,
    needed: Vec<usize>,
    reader: Option<ParquetRecordBatchReader>,
    failed: bool,
}

impl SegmentScan {
    fn read(&mut self) -> Result<Option<arrow::array::RecordBatch>> {
        if self.groups.ranges().is_empty() {
            return Ok(None);
        }
        if self.needed.is_empty() {
            let group = self.groups.take(self.groups.batch_rows());
            let none = |_| Err(Error::internal("no column of the file was to be read"));
            return self.output.batch(&group, Some(&self.segment.index), none).map(Some);
        }
        if self.reader.is_none() {
            let ranges: Vec<Range<usize>> = self.groups.ranges().iter().cloned().collect();
            self.reader = Some(reader(&self.segment, &self.needed, Some(&ranges), self.groups.batch_rows())?);
        }
        let batch = match self.reader.as_mut().and_then(Iterator::next) {
            Some(batch) => batch.map_err(|error| of_arrow(&self.segment, &error))?,
            None => return Err(damaged(self.segment.path(), 0, "it ends before its last row")),
        };
        let group = self.groups.take(batch.num_rows());
        let stored = |from: usize| {
            let at = self.needed.iter().position(|&column| column == from);
            let column = at.map(|at| Arc::clone(batch.column(at)));
            column.ok_or_else(|| Error::internal("a column was not read from the file"))
        };
        self.output.batch(&group, Some(&self.segment.index), stored).map(Some)
    }
}

impl Iterator for SegmentScan {
    type Item = Result<arrow::array::RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let batch = self.read().transpose();
        self.failed = matches!(batch, Some(Err(_)));
        batch
    }
}

fn of_arrow(segment: &Segment, error: &ArrowError) -> Error {
    let text = format!("cannot read segment {}: {error}", segment.path().display());
    Error::new(ErrorCode::CorruptedData, text)
}
