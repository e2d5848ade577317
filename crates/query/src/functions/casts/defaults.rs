//! Numbers, or what is given for values that are none: `toInt32OrDefault`.

use arrow::array::ArrayRef;
use datafusion::common::Result;
use zepto_common::types::ColumnType;

use crate::functions::accurate::{Fit, convert_accurately};
use crate::functions::convert::OnFault;
use crate::functions::scalar::{Arguments, Call, Scalar};
use crate::functions::{Plan, Row, row};

fn or_default(args: &Arguments<'_>, ty: ColumnType) -> ColumnType {
    if args.ty(1).is_nullable() { ty.nullable() } else { ty }
}

/// The first argument as the number that the type can hold, or the second; NULL is none.
fn number_or_default(call: &Call<'_>) -> Result<ArrayRef> {
    let read = convert_accurately(&call.array(0)?, &call.base(0), call.ty, Fit::Exact, OnFault::Null)?;
    let fallback = call.cast(1, read.data_type())?;
    Ok(arrow::compute::kernels::zip::zip(&arrow::compute::is_null(&read)?, &fallback, &read)?)
}

macro_rules! or_default {
    ($name:literal, $ty:ident) => {
        row(
            $name,
            &[],
            concat!($name, "(x, default)"),
            "The number, or the default where x is none of the type.",
            Plan::Scalar(
                Scalar::pure((2, 2), |args| Ok(or_default(args, ColumnType::$ty)), number_or_default)
                    .own_nulls(),
            ),
        )
    };
}

/// Conversions with a default.
pub(crate) const ROWS: &[Row] = &[
    or_default!("toInt64OrDefault", Int64),
    or_default!("toInt16OrDefault", Int16),
    or_default!("toInt8OrDefault", Int8),
    or_default!("toUInt16OrDefault", UInt16),
    or_default!("toUInt8OrDefault", UInt8),
    or_default!("toFloat32OrDefault", Float32),
    or_default!("toInt32OrDefault", Int32),
    or_default!("toUInt64OrDefault", UInt64),
    or_default!("toUInt32OrDefault", UInt32),
    or_default!("toFloat64OrDefault", Float64),
];
