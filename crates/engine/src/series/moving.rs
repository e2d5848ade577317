//! Moving sums and extremes of the last n values, without subtraction: a NaN or a huge value that has left leaves no trace.
//!
//! Values are taken in blocks of n. A window is the end of one block and the beginning of the next: what the end joins to
//! is known from a pass backward over the one, what the beginning joins to from the pass forward over the other.

/// Sums of the last `n` (at least 1) values at each place; fewer at the beginning.
#[must_use]
pub fn moving_sums(values: &[f64], n: usize) -> Vec<f64> {
    moving(values, n, |a, b| a + b)
}

/// Exact sums of the last `n` values.
#[must_use]
pub fn moving_whole_sums(values: &[i64], n: usize) -> Vec<i128> {
    let wide: Vec<i128> = values.iter().map(|value| i128::from(*value)).collect();
    moving(&wide, n, |a, b| a + b)
}

/// The least (`false`) or greatest of the last `n` floats; NaN only when there is nothing else.
#[must_use]
pub fn moving_float_extremes(values: &[f64], n: usize, greatest: bool) -> Vec<f64> {
    match greatest {
        true => moving(values, n, |a: f64, b| if a.is_nan() || b > a { b } else { a }),
        false => moving(values, n, |a: f64, b| if a.is_nan() || b < a { b } else { a }),
    }
}

/// The least (`false`) or greatest of the last `n` integers.
#[must_use]
pub fn moving_extremes(values: &[i64], n: usize, greatest: bool) -> Vec<i64> {
    if greatest { moving(values, n, i64::max) } else { moving(values, n, i64::min) }
}

/// Joins the last `n` values at each place.
#[inline(always)]
fn moving<T: Copy>(values: &[T], n: usize, join: impl Fn(T, T) -> T) -> Vec<T> {
    let n = n.max(1);
    let mut out: Vec<T> = Vec::with_capacity(values.len());
    // Of the block before: what its values from each place on join to.
    let mut ends: Vec<T> = Vec::new();
    for block in values.chunks(n) {
        let mut beginning: Option<T> = None;
        for (at, &value) in block.iter().enumerate() {
            let joined = beginning.map_or(value, |before| join(before, value));
            beginning = Some(joined);
            out.push(match ends.get(at + 1) {
                Some(&end) => join(end, joined),
                None => joined,
            });
        }
        if out.len() == values.len() {
            break;
        }
        ends.clear();
        ends.extend_from_slice(block);
        for at in (0..ends.len() - 1).rev() {
            ends[at] = join(ends[at], ends[at + 1]);
        }
    }
    out
}
