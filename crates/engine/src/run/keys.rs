//! Keys as bytes that sort as the keys do, and the hash table that numbers them.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use arrow::row::{RowConverter, Rows, SortField};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use zepto_common::{Error, Result};

/// The key values of some rows, as bytes in key order. NULL sorts first.
pub(crate) enum KeyBytes {
    /// Text as it is; a dictionary's values are asked by dictionary key.
    Text(StringArray),
    /// Arrow's row format, NULL included.
    Rows(Rows),
}

impl KeyBytes {
    /// The bytes of each value of `values` (for a dictionary: its values).
    pub(crate) fn new(values: &ArrayRef) -> Result<Self> {
        Ok(match values.data_type() {
            DataType::Utf8 => Self::Text(values.as_string::<i32>().clone()),
            DataType::Dictionary(..) => {
                Self::Text(values.as_dictionary::<Int32Type>().values().as_string::<i32>().clone())
            }
            ty => Self::Rows(converter(ty)?.convert_columns(&[Arc::clone(values)])?),
        })
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Rows(rows) => rows.num_rows(),
        }
    }

    /// The bytes of value `i`; None is NULL.
    #[inline]
    pub(crate) fn get(&self, i: usize) -> Option<&[u8]> {
        match self {
            Self::Text(text) if text.is_null(i) => None,
            Self::Text(text) => Some(text.value(i).as_bytes()),
            Self::Rows(rows) => Some(rows.row(i).data()),
        }
    }
}

fn converter(ty: &DataType) -> Result<RowConverter> {
    RowConverter::new(vec![SortField::new(ty.clone())])
        .map_err(|error| Error::internal(format!("a key cannot be {ty}: {error}")))
}

/// The type of an index's keys for a key column of this storage type.
pub(crate) fn value_type(storage: &DataType) -> DataType {
    match storage {
        DataType::Dictionary(_, value) => value.as_ref().clone(),
        other => other.clone(),
    }
}

/// The array of these key bytes, as [`KeyBytes`] made them from values of this type.
pub(crate) fn array_of(bytes: &[Option<&[u8]>], ty: &DataType) -> Result<ArrayRef> {
    if *ty == DataType::Utf8 {
        let size = bytes.iter().flatten().map(|value| value.len()).sum();
        let mut text = arrow::array::StringBuilder::with_capacity(bytes.len(), size);
        for value in bytes {
            let value = value.map(std::str::from_utf8).transpose();
            text.append_option(value.map_err(|e| Error::internal(format!("a key is not UTF-8: {e}")))?);
        }
        return Ok(Arc::new(text.finish()));
    }
    let converter = converter(ty)?;
    let parser = converter.parser();
    let rows = bytes.iter().map(|value| parser.parse(value.unwrap_or(&[])));
    let columns = converter.convert_rows(rows)?;
    columns.into_iter().next().ok_or_else(|| Error::internal("no key column came back"))
}

/// Numbers distinct byte strings densely, in the order of first sight.
#[derive(Default)]
pub(crate) struct Interner<'a> {
    hasher: RandomState,
    table: HashTable<u32>,
    hashes: Vec<u64>,
    values: Vec<&'a [u8]>,
}

impl<'a> Interner<'a> {
    /// The number of this value.
    #[inline]
    pub(crate) fn intern(&mut self, value: &'a [u8]) -> u32 {
        let hash = self.hasher.hash_one(value);
        let (hashes, values) = (&mut self.hashes, &mut self.values);
        if let Some(&id) = self.table.find(hash, |&id| values[id as usize] == value) {
            return id;
        }
        let id = values.len() as u32;
        values.push(value);
        hashes.push(hash);
        self.table.insert_unique(hash, id, |&id| hashes[id as usize]);
        id
    }

    /// The values by number.
    pub(crate) fn values(&self) -> &[&'a [u8]] {
        &self.values
    }
}

/// Bytes of a key that stand in the hash table itself: most keys are no longer, and compared without another access.
const HEAD_BYTES: usize = 16;
/// The length that an entry notes for a NULL; keys are shorter than Arrow's 32-bit offsets.
const NULL_LENGTH: u32 = u32::MAX;

/// A key in the hash table: all that a comparison of short keys needs.
#[derive(Clone, Copy)]
struct Entry {
    /// The whole key if it is short, else its first and last bytes.
    head: (u64, u64),
    length: u32,
    id: u32,
}

impl Entry {
    /// A place without a key; there are fewer keys than rows, of which there are fewer than this number.
    const FREE: Self = Self { head: (0, 0), length: 0, id: u32::MAX };
}

/// First and last bytes of a key; with the length they are all of it up to [`HEAD_BYTES`].
#[inline]
fn head(key: &[u8]) -> (u64, u64) {
    let eight = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let four = |bytes: Option<&[u8; 4]>| bytes.map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    match key.len() {
        8.. => (eight(key.first_chunk()), eight(key.last_chunk())),
        4..8 => (four(key.first_chunk()), four(key.last_chunk())),
        0 => (0, 0),
        length => (u64::from(key[0]), u64::from(key[length / 2]) << 8 | u64::from(key[length - 1])),
    }
}

/// Places of the smallest table.
const PLACES_MIN: usize = 64;

/// Numbers the distinct keys of one partition densely, in the order of first sight, and ranks them in the end.
///
/// The table is open and probed in line. A partition has few of a table's keys, so that it stays near the processor:
/// one table for all keys of a run is larger than its caches, and each row would wait for a line of it.
pub(crate) struct Numbers<'a> {
    hasher: RandomState,
    /// Secrets of the hash of short keys.
    seeds: (u64, u64),
    /// A power of two, at most half full.
    places: Vec<Entry>,
    keys: Vec<Option<&'a [u8]>>,
}

impl Default for Numbers<'_> {
    fn default() -> Self {
        let hasher = RandomState::default();
        let seeds = (hasher.hash_one(0u64), hasher.hash_one(1u64));
        Self { hasher, seeds, places: vec![Entry::FREE; PLACES_MIN], keys: Vec::new() }
    }
}

/// The hash of a key that its head holds wholly: both halves of a product of 128 bits.
#[inline]
fn hash_of_head((low, high): (u64, u64), length: u32, seeds: (u64, u64)) -> u64 {
    let wide = u128::from(low ^ seeds.0) * u128::from((high ^ seeds.1).wrapping_add(u64::from(length)));
    (wide as u64) ^ ((wide >> 64) as u64)
}

impl<'a> Numbers<'a> {
    /// The number of this key; None is NULL.
    #[inline]
    pub(crate) fn intern(&mut self, key: Option<&'a [u8]>) -> u32 {
        let bytes = key.unwrap_or(&[]);
        let length = if key.is_some() { bytes.len() as u32 } else { NULL_LENGTH };
        let head = head(bytes);
        let short = bytes.len() <= HEAD_BYTES;
        let mask = self.places.len() - 1;
        let mut at = self.hash(head, length, bytes) as usize & mask;
        loop {
            let entry = &self.places[at];
            if entry.id == Entry::FREE.id {
                return self.add(at, head, length, key);
            }
            let same = (entry.head, entry.length) == (head, length);
            if same && (short || self.keys[entry.id as usize] == key) {
                return entry.id;
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    fn hash(&self, head: (u64, u64), length: u32, bytes: &[u8]) -> u64 {
        match bytes.len() {
            ..=HEAD_BYTES => hash_of_head(head, length, self.seeds),
            _ => self.hasher.hash_one(bytes),
        }
    }

    fn add(&mut self, at: usize, head: (u64, u64), length: u32, key: Option<&'a [u8]>) -> u32 {
        let id = self.keys.len() as u32;
        self.places[at] = Entry { head, length, id };
        self.keys.push(key);
        if self.keys.len() * 2 > self.places.len() {
            self.grow();
        }
        id
    }

    fn grow(&mut self) {
        let mut places = vec![Entry::FREE; self.places.len() * 2];
        let mask = places.len() - 1;
        for entry in self.places.iter().filter(|entry| entry.id != Entry::FREE.id) {
            let bytes = self.keys[entry.id as usize].unwrap_or(&[]);
            let mut at = self.hash(entry.head, entry.length, bytes) as usize & mask;
            while places[at].id != Entry::FREE.id {
                at = (at + 1) & mask;
            }
            places[at] = *entry;
        }
        self.places = places;
    }

    /// Forgets all keys, for the next partition, which is expected to have about as many.
    pub(crate) fn clear(&mut self) {
        let expected = (self.keys.len() * 2).next_power_of_two().clamp(PLACES_MIN, self.places.len());
        self.places.truncate(expected);
        self.places.fill(Entry::FREE);
        self.keys.clear();
    }

    /// The key with this number.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&'a [u8]> {
        self.keys[id as usize]
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The numbers in the order of their keys.
    pub(crate) fn ranked(&self) -> Vec<u32> {
        let mut order: Vec<(Rank<'a>, u32)> =
            (0u32..).zip(&self.keys).map(|(id, key)| (Rank::of(*key), id)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, id)| id).collect()
    }
}

/// A key that is compared by its first bytes as long as they differ: they stand beside the pointer. NULL is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank<'a> {
    /// 0 for NULL, else 1.
    valid: u8,
    first: u128,
    key: Option<&'a [u8]>,
}

impl<'a> Rank<'a> {
    /// Of this key.
    pub(crate) fn of(key: Option<&'a [u8]>) -> Self {
        let bytes = key.unwrap_or(&[]);
        let first = match bytes.first_chunk::<16>() {
            Some(first) => u128::from_be_bytes(*first),
            None => {
                let mut padded = [0u8; 16];
                padded[..bytes.len()].copy_from_slice(bytes);
                u128::from_be_bytes(padded)
            }
        };
        Self { valid: u8::from(key.is_some()), first, key }
    }

    /// The key.
    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        self.key
    }
}

/// Wanted keys as an index's key type; an error if one of them is no such value.
pub(crate) fn cast_to(values: &ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    if values.data_type() == ty {
        return Ok(Arc::clone(values));
    }
    let cast = arrow::compute::cast(values, ty)?;
    if cast.null_count() > values.logical_null_count() {
        return Err(Error::internal(format!("keys of type {} are not all {ty}", values.data_type())));
    }
    Ok(cast)
}
