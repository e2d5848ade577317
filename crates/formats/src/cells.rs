//! Values of one column of a result, ready to be written as text.

mod binary;
mod binary_rows;
mod msgpack;
mod numbers;
mod texts;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, StringViewArray, UInt8Array, UInt16Array,
    UInt32Array, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{self as dt, DataType, TimeUnit};
use zepto_common::types::ColumnType;
use zepto_common::{Error, Result};

pub(crate) use binary_rows::write_rows;
pub(crate) use numbers::write_float;
use numbers::{Whole, decimal, integer};
pub(crate) use texts::csv_string;
use texts::{marked, text};

use crate::json_value::write_json_string;
use crate::settings::{FormatSettings, Words};
use crate::time::{Clock, write_date};

/// How JSON values are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JsonStyle {
    pub(crate) quote_64bit: bool,
    pub(crate) quote_floats: bool,
    pub(crate) quote_decimals: bool,
    pub(crate) quote_denormals: bool,
    pub(crate) escape_slash: bool,
    /// Tabs before a nested line; None writes all on one line.
    pub(crate) indent: Option<usize>,
}

/// How a value is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    /// TabSeparated.
    Escaped,
    /// Without escapes.
    Raw,
    /// CSV.
    Csv,
    /// VALUES, and inside nested values.
    Quoted,
    /// JSON.
    Json(JsonStyle),
    /// For people: NULL is small capitals.
    Pretty,
}

enum Kind {
    Bool(BooleanArray),
    I8(Int8Array),
    I16(Int16Array),
    I32(Int32Array),
    I64(Int64Array),
    U8(UInt8Array),
    U16(UInt16Array),
    U32(UInt32Array),
    U64(UInt64Array),
    F32(Float32Array),
    F64(Float64Array),
    /// Digits behind the point; whether zeros at their end are written.
    Decimal(Decimal128Array, u8, bool),
    Text(StringViewArray),
    Date(Date32Array),
    Time(ScalarBuffer<i64>, Clock),
    Uuid(FixedSizeBinaryArray),
    Array(OffsetBuffer<i32>, Box<Cells>),
    Map(OffsetBuffer<i32>, Box<(Cells, Cells)>),
    Tuple(Vec<Cells>),
    Nothing,
}

/// The values of one column.
pub(crate) struct Cells {
    kind: Kind,
    nulls: Option<NullBuffer>,
    /// What the request's settings call NULL and the flags, where it is not as usual.
    words: Option<Arc<Words>>,
}

impl Cells {
    /// The values of an array that holds values of this type, in any Arrow form that casts to its query form.
    ///
    /// # Errors
    /// When the array's form does not fit the type.
    pub(crate) fn new(array: &ArrayRef, ty: &ColumnType, settings: &FormatSettings) -> Result<Self> {
        use ColumnType as T;
        let wanted = ty.query_type();
        let array =
            if *array.data_type() == wanted || matches!(ty.inner(), T::Array(_) | T::Map(..) | T::Tuple(_)) {
                array.clone()
            } else {
                cast(array, &wanted)?
            };
        let kind = match ty.inner() {
            T::Bool => Kind::Bool(array.as_boolean().clone()),
            T::Int8 => Kind::I8(array.as_primitive().clone()),
            T::Int16 => Kind::I16(array.as_primitive().clone()),
            T::Int32 => Kind::I32(array.as_primitive().clone()),
            T::Int64 => Kind::I64(array.as_primitive().clone()),
            T::UInt8 => Kind::U8(array.as_primitive().clone()),
            T::UInt16 => Kind::U16(array.as_primitive().clone()),
            T::UInt32 => Kind::U32(array.as_primitive().clone()),
            T::UInt64 => Kind::U64(array.as_primitive().clone()),
            T::Float32 => Kind::F32(array.as_primitive().clone()),
            T::Float64 => Kind::F64(array.as_primitive().clone()),
            T::Decimal(_, scale) => {
                Kind::Decimal(array.as_primitive().clone(), *scale, settings.decimal_zeros)
            }
            T::String | T::Symbol => Kind::Text(array.as_string_view().clone()),
            T::Date => Kind::Date(array.as_primitive().clone()),
            T::DateTime(zone) => Kind::Time(ticks(&array)?, Clock::new(0, zone.as_deref(), settings)),
            T::DateTime64(precision, zone) => {
                Kind::Time(ticks(&array)?, Clock::new(*precision, zone.as_deref(), settings))
            }
            T::Uuid => Kind::Uuid(array.as_fixed_size_binary().clone()),
            T::Array(_) | T::Map(..) | T::Tuple(_) => Self::nested(&array, ty, settings)?,
            T::Nullable(_) | T::Nothing => Kind::Nothing,
        };
        Ok(Self { kind, nulls: array.nulls().cloned(), words: settings.words.clone() })
    }

    fn nested(array: &ArrayRef, ty: &ColumnType, settings: &FormatSettings) -> Result<Kind> {
        use ColumnType as T;
        Ok(match (ty.inner(), array.data_type()) {
            (T::Array(of), DataType::List(_)) => {
                let list = array.as_list::<i32>();
                Kind::Array(list.offsets().clone(), Box::new(Self::new(list.values(), of, settings)?))
            }
            (
                T::Array(of),
                DataType::LargeList(item) | DataType::ListView(item) | DataType::FixedSizeList(item, _),
            ) => {
                let list = cast(array, &DataType::List(item.clone()))?;
                return Self::nested(&list, &T::Array(of.clone()), settings);
            }
            (T::Map(key, value), DataType::Map(..)) => {
                let map = array.as_map();
                let pair = (Self::new(map.keys(), key, settings)?, Self::new(map.values(), value, settings)?);
                Kind::Map(map.offsets().clone(), Box::new(pair))
            }
            (T::Tuple(of), DataType::Struct(_)) => {
                let parts = array.as_struct().columns().iter().zip(of);
                Kind::Tuple(parts.map(|(part, ty)| Self::new(part, ty, settings)).collect::<Result<_>>()?)
            }
            (_, other) => return Err(Error::internal(format!("an array of {other} does not hold {ty}"))),
        })
    }

    /// Whether the value is NULL.
    #[inline]
    pub(crate) fn is_null(&self, row: usize) -> bool {
        matches!(self.kind, Kind::Nothing) || self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// NULL in formats of lines.
    fn null_word(&self, style: Style) -> &[u8] {
        match (&self.words, style) {
            (None, _) => b"\\N",
            (Some(words), Style::Csv) => words.csv_null.as_bytes(),
            (Some(words), _) => words.tsv_null.as_bytes(),
        }
    }

    /// A flag; values within others and JSON have their own words.
    #[inline]
    fn bool_word(&self, value: bool, style: Style) -> &[u8] {
        match (&self.words, style, value) {
            (Some(words), Style::Escaped | Style::Raw | Style::Csv | Style::Pretty, true) => {
                words.yes.as_bytes()
            }
            (Some(words), Style::Escaped | Style::Raw | Style::Csv | Style::Pretty, false) => {
                words.no.as_bytes()
            }
            (_, _, true) => b"true",
            (_, _, false) => b"false",
        }
    }

    /// Whether the value is written to the right.
    pub(crate) fn is_number(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Text(_)
                | Kind::Bool(_)
                | Kind::Uuid(_)
                | Kind::Array(..)
                | Kind::Map(..)
                | Kind::Tuple(_)
                | Kind::Nothing
        )
    }

    /// Whether the values are floats.
    pub(crate) fn is_float(&self) -> bool {
        matches!(self.kind, Kind::F32(_) | Kind::F64(_))
    }

    /// The elements of a tuple column.
    pub(crate) fn parts(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::Tuple(parts) => Some(parts),
            _ => None,
        }
    }

    /// The value as a float, for people; None for what is no plain number.
    pub(crate) fn magnitude(&self, row: usize) -> Option<f64> {
        if self.is_null(row) {
            return None;
        }
        Some(match &self.kind {
            Kind::I8(a) => f64::from(a.value(row)),
            Kind::I16(a) => f64::from(a.value(row)),
            Kind::I32(a) => f64::from(a.value(row)),
            Kind::I64(a) => a.value(row) as f64,
            Kind::U8(a) => f64::from(a.value(row)),
            Kind::U16(a) => f64::from(a.value(row)),
            Kind::U32(a) => f64::from(a.value(row)),
            Kind::U64(a) => a.value(row) as f64,
            Kind::F32(a) => f64::from(a.value(row)),
            Kind::F64(a) => a.value(row),
            Kind::Decimal(a, scale, _) => a.value(row) as f64 / 10f64.powi(i32::from(*scale)),
            _ => return None,
        })
    }

    /// Writes the value.
    #[inline]
    pub(crate) fn write(&self, row: usize, style: Style, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(match style {
                Style::Escaped | Style::Raw | Style::Csv => self.null_word(style),
                Style::Quoted => b"NULL",
                Style::Json(_) => b"null",
                Style::Pretty => "ᴺᵁᴸᴸ".as_bytes(),
            });
            return;
        }
        match &self.kind {
            Kind::Bool(a) => out.extend_from_slice(self.bool_word(a.value(row), style)),
            Kind::I8(a) => integer(a.value(row), out),
            Kind::I16(a) => integer(a.value(row), out),
            Kind::I32(a) => integer(a.value(row), out),
            Kind::I64(a) => wide(a.value(row), style, out),
            Kind::U8(a) => integer(a.value(row), out),
            Kind::U16(a) => integer(a.value(row), out),
            Kind::U32(a) => integer(a.value(row), out),
            Kind::U64(a) => wide(a.value(row), style, out),
            Kind::F32(a) => float(a.value(row), style, out),
            Kind::F64(a) => float(a.value(row), style, out),
            Kind::Decimal(a, scale, zeros) => match style {
                Style::Json(json) if json.quote_decimals => {
                    out.push(b'"');
                    decimal(a.value(row), *scale, *zeros, out);
                    out.push(b'"');
                }
                _ => decimal(a.value(row), *scale, *zeros, out),
            },
            Kind::Text(a) => text(a, row, style, out),
            Kind::Date(a) => marked(style, out, |out| write_date(i64::from(a.value(row)), out)),
            Kind::Time(a, clock) => marked(style, out, |out| clock.write(a[row], out)),
            Kind::Uuid(a) => marked(style, out, |out| write_uuid(a.value(row), out)),
            Kind::Array(..) | Kind::Map(..) | Kind::Tuple(_) | Kind::Nothing => {
                self.write_nested(row, style, out)
            }
        }
    }

    #[inline(never)]
    fn write_nested(&self, row: usize, style: Style, out: &mut Vec<u8>) {
        match style {
            Style::Json(json) => self.write_json(row, json, out),
            Style::Csv => {
                let start = out.len();
                out.push(b'"');
                self.write_quoted(row, out);
                if memchr::memchr(b'"', &out[start + 1..]).is_some() {
                    let inside = out.split_off(start + 1);
                    out.truncate(start);
                    csv_string(&inside, out);
                } else {
                    out.push(b'"');
                }
            }
            _ => self.write_quoted(row, out),
        }
    }

    fn write_quoted(&self, row: usize, out: &mut Vec<u8>) {
        let style = Style::Quoted;
        match &self.kind {
            Kind::Array(offsets, item) => {
                out.push(b'[');
                separated(span(offsets, row), b",", out, |at, out| item.write(at, style, out));
                out.push(b']');
            }
            Kind::Map(offsets, pair) => {
                out.push(b'{');
                separated(span(offsets, row), b",", out, |at, out| {
                    pair.0.write(at, style, out);
                    out.push(b':');
                    pair.1.write(at, style, out);
                });
                out.push(b'}');
            }
            Kind::Tuple(parts) => {
                out.push(b'(');
                separated(0..parts.len(), b",", out, |at, out| parts[at].write(row, style, out));
                if parts.len() == 1 {
                    out.push(b',');
                }
                out.push(b')');
            }
            _ => {}
        }
    }

    fn write_json(&self, row: usize, json: JsonStyle, out: &mut Vec<u8>) {
        let flat = Style::Json(JsonStyle { indent: None, ..json });
        let deeper = Style::Json(JsonStyle { indent: json.indent.map(|tabs| tabs + 1), ..json });
        let line = |tabs: usize, out: &mut Vec<u8>| {
            out.push(b'\n');
            out.extend(std::iter::repeat_n(b'\t', tabs));
        };
        match &self.kind {
            Kind::Array(offsets, item) => {
                let rows = span(offsets, row);
                let nested = matches!(item.kind, Kind::Array(..) | Kind::Map(..) | Kind::Tuple(_));
                let indent = json.indent.filter(|_| nested && !rows.is_empty());
                out.push(b'[');
                separated(rows, b",", out, |at, out| {
                    if let Some(tabs) = indent {
                        line(tabs + 1, out);
                    }
                    item.write(at, if indent.is_some() { deeper } else { flat }, out);
                });
                if let Some(tabs) = indent {
                    line(tabs, out);
                }
                out.push(b']');
            }
            Kind::Map(offsets, pair) => {
                let rows = span(offsets, row);
                let indent = json.indent.filter(|_| !rows.is_empty());
                out.push(b'{');
                separated(rows, b",", out, |at, out| {
                    if let Some(tabs) = indent {
                        line(tabs + 1, out);
                    }
                    pair.0.write_json_key(at, json, out);
                    out.extend_from_slice(if indent.is_some() { b": " } else { b":" });
                    pair.1.write(at, deeper, out);
                });
                if let Some(tabs) = indent {
                    line(tabs, out);
                }
                out.push(b'}');
            }
            Kind::Tuple(parts) => {
                out.push(b'[');
                separated(0..parts.len(), b",", out, |at, out| {
                    if let Some(tabs) = json.indent {
                        line(tabs + 1, out);
                    }
                    parts[at].write(row, deeper, out);
                });
                if let Some(tabs) = json.indent {
                    line(tabs, out);
                }
                out.push(b']');
            }
            _ => {}
        }
    }

    fn write_json_key(&self, row: usize, json: JsonStyle, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Text(a) => write_json_string(a.value(row).as_bytes(), json.escape_slash, out),
            _ => {
                out.push(b'"');
                self.write(row, Style::Raw, out);
                out.push(b'"');
            }
        }
    }
}

fn span(offsets: &OffsetBuffer<i32>, row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

fn separated(
    range: std::ops::Range<usize>,
    with: &[u8],
    out: &mut Vec<u8>,
    mut each: impl FnMut(usize, &mut Vec<u8>),
) {
    let start = range.start;
    for at in range {
        if at > start {
            out.extend_from_slice(with);
        }
        each(at, out);
    }
}

fn ticks(array: &ArrayRef) -> Result<ScalarBuffer<i64>> {
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            array.as_primitive::<dt::TimestampSecondType>().values().clone()
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            array.as_primitive::<dt::TimestampMillisecondType>().values().clone()
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<dt::TimestampMicrosecondType>().values().clone()
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            array.as_primitive::<dt::TimestampNanosecondType>().values().clone()
        }
        other => return Err(Error::internal(format!("an array of {other} holds no times"))),
    })
}

#[inline]
fn wide(value: impl Whole, style: Style, out: &mut Vec<u8>) {
    match style {
        Style::Json(json) if json.quote_64bit => {
            out.push(b'"');
            integer(value, out);
            out.push(b'"');
        }
        _ => integer(value, out),
    }
}

#[inline]
fn float<F: zmij::Float + Into<f64> + Copy>(value: F, style: Style, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    match style {
        Style::Json(json) if json.quote_floats && size_of::<F>() == size_of::<f64>() => {
            out.push(b'"');
            match wide.is_finite() || json.quote_denormals {
                true => write_float(value, out),
                false => out.extend_from_slice(b"null"),
            }
            out.push(b'"');
        }
        Style::Json(json) if !wide.is_finite() => {
            if !json.quote_denormals {
                out.extend_from_slice(b"null");
                return;
            }
            out.push(b'"');
            write_float(value, out);
            out.push(b'"');
        }
        _ => write_float(value, out),
    }
}

fn write_uuid(bytes: &[u8], out: &mut Vec<u8>) {
    let mut text = uuid::Uuid::encode_buffer();
    if let Ok(id) = uuid::Uuid::from_slice(bytes) {
        out.extend_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes());
    }
}
