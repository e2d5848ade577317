//! Batches from Native, Arrow and Parquet: columns matched by name, cast to the table's storage types, cut into
//! blocks.

mod convert;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::{DataType, Field};
use zepto_common::limits::{BLOCK_BYTES_MAX, BLOCK_ROWS};
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode, Result};

use crate::by_name::{ByName, NameMatching};
use crate::decode::{Block, error_of};
use crate::settings::FormatSettings;
use convert::{filled, retyped, strict_cast};
pub(crate) use convert::{justified_bytes, unjustified};

/// Gives batches of any schema the table's form and cuts them into blocks.
pub(crate) struct Columnar {
    block: Block,
    columns: ByName,
    waiting: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Columnar {
    /// Names of these formats are taken as they are, unless their setting says otherwise.
    pub(crate) fn new(block: Block, any_case: bool) -> Self {
        let matching = if any_case { NameMatching::AnyCase } else { NameMatching::Exact };
        Self { columns: block.by_name(matching), block, waiting: Vec::new(), rows: 0, bytes: 0 }
    }

    /// Takes a batch; full blocks are appended to `out`.
    pub(crate) fn push(&mut self, batch: &RecordBatch, out: &mut Vec<RecordBatch>) -> Result<()> {
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if !self.has_dictionary(field.name())? {
                convert::justified(array).map_err(|error| named(error, field.name()))?;
            }
        }
        // In parts, so that defaults are never made for more rows than a block has.
        let rows = (BLOCK_BYTES_MAX / self.block.row_width()).clamp(1, BLOCK_ROWS);
        for start in (0..batch.num_rows()).step_by(rows) {
            let part = batch.slice(start, rows.min(batch.num_rows() - start));
            let converted = self.convert(&part)?;
            self.cut(converted, out)?;
        }
        Ok(())
    }

    /// The request's settings.
    pub(crate) fn settings(&self) -> &FormatSettings {
        &self.block.settings
    }

    /// Whether the INSERT has a column of this name.
    pub(crate) fn takes(&self, name: &str) -> Result<bool> {
        Ok(self.columns.column(name)?.is_some())
    }

    /// Whether the table keeps the column of this name as a dictionary.
    fn has_dictionary(&self, name: &str) -> Result<bool> {
        let column = self.columns.column(name)?.map(|index| &self.block.columns[index]);
        Ok(column.is_some_and(|column| *column.ty.inner() == ColumnType::Symbol))
    }

    /// Gives what waits when it is at least this many rows.
    pub(crate) fn give_from(&mut self, rows: usize, out: &mut Vec<RecordBatch>) -> Result<()> {
        if self.rows >= rows { self.finish(out) } else { Ok(()) }
    }

    /// Gives the last block.
    pub(crate) fn finish(&mut self, out: &mut Vec<RecordBatch>) -> Result<()> {
        if self.rows > 0 {
            out.push(concat_batches(self.block.schema(), &self.waiting)?);
            self.waiting.clear();
            self.rows = 0;
            self.bytes = 0;
        }
        Ok(())
    }

    fn cut(&mut self, batch: RecordBatch, out: &mut Vec<RecordBatch>) -> Result<()> {
        let size: usize = batch.columns().iter().map(size_of).sum();
        let row = size.div_ceil(batch.num_rows().max(1)).max(1);
        let mut start = 0;
        while start < batch.num_rows() {
            let by_size = (BLOCK_BYTES_MAX.saturating_sub(self.bytes) / row).max(usize::from(self.rows == 0));
            let count = (BLOCK_ROWS - self.rows).min(by_size).min(batch.num_rows() - start);
            if count > 0 {
                self.waiting.push(batch.slice(start, count));
                self.rows += count;
                self.bytes += count * row;
                start += count;
            }
            if self.rows >= BLOCK_ROWS || count == 0 || self.bytes >= BLOCK_BYTES_MAX {
                self.finish(out)?;
            }
        }
        Ok(())
    }

    fn convert(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let schema = batch.schema();
        let mut sources = vec![None; self.block.columns.len()];
        for (at, field) in schema.fields().iter().enumerate() {
            match self.columns.column(field.name())? {
                // Of several columns of one name the first counts.
                Some(index) if sources[index].is_none() => sources[index] = Some(at),
                None if !self.block.settings.skip_unknown_fields => {
                    let message = format!("Unknown field found in the data: '{}'", field.name());
                    return Err(Error::new(ErrorCode::IncorrectData, message));
                }
                _ => {}
            }
        }
        let mut arrays = Vec::with_capacity(sources.len());
        for (index, source) in sources.into_iter().enumerate() {
            let name = self.block.columns[index].name.clone();
            let array = match source {
                Some(at) => self.column(batch.column(at), index),
                None => self.default(index, batch.num_rows()),
            };
            arrays.push(array.map_err(|error| named(error, &name))?);
        }
        RecordBatch::try_new(self.block.schema().clone(), arrays)
            .map_err(|error| incorrect(&error.to_string()))
    }

    /// A column's default, `rows` times.
    fn default(&mut self, index: usize, rows: usize) -> Result<ArrayRef> {
        self.block.push_default(index);
        let one = self.block.columns[index].finish()?;
        Ok(take(&one, &UInt32Array::from(vec![0; rows]), None)?)
    }

    fn column(&mut self, array: &ArrayRef, index: usize) -> Result<ArrayRef> {
        let column = &self.block.columns[index];
        if *array.data_type() == DataType::Null {
            return self.nulls(array.len(), index);
        }
        let nullable = column.nullable();
        let array = convert::converted(array, column, &self.block.settings)?;
        if nullable || array.logical_null_count() == 0 {
            return Ok(array);
        }
        if !self.block.settings.null_as_default {
            return Err(error_of(crate::decode::null_refused(&self.block.columns[index].name)));
        }
        let default = self.default(index, 1)?;
        filled(&array, &default)
    }

    fn nulls(&mut self, rows: usize, index: usize) -> Result<ArrayRef> {
        if !self.block.columns[index].nullable() && !self.block.settings.null_as_default {
            return Err(error_of(crate::decode::null_refused(&self.block.columns[index].name)));
        }
        self.default(index, rows)
    }
}

fn named(mut error: Error, column: &str) -> Error {
    error.message = format!("{}: while reading column {column}", error.message);
    error
}

/// Bytes of an array's rows, a slice counting its own rows only.
fn size_of(array: &ArrayRef) -> usize {
    match array.data_type() {
        // A dictionary's values are shared between slices.
        DataType::Dictionary(..) => array.len() * 8,
        _ => array.to_data().get_slice_memory_size().unwrap_or(array.len() * 16),
    }
}

fn incorrect(message: &str) -> Error {
    Error::new(ErrorCode::IncorrectData, message)
}

/// Runs a reader of foreign bytes. Some broken files make the Arrow and Parquet readers panic instead of
/// failing; that is the client's fault as well, and nothing of ours is half done when it happens.
pub(crate) fn guarded<T>(what: &str, read: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(incorrect(&format!("Broken {what} data"))))
}

/// The schema of a result for files: plain text columns, no metadata of ours.
pub(crate) fn file_schema(fields: &crate::encode::Fields) -> arrow::datatypes::SchemaRef {
    let field = |(field, ty): (&Arc<Field>, &ColumnType)| {
        Field::new(field.name(), file_type(ty), ty.is_nullable() || field.is_nullable())
    };
    let list: Vec<Field> = fields.schema().fields().iter().zip(fields.types()).map(field).collect();
    Arc::new(arrow::datatypes::Schema::new(list))
}

/// Storage form, but text always plain, and times with the zone they are kept in.
fn file_type(ty: &ColumnType) -> DataType {
    match (ty.inner(), ty.storage_type()) {
        (ColumnType::Symbol, _) => DataType::Utf8,
        (_, DataType::Timestamp(unit, None)) => DataType::Timestamp(unit, Some(Arc::from("UTC"))),
        (_, other) => other,
    }
}

/// A batch in a file schema.
pub(crate) fn file_batch(batch: &RecordBatch, schema: &arrow::datatypes::SchemaRef) -> Result<RecordBatch> {
    let cast = |(array, field): (&ArrayRef, &Arc<Field>)| match (array.data_type(), field.data_type()) {
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) if from == to => {
            retyped(array, field.data_type().clone())
        }
        (_, to) => strict_cast(array, to),
    };
    let arrays = batch.columns().iter().zip(schema.fields()).map(cast).collect::<Result<Vec<_>>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?)
}
