//! The order of a run's rows: which slot each row belongs to, and the sort within each slot.
//!
//! Chunks and runs have their rows grouped by partition already, so a layout is made partition by partition: what is
//! looked up and moved then fits the caches near the processor, however many keys a table has. Only slots whose rows
//! did not arrive in time order are sorted by comparison.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int32Type};
use zepto_common::{PartitionId, Result};

use super::keys::{KeyBytes, Numbers, Rank};

/// Rows of one source (a chunk or a run) that lie together and belong to one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) source: usize,
    pub(crate) rows: Range<usize>,
}

/// One partition of a layout.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) partition: PartitionId,
    /// Its slots.
    pub(crate) slots: Range<u32>,
    /// Its rows: pieces, source after source.
    pub(crate) pieces: Vec<Piece>,
}

/// Rows in their order and slots in theirs.
#[derive(Default)]
pub(crate) struct Layout<'a> {
    /// Partitions, ascending, each with at least one row.
    pub(crate) sections: Vec<Section>,
    /// The key of each slot; None is NULL, or a table without a key.
    pub(crate) keys: Vec<Option<&'a [u8]>>,
    /// First position of each slot, and the end.
    pub(crate) offsets: Vec<u32>,
    /// The row at each position, counted through the pieces of its section.
    pub(crate) order: Vec<u32>,
}

impl<'a> Layout<'a> {
    fn with_rows(rows: usize) -> Self {
        Self { offsets: vec![0], order: Vec::with_capacity(rows), ..Self::default() }
    }

    /// Ends a section whose slots from `first` on, with their rows, were added.
    fn end_section(&mut self, partition: PartitionId, first: usize, pieces: Vec<Piece>) {
        self.sections.push(Section { partition, slots: first as u32..self.keys.len() as u32, pieces });
    }

    /// Adds the slots and rows of one partition, given the number of each row's key.
    fn scatter(&mut self, numbers: &Numbers<'a>, ids: &[u32]) {
        let mut next = vec![0u32; numbers.len()];
        for &id in ids {
            next[id as usize] += 1;
        }
        let start = self.order.len();
        let mut end = start as u32;
        for id in numbers.ranked() {
            let count = std::mem::replace(&mut next[id as usize], end - start as u32);
            end += count;
            self.keys.push(numbers.get(id));
            self.offsets.push(end);
        }
        self.order.resize(start + ids.len(), 0);
        let order = &mut self.order[start..];
        for (row, &id) in (0u32..).zip(ids) {
            let position = &mut next[id as usize];
            order[*position as usize] = row;
            *position += 1;
        }
    }

    /// Each partition's slots.
    pub(crate) fn partitions(&self) -> Vec<(PartitionId, Range<u32>)> {
        self.sections.iter().map(|section| (section.partition, section.slots.clone())).collect()
    }

    /// Positions of each slot.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.offsets.windows(2).map(|pair| pair[0] as usize..pair[1] as usize)
    }

    /// Positions of a section.
    pub(crate) fn positions(&self, section: &Section) -> Range<usize> {
        let position = |slot: u32| self.offsets[slot as usize] as usize;
        position(section.slots.start)..position(section.slots.end)
    }

    /// Drops the first rows of each slot that `expired` counts, and slots without rows.
    pub(crate) fn drop_leading(&mut self, expired: impl Fn(Range<usize>) -> usize) {
        let mut kept = Layout::with_rows(self.order.len());
        for section in &self.sections {
            let first = kept.keys.len();
            for slot in section.slots.start as usize..section.slots.end as usize {
                let range = self.offsets[slot] as usize..self.offsets[slot + 1] as usize;
                let stays = range.start + expired(range.clone())..range.end;
                if !stays.is_empty() {
                    kept.order.extend_from_slice(&self.order[stays]);
                    kept.keys.push(self.keys[slot]);
                    kept.offsets.push(kept.order.len() as u32);
                }
            }
            if kept.keys.len() > first {
                kept.end_section(section.partition, first, section.pieces.clone());
            }
        }
        *self = kept;
    }
}

/// The pieces of each partition that has rows, given each source's partitions and their rows.
fn pieces_of(sources: &[&[(PartitionId, Range<u32>)]]) -> Vec<(PartitionId, Vec<Piece>)> {
    let of = |(source, parts): (usize, &&[(PartitionId, Range<u32>)])| {
        let filled = parts.iter().filter(|(_, rows)| !rows.is_empty());
        let piece = move |(p, r): &(PartitionId, Range<u32>)| {
            (*p, Piece { source, rows: r.start as usize..r.end as usize })
        };
        filled.map(piece).collect::<Vec<_>>()
    };
    let mut pieces: Vec<(PartitionId, Piece)> = sources.iter().enumerate().flat_map(of).collect();
    // Stable: within a partition the pieces stay in the order of the sources.
    pieces.sort_by_key(|(partition, _)| *partition);
    let mut grouped: Vec<(PartitionId, Vec<Piece>)> = Vec::new();
    for (partition, piece) in pieces {
        match grouped.last_mut() {
            Some((last, pieces)) if *last == partition => pieces.push(piece),
            _ => grouped.push((partition, vec![piece])),
        }
    }
    grouped
}

/// One chunk's part in a layout.
pub(crate) struct ChunkKeys {
    /// Its key values as bytes; None for a table without a key.
    bytes: Option<KeyBytes>,
    /// Which value each row has, if the key column is a dictionary.
    dictionary: Option<(ScalarBuffer<i32>, Option<NullBuffer>)>,
    rows: usize,
    parts: Vec<(PartitionId, Range<u32>)>,
}

impl ChunkKeys {
    /// Of this key column.
    pub(crate) fn new(column: Option<&ArrayRef>, parts: Vec<(PartitionId, Range<u32>)>) -> Result<Self> {
        let bytes = column.map(KeyBytes::new).transpose()?;
        let dictionary = column.filter(|column| matches!(column.data_type(), DataType::Dictionary(..)));
        let dictionary = dictionary.map(|column| {
            let keys = column.as_dictionary::<Int32Type>().keys();
            (keys.values().clone(), keys.nulls().cloned())
        });
        Ok(Self { bytes, dictionary, rows: column.map_or(0, |column| column.len()), parts })
    }
}

/// The number that a dictionary's value has in a section: the section's number, from 1, and the value's.
type Met = (u32, u32);

/// Numbers of the values of the dictionaries that have few: they are met again and again.
struct Known {
    /// By source and value; empty for a dictionary of which hardly a value comes twice.
    met: Vec<Vec<Met>>,
    section: u32,
}

/// A dictionary has few values if this many times as many are no more than the rows.
const FEW_SHARE: usize = 4;

impl Known {
    fn new(chunks: &[ChunkKeys]) -> Self {
        let of = |chunk: &ChunkKeys| match (&chunk.dictionary, &chunk.bytes) {
            (Some(_), Some(bytes)) if bytes.len() * FEW_SHARE <= chunk.rows => vec![(0, 0); bytes.len()],
            _ => Vec::new(),
        };
        Self { met: chunks.iter().map(of).collect(), section: 0 }
    }

    /// Appends the number of the key of each row of a piece.
    fn number<'a>(
        &mut self,
        chunk: &'a ChunkKeys,
        piece: &Piece,
        numbers: &mut Numbers<'a>,
        ids: &mut Vec<u32>,
    ) {
        let (bytes, (values, nulls)) = match (&chunk.bytes, &chunk.dictionary) {
            (Some(bytes), Some((values, nulls))) => (bytes, (&values[piece.rows.clone()], nulls)),
            (bytes, _) => return by_row(bytes.as_ref(), piece, numbers, ids),
        };
        let met = &mut self.met[piece.source];
        for (row, &value) in piece.rows.clone().zip(values) {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                ids.push(numbers.intern(None));
                continue;
            }
            let value = value as usize;
            ids.push(match met.get_mut(value) {
                None => numbers.intern(bytes.get(value)),
                Some((section, id)) => {
                    if *section != self.section {
                        (*section, *id) = (self.section, numbers.intern(bytes.get(value)));
                    }
                    *id
                }
            });
        }
    }
}

fn by_row<'a>(bytes: Option<&'a KeyBytes>, piece: &Piece, numbers: &mut Numbers<'a>, ids: &mut Vec<u32>) {
    let mut last: Option<(Option<&[u8]>, u32)> = None;
    for row in piece.rows.clone() {
        let key = bytes.and_then(|bytes| bytes.get(row));
        let id = match last {
            Some((before, id)) if before == key => id,
            _ => numbers.intern(key),
        };
        last = Some((key, id));
        ids.push(id);
    }
}

/// Slots and order (arrival order within a slot) of the rows of these chunks.
pub(crate) fn of_chunks(chunks: &[ChunkKeys], rows: usize) -> Layout<'_> {
    let sources: Vec<_> = chunks.iter().map(|chunk| chunk.parts.as_slice()).collect();
    let mut known = Known::new(chunks);
    let (mut layout, mut numbers, mut ids) = (Layout::with_rows(rows), Numbers::default(), Vec::new());
    for (partition, pieces) in pieces_of(&sources) {
        known.section += 1;
        for piece in &pieces {
            known.number(&chunks[piece.source], piece, &mut numbers, &mut ids);
        }
        let first = layout.keys.len();
        layout.scatter(&numbers, &ids);
        layout.end_section(partition, first, pieces);
        numbers.clear();
        ids.clear();
    }
    layout
}

/// A sorted input.
pub(crate) struct SortedKeys<'a> {
    /// Partitions and their slots.
    pub(crate) partitions: &'a [(PartitionId, Range<u32>)],
    /// First row of each slot, and the end.
    pub(crate) offsets: &'a [u32],
    /// Keys by slot; None for a table without a key.
    pub(crate) bytes: Option<KeyBytes>,
}

impl SortedKeys<'_> {
    /// The slots of some rows, which begin and end with a slot.
    fn slots_of(&self, rows: &Range<usize>) -> Range<usize> {
        let slot = |row: usize| self.offsets.partition_point(|&offset| (offset as usize) < row);
        slot(rows.start)..slot(rows.end)
    }
}

/// Slots and order of the rows of sorted inputs: within a slot, input after input.
pub(crate) fn of_sorted<'a>(inputs: &'a [SortedKeys<'_>], rows: usize) -> Layout<'a> {
    let parts: Vec<Vec<(PartitionId, Range<u32>)>> = inputs
        .iter()
        .map(|input| {
            let row = |slot: u32| input.offsets[slot as usize];
            input.partitions.iter().map(|(p, slots)| (*p, row(slots.start)..row(slots.end))).collect()
        })
        .collect();
    let sources: Vec<_> = parts.iter().map(Vec::as_slice).collect();
    let mut layout = Layout::with_rows(rows);
    let mut slots: Vec<(Rank<'a>, Range<u32>)> = Vec::new();
    for (partition, pieces) in pieces_of(&sources) {
        slots.clear();
        let mut base = 0;
        for piece in &pieces {
            let input = &inputs[piece.source];
            let row = |slot: usize| input.offsets[slot] + base - piece.rows.start as u32;
            slots.extend(input.slots_of(&piece.rows).map(|slot| {
                let key = input.bytes.as_ref().and_then(|bytes| bytes.get(slot));
                (Rank::of(key), row(slot)..row(slot + 1))
            }));
            base += piece.rows.len() as u32;
        }
        // Each input's slots are sorted: the standard stable sort merges them, and keeps the order of the inputs.
        slots.sort_by(|a, b| a.0.cmp(&b.0));
        let first = layout.keys.len();
        for (rank, rows) in &slots {
            layout.order.extend(rows.clone());
            if layout.keys.len() > first && layout.keys.last() == Some(&rank.key()) {
                layout.offsets.pop();
            } else {
                layout.keys.push(rank.key());
            }
            layout.offsets.push(layout.order.len() as u32);
        }
        layout.end_section(partition, first, pieces);
    }
    layout
}

/// Sorts each slot by tick, stably, where it is not sorted yet; `ticks` are those of the layout's order.
pub(crate) fn sort_by_time(layout: &mut Layout<'_>, ticks: &mut [i64]) {
    let mut scratch: Vec<(i64, u32)> = Vec::new();
    for pair in layout.offsets.windows(2) {
        let range = pair[0] as usize..pair[1] as usize;
        let times = &mut ticks[range.clone()];
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
}

/// Sorts each slot by comparing rows, stably; `rows` are those of all sources, source after source.
pub(crate) fn sort_by_rows(layout: &mut Layout<'_>, rows: &arrow::row::Rows, places: &Places) {
    for section in &layout.sections {
        let places = places.of(section);
        for slot in section.slots.start as usize..section.slots.end as usize {
            let range = layout.offsets[slot] as usize..layout.offsets[slot + 1] as usize;
            let row = |at: u32| rows.row(places[at as usize] as usize);
            layout.order[range].sort_by(|&a, &b| row(a).cmp(&row(b)));
        }
    }
}

/// Where sources begin in the concatenation of all.
pub(crate) struct Places {
    starts: Vec<usize>,
}

impl Places {
    /// Of sources with so many rows.
    pub(crate) fn new(rows: impl Iterator<Item = usize>) -> Self {
        let mut end = 0;
        let starts = rows.map(|rows| {
            end += rows;
            end - rows
        });
        Self { starts: starts.collect() }
    }

    /// The rows of a section in the concatenation of all sources.
    pub(crate) fn of(&self, section: &Section) -> Vec<u32> {
        let piece = |piece: &Piece| {
            let start = self.starts[piece.source];
            (start + piece.rows.start) as u32..(start + piece.rows.end) as u32
        };
        section.pieces.iter().flat_map(piece).collect()
    }
}
