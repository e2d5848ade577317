//! Bytes as digits and numbers as bytes; which functions want a text.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringViewArray};
use datafusion::common::Result;
use zepto_common::types::ColumnType;

use super::map;
use crate::functions::scalar::Call;

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
    "endsWith",
    "trimBoth",
    "trimLeft",
    "trimRight",
];

/// `hex(x)`: digits of a text's bytes, or of a whole number.
pub(crate) fn hex(call: &Call<'_>) -> Result<ArrayRef> {
    if call.base(0).is_number() && !matches!(call.base(0), ColumnType::Float32 | ColumnType::Float64) {
        let numbers = call.bits(0)?;
        let texts = numbers.iter().map(|number| {
            let digits = format!("{:X}", number.unwrap_or_default());
            if digits.len() % 2 == 1 { format!("0{digits}") } else { digits }
        });
        return Ok(Arc::new(StringViewArray::from_iter_values(texts)));
    }
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    match call.base(0) {
        // The bytes of a float as they lie in memory, the lowest first.
        ColumnType::Float64 => {
            let texts = call
                .floats(0)?
                .iter()
                .map(|n| digits(&n.unwrap_or_default().to_le_bytes()))
                .collect::<Vec<_>>();
            return Ok(Arc::new(StringViewArray::from_iter_values(texts)));
        }
        ColumnType::Float32 => {
            let texts = call.floats(0)?;
            let texts = texts.iter().map(|n| digits(&(n.unwrap_or_default() as f32).to_le_bytes()));
            return Ok(Arc::new(StringViewArray::from_iter_values(texts)));
        }
        _ => {}
    }
    map(call, |text, _| Ok(Cow::Owned(text.bytes().map(|byte| format!("{byte:02X}")).collect())))
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
