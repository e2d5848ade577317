//! Number columns as slices of 64-bit values, and the loops over them.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use zepto_common::{Error, Result};

/// Sums kept side by side, so that additions do not wait for each other.
const LANES: usize = 8;

/// A number column.
#[derive(Debug, Clone)]
pub struct Numbers {
    pub(super) values: Values,
    pub(super) nulls: Option<NullBuffer>,
}

/// Its values; what is below a NULL means nothing.
#[derive(Debug, Clone)]
pub enum Values {
    /// Signed integers and ticks.
    I(ScalarBuffer<i64>),
    /// Unsigned integers.
    U(ScalarBuffer<u64>),
    /// Floats.
    F(ScalarBuffer<f64>),
}

/// Whether [`Numbers::of`] takes this type.
#[must_use]
pub fn is_number(ty: &DataType) -> bool {
    ty.is_integer() || matches!(ty, DataType::Float32 | DataType::Float64 | DataType::Timestamp(..))
}

impl Numbers {
    /// The numbers of a column of integers, floats or timestamps; 64-bit ones are shared, not copied.
    ///
    /// # Errors
    /// `LogicalError` for another type.
    pub fn of(column: &ArrayRef) -> Result<Self> {
        let ty = column.data_type();
        let values = match ty {
            DataType::Timestamp(..) => Values::I(super::ticks(column)?),
            _ if ty.is_signed_integer() => {
                Values::I(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().values().clone())
            }
            _ if ty.is_unsigned_integer() => {
                Values::U(cast(column, &DataType::UInt64)?.as_primitive::<UInt64Type>().values().clone())
            }
            DataType::Float32 | DataType::Float64 => {
                Values::F(cast(column, &DataType::Float64)?.as_primitive::<Float64Type>().values().clone())
            }
            other => return Err(Error::internal(format!("a column of {other} has no numbers"))),
        };
        Ok(Self { values, nulls: column.nulls().filter(|nulls| nulls.null_count() > 0).cloned() })
    }

    /// Values among these rows that are not NULL.
    pub(super) fn count(&self, rows: &Range<usize>) -> u64 {
        let nulls = self.nulls.as_ref().map_or(0, |nulls| nulls.slice(rows.start, rows.len()).null_count());
        (rows.len() - nulls) as u64
    }

    /// Calls `body` with each stretch of these rows without a NULL.
    pub(super) fn each_valid(&self, rows: &Range<usize>, mut body: impl FnMut(Range<usize>)) {
        match &self.nulls {
            None => body(rows.clone()),
            Some(nulls) => {
                for (start, end) in nulls.slice(rows.start, rows.len()).valid_slices() {
                    body(rows.start + start..rows.start + end);
                }
            }
        }
    }

    /// The first row among these that is not NULL.
    pub(super) fn first_valid(&self, rows: &Range<usize>) -> Option<usize> {
        match &self.nulls {
            None => (!rows.is_empty()).then_some(rows.start),
            Some(nulls) => rows.clone().find(|&row| nulls.is_valid(row)),
        }
    }

    /// The last row among these that is not NULL.
    pub(super) fn last_valid(&self, rows: &Range<usize>) -> Option<usize> {
        match &self.nulls {
            None => rows.end.checked_sub(1).filter(|_| !rows.is_empty()),
            Some(nulls) => rows.clone().rev().find(|&row| nulls.is_valid(row)),
        }
    }

    /// The bits of a value.
    pub(super) fn bits(&self, row: usize) -> u64 {
        match &self.values {
            Values::I(values) => values[row] as u64,
            Values::U(values) => values[row],
            Values::F(values) => values[row].to_bits(),
        }
    }

    /// The value as a float.
    pub(super) fn float(&self, row: usize) -> f64 {
        match &self.values {
            Values::I(values) => values[row] as f64,
            Values::U(values) => values[row] as f64,
            Values::F(values) => values[row],
        }
    }
}

/// A number that can be read as a float.
pub(super) trait Number: Copy {
    fn float(self) -> f64;
}

impl Number for i64 {
    fn float(self) -> f64 {
        self as f64
    }
}

impl Number for u64 {
    fn float(self) -> f64 {
        self as f64
    }
}

impl Number for f64 {
    fn float(self) -> f64 {
        self
    }
}

/// Sums `term` over all places below `count`, in lanes.
#[inline(always)]
fn in_lanes(count: usize, term: impl Fn(usize) -> f64) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let whole = count - count % LANES;
    let mut at = 0;
    while at < whole {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(at + lane);
        }
        at += LANES;
    }
    let mut total = lanes.iter().sum::<f64>();
    for at in whole..count {
        total += term(at);
    }
    total
}

/// Sum of floats.
pub(super) fn float_sum<T: Number>(values: &[T]) -> f64 {
    in_lanes(values.len(), |at| values[at].float())
}

/// Sum of products.
pub(super) fn product_sum<A: Number, B: Number>(values: &[A], weights: &[B]) -> f64 {
    let values = &values[..weights.len()];
    in_lanes(weights.len(), |at| values[at].float() * weights[at].float())
}

/// Sum of squares about `mean`.
pub(super) fn square_sum<T: Number>(values: &[T], mean: f64) -> f64 {
    in_lanes(values.len(), |at| {
        let from = values[at].float() - mean;
        from * from
    })
}

/// Exact sum: halves of the values are summed in 64 bits, which cannot overflow below 2^31 rows.
pub(super) fn signed_sum(values: &[i64]) -> i128 {
    let (mut high, mut low) = (0i64, 0i64);
    for &value in values {
        high += value >> 32;
        low += value & 0xffff_ffff;
    }
    (i128::from(high) << 32) + i128::from(low)
}

/// Exact sum.
pub(super) fn unsigned_sum(values: &[u64]) -> i128 {
    let (mut high, mut low) = (0u64, 0u64);
    for &value in values {
        high += value >> 32;
        low += value & 0xffff_ffff;
    }
    (i128::from(high) << 32) + i128::from(low)
}

/// The least of integers; there is at least one.
pub(super) fn least<T: Copy + Ord>(values: &[T]) -> Option<T> {
    values.iter().copied().reduce(|a, b| if b < a { b } else { a })
}

/// The greatest of integers.
pub(super) fn greatest<T: Copy + Ord>(values: &[T]) -> Option<T> {
    values.iter().copied().reduce(|a, b| if b > a { b } else { a })
}

/// The extreme of floats that are no NaN; NaN when there is nothing else, None for no values.
#[inline(always)]
fn extreme(values: &[f64], worst: f64, wins: impl Fn(f64, f64) -> bool) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let mut lanes = [worst; LANES];
    let mut chunks = values.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (found, &value) in lanes.iter_mut().zip(chunk) {
            // A NaN wins against nothing.
            *found = if wins(value, *found) { value } else { *found };
        }
    }
    let rest = chunks.remainder().iter();
    let found = lanes.iter().chain(rest).fold(worst, |found, &v| if wins(v, found) { v } else { found });
    let nothing = found == worst && values.iter().all(|value| value.is_nan());
    Some(match found {
        _ if nothing => f64::NAN,
        // 0 and -0 are equal: the first of them, as one value after the other finds it.
        zero if zero == 0.0 => values.iter().copied().find(|value| *value == 0.0).unwrap_or(zero),
        found => found,
    })
}

/// The least of floats.
pub(super) fn least_float(values: &[f64]) -> Option<f64> {
    extreme(values, f64::INFINITY, |value, found| value < found)
}

/// The greatest of floats.
pub(super) fn greatest_float(values: &[f64]) -> Option<f64> {
    extreme(values, f64::NEG_INFINITY, |value, found| value > found)
}
