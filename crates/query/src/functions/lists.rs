//! More functions of arrays: shapes, sets and running sums.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListArray, StructArray, UInt32Array, new_null_array,
};
use arrow::compute::{cast, concat as concat_arrays};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use sqlparser::ast::{Expr, Value};
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode};

use super::arrays::{
    difference_type, differences, each, item, item_field, list, number_item, of_rows, picked, running_sum,
};
use super::meter::{copied_bytes, item_bytes};
use super::render;
use super::rewrites::{call as ast_call, parse_template};
use super::scalar::{Arguments, Call, MANY, Scalar, fault};
use super::{Plan, RANGE_MAX, Row, row};
use crate::semantics::numbers::{sum_type, zero};

pub(super) fn first_array(args: &Arguments<'_>) -> Result<ColumnType> {
    item(args, 0)?;
    Ok(args.base(0))
}

pub(super) fn array_of(ty: ColumnType) -> ColumnType {
    ColumnType::Array(Box::new(ty))
}

fn zip_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let of: Result<Vec<ColumnType>> = (0..args.fields.len()).map(|i| item(args, i)).collect();
    Ok(array_of(ColumnType::Tuple(of?)))
}

fn zip(call: &Call<'_>) -> Result<ArrayRef> {
    let lists: Result<Vec<ListArray>> = (0..call.len()).map(|i| list(call, i)).collect();
    let lists = lists?;
    let field = item_field(call.ty)?;
    let DataType::Struct(fields) = field.data_type().clone() else { return call.array(0) };
    let rows: Result<Vec<ArrayRef>> = (0..call.rows)
        .map(|row| {
            let columns: Vec<ArrayRef> = lists.iter().map(|list| list.value(row)).collect();
            if columns.windows(2).any(|pair| pair[0].len() != pair[1].len()) {
                return Err(fault(ErrorCode::SizesOfArraysDontMatch, "The arrays differ in size"));
            }
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns, None)?) as ArrayRef)
        })
        .collect();
    of_rows(call.ty, rows?)
}

/// The texts by which the items of argument `i` are compared.
pub(super) fn item_texts(call: &Call<'_>, i: usize, row: usize) -> Result<Vec<Option<String>>> {
    let ColumnType::Array(of) = call.base(i) else { return Ok(Vec::new()) };
    let texts = render::texts(&list(call, i)?.value(row), &of)?;
    Ok(texts.iter().map(|text| text.map(str::to_owned)).collect())
}

fn enumerate(call: &Call<'_>, unique: bool) -> Result<ArrayRef> {
    each(call, |values, row| {
        if !unique {
            return Ok(Arc::new(UInt32Array::from_iter_values(1..=values.len() as u32)));
        }
        let mut seen = hashbrown::HashMap::new();
        let numbers = item_texts(call, 0, row)?.into_iter().map(|text| {
            let count = seen.entry(text).or_insert(0_u32);
            *count += 1;
            *count
        });
        Ok(Arc::new(UInt32Array::from_iter_values(numbers)))
    })
}

fn compact(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |values, row| {
        let texts = item_texts(call, 0, row)?;
        picked(&values, (0..texts.len()).filter(|at| *at == 0 || texts[*at] != texts[at - 1]))
    })
}

fn flat_type(ty: ColumnType) -> ColumnType {
    match ty {
        ColumnType::Array(of) => match *of {
            inner @ ColumnType::Array(_) => flat_type(inner),
            other => array_of(other),
        },
        other => other,
    }
}

fn flatten(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |mut values, _| {
        while let Some(inner) = values.as_list_opt::<i32>() {
            let parts: Vec<ArrayRef> = (0..inner.len()).map(|at| inner.value(at)).collect();
            let sources: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            values = match sources.is_empty() {
                true => inner.values().slice(0, 0),
                false => concat_arrays(&sources)?,
            };
        }
        Ok(values)
    })
}

fn intersect(call: &Call<'_>) -> Result<ArrayRef> {
    each(call, |values, row| {
        let mut common: Option<hashbrown::HashSet<Option<String>>> = None;
        for i in 1..call.len() {
            let here: hashbrown::HashSet<Option<String>> = item_texts(call, i, row)?.into_iter().collect();
            common = Some(match common {
                Some(before) => before.intersection(&here).cloned().collect(),
                None => here,
            });
        }
        let mut seen = hashbrown::HashSet::new();
        let texts = item_texts(call, 0, row)?;
        let kept: Vec<usize> = (0..texts.len())
            .filter(|at| common.as_ref().is_none_or(|common| common.contains(&texts[*at])))
            .filter(|at| seen.insert(texts[*at].clone()))
            .collect();
        picked(&values, kept.into_iter())
    })
}

fn contains(call: &Call<'_>, all: bool) -> Result<ArrayRef> {
    let tests: Result<BooleanArray> = (0..call.rows)
        .map(|row| {
            let here: hashbrown::HashSet<Option<String>> = item_texts(call, 0, row)?.into_iter().collect();
            let mut wanted = item_texts(call, 1, row)?.into_iter();
            Ok(Some(if all { wanted.all(|x| here.contains(&x)) } else { wanted.any(|x| here.contains(&x)) }))
        })
        .collect();
    Ok(Arc::new(tests?))
}

pub(super) fn numbers(values: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(values, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

pub(super) fn bounded(size: i64) -> Result<usize> {
    usize::try_from(size).ok().filter(|size| *size as i64 <= RANGE_MAX).ok_or_else(|| {
        fault(ErrorCode::ArgumentOutOfBound, format!("An array of {size} items is too large or negative"))
    })
}

/// What stands where there is no item.
fn filler(of: &ColumnType) -> Result<ArrayRef> {
    match of.is_nullable() {
        true => Ok(new_null_array(&of.query_type(), 1)),
        false => Ok(zero(of)?.to_array()?),
    }
}

/// `arrayResize(a, n[, x])`: a negative size counts from the end.
fn resized(call: &Call<'_>) -> Result<ArrayRef> {
    let sizes = call.ints(1)?;
    let ColumnType::Array(of) = call.ty else { return call.array(0) };
    let fallback = filler(of)?;
    let extra = if call.len() > 2 { Some(call.cast(2, &of.query_type())?) } else { None };
    let mut meter = call.meter();
    each(call, |values, row| {
        let values = cast(&values, &of.query_type())?;
        let from_end = sizes.value(row) < 0;
        let size = bounded(sizes.value(row).saturating_abs())?;
        // Every item may be the last one's copy.
        let largest = extra.as_ref().map_or(0, |extra| copied_bytes(&extra.slice(row, 1)));
        meter.take(copied_bytes(&values) + size * largest.max(item_bytes(values.data_type())))?;
        let filler = extra.as_ref().map_or_else(|| Arc::clone(&fallback), |extra| extra.slice(row, 1));
        let joined = concat_arrays(&[values.as_ref(), filler.as_ref()])?;
        let place = |at: usize| match from_end {
            true => (values.len() + at).checked_sub(size).unwrap_or(values.len()),
            false => at.min(values.len()),
        };
        picked(&joined, (0..size).map(place))
    })
}

fn constant(call: &Call<'_>) -> Result<ArrayRef> {
    let (sizes, values) = (call.ints(0)?, call.array(1)?);
    let mut meter = call.meter();
    let rows: Result<Vec<ArrayRef>> = (0..call.rows)
        .map(|row| {
            let size = bounded(sizes.value(row))?;
            meter.take(size * copied_bytes(&values.slice(row, 1)))?;
            picked(&values, std::iter::repeat_n(row, size))
        })
        .collect();
    of_rows(call.ty, rows?)
}

/// `__array_shift(a, n, rotate)`: to the left by n, what falls out comes back or is the zero value.
fn shifted(call: &Call<'_>) -> Result<ArrayRef> {
    let (by, rotate) = (call.ints(1)?, call.ints(2)?);
    let ColumnType::Array(of) = call.ty else { return call.array(0) };
    let fallback = filler(of)?;
    each(call, |values, row| {
        let (size, by) = (values.len() as i64, by.value(row));
        let joined = concat_arrays(&[values.as_ref(), cast(&fallback, values.data_type())?.as_ref()])?;
        let rotates = rotate.value(row) == 1;
        picked(
            &joined,
            (0..size).map(|at| match at.saturating_add(by) {
                from if rotates => from.rem_euclid(size) as usize,
                from if (0..size).contains(&from) => from as usize,
                _ => size as usize,
            }),
        )
    })
}

fn product(call: &Call<'_>) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let products: Result<Float64Array> = (0..list.len())
        .map(|row| {
            let items = numbers(&list.value(row))?;
            Ok(Some(if items.is_empty() { 0.0 } else { items.iter().flatten().product::<f64>() }))
        })
        .collect();
    Ok(Arc::new(products?))
}

/// `arrayReduce('sum', a)`: the function of arrays that does the same.
fn reduce(args: Vec<Expr>) -> zepto_common::Result<Expr> {
    let refused = |name: &str| {
        let message = format!("arrayReduce knows sum, min, max, avg, count, uniq and any, not {name}");
        Error::new(ErrorCode::NotImplemented, message)
    };
    let [Expr::Value(name), array] = args.as_slice() else { return Err(refused("this")) };
    let Value::SingleQuotedString(name) = &name.value else { return Err(refused("this")) };
    let function = match name.as_str() {
        "sum" => "arraySum",
        "min" => "arrayMin",
        "max" => "arrayMax",
        "avg" => {
            return parse_template(
                "arrayReduce",
                "if(empty($1), 0 / 0, arrayAvg($1))",
                std::slice::from_ref(array),
            );
        }
        "count" => "length",
        "uniq" | "uniqExact" => "length",
        "any" => return Ok(ast_call("arrayElement", vec![array.clone(), super::rewrites::number(1)])),
        other => return Err(refused(other)),
    };
    let distinct = name.starts_with("uniq");
    let array = if distinct { ast_call("arrayDistinct", vec![array.clone()]) } else { array.clone() };
    Ok(ast_call(function, vec![array]))
}

macro_rules! array_row {
    ($name:literal, $aliases:expr, $syntax:literal, $about:literal, $count:expr, $returns:expr, $body:expr) => {
        row($name, $aliases, $syntax, $about, Plan::Scalar(Scalar::pure($count, $returns, $body)))
    };
}

macro_rules! empty_array {
    ($name:literal, $sql:literal) => {
        row($name, &[], concat!($name, "()"), "An array without items.", Plan::Sql($sql))
    };
}

/// Shapes, sets and sums of arrays.
pub(crate) const ROWS: &[Row] = &[
    array_row!(
        "arrayZip",
        &[],
        "arrayZip(a, b, …)",
        "The items side by side as tuples.",
        (1, MANY),
        zip_type,
        zip
    ),
    array_row!(
        "arrayEnumerate",
        &[],
        "arrayEnumerate(a)",
        "1, 2, 3 … for the items.",
        (1, 1),
        |args| item(args, 0).map(|_| array_of(ColumnType::UInt32)),
        |call| enumerate(call, false)
    ),
    array_row!(
        "arrayEnumerateUniq",
        &[],
        "arrayEnumerateUniq(a)",
        "For each item the how-manieth of its value it is.",
        (1, 1),
        |args| item(args, 0).map(|_| array_of(ColumnType::UInt32)),
        |call| enumerate(call, true)
    ),
    row("arrayPopBack", &[], "arrayPopBack(a)", "Without the last item.", Plan::Sql("arraySlice($1, 1, -1)")),
    row("arrayPopFront", &[], "arrayPopFront(a)", "Without the first item.", Plan::Sql("arraySlice($1, 2)")),
    array_row!(
        "arrayCompact",
        &[],
        "arrayCompact(a)",
        "Of equal neighbours the first.",
        (1, 1),
        first_array,
        compact
    ),
    array_row!(
        "arrayFlatten",
        &["flatten"],
        "arrayFlatten(a)",
        "The items of arrays in arrays.",
        (1, 1),
        |args| item(args, 0).map(|_| flat_type(args.base(0))),
        flatten
    ),
    array_row!(
        "arrayIntersect",
        &[],
        "arrayIntersect(a, b, …)",
        "The items that all arrays have.",
        (1, MANY),
        first_array,
        intersect
    ),
    row(
        "hasAll",
        &[],
        "hasAll(a, b)",
        "Whether a has all items of b.",
        Plan::Scalar(Scalar::test((2, 2), |call| contains(call, true))),
    ),
    row(
        "hasAny",
        &[],
        "hasAny(a, b)",
        "Whether a has an item of b.",
        Plan::Scalar(Scalar::test((2, 2), |call| contains(call, false))),
    ),
    array_row!(
        "arrayCumSum",
        &[],
        "arrayCumSum([x -> …,] a)",
        "Sums up to each item.",
        (1, 1),
        |args| Ok(array_of(sum_type(&number_item(args)?))),
        running_sum
    ),
    array_row!(
        "arrayDifference",
        &[],
        "arrayDifference([x -> …,] a)",
        "Each item less the one before.",
        (1, 1),
        difference_type,
        differences
    ),
    array_row!(
        "arrayResize",
        &[],
        "arrayResize(a, n[, x])",
        "Cut or filled to n items.",
        (2, 3),
        first_array,
        resized
    ),
    array_row!(
        "arrayWithConstant",
        &[],
        "arrayWithConstant(n, x)",
        "x n times.",
        (2, 2),
        |args| Ok(array_of(args.ty(1))),
        constant
    ),
    row(
        "replicate",
        &[],
        "replicate(x, a)",
        "x as often as a has items.",
        Plan::Sql("arrayWithConstant(length($2), $1)"),
    ),
    array_row!("__array_shift", &[], "", "", (3, 3), first_array, shifted),
    row(
        "arrayRotateLeft",
        &[],
        "arrayRotateLeft(a, n)",
        "Turned to the left.",
        Plan::Sql("__array_shift($1, toInt64($2), 1)"),
    ),
    row(
        "arrayRotateRight",
        &[],
        "arrayRotateRight(a, n)",
        "Turned to the right.",
        Plan::Sql("__array_shift($1, negate(toInt64($2)), 1)"),
    ),
    row(
        "arrayShiftLeft",
        &[],
        "arrayShiftLeft(a, n)",
        "Moved to the left, behind are zero values or NULL.",
        Plan::Sql("__array_shift($1, toInt64($2), 0)"),
    ),
    row(
        "arrayShiftRight",
        &[],
        "arrayShiftRight(a, n)",
        "Moved to the right, before are zero values or NULL.",
        Plan::Sql("__array_shift($1, negate(toInt64($2)), 0)"),
    ),
    row(
        "arrayPartialSort",
        &[],
        "arrayPartialSort(n, a)",
        "Sorted; here as a whole.",
        Plan::Sql("arraySort($2)"),
    ),
    array_row!(
        "arrayProduct",
        &[],
        "arrayProduct([x -> …,] a)",
        "Product of the items.",
        (1, 1),
        |_| Ok(ColumnType::Float64),
        product
    ),
    row(
        "arrayReduce",
        &[],
        "arrayReduce('sum', a)",
        "sum, min, max, avg, count, uniq or any of the items.",
        Plan::Ast(reduce),
    ),
    row(
        "arrayElementOrNull",
        &[],
        "arrayElementOrNull(a, i)",
        "Element i; NULL when it is not there.",
        Plan::Sql("if($2 != 0 AND abs($2) <= length($1), toNullable(arrayElement($1, $2)), NULL)"),
    ),
    empty_array!("emptyArrayUInt8", "CAST(array(), 'Array(UInt8)')"),
    empty_array!("emptyArrayUInt64", "CAST(array(), 'Array(UInt64)')"),
    empty_array!("emptyArrayInt64", "CAST(array(), 'Array(Int64)')"),
    empty_array!("emptyArrayFloat64", "CAST(array(), 'Array(Float64)')"),
    empty_array!("emptyArrayString", "CAST(array(), 'Array(String)')"),
];
