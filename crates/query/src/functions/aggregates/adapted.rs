//! DataFusion's aggregates with ClickHouse's types and empty results: count is UInt64, an empty group of a type
//! that is not Nullable has the zero value (NaN for means), a Nullable one NULL.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::{cast, is_null, kernels::zip::zip};
use arrow::datatypes::{DataType, FieldRef, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature, StatisticsArgs, Volatility,
};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::extreme::{Extreme, Extremes};
use super::first_seen::FirstSeen;
use super::sliding::{Bounds, OfBounds, OfTotal, Sliding, Total, WholeTotal};
use super::spread::{Measure, Pairs, Values, of_states};
use crate::functions::scalar::{check_count, fault, field_of, text_as_view};
use crate::semantics::numbers::{is_whole, sum_type, zero_of};
use crate::window_memory;

/// How an aggregate of DataFusion is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `count`: UInt64, never NULL.
    Count,
    /// The type and nullability of the argument; the zero value when empty.
    Same,
    /// The same of whole numbers alone; all bits set when empty.
    AllBits,
    /// The same; no bit set when empty.
    Bits,
    /// Float64; NaN when empty.
    Mean,
    /// A sum of floats or decimals; zero when empty.
    Sum,
    /// An array of the argument's values that are not NULL; empty when there are none.
    Items,
}

/// An aggregate of DataFusion in ClickHouse's dress.
pub(super) struct Adapted {
    name: &'static str,
    inner: Arc<AggregateUDF>,
    kind: Kind,
    arguments: (usize, usize),
    signature: Signature,
}

impl Adapted {
    pub(super) fn udaf(
        name: &'static str,
        inner: Arc<AggregateUDF>,
        kind: Kind,
        arguments: (usize, usize),
    ) -> AggregateUDF {
        AggregateUDF::from(Self {
            name,
            inner,
            kind,
            arguments,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    }

    /// DataFusion's result field for the result field of ours.
    fn inner_field(&self, ours: &FieldRef) -> FieldRef {
        let ty = match self.kind {
            Kind::Count => DataType::Int64,
            Kind::Items => match ours.data_type() {
                DataType::List(item) => DataType::List(Arc::new(item.as_ref().clone().with_nullable(true))),
                other => other.clone(),
            },
            _ => ours.data_type().clone(),
        };
        Arc::new(ours.as_ref().clone().with_data_type(ty).with_nullable(true))
    }

    /// Whether this is `min` (`false`) or `max` (`true`) of floats.
    fn float_extreme(&self, args: &AccumulatorArgs<'_>) -> Option<bool> {
        let is_float = matches!(args.return_field.data_type(), DataType::Float32 | DataType::Float64);
        match self.name {
            "min" if is_float => Some(false),
            "max" if is_float => Some(true),
            _ => None,
        }
    }

    /// The frame's accumulator, if it is one of ours.
    fn sliding(&self, args: &AccumulatorArgs<'_>) -> Option<Box<dyn Accumulator>> {
        let ty = args.return_field.data_type();
        if let Some(greatest) = self.float_extreme(args) {
            let rule = OfBounds { greatest, ty: ty.clone() };
            return Some(Box::new(Sliding::<Bounds>::new(rule)));
        }
        match (self.kind, Measure::named(self.name)) {
            _ if args.is_distinct => None,
            (_, Some(measure)) if measure.is_of_pairs() => Some(Box::new(Sliding::<Pairs>::new(measure))),
            (_, Some(measure)) => Some(Box::new(Sliding::<Values>::new(measure))),
            (Kind::Mean, None) if self.name == "avg" => Some(Box::new(Sliding::<Total>::new(OfTotal::Mean))),
            (Kind::Sum, None) if *ty == DataType::Float64 => {
                Some(Box::new(Sliding::<Total>::new(OfTotal::Sum)))
            }
            (Kind::Sum, None) => Some(Box::new(Sliding::<WholeTotal>::new(ty.clone()))),
            _ => None,
        }
    }

    fn inner_args<'a>(&self, args: AccumulatorArgs<'a>) -> (AccumulatorArgs<'a>, Finish) {
        let finish = Finish { kind: self.kind, field: Arc::clone(&args.return_field) };
        let field = self.inner_field(&args.return_field);
        let ignore_nulls = args.ignore_nulls || self.kind == Kind::Items;
        (AccumulatorArgs { return_field: field, ignore_nulls, ..args }, finish)
    }
}

/// A time that counts parts of a second: its ticks are not its seconds.
fn is_fine_time(ty: &DataType) -> bool {
    matches!(ty, DataType::Timestamp(unit, _) if *unit != TimeUnit::Second)
}

/// What an aggregate gives is no LowCardinality any more.
pub(super) fn plain_text(ty: &ColumnType) -> ColumnType {
    match ty {
        ColumnType::Symbol => ColumnType::String,
        ColumnType::Nullable(of) if **of == ColumnType::Symbol => ColumnType::String.nullable(),
        other => other.clone(),
    }
}

/// NULLs become `zero` unless the result may be NULL.
pub(super) fn fill_zero(values: ArrayRef, nullable: bool, zero: &ScalarValue) -> Result<ArrayRef> {
    if nullable || values.null_count() == 0 {
        return Ok(values);
    }
    let zeros = zero.cast_to(values.data_type())?.to_array_of_size(values.len())?;
    Ok(zip(&is_null(&values)?, &zeros, &values)?)
}

/// The whole number of a type that has every bit.
fn all_bits(ty: &DataType) -> Result<ScalarValue> {
    let unsigned = match ty {
        DataType::UInt8 => u64::from(u8::MAX),
        DataType::UInt16 => u64::from(u16::MAX),
        DataType::UInt32 => u64::from(u32::MAX),
        DataType::UInt64 => u64::MAX,
        signed => return ScalarValue::Int64(Some(-1)).cast_to(signed),
    };
    ScalarValue::UInt64(Some(unsigned)).cast_to(ty)
}

/// A frame's sum of whole numbers; `distinct` is what sums the different ones.
pub(super) fn sliding_whole_sum(
    args: &AccumulatorArgs<'_>,
    distinct: Option<Box<dyn Accumulator>>,
) -> Box<dyn Accumulator> {
    let field = Arc::clone(&args.return_field);
    let own = || Box::new(Sliding::<WholeTotal>::new(field.data_type().clone())) as Box<dyn Accumulator>;
    let inner = distinct.unwrap_or_else(own);
    Box::new(Finished { inner, finish: Finish { kind: Kind::Sum, field }, measure: None, new_rows: 0 })
}

/// The last step of every result.
#[derive(Debug, Clone)]
struct Finish {
    kind: Kind,
    field: FieldRef,
}

impl Finish {
    fn array(&self, values: ArrayRef) -> Result<ArrayRef> {
        let wanted = self.field.data_type();
        let empty = match self.kind {
            Kind::Mean => ScalarValue::Float64(Some(f64::NAN)),
            Kind::AllBits => all_bits(wanted)?,
            _ => zero_of(wanted)?,
        };
        let nullable = self.field.is_nullable();
        let values = if self.kind == Kind::Items { relist(&values, wanted)? } else { values };
        let values = fill_zero(values, nullable, &empty)?;
        if values.data_type() == wanted { Ok(values) } else { Ok(cast(&values, wanted)?) }
    }

    fn scalar(&self, value: ScalarValue) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.array(value.to_array()?)?, 0)
    }
}

/// A list with another item field; NULL lists become empty ones.
fn relist(values: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    use arrow::array::AsArray;
    let (Some(list), DataType::List(item)) = (values.as_list_opt::<i32>(), wanted) else {
        return Ok(Arc::clone(values));
    };
    let items = cast(list.values(), item.data_type())?;
    Ok(Arc::new(arrow::array::ListArray::try_new(Arc::clone(item), list.offsets().clone(), items, None)?))
}

impl Debug for Adapted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Adapted {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Adapted {}

impl Hash for Adapted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for Adapted {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let fields: Vec<FieldRef> =
            types.iter().map(|ty| Arc::new(arrow::datatypes::Field::new("", ty.clone(), true))).collect();
        Ok(self.return_field(&fields)?.data_type().clone())
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        check_count(self.name, fields.len(), self.arguments)?;
        let nullable = fields.iter().any(|field| field.is_nullable());
        let first = fields.first().map_or(ColumnType::UInt8, |field| ColumnType::of_field(field));
        let ty = match self.kind {
            Kind::Count => ColumnType::UInt64,
            Kind::Same if *first.inner() == ColumnType::Symbol => plain_text(&first),
            Kind::AllBits | Kind::Bits if *first.inner() == ColumnType::Bool => {
                if nullable {
                    ColumnType::UInt8.nullable()
                } else {
                    ColumnType::UInt8
                }
            }
            Kind::AllBits | Kind::Bits if !is_whole(&first) && *first.inner() != ColumnType::Nothing => {
                let message =
                    format!("Illegal type {first} of argument for aggregate function {}", self.name);
                return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
            }
            Kind::Same | Kind::AllBits | Kind::Bits => {
                return Ok(Arc::new(fields[0].as_ref().clone().with_name(self.name)));
            }
            Kind::Mean if fields.iter().any(|field| is_fine_time(field.data_type())) => {
                let message = format!("{} of {first} is not supported: take it of toFloat64(…)", self.name);
                return Err(fault(ErrorCode::NotImplemented, message));
            }
            Kind::Mean if nullable => ColumnType::Float64.nullable(),
            Kind::Mean => ColumnType::Float64,
            Kind::Sum if nullable => sum_type(&first).nullable(),
            Kind::Sum => sum_type(&first),
            Kind::Items => ColumnType::Array(Box::new(plain_text(first.inner()))),
        };
        Ok(Arc::new(field_of(self.name, &ty)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(match self.kind {
            // What has no seconds as a float keeps its type, and is refused with the type of the result.
            Kind::Mean => {
                types.iter().map(|ty| if is_fine_time(ty) { ty.clone() } else { DataType::Float64 }).collect()
            }
            Kind::AllBits | Kind::Bits => types
                .iter()
                .map(|ty| if *ty == DataType::Boolean { DataType::UInt8 } else { ty.clone() })
                .collect(),
            _ => types.iter().map(text_as_view).collect(),
        })
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let (args, finish) = self.inner_args(args);
        let inner: Box<dyn Accumulator> = match (self.float_extreme(&args), args.return_field.data_type()) {
            (Some(greatest), ty) => Box::new(Extreme::new(ty, greatest)),
            // With an order said in the call the planner's own keeps it.
            (None, DataType::List(item))
                if self.kind == Kind::Items && args.is_distinct && args.order_bys.is_empty() =>
            {
                Box::new(FirstSeen::new(item.data_type().clone()))
            }
            (None, _) => self.inner.accumulator(args)?,
        };
        Ok(Box::new(Finished { inner, finish, measure: Measure::named(self.name), new_rows: 0 }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = self.inner_field(&args.return_field);
        self.inner.state_fields(StateFieldsArgs { return_field: field, ..args })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        let (args, _) = self.inner_args(args);
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let (args, finish) = self.inner_args(args);
        let inner: Box<dyn GroupsAccumulator> = match self.float_extreme(&args) {
            Some(greatest) => Box::new(Extremes::new(args.return_field.data_type(), greatest)),
            None => self.inner.create_groups_accumulator(args)?,
        };
        Ok(Box::new(FinishedGroups { inner, finish, measure: Measure::named(self.name) }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let (args, finish) = self.inner_args(args);
        let inner = match self.sliding(&args) {
            Some(own) => own,
            None => self.inner.create_sliding_accumulator(args)?,
        };
        Ok(Box::new(Finished { inner, finish, measure: None, new_rows: 0 }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        match self.kind {
            Kind::Items => AggregateOrderSensitivity::SoftRequirement,
            _ => AggregateOrderSensitivity::Insensitive,
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.kind {
            Kind::Items => ReversedUDAF::NotSupported,
            _ => ReversedUDAF::Identical,
        }
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn value_from_stats(&self, args: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        let value = self.inner.value_from_stats(args)?;
        match self.kind {
            Kind::Count => value.cast_to(&DataType::UInt64).ok(),
            // An empty table's least value is not known to the statistics as ours.
            _ if value.is_null() => None,
            _ => Some(value),
        }
    }

    fn default_value(&self, ty: &DataType) -> Result<ScalarValue> {
        match self.kind {
            Kind::Count => Ok(ScalarValue::UInt64(Some(0))),
            _ => ScalarValue::try_from(ty),
        }
    }

    fn set_monotonicity(&self, ty: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(ty)
    }
}

#[derive(Debug)]
struct Finished {
    inner: Box<dyn Accumulator>,
    finish: Finish,
    /// Set where DataFusion gives NULL for what has values but no answer.
    measure: Option<Measure>,
    /// Rows since the last answer.
    new_rows: usize,
}

impl Accumulator for Finished {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.new_rows += values.first().map_or(0, |column| column.len());
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.inner.evaluate()?;
        if value.is_null() && self.measure.is_some() {
            let has_values = matches!(self.inner.state()?.first(), Some(ScalarValue::UInt64(Some(1..))));
            if has_values {
                return Ok(ScalarValue::Float64(Some(f64::NAN)));
            }
        }
        let answer = self.finish.scalar(value)?;
        window_memory::made(&answer, std::mem::take(&mut self.new_rows))?;
        Ok(answer)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

struct FinishedGroups {
    inner: Box<dyn GroupsAccumulator>,
    finish: Finish,
    /// Set where DataFusion gives NULL for what has values but no answer.
    measure: Option<Measure>,
}

impl GroupsAccumulator for FinishedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.inner.update_batch(values, groups, filter, total)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let values = match self.measure {
            Some(measure) => Arc::new(of_states(measure, &self.inner.state(emit)?)?) as ArrayRef,
            None => self.inner.evaluate(emit)?,
        };
        self.finish.array(values)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.inner.merge_batch(values, groups, total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}
