//! Aggregates over frames that may have no rows: DataFusion asks the function what an empty frame gives and tells it the
//! Arrow type alone, which does not say whether the answer may be NULL. So the function is wrapped when that is known.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature,
};

use crate::semantics::numbers::zero_of;

/// Whose empty answer is the zero value, also as a float; of the others it is NaN.
const ZERO_WHEN_EMPTY: [&str; 9] =
    ["sum", "min", "max", "any", "anyLast", "argMin", "argMax", "first", "last"];

/// An aggregate that knows what an empty frame gives.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Windowed {
    inner: Arc<AggregateUDF>,
    empty: ScalarValue,
}

/// The function for frames, when its result may not be NULL and it would answer NULL; else None.
pub(crate) fn for_windows(function: &Arc<AggregateUDF>, result: &FieldRef) -> Result<Option<AggregateUDF>> {
    if result.is_nullable() || !function.default_value(result.data_type())?.is_null() {
        return Ok(None);
    }
    let is_float = matches!(result.data_type(), DataType::Float32 | DataType::Float64);
    let empty = match is_float && !ZERO_WHEN_EMPTY.contains(&function.name()) {
        true => ScalarValue::Float64(Some(f64::NAN)).cast_to(result.data_type())?,
        false => zero_of(result.data_type())?,
    };
    Ok(Some(AggregateUDF::from(Windowed { inner: Arc::clone(function), empty })))
}

impl AggregateUDFImpl for Windowed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(fields)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Identical => ReversedUDAF::Identical,
            // The reversed one would not know what an empty frame gives.
            _ => ReversedUDAF::NotSupported,
        }
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(self.empty.clone())
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn set_monotonicity(&self, ty: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(ty)
    }
}
