//! Between storage types and query types: text becomes views, the rest stays.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::SchemaRef;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::schema::TableSchema;

/// The batch in the types and names of `schema`, which has the same columns in query form.
///
/// # Errors
/// Arrow's, for a batch that has other columns.
pub(crate) fn to_query(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns: Result<Vec<ArrayRef>> = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| match column.data_type() == field.data_type() {
            true => Ok(column.clone()),
            // Text of a dictionary or with offsets: the views point into the bytes that are there.
            false => Ok(cast(column, field.data_type())?),
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns?, &options)?)
}

/// Columns of a query (one per column of the table, in its order) as a storage batch.
///
/// # Errors
/// `CannotInsertNull…` for NULL in a column without Nullable, `ValueIsOutOfRange` for what does not fit.
pub(crate) fn to_storage(columns: &[ArrayRef], rows: usize, table: &TableSchema) -> Result<RecordBatch> {
    let schema = table.storage_schema();
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let mut out = Vec::with_capacity(columns.len());
    for ((array, field), column) in columns.iter().zip(schema.fields()).zip(&table.columns) {
        let array = match array.data_type() == field.data_type() {
            true => array.clone(),
            false => cast_with_options(array, field.data_type(), &options).map_err(|error| {
                let message = format!("Cannot convert a value for column {}: {error}", column.name);
                Error::new(ErrorCode::ValueIsOutOfRange, message)
            })?,
        };
        if !field.is_nullable() && array.logical_null_count() > 0 {
            let message =
                format!("Cannot insert NULL value into a column of type {} : {}", column.ty, column.name);
            return Err(Error::new(ErrorCode::CannotInsertNullInOrdinaryColumn, message));
        }
        out.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(&schema), out, &options)?)
}
