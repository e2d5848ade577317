//! What a table knows of the sources of its feeds, for the partitions of one drain thread (replication rule: each
//! partition keeps the highest offset that it has of a source, and trims rows at or below it). Pure.

use std::collections::BTreeMap;

use arrow::array::{Array, UInt64Array};
use zepto_common::limits::FEED_SOURCES_MAX;
use zepto_common::{Error, ErrorCode, PartitionId, Result};

/// The next offset to read, by the number of a source's partition.
pub(crate) type Resume = BTreeMap<u32, u64>;

/// Offsets that were seen, and positions from which feeds go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// By source: the highest offset that each partition has rows of.
    pub(super) high: BTreeMap<u128, BTreeMap<PartitionId, u64>>,
    /// By the partition that keeps them, and the stream.
    pub(super) resume: BTreeMap<(PartitionId, String), Resume>,
}

impl Marks {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.high.is_empty() && self.resume.is_empty()
    }

    /// How many rows of a partition's part are there already. `offsets`: of its rows, not falling.
    #[must_use]
    pub fn known(&self, source: u128, partition: PartitionId, offsets: &[u64]) -> usize {
        let high = self.high.get(&source).and_then(|of| of.get(&partition));
        high.map_or(0, |high| offsets.partition_point(|offset| offset <= high))
    }

    /// The highest offset of a source, where one partition is all that there is.
    #[must_use]
    pub fn highest(&self, source: u128) -> Option<u64> {
        self.high.get(&source)?.values().max().copied()
    }

    /// Whether there is room for this source.
    ///
    /// # Errors
    /// `TooManyRowsOrBytes`: the table remembers too many sources.
    pub fn check_room(&self, source: u128) -> Result<()> {
        if self.high.len() < FEED_SOURCES_MAX || self.high.contains_key(&source) {
            return Ok(());
        }
        let message = format!(
            "a table remembers the offsets of at most {FEED_SOURCES_MAX} source partitions: use another table"
        );
        Err(Error::new(ErrorCode::TooManyRowsOrBytes, message))
    }

    /// Notes that a partition has rows up to this offset; gives what it had before.
    pub fn raise(&mut self, source: u128, partition: PartitionId, offset: u64) -> Option<u64> {
        let of = self.high.entry(source).or_default();
        let before = of.get(&partition).copied();
        of.insert(partition, before.map_or(offset, |before| before.max(offset)));
        before
    }

    /// Takes a [`Self::raise`] back.
    pub fn restore(&mut self, source: u128, partition: PartitionId, before: Option<u64>) {
        let of = self.high.entry(source).or_default();
        match before {
            Some(offset) => drop(of.insert(partition, offset)),
            None => drop(of.remove(&partition)),
        }
        if of.is_empty() {
            self.high.remove(&source);
        }
    }

    /// Raises the resume positions of a stream; they never fall.
    pub fn resume_at(
        &mut self,
        home: PartitionId,
        stream: &str,
        raise: impl IntoIterator<Item = (u32, u64)>,
    ) {
        let of = self.resume.entry((home, stream.to_owned())).or_default();
        for (source, offset) in raise {
            let known = of.entry(source).or_insert(offset);
            *known = offset.max(*known);
        }
    }

    /// The positions of all streams.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (&str, &Resume)> {
        self.resume.iter().map(|((_, stream), resume)| (stream.as_str(), resume))
    }

    /// Takes over what another knows of the partitions that `keep` says yes to.
    pub(super) fn absorb(&mut self, other: &Self, keep: &impl Fn(PartitionId) -> bool) {
        for (&source, of) in &other.high {
            for (&partition, &offset) in of.iter().filter(|(partition, _)| keep(**partition)) {
                self.raise(source, partition, offset);
            }
        }
        for ((home, stream), resume) in other.resume.iter().filter(|((home, _), _)| keep(*home)) {
            self.resume_at(*home, stream, resume.iter().map(|(source, offset)| (*source, *offset)));
        }
    }
}

/// The offsets of some rows.
pub(crate) fn slice(offsets: &UInt64Array, first: u32, rows: u32) -> &[u64] {
    debug_assert_eq!(offsets.null_count(), 0, "offsets are checked when they come in");
    &offsets.values()[first as usize..(first + rows) as usize]
}
