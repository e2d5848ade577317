//! ClickHouse's rules for the types of arithmetic, of mixed values and of zero values.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use crate::functions::fault;

/// Width of a number in bits; 8 for Bool, 64 for what is no integer.
pub(crate) fn bits_of(ty: &ColumnType) -> u32 {
    use ColumnType as T;
    match ty.inner() {
        T::Bool | T::Int8 | T::UInt8 => 8,
        T::Int16 | T::UInt16 => 16,
        T::Int32 | T::UInt32 | T::Float32 => 32,
        _ => 64,
    }
}

/// Whether negative numbers are values.
pub(crate) fn is_signed(ty: &ColumnType) -> bool {
    use ColumnType as T;
    matches!(ty.inner(), T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Float32 | T::Float64 | T::Decimal(..))
}

/// Whether it is Int… or UInt… (Bool counts as UInt8).
pub(crate) fn is_whole(ty: &ColumnType) -> bool {
    use ColumnType as T;
    matches!(ty.inner(), T::Bool)
        || (ty.is_number() && !is_float(ty) && !matches!(ty.inner(), T::Decimal(..)))
}

/// Whether it is Float32 or Float64.
pub(crate) fn is_float(ty: &ColumnType) -> bool {
    matches!(ty.inner(), ColumnType::Float32 | ColumnType::Float64)
}

/// The integer type of this width.
pub(crate) fn of_bits(bits: u32, signed: bool) -> ColumnType {
    use ColumnType as T;
    match (bits, signed) {
        (8, true) => T::Int8,
        (16, true) => T::Int16,
        (32, true) => T::Int32,
        (_, true) => T::Int64,
        (8, false) => T::UInt8,
        (16, false) => T::UInt16,
        (32, false) => T::UInt32,
        (_, false) => T::UInt64,
    }
}

/// The smallest type of a whole literal.
pub(crate) fn of_literal(value: i64) -> ColumnType {
    use ColumnType as T;
    match value {
        0..=0xFF => T::UInt8,
        0x100..=0xFFFF => T::UInt16,
        0x1_0000..=0xFFFF_FFFF => T::UInt32,
        0x1_0000_0000.. => T::UInt64,
        -0x80..=-1 => T::Int8,
        -0x8000..=-0x81 => T::Int16,
        -0x8000_0000..=-0x8001 => T::Int32,
        _ => T::Int64,
    }
}

/// a + b and a * b: one width more than the wider; signed if either is. `minus` is always signed.
pub(crate) fn sum(left: &ColumnType, right: &ColumnType, minus: bool) -> ColumnType {
    let bits = (bits_of(left).max(bits_of(right)) * 2).min(64);
    of_bits(bits, minus || is_signed(left) || is_signed(right))
}

/// intDiv(a, b): as wide as a.
pub(crate) fn whole_quotient(left: &ColumnType, right: &ColumnType) -> ColumnType {
    if matches!(left, ColumnType::Decimal(..=9, _)) {
        return ColumnType::Int32;
    }
    of_bits(bits_of(left), is_signed(left) || is_signed(right))
}

/// a % b: Float64 for floats, else as wide as b, one width more when a has a sign.
pub(crate) fn remainder(left: &ColumnType, right: &ColumnType) -> ColumnType {
    if is_float(left) || is_float(right) {
        return ColumnType::Float64;
    }
    let signed = is_signed(left);
    of_bits(if signed { (bits_of(right) * 2).min(64) } else { bits_of(right) }, signed)
}

/// The unsigned type of the same width.
pub(crate) fn unsigned(ty: &ColumnType) -> ColumnType {
    of_bits(bits_of(ty), false)
}

/// The type that `sum` gives.
pub(crate) fn sum_type(ty: &ColumnType) -> ColumnType {
    match ty.inner() {
        ColumnType::Decimal(_, scale) => ColumnType::Decimal(38, *scale),
        ty if is_float(ty) => ColumnType::Float64,
        ty if is_signed(ty) => ColumnType::Int64,
        _ => ColumnType::UInt64,
    }
}

/// The type that holds values of all these types.
pub(crate) fn common(types: &[ColumnType]) -> Result<ColumnType> {
    let nullable = types.iter().any(ColumnType::is_nullable);
    let mut known = types.iter().map(|ty| ty.inner().clone()).filter(|ty| *ty != ColumnType::Nothing);
    let Some(first) = known.next() else { return Ok(ColumnType::Nothing.nullable()) };
    let joined = known.try_fold(first, |joined, ty| pair(&joined, &ty))?;
    Ok(if nullable { crate::functions::nullable(joined) } else { joined })
}

fn pair(left: &ColumnType, right: &ColumnType) -> Result<ColumnType> {
    use ColumnType as T;
    if left == right {
        return Ok(left.clone());
    }
    let none = || {
        let message = format!("There is no supertype for types {left}, {right}");
        fault(ErrorCode::NoCommonType, message)
    };
    Ok(match (left, right) {
        (a, b) if is_whole(a) && is_whole(b) => {
            let signed = is_signed(a) || is_signed(b);
            let width = |ty: &T| if signed && !is_signed(ty) { bits_of(ty) * 2 } else { bits_of(ty) };
            of_bits(width(a).max(width(b)).min(64), signed)
        }
        (T::Decimal(p, s), T::Decimal(q, t)) => T::Decimal(*p.max(q), *s.max(t)),
        // Float32 holds what is not wider than 16 bits.
        (T::Float32, whole) | (whole, T::Float32) if is_whole(whole) && bits_of(whole) <= 16 => T::Float32,
        (a, b) if (is_float(a) || is_float(b)) && a.is_number() && b.is_number() => T::Float64,
        (decimal @ T::Decimal(..), b) if is_whole(b) => decimal.clone(),
        (a, decimal @ T::Decimal(..)) if is_whole(a) => decimal.clone(),
        (T::String | T::Symbol, T::String | T::Symbol) => T::String,
        (T::DateTime(zone), T::Date) | (T::Date, T::DateTime(zone)) => T::DateTime(zone.clone()),
        (T::DateTime64(digits, zone), T::Date | T::DateTime(_)) => T::DateTime64(*digits, zone.clone()),
        (T::Date | T::DateTime(_), T::DateTime64(digits, zone)) => T::DateTime64(*digits, zone.clone()),
        (T::DateTime64(a, zone), T::DateTime64(b, _)) => T::DateTime64(*a.max(b), zone.clone()),
        (T::DateTime(zone), T::DateTime(_)) => T::DateTime(zone.clone()),
        (T::Array(a), T::Array(b)) => T::Array(Box::new(common(&[(**a).clone(), (**b).clone()])?)),
        (T::Tuple(a), T::Tuple(b)) if a.len() == b.len() => {
            let of: Result<Vec<T>> = a.iter().zip(b).map(|(a, b)| common(&[a.clone(), b.clone()])).collect();
            T::Tuple(of?)
        }
        _ => return Err(none()),
    })
}

/// The value that stands for no value in a type that is not Nullable: 0, '', 1970-01-01.
///
/// # Errors
/// A type without one.
pub(crate) fn zero(ty: &ColumnType) -> Result<ScalarValue> {
    zero_of(&ty.query_type())
}

/// The zero value of an Arrow type; NULL for types that have none.
pub(crate) fn zero_of(ty: &DataType) -> Result<ScalarValue> {
    Ok(match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => ScalarValue::from("").cast_to(ty)?,
        DataType::Boolean => ScalarValue::Boolean(Some(false)),
        DataType::FixedSizeBinary(size) => ScalarValue::FixedSizeBinary(*size, Some(vec![0; *size as usize])),
        DataType::List(field) => {
            ScalarValue::List(ScalarValue::new_list(&[], field.data_type(), field.is_nullable()))
        }
        DataType::Date32 => ScalarValue::Date32(Some(0)),
        DataType::Timestamp(..) => ScalarValue::Int64(Some(0)).cast_to(ty)?,
        DataType::Decimal128(precision, scale) => ScalarValue::Decimal128(Some(0), *precision, *scale),
        DataType::Struct(fields) => {
            let columns: Result<Vec<_>> =
                fields.iter().map(|field| zero_of(field.data_type())?.to_array()).collect();
            let array = arrow::array::StructArray::try_new(fields.clone(), columns?, None)?;
            ScalarValue::Struct(std::sync::Arc::new(array))
        }
        ty if ty.is_numeric() => ScalarValue::new_zero(ty)?,
        ty => ScalarValue::try_from(ty)?,
    })
}
