//! Which small chunks of a memtable to make one of, so that their number stays logarithmic in the rows.

use std::ops::Range;

/// Chunks below one of these sizes (rows) are merged when there are [`FAN_IN`] of them in a row.
const TIERS: [usize; 3] = [64, 512, 4096];
/// How many chunks make one merge.
const FAN_IN: usize = 8;

/// The chunks at the end of the list to merge now, given the rows of each; None when there are few.
pub(crate) fn tail_to_merge(
    rows: impl DoubleEndedIterator<Item = usize> + ExactSizeIterator + Clone,
) -> Option<Range<usize>> {
    let total = rows.len();
    TIERS.iter().find_map(|&tier| {
        let small = rows.clone().rev().take_while(|&rows| rows < tier).count();
        (small >= FAN_IN).then(|| total - small..total)
    })
}

/// Groups of neighbours to merge when there is time: each of at least two chunks, at most `rows_max` rows.
pub(crate) fn groups_to_merge(rows: &[usize], rows_max: usize) -> Vec<Range<usize>> {
    let (mut groups, mut start, mut sum) = (Vec::new(), 0, 0);
    for (index, &count) in rows.iter().enumerate() {
        if sum + count > rows_max {
            if index - start > 1 {
                groups.push(start..index);
            }
            (start, sum) = (index, 0);
        }
        sum += count;
    }
    if rows.len() - start > 1 {
        groups.push(start..rows.len());
    }
    groups
}
