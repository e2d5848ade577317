//! How a column's values lie in a block, by the type that the block names. It knows more types than a table can
//! have: dictionaries of any type, Date32, and tuples with names.

use zepto_common::limits::DEPTH_MAX;
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode, Result};

/// The layout of a column.
#[derive(Debug, PartialEq)]
pub(super) enum Wire {
    /// Values of the type alone.
    Flat,
    /// Days in 32 bits.
    LongDate,
    /// NULL bytes, then the values.
    Nullable(Box<Wire>),
    /// Numbers of a dictionary of values of this type, of which the first is NULL when so.
    Low(Box<Wire>, ColumnType),
    /// Ends of lists, then the elements.
    Array(Box<Wire>),
    /// Ends of maps, then the keys and the values.
    Map(Box<(Wire, Wire)>),
    /// One column after another.
    Tuple(Vec<Wire>),
}

/// The layout and the type of values of a type's name.
pub(super) fn parse(name: &str) -> Result<(Wire, ColumnType)> {
    parse_at(name.trim(), 0)
}

fn unknown(name: &str) -> Error {
    let name: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    Error::new(ErrorCode::UnknownType, format!("Unknown data type family: {name}"))
}

fn parse_at(name: &str, depth: usize) -> Result<(Wire, ColumnType)> {
    use ColumnType as T;
    if depth > DEPTH_MAX {
        return Err(Error::new(ErrorCode::TooDeepAst, "Type is nested too deep"));
    }
    let nested = |name: &str| parse_at(name, depth + 1);
    let Some((family, inside)) = name.split_once('(') else {
        let wire = if name.eq_ignore_ascii_case("Date32") { Wire::LongDate } else { Wire::Flat };
        return Ok((wire, flat(name)?));
    };
    let inside = inside.strip_suffix(')').ok_or_else(|| unknown(name))?;
    let arguments = split(inside);
    // Names of types are taken in any case, here as in a statement: what is missed here would be read as plain values.
    Ok(match (family.trim().to_ascii_lowercase().as_str(), arguments.as_slice()) {
        ("nullable", [of]) => match nested(of)? {
            (wire @ (Wire::Flat | Wire::LongDate), ty) if !ty.is_nullable() => {
                (Wire::Nullable(Box::new(wire)), ty.nullable())
            }
            _ => {
                let message = format!("Nested type {of} cannot be inside Nullable type");
                return Err(Error::new(ErrorCode::IllegalTypeOfArgument, message));
            }
        },
        ("lowcardinality", [of]) => {
            let (wire, ty) = nested(of)?;
            let wire = match wire {
                Wire::Nullable(wire) => *wire,
                wire @ (Wire::Flat | Wire::LongDate) => wire,
                _ => return Err(unknown(name)),
            };
            let words = ty.inner().clone();
            let ty = match (&words, ty.is_nullable()) {
                (T::String, nullable) => {
                    if nullable {
                        T::Symbol.nullable()
                    } else {
                        T::Symbol
                    }
                }
                _ => ty,
            };
            (Wire::Low(Box::new(wire), words), ty)
        }
        ("array", [of]) => {
            let (wire, ty) = nested(of)?;
            (Wire::Array(Box::new(wire)), T::Array(Box::new(ty)))
        }
        ("map", [key, value]) => {
            let ((key, key_type), (value, value_type)) = (nested(key)?, nested(value)?);
            (Wire::Map(Box::new((key, value))), T::Map(Box::new(key_type), Box::new(value_type)))
        }
        ("tuple", parts) => {
            let parts = parts.iter().map(|part| parse_at(unnamed(part), depth + 1));
            let (wires, types): (Vec<_>, Vec<_>) = parts.collect::<Result<Vec<_>>>()?.into_iter().unzip();
            (Wire::Tuple(wires), T::Tuple(types))
        }
        _ => (Wire::Flat, flat(name)?),
    })
}

/// A type whose values stand one after another.
fn flat(name: &str) -> Result<ColumnType> {
    use ColumnType as T;
    match name.parse()? {
        T::Nullable(_) | T::Array(_) | T::Map(..) | T::Tuple(_) | T::Symbol => Err(unknown(name)),
        ty => Ok(ty),
    }
}

/// A tuple's element without its name.
fn unnamed(part: &str) -> &str {
    let word = match part.strip_prefix('`') {
        Some(rest) => rest.find('`').map(|end| end + 2),
        None => part.find([' ', '(', ',', '\'']),
    };
    match word.and_then(|end| part.get(end..)) {
        Some(rest) if rest.starts_with(' ') => rest.trim(),
        _ => part,
    }
}

/// Splits at commas outside of brackets and quotes.
fn split(inside: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0usize);
    let mut quote = None;
    for (at, byte) in inside.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) => quote = Some(open).filter(|open| *open != byte),
            (None, b'\'' | b'`') => quote = Some(byte),
            (None, b'(') => depth += 1,
            (None, b')') => depth = depth.saturating_sub(1),
            (None, b',') if depth == 0 => {
                parts.push(inside[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    let last = inside[start..].trim();
    if !last.is_empty() || !parts.is_empty() {
        parts.push(last);
    }
    parts
}
