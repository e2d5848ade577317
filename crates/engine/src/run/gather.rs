//! Columns of several sources (chunks or runs) put into the order of a layout.
//!
//! Numbers are moved section by section: the pieces of one partition are put together and then into their order
//! while they are near the processor. Other columns are concatenated whole and taken row by row.

use std::cell::OnceCell;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, UInt32Array, make_array};
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{ArrowNativeType, DataType};
use zepto_common::Result;

use super::columns;
use super::layout::{Layout, Places};

/// The columns of all sources, by source and column. The key's is None where only an index has it.
pub(super) struct Sources {
    columns: Vec<Vec<Option<ArrayRef>>>,
    pub(super) places: Places,
}

impl Sources {
    /// Of sources with so many rows.
    pub(super) fn new(columns: Vec<Vec<Option<ArrayRef>>>, rows: impl Iterator<Item = usize>) -> Self {
        Self { columns, places: Places::new(rows) }
    }

    fn pieces(&self, column: usize) -> Vec<ArrayRef> {
        self.columns.iter().filter_map(|columns| columns[column].clone()).collect()
    }

    /// One column of all sources, source after source.
    pub(super) fn concat(&self, column: usize, ty: &DataType) -> Result<ArrayRef> {
        match self.pieces(column) {
            pieces if pieces.is_empty() => Ok(arrow::array::new_empty_array(ty)),
            pieces => columns::concat(&pieces),
        }
    }

    /// The ticks of a time column in the order of a layout.
    pub(super) fn ticks(&self, column: usize, layout: &Layout<'_>) -> Result<Vec<i64>> {
        let ticks: Result<Vec<ScalarBuffer<i64>>> = self.pieces(column).iter().map(columns::ticks).collect();
        Ok(ordered(&ticks?.iter().map(|ticks| &ticks[..]).collect::<Vec<_>>(), layout))
    }
}

/// Puts columns into the order of one layout.
pub(super) struct Gather<'a> {
    sources: &'a Sources,
    layout: &'a Layout<'a>,
    /// The rows in the concatenation of all sources, once a column needs them; None if they lie in order already.
    rows: OnceCell<Option<UInt32Array>>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(sources: &'a Sources, layout: &'a Layout<'a>) -> Self {
        Self { sources, layout, rows: OnceCell::new() }
    }

    /// A column of this storage type.
    pub(super) fn column(&self, column: usize, ty: &DataType) -> Result<ArrayRef> {
        if let Some(moved) = self.fixed(column, ty)? {
            return Ok(moved);
        }
        let whole = self.sources.concat(column, ty)?;
        match self.rows.get_or_init(|| self.global_rows(whole.len())) {
            Some(rows) => Ok(take(whole.as_ref(), rows, None)?),
            None => Ok(whole),
        }
    }

    /// A column of numbers without NULL; None for any other.
    fn fixed(&self, column: usize, ty: &DataType) -> Result<Option<ArrayRef>> {
        let pieces = self.sources.pieces(column);
        let Some(width) = ty.primitive_width().filter(|_| pieces.iter().all(|piece| piece.null_count() == 0))
        else {
            return Ok(None);
        };
        let data: Vec<ArrayData> = pieces.iter().map(|piece| piece.to_data()).collect();
        let values = match width {
            1 => self.moved::<u8>(&data),
            2 => self.moved::<u16>(&data),
            4 => self.moved::<u32>(&data),
            8 => self.moved::<u64>(&data),
            16 => self.moved::<i128>(&data),
            _ => return Ok(None),
        };
        array_of(values, ty).map(Some)
    }

    fn moved<T: ArrowNativeType>(&self, data: &[ArrayData]) -> Buffer {
        let values: Vec<&[T]> = data.iter().map(|data| &data.buffer::<T>(0)[..data.len()]).collect();
        Buffer::from_vec(ordered(&values, self.layout))
    }

    fn global_rows(&self, total: usize) -> Option<UInt32Array> {
        let mut rows: Vec<u32> = Vec::with_capacity(self.layout.order.len());
        for section in &self.layout.sections {
            let places = self.sources.places.of(section);
            let order = &self.layout.order[self.layout.positions(section)];
            rows.extend(order.iter().map(|&row| places[row as usize]));
        }
        let identity = rows.len() == total && rows.iter().enumerate().all(|(i, &row)| i as u32 == row);
        (!identity).then(|| rows.into())
    }
}

/// An array of this type of the bytes of its values.
pub(super) fn array_of(values: Buffer, ty: &DataType) -> Result<ArrayRef> {
    let width = ty.primitive_width().unwrap_or(1);
    let data = ArrayData::builder(ty.clone()).len(values.len() / width).add_buffer(values);
    Ok(make_array(data.build()?))
}

/// Whether a column is a dictionary.
pub(super) fn is_dictionary(column: &ArrayRef) -> bool {
    column.as_any_dictionary_opt().is_some()
}

/// The values of all sources in the order of a layout.
fn ordered<T: Copy>(values: &[&[T]], layout: &Layout<'_>) -> Vec<T> {
    let mut ordered: Vec<T> = Vec::with_capacity(layout.order.len());
    let mut together: Vec<T> = Vec::new();
    for section in &layout.sections {
        let section_values = match section.pieces.as_slice() {
            [piece] => &values[piece.source][piece.rows.clone()],
            pieces => {
                together.clear();
                for piece in pieces {
                    together.extend_from_slice(&values[piece.source][piece.rows.clone()]);
                }
                &together[..]
            }
        };
        let order = &layout.order[layout.positions(section)];
        ordered.extend(order.iter().map(|&row| section_values[row as usize]));
    }
    ordered
}
