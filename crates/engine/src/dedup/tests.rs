//! Laws of the deduplication window.

use proptest::prelude::*;
use zepto_common::{BatchId, ErrorCode, PartitionId, SchemaVersion};

use super::{BatchKey, Changed, Content, PartRows, Verdict, Window, WindowLimits};

const V1: SchemaVersion = SchemaVersion(1);

fn producer(sequence: u64) -> BatchKey {
    BatchKey { batch: BatchId::Producer { producer: 7, sequence }, block: 0 }
}

fn token(name: &str) -> BatchKey {
    BatchKey { batch: BatchId::from_token(name), block: 0 }
}

fn parts(list: &[(u16, u32)]) -> Vec<PartRows> {
    list.iter().map(|&(partition, rows)| (PartitionId(partition), rows)).collect()
}

fn content(payload: &[u8]) -> Content {
    Content::hashed(V1, payload)
}

fn limits(batches: usize) -> WindowLimits {
    WindowLimits { batches, ..WindowLimits::default() }
}

fn code<T: std::fmt::Debug>(outcome: crate::Result<T>) -> ErrorCode {
    outcome.unwrap_err().code()
}

#[test]
fn a_batch_is_new_once_and_a_duplicate_from_then_on() {
    let mut window = Window::default();
    let (key, parts, content) = (token("a"), parts(&[(1, 10), (5, 3)]), content(b"rows"));
    assert_eq!(window.check(&key, &parts, &content).unwrap(), Verdict::New);
    window.record(key, &parts, content, 0);
    assert_eq!(window.check(&key, &parts, &content).unwrap(), Verdict::Duplicate { pending: false });
    assert_eq!(window.check(&BatchKey { block: 1, ..key }, &parts, &content).unwrap(), Verdict::New);
    assert_eq!(window.check(&token("b"), &parts, &content).unwrap(), Verdict::New);
}

#[test]
fn a_retry_of_what_is_pending_must_wait_and_after_a_refusal_it_is_new() {
    let mut window = Window::default();
    let (key, parts, content) = (producer(1), parts(&[(1, 10)]), content(b"rows"));
    window.begin(key, &parts, content, 0);
    assert_eq!(window.check(&key, &parts, &content).unwrap(), Verdict::Duplicate { pending: true });
    window.abandon(&key);
    assert_eq!(window.check(&key, &parts, &content).unwrap(), Verdict::New);
    assert_eq!(window.len(), 0);
    window.begin(key, &parts, content, 0);
    window.commit(&key);
    window.abandon(&key);
    assert_eq!(window.check(&key, &parts, &content).unwrap(), Verdict::Duplicate { pending: false });
}

#[test]
fn the_same_id_with_other_content_is_an_error_and_not_a_duplicate() {
    let mut window = Window::default();
    let (key, stored) = (token("a"), parts(&[(1, 10), (5, 3)]));
    window.record(key, &stored, content(b"rows"), 0);
    assert_eq!(
        code(window.check(&key, &parts(&[(1, 11), (5, 3)]), &content(b"rows"))),
        ErrorCode::IncorrectData
    );
    assert_eq!(code(window.check(&key, &stored, &content(b"rows and more"))), ErrorCode::IncorrectData);
    assert_eq!(code(window.check(&key, &stored, &content(b"swor"))), ErrorCode::IncorrectData);
    for other in [&[(1, 10)][..], &[(1, 10), (6, 3)], &[(1, 10), (5, 3), (6, 1)], &[(7, 13)]] {
        assert_eq!(code(window.check(&key, &parts(other), &content(b"rows"))), ErrorCode::IncorrectData);
    }
    // `DEFAULT now()`: the retry's bytes differ with good reason, the length does not.
    let duplicate = Verdict::Duplicate { pending: false };
    assert_eq!(window.check(&key, &stored, &Content::unhashed(V1, b"swor")).unwrap(), duplicate);
    // ALTER TABLE in between: the payload has another form.
    let altered = Content::hashed(SchemaVersion(2), b"rows and a column");
    assert_eq!(window.check(&key, &stored, &altered).unwrap(), duplicate);
}

#[test]
fn what_another_number_of_threads_stored_is_known_by_partition() {
    let mut window = Window::default();
    let key = token("a");
    window.record(key, &parts(&[(1, 10)]), Content::default(), 0);
    let all = parts(&[(1, 10), (5, 3), (9, 1)]);
    let partial = Verdict::Partial { known: vec![PartitionId(1)], pending: false };
    assert_eq!(window.check(&key, &all, &content(b"abc")).unwrap(), partial);
    window.begin(key, &all, content(b"abc"), 0);
    assert_eq!(window.check(&key, &all, &content(b"abc")).unwrap(), Verdict::Duplicate { pending: true });
    // The rest fails: the first part stays known.
    window.abandon(&key);
    assert_eq!(window.check(&key, &all, &content(b"abc")).unwrap(), partial);
    window.record(key, &parts(&[(5, 3), (9, 1)]), content(b"bc"), 0);
    assert_eq!(window.check(&key, &all, &content(b"abc")).unwrap(), Verdict::Duplicate { pending: false });
}

#[test]
fn a_truncation_forgets_tokens_and_no_producer() {
    let mut window = Window::default();
    let (parts, content) = (parts(&[(1, 1)]), content(b"x"));
    window.record(token("a"), &parts, content, 0);
    window.record(producer(1), &parts, content, 0);
    window.forget_tokens();
    assert_eq!(window.check(&token("a"), &parts, &content).unwrap(), Verdict::New);
    let duplicate = Verdict::Duplicate { pending: false };
    assert_eq!(window.check(&producer(1), &parts, &content).unwrap(), duplicate);
    assert_eq!(Window::decode(window.encode(), WindowLimits::default()).unwrap().len(), 1);
}

#[test]
fn a_producers_batch_below_the_low_edge_is_refused_and_never_stored_again() {
    let mut window = Window::new(limits(10));
    let (parts, content) = (parts(&[(1, 1)]), content(b"x"));
    for sequence in 1..=50 {
        window.record(producer(sequence), &parts, content, 0);
    }
    assert_eq!(window.len(), 10);
    for sequence in 1..=40 {
        assert_eq!(code(window.check(&producer(sequence), &parts, &content)), ErrorCode::IncorrectData);
    }
    for sequence in 41..=50 {
        let verdict = window.check(&producer(sequence), &parts, &content).unwrap();
        assert_eq!(verdict, Verdict::Duplicate { pending: false });
    }
    assert_eq!(window.check(&producer(51), &parts, &content).unwrap(), Verdict::New);
    let other = BatchKey { batch: BatchId::Producer { producer: 8, sequence: 1 }, block: 0 };
    assert_eq!(window.check(&other, &parts, &content).unwrap(), Verdict::New);
}

#[test]
fn blocks_of_one_batch_may_leave_the_window_one_by_one() {
    let mut window = Window::new(limits(3));
    let (parts, content) = (parts(&[(1, 1)]), content(b"x"));
    let block = |block| BatchKey { block, ..producer(4) };
    for number in 0..6 {
        assert_eq!(window.check(&block(number), &parts, &content).unwrap(), Verdict::New, "{number}");
        window.record(block(number), &parts, content, 0);
    }
    assert_eq!(code(window.check(&block(2), &parts, &content)), ErrorCode::IncorrectData);
    assert_eq!(window.check(&block(3), &parts, &content).unwrap(), Verdict::Duplicate { pending: false });
    assert_eq!(window.check(&block(6), &parts, &content).unwrap(), Verdict::New);
}

#[test]
fn a_token_that_left_the_window_is_no_longer_known() {
    let mut window = Window::new(limits(2));
    let (parts, content) = (parts(&[(1, 1)]), content(b"x"));
    for name in ["a", "b", "c"] {
        window.record(token(name), &parts, content, 0);
    }
    assert_eq!(window.check(&token("a"), &parts, &content).unwrap(), Verdict::New);
    assert_eq!(window.check(&token("c"), &parts, &content).unwrap(), Verdict::Duplicate { pending: false });
}

#[test]
fn age_bounds_the_window_as_count_does() {
    let mut window = Window::default();
    let (parts, content) = (parts(&[(1, 1)]), content(b"x"));
    let hour = 3_600_000;
    window.record(producer(1), &parts, content, 0);
    window.record(producer(2), &parts, content, hour / 2);
    window.evict(hour);
    assert_eq!(window.len(), 2);
    window.evict(hour + 1);
    assert_eq!(window.len(), 1);
    assert_eq!(code(window.check(&producer(1), &parts, &content)), ErrorCode::IncorrectData);
    // A clock that jumps back forgets nothing.
    window.evict(-hour);
    assert_eq!(window.len(), 1);
}

#[test]
fn what_is_pending_is_never_forgotten() {
    let mut window = Window::new(limits(2));
    let (parts, content) = (parts(&[(1, 1)]), content(b"x"));
    window.begin(token("pending"), &parts, content, 0);
    for sequence in 1..=5 {
        window.record(producer(sequence), &parts, content, 10_000_000);
    }
    let verdict = window.check(&token("pending"), &parts, &content).unwrap();
    assert_eq!(verdict, Verdict::Duplicate { pending: true });
    window.commit(&token("pending"));
    window.evict(10_000_000);
    assert_eq!(window.len(), 2);
}

#[test]
fn the_low_edges_are_bounded_and_the_longest_unraised_goes_first() {
    let mut window = Window::new(WindowLimits { batches: 1, producers: 3, ..WindowLimits::default() });
    let (parts, content) = (parts(&[(1, 1)]), content(b"x"));
    let key = |producer| BatchKey { batch: BatchId::Producer { producer, sequence: 5 }, block: 0 };
    for producer in 1..=6 {
        window.record(key(producer), &parts, content, 0);
    }
    // 6 is in the window, 3 to 5 left an edge, 1 and 2 are forgotten.
    let known: Vec<bool> =
        (1..=6).map(|p| !matches!(window.check(&key(p), &parts, &content), Ok(Verdict::New))).collect();
    assert_eq!(known, [false, false, true, true, true, true]);
}

#[test]
fn windows_merge_when_the_number_of_threads_changes() {
    let content = content(b"x");
    let mut first = Window::default();
    first.record(token("a"), &parts(&[(0, 1), (2, 2)]), content, 5);
    first.record(producer(3), &parts(&[(0, 4)]), content, 9);
    let mut second = Window::new(limits(1));
    second.record(producer(1), &parts(&[(1, 1)]), content, 1);
    second.record(token("a"), &parts(&[(1, 7), (3, 8)]), content, 6);
    let merged = Window::merge([&second, &first], |_| true);
    let all = parts(&[(0, 1), (1, 7), (2, 2), (3, 8)]);
    let whole = super::Content::hashed(V1, b"another cut");
    assert_eq!(merged.check(&token("a"), &all, &whole).unwrap(), Verdict::Duplicate { pending: false });
    assert_eq!(code(merged.check(&producer(1), &parts(&[(1, 1)]), &content)), ErrorCode::IncorrectData);
    let thirds = Window::merge([&first, &second], |partition| partition.0 % 3 == 0);
    let mine = parts(&[(0, 1), (3, 8)]);
    assert_eq!(thirds.check(&token("a"), &mine, &whole).unwrap(), Verdict::Duplicate { pending: false });
    assert_eq!(thirds.check(&token("a"), &parts(&[(1, 7)]), &whole).unwrap(), Verdict::New);
}

/// docs/formats/manifest.md: the highest change and the cutoff stand behind all that is known of sources.
#[test]
fn a_window_of_version_3_has_these_bytes_and_comes_back_from_them() {
    let changes = Changed { mutation: 0x4142, cutoff: Some(-0x5152) };
    let mut window = Window { changes, ..Window::default() };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let bytes = window.encode();
    // Version; no keys; no edges; no sources; no streams; then number, flag and time.
    let golden =
        "03000000 00000000 00000000 00000000 00000000 4241000000000000 01000000 00000000 aeaeffffffffffff";
    assert_eq!(hex(&bytes), golden.replace(' ', ""));
    assert_eq!(Window::decode(bytes, WindowLimits::default()).unwrap().changes, window.changes);
    assert!(!window.is_empty(), "it is kept in the manifest");
    window.changes.cutoff = None;
    window.marks.raise(7, PartitionId(3), 99);
    let back = Window::decode(window.encode(), WindowLimits::default()).unwrap();
    assert_eq!((back.changes, back.marks.high), (window.changes, window.marks.high));
    // What nothing was changed in is written as before: an older build reads it.
    assert_eq!(Window::default().encode()[0], 1);
}

fn key() -> impl Strategy<Value = BatchKey> {
    let batch = prop_oneof![
        (0u64..4, 0u64..30).prop_map(|(producer, sequence)| BatchId::Producer { producer, sequence }),
        (0u128..30).prop_map(BatchId::Token),
    ];
    (batch, 0u32..3).prop_map(|(batch, block)| BatchKey { batch, block })
}

fn history() -> impl Strategy<Value = Vec<(BatchKey, Vec<PartRows>, i64)>> {
    prop::collection::vec((key(), prop::collection::btree_map(0u16..6, 1u32..4, 1..4), 0i64..100), 0..120)
        .prop_map(|steps| {
            let parts = |map: std::collections::BTreeMap<u16, u32>| {
                map.into_iter().map(|(partition, rows)| (PartitionId(partition), rows)).collect()
            };
            steps.into_iter().map(|(key, map, now)| (key, parts(map), now)).collect()
        })
}

proptest! {
    #[test]
    fn a_window_comes_back_from_its_bytes_and_answers_alike(history in history(), probes in history()) {
        let limits = WindowLimits { batches: 20, producers: 3, age: std::time::Duration::from_millis(60) };
        let mut window = Window::new(limits);
        for (key, parts, now) in history {
            window.record(key, &parts, Content::hashed(V1, &[parts.len() as u8]), now);
            prop_assert!(window.len() <= 20);
        }
        let bytes = window.encode();
        let restored = Window::decode(bytes.clone(), limits).unwrap();
        prop_assert_eq!(restored.encode(), bytes);
        for (key, parts, _) in probes {
            let content = Content::hashed(V1, &[parts.len() as u8]);
            let answer = |window: &Window| format!("{:?}", window.check(&key, &parts, &content));
            prop_assert_eq!(answer(&restored), answer(&window));
        }
    }

    #[test]
    fn bytes_that_are_no_window_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = bytes;
        let _ = Window::decode(bytes.clone().into(), WindowLimits::default());
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        let _ = Window::decode(bytes.into(), WindowLimits::default());
    }

    #[test]
    fn nothing_that_the_window_holds_is_ever_new_again(history in history()) {
        let mut window = Window::new(limits(1000));
        let mut stored = std::collections::BTreeMap::new();
        for (key, parts, now) in history {
            let content = Content::unhashed(V1, b"");
            let fresh: Vec<PartRows> = match window.check(&key, &parts, &content) {
                Ok(Verdict::New) => parts.clone(),
                Ok(Verdict::Partial { known, .. }) => {
                    parts.iter().copied().filter(|part| !known.contains(&part.0)).collect()
                }
                Ok(Verdict::Duplicate { .. }) | Err(_) => Vec::new(),
            };
            for &(partition, rows) in &fresh {
                let before = stored.insert((format!("{key:?}"), partition), rows);
                prop_assert_eq!(before, None, "stored twice");
            }
            if !fresh.is_empty() {
                window.record(key, &fresh, content, now);
            }
        }
    }
}
