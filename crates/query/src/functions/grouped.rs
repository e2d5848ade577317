//! Aggregates that are a function of a group's values: the values are gathered as an array, in the order in which they
//! come, and a scalar reads it. NULLs are not among them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::arrays::{item, list, of_rows, order, picked};
use super::convert::{OnFault, convert};
use super::render;
use super::scalar::{Arguments, Call, Scalar, fault};
use super::{Plan, Row, row};
use crate::semantics::numbers::{is_whole, sum_type};

/// The items of one row as floats.
fn floats(items: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(items, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// A float of each row's numbers.
fn of_numbers(call: &Call<'_>, body: fn(&[f64]) -> f64) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let values: Result<Float64Array> =
        (0..list.len()).map(|row| Ok(Some(body(floats(&list.value(row))?.values())))).collect();
    Ok(Arc::new(values?))
}

/// The pairs of one row; those with a NULL are left out.
fn pairs(list: &ListArray, row: usize) -> Result<Vec<(f64, f64)>> {
    let items = list.value(row);
    let columns = items.as_struct().columns();
    let [left, right] = columns else {
        return Err(fault(ErrorCode::LogicalError, "Pairs have two values"));
    };
    let (left, right) = (floats(left)?, floats(right)?);
    Ok(left.iter().zip(&right).filter_map(|(left, right)| Some((left?, right?))).collect())
}

/// A float of each row's pairs.
fn of_pairs(call: &Call<'_>, body: fn(&[(f64, f64)]) -> f64) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let values: Result<Float64Array> =
        (0..list.len()).map(|row| Ok(Some(body(&pairs(&list, row)?)))).collect();
    Ok(Arc::new(values?))
}

/// The moment of order `power` about the mean, as a sum.
fn central(values: &[f64], power: i32) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(power)).sum()
}

/// Third or fourth moment by the power of the second; with `sample` by the variance of a sample.
fn shape(values: &[f64], power: i32, sample: bool) -> f64 {
    let count = values.len() as f64;
    let divisor = if sample { count - 1.0 } else { count };
    let variance = central(values, 2) / divisor;
    if values.is_empty() || divisor <= 0.0 || variance <= 0.0 {
        return f64::NAN;
    }
    central(values, power) / count / variance.powf(f64::from(power) / 2.0)
}

/// Slope of the line through the first and the last point by x.
fn bounding_ratio(points: &[(f64, f64)]) -> f64 {
    let by_x = |a: &&(f64, f64), b: &&(f64, f64)| a.0.total_cmp(&b.0);
    match (points.iter().min_by(by_x), points.iter().rev().max_by(by_x)) {
        (Some(first), Some(last)) => (last.1 - first.1) / (last.0 - first.0),
        _ => f64::NAN,
    }
}

/// Means of (y, x), and sums of squares about them.
struct Line {
    mean_x: f64,
    mean_y: f64,
    xx: f64,
    yy: f64,
    xy: f64,
}

fn line(points: &[(f64, f64)]) -> Line {
    let count = points.len() as f64;
    let mean_y = points.iter().map(|(y, _)| y).sum::<f64>() / count;
    let mean_x = points.iter().map(|(_, x)| x).sum::<f64>() / count;
    let sum = |body: fn(f64, f64) -> f64| points.iter().map(|(y, x)| body(x - mean_x, y - mean_y)).sum();
    Line { mean_x, mean_y, xx: sum(|x, _| x * x), yy: sum(|_, y| y * y), xy: sum(|x, y| x * y) }
}

fn slope(points: &[(f64, f64)]) -> f64 {
    let line = line(points);
    line.xy / line.xx
}

fn intercept(points: &[(f64, f64)]) -> f64 {
    let line = line(points);
    line.mean_y - line.xy / line.xx * line.mean_x
}

fn explained(points: &[(f64, f64)]) -> f64 {
    let line = line(points);
    // Without two places there is no line.
    if points.is_empty() || line.xx == 0.0 {
        return f64::NAN;
    }
    if line.yy == 0.0 { 1.0 } else { line.xy * line.xy / (line.xx * line.yy) }
}

/// The type of the items of argument 0.
fn item_of(call: &Call<'_>) -> Result<ColumnType> {
    match call.base(0) {
        ColumnType::Array(of) => Ok(of.inner().clone()),
        other => Err(fault(ErrorCode::LogicalError, format!("Expected gathered values, not {other}"))),
    }
}

/// Each difference to the value before that is above zero.
fn delta_sum(call: &Call<'_>) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let rows: Result<Vec<ArrayRef>> = (0..list.len())
        .map(|row| {
            let items = list.value(row);
            if is_whole(call.ty.inner()) {
                let from = item_of(call)?;
                let numbers = convert(&items, &from, &ColumnType::Int64, OnFault::Error)?;
                let numbers = numbers.as_primitive::<Int64Type>();
                let steps = numbers.values().windows(2).map(|pair| pair[1].wrapping_sub(pair[0]).max(0));
                let sum = steps.fold(0_i64, i64::wrapping_add);
                let sum: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![sum]));
                return convert(&sum, &ColumnType::Int64, call.ty, OnFault::Error);
            }
            let numbers = floats(&items)?;
            let steps = numbers.values().windows(2).map(|pair| (pair[1] - pair[0]).max(0.0));
            let sum = steps.fold(0.0, |sum, step| sum + step);
            Ok(cast(&Float64Array::from(vec![sum]), &call.ty.query_type())?)
        })
        .collect();
    joined(call.ty, &rows?)
}

/// Shannon's entropy in bits.
fn entropy(call: &Call<'_>) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let ColumnType::Array(of) = call.base(0) else { return call.array(0) };
    let values: Result<Float64Array> = (0..list.len())
        .map(|row| {
            let texts = render::texts(&list.value(row), &of)?;
            let mut counts: HashMap<&str, u64> = HashMap::new();
            texts.iter().flatten().for_each(|text| *counts.entry(text).or_default() += 1);
            let total: u64 = counts.values().sum();
            // Sorted, so that the same counts give the same last digit.
            let mut counts: Vec<u64> = counts.into_values().collect();
            counts.sort_unstable();
            let shares = counts.into_iter().map(|count| count as f64 / total as f64);
            Ok(Some(0.0 - shares.map(|share| share * share.log2()).sum::<f64>()))
        })
        .collect();
    Ok(Arc::new(values?))
}

/// Pairs of value and time, each weighted by 2 to the half-lives since it.
fn moving_average(call: &Call<'_>) -> Result<ArrayRef> {
    let (list, half_lives) = (list(call, 0)?, call.floats(1)?);
    let values: Result<Float64Array> = (0..list.len())
        .map(|row| {
            let (points, half_life) = (pairs(&list, row)?, half_lives.value(row));
            let last = points.iter().map(|(_, time)| *time).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 =
                points.iter().map(|(value, time)| value * ((time - last) / half_life).exp2()).sum();
            Ok(Some(sum * (1.0 - (-1.0 / half_life).exp2())))
        })
        .collect();
    Ok(Arc::new(values?))
}

/// The place of a level among sorted values.
type Place = fn(f64, usize) -> usize;

fn level_place(level: f64, count: usize) -> usize {
    if level < 1.0 { (level * count as f64) as usize } else { count.saturating_sub(1) }
}

fn low_place(level: f64, count: usize) -> usize {
    match level == 0.5 {
        true if count % 2 == 1 => count / 2,
        true => (count / 2).saturating_sub(1),
        false => level_place(level, count),
    }
}

/// The value at one level.
fn at_level(call: &Call<'_>, place: Place) -> Result<ArrayRef> {
    let (list, levels) = (list(call, 0)?, call.floats(1)?);
    let mut rows = Vec::with_capacity(list.len());
    for row in 0..list.len() {
        let items = list.value(row);
        let sorted = order(&items, false)?;
        rows.push(match sorted.is_empty() {
            true if items.data_type().is_floating() => {
                cast(&Float64Array::from(vec![f64::NAN]), items.data_type())?
            }
            true => crate::semantics::numbers::zero(call.ty)?.to_array_of_size(1)?,
            false => picked(&items, sorted.get(place(levels.value(row), sorted.len())).copied().into_iter())?,
        });
    }
    joined(call.ty, &rows)
}

/// The value that is left when each other value takes one of its repetitions away (Boyer and Moore's majority vote).
fn any_heavy(call: &Call<'_>) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let ColumnType::Array(of) = call.base(0) else { return call.array(0) };
    let rows: Result<Vec<ArrayRef>> = (0..list.len())
        .map(|row| {
            let items = list.value(row);
            let texts = render::texts(&items, &of)?;
            let (mut heavy, mut votes) = (None, 0_usize);
            for at in 0..items.len() {
                if heavy.is_some_and(|heavy: usize| texts.value(heavy) == texts.value(at)) {
                    votes += 1;
                } else if votes == 0 {
                    (heavy, votes) = (Some(at), 1);
                } else {
                    votes -= 1;
                }
            }
            match heavy {
                Some(heavy) => picked(&items, std::iter::once(heavy)),
                None => crate::semantics::numbers::zero(call.ty)?.to_array_of_size(1),
            }
        })
        .collect();
    joined(call.ty, &rows?)
}

/// One value of each row.
fn joined(ty: &ColumnType, rows: &[ArrayRef]) -> Result<ArrayRef> {
    let sources: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
    Ok(match sources.is_empty() {
        true => arrow::array::new_empty_array(&ty.query_type()),
        false => arrow::compute::concat(&sources)?,
    })
}

/// Sums of the values up to each one.
fn moving_sums(call: &Call<'_>) -> Result<ArrayRef> {
    let list = list(call, 0)?;
    let ColumnType::Array(sum) = call.ty else { return call.array(0) };
    let ColumnType::Array(of) = call.base(0) else { return call.array(0) };
    let rows: Result<Vec<ArrayRef>> = (0..list.len())
        .map(|row| {
            let items = convert(&list.value(row), &of, sum, OnFault::Error)?;
            if is_whole(sum) {
                let numbers = convert(&items, sum, &ColumnType::Int64, OnFault::Error)?;
                let sums = numbers.as_primitive::<Int64Type>().values().iter().scan(0_i64, |sum, value| {
                    *sum = sum.wrapping_add(*value);
                    Some(*sum)
                });
                let sums: ArrayRef = Arc::new(arrow::array::Int64Array::from_iter_values(sums));
                return convert(&sums, &ColumnType::Int64, sum, OnFault::Error);
            }
            let numbers = floats(&items)?;
            let sums = numbers.values().iter().scan(0.0, |sum, value| {
                *sum += value;
                Some(*sum)
            });
            Ok(Arc::new(Float64Array::from_iter_values(sums)) as ArrayRef)
        })
        .collect();
    of_rows(call.ty, rows?)
}

fn sums_type(args: &Arguments<'_>) -> Result<ColumnType> {
    Ok(ColumnType::Array(Box::new(sum_type(&item(args, 0)?))))
}

const FLOAT: fn(&Arguments<'_>) -> Result<ColumnType> = |_| Ok(ColumnType::Float64);

macro_rules! by {
    ($name:literal, $syntax:literal, $about:literal, $template:literal) => {
        row($name, &[], $syntax, $about, Plan::AggregateSql($template))
    };
}

macro_rules! inner {
    ($name:literal, $count:expr, $returns:expr, $body:expr) => {
        row($name, &[], "", "", Plan::Scalar(Scalar::pure($count, $returns, $body)))
    };
}

/// Aggregates by their gathered values.
pub(crate) const ROWS: &[Row] = &[
    // An aggregate's answer, Nullable where the values were, and NULL where there was none.
    inner!("__of_values", (2, 2), |args| Ok(args.ty(0)), |call| call.array(0)),
    row(
        "uniqCombined",
        &["uniqCombined64"],
        "uniqCombined(x)",
        "How many different values; exact.",
        Plan::AggregateSql("__of_values(count(DISTINCT $1), any($1))"),
    ),
    by!(
        "anyHeavy",
        "anyHeavy(x)",
        "The value that more than half of the rows have, if there is one.",
        "__of_values(__any_heavy(groupArray($1)), any($1))"
    ),
    inner!("__any_heavy", (1, 1), |args| item(args, 0), any_heavy),
    by!("deltaSum", "deltaSum(x)", "Sum of the rises from value to value.", "__delta_sum(groupArray($1))"),
    inner!("__delta_sum", (1, 1), |args| item(args, 0), delta_sum),
    by!("skewPop", "skewPop(x)", "Skewness.", "__of_values(__skew_pop(groupArray(toFloat64($1))), any($1))"),
    inner!("__skew_pop", (1, 1), FLOAT, |call| of_numbers(call, |values| shape(values, 3, false))),
    by!(
        "skewSamp",
        "skewSamp(x)",
        "Skewness of a sample.",
        "__of_values(__skew_samp(groupArray(toFloat64($1))), any($1))"
    ),
    inner!("__skew_samp", (1, 1), FLOAT, |call| of_numbers(call, |values| shape(values, 3, true))),
    by!("kurtPop", "kurtPop(x)", "Kurtosis.", "__of_values(__kurt_pop(groupArray(toFloat64($1))), any($1))"),
    inner!("__kurt_pop", (1, 1), FLOAT, |call| of_numbers(call, |values| shape(values, 4, false))),
    by!(
        "kurtSamp",
        "kurtSamp(x)",
        "Kurtosis of a sample.",
        "__of_values(__kurt_samp(groupArray(toFloat64($1))), any($1))"
    ),
    inner!("__kurt_samp", (1, 1), FLOAT, |call| of_numbers(call, |values| shape(values, 4, true))),
    by!(
        "boundingRatio",
        "boundingRatio(x, y)",
        "Slope from the first point to the last.",
        "__of_values(__bounding_ratio(groupArray(tuple(toFloat64($1), toFloat64($2)))), any(toFloat64($1) + toFloat64($2)))"
    ),
    inner!("__bounding_ratio", (1, 1), FLOAT, |call| of_pairs(call, bounding_ratio)),
    by!(
        "entropy",
        "entropy(x)",
        "Shannon's entropy in bits.",
        "__of_values(__entropy(groupArray($1)), any($1))"
    ),
    inner!("__entropy", (1, 1), FLOAT, entropy),
    by!(
        "exponentialMovingAverage",
        "exponentialMovingAverage(half_life)(x, ts)",
        "Mean whose weights halve with each half-life.",
        "__moving_average(groupArray(tuple(toFloat64($1), toFloat64($2))), $3)"
    ),
    inner!("__moving_average", (2, 2), FLOAT, moving_average),
    by!(
        "regr_slope",
        "regr_slope(y, x)",
        "Slope of the line of least squares.",
        "__of_values(__regr_slope(groupArray(tuple(toFloat64($1), toFloat64($2)))), any(toFloat64($1) + toFloat64($2)))"
    ),
    inner!("__regr_slope", (1, 1), FLOAT, |call| of_pairs(call, slope)),
    by!(
        "regr_intercept",
        "regr_intercept(y, x)",
        "Where that line crosses x = 0.",
        "__of_values(__regr_intercept(groupArray(tuple(toFloat64($1), toFloat64($2)))), any(toFloat64($1) + toFloat64($2)))"
    ),
    inner!("__regr_intercept", (1, 1), FLOAT, |call| of_pairs(call, intercept)),
    by!(
        "regr_r2",
        "regr_r2(y, x)",
        "How much of y that line explains.",
        "__of_values(__regr_r2(groupArray(tuple(toFloat64($1), toFloat64($2)))), any(toFloat64($1) + toFloat64($2)))"
    ),
    inner!("__regr_r2", (1, 1), FLOAT, |call| of_pairs(call, explained)),
    by!("sumKahan", "sumKahan(x)", "Sum of floats.", "sum(toFloat64($1))"),
    by!(
        "uniqUpTo",
        "uniqUpTo(n)(x)",
        "How many different values, at most n + 1.",
        "toUInt64(least(count(DISTINCT $1), 11))"
    ),
    row("__uniq_up_to_of", &[], "", "", Plan::AggregateSql("toUInt64(least(count(DISTINCT $1), $2 + 1))")),
    by!(
        "quantileExactLow",
        "quantileExactLow(level)(x)",
        "The element at a level; of two in the middle the lower.",
        "__of_values(__at_level_low(groupArray($1), $2), any($1))"
    ),
    inner!("__at_level_low", (2, 2), |args| item(args, 0), |call| at_level(call, low_place)),
    by!(
        "medianExactLow",
        "medianExactLow(x)",
        "The lower middle element.",
        "__of_values(__at_level_low(groupArray($1), 0.5), any($1))"
    ),
    by!(
        "quantileExactHigh",
        "quantileExactHigh(level)(x)",
        "The element at a level.",
        "__of_values(__at_level(groupArray($1), $2), any($1))"
    ),
    by!(
        "medianExactHigh",
        "medianExactHigh(x)",
        "The upper middle element.",
        "__of_values(__at_level(groupArray($1), 0.5), any($1))"
    ),
    inner!("__at_level", (2, 2), |args| item(args, 0), |call| at_level(call, level_place)),
    by!("sumArray", "sumArray(a)", "Sum of the arrays' items.", "arraySum(arrayFlatten(groupArray($1)))"),
    by!(
        "avgArray",
        "avgArray(a)",
        "Mean of the arrays' items.",
        "arrayReduce('avg', arrayFlatten(groupArray($1)))"
    ),
    by!("minArray", "minArray(a)", "The least item.", "arrayMin(arrayFlatten(groupArray($1)))"),
    by!("maxArray", "maxArray(a)", "The greatest item.", "arrayMax(arrayFlatten(groupArray($1)))"),
    by!("groupArrayLast", "groupArrayLast(n)(x)", "The last n values.", "arraySlice(groupArray($1), -($2))"),
    by!(
        "groupArrayMovingSum",
        "groupArrayMovingSum(x)",
        "Sums up to each value.",
        "__moving_sums(groupArray($1))"
    ),
    inner!("__moving_sums", (1, 1), sums_type, moving_sums),
];
