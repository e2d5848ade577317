//! `CAST` and the `to…` functions.

mod defaults;

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::accurate::{Fit, convert_accurately};
use super::calendar::Zone;
use super::convert::{OnFault, convert};
use super::scalar::{Arguments, Call, Scalar, fault, nullable};
use super::{Plan, Row, row};
pub(crate) use defaults::ROWS as DEFAULTS;

fn run(call: &Call<'_>, on_fault: OnFault) -> Result<ArrayRef> {
    convert(&call.array(0)?, &call.base(0), call.ty, on_fault)
}

fn run_accurately(call: &Call<'_>, fit: Fit, on_fault: OnFault) -> Result<ArrayRef> {
    convert_accurately(&call.array(0)?, &call.base(0), call.ty, fit, on_fault)
}

/// The second argument is the zone whose calendar tells the day of a time, or in which a text is read.
fn to_date(call: &Call<'_>) -> Result<ArrayRef> {
    let base = call.base(0);
    match call.constant_text(1)? {
        Some(zone) if base.is_time() => {
            super::timestamps::from_days(&super::bucket::days_in(call, Some(zone))?)
        }
        _ => run(call, OnFault::Error),
    }
}

/// As [`to_date`], but days before 1970 are days too.
fn to_date32(call: &Call<'_>) -> Result<ArrayRef> {
    let days = to_date(call)?;
    if !call.base(0).is_number() {
        return Ok(days);
    }
    let before =
        call.ints(0)?.unary_opt::<_, arrow::datatypes::Int64Type>(|n| (n < 0).then_some(n.max(FIRST_DAY)));
    let before = super::timestamps::from_days(&before)?;
    Ok(arrow::compute::kernels::zip::zip(&arrow::compute::is_null(&before)?, &days, &before)?)
}

/// The day 0000-01-01, before which no date is told.
const FIRST_DAY: i64 = -719_528;

/// The second argument is the zone in which a time is told.
fn to_text(call: &Call<'_>) -> Result<ArrayRef> {
    let Some(zone) = call.constant_text(1)? else { return run(call, OnFault::Error) };
    let zone = Some(Arc::from(zone));
    let there = match call.base(0) {
        ColumnType::DateTime(_) => ColumnType::DateTime(zone),
        ColumnType::DateTime64(digits, _) => ColumnType::DateTime64(digits, zone),
        other => {
            let message = format!("toString takes a zone for times alone, not for {other}");
            return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
        }
    };
    Ok(Arc::new(super::render::texts(&call.array(0)?, &there)?))
}

macro_rules! to {
    ($ty:expr) => {
        Plan::Scalar(Scalar::pure((1, 2), |_| Ok($ty), |call| run(call, OnFault::Error)))
    };
    (or_zero $ty:expr) => {
        Plan::Scalar(Scalar::pure((1, 2), |_| Ok($ty), |call| run(call, OnFault::Zero)))
    };
    (or_null $ty:expr) => {
        Plan::Scalar(Scalar::pure((1, 2), |_| Ok(nullable($ty)), |call| run(call, OnFault::Null)))
    };
}

/// `CAST(x, 'Type')`: a NULL stays NULL also when the type named is not Nullable.
fn cast_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let Some(name) = args.text(1) else {
        return Err(fault(
            ErrorCode::IllegalTypeOfArgument,
            "The second argument of CAST must be a type's name",
        ));
    };
    ColumnType::from_str(name).map_err(|error| fault(error.code, error.message))
}

fn cast_or_null_type(args: &Arguments<'_>) -> Result<ColumnType> {
    Ok(nullable(cast_type(args)?))
}

/// A number behind the value are the digits of a DateTime64.
fn date_time_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let zone_at = match args.int(1) {
        None => 1,
        Some(0) => 2,
        Some(_) => return date_time64_type(args),
    };
    let own = match args.base(0) {
        ColumnType::DateTime(zone) | ColumnType::DateTime64(_, zone) => zone,
        _ => None,
    };
    Ok(ColumnType::DateTime(named_zone(args, zone_at)?.or(own)))
}

/// A number behind the text are the digits of a DateTime64.
pub(super) fn best_effort_type(args: &Arguments<'_>) -> Result<ColumnType> {
    match args.int(1) {
        Some(0) => Ok(ColumnType::DateTime(named_zone(args, 2)?)),
        Some(digits) => date_time64(digits, named_zone(args, 2)?),
        None => Ok(ColumnType::DateTime(named_zone(args, 1)?)),
    }
}

fn date_time64_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let own = match args.base(0) {
        ColumnType::DateTime(zone) | ColumnType::DateTime64(_, zone) => zone,
        _ => None,
    };
    date_time64(args.int(1).unwrap_or(3), named_zone(args, 2)?.or(own))
}

/// The zone that an argument names; an empty text names none.
///
/// # Errors
/// `BadArguments`: there is no such zone.
pub(super) fn named_zone(args: &Arguments<'_>, at: usize) -> Result<Option<Arc<str>>> {
    let zone = args.text(at).filter(|zone| !zone.is_empty());
    Zone::named(zone)?;
    Ok(zone.map(Arc::from))
}

/// `DateTime64(digits, zone)`.
///
/// # Errors
/// `ArgumentOutOfBound`
fn date_time64(digits: i64, zone: Option<Arc<str>>) -> Result<ColumnType> {
    match u8::try_from(digits) {
        Ok(digits @ 0..=9) => Ok(ColumnType::DateTime64(digits, zone)),
        _ => Err(fault(ErrorCode::ArgumentOutOfBound, "DateTime64 has 0 to 9 digits")),
    }
}

fn decimal_type(args: &Arguments<'_>, precision: u8) -> Result<ColumnType> {
    match args.int(1) {
        Some(scale) if (0..=i64::from(precision)).contains(&scale) => {
            Ok(ColumnType::Decimal(precision, scale as u8))
        }
        _ => Err(fault(
            ErrorCode::ArgumentOutOfBound,
            "The scale of a Decimal must be a constant within its precision",
        )),
    }
}

macro_rules! time {
    ($arguments:expr, $ty:expr, $on_fault:expr) => {
        Plan::Scalar(Scalar::pure(
            $arguments,
            |args| {
                let ty = $ty(args)?;
                Ok(if $on_fault == OnFault::Null { nullable(ty) } else { ty })
            },
            |call| {
                (call.constant_text(1)?, call.constant_text(2)?);
                run(call, $on_fault)
            },
        ))
    };
}

/// Conversions.
pub(crate) const ROWS: &[Row] = &[
    row(
        "CAST",
        &["_CAST"],
        "CAST(x AS Type)",
        "Converts to a type; `x::Type` is the same.",
        Plan::Scalar(Scalar::pure((2, 2), cast_type, |call| run(call, OnFault::Error))),
    ),
    row(
        "accurateCastOrNull",
        &[],
        "accurateCastOrNull(x, 'Type')",
        "Converts to a type, NULL when it cannot hold the value or the text cannot be read.",
        Plan::Scalar(Scalar::pure((2, 2), cast_or_null_type, |call| {
            run_accurately(call, Fit::Exact, OnFault::Null)
        })),
    ),
    row(
        "accurateCast",
        &[],
        "accurateCast(x, 'Type')",
        "Converts to a type, an error when it cannot hold the value.",
        Plan::Scalar(Scalar::pure((2, 2), cast_type, |call| {
            run_accurately(call, Fit::Exact, OnFault::Error)
        })),
    ),
    row(
        "__held",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure((2, 2), cast_type, |call| {
            run_accurately(call, Fit::Whole, OnFault::Error)
        })),
    ),
    row(
        "__fitting",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure((2, 2), cast_type, |call| run_accurately(call, Fit::Size, OnFault::Error))),
    ),
    row("toInt8", &[], "toInt8(x)", "Converts to Int8, wrapping.", to!(ColumnType::Int8)),
    row("toInt16", &[], "toInt16(x)", "Converts to Int16, wrapping.", to!(ColumnType::Int16)),
    row("toInt32", &[], "toInt32(x)", "Converts to Int32, wrapping.", to!(ColumnType::Int32)),
    row("toInt64", &[], "toInt64(x)", "Converts to Int64.", to!(ColumnType::Int64)),
    row("toUInt8", &[], "toUInt8(x)", "Converts to UInt8, wrapping.", to!(ColumnType::UInt8)),
    row("toUInt16", &[], "toUInt16(x)", "Converts to UInt16, wrapping.", to!(ColumnType::UInt16)),
    row("toUInt32", &[], "toUInt32(x)", "Converts to UInt32, wrapping.", to!(ColumnType::UInt32)),
    row("toUInt64", &[], "toUInt64(x)", "Converts to UInt64, wrapping.", to!(ColumnType::UInt64)),
    row("toFloat32", &[], "toFloat32(x)", "Converts to Float32.", to!(ColumnType::Float32)),
    row("toFloat64", &[], "toFloat64(x)", "Converts to Float64.", to!(ColumnType::Float64)),
    row("toBool", &[], "toBool(x)", "Converts to Bool.", to!(ColumnType::Bool)),
    row("toUUID", &[], "toUUID(text)", "Reads a UUID.", to!(ColumnType::Uuid)),
    row(
        "toString",
        &[],
        "toString(x[, zone])",
        "The value as text, a time as in the zone.",
        Plan::Scalar(Scalar::pure((1, 2), |_| Ok(ColumnType::String), to_text)),
    ),
    row(
        "toDate",
        &["DATE"],
        "toDate(x[, zone])",
        "Converts to Date.",
        Plan::Scalar(Scalar::pure((1, 2), |_| Ok(ColumnType::Date), to_date)),
    ),
    row(
        "toDate32",
        &[],
        "toDate32(x[, zone])",
        "Converts to Date; numbers below zero are days before 1970.",
        Plan::Scalar(Scalar::pure((1, 2), |_| Ok(ColumnType::Date), to_date32)),
    ),
    row(
        "toInt8OrZero",
        &[],
        "toInt8OrZero(text)",
        "Reads an Int8, 0 when it cannot be read.",
        to!(or_zero ColumnType::Int8),
    ),
    row(
        "toInt16OrZero",
        &[],
        "toInt16OrZero(text)",
        "Reads an Int16, 0 when it cannot be read.",
        to!(or_zero ColumnType::Int16),
    ),
    row(
        "toInt32OrZero",
        &[],
        "toInt32OrZero(text)",
        "Reads an Int32, 0 when it cannot be read.",
        to!(or_zero ColumnType::Int32),
    ),
    row(
        "toInt64OrZero",
        &[],
        "toInt64OrZero(text)",
        "Reads an Int64, 0 when it cannot be read.",
        to!(or_zero ColumnType::Int64),
    ),
    row(
        "toUInt8OrZero",
        &[],
        "toUInt8OrZero(text)",
        "Reads a UInt8, 0 when it cannot be read.",
        to!(or_zero ColumnType::UInt8),
    ),
    row(
        "toUInt16OrZero",
        &[],
        "toUInt16OrZero(text)",
        "Reads a UInt16, 0 when it cannot be read.",
        to!(or_zero ColumnType::UInt16),
    ),
    row(
        "toUInt32OrZero",
        &[],
        "toUInt32OrZero(text)",
        "Reads a UInt32, 0 when it cannot be read.",
        to!(or_zero ColumnType::UInt32),
    ),
    row(
        "toUInt64OrZero",
        &[],
        "toUInt64OrZero(text)",
        "Reads a UInt64, 0 when it cannot be read.",
        to!(or_zero ColumnType::UInt64),
    ),
    row(
        "toFloat32OrZero",
        &[],
        "toFloat32OrZero(text)",
        "Reads a Float32, 0 when it cannot be read.",
        to!(or_zero ColumnType::Float32),
    ),
    row(
        "toFloat64OrZero",
        &[],
        "toFloat64OrZero(text)",
        "Reads a Float64, 0 when it cannot be read.",
        to!(or_zero ColumnType::Float64),
    ),
    row(
        "toDateOrZero",
        &[],
        "toDateOrZero(text)",
        "Reads a Date, 1970-01-01 when it cannot be read.",
        to!(or_zero ColumnType::Date),
    ),
    row(
        "toUUIDOrZero",
        &[],
        "toUUIDOrZero(text)",
        "Reads a UUID, the zero UUID when it cannot be read.",
        to!(or_zero ColumnType::Uuid),
    ),
    row(
        "toInt8OrNull",
        &[],
        "toInt8OrNull(text)",
        "Reads an Int8, NULL when it cannot be read.",
        to!(or_null ColumnType::Int8),
    ),
    row(
        "toInt16OrNull",
        &[],
        "toInt16OrNull(text)",
        "Reads an Int16, NULL when it cannot be read.",
        to!(or_null ColumnType::Int16),
    ),
    row(
        "toInt32OrNull",
        &[],
        "toInt32OrNull(text)",
        "Reads an Int32, NULL when it cannot be read.",
        to!(or_null ColumnType::Int32),
    ),
    row(
        "toInt64OrNull",
        &[],
        "toInt64OrNull(text)",
        "Reads an Int64, NULL when it cannot be read.",
        to!(or_null ColumnType::Int64),
    ),
    row(
        "toUInt8OrNull",
        &[],
        "toUInt8OrNull(text)",
        "Reads a UInt8, NULL when it cannot be read.",
        to!(or_null ColumnType::UInt8),
    ),
    row(
        "toUInt16OrNull",
        &[],
        "toUInt16OrNull(text)",
        "Reads a UInt16, NULL when it cannot be read.",
        to!(or_null ColumnType::UInt16),
    ),
    row(
        "toUInt32OrNull",
        &[],
        "toUInt32OrNull(text)",
        "Reads a UInt32, NULL when it cannot be read.",
        to!(or_null ColumnType::UInt32),
    ),
    row(
        "toUInt64OrNull",
        &[],
        "toUInt64OrNull(text)",
        "Reads a UInt64, NULL when it cannot be read.",
        to!(or_null ColumnType::UInt64),
    ),
    row(
        "toFloat32OrNull",
        &[],
        "toFloat32OrNull(text)",
        "Reads a Float32, NULL when it cannot be read.",
        to!(or_null ColumnType::Float32),
    ),
    row(
        "toFloat64OrNull",
        &[],
        "toFloat64OrNull(text)",
        "Reads a Float64, NULL when it cannot be read.",
        to!(or_null ColumnType::Float64),
    ),
    row(
        "toDateOrNull",
        &[],
        "toDateOrNull(text)",
        "Reads a Date, NULL when it cannot be read.",
        to!(or_null ColumnType::Date),
    ),
    row(
        "toUUIDOrNull",
        &[],
        "toUUIDOrNull(text)",
        "Reads a UUID, NULL when it cannot be read.",
        to!(or_null ColumnType::Uuid),
    ),
    row(
        "toDateTime",
        &[],
        "toDateTime(x[, digits][, zone])",
        "Converts to DateTime; with digits to DateTime64.",
        time!((1, 3), date_time_type, OnFault::Error),
    ),
    row("timestamp", &[], "timestamp(x)", "Converts to DateTime64(6).", Plan::Sql("toDateTime64($1, 6)")),
    row(
        "toDateTimeOrZero",
        &[],
        "toDateTimeOrZero(text[, zone])",
        "Reads a DateTime, 1970-01-01 when it cannot be read.",
        time!((1, 2), date_time_type, OnFault::Zero),
    ),
    row(
        "toDateTimeOrNull",
        &[],
        "toDateTimeOrNull(text[, zone])",
        "Reads a DateTime, NULL when it cannot be read.",
        time!((1, 2), date_time_type, OnFault::Null),
    ),
    row(
        "toDateTime64",
        &[],
        "toDateTime64(x, digits[, zone])",
        "Converts to DateTime64.",
        time!((1, 3), date_time64_type, OnFault::Error),
    ),
    row(
        "toDateTime64OrNull",
        &[],
        "toDateTime64OrNull(text, digits[, zone])",
        "Reads a DateTime64, NULL when it cannot be read.",
        time!((1, 3), date_time64_type, OnFault::Null),
    ),
    row(
        "toDateTime64OrZero",
        &[],
        "toDateTime64OrZero(text, digits[, zone])",
        "Reads a DateTime64, 1970-01-01 when it cannot be read.",
        time!((1, 3), date_time64_type, OnFault::Zero),
    ),
    row(
        "toDecimal32",
        &[],
        "toDecimal32(x, scale)",
        "Converts to a Decimal of 9 digits.",
        Plan::Scalar(Scalar::pure((2, 2), |args| decimal_type(args, 9), |call| run(call, OnFault::Error))),
    ),
    row(
        "toDecimal64",
        &[],
        "toDecimal64(x, scale)",
        "Converts to a Decimal of 18 digits.",
        Plan::Scalar(Scalar::pure((2, 2), |args| decimal_type(args, 18), |call| run(call, OnFault::Error))),
    ),
    row(
        "toDecimal128",
        &[],
        "toDecimal128(x, scale)",
        "Converts to a Decimal of 38 digits.",
        Plan::Scalar(Scalar::pure((2, 2), |args| decimal_type(args, 38), |call| run(call, OnFault::Error))),
    ),
];
