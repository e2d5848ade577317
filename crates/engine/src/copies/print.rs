//! A print of rows by their values: how they are encoded, and what else was in their block, does not matter.

use std::ops::Range;

use arrow::array::{Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, Rows, SortField};
use xxhash_rust::xxh3::Xxh3;
use zepto_common::schema::TableSchema;
use zepto_common::{PartitionId, Result};

/// The prints of rows that a retry repeats, one of each part; never 0.
pub(crate) fn of_parts(
    schema: &TableSchema,
    rows: &RecordBatch,
    parts: &[(PartitionId, Range<u32>)],
) -> Result<Vec<u64>> {
    let values = |array: &dyn Array| -> Result<Rows> {
        let plain = match array.data_type() {
            DataType::Dictionary(_, values) => cast(array, values)?,
            _ => array.slice(0, array.len()),
        };
        Ok(RowConverter::new(vec![SortField::new(plain.data_type().clone())])?.convert_columns(&[plain])?)
    };
    let columns = rows.columns().iter().map(|array| values(array)).collect::<Result<Vec<_>>>()?;
    let print = |(_, range): &(PartitionId, Range<u32>)| {
        let mut hash = Xxh3::new();
        hash.update(&u64::from(range.end - range.start).to_le_bytes());
        for (column, values) in schema.columns.iter().zip(&columns) {
            hash.update(&column.id.0.to_le_bytes());
            for row in range.clone() {
                let row = values.row(row as usize);
                let bytes: &[u8] = row.as_ref();
                hash.update(&(bytes.len() as u64).to_le_bytes());
                hash.update(bytes);
            }
        }
        hash.digest().max(1)
    };
    Ok(parts.iter().map(print).collect())
}

/// The print of rows that a retry may fill in another way, as with `DEFAULT now()`: their number; never 0.
pub(crate) fn of_count(rows: usize) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&(rows as u64).to_le_bytes()).max(1)
}
