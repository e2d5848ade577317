//! Values out of JSON texts. A path is keys and places (from 1, negative from the end); what is not there is zero.

mod path;
mod value;
mod write;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, StringViewArray, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

pub(crate) use self::path::PATHS;
use self::value::Json;
use super::convert::{OnFault, convert};
use super::scalar::{Call, MANY, Scalar, fault, int_of};
use super::{Plan, Row, row};

/// What a path leads to.
fn at_path<'a>(mut value: &'a Json, path: &[ScalarValue]) -> Option<&'a Json> {
    for step in path {
        value = match step.try_as_str().flatten() {
            Some(key) => value.get(key)?,
            None => value.at(int_of(step)?)?,
        };
    }
    Some(value)
}

/// One value per row; None for a text that is no JSON or a path that leads nowhere.
fn found<T>(call: &Call<'_>, body: impl Fn(&Json) -> Option<T>) -> Result<Vec<Option<T>>> {
    let texts = call.texts(0)?;
    let steps: Result<Vec<ArrayRef>> = (1..call.len()).map(|i| call.array(i)).collect();
    let steps = steps?;
    (0..call.rows)
        .map(|row| {
            let path: Result<Vec<ScalarValue>> =
                steps.iter().map(|step| ScalarValue::try_from_array(step, row)).collect();
            let path = path?;
            let parsed = if texts.is_valid(row) { Json::parse(texts.value(row)) } else { None };
            Ok(parsed.as_ref().and_then(|value| at_path(value, &path)).and_then(&body))
        })
        .collect()
}

/// A number, also out of a string: what does not fit is not there.
fn whole(value: &Json) -> Option<i128> {
    match value {
        Json::Signed(number) => Some(i128::from(*number)),
        Json::Unsigned(number) => Some(i128::from(*number)),
        Json::Float(number) => Some(*number as i128),
        Json::Text(text) => {
            text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|number| number as i128))
        }
        _ => None,
    }
}

fn float(value: &Json) -> Option<f64> {
    match value {
        Json::Signed(number) => Some(*number as f64),
        Json::Unsigned(number) => Some(*number as f64),
        Json::Float(number) => Some(*number),
        Json::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// The number there, `true` being 1.
fn flag_or<T: From<bool>>(value: &Json, number: impl Fn(&Json) -> Option<T>) -> Option<T> {
    match value {
        Json::Bool(held) => Some(T::from(*held)),
        other => number(other),
    }
}

fn signed(value: &Json) -> Option<i64> {
    whole(value).and_then(|number| i64::try_from(number).ok())
}

fn unsigned(value: &Json) -> Option<u64> {
    whole(value).and_then(|number| u64::try_from(number).ok())
}

fn ints(call: &Call<'_>, body: impl Fn(&Json) -> Option<i64>) -> Result<ArrayRef> {
    let numbers = found(call, body)?.into_iter().map(Option::unwrap_or_default);
    Ok(Arc::new(Int64Array::from_iter_values(numbers)))
}

fn uints(call: &Call<'_>, body: impl Fn(&Json) -> Option<u64>) -> Result<ArrayRef> {
    let numbers = found(call, body)?.into_iter().map(Option::unwrap_or_default);
    Ok(Arc::new(UInt64Array::from_iter_values(numbers)))
}

fn floats(call: &Call<'_>, body: impl Fn(&Json) -> Option<f64>) -> Result<ArrayRef> {
    let numbers = found(call, body)?.into_iter().map(Option::unwrap_or_default);
    Ok(Arc::new(Float64Array::from_iter_values(numbers)))
}

/// `true`, and whole numbers other than 0.
fn held(value: &Json) -> bool {
    match value {
        Json::Bool(held) => *held,
        Json::Signed(number) => *number != 0,
        Json::Unsigned(_) => true,
        _ => false,
    }
}

fn texts(call: &Call<'_>, body: impl Fn(&Json) -> Option<String>) -> Result<ArrayRef> {
    let texts = found(call, body)?.into_iter().map(Option::unwrap_or_default);
    Ok(Arc::new(StringViewArray::from_iter_values(texts)))
}

/// An array of texts per row.
fn lists(call: &Call<'_>, body: impl Fn(&Json) -> Option<Vec<String>>) -> Result<ArrayRef> {
    let rows: Vec<Vec<String>> = found(call, body)?.into_iter().map(Option::unwrap_or_default).collect();
    let lengths = rows.iter().map(Vec::len);
    let DataType::List(item) = call.ty.query_type() else {
        return Err(fault(ErrorCode::LogicalError, "Texts of a row are an array"));
    };
    let offsets = OffsetBuffer::from_lengths(lengths);
    let values = Arc::new(StringViewArray::from_iter_values(rows.iter().flatten()));
    Ok(Arc::new(ListArray::try_new(item, offsets, values, None)?))
}

fn keys(value: &Json) -> Option<Vec<String>> {
    match value {
        Json::Object(entries) => Some(entries.iter().map(|(key, _)| key.clone()).collect()),
        _ => None,
    }
}

fn raw_items(value: &Json) -> Option<Vec<String>> {
    match value {
        Json::Array(items) => Some(items.iter().map(Json::raw).collect()),
        _ => None,
    }
}

fn item_texts(value: &Json) -> Option<Vec<String>> {
    match value {
        Json::Array(items) => Some(items.iter().map(Json::text).collect()),
        _ => None,
    }
}

macro_rules! json {
    ($name:literal, $aliases:expr, $about:literal, $ty:ident, $body:expr) => {
        row(
            $name,
            $aliases,
            concat!($name, "(json, path…)"),
            $about,
            Plan::Scalar(Scalar::pure((1, MANY), |_| Ok(ColumnType::$ty), $body)),
        )
    };
}

macro_rules! array_of_texts {
    ($name:literal, $about:literal, $body:expr) => {
        row(
            $name,
            &[],
            concat!($name, "(json, path…)"),
            $about,
            Plan::Scalar(Scalar::pure(
                (1, MANY),
                |_| Ok(ColumnType::Array(Box::new(ColumnType::String))),
                |call| lists(call, $body),
            )),
        )
    };
}

/// JSON.
pub(crate) const ROWS: &[Row] = &[
    json!("JSONExtractString", &[], "The text there, or the JSON of another value.", String, |call| {
        texts(call, |value| Some(value.text()))
    }),
    json!(
        "simpleJSONExtractString",
        &["visitParamExtractString"],
        "The text there; nothing for other values.",
        String,
        |call| {
            texts(call, |value| match value {
                Json::Text(text) => Some(text.clone()),
                _ => None,
            })
        }
    ),
    array_of_texts!("JSONExtractKeys", "The keys of the object there.", keys),
    array_of_texts!("JSONExtractArrayRaw", "The items of the array there as JSON.", raw_items),
    row(
        "__json_numbers",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure(
            (2, 2),
            |args| {
                let name = args.text(1).unwrap_or_default();
                name.parse::<ColumnType>().map_err(crate::error::external)
            },
            |call| convert(&call.array(0)?, &call.base(0), call.ty.inner(), OnFault::Zero),
        )),
    ),
    array_of_texts!("__json_items", "The items of the array there as texts.", item_texts),
    json!(
        "JSONExtractRaw",
        &["simpleJSONExtractRaw", "visitParamExtractRaw"],
        "What is there as JSON.",
        String,
        |call| { texts(call, |value| Some(value.raw())) }
    ),
    json!(
        "JSONExtractInt",
        &["simpleJSONExtractInt", "visitParamExtractInt"],
        "The whole number there.",
        Int64,
        |call| ints(call, signed)
    ),
    json!("__json_int", &[], "", Int64, |call| ints(call, |value| flag_or(value, signed))),
    json!(
        "JSONExtractUInt",
        &["simpleJSONExtractUInt", "visitParamExtractUInt"],
        "The whole number there.",
        UInt64,
        |call| uints(call, unsigned)
    ),
    json!("__json_uint", &[], "", UInt64, |call| uints(call, |value| flag_or(value, unsigned))),
    json!(
        "JSONExtractFloat",
        &["simpleJSONExtractFloat", "visitParamExtractFloat"],
        "The number there.",
        Float64,
        |call| floats(call, float)
    ),
    json!("__json_float", &[], "", Float64, |call| {
        floats(call, |value| {
            if let Json::Bool(held) = value { Some(f64::from(u8::from(*held))) } else { float(value) }
        })
    }),
    json!("JSONExtractBool", &[], "Whether true or a whole number other than 0 is there.", UInt8, |call| {
        let held = found(call, |value| Some(held(value)))?.into_iter().map(Option::unwrap_or_default);
        Ok(Arc::new(held.map(Some).collect::<BooleanArray>()))
    }),
    json!("simpleJSONExtractBool", &["visitParamExtractBool"], "Whether true is there.", UInt8, |call| {
        let held = found(call, |value| Some(*value == Json::Bool(true)))?;
        Ok(Arc::new(held.into_iter().map(|held| Some(held == Some(true))).collect::<BooleanArray>()))
    }),
    json!("JSONHas", &["simpleJSONHas", "visitParamHas"], "Whether something is there.", UInt8, |call| {
        Ok(Arc::new(
            found(call, |_| Some(()))?.into_iter().map(|held| Some(held.is_some())).collect::<BooleanArray>(),
        ))
    }),
    json!("JSONLength", &[], "Items of the array or keys of the object there.", UInt64, |call| {
        Ok(Arc::new(UInt64Array::from_iter_values(
            found(call, |value| value.len().map(|count| count as u64))?
                .into_iter()
                .map(Option::unwrap_or_default),
        )))
    }),
    row(
        "toJSONString",
        &[],
        "toJSONString(x)",
        "The value as JSON.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::String), write::to_json)),
    ),
    row(
        "isValidJSON",
        &[],
        "isValidJSON(json)",
        "Whether the text is JSON.",
        Plan::Scalar(Scalar::test((1, 1), |call| {
            Ok(Arc::new(
                found(call, |_| Some(()))?
                    .into_iter()
                    .map(|held| Some(held.is_some()))
                    .collect::<BooleanArray>(),
            ))
        })),
    ),
];
