//! Arrow arrays as Native values: whole buffers are copied, never a value at a time where the layouts agree.

mod symbols;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringViewArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{self as dt, DataType};
use zepto_common::types::{ColumnType, ticks_per_second, unit_of};
use zepto_common::{Error, Result};

use crate::digits::{put, put_start};
use crate::row_binary::{swap_halves, write_length};
use crate::views::{self, INLINE_BYTES};
use symbols::symbols;

// Buffers are copied as they lie in memory.
const _: () = assert!(cfg!(target_endian = "little"), "Native is little-endian, and so must be the machine");

/// LowCardinality's version: each block has its own dictionary.
pub(super) const OWN_DICTIONARIES: u64 = 1;
/// The block brings its dictionary, and it replaces any other; the low byte is the width of the numbers.
pub(super) const DICTIONARY_FLAGS: u64 = 0x600;

/// Writes what comes before all values of a column.
pub(super) fn prefix(ty: &ColumnType, out: &mut Vec<u8>) {
    use ColumnType as T;
    match ty {
        T::Symbol => out.extend_from_slice(&OWN_DICTIONARIES.to_le_bytes()),
        T::Nullable(of) | T::Array(of) => prefix(of, out),
        T::Tuple(of) => of.iter().for_each(|ty| prefix(ty, out)),
        T::Map(key, value) => {
            prefix(key, out);
            prefix(value, out);
        }
        _ => {}
    }
}

/// Writes all values of an array that holds this type in any Arrow form that casts to its query form.
pub(super) fn values(array: &ArrayRef, ty: &ColumnType, out: &mut Vec<u8>) -> Result<()> {
    use ColumnType as T;
    let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
    let nulls = nulls.as_ref();
    if *ty.inner() == T::Symbol {
        return symbols(array, nulls, ty.is_nullable(), out);
    }
    if ty.is_nullable() {
        match nulls {
            _ if *ty.inner() == T::Nothing => out.resize(out.len() + array.len(), 1),
            Some(nulls) => null_map(nulls, out),
            None => out.resize(out.len() + array.len(), 0),
        }
    }
    match (ty.inner(), array.data_type()) {
        (T::Array(of), DataType::List(_)) => {
            let list = array.as_list::<i32>();
            let items = ends(list.offsets(), out);
            values(&list.values().slice(items.start, items.len()), of, out)
        }
        (
            T::Array(of),
            DataType::LargeList(item) | DataType::ListView(item) | DataType::FixedSizeList(item, _),
        ) => {
            let list = cast(array, &DataType::List(item.clone()))?;
            values(&list, &T::Array(of.clone()), out)
        }
        (T::Map(key, value), DataType::Map(..)) => {
            let map = array.as_map();
            let items = ends(map.offsets(), out);
            values(&map.keys().slice(items.start, items.len()), key, out)?;
            values(&map.values().slice(items.start, items.len()), value, out)
        }
        (T::Tuple(of), DataType::Struct(_)) => {
            if of.is_empty() {
                out.resize(out.len() + array.len(), b'0');
            }
            let parts = array.as_struct().columns().iter().zip(of);
            parts.into_iter().try_for_each(|(part, ty)| values(part, ty, out))
        }
        (T::Array(_) | T::Map(..) | T::Tuple(_), other) => {
            Err(Error::internal(format!("an array of {other} does not hold {ty}")))
        }
        (T::Nothing | T::Nullable(_), _) => {
            out.resize(out.len() + array.len(), b'0');
            Ok(())
        }
        (T::String, _) => strings(array, nulls, out),
        (simple, _) => {
            let wanted = simple.query_type();
            let array = if *array.data_type() == wanted { array.clone() } else { cast(array, &wanted)? };
            flat(&array, simple, nulls, out)
        }
    }
}

/// Writes the ends of lists as 64-bit numbers; gives the place of their elements.
fn ends(offsets: &OffsetBuffer<i32>, out: &mut Vec<u8>) -> std::ops::Range<usize> {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    each(&offsets[1..], |end| i64::from(*end - first).to_le_bytes(), out);
    first as usize..last as usize
}

/// Writes a byte per row: 1 is NULL.
fn null_map(nulls: &NullBuffer, out: &mut Vec<u8>) {
    let end = out.len() + nulls.len();
    let chunks = nulls.inner().bit_chunks();
    for valid in chunks.iter_padded() {
        let mut bytes = [[0; 8]; 8];
        for (place, bits) in bytes.iter_mut().zip(valid.to_le_bytes()) {
            *place = spread(!bits);
        }
        out.extend_from_slice(bytes.as_flattened());
    }
    out.truncate(end);
}

/// Eight bits as eight bytes.
#[inline]
fn spread(bits: u8) -> [u8; 8] {
    let each = (u64::from(bits) * 0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
    // What is not 0 in a byte reaches the byte's highest bit.
    (((each + 0x7F7F_7F7F_7F7F_7F7F) >> 7) & 0x0101_0101_0101_0101).to_le_bytes()
}

/// Writes values of one width.
fn flat(array: &ArrayRef, ty: &ColumnType, nulls: Option<&NullBuffer>, out: &mut Vec<u8>) -> Result<()> {
    use ColumnType as T;
    let start = out.len();
    let width = match ty {
        T::Bool => {
            out.extend(array.as_boolean().values().iter().map(u8::from));
            1
        }
        T::Int8 => copied::<dt::Int8Type>(array.as_primitive(), out),
        T::Int16 => copied::<dt::Int16Type>(array.as_primitive(), out),
        T::Int32 => copied::<dt::Int32Type>(array.as_primitive(), out),
        T::Int64 => copied::<dt::Int64Type>(array.as_primitive(), out),
        T::UInt8 => copied::<dt::UInt8Type>(array.as_primitive(), out),
        T::UInt16 => copied::<dt::UInt16Type>(array.as_primitive(), out),
        T::UInt32 => copied::<dt::UInt32Type>(array.as_primitive(), out),
        T::UInt64 => copied::<dt::UInt64Type>(array.as_primitive(), out),
        T::Float32 => copied::<dt::Float32Type>(array.as_primitive(), out),
        T::Float64 => copied::<dt::Float64Type>(array.as_primitive(), out),
        T::Decimal(19.., _) => copied::<dt::Decimal128Type>(array.as_primitive(), out),
        T::Decimal(precision, _) => {
            let values = array.as_primitive::<dt::Decimal128Type>().values();
            if *precision > 9 {
                each(values, |value| (*value as i64).to_le_bytes(), out)
            } else {
                each(values, |value| (*value as i32).to_le_bytes(), out)
            }
        }
        // Outside the range of ClickHouse's types the nearest value is written.
        T::Date => each(
            array.as_primitive::<dt::Date32Type>().values(),
            |days| ((*days).clamp(0, i32::from(u16::MAX)) as u16).to_le_bytes(),
            out,
        ),
        T::DateTime(_) => each(
            array.as_primitive::<dt::TimestampSecondType>().values(),
            |seconds| ((*seconds).clamp(0, i64::from(u32::MAX)) as u32).to_le_bytes(),
            out,
        ),
        T::DateTime64(precision, _) => ticks(array, *precision, out)?,
        T::Uuid => each(
            array.as_fixed_size_binary().value_data().as_chunks::<16>().0,
            |bytes| swap_halves(*bytes),
            out,
        ),
        other => return Err(Error::internal(format!("{other} has no values of one width"))),
    };
    if let Some(nulls) = nulls {
        let values = &mut out[start..];
        for row in (!nulls.inner()).set_indices() {
            values[row * width..][..width].fill(0);
        }
    }
    Ok(())
}

/// Copies the values as they are; gives their width.
fn copied<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(array.values().inner().as_slice());
    size_of::<T::Native>()
}

/// Values that are turned into bytes at once, near the processor, before they are copied to where they belong.
const TURNED: usize = 128;

/// Writes each value's bytes; gives their number.
fn each<T, const N: usize>(values: &[T], bytes: impl Fn(&T) -> [u8; N], out: &mut Vec<u8>) -> usize {
    out.reserve(values.len() * N);
    let mut turned = [[0; N]; TURNED];
    for values in values.chunks(TURNED) {
        for (place, value) in turned.iter_mut().zip(values) {
            *place = bytes(value);
        }
        out.extend_from_slice(turned[..values.len()].as_flattened());
    }
    N
}

fn ticks(array: &ArrayRef, precision: u8, out: &mut Vec<u8>) -> Result<usize> {
    // Reinterpreting a timestamp as its number copies nothing.
    let numbers = cast(array, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<dt::Int64Type>();
    let step = ticks_per_second(unit_of(precision)) / 10i64.pow(u32::from(precision));
    Ok(match step {
        1 => copied(numbers, out),
        _ => each(numbers.values(), |value| value.div_euclid(step).to_le_bytes(), out),
    })
}

/// Writes lengths and bytes; NULL is the empty string.
fn strings(array: &ArrayRef, nulls: Option<&NullBuffer>, out: &mut Vec<u8>) -> Result<()> {
    let valid = |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(row));
    match array.data_type() {
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            let offsets = array.value_offsets();
            out.reserve((offsets[array.len()] - offsets[0]) as usize + 2 * array.len());
            (0..array.len()).for_each(|row| string(if valid(row) { array.value(row) } else { "" }, out));
        }
        DataType::Utf8View => {
            let array = array.as_string_view();
            for (row, view) in array.views().iter().enumerate() {
                if valid(row) {
                    string_of_view(array, *view, out);
                } else {
                    out.push(0);
                }
            }
        }
        _ => return strings(&cast(array, &DataType::Utf8View)?, nulls, out),
    }
    Ok(())
}

#[inline(always)]
fn string_of_view(array: &StringViewArray, view: u128, out: &mut Vec<u8>) {
    let length = views::length(view);
    if length <= INLINE_BYTES {
        // Of such a view the text is the rest.
        put(&(view >> 32 << 8 | length as u128).to_le_bytes(), length + 1, out);
    } else {
        write_length(length, out);
        put_start(views::long_and_more(array, view), length, out);
    }
}

#[inline]
fn string(text: &str, out: &mut Vec<u8>) {
    write_length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}
