//! What was folded, as the columns of results or of partial states.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, Decimal128Array, Float64Array, Float64Builder, Int64Array, Int64Builder,
    ListBuilder, StructArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::EmitTo;
use zepto_common::ErrorCode;
use zepto_engine::series::{Candle, Folded, Moments};

use super::measure::{Finish, Measure};
use crate::functions::fault;

impl Measure {
    /// The results, one per group, as a column of this field.
    ///
    /// # Errors
    /// `ValueIsOutOfRange` for a whole sum beyond 64 bits.
    pub(super) fn results(&self, folded: &Folded, field: &Field) -> Result<ArrayRef> {
        let nullable = field.is_nullable();
        let or_nan = |value: Option<f64>| if nullable { value } else { Some(value.unwrap_or(f64::NAN)) };
        let column: ArrayRef = match (&self.finish, folded) {
            (Finish::Count, Folded::Counts(counts)) => Arc::new(UInt64Array::from(counts.clone())),
            (Finish::WholeSum, Folded::Whole(sums)) => whole_sums(sums, field)?,
            (Finish::FloatSum, Folded::Floats(sums)) => {
                let sums = sums.iter().map(|(sum, count)| (*count > 0 || !nullable).then_some(*sum));
                Arc::new(sums.collect::<Float64Array>())
            }
            (Finish::Mean, Folded::Floats(sums)) => {
                let means = sums.iter().map(|(sum, count)| or_nan(mean(*sum, *count)));
                Arc::new(means.collect::<Float64Array>())
            }
            (Finish::Mean, Folded::Whole(sums)) => {
                let means = sums.iter().map(|(sum, count)| or_nan(mean(*sum as f64, *count)));
                Arc::new(means.collect::<Float64Array>())
            }
            (Finish::Value | Finish::Chosen, _) => self.values(folded)?,
            (Finish::Weighted, Folded::Weighted(sums)) => {
                let means =
                    sums.iter().map(|(moment, weight)| or_nan((*weight != 0.0).then(|| moment / weight)));
                Arc::new(means.collect::<Float64Array>())
            }
            (Finish::Candle, Folded::Candles(candles)) => candles_of(candles, field)?,
            (Finish::Spread(function), Folded::Spreads(spreads)) => {
                let mut groups = function.create_groups_accumulator()?;
                let all: Vec<usize> = (0..spreads.len()).collect();
                groups.merge_batch(&spread_states(spreads), &all, all.len())?;
                groups.evaluate(EmitTo::All)?
            }
            _ => return internal_err!("an aggregate was folded as another"),
        };
        in_type(column, field)
    }

    /// The partial states, one per group: the columns that the aggregate's other half takes in.
    ///
    /// # Errors
    /// Arrow's.
    pub(super) fn states(&self, folded: &Folded) -> Result<Vec<ArrayRef>> {
        Ok(match (&self.finish, folded) {
            (Finish::Count, Folded::Counts(counts)) => {
                vec![Arc::new(counts.iter().map(|count| Some(*count as i64)).collect::<Int64Array>())]
            }
            (Finish::WholeSum, Folded::Whole(sums)) => {
                let sums = sums.iter().map(|(sum, count)| (*count > 0).then_some(*sum));
                vec![decimals(sums)?]
            }
            (Finish::FloatSum, Folded::Floats(sums)) => vec![float_sums(sums.iter().copied())],
            (Finish::Mean, Folded::Floats(sums)) => {
                vec![counts_of(sums.iter().map(|sum| sum.1)), float_sums(sums.iter().copied())]
            }
            (Finish::Mean, Folded::Whole(sums)) => {
                let floats = sums.iter().map(|(sum, count)| (*sum as f64, *count));
                vec![counts_of(sums.iter().map(|sum| sum.1)), float_sums(floats)]
            }
            (Finish::Value, Folded::Extremes(_)) => vec![self.values(folded)?],
            (Finish::Chosen, Folded::Edges(edges)) => {
                let ticks = edges.iter().map(|edge| edge.map(|edge| i128::from(edge.tick)));
                vec![decimals(ticks)?, Arc::new(BinaryArray::new_null(edges.len())), self.values(folded)?]
            }
            (Finish::Weighted, Folded::Weighted(sums)) => {
                let (moments, weights): (Vec<f64>, Vec<f64>) = sums.iter().copied().unzip();
                vec![Arc::new(Float64Array::from(moments)), Arc::new(Float64Array::from(weights))]
            }
            (Finish::Candle, Folded::Candles(candles)) => candle_states(candles),
            (Finish::Spread(_), Folded::Spreads(spreads)) => spread_states(spreads),
            _ => return internal_err!("an aggregate was folded as another"),
        })
    }

    /// Values of the column in its storage type.
    fn values(&self, folded: &Folded) -> Result<ArrayRef> {
        let bits: Vec<Option<u64>> = match folded {
            Folded::Extremes(found) => found.clone(),
            Folded::Edges(edges) => edges.iter().map(|edge| edge.map(|edge| edge.bits)).collect(),
            _ => return internal_err!("an aggregate was folded as another"),
        };
        let wide: ArrayRef = if self.stored.is_floating() {
            Arc::new(bits.into_iter().map(|bits| bits.map(f64::from_bits)).collect::<Float64Array>())
        } else if self.stored.is_unsigned_integer() {
            Arc::new(bits.into_iter().collect::<UInt64Array>())
        } else {
            Arc::new(bits.into_iter().map(|bits| bits.map(|bits| bits as i64)).collect::<Int64Array>())
        };
        // Each came from this type.
        Ok(cast(&wide, &self.stored)?)
    }
}

fn mean(sum: f64, count: u64) -> Option<f64> {
    (count > 0).then(|| sum / count as f64)
}

/// The column in the field's type: the zone of a time column is for display.
pub(super) fn in_type(column: ArrayRef, field: &Field) -> Result<ArrayRef> {
    if column.data_type() == field.data_type() { Ok(column) } else { Ok(cast(&column, field.data_type())?) }
}

fn whole_sums(sums: &[(i128, u64)], field: &Field) -> Result<ArrayRef> {
    let over = |_| fault(ErrorCode::ValueIsOutOfRange, "The sum is outside the range of 64 bits");
    let kept = |count: u64| count > 0 || !field.is_nullable();
    if *field.data_type() == DataType::UInt64 {
        let sums = sums
            .iter()
            .map(|(sum, count)| kept(*count).then(|| u64::try_from(*sum).map_err(over)).transpose());
        return Ok(Arc::new(sums.collect::<Result<UInt64Array>>()?));
    }
    let sums =
        sums.iter().map(|(sum, count)| kept(*count).then(|| i64::try_from(*sum).map_err(over)).transpose());
    Ok(Arc::new(sums.collect::<Result<Int64Array>>()?))
}

fn decimals(values: impl Iterator<Item = Option<i128>>) -> Result<ArrayRef> {
    Ok(Arc::new(values.collect::<Decimal128Array>().with_precision_and_scale(38, 0)?))
}

fn counts_of(counts: impl Iterator<Item = u64>) -> ArrayRef {
    Arc::new(counts.map(|count| (count > 0).then_some(count)).collect::<UInt64Array>())
}

fn float_sums(sums: impl Iterator<Item = (f64, u64)>) -> ArrayRef {
    Arc::new(sums.map(|(sum, count)| (count > 0).then_some(sum)).collect::<Float64Array>())
}

fn spread_states(spreads: &[Moments]) -> Vec<ArrayRef> {
    let floats = |of: fn(&Moments) -> f64| {
        Arc::new(spreads.iter().map(|moments| Some(of(moments))).collect::<Float64Array>()) as ArrayRef
    };
    let counts = spreads.iter().map(|moments| Some(moments.count)).collect::<UInt64Array>();
    vec![Arc::new(counts), floats(|moments| moments.mean), floats(|moments| moments.squares)]
}

/// First, greatest, least, last of each candle.
fn corners(candle: &Option<Candle>) -> [f64; 4] {
    match candle {
        Some(candle) => [candle.first.1, candle.greatest, candle.least, candle.last.1],
        None => [f64::NAN; 4],
    }
}

fn candles_of(candles: &[Option<Candle>], field: &Field) -> Result<ArrayRef> {
    let DataType::Struct(fields) = field.data_type() else { return internal_err!("a candle is a tuple") };
    let column = |at: usize| {
        Arc::new(candles.iter().map(|candle| Some(corners(candle)[at])).collect::<Float64Array>()) as ArrayRef
    };
    Ok(Arc::new(StructArray::try_new(fields.clone(), (0..4).map(column).collect(), None)?))
}

/// The points of a candle that decide: what is between them makes no other candle.
fn candle_states(candles: &[Option<Candle>]) -> Vec<ArrayRef> {
    let mut times = ListBuilder::new(Int64Builder::new());
    let mut prices = ListBuilder::new(Float64Builder::new());
    for candle in candles {
        if let Some(candle) = candle {
            let between = [(candle.first.0, candle.greatest), (candle.last.0, candle.least)];
            for (time, price) in [candle.first, between[0], between[1], candle.last] {
                times.values().append_value(time);
                prices.values().append_value(price);
            }
        }
        times.append(true);
        prices.append(true);
    }
    vec![Arc::new(times.finish()), Arc::new(prices.finish())]
}
