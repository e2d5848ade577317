//! Bits of whole numbers.

use arrow::array::ArrayRef;
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::{left_type, narrow, wide, wide_column};
use crate::functions::scalar::{Arguments, Call, fault};
use crate::semantics::numbers::bits_of;

/// Places to shift by; there are none below 0.
pub(super) fn shift(places: i128) -> Result<i128> {
    if places < 0 {
        let message = "The number of shift positions needs to be a non-negative value";
        return Err(fault(ErrorCode::ArgumentOutOfBound, message));
    }
    Ok(places.min(64))
}

/// A text's bits turned are no text.
pub(super) fn bit_not_type(args: &Arguments<'_>) -> Result<ColumnType> {
    match args.base(0) {
        ColumnType::String | ColumnType::Symbol => Err(fault(
            ErrorCode::NotImplemented,
            "The bits of a text cannot be turned: the result is no text",
        )),
        _ => left_type(args),
    }
}

pub(super) fn bit_not(call: &Call<'_>) -> Result<ArrayRef> {
    narrow(wide_column(call, 0)?.values().iter().map(|value| !value).collect(), call.ty.inner())
}

/// `bitTest(a, n)`.
pub(super) fn bit_test(call: &Call<'_>) -> Result<ArrayRef> {
    let bits = i128::from(bits_of(&call.base(0)));
    wide(call, |a, n| match (0..bits).contains(&n) {
        true => Ok(a >> n & 1),
        false => Err(fault(ErrorCode::ParameterOutOfBound, format!("There is no bit {n} of {bits}"))),
    })
}
