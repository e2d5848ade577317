//! Arrays and tuples.

mod places;
mod search;
mod sums;
mod tuples;

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, UInt32Array, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortOptions, cast, concat as concat_arrays, interleave, sort_to_indices, take};
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::convert::{OnFault, convert};
use super::meter::copied_bytes;
use super::render;
use super::scalar::{Arguments, Call, MANY, Scalar, fault};
use super::{Plan, Row, row};
use crate::semantics::numbers::{common, sum_type, zero};
use places::{element, element_type};
use search::{count_equal, has, index_of};
pub(super) use sums::{difference_type, differences, number_item, running_sum};
use sums::{fold, sum};
use tuples::{tuple, tuple_type};

/// Argument `i` as arrays.
pub(super) fn list(call: &Call<'_>, i: usize) -> Result<ListArray> {
    let array = call.array(i)?;
    match array.as_list_opt::<i32>() {
        Some(list) => Ok(list.clone()),
        None => {
            Err(fault(ErrorCode::IllegalTypeOfArgument, format!("Expected an array, not {}", call.base(i))))
        }
    }
}

/// The field of an array type's items.
pub(super) fn item_field(ty: &ColumnType) -> Result<FieldRef> {
    match ty.query_type() {
        DataType::List(field) => Ok(field),
        other => Err(fault(ErrorCode::IllegalTypeOfArgument, format!("Expected an array, not {other}"))),
    }
}

/// The type of the items of argument `i`.
pub(super) fn item(args: &Arguments<'_>, i: usize) -> Result<ColumnType> {
    match args.base(i) {
        ColumnType::Array(of) => Ok(*of),
        other => Err(fault(ErrorCode::IllegalTypeOfArgument, format!("Expected an array, not {other}"))),
    }
}

fn array_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let types: Vec<ColumnType> = (0..args.fields.len()).map(|i| args.ty(i)).collect();
    let of = if types.is_empty() { ColumnType::Nothing } else { common(&types)? };
    Ok(ColumnType::Array(Box::new(of)))
}

fn array(call: &Call<'_>) -> Result<ArrayRef> {
    let field = item_field(call.ty)?;
    let ColumnType::Array(of) = call.ty else { return call.array(0) };
    let columns: Result<Vec<ArrayRef>> =
        (0..call.len()).map(|i| convert(&call.array(i)?, &call.base(i), of, OnFault::Error)).collect();
    let columns = columns?;
    let values = if columns.is_empty() {
        new_empty_array(field.data_type())
    } else {
        let order: Vec<(usize, usize)> =
            (0..call.rows).flat_map(|row| (0..columns.len()).map(move |column| (column, row))).collect();
        let sources: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
        call.meter().take(columns.iter().map(copied_bytes).sum())?;
        interleave(&sources, &order)?
    };
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(columns.len(), call.rows));
    Ok(Arc::new(ListArray::try_new(field, offsets, values, None)?))
}

/// Lengths of argument 0's arrays.
pub(crate) fn lengths(call: &Call<'_>) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let counts: Int64Array = (0..list.len()).map(|row| Some(i64::from(list.value_length(row)))).collect();
    Ok(cast(&counts, &call.ty.query_type())?)
}

/// Builds a list from one array per row.
/// Arrays of a type from one array of items per row.
pub(super) fn of_rows(ty: &ColumnType, rows: Vec<ArrayRef>) -> Result<ArrayRef> {
    let field = item_field(ty)?;
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.len()));
    let rows: Result<Vec<ArrayRef>> = rows.iter().map(|row| Ok(cast(row, field.data_type())?)).collect();
    let rows = rows?;
    let sources: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    let values =
        if sources.is_empty() { new_empty_array(field.data_type()) } else { concat_arrays(&sources)? };
    Ok(Arc::new(ListArray::try_new(field, offsets, values, None)?))
}

/// An array per array of argument 0.
pub(super) fn each(
    call: &Call<'_>,
    mut body: impl FnMut(ArrayRef, usize) -> Result<ArrayRef>,
) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let rows: Result<Vec<ArrayRef>> = (0..list.len()).map(|row| body(list.value(row), row)).collect();
    of_rows(call.ty, rows?)
}

/// Joins arrays row by row.
pub(crate) fn concat(call: &Call<'_>) -> Result<ArrayRef> {
    let lists: Result<Vec<ListArray>> = (0..call.len()).map(|i| list(call, i)).collect();
    let lists = lists?;
    let wanted = item_field(call.ty)?;
    call.meter().take(lists.iter().map(|list| copied_bytes(&(Arc::new(list.clone()) as ArrayRef))).sum())?;
    let rows: Result<Vec<ArrayRef>> = (0..call.rows)
        .map(|row| {
            let parts: Result<Vec<ArrayRef>> =
                lists.iter().map(|list| Ok(cast(&list.value(row), wanted.data_type())?)).collect();
            let parts = parts?;
            let sources: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            Ok(concat_arrays(&sources)?)
        })
        .collect();
    of_rows(call.ty, rows?)
}

/// The least or greatest item; the zero value of an empty array.
fn extreme(call: &Call<'_>, descending: bool) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let mut rows = Vec::with_capacity(list.len());
    for row in 0..list.len() {
        let items = list.value(row);
        // NaN is behind all numbers, NULL behind NaN.
        rows.push(match order(&items, descending)?.first() {
            Some(best) if items.is_valid(*best) => items.slice(*best, 1),
            _ => zero(call.ty)?.to_array()?,
        });
    }
    let rows: Result<Vec<ArrayRef>> = rows.iter().map(|row| Ok(cast(row, &call.ty.query_type())?)).collect();
    let rows = rows?;
    let sources: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    Ok(concat_arrays(&sources)?)
}

fn sorted(call: &Call<'_>, descending: bool) -> Result<ArrayRef> {
    each(call, |values, _| picked(&values, order(&values, descending)?.into_iter()))
}

/// The places of items in their order: NaN after all numbers and NULL after NaN, in both directions.
pub(super) fn order(values: &ArrayRef, descending: bool) -> Result<Vec<usize>> {
    let options = SortOptions { descending, nulls_first: false };
    if !values.data_type().is_floating() {
        let order = sort_to_indices(values, Some(options), None)?;
        return Ok(order.values().iter().map(|at| *at as usize).collect());
    }
    let floats = cast(values, &DataType::Float64)?;
    let floats = floats.as_primitive::<Float64Type>();
    let mut order: Vec<usize> = (0..floats.len()).collect();
    let number = |at: &usize| (floats.is_null(*at), floats.is_valid(*at) && floats.value(*at).is_nan());
    order.sort_by(|a, b| {
        let by_value = match (number(a), number(b)) {
            ((false, false), (false, false)) => floats.value(*a).total_cmp(&floats.value(*b)),
            _ => Ordering::Equal,
        };
        number(a).cmp(&number(b)).then(if descending { by_value.reverse() } else { by_value })
    });
    Ok(order)
}

/// The items at these places.
pub(super) fn picked(values: &ArrayRef, order: impl Iterator<Item = usize>) -> Result<ArrayRef> {
    Ok(take(values, &UInt32Array::from_iter_values(order.map(|at| at as u32)), None)?)
}

/// The items from the last on.
pub(crate) fn reversed(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |values, _| picked(&values, (0..values.len()).rev()))
}

fn distinct(call: &Call<'_>) -> Result<ArrayRef> {
    let ColumnType::Array(of) = call.base(0) else { return call.array(0) };
    each(call, |values, _| {
        let texts = render::texts(&values, &of)?;
        let mut seen = hashbrown::HashSet::new();
        let fresh: Vec<usize> =
            (0..values.len()).filter(|at| texts.is_valid(*at) && seen.insert(texts.value(*at))).collect();
        picked(&values, fresh.into_iter())
    })
}

/// How many different items; NULL is one of them.
fn different(call: &Call<'_>) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let ColumnType::Array(of) = call.base(0) else { return call.array(0) };
    let texts = render::texts(list.values(), &of)?;
    let counts = (0..list.len()).map(|row| {
        let (start, length) = (list.value_offsets()[row] as usize, list.value_length(row) as usize);
        let items = (start..start + length).map(|at| texts.is_valid(at).then(|| texts.value(at)));
        items.collect::<hashbrown::HashSet<_>>().len() as u32
    });
    Ok(Arc::new(UInt32Array::from_iter_values(counts)))
}

fn slice(call: &Call<'_>) -> Result<ArrayRef> {
    let offsets = call.ints(1)?;
    let lengths = if call.len() > 2 { Some(call.ints(2)?) } else { None };
    each(call, |values, row| {
        let size = values.len() as i64;
        let offset = offsets.value(row);
        let start = if offset > 0 { offset - 1 } else { (size + offset).max(0) };
        let length = lengths.as_ref().map_or(size, |lengths| lengths.value(row));
        let end = if length >= 0 { start.saturating_add(length) } else { size + length };
        let (start, end) = (start.clamp(0, size), end.clamp(0, size));
        Ok(values.slice(start as usize, (end - start).max(0) as usize))
    })
}

fn range(call: &Call<'_>) -> Result<ArrayRef> {
    let bounds: Result<Vec<Int64Array>> = (0..call.len()).map(|i| call.ints(i)).collect();
    let bounds = bounds?;
    let mut meter = call.meter();
    let rows: Result<Vec<ArrayRef>> = (0..call.rows)
        .map(|row| {
            let (from, to, step) = match bounds.as_slice() {
                [to] => (0, to.value(row), 1),
                [from, to] => (from.value(row), to.value(row), 1),
                all => (all[0].value(row), all[1].value(row), all[2].value(row)),
            };
            if step <= 0 || to.saturating_sub(from) / step > super::RANGE_MAX {
                return Err(fault(
                    ErrorCode::ArgumentOutOfBound,
                    format!("range makes up to {} items", super::RANGE_MAX),
                ));
            }
            meter.take(to.saturating_sub(from).max(0) as usize / step as usize * size_of::<i64>())?;
            let values: Int64Array = (from..to).step_by(step as usize).map(Some).collect();
            Ok(Arc::new(values) as ArrayRef)
        })
        .collect();
    of_rows(call.ty, rows?)
}

fn join(call: &Call<'_>) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let ColumnType::Array(of) = call.base(0) else { return call.array(0) };
    let separators = if call.len() > 1 { Some(call.texts(1)?) } else { None };
    let texts = render::texts(list.values(), &of)?;
    let mut meter = call.meter();
    let joined = (0..list.len()).map(|row| {
        let (start, length) = (list.value_offsets()[row] as usize, list.value_length(row) as usize);
        let pieces: Vec<&str> =
            (start..start + length).filter(|at| texts.is_valid(*at)).map(|at| texts.value(at)).collect();
        let separator = separators.as_ref().map_or("", |separators| separators.value(row));
        let bytes = pieces.iter().map(|piece| piece.len() + separator.len()).sum();
        meter.take(bytes).map(|()| pieces.join(separator))
    });
    let joined: Vec<String> = joined.collect::<Result<_>>()?;
    Ok(Arc::new(arrow::array::StringViewArray::from_iter_values(joined)))
}

fn first_type(args: &Arguments<'_>) -> Result<ColumnType> {
    item(args, 0)?;
    Ok(args.base(0))
}

/// Arrays and tuples; functions with lambdas are in [`super::lambdas`], more of arrays in [`super::lists`].
pub(crate) const ROWS: &[Row] = &[
    row(
        "array",
        &[],
        "array(a, b, …)",
        "An array; [a, b] is the same.",
        Plan::Scalar(Scalar::pure((0, MANY), array_type, array).own_nulls()),
    ),
    row(
        "arrayElement",
        &["tupleElement"],
        "arrayElement(a, i)",
        "Element i from 1, negative from the end; a[i] is the same.",
        Plan::Scalar(Scalar::pure((2, 2), element_type, element)),
    ),
    row(
        "tuple",
        &[],
        "tuple(a, b, …)",
        "A tuple; (a, b) is the same.",
        Plan::Scalar(Scalar::pure((0, MANY), tuple_type, tuple).own_nulls()),
    ),
    row(
        "has",
        &[],
        "has(a, x)",
        "Whether x is in the array.",
        Plan::Scalar(Scalar::test((2, 2), has).own_nulls()),
    ),
    row(
        "indexOf",
        &[],
        "indexOf(a, x)",
        "Place of x from 1, 0 when it is not there.",
        Plan::Scalar(Scalar::pure((2, 2), |_| Ok(ColumnType::UInt64), index_of).own_nulls()),
    ),
    row(
        "countEqual",
        &[],
        "countEqual(a, x)",
        "How often x is in the array.",
        Plan::Scalar(Scalar::pure((2, 2), |_| Ok(ColumnType::UInt64), count_equal).own_nulls()),
    ),
    row(
        "arraySum",
        &[],
        "arraySum(a)",
        "Sum of the items.",
        Plan::Scalar(Scalar::pure((1, 1), |args| Ok(sum_type(&number_item(args)?)), sum)),
    ),
    row(
        "arrayAvg",
        &[],
        "arrayAvg(a)",
        "Mean of the items.",
        Plan::Scalar(Scalar::pure(
            (1, 1),
            |args| number_item(args).map(|_| ColumnType::Float64),
            |call| {
                fold(call, |values| {
                    values.iter().fold(0.0, |sum, value| sum + value) / values.len().max(1) as f64
                })
            },
        )),
    ),
    row(
        "arrayMin",
        &[],
        "arrayMin(a)",
        "The least item.",
        Plan::Scalar(Scalar::pure(
            (1, 1),
            |args| Ok(item(args, 0)?.inner().clone()),
            |call| extreme(call, false),
        )),
    ),
    row(
        "arrayMax",
        &[],
        "arrayMax(a)",
        "The greatest item.",
        Plan::Scalar(Scalar::pure(
            (1, 1),
            |args| Ok(item(args, 0)?.inner().clone()),
            |call| extreme(call, true),
        )),
    ),
    row(
        "arraySort",
        &[],
        "arraySort(a)",
        "The items from the least on.",
        Plan::Scalar(Scalar::pure((1, 1), first_type, |call| sorted(call, false))),
    ),
    row(
        "arrayReverseSort",
        &[],
        "arrayReverseSort(a)",
        "The items from the greatest on.",
        Plan::Scalar(Scalar::pure((1, 1), first_type, |call| sorted(call, true))),
    ),
    row(
        "arrayReverse",
        &[],
        "arrayReverse(a)",
        "The items from the last on.",
        Plan::Scalar(Scalar::pure((1, 1), first_type, reversed)),
    ),
    row(
        "arrayDistinct",
        &[],
        "arrayDistinct(a)",
        "Each item once.",
        Plan::Scalar(Scalar::pure((1, 1), first_type, distinct)),
    ),
    row(
        "arrayUniq",
        &[],
        "arrayUniq(a)",
        "How many different items.",
        Plan::Scalar(Scalar::pure((1, 1), |args| item(args, 0).map(|_| ColumnType::UInt32), different)),
    ),
    row(
        "arraySlice",
        &[],
        "arraySlice(a, from[, length])",
        "A part of the array.",
        Plan::Scalar(Scalar::pure((2, 3), first_type, slice)),
    ),
    row(
        "arrayConcat",
        &[],
        "arrayConcat(a, b, …)",
        "The arrays one after the other.",
        Plan::Scalar(Scalar::pure((1, MANY), array_concat_type, concat)),
    ),
    row(
        "arrayPushBack",
        &[],
        "arrayPushBack(a, x)",
        "The array with x after it.",
        Plan::Sql("arrayConcat($1, array($2))"),
    ),
    row(
        "arrayPushFront",
        &[],
        "arrayPushFront(a, x)",
        "The array with x before it.",
        Plan::Sql("arrayConcat(array($2), $1)"),
    ),
    row(
        "arrayStringConcat",
        &[],
        "arrayStringConcat(a[, separator])",
        "The items as one text.",
        Plan::Scalar(Scalar::pure((1, 2), |_| Ok(ColumnType::String), join)),
    ),
    row(
        "range",
        &[],
        "range([from,] to[, step])",
        "Numbers below `to`.",
        Plan::Scalar(Scalar::pure(
            (1, 3),
            |args| {
                let bounds: Vec<ColumnType> = (0..args.fields.len()).map(|i| args.base(i)).collect();
                Ok(ColumnType::Array(Box::new(common(&bounds)?)))
            },
            range,
        )),
    ),
    row("arrayJoin", &[], "arrayJoin(a)", "One row per item.", Plan::Sql("__item_of(\"unnest\"($1), $1)")),
    row(
        "__item_of",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure((2, 2), |args| item(args, 1), |call| call.array(0)).own_nulls()),
    ),
];

fn array_concat_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let items: Result<Vec<ColumnType>> = (0..args.fields.len()).map(|i| item(args, i)).collect();
    Ok(ColumnType::Array(Box::new(common(&items?)?)))
}
