//! `avg`: of numbers a Float64, of days and times one of them, by exact sums.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, FieldRef, UInt64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature,
    StatisticsArgs, Volatility,
};

use super::adapted::{Adapted, Kind};
use super::fold::{Fold, Rule, aggregate};
use super::folds::field;

/// The mean of days or times: the nearest tick of the type.
#[derive(Debug, Clone)]
pub(super) struct Ticks {
    ty: DataType,
    nullable: bool,
}

/// Days or times as whole numbers.
fn ticks(array: &ArrayRef) -> Result<Int64Array> {
    let whole = if *array.data_type() == DataType::Date32 {
        cast(array, &DataType::Int32)?
    } else {
        Arc::clone(array)
    };
    Ok(cast(&whole, &DataType::Int64)?.as_primitive().clone())
}

impl Fold for Ticks {
    type State = (i128, u64);
    type Columns = Int64Array;

    fn columns(&self, values: &[ArrayRef]) -> Result<Int64Array> {
        ticks(&values[0])
    }

    fn add(&self, state: &mut (i128, u64), values: &Int64Array, row: usize) {
        if values.is_valid(row) {
            *state = (state.0 + i128::from(values.value(row)), state.1 + 1);
        }
    }

    fn save(&self, states: Vec<(i128, u64)>) -> Result<Vec<ArrayRef>> {
        let sums = Decimal128Array::from_iter_values(states.iter().map(|state| state.0));
        let counts = UInt64Array::from_iter_values(states.iter().map(|state| state.1));
        Ok(vec![Arc::new(sums.with_precision_and_scale(38, 0)?), Arc::new(counts)])
    }

    fn load(&self, columns: &[ArrayRef]) -> Result<Vec<(i128, u64)>> {
        let (sums, counts) =
            (columns[0].as_primitive::<Decimal128Type>(), columns[1].as_primitive::<UInt64Type>());
        Ok(sums.iter().zip(counts).map(|(sum, count)| (sum.unwrap_or(0), count.unwrap_or(0))).collect())
    }

    fn merge(&self, state: &mut (i128, u64), other: (i128, u64)) {
        *state = (state.0 + other.0, state.1 + other.1);
    }

    fn finish(&self, states: Vec<(i128, u64)>) -> Result<ArrayRef> {
        let none = (!self.nullable).then_some(0);
        let mean = |(sum, count): (i128, u64)| nearest(sum, i128::from(count)).or(none);
        let means: ArrayRef = Arc::new(states.into_iter().map(mean).collect::<Int64Array>());
        let whole = if self.ty == DataType::Date32 { cast(&means, &DataType::Int32)? } else { means };
        Ok(cast(&whole, &self.ty)?)
    }
}

/// The nearest whole quotient, of two the even one; None for a count of 0.
fn nearest(sum: i128, count: i128) -> Option<i64> {
    let (down, rest) = (sum.checked_div_euclid(count)?, sum.checked_rem_euclid(count)?);
    let up = match (rest * 2).cmp(&count) {
        Ordering::Less => 0,
        Ordering::Equal => down & 1,
        Ordering::Greater => 1,
    };
    Some((down + up) as i64)
}

fn times_rule() -> Rule<Ticks> {
    Rule {
        arguments: (1, 1),
        coerce: |types| Ok(types.to_vec()),
        returns: |name, fields| Ok(Arc::new(fields[0].as_ref().clone().with_name(name))),
        state: |_, _| {
            vec![field("sum", DataType::Decimal128(38, 0), true), field("count", DataType::UInt64, true)]
        },
        make: |args| {
            Ok(Ticks { ty: args.return_field.data_type().clone(), nullable: args.return_field.is_nullable() })
        },
    }
}

/// One of two aggregates, by the argument.
struct Mean {
    name: &'static str,
    numbers: AggregateUDF,
    times: AggregateUDF,
    signature: Signature,
}

/// `avg`.
pub(super) fn mean(name: &'static str) -> AggregateUDF {
    AggregateUDF::from(Mean {
        name,
        numbers: Adapted::udaf(name, avg_udaf(), Kind::Mean, (1, 1)),
        times: aggregate(name, times_rule()),
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

impl Mean {
    fn of(&self, ty: Option<&DataType>) -> &AggregateUDF {
        if ty.is_some_and(DataType::is_temporal) { &self.times } else { &self.numbers }
    }

    fn of_fields(&self, fields: &[FieldRef]) -> &AggregateUDF {
        self.of(fields.first().map(|field| field.data_type()))
    }
}

impl Debug for Mean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Mean {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Mean {}

impl Hash for Mean {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for Mean {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.of(types.first()).return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        self.of_fields(fields).return_field(fields)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if let Some(ty @ (DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)) = types.first() {
            return plan_err!("Illegal type {ty} of argument for aggregate function {}", self.name);
        }
        self.of(types.first()).coerce_types(types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.of_fields(args.expr_fields).accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.of_fields(args.input_fields).state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.of_fields(args.expr_fields).groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.of_fields(args.expr_fields).create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.of_fields(args.expr_fields).create_sliding_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn value_from_stats(&self, args: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        self.numbers.inner().value_from_stats(args)
    }

    fn default_value(&self, ty: &DataType) -> Result<ScalarValue> {
        ScalarValue::try_from(ty)
    }

    fn set_monotonicity(&self, _: &DataType) -> SetMonotonicity {
        SetMonotonicity::NotMonotonic
    }
}
