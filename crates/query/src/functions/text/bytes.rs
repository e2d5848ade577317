//! Bytes as digits and numbers as bytes; which functions want a text.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringViewArray};
use arrow::datatypes::{DataType, Decimal128Type, Int32Type};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::map;
use crate::functions::scalar::{Arguments, Call, fault};
use crate::functions::timestamps::ticks;

/// Functions whose first argument must not be a number or a time.
pub(crate) const OF_TEXT: &[&str] = &[
    "lower",
    "upper",
    "lowerUTF8",
    "upperUTF8",
    "reverse",
    "length",
    "lengthUTF8",
    "empty",
    "notEmpty",
    "substring",
    "substringUTF8",
    "position",
    "replaceAll",
    "replaceOne",
    "replaceRegexpAll",
    "replaceRegexpOne",
    "match",
    "extract",
    "startsWith",
    "startsWithCaseInsensitive",
    "endsWith",
    "endsWithCaseInsensitive",
    "trimBoth",
    "trimLeft",
    "trimRight",
];

/// What [`by_bytes`] can spell: the result is a text.
pub(crate) fn text_of_bytes(args: &Arguments<'_>) -> Result<ColumnType> {
    match args.base(0) {
        ty @ ColumnType::DateTime64(..) => {
            Err(fault(ErrorCode::IllegalColumn, format!("The bytes of {ty} have no digits")))
        }
        ty @ (ColumnType::Array(_) | ColumnType::Tuple(_) | ColumnType::Map(..)) => {
            Err(fault(ErrorCode::IllegalTypeOfArgument, format!("The bytes of {ty} have no digits")))
        }
        _ => Ok(ColumnType::String),
    }
}

/// The bytes of each value, spelled: of a whole number, a day or a time from its highest byte that is not 0, of a float or
/// a decimal as they lie in memory, the lowest first.
pub(crate) fn by_bytes(call: &Call<'_>, spelled: fn(&[u8]) -> String) -> Result<ArrayRef> {
    let of_whole = |number: u64| {
        let bytes = number.to_be_bytes();
        spelled(&bytes[(number.leading_zeros() as usize / 8).min(7)..])
    };
    let texts: Vec<String> = match call.base(0) {
        ColumnType::Float64 => {
            call.floats(0)?.iter().map(|n| spelled(&n.unwrap_or_default().to_le_bytes())).collect()
        }
        ColumnType::Float32 => {
            call.floats(0)?.iter().map(|n| spelled(&(n.unwrap_or_default() as f32).to_le_bytes())).collect()
        }
        ColumnType::Decimal(precision, _) => {
            let stored = if precision <= 9 {
                4
            } else if precision <= 18 {
                8
            } else {
                16
            };
            let numbers = call.array(0)?;
            let numbers = numbers.as_primitive::<Decimal128Type>();
            numbers.iter().map(|n| spelled(&n.unwrap_or_default().to_le_bytes()[..stored])).collect()
        }
        ColumnType::Date => call
            .cast(0, &DataType::Int32)?
            .as_primitive::<Int32Type>()
            .iter()
            .map(|day| of_whole(day.unwrap_or_default() as u64))
            .collect(),
        ColumnType::DateTime(_) => {
            let (ticks, per_second) = ticks(&call.array(0)?)?;
            ticks
                .iter()
                .map(|tick| of_whole(tick.unwrap_or_default().div_euclid(per_second) as u64))
                .collect()
        }
        ty if ty.is_number() || ty == ColumnType::Bool => {
            call.bits(0)?.iter().map(|n| of_whole(n.unwrap_or_default())).collect()
        }
        ColumnType::Uuid => {
            let ids = call.array(0)?;
            ids.as_fixed_size_binary().iter().map(|id| spelled(id.unwrap_or_default())).collect()
        }
        _ => return map(call, |text, _| Ok(Cow::Owned(spelled(text.as_bytes())))),
    };
    Ok(Arc::new(StringViewArray::from_iter_values(texts)))
}

/// `char(n, …)`.
pub(super) fn char_of(call: &Call<'_>) -> Result<ArrayRef> {
    let codes: Result<Vec<Int64Array>> = (0..call.len()).map(|i| call.ints(i)).collect();
    let codes = codes?;
    let texts = (0..call.rows).map(|row| {
        let bytes: Vec<u8> = codes.iter().map(|code| code.value(row) as u8).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    Ok(Arc::new(StringViewArray::from_iter_values(texts)))
}
