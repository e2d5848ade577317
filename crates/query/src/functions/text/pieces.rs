//! Texts cut into arrays.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::Result;

use crate::functions::scalar::Call;

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

pub(super) fn pieces(text: &str, separator: &str) -> Vec<String> {
    if separator.is_empty() {
        return text.chars().map(String::from).collect();
    }
    text.split(separator).map(str::to_owned).collect()
}
