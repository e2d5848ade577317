//! The best of a group: its most frequent values, and the points that keep a line's shape. The aggregates `topK` and
//! `lttb` are these functions of a group's values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StructArray};
use arrow::compute::{SortOptions, cast, sort_to_indices};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::arrays::{each, item, item_field, list, of_rows, picked};
use super::lists::{array_of, bounded, first_array, item_texts, numbers};
use super::render;
use super::scalar::{Arguments, Call, Scalar, fault};
use super::{Plan, Row, row};

/// `__top(a, n)`: the n most frequent items, of equals the one that came first.
fn top(call: &Call<'_>) -> Result<ArrayRef> {
    let wanted = call.ints(1)?;
    each(call, |values, row| {
        let texts = item_texts(call, 0, row)?;
        let mut counts: hashbrown::HashMap<&Option<String>, (usize, usize)> = hashbrown::HashMap::new();
        for (at, text) in texts.iter().enumerate() {
            counts.entry(text).or_insert((0, at)).0 += 1;
        }
        best(&values, counts.into_values().map(|(count, at)| (count as f64, at)), wanted.value(row))
    })
}

/// `__top_weighted(a, n)` of pairs of item and weight.
fn top_weighted(call: &Call<'_>) -> Result<ArrayRef> {
    let wanted = call.ints(1)?;
    let ColumnType::Array(of) = call.ty else { return call.array(0) };
    let list = list(call, 0)?;
    let rows: Result<Vec<ArrayRef>> = (0..list.len())
        .map(|row| {
            let pairs = list.value(row);
            let pairs = pairs.as_struct();
            let (values, weights) = (Arc::clone(pairs.column(0)), numbers(pairs.column(1))?);
            let texts = render::texts(&values, of)?;
            let mut sums: hashbrown::HashMap<&str, (f64, usize)> = hashbrown::HashMap::new();
            for at in (0..values.len()).filter(|at| texts.is_valid(*at) && weights.is_valid(*at)) {
                sums.entry(texts.value(at)).or_insert((0.0, at)).0 += weights.value(at);
            }
            best(&values, sums.into_values(), wanted.value(row))
        })
        .collect();
    of_rows(call.ty, rows?)
}

fn best(values: &ArrayRef, ranked: impl Iterator<Item = (f64, usize)>, wanted: i64) -> Result<ArrayRef> {
    if !(1..=65_536).contains(&wanted) {
        let message = format!("topK gives 1 to 65536 values, not {wanted}");
        return Err(fault(ErrorCode::ArgumentOutOfBound, message));
    }
    let mut ranked: Vec<(f64, usize)> = ranked.collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    picked(values, ranked.into_iter().take(wanted as usize).map(|(_, at)| at))
}

fn pair_item(args: &Arguments<'_>) -> Result<ColumnType> {
    match item(args, 0)? {
        ColumnType::Tuple(of) if of.len() == 2 => Ok(array_of(match of[0].inner() {
            ColumnType::Symbol => ColumnType::String,
            other => other.clone(),
        })),
        other => Err(fault(ErrorCode::LogicalError, format!("Expected pairs, not {other}"))),
    }
}

/// Times keep their type, all else is Float64.
fn point_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let ColumnType::Tuple(of) = item(args, 0)? else {
        return Err(fault(ErrorCode::LogicalError, "Expected points"));
    };
    let axis = |ty: &ColumnType| match ty.inner() {
        time @ (ColumnType::Date | ColumnType::DateTime(_) | ColumnType::DateTime64(..)) => Ok(time.clone()),
        number if number.is_number() => Ok(ColumnType::Float64),
        other => {
            Err(fault(ErrorCode::IllegalTypeOfArgument, format!("lttb takes numbers and times, not {other}")))
        }
    };
    Ok(array_of(ColumnType::Tuple(of.iter().map(axis).collect::<Result<_>>()?)))
}

/// A column as floats: times as their ticks.
fn axis(column: &ArrayRef) -> Result<Float64Array> {
    if column.data_type().is_temporal() {
        let wide = if *column.data_type() == DataType::Date32 { DataType::Int32 } else { DataType::Int64 };
        return numbers(&cast(column, &wide)?);
    }
    numbers(column)
}

/// `__lttb(points, n)`: the n points that keep the line's shape (largest triangle three buckets), by x.
fn lttb(call: &Call<'_>) -> Result<ArrayRef> {
    let wanted = call.ints(1)?;
    let DataType::Struct(fields) = item_field(call.ty)?.data_type().clone() else { return call.array(0) };
    let list = list(call, 0)?;
    let rows: Result<Vec<ArrayRef>> = (0..list.len())
        .map(|row| {
            let points = list.value(row);
            let points = points.as_struct();
            let (x, y) = (axis(points.column(0))?, axis(points.column(1))?);
            let order = sort_to_indices(&x, Some(SortOptions::default()), None)?;
            // Points without a place are none.
            let order = order.values().iter().map(|at| *at as usize);
            let order: Vec<usize> = order.filter(|at| x.is_valid(*at) && y.is_valid(*at)).collect();
            let line: Vec<(f64, f64)> = order.iter().map(|at| (x.value(*at), y.value(*at))).collect();
            let kept = super::lttb::kept(&line, bounded(wanted.value(row))?);
            let columns: Result<Vec<ArrayRef>> = [(&x, 0), (&y, 1)]
                .into_iter()
                .map(|(values, at)| {
                    let kept =
                        Float64Array::from_iter_values(kept.iter().map(|place| values.value(order[*place])));
                    from_axis(&kept, fields[at].data_type())
                })
                .collect();
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns?, None)?) as ArrayRef)
        })
        .collect();
    of_rows(call.ty, rows?)
}

fn from_axis(values: &Float64Array, ty: &DataType) -> Result<ArrayRef> {
    Ok(match ty {
        DataType::Date32 => cast(&cast(values, &DataType::Int32)?, ty)?,
        ty if ty.is_temporal() => cast(&cast(values, &DataType::Int64)?, ty)?,
        ty => cast(values, ty)?,
    })
}

/// What aggregates are made of.
pub(crate) const ROWS: &[Row] = &[
    row("__top", &[], "", "", Plan::Scalar(Scalar::pure((2, 2), first_array, top))),
    row("__top_weighted", &[], "", "", Plan::Scalar(Scalar::pure((2, 2), pair_item, top_weighted))),
    row("__lttb", &[], "", "", Plan::Scalar(Scalar::pure((2, 2), point_type, lttb))),
];
