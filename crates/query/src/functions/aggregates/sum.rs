//! `sum`: exact for whole numbers, DataFusion's for floats and decimals.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};
use zepto_common::ErrorCode;

use super::adapted::{Adapted, Kind, sliding_whole_sum};
use super::fold::{Rule, aggregate};
use super::folds::{WholeSum, field, whole_sum};
use crate::functions::scalar::{check_count, fault};

fn whole_rule() -> Rule<WholeSum> {
    Rule {
        arguments: (1, 1),
        coerce: |types| Ok(types.to_vec()),
        returns: |name, fields| {
            let nullable = fields.iter().any(|field| field.is_nullable());
            let ty =
                if fields[0].data_type().is_signed_integer() { DataType::Int64 } else { DataType::UInt64 };
            Ok(field(name, ty, nullable))
        },
        state: |_, _| vec![field("sum", DataType::Decimal128(38, 0), true)],
        make: |args| Ok(whole_sum(args)),
    }
}

/// The sum of any numbers.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    whole: AggregateUDF,
    other: AggregateUDF,
    signature: Signature,
}

pub(super) fn sum(name: &'static str) -> AggregateUDF {
    AggregateUDF::from(Sum {
        whole: aggregate(name, whole_rule()),
        other: Adapted::udaf(name, sum_udaf(), Kind::Sum, (1, 1)),
        signature: Signature::user_defined(Volatility::Immutable),
    })
}

impl Sum {
    fn of(&self, ty: &DataType) -> &AggregateUDF {
        if ty.is_integer() || matches!(ty, DataType::Null | DataType::Boolean) {
            &self.whole
        } else {
            &self.other
        }
    }
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        self.whole.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        check_count(self.name(), types.len(), (1, 1))?;
        self.of(&types[0]).return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        check_count(self.name(), fields.len(), (1, 1))?;
        let ty = fields[0].data_type();
        if !ty.is_numeric() && !matches!(ty, DataType::Null | DataType::Boolean) {
            let message = format!("Illegal type {ty} of argument for aggregate function sum");
            return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
        }
        self.of(ty).return_field(fields)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // Faults are told by return_field: errors from here lose their code.
        let wide = |ty: &DataType| match ty {
            DataType::Float16 | DataType::Float32 => DataType::Float64,
            DataType::Null => DataType::Int64,
            ty if ty.is_signed_integer() => DataType::Int64,
            ty if ty.is_unsigned_integer() || *ty == DataType::Boolean => DataType::UInt64,
            other => other.clone(),
        };
        Ok(types.iter().map(wide).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct && args.expr_fields[0].data_type().is_integer() {
            return sum_udaf().accumulator(args);
        }
        self.of(args.expr_fields[0].data_type()).accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if args.is_distinct && args.input_fields[0].data_type().is_integer() {
            return sum_udaf().state_fields(args);
        }
        self.of(args.input_fields[0].data_type()).state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct && self.of(args.expr_fields[0].data_type()).groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.of(args.expr_fields[0].data_type()).create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let ty = args.expr_fields[0].data_type();
        if !ty.is_integer() && !matches!(ty, DataType::Null | DataType::Boolean) {
            return self.other.create_sliding_accumulator(args);
        }
        let distinct = match args.is_distinct {
            true => Some(sum_udaf().create_sliding_accumulator(args.clone())?),
            false => None,
        };
        Ok(sliding_whole_sum(&args, distinct))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}
