//! Values out of JSON texts. A path is keys and places (from 1, negative from the end); what is not there is zero.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringViewArray, UInt64Array};
use datafusion::common::{Result, ScalarValue};
use serde_json::Value;
use zepto_common::types::ColumnType;

use super::scalar::{Call, MANY, Scalar, int_of};
use super::{Plan, Row, row};

/// What a path leads to.
fn at_path<'a>(mut value: &'a Value, path: &[ScalarValue]) -> Option<&'a Value> {
    for step in path {
        value = match step.try_as_str().flatten() {
            Some(key) => value.get(key)?,
            None => {
                let place = int_of(step)?;
                let items: Vec<&Value> = match value {
                    Value::Array(items) => items.iter().collect(),
                    Value::Object(entries) => entries.values().collect(),
                    _ => return None,
                };
                let at = if place > 0 { place - 1 } else { items.len() as i64 + place };
                items.get(usize::try_from(at).ok()?).copied()?
            }
        };
    }
    Some(value)
}

/// One value per row; None for a text that is no JSON or a path that leads nowhere.
fn found<T>(call: &Call<'_>, body: impl Fn(&Value) -> Option<T>) -> Result<Vec<Option<T>>> {
    let texts = call.texts(0)?;
    let steps: Result<Vec<ArrayRef>> = (1..call.len()).map(|i| call.array(i)).collect();
    let steps = steps?;
    (0..call.rows)
        .map(|row| {
            let path: Result<Vec<ScalarValue>> =
                steps.iter().map(|step| ScalarValue::try_from_array(step, row)).collect();
            let path = path?;
            let text = if texts.iter().nth(row).flatten().is_some() { texts.value(row) } else { "" };
            let parsed: Option<Value> = serde_json::from_str(text).ok();
            Ok(parsed.as_ref().and_then(|value| at_path(value, &path)).and_then(&body))
        })
        .collect()
}

fn whole(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_f64().map(|float| float as i64))
        .or_else(|| value.as_bool().map(i64::from))
}

fn length(value: &Value) -> Option<u64> {
    match value {
        Value::Array(items) => Some(items.len() as u64),
        Value::Object(entries) => Some(entries.len() as u64),
        _ => None,
    }
}

fn texts(call: &Call<'_>, body: impl Fn(&Value) -> Option<String>) -> Result<ArrayRef> {
    let texts = found(call, body)?.into_iter().map(Option::unwrap_or_default);
    Ok(Arc::new(StringViewArray::from_iter_values(texts)))
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

/// JSON.
pub(crate) const ROWS: &[Row] = &[
    json!(
        "JSONExtractString",
        &["simpleJSONExtractString", "visitParamExtractString"],
        "The text there.",
        String,
        |call| { texts(call, |value| value.as_str().map(str::to_owned)) }
    ),
    json!(
        "JSONExtractRaw",
        &["simpleJSONExtractRaw", "visitParamExtractRaw"],
        "What is there as JSON.",
        String,
        |call| { texts(call, |value| Some(value.to_string())) }
    ),
    json!(
        "JSONExtractInt",
        &["simpleJSONExtractInt", "visitParamExtractInt"],
        "The whole number there.",
        Int64,
        |call| {
            Ok(Arc::new(Int64Array::from_iter_values(
                found(call, whole)?.into_iter().map(Option::unwrap_or_default),
            )))
        }
    ),
    json!(
        "JSONExtractUInt",
        &["simpleJSONExtractUInt", "visitParamExtractUInt"],
        "The whole number there.",
        UInt64,
        |call| {
            let numbers = found(call, |value| {
                value.as_u64().or_else(|| whole(value).and_then(|n| u64::try_from(n).ok()))
            })?;
            Ok(Arc::new(UInt64Array::from_iter_values(numbers.into_iter().map(Option::unwrap_or_default))))
        }
    ),
    json!(
        "JSONExtractFloat",
        &["simpleJSONExtractFloat", "visitParamExtractFloat"],
        "The number there.",
        Float64,
        |call| {
            let numbers = found(call, Value::as_f64)?.into_iter().map(Option::unwrap_or_default);
            Ok(Arc::new(Float64Array::from_iter_values(numbers)))
        }
    ),
    json!(
        "JSONExtractBool",
        &["simpleJSONExtractBool", "visitParamExtractBool"],
        "Whether true is there.",
        UInt8,
        |call| {
            let held = found(call, Value::as_bool)?.into_iter().map(Option::unwrap_or_default);
            Ok(Arc::new(held.map(Some).collect::<BooleanArray>()))
        }
    ),
    json!("JSONHas", &["simpleJSONHas", "visitParamHas"], "Whether something is there.", UInt8, |call| {
        Ok(Arc::new(
            found(call, |_| Some(()))?.into_iter().map(|held| Some(held.is_some())).collect::<BooleanArray>(),
        ))
    }),
    json!("JSONLength", &[], "Items of the array or keys of the object there.", UInt64, |call| {
        Ok(Arc::new(UInt64Array::from_iter_values(
            found(call, length)?.into_iter().map(Option::unwrap_or_default),
        )))
    }),
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
