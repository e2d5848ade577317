//! Between storage types and query types: text becomes views, the rest stays.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast, cast_with_options, take};
use arrow::datatypes::{DataType, Int32Type, SchemaRef};
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::schema::TableSchema;

/// Rows per word of a dictionary from which on the words' views are made first and then copied to the rows: otherwise each
/// row's is made from its word.
const WORD_ROWS: usize = 2;

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
            false => to_views(column, field.data_type()),
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns?, &options)?)
}

/// Text of a dictionary or with offsets as views, which point into the bytes that are there.
fn to_views(column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>()
        && dictionary.values().len() * WORD_ROWS <= dictionary.len()
    {
        let words = cast(dictionary.values(), wanted)?;
        return Ok(take(&words, dictionary.keys(), None)?);
    }
    Ok(cast(column, wanted)?)
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

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, Int32Array, StringArray};

    use super::*;

    #[test]
    fn rows_of_a_dictionary_have_its_words_whether_it_has_few_or_many() {
        let words: StringArray =
            (0..40).map(|n| Some(format!("{}{n}", "a long word ".repeat(n % 3)))).collect();
        for rows in [0, 1, 79, 80, 81, 1_000] {
            let keys: Int32Array = (0..rows).map(|row| (row % 7 > 0).then_some(row * 3 % 40)).collect();
            let dictionary: ArrayRef = Arc::new(DictionaryArray::new(keys, Arc::new(words.clone())));
            for part in [dictionary.clone(), dictionary.slice(dictionary.len() / 3, dictionary.len() / 2)] {
                let wanted = cast(&part, &DataType::Utf8View).unwrap();
                assert_eq!(&to_views(&part, &DataType::Utf8View).unwrap(), &wanted, "{rows} rows");
            }
        }
    }
}
