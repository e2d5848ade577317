use super::merge::{groups_to_merge, tail_to_merge};

#[test]
fn the_number_of_chunks_stays_logarithmic_under_single_rows() {
    let (mut chunks, mut most, mut copied) = (Vec::new(), 0, 0usize);
    for _ in 0..100_000 {
        chunks.push(1usize);
        while let Some(range) = tail_to_merge(chunks.iter().copied()) {
            let merged = chunks.drain(range).sum();
            copied += merged;
            chunks.push(merged);
        }
        most = most.max(chunks.iter().filter(|&&rows| rows < 4096).count());
    }
    assert_eq!(chunks.iter().sum::<usize>(), 100_000);
    assert!(most <= 24, "{most} small chunks");
    assert!(copied <= 10 * 100_000, "{copied} rows copied");
}

#[test]
fn merge_groups_keep_to_the_row_limit_and_leave_large_chunks() {
    assert_eq!(groups_to_merge(&[1, 2, 3], 100), vec![0..3]);
    assert_eq!(groups_to_merge(&[60, 60, 30, 200, 5], 100), vec![1..3]);
    assert_eq!(groups_to_merge(&[1, 2, 4096, 3, 3], 10_000), vec![0..2, 3..5]);
    assert!(groups_to_merge(&[5000, 5000, 1, 9000], 100_000).is_empty());
    assert!(groups_to_merge(&[100], 100).is_empty());
    assert!(groups_to_merge(&[], 100).is_empty());
}
