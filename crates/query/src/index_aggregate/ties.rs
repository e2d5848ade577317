//! Whether a tick of one part may be held by another part that has rows of the same keys.
//!
//! Rows of one key lie in one partition, so only parts that share a partition can tie. Per partition the parts'
//! ranges of time are kept as two sorted lists: how many ranges hold a tick is then a difference of two ranks, so
//! that thousands of parts cost no more than a sort.

use std::collections::HashMap;

use zepto_common::PartitionId;
use zepto_engine::Part;

use crate::provider::Piece;

/// The ranges of time of all parts, by partition.
#[derive(Debug, Default)]
pub(super) struct Ties {
    partitions: HashMap<PartitionId, Ranges>,
}

#[derive(Debug, Default)]
struct Ranges {
    /// Ascending.
    starts: Vec<i64>,
    /// Ascending; inclusive.
    ends: Vec<i64>,
}

impl Ties {
    /// The ranges of these pieces. A part whose times are not known counts as holding every tick.
    pub(super) fn of(pieces: &[Piece]) -> Self {
        let mut ties = Self::default();
        for piece in pieces {
            let (start, end) = piece.part.time_range().unwrap_or((i64::MIN, i64::MAX));
            ties.add(&piece.part, start, end);
        }
        for ranges in ties.partitions.values_mut() {
            ranges.starts.sort_unstable();
            ranges.ends.sort_unstable();
        }
        ties
    }

    fn add(&mut self, part: &Part, start: i64, end: i64) {
        let mut into = |partition: PartitionId| {
            let ranges = self.partitions.entry(partition).or_default();
            ranges.starts.push(start);
            ranges.ends.push(end);
        };
        match part {
            Part::Chunk(chunk) => chunk.parts.iter().for_each(|(partition, _)| into(*partition)),
            sorted => {
                let partitions = sorted.index().map_or(&[][..], |index| &index.partitions);
                partitions.iter().for_each(|(partition, _)| into(*partition));
            }
        }
    }

    /// Whether a part besides the one that holds this tick may hold it too.
    pub(super) fn may_tie(&self, partition: PartitionId, tick: i64) -> bool {
        let Some(ranges) = self.partitions.get(&partition) else { return true };
        let begun = ranges.starts.partition_point(|&start| start <= tick);
        let over = ranges.ends.partition_point(|&end| end < tick);
        begun - over > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ties(ranges: &[(i64, i64)]) -> Ties {
        let mut starts: Vec<_> = ranges.iter().map(|range| range.0).collect();
        let mut ends: Vec<_> = ranges.iter().map(|range| range.1).collect();
        starts.sort_unstable();
        ends.sort_unstable();
        Ties { partitions: HashMap::from([(PartitionId(3), Ranges { starts, ends })]) }
    }

    #[test]
    fn a_tick_ties_exactly_where_two_ranges_hold_it() {
        let ranges = [(0, 10), (10, 20), (15, 15), (30, 40), (32, 33)];
        let ties = ties(&ranges);
        for tick in -1..42 {
            let held = ranges.iter().filter(|(start, end)| (*start..=*end).contains(&tick)).count();
            assert_eq!(ties.may_tie(PartitionId(3), tick), held > 1, "{tick}");
        }
        assert!(ties.may_tie(PartitionId(4), 5), "a partition that no part named");
    }
}
