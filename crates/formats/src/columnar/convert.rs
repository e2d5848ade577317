//! Arrays of any type as arrays of a column's storage type, with ClickHouse's meaning of a cast: numbers in a time
//! column are seconds, decimals lose their last digits without rounding, anything becomes text. What does not fit
//! is refused, never wrapped around.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, StringArray, make_array, new_empty_array,
};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options, is_not_null};
use arrow::datatypes::{self as dt, DataType, Field, TimeUnit};
use zepto_common::limits::{BLOCK_BYTES_MAX, COLUMNAR_BYTES_MAX};
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode, Result};

use crate::cells::{Cells, Style, write_float};
use crate::column::{Column, Values};
use crate::decode::error_of;
use crate::settings::FormatSettings;
use crate::text::push_text;
use crate::time::{Clock, out_of_range};

/// Casts an array to a column's storage type; NULLs stay NULL, whether or not the column takes them.
pub(super) fn converted(array: &ArrayRef, column: &Column, settings: &FormatSettings) -> Result<ArrayRef> {
    use ColumnType as T;
    let storage = column.ty.storage_type();
    if *array.data_type() == storage {
        return Ok(array.clone());
    }
    if let DataType::Dictionary(_, value) = array.data_type()
        && !matches!(storage, DataType::Dictionary(..))
    {
        return converted(&strict_cast(array, value)?, column, settings);
    }
    let from = array.data_type();
    let from_text = matches!(from, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match (column.ty.inner(), from) {
        (T::String | T::Symbol, from) if from.is_nested() => {
            Err(Error::new(ErrorCode::TypeMismatch, format!("{from} does not become {}", column.ty)))
        }
        (T::String | T::Symbol, DataType::Binary | DataType::LargeBinary | DataType::BinaryView) => {
            strict_cast(array, &storage)
        }
        (T::String | T::Symbol, _) if from_text || matches!(from, DataType::Dictionary(..)) => {
            strict_cast(array, &storage)
        }
        (T::String | T::Symbol, _) => strict_cast(&written(array, settings)?, &storage),
        _ if from_text => parsed(array, column, settings),
        (T::DateTime(_) | T::DateTime64(..), DataType::Timestamp(unit, _)) => {
            let plain = retyped(array, DataType::Timestamp(*unit, None))?;
            let wanted = match &storage {
                DataType::Timestamp(unit, _) => DataType::Timestamp(*unit, None),
                _ => DataType::Timestamp(TimeUnit::Second, None),
            };
            retyped(&strict_cast(&plain, &wanted)?, storage)
        }
        (T::DateTime(_) | T::DateTime64(..), from) if from.is_numeric() => {
            let Values::Time(_, clock) = &column.values else {
                return Err(Error::internal("a time column has a clock"));
            };
            retyped(&seconds(array, clock)?, storage)
        }
        (T::Date, from) if from.is_integer() => strict_cast(&strict_cast(array, &DataType::Int32)?, &storage),
        (T::Decimal(_, scale), DataType::Decimal128(_, from)) if *from > *scale as i8 => {
            let step = 10i128.pow((*from - *scale as i8).unsigned_abs().into());
            let cut = array.as_primitive::<dt::Decimal128Type>().unary::<_, dt::Decimal128Type>(|n| n / step);
            let cut = cut.with_precision_and_scale(38, *scale as i8)?;
            strict_cast(&(Arc::new(cut) as ArrayRef), &storage)
        }
        (T::Decimal(precision, scale), from) if from.is_floating() => decimals(array, *precision, *scale),
        _ => strict_cast(array, &storage),
    }
}

/// How many bytes a dictionary's words may become when they are written out row by row: few long words may stand
/// for many rows.
pub(crate) fn justified_bytes(held: usize) -> usize {
    /// Bytes written out for each byte held.
    const RATIO_MAX: usize = 64;
    held.saturating_mul(RATIO_MAX).clamp(BLOCK_BYTES_MAX, COLUMNAR_BYTES_MAX)
}

#[cold]
pub(crate) fn unjustified() -> Error {
    let message = "Few long words of a dictionary stand for too many rows; send them as String in parts";
    Error::new(ErrorCode::TooLargeStringSize, message)
}

/// Refuses dictionaries, also inside lists, whose words would grow too much when written out.
pub(super) fn justified(array: &ArrayRef) -> Result<()> {
    match array.data_type() {
        DataType::List(_) => return justified(array.as_list::<i32>().values()),
        DataType::LargeList(_) => return justified(array.as_list::<i64>().values()),
        DataType::Dictionary(..) => {}
        _ => return Ok(()),
    }
    let dictionary = array.as_any_dictionary();
    let (words, keys) = (dictionary.values(), dictionary.keys());
    let held = words.get_array_memory_size();
    let most = justified_bytes(held + 4 * array.len());
    if words.is_empty()
        || held.saturating_mul(array.len()) <= most
        || !can_cast_types(words.data_type(), &DataType::Utf8View)
    {
        return Ok(());
    }
    let words = strict_cast(words, &DataType::Utf8View)?;
    let words = words.as_string_view();
    let normalized = dictionary.normalized_keys();
    let rows = normalized.iter().enumerate().filter(|(row, _)| keys.is_valid(*row));
    let bytes: usize = rows.map(|(_, key)| words.value(*key).len()).sum();
    if bytes > most { Err(unjustified()) } else { Ok(()) }
}

/// Each value as its text.
fn written(array: &ArrayRef, settings: &FormatSettings) -> Result<ArrayRef> {
    let ty = ColumnType::of_field(&Field::new("", array.data_type().clone(), true));
    let ty = match (array.data_type(), ty) {
        (DataType::Boolean, _) => ColumnType::Bool,
        (_, ty) => ty,
    };
    let cells = Cells::new(array, &ty, &settings.without_words())?;
    let mut text = Vec::new();
    let words = (0..array.len()).map(|row| {
        text.clear();
        cells.write(row, Style::Raw, &mut text);
        (!cells.is_null(row)).then(|| String::from_utf8_lossy(&text).into_owned())
    });
    Ok(Arc::new(words.collect::<StringArray>()))
}

/// Numbers of seconds as a clock's ticks; ticks are ticks where they are too large for seconds.
fn seconds(array: &ArrayRef, clock: &Clock) -> Result<ArrayRef> {
    let one = |number: f64| {
        let mut text = Vec::new();
        write_float(number.abs(), &mut text);
        let mut parts = text.splitn(2, |byte| *byte == b'.');
        let whole = parts.next().and_then(|whole| std::str::from_utf8(whole).ok()?.parse().ok());
        let fraction = parts.next().unwrap_or_default();
        if !fraction.iter().all(u8::is_ascii_digit) {
            return Err(out_of_range());
        }
        clock.of_number(number < 0.0, whole.ok_or_else(out_of_range)?, fraction)
    };
    let ticks = if array.data_type().is_integer() {
        let numbers = strict_cast(array, &DataType::Int64)?;
        let of = |n: i64| clock.of_number(n < 0, n.unsigned_abs(), b"");
        numbers.as_primitive::<dt::Int64Type>().try_unary::<_, dt::Int64Type, _>(of)?
    } else {
        let numbers = strict_cast(array, &DataType::Float64)?;
        numbers.as_primitive::<dt::Float64Type>().try_unary::<_, dt::Int64Type, _>(one)?
    };
    Ok(Arc::new(ticks))
}

/// Floats as decimals, without the digits past the scale.
fn decimals(array: &ArrayRef, precision: u8, scale: u8) -> Result<ArrayRef> {
    let floats = strict_cast(array, &DataType::Float64)?;
    let (size, limit) = (10f64.powi(scale.into()), 10f64.powi(precision.into()));
    let of = |float: f64| {
        let value = (float * size).trunc();
        if value.abs() < limit {
            Ok(value as i128)
        } else {
            let message = format!("{float} does not fit Decimal({precision}, {scale})");
            Err(Error::new(ErrorCode::ValueIsOutOfRange, message))
        }
    };
    let values: Decimal128Array =
        floats.as_primitive::<dt::Float64Type>().try_unary::<_, dt::Decimal128Type, Error>(of)?;
    Ok(Arc::new(values.with_precision_and_scale(precision, scale as i8)?))
}

/// Text in a column that is not text: parsed value by value, as in the text formats.
fn parsed(array: &ArrayRef, known: &Column, settings: &FormatSettings) -> Result<ArrayRef> {
    // NULLs are kept here and filled by the caller.
    let ty = match &known.ty {
        nested @ (ColumnType::Array(_) | ColumnType::Map(..) | ColumnType::Tuple(_)) => nested.clone(),
        ty => ty.clone().nullable(),
    };
    let mut column = Column::new(&known.name, &ty, settings);
    let text = strict_cast(array, &DataType::Utf8View)?;
    for value in text.as_string_view() {
        match value {
            Some(value) => push_text(&mut column, value.as_bytes()).map_err(error_of)?,
            None => column.push_zero(),
        }
    }
    column.finish()
}

/// The same bytes as another type of the same layout.
pub(super) fn retyped(array: &ArrayRef, ty: DataType) -> Result<ArrayRef> {
    Ok(make_array(array.to_data().into_builder().data_type(ty).build()?))
}

/// NULL replaced by the default.
pub(super) fn filled(array: &ArrayRef, default: &ArrayRef) -> Result<ArrayRef> {
    let ty = array.data_type().clone();
    let plain = match &ty {
        DataType::Dictionary(_, value) => strict_cast(array, value)?,
        _ => array.clone(),
    };
    let plain_default = strict_cast(default, plain.data_type())?;
    let mask: BooleanArray = is_not_null(&plain)?;
    let merged = arrow::compute::kernels::zip::zip(&mask, &plain, &arrow::array::Scalar::new(plain_default))?;
    strict_cast(&merged, &ty)
}

/// A cast in which a value that does not fit is an error.
pub(super) fn strict_cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let from = array.data_type();
    if from == to {
        return Ok(array.clone());
    }
    if array.is_empty() {
        return Ok(new_empty_array(to));
    }
    if !can_cast_types(from, to) {
        return Err(Error::new(ErrorCode::TypeMismatch, format!("{from} does not become {to}")));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to, &options)
        .map_err(|error| Error::new(ErrorCode::ValueIsOutOfRange, error.to_string()))
}
