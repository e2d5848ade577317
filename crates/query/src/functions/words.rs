//! What analysts and dashboards write beside the topics of the other tables: addresses, words, distances of texts, parts
//! of times by name, roundings to given steps. Most are other functions in other words.

mod addresses;
mod calls;
mod hosts;
mod letters;
mod times;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, UInt8Array, UInt64Array};
use datafusion::common::Result;
use zepto_common::types::ColumnType;

use super::arrays::list;
use super::scalar::{Arguments, Call, Scalar};
use super::text::map;
use super::{Plan, Row, row};
pub(crate) use addresses::ROWS as ADDRESSES;
pub(crate) use calls::SETTING;
pub(super) use times::{week_mode, week_of};

const STRING: fn(&Arguments<'_>) -> Result<ColumnType> = |_| Ok(ColumnType::String);

macro_rules! sql {
    ($name:literal, $aliases:expr, $syntax:literal, $about:literal, $template:literal) => {
        row($name, $aliases, $syntax, $about, Plan::Sql($template))
    };
}

macro_rules! of_text {
    ($name:literal, $about:literal, $body:expr) => {
        row(
            $name,
            &[],
            concat!($name, "(s)"),
            $about,
            Plan::Scalar(Scalar::pure((1, 1), STRING, |call| {
                map(call, |text, _| Ok(Cow::Owned($body(text).to_owned())))
            })),
        )
    };
}

/// The distance of two texts.
fn distance(call: &Call<'_>, utf8: bool) -> Result<ArrayRef> {
    let (left, right) = (call.texts(0)?, call.texts(1)?);
    let distances: Result<UInt64Array> = left
        .iter()
        .zip(&right)
        .map(|pair| match pair {
            (Some(left), Some(right)) => letters::distance(left, right, utf8).map(Some),
            _ => Ok(None),
        })
        .collect();
    Ok(Arc::new(distances?))
}

/// `translate(s, from, to)`: letters for letters; those without a partner are left out.
fn translate(call: &Call<'_>) -> Result<ArrayRef> {
    let (from, to) = (call.texts(1)?, call.texts(2)?);
    map(call, |text, row| Ok(Cow::Owned(letters::translated(text, from.value(row), to.value(row)))))
}

fn bar(call: &Call<'_>) -> Result<ArrayRef> {
    let (values, least, most) = (call.floats(0)?, call.floats(1)?, call.floats(2)?);
    let widths = if call.len() > 3 { Some(call.floats(3)?) } else { None };
    let mut out = arrow::array::StringViewBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let width = widths.as_ref().map_or(80.0, |widths| widths.value(row));
        out.append_value(letters::bar(values.value(row), least.value(row), most.value(row), width)?);
    }
    Ok(Arc::new(out.finish()))
}

/// The greatest item that is not above x; the first when all are.
fn round_down(call: &Call<'_>) -> Result<ArrayRef> {
    let steps = list(call, 1)?;
    let wanted = super::arrays::item_field(&ColumnType::Array(Box::new(call.ty.inner().clone())))?;
    let values = call.cast(0, &arrow::datatypes::DataType::Float64)?;
    let values: &arrow::array::Float64Array = arrow::array::AsArray::as_primitive(&values);
    let picked: Result<Vec<ArrayRef>> = (0..call.rows)
        .map(|row| {
            let items = arrow::compute::cast(&steps.value(row), &arrow::datatypes::DataType::Float64)?;
            let items: &arrow::array::Float64Array = arrow::array::AsArray::as_primitive(&items);
            let order = super::arrays::order(&steps.value(row), false)?;
            let below = order.iter().rev().find(|at| items.value(**at) <= values.value(row));
            let at = below.or(order.first()).copied().unwrap_or(0);
            Ok(arrow::compute::cast(&steps.value(row).slice(at, 1), wanted.data_type())?)
        })
        .collect();
    let picked = picked?;
    let sources: Vec<&dyn arrow::array::Array> = picked.iter().map(AsRef::as_ref).collect();
    Ok(match sources.is_empty() {
        true => arrow::array::new_empty_array(wanted.data_type()),
        false => arrow::compute::concat(&sources)?,
    })
}

fn ngrams(call: &Call<'_>) -> Result<ArrayRef> {
    let lengths = call.ints(1)?;
    super::more::lists(call, 0, |text, row| letters::ngrams(text, lengths.value(row)))
}

/// Whether the argument is a constant.
fn is_constant(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(UInt8Array::from(vec![u8::from(call.literal(0).is_some()); call.rows])))
}

fn is_nullable(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(UInt8Array::from(vec![u8::from(call.fields[0].is_nullable()); call.rows])))
}

fn zero_of_argument(call: &Call<'_>) -> Result<ArrayRef> {
    crate::semantics::numbers::zero(call.ty)?.to_array_of_size(call.rows)
}

fn powers_of_two(call: &Call<'_>) -> Result<ArrayRef> {
    let numbers = call.ints(0)?;
    let powers =
        numbers.iter().map(|n| n.map(|n| if n <= 0 { 0 } else { 1_i64 << (63 - n.leading_zeros()) }));
    Ok(arrow::compute::cast(&powers.collect::<Int64Array>(), &call.ty.query_type())?)
}

fn not_matched(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, patterns) = (call.texts(0)?, call.texts(1)?);
    let tests: Result<BooleanArray> = texts
        .iter()
        .zip(&patterns)
        .map(|pair| match pair {
            (Some(text), Some(pattern)) => {
                super::text::compile(pattern).map(|regex| Some(!regex.is_match(text)))
            }
            _ => Ok(None),
        })
        .collect();
    Ok(Arc::new(tests?))
}

/// Functions in other words.
pub(crate) const ROWS: &[Row] = &[
    row(
        "concatWithSeparator",
        &["concat_ws", "concatWithSeparatorAssumeInjective"],
        "concatWithSeparator(separator, a, …)",
        "The values as text with a separator between them.",
        Plan::Ast(calls::joined),
    ),
    sql!("instr", &[], "instr(s, needle)", "position.", "position($1, $2)"),
    sql!("leftUTF8", &[], "leftUTF8(s, n)", "The first n characters.", "substringUTF8($1, 1, $2)"),
    sql!("rightUTF8", &[], "rightUTF8(s, n)", "The last n characters.", "substringUTF8($1, -($2))"),
    sql!(
        "countMatches",
        &[],
        "countMatches(s, pattern)",
        "How often a pattern matches.",
        "__count_matches($1, $2)"
    ),
    sql!(
        "matchCaseInsensitive",
        &[],
        "matchCaseInsensitive(s, pattern)",
        "match without regard to case.",
        "match($1, concat('(?i)', $2))"
    ),
    row(
        "notMatch",
        &[],
        "notMatch(s, pattern)",
        "Whether a pattern matches nowhere.",
        Plan::Scalar(Scalar::test((2, 2), not_matched)),
    ),
    sql!("startsWithUTF8", &[], "startsWithUTF8(s, prefix)", "startsWith.", "startsWith($1, $2)"),
    sql!("endsWithUTF8", &[], "endsWithUTF8(s, suffix)", "endsWith.", "endsWith($1, $2)"),
    sql!(
        "countSubstringsCaseInsensitive",
        &[],
        "countSubstringsCaseInsensitive(s, needle)",
        "countSubstrings without regard to case.",
        "countSubstrings(lower($1), lower($2))"
    ),
    sql!(
        "alphaTokens",
        &["splitByAlpha"],
        "alphaTokens(s)",
        "The runs of letters a to z.",
        "extractAll($1, '[a-zA-Z]+')"
    ),
    sql!(
        "splitByNonAlpha",
        &[],
        "splitByNonAlpha(s)",
        "The pieces between blanks and marks.",
        "extractAll($1, '[^[:space:][:punct:]]+')"
    ),
    sql!(
        "tokens",
        &[],
        "tokens(s)",
        "The runs of letters and digits.",
        "extractAll($1, '[a-zA-Z0-9\u{80}-\u{10FFFF}]+')"
    ),
    row(
        "ngrams",
        &[],
        "ngrams(s, n)",
        "Every run of n characters.",
        Plan::Scalar(Scalar::pure((2, 2), |_| Ok(ColumnType::Array(Box::new(ColumnType::String))), ngrams)),
    ),
    row(
        "translate",
        &[],
        "translate(s, from, to)",
        "Letters for letters.",
        Plan::Scalar(Scalar::pure((3, 3), STRING, translate)),
    ),
    of_text!(
        "regexpQuoteMeta",
        "The text with escapes before what means something in a pattern.",
        |text: &str| letters::quoted(text)
    ),
    of_text!("soundex", "The Soundex code.", letters::soundex),
    row(
        "levenshteinDistance",
        &["editDistance"],
        "editDistance(a, b)",
        "How many bytes must change.",
        Plan::Scalar(Scalar::pure((2, 2), |_| Ok(ColumnType::UInt64), |call| distance(call, false))),
    ),
    row(
        "editDistanceUTF8",
        &["levenshteinDistanceUTF8"],
        "editDistanceUTF8(a, b)",
        "How many characters must change.",
        Plan::Scalar(Scalar::pure((2, 2), |_| Ok(ColumnType::UInt64), |call| distance(call, true))),
    ),
    row(
        "bar",
        &[],
        "bar(x, least, most[, width])",
        "A bar of blocks.",
        Plan::Scalar(Scalar::pure((3, 4), STRING, bar)),
    ),
    row(
        "clamp",
        &[],
        "clamp(x, least, most)",
        "x within two bounds.",
        Plan::Scalar(Scalar::pure((3, 3), super::logic::common_type, super::logic::clamped)),
    ),
    sql!(
        "divideOrNull",
        &[],
        "divideOrNull(a, b)",
        "a / b, NULL for a divisor of 0.",
        "if($2 = 0, NULL, $1 / $2)"
    ),
    sql!(
        "isDistinctFrom",
        &[],
        "isDistinctFrom(a, b)",
        "Whether two values differ, NULL being a value.",
        "if($1 IS DISTINCT FROM $2, 1, 0)"
    ),
    sql!(
        "isNotDistinctFrom",
        &[],
        "isNotDistinctFrom(a, b)",
        "Whether two values are the same, NULL being a value.",
        "if($1 IS NOT DISTINCT FROM $2, 1, 0)"
    ),
    row("acosh", &[], "acosh(x)", "Area cosine.", Plan::Scalar(Scalar::floats(f64::acosh))),
    row("asinh", &[], "asinh(x)", "Area sine.", Plan::Scalar(Scalar::floats(f64::asinh))),
    row("atanh", &[], "atanh(x)", "Area tangent.", Plan::Scalar(Scalar::floats(f64::atanh))),
    row(
        "sigmoid",
        &[],
        "sigmoid(x)",
        "1 / (1 + exp(-x)).",
        Plan::Scalar(Scalar::floats(|x| 1.0 / (1.0 + (-x).exp()))),
    ),
    row(
        "roundToExp2",
        &[],
        "roundToExp2(x)",
        "Down to a power of two, 0 below 1.",
        Plan::Scalar(Scalar::pure((1, 1), calls::whole_type, powers_of_two)),
    ),
    row(
        "roundDown",
        &[],
        "roundDown(x, steps)",
        "Down to one of the steps.",
        Plan::Scalar(Scalar::pure((2, 2), calls::stepped_type, round_down)),
    ),
    row(
        "isConstant",
        &[],
        "isConstant(x)",
        "Whether x is a constant.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::UInt8), is_constant).own_nulls()),
    ),
    row(
        "isNullable",
        &[],
        "isNullable(x)",
        "Whether the type is Nullable.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::UInt8), is_nullable).own_nulls()),
    ),
    row(
        "defaultValueOfArgumentType",
        &[],
        "defaultValueOfArgumentType(x)",
        "The zero value of the type.",
        Plan::Scalar(Scalar::pure((1, 1), |args| Ok(args.base(0)), zero_of_argument).own_nulls()),
    ),
    row(
        "toLowCardinality",
        &[],
        "toLowCardinality(s)",
        "The text with a dictionary.",
        Plan::Scalar(Scalar::pure((1, 1), calls::dictionary_type, |call| call.array(0))),
    ),
    row(
        "makeDateTime",
        &[],
        "makeDateTime(year, month, day, hour, minute, second[, zone])",
        "A time from its parts.",
        Plan::Scalar(Scalar::pure(
            (6, 7),
            |args| Ok(ColumnType::DateTime(args.text(6).map(Arc::from))),
            times::made,
        )),
    ),
    row(
        "age",
        &[],
        "age('unit', from, to[, zone])",
        "Whole units between two times.",
        Plan::Scalar(Scalar::pure((3, 4), |_| Ok(ColumnType::Int64), times::age)),
    ),
    row("dateName", &[], "dateName('part', ts)", "A part of a time as a text.", Plan::Ast(calls::date_name)),
    row(
        "toYearWeek",
        &["yearweek"],
        "toYearWeek(ts[, mode[, zone]])",
        "Year and week as one number.",
        Plan::Scalar(Scalar::pure((1, 3), |_| Ok(ColumnType::UInt32), times::year_week)),
    ),
    sql!(
        "toDaysInMonth",
        &[],
        "toDaysInMonth(ts)",
        "How many days the month has.",
        "toDayOfMonth(toLastDayOfMonth($1))"
    ),
    sql!("toRelativeSecondNum", &[], "toRelativeSecondNum(ts)", "Seconds since 1970.", "toUnixTimestamp($1)"),
    sql!(
        "toRelativeMinuteNum",
        &[],
        "toRelativeMinuteNum(ts)",
        "Minutes since 1970.",
        "toUInt32(intDiv(toUnixTimestamp($1), 60))"
    ),
    sql!("toRelativeYearNum", &[], "toRelativeYearNum(ts)", "The year.", "toYear($1)"),
    sql!(
        "toRelativeQuarterNum",
        &[],
        "toRelativeQuarterNum(ts)",
        "Quarters since the year 0.",
        "toUInt32(toYear($1) * 4 + toQuarter($1) - 1)"
    ),
    sql!(
        "toRelativeMonthNum",
        &[],
        "toRelativeMonthNum(ts)",
        "Months since the year 0.",
        "toUInt32(toYear($1) * 12 + toMonth($1))"
    ),
    sql!("timeDiff", &[], "timeDiff(from, to)", "Seconds between two times.", "dateDiff('second', $1, $2)"),
    sql!(
        "YYYYMMDDToDate",
        &[],
        "YYYYMMDDToDate(n)",
        "A date from a number like 20240102.",
        "makeDate(intDiv($1, 10000), intDiv($1, 100) % 100, $1 % 100)"
    ),
    sql!(
        "YYYYMMDDhhmmssToDateTime",
        &[],
        "YYYYMMDDhhmmssToDateTime(n)",
        "A time from a number like 20240102030405.",
        "makeDateTime(intDiv($1, 10000000000), intDiv($1, 100000000) % 100, intDiv($1, 1000000) % 100, intDiv($1, 10000) % 100, intDiv($1, 100) % 100, $1 % 100)"
    ),
    row("toDateTime32", &[], "toDateTime32(x[, zone])", "toDateTime.", Plan::Ast(calls::date_time)),
    sql!(
        "mapContainsValue",
        &[],
        "mapContainsValue(m, value)",
        "Whether the value is there.",
        "has(mapValues($1), $2)"
    ),
    row(
        "mapFilter",
        &[],
        "mapFilter((k, v) -> …, m)",
        "The pairs for which the lambda holds.",
        Plan::Ast(calls::map_filter),
    ),
    row(
        "mapApply",
        &[],
        "mapApply((k, v) -> (…, …), m)",
        "The pairs that the lambda makes.",
        Plan::Ast(calls::map_apply),
    ),
    row(
        "mapExists",
        &[],
        "mapExists((k, v) -> …, m)",
        "Whether the lambda holds for one pair.",
        Plan::Ast(calls::map_exists),
    ),
    row(
        "mapAll",
        &[],
        "mapAll((k, v) -> …, m)",
        "Whether the lambda holds for all pairs.",
        Plan::Ast(calls::map_all),
    ),
    row(
        "JSONExtract",
        &[],
        "JSONExtract(json, path…, 'Type')",
        "The value there as a type.",
        Plan::Ast(calls::json_extract),
    ),
    row(
        "grouping",
        &[],
        "grouping(key, …)",
        "Which keys a grouping set leaves out, a bit for each.",
        Plan::Ast(calls::grouping),
    ),
    row("getSetting", &[], "getSetting('name')", "A setting's value.", Plan::Ast(calls::get_setting)),
    row(
        calls::SETTING,
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure((1, 2), calls::setting_type, calls::setting).stable()),
    ),
];
