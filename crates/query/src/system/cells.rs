//! Columns of small tables, made by hand.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, ListArray, RecordBatch, StringViewArray, UInt8Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use zepto_common::error::Result;
use zepto_common::types::ColumnType;

/// The values of one column.
#[derive(Debug)]
pub(crate) enum Cells {
    /// String.
    Text(Vec<String>),
    /// UInt8.
    U8(Vec<u8>),
    /// UInt64.
    U64(Vec<u64>),
    /// Nullable(UInt64).
    MaybeU64(Vec<Option<u64>>),
    /// Float64.
    F64(Vec<f64>),
    /// Array(UInt64).
    U64s(Vec<Vec<u64>>),
}

impl Cells {
    /// The same text in every row.
    pub(crate) fn same(text: &str, rows: usize) -> Self {
        Self::Text(vec![text.to_owned(); rows])
    }

    fn into_array(self) -> (ColumnType, ArrayRef) {
        match self {
            Self::Text(values) => (ColumnType::String, Arc::new(StringViewArray::from_iter_values(values))),
            Self::U8(values) => (ColumnType::UInt8, Arc::new(UInt8Array::from(values))),
            Self::U64(values) => (ColumnType::UInt64, Arc::new(UInt64Array::from(values))),
            Self::MaybeU64(values) => (ColumnType::UInt64.nullable(), Arc::new(UInt64Array::from(values))),
            Self::F64(values) => (ColumnType::Float64, Arc::new(Float64Array::from(values))),
            Self::U64s(lists) => {
                let ty = ColumnType::Array(Box::new(ColumnType::UInt64));
                let item = match ty.query_type() {
                    DataType::List(item) => item,
                    // An Array is a list in every version of the types.
                    _ => Arc::new(Field::new("item", DataType::UInt64, false)),
                };
                let lengths = OffsetBuffer::from_lengths(lists.iter().map(Vec::len));
                let values = Arc::new(UInt64Array::from(lists.concat()));
                (ty, Arc::new(ListArray::new(item, lengths, values, None)))
            }
        }
    }
}

/// A batch of these columns, in query types.
///
/// # Errors
/// Columns of different lengths.
pub(crate) fn batch(columns: Vec<(&str, Cells)>) -> Result<RecordBatch> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for (name, cells) in columns {
        let (ty, array) = cells.into_array();
        fields.push(ty.query_field(name));
        arrays.push(array);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}
