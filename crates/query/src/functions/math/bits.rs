//! Bits of whole numbers.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, UInt8Type};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::{is_float, narrow, wide, wide_column, wrong_type};
use crate::functions::scalar::{Arguments, Call, fault};
use crate::semantics::numbers::{bits_of, is_signed, of_bits};

/// Places to shift by; there are none below 0.
pub(super) fn shift(places: i128) -> Result<i128> {
    if places < 0 {
        let message = "The number of shift positions needs to be a non-negative value";
        return Err(fault(ErrorCode::ArgumentOutOfBound, message));
    }
    Ok(places.min(64))
}

/// A text's bits turned or moved are no text.
fn no_text(args: &Arguments<'_>) -> Result<()> {
    match args.base(0) {
        ColumnType::String | ColumnType::Symbol => Err(fault(
            ErrorCode::NotImplemented,
            "The bits of a text cannot be turned or moved: the result is no text",
        )),
        _ => Ok(()),
    }
}

/// Bool as the number that it is.
fn number(ty: ColumnType) -> ColumnType {
    if ty == ColumnType::Bool { ColumnType::UInt8 } else { ty }
}

/// The type of the bits of two whole numbers: the wider, signed if one is.
pub(super) fn bit_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let (left, right) = (number(args.base(0)), number(args.base(1)));
    if is_float(&left) || is_float(&right) || !left.is_number() || !right.is_number() {
        return Err(wrong_type("bit…", &left));
    }
    Ok(of_bits(bits_of(&left).max(bits_of(&right)), is_signed(&left) || is_signed(&right)))
}

pub(super) fn shift_type(args: &Arguments<'_>) -> Result<ColumnType> {
    no_text(args)?;
    bit_type(args)
}

/// Floats are cut to whole numbers.
pub(super) fn bit_not_type(args: &Arguments<'_>) -> Result<ColumnType> {
    no_text(args)?;
    Ok(match number(args.base(0)) {
        ColumnType::Float32 => ColumnType::Int32,
        ColumnType::Float64 => ColumnType::Int64,
        number if number.is_number() => number,
        other => return Err(wrong_type("bitNot", &other)),
    })
}

/// Bits moved down; of as many places as there are bits nothing is left, not even a sign.
pub(super) fn shifted_down(call: &Call<'_>) -> Result<ArrayRef> {
    let bits = i128::from(bits_of(call.ty.inner()));
    wide(call, |a, n| Ok(if shift(n)? >= bits { 0 } else { a >> n }))
}

/// How many bits are set; a float's are those of its form in memory.
pub(super) fn bit_count(call: &Call<'_>) -> Result<ArrayRef> {
    let ones = |bits: u64| bits.count_ones() as u8;
    Ok(match call.base(0) {
        ColumnType::Float32 => {
            let values = call.cast(0, &DataType::Float32)?;
            let values = values.as_primitive::<Float32Type>();
            Arc::new(values.unary::<_, UInt8Type>(|value| ones(value.to_bits().into())))
        }
        ColumnType::Float64 => Arc::new(call.floats(0)?.unary::<_, UInt8Type>(|value| ones(value.to_bits()))),
        _ => Arc::new(call.bits(0)?.unary::<_, UInt8Type>(ones)),
    })
}

/// How many bits of two numbers differ; a shorter one has its sign before it.
pub(super) fn hamming_distance(call: &Call<'_>) -> Result<ArrayRef> {
    wide(call, |a, b| Ok(i128::from(((a ^ b) as u64).count_ones())))
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
