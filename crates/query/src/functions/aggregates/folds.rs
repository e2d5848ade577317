//! The folds: exact integer sums, prices by volume and by time, quantiles, open-high-low-close.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Float64Builder, Int64Array, Int64Builder,
    ListArray, ListBuilder, StructArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Fields, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use zepto_common::ErrorCode;

use super::fold::{Fold, Rule};
use crate::functions::scalar::fault;
use crate::functions::timestamps::ticks;

pub(super) fn field(name: &str, ty: DataType, nullable: bool) -> FieldRef {
    Arc::new(Field::new(name, ty, nullable))
}

/// Exact sum of whole numbers: an error when it does not fit 64 bits, whatever the order of the rows.
#[derive(Debug, Clone)]
pub(super) struct WholeSum {
    signed: bool,
    nullable: bool,
}

pub(super) fn whole_sum(args: &AccumulatorArgs<'_>) -> WholeSum {
    WholeSum {
        signed: *args.return_field.data_type() == DataType::Int64,
        nullable: args.return_field.is_nullable(),
    }
}

pub(super) enum Whole {
    Signed(Int64Array),
    Unsigned(UInt64Array),
}

impl Fold for WholeSum {
    type State = (i128, bool);
    type Columns = Whole;

    fn columns(&self, values: &[ArrayRef]) -> Result<Whole> {
        Ok(if self.signed {
            Whole::Signed(cast(&values[0], &DataType::Int64)?.as_primitive().clone())
        } else {
            Whole::Unsigned(cast(&values[0], &DataType::UInt64)?.as_primitive().clone())
        })
    }

    fn add(&self, state: &mut (i128, bool), columns: &Whole, row: usize) {
        match columns {
            Whole::Signed(values) if values.is_valid(row) => {
                *state = (state.0 + i128::from(values.value(row)), true)
            }
            Whole::Unsigned(values) if values.is_valid(row) => {
                *state = (state.0 + i128::from(values.value(row)), true)
            }
            _ => {}
        }
    }

    fn save(&self, states: Vec<(i128, bool)>) -> Result<Vec<ArrayRef>> {
        let sums: Decimal128Array = states.into_iter().map(|(sum, some)| some.then_some(sum)).collect();
        Ok(vec![Arc::new(sums.with_precision_and_scale(38, 0)?)])
    }

    fn load(&self, columns: &[ArrayRef]) -> Result<Vec<(i128, bool)>> {
        let sums = columns[0].as_primitive::<Decimal128Type>();
        Ok(sums.iter().map(|sum| (sum.unwrap_or(0), sum.is_some())).collect())
    }

    fn merge(&self, state: &mut (i128, bool), other: (i128, bool)) {
        *state = (state.0 + other.0, state.1 || other.1);
    }

    fn finish(&self, states: Vec<(i128, bool)>) -> Result<ArrayRef> {
        let over = |_| fault(ErrorCode::ValueIsOutOfRange, "The sum is outside the range of 64 bits");
        let kept = |some: bool| some || !self.nullable;
        if self.signed {
            let sums: Result<Int64Array> = states
                .into_iter()
                .map(|(sum, some)| kept(some).then(|| i64::try_from(sum).map_err(over)).transpose())
                .collect();
            return Ok(Arc::new(sums?));
        }
        let sums: Result<UInt64Array> = states
            .into_iter()
            .map(|(sum, some)| kept(some).then(|| u64::try_from(sum).map_err(over)).transpose())
            .collect();
        Ok(Arc::new(sums?))
    }
}

pub(super) fn floats(array: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(array, &DataType::Float64)?.as_primitive().clone())
}

/// NULL for a Nullable result, NaN otherwise.
fn or_nan(value: Option<f64>, nullable: bool) -> Option<f64> {
    if nullable { value } else { Some(value.unwrap_or(f64::NAN)) }
}

/// A float result, Nullable if the arguments are.
fn float_result(name: &str, fields: &[FieldRef]) -> Result<FieldRef> {
    Ok(field(name, DataType::Float64, fields.iter().any(|field| field.is_nullable())))
}

fn all_floats(types: &[DataType]) -> Result<Vec<DataType>> {
    Ok(vec![DataType::Float64; types.len()])
}

/// Sum of value times weight over sum of weights.
#[derive(Debug, Clone)]
pub(super) struct Weighted {
    nullable: bool,
}

pub(super) fn weighted_rule() -> Rule<Weighted> {
    Rule {
        arguments: (2, 2),
        coerce: all_floats,
        returns: float_result,
        state: |_, _| {
            vec![field("moment", DataType::Float64, false), field("weight", DataType::Float64, false)]
        },
        make: |args| Ok(Weighted { nullable: args.return_field.is_nullable() }),
    }
}

impl Fold for Weighted {
    type State = (f64, f64);
    type Columns = (Float64Array, Float64Array);

    fn columns(&self, values: &[ArrayRef]) -> Result<Self::Columns> {
        Ok((floats(&values[0])?, floats(&values[1])?))
    }

    fn add(&self, state: &mut (f64, f64), (values, weights): &Self::Columns, row: usize) {
        if values.is_valid(row) && weights.is_valid(row) {
            state.0 += values.value(row) * weights.value(row);
            state.1 += weights.value(row);
        }
    }

    fn save(&self, states: Vec<(f64, f64)>) -> Result<Vec<ArrayRef>> {
        let (moments, weights): (Vec<f64>, Vec<f64>) = states.into_iter().unzip();
        Ok(vec![Arc::new(Float64Array::from(moments)), Arc::new(Float64Array::from(weights))])
    }

    fn load(&self, columns: &[ArrayRef]) -> Result<Vec<(f64, f64)>> {
        let (moments, weights) = (floats(&columns[0])?, floats(&columns[1])?);
        Ok(moments.values().iter().copied().zip(weights.values().iter().copied()).collect())
    }

    fn merge(&self, state: &mut (f64, f64), other: (f64, f64)) {
        state.0 += other.0;
        state.1 += other.1;
    }

    fn finish(&self, states: Vec<(f64, f64)>) -> Result<ArrayRef> {
        let results = states
            .into_iter()
            .map(|(moment, weight)| or_nan((weight != 0.0).then(|| moment / weight), self.nullable));
        Ok(Arc::new(results.collect::<Float64Array>()))
    }
}

/// Prices with their times: the mean by duration, or open, high, low and close.
#[derive(Debug, Clone)]
pub(super) struct Priced {
    candle: bool,
    nullable: bool,
}

fn priced_coerce(types: &[DataType]) -> Result<Vec<DataType>> {
    match &types[1] {
        DataType::Timestamp(..) | DataType::Date32 => Ok(vec![DataType::Float64, types[1].clone()]),
        other if other.is_integer() => Ok(vec![DataType::Float64, DataType::Int64]),
        other => {
            let message = format!("The second argument must be a time or a whole number, not {other}");
            Err(fault(ErrorCode::IllegalTypeOfArgument, message))
        }
    }
}

fn priced_state(_: &[FieldRef], _: &FieldRef) -> Vec<FieldRef> {
    vec![
        field("times", DataType::List(field("item", DataType::Int64, true)), true),
        field("prices", DataType::List(field("item", DataType::Float64, true)), true),
    ]
}

fn candle_fields() -> Fields {
    ["1", "2", "3", "4"].iter().map(|name| Field::new(*name, DataType::Float64, false)).collect()
}

pub(super) fn twap_rule() -> Rule<Priced> {
    Rule {
        arguments: (2, 2),
        coerce: priced_coerce,
        returns: float_result,
        state: priced_state,
        make: |args| Ok(Priced { candle: false, nullable: args.return_field.is_nullable() }),
    }
}

pub(super) fn ohlc_rule() -> Rule<Priced> {
    Rule {
        arguments: (2, 2),
        coerce: priced_coerce,
        returns: |name, _| Ok(field(name, DataType::Struct(candle_fields()), false)),
        state: priced_state,
        make: |_| Ok(Priced { candle: true, nullable: false }),
    }
}

/// Each price counts for the time until the next one; the plain mean when no time passes.
fn time_weighted(rows: &[(i64, f64)]) -> Option<f64> {
    let (first, last) = (rows.first()?.0, rows.last()?.0);
    if first == last {
        return Some(rows.iter().map(|row| row.1).sum::<f64>() / rows.len() as f64);
    }
    let area: f64 = rows.windows(2).map(|pair| pair[0].1 * (pair[1].0 - pair[0].0) as f64).sum();
    Some(area / (last - first) as f64)
}

impl Fold for Priced {
    type State = Vec<(i64, f64)>;
    type Columns = (Float64Array, Int64Array);

    fn columns(&self, values: &[ArrayRef]) -> Result<Self::Columns> {
        let times = match values[1].data_type() {
            DataType::Int64 => values[1].as_primitive::<Int64Type>().clone(),
            _ => ticks(&values[1])?.0,
        };
        Ok((floats(&values[0])?, times))
    }

    fn add(&self, state: &mut Self::State, (prices, times): &Self::Columns, row: usize) {
        if prices.is_valid(row) && times.is_valid(row) {
            state.push((times.value(row), prices.value(row)));
        }
    }

    fn save(&self, states: Vec<Self::State>) -> Result<Vec<ArrayRef>> {
        let mut times = ListBuilder::new(Int64Builder::new());
        let mut prices = ListBuilder::new(Float64Builder::new());
        for state in states {
            for (time, price) in state {
                times.values().append_value(time);
                prices.values().append_value(price);
            }
            times.append(true);
            prices.append(true);
        }
        Ok(vec![Arc::new(times.finish()), Arc::new(prices.finish())])
    }

    fn load(&self, columns: &[ArrayRef]) -> Result<Vec<Self::State>> {
        let (times, prices): (&ListArray, &ListArray) = (columns[0].as_list(), columns[1].as_list());
        let pairs = |row: usize| {
            let (times, prices) = (times.value(row), prices.value(row));
            let times = times.as_primitive::<Int64Type>().values().to_vec();
            times.into_iter().zip(prices.as_primitive::<Float64Type>().values().to_vec()).collect()
        };
        Ok((0..times.len()).map(pairs).collect())
    }

    fn merge(&self, state: &mut Self::State, other: Self::State) {
        state.extend(other);
    }

    fn finish(&self, states: Vec<Self::State>) -> Result<ArrayRef> {
        let sorted = states.into_iter().map(|mut rows| {
            rows.sort_by_key(|row| row.0);
            rows
        });
        if !self.candle {
            let means = sorted.map(|rows| or_nan(time_weighted(&rows), self.nullable));
            return Ok(Arc::new(means.collect::<Float64Array>()));
        }
        let mut columns: [Vec<f64>; 4] = Default::default();
        for rows in sorted {
            let prices = || rows.iter().map(|row| row.1);
            columns[0].push(prices().next().unwrap_or(f64::NAN));
            columns[1].push(prices().fold(f64::NAN, f64::max));
            columns[2].push(prices().fold(f64::NAN, f64::min));
            columns[3].push(prices().next_back().unwrap_or(f64::NAN));
        }
        let columns =
            columns.into_iter().map(|column| Arc::new(Float64Array::from(column)) as ArrayRef).collect();
        Ok(Arc::new(StructArray::try_new(candle_fields(), columns, None)?))
    }

    fn heap(&self, state: &Self::State) -> usize {
        state.capacity() * size_of::<(i64, f64)>()
    }
}
