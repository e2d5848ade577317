//! The order of a run's rows: which slot each row belongs to, and the sort within each slot.
//!
//! Keys are hashed once per distinct dictionary value, distinct keys are ranked, and rows are counted into their
//! slots; only slots whose rows did not arrive in time order are sorted by comparison.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type};
use zepto_common::{PartitionId, Result};

use super::keys::{KeyBytes, Pair, Pairs};

/// A key value that was not met yet.
const UNMET: u32 = u32::MAX;

/// A dictionary has many values if this many times as many are more than the rows.
const MANY_SHARE: usize = 4;

/// Rows in their order and slots in theirs.
pub(crate) struct Layout<'a> {
    /// The pair of each slot.
    pub(crate) slots: Vec<Pair<'a>>,
    /// First position of each slot, and the end.
    pub(crate) offsets: Vec<u32>,
    /// The row (in the concatenation of all inputs) at each position.
    pub(crate) order: Vec<u32>,
}

impl Layout<'_> {
    /// Each partition's slots.
    pub(crate) fn partitions(&self) -> Vec<(PartitionId, Range<u32>)> {
        let mut partitions: Vec<(PartitionId, Range<u32>)> = Vec::new();
        for (slot, pair) in (0u32..).zip(&self.slots) {
            match partitions.last_mut() {
                Some((last, slots)) if last.0 == pair.partition => slots.end = slot + 1,
                _ => partitions.push((PartitionId(pair.partition), slot..slot + 1)),
            }
        }
        partitions
    }

    /// Positions of each slot.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.offsets.windows(2).map(|pair| pair[0] as usize..pair[1] as usize)
    }

    /// Drops the first rows of each slot that `expired` counts, and slots without rows.
    pub(crate) fn drop_leading(&mut self, expired: impl Fn(Range<usize>) -> usize) {
        let (mut order, mut slots) =
            (Vec::with_capacity(self.order.len()), Vec::with_capacity(self.slots.len()));
        let mut offsets = vec![0u32];
        for (slot, range) in self.ranges().enumerate() {
            let kept = range.start + expired(range.clone())..range.end;
            if !kept.is_empty() {
                order.extend_from_slice(&self.order[kept]);
                slots.push(self.slots[slot]);
                offsets.push(order.len() as u32);
            }
        }
        (self.order, self.slots, self.offsets) = (order, slots, offsets);
    }
}

/// One chunk's part in a layout.
pub(crate) struct ChunkKeys {
    /// The key column's storage array; None for a table without a key.
    pub(crate) column: Option<ArrayRef>,
    /// Its values as bytes.
    pub(crate) bytes: Option<KeyBytes>,
    /// Partition and row range.
    pub(crate) parts: Vec<(PartitionId, Range<u32>)>,
}

impl ChunkKeys {
    /// Of this key column.
    pub(crate) fn new(column: Option<ArrayRef>, parts: Vec<(PartitionId, Range<u32>)>) -> Result<Self> {
        let bytes = column.as_ref().map(KeyBytes::new).transpose()?;
        Ok(Self { column, bytes, parts })
    }
}

/// Slots and order (arrival order within a slot) of the rows of these chunks.
pub(crate) fn of_chunks(chunks: &[ChunkKeys], rows: usize) -> Layout<'_> {
    let mut pairs = Pairs::default();
    let mut pair_of_row: Vec<u32> = Vec::with_capacity(rows);
    for chunk in chunks {
        match (&chunk.column, &chunk.bytes) {
            (Some(column), Some(bytes)) if matches!(column.data_type(), DataType::Dictionary(..)) => {
                by_dictionary(chunk, column, bytes, &mut pairs, &mut pair_of_row);
            }
            (_, bytes) => by_row(chunk, bytes.as_ref(), &mut pairs, &mut pair_of_row),
        }
    }
    scatter(&pairs, &pair_of_row)
}

fn by_dictionary<'a>(
    chunk: &ChunkKeys,
    column: &ArrayRef,
    bytes: &'a KeyBytes,
    pairs: &mut Pairs<'a>,
    pair_of_row: &mut Vec<u32>,
) {
    let symbols = column.as_dictionary::<Int32Type>();
    let (keys, nulls) = (symbols.keys().values(), symbols.keys().nulls());
    let mut met = vec![UNMET; symbols.values().len()];
    // Few values are met soon and stay near the processor; each of many is looked up about once, far away.
    let many = met.len() * MANY_SHARE > keys.len();
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut values: Vec<Option<&'a [u8]>> = Vec::new();
    let mut ids: Vec<u32> = Vec::new();
    for (partition, range) in &chunk.parts {
        // Rows whose pair is known get it at once; the others are looked up together.
        for row in range.start as usize..range.end as usize {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                pair_of_row.push(pairs.intern(partition.0, None));
                continue;
            }
            let key = keys[row] as usize;
            let known = met[key];
            if known != UNMET && pairs.get(known).partition == partition.0 {
                pair_of_row.push(known);
                continue;
            }
            if !many {
                met[key] = pairs.intern(partition.0, bytes.get(key));
                pair_of_row.push(met[key]);
                continue;
            }
            open.push((pair_of_row.len(), key));
            values.push(bytes.get(key));
            pair_of_row.push(UNMET);
        }
        if open.is_empty() {
            continue;
        }
        ids.clear();
        pairs.intern_all(partition.0, &values, &mut ids);
        for (&(at, key), &id) in open.iter().zip(&ids) {
            (met[key], pair_of_row[at]) = (id, id);
        }
        open.clear();
        values.clear();
    }
}

fn by_row<'a>(
    chunk: &ChunkKeys,
    bytes: Option<&'a KeyBytes>,
    pairs: &mut Pairs<'a>,
    pair_of_row: &mut Vec<u32>,
) {
    for (partition, range) in &chunk.parts {
        let mut last: Option<(Option<&[u8]>, u32)> = None;
        for row in range.start as usize..range.end as usize {
            let key = bytes.and_then(|bytes| bytes.get(row));
            let pair = match last {
                Some((before, pair)) if before == key => pair,
                _ => pairs.intern(partition.0, key),
            };
            last = Some((key, pair));
            pair_of_row.push(pair);
        }
    }
}

/// Counting sort of rows by the rank of their pair.
fn scatter<'a>(pairs: &Pairs<'a>, pair_of_row: &[u32]) -> Layout<'a> {
    let mut counts = vec![0u32; pairs.len()];
    for &pair in pair_of_row {
        counts[pair as usize] += 1;
    }
    let ranked = pairs.ranked();
    let mut offsets = Vec::with_capacity(ranked.len() + 1);
    let mut next = vec![0u32; pairs.len()];
    let mut end = 0u32;
    offsets.push(0);
    for &pair in &ranked {
        next[pair as usize] = end;
        end += counts[pair as usize];
        offsets.push(end);
    }
    let mut order = vec![0u32; pair_of_row.len()];
    for (row, &pair) in (0u32..).zip(pair_of_row) {
        let position = &mut next[pair as usize];
        order[*position as usize] = row;
        *position += 1;
    }
    Layout { slots: ranked.iter().map(|&id| pairs.get(id)).collect(), offsets, order }
}

/// A sorted input: its slots as bytes, and their rows.
pub(crate) struct SortedKeys {
    /// Partition of each slot.
    pub(crate) partitions: Vec<u16>,
    /// Keys by slot; None for a table without a key.
    pub(crate) bytes: Option<KeyBytes>,
    /// Rows of each slot, in the concatenation of all inputs.
    pub(crate) rows: Vec<Range<u32>>,
}

/// Slots and order of the rows of sorted inputs: within a slot, input after input.
pub(crate) fn of_sorted(inputs: &[SortedKeys]) -> Layout<'_> {
    let mut pairs = Pairs::default();
    let mut pieces: Vec<(u32, &Range<u32>)> = Vec::new();
    for input in inputs {
        for (slot, rows) in input.rows.iter().enumerate() {
            let key = input.bytes.as_ref().and_then(|bytes| bytes.get(slot));
            pieces.push((pairs.intern(input.partitions[slot], key), rows));
        }
    }
    let ranked = pairs.ranked();
    let mut rank_of = vec![0u32; pairs.len()];
    for (rank, &pair) in (0u32..).zip(&ranked) {
        rank_of[pair as usize] = rank;
    }
    // Stable: pieces of one slot stay in the order of the inputs.
    pieces.sort_by_key(|(pair, _)| rank_of[*pair as usize]);
    let mut order = Vec::with_capacity(pieces.iter().map(|(_, rows)| rows.len()).sum());
    let mut offsets = vec![0u32];
    let mut current = None;
    for (pair, rows) in pieces {
        if current.is_some_and(|before| before != pair) {
            offsets.push(order.len() as u32);
        }
        current = Some(pair);
        order.extend(rows.clone());
    }
    if current.is_some() {
        offsets.push(order.len() as u32);
    }
    Layout { slots: ranked.iter().map(|&id| pairs.get(id)).collect(), offsets, order }
}

/// Sorts each slot by tick, stably, where it is not sorted yet. Returns the ticks by position.
pub(crate) fn sort_by_time(layout: &mut Layout<'_>, ticks: &[i64]) -> Vec<i64> {
    let mut sorted: Vec<i64> = layout.order.iter().map(|&row| ticks[row as usize]).collect();
    let ranges: Vec<Range<usize>> = layout.ranges().collect();
    let mut scratch: Vec<(i64, u32)> = Vec::new();
    for range in ranges {
        let times = &mut sorted[range.clone()];
        if times.is_sorted() {
            continue;
        }
        let order = &mut layout.order[range];
        scratch.clear();
        scratch.extend(times.iter().copied().zip(order.iter().copied()));
        // The standard stable sort merges runs that are sorted already.
        scratch.sort_by_key(|&(tick, _)| tick);
        for (i, (tick, row)) in scratch.iter().enumerate() {
            (times[i], order[i]) = (*tick, *row);
        }
    }
    sorted
}

/// Sorts each slot by comparing rows, stably.
pub(crate) fn sort_by_rows(layout: &mut Layout<'_>, rows: &arrow::row::Rows) {
    let ranges: Vec<Range<usize>> = layout.ranges().collect();
    for range in ranges {
        layout.order[range].sort_by(|&a, &b| rows.row(a as usize).cmp(&rows.row(b as usize)));
    }
}
