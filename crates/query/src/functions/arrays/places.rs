//! Where a row's items are, and one of them.

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::compute::interleave;
use datafusion::common::{Result, ScalarValue};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::list;
use super::tuples::{tuple_element, tuple_element_type};
use crate::functions::scalar::{Arguments, Call, fault};
use crate::semantics::numbers::zero;

/// Each row's array. One that is a constant is not written out.
pub(super) struct Lists {
    lists: ListArray,
    one: bool,
}

impl Lists {
    /// The arrays of argument `i`.
    pub(super) fn of(call: &Call<'_>, i: usize) -> Result<Self> {
        let Some(constant) = call.literal(i) else { return Ok(Self { lists: list(call, i)?, one: false }) };
        match constant.to_array()?.as_list_opt::<i32>() {
            Some(constant) => Ok(Self { lists: constant.clone(), one: true }),
            None => Ok(Self { lists: list(call, i)?, one: false }),
        }
    }

    /// Whether all rows have one array.
    pub(super) fn is_one(&self) -> bool {
        self.one
    }

    /// The items of all arrays.
    pub(super) fn values(&self) -> &ArrayRef {
        self.lists.values()
    }

    /// Where in the items a row's are, and how many.
    pub(super) fn place(&self, row: usize) -> (usize, usize) {
        let row = if self.one { 0 } else { row };
        (self.lists.value_offsets()[row] as usize, self.lists.value_length(row) as usize)
    }
}

/// Element `index` (from 1, negative from the end); the zero value when it is not there.
pub(super) fn element(call: &Call<'_>) -> Result<ArrayRef> {
    match call.base(0) {
        ColumnType::Tuple(_) => return tuple_element(call),
        ColumnType::Map(..) => return crate::functions::maps::element(call),
        _ => {}
    }
    let lists = Lists::of(call, 0)?;
    let wanted = call.ints(1)?;
    let values = lists.values();
    let fallback = if call.ty.is_nullable() {
        ScalarValue::try_from(values.data_type())?
    } else {
        zero(call.ty)?.cast_to(values.data_type())?
    };
    let fallback = fallback.to_array()?;
    let order: Vec<(usize, usize)> = (0..call.rows)
        .map(|row| {
            let (start, length) = lists.place(row);
            let (start, length) = (start as i64, length as i64);
            let index = wanted.value(row);
            let at = if index > 0 { index - 1 } else { length + index };
            if index != 0 && (0..length).contains(&at) { (0, (start + at) as usize) } else { (1, 0) }
        })
        .collect();
    Ok(interleave(&[values.as_ref(), fallback.as_ref()], &order)?)
}

pub(super) fn element_type(args: &Arguments<'_>) -> Result<ColumnType> {
    match args.base(0) {
        ColumnType::Array(of) if args.base(1).is_number() => Ok(*of),
        ColumnType::Map(_, value) => crate::functions::maps::element_type(args).map(|()| *value),
        ColumnType::Array(_) => {
            let message = format!("The place in an array is a whole number, not {}", args.ty(1));
            Err(fault(ErrorCode::IllegalTypeOfArgument, message))
        }
        _ => tuple_element_type(args),
    }
}
