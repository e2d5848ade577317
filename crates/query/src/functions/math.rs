//! Arithmetic and mathematics.

mod bits;
mod division;
mod random;
mod rounding;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, UInt64Array,
};
use arrow::compute::{binary, cast};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, UInt64Type};
use datafusion::common::{DataFusionError, Result};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::decimal_math::{Operation, compute, result_type};
use super::scalar::{Arguments, Call, MANY, Scalar, fault};
use super::{Plan, Row, row};
use crate::semantics::numbers::{bits_of, is_signed, is_whole, of_bits, remainder, unsigned, whole_quotient};
use bits::{
    bit_count, bit_not, bit_not_type, bit_test, bit_type, hamming_distance, shift, shift_type, shifted_down,
};
use division::{int_div, int_div_or_zero};
use random::{random, random_float, width_bucket};
use rounding::{round_type, rounded};

fn wrong_type(name: &str, ty: &ColumnType) -> DataFusionError {
    fault(ErrorCode::IllegalTypeOfArgument, format!("Illegal type {ty} of argument of function {name}"))
}

fn is_float(ty: &ColumnType) -> bool {
    matches!(ty, ColumnType::Float32 | ColumnType::Float64)
}

/// Does `body` on i128, wide enough for Int64 and UInt64 alike; the result wraps into the planned type.
pub(super) fn wide(call: &Call<'_>, body: impl Fn(i128, i128) -> Result<i128>) -> Result<ArrayRef> {
    let (left, right) = (wide_column(call, 0)?, wide_column(call, 1)?);
    let out: Result<Vec<i128>> = (0..call.rows)
        .map(|row| {
            if left.is_null(row) || right.is_null(row) {
                Ok(0)
            } else {
                body(left.value(row), right.value(row))
            }
        })
        .collect();
    narrow(out?, call.ty)
}

pub(super) fn wide_column(call: &Call<'_>, i: usize) -> Result<Decimal128Array> {
    let array = call.array(i)?;
    let array = match array.data_type() {
        DataType::Boolean => cast(&array, &DataType::Int64)?,
        DataType::Float32 | DataType::Float64 => {
            let floats = cast(&array, &DataType::Float64)?;
            let whole: Int64Array = floats.as_primitive::<Float64Type>().unary(|value| value as i64);
            Arc::new(whole)
        }
        _ => array,
    };
    let out: Decimal128Array = match array.data_type() {
        DataType::UInt64 => array.as_primitive::<UInt64Type>().unary(i128::from),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().clone(),
        _ => cast(&array, &DataType::Int64)?.as_primitive::<Int64Type>().unary(i128::from),
    };
    Ok(out)
}

pub(super) fn narrow(values: Vec<i128>, ty: &ColumnType) -> Result<ArrayRef> {
    let target = ty.query_type();
    if matches!(target, DataType::UInt64) {
        return Ok(Arc::new(UInt64Array::from_iter_values(values.into_iter().map(|value| value as u64))));
    }
    let bits = bits_of(ty.inner());
    let signed = is_signed(ty.inner());
    let wrapped = values.into_iter().map(|value| {
        let kept = value as i64;
        match (bits, signed) {
            (8, true) => i64::from(kept as i8),
            (16, true) => i64::from(kept as i16),
            (32, true) => i64::from(kept as i32),
            (8, false) => i64::from(kept as u8),
            (16, false) => i64::from(kept as u16),
            (32, false) => i64::from(kept as u32),
            _ => kept,
        }
    });
    Ok(cast(&Int64Array::from_iter_values(wrapped), &target)?)
}

pub(super) fn division_by_zero() -> DataFusionError {
    fault(ErrorCode::IllegalDivision, "Division by zero")
}

fn int_div_type(args: &Arguments<'_>) -> Result<ColumnType> {
    Ok(whole_quotient(&args.base(0), &args.base(1)))
}

fn modulo_type(args: &Arguments<'_>) -> Result<ColumnType> {
    if let Some(decimal) = result_type(Operation::Modulo, &args.base(0), &args.base(1))?
        && !is_float(&args.base(0))
        && !is_float(&args.base(1))
    {
        return Ok(decimal);
    }
    Ok(remainder(&args.base(0), &args.base(1)))
}

/// What is left of `a` after as many `b` as the rounded quotient says: not the exact remainder of `%`, whose last
/// digits differ.
fn float_rest(a: f64, b: f64) -> f64 {
    a - (a / b).trunc() * b
}

/// The same, not negative.
fn positive_rest(a: f64, b: f64) -> f64 {
    let rest = float_rest(a, b);
    if rest < 0.0 { rest + b.abs() } else { rest }
}

/// The remainder that is never negative has no sign, whatever its arguments have.
fn positive_modulo_type(args: &Arguments<'_>) -> Result<ColumnType> {
    Ok(match (modulo_type(args)?, args.base(1)) {
        (whole, right) if is_whole(&whole) && right.is_number() => of_bits(bits_of(&right), false),
        (other, _) => other,
    })
}

fn modulo(call: &Call<'_>) -> Result<ArrayRef> {
    if is_float(call.ty.inner()) {
        return float2(call, float_rest);
    }
    if matches!(call.ty.inner(), ColumnType::Decimal(..)) {
        return compute(call, Operation::Modulo);
    }
    wide(call, |left, right| left.checked_rem(right).ok_or_else(division_by_zero))
}

fn positive_modulo(call: &Call<'_>) -> Result<ArrayRef> {
    if is_float(call.ty.inner()) {
        return float2(call, positive_rest);
    }
    if matches!(call.ty.inner(), ColumnType::Decimal(..)) {
        return compute(call, Operation::PositiveModulo);
    }
    wide(call, |left, right| left.checked_rem_euclid(right).ok_or_else(division_by_zero))
}

fn negate_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let ty = args.base(0);
    Ok(match &ty {
        ColumnType::Bool => ColumnType::Int16,
        number if number.is_number() && !is_float(number) && !matches!(number, ColumnType::Decimal(..)) => {
            if is_signed(number) {
                ty
            } else {
                of_bits((bits_of(number) * 2).min(64), true)
            }
        }
        number if number.is_number() => ty,
        other => return Err(wrong_type("negate", other)),
    })
}

fn negate(call: &Call<'_>) -> Result<ArrayRef> {
    match call.ty.inner() {
        ColumnType::Float32 | ColumnType::Float64 | ColumnType::Decimal(..) => {
            Ok(arrow::compute::kernels::numeric::neg_wrapping(&call.array(0)?)?)
        }
        ty => {
            let values = wide_column(call, 0)?;
            narrow(values.values().iter().map(|value| -value).collect(), ty)
        }
    }
}

fn abs_type(args: &Arguments<'_>) -> Result<ColumnType> {
    Ok(match args.base(0) {
        ty @ (ColumnType::Float32 | ColumnType::Float64 | ColumnType::Decimal(..)) => ty,
        ty if ty.is_number() => unsigned(&ty),
        other => return Err(wrong_type("abs", &other)),
    })
}

fn abs(call: &Call<'_>) -> Result<ArrayRef> {
    match call.ty.inner() {
        ColumnType::Float32 | ColumnType::Float64 => {
            Ok(cast(&call.floats(0)?.unary::<_, Float64Type>(f64::abs), &call.ty.query_type())?)
        }
        ColumnType::Decimal(precision, scale) => {
            let values = wide_column(call, 0)?.unary::<_, Decimal128Type>(i128::abs);
            Ok(Arc::new(values.with_precision_and_scale(*precision, *scale as i8)?))
        }
        ty => narrow(wide_column(call, 0)?.values().iter().map(|value| value.abs()).collect(), ty),
    }
}

fn sign(call: &Call<'_>) -> Result<ArrayRef> {
    let signs =
        call.floats(0)?.unary::<_, Int64Type>(|value| i64::from(value > 0.0) - i64::from(value < 0.0));
    Ok(cast(&signs, &DataType::Int8)?)
}

macro_rules! round {
    ($whole:expr, $halves:expr) => {
        Plan::Scalar(Scalar::pure((1, 2), round_type, |call| rounded(call, $whole, $halves)))
    };
}

fn float2(call: &Call<'_>, body: fn(f64, f64) -> f64) -> Result<ArrayRef> {
    Ok(Arc::new(binary::<_, _, _, Float64Type>(&call.floats(0)?, &call.floats(1)?, body)?))
}

macro_rules! float2 {
    ($body:expr) => {
        Plan::Scalar(Scalar::pure((2, 2), |_| Ok(ColumnType::Float64), |call| float2(call, $body)))
    };
}

fn test_float(call: &Call<'_>, test: fn(f64) -> bool) -> Result<ArrayRef> {
    let values = call.floats(0)?;
    Ok(Arc::new(BooleanArray::from_unary(&values, test)))
}

macro_rules! test {
    ($body:expr) => {
        Plan::Scalar(Scalar::test((1, 1), |call| test_float(call, $body)))
    };
}

macro_rules! bits {
    ($body:expr) => {
        Plan::Scalar(Scalar::pure((2, 2), bit_type, |call| wide(call, $body)))
    };
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn whole_pair_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let (left, right) = (args.base(0), args.base(1));
    let bits = (bits_of(&left).max(bits_of(&right)) * 2).min(64);
    Ok(of_bits(bits, is_signed(&left) || is_signed(&right)))
}

fn factorial(call: &Call<'_>) -> Result<ArrayRef> {
    let product: UInt64Array =
        call.ints(0)?.unary::<_, UInt64Type>(|n| (1..=n.clamp(0, 20) as u64).product());
    Ok(Arc::new(product))
}

fn constant(call: &Call<'_>, value: f64) -> Result<ArrayRef> {
    Ok(Arc::new(Float64Array::from(vec![value; call.rows])))
}

/// Arithmetic and mathematics. `+ - * /` are planned by [`crate::semantics`].
pub(crate) const ROWS: &[Row] = &[
    row("plus", &[], "plus(a, b)", "a + b.", Plan::Sql("$1 + $2")),
    row("minus", &[], "minus(a, b)", "a - b.", Plan::Sql("$1 - $2")),
    row("multiply", &[], "multiply(a, b)", "a * b.", Plan::Sql("$1 * $2")),
    row("divide", &[], "divide(a, b)", "a / b, always a Float64.", Plan::Sql("$1 / $2")),
    row(
        "intDiv",
        &["DIV"],
        "intDiv(a, b)",
        "Quotient without fraction; an error for b = 0.",
        Plan::Scalar(Scalar::pure((2, 2), int_div_type, int_div)),
    ),
    row(
        "intDivOrZero",
        &[],
        "intDivOrZero(a, b)",
        "Quotient without fraction, 0 for b = 0.",
        Plan::Scalar(Scalar::pure((2, 2), int_div_type, int_div_or_zero)),
    ),
    row(
        "modulo",
        &["mod"],
        "modulo(a, b)",
        "Remainder with the sign of a; an error for b = 0.",
        Plan::Scalar(Scalar::pure((2, 2), modulo_type, modulo)),
    ),
    row(
        "positiveModulo",
        &["pmod", "positive_modulo"],
        "positiveModulo(a, b)",
        "Remainder that is never negative.",
        Plan::Scalar(Scalar::pure((2, 2), positive_modulo_type, positive_modulo)),
    ),
    row("negate", &[], "negate(a)", "-a.", Plan::Scalar(Scalar::pure((1, 1), negate_type, negate))),
    row("abs", &[], "abs(x)", "Size without sign.", Plan::Scalar(Scalar::pure((1, 1), abs_type, abs))),
    row(
        "sign",
        &[],
        "sign(x)",
        "-1, 0 or 1.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::Int8), sign)),
    ),
    row(
        "round",
        &[],
        "round(x[, digits])",
        "Rounds; a float's half goes to the even neighbour, a decimal's away from zero.",
        round!(f64::round_ties_even, true),
    ),
    row(
        "roundBankers",
        &[],
        "roundBankers(x[, digits])",
        "Rounds, halves to the even neighbour.",
        round!(f64::round_ties_even, false),
    ),
    row("floor", &[], "floor(x[, digits])", "Rounds down.", round!(f64::floor, false)),
    row("ceil", &["ceiling"], "ceil(x[, digits])", "Rounds up.", round!(f64::ceil, false)),
    row("trunc", &["truncate"], "trunc(x[, digits])", "Rounds towards zero.", round!(f64::trunc, false)),
    row("sqrt", &[], "sqrt(x)", "Square root.", Plan::Scalar(Scalar::floats(f64::sqrt))),
    row("cbrt", &[], "cbrt(x)", "Cube root.", Plan::Scalar(Scalar::floats(f64::cbrt))),
    row("exp", &[], "exp(x)", "e to the power of x.", Plan::Scalar(Scalar::floats(f64::exp))),
    row("exp2", &[], "exp2(x)", "2 to the power of x.", Plan::Scalar(Scalar::floats(f64::exp2))),
    row("exp10", &[], "exp10(x)", "10 to the power of x.", Plan::Scalar(Scalar::floats(|x| 10_f64.powf(x)))),
    row("log", &["ln"], "log(x)", "Natural logarithm.", Plan::Scalar(Scalar::floats(f64::ln))),
    row("log2", &[], "log2(x)", "Logarithm to base 2.", Plan::Scalar(Scalar::floats(f64::log2))),
    row("log10", &[], "log10(x)", "Logarithm to base 10.", Plan::Scalar(Scalar::floats(f64::log10))),
    row("log1p", &[], "log1p(x)", "log(1 + x).", Plan::Scalar(Scalar::floats(f64::ln_1p))),
    row("sin", &[], "sin(x)", "Sine.", Plan::Scalar(Scalar::floats(f64::sin))),
    row("cos", &[], "cos(x)", "Cosine.", Plan::Scalar(Scalar::floats(f64::cos))),
    row("tan", &[], "tan(x)", "Tangent.", Plan::Scalar(Scalar::floats(f64::tan))),
    row("asin", &[], "asin(x)", "Arc sine.", Plan::Scalar(Scalar::floats(f64::asin))),
    row("acos", &[], "acos(x)", "Arc cosine.", Plan::Scalar(Scalar::floats(f64::acos))),
    row("atan", &[], "atan(x)", "Arc tangent.", Plan::Scalar(Scalar::floats(f64::atan))),
    row("sinh", &[], "sinh(x)", "Hyperbolic sine.", Plan::Scalar(Scalar::floats(f64::sinh))),
    row("cosh", &[], "cosh(x)", "Hyperbolic cosine.", Plan::Scalar(Scalar::floats(f64::cosh))),
    row("tanh", &[], "tanh(x)", "Hyperbolic tangent.", Plan::Scalar(Scalar::floats(f64::tanh))),
    row("degrees", &[], "degrees(x)", "Radians to degrees.", Plan::Scalar(Scalar::floats(f64::to_degrees))),
    row("radians", &[], "radians(x)", "Degrees to radians.", Plan::Scalar(Scalar::floats(f64::to_radians))),
    row("atan2", &[], "atan2(y, x)", "Angle of a point.", float2!(f64::atan2)),
    row("hypot", &[], "hypot(x, y)", "Length of a vector.", float2!(f64::hypot)),
    row("pow", &["power"], "pow(x, y)", "x to the power of y.", float2!(f64::powf)),
    row(
        "pi",
        &[],
        "pi()",
        "3.141592653589793.",
        Plan::Scalar(Scalar::pure(
            (0, 0),
            |_| Ok(ColumnType::Float64),
            |call| constant(call, std::f64::consts::PI),
        )),
    ),
    row(
        "e",
        &[],
        "e()",
        "2.718281828459045.",
        Plan::Scalar(Scalar::pure(
            (0, 0),
            |_| Ok(ColumnType::Float64),
            |call| constant(call, std::f64::consts::E),
        )),
    ),
    row("isNaN", &[], "isNaN(x)", "Whether x is not a number.", test!(f64::is_nan)),
    row("isFinite", &[], "isFinite(x)", "Whether x is neither infinite nor NaN.", test!(f64::is_finite)),
    row("isInfinite", &[], "isInfinite(x)", "Whether x is infinite.", test!(f64::is_infinite)),
    row(
        "ifNotFinite",
        &[],
        "ifNotFinite(x, y)",
        "x when it is finite, else y.",
        Plan::Sql("if(isFinite($1), $1, $2)"),
    ),
    row("min2", &[], "min2(a, b)", "The less of two numbers.", float2!(|a, b| if a < b { a } else { b })),
    row("max2", &[], "max2(a, b)", "The greater of two numbers.", float2!(|a, b| if a > b { a } else { b })),
    row(
        "gcd",
        &[],
        "gcd(a, b)",
        "Greatest common divisor.",
        Plan::Scalar(Scalar::pure((2, 2), whole_pair_type, |call| {
            wide(call, |a, b| Ok(gcd(a.unsigned_abs(), b.unsigned_abs()) as i128))
        })),
    ),
    row(
        "lcm",
        &[],
        "lcm(a, b)",
        "Least common multiple.",
        Plan::Scalar(Scalar::pure((2, 2), whole_pair_type, |call| {
            wide(call, |a, b| {
                let (a, b) = (a.unsigned_abs(), b.unsigned_abs());
                Ok(if a == 0 || b == 0 { 0 } else { (a / gcd(a, b) * b) as i128 })
            })
        })),
    ),
    row(
        "factorial",
        &[],
        "factorial(n)",
        "Product of 1 to n, for n up to 20.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::UInt64), factorial)),
    ),
    row("bitAnd", &[], "bitAnd(a, b)", "Bits that both have.", bits!(|a, b| Ok(a & b))),
    row("bitOr", &[], "bitOr(a, b)", "Bits that either has.", bits!(|a, b| Ok(a | b))),
    row("bitXor", &[], "bitXor(a, b)", "Bits that one of them has.", bits!(|a, b| Ok(a ^ b))),
    row(
        "bitNot",
        &[],
        "bitNot(a)",
        "All bits turned.",
        Plan::Scalar(Scalar::pure((1, 1), bit_not_type, bit_not)),
    ),
    row(
        "bitShiftLeft",
        &[],
        "bitShiftLeft(a, n)",
        "Bits moved up.",
        Plan::Scalar(Scalar::pure((2, 2), shift_type, |call| wide(call, |a, n| Ok(a << shift(n)?)))),
    ),
    row(
        "bitShiftRight",
        &[],
        "bitShiftRight(a, n)",
        "Bits moved down.",
        Plan::Scalar(Scalar::pure((2, 2), shift_type, shifted_down)),
    ),
    row(
        "bitHammingDistance",
        &[],
        "bitHammingDistance(a, b)",
        "How many bits differ.",
        Plan::Scalar(Scalar::pure(
            (2, 2),
            |args| bit_type(args).map(|_| ColumnType::UInt8),
            hamming_distance,
        )),
    ),
    row(
        "bitTest",
        &[],
        "bitTest(a, n)",
        "Bit n.",
        Plan::Scalar(Scalar::pure((2, 2), |_| Ok(ColumnType::UInt8), bit_test)),
    ),
    row(
        "bitCount",
        &[],
        "bitCount(a)",
        "How many bits are set.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::UInt8), bit_count)),
    ),
    row(
        "widthBucket",
        &["WIDTH_BUCKET"],
        "widthBucket(x, low, high, count)",
        "Which of equal buckets x falls into.",
        Plan::Scalar(Scalar::pure((4, 4), |_| Ok(ColumnType::UInt16), width_bucket)),
    ),
    row(
        "rand",
        &["rand32"],
        "rand()",
        "A random UInt32 per row.",
        Plan::Scalar(
            Scalar::pure((0, MANY), |_| Ok(ColumnType::UInt32), |call| random(call, 32))
                .own_nulls()
                .volatile(),
        ),
    ),
    row(
        "rand64",
        &[],
        "rand64()",
        "A random UInt64 per row.",
        Plan::Scalar(
            Scalar::pure((0, MANY), |_| Ok(ColumnType::UInt64), |call| random(call, 64))
                .own_nulls()
                .volatile(),
        ),
    ),
    row(
        "randCanonical",
        &[],
        "randCanonical()",
        "A random number from 0 to 1 per row.",
        Plan::Scalar(
            Scalar::pure((0, MANY), |_| Ok(ColumnType::Float64), random_float).own_nulls().volatile(),
        ),
    ),
];
