//! Arithmetic over rows that lie sorted by time: where buckets begin, and what a bucket's rows add up to.
//!
//! Pure: slices in, numbers out. A [`Source`] is the sorted rows of one part; rows of one key that lie in several
//! sources are not merged row by row but cut into buckets each, and the cuts of one bucket are folded one after the
//! other. Sources are listed as their rows arrived, so of equal times the earlier source's row came first.

mod fold;
mod nearest;
mod numbers;
#[cfg(test)]
mod tests;

use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::buffer::ScalarBuffer;
use zepto_common::Result;

pub use fold::{Candle, Edge, Fold, Folded, Measure, Moments};
pub use nearest::{NO_ROW, Nearest, in_order, nearest};
pub use numbers::{Numbers, Values, is_number};

/// Sorted rows: their ticks, ascending within each key, and number columns.
#[derive(Debug, Clone)]
pub struct Source {
    /// Raw ticks of the time column; empty where nobody asks for them.
    pub ticks: ScalarBuffer<i64>,
    /// Columns of as many rows.
    pub columns: Vec<Numbers>,
}

/// Rows of one source that belong to one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The bucket's number: its start divided by the width.
    pub bucket: i64,
    /// Which source.
    pub source: u32,
    /// Its rows.
    pub rows: Range<usize>,
}

/// Raw ticks of a time column.
///
/// # Errors
/// `LogicalError` for another type.
pub fn ticks(column: &ArrayRef) -> Result<ScalarBuffer<i64>> {
    crate::run::columns::ticks(column)
}

/// Cuts ascending ticks at multiples of `width` (more than 0) and appends the cuts; a width of None is one cut.
pub fn cut(ticks: &[i64], rows: Range<usize>, source: u32, width: Option<i64>, cuts: &mut Vec<Cut>) {
    let Some(width) = width else {
        if !rows.is_empty() {
            cuts.push(Cut { bucket: 0, source, rows });
        }
        return;
    };
    let (mut at, mut stride) = (rows.start, 1);
    while at < rows.end {
        let bucket = ticks[at].div_euclid(width);
        // A bucket that ends beyond the last tick there is takes all that is left.
        let end = match bucket.checked_add(1).and_then(|next| next.checked_mul(width)) {
            Some(bound) => first_not_below(&ticks[..rows.end], at, bound, stride),
            None => rows.end,
        };
        cuts.push(Cut { bucket, source, rows: at..end });
        stride = end - at;
        at = end;
    }
}

/// The first place at or after `from` whose tick is not below `bound`; `ticks[from]` is. Looks near `from + guess`
/// first: neighbouring buckets have about as many rows.
fn first_not_below(ticks: &[i64], from: usize, bound: i64, guess: usize) -> usize {
    let (mut low, mut high) = (from, ticks.len());
    let (mut at, mut reach) = (from.saturating_add(guess.max(1)), (guess / 8).max(4));
    while at > low && at < high {
        if ticks[at] < bound {
            low = at;
            at = at.saturating_add(reach);
        } else {
            high = at;
            at = at.saturating_sub(reach);
        }
        reach = reach.saturating_mul(2);
    }
    low + 1 + ticks[low + 1..high].partition_point(|&tick| tick < bound)
}

/// Folds one key's rows: cuts the stretches (source and rows, as they arrived) into buckets, pushes each bucket as a
/// group to every fold, and appends a tick of each group. Gives the number of groups.
pub fn fold_key(
    sources: &[Source],
    stretches: &[(usize, Range<usize>)],
    width: Option<i64>,
    cuts: &mut Vec<Cut>,
    folds: &mut [Fold],
    group_ticks: &mut Vec<i64>,
) -> usize {
    cuts.clear();
    for (source, rows) in stretches {
        cut(&sources[*source].ticks, rows.clone(), *source as u32, width, cuts);
    }
    if stretches.len() > 1 {
        // The cuts of each stretch ascend already; those of one bucket keep their order.
        cuts.sort_by_key(|cut| cut.bucket);
    }
    let mut groups = 0;
    for group in cuts.chunk_by(|one, next| one.bucket == next.bucket) {
        for fold in &mut *folds {
            fold.push(sources, group);
        }
        group_ticks.extend(group.first().map(|cut| sources[cut.source as usize].ticks[cut.rows.start]));
        groups += 1;
    }
    groups
}
