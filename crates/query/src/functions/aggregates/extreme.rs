//! `min` and `max` of floats. DataFusion's begin a group with the largest finite number, which an infinity does not
//! beat, and let NaN win or lose by the order of rows. Here NaN is the answer only when there is nothing else.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::compute::{cast, nullif};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

/// The extreme so far; None before the first value.
type Found = Option<f64>;

fn take(found: &mut Found, value: f64, greatest: bool) {
    let wins = match *found {
        None => true,
        Some(now) if now.is_nan() => true,
        Some(now) if greatest => value > now,
        Some(now) => value < now,
    };
    if wins {
        *found = Some(value);
    }
}

/// Float32 is exact as Float64.
fn floats(values: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(values, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// The extreme of all rows.
#[derive(Debug)]
pub(super) struct Extreme {
    ty: DataType,
    greatest: bool,
    found: Found,
}

impl Extreme {
    /// Of a float type.
    pub(super) fn new(ty: &DataType, greatest: bool) -> Self {
        Self { ty: ty.clone(), greatest, found: None }
    }
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in floats(&values[0])?.iter().flatten() {
            take(&mut self.found, value, self.greatest);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::Float64(self.found).cast_to(&self.ty)
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

/// The extremes of groups.
#[derive(Debug)]
pub(super) struct Extremes {
    ty: DataType,
    greatest: bool,
    found: Vec<Found>,
}

impl Extremes {
    /// Of a float type.
    pub(super) fn new(ty: &DataType, greatest: bool) -> Self {
        Self { ty: ty.clone(), greatest, found: Vec::new() }
    }
}

impl GroupsAccumulator for Extremes {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.found.resize(total, None);
        let values = floats(&values[0])?;
        for (row, (&group, value)) in groups.iter().zip(&values).enumerate() {
            let wanted = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if let Some(value) = value.filter(|_| wanted) {
                take(&mut self.found[group], value, self.greatest);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let found: ArrayRef = Arc::new(Float64Array::from(emit.take_needed(&mut self.found)));
        Ok(cast(&found, &self.ty)?)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.update_batch(states, groups, None, total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let state = match filter {
            Some(filter) => {
                let left_out: BooleanArray = filter.iter().map(|wanted| Some(wanted != Some(true))).collect();
                nullif(&values[0], &left_out)?
            }
            None => Arc::clone(&values[0]),
        };
        Ok(vec![state])
    }

    fn size(&self) -> usize {
        self.found.capacity() * size_of::<Found>()
    }
}
