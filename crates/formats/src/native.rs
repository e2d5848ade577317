//! Native: ClickHouse's own blocks, column after column.
//!
//! A block is a count of columns, a count of rows, and each column's name, type and values. Numbers are
//! little-endian, counts and lengths are LEB128. The values of a type:
//!
//! - numbers, times and Bool: one after another; UUID as two 64-bit halves; Date as 16-bit days
//! - String: length and bytes of each
//! - Nullable: a byte per row (1 is NULL), then the values with zeros in the NULLs' places
//! - Array, Map: the 64-bit end of each list, then the elements (keys, then values)
//! - Tuple: the elements' columns
//! - LowCardinality: the version 1 (before the ends of lists around it), then, unless there are no rows, the kind
//!   of the numbers, the dictionary, and a number per row
//!
//! What is written depends on the revision that the client asks for (`client_protocol_version`); what is read is
//! always revision 0, as over ClickHouse's HTTP interface.

mod read;
mod values;
mod wire;
mod write;

use arrow::array::{Array, RecordBatch};
use zepto_common::Result;
use zepto_common::limits::RESULT_BLOCK_ROWS;
use zepto_common::types::ColumnType;

use crate::encode::{Encoder, Fields, ResultTotals};
use crate::row_binary::{write_length, write_string};

pub(crate) use read::NativeReader;

/// Before it a DateTime column's type has no zone.
const TIME_ZONES: u64 = 54_337;
/// Before it (but not at 0) LowCardinality is written as plain text.
const LOW_CARDINALITY: u64 = 54_405;
/// From it on a byte after the type says whether the column is written in an unusual way.
const CUSTOM_SERIALIZATION: u64 = 54_454;
/// From it on the block's head has a list of out-of-order buckets, empty in results.
const BUCKETS: u64 = 54_480;
/// Not an overflow block (1), no bucket number (2), and the list of buckets where there is one (3).
const BLOCK_INFO: [u8; 7] = [1, 0, 2, 0xFF, 0xFF, 0xFF, 0xFF];

/// Writes blocks.
pub(crate) struct NativeWriter {
    fields: Fields,
    revision: u64,
    /// Type and its name, as this revision writes them.
    types: Vec<(ColumnType, String)>,
}

impl NativeWriter {
    pub(crate) fn new(fields: Fields) -> Self {
        let revision = fields.settings().client_protocol_version;
        let written = |ty: &ColumnType| {
            let ty = if (1..LOW_CARDINALITY).contains(&revision) { plain(ty) } else { ty.clone() };
            let name = match &ty {
                ColumnType::DateTime(_) if revision < TIME_ZONES => "DateTime".to_owned(),
                ty => ty.to_string(),
            };
            (ty, name)
        };
        Self { types: fields.types().iter().map(written).collect(), revision, fields }
    }

    fn block(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        if self.revision > 0 {
            out.extend_from_slice(&BLOCK_INFO);
            if self.revision >= BUCKETS {
                out.extend_from_slice(&[3, 0]);
            }
            out.push(0);
        }
        write_length(self.types.len(), out);
        write_length(batch.num_rows(), out);
        for ((name, (ty, type_name)), array) in self.fields.names().zip(&self.types).zip(batch.columns()) {
            write_string(name.as_bytes(), out);
            write_string(type_name.as_bytes(), out);
            if self.revision >= CUSTOM_SERIALIZATION {
                out.push(0);
            }
            if !array.is_empty() {
                write::prefix(ty, out);
                write::values(array, ty, out)?;
            }
        }
        Ok(())
    }
}

/// The type without LowCardinality.
fn plain(ty: &ColumnType) -> ColumnType {
    use ColumnType as T;
    match ty {
        T::Symbol => T::String,
        T::Nullable(of) => plain(of).nullable(),
        T::Array(of) => T::Array(Box::new(plain(of))),
        T::Tuple(of) => T::Tuple(of.iter().map(plain).collect()),
        T::Map(key, value) => T::Map(Box::new(plain(key)), Box::new(plain(value))),
        other => other.clone(),
    }
}

impl Encoder for NativeWriter {
    fn begin(&mut self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let rows = batch.num_rows();
        for start in (0..rows).step_by(RESULT_BLOCK_ROWS) {
            self.block(&batch.slice(start, RESULT_BLOCK_ROWS.min(rows - start)), out)?;
        }
        Ok(())
    }

    fn finish(&mut self, _: &ResultTotals, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}
