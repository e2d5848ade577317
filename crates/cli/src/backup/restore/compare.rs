//! The rows that a table has, read back.

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow::ipc::reader::StreamReader;
use zepto_backup::contents;
use zepto_common::schema::TableSchema;

use super::load::Sum;
use super::{columns, table as name_of};
use crate::client::Client;

/// The sum of a table's rows, computed from what a query gives.
pub(super) fn table(client: &Client, schema: &TableSchema) -> Result<Sum> {
    let query = format!("SELECT {} FROM {} FORMAT ArrowStream", columns(schema), name_of(&schema.name));
    let mut answer = client.run(&query, &[])?;
    let reader = StreamReader::try_new(answer.body_mut().as_reader(), None)?;
    let mut sum = contents::sum_of(schema.id);
    for batch in reader {
        let batch = batch.with_context(|| format!("{} cannot be read back", schema.name))?;
        sum.add(&as_stored(schema, &batch)?)?;
    }
    Ok(Sum { rows: sum.rows, sum: sum.sum })
}

/// The rows in the types in which they are stored, without dictionaries.
fn as_stored(schema: &TableSchema, batch: &RecordBatch) -> Result<RecordBatch> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    let mut fields = Vec::with_capacity(batch.num_columns());
    for (field, array) in schema.storage_schema().fields().iter().zip(batch.columns()) {
        let plain = match field.data_type() {
            DataType::Dictionary(_, values) => values.as_ref().clone(),
            other => other.clone(),
        };
        arrays.push(if *array.data_type() == plain { array.clone() } else { cast(array, &plain)? });
        fields.push(field.as_ref().clone().with_data_type(plain).with_nullable(true));
    }
    Ok(RecordBatch::try_new(std::sync::Arc::new(Schema::new(fields)), arrays)?)
}
