//! Texts cut into arrays.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, ListBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use crate::functions::lists::item_texts;
use crate::functions::scalar::{Call, Scalar, fault};
use crate::functions::{Plan, Row, row};
use crate::semantics::numbers::common;

pub(super) fn split(call: &Call<'_>, cut: fn(&str, &str) -> Vec<String>) -> Result<ArrayRef> {
    let (separators, texts) = (call.texts(0)?, call.texts(1)?);
    let item = Field::new("item", DataType::Utf8View, false);
    let mut out = ListBuilder::new(StringViewBuilder::new()).with_field(item);
    for row in 0..call.rows {
        if texts.is_valid(row) && separators.is_valid(row) {
            for piece in cut(texts.value(row), separators.value(row)) {
                out.values().append_value(piece);
            }
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

/// `splitByChar`: what separates is one byte.
pub(super) fn split_by_char(call: &Call<'_>) -> Result<ArrayRef> {
    if call.literal_text(0).is_some_and(|separator| separator.len() != 1) {
        let message = "Illegal separator for function splitByChar. Must be exactly one byte";
        return Err(fault(ErrorCode::BadArguments, message));
    }
    split(call, pieces)
}

pub(super) fn pieces(text: &str, separator: &str) -> Vec<String> {
    if separator.is_empty() {
        return text.chars().map(String::from).collect();
    }
    text.split(separator).map(str::to_owned).collect()
}

/// The items of an array as texts; None is NULL.
type Items<'a> = &'a [Option<String>];

/// Whether a text begins so, whatever the case of its ASCII letters.
fn begins(text: &str, start: &str) -> bool {
    text.len() >= start.len() && text.as_bytes()[..start.len()].eq_ignore_ascii_case(start.as_bytes())
}

/// Whether one text or array is a part of the other in a way.
fn part(
    call: &Call<'_>,
    of_texts: fn(&str, &str) -> bool,
    of_items: fn(Items<'_>, Items<'_>) -> bool,
) -> Result<ArrayRef> {
    let are_arrays = [0, 1].map(|i| matches!(call.base(i), ColumnType::Array(_)));
    if are_arrays == [true, true] {
        common(&[call.base(0), call.base(1)])?;
        let tests: Result<BooleanArray> = (0..call.rows)
            .map(|row| Ok(Some(of_items(&item_texts(call, 0, row)?, &item_texts(call, 1, row)?))))
            .collect();
        return Ok(Arc::new(tests?));
    }
    if are_arrays != [false, false] {
        let message = format!("Illegal types {} {} of arguments", call.base(0), call.base(1));
        return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
    }
    let (texts, others) = (call.texts(0)?, call.texts(1)?);
    let tests = texts.iter().zip(&others).map(|(text, other)| Some(of_texts(text?, other?)));
    Ok(Arc::new(tests.collect::<BooleanArray>()))
}

macro_rules! part {
    ($name:literal, $about:literal, $of_texts:expr, $of_items:expr) => {
        row(
            $name,
            &[],
            concat!($name, "(s, part)"),
            $about,
            Plan::Scalar(Scalar::test((2, 2), |call| part(call, $of_texts, $of_items))),
        )
    };
}

/// Parts of texts and of arrays.
pub(crate) const PARTS: &[Row] = &[
    part!("startsWith", "Whether a text or an array begins so.", |a, b| a.starts_with(b), |a, b| a
        .starts_with(b)),
    part!("endsWith", "Whether a text or an array ends so.", |a, b| a.ends_with(b), |a, b| a.ends_with(b)),
    part!("startsWithCaseInsensitive", "startsWith of texts without regard to case.", begins, |a, b| a
        .starts_with(b)),
    part!(
        "endsWithCaseInsensitive",
        "endsWith of texts without regard to case.",
        |a, b| a.len() >= b.len() && a.as_bytes()[a.len() - b.len()..].eq_ignore_ascii_case(b.as_bytes()),
        |a, b| a.ends_with(b)
    ),
    part!("hasSubstr", "Whether a text or an array has the part in it.", |a, b| a.contains(b), |a, b| {
        b.is_empty() || a.windows(b.len()).any(|run| run == b)
    }),
];
