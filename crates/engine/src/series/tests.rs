//! The loops against sums that are written down the plain way.

use arrow::array::{Float64Array, Int32Array, Int64Array, UInt64Array};
use std::sync::Arc;

use super::*;

/// A linear congruential generator: the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn cuts_lie_where_the_bucket_changes() {
    let mut dice = Dice(1);
    for round in 0..400 {
        let rows = dice.roll(300) as usize;
        let reach = 1 + dice.roll(1 << (round % 30));
        let mut ticks: Vec<i64> = (0..rows).map(|_| dice.roll(reach) as i64 - reach as i64 / 2).collect();
        if round % 50 == 0 {
            ticks.extend([i64::MIN, i64::MAX, i64::MAX - 1]);
        }
        ticks.sort_unstable();
        let width = 1 + dice.roll(50) as i64;
        let from = if ticks.is_empty() { 0 } else { dice.roll(ticks.len() as u64) as usize };
        let mut cuts = Vec::new();
        cut(&ticks, from..ticks.len(), 3, Some(width), &mut cuts);
        let plain = ticks[from..].chunk_by(|a, b| a.div_euclid(width) == b.div_euclid(width));
        let mut at = from;
        let expected: Vec<Cut> = plain
            .map(|rows| {
                let cut = Cut { bucket: rows[0].div_euclid(width), source: 3, rows: at..at + rows.len() };
                at += rows.len();
                cut
            })
            .collect();
        assert_eq!(cuts, expected, "{ticks:?} by {width} from {from}");
    }
}

fn source(ticks: &[i64], columns: Vec<ArrayRef>) -> Source {
    let columns = columns.iter().map(|column| Numbers::of(column).unwrap()).collect();
    Source { ticks: ticks.to_vec().into(), columns }
}

fn folded(sources: &[Source], rows: &[(usize, Range<usize>)], measure: Measure, floats: bool) -> Folded {
    let mut folds = [Fold::new(measure, floats)];
    fold_key(sources, rows, None, &mut Vec::new(), &mut folds, &mut Vec::new());
    folds[0].folded().clone()
}

#[test]
fn whole_sums_are_exact_beyond_64_bits() {
    let most = source(&[1, 2, 3], vec![Arc::new(Int64Array::from(vec![i64::MAX, i64::MAX, -5]))]);
    let least = source(&[1, 2], vec![Arc::new(Int64Array::from(vec![i64::MIN, i64::MIN]))]);
    let sum = folded(&[most], &[(0, 0..3)], Measure::Sum(0), false);
    assert!(matches!(sum, Folded::Whole(sums) if sums == [(2 * i128::from(i64::MAX) - 5, 3)]));
    let sum = folded(&[least], &[(0, 0..2)], Measure::Sum(0), false);
    assert!(matches!(sum, Folded::Whole(sums) if sums == [(2 * i128::from(i64::MIN), 2)]));
    let wide = source(&[1, 2], vec![Arc::new(UInt64Array::from(vec![u64::MAX, u64::MAX]))]);
    let sum = folded(&[wide], &[(0, 0..2)], Measure::Sum(0), false);
    assert!(matches!(sum, Folded::Whole(sums) if sums == [(2 * i128::from(u64::MAX), 2)]));
}

#[test]
fn nulls_take_no_part() {
    let values: Vec<Option<i32>> = (0..100).map(|n| (n % 3 == 1).then_some(n - 50)).collect();
    let plain: Vec<i32> = values[10..90].iter().flatten().copied().collect();
    let column: ArrayRef = Arc::new(Int32Array::from(values));
    let ticks: Vec<i64> = (0..100).collect();
    let sources = [source(&ticks, vec![column])];
    let rows = [(0, 10..90)];
    let sum = folded(&sources, &rows, Measure::Sum(0), false);
    let total = plain.iter().map(|v| i128::from(*v)).sum::<i128>();
    assert!(matches!(sum, Folded::Whole(sums) if sums == [(total, plain.len() as u64)]));
    let first = folded(&sources, &rows, Measure::First(0), false);
    assert!(matches!(first, Folded::Edges(e) if e[0] == Some(Edge { tick: 10, bits: -40i64 as u64 })));
    let last = folded(&sources, &rows, Measure::Last(0), false);
    assert!(matches!(last, Folded::Edges(e) if e[0] == Some(Edge { tick: 88, bits: 38 })));
    let count = folded(&sources, &rows, Measure::Count(0), false);
    assert!(matches!(count, Folded::Counts(c) if c == [plain.len() as u64]));
    let none = folded(&sources, &[(0, 2..4)], Measure::Extreme(0, true), false);
    assert!(matches!(none, Folded::Extremes(e) if e == [None]));
}

#[test]
fn nan_is_an_extreme_only_of_nothing_else() {
    for length in 1..40 {
        for at in 0..length {
            let mut values = vec![f64::NAN; length];
            let ticks: Vec<i64> = (0..length as i64).collect();
            let all = |values: &[f64], greatest| {
                let column: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
                let sources = [source(&ticks, vec![column])];
                match folded(&sources, &[(0, 0..length)], Measure::Extreme(0, greatest), false) {
                    Folded::Extremes(found) => f64::from_bits(found[0].unwrap()),
                    other => panic!("{other:?}"),
                }
            };
            assert!(all(&values, true).is_nan() && all(&values, false).is_nan());
            for value in [f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.5] {
                values[at] = value;
                assert_eq!((all(&values, true), all(&values, false)), (value, value));
            }
        }
    }
}

#[test]
fn of_equal_times_the_order_of_sources_is_that_of_arrival() {
    let column = |values: Vec<i64>| vec![Arc::new(Int64Array::from(values)) as ArrayRef];
    let sources =
        [source(&[5, 5, 9, 9], column(vec![1, 2, 3, 4])), source(&[5, 7, 9, 9], column(vec![5, 6, 7, 8]))];
    let rows = [(0, 0..4), (1, 0..4)];
    let bits = |measure| match folded(&sources, &rows, measure, false) {
        Folded::Edges(edges) => edges[0].unwrap().bits,
        other => panic!("{other:?}"),
    };
    assert_eq!(bits(Measure::First(0)), 1);
    assert_eq!(bits(Measure::Last(0)), 8);
    assert_eq!(bits(Measure::FirstOfLast(0)), 3);
}

#[test]
fn buckets_of_several_sources_are_joined() {
    let mut dice = Dice(9);
    for _ in 0..200 {
        let mut sources = Vec::new();
        let mut plain: std::collections::BTreeMap<i64, (u64, i128)> = std::collections::BTreeMap::new();
        let width = 1 + dice.roll(20) as i64;
        for _ in 0..1 + dice.roll(4) {
            let mut ticks: Vec<i64> = (0..dice.roll(60)).map(|_| dice.roll(200) as i64 - 100).collect();
            ticks.sort_unstable();
            let values: Vec<i64> = ticks.iter().map(|_| dice.roll(1_000) as i64 - 500).collect();
            for (tick, value) in ticks.iter().zip(&values) {
                let group = plain.entry(tick.div_euclid(width)).or_default();
                *group = (group.0 + 1, group.1 + i128::from(*value));
            }
            sources.push(source(&ticks, vec![Arc::new(Int64Array::from(values))]));
        }
        let rows: Vec<_> = sources.iter().enumerate().map(|(at, s)| (at, 0..s.ticks.len())).collect();
        let mut folds = [Fold::new(Measure::Rows, false), Fold::new(Measure::Sum(0), false)];
        let mut ticks = Vec::new();
        let groups = fold_key(&sources, &rows, Some(width), &mut Vec::new(), &mut folds, &mut ticks);
        assert_eq!(groups, plain.len());
        let buckets: Vec<i64> = ticks.iter().map(|tick| tick.div_euclid(width)).collect();
        assert_eq!(buckets, plain.keys().copied().collect::<Vec<_>>());
        let counts: Vec<u64> = plain.values().map(|group| group.0).collect();
        assert!(matches!(folds[0].folded(), Folded::Counts(c) if *c == counts));
        let sums: Vec<(i128, u64)> = plain.values().map(|group| (group.1, group.0)).collect();
        assert!(matches!(folds[1].folded(), Folded::Whole(s) if *s == sums));
    }
}

#[test]
fn a_spread_joins_without_loss() {
    let values: Vec<f64> = (0..1_000).map(|n| 1e9 + f64::from(n % 17)).collect();
    let ticks: Vec<i64> = (0..1_000).collect();
    let column = |values: &[f64]| vec![Arc::new(Float64Array::from(values.to_vec())) as ArrayRef];
    let sources =
        [source(&ticks[..300], column(&values[..300])), source(&ticks[300..], column(&values[300..]))];
    let mean = values.iter().sum::<f64>() / 1_000.0;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    match folded(&sources, &[(0, 0..300), (1, 0..700)], Measure::Spread(0), false) {
        Folded::Spreads(found) => {
            assert_eq!(found[0].count, 1_000);
            assert!((found[0].squares - squares).abs() < 1e-3, "{} {squares}", found[0].squares);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_nearest_is_what_a_search_finds() {
    let mut dice = Dice(5);
    for _ in 0..500 {
        let reach = 1 + dice.roll(80);
        let mut list = |most: u64| -> Vec<i64> {
            let mut list: Vec<i64> = (0..dice.roll(most)).map(|_| dice.roll(reach) as i64 - 20).collect();
            list.sort_unstable();
            list
        };
        let (times, others) = (list(60), list(60));
        let row = |at: Option<usize>| at.map_or(NO_ROW, |at| at as u32);
        let last_of =
            |at: usize| others.get(at).map(|time| others.partition_point(|other| other <= time) - 1);
        for which in [Nearest::AtOrBefore, Nearest::Before, Nearest::AtOrAfter, Nearest::After] {
            let mut found = vec![7; times.len()];
            nearest(&times, &others, which, &mut found);
            let expected: Vec<u32> = times
                .iter()
                .map(|time| {
                    let (not_after, before) =
                        (others.partition_point(|o| o <= time), others.partition_point(|o| o < time));
                    row(match which {
                        Nearest::AtOrBefore => not_after.checked_sub(1),
                        Nearest::Before => before.checked_sub(1),
                        Nearest::AtOrAfter => last_of(before),
                        Nearest::After => last_of(not_after),
                    })
                })
                .collect();
            assert_eq!(found, expected, "{which:?} {times:?} {others:?}");
        }
    }
}

#[test]
fn stretches_in_order_keep_the_order_of_equal_times() {
    let (mut times, mut rows) = (Vec::new(), Vec::new());
    in_order(&[(&[1, 5, 5], 10), (&[5, 9], 20)], &mut times, &mut rows);
    assert_eq!((&times[..], &rows[..]), (&[1, 5, 5, 5, 9][..], &[10, 11, 12, 20, 21][..]));
    in_order(&[(&[4, 5, 9], 0), (&[1, 5, 5], 3), (&[5], 6)], &mut times, &mut rows);
    assert_eq!((&times[..], &rows[..]), (&[1, 4, 5, 5, 5, 5, 9][..], &[3, 0, 1, 4, 5, 6, 2][..]));
}
