//! Aggregates of sliding frames that never subtract: a NaN, an infinity or a huge number that has left the frame has
//! left no trace in the answer.
//!
//! A frame is a queue of two parts. The older part holds, per row, the summary from that row to the part's end; the
//! newer one its rows' own summaries and the summary of all of them. A row leaves by being dropped from the older part;
//! when that is empty, the newer one is turned into it. So each row is joined a constant number of times, whatever the
//! frame's length.

use std::fmt::Debug;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;
use zepto_common::ErrorCode;

use super::spread::{Pairs, Values};
use crate::functions::scalar::fault;

/// What is known of some rows.
pub(super) trait Summary: Clone + Default + Debug + Send + Sync + 'static {
    /// How a result is made from it.
    type Rule: Debug + Send + Sync;

    /// One summary per row; that of a row with a NULL is the default.
    fn of_rows(values: &[ArrayRef]) -> Result<Vec<Self>>;
    /// Takes in rows that came later.
    fn join(&mut self, later: &Self);
    /// The result; NULL for no values.
    fn result(&self, rule: &Self::Rule) -> Result<ScalarValue>;
}

/// The accumulator of a sliding frame.
#[derive(Debug)]
pub(super) struct Sliding<S: Summary> {
    rule: S::Rule,
    /// Summaries up to the end of this part; the frame's first row is the last item.
    older: Vec<S>,
    newer: Vec<S>,
    /// Of all of `newer`.
    newest: S,
}

impl<S: Summary> Sliding<S> {
    /// An empty frame.
    pub(super) fn new(rule: S::Rule) -> Self {
        Self { rule, older: Vec::new(), newer: Vec::new(), newest: S::default() }
    }

    fn drop_first(&mut self) {
        if self.older.is_empty() {
            self.newest = S::default();
            while let Some(mut row) = self.newer.pop() {
                if let Some(rest) = self.older.last() {
                    row.join(rest);
                }
                self.older.push(row);
            }
        }
        self.older.pop();
    }
}

impl<S: Summary> Accumulator for Sliding<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for row in S::of_rows(values)? {
            self.newest.join(&row);
            self.newer.push(row);
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for _ in 0..values.first().map_or(0, |column| column.len()) {
            self.drop_first();
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut all = self.older.last().cloned().unwrap_or_default();
        all.join(&self.newest);
        all.result(&self.rule)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn size(&self) -> usize {
        (self.older.capacity() + self.newer.capacity()) * size_of::<S>() + size_of::<Self>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Err(fault(ErrorCode::LogicalError, "A sliding frame is never merged"))
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        Err(fault(ErrorCode::LogicalError, "A sliding frame is never merged"))
    }
}

/// An argument as floats.
pub(super) fn floats(array: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// Count and sum of floats.
#[derive(Debug, Clone, Default)]
pub(super) struct Total {
    count: u64,
    sum: f64,
}

/// What a [`Total`] is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfTotal {
    Sum,
    Mean,
}

impl Summary for Total {
    type Rule = OfTotal;

    fn of_rows(values: &[ArrayRef]) -> Result<Vec<Self>> {
        let one = |value: Option<f64>| value.map_or_else(Self::default, |sum| Self { count: 1, sum });
        Ok(floats(&values[0])?.iter().map(one).collect())
    }

    fn join(&mut self, later: &Self) {
        self.count += later.count;
        self.sum += later.sum;
    }

    fn result(&self, rule: &OfTotal) -> Result<ScalarValue> {
        let value = match rule {
            OfTotal::Sum => self.sum,
            OfTotal::Mean => self.sum / self.count as f64,
        };
        Ok(ScalarValue::Float64((self.count > 0).then_some(value)))
    }
}

/// Count and exact sum of whole numbers or of a decimal's units.
#[derive(Debug, Clone, Default)]
pub(super) struct WholeTotal {
    count: u64,
    sum: i128,
}

impl Summary for WholeTotal {
    /// The result's type.
    type Rule = DataType;

    fn of_rows(values: &[ArrayRef]) -> Result<Vec<Self>> {
        let one = |value: Option<i128>| value.map_or_else(Self::default, |sum| Self { count: 1, sum });
        let array = &values[0];
        if let Some(units) = array.as_primitive_opt::<Decimal128Type>() {
            return Ok(units.iter().map(one).collect());
        }
        if let Some(whole) = array.as_primitive_opt::<UInt64Type>() {
            return Ok(whole.iter().map(|value| one(value.map(i128::from))).collect());
        }
        let whole = cast(array, &DataType::Int64)?;
        Ok(whole.as_primitive::<Int64Type>().iter().map(|value| one(value.map(i128::from))).collect())
    }

    fn join(&mut self, later: &Self) {
        self.count += later.count;
        // Rows of 38 digits can go over; the answer is then outside the type anyway.
        self.sum = self.sum.saturating_add(later.sum);
    }

    fn result(&self, ty: &DataType) -> Result<ScalarValue> {
        let over = |_| fault(ErrorCode::ValueIsOutOfRange, "The sum is outside the range of 64 bits");
        let some = self.count > 0;
        Ok(match ty {
            DataType::Decimal128(precision, scale) => {
                ScalarValue::Decimal128(some.then_some(self.sum), *precision, *scale)
            }
            DataType::UInt64 if some => ScalarValue::UInt64(Some(u64::try_from(self.sum).map_err(over)?)),
            DataType::UInt64 => ScalarValue::UInt64(None),
            _ if some => ScalarValue::Int64(Some(i64::try_from(self.sum).map_err(over)?)),
            _ => ScalarValue::Int64(None),
        })
    }
}

/// The least or greatest float; NaN only when there is nothing else.
#[derive(Debug, Clone, Default)]
pub(super) struct Bounds {
    count: u64,
    /// Of the numbers that are not NaN.
    least: Option<f64>,
    greatest: Option<f64>,
}

/// What [`Bounds`] are asked for.
#[derive(Debug)]
pub(super) struct OfBounds {
    pub(super) greatest: bool,
    pub(super) ty: DataType,
}

impl Summary for Bounds {
    type Rule = OfBounds;

    fn of_rows(values: &[ArrayRef]) -> Result<Vec<Self>> {
        let one = |value: Option<f64>| {
            let number = value.filter(|value| !value.is_nan());
            Self { count: u64::from(value.is_some()), least: number, greatest: number }
        };
        Ok(floats(&values[0])?.iter().map(one).collect())
    }

    fn join(&mut self, later: &Self) {
        let joined = |a: Option<f64>, b: Option<f64>, pick: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(pick(a, b)),
            (a, b) => a.or(b),
        };
        self.count += later.count;
        self.least = joined(self.least, later.least, f64::min);
        self.greatest = joined(self.greatest, later.greatest, f64::max);
    }

    fn result(&self, rule: &OfBounds) -> Result<ScalarValue> {
        let number = if rule.greatest { self.greatest } else { self.least };
        let value = (self.count > 0).then(|| number.unwrap_or(f64::NAN));
        ScalarValue::Float64(value).cast_to(&rule.ty)
    }
}

impl Summary for Values {
    type Rule = super::spread::Measure;

    fn of_rows(values: &[ArrayRef]) -> Result<Vec<Self>> {
        Ok(floats(&values[0])?.iter().map(|value| value.map_or_else(Self::default, Self::one)).collect())
    }

    fn join(&mut self, later: &Self) {
        Values::join(self, later);
    }

    fn result(&self, rule: &Self::Rule) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.measured(*rule)))
    }
}

impl Summary for Pairs {
    type Rule = super::spread::Measure;

    fn of_rows(values: &[ArrayRef]) -> Result<Vec<Self>> {
        let (xs, ys) = (floats(&values[0])?, floats(&values[1])?);
        let pairs = xs.iter().zip(&ys);
        Ok(pairs
            .map(|pair| if let (Some(x), Some(y)) = pair { Self::one(x, y) } else { Self::default() })
            .collect())
    }

    fn join(&mut self, later: &Self) {
        Pairs::join(self, later);
    }

    fn result(&self, rule: &Self::Rule) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.measured(*rule)))
    }
}

#[cfg(test)]
mod tests;
