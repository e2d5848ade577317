//! Work by partition: all rows of a key lie in one partition, so a partition's rows can be finished alone.

use std::collections::BTreeMap;
use std::ops::Range;

use zepto_common::PartitionId;
use zepto_engine::Part;

use crate::provider::{Piece, Work};

/// What one part has for a unit.
#[derive(Debug, Clone)]
pub(super) struct Share {
    /// The part.
    pub(super) part: Part,
    /// Ascending and disjoint.
    pub(super) ranges: Vec<Range<usize>>,
    /// Whether every row of the ranges is wanted.
    pub(super) exact: bool,
}

/// The wanted rows of one partition.
#[derive(Debug, Clone, Default)]
pub(super) struct Unit {
    /// As their rows arrived.
    pub(super) shares: Vec<Share>,
    /// Rows in all ranges.
    pub(super) rows: usize,
}

impl Unit {
    /// Rows that must be copied to be held: those of files and of memtables.
    pub(super) fn copied_rows(&self) -> usize {
        let copied = self.shares.iter().filter(|share| !matches!(share.part, Part::Run(_)));
        copied.flat_map(|share| &share.ranges).map(Range::len).sum()
    }

    /// Rows that are held, with those between the ranges.
    pub(super) fn held_rows(&self) -> usize {
        let hull = |share: &Share| match (share.ranges.first(), share.ranges.last()) {
            (Some(first), Some(last)) => last.end - first.start,
            _ => 0,
        };
        self.shares.iter().map(hull).sum()
    }
}

/// The units of this work, by partition.
pub(super) fn by_partition(work: &Work) -> BTreeMap<PartitionId, Unit> {
    let mut units: BTreeMap<PartitionId, Unit> = BTreeMap::new();
    for piece in &work.pieces {
        for (partition, ranges) in cut(piece) {
            let unit = units.entry(partition).or_default();
            unit.rows += ranges.iter().map(Range::len).sum::<usize>();
            unit.shares.push(Share { part: piece.part.clone(), ranges, exact: piece.exact });
        }
    }
    units
}

/// The ranges of a piece by partition.
fn cut(piece: &Piece) -> Vec<(PartitionId, Vec<Range<usize>>)> {
    let partitions = piece.part.partition_rows();
    let mut cut: Vec<(PartitionId, Vec<Range<usize>>)> = Vec::new();
    let mut at = 0;
    for range in &piece.ranges {
        let mut start = range.start;
        while start < range.end {
            at += partitions[at..].partition_point(|(_, rows)| rows.end <= start);
            let Some((partition, rows)) = partitions.get(at) else { break };
            let end = range.end.min(rows.end);
            match cut.last_mut() {
                Some((last, ranges)) if last == partition => ranges.push(start..end),
                _ => cut.push((*partition, std::iter::once(start..end).collect())),
            }
            start = end;
        }
    }
    cut
}

/// Spreads units over at most `most` lists of about equal length.
pub(super) fn spread<T>(mut units: Vec<T>, most: usize, rows: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    units.sort_by_key(|unit| std::cmp::Reverse(rows(unit)));
    let mut lists: Vec<(usize, Vec<T>)> = Vec::new();
    for unit in units {
        let length = rows(&unit);
        let full = lists.len() >= most.max(1);
        match lists.iter_mut().min_by_key(|list| list.0).filter(|_| full) {
            Some(list) => {
                list.0 += length;
                list.1.push(unit);
            }
            None => lists.push((length, vec![unit])),
        }
    }
    if lists.is_empty() {
        lists.push((0, Vec::new()));
    }
    lists.into_iter().map(|(_, units)| units).collect()
}
