//! Our entries in a Parquet footer: schema, index, block checksums, and the mark that checksums the tail itself.
//!
//! docs/formats/segment.md describes each to the byte.

use std::io::Cursor;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, Float64Array, Int64Array, RecordBatch, UInt32Array,
    UInt64Array,
};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, UInt32Type, UInt64Type};
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parquet::file::metadata::KeyValue;
use zepto_common::schema::TableSchema;
use zepto_common::{ColumnId, Error, ErrorCode, PartitionId, Result};

use super::file::damaged;
use crate::run::{ColumnStats, KeyStats, RunIndex, Sum, Sums, columns};

const SCHEMA: &str = "zepto.schema";
const INDEX: &str = "zepto.index";
const ROWS: &str = "zepto.rows";
const BLOCKS: &str = "zepto.blocks";
const TAIL: &str = "zepto.tail";
/// Starts the tail mark: followed by 16 hex digits (end of the data), `:`, 8 hex digits (checksum), `;`.
const MARK: &[u8] = b"zepto-tail:";
const MARK_BYTES: usize = MARK.len() + 16 + 1 + 8 + 1;
const INDEX_MAGIC: &[u8; 4] = b"ZIDX";
const INDEX_VERSION: u16 = 1;
const INDEX_HEADER_BYTES: usize = 40;
const PARTITION_BYTES: usize = 8;

/// The footer's entries, in order; the tail's checksum is still zero.
pub(super) fn entries(
    schema: &TableSchema,
    index: &RunIndex,
    data: u64,
    checksums: &[u32],
) -> Result<Vec<(String, String)>> {
    let json = serde_json::to_string(schema).map_err(|e| Error::internal(format!("schema as JSON: {e}")))?;
    let blocks: Vec<u8> = checksums.iter().flat_map(|checksum| checksum.to_le_bytes()).collect();
    let pair = |key: &str, value: String| (key.to_owned(), value);
    Ok(vec![
        pair(SCHEMA, json),
        pair(ROWS, index.rows().to_string()),
        pair(INDEX, STANDARD.encode(encode_index(index)?)),
        pair(BLOCKS, STANDARD.encode(blocks)),
        pair(TAIL, format!("{}{data:016x}:{:08x};", String::from_utf8_lossy(MARK), 0)),
    ])
}

/// Puts the checksum of a finished tail into its mark.
pub(super) fn sign(mut tail: Vec<u8>) -> Result<Vec<u8>> {
    let digits =
        checksum_digits(&tail).ok_or_else(|| Error::internal("a segment's tail without its mark"))?;
    let checksum = crc32c::crc32c(&tail);
    tail[digits].copy_from_slice(format!("{checksum:08x}").as_bytes());
    Ok(tail)
}

fn mark_of(tail: &[u8]) -> Option<usize> {
    // The mark is the last of our entries, so the last occurrence is the real one.
    let at = tail.windows(MARK.len()).rposition(|window| window == MARK)?;
    (at + MARK_BYTES <= tail.len()).then_some(at)
}

fn checksum_digits(tail: &[u8]) -> Option<Range<usize>> {
    let start = mark_of(tail)? + MARK.len() + 16 + 1;
    Some(start..start + 8)
}

/// Where the data ends, by a footer's mark.
pub(super) fn data_end(footer: &[u8]) -> Option<u64> {
    let start = mark_of(footer)? + MARK.len();
    let digits = std::str::from_utf8(&footer[start..start + 16]).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

/// Whether a tail is as it was signed.
pub(super) fn is_signed(tail: &[u8]) -> bool {
    let Some(digits) = checksum_digits(tail) else { return false };
    let mut zeroed = tail.to_vec();
    zeroed[digits.clone()].fill(b'0');
    let checksum = format!("{:08x}", crc32c::crc32c(&zeroed));
    tail[digits] == *checksum.as_bytes()
}

/// The checksum in the mark of a verified tail: as the tail has the checksums of all blocks, it stands for the whole file.
pub(super) fn checksum_of(tail: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(&tail[checksum_digits(tail)?]).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

/// What the footer's entries say.
pub(super) struct Entries {
    pub(super) schema: TableSchema,
    pub(super) index: Arc<RunIndex>,
    pub(super) checksums: Vec<u32>,
}

/// Reads the entries of a verified footer; `offset` is where it starts, for errors. The index is `known` if it was
/// written just now.
pub(super) fn read_entries(
    path: &Path,
    offset: u64,
    entries: &[KeyValue],
    known: Option<&Arc<RunIndex>>,
) -> Result<Entries> {
    let value = |key: &str| {
        let entry = entries.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.as_deref());
        entry.ok_or_else(|| damaged(path, offset, format!("the footer has no entry {key}")))
    };
    let fault =
        |key: &str, error: &dyn std::fmt::Display| damaged(path, offset, format!("entry {key}: {error}"));
    let schema = serde_json::from_str(value(SCHEMA)?).map_err(|error| fault(SCHEMA, &error))?;
    let index = match known {
        Some(known) => Arc::clone(known),
        None => {
            let bytes = STANDARD.decode(value(INDEX)?).map_err(|error| fault(INDEX, &error))?;
            Arc::new(decode_index(&bytes).map_err(|error| fault(INDEX, &error))?)
        }
    };
    let blocks = STANDARD.decode(value(BLOCKS)?).map_err(|error| fault(BLOCKS, &error))?;
    let checksums = blocks.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let rows: usize = value(ROWS)?.parse().map_err(|error| fault(ROWS, &error))?;
    if rows != index.rows() {
        return Err(damaged(path, offset, format!("{rows} rows, but the index has {}", index.rows())));
    }
    Ok(Entries { schema, index, checksums })
}

/// The index as bytes.
pub(super) fn encode_index(index: &RunIndex) -> Result<Vec<u8>> {
    let slots = stream(slot_columns(index)?, index.slots())?;
    let all = stream(whole_columns(index)?, 1)?;
    let mut bytes = Vec::with_capacity(INDEX_HEADER_BYTES + slots.len() + all.len() + 4);
    bytes.extend_from_slice(INDEX_MAGIC);
    bytes.extend_from_slice(&INDEX_VERSION.to_le_bytes());
    bytes.extend_from_slice(&0u16.to_le_bytes());
    bytes.extend_from_slice(&(index.rows() as u64).to_le_bytes());
    bytes.extend_from_slice(&(index.slots() as u32).to_le_bytes());
    bytes.extend_from_slice(&(index.partitions.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(slots.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&(all.len() as u64).to_le_bytes());
    for (partition, range) in &index.partitions {
        bytes.extend_from_slice(&partition.0.to_le_bytes());
        bytes.extend_from_slice(&0u16.to_le_bytes());
        bytes.extend_from_slice(&(range.end - range.start).to_le_bytes());
    }
    bytes.extend_from_slice(&slots);
    bytes.extend_from_slice(&all);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    Ok(bytes)
}

fn stream(columns: Vec<(String, ArrayRef)>, rows: usize) -> Result<Vec<u8>> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = columns::batch(Arc::clone(&schema), arrays, rows)?;
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options)?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

fn wide(values: impl Iterator<Item = i128>) -> Result<ArrayRef> {
    let bytes: Vec<u8> = values.flat_map(i128::to_le_bytes).collect();
    Ok(Arc::new(FixedSizeBinaryArray::try_new(16, Buffer::from_vec(bytes), None)?))
}

fn slot_columns(index: &RunIndex) -> Result<Vec<(String, ArrayRef)>> {
    let rows = UInt32Array::from_iter_values(index.offsets.windows(2).map(|pair| pair[1] - pair[0]));
    let mut columns: Vec<(String, ArrayRef)> = vec![("rows".to_owned(), Arc::new(rows))];
    if let Some(keys) = &index.keys {
        columns.push(("key".to_owned(), Arc::clone(keys)));
    }
    if let Some((min, max)) = &index.times {
        columns.push(("time.min".to_owned(), Arc::new(Int64Array::from(min.clone()))));
        columns.push(("time.max".to_owned(), Arc::new(Int64Array::from(max.clone()))));
    }
    for (id, stats) in &index.stats {
        let sums: ArrayRef = match &stats.sums {
            Sums::I(sums) => wide(sums.iter().copied())?,
            Sums::F(sums) => Arc::new(Float64Array::from(sums.clone())),
        };
        columns.push((format!("{id}.count"), Arc::new(UInt32Array::from(stats.counts.clone()))));
        columns.push((format!("{id}.sum"), sums));
        columns.push((format!("{id}.min"), Arc::clone(&stats.min)));
        columns.push((format!("{id}.max"), Arc::clone(&stats.max)));
        columns.push((format!("{id}.first"), Arc::clone(&stats.first)));
        columns.push((format!("{id}.last"), Arc::clone(&stats.last)));
    }
    Ok(columns)
}

fn whole_columns(index: &RunIndex) -> Result<Vec<(String, ArrayRef)>> {
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (id, stats) in &index.columns {
        columns.push((format!("{id}.nulls"), Arc::new(UInt64Array::from(vec![stats.nulls]))));
        columns.push((format!("{id}.nans"), Arc::new(UInt64Array::from(vec![stats.nans]))));
        columns.extend(stats.min.as_ref().map(|min| (format!("{id}.min"), Arc::clone(min))));
        columns.extend(stats.max.as_ref().map(|max| (format!("{id}.max"), Arc::clone(max))));
        match stats.sum {
            Some(Sum::I(sum)) => columns.push((format!("{id}.sum"), wide(std::iter::once(sum))?)),
            Some(Sum::F(sum)) => columns.push((format!("{id}.sum"), Arc::new(Float64Array::from(vec![sum])))),
            None => {}
        }
    }
    Ok(columns)
}

fn corrupt(what: impl Into<String>) -> Error {
    Error::new(ErrorCode::CorruptedData, what)
}

/// The index of these bytes, checked.
pub(super) fn decode_index(bytes: &[u8]) -> Result<RunIndex> {
    let Some((body, checksum)) = bytes.split_last_chunk::<4>() else {
        return Err(corrupt("the index is cut"));
    };
    if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
        return Err(corrupt("the index's checksum does not match"));
    }
    if body.len() < INDEX_HEADER_BYTES || !body.starts_with(INDEX_MAGIC) {
        return Err(corrupt("this is no index"));
    }
    let number = |at: usize, width: usize| {
        body[at..at + width].iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte))
    };
    let version = number(4, 2);
    if version != u64::from(INDEX_VERSION) {
        return Err(corrupt(format!("index version {version}, but this server reads {INDEX_VERSION}")));
    }
    let (partitions, slots_bytes, all_bytes) = (number(20, 4) as usize, number(24, 8), number(32, 8));
    let table = INDEX_HEADER_BYTES + partitions.saturating_mul(PARTITION_BYTES);
    let fits = (table as u64).checked_add(slots_bytes).and_then(|sum| sum.checked_add(all_bytes));
    if fits != Some(body.len() as u64) {
        return Err(corrupt("the index's parts do not fit its length"));
    }
    let middle = table + slots_bytes as usize;
    let slots = read_stream(&body[table..middle])?;
    let all = read_stream(&body[middle..])?;
    let mut start = 0u32;
    let ranges: Vec<(PartitionId, Range<u32>)> = (0..partitions)
        .map(|i| {
            let at = INDEX_HEADER_BYTES + i * PARTITION_BYTES;
            let end = start.saturating_add(number(at + 4, 4) as u32);
            let range = start..end;
            start = end;
            (PartitionId(number(at, 2) as u16), range)
        })
        .collect();
    let index = index_of(ranges, &slots, &all)?;
    index.check()?;
    if index.rows() as u64 != number(8, 8) || index.slots() as u64 != number(16, 4) {
        return Err(corrupt("the index's counts do not match its parts"));
    }
    Ok(index)
}

fn read_stream(bytes: &[u8]) -> Result<RecordBatch> {
    let mut reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    let batch = reader.next().ok_or_else(|| corrupt("the index has no rows of slots"))?;
    Ok(batch?)
}

fn typed(batch: &RecordBatch, name: &str, ty: &DataType) -> Result<ArrayRef> {
    let column = batch.column_by_name(name).ok_or_else(|| corrupt(format!("the index lacks {name}")))?;
    if column.data_type() != ty || column.null_count() > 0 {
        return Err(corrupt(format!("the index's {name} is no {ty}")));
    }
    Ok(Arc::clone(column))
}

fn wide_of(column: &ArrayRef) -> Vec<i128> {
    let bytes = column.as_fixed_size_binary();
    let value = |i| bytes.value(i).try_into().map(i128::from_le_bytes).unwrap_or_default();
    (0..bytes.len()).map(value).collect()
}

fn ids(batch: &RecordBatch, suffix: &str) -> Result<Vec<ColumnId>> {
    let schema = batch.schema();
    let named = schema.fields().iter().filter_map(|field| field.name().strip_suffix(suffix));
    named.map(|id| id.parse().map(ColumnId).map_err(|_| corrupt(format!("no column id: {id}")))).collect()
}

fn sums_of(batch: &RecordBatch, name: &str) -> Result<Sums> {
    match batch.column_by_name(name).map(|column| column.data_type()) {
        Some(DataType::Float64) => {
            let sums = typed(batch, name, &DataType::Float64)?;
            Ok(Sums::F(sums.as_primitive::<Float64Type>().values().to_vec()))
        }
        _ => Ok(Sums::I(wide_of(&typed(batch, name, &DataType::FixedSizeBinary(16))?))),
    }
}

fn index_of(
    partitions: Vec<(PartitionId, Range<u32>)>,
    slots: &RecordBatch,
    all: &RecordBatch,
) -> Result<RunIndex> {
    let rows = typed(slots, "rows", &DataType::UInt32)?;
    let mut offsets = Vec::with_capacity(rows.len() + 1);
    offsets.push(0u32);
    let mut end = 0u32;
    for &rows in rows.as_primitive::<UInt32Type>().values() {
        end = end.checked_add(rows).ok_or_else(|| corrupt("the index counts too many rows"))?;
        offsets.push(end);
    }
    let ticks = |name: &str| -> Result<Vec<i64>> {
        Ok(typed(slots, name, &DataType::Int64)?.as_primitive::<Int64Type>().values().to_vec())
    };
    let times = match slots.column_by_name("time.min") {
        Some(_) => Some((ticks("time.min")?, ticks("time.max")?)),
        None => None,
    };
    let array = |batch: &RecordBatch, name: String| {
        batch.column_by_name(&name).cloned().ok_or_else(|| corrupt(format!("the index lacks {name}")))
    };
    let mut stats = Vec::new();
    for id in ids(slots, ".count")? {
        let counts = typed(slots, &format!("{id}.count"), &DataType::UInt32)?;
        let stats_of = KeyStats {
            counts: counts.as_primitive::<UInt32Type>().values().to_vec(),
            sums: sums_of(slots, &format!("{id}.sum"))?,
            min: array(slots, format!("{id}.min"))?,
            max: array(slots, format!("{id}.max"))?,
            first: array(slots, format!("{id}.first"))?,
            last: array(slots, format!("{id}.last"))?,
        };
        stats.push((id, stats_of));
    }
    let mut columns = Vec::new();
    for id in ids(all, ".nulls")? {
        columns.push((id, column_stats(all, id)?));
    }
    Ok(RunIndex { partitions, keys: slots.column_by_name("key").cloned(), offsets, times, stats, columns })
}

fn column_stats(all: &RecordBatch, id: ColumnId) -> Result<ColumnStats> {
    let count = |name: &str| -> Result<u64> {
        let column = typed(all, &format!("{id}.{name}"), &DataType::UInt64)?;
        Ok(column.as_primitive::<UInt64Type>().values().first().copied().unwrap_or_default())
    };
    let sum = match all.column_by_name(&format!("{id}.sum")) {
        None => None,
        Some(_) => match sums_of(all, &format!("{id}.sum"))? {
            Sums::I(sums) => sums.first().copied().map(Sum::I),
            Sums::F(sums) => sums.first().copied().map(Sum::F),
        },
    };
    let extreme = |name: &str| all.column_by_name(&format!("{id}.{name}")).cloned();
    Ok(ColumnStats {
        nulls: count("nulls")?,
        nans: count("nans")?,
        min: extreme("min"),
        max: extreme("max"),
        sum,
    })
}
