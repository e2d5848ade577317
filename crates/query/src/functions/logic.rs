//! Conditions, NULL, comparisons as functions, and facts about the server.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryBuilder, Int64Array, UInt64Array};
use arrow::compute::kernels::{cmp, zip::zip};
use arrow::compute::{and, is_not_null, is_null};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::convert::{OnFault, convert, truth};
use super::scalar::{Arguments, Call, MANY, Scalar, fault, nullable};
use super::{Plan, Row, row};
use crate::semantics::numbers::{common, is_signed, is_whole, zero};

/// A condition of any type as a Boolean.
fn condition(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(truth(&call.array(0)?)?))
}

fn not(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(arrow::compute::not(&truth(&call.array(0)?)?)?))
}

fn xor(call: &Call<'_>) -> Result<ArrayRef> {
    let (left, right) = (truth(&call.array(0)?)?, truth(&call.array(1)?)?);
    let pairs = left.iter().zip(&right);
    Ok(Arc::new(pairs.map(|(a, b)| Some(a? != b?)).collect::<BooleanArray>()))
}

fn filled(call: &Call<'_>) -> Result<ArrayRef> {
    let array = call.array(0)?;
    if array.null_count() == 0 {
        return Ok(array);
    }
    let array = arrow::compute::cast(&array, &call.ty.query_type())?;
    let zeros = zero(call.ty)?.to_array_of_size(array.len())?;
    Ok(zip(&is_null(&array)?, &zeros, &array)?)
}

pub(super) fn common_type(args: &Arguments<'_>) -> Result<ColumnType> {
    let types: Vec<ColumnType> = (0..args.fields.len()).map(|i| args.ty(i)).collect();
    common(&types)
}

/// NULLs do not count, unless all are.
fn extreme(call: &Call<'_>, greatest: bool) -> Result<ArrayRef> {
    // Numbers of both kinds of 64 bits are compared as what holds both.
    let mixed = is_mixed((0..call.len()).map(|i| call.base(i)));
    let wide = ColumnType::Decimal(38, 0);
    let compared = if mixed { &wide } else { call.ty };
    let best = extreme_of(call, compared, greatest)?;
    if mixed { convert(&best, &wide, call.ty, OnFault::Error) } else { Ok(best) }
}

/// Whether a float takes the place of the best so far: unless that is better, which nothing is beside NaN.
fn wins(next: &ArrayRef, best: &ArrayRef, greatest: bool, nan_counts: bool) -> Result<BooleanArray> {
    let floats = |values: &ArrayRef| arrow::compute::cast(values, &DataType::Float64);
    let (next, best) = (floats(next)?, floats(best)?);
    let pairs = next.as_primitive::<Float64Type>().iter().zip(best.as_primitive::<Float64Type>());
    let wins = pairs.map(|pair| match pair {
        (Some(next), Some(best)) if !nan_counts && (next.is_nan() || best.is_nan()) => !next.is_nan(),
        (Some(next), Some(best)) => !(if greatest { best > next } else { best < next }),
        (next, _) => next.is_some(),
    });
    Ok(wins.map(Some).collect())
}

fn extreme_of(call: &Call<'_>, ty: &ColumnType, greatest: bool) -> Result<ArrayRef> {
    let mut best = convert(&call.array(0)?, &call.base(0), ty, OnFault::Error)?;
    for i in 1..call.len() {
        let next = convert(&call.array(i)?, &call.base(i), ty, OnFault::Error)?;
        if matches!(ty.inner(), ColumnType::Float32 | ColumnType::Float64) {
            // Beside what may be NULL, a NaN counts as little as NULL does.
            let nan_counts = !call.ty.is_nullable();
            best = zip(&wins(&next, &best, greatest, nan_counts)?, &next, &best)?;
            continue;
        }
        let better = if greatest { cmp::gt(&next, &best)? } else { cmp::lt(&next, &best)? };
        let better =
            if better.null_count() > 0 { arrow::compute::prep_null_mask_filter(&better) } else { better };
        // Not `and_not`: it mixes the offsets of sliced arrays up.
        let only = and(&is_not_null(&next)?, &is_null(&best)?)?;
        best = zip(&arrow::compute::or(&better, &only)?, &next, &best)?;
    }
    Ok(best)
}

/// `clamp(x, least, most)`.
pub(super) fn clamped(call: &Call<'_>) -> Result<ArrayRef> {
    let side = |i: usize| convert(&call.array(i)?, &call.base(i), call.ty, OnFault::Error);
    let (value, least, most) = (side(0)?, side(1)?, side(2)?);
    if cmp::gt(&least, &most)?.iter().flatten().any(|beyond| beyond) {
        let message = "The minimum value cannot be greater than the maximum value for function clamp";
        return Err(fault(ErrorCode::BadArguments, message));
    }
    let capped = zip(&cmp::gt(&value, &most)?, &most, &value)?;
    Ok(zip(&cmp::lt(&capped, &least)?, &least, &capped)?)
}

/// `__or_null(x, count)`: NULL where nothing was counted.
fn or_null(call: &Call<'_>) -> Result<ArrayRef> {
    let values = call.array(0)?;
    if !call.ty.is_nullable() {
        return Ok(values);
    }
    let counts = call.ints(1)?;
    let is_empty = arrow::array::BooleanArray::from_unary(&counts, |count| count == 0);
    Ok(arrow::compute::nullif(&values, &is_empty)?)
}

/// An aggregate's answer, or the zero value where it had no values and is no NULL.
fn or_default(call: &Call<'_>) -> Result<ArrayRef> {
    let value = call.array(0)?;
    if ColumnType::of_field(&call.fields[0]).is_nullable() {
        return Ok(value);
    }
    let none = cmp::eq(&call.cast(1, &DataType::Int64)?, &Int64Array::new_scalar(0))?;
    let zeros = zero(call.ty)?.to_array_of_size(value.len())?;
    Ok(zip(&none, &zeros, &value)?)
}

/// Whether UInt64 stands beside numbers with a sign, all of them whole.
fn is_mixed(types: impl Iterator<Item = ColumnType>) -> bool {
    let types: Vec<ColumnType> = types.filter(|ty| *ty != ColumnType::Nothing).collect();
    types.iter().all(is_whole) && types.contains(&ColumnType::UInt64) && types.iter().any(is_signed)
}

/// The greatest of UInt64 and signed numbers is never below the UInt64, the least never above the signed one.
fn extreme_type(args: &Arguments<'_>, greatest: bool) -> Result<ColumnType> {
    let bases = || (0..args.fields.len()).map(|i| args.base(i));
    Ok(match is_mixed(bases()) {
        true => {
            let ty = if greatest { ColumnType::UInt64 } else { ColumnType::Int64 };
            if args.any_nullable() { ty.nullable() } else { ty }
        }
        false => common_type(args)?,
    })
}

fn type_name(call: &Call<'_>) -> Result<ArrayRef> {
    let name = ColumnType::of_field(&call.fields[0]).to_string();
    ScalarValue::Utf8View(Some(name)).to_array_of_size(call.rows)
}

fn uuids(call: &Call<'_>) -> Result<ArrayRef> {
    let mut out = FixedSizeBinaryBuilder::with_capacity(call.rows, 16);
    for _ in 0..call.rows {
        out.append_value(uuid::Uuid::new_v4().as_bytes())?;
    }
    Ok(Arc::new(out.finish()))
}

fn text(call: &Call<'_>, value: &str) -> Result<ArrayRef> {
    ScalarValue::Utf8View(Some(value.to_owned())).to_array_of_size(call.rows)
}

macro_rules! fact {
    ($value:expr) => {
        Plan::Scalar(Scalar::pure((0, 0), |_| Ok(ColumnType::String), |call| text(call, $value)).stable())
    };
}

/// The version that clients are told: they choose features by it, so it is ClickHouse's of the same protocol.
pub const CLICKHOUSE_VERSION: &str = "24.8.1.1";
/// The protocol revision that clients are told; clickhouse-go decodes the Native format by it.
pub const CLICKHOUSE_REVISION: u32 = 54_460;

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// When this process first asked; set by the first call of [`start_clock`].
static STARTED: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();

/// Begins to count `uptime()`.
pub(crate) fn start_clock() {
    let _ = STARTED.get_or_init(std::time::Instant::now);
}

fn uptime(call: &Call<'_>) -> Result<ArrayRef> {
    let seconds = STARTED.get_or_init(std::time::Instant::now).elapsed().as_secs();
    ScalarValue::UInt32(Some(seconds as u32)).to_array_of_size(call.rows)
}

fn row_numbers(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(UInt64Array::from_iter_values(0..call.rows as u64)))
}

/// The argument's own type.
fn own_type(args: &Arguments<'_>) -> Result<ColumnType> {
    Ok(args.ty(0))
}

/// Conditions, NULL and facts.
pub(crate) const ROWS: &[Row] = &[
    row("__truth", &[], "", "", Plan::Scalar(Scalar::test((1, 1), condition))),
    row(
        "if",
        &["iif"],
        "if(condition, then, else)",
        "then when the condition holds, else the other.",
        Plan::Ast(super::rewrites::choice),
    ),
    row(
        "multiIf",
        &[],
        "multiIf(condition, then, …, else)",
        "The first value whose condition holds.",
        Plan::Ast(super::rewrites::multi_if),
    ),
    row("coalesce", &[], "coalesce(a, b, …)", "The first value that is not NULL.", Plan::Known),
    row("ifNull", &["nvl"], "ifNull(a, b)", "b when a is NULL.", Plan::Sql("\"coalesce\"($1, $2)")),
    row(
        "nullIf",
        &[],
        "nullIf(a, b)",
        "NULL when a = b, else a.",
        Plan::Sql("CASE WHEN $1 = $2 THEN NULL ELSE $1 END"),
    ),
    row("isNull", &[], "isNull(x)", "Whether x is NULL.", Plan::Sql("($1 IS NULL)")),
    row("isNotNull", &[], "isNotNull(x)", "Whether x is not NULL.", Plan::Sql("($1 IS NOT NULL)")),
    row(
        "assumeNotNull",
        &[],
        "assumeNotNull(x)",
        "x as a type that is not Nullable; NULL becomes the zero value.",
        Plan::Scalar(Scalar::pure((1, 1), |args| Ok(args.base(0)), filled).own_nulls()),
    ),
    row(
        "__beside",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure((2, 2), |args| Ok(args.base(1)), |call| call.array(1))),
    ),
    row(
        "__or_null",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure((2, 2), |args| Ok(nullable(args.ty(0))), or_null).own_nulls()),
    ),
    row("__or_default", &[], "", "", Plan::Scalar(Scalar::pure((2, 2), own_type, or_default).own_nulls())),
    row(
        "__joined_key",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure((1, 1), own_type, |call| call.array(0)).own_nulls()),
    ),
    row(
        "toNullable",
        &[],
        "toNullable(x)",
        "x as a Nullable type.",
        Plan::Scalar(
            Scalar::pure((1, 1), |args| Ok(nullable(args.base(0))), |call| call.array(0)).own_nulls(),
        ),
    ),
    row(
        "greatest",
        &[],
        "greatest(a, b, …)",
        "The greatest value that is not NULL.",
        Plan::Scalar(
            Scalar::pure((1, MANY), |args| extreme_type(args, true), |call| extreme(call, true)).own_nulls(),
        ),
    ),
    row(
        "least",
        &[],
        "least(a, b, …)",
        "The least value that is not NULL.",
        Plan::Scalar(
            Scalar::pure((1, MANY), |args| extreme_type(args, false), |call| extreme(call, false))
                .own_nulls(),
        ),
    ),
    row("equals", &[], "equals(a, b)", "a = b.", Plan::Sql("($1 = $2)")),
    row("notEquals", &[], "notEquals(a, b)", "a != b.", Plan::Sql("($1 <> $2)")),
    row("less", &[], "less(a, b)", "a < b.", Plan::Sql("($1 < $2)")),
    row("greater", &[], "greater(a, b)", "a > b.", Plan::Sql("($1 > $2)")),
    row("lessOrEquals", &[], "lessOrEquals(a, b)", "a <= b.", Plan::Sql("($1 <= $2)")),
    row("greaterOrEquals", &[], "greaterOrEquals(a, b)", "a >= b.", Plan::Sql("($1 >= $2)")),
    row("and", &[], "and(a, b, …)", "Whether all hold.", Plan::Ast(super::rewrites::all_of)),
    row("or", &[], "or(a, b, …)", "Whether one holds.", Plan::Ast(super::rewrites::one_of)),
    row("not", &[], "not(a)", "Whether a does not hold.", Plan::Scalar(Scalar::test((1, 1), not))),
    row("xor", &[], "xor(a, b)", "Whether just one holds.", Plan::Scalar(Scalar::test((2, 2), xor))),
    row("in", &[], "in(x, (a, b))", "x IN (a, b).", Plan::Ast(super::rewrites::in_list)),
    row("notIn", &[], "notIn(x, (a, b))", "x NOT IN (a, b).", Plan::Ast(super::rewrites::not_in_list)),
    row(
        "materialize",
        &[],
        "materialize(x)",
        "x as a column, never a constant.",
        Plan::Scalar(Scalar::pure((1, 1), own_type, |call| call.array(0)).own_nulls().volatile()),
    ),
    row(
        "identity",
        &[],
        "identity(x)",
        "x.",
        Plan::Scalar(Scalar::pure((1, 1), own_type, |call| call.array(0)).own_nulls()),
    ),
    row(
        "ignore",
        &[],
        "ignore(…)",
        "0.",
        Plan::Scalar(
            Scalar::pure(
                (0, MANY),
                |_| Ok(ColumnType::UInt8),
                |call| ScalarValue::UInt8(Some(0)).to_array_of_size(call.rows),
            )
            .own_nulls(),
        ),
    ),
    row(
        "toTypeName",
        &[],
        "toTypeName(x)",
        "The name of the value's type.",
        Plan::Scalar(Scalar::pure((1, 1), |_| Ok(ColumnType::String), type_name).own_nulls()),
    ),
    row(
        "generateUUIDv4",
        &["UUID"],
        "generateUUIDv4()",
        "A random UUID per row.",
        Plan::Scalar(Scalar::pure((0, MANY), |_| Ok(ColumnType::Uuid), uuids).own_nulls().volatile()),
    ),
    row(
        "rowNumberInAllBlocks",
        &[],
        "rowNumberInAllBlocks()",
        "The row's number in its block.",
        Plan::Scalar(Scalar::pure((0, 0), |_| Ok(ColumnType::UInt64), row_numbers).volatile()),
    ),
    row(
        "version",
        &[],
        "version()",
        "The ClickHouse version whose interface is spoken.",
        fact!(CLICKHOUSE_VERSION),
    ),
    row(
        "revision",
        &[],
        "revision()",
        "The ClickHouse protocol revision that is spoken.",
        Plan::Scalar(Scalar::pure(
            (0, 0),
            |_| Ok(ColumnType::UInt32),
            |call| ScalarValue::UInt32(Some(CLICKHOUSE_REVISION)).to_array_of_size(call.rows),
        )),
    ),
    row(
        "timezone",
        &[],
        "timezone()",
        "The session's time zone.",
        Plan::Scalar(
            Scalar::pure(
                (0, 0),
                |_| Ok(ColumnType::String),
                |call| text(call, &super::calendar::Zone::named(None)?.name()),
            )
            .stable(),
        ),
    ),
    row("serverTimezone", &[], "serverTimezone()", "The server's time zone.", fact!("UTC")),
    row("displayName", &[], "displayName()", "The server's name for people.", fact!(&host())),
    row("hostName", &["hostname", "fqdn"], "hostName()", "The machine's name.", fact!(&host())),
    row(
        "uptime",
        &[],
        "uptime()",
        "Seconds since the server started.",
        Plan::Scalar(Scalar::pure((0, 0), |_| Ok(ColumnType::UInt32), uptime).stable()),
    ),
    row(
        "currentDatabase",
        &["database", "schema", "current_database"],
        "currentDatabase()",
        "The database that names without one are looked up in.",
        Plan::Scalar(
            Scalar::pure(
                (0, 0),
                |_| Ok(ColumnType::String),
                |call| text(call, &call.config.catalog.default_schema),
            )
            .stable(),
        ),
    ),
    row(
        "currentUser",
        &["user", "current_user"],
        "currentUser()",
        "The name under which the statement was sent.",
        Plan::Scalar(
            Scalar::pure(
                (0, 0),
                |_| Ok(ColumnType::String),
                |call| {
                    let options = call.config.extensions.get::<crate::semantics::SemanticOptions>();
                    text(call, options.map_or("", |options| &options.user))
                },
            )
            .stable(),
        ),
    ),
];
