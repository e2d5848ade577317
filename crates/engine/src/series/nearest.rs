//! As-of: for each of ascending times the row of another ascending list that is nearest on one side.

/// Stands for no row.
pub const NO_ROW: u32 = u32::MAX;

/// Which row is taken for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nearest {
    /// The last at or before it.
    AtOrBefore,
    /// The last before it.
    Before,
    /// The first time at or after it; of rows with that time the last.
    AtOrAfter,
    /// The first time after it; of rows with that time the last.
    After,
}

/// Writes for each time the place in `others` of its nearest, or [`NO_ROW`]. Both ascend; `found` has a place for
/// each time. `others` has fewer than 2^32 - 1 rows.
pub fn nearest(times: &[i64], others: &[i64], which: Nearest, found: &mut [u32]) {
    match which {
        Nearest::AtOrBefore => before(times, others, |other, time| other <= time, found),
        Nearest::Before => before(times, others, |other, time| other < time, found),
        Nearest::AtOrAfter => after(times, others, |other, time| other < time, found),
        Nearest::After => after(times, others, |other, time| other <= time, found),
    }
}

/// The last of the others that pass.
#[inline(always)]
fn before(times: &[i64], others: &[i64], passes: impl Fn(i64, i64) -> bool, found: &mut [u32]) {
    let mut at = 0;
    for (time, found) in times.iter().zip(found) {
        while at < others.len() && passes(others[at], *time) {
            at += 1;
        }
        // Before the first: 0 - 1 is NO_ROW.
        *found = (at as u32).wrapping_sub(1);
    }
}

/// The last with the time of the first that does not pass.
#[inline(always)]
fn after(times: &[i64], others: &[i64], passes: impl Fn(i64, i64) -> bool, found: &mut [u32]) {
    let (mut at, mut end) = (0, 0);
    for (time, found) in times.iter().zip(found) {
        while at < others.len() && passes(others[at], *time) {
            at += 1;
        }
        if at == others.len() {
            *found = NO_ROW;
            continue;
        }
        end = end.max(at + 1);
        while end < others.len() && others[end] == others[at] {
            end += 1;
        }
        *found = end as u32 - 1;
    }
}

/// Times and rows of several ascending stretches as one ascending list; of equal times the earlier stretch's come first.
pub fn in_order(stretches: &[(&[i64], u32)], times: &mut Vec<i64>, rows: &mut Vec<u32>) {
    times.clear();
    rows.clear();
    let mut chained = true;
    for (ticks, first) in stretches {
        chained &= match (times.last(), ticks.first()) {
            (Some(last), Some(next)) => last <= next,
            _ => true,
        };
        times.extend_from_slice(ticks);
        rows.extend(*first..*first + ticks.len() as u32);
    }
    if chained {
        return;
    }
    let mut order: Vec<(i64, u32)> = times.iter().copied().zip(rows.iter().copied()).collect();
    // Stable, and quick where stretches ascend already.
    order.sort_by_key(|(time, _)| *time);
    for ((time, row), (to_time, to_row)) in order.into_iter().zip(times.iter_mut().zip(rows)) {
        (*to_time, *to_row) = (time, row);
    }
}
