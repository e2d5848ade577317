//! Arithmetic with decimals. A result has the widest precision of its width (9, 18 or 38 digits), beside a whole number the
//! decimal's own; a quotient has the dividend's scale, and digits beyond it are cut. What the stored number of that width
//! cannot hold is refused.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Decimal128Array};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::math::{division_by_zero, wide_column};
use super::scalar::{Arguments, Call, Scalar, fault};
use super::{Plan, Row, row};

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Plus,
    Minus,
    Multiply,
    Divide,
    Modulo,
    PositiveModulo,
}

/// The widest precision of the width in which so many digits are stored.
fn width(precision: u8) -> u8 {
    match precision {
        0..=9 => 9,
        10..=18 => 18,
        _ => 38,
    }
}

/// The type of a result; None if neither side is a decimal.
///
/// # Errors
/// A scale that no decimal has, a divisor with more digits than the dividend.
pub(super) fn result_type(
    operation: Operation,
    left: &ColumnType,
    right: &ColumnType,
) -> Result<Option<ColumnType>> {
    let (precision, s, t) = match (left, right) {
        (ColumnType::Decimal(p, s), ColumnType::Decimal(q, t)) => (width(*p.max(q)), *s, *t),
        (decimal @ ColumnType::Decimal(..), _) | (_, decimal @ ColumnType::Decimal(..)) => {
            return Ok(Some(decimal.clone()));
        }
        _ => return Ok(None),
    };
    let refused = |message: String| Err(fault(ErrorCode::ArgumentOutOfBound, message));
    match operation {
        Operation::Multiply if s + t > precision => {
            refused(format!("Scale {} is out of bounds (max scale: {precision})", s + t))
        }
        Operation::Multiply => Ok(Some(ColumnType::Decimal(precision, s + t))),
        Operation::Divide if s < t => {
            refused("Decimal result's scale is less than argument's one".to_owned())
        }
        Operation::Divide => Ok(Some(ColumnType::Decimal(precision, s))),
        _ => Ok(Some(ColumnType::Decimal(precision, s.max(t)))),
    }
}

fn overflow() -> datafusion::common::DataFusionError {
    fault(ErrorCode::Decimals, "Decimal math overflow")
}

/// The number, if what stores so many digits can hold it.
fn held(number: Option<i128>, precision: u8) -> Result<i128> {
    let fits = |number: &i128| match width(precision) {
        9 => i32::try_from(*number).is_ok(),
        18 => i64::try_from(*number).is_ok(),
        _ => true,
    };
    number.filter(fits).ok_or_else(overflow)
}

/// `left operation right` in the planned type.
pub(super) fn compute(call: &Call<'_>, operation: Operation) -> Result<ArrayRef> {
    let ColumnType::Decimal(precision, scale) = *call.ty.inner() else {
        return Err(fault(ErrorCode::LogicalError, "A decimal's arithmetic has a decimal's type"));
    };
    let scale_of = |i: usize| match call.base(i) {
        ColumnType::Decimal(_, scale) => Some(scale),
        _ => None,
    };
    let units = |digits: u8| 10_i128.checked_pow(u32::from(digits)).ok_or_else(overflow);
    let (s, t) = (scale_of(0), scale_of(1));
    // What each side's stored number is multiplied with before anything else.
    let (up_left, up_right) = match operation {
        Operation::Multiply => (1, 1),
        Operation::Divide => (units(if s.is_none() { scale } else { 0 })?, 1),
        _ => (units(scale - s.unwrap_or(0))?, units(scale - t.unwrap_or(0))?),
    };
    let divisor_units = units(t.unwrap_or(0))?;
    let one = |left: i128, right: i128| {
        let left = held(left.checked_mul(up_left), precision)?;
        let right = held(right.checked_mul(up_right), precision)?;
        let number = match operation {
            Operation::Plus => left.checked_add(right),
            Operation::Minus => left.checked_sub(right),
            Operation::Multiply => left.checked_mul(right),
            _ if right == 0 => return Err(division_by_zero()),
            Operation::Divide => held(left.checked_mul(divisor_units), precision)?.checked_div(right),
            Operation::Modulo => left.checked_rem(right),
            Operation::PositiveModulo => left.checked_rem_euclid(right),
        };
        held(number, precision)
    };
    let (left, right) = (wide_column(call, 0)?, wide_column(call, 1)?);
    let numbers: Result<Decimal128Array> = (0..call.rows)
        .map(|row| match left.is_null(row) || right.is_null(row) {
            true => Ok(None),
            false => one(left.value(row), right.value(row)).map(Some),
        })
        .collect();
    Ok(Arc::new(numbers?.with_precision_and_scale(precision, scale as i8)?))
}

fn planned(args: &Arguments<'_>, operation: Operation) -> Result<ColumnType> {
    let ty = result_type(operation, &args.base(0), &args.base(1))?;
    ty.ok_or_else(|| fault(ErrorCode::LogicalError, "A decimal's arithmetic has a decimal"))
}

macro_rules! operation {
    ($name:literal, $operation:ident) => {
        row(
            $name,
            &[],
            concat!($name, "(a, b)"),
            "Arithmetic of which one side is a decimal.",
            Plan::Scalar(Scalar::pure(
                (2, 2),
                |args| planned(args, Operation::$operation),
                |call| compute(call, Operation::$operation),
            )),
        )
    };
}

/// What the operators become; see `semantics::operators`.
pub(crate) const ROWS: &[Row] = &[
    operation!("__decimal_plus", Plus),
    operation!("__decimal_minus", Minus),
    operation!("__decimal_multiply", Multiply),
    operation!("__decimal_divide", Divide),
];
