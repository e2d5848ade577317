//! Largest triangle three buckets: which points of a line keep its shape. Pure.

/// The places of the points that are kept, at most `wanted`, ascending. Points are sorted by x.
pub(super) fn kept(line: &[(f64, f64)], wanted: usize) -> Vec<usize> {
    let count = line.len();
    if wanted >= count {
        return (0..count).collect();
    }
    match wanted {
        0 => return Vec::new(),
        1 => return vec![0],
        2 => return vec![0, count - 1],
        _ => {}
    }
    let width = (count - 2) as f64 / (wanted - 2) as f64;
    let edge = |bucket: usize| ((bucket as f64 * width) as usize + 1).min(count - 1);
    let mut chosen = vec![0];
    let mut last = 0;
    for bucket in 0..wanted - 2 {
        let (start, end) = (edge(bucket), edge(bucket + 1));
        let next = end..edge(bucket + 2).max(end + 1).min(count);
        let size = next.len() as f64;
        let (sum_x, sum_y) = line[next].iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        let (mean_x, mean_y) = (sum_x / size, sum_y / size);
        let (from_x, from_y) = line[last];
        let area = |at: &usize| {
            let (x, y) = line[*at];
            ((from_x - mean_x) * (y - from_y) - (from_x - x) * (mean_y - from_y)).abs()
        };
        let mut best = start;
        for at in start..end.max(start + 1) {
            if area(&at) > area(&best) {
                best = at;
            }
        }
        chosen.push(best);
        last = best;
    }
    chosen.push(count - 1);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_and_the_peak_of_a_line_are_kept() {
        let line: Vec<(f64, f64)> =
            (0..100).map(|x| (f64::from(x), if x == 40 { 9.0 } else { 0.0 })).collect();
        let kept = kept(&line, 10);
        assert_eq!(kept.len(), 10);
        assert_eq!((kept[0], kept[9]), (0, 99));
        assert!(kept.contains(&40));
        assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_short_line_is_kept_whole() {
        let line = [(0.0, 1.0), (1.0, 2.0)];
        assert_eq!(kept(&line, 5), [0, 1]);
        assert_eq!(kept(&line, 1), [0]);
        assert_eq!(kept(&line, 0), [0; 0]);
    }
}
