//! Arrays and tuples out of their texts: `'[1, 2]'`, `'(1, \'a\')'`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringViewArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use zepto_common::ErrorCode;
use zepto_common::escapes::unescape_literal;
use zepto_common::types::ColumnType;

use super::convert::{OnFault, convert};
use super::scalar::fault;

/// An array of other items, or the text of one, as an array of this type.
pub(super) fn to_array(
    array: &ArrayRef,
    from: &ColumnType,
    of: &ColumnType,
    on_fault: OnFault,
) -> Result<ArrayRef> {
    if matches!(from, ColumnType::String | ColumnType::Symbol) {
        return arrays(array, of, on_fault);
    }
    let (Some(list), ColumnType::Array(inner)) = (array.as_list_opt::<i32>(), from) else {
        let message = format!("Cannot convert {from} to Array({of})");
        return Err(fault(ErrorCode::CannotConvertType, message));
    };
    let values = convert(list.values(), inner, of, on_fault)?;
    let DataType::List(field) = ColumnType::Array(Box::new(of.clone())).query_type() else {
        return Err(fault(ErrorCode::LogicalError, "An array's query type is a list"));
    };
    let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
    Ok(Arc::new(ListArray::try_new(field, offsets, values, nulls)?))
}

/// Texts as arrays of a type.
fn arrays(texts: &ArrayRef, of: &ColumnType, on_fault: OnFault) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8View)?;
    let (mut items, mut lengths) = (Vec::new(), Vec::with_capacity(texts.len()));
    for text in texts.as_string_view() {
        let read = read(text.unwrap_or("[]"), '[', ']', on_fault, &[])?;
        lengths.push(read.len());
        items.extend(read);
    }
    let values = column(items, of, on_fault)?;
    let DataType::List(field) = ColumnType::Array(Box::new(of.clone())).query_type() else {
        return Err(fault(ErrorCode::LogicalError, "An array's query type is a list"));
    };
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, None)?))
}

/// Texts as tuples of these types.
pub(super) fn tuples(texts: &ArrayRef, of: &[ColumnType], on_fault: OnFault) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::Utf8View)?;
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::with_capacity(texts.len()); of.len()];
    let zeros = vec![None; of.len()];
    for text in texts.as_string_view() {
        let items = match text {
            Some(text) => read(text, '(', ')', on_fault, &zeros)?,
            None => zeros.clone(),
        };
        if items.len() != of.len() {
            return Err(unreadable("The text is a tuple of another size"));
        }
        columns.iter_mut().zip(items).for_each(|(column, item)| column.push(item));
    }
    let DataType::Struct(fields) = ColumnType::Tuple(of.to_vec()).query_type() else {
        return Err(fault(ErrorCode::LogicalError, "A tuple's query type is a struct"));
    };
    let columns: Result<Vec<ArrayRef>> =
        columns.into_iter().zip(of).map(|(items, ty)| column(items, ty, on_fault)).collect();
    Ok(Arc::new(StructArray::try_new(fields, columns?, None)?))
}

fn unreadable(message: &str) -> DataFusionError {
    fault(ErrorCode::CannotReadArrayFromText, message)
}

/// Items as a column of their type. NULL in a type that has none is refused.
fn column(items: Vec<Option<String>>, ty: &ColumnType, on_fault: OnFault) -> Result<ArrayRef> {
    if on_fault == OnFault::Error && !ty.is_nullable() && items.iter().any(Option::is_none) {
        return Err(unreadable("NULL is no value of the items' type"));
    }
    let texts: ArrayRef = Arc::new(StringViewArray::from_iter(items));
    let values = convert(&texts, &ColumnType::String, ty, on_fault)?;
    let wanted = ty.query_type();
    if *values.data_type() == wanted { Ok(values) } else { Ok(cast(&values, &wanted)?) }
}

/// The items of a text; what cannot be read is `otherwise` if faults are none.
fn read(
    text: &str,
    open: char,
    close: char,
    on_fault: OnFault,
    otherwise: &[Option<String>],
) -> Result<Vec<Option<String>>> {
    match items(text.trim(), open, close) {
        Ok(items) => Ok(items),
        Err(message) if on_fault == OnFault::Error => Err(unreadable(message)),
        Err(_) => Ok(otherwise.to_vec()),
    }
}

/// The items between the brackets: quoted texts without their quotes, NULL, and all else as it is written.
fn items(text: &str, open: char, close: char) -> std::result::Result<Vec<Option<String>>, &'static str> {
    let inner = text.strip_prefix(open).ok_or("The text does not start with a bracket")?;
    let inner = inner.strip_suffix(close).ok_or("The text does not end with a bracket")?;
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut pieces = pieces(inner)?;
    // `(1,)` is a tuple of one.
    if open == '(' && pieces.last().is_some_and(|last| last.trim().is_empty()) {
        pieces.pop();
    }
    pieces.into_iter().map(|piece| item(piece.trim())).collect()
}

/// The parts between commas that stand in no bracket and no quotes.
fn pieces(text: &str) -> std::result::Result<Vec<&str>, &'static str> {
    let (mut depth, mut start, mut quoted, mut escaped) = (0_usize, 0, false, false);
    let mut pieces = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'\'' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth = depth.checked_sub(1).ok_or("A bracket is closed twice")?,
            b',' if depth == 0 => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if quoted || depth > 0 {
        return Err("A bracket or a quote is not closed");
    }
    pieces.push(&text[start..]);
    Ok(pieces)
}

fn item(piece: &str) -> std::result::Result<Option<String>, &'static str> {
    if piece.eq_ignore_ascii_case("NULL") {
        return Ok(None);
    }
    if piece.is_empty() {
        return Err("An item is missing");
    }
    let Some(inner) = piece.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) else {
        return Ok(Some(piece.to_owned()));
    };
    let bytes = unescape_literal(inner.as_bytes()).map_err(|_| "An escape cannot be read")?;
    String::from_utf8(bytes).map(Some).map_err(|_| "The text is not UTF-8")
}
