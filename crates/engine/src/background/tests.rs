use super::compact::{Candidate, choose};
use super::ttl::cutoff_at;

fn segments(rows: &[u64]) -> Vec<Candidate> {
    let segment = |(i, &rows): (usize, &u64)| Candidate {
        rows,
        bytes: rows * 20,
        times: Some((i as i64 * 100, i as i64 * 100 + 99)),
    };
    rows.iter().enumerate().map(segment).collect()
}

#[test]
fn four_neighbours_of_one_class_are_merged_and_large_ones_left_alone() {
    assert_eq!(choose(&segments(&[1000, 1000, 1000]), None), None);
    assert_eq!(choose(&segments(&[4_000_000, 1000, 1000, 1000, 1000]), None), Some(1..5));
    assert_eq!(choose(&segments(&[4_000_000, 300_000, 1000, 1000]), None), None);
    assert_eq!(choose(&segments(&[6_000_000, 6_000_000, 6_000_000, 6_000_000]), None), None);
}

#[test]
fn the_number_of_segments_stays_logarithmic() {
    let mut rows: Vec<u64> = Vec::new();
    let (mut merged_rows, mut most) = (0, 0);
    for _ in 0..1_000 {
        rows.push(20_000);
        while let Some(range) = choose(&segments(&rows), None) {
            let sum: u64 = rows.drain(range.clone()).sum();
            merged_rows += sum;
            rows.insert(range.start, sum);
        }
        most = most.max(rows.len());
    }
    assert_eq!(rows.iter().sum::<u64>(), 20_000_000);
    assert!(most <= 20, "{most} segments");
    assert!(merged_rows <= 8 * 20_000_000, "{merged_rows} rows were merged");
}

#[test]
fn with_a_ttl_a_merge_covers_no_more_than_its_span() {
    assert_eq!(choose(&segments(&[1000; 8]), Some(1_000)), Some(0..8));
    assert_eq!(choose(&segments(&[1000; 8]), Some(450)), Some(4..8));
    assert_eq!(choose(&segments(&[1000; 8]), Some(250)), None);
}

#[test]
fn a_cutoff_is_in_ticks_of_the_column_and_never_overflows() {
    let now = 1_700_000_000_000_000_000;
    assert_eq!(cutoff_at(now, 100, 1), Some(1_699_999_900));
    assert_eq!(cutoff_at(now, 100, 1_000_000_000), Some(now - 100_000_000_000));
    assert_eq!(cutoff_at(now, u64::MAX, 1_000_000_000), None);
}
