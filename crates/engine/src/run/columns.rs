//! Whole columns: concatenation with one dictionary per symbol column, gathering by row order, sizes, ticks.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, RecordBatchOptions, StringArray,
    StringBuilder, UInt32Array,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{
    DataType, Int32Type, SchemaRef, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use zepto_common::{Error, ErrorCode, Result};

use super::keys::Interner;

/// Bytes of one column's text or lists that Arrow's 32-bit offsets can address.
const OFFSET_MAX: usize = i32::MAX as usize;

/// A dictionary key that stands for no value.
const UNMAPPED: i32 = -1;

/// Refuses more rows than row numbers can tell apart.
pub(crate) fn check_rows(rows: usize) -> Result<()> {
    if rows < u32::MAX as usize {
        return Ok(());
    }
    Err(Error::new(ErrorCode::TooManyRowsOrBytes, format!("{rows} rows do not fit one run")))
}

/// A batch that keeps its row count even without columns.
pub(crate) fn batch(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// Bytes of the rows of an array, without what its buffers hold beyond them.
pub(crate) fn memory(array: &ArrayRef) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

/// Raw ticks of a time column.
pub(crate) fn ticks(column: &ArrayRef) -> Result<ScalarBuffer<i64>> {
    Ok(match column.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            column.as_primitive::<TimestampSecondType>().values().clone()
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            column.as_primitive::<TimestampMillisecondType>().values().clone()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().values().clone()
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            column.as_primitive::<TimestampNanosecondType>().values().clone()
        }
        other => return Err(Error::internal(format!("a time column cannot be {other}"))),
    })
}

/// Smallest and largest tick.
pub(crate) fn ticks_range(ticks: &[i64]) -> Option<(i64, i64)> {
    let (&first, rest) = ticks.split_first()?;
    Some(rest.iter().fold((first, first), |(min, max), &tick| (min.min(tick), max.max(tick))))
}

/// One array of all rows of `pieces` (of one type, at least one). A symbol column gets one dictionary without
/// repeated or unused values.
pub(crate) fn concat(pieces: &[ArrayRef]) -> Result<ArrayRef> {
    let first = pieces.first().ok_or_else(|| Error::internal("a column without pieces"))?;
    match first.data_type() {
        DataType::Dictionary(key, value) if **key == DataType::Int32 && **value == DataType::Utf8 => {
            concat_symbols(pieces)
        }
        _ if pieces.len() == 1 => Ok(Arc::clone(first)),
        ty => {
            if matches!(ty, DataType::Utf8 | DataType::List(_) | DataType::Map(..)) {
                check_bytes(pieces.iter().map(memory).sum())?;
            }
            let arrays: Vec<&dyn Array> = pieces.iter().map(AsRef::as_ref).collect();
            Ok(arrow::compute::concat(&arrays)?)
        }
    }
}

fn check_bytes(bytes: usize) -> Result<()> {
    if bytes < OFFSET_MAX {
        return Ok(());
    }
    Err(Error::new(ErrorCode::TooManyRowsOrBytes, format!("{bytes} bytes do not fit one column of a run")))
}

fn concat_symbols(pieces: &[ArrayRef]) -> Result<ArrayRef> {
    let rows = pieces.iter().map(|piece| piece.len()).sum();
    let mut interner = Interner::default();
    let mut keys: Vec<i32> = Vec::with_capacity(rows);
    let mut mapping: Vec<i32> = Vec::new();
    let mut mapped: Option<&StringArray> = None;
    for piece in pieces {
        let symbols = piece.as_dictionary::<Int32Type>();
        let values: &StringArray = symbols.values().as_string();
        // Chunks of one block share their dictionary: its mapping is made once.
        if mapped.is_none_or(|before| !same_values(before, values)) {
            mapping = vec![UNMAPPED; values.len()];
            mapped = Some(values);
        }
        let all_valid = symbols.logical_null_count() == 0;
        for (row, &key) in symbols.keys().values().iter().enumerate() {
            if !all_valid && (symbols.keys().is_null(row) || values.is_null(key as usize)) {
                keys.push(UNMAPPED);
                continue;
            }
            let slot = &mut mapping[key as usize];
            if *slot == UNMAPPED {
                *slot = interner.intern(values.value(key as usize).as_bytes()) as i32;
            }
            keys.push(*slot);
        }
    }
    check_bytes(interner.values().iter().map(|value| value.len()).sum())?;
    let nulls =
        keys.contains(&UNMAPPED).then(|| NullBuffer::from_iter(keys.iter().map(|&key| key != UNMAPPED)));
    if nulls.is_some() {
        keys.iter_mut().for_each(|key| *key = (*key).max(0));
    }
    let values = text_of(interner.values())?;
    let keys = Int32Array::try_new(keys.into(), nulls)?;
    Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(values))?))
}

fn same_values(a: &StringArray, b: &StringArray) -> bool {
    a.len() == b.len()
        && a.values().as_ptr() == b.values().as_ptr()
        && a.value_offsets().as_ptr() == b.value_offsets().as_ptr()
        && a.nulls() == b.nulls()
}

/// Text of bytes that were text before.
pub(crate) fn text_of(values: &[&[u8]]) -> Result<StringArray> {
    let bytes = values.iter().map(|value| value.len()).sum();
    let mut text = StringBuilder::with_capacity(values.len(), bytes);
    for value in values {
        let value =
            std::str::from_utf8(value).map_err(|e| Error::internal(format!("text is not UTF-8: {e}")))?;
        text.append_value(value);
    }
    Ok(text.finish())
}

/// The rows of `column` in this order.
pub(crate) fn gather(column: ArrayRef, order: &[u32]) -> Result<ArrayRef> {
    let identity = order.len() == column.len() && order.iter().enumerate().all(|(i, &row)| i as u32 == row);
    if identity {
        return Ok(column);
    }
    Ok(take(column.as_ref(), &UInt32Array::from(order.to_vec()), None)?)
}
