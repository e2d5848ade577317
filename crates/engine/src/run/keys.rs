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

/// Bytes of a key that stand in the hash table itself: most keys are no longer, and compared without another access.
const HEAD_BYTES: usize = 16;
/// The length that an entry notes for a NULL; keys are shorter than Arrow's 32-bit offsets.
const NULL_LENGTH: u32 = u32::MAX;

/// A pair in the hash table: 32 bytes, all that a comparison of short keys needs.
#[derive(Clone, Copy)]
struct Entry {
    /// The whole key if it is short, else its first and last bytes.
    head: (u64, u64),
    length: u32,
    id: u32,
    partition: u16,
}

impl Entry {
    /// A slot without a pair; there are fewer pairs than rows, of which there are fewer than this number.
    const FREE: Self = Self { head: (0, 0), length: 0, id: u32::MAX, partition: 0 };
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

/// What is looked for in the table.
#[derive(Clone, Copy)]
struct Probe {
    hash: u64,
    head: (u64, u64),
    length: u32,
    partition: u16,
}

/// Pairs that are looked up together: enough for the processor to wait for all their table lines at once.
pub(crate) const PROBES: usize = 32;
/// Slots of the first table.
const SLOTS_MIN: usize = 64;

/// Numbers distinct pairs densely, in the order of first sight, and ranks them in the end.
///
/// The table is open and probed in line. With many keys it is larger than the caches near the processor, and what a
/// lookup costs is the wait for one line of it, so lookups come in groups of [`PROBES`].
pub(crate) struct Pairs<'a> {
    hasher: RandomState,
    /// Secrets of the hash of short keys.
    seeds: (u64, u64),
    /// A power of two, at most half full.
    slots: Vec<Entry>,
    pairs: Vec<Pair<'a>>,
}

impl Default for Pairs<'_> {
    fn default() -> Self {
        let hasher = RandomState::default();
        let seeds = (hasher.hash_one(0u64), hasher.hash_one(1u64));
        Self { hasher, seeds, slots: vec![Entry::FREE; SLOTS_MIN], pairs: Vec::new() }
    }
}

/// The hash of a key that its head holds wholly: both halves of a product of 128 bits.
#[inline]
fn hash_of_head((low, high): (u64, u64), length: u32, seeds: (u64, u64)) -> u64 {
    let wide = u128::from(low ^ seeds.0) * u128::from((high ^ seeds.1).wrapping_add(u64::from(length)));
    (wide as u64) ^ ((wide >> 64) as u64)
}

impl<'a> Pairs<'a> {
    /// The number of this pair.
    #[inline]
    pub(crate) fn intern(&mut self, partition: u16, key: Option<&'a [u8]>) -> u32 {
        let probe = self.probe(partition, key);
        self.find_or_add(probe, key)
    }

    /// The numbers of these keys of one partition, in their order, appended to `ids`.
    pub(crate) fn intern_all(&mut self, partition: u16, keys: &[Option<&'a [u8]>], ids: &mut Vec<u32>) {
        let nothing = Probe { hash: 0, head: (0, 0), length: 0, partition };
        for keys in keys.chunks(PROBES) {
            let mut probes = [nothing; PROBES];
            let (mut lines, mask) = (0u32, self.slots.len() - 1);
            for (probe, key) in probes.iter_mut().zip(keys) {
                *probe = self.probe(partition, *key);
                // Loads that depend on nothing: the waits for them overlap.
                lines ^= self.slots[probe.hash as usize & mask].length;
            }
            std::hint::black_box(lines);
            ids.extend(probes.iter().zip(keys).map(|(probe, key)| self.find_or_add(*probe, *key)));
        }
    }

    #[inline]
    fn probe(&self, partition: u16, key: Option<&[u8]>) -> Probe {
        let bytes = key.unwrap_or(&[]);
        let length = if key.is_some() { bytes.len() as u32 } else { NULL_LENGTH };
        let head = head(bytes);
        let hash = match bytes.len() {
            ..=HEAD_BYTES => hash_of_head(head, length, self.seeds),
            _ => self.hasher.hash_one(bytes),
        };
        Probe { hash, head, length, partition }
    }

    #[inline]
    fn find_or_add(&mut self, probe: Probe, key: Option<&'a [u8]>) -> u32 {
        let mask = self.slots.len() - 1;
        let mut at = probe.hash as usize & mask;
        loop {
            let entry = &self.slots[at];
            if entry.id == Entry::FREE.id {
                return self.add(at, probe, key);
            }
            let same =
                (entry.head, entry.length, entry.partition) == (probe.head, probe.length, probe.partition);
            let short = probe.length <= HEAD_BYTES as u32 || probe.length == NULL_LENGTH;
            if same && (short || self.pairs[entry.id as usize].key == key) {
                return entry.id;
            }
            at = (at + 1) & mask;
        }
    }

    fn add(&mut self, at: usize, probe: Probe, key: Option<&'a [u8]>) -> u32 {
        let Probe { head, length, partition, .. } = probe;
        let id = self.pairs.len() as u32;
        self.slots[at] = Entry { head, length, id, partition };
        self.pairs.push(Pair { partition, key });
        if self.pairs.len() * 2 > self.slots.len() {
            self.grow();
        }
        id
    }

    fn grow(&mut self) {
        let mut slots = vec![Entry::FREE; self.slots.len() * 2];
        let mask = slots.len() - 1;
        for entry in self.slots.iter().filter(|entry| entry.id != Entry::FREE.id) {
            let pair = self.pairs[entry.id as usize];
            let mut at = self.probe(pair.partition, pair.key).hash as usize & mask;
            while slots[at].id != Entry::FREE.id {
                at = (at + 1) & mask;
            }
            slots[at] = *entry;
        }
        self.slots = slots;
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
