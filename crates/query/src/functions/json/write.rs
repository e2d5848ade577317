//! Values as JSON: `toJSONString`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StringViewArray, StringViewBuilder};
use datafusion::common::Result;
use zepto_common::types::ColumnType;

use super::value::write_string;
use crate::functions::render;
use crate::functions::scalar::Call;

/// A column and how its values are written.
enum Node {
    /// Their texts; whether in quotes.
    Leaf(StringViewArray, bool),
    List(ListArray, Box<Node>),
    Tuple(Vec<Node>),
    Map(MapArray, Box<Node>, Box<Node>),
}

pub(super) fn to_json(call: &Call<'_>) -> Result<ArrayRef> {
    let array = call.array(0)?;
    let node = Node::new(&array, &call.base(0))?;
    let mut out = StringViewBuilder::with_capacity(array.len());
    let mut text = String::new();
    for row in 0..array.len() {
        text.clear();
        node.write(&mut text, row);
        out.append_value(&text);
    }
    Ok(Arc::new(out.finish()))
}

impl Node {
    fn new(array: &ArrayRef, ty: &ColumnType) -> Result<Self> {
        Ok(match ty.inner() {
            ColumnType::Array(of) => {
                let list = array.as_list::<i32>().clone();
                let items = Self::new(list.values(), of)?;
                Self::List(list, Box::new(items))
            }
            ColumnType::Tuple(of) => {
                let columns = array.as_struct().columns().iter().zip(of);
                Self::Tuple(columns.map(|(column, ty)| Self::new(column, ty)).collect::<Result<_>>()?)
            }
            ColumnType::Map(key, value) => {
                let map = array.as_map().clone();
                let (keys, values) = (Self::new(map.keys(), key)?, Self::new(map.values(), value)?);
                Self::Map(map, Box::new(keys), Box::new(values))
            }
            leaf => {
                let plain = leaf.is_number() || matches!(leaf, ColumnType::Bool | ColumnType::Nothing);
                Self::Leaf(render::texts(array, leaf)?, !plain)
            }
        })
    }

    fn write(&self, out: &mut String, row: usize) {
        match self {
            Self::Leaf(texts, _) if texts.is_null(row) => out.push_str("null"),
            Self::Leaf(texts, true) => quoted(out, texts.value(row)),
            Self::Leaf(texts, false) => match texts.value(row) {
                "nan" | "inf" | "-inf" => out.push_str("null"),
                number => out.push_str(number),
            },
            Self::List(list, items) => {
                let offsets = list.value_offsets();
                out.push('[');
                for at in offsets[row]..offsets[row + 1] {
                    if at > offsets[row] {
                        out.push(',');
                    }
                    items.write(out, at as usize);
                }
                out.push(']');
            }
            Self::Tuple(columns) => {
                out.push('[');
                for (at, column) in columns.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    column.write(out, row);
                }
                out.push(']');
            }
            Self::Map(map, keys, values) => {
                let offsets = map.value_offsets();
                out.push('{');
                for at in offsets[row]..offsets[row + 1] {
                    if at > offsets[row] {
                        out.push(',');
                    }
                    match keys.as_ref() {
                        Self::Leaf(texts, _) => quoted(out, texts.value(at as usize)),
                        other => other.write(out, at as usize),
                    }
                    out.push(':');
                    values.write(out, at as usize);
                }
                out.push('}');
            }
        }
    }
}

/// A string in quotes, with its slashes escaped.
fn quoted(out: &mut String, text: &str) {
    let start = out.len();
    // Writing into a String cannot fail.
    let _ = write_string(out, text);
    if out[start..].contains('/') {
        let escaped = out[start..].replace('/', "\\/");
        out.truncate(start);
        out.push_str(&escaped);
    }
}
