//! `quantile` and `quantiles`: values at levels, between neighbours. Times and decimals are computed with as floats and cut, as
//! ClickHouse does: the result has the type of the argument.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Float64Builder, Int32Array, Int64Array,
    ListArray, ListBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, FieldRef, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::physical_expr::expressions::Literal;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::fold::{Fold, Rule};
use super::folds::{field, floats};
use crate::functions::scalar::{fault, field_of};

/// Keeps all values of a group.
#[derive(Debug, Clone)]
pub(super) struct Values {
    levels: Vec<f64>,
    /// The items of an array of the values at all levels; None for the value at the only one.
    items: Option<FieldRef>,
    /// The type of a value, and whether it is NULL or zero when there are none.
    value: DataType,
    nullable: bool,
}

/// A constant level from 0 to 1.
pub(super) fn level(args: &AccumulatorArgs<'_>, at: usize) -> Result<f64> {
    let bad = || fault(ErrorCode::BadArguments, "The level of a quantile must be a constant number");
    let value = args.exprs.get(at).and_then(|expr| expr.downcast_ref::<Literal>()).ok_or_else(bad)?.value();
    match value.cast_to(&DataType::Float64) {
        Ok(ScalarValue::Float64(Some(level))) if (0.0..=1.0).contains(&level) => Ok(level),
        Ok(ScalarValue::Float64(Some(_))) => {
            Err(fault(ErrorCode::ParameterOutOfBound, "Quantile level is out of range [0..1]"))
        }
        _ => Err(bad()),
    }
}

/// A level from 0 to 1, or in percent from 1 to 100.
fn percent(args: &AccumulatorArgs<'_>, at: usize) -> Result<f64> {
    let value = args.exprs.get(at).and_then(|expr| expr.downcast_ref::<Literal>()).map(Literal::value);
    match value.and_then(|value| value.cast_to(&DataType::Float64).ok()) {
        Some(ScalarValue::Float64(Some(percent))) if (1.0..=100.0).contains(&percent) && percent != 1.0 => {
            Ok(percent / 100.0)
        }
        _ => level(args, at),
    }
}

fn has_own_quantiles(ty: &DataType) -> bool {
    matches!(ty, DataType::Date32 | DataType::Timestamp(..) | DataType::Decimal128(..))
}

/// Values keep their type if their quantiles have it; levels are floats.
fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
    let own = types.first().filter(|ty| has_own_quantiles(ty));
    let mut coerced = vec![DataType::Float64; types.len()];
    if let (Some(own), Some(first)) = (own, coerced.first_mut()) {
        first.clone_from(own);
    }
    Ok(coerced)
}

/// The type of a quantile of such an argument.
fn quantile_type(fields: &[FieldRef]) -> Result<ColumnType> {
    let of = ColumnType::of_field(&fields[0]);
    let ty = match of.inner() {
        own if has_own_quantiles(&own.query_type()) => own.clone(),
        other if other.is_number() || matches!(other, ColumnType::Bool | ColumnType::Nothing) => {
            ColumnType::Float64
        }
        other => {
            let message = format!("Illegal type {other} of argument for aggregate function quantile");
            return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
        }
    };
    Ok(if of.is_nullable() { ty.nullable() } else { ty })
}

fn state(_: &[FieldRef], _: &FieldRef) -> Vec<FieldRef> {
    vec![field("values", DataType::List(field("item", DataType::Float64, true)), true)]
}

/// `percentile(x, p)`.
pub(super) fn percentile_rule() -> Rule<Values> {
    Rule { arguments: (2, 2), make: |args| Ok(one_level(args, percent(args, 1)?)), ..quantile_rule() }
}

fn one_level(args: &AccumulatorArgs<'_>, level: f64) -> Values {
    Values {
        levels: vec![level],
        items: None,
        value: args.return_field.data_type().clone(),
        nullable: args.return_field.is_nullable(),
    }
}

pub(super) fn quantile_rule() -> Rule<Values> {
    Rule {
        arguments: (1, 2),
        coerce,
        returns: |name, fields| Ok(Arc::new(field_of(name, &quantile_type(fields)?))),
        state,
        make: |args| Ok(one_level(args, if args.exprs.len() > 1 { level(args, 1)? } else { 0.5 })),
    }
}

pub(super) fn quantiles_rule() -> Rule<Values> {
    Rule {
        arguments: (2, 255),
        coerce,
        returns: |name, fields| {
            let item = quantile_type(fields)?.inner().clone();
            Ok(Arc::new(field_of(name, &ColumnType::Array(Box::new(item)))))
        },
        state,
        make: |args| {
            let levels: Result<Vec<f64>> = (1..args.exprs.len()).map(|at| level(args, at)).collect();
            let DataType::List(item) = args.return_field.data_type() else {
                return Err(fault(ErrorCode::LogicalError, "Quantiles are an array"));
            };
            let value = item.data_type().clone();
            Ok(Values { levels: levels?, items: Some(Arc::clone(item)), value, nullable: false })
        },
    }
}

/// The value at a level between neighbours of sorted values.
fn between(sorted: &[f64], level: f64) -> f64 {
    let at = (level * (sorted.len() as f64 - 1.0)).clamp(0.0, sorted.len() as f64 - 1.0);
    let (left, right) = (at as usize, at as usize + 1);
    if right == sorted.len() {
        return sorted[left];
    }
    sorted[left] * (right as f64 - at) + sorted[right] * (at - left as f64)
}

impl Values {
    /// Numbers as a column of the values' type; nothing is NULL, NaN or zero.
    fn typed(&self, numbers: impl Iterator<Item = Option<f64>>) -> Result<ArrayRef> {
        let zero = (!self.nullable).then_some(0.0);
        Ok(match &self.value {
            DataType::Date32 => {
                let days = numbers.map(|number| number.or(zero).map(|number| number as i32));
                cast(&days.collect::<Int32Array>(), &self.value)?
            }
            DataType::Timestamp(..) => {
                let ticks = numbers.map(|number| number.or(zero).map(|number| number as i64));
                cast(&ticks.collect::<Int64Array>(), &self.value)?
            }
            DataType::Decimal128(precision, scale) => {
                let digits = numbers.map(|number| number.or(zero).map(|number| number as i128));
                Arc::new(digits.collect::<Decimal128Array>().with_precision_and_scale(*precision, *scale)?)
            }
            _ => {
                let nothing = (!self.nullable).then_some(f64::NAN);
                Arc::new(numbers.map(|number| number.or(nothing)).collect::<Float64Array>())
            }
        })
    }
}

impl Fold for Values {
    type State = Vec<f64>;
    type Columns = Float64Array;

    fn columns(&self, values: &[ArrayRef]) -> Result<Float64Array> {
        let whole = match values[0].data_type() {
            DataType::Timestamp(..) => cast(&values[0], &DataType::Int64)?,
            DataType::Date32 => cast(&values[0], &DataType::Int32)?,
            DataType::Decimal128(..) => {
                return Ok(values[0].as_primitive::<Decimal128Type>().unary(|digits| digits as f64));
            }
            _ => return floats(&values[0]),
        };
        Ok(cast(&whole, &DataType::Float64)?.as_primitive().clone())
    }

    fn add(&self, state: &mut Vec<f64>, values: &Float64Array, row: usize) {
        if values.is_valid(row) && !values.value(row).is_nan() {
            state.push(values.value(row));
        }
    }

    fn save(&self, states: Vec<Vec<f64>>) -> Result<Vec<ArrayRef>> {
        let mut out = ListBuilder::new(Float64Builder::new());
        for state in states {
            out.values().append_slice(&state);
            out.append(true);
        }
        Ok(vec![Arc::new(out.finish())])
    }

    fn load(&self, columns: &[ArrayRef]) -> Result<Vec<Vec<f64>>> {
        let lists = columns[0].as_list::<i32>();
        let values = |list: Option<ArrayRef>| {
            list.map_or_else(Vec::new, |list| list.as_primitive::<Float64Type>().values().to_vec())
        };
        Ok(lists.iter().map(values).collect())
    }

    fn merge(&self, state: &mut Vec<f64>, other: Vec<f64>) {
        state.extend(other);
    }

    fn finish(&self, states: Vec<Vec<f64>>) -> Result<ArrayRef> {
        let groups = states.len();
        let numbers = states.into_iter().flat_map(|mut values| {
            values.sort_unstable_by(f64::total_cmp);
            let at = |level: &f64| (!values.is_empty()).then(|| between(&values, *level));
            self.levels.iter().map(at).collect::<Vec<Option<f64>>>()
        });
        let values = self.typed(numbers)?;
        let Some(item) = &self.items else { return Ok(values) };
        let lengths = std::iter::repeat_n(self.levels.len(), groups);
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, None)?))
    }

    fn heap(&self, state: &Vec<f64>) -> usize {
        state.capacity() * size_of::<f64>()
    }
}
