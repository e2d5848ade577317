//! Text functions. Lengths and positions count bytes unless the name says UTF8.

mod bytes;
mod patterns;
mod pieces;
mod shape;

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, StringViewArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::render;
use super::scalar::{Call, MANY, Scalar, fault};
use super::{Plan, Row, row};
pub(super) use bytes::OF_TEXT;
use bytes::char_of;
pub(super) use bytes::{by_bytes, text_of_bytes};
pub(crate) use patterns::GROUPS;
pub(super) use patterns::compile;
use patterns::{extract, matches, replace_regex};
pub(crate) use pieces::PARTS;
use pieces::{pieces, split, split_by_char};
pub(crate) use shape::PADS;
use shape::{ends, format, pad, repeat, reversed, reversed_type, substring};

/// Each text of argument 0 through a function of it and its row.
pub(super) fn map(
    call: &Call<'_>,
    mut body: impl FnMut(&str, usize) -> Result<Cow<'static, str>>,
) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let mut meter = call.meter();
    let mut out = StringViewBuilder::with_capacity(texts.len());
    for row in 0..texts.len() {
        if texts.is_null(row) {
            out.append_null();
        } else {
            let made = body(texts.value(row), row)?;
            meter.take(made.len())?;
            out.append_value(made);
        }
    }
    Ok(Arc::new(out.finish()))
}

macro_rules! text {
    ($body:expr) => {
        Plan::Scalar(Scalar::pure(
            (1, 1),
            |_| Ok(ColumnType::String),
            |call| map(call, |text, _| Ok(Cow::Owned(($body)(text)))),
        ))
    };
}

fn count(call: &Call<'_>, body: impl Fn(&str) -> usize) -> Result<ArrayRef> {
    let texts = call.texts(0)?;
    let counts: Int64Array = texts.iter().map(|text| text.map(|text| body(text) as i64)).collect();
    Ok(cast(&counts, &call.ty.query_type())?)
}

/// `length`, `empty` and `notEmpty` take arrays too.
fn length(call: &Call<'_>) -> Result<ArrayRef> {
    match call.base(0) {
        ColumnType::Array(_) => super::arrays::lengths(call),
        ColumnType::Map(..) => super::maps::lengths(call),
        ColumnType::Uuid => Ok(cast(&Int64Array::from(vec![16; call.rows]), &call.ty.query_type())?),
        _ => count(call, str::len),
    }
}

fn is_empty(call: &Call<'_>, wanted: bool) -> Result<ArrayRef> {
    if call.base(0) == ColumnType::Uuid {
        let ids = call.array(0)?;
        let ids = arrow::array::AsArray::as_fixed_size_binary(&ids);
        let empty = ids.iter().map(|id| id.map(|id| id.iter().all(|byte| *byte == 0) == wanted));
        return Ok(Arc::new(empty.collect::<BooleanArray>()));
    }
    let lengths = cast(&length(call)?, &DataType::Int64)?;
    let lengths: &Int64Array = arrow::array::AsArray::as_primitive(&lengths);
    Ok(Arc::new(BooleanArray::from_unary(lengths, |length| (length == 0) == wanted)))
}

fn concat(call: &Call<'_>) -> Result<ArrayRef> {
    if matches!(call.ty, ColumnType::Array(_)) {
        return super::arrays::concat(call);
    }
    let columns: Result<Vec<StringViewArray>> =
        (0..call.len()).map(|i| render::texts(&call.array(i)?, &call.base(i))).collect();
    let columns = columns?;
    let mut out = StringViewBuilder::with_capacity(call.rows);
    let (mut text, mut meter) = (String::new(), call.meter());
    for row in 0..call.rows {
        text.clear();
        let valid = columns.iter().filter(|column| column.is_valid(row));
        meter.take(valid.map(|column| column.value(row).len()).sum())?;
        for column in columns.iter().filter(|column| column.is_valid(row)) {
            text.push_str(column.value(row));
        }
        out.append_value(&text);
    }
    Ok(Arc::new(out.finish()))
}

fn position(call: &Call<'_>, fold: bool, utf8: bool) -> Result<ArrayRef> {
    let (texts, needles) = (call.texts(0)?, call.texts(1)?);
    let starts = if call.len() > 2 { Some(call.ints(2)?) } else { None };
    let places: Int64Array = (0..call.rows)
        .map(|row| {
            if texts.is_null(row) || needles.is_null(row) {
                return None;
            }
            let lower = |text: &str| if fold { text.to_lowercase() } else { text.to_owned() };
            let (text, needle) = (lower(texts.value(row)), lower(needles.value(row)));
            let from = starts.as_ref().map_or(1, |starts| starts.value(row).max(1)) as usize - 1;
            let found = text.get(from..).and_then(|rest| rest.find(&needle)).map(|at| at + from);
            Some(found.map_or(0, |at| if utf8 { text[..at].chars().count() + 1 } else { at + 1 }) as i64)
        })
        .collect();
    Ok(cast(&places, &DataType::UInt64)?)
}

fn replace(call: &Call<'_>, all: bool) -> Result<ArrayRef> {
    let (from, to) = (call.texts(1)?, call.texts(2)?);
    map(call, |text, row| {
        let (from, to) = (from.value(row), to.value(row));
        if all && !from.is_empty() && to.len() > from.len() {
            shape::check_made(text.len() + text.matches(from).count().saturating_mul(to.len()))?;
        }
        Ok(Cow::Owned(match (from.is_empty(), all) {
            (true, _) => text.to_owned(),
            (false, true) => text.replace(from, to),
            (false, false) => text.replacen(from, to, 1),
        }))
    })
}

macro_rules! split {
    ($cut:expr) => {
        Plan::Scalar(Scalar::pure(
            (2, 2),
            |_| Ok(ColumnType::Array(Box::new(ColumnType::String))),
            |call| split(call, $cut),
        ))
    };
}

/// Characters to trim: the second argument, blanks without one.
fn trim(call: &Call<'_>, cut: fn(&str, &[char]) -> String) -> Result<ArrayRef> {
    let sets = if call.len() > 1 { Some(call.texts(1)?) } else { None };
    map(call, |text, row| {
        let set: Vec<char> =
            sets.as_ref().map_or_else(|| vec![' '], |sets| sets.value(row).chars().collect());
        Ok(Cow::Owned(cut(text, &set)))
    })
}

macro_rules! trim {
    ($cut:expr) => {
        Plan::Scalar(Scalar::pure((1, 2), |_| Ok(ColumnType::String), |call| trim(call, $cut)))
    };
}

fn count_matches(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, needles) = (call.texts(0)?, call.texts(1)?);
    let counts: Int64Array = texts
        .iter()
        .zip(&needles)
        .map(|(text, needle)| {
            Some(if needle?.is_empty() { 0 } else { text?.matches(needle?).count() as i64 })
        })
        .collect();
    Ok(cast(&counts, &DataType::UInt64)?)
}

/// Upper case of the first letter of each word.
fn initcap(text: &str) -> String {
    let mut start = true;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let folded = if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        out.push(folded);
        start = !c.is_alphanumeric();
    }
    out
}

/// Whether all arguments are maps, or all tuples: ClickHouse makes one of them.
fn joins_whole(args: &super::scalar::Arguments<'_>) -> bool {
    let kinds = (0..args.fields.len()).map(|i| std::mem::discriminant(&args.base(i)));
    kinds.collect::<std::collections::HashSet<_>>().len() == 1 && args.fields.len() > 1
}

fn concat_type(args: &super::scalar::Arguments<'_>) -> Result<ColumnType> {
    match args.base(0) {
        ty @ ColumnType::Array(_) if args.fields.len() > 1 => Ok(ty),
        ColumnType::Map(..) | ColumnType::Tuple(_) if joins_whole(args) => {
            Err(fault(ErrorCode::NotImplemented, "concat of maps alone or of tuples alone is not supported"))
        }
        _ => Ok(ColumnType::String),
    }
}

const STRING: fn(&super::scalar::Arguments<'_>) -> Result<ColumnType> = |_| Ok(ColumnType::String);
const COUNT: fn(&super::scalar::Arguments<'_>) -> Result<ColumnType> = |_| Ok(ColumnType::UInt64);

/// Text functions.
pub(crate) const ROWS: &[Row] = &[
    row(
        "lower",
        &["lcase"],
        "lower(s)",
        "Lower case of ASCII letters.",
        text!(|text: &str| text.to_ascii_lowercase()),
    ),
    row(
        "upper",
        &["ucase"],
        "upper(s)",
        "Upper case of ASCII letters.",
        text!(|text: &str| text.to_ascii_uppercase()),
    ),
    row(
        "lowerUTF8",
        &[],
        "lowerUTF8(s)",
        "Lower case of all letters.",
        text!(|text: &str| text.to_lowercase()),
    ),
    row(
        "upperUTF8",
        &[],
        "upperUTF8(s)",
        "Upper case of all letters.",
        text!(|text: &str| text.to_uppercase()),
    ),
    row("initcap", &[], "initcap(s)", "Each word with a capital.", text!(initcap)),
    row(
        "reverse",
        &[],
        "reverse(s)",
        "The text or the array from its end.",
        Plan::Scalar(Scalar::pure((1, 1), reversed_type, reversed)),
    ),
    row(
        "length",
        &["octet_length"],
        "length(s)",
        "Bytes of a text, or items of an array.",
        Plan::Scalar(Scalar::pure((1, 1), COUNT, length)),
    ),
    row(
        "lengthUTF8",
        &["char_length", "character_length"],
        "lengthUTF8(s)",
        "Characters of a text.",
        Plan::Scalar(Scalar::pure((1, 1), COUNT, |call| count(call, |text| text.chars().count()))),
    ),
    row(
        "empty",
        &[],
        "empty(s)",
        "Whether a text or an array has nothing in it.",
        Plan::Scalar(Scalar::test((1, 1), |call| is_empty(call, true))),
    ),
    row(
        "notEmpty",
        &[],
        "notEmpty(s)",
        "Whether a text or an array has something in it.",
        Plan::Scalar(Scalar::test((1, 1), |call| is_empty(call, false))),
    ),
    row(
        "concat",
        &[],
        "concat(a, b, …)",
        "The values as text, one after the other; arrays are joined.",
        Plan::Scalar(Scalar::pure((1, MANY), concat_type, concat)),
    ),
    row(
        "substring",
        &["substr", "mid"],
        "substring(s, from[, length])",
        "A part of a text, counted in bytes from 1; a negative start counts from the end.",
        Plan::Scalar(Scalar::pure((2, 3), STRING, |call| substring(call, false))),
    ),
    row(
        "substringUTF8",
        &[],
        "substringUTF8(s, from[, length])",
        "The same counted in characters.",
        Plan::Scalar(Scalar::pure((2, 3), STRING, |call| substring(call, true))),
    ),
    row(
        "left",
        &[],
        "left(s, n)",
        "The first n bytes.",
        Plan::Scalar(Scalar::pure((2, 2), STRING, |call| ends(call, true))),
    ),
    row(
        "right",
        &[],
        "right(s, n)",
        "The last n bytes.",
        Plan::Scalar(Scalar::pure((2, 2), STRING, |call| ends(call, false))),
    ),
    row(
        "position",
        &[],
        "position(s, needle[, from])",
        "Where the needle begins, counted in bytes from 1; 0 when it is not there.",
        Plan::Scalar(Scalar::pure((2, 3), COUNT, |call| position(call, false, false))),
    ),
    row("locate", &[], "locate(needle, s)", "position with the needle first.", Plan::Sql("position($2, $1)")),
    row(
        "positionCaseInsensitive",
        &[],
        "positionCaseInsensitive(s, needle)",
        "position without regard to case.",
        Plan::Scalar(Scalar::pure((2, 3), COUNT, |call| position(call, true, false))),
    ),
    row(
        "positionUTF8",
        &[],
        "positionUTF8(s, needle)",
        "position counted in characters.",
        Plan::Scalar(Scalar::pure((2, 3), COUNT, |call| position(call, false, true))),
    ),
    row(
        "countSubstrings",
        &[],
        "countSubstrings(s, needle)",
        "How often the needle is there.",
        Plan::Scalar(Scalar::pure((2, 2), COUNT, count_matches)),
    ),
    row(
        "replaceAll",
        &["replace"],
        "replaceAll(s, from, to)",
        "Replaces each occurrence.",
        Plan::Scalar(Scalar::pure((3, 3), STRING, |call| replace(call, true))),
    ),
    row(
        "replaceOne",
        &[],
        "replaceOne(s, from, to)",
        "Replaces the first occurrence.",
        Plan::Scalar(Scalar::pure((3, 3), STRING, |call| replace(call, false))),
    ),
    row(
        "replaceRegexpAll",
        &["REGEXP_REPLACE"],
        "replaceRegexpAll(s, pattern, to)",
        "Replaces what a regular expression matches; \\1 is its first group.",
        Plan::Scalar(Scalar::pure((3, 3), STRING, |call| replace_regex(call, true))),
    ),
    row(
        "replaceRegexpOne",
        &[],
        "replaceRegexpOne(s, pattern, to)",
        "Replaces the first match.",
        Plan::Scalar(Scalar::pure((3, 3), STRING, |call| replace_regex(call, false))),
    ),
    row(
        "match",
        &["REGEXP_MATCHES"],
        "match(s, pattern)",
        "Whether a regular expression matches somewhere.",
        Plan::Scalar(Scalar::test((2, 2), matches)),
    ),
    row(
        "extract",
        &[],
        "extract(s, pattern)",
        "The first match, or its first group.",
        Plan::Scalar(Scalar::pure((2, 2), STRING, extract)),
    ),
    row("like", &[], "like(s, pattern)", "LIKE.", Plan::Sql("($1 LIKE $2)")),
    row("notLike", &[], "notLike(s, pattern)", "NOT LIKE.", Plan::Sql("($1 NOT LIKE $2)")),
    row("ilike", &[], "ilike(s, pattern)", "ILIKE.", Plan::Sql("($1 ILIKE $2)")),
    row("notILike", &[], "notILike(s, pattern)", "NOT ILIKE.", Plan::Sql("($1 NOT ILIKE $2)")),
    row(
        "leftPad",
        &["lpad"],
        "leftPad(s, length[, fill])",
        "Filled at the left to a length.",
        Plan::Scalar(Scalar::pure((2, 3), STRING, |call| pad(call, true, false))),
    ),
    row(
        "rightPad",
        &["rpad"],
        "rightPad(s, length[, fill])",
        "Filled at the right to a length.",
        Plan::Scalar(Scalar::pure((2, 3), STRING, |call| pad(call, false, false))),
    ),
    row(
        "repeat",
        &[],
        "repeat(s, n)",
        "The text n times.",
        Plan::Scalar(Scalar::pure((2, 2), STRING, repeat)),
    ),
    row("space", &[], "space(n)", "n blanks.", Plan::Sql("repeat(' ', $1)")),
    row(
        "format",
        &[],
        "format(pattern, a, …)",
        "The pattern with {} and {0} filled in.",
        Plan::Scalar(Scalar::pure((1, MANY), STRING, format)),
    ),
    row(
        "splitByChar",
        &[],
        "splitByChar(separator, s)",
        "The pieces between separators.",
        Plan::Scalar(Scalar::pure(
            (2, 2),
            |_| Ok(ColumnType::Array(Box::new(ColumnType::String))),
            split_by_char,
        )),
    ),
    row(
        "splitByString",
        &[],
        "splitByString(separator, s)",
        "The pieces between separators.",
        split!(pieces),
    ),
    row("splitByWhitespace", &[], "splitByWhitespace(s)", "The words.", Plan::Sql("__split_blanks('', $1)")),
    row(
        "__split_blanks",
        &[],
        "",
        "",
        split!(|text, _| text.split_whitespace().map(str::to_owned).collect()),
    ),
    row(
        "trimBoth",
        &["trim"],
        "trim(s)",
        "Without blanks at both ends.",
        trim!(|text, set| text.trim_matches(set).to_owned()),
    ),
    row(
        "trimLeft",
        &["ltrim"],
        "trimLeft(s)",
        "Without blanks at the left.",
        trim!(|text, set| text.trim_start_matches(set).to_owned()),
    ),
    row(
        "trimRight",
        &["rtrim"],
        "trimRight(s)",
        "Without blanks at the right.",
        trim!(|text, set| text.trim_end_matches(set).to_owned()),
    ),
    row(
        "char",
        &[],
        "char(n, …)",
        "The bytes with these numbers.",
        Plan::Scalar(Scalar::pure((1, MANY), STRING, char_of)),
    ),
    row(
        "ascii",
        &[],
        "ascii(s)",
        "Number of the first byte.",
        Plan::Scalar(Scalar::pure(
            (1, 1),
            |_| Ok(ColumnType::Int32),
            |call| count(call, |text| text.bytes().next().map_or(0, usize::from)),
        )),
    ),
];
