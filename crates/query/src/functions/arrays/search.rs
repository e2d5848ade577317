//! Looking for values in arrays.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::Result;
use zepto_common::types::ColumnType;

use super::places::Lists;
use crate::functions::convert::{OnFault, convert};
use crate::functions::scalar::Call;
use crate::semantics::numbers::common;

/// The place (from 0) of each row's value in its array.
fn places(call: &Call<'_>) -> Result<Vec<Vec<usize>>> {
    let lists = Lists::of(call, 0)?;
    let ColumnType::Array(of) = call.base(0) else { return Ok(Vec::new()) };
    let both = common(&[of.inner().clone(), call.base(1)])?;
    let values = convert(lists.values(), &of, &both, OnFault::Error)?;
    let wanted = convert(&call.array(1)?, &call.base(1), &both, OnFault::Error)?;
    if lists.is_one() {
        return places_in_one(&lists, &values, &wanted);
    }
    (0..call.rows)
        .map(|row| {
            let (start, length) = lists.place(row);
            let slice = values.slice(start, length);
            if wanted.is_null(row) {
                return Ok((0..length).filter(|at| slice.is_null(*at)).collect());
            }
            let needle = arrow::array::Scalar::new(wanted.slice(row, 1));
            let equal = arrow::compute::kernels::cmp::eq(&slice, &needle)?;
            Ok((0..length).filter(|at| equal.is_valid(*at) && equal.value(*at)).collect())
        })
        .collect()
}

/// The same when all rows have one array: it is indexed once.
fn places_in_one(lists: &Lists, values: &ArrayRef, wanted: &ArrayRef) -> Result<Vec<Vec<usize>>> {
    let (start, length) = lists.place(0);
    let rows = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    let items = rows.convert_columns(&[values.slice(start, length)])?;
    let mut index: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for at in 0..length {
        index.entry(items.row(at).data()).or_default().push(at);
    }
    let wanted = rows.convert_columns(&[Arc::clone(wanted)])?;
    Ok(wanted.iter().map(|value| index.get(value.data()).cloned().unwrap_or_default()).collect())
}

/// Whether an array has the value, or a map the key.
pub(super) fn has(call: &Call<'_>) -> Result<ArrayRef> {
    if matches!(call.base(0), ColumnType::Map(..)) {
        return crate::functions::maps::contains(call);
    }
    Ok(Arc::new(places(call)?.iter().map(|found| Some(!found.is_empty())).collect::<BooleanArray>()))
}

pub(super) fn index_of(call: &Call<'_>) -> Result<ArrayRef> {
    let found: Int64Array =
        places(call)?.iter().map(|at| Some(at.first().map_or(0, |at| *at as i64 + 1))).collect();
    Ok(cast(&found, &DataType::UInt64)?)
}

pub(super) fn count_equal(call: &Call<'_>) -> Result<ArrayRef> {
    let found: Int64Array = places(call)?.iter().map(|at| Some(at.len() as i64)).collect();
    Ok(cast(&found, &DataType::UInt64)?)
}
