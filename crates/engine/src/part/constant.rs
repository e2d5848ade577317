//! The value that old rows have in a column that was added after them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, Int32Array, Int64Array, ListArray, MapArray,
    StringArray, StructArray, new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options, concat};
use arrow::datatypes::DataType;
use zepto_common::schema::{Column, ColumnDefault};
use zepto_common::types::{ColumnType, ticks_per_second, unit_of};
use zepto_common::{Error, ErrorCode, Result};

/// The text of NULL in TabSeparated.
const NULL_TEXT: &str = "\\N";

/// The column's default as a one-row array of its storage type. `Now` was never asked for by the old rows: they get
/// NULL or zero.
pub(crate) fn of_default(column: &Column) -> Result<ArrayRef> {
    match &column.default {
        ColumnDefault::Constant(text) => of_text(text, &column.ty).map_err(|error| {
            Error::new(error.code, format!("default of column {}: {}", column.name, error.message))
        }),
        ColumnDefault::Zero | ColumnDefault::Now => zero(&column.ty),
    }
}

/// NULL for Nullable, else zero, false, the empty text, list or map, as a one-row array of the type's storage form.
///
/// # Errors
/// A type that has no value.
pub fn zero(ty: &ColumnType) -> Result<ArrayRef> {
    let storage = ty.storage_type();
    if ty.is_nullable() {
        return Ok(new_null_array(&storage, 1));
    }
    Ok(match (ty, &storage) {
        (ColumnType::String | ColumnType::Symbol, _) => cast(&StringArray::from(vec![""]), &storage)?,
        (ColumnType::Bool, _) => Arc::new(BooleanArray::from(vec![false])),
        (ColumnType::Uuid, _) => uuid([0; 16])?,
        (ColumnType::Array(_), DataType::List(item)) => {
            let none = new_empty_array(item.data_type());
            Arc::new(ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths([0]), none, None)?)
        }
        (ColumnType::Tuple(of), DataType::Struct(fields)) => {
            let columns: Result<Vec<ArrayRef>> =
                of.iter().zip(fields).map(|(ty, field)| Ok(cast(&zero(ty)?, field.data_type())?)).collect();
            Arc::new(StructArray::try_new(fields.clone(), columns?, None)?)
        }
        (ColumnType::Map(..), DataType::Map(entries, sorted)) => {
            let none = new_empty_array(entries.data_type()).as_struct().clone();
            let ends = OffsetBuffer::from_lengths([0]);
            Arc::new(MapArray::try_new(Arc::clone(entries), ends, none, None, *sorted)?)
        }
        (_, DataType::Null) => new_null_array(&storage, 1),
        (ColumnType::Date, _) => cast(&Int32Array::from(vec![0]), &storage)?,
        _ => cast(&Int64Array::from(vec![0]), &storage)?,
    })
}

/// A value given as unescaped TabSeparated text.
fn of_text(text: &str, ty: &ColumnType) -> Result<ArrayRef> {
    let storage = ty.storage_type();
    if ty.is_nullable() && text == NULL_TEXT {
        return Ok(new_null_array(&storage, 1));
    }
    let fault = || Error::new(ErrorCode::CannotParseText, format!("{text:?} is no {ty}"));
    Ok(match ty.inner() {
        ColumnType::Bool => {
            let value = matches!(text, "true" | "1" | "True" | "TRUE");
            if !value && !matches!(text, "false" | "0" | "False" | "FALSE") {
                return Err(fault());
            }
            Arc::new(BooleanArray::from(vec![value]))
        }
        ColumnType::Uuid => {
            let digits: String = text.chars().filter(|c| *c != '-').collect();
            if digits.len() != 32 {
                return Err(fault());
            }
            uuid(u128::from_str_radix(&digits, 16).map_err(|_| fault())?.to_be_bytes())?
        }
        ColumnType::DateTime(_) if text.parse::<i64>().is_ok() => {
            cast(&Int64Array::from(vec![text.parse::<i64>().map_err(|_| fault())?]), &storage)?
        }
        ColumnType::DateTime64(precision, _) if text.parse::<i64>().is_ok() => {
            let seconds = text.parse::<i64>().map_err(|_| fault())?;
            let ticks = seconds.checked_mul(ticks_per_second(unit_of(*precision))).ok_or_else(fault)?;
            cast(&Int64Array::from(vec![ticks]), &storage)?
        }
        ColumnType::Array(of) => list(text, of, &storage)?,
        ColumnType::Tuple(_) | ColumnType::Map(..) => {
            return Err(Error::new(ErrorCode::NotImplemented, format!("a constant default of type {ty}")));
        }
        _ => {
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(&StringArray::from(vec![text]), &storage, &strict).map_err(|_| fault())?
        }
    })
}

fn uuid(bytes: [u8; 16]) -> Result<ArrayRef> {
    Ok(Arc::new(FixedSizeBinaryArray::try_from_iter(std::iter::once(bytes))?))
}

/// `[a, 'b']`.
fn list(text: &str, of: &ColumnType, storage: &DataType) -> Result<ArrayRef> {
    let fault = || Error::new(ErrorCode::CannotParseText, format!("{text:?} is no Array({of})"));
    let DataType::List(item) = storage else { return Err(fault()) };
    let inner = text.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or_else(fault)?;
    let values: Result<Vec<ArrayRef>> = items(inner)
        .iter()
        .map(|value| {
            let value = if value == "NULL" { NULL_TEXT } else { value };
            Ok(cast(&of_text(value, of)?, item.data_type())?)
        })
        .collect();
    let values = values?;
    let arrays: Vec<_> = values.iter().map(AsRef::as_ref).collect();
    let all = if arrays.is_empty() { new_empty_array(item.data_type()) } else { concat(&arrays)? };
    let offsets = OffsetBuffer::from_lengths([all.len()]);
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, all, None)?))
}

/// The items of a list's text: cut at commas outside quotes and brackets, outer quotes taken off.
fn items(text: &str) -> Vec<String> {
    let (mut items, mut item, mut depth, mut quoted, mut escaped) =
        (Vec::new(), String::new(), 0u32, false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => {
                escaped = true;
                if depth == 0 {
                    continue;
                }
            }
            '\'' => {
                quoted = !quoted;
                if depth == 0 {
                    continue;
                }
            }
            '[' | '(' if !quoted => depth += 1,
            ']' | ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                items.push(std::mem::take(&mut item));
                continue;
            }
            c if c.is_whitespace() && !quoted && depth == 0 => continue,
            _ => {}
        }
        item.push(c);
    }
    if !text.trim().is_empty() {
        items.push(item);
    }
    items
}
