//! The element at a level of all values of a group. Values are kept as whole numbers in the order of the values, so that
//! none is rounded: a time in nanoseconds has more digits than a float.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, Int64Builder, ListBuilder, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, UInt64Type};
use datafusion::common::Result;
use zepto_common::types::ColumnType;

use super::fold::{Fold, Rule};
use super::folds::{field, floats};
use super::quantiles::level;
use crate::functions::scalar::field_of;

/// `quantileExact`.
#[derive(Debug, Clone)]
pub(super) struct Element {
    level: f64,
    nullable: bool,
    result: DataType,
}

pub(super) fn rule() -> Rule<Element> {
    Rule {
        arguments: (1, 2),
        coerce: |types| Ok(types.to_vec()),
        returns: |name, fields| Ok(Arc::new(field_of(name, &ColumnType::of_field(&fields[0])))),
        state: |_, _| vec![field("values", DataType::List(field("item", DataType::Int64, true)), true)],
        make: |args| {
            let level = if args.exprs.len() > 1 { level(args, 1)? } else { 0.5 };
            let result = args.return_field.data_type().clone();
            Ok(Element { level, nullable: args.return_field.is_nullable(), result })
        },
    }
}

/// How values become whole numbers in their order.
enum Keys {
    /// Whole numbers and times.
    Signed,
    Unsigned,
    /// Everything else, by way of floats.
    Float,
}

fn keys_of(ty: &DataType) -> Keys {
    match ty {
        DataType::UInt64 => Keys::Unsigned,
        DataType::Timestamp(..) | DataType::Date32 => Keys::Signed,
        ty if ty.is_integer() => Keys::Signed,
        _ => Keys::Float,
    }
}

/// The bits of a float in its order ([`f64::total_cmp`]), and back.
fn turned(bits: i64) -> i64 {
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn whole(values: &ArrayRef) -> Result<Int64Array> {
    // Days are 32 bits wide and are read as such first.
    let values = match values.data_type() {
        DataType::Date32 => cast(values, &DataType::Int32)?,
        _ => Arc::clone(values),
    };
    Ok(cast(&values, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

impl Fold for Element {
    type State = Vec<i64>;
    type Columns = Int64Array;

    fn columns(&self, values: &[ArrayRef]) -> Result<Int64Array> {
        Ok(match keys_of(values[0].data_type()) {
            Keys::Signed => whole(&values[0])?,
            Keys::Unsigned => values[0].as_primitive::<UInt64Type>().unary(|n| n.cast_signed() ^ i64::MIN),
            Keys::Float => {
                floats(&values[0])?.unary_opt(|x| (!x.is_nan()).then(|| turned(x.to_bits().cast_signed())))
            }
        })
    }

    fn add(&self, state: &mut Vec<i64>, values: &Int64Array, row: usize) {
        if values.is_valid(row) {
            state.push(values.value(row));
        }
    }

    fn save(&self, states: Vec<Vec<i64>>) -> Result<Vec<ArrayRef>> {
        let mut out = ListBuilder::new(Int64Builder::new());
        for state in states {
            out.values().append_slice(&state);
            out.append(true);
        }
        Ok(vec![Arc::new(out.finish())])
    }

    fn load(&self, columns: &[ArrayRef]) -> Result<Vec<Vec<i64>>> {
        let values = |list: Option<ArrayRef>| {
            list.map_or_else(Vec::new, |list| list.as_primitive::<Int64Type>().values().to_vec())
        };
        Ok(columns[0].as_list::<i32>().iter().map(values).collect())
    }

    fn merge(&self, state: &mut Vec<i64>, other: Vec<i64>) {
        state.extend(other);
    }

    fn finish(&self, states: Vec<Vec<i64>>) -> Result<ArrayRef> {
        let elements = states.into_iter().map(|mut values| {
            let at = ((self.level * values.len() as f64) as usize).min(values.len().saturating_sub(1));
            (!values.is_empty()).then(|| *values.select_nth_unstable(at).1)
        });
        let zero = (!self.nullable).then_some(0);
        Ok(match keys_of(&self.result) {
            Keys::Signed => {
                let found: Int64Array = elements.map(|value| value.or(zero)).collect();
                match &self.result {
                    DataType::Date32 => cast(&cast(&found, &DataType::Int32)?, &self.result)?,
                    result => cast(&found, result)?,
                }
            }
            Keys::Unsigned => {
                let number = |key: i64| (key ^ i64::MIN).cast_unsigned();
                let zero = zero.map(i64::cast_unsigned);
                Arc::new(elements.map(|key| key.map(number).or(zero)).collect::<UInt64Array>())
            }
            Keys::Float => {
                let nothing = if self.result.is_floating() { f64::NAN } else { 0.0 };
                let number = |key: i64| f64::from_bits(turned(key).cast_unsigned());
                let none = (!self.nullable).then_some(nothing);
                let found: Float64Array = elements.map(|key| key.map(number).or(none)).collect();
                cast(&found, &self.result)?
            }
        })
    }

    fn heap(&self, state: &Vec<i64>) -> usize {
        state.capacity() * size_of::<i64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_floats_stand_in_the_order_of_the_floats() {
        let floats = [f64::NEG_INFINITY, -1e300, -1.5, -0.0, 0.0, 5e-324, 1.5, f64::INFINITY];
        let keys = floats.map(|x| turned(x.to_bits().cast_signed()));
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(keys.map(|key| f64::from_bits(turned(key).cast_unsigned())), floats);
    }
}
