//! A print of rows by their values: how they are encoded, and what else was in their block, does not matter.

use arrow::array::{Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use xxhash_rust::xxh3::Xxh3;
use zepto_common::Result;
use zepto_common::schema::TableSchema;

/// The print of rows that a retry repeats; never 0.
pub(crate) fn of_rows(schema: &TableSchema, rows: &RecordBatch) -> Result<u64> {
    let mut hash = Xxh3::new();
    hash.update(&(rows.num_rows() as u64).to_le_bytes());
    for (column, array) in schema.columns.iter().zip(rows.columns()) {
        hash.update(&column.id.0.to_le_bytes());
        let plain = match array.data_type() {
            DataType::Dictionary(_, values) => cast(array, values)?,
            _ => array.clone(),
        };
        let converter = RowConverter::new(vec![SortField::new(plain.data_type().clone())])?;
        for row in &converter.convert_columns(&[plain])? {
            let bytes: &[u8] = row.as_ref();
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
    }
    Ok(hash.digest().max(1))
}

/// The print of rows that a retry may fill in another way, as with `DEFAULT now()`: their number; never 0.
pub(crate) fn of_count(rows: usize) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&(rows as u64).to_le_bytes()).max(1)
}
