use std::sync::Arc;

use super::super::spread::Measure;
use super::*;

fn column(values: &[Option<f64>]) -> Vec<ArrayRef> {
    vec![Arc::new(Float64Array::from(values.to_vec()))]
}

/// The results of frames of the last `length` rows, one after the other.
fn slid<S: Summary>(rule: S::Rule, values: &[Option<f64>], length: usize) -> Vec<Option<f64>> {
    let mut frame = Sliding::<S>::new(rule);
    let row = |at: usize| column(&values[at..=at]);
    let results = (0..values.len()).map(|at| {
        frame.update_batch(&row(at)).unwrap();
        if at >= length {
            frame.retract_batch(&row(at - length)).unwrap();
        }
        match frame.evaluate().unwrap() {
            ScalarValue::Float64(value) => value,
            other => panic!("{other} is no float"),
        }
    });
    results.collect()
}

#[test]
fn what_has_left_the_frame_leaves_no_trace() {
    let mut values: Vec<Option<f64>> = (0..40).map(|at| Some(f64::from(at % 7) * 0.25)).collect();
    for (at, spoiler) in
        [(3, f64::NAN), (11, f64::INFINITY), (12, f64::NEG_INFINITY), (20, 1e300), (28, -1e300)]
    {
        values[at] = Some(spoiler);
    }
    values[33] = None;
    for length in [1, 2, 3, 5] {
        let sums = slid::<Total>(OfTotal::Sum, &values, length);
        let spreads = slid::<Values>(Measure::VarPop, &values, length);
        for at in length..values.len() {
            let frame: Vec<f64> = values[at + 1 - length..=at].iter().flatten().copied().collect();
            if frame.iter().any(|value| value.abs() > 1e100 || value.is_nan()) {
                continue;
            }
            let sum: f64 = frame.iter().sum();
            assert_eq!(sums[at], (!frame.is_empty()).then_some(sum), "row {at} of {length}");
            let mean = sum / frame.len() as f64;
            let spread = frame.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / frame.len() as f64;
            match spreads[at] {
                Some(found) => {
                    assert!((found - spread).abs() < 1e-12, "row {at} of {length}: {found} {spread}")
                }
                None => assert!(frame.is_empty()),
            }
        }
    }
}

#[test]
fn a_spoiled_frame_says_so() {
    let values = [Some(1.0), Some(f64::NAN), Some(2.0), Some(f64::INFINITY)];
    let sums = slid::<Total>(OfTotal::Sum, &values, 2);
    assert!(sums[1].unwrap().is_nan() && sums[2].unwrap().is_nan());
    assert_eq!(sums[3], Some(f64::INFINITY));
    assert!(slid::<Values>(Measure::StddevPop, &values, 2)[2].unwrap().is_nan());
}

#[test]
fn nan_is_an_extreme_only_when_there_is_nothing_else() {
    let values = [Some(1.0), Some(f64::NAN), None, Some(3.0), Some(2.0)];
    let of = |greatest| OfBounds { greatest, ty: DataType::Float64 };
    let least = slid::<Bounds>(of(false), &values, 2);
    assert_eq!(least[..2], [Some(1.0), Some(1.0)]);
    assert!(least[2].unwrap().is_nan());
    assert_eq!(slid::<Bounds>(of(true), &values, 2)[3..], [Some(3.0), Some(3.0)]);
}

#[test]
fn whole_sums_are_exact_and_refuse_what_does_not_fit() {
    let mut frame = Sliding::<WholeTotal>::new(DataType::Int64);
    let rows: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![i64::MAX, 1, -1]));
    frame.update_batch(&[Arc::clone(&rows)]).unwrap();
    assert_eq!(frame.evaluate().unwrap(), ScalarValue::Int64(Some(i64::MAX)));
    frame.retract_batch(&[rows.slice(0, 1)]).unwrap();
    assert_eq!(frame.evaluate().unwrap(), ScalarValue::Int64(Some(0)));
    frame.update_batch(&[Arc::clone(&rows), rows.slice(0, 1)]).unwrap();
    frame.update_batch(&[rows.slice(0, 1)]).unwrap();
    assert!(frame.evaluate().is_err(), "more than 64 bits");
}
