//! Statistics of sorted columns, per slot and over all rows.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray,
    StringArray,
};
use arrow::compute::{
    max_boolean, max_fixed_size_binary, max_string, min_boolean, min_fixed_size_binary, min_string,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::index::{ColumnStats, EXTREME_BYTES_MAX, KeyStats, RunIndex, Sum, Sums};

/// How a primitive type's values are added up and compared.
trait Number: ArrowPrimitiveType {
    /// The type of a sum.
    type Sum: Copy;
    /// The sum of nothing.
    const ZERO: Self::Sum;
    /// Adds a value; None beyond the sum's range.
    fn add(sum: Self::Sum, value: Self::Native) -> Option<Self::Sum>;
    /// Whether the value is NaN.
    fn is_nan(value: Self::Native) -> bool;
    /// Adds many values, in their order.
    fn add_all(sum: Self::Sum, values: &[Self::Native]) -> Option<Self::Sum>;
    /// Sums per slot.
    fn sums(sums: Vec<Self::Sum>) -> Sums;
}

macro_rules! exact {
    ($($ty:ty),*) => {$(
        impl Number for $ty {
            type Sum = i128;
            const ZERO: i128 = 0;
            #[inline]
            fn add(sum: i128, value: Self::Native) -> Option<i128> {
                sum.checked_add(i128::from(value))
            }
            #[inline]
            fn is_nan(_: Self::Native) -> bool {
                false
            }
            #[inline]
            fn add_all(sum: i128, values: &[Self::Native]) -> Option<i128> {
                if size_of::<Self::Native>() <= 8 {
                    // Fewer than 2^32 values of 64 bits do not outgrow 128.
                    let total: i128 = values.iter().map(|&value| i128::from(value)).sum();
                    return sum.checked_add(total);
                }
                values.iter().try_fold(sum, |sum, &value| Self::add(sum, value))
            }
            fn sums(sums: Vec<i128>) -> Sums {
                Sums::I(sums)
            }
        }
    )*};
}
exact!(Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type);
exact!(Decimal128Type, Date32Type);
exact!(TimestampSecondType, TimestampMillisecondType, TimestampMicrosecondType, TimestampNanosecondType);

macro_rules! float {
    ($($ty:ty),*) => {$(
        impl Number for $ty {
            type Sum = f64;
            const ZERO: f64 = 0.0;
            #[inline]
            fn add(sum: f64, value: Self::Native) -> Option<f64> {
                Some(sum + f64::from(value))
            }
            #[inline]
            fn is_nan(value: Self::Native) -> bool {
                value.is_nan()
            }
            #[inline]
            fn add_all(sum: f64, values: &[Self::Native]) -> Option<f64> {
                Some(values.iter().fold(sum, |sum, &value| sum + f64::from(value)))
            }
            fn sums(sums: Vec<f64>) -> Sums {
                Sums::F(sums)
            }
        }
    )*};
}
float!(Float32Type, Float64Type);

/// Calls `$call::<T>(primitive array)` for a column of any primitive storage type; `$other` for the rest.
macro_rules! with_primitive {
    ($column:expr, $call:ident($($arg:expr),*), $other:expr) => {
        match $column.data_type() {
            DataType::Int8 => $call($column.as_primitive::<Int8Type>(), $($arg),*),
            DataType::Int16 => $call($column.as_primitive::<Int16Type>(), $($arg),*),
            DataType::Int32 => $call($column.as_primitive::<Int32Type>(), $($arg),*),
            DataType::Int64 => $call($column.as_primitive::<Int64Type>(), $($arg),*),
            DataType::UInt8 => $call($column.as_primitive::<UInt8Type>(), $($arg),*),
            DataType::UInt16 => $call($column.as_primitive::<UInt16Type>(), $($arg),*),
            DataType::UInt32 => $call($column.as_primitive::<UInt32Type>(), $($arg),*),
            DataType::UInt64 => $call($column.as_primitive::<UInt64Type>(), $($arg),*),
            DataType::Float32 => $call($column.as_primitive::<Float32Type>(), $($arg),*),
            DataType::Float64 => $call($column.as_primitive::<Float64Type>(), $($arg),*),
            DataType::Decimal128(..) => $call($column.as_primitive::<Decimal128Type>(), $($arg),*),
            DataType::Date32 => $call($column.as_primitive::<Date32Type>(), $($arg),*),
            DataType::Timestamp(TimeUnit::Second, _) => {
                $call($column.as_primitive::<TimestampSecondType>(), $($arg),*)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                $call($column.as_primitive::<TimestampMillisecondType>(), $($arg),*)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                $call($column.as_primitive::<TimestampMicrosecondType>(), $($arg),*)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                $call($column.as_primitive::<TimestampNanosecondType>(), $($arg),*)
            }
            _ => $other,
        }
    };
}

/// Whether a column of this type is a number with sums.
pub(crate) fn is_number(ty: &DataType) -> bool {
    ty.is_integer() || ty.is_floating() || matches!(ty, DataType::Decimal128(..))
}

/// Statistics per slot of a number column; None for other types and for sums beyond 128 bits.
pub(crate) fn per_slot(column: &ArrayRef, offsets: &[u32]) -> Option<KeyStats> {
    if !is_number(column.data_type()) {
        return None;
    }
    with_primitive!(column, fold_slots(offsets), None)
}

/// The running values of one slot.
struct Fold<T: Number> {
    count: u32,
    nans: u32,
    sum: Option<T::Sum>,
    min: Option<T::Native>,
    max: Option<T::Native>,
}

fn fold<T: Number>(
    values: &[T::Native],
    is_valid: impl Fn(usize) -> bool,
    rows: std::ops::Range<usize>,
) -> Fold<T> {
    let mut fold = Fold::<T> { count: 0, nans: 0, sum: Some(T::ZERO), min: None, max: None };
    for row in rows {
        if !is_valid(row) {
            continue;
        }
        let value = values[row];
        fold.count += 1;
        fold.sum = fold.sum.and_then(|sum| T::add(sum, value));
        if T::is_nan(value) {
            fold.nans += 1;
            continue;
        }
        fold.min = Some(fold.min.map_or(value, |min| if value < min { value } else { min }));
        fold.max = Some(fold.max.map_or(value, |max| if value > max { value } else { max }));
    }
    fold
}

/// Values that are folded while they are near the processor.
const FOLD_ROWS: usize = 4_096;

/// As [`fold`], of values without NULL.
fn fold_all<T: Number>(values: &[T::Native]) -> Fold<T> {
    let mut fold =
        Fold::<T> { count: values.len() as u32, nans: 0, sum: Some(T::ZERO), min: None, max: None };
    let Some(&start) = values.iter().find(|value| !T::is_nan(**value)) else {
        fold.nans = fold.count;
        fold.sum = T::add_all(T::ZERO, values);
        return fold;
    };
    let (mut min, mut max) = (start, start);
    for values in values.chunks(FOLD_ROWS) {
        fold.sum = fold.sum.and_then(|sum| T::add_all(sum, values));
        for &value in values {
            // No comparison with a NaN is true.
            min = if value < min { value } else { min };
            max = if value > max { value } else { max };
            fold.nans += u32::from(T::is_nan(value));
        }
    }
    (fold.min, fold.max) = (Some(min), Some(max));
    fold
}

fn fold_rows<T: Number>(array: &PrimitiveArray<T>, rows: std::ops::Range<usize>) -> Fold<T> {
    match array.nulls() {
        None => fold_all(&array.values()[rows]),
        Some(nulls) => fold(array.values(), |row| nulls.is_valid(row), rows),
    }
}

fn fold_slots<T: Number>(array: &PrimitiveArray<T>, offsets: &[u32]) -> Option<KeyStats> {
    let slots = offsets.len().saturating_sub(1);
    let (mut counts, mut sums) = (Vec::with_capacity(slots), Vec::with_capacity(slots));
    let mut extremes: [Vec<Option<T::Native>>; 4] = Default::default();
    for pair in offsets.windows(2) {
        let rows = pair[0] as usize..pair[1] as usize;
        let slot = fold_rows(array, rows.clone());
        counts.push(slot.count);
        sums.push(slot.sum?);
        let first = rows.clone().find(|&row| array.is_valid(row)).map(|row| array.value(row));
        let last = rows.rev().find(|&row| array.is_valid(row)).map(|row| array.value(row));
        // With nothing but NaN, the first of them is the extreme.
        for (to, value) in extremes.iter_mut().zip([slot.min.or(first), slot.max.or(first), first, last]) {
            to.push(value);
        }
    }
    let [min, max, first, last] = extremes.map(|values| {
        let array = PrimitiveArray::<T>::from_iter(values).with_data_type(array.data_type().clone());
        Arc::new(array) as ArrayRef
    });
    Some(KeyStats { counts, sums: T::sums(sums), min, max, first, last })
}

/// Statistics of all rows of a column that is not the key.
pub(crate) fn of_column(column: &ArrayRef) -> ColumnStats {
    let mut stats = with_primitive!(column, of_primitive(), of_other(column));
    if !is_number(column.data_type()) {
        stats.sum = None;
    }
    stats
}

fn of_primitive<T: Number>(array: &PrimitiveArray<T>) -> ColumnStats {
    let all = fold_rows(array, 0..array.len());
    let sum = all.sum.map(|sum| match T::sums(vec![sum]) {
        Sums::I(sums) => Sum::I(sums[0]),
        Sums::F(sums) => Sum::F(sums[0]),
    });
    let nan = (0..array.len()).find(|&row| all.count > 0 && array.is_valid(row)).map(|row| array.value(row));
    let extreme = |value: Option<T::Native>| {
        let value = value.or(nan)?;
        let array = PrimitiveArray::<T>::from_iter_values([value]).with_data_type(array.data_type().clone());
        Some(Arc::new(array) as ArrayRef)
    };
    ColumnStats {
        nulls: array.null_count() as u64,
        nans: u64::from(all.nans),
        min: extreme(all.min),
        max: extreme(all.max),
        sum,
    }
}

fn of_other(column: &ArrayRef) -> ColumnStats {
    let nulls = column.logical_null_count() as u64;
    let text = |value: Option<&str>| {
        let value = value.filter(|value| value.len() <= EXTREME_BYTES_MAX)?;
        Some(Arc::new(StringArray::from_iter_values([value])) as ArrayRef)
    };
    let (min, max) = match column.data_type() {
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            (text(min_string(values)), text(max_string(values)))
        }
        DataType::Dictionary(..) => {
            // A run's dictionary holds only values that occur.
            let values = column.as_any_dictionary().values().as_string::<i32>();
            (text(min_string(values)), text(max_string(values)))
        }
        DataType::Boolean => {
            let values = column.as_boolean();
            let one = |value: Option<bool>| Some(Arc::new(BooleanArray::from(vec![value?])) as ArrayRef);
            (one(min_boolean(values)), one(max_boolean(values)))
        }
        DataType::FixedSizeBinary(_) => {
            let values = column.as_fixed_size_binary();
            let one = |value: Option<&[u8]>| {
                let array = FixedSizeBinaryArray::try_from_iter(std::iter::once(value?)).ok()?;
                Some(Arc::new(array) as ArrayRef)
            };
            (one(min_fixed_size_binary(values)), one(max_fixed_size_binary(values)))
        }
        _ => (None, None),
    };
    ColumnStats { nulls, nans: 0, min, max, sum: None }
}

/// As [`of_column`], for a column whose dictionary may hold values that do not occur.
pub(crate) fn of_loose_column(column: &ArrayRef) -> ColumnStats {
    match column.data_type() {
        DataType::Dictionary(..) => match super::columns::concat(std::slice::from_ref(column)) {
            Ok(compacted) => of_column(&compacted),
            Err(_) => ColumnStats {
                nulls: column.logical_null_count() as u64,
                nans: 0,
                min: None,
                max: None,
                sum: None,
            },
        },
        _ => of_column(column),
    }
}

/// Statistics of all rows of the key column, which only the index holds.
pub(crate) fn of_key(keys: &ArrayRef, offsets: &[u32]) -> ColumnStats {
    let mut stats = of_column(keys);
    let rows = |slot: usize| u64::from(offsets[slot + 1] - offsets[slot]);
    stats.nulls = (0..keys.len()).filter(|&slot| keys.is_null(slot)).map(rows).sum();
    stats.sum = with_primitive!(keys, weighted(offsets), None).filter(|_| is_number(keys.data_type()));
    if stats.nans > 0 {
        let nan = |slot: &usize| match keys.data_type() {
            DataType::Float32 => keys.as_primitive::<Float32Type>().value(*slot).is_nan(),
            DataType::Float64 => keys.as_primitive::<Float64Type>().value(*slot).is_nan(),
            _ => false,
        };
        stats.nans = (0..keys.len()).filter(|slot| keys.is_valid(*slot)).filter(nan).map(rows).sum();
    }
    stats
}

/// The sum of each slot's key times its rows.
fn weighted<T: Number>(keys: &PrimitiveArray<T>, offsets: &[u32]) -> Option<Sum> {
    let mut total: Option<Sum> = None;
    for (slot, pair) in offsets.windows(2).enumerate().filter(|(slot, _)| keys.is_valid(*slot)) {
        let rows = pair[1] - pair[0];
        let one = T::add(T::ZERO, keys.value(slot))?;
        total = Some(match (total, T::sums(vec![one])) {
            (None, Sums::I(value)) => Sum::I(value[0].checked_mul(i128::from(rows))?),
            (Some(Sum::I(sum)), Sums::I(value)) => {
                Sum::I(sum.checked_add(value[0].checked_mul(i128::from(rows))?)?)
            }
            (None, Sums::F(value)) => Sum::F(value[0] * f64::from(rows)),
            (Some(Sum::F(sum)), Sums::F(value)) => Sum::F(sum + value[0] * f64::from(rows)),
            _ => return None,
        });
    }
    total.or(match T::sums(vec![T::ZERO]) {
        Sums::I(_) => Some(Sum::I(0)),
        Sums::F(_) => Some(Sum::F(0.0)),
    })
}

/// Number of rows per slot is enough for statistics per slot.
pub(crate) fn worth_it(index: &RunIndex) -> bool {
    index.rows() >= index.slots().max(1) * super::index::ROWS_PER_SLOT_MIN
}
