//! Type names: ClickHouse's and standard SQL's, without regard to case where ClickHouse has none.

use std::str::FromStr;
use std::sync::Arc;

use super::ColumnType;
use crate::error::{Error, ErrorCode, Result};
use crate::limits::DEPTH_MAX;

impl FromStr for ColumnType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text.trim(), 0, unknown)
    }
}

/// Types that ClickHouse has and this database has not, so that a message can tell them from misspelt names.
const NOT_HERE: &[&str] = &[
    "aggregatefunction",
    "bfloat16",
    "decimal256",
    "dynamic",
    "enum",
    "enum16",
    "enum8",
    "fixedstring",
    "geometry",
    "int128",
    "int256",
    "ipv4",
    "ipv6",
    "json",
    "linestring",
    "multilinestring",
    "multipolygon",
    "nested",
    "object",
    "point",
    "polygon",
    "qbit",
    "ring",
    "simpleaggregatefunction",
    "time",
    "time64",
    "uint128",
    "uint256",
    "variant",
];

fn unknown(text: &str) -> Error {
    let family = text.split('(').next().unwrap_or_default().trim().to_ascii_lowercase();
    if NOT_HERE.contains(&family.as_str()) {
        return Error::new(ErrorCode::NotImplemented, format!("Data type {text} is not supported"));
    }
    // Whether what follows a word is a type is asked once: each word of it would ask again.
    let is_type = |text: &str| parse(text.trim(), 0, unknown_family).is_ok();
    let named = text.split_once(' ').is_some_and(|(name, ty)| !is_type(name) && is_type(ty));
    if named {
        let message = format!("{text}: elements of a Tuple have no names here");
        return Error::new(ErrorCode::NotImplemented, message);
    }
    unknown_family(text)
}

fn unknown_family(text: &str) -> Error {
    Error::new(ErrorCode::UnknownType, format!("Unknown data type family: {text}"))
}

/// The error for a name that is no type's.
type Unknown = fn(&str) -> Error;

fn parse(text: &str, depth: usize, unknown: Unknown) -> Result<ColumnType> {
    if depth > DEPTH_MAX {
        return Err(Error::new(ErrorCode::TooDeepAst, "Type is nested too deep"));
    }
    let (name, arguments) = match text.find('(') {
        Some(open) => {
            let inside = text[open + 1..].strip_suffix(')').ok_or_else(|| unknown(text))?;
            (text[..open].trim(), Some(split_arguments(inside)))
        }
        None => (text, None),
    };
    let arguments = arguments.unwrap_or_default();
    match arguments.len() {
        0 => simple(name, unknown),
        _ => with_arguments(name, &arguments, text, (depth, unknown)),
    }
}

fn simple(name: &str, unknown: Unknown) -> Result<ColumnType> {
    use ColumnType as T;
    Ok(match name.to_ascii_lowercase().as_str() {
        "bool" | "boolean" => T::Bool,
        "int8" | "tinyint" => T::Int8,
        "int16" | "smallint" => T::Int16,
        "int32" | "int" | "integer" => T::Int32,
        "int64" | "bigint" | "long" => T::Int64,
        "uint8" => T::UInt8,
        "uint16" => T::UInt16,
        "uint32" => T::UInt32,
        "uint64" => T::UInt64,
        "float32" | "float" | "real" => T::Float32,
        "float64" | "double" | "double precision" => T::Float64,
        "decimal" | "numeric" => T::Decimal(10, 0),
        "string" | "text" | "varchar" | "char" => T::String,
        "symbol" => T::Symbol,
        "date" | "date32" => T::Date,
        "datetime" => T::DateTime(None),
        "datetime64" => T::DateTime64(3, None),
        "timestamp" => T::DateTime(None),
        "timestamp_ns" => T::DateTime64(9, None),
        "uuid" => T::Uuid,
        "nothing" => T::Nothing,
        _ => return Err(unknown(name)),
    })
}

fn with_arguments(
    name: &str,
    arguments: &[&str],
    text: &str,
    (depth, unknown): (usize, Unknown),
) -> Result<ColumnType> {
    use ColumnType as T;
    let nested = |i: usize| parse(arguments[i], depth + 1, unknown);
    Ok(match (name.to_ascii_lowercase().as_str(), arguments.len()) {
        ("nullable", 1) => match nested(0)? {
            T::Nullable(_) | T::Array(_) | T::Tuple(_) | T::Map(..) => {
                let message = format!("Nested type {} cannot be inside Nullable type", arguments[0]);
                return Err(Error::new(ErrorCode::IllegalTypeOfArgument, message));
            }
            inner => inner.nullable(),
        },
        ("lowcardinality", 1) => match nested(0)? {
            T::String => T::Symbol,
            T::Nullable(of) if *of == T::String => T::Symbol.nullable(),
            // Other value types gain nothing from a dictionary here; the type is kept without it.
            other => other,
        },
        ("array", 1) => T::Array(Box::new(nested(0)?)),
        ("map", 2) => T::Map(Box::new(nested(0)?), Box::new(nested(1)?)),
        ("tuple", _) => {
            let is_named =
                |element: &&str| element.split_once(' ').is_some_and(|(name, _)| !name.contains('('));
            if arguments.iter().any(is_named) {
                let message = format!("Names of a tuple's elements are not supported: {text}");
                return Err(Error::new(ErrorCode::NotImplemented, message));
            }
            let of: Result<Vec<_>> = (0..arguments.len()).map(nested).collect();
            T::Tuple(of?)
        }
        ("datetime", 1) => T::DateTime(Some(zone(arguments[0])?)),
        ("datetime64" | "timestamp", 1) => T::DateTime64(number(arguments[0], 0, 9)?, None),
        ("datetime64", 2) => T::DateTime64(number(arguments[0], 0, 9)?, Some(zone(arguments[1])?)),
        ("decimal" | "numeric", 1) => T::Decimal(number(arguments[0], 1, 38)?, 0),
        ("decimal" | "numeric", 2) => {
            let precision = number(arguments[0], 1, 38)?;
            T::Decimal(precision, number(arguments[1], 0, precision)?)
        }
        ("decimal32", 1) => T::Decimal(9, number(arguments[0], 0, 9)?),
        ("decimal64", 1) => T::Decimal(18, number(arguments[0], 0, 18)?),
        ("decimal128", 1) => T::Decimal(38, number(arguments[0], 0, 38)?),
        ("varchar" | "char", 1) => T::String,
        ("aggregatefunction" | "simpleaggregatefunction", _) => {
            let message = format!("States of aggregate functions are not supported: {text}");
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
        _ => return Err(unknown(text)),
    })
}

fn number(text: &str, low: u8, high: u8) -> Result<u8> {
    match text.parse::<u8>() {
        Ok(n) if (low..=high).contains(&n) => Ok(n),
        Ok(39..=76) if high == 38 => {
            let message = format!("Decimals of {text} digits are not supported, only of up to 38");
            Err(Error::new(ErrorCode::NotImplemented, message))
        }
        _ => Err(Error::new(
            ErrorCode::BadArguments,
            format!("Type argument {text} is not a number from {low} to {high}"),
        )),
    }
}

fn zone(text: &str) -> Result<Arc<str>> {
    let name = text.trim().trim_matches('\'');
    match name.parse::<chrono_tz::Tz>() {
        Ok(_) => Ok(Arc::from(name)),
        Err(_) => Err(Error::new(ErrorCode::BadArguments, format!("Unknown time zone {name}"))),
    }
}

/// Splits at commas that are outside parentheses and quotes; a tuple's element names are dropped.
fn split_arguments(inside: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0usize, false);
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => {
                parts.push(inside[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = inside[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    parts
}
