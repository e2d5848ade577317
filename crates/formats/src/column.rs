//! Columns under construction: rows are read straight into these vectors, and a row that turns out to be
//! incomplete or wrong is taken back by cutting them to their earlier length.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, ListArray, MapArray,
    NullArray, PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{self as dt, ArrowPrimitiveType, DataType, Field, TimeUnit};
use hashbrown::HashTable;
use zepto_common::types::ColumnType;
use zepto_common::types::unit_of;
use zepto_common::{Error, ErrorCode, Result};

use crate::settings::FormatSettings;
use crate::time::Clock;

/// Strings one after another.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// End of each string in `bytes`.
    pub(crate) ends: Vec<i32>,
    pub(crate) bytes: Vec<u8>,
}

impl Text {
    #[inline]
    pub(crate) fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len() as i32);
    }

    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.bytes.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.bytes[start..self.ends[row] as usize]
    }

    fn finish(&mut self, nulls: Option<NullBuffer>, name: &str) -> Result<StringArray> {
        let ends = std::mem::take(&mut self.ends);
        let bytes = std::mem::take(&mut self.bytes);
        let offsets = offsets_of(&ends);
        StringArray::try_new(offsets, Buffer::from_vec(bytes), nulls).map_err(|_| {
            let message = format!("Column {name}: a String value is not valid UTF-8");
            Error::new(ErrorCode::IncorrectData, message)
        })
    }
}

fn offsets_of(ends: &[i32]) -> OffsetBuffer<i32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.extend_from_slice(ends);
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

/// Rows after which a column knows whether its values repeat.
const LOOK_ROWS: usize = 1_024;

/// Strings of a small set: each value once, and its number per row. Where hardly a value repeats, looking for it costs
/// more than it saves: from then on each row has a number of its own.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    pub(crate) ids: Vec<i32>,
    pub(crate) values: Text,
    index: HashTable<i32>,
    hasher: foldhash::fast::RandomState,
}

/// Of the bytes alone: the length that `Hash` adds costs a round more.
#[inline]
fn hash_of(state: &foldhash::fast::RandomState, value: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    hasher.write(value);
    hasher.finish()
}

impl Symbols {
    #[inline]
    pub(crate) fn push(&mut self, value: &[u8]) {
        let (rows, known) = (self.ids.len(), self.values.ends.len());
        if rows >= LOOK_ROWS && known > rows - rows / 8 {
            self.values.push(value);
            self.ids.push(known as i32);
            return;
        }
        let hash = hash_of(&self.hasher, value);
        let values = &self.values;
        if let Some(id) = self.index.find(hash, |id| values.get(*id as usize) == value) {
            self.ids.push(*id);
            return;
        }
        let id = self.values.ends.len() as i32;
        self.values.push(value);
        let (values, hasher) = (&self.values, &self.hasher);
        self.index.insert_unique(hash, id, |id| hash_of(hasher, values.get(*id as usize)));
        self.ids.push(id);
    }
}

/// The values of a column by the type they are stored as.
#[derive(Debug)]
pub(crate) enum Values {
    Bool(Vec<bool>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Decimal(Vec<i128>, u8, u8),
    Text(Text),
    Symbol(Symbols),
    Date(Vec<i32>),
    Time(Vec<i64>, Clock),
    Uuid(Vec<[u8; 16]>),
    Array(Vec<i32>, Box<Column>),
    Tuple(Vec<Column>, usize),
    Map(Vec<i32>, Box<(Column, Column)>),
    Nothing(usize),
}

/// A column under construction.
#[derive(Debug)]
pub(crate) struct Column {
    /// Its type.
    pub(crate) ty: ColumnType,
    /// Its name, for messages.
    pub(crate) name: Arc<str>,
    /// Its values.
    pub(crate) values: Values,
    /// Which rows have a value; None when the type is not Nullable.
    pub(crate) valid: Option<Vec<bool>>,
}

/// Calls `$body` with the vector of whatever kind of value this is.
macro_rules! each_vec {
    ($values:expr, $vec:ident => $body:expr, $($other:pat => $result:expr),* $(,)?) => {
        match $values {
            Values::Bool($vec) => $body,
            Values::I8($vec) => $body,
            Values::I16($vec) => $body,
            Values::I32($vec) | Values::Date($vec) => $body,
            Values::I64($vec) | Values::Time($vec, _) => $body,
            Values::U8($vec) => $body,
            Values::U16($vec) => $body,
            Values::U32($vec) => $body,
            Values::U64($vec) => $body,
            Values::F32($vec) => $body,
            Values::F64($vec) => $body,
            Values::Decimal($vec, _, _) => $body,
            Values::Uuid($vec) => $body,
            $($other => $result),*
        }
    };
}

impl Column {
    /// An empty column.
    pub(crate) fn new(name: &str, ty: &ColumnType, settings: &FormatSettings) -> Self {
        use ColumnType as T;
        let nested = |ty: &T| Self::new(name, ty, settings);
        let values = match ty.inner() {
            T::Bool => Values::Bool(Vec::new()),
            T::Int8 => Values::I8(Vec::new()),
            T::Int16 => Values::I16(Vec::new()),
            T::Int32 => Values::I32(Vec::new()),
            T::Int64 => Values::I64(Vec::new()),
            T::UInt8 => Values::U8(Vec::new()),
            T::UInt16 => Values::U16(Vec::new()),
            T::UInt32 => Values::U32(Vec::new()),
            T::UInt64 => Values::U64(Vec::new()),
            T::Float32 => Values::F32(Vec::new()),
            T::Float64 => Values::F64(Vec::new()),
            T::Decimal(precision, scale) => Values::Decimal(Vec::new(), *precision, *scale),
            T::String => Values::Text(Text::default()),
            T::Symbol => Values::Symbol(Symbols::default()),
            T::Date => Values::Date(Vec::new()),
            T::DateTime(zone) => Values::Time(Vec::new(), Clock::new(0, zone.as_deref(), settings)),
            T::DateTime64(precision, zone) => {
                Values::Time(Vec::new(), Clock::new(*precision, zone.as_deref(), settings))
            }
            T::Uuid => Values::Uuid(Vec::new()),
            T::Array(of) => Values::Array(Vec::new(), Box::new(nested(&text_not_symbol(of)))),
            T::Tuple(of) => Values::Tuple(of.iter().map(|ty| nested(&text_not_symbol(ty))).collect(), 0),
            T::Map(key, value) => Values::Map(
                Vec::new(),
                Box::new((nested(&text_not_symbol(key)), nested(&text_not_symbol(value)))),
            ),
            T::Nothing | T::Nullable(_) => Values::Nothing(0),
        };
        Self { ty: ty.clone(), name: Arc::from(name), values, valid: ty.is_nullable().then(Vec::new) }
    }

    /// Whether NULL is a value.
    pub(crate) fn nullable(&self) -> bool {
        self.valid.is_some()
    }

    /// Whether the values are integers or decimals, which an empty field is 0 for.
    pub(crate) fn is_exact(&self) -> bool {
        let signed = matches!(&self.values, Values::I8(_) | Values::I16(_) | Values::I32(_) | Values::I64(_));
        signed
            || matches!(
                &self.values,
                Values::Decimal(..) | Values::U8(_) | Values::U16(_) | Values::U32(_) | Values::U64(_)
            )
    }

    /// Whether the values are flags.
    pub(crate) fn is_bool(&self) -> bool {
        matches!(&self.values, Values::Bool(_))
    }

    /// Whether the values are lists, maps or tuples.
    pub(crate) fn is_nested(&self) -> bool {
        matches!(&self.values, Values::Array(..) | Values::Map(..) | Values::Tuple(..))
    }

    /// Rows so far.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        each_vec!(&self.values, vec => vec.len(),
            Values::Text(text) => text.ends.len(),
            Values::Symbol(symbols) => symbols.ids.len(),
            Values::Array(ends, _) | Values::Map(ends, _) => ends.len(),
            Values::Tuple(_, rows) | Values::Nothing(rows) => *rows,
        )
    }

    /// Makes room for this many more rows, without their text.
    pub(crate) fn reserve(&mut self, rows: usize) {
        each_vec!(&mut self.values, vec => vec.reserve(rows),
            Values::Text(text) => text.ends.reserve(rows),
            Values::Symbol(symbols) => symbols.ids.reserve(rows),
            Values::Array(..) | Values::Map(..) | Values::Tuple(..) | Values::Nothing(_) => {},
        );
    }

    /// Says that the value just pushed is not NULL.
    #[inline]
    pub(crate) fn mark_valid(&mut self) {
        if let Some(valid) = &mut self.valid {
            valid.push(true);
        }
    }

    /// Appends NULL to a Nullable column, else the type's zero value.
    pub(crate) fn push_zero(&mut self) {
        if let Some(valid) = &mut self.valid {
            valid.push(false);
        }
        each_vec!(&mut self.values, vec => vec.push(Default::default()),
            Values::Text(text) => text.push(b""),
            Values::Symbol(symbols) => symbols.push(b""),
            Values::Array(ends, item) => ends.push(item.len() as i32),
            Values::Map(ends, pair) => ends.push(pair.0.len() as i32),
            Values::Tuple(columns, rows) => {
                columns.iter_mut().for_each(Self::push_zero);
                *rows += 1;
            },
            Values::Nothing(rows) => *rows += 1,
        );
    }

    /// Takes back rows past this many.
    pub(crate) fn truncate(&mut self, rows: usize) {
        if let Some(valid) = &mut self.valid {
            valid.truncate(rows);
        }
        each_vec!(&mut self.values, vec => vec.truncate(rows),
            Values::Text(text) => text.truncate(rows),
            // A value that only the cut rows had stays known; it costs nothing but its bytes.
            Values::Symbol(symbols) => symbols.ids.truncate(rows),
            Values::Array(ends, item) => {
                ends.truncate(rows);
                item.truncate(ends.last().map_or(0, |end| *end as usize));
            },
            Values::Map(ends, pair) => {
                ends.truncate(rows);
                let items = ends.last().map_or(0, |end| *end as usize);
                pair.0.truncate(items);
                pair.1.truncate(items);
            },
            Values::Tuple(columns, count) => {
                columns.iter_mut().for_each(|column| column.truncate(rows));
                *count = rows.min(*count);
            },
            Values::Nothing(count) => *count = rows.min(*count),
        );
    }

    /// Bytes that a row takes before any text.
    pub(crate) fn row_width(&self) -> usize {
        match &self.values {
            Values::Decimal(..) | Values::Uuid(_) => 16,
            Values::Tuple(columns, _) => columns.iter().map(Self::row_width).sum(),
            _ => 8,
        }
    }

    /// Appends row `row` of a finished one-column default.
    pub(crate) fn push_copy(&mut self, from: &Self, row: usize) {
        if let (Some(valid), Some(known)) = (&mut self.valid, &from.valid) {
            valid.push(known[row]);
        }
        macro_rules! copy {
            ($($kind:ident),*) => {
                match (&mut self.values, &from.values) {
                    $((Values::$kind(to), Values::$kind(from)) => to.push(from[row]),)*
                    (Values::Time(to, _), Values::Time(from, _)) => to.push(from[row]),
                    (Values::Decimal(to, ..), Values::Decimal(from, ..)) => to.push(from[row]),
                    (Values::Text(to), Values::Text(from)) => to.push(from.get(row)),
                    (Values::Symbol(to), Values::Symbol(from)) => to.push(from.values.get(from.ids[row] as usize)),
                    (Values::Array(ends, item), Values::Array(from_ends, from_item)) => {
                        for at in span(from_ends, row) { item.push_copy(from_item, at); }
                        ends.push(item.len() as i32);
                    }
                    (Values::Map(ends, pair), Values::Map(from_ends, from_pair)) => {
                        for at in span(from_ends, row) {
                            pair.0.push_copy(&from_pair.0, at);
                            pair.1.push_copy(&from_pair.1, at);
                        }
                        ends.push(pair.0.len() as i32);
                    }
                    (Values::Tuple(to, rows), Values::Tuple(from, _)) => {
                        for (to, from) in to.iter_mut().zip(from) { to.push_copy(from, row); }
                        *rows += 1;
                    }
                    (Values::Nothing(rows), _) => *rows += 1,
                    // A default is made by `Column::new` of the same type, so the kinds are the same.
                    _ => debug_assert!(false, "two columns of one type differ in kind"),
                }
            };
        }
        copy!(Bool, I8, I16, I32, I64, U8, U16, U32, U64, F32, F64, Date, Uuid);
    }

    /// Gives the rows as an Arrow array of the storage type and starts anew.
    ///
    /// # Errors
    /// `IncorrectData` for text that is not UTF-8.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef> {
        let nulls = self.valid.as_mut().map(|valid| NullBuffer::from(std::mem::take(valid)));
        let name = &*self.name;
        Ok(match &mut self.values {
            Values::Bool(v) => Arc::new(BooleanArray::new(std::mem::take(v).into(), nulls)),
            Values::I8(v) => primitive::<dt::Int8Type>(v, nulls),
            Values::I16(v) => primitive::<dt::Int16Type>(v, nulls),
            Values::I32(v) => primitive::<dt::Int32Type>(v, nulls),
            Values::I64(v) => primitive::<dt::Int64Type>(v, nulls),
            Values::U8(v) => primitive::<dt::UInt8Type>(v, nulls),
            Values::U16(v) => primitive::<dt::UInt16Type>(v, nulls),
            Values::U32(v) => primitive::<dt::UInt32Type>(v, nulls),
            Values::U64(v) => primitive::<dt::UInt64Type>(v, nulls),
            Values::F32(v) => primitive::<dt::Float32Type>(v, nulls),
            Values::F64(v) => primitive::<dt::Float64Type>(v, nulls),
            Values::Date(v) => primitive::<dt::Date32Type>(v, nulls),
            Values::Time(v, _) => times(v, nulls, &self.ty),
            Values::Decimal(v, precision, scale) => Arc::new(
                Decimal128Array::new(std::mem::take(v).into(), nulls)
                    .with_precision_and_scale(*precision, *scale as i8)?,
            ),
            Values::Text(text) => Arc::new(text.finish(nulls, name)?),
            Values::Symbol(symbols) => finish_symbols(symbols, nulls, name)?,
            Values::Uuid(v) => {
                let bytes = Buffer::from_vec(std::mem::take(v).into_flattened());
                Arc::new(FixedSizeBinaryArray::try_new(16, bytes, nulls)?)
            }
            Values::Nothing(rows) => Arc::new(NullArray::new(std::mem::take(rows))),
            Values::Array(..) | Values::Tuple(..) | Values::Map(..) => self.finish_nested()?,
        })
    }

    fn finish_nested(&mut self) -> Result<ArrayRef> {
        let storage = self.ty.storage_type();
        Ok(match (&mut self.values, storage) {
            (Values::Array(ends, item), DataType::List(field)) => {
                let offsets = offsets_of(&std::mem::take(ends));
                Arc::new(ListArray::try_new(field, offsets, item.finish()?, None)?)
            }
            (Values::Map(ends, pair), DataType::Map(field, sorted)) => {
                let offsets = offsets_of(&std::mem::take(ends));
                let DataType::Struct(fields) = field.data_type().clone() else {
                    return Err(Error::internal("a map's entries are a struct"));
                };
                let entries = StructArray::try_new(fields, vec![pair.0.finish()?, pair.1.finish()?], None)?;
                Arc::new(MapArray::try_new(field, offsets, entries, None, sorted)?)
            }
            (Values::Tuple(columns, rows), DataType::Struct(fields)) => {
                let arrays = columns.iter_mut().map(Self::finish).collect::<Result<Vec<_>>>()?;
                let rows = std::mem::take(rows);
                Arc::new(StructArray::try_new_with_length(fields, arrays, None, rows)?)
            }
            _ => return Err(Error::internal("a nested column's storage type is nested")),
        })
    }

    /// The field that [`Column::finish`] fills.
    pub(crate) fn field(&self) -> Field {
        self.ty.storage_field(&self.name)
    }
}

/// Rows of item `row` in a list's ends.
pub(crate) fn span(ends: &[i32], row: usize) -> std::ops::Range<usize> {
    let start = if row == 0 { 0 } else { ends[row - 1] as usize };
    start..ends[row] as usize
}

/// Inside lists text is stored plain: only whole columns have a dictionary.
fn text_not_symbol(ty: &ColumnType) -> ColumnType {
    match ty {
        ColumnType::Symbol => ColumnType::String,
        ColumnType::Nullable(of) if **of == ColumnType::Symbol => ColumnType::String.nullable(),
        other => other.clone(),
    }
}

fn primitive<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(std::mem::take(values).into(), nulls))
}

fn times(values: &mut Vec<i64>, nulls: Option<NullBuffer>, ty: &ColumnType) -> ArrayRef {
    let values = std::mem::take(values).into();
    let (unit, zone) = match ty.inner() {
        ColumnType::DateTime64(precision, zone) => (unit_of(*precision), zone.clone()),
        ColumnType::DateTime(zone) => (TimeUnit::Second, zone.clone()),
        _ => (TimeUnit::Second, None),
    };
    match unit {
        TimeUnit::Second => {
            Arc::new(PrimitiveArray::<dt::TimestampSecondType>::new(values, nulls).with_timezone_opt(zone))
        }
        TimeUnit::Millisecond => Arc::new(
            PrimitiveArray::<dt::TimestampMillisecondType>::new(values, nulls).with_timezone_opt(zone),
        ),
        TimeUnit::Microsecond => Arc::new(
            PrimitiveArray::<dt::TimestampMicrosecondType>::new(values, nulls).with_timezone_opt(zone),
        ),
        TimeUnit::Nanosecond => Arc::new(
            PrimitiveArray::<dt::TimestampNanosecondType>::new(values, nulls).with_timezone_opt(zone),
        ),
    }
}

fn finish_symbols(symbols: &mut Symbols, nulls: Option<NullBuffer>, name: &str) -> Result<ArrayRef> {
    symbols.index.clear();
    let ids = std::mem::take(&mut symbols.ids);
    let values = symbols.values.finish(None, name)?;
    let keys = PrimitiveArray::<dt::Int32Type>::new(ids.into(), nulls);
    Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(values))?))
}
