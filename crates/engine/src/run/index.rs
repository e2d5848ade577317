//! The index of a run: which rows belong to which partition and key, and statistics per key and for all rows.
//!
//! A *slot* is one (partition, key) pair: a contiguous row range. Slots ascend by partition, then key (NULL first).
//! Tables without a key have one slot per partition.

use std::ops::Range;

use arrow::array::{Array, ArrayRef};
use zepto_common::{ColumnId, Error, ErrorCode, PartitionId, Result};

/// Average rows per slot below which statistics per slot are left out: they would outweigh the rows.
pub const ROWS_PER_SLOT_MIN: usize = 32;

/// Where everything lies in a run.
#[derive(Debug, Clone)]
pub struct RunIndex {
    /// Partition and its range of slots, ascending, covering all slots.
    pub partitions: Vec<(PartitionId, Range<u32>)>,
    /// The key of each slot (text as Utf8, else the key's storage type); None for a table without a key.
    pub keys: Option<ArrayRef>,
    /// First row of each slot, and the number of rows at the end: slots + 1 values.
    pub offsets: Vec<u32>,
    /// Smallest and largest tick of each slot, if the table has a time column; its rows ascend by it.
    pub times: Option<(Vec<i64>, Vec<i64>)>,
    /// Statistics per slot of the number columns (not the key); empty if there are few rows per slot.
    pub stats: Vec<(ColumnId, KeyStats)>,
    /// Statistics of all rows, per column.
    pub columns: Vec<(ColumnId, ColumnStats)>,
}

/// Statistics of one number column, each with one value per slot.
///
/// A NaN is a value: it is counted, makes the sum NaN, and can be first or last. It is smallest or largest only in
/// a slot where every value is NaN. Where a slot has no value, min, max, first and last are NULL.
#[derive(Debug, Clone)]
pub struct KeyStats {
    /// Values that are not NULL.
    pub counts: Vec<u32>,
    /// Sums.
    pub sums: Sums,
    /// Smallest values, in the column's storage type.
    pub min: ArrayRef,
    /// Largest values.
    pub max: ArrayRef,
    /// First non-NULL values in row order: by time, then arrival.
    pub first: ArrayRef,
    /// Last non-NULL values in row order.
    pub last: ArrayRef,
}

/// Sums per slot.
#[derive(Debug, Clone, PartialEq)]
pub enum Sums {
    /// Of integers and of decimals' unscaled values; exact.
    I(Vec<i128>),
    /// Of floats, added in row order.
    F(Vec<f64>),
}

/// Statistics of one column over all rows, exact.
#[derive(Debug, Clone)]
pub struct ColumnStats {
    /// NULL rows.
    pub nulls: u64,
    /// NaN rows (they are no NULLs, and neither min nor max unless there is nothing else).
    pub nans: u64,
    /// Smallest value, an array of one row (text as Utf8); None if all are NULL, the type has no order, or the
    /// value is longer than [`EXTREME_BYTES_MAX`].
    pub min: Option<ArrayRef>,
    /// Largest value, likewise.
    pub max: Option<ArrayRef>,
    /// Sum of a number column; None for others and for a decimal sum beyond 128 bits.
    pub sum: Option<Sum>,
}

/// Bytes of a text that is kept as a column's smallest or largest value.
pub const EXTREME_BYTES_MAX: usize = 256;

/// A sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sum {
    /// Of integers and of decimals' unscaled values; exact.
    I(i128),
    /// Of floats.
    F(f64),
}

impl RunIndex {
    /// Number of slots.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.offsets.last().map_or(0, |&rows| rows as usize)
    }

    /// Row range of a slot.
    #[must_use]
    pub fn slot_rows(&self, slot: usize) -> Range<usize> {
        self.offsets[slot] as usize..self.offsets[slot + 1] as usize
    }

    /// The partition that a slot belongs to; None beyond the last slot.
    #[must_use]
    pub fn partition_of_slot(&self, slot: usize) -> Option<PartitionId> {
        let slot = u32::try_from(slot).ok()?;
        let at = self.partitions.partition_point(|(_, slots)| slots.end <= slot);
        self.partitions.get(at).filter(|(_, slots)| slots.contains(&slot)).map(|(partition, _)| *partition)
    }

    /// The slot that holds this row (which exists).
    #[must_use]
    pub fn slot_of(&self, row: usize) -> usize {
        self.offsets.partition_point(|&start| start as usize <= row).saturating_sub(1)
    }

    /// Partition and row range, ascending.
    pub fn partition_rows(&self) -> impl Iterator<Item = (PartitionId, Range<usize>)> + '_ {
        self.partitions.iter().map(|(partition, slots)| {
            let (start, end) = (self.offsets[slots.start as usize], self.offsets[slots.end as usize]);
            (*partition, start as usize..end as usize)
        })
    }

    /// Smallest and largest tick of all rows.
    #[must_use]
    pub fn time_range(&self) -> Option<(i64, i64)> {
        let (min, max) = self.times.as_ref()?;
        Some((*min.iter().min()?, *max.iter().max()?))
    }

    /// Statistics per slot of a column.
    #[must_use]
    pub fn key_stats(&self, column: ColumnId) -> Option<&KeyStats> {
        self.stats.iter().find(|(id, _)| *id == column).map(|(_, stats)| stats)
    }

    /// Statistics of all rows of a column.
    #[must_use]
    pub fn column_stats(&self, column: ColumnId) -> Option<&ColumnStats> {
        self.columns.iter().find(|(id, _)| *id == column).map(|(_, stats)| stats)
    }

    /// Bytes held.
    #[must_use]
    pub fn memory(&self) -> usize {
        let keys = self.keys.as_ref().map_or(0, super::columns::memory);
        let per_slot = self.offsets.len() * 4 + self.times.as_ref().map_or(0, |(min, _)| min.len() * 16);
        let stats: usize = self.stats.iter().map(|(_, stats)| stats.memory()).sum();
        keys + per_slot + stats + self.partitions.len() * 12 + self.columns.len() * size_of::<ColumnStats>()
    }

    /// Checks what readers rely on, so that a foreign or damaged index is refused and not followed.
    ///
    /// # Errors
    /// `CorruptedData`, naming what does not fit.
    pub fn check(&self) -> Result<()> {
        let slots = self.slots();
        let fault = |what: &str| Err(Error::new(ErrorCode::CorruptedData, format!("run index: {what}")));
        if self.offsets.first() != Some(&0) || !self.offsets.windows(2).all(|pair| pair[0] < pair[1]) {
            return fault("row offsets do not ascend from 0");
        }
        let mut end = 0;
        for (_, range) in &self.partitions {
            if range.start != end || range.end <= range.start {
                return fault("partitions do not cover the slots");
            }
            end = range.end;
        }
        if end as usize != slots || !self.partitions.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            return fault("partitions do not ascend or do not cover the slots");
        }
        let times_fit = self.times.as_ref().is_none_or(|(min, max)| {
            min.len() == slots && max.len() == slots && min.iter().zip(max).all(|(min, max)| min <= max)
        });
        let keys_fit = self.keys.as_ref().is_none_or(|keys| keys.len() == slots);
        if !times_fit || !keys_fit || !self.stats.iter().all(|(_, stats)| stats.len_is(slots)) {
            return fault("not one value per slot");
        }
        Ok(())
    }
}

impl KeyStats {
    fn len_is(&self, slots: usize) -> bool {
        let sums = match &self.sums {
            Sums::I(sums) => sums.len(),
            Sums::F(sums) => sums.len(),
        };
        let arrays = [&self.min, &self.max, &self.first, &self.last];
        self.counts.len() == slots && sums == slots && arrays.iter().all(|array| array.len() == slots)
    }

    fn memory(&self) -> usize {
        let sums = match &self.sums {
            Sums::I(sums) => sums.len() * 16,
            Sums::F(sums) => sums.len() * 8,
        };
        let arrays = [&self.min, &self.max, &self.first, &self.last];
        self.counts.len() * 4 + sums + arrays.iter().map(|array| super::columns::memory(array)).sum::<usize>()
    }
}
