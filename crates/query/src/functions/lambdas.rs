//! Functions that take a lambda: `arrayMap(x -> …, a)` is computed, the others are functions of its result.
//!
//! DataFusion plans a lambda's body with the arrays' items as columns; here the body runs once over the items of
//! all rows. `arrayFilter(f, a)` is then a function of `a` and `arrayMap(f, a)`, and so are the rest: one line each in
//! [`BY_LAMBDA`].

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, take_arrays};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDF,
    HigherOrderUDFImpl, LambdaParametersProgress, ValueOrLambda, Volatility,
};
use sqlparser::ast::Expr;
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode};

use super::arrays::{each, item, list, of_rows, order, picked};
use super::convert::truth;
use super::meter::{Meter, copied_bytes};
use super::rewrites::{call, parse_template};
use super::scalar::{Arguments, Call, MANY, Scalar, column_of, fault, field_of};
use super::{Plan, Row, row};
use crate::constants::is_folding;
use crate::semantics::typed;

/// The name under which [`ArrayMap`] is registered.
pub(super) const ARRAY_MAP: &str = "arrayMap";

/// What a function with a lambda in front is: `$1` is the first array, `$2` what the lambda makes of the arrays.
const BY_LAMBDA: [(&str, &str); 21] = [
    ("arrayFilter", "__array_filter($1, $2)"),
    ("arrayExists", "__array_exists($2)"),
    ("arrayAll", "__array_all($2)"),
    ("arrayCount", "__array_count($2)"),
    ("arrayFirst", "arrayElement(__array_filter($1, $2), 1)"),
    ("arrayLast", "arrayElement(__array_filter($1, $2), -1)"),
    ("arrayFirstOrNull", "arrayElementOrNull(__array_filter($1, $2), 1)"),
    ("arrayFirstIndex", "__array_place($2, 1)"),
    ("arrayLastIndex", "__array_place($2, -1)"),
    ("arraySum", "arraySum($2)"),
    ("arrayAvg", "arrayAvg($2)"),
    ("arrayMin", "arrayMin($2)"),
    ("arrayMax", "arrayMax($2)"),
    ("arrayProduct", "arrayProduct($2)"),
    ("arrayUniq", "arrayUniq($2)"),
    ("arrayCumSum", "arrayCumSum($2)"),
    ("arrayDifference", "arrayDifference($2)"),
    ("arraySort", "__array_sort($1, $2, 0)"),
    ("arrayReverseSort", "__array_sort($1, $2, 1)"),
    ("arrayFill", "__array_fill($1, $2)"),
    ("arraySplit", "__array_split($1, $2)"),
];

/// A call whose first argument is a lambda; None for functions that take none.
///
/// # Errors
/// No array behind the lambda.
pub(crate) fn with_lambda(name: &str, args: &[Expr]) -> zepto_common::Result<Option<Expr>> {
    let template = BY_LAMBDA.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let (Some((name, template)), Some(Expr::Lambda(_))) = (template, args.first()) else { return Ok(None) };
    let Some(first) = args.get(1) else {
        let message = format!("Function {name} needs an array behind the lambda");
        return Err(Error::new(ErrorCode::NumberOfArgumentsDoesntMatch, message));
    };
    let mapped = call(ARRAY_MAP, lambda_args(args.to_vec()));
    parse_template(name, template, &[first.clone(), mapped]).map(Some)
}

/// A lambda's result is a value like any other, and so are the arrays.
pub(crate) fn lambda_args(args: Vec<Expr>) -> Vec<Expr> {
    let typed_body = |arg| match arg {
        Expr::Lambda(mut lambda) => {
            lambda.body = Box::new(typed(*lambda.body));
            Expr::Lambda(lambda)
        }
        other => typed(other),
    };
    args.into_iter().map(typed_body).collect()
}

/// The function that runs lambdas.
pub(super) fn array_map() -> HigherOrderUDF {
    HigherOrderUDF::new_from_impl(ArrayMap {
        signature: HigherOrderSignature::user_defined(Volatility::Immutable),
    })
}

/// `arrayMap(lambda, a, b, …)`: the lambda of each place of the arrays.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayMap {
    signature: HigherOrderSignature,
}

fn needs_lambda() -> datafusion::common::DataFusionError {
    fault(ErrorCode::NumberOfArgumentsDoesntMatch, "Function arrayMap needs a lambda and one or more arrays")
}

impl HigherOrderUDFImpl for ArrayMap {
    fn name(&self) -> &str {
        ARRAY_MAP
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn lambda_parameters(
        &self,
        _: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let [ValueOrLambda::Lambda(_), arrays @ ..] = fields else { return Err(needs_lambda()) };
        if arrays.is_empty() {
            return Err(needs_lambda());
        }
        let items: Result<Vec<FieldRef>> = arrays
            .iter()
            .map(|array| match array {
                ValueOrLambda::Value(field) => match ColumnType::of_field(field).inner() {
                    ColumnType::Array(of) => Ok(Arc::new(field_of("x", of))),
                    other => {
                        let message = format!("Function arrayMap takes arrays, not {other}");
                        Err(fault(ErrorCode::IllegalTypeOfArgument, message))
                    }
                },
                ValueOrLambda::Lambda(_) => Err(needs_lambda()),
            })
            .collect();
        Ok(LambdaParametersProgress::Complete(vec![items?]))
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs<'_>) -> Result<FieldRef> {
        let Some(ValueOrLambda::Lambda(body)) = args.arg_fields.first() else { return Err(needs_lambda()) };
        let of = match ColumnType::of_field(body) {
            nothing if *nothing.inner() == ColumnType::Nothing => ColumnType::Nothing,
            of => of,
        };
        Ok(Arc::new(field_of(ARRAY_MAP, &ColumnType::Array(Box::new(of)))))
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let [ValueOrLambda::Lambda(lambda), arrays @ ..] = args.args.as_slice() else {
            return Err(needs_lambda());
        };
        let lists: Result<Vec<ListArray>> = arrays
            .iter()
            .map(|array| match array {
                ValueOrLambda::Value(value) => {
                    let array = value.to_array(args.number_rows)?;
                    array.as_list_opt::<i32>().cloned().ok_or_else(needs_lambda)
                }
                ValueOrLambda::Lambda(_) => Err(needs_lambda()),
            })
            .collect();
        let lists = lists?;
        let lengths = same_lengths(&lists)?;
        let items: Vec<ArrayRef> = lists.iter().map(reached).collect();
        let columns: Vec<_> = items.iter().map(|items| move || Ok(Arc::clone(items))).collect();
        let columns: Vec<&dyn Fn() -> Result<ArrayRef>> =
            columns.iter().map(|column| column as &dyn Fn() -> Result<ArrayRef>).collect();
        let total = lengths.iter().sum();
        let made = lambda.evaluate(&columns, |captured| {
            // The values around the lambda are copied for each item.
            let mut meter = if is_folding() { Meter::of_constants() } else { Meter::of_rows() };
            for (row, items) in lengths.iter().enumerate() {
                let one: usize = captured.iter().map(|column| copied_bytes(&column.slice(row, 1))).sum();
                meter.take(items.saturating_mul(one))?;
            }
            let rows = lengths.iter().enumerate().flat_map(|(row, n)| std::iter::repeat_n(row as u32, *n));
            Ok(take_arrays(captured, &UInt32Array::from_iter_values(rows), None)?)
        })?;
        let made = column_of(&made, total)?;
        let DataType::List(field) = args.return_field.data_type() else { return Err(needs_lambda()) };
        let made = if made.data_type() == field.data_type() { made } else { cast(&made, field.data_type())? };
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(ColumnarValue::Array(Arc::new(ListArray::try_new(Arc::clone(field), offsets, made, None)?)))
    }
}

/// The lengths of each row's arrays, which must agree.
fn same_lengths(lists: &[ListArray]) -> Result<Vec<usize>> {
    let lengths = |list: &ListArray| list.offsets().lengths().collect::<Vec<usize>>();
    let Some(first) = lists.first().map(lengths) else { return Err(needs_lambda()) };
    if lists.iter().skip(1).any(|list| lengths(list) != first) {
        let message = "All arrays of function arrayMap must have equal sizes";
        return Err(fault(ErrorCode::SizesOfArraysDontMatch, message));
    }
    Ok(first)
}

/// The items that the rows reach, without those that lie before or behind a slice.
fn reached(list: &ListArray) -> ArrayRef {
    let offsets = list.value_offsets();
    let (start, end) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
    list.values().slice(start, end - start)
}

/// Which items of argument `i`, an array of conditions, hold.
fn mask(call: &Call<'_>, i: usize) -> Result<(ListArray, BooleanArray)> {
    let list = list(call, i)?;
    let held = truth(list.values())?;
    Ok((list, held))
}

fn row_of(list: &ListArray, held: &BooleanArray, row: usize) -> Vec<bool> {
    let (start, length) = (list.value_offsets()[row] as usize, list.value_length(row) as usize);
    (start..start + length).map(|at| held.is_valid(at) && held.value(at)).collect()
}

/// Folds each row's conditions.
fn over_masks<T>(call: &Call<'_>, body: impl Fn(&[bool]) -> T) -> Result<Vec<T>> {
    let (list, held) = mask(call, 0)?;
    Ok((0..list.len()).map(|row| body(&row_of(&list, &held, row))).collect())
}

fn filtered(call: &Call<'_>) -> Result<ArrayRef> {
    let (list, held) = mask(call, 1)?;
    each(call, |values, row| {
        let keep = row_of(&list, &held, row);
        picked(&values, keep.into_iter().enumerate().filter(|(_, keep)| *keep).map(|(at, _)| at))
    })
}

/// Items whose condition does not hold take the value of the item before; the first stays.
fn fill(call: &Call<'_>) -> Result<ArrayRef> {
    let (list, held) = mask(call, 1)?;
    each(call, |values, row| {
        let mut last = 0;
        let sources: Vec<usize> = row_of(&list, &held, row)
            .into_iter()
            .enumerate()
            .map(|(at, keep)| {
                if keep || at == 0 {
                    last = at;
                }
                last
            })
            .collect();
        picked(&values, sources.into_iter())
    })
}

/// Cuts before each item whose condition holds.
fn split(call: &Call<'_>) -> Result<ArrayRef> {
    let (conditions, held) = mask(call, 1)?;
    let ColumnType::Array(inner) = call.ty else { return call.array(0) };
    let DataType::List(field) = inner.query_type() else { return call.array(0) };
    each(call, |values, row| {
        let mut lengths: Vec<usize> = Vec::new();
        for (at, cut) in row_of(&conditions, &held, row).into_iter().enumerate() {
            match lengths.last_mut() {
                Some(length) if !(cut && at > 0) => *length += 1,
                _ => lengths.push(1),
            }
        }
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(Arc::clone(&field), offsets, values, None)?))
    })
}

fn sorted_by(call: &Call<'_>) -> Result<ArrayRef> {
    let keys = list(call, 1)?;
    let descending = call.ints(2)?.iter().next().flatten() == Some(1);
    let items = list(call, 0)?;
    let rows: Result<Vec<ArrayRef>> = (0..keys.len())
        .map(|row| picked(&items.value(row), order(&keys.value(row), descending)?.into_iter()))
        .collect();
    of_rows(call.ty, rows?)
}

fn same_array(args: &Arguments<'_>) -> Result<ColumnType> {
    item(args, 0)?;
    Ok(args.base(0))
}

/// Conditions are numbers; a text is none.
fn check_mask(args: &Arguments<'_>, i: usize) -> Result<()> {
    match item(args, i)?.inner() {
        ColumnType::String | ColumnType::Symbol | ColumnType::Array(_) => {
            let message = "The lambda's result must be a condition (UInt8)";
            Err(fault(ErrorCode::IllegalTypeOfArgument, message))
        }
        _ => Ok(()),
    }
}

fn masked(args: &Arguments<'_>) -> Result<ColumnType> {
    check_mask(args, 1)?;
    same_array(args)
}

fn tests(call: &Call<'_>, body: fn(&[bool]) -> bool) -> Result<ArrayRef> {
    Ok(Arc::new(BooleanArray::from(over_masks(call, body)?)))
}

fn counts(call: &Call<'_>, body: impl Fn(&[bool]) -> usize) -> Result<ArrayRef> {
    Ok(Arc::new(UInt32Array::from_iter_values(over_masks(call, body)?.into_iter().map(|n| n as u32))))
}

fn place(call: &Call<'_>) -> Result<ArrayRef> {
    let last = call.ints(1)?.iter().next().flatten() == Some(-1);
    counts(call, |held| {
        let found = if last { held.iter().rposition(|h| *h) } else { held.iter().position(|h| *h) };
        found.map_or(0, |at| at + 1)
    })
}

fn alone(_: Vec<Expr>) -> zepto_common::Result<Expr> {
    let message = "The function needs a lambda and an array";
    Err(Error::new(ErrorCode::NumberOfArgumentsDoesntMatch, message))
}

macro_rules! lambda_row {
    ($name:literal, $syntax:literal, $about:literal) => {
        row($name, &[], $syntax, $about, Plan::Ast(alone))
    };
}

macro_rules! helper {
    ($name:literal, $count:expr, $returns:expr, $body:expr) => {
        row($name, &[], "", "", Plan::Scalar(Scalar::pure(($count, MANY), $returns, $body)))
    };
}

/// Functions with lambdas, and what they are made of.
pub(crate) const ROWS: &[Row] = &[
    row("arrayMap", &[], "arrayMap(x -> …, a, …)", "The lambda of each item.", Plan::Higher(array_map)),
    lambda_row!("arrayFilter", "arrayFilter(x -> …, a, …)", "The items for which the lambda holds."),
    lambda_row!(
        "arrayFirst",
        "arrayFirst(x -> …, a)",
        "The first item for which the lambda holds, or the zero value."
    ),
    lambda_row!(
        "arrayLast",
        "arrayLast(x -> …, a)",
        "The last item for which the lambda holds, or the zero value."
    ),
    lambda_row!("arrayFirstOrNull", "arrayFirstOrNull(x -> …, a)", "The first such item, or NULL."),
    lambda_row!("arrayFirstIndex", "arrayFirstIndex(x -> …, a)", "Its place from 1; 0 when there is none."),
    lambda_row!("arrayLastIndex", "arrayLastIndex(x -> …, a)", "Its place from 1; 0 when there is none."),
    lambda_row!(
        "arrayFill",
        "arrayFill(x -> …, a)",
        "Items for which the lambda does not hold become the item before."
    ),
    lambda_row!("arraySplit", "arraySplit(x -> …, a)", "Cuts before the items for which the lambda holds."),
    row(
        "arrayExists",
        &[],
        "arrayExists([x -> …,] a)",
        "Whether the lambda holds for one item.",
        Plan::Sql("__array_exists($1)"),
    ),
    row(
        "arrayAll",
        &[],
        "arrayAll([x -> …,] a)",
        "Whether the lambda holds for all items.",
        Plan::Sql("__array_all($1)"),
    ),
    row(
        "arrayCount",
        &[],
        "arrayCount([x -> …,] a)",
        "For how many items the lambda holds.",
        Plan::Sql("__array_count($1)"),
    ),
    helper!("__array_filter", 2, masked, filtered),
    helper!("__array_fill", 2, masked, fill),
    helper!("__array_split", 2, |args| Ok(ColumnType::Array(Box::new(masked(args)?))), split),
    helper!("__array_sort", 3, same_array, sorted_by),
    row(
        "__array_exists",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::test((1, 1), |call| tests(call, |held| held.iter().any(|h| *h)))),
    ),
    row(
        "__array_all",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::test((1, 1), |call| tests(call, |held| held.iter().all(|h| *h)))),
    ),
    helper!("__array_count", 1, |args| check_mask(args, 0).map(|()| ColumnType::UInt32), |call| counts(
        call,
        |held| held.iter().filter(|h| **h).count()
    )),
    helper!("__array_place", 2, |args| check_mask(args, 0).map(|()| ColumnType::UInt32), place),
];
