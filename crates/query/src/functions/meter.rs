//! How much one call of a function makes: texts and arrays can be multiplied without end by a short statement, and a
//! batch is worked on in one piece, so nobody else would notice in time.

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::limits::{CONSTANT_BYTES_MAX, FUNCTION_BYTES_MAX};

use super::scalar::fault;

/// Bytes of an item whose type says nothing of its size: a view of a text, an offset.
const ITEM_BYTES: usize = 16;

/// Counts what a call makes, before it is made.
#[derive(Debug)]
pub(crate) struct Meter {
    taken: usize,
    most: usize,
}

impl Meter {
    /// For a call over rows.
    pub(crate) fn of_rows() -> Self {
        Self { taken: 0, most: FUNCTION_BYTES_MAX }
    }

    /// For a call whose result is to become a part of the plan.
    pub(crate) fn of_constants() -> Self {
        Self { taken: 0, most: CONSTANT_BYTES_MAX }
    }

    /// Room for so many more bytes.
    ///
    /// # Errors
    /// `MemoryLimitExceeded` beyond [`FUNCTION_BYTES_MAX`] or [`CONSTANT_BYTES_MAX`].
    pub(crate) fn take(&mut self, bytes: usize) -> Result<()> {
        self.taken = self.taken.saturating_add(bytes);
        if self.taken > self.most {
            let message = format!(
                "A function would make more than {} KiB for one block of rows: smaller texts or arrays are needed",
                self.most >> 10
            );
            return Err(fault(ErrorCode::MemoryLimitExceeded, message));
        }
        Ok(())
    }
}

/// Bytes of one item of a type, where that is the same for all.
pub(crate) fn item_bytes(ty: &DataType) -> usize {
    ty.primitive_width().unwrap_or(ITEM_BYTES)
}

/// Bytes that a copy of the array has. Texts are copied as views: their bytes are shared.
pub(crate) fn copied_bytes(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (first, last) = (list.value_offsets()[0], list.value_offsets()[list.len()]);
            let items = list.values().slice(first as usize, (last - first) as usize);
            list.len() * ITEM_BYTES + copied_bytes(&items)
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let (first, last) = (map.value_offsets()[0], map.value_offsets()[map.len()]);
            let (first, count) = (first as usize, (last - first) as usize);
            let sides = [map.keys(), map.values()].map(|side| copied_bytes(&side.slice(first, count)));
            map.len() * ITEM_BYTES + sides.iter().sum::<usize>()
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(copied_bytes).sum(),
        ty => array.len() * item_bytes(ty),
    }
}

/// Bytes of the widest row of a column of arrays.
pub(crate) fn widest_row(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::List(item) if !item.data_type().is_nested() => {
            let lengths = array.as_list::<i32>().value_offsets().windows(2).map(|w| (w[1] - w[0]) as usize);
            lengths.max().unwrap_or(0).saturating_mul(item_bytes(item.data_type())) + ITEM_BYTES
        }
        _ => (0..array.len()).map(|row| copied_bytes(&array.slice(row, 1))).max().unwrap_or(0),
    }
}

/// Bytes of a column made of these rows of a column of arrays, None of them for a NULL.
pub(crate) fn copied_rows(array: &ArrayRef, rows: &UInt32Array) -> usize {
    match array.data_type().is_nested() {
        true => rows.iter().flatten().map(|row| copied_bytes(&array.slice(row as usize, 1))).sum(),
        false => 0,
    }
}
