//! Variance, covariance and correlation from moments about the mean, which can be joined without loss.
//!
//! The joining is that of Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample
//! variances" (1979). A sample of one value has no spread: NaN, as in ClickHouse; no value gives NULL.

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{Float64Type, UInt64Type};
use datafusion::common::Result;
use zepto_common::ErrorCode;

use crate::functions::scalar::fault;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    VarPop,
    VarSamp,
    StddevPop,
    StddevSamp,
    CovarPop,
    CovarSamp,
    Corr,
}

impl Measure {
    /// By the function's name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "varPop" => Self::VarPop,
            "varSamp" => Self::VarSamp,
            "stddevPop" => Self::StddevPop,
            "stddevSamp" => Self::StddevSamp,
            "covarPop" => Self::CovarPop,
            "covarSamp" => Self::CovarSamp,
            "corr" => Self::Corr,
            _ => return None,
        })
    }

    /// Whether it is of pairs.
    pub(super) fn is_of_pairs(self) -> bool {
        matches!(self, Self::CovarPop | Self::CovarSamp | Self::Corr)
    }

    fn of_moment(self, count: u64, moment: f64) -> Option<f64> {
        let population = moment / count as f64;
        // One value: 0 / 0.
        let sample = moment / (count as f64 - 1.0);
        (count > 0).then(|| match self {
            Self::VarPop | Self::CovarPop => population,
            Self::StddevPop => population.sqrt(),
            Self::VarSamp | Self::CovarSamp if count == 1 => f64::NAN,
            Self::StddevSamp if count == 1 => f64::NAN,
            Self::VarSamp | Self::CovarSamp => sample,
            Self::StddevSamp => sample.sqrt(),
            Self::Corr => f64::NAN,
        })
    }
}

/// The results of DataFusion's states: count, mean and squares of a variance, or the count and the sums of x, y, xy, xx
/// and yy of a correlation.
pub(super) fn of_states(measure: Measure, states: &[ArrayRef]) -> Result<Float64Array> {
    let column = |at: usize| states[at].as_primitive::<Float64Type>();
    match states.len() {
        3 => {
            let counts = states[0].as_primitive::<UInt64Type>().values();
            let moments = counts.iter().zip(column(2).values());
            Ok(moments.map(|(count, squares)| measure.of_moment(*count, *squares)).collect())
        }
        6 => {
            let counts = states[0].as_primitive::<UInt64Type>().values();
            let sums = [1, 2, 3, 4, 5].map(|at| column(at).values());
            let rows = counts.iter().enumerate();
            Ok(rows
                .map(|(row, &count)| {
                    let [x, y, xy, xx, yy] = sums.map(|sums| sums[row]);
                    let n = count as f64;
                    let norm = ((xx - x * x / n) * (yy - y * y / n)).sqrt();
                    (count > 0).then(|| if norm == 0.0 { f64::NAN } else { (xy - x * y / n) / norm })
                })
                .collect())
        }
        count => {
            Err(fault(ErrorCode::LogicalError, format!("There is no spread with {count} columns of state")))
        }
    }
}

/// Moments of values.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    count: u64,
    mean: f64,
    /// Sum of squares about the mean.
    squares: f64,
}

impl Values {
    /// Of one value.
    pub(super) fn one(value: f64) -> Self {
        Self { count: 1, mean: value, squares: value * 0.0 }
    }

    /// Takes in others.
    pub(super) fn join(&mut self, other: &Self) {
        if self.count == 0 || other.count == 0 {
            if self.count == 0 {
                self.clone_from(other);
            }
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let delta = other.mean - self.mean;
        self.squares += other.squares + delta * delta * (a * b / (a + b));
        self.mean += delta * (b / (a + b));
        self.count += other.count;
    }

    /// None for no values.
    pub(super) fn measured(&self, measure: Measure) -> Option<f64> {
        measure.of_moment(self.count, self.squares)
    }
}

/// Moments of pairs.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs {
    x: Values,
    y: Values,
    /// Sum of products about the means.
    products: f64,
}

impl Pairs {
    /// Of one pair.
    pub(super) fn one(x: f64, y: f64) -> Self {
        Self { x: Values::one(x), y: Values::one(y), products: x * 0.0 + y * 0.0 }
    }

    /// Takes in others.
    pub(super) fn join(&mut self, other: &Self) {
        if self.x.count > 0 && other.x.count > 0 {
            let (a, b) = (self.x.count as f64, other.x.count as f64);
            let deltas = (other.x.mean - self.x.mean) * (other.y.mean - self.y.mean);
            self.products += other.products + deltas * (a * b / (a + b));
        } else if self.x.count == 0 {
            self.products = other.products;
        }
        self.x.join(&other.x);
        self.y.join(&other.y);
    }

    /// None for no pairs.
    pub(super) fn measured(&self, measure: Measure) -> Option<f64> {
        if measure != Measure::Corr {
            return measure.of_moment(self.x.count, self.products);
        }
        // A constant has no correlation: 0 / 0.
        let norm = (self.x.squares * self.y.squares).sqrt();
        (self.x.count > 0).then(|| if norm == 0.0 { f64::NAN } else { self.products / norm })
    }
}
