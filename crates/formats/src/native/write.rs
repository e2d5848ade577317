//! Arrow arrays as Native values: whole buffers are copied, never a value at a time where the layouts agree.

use std::hash::BuildHasher;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringViewArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{self as dt, DataType};
use hashbrown::HashTable;
use zepto_common::types::{ColumnType, ticks_per_second, unit_of};
use zepto_common::{Error, Result};

use crate::row_binary::{swap_halves, write_length, write_string};

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
            Some(nulls) => out.extend(nulls.iter().map(|valid| u8::from(!valid))),
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
    let (first, last) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
    out.reserve(8 * offsets.len());
    offsets[1..].iter().for_each(|end| out.extend_from_slice(&(*end as u64 - first as u64).to_le_bytes()));
    first..last
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
        for (row, valid) in nulls.iter().enumerate() {
            if !valid {
                values[row * width..][..width].fill(0);
            }
        }
    }
    Ok(())
}

/// Copies the values as they are; gives their width.
fn copied<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(array.values().inner().as_slice());
    size_of::<T::Native>()
}

/// Writes each value's bytes; gives their number.
fn each<T, const N: usize>(values: &[T], bytes: impl Fn(&T) -> [u8; N], out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.resize(start + values.len() * N, 0);
    for (place, value) in out[start..].as_chunks_mut::<N>().0.iter_mut().zip(values) {
        *place = bytes(value);
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
            // A view's low 32 bits are the string's length.
            let bytes: usize = array.views().iter().map(|view| *view as u32 as usize).sum();
            out.reserve(bytes + 2 * array.len());
            (0..array.len()).for_each(|row| string(if valid(row) { array.value(row) } else { "" }, out));
        }
        _ => return strings(&cast(array, &DataType::Utf8View)?, nulls, out),
    }
    Ok(())
}

#[inline]
fn string(text: &str, out: &mut Vec<u8>) {
    if text.len() < 0x80 {
        out.push(text.len() as u8);
    } else {
        write_length(text.len(), out);
    }
    out.extend_from_slice(text.as_bytes());
}

/// A dictionary in the making and the number of each row in it.
struct Numbered<'a> {
    words: Vec<&'a str>,
    numbers: Vec<u32>,
}

/// Writes a dictionary in the order in which its words first come, and a number per row. The first word is always
/// the empty string, and NULL comes even before it.
fn symbols(array: &ArrayRef, nulls: Option<&NullBuffer>, nullable: bool, out: &mut Vec<u8>) -> Result<()> {
    if array.is_empty() {
        return Ok(());
    }
    match array.data_type() {
        DataType::Dictionary(key, _) if **key == DataType::Int32 => {
            let dictionary = array.as_dictionary::<dt::Int32Type>();
            let words = cast(dictionary.values(), &DataType::Utf8View)?;
            write_numbered(
                &of_dictionary(dictionary.keys().values(), words.as_string_view(), nulls, nullable),
                out,
            );
        }
        DataType::Utf8View => write_numbered(&of_views(array.as_string_view(), nulls, nullable), out),
        _ => {
            let views = cast(array, &DataType::Utf8View)?;
            write_numbered(&of_views(views.as_string_view(), nulls, nullable), out);
        }
    }
    Ok(())
}

fn first_words(nullable: bool) -> Vec<&'static str> {
    vec![""; 1 + usize::from(nullable)]
}

fn of_dictionary<'a>(
    keys: &[i32],
    words: &'a StringViewArray,
    nulls: Option<&NullBuffer>,
    nullable: bool,
) -> Numbered<'a> {
    let mut found = Numbered { words: first_words(nullable), numbers: Vec::with_capacity(keys.len()) };
    let empty = found.words.len() as u32 - 1;
    let mut known = vec![u32::MAX; words.len()];
    for (row, key) in keys.iter().enumerate() {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            found.numbers.push(0);
            continue;
        }
        let number = &mut known[*key as usize];
        if *number == u32::MAX {
            let word = words.value(*key as usize);
            *number = if word.is_empty() { empty } else { found.words.len() as u32 };
            if !word.is_empty() {
                found.words.push(word);
            }
        }
        found.numbers.push(*number);
    }
    found
}

/// Views that are remembered with their numbers, each in the one place that its bits choose.
const RECENT: usize = 1 << 10;

/// The place of a view among those remembered.
#[inline]
fn recent_place(view: u128) -> usize {
    let mixed = (view as u64 ^ (view >> 64) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (64 - RECENT.trailing_zeros())) as usize
}

fn of_views<'a>(array: &'a StringViewArray, nulls: Option<&NullBuffer>, nullable: bool) -> Numbered<'a> {
    let mut found = Numbered { words: first_words(nullable), numbers: Vec::with_capacity(array.len()) };
    let empty = found.words.len() as u32 - 1;
    let state = foldhash::fast::RandomState::default();
    // Equal views are equal words. Long words can have several views: those are looked up by their text.
    let mut views: HashTable<(u128, u32)> = HashTable::new();
    let mut long: HashTable<u32> = HashTable::new();
    // Most words are found here, before anything is hashed with care. No word has a length of u32::MAX.
    let mut recent = [(u128::from(u32::MAX), 0); RECENT];
    for (row, view) in array.views().iter().enumerate() {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            found.numbers.push(0);
            continue;
        }
        let place = &mut recent[recent_place(*view)];
        if place.0 == *view {
            found.numbers.push(place.1);
            continue;
        }
        let hash = state.hash_one(view);
        if let Some((_, number)) = views.find(hash, |(known, _)| known == view) {
            *place = (*view, *number);
            found.numbers.push(*number);
            continue;
        }
        let word = array.value(row);
        let words = &mut found.words;
        let number = match word.len() {
            0 => empty,
            1..=12 => push_word(words, word),
            _ => {
                let text_hash = state.hash_one(word);
                let known = long.find(text_hash, |number| words[*number as usize] == word).copied();
                known.unwrap_or_else(|| {
                    let number = push_word(words, word);
                    long.insert_unique(text_hash, number, |number| state.hash_one(words[*number as usize]));
                    number
                })
            }
        };
        views.insert_unique(hash, (*view, number), |(view, _)| state.hash_one(view));
        found.numbers.push(number);
    }
    found
}

fn push_word<'a>(words: &mut Vec<&'a str>, word: &'a str) -> u32 {
    words.push(word);
    words.len() as u32 - 1
}

fn write_numbered(found: &Numbered<'_>, out: &mut Vec<u8>) {
    let width = match found.words.len() {
        ..=0xFF => 0,
        0x100..=0xFFFF => 1,
        _ => 2,
    };
    out.extend_from_slice(&(DICTIONARY_FLAGS | width).to_le_bytes());
    out.extend_from_slice(&(found.words.len() as u64).to_le_bytes());
    found.words.iter().for_each(|word| write_string(word.as_bytes(), out));
    out.extend_from_slice(&(found.numbers.len() as u64).to_le_bytes());
    match width {
        0 => each(&found.numbers, |number| [*number as u8], out),
        1 => each(&found.numbers, |number| (*number as u16).to_le_bytes(), out),
        _ => each(&found.numbers, |number| number.to_le_bytes(), out),
    };
}
