//! From batches to bytes: what all encoders share.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use zepto_common::Result;
use zepto_common::types::ColumnType;

use crate::cells::{Cells, JsonStyle};
use crate::settings::FormatSettings;

/// Figures of a finished result, for formats that show them.
#[derive(Debug, Clone, Default)]
pub struct ResultTotals {
    /// Rows of the result.
    pub rows: u64,
    /// Time from the statement's start.
    pub elapsed: Duration,
    /// Rows read from storage.
    pub rows_read: u64,
    /// Bytes read from storage.
    pub bytes_read: u64,
    /// The row of `WITH TOTALS`.
    pub totals: Option<RecordBatch>,
    /// Two rows: the least value of each column, and the greatest.
    pub extremes: Option<RecordBatch>,
}

impl ResultTotals {
    /// What a result has beside its rows, in the order in which formats show it.
    pub(crate) fn beside(&self) -> impl Iterator<Item = (&'static str, &RecordBatch)> {
        let totals = self.totals.iter().map(|batch| ("Totals", batch));
        totals.chain(self.extremes.iter().map(|batch| ("Extremes", batch)))
    }
}

/// Writes a result batch by batch; nothing of it is kept (Pretty keeps at most one page).
pub trait Encoder: Send {
    /// Writes what comes before the rows.
    ///
    /// # Errors
    /// When the schema cannot be written in this format.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<()>;

    /// Writes rows.
    ///
    /// # Errors
    /// When a batch does not fit the schema.
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()>;

    /// Writes what comes after the rows.
    ///
    /// # Errors
    /// When the format cannot end.
    fn finish(&mut self, totals: &ResultTotals, out: &mut Vec<u8>) -> Result<()>;

    /// Ends a result that broke off, begun before, with the text of the exception in place of [`Self::finish`]. Writes
    /// nothing where [`crate::Format::holds_exceptions`] is false.
    fn exception(&mut self, _text: &str, _out: &mut Vec<u8>) {}
}

/// The columns of a result.
pub(crate) struct Fields {
    schema: SchemaRef,
    types: Vec<ColumnType>,
    settings: Arc<FormatSettings>,
}

impl Fields {
    pub(crate) fn new(schema: SchemaRef, settings: &FormatSettings) -> Self {
        let types = schema.fields().iter().map(|field| ColumnType::of_field(field)).collect();
        Self { schema, types, settings: Arc::new(settings.clone()) }
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(crate) fn settings(&self) -> &FormatSettings {
        &self.settings
    }

    pub(crate) fn types(&self) -> &[ColumnType] {
        &self.types
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().iter().map(|field| field.name().as_str())
    }

    pub(crate) fn type_names(&self) -> Vec<String> {
        self.types.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn json_style(&self) -> JsonStyle {
        JsonStyle {
            quote_64bit: self.settings.quote_64bit_integers,
            quote_floats: self.settings.quote_64bit_floats,
            quote_decimals: self.settings.quote_decimals,
            quote_denormals: self.settings.quote_denormals,
            escape_slash: self.settings.escape_forward_slashes,
            indent: None,
        }
    }

    /// The values of a batch, column by column.
    pub(crate) fn cells(&self, batch: &RecordBatch) -> Result<Vec<Cells>> {
        let columns = batch.columns().iter().zip(&self.types);
        columns.map(|(array, ty)| Cells::new(array, ty, &self.settings)).collect()
    }
}

/// Writes nothing.
pub(crate) struct NullWriter;

impl Encoder for NullWriter {
    fn begin(&mut self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, _: &RecordBatch, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self, _: &ResultTotals, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}
