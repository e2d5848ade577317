//! What becomes of values that a column cannot hold, and of times.

use arrow::datatypes::DataType;

use super::*;

#[test]
fn a_number_is_the_same_time_in_every_unit_and_finer_digits_are_cut_towards_the_past() {
    let ticks = |number: i64, unit, precision| {
        times(&Int64Array::from(vec![number]), unit, precision).iter().next().flatten()
    };
    for (unit, number) in [(TimeUnit::S, 7), (TimeUnit::Ms, 7_000), (TimeUnit::Us, 7_000_000)] {
        assert_eq!(ticks(number, unit, 9), Some(7_000_000_000));
        assert_eq!(ticks(number, unit, 3), Some(7_000));
        assert_eq!(ticks(number, unit, 0), Some(7));
    }
    // A DateTime64(4) is stored in microseconds.
    assert_eq!(ticks(1_234_567_891, TimeUnit::Ns, 4), Some(1_234_500));
    assert_eq!(ticks(-1, TimeUnit::Ns, 3), Some(-1));
    assert_eq!(ticks(-1, TimeUnit::Ns, 4), Some(-100));
    assert_eq!(ticks(i64::MAX, TimeUnit::S, 0), Some(i64::MAX));
    assert_eq!(ticks(i64::MAX, TimeUnit::Ns, 9), Some(i64::MAX));
    assert_eq!(ticks(1_700_000_000_000, TimeUnit::S, 9), None);
    assert_eq!(ticks(i64::MIN, TimeUnit::Ns, 8), None);
}

#[test]
fn what_does_not_fit_is_told_from_what_was_null_before() {
    let from: ArrayRef = std::sync::Arc::new(Int64Array::from(vec![Some(300), None, Some(-1), Some(7)]));
    let after = cast(&from, &DataType::UInt8).unwrap();
    assert_eq!(lost(&from, &after), [0, 2]);
}
