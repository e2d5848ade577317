//! Which small chunks of a memtable to make one of, so that their number stays logarithmic in the rows.

use std::ops::Range;

/// Upper bounds (rows) of the size classes below which chunks are merged at once; each has [`FAN_IN`] at most.
const CLASSES: [usize; 3] = [64, 512, 4096];
/// How many chunks of one class make one of the next.
const FAN_IN: usize = 8;

/// The chunks to merge now, given the rows of each from the oldest to the newest; None when there are few. It
/// looks at the end of the list only: there the chunks get smaller, class by class.
pub(crate) fn tail_to_merge(
    rows: impl DoubleEndedIterator<Item = usize> + ExactSizeIterator,
) -> Option<Range<usize>> {
    let mut end = rows.len();
    let mut newest_first = rows.rev().peekable();
    for class in CLASSES {
        let mut same = 0;
        while newest_first.next_if(|&rows| rows < class).is_some() {
            same += 1;
        }
        if same >= FAN_IN {
            return Some(end - same..end);
        }
        end -= same;
    }
    None
}

/// Rows of a chunk that is left as it is: its own cost in a scan is small by then, and a merge would copy it once more
/// before it is sealed.
pub(crate) const LARGE_ROWS: usize = 4_096;

/// Groups of small neighbours to merge when there is time: each of at least two chunks, at most `rows_max` rows.
pub(crate) fn groups_to_merge(rows: &[usize], rows_max: usize) -> Vec<Range<usize>> {
    let (mut groups, mut start, mut sum) = (Vec::new(), 0, 0);
    for (index, &count) in rows.iter().enumerate() {
        if count >= LARGE_ROWS {
            if index - start > 1 {
                groups.push(start..index);
            }
            (start, sum) = (index + 1, 0);
            continue;
        }
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
