//! Rows that are other expressions, and rules of types.

use std::str::FromStr;

use arrow::array::ArrayRef;
use datafusion::common::{Result, ScalarValue};
use sqlparser::ast::{Expr, Value};
use zepto_common::settings::{self, Setting};
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode};

use crate::functions::convert::{OnFault, convert};
use crate::functions::rewrites::{call, parse_template, text};
use crate::functions::scalar::{Arguments, Call, fault};
use crate::functions::{lambda_args, with_lambda};

/// The function behind `getSetting`: a name and, once it is known, the value.
pub(crate) const SETTING: &str = "__setting";

type Made = zepto_common::Result<Expr>;

fn wrong_count(name: &str, passed: usize) -> Error {
    let message = format!("Number of arguments for function {name} doesn't match: passed {passed}");
    Error::new(ErrorCode::NumberOfArgumentsDoesntMatch, message)
}

/// A constant text; None for anything else.
fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        Expr::Nested(inner) => literal(inner),
        _ => None,
    }
}

/// `concatWithSeparator(separator, a, …)`.
pub(super) fn joined(args: Vec<Expr>) -> Made {
    let [separator, values @ ..] = args.as_slice() else { return Err(wrong_count("concatWithSeparator", 0)) };
    let mut parts = Vec::new();
    for value in values {
        if !parts.is_empty() {
            parts.push(separator.clone());
        }
        parts.push(call("toString", vec![value.clone()]));
    }
    match parts.len() {
        0 => Ok(text("")),
        _ => Ok(call("concat", parts)),
    }
}

/// `dateName('part', ts)`.
pub(super) fn date_name(args: Vec<Expr>) -> Made {
    let [part, of @ ..] = args.as_slice() else { return Err(wrong_count("dateName", 0)) };
    if of.is_empty() || of.len() > 2 {
        return Err(wrong_count("dateName", args.len()));
    }
    let template = match literal(part).unwrap_or_default().to_ascii_lowercase().as_str() {
        "year" => "toString(toYear($1))",
        "quarter" => "toString(toQuarter($1))",
        "month" => "formatDateTime($1, '%M')",
        "dayofyear" => "toString(toDayOfYear($1))",
        "day" => "toString(toDayOfMonth($1))",
        "week" => "toString(toISOWeek($1))",
        "weekday" => "formatDateTime($1, '%W')",
        "hour" => "toString(toHour($1))",
        "minute" => "toString(toMinute($1))",
        "second" => "toString(toSecond($1))",
        other => {
            return Err(Error::new(ErrorCode::BadArguments, format!("Unknown part of a time: '{other}'")));
        }
    };
    let time = match of {
        [time, zone] => call("toTimeZone", vec![time.clone(), zone.clone()]),
        _ => of[0].clone(),
    };
    parse_template("dateName", template, &[time])
}

/// `toDateTime32`.
pub(super) fn date_time(args: Vec<Expr>) -> Made {
    Ok(call("toDateTime", args))
}

/// `getSetting('name')`; [`crate::planner`] adds the value that the statement has.
pub(super) fn get_setting(args: Vec<Expr>) -> Made {
    match args.len() {
        1 => Ok(call(SETTING, args)),
        passed => Err(wrong_count("getSetting", passed)),
    }
}

/// `grouping(key, …)`: the planner's own, as ClickHouse's type.
pub(super) fn grouping(args: Vec<Expr>) -> Made {
    Ok(call("toUInt64", vec![call("grouping", args)]))
}

fn lambda_and_map<'a>(name: &str, args: &'a [Expr]) -> zepto_common::Result<(&'a Expr, Vec<Expr>)> {
    match args {
        [lambda @ Expr::Lambda(_), map] => {
            Ok((lambda, vec![call("mapKeys", vec![map.clone()]), call("mapValues", vec![map.clone()])]))
        }
        _ => {
            let message = format!("Function {name} needs a lambda and a map");
            Err(Error::new(ErrorCode::NumberOfArgumentsDoesntMatch, message))
        }
    }
}

/// A function of the lambda over keys and values.
fn over_pairs(name: &str, of: &str, args: &[Expr]) -> Made {
    let (lambda, mut arrays) = lambda_and_map(name, args)?;
    arrays.insert(0, lambda.clone());
    with_lambda(of, &arrays)?.ok_or_else(|| Error::internal(format!("{of} takes a lambda")))
}

pub(super) fn map_exists(args: Vec<Expr>) -> Made {
    over_pairs("mapExists", "arrayExists", &args)
}

pub(super) fn map_all(args: Vec<Expr>) -> Made {
    over_pairs("mapAll", "arrayAll", &args)
}

/// What the lambda gives for each pair.
fn mapped(name: &str, args: &[Expr]) -> Made {
    let (lambda, mut arrays) = lambda_and_map(name, args)?;
    arrays.insert(0, lambda.clone());
    Ok(call("arrayMap", lambda_args(arrays)))
}

pub(super) fn map_filter(args: Vec<Expr>) -> Made {
    let kept = mapped("mapFilter", &args)?;
    let template = "mapFromArrays(__array_filter(mapKeys($1), $2), __array_filter(mapValues($1), $2))";
    parse_template("mapFilter", template, &[args[1].clone(), kept])
}

pub(super) fn map_apply(args: Vec<Expr>) -> Made {
    let pairs = mapped("mapApply", &args)?;
    let template =
        "mapFromArrays(arrayMap(p -> tupleElement(p, 1), $1), arrayMap(p -> tupleElement(p, 2), $1))";
    parse_template("mapApply", template, &[pairs])
}

/// `JSONExtract(json, path…, 'Type')` by the function of the type's kind.
pub(super) fn json_extract(mut args: Vec<Expr>) -> Made {
    let name = args.pop().as_ref().and_then(literal).map(str::to_owned);
    let Some(name) = name.filter(|_| !args.is_empty()) else {
        let message = "The last argument of JSONExtract must be a type's name";
        return Err(Error::new(ErrorCode::IllegalTypeOfArgument, message));
    };
    let ty = ColumnType::from_str(&name)?;
    // Each item as its text, read as the type.
    if let ColumnType::Array(item) = &ty
        && *item.inner() == ColumnType::String
        && !item.is_nullable()
    {
        return Ok(call("__json_items", args));
    }
    if let ColumnType::Array(item) = &ty
        && item.is_number()
        && !item.is_nullable()
    {
        return Ok(call("__json_numbers", vec![call("__json_items", args), text(ty.to_string())]));
    }
    let of = match &ty {
        ColumnType::String => return Ok(call("JSONExtractString", args)),
        ColumnType::Bool => "JSONExtractBool",
        ColumnType::UInt8 | ColumnType::UInt16 | ColumnType::UInt32 | ColumnType::UInt64 => "__json_uint",
        ColumnType::Int8 | ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => "__json_int",
        ColumnType::Float32 | ColumnType::Float64 => "__json_float",
        other => {
            let message = format!("JSONExtract of {other} is not supported: numbers, Bool and String are");
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
    };
    // A number that the type cannot hold is none.
    if matches!(ty, ColumnType::Float32 | ColumnType::Float64 | ColumnType::Bool) {
        return Ok(call("CAST", vec![call(of, args), text(name)]));
    }
    let held = call("accurateCastOrNull", vec![call(of, args), text(name)]);
    Ok(call("assumeNotNull", vec![held]))
}

/// Whole numbers keep their type.
pub(super) fn whole_type(args: &Arguments<'_>) -> Result<ColumnType> {
    match args.base(0) {
        ty if crate::semantics::numbers::is_whole(&ty) => Ok(ty),
        other => {
            let message = format!("Illegal type {other} of argument: expected a whole number");
            Err(fault(ErrorCode::IllegalTypeOfArgument, message))
        }
    }
}

/// The common type of a number and the steps.
pub(super) fn stepped_type(args: &Arguments<'_>) -> Result<ColumnType> {
    match args.base(1) {
        ColumnType::Array(item) => crate::semantics::numbers::common(&[args.base(0), *item]),
        other => {
            let message = format!("Illegal type {other} of argument: expected an array of steps");
            Err(fault(ErrorCode::IllegalTypeOfArgument, message))
        }
    }
}

/// Only texts have dictionaries.
pub(super) fn dictionary_type(args: &Arguments<'_>) -> Result<ColumnType> {
    match args.base(0) {
        ColumnType::String | ColumnType::Symbol => Ok(ColumnType::Symbol),
        other => Err(fault(
            ErrorCode::NotImplemented,
            format!("toLowCardinality of {other}: only texts have dictionaries"),
        )),
    }
}

fn setting_named(name: Option<&str>) -> Result<Setting> {
    let Some(name) = name else {
        return Err(fault(ErrorCode::IllegalTypeOfArgument, "The name of a setting must be a constant text"));
    };
    settings::all()
        .find(|setting| setting.name == name)
        .ok_or_else(|| fault(ErrorCode::UnknownSetting, format!("Unknown setting '{name}'")))
}

/// The type of a setting.
pub(super) fn setting_type(args: &Arguments<'_>) -> Result<ColumnType> {
    Ok(match setting_named(args.text(0))?.kind {
        "Bool" => ColumnType::Bool,
        "UInt64" | "Seconds" | "Milliseconds" | "MaxThreads" | "NonZeroUInt64" | "UInt64Auto" => {
            ColumnType::UInt64
        }
        "Int64" => ColumnType::Int64,
        "Float" | "Double" => ColumnType::Float64,
        _ => ColumnType::String,
    })
}

/// Its value: that of the statement, which [`crate::planner`] puts behind the name, or the default.
pub(super) fn setting(call: &Call<'_>) -> Result<ArrayRef> {
    let setting = setting_named(call.literal_text(0))?;
    let value = call.literal_text(1).unwrap_or(setting.default).to_owned();
    let digits = value.trim_start_matches("auto(").trim_end_matches(')').to_owned();
    let value = if *call.ty == ColumnType::String { value } else { digits };
    let text = ScalarValue::Utf8View(Some(value)).to_array_of_size(call.rows)?;
    convert(&text, &ColumnType::String, call.ty, OnFault::Zero)
}
