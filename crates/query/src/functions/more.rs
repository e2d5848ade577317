//! What dashboards and drivers use beside the topics of the other tables: checks, lookups, addresses, names of days,
//! and aggregates that are a function of a group's values.

mod readable;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListBuilder, StringViewBuilder, UInt32Array, UInt64Array,
};
use arrow::compute::{cast, interleave};
use arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::common::Result;
use datafusion::functions_aggregate::bit_and_or_xor as bits;
use sqlparser::ast::Expr;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::aggregates::of_bits;
use super::arrays::{item, list};
use super::calendar::civil_of;
use super::convert::{OnFault, convert, truth};
use super::render;
use super::rewrites::parse_template;
use super::scalar::{Arguments, Call, MANY, Scalar, fault};
use super::text::{compile, map};
use super::timestamps::{seconds, ticks, zone_of};
use super::{Plan, Row, row};
use crate::semantics::numbers::common;
use readable::{readable_quantity, readable_size};

fn throw_if(call: &Call<'_>) -> Result<ArrayRef> {
    let held = truth(&call.array(0)?)?;
    if held.iter().any(|held| held == Some(true)) {
        let message = call.literal_text(1).unwrap_or("Value passed to 'throwIf' function is non-zero");
        return Err(fault(ErrorCode::ThrowIfValueIsNonZero, message));
    }
    Ok(Arc::new(BooleanArray::from(vec![false; call.rows])))
}

/// `transform(x, from, to, default)`; without a default the value stays.
fn transform_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let other = if args.fields.len() > 3 { args.ty(3) } else { args.ty(0) };
    common(&[item(args, 2)?, other])
}

fn transform(call: &Call<'_>) -> Result<ArrayRef> {
    let (ColumnType::Array(from_type), ColumnType::Array(to_type)) = (call.base(1), call.base(2)) else {
        return Err(fault(ErrorCode::IllegalTypeOfArgument, "Function transform takes arrays"));
    };
    let (from, to) = (list(call, 1)?, list(call, 2)?);
    let other = if call.len() > 3 { 3 } else { 0 };
    let other = convert(&call.array(other)?, &call.base(other), call.ty, OnFault::Error)?;
    let values = convert(to.values(), &to_type, call.ty, OnFault::Error)?;
    let both = common(&[call.base(0), *from_type.clone()])?;
    let wanted = render::texts(&convert(&call.array(0)?, &call.base(0), &both, OnFault::Error)?, &both)?;
    let known = render::texts(&convert(from.values(), &from_type, &both, OnFault::Error)?, &both)?;
    let order: Vec<(usize, usize)> = (0..call.rows)
        .map(|row| {
            let (start, length) = (from.value_offsets()[row] as usize, from.value_length(row) as usize);
            let same = |at: &usize| {
                let (known, wanted) = ((&known, start + at), (&wanted, row));
                match (known.0.is_valid(known.1), wanted.0.is_valid(wanted.1)) {
                    (true, true) => known.0.value(known.1) == wanted.0.value(wanted.1),
                    (known, wanted) => known == wanted,
                }
            };
            let found = (0..length).find(same);
            found.map_or((1, row), |at| (0, to.value_offsets()[row] as usize + at))
        })
        .collect();
    Ok(interleave(&[values.as_ref(), other.as_ref()], &order)?)
}

/// All pieces that `body` makes of each text.
pub(super) fn lists(
    call: &Call<'_>,
    text: usize,
    body: impl Fn(&str, usize) -> Result<Vec<String>>,
) -> Result<ArrayRef> {
    let texts = call.texts(text)?;
    let item = Field::new("item", DataType::Utf8View, false);
    let mut out = ListBuilder::new(StringViewBuilder::new()).with_field(item);
    for row in 0..call.rows {
        if texts.is_valid(row) {
            body(texts.value(row), row)?.into_iter().for_each(|piece| out.values().append_value(piece));
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

fn extract_all(call: &Call<'_>) -> Result<ArrayRef> {
    let patterns = call.texts(1)?;
    lists(call, 0, |text, row| {
        let regex = compile(patterns.value(row))?;
        let mut found = Vec::new();
        for all in regex.captures_iter(text) {
            // A match of nothing ends the search.
            if all.get_match().is_empty() {
                break;
            }
            let part = all.get(usize::from(all.len() > 1));
            found.push(part.map_or_else(String::new, |part| part.as_str().to_owned()));
        }
        Ok(found)
    })
}

fn split_by_regex(call: &Call<'_>) -> Result<ArrayRef> {
    let patterns = call.texts(0)?;
    lists(call, 1, |text, row| {
        if patterns.value(row).is_empty() {
            return Ok(text.chars().map(String::from).collect());
        }
        let regex = compile(patterns.value(row))?;
        let (mut pieces, mut start) = (Vec::new(), 0);
        // A match of nothing ends the search.
        for found in regex.find_iter(text).take_while(|found| !found.is_empty()) {
            pieces.push(text[start..found.start()].to_owned());
            start = found.end();
        }
        pieces.push(text[start..].to_owned());
        Ok(pieces)
    })
}

fn any_of(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, needles) = (call.texts(0)?, list(call, 1)?);
    let needles_text = cast(needles.values(), &DataType::Utf8View)?;
    let needles_text = needles_text.as_string_view();
    let tests = (0..call.rows).map(|row| {
        let (start, length) = (needles.value_offsets()[row] as usize, needles.value_length(row) as usize);
        Some((start..start + length).any(|at| texts.value(row).contains(needles_text.value(at))))
    });
    Ok(Arc::new(tests.collect::<BooleanArray>()))
}

fn url_encoded(text: &str) -> String {
    let keep = |b: &u8| b.is_ascii_alphanumeric() || b"-_.~".contains(b);
    text.bytes().map(|b| if keep(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn url_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()).filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn unhexed(text: &str) -> String {
    let digits: Vec<u8> = text.bytes().collect();
    let bytes = digits.rchunks(2).rev().filter_map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

fn before_nth(text: &str, separator: &str, count: i64) -> String {
    let parts: Vec<&str> = text.split(separator).collect();
    let wanted = (count.unsigned_abs() as usize).min(parts.len());
    let kept = if count >= 0 { &parts[..wanted] } else { &parts[parts.len() - wanted..] };
    kept.join(separator)
}

fn readable(call: &Call<'_>, body: fn(f64) -> String) -> Result<ArrayRef> {
    let mut out = StringViewBuilder::new();
    for number in &call.floats(0)? {
        out.append_value(number.map(body).unwrap_or_default());
    }
    Ok(Arc::new(out.finish()))
}

/// Local seconds since 1970 of argument `i`.
fn local(call: &Call<'_>, i: usize) -> Result<Vec<Option<i64>>> {
    let (values, per_second) = ticks(&call.array(i)?)?;
    let mut zone = zone_of(&call.base(i))?;
    Ok(seconds(&values, per_second).iter().map(|utc| utc.map(|utc| zone.local(utc))).collect())
}

fn compact_time(call: &Call<'_>) -> Result<ArrayRef> {
    let numbers = local(call, 0)?.into_iter().map(|local| {
        let local = local?;
        let (year, month, day) = civil_of(local.div_euclid(86_400));
        let time = local.rem_euclid(86_400);
        let date = (year * 100 + month) * 100 + day;
        u64::try_from(((date * 100 + time / 3_600) * 100 + time / 60 % 60) * 100 + time % 60).ok()
    });
    Ok(Arc::new(numbers.collect::<UInt64Array>()))
}

fn day_number(call: &Call<'_>) -> Result<ArrayRef> {
    let days = local(call, 0)?.into_iter().map(|local| u32::try_from(local?.div_euclid(86_400)).ok());
    Ok(Arc::new(days.collect::<UInt32Array>()))
}

/// `timeSlot(ts[, zone])`.
fn time_slot(args: Vec<Expr>) -> zepto_common::Result<Expr> {
    let template = if args.len() == 2 { "__time_slot(toTimeZone($1, $2))" } else { "__time_slot($1)" };
    parse_template("timeSlot", template, &args)
}

fn slots(call: &Call<'_>) -> Result<ArrayRef> {
    let (values, per_second) = ticks(&call.array(0)?)?;
    let slot = 1_800 * per_second;
    let starts: arrow::array::Int64Array = values.unary(|tick| tick - tick.rem_euclid(slot));
    let ColumnType::DateTime(zone) = call.ty.inner() else {
        return Err(fault(ErrorCode::IllegalTypeOfArgument, "Function timeSlot takes a DateTime"));
    };
    Ok(super::timestamps::from_ticks(starts, arrow::datatypes::TimeUnit::Second, zone.clone()))
}

fn weighted_mean_pair(call: &Call<'_>) -> Result<ArrayRef> {
    let (a, b) = (call.array(0)?, call.array(1)?);
    let (a, b) = (a.as_struct(), b.as_struct());
    let sums: Result<Vec<ArrayRef>> = a
        .columns()
        .iter()
        .zip(b.columns())
        .map(|(a, b)| {
            let (a, b) = (cast(a, &DataType::Float64)?, cast(b, &DataType::Float64)?);
            let (a, b) = (a.as_primitive::<Float64Type>().clone(), b.as_primitive::<Float64Type>().clone());
            Ok(Arc::new(arrow::compute::binary::<_, _, _, Float64Type>(&a, &b, |a, b| a * b)?) as ArrayRef)
        })
        .collect();
    let sums = sums?;
    let total = (0..call.rows)
        .map(|row| sums.iter().map(|sum| sum.as_primitive::<Float64Type>().value(row)).sum::<f64>());
    Ok(cast(&arrow::array::Float64Array::from_iter_values(total), &call.ty.query_type())?)
}

const STRING: fn(&Arguments<'_>) -> Result<ColumnType> = |_| Ok(ColumnType::String);
const STRINGS: fn(&Arguments<'_>) -> Result<ColumnType> =
    |_| Ok(ColumnType::Array(Box::new(ColumnType::String)));

macro_rules! of_text {
    ($name:literal, $aliases:expr, $about:literal, $body:expr) => {
        row(
            $name,
            $aliases,
            concat!($name, "(s)"),
            $about,
            Plan::Scalar(Scalar::pure((1, 1), STRING, |call| {
                map(call, |text, _| Ok(Cow::Owned($body(text))))
            })),
        )
    };
}

macro_rules! scalar {
    ($name:literal, $syntax:literal, $about:literal, $count:expr, $returns:expr, $body:expr) => {
        row($name, &[], $syntax, $about, Plan::Scalar(Scalar::pure($count, $returns, $body)))
    };
}

/// The rest.
pub(crate) const ROWS: &[Row] = &[
    row(
        "__fill",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure((4, MANY), |args| Ok(args.ty(0)), |call| call.array(0)).own_nulls()),
    ),
    row(
        "throwIf",
        &[],
        "throwIf(condition[, message])",
        "An error when the condition holds, else 0.",
        Plan::Scalar(Scalar::test((1, 2), throw_if).own_nulls()),
    ),
    row(
        "transform",
        &[],
        "transform(x, from, to[, default])",
        "The item of `to` at the place of x in `from`.",
        Plan::Scalar(Scalar::pure((3, 4), transform_type, transform).own_nulls()),
    ),
    scalar!(
        "dotProduct",
        "dotProduct(a, b)",
        "Sum of products of two tuples.",
        (2, 2),
        |args| match args.base(0) {
            ColumnType::Tuple(of) => {
                let first = of.first().cloned().unwrap_or(ColumnType::UInt8);
                let product = crate::semantics::numbers::sum(&first, &first, false);
                Ok(crate::semantics::numbers::sum(&product, &product, false))
            }
            other => Err(fault(ErrorCode::IllegalTypeOfArgument, format!("Expected a tuple, not {other}"))),
        },
        weighted_mean_pair
    ),
    of_text!("reverseUTF8", &[], "The characters from the last on.", |text: &str| text
        .chars()
        .rev()
        .collect::<String>()),
    of_text!("encodeURLComponent", &[], "Escaped for a URL.", url_encoded),
    of_text!("decodeURLComponent", &[], "What %41 and its like stand for.", url_decoded),
    of_text!("unhex", &[], "The text of hexadecimal digits.", unhexed),
    of_text!("toValidUTF8", &[], "The text; it is always valid here.", str::to_owned),
    row(
        "isValidUTF8",
        &[],
        "isValidUTF8(s)",
        "1: texts are always valid here.",
        Plan::Sql("toUInt8(length($1) >= 0)"),
    ),
    scalar!(
        "extractAll",
        "extractAll(s, pattern)",
        "Each match, or its first group.",
        (2, 2),
        STRINGS,
        extract_all
    ),
    scalar!(
        "splitByRegexp",
        "splitByRegexp(pattern, s)",
        "The pieces between matches.",
        (2, 2),
        STRINGS,
        split_by_regex
    ),
    row(
        "multiSearchAny",
        &[],
        "multiSearchAny(s, needles)",
        "Whether one of the needles is there.",
        Plan::Scalar(Scalar::test((2, 2), any_of)),
    ),
    scalar!(
        "substringIndex",
        "substringIndex(s, separator, n)",
        "What stands before the n-th separator.",
        (3, 3),
        STRING,
        |call| {
            let (separators, counts) = (call.texts(1)?, call.ints(2)?);
            map(call, |text, row| Ok(Cow::Owned(before_nth(text, separators.value(row), counts.value(row)))))
        }
    ),
    scalar!(
        "formatReadableSize",
        "formatReadableSize(bytes)",
        "Bytes with a unit of 1024.",
        (1, 1),
        STRING,
        |call| readable(call, readable_size)
    ),
    scalar!(
        "formatReadableQuantity",
        "formatReadableQuantity(n)",
        "A number with thousand, million ….",
        (1, 1),
        STRING,
        |call| readable(call, readable_quantity)
    ),
    scalar!(
        "toYYYYMMDDhhmmss",
        "toYYYYMMDDhhmmss(ts)",
        "The time as a number like 20240102030405.",
        (1, 1),
        |_| Ok(ColumnType::UInt64),
        compact_time
    ),
    scalar!(
        "toRelativeDayNum",
        "toRelativeDayNum(ts)",
        "Days since 1970.",
        (1, 1),
        |_| Ok(ColumnType::UInt32),
        day_number
    ),
    row("timeSlot", &[], "timeSlot(ts[, zone])", "Start of the half hour.", Plan::Ast(time_slot)),
    scalar!("__time_slot", "", "", (1, 1), |args| Ok(args.base(0)), slots),
    row("monthName", &[], "monthName(ts)", "January to December.", Plan::Sql("formatDateTime($1, '%M')")),
    row(
        "groupBitAnd",
        &["BIT_AND"],
        "groupBitAnd(x)",
        "Bits that all values have.",
        Plan::Aggregate(|name| of_bits(name, bits::bit_and_udaf(), true)),
    ),
    row(
        "groupBitOr",
        &["BIT_OR"],
        "groupBitOr(x)",
        "Bits that one value has.",
        Plan::Aggregate(|name| of_bits(name, bits::bit_or_udaf(), false)),
    ),
    row(
        "groupBitXor",
        &["BIT_XOR"],
        "groupBitXor(x)",
        "Bits that an odd number of values have.",
        Plan::Aggregate(|name| of_bits(name, bits::bit_xor_udaf(), false)),
    ),
    row("__group_array_of", &[], "", "", Plan::AggregateSql("arraySlice(groupArray($1), 1, $2)")),
    row("__group_uniq_array_of", &[], "", "", Plan::AggregateSql("arraySlice(groupUniqArray($1), 1, $2)")),
    row(
        "groupConcat",
        &["group_concat"],
        "groupConcat[(separator)](x)",
        "The values as one text.",
        Plan::AggregateSql("__of_values(arrayStringConcat(groupArray(toString($1))), any($1))"),
    ),
    row(
        "__group_concat_by",
        &[],
        "",
        "",
        Plan::AggregateSql("__of_values(arrayStringConcat(groupArray(toString($1)), $2), any($1))"),
    ),
    row(
        "groupArraySorted",
        &[],
        "groupArraySorted(n)(x)",
        "The n least values.",
        Plan::AggregateSql("arraySlice(arraySort(groupArray($1)), 1, $2)"),
    ),
    row(
        "topK",
        &[],
        "topK[(n)](x)",
        "The n most frequent values, 10 without a number; exact.",
        Plan::AggregateSql("__top(groupArray($1), 10)"),
    ),
    row("__top_k_of", &[], "", "", Plan::AggregateSql("__top(groupArray($1), $2)")),
    row(
        "topKWeighted",
        &[],
        "topKWeighted[(n)](x, weight)",
        "The n values with the most weight; exact.",
        Plan::AggregateSql("__top_weighted(groupArray(tuple($1, $2)), 10)"),
    ),
    row(
        "__top_k_weighted_of",
        &[],
        "",
        "",
        Plan::AggregateSql("__top_weighted(groupArray(tuple($1, $2)), $3)"),
    ),
    row(
        "lttb",
        &["largestTriangleThreeBuckets"],
        "lttb(n)(x, y)",
        "The n points that keep the line's shape.",
        Plan::AggregateSql("__lttb(groupArray(tuple($1, $2)), $3)"),
    ),
];
