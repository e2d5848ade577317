//! Column types: ClickHouse's names, their Arrow forms in storage and in queries, and the way back.
//!
//! Strings are `Utf8` in storage and `Utf8View` in queries; `LowCardinality(String)` is dictionary-encoded in
//! storage. A field carries its exact type name as metadata under [`TYPE_KEY`], because Arrow alone cannot
//! tell Bool from a comparison's UInt8, String from LowCardinality(String), or DateTime64(2) from (3).

mod parse;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};

/// Field metadata key of the exact type name.
pub const TYPE_KEY: &str = "zepto.type";

/// A column's type. `Display` gives ClickHouse's canonical name, `FromStr` takes ClickHouse and standard SQL names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// true or false; text forms `true` and `false`.
    Bool,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// Unsigned, 8 bits.
    UInt8,
    /// Unsigned, 16 bits.
    UInt16,
    /// Unsigned, 32 bits.
    UInt32,
    /// Unsigned, 64 bits.
    UInt64,
    /// IEEE 754, 32 bits.
    Float32,
    /// IEEE 754, 64 bits.
    Float64,
    /// Precision (1–38) and scale.
    Decimal(u8, u8),
    /// UTF-8 text.
    String,
    /// LowCardinality(String), SYMBOL: text from a small set of values.
    Symbol,
    /// Days since 1970 (ClickHouse's Date; range of Date32).
    Date,
    /// Seconds since 1970 UTC; shown in the zone, UTC by default.
    DateTime(Option<Arc<str>>),
    /// Ticks of 10^-precision seconds (0–9) since 1970 UTC; shown in the zone.
    DateTime64(u8, Option<Arc<str>>),
    /// 16 bytes.
    Uuid,
    /// A list.
    Array(Box<ColumnType>),
    /// Fixed sequence of types.
    Tuple(Vec<ColumnType>),
    /// Key to value.
    Map(Box<ColumnType>, Box<ColumnType>),
    /// May be NULL.
    Nullable(Box<ColumnType>),
    /// The type of a bare NULL (inside Nullable).
    Nothing,
}

impl ColumnType {
    /// The type without Nullable.
    #[must_use]
    pub fn inner(&self) -> &Self {
        match self {
            Self::Nullable(inner) => inner,
            other => other,
        }
    }

    /// Whether NULL is a value.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        matches!(self, Self::Nullable(_))
    }

    /// The same type that may be NULL.
    #[must_use]
    pub fn nullable(self) -> Self {
        if self.is_nullable() { self } else { Self::Nullable(Box::new(self)) }
    }

    /// Whether a table may use it as its time column.
    #[must_use]
    pub fn is_time(&self) -> bool {
        matches!(self, Self::DateTime(_) | Self::DateTime64(..))
    }

    /// Whether it is an integer, a float or a decimal.
    #[must_use]
    pub fn is_number(&self) -> bool {
        use ColumnType as T;
        matches!(
            self.inner(),
            T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64
        ) || matches!(self.inner(), T::Float32 | T::Float64 | T::Decimal(..))
    }

    /// Arrow form in logs, memtables, runs and segments.
    #[must_use]
    pub fn storage_type(&self) -> DataType {
        self.arrow_type(&DataType::Utf8, true)
    }

    /// Arrow form in queries and results.
    #[must_use]
    pub fn query_type(&self) -> DataType {
        self.arrow_type(&DataType::Utf8View, false)
    }

    fn arrow_type(&self, text: &DataType, dictionary: bool) -> DataType {
        use ColumnType as T;
        let item = |name: &str, ty: &Self| Field::new(name, ty.arrow_type(text, false), ty.is_nullable());
        match self {
            T::Bool => DataType::Boolean,
            T::Int8 => DataType::Int8,
            T::Int16 => DataType::Int16,
            T::Int32 => DataType::Int32,
            T::Int64 => DataType::Int64,
            T::UInt8 => DataType::UInt8,
            T::UInt16 => DataType::UInt16,
            T::UInt32 => DataType::UInt32,
            T::UInt64 => DataType::UInt64,
            T::Float32 => DataType::Float32,
            T::Float64 => DataType::Float64,
            T::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale as i8),
            T::String => text.clone(),
            T::Symbol if dictionary => {
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
            }
            T::Symbol => text.clone(),
            T::Date => DataType::Date32,
            T::DateTime(zone) => DataType::Timestamp(TimeUnit::Second, zone.clone()),
            T::DateTime64(precision, zone) => DataType::Timestamp(unit_of(*precision), zone.clone()),
            T::Uuid => DataType::FixedSizeBinary(16),
            T::Array(of) => DataType::List(Arc::new(item("item", of))),
            T::Tuple(of) => DataType::Struct(
                of.iter().enumerate().map(|(i, ty)| Arc::new(item(&(i + 1).to_string(), ty))).collect(),
            ),
            T::Map(key, value) => DataType::Map(
                Arc::new(Field::new(
                    "entries",
                    DataType::Struct(vec![Arc::new(item("key", key)), Arc::new(item("value", value))].into()),
                    false,
                )),
                false,
            ),
            T::Nullable(of) => of.arrow_type(text, dictionary),
            T::Nothing => DataType::Null,
        }
    }

    /// A storage field of this name and type, with the type name as metadata.
    #[must_use]
    pub fn storage_field(&self, name: &str) -> Field {
        self.tagged(Field::new(name, self.storage_type(), self.is_nullable()))
    }

    /// A query field of this name and type, with the type name as metadata.
    #[must_use]
    pub fn query_field(&self, name: &str) -> Field {
        self.tagged(Field::new(name, self.query_type(), self.is_nullable()))
    }

    fn tagged(&self, field: Field) -> Field {
        field.with_metadata(HashMap::from([(TYPE_KEY.to_owned(), self.to_string())]))
    }

    /// The type of a result column: its metadata where it fits the Arrow type, else the Arrow type's natural
    /// name. A Boolean without metadata is a comparison's UInt8.
    #[must_use]
    pub fn of_field(field: &Field) -> Self {
        let named = field.metadata().get(TYPE_KEY).and_then(|name| name.parse::<Self>().ok()).filter(|ty| {
            ty.query_type() == *field.data_type()
                || ty.storage_type() == *field.data_type()
                || (matches!(ty.inner(), Self::String | Self::Symbol) && is_text(field.data_type()))
        });
        let ty = named.unwrap_or_else(|| Self::of_arrow(field.data_type()));
        match (field.is_nullable(), ty) {
            (_, ty @ (Self::Array(_) | Self::Tuple(_) | Self::Map(..))) => ty,
            (true, ty) => ty.nullable(),
            (false, Self::Nothing) => Self::Nothing.nullable(),
            (false, ty) => ty.inner().clone(),
        }
    }

    fn of_arrow(ty: &DataType) -> Self {
        let of = |field: &FieldRef| Self::of_field(field);
        match ty {
            DataType::Boolean => Self::UInt8,
            DataType::Int8 => Self::Int8,
            DataType::Int16 => Self::Int16,
            DataType::Int32 => Self::Int32,
            DataType::Int64 | DataType::Duration(_) | DataType::Time64(_) => Self::Int64,
            DataType::UInt8 => Self::UInt8,
            DataType::UInt16 => Self::UInt16,
            DataType::UInt32 => Self::UInt32,
            DataType::UInt64 => Self::UInt64,
            DataType::Float16 | DataType::Float32 => Self::Float32,
            DataType::Float64 => Self::Float64,
            DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => Self::Decimal(*p, (*s).max(0) as u8),
            DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => Self::Decimal(*p, (*s).max(0) as u8),
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Timestamp(TimeUnit::Second, zone) => Self::DateTime(zone.clone()),
            DataType::Timestamp(TimeUnit::Millisecond, zone) => Self::DateTime64(3, zone.clone()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => Self::DateTime64(6, zone.clone()),
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => Self::DateTime64(9, zone.clone()),
            DataType::FixedSizeBinary(16) => Self::Uuid,
            DataType::Dictionary(_, value) if is_text(value) => Self::Symbol,
            DataType::Dictionary(_, value) => Self::of_arrow(value),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => Self::Array(Box::new(of(item))),
            DataType::Struct(fields) => Self::Tuple(fields.iter().map(of).collect()),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(kv) if kv.len() == 2 => {
                    Self::Map(Box::new(of(&kv[0])), Box::new(of(&kv[1])))
                }
                _ => Self::String,
            },
            DataType::Null => Self::Nothing,
            _ => Self::String,
        }
    }
}

fn is_text(ty: &DataType) -> bool {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// The Arrow unit that holds a DateTime64 of this precision: the coarsest that is fine enough.
#[must_use]
pub fn unit_of(precision: u8) -> TimeUnit {
    match precision {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    }
}

/// Ticks per second of an Arrow time unit.
#[must_use]
pub fn ticks_per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(precision, scale) => write!(f, "Decimal({precision}, {scale})"),
            Self::Symbol => f.write_str("LowCardinality(String)"),
            Self::DateTime(None) => f.write_str("DateTime"),
            Self::DateTime(Some(zone)) => write!(f, "DateTime('{zone}')"),
            Self::DateTime64(precision, None) => write!(f, "DateTime64({precision})"),
            Self::DateTime64(precision, Some(zone)) => write!(f, "DateTime64({precision}, '{zone}')"),
            Self::Uuid => f.write_str("UUID"),
            Self::Array(of) => write!(f, "Array({of})"),
            Self::Tuple(of) => {
                f.write_str("Tuple(")?;
                for (i, ty) in of.iter().enumerate() {
                    write!(f, "{}{ty}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Self::Map(key, value) => write!(f, "Map({key}, {value})"),
            Self::Nullable(of) if **of == Self::Symbol => f.write_str("LowCardinality(Nullable(String))"),
            Self::Nullable(of) => write!(f, "Nullable({of})"),
            simple => fmt::Debug::fmt(simple, f),
        }
    }
}
