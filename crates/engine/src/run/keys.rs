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

/// One (partition, key) pair: a slot of the run to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    /// Where the key lives.
    pub(crate) partition: u16,
    /// The key's bytes; None is NULL, or a table without a key.
    pub(crate) key: Option<&'a [u8]>,
}

/// Bytes of a key that stand in the hash table itself: most keys are shorter, and compared without another access.
const HEAD_BYTES: usize = 16;

/// A key in the hash table.
#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    head: [u8; HEAD_BYTES],
    length: u32,
    id: u32,
    partition: u16,
    null: bool,
}

/// Numbers distinct pairs densely, in the order of first sight, and ranks them in the end.
#[derive(Default)]
pub(crate) struct Pairs<'a> {
    hasher: RandomState,
    table: HashTable<Entry>,
    pairs: Vec<Pair<'a>>,
}

impl<'a> Pairs<'a> {
    /// The number of this pair.
    #[inline]
    pub(crate) fn intern(&mut self, partition: u16, key: Option<&'a [u8]>) -> u32 {
        // The partition follows from the key, so it need not be hashed, only compared.
        let hash = match key {
            Some(key) => self.hasher.hash_one(key),
            None => u64::from(partition),
        };
        let bytes = key.unwrap_or(&[]);
        let mut head = [0u8; HEAD_BYTES];
        let short = bytes.len().min(HEAD_BYTES);
        head[..short].copy_from_slice(&bytes[..short]);
        let id = self.pairs.len() as u32;
        let (length, null) = (bytes.len() as u32, key.is_none());
        let entry = Entry { hash, head, length, id, partition, null };
        let pairs = &self.pairs;
        let same = |other: &Entry| {
            (other.hash, other.head, other.length) == (hash, head, length)
                && (other.partition, other.null) == (partition, null)
                && (bytes.len() <= HEAD_BYTES || pairs[other.id as usize].key == key)
        };
        if let Some(known) = self.table.find(hash, same) {
            return known.id;
        }
        self.pairs.push(Pair { partition, key });
        self.table.insert_unique(hash, entry, |entry| entry.hash);
        id
    }

    /// The pair with this number.
    #[inline]
    pub(crate) fn get(&self, id: u32) -> Pair<'a> {
        self.pairs[id as usize]
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// The numbers in the order of (partition, key).
    pub(crate) fn ranked(&self) -> Vec<u32> {
        // Most comparisons end at the first eight bytes, which stand beside the number.
        let mut order: Vec<(u16, bool, u64, u32)> = (0..self.pairs.len() as u32)
            .map(|id| {
                let pair = self.get(id);
                (pair.partition, pair.key.is_some(), prefix(pair.key.unwrap_or(&[])), id)
            })
            .collect();
        order.sort_unstable_by(|a, b| {
            (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)).then_with(|| self.get(a.3).key.cmp(&self.get(b.3).key))
        });
        order.into_iter().map(|(.., id)| id).collect()
    }
}

fn prefix(key: &[u8]) -> u64 {
    let mut bytes = [0u8; 8];
    let length = key.len().min(8);
    bytes[..length].copy_from_slice(&key[..length]);
    u64::from_be_bytes(bytes)
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
