//! From the values of a payload to those of a table's columns. What does not fit becomes NULL and so is seen.

#[cfg(test)]
mod tests;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{Int64Type, TimeUnit as ArrowUnit};
use zepto_common::schema::{Column, ColumnDefault};
use zepto_common::types::{ColumnType, ticks_per_second, unit_of};
use zepto_common::{ColumnId, Error, ErrorCode, Result};

use super::From;
use crate::config::{FeedConfig, TimeUnit};
use crate::tick;

/// The fields of a tick as columns.
pub(super) fn of_tick() -> Vec<Column> {
    let types = [
        ColumnType::String,
        // Nanoseconds, which become a time of the column's own kind.
        ColumnType::Int64,
        ColumnType::Float64,
        ColumnType::Float64,
        ColumnType::Float64,
        ColumnType::Float64,
        ColumnType::UInt64,
    ];
    let column = |(at, (name, ty)): (usize, (&str, ColumnType))| Column {
        id: ColumnId(at as u32 + 1),
        name: name.to_owned(),
        ty,
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    tick::FIELDS.into_iter().zip(types).enumerate().map(column).collect()
}

/// The field of a tick that a column has; it must be able to hold all of them.
pub(super) fn tick_field(feed: &FeedConfig, column: &Column) -> Result<From> {
    use ColumnType as T;
    let field = feed.fields.get(&column.name).unwrap_or(&column.name);
    let at = tick::FIELDS.iter().position(|name| name == field).ok_or_else(|| {
        let message = format!("feed {}: a tick has no field for column {}", feed.name, column.name);
        Error::new(ErrorCode::NoSuchColumnInTable, message)
    })?;
    match (field.as_str(), column.ty.inner()) {
        ("time", T::DateTime64(..)) => Ok(From::Scaled(at, TimeUnit::Ns)),
        ("symbol", T::String | T::Symbol) | ("time", T::Int64) => Ok(From::Payload(at)),
        ("sequence", T::UInt64 | T::Int64) | ("price" | "size" | "bid" | "ask", T::Float64) => {
            Ok(From::Payload(at))
        }
        _ => {
            let message = format!(
                "feed {}: column {} of type {} cannot hold the {field} of every tick",
                feed.name, column.name, column.ty
            );
            Err(Error::new(ErrorCode::TypeMismatch, message))
        }
    }
}

/// The column of a payload that has numbers where the table has times.
pub(super) fn of_numbers(column: &Column) -> Result<Column> {
    if !matches!(column.ty, ColumnType::DateTime64(..)) {
        let message = format!("units: column {} is no DateTime64", column.name);
        return Err(Error::new(ErrorCode::TypeMismatch, message));
    }
    Ok(Column { ty: ColumnType::Int64, default: ColumnDefault::Zero, ..column.clone() })
}

/// Values in the type of their column.
pub(super) fn converted(from: &ArrayRef, unit: Option<TimeUnit>, ty: &ColumnType) -> Result<ArrayRef> {
    let stored = ty.storage_type();
    match (unit, ty.inner()) {
        (Some(unit), ColumnType::DateTime64(precision, _)) => {
            let ticks = times(from.as_primitive::<Int64Type>(), unit, *precision);
            // Numbers to times of the column's zone: no clock on the wall has a say in it.
            Ok(cast(&ticks, &stored)?)
        }
        _ if *from.data_type() == stored => Ok(from.clone()),
        _ => Ok(cast(from, &stored)?),
    }
}

/// Times of numbers in the ticks of a column; finer digits are cut off, towards the past. NULL is what no column holds.
fn times(numbers: &Int64Array, unit: TimeUnit, precision: u8) -> Int64Array {
    let unit = match unit {
        TimeUnit::S => ArrowUnit::Second,
        TimeUnit::Ms => ArrowUnit::Millisecond,
        TimeUnit::Us => ArrowUnit::Microsecond,
        TimeUnit::Ns => ArrowUnit::Nanosecond,
    };
    let (from, to) = (ticks_per_second(unit), ticks_per_second(unit_of(precision)));
    let step = to / 10i64.pow(u32::from(precision));
    numbers.unary_opt(|number| {
        let ticks = if to > from { number.checked_mul(to / from)? } else { number.div_euclid(from / to) };
        ticks.div_euclid(step).checked_mul(step)
    })
}

/// Rows that have no value any more.
pub(super) fn lost(before: &ArrayRef, after: &ArrayRef) -> Vec<usize> {
    if after.null_count() == before.null_count() {
        return Vec::new();
    }
    (0..after.len()).filter(|row| after.is_null(*row) && before.is_valid(*row)).collect()
}
