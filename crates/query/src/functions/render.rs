//! Values as text, the way ClickHouse's `toString` writes them.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, StringViewArray, StringViewBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int64Type, UInt64Type,
};
use datafusion::common::Result;
use zepto_common::types::{ColumnType, ticks_per_second, unit_of};

use super::calendar::{DAY, Zone, civil_of};
use super::timestamps::ticks;

/// A column as text; NULL stays NULL.
pub(crate) fn texts(array: &ArrayRef, ty: &ColumnType) -> Result<StringViewArray> {
    let mut writer = Writer::new(array, ty)?;
    let mut out = StringViewBuilder::with_capacity(array.len());
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            out.append_null();
        } else {
            text.clear();
            writer.write(&mut text, row);
            out.append_value(&text);
        }
    }
    Ok(out.finish())
}

enum Writer {
    Bool(BooleanArray, bool),
    Int(arrow::array::Int64Array),
    UInt(arrow::array::UInt64Array),
    Float32(arrow::array::Float32Array),
    Float64(arrow::array::Float64Array),
    Decimal(arrow::array::Decimal128Array, i8),
    Text(StringViewArray),
    Date(arrow::array::Date32Array),
    Time { ticks: arrow::array::Int64Array, per_second: i64, digits: u8, zone: Zone },
    Uuid(FixedSizeBinaryArray),
    List(arrow::array::ListArray, Box<Writer>, bool),
    Tuple(Vec<(ArrayRef, Writer, bool)>),
    Map(arrow::array::MapArray, Box<[(Writer, bool); 2]>),
    Null,
}

impl Writer {
    fn new(array: &ArrayRef, ty: &ColumnType) -> Result<Self> {
        use ColumnType as T;
        let to = |wanted: &DataType| cast(array, wanted);
        Ok(match ty.inner() {
            T::Bool => Self::Bool(array.as_boolean().clone(), true),
            T::UInt8 if *array.data_type() == DataType::Boolean => {
                Self::Bool(array.as_boolean().clone(), false)
            }
            T::Int8 | T::Int16 | T::Int32 | T::Int64 => {
                Self::Int(to(&DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64 => {
                Self::UInt(to(&DataType::UInt64)?.as_primitive::<UInt64Type>().clone())
            }
            T::Float32 => Self::Float32(to(&DataType::Float32)?.as_primitive::<Float32Type>().clone()),
            T::Float64 => Self::Float64(to(&DataType::Float64)?.as_primitive::<Float64Type>().clone()),
            T::Decimal(_, scale) => {
                let wide = to(&DataType::Decimal128(38, *scale as i8))?;
                Self::Decimal(wide.as_primitive::<Decimal128Type>().clone(), *scale as i8)
            }
            T::Date => Self::Date(to(&DataType::Date32)?.as_primitive::<Date32Type>().clone()),
            T::DateTime(zone) => Self::time(array, 0, zone.as_deref())?,
            T::DateTime64(digits, zone) => Self::time(array, *digits, zone.as_deref())?,
            T::Uuid => Self::Uuid(array.as_fixed_size_binary().clone()),
            T::Array(of) => {
                let list = array.as_list::<i32>().clone();
                let inner = Self::new(list.values(), of)?;
                Self::List(list, Box::new(inner), quoted(of))
            }
            T::Tuple(of) => {
                let columns = array.as_struct().columns().iter().zip(of);
                let writers =
                    columns.map(|(column, ty)| Ok((Arc::clone(column), Self::new(column, ty)?, quoted(ty))));
                Self::Tuple(writers.collect::<Result<_>>()?)
            }
            T::Map(key, value) => {
                let map = array.as_map().clone();
                let writers = [(map.keys(), key), (map.values(), value)];
                let [key, value] =
                    writers.map(|(column, ty)| Self::new(column, ty).map(|it| (it, quoted(ty))));
                Self::Map(map, Box::new([key?, value?]))
            }
            T::Nothing => Self::Null,
            _ => Self::Text(to(&DataType::Utf8View)?.as_string_view().clone()),
        })
    }

    fn time(array: &ArrayRef, digits: u8, zone: Option<&str>) -> Result<Self> {
        let (ticks, per_second) = ticks(array)?;
        Ok(Self::Time { ticks, per_second, digits, zone: Zone::named(zone)? })
    }

    fn write(&mut self, out: &mut String, row: usize) {
        // Writing into a String cannot fail.
        let _ = match self {
            Self::Bool(array, true) => out.write_str(if array.value(row) { "true" } else { "false" }),
            Self::Bool(array, false) => out.write_str(if array.value(row) { "1" } else { "0" }),
            Self::Int(array) => write!(out, "{}", array.value(row)),
            Self::UInt(array) => write!(out, "{}", array.value(row)),
            Self::Float32(array) => float32(out, array.value(row)),
            Self::Float64(array) => float64(out, array.value(row)),
            Self::Decimal(array, scale) => decimal(out, array.value(row), *scale),
            Self::Text(array) => out.write_str(array.value(row)),
            Self::Date(array) => date(out, i64::from(array.value(row))),
            Self::Time { ticks, per_second, digits, zone } => {
                moment(out, ticks.value(row), *per_second, *digits, zone)
            }
            Self::Uuid(array) => uuid(out, array.value(row)),
            Self::List(array, inner, quote) => {
                let offsets = array.value_offsets();
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                let values = Arc::clone(array.values());
                let quote = *quote;
                out.push('[');
                for (i, at) in range.enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    nested(out, inner, &values, at, quote);
                }
                out.write_str("]")
            }
            Self::Tuple(fields) => {
                out.push('(');
                for (i, (column, inner, quote)) in fields.iter_mut().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    nested(out, inner, &Arc::clone(column), row, *quote);
                }
                out.write_str(")")
            }
            Self::Map(array, writers) => {
                let offsets = array.value_offsets();
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                let (keys, values) = (Arc::clone(array.keys()), Arc::clone(array.values()));
                let [(key, key_quoted), (value, value_quoted)] = writers.as_mut();
                out.push('{');
                for (i, at) in range.enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    nested(out, key, &keys, at, *key_quoted);
                    out.push(':');
                    nested(out, value, &values, at, *value_quoted);
                }
                out.write_str("}")
            }
            Self::Null => Ok(()),
        };
    }
}

fn nested(out: &mut String, inner: &mut Writer, values: &ArrayRef, at: usize, quote: bool) {
    if values.is_null(at) {
        out.push_str("NULL");
    } else if quote {
        let mut text = String::new();
        inner.write(&mut text, at);
        out.push('\'');
        for c in text.chars() {
            if matches!(c, '\'' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('\'');
    } else {
        inner.write(out, at);
    }
}

fn quoted(ty: &ColumnType) -> bool {
    use ColumnType as T;
    matches!(ty.inner(), T::String | T::Symbol | T::Date | T::DateTime(_) | T::DateTime64(..) | T::Uuid)
}

/// Shortest digits that read back as the same float; an exponent below 1e-6 and from 1e21 on.
pub(crate) fn float64(out: &mut String, value: f64) -> std::fmt::Result {
    let size = value.abs();
    if value.is_nan() {
        out.write_str("nan")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "inf" } else { "-inf" })
    } else if size == 0.0 || (1e-6..1e21).contains(&size) {
        write!(out, "{value}")
    } else {
        write!(out, "{value:e}")
    }
}

fn float32(out: &mut String, value: f32) -> std::fmt::Result {
    let size = value.abs();
    if value.is_finite() && size != 0.0 && !(1e-6..1e21).contains(&size) {
        write!(out, "{value:e}")
    } else if value.is_finite() {
        write!(out, "{value}")
    } else {
        float64(out, f64::from(value))
    }
}

fn decimal(out: &mut String, value: i128, scale: i8) -> std::fmt::Result {
    let unit = 10_u128.pow(scale.max(0) as u32);
    let (whole, rest) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
    write!(out, "{}{whole}", if value < 0 { "-" } else { "" })?;
    if rest != 0 {
        let digits = format!("{rest:0width$}", width = scale.max(0) as usize);
        write!(out, ".{}", digits.trim_end_matches('0'))?;
    }
    Ok(())
}

fn date(out: &mut String, days: i64) -> std::fmt::Result {
    let (year, month, day) = civil_of(days);
    write!(out, "{year:04}-{month:02}-{day:02}")
}

fn moment(out: &mut String, ticks: i64, per_second: i64, digits: u8, zone: &mut Zone) -> std::fmt::Result {
    let (utc, rest) = (ticks.div_euclid(per_second), ticks.rem_euclid(per_second));
    let local = zone.local(utc);
    date(out, local.div_euclid(DAY))?;
    let clock = local.rem_euclid(DAY);
    write!(out, " {:02}:{:02}:{:02}", clock / 3_600, clock / 60 % 60, clock % 60)?;
    if digits > 0 {
        let held = ticks_per_second(unit_of(digits));
        let fraction = rest * (held / per_second.min(held)).max(1);
        let width = held.ilog10() as usize;
        let text = format!("{fraction:0width$}");
        write!(out, ".{}", &text[..usize::from(digits).min(text.len())])?;
    }
    Ok(())
}

fn uuid(out: &mut String, bytes: &[u8]) -> std::fmt::Result {
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        write!(out, "{byte:02x}")?;
    }
    Ok(())
}
