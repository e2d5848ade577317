//! Random numbers and histogram buckets.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, UInt64Array};
use arrow::compute::cast;
use arrow::error::ArrowError;
use datafusion::common::Result;

use crate::functions::scalar::Call;

/// A random whole number of so many bits for every row.
pub(super) fn random(call: &Call<'_>, bits: u32) -> Result<ArrayRef> {
    let values: UInt64Array = (0..call.rows).map(|_| Some(rand::random::<u64>() >> (64 - bits))).collect();
    Ok(cast(&values, &call.ty.query_type())?)
}

pub(super) fn random_float(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(Float64Array::from_iter_values((0..call.rows).map(|_| rand::random::<f64>()))))
}

pub(super) fn width_bucket(call: &Call<'_>) -> Result<ArrayRef> {
    let (values, lows, highs) = (call.floats(0)?, call.floats(1)?, call.floats(2)?);
    let counts = call.ints(3)?;
    let place = |row: usize| -> Result<i64, ArrowError> {
        let (value, low, high, count) =
            (values.value(row), lows.value(row), highs.value(row), counts.value(row));
        Ok(if value < low {
            0
        } else if value >= high {
            count + 1
        } else {
            ((value - low) * count as f64 / (high - low)) as i64 + 1
        })
    };
    let places: Result<Vec<i64>, ArrowError> = (0..call.rows).map(place).collect();
    Ok(cast(&Int64Array::from(places?), &call.ty.query_type())?)
}
