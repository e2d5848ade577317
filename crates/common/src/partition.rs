//! Which partition a row belongs to.
//!
//! A key's hash is XXH3-64 (seed 0) over the bytes of its canonical text: text as it is; integers in decimal;
//! booleans `true`/`false`; floats in Rust's shortest form; dates, times and decimals as the decimal of their
//! stored integer; UUIDs and binary as their bytes; NULL as no bytes at all after a 0xFF mark. The partition is
//! the hash modulo the number of partitions. The table takes no part, so equal keys of two tables meet.
//! Golden vectors stand in the tests and in docs/formats/README.md: changing this loses every stored row's address.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int32Type, Int64Type, UInt64Type};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Result;
use crate::ids::PartitionId;

const NULL_MARK: &[u8] = &[0xFF];

/// Hash of a key given as its canonical text.
#[must_use]
pub fn key_hash(canonical: &[u8]) -> u64 {
    xxh3_64(canonical)
}

/// Partition of a hash.
#[must_use]
pub fn partition_of(hash: u64, partitions: u16) -> PartitionId {
    let partitions = u64::from(partitions.max(1));
    // The remainder by a power of two are the low bits: a division costs more than the hash.
    PartitionId(if partitions.is_power_of_two() { hash & (partitions - 1) } else { hash % partitions } as u16)
}

/// The partition of each row of a key column.
///
/// # Errors
/// An Arrow type that cannot be a key.
pub fn partitions_of(key: &ArrayRef, partitions: u16) -> Result<Vec<u16>> {
    let of_bytes = |bytes: Option<&[u8]>| partition_of(key_hash(bytes.unwrap_or(NULL_MARK)), partitions).0;
    let of_integer = |value: Option<i64>| match value {
        Some(value) => partition_of(key_hash(itoa(value).as_bytes()), partitions).0,
        None => of_bytes(None),
    };
    Ok(match key.data_type() {
        DataType::Dictionary(_, _) => {
            let keys = cast(key, &DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)))?;
            let keys = keys.as_dictionary::<Int32Type>();
            let of_value = partitions_of(keys.values(), partitions)?;
            let null = of_bytes(None);
            keys.keys().iter().map(|k| k.map_or(null, |k| of_value[k as usize])).collect()
        }
        DataType::Utf8 => key.as_string::<i32>().iter().map(|v| of_bytes(v.map(str::as_bytes))).collect(),
        DataType::FixedSizeBinary(_) => key.as_fixed_size_binary().iter().map(of_bytes).collect(),
        DataType::Boolean => {
            let text = |v| if v { &b"true"[..] } else { &b"false"[..] };
            key.as_boolean().iter().map(|v| of_bytes(v.map(text))).collect()
        }
        DataType::UInt64 => {
            let text = |v: Option<u64>| of_bytes(v.map(|v| v.to_string()).as_deref().map(str::as_bytes));
            key.as_primitive::<UInt64Type>().iter().map(text).collect()
        }
        ty if ty.is_integer() || ty.is_temporal() => {
            let wide = match ty {
                DataType::Date32 => cast(&cast(key, &DataType::Int32)?, &DataType::Int64)?,
                _ => cast(key, &DataType::Int64)?,
            };
            wide.as_primitive::<Int64Type>().iter().map(of_integer).collect()
        }
        DataType::Decimal128(..) => {
            let values = key.as_primitive::<arrow::datatypes::Decimal128Type>();
            values.iter().map(|v| of_bytes(v.map(|v| v.to_string()).as_deref().map(str::as_bytes))).collect()
        }
        _ => {
            let text = cast(key, &DataType::Utf8)?;
            text.as_string::<i32>().iter().map(|v| of_bytes(v.map(str::as_bytes))).collect()
        }
    })
}

fn itoa(value: i64) -> String {
    value.to_string()
}

/// The partition of a key-less table's block: it spreads by (table, batch, block), so nothing is a hot spot.
#[must_use]
pub fn partition_of_block(table: u64, batch: u128, block: u32, partitions: u16) -> PartitionId {
    let mut bytes = [0u8; 28];
    bytes[..8].copy_from_slice(&table.to_le_bytes());
    bytes[8..24].copy_from_slice(&batch.to_le_bytes());
    bytes[24..].copy_from_slice(&block.to_le_bytes());
    partition_of(xxh3_64(&bytes), partitions)
}

/// Rows of one batch put in the order of (group, partition), stable within a partition.
#[derive(Debug, Clone)]
pub struct Grouped {
    /// The reordered rows of this group.
    pub rows: RecordBatch,
    /// The group (a drain thread here, an owner at an edge).
    pub group: usize,
    /// Partition and row range within `rows`, ascending, covering it.
    pub parts: Vec<(PartitionId, Range<u32>)>,
}

/// Cuts a batch by partition, with partition `p` in group `group_of(p)`. Groups come in ascending order; a group
/// without rows is left out. A dictionary of many values is cut as well: each group has those of its rows.
///
/// # Errors
/// Arrow's, for a batch that contradicts its schema.
pub fn group_rows(
    rows: &RecordBatch,
    partition_of_row: &[u16],
    partitions: u16,
    groups: usize,
    group_of: impl Fn(PartitionId) -> usize,
) -> Result<Vec<Grouped>> {
    let mut counts = vec![0u32; usize::from(partitions)];
    for &partition in partition_of_row {
        counts[usize::from(partition)] += 1;
    }
    let mut order: Vec<u16> = (0..partitions).filter(|&p| counts[usize::from(p)] > 0).collect();
    order.sort_by_key(|&p| (group_of(PartitionId(p)), p));
    let mut next = vec![0u32; usize::from(partitions)];
    let (mut position, mut cuts) = (0u32, Vec::with_capacity(groups));
    for &p in &order {
        let (group, count) = (group_of(PartitionId(p)), counts[usize::from(p)]);
        if cuts.last().is_none_or(|(last, _, _): &(usize, u32, Vec<_>)| *last != group) {
            cuts.push((group, position, Vec::new()));
        }
        if let Some((_, start, parts)) = cuts.last_mut() {
            parts.push((PartitionId(p), position - *start..position - *start + count));
        }
        next[usize::from(p)] = position;
        position += count;
    }
    let ranges: Vec<Range<usize>> = cuts
        .iter()
        .map(|(_, start, parts)| {
            let length = parts.last().map_or(0, |(_, range)| range.end);
            *start as usize..(*start + length) as usize
        })
        .collect();
    let permuted = match order.len() {
        ..=1 => vec![rows.clone(); cuts.len()],
        _ => permute(rows, partition_of_row, next, &ranges)?,
    };
    let grouped = cuts.into_iter().zip(permuted);
    Ok(grouped.map(|((group, _, parts), rows)| Grouped { rows, group, parts }).collect())
}

/// The rows of each range of positions, given the first position of each partition.
fn permute(
    rows: &RecordBatch,
    partition_of_row: &[u16],
    mut next: Vec<u32>,
    ranges: &[Range<usize>],
) -> Result<Vec<RecordBatch>> {
    let mut from = vec![0u32; partition_of_row.len()];
    for (row, &partition) in partition_of_row.iter().enumerate() {
        let slot = &mut next[usize::from(partition)];
        from[*slot as usize] = row as u32;
        *slot += 1;
    }
    let from = UInt32Array::from(from);
    let mut columns: Vec<Vec<ArrayRef>> = vec![Vec::with_capacity(rows.num_columns()); ranges.len()];
    for column in rows.columns() {
        if let Some(symbols) = many_symbols(column) {
            for (range, columns) in ranges.iter().zip(&mut columns) {
                columns.push(own_dictionary(symbols, &from.values()[range.clone()])?);
            }
            continue;
        }
        let taken = take(column.as_ref(), &from, None)?;
        for (range, columns) in ranges.iter().zip(&mut columns) {
            columns.push(taken.slice(range.start, range.len()));
        }
    }
    columns.into_iter().map(|columns| Ok(RecordBatch::try_new(rows.schema(), columns)?)).collect()
}

/// A dictionary has many values if this many times as many are more than its rows.
const MANY_SHARE: usize = 4;

/// A column of symbols with so many values that groups should not share them.
fn many_symbols(column: &ArrayRef) -> Option<&DictionaryArray<Int32Type>> {
    let symbols = column.as_any().downcast_ref::<DictionaryArray<Int32Type>>()?;
    let values = symbols.values();
    let text = *values.data_type() == DataType::Utf8 && values.null_count() == 0;
    (text && values.len() * MANY_SHARE > symbols.len()).then_some(symbols)
}

/// These rows of a column of symbols, with a dictionary of the values that they have, in the order of the rows: what
/// reads the rows of one partition then finds their values side by side, and no other group's are stored with them.
fn own_dictionary(symbols: &DictionaryArray<Int32Type>, rows: &[u32]) -> Result<ArrayRef> {
    /// A value that no row had so far.
    const UNMET: i32 = -1;
    let values = symbols.values();
    let (keys, nulls) = (symbols.keys().values(), symbols.keys().nulls());
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
    let mut number = vec![UNMET; values.len()];
    let mut own_keys: Vec<i32> = Vec::with_capacity(rows.len());
    let mut own: Vec<u32> = Vec::with_capacity(rows.len().min(values.len()));
    for &row in rows {
        if nulls.is_some_and(|nulls| nulls.is_null(row as usize)) {
            own_keys.push(0);
            continue;
        }
        let value = keys[row as usize];
        let number = &mut number[value as usize];
        if *number == UNMET {
            *number = own.len() as i32;
            own.push(value as u32);
        }
        own_keys.push(*number);
    }
    // The key of a NULL row may be any number.
    let own = take(values, &UInt32Array::from(own), None)?;
    let own_nulls = nulls.map(|nulls| rows.iter().map(|&row| nulls.is_valid(row as usize)).collect());
    let own_keys = Int32Array::try_new(own_keys.into(), own_nulls)?;
    Ok(Arc::new(DictionaryArray::try_new(own_keys, own)?))
}

/// The same rows in the one form that does not depend on what they were cut out of: encoded, equal rows have equal bytes.
/// A dictionary has the values of these rows in their order, and no bits of other rows fill the last byte of a bitmap.
///
/// # Errors
/// Arrow's, for a batch that contradicts its schema.
pub fn in_one_form(rows: &RecordBatch) -> Result<RecordBatch> {
    let all: Vec<u32> = (0..rows.num_rows() as u32).collect();
    let of = |column: &ArrayRef| match column.as_any().downcast_ref::<DictionaryArray<Int32Type>>() {
        Some(symbols) => own_dictionary(symbols, &all),
        // Numbers and texts without NULL are written without what stands beside them.
        None if column.nulls().is_none() && !has_bits(column.data_type()) => Ok(column.clone()),
        None => Ok(take(column.as_ref(), &UInt32Array::from(all.clone()), None)?),
    };
    let columns = rows.columns().iter().map(of).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}

/// Whether values of this type are bits, or have parts with bitmaps of their own.
fn has_bits(ty: &DataType) -> bool {
    *ty == DataType::Boolean || ty.is_nested()
}
