//! Maps: keys, values, and the value of a key.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, MapArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, interleave};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::convert::{OnFault, convert};
use super::render;
use super::scalar::{Arguments, Call, MANY, Scalar, fault};
use super::{Plan, Row, row};
use crate::semantics::numbers::{common, zero};

fn map_type(args: &Arguments<'_>, i: usize) -> Result<(ColumnType, ColumnType)> {
    match args.base(i) {
        ColumnType::Map(key, value) => Ok((*key, *value)),
        other => Err(fault(ErrorCode::IllegalTypeOfArgument, format!("Expected a map, not {other}"))),
    }
}

fn map(call: &Call<'_>, i: usize) -> Result<MapArray> {
    let array = call.array(i)?;
    array.as_map_opt().cloned().ok_or_else(|| {
        fault(ErrorCode::IllegalTypeOfArgument, format!("Expected a map, not {}", call.base(i)))
    })
}

fn list_of(map: &MapArray, values: &ArrayRef, ty: &ColumnType) -> Result<ArrayRef> {
    let DataType::List(field) = ty.query_type() else {
        return Err(fault(ErrorCode::LogicalError, "Keys and values are arrays"));
    };
    let values = cast(values, field.data_type())?;
    Ok(Arc::new(ListArray::try_new(field, map.offsets().clone(), values, None)?))
}

/// How many keys each map has.
pub(super) fn lengths(call: &Call<'_>) -> Result<ArrayRef> {
    let counts = map(call, 0)?.offsets().lengths().map(|n| Some(n as i64)).collect::<Int64Array>();
    Ok(cast(&counts, &call.ty.query_type())?)
}

/// A key is looked up in its own type.
pub(super) fn element_type(args: &Arguments<'_>) -> Result<()> {
    let (key, _) = map_type(args, 0)?;
    common(&[key, args.base(1)]).map(|_| ()).map_err(|_| {
        fault(ErrorCode::IllegalTypeOfArgument, format!("{} is no key of {}", args.ty(1), args.ty(0)))
    })
}

/// The place of each row's key.
fn places(call: &Call<'_>, map: &MapArray) -> Result<Vec<Option<usize>>> {
    let ColumnType::Map(key, _) = call.base(0) else { return Ok(Vec::new()) };
    let keys = render::texts(map.keys(), &key)?;
    let wanted = convert(&call.array(1)?, &call.base(1), &key, OnFault::Error)?;
    let wanted = render::texts(&wanted, &key)?;
    let offsets = map.value_offsets();
    Ok((0..call.rows)
        .map(|row| {
            let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
            (start..end).find(|at| wanted.is_valid(row) && keys.value(*at) == wanted.value(row))
        })
        .collect())
}

/// `map[key]`: the zero value when the key is not there.
pub(super) fn element(call: &Call<'_>) -> Result<ArrayRef> {
    let map = map(call, 0)?;
    let fallback = if call.ty.is_nullable() {
        ScalarValue::try_from(map.values().data_type())?
    } else {
        zero(call.ty)?.cast_to(map.values().data_type())?
    };
    let fallback = fallback.to_array()?;
    let order: Vec<(usize, usize)> =
        places(call, &map)?.into_iter().map(|place| place.map_or((1, 0), |at| (0, at))).collect();
    Ok(interleave(&[map.values().as_ref(), fallback.as_ref()], &order)?)
}

pub(super) fn contains(call: &Call<'_>) -> Result<ArrayRef> {
    let found = places(call, &map(call, 0)?)?;
    Ok(Arc::new(found.into_iter().map(|place| Some(place.is_some())).collect::<BooleanArray>()))
}

fn made_type(args: &Arguments<'_>) -> Result<ColumnType> {
    if args.fields.len() % 2 == 1 {
        let message = "Function map takes keys and values in turn";
        return Err(fault(ErrorCode::NumberOfArgumentsDoesntMatch, message));
    }
    let every = |first: usize| -> Vec<ColumnType> {
        (first..args.fields.len()).step_by(2).map(|i| args.ty(i)).collect()
    };
    let or_text =
        |types: Vec<ColumnType>| if types.is_empty() { Ok(ColumnType::Nothing) } else { common(&types) };
    Ok(ColumnType::Map(Box::new(or_text(every(0))?), Box::new(or_text(every(1))?)))
}

pub(super) fn assembled(
    ty: &ColumnType,
    keys: ArrayRef,
    values: ArrayRef,
    lengths: Vec<usize>,
) -> Result<ArrayRef> {
    let DataType::Map(entries, ordered) = ty.query_type() else {
        return Err(fault(ErrorCode::LogicalError, "A map has entries"));
    };
    let DataType::Struct(fields) = entries.data_type().clone() else {
        return Err(fault(ErrorCode::LogicalError, "Entries are pairs"));
    };
    let columns = vec![cast(&keys, fields[0].data_type())?, cast(&values, fields[1].data_type())?];
    let pairs = StructArray::try_new(fields, columns, None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::try_new(entries, offsets, pairs, None, ordered)?))
}

/// `map(k, v, …)`.
fn made(call: &Call<'_>) -> Result<ArrayRef> {
    let ColumnType::Map(key, value) = call.ty else { return call.array(0) };
    let column = |first: usize, of: &ColumnType| -> Result<ArrayRef> {
        let parts: Result<Vec<ArrayRef>> = (first..call.len())
            .step_by(2)
            .map(|i| convert(&call.array(i)?, &call.base(i), of, OnFault::Error))
            .collect();
        let parts = parts?;
        let sources: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        if sources.is_empty() {
            return Ok(arrow::array::new_empty_array(&of.query_type()));
        }
        let order: Vec<(usize, usize)> =
            (0..call.rows).flat_map(|row| (0..sources.len()).map(move |part| (part, row))).collect();
        Ok(interleave(&sources, &order)?)
    };
    assembled(call.ty, column(0, key)?, column(1, value)?, vec![call.len() / 2; call.rows])
}

fn from_arrays_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let (keys, values) = (super::arrays::item(args, 0)?, super::arrays::item(args, 1)?);
    Ok(ColumnType::Map(Box::new(keys), Box::new(values)))
}

fn from_arrays(call: &Call<'_>) -> Result<ArrayRef> {
    let (keys, values) = (super::arrays::list(call, 0)?, super::arrays::list(call, 1)?);
    let lengths: Vec<usize> = keys.offsets().lengths().collect();
    if !values.offsets().lengths().eq(lengths.iter().copied()) {
        return Err(fault(ErrorCode::SizesOfArraysDontMatch, "Keys and values differ in number"));
    }
    let of = |list: &ListArray| {
        let offsets = list.value_offsets();
        let (start, end) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
        list.values().slice(start, end - start)
    };
    assembled(call.ty, of(&keys), of(&values), lengths)
}

fn updated_type(args: &Arguments<'_>) -> Result<ColumnType> {
    map_type(args, 0)?;
    if args.base(0) != args.base(1) {
        let message = "Function mapUpdate takes two maps of one type";
        return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
    }
    Ok(args.base(0))
}

/// The first map without the keys of the second, and then the second.
fn updated(call: &Call<'_>) -> Result<ArrayRef> {
    let ColumnType::Map(key, _) = call.base(0) else { return call.array(0) };
    let (old, new) = (map(call, 0)?, map(call, 1)?);
    let (old_keys, new_keys) = (render::texts(old.keys(), &key)?, render::texts(new.keys(), &key)?);
    let range = |map: &MapArray, row: usize| {
        let offsets = map.value_offsets();
        offsets[row] as usize..offsets[row + 1] as usize
    };
    let (mut order, mut lengths) = (Vec::new(), Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let before = order.len();
        let put: HashSet<&str> = range(&new, row).map(|at| new_keys.value(at)).collect();
        let kept = range(&old, row).filter(|at| !put.contains(old_keys.value(*at)));
        order.extend(kept.map(|at| (0, at)));
        order.extend(range(&new, row).map(|at| (1, at)));
        lengths.push(order.len() - before);
    }
    let keys = interleave(&[old.keys().as_ref(), new.keys().as_ref()], &order)?;
    let values = interleave(&[old.values().as_ref(), new.values().as_ref()], &order)?;
    assembled(call.ty, keys, values, lengths)
}

macro_rules! map_row {
    ($name:literal, $syntax:literal, $about:literal, $count:expr, $returns:expr, $body:expr) => {
        row($name, &[], $syntax, $about, Plan::Scalar(Scalar::pure($count, $returns, $body)))
    };
}

/// Maps.
pub(crate) const ROWS: &[Row] = &[
    row(
        "map",
        &[],
        "map(k, v, …)",
        "A map from keys to values.",
        // The planner has a function of this name, whose values are Nullable.
        Plan::Ast(|args| Ok(super::rewrites::call("__map", args))),
    ),
    row("__map", &[], "", "", Plan::Scalar(Scalar::pure((0, MANY), made_type, made).own_nulls())),
    map_row!(
        "mapFromArrays",
        "mapFromArrays(keys, values)",
        "A map from two arrays.",
        (2, 2),
        from_arrays_type,
        from_arrays
    ),
    map_row!(
        "mapUpdate",
        "mapUpdate(m, changes)",
        "The first map with the entries of the second.",
        (2, 2),
        updated_type,
        updated
    ),
    map_row!(
        "mapKeys",
        "mapKeys(m)",
        "The keys as an array.",
        (1, 1),
        |args| Ok(ColumnType::Array(Box::new(map_type(args, 0)?.0))),
        |call| {
            let map = map(call, 0)?;
            list_of(&map, map.keys(), call.ty)
        }
    ),
    map_row!(
        "mapValues",
        "mapValues(m)",
        "The values as an array.",
        (1, 1),
        |args| Ok(ColumnType::Array(Box::new(map_type(args, 0)?.1))),
        |call| {
            let map = map(call, 0)?;
            list_of(&map, map.values(), call.ty)
        }
    ),
    row(
        "mapContains",
        &["mapContainsKey"],
        "mapContains(m, key)",
        "Whether the key is there.",
        Plan::Scalar(Scalar::test((2, 2), contains)),
    ),
];
