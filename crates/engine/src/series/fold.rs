//! What the rows of a group add up to, a group at a time: one result per group and measure, column by column.

use std::ops::Range;

use super::numbers::{
    Number, Numbers, Values, float_sum, greatest, greatest_float, least, least_float, product_sum,
    signed_sum, square_sum, unsigned_sum,
};
use super::{Cut, Source};

/// What is wanted of a group; numbers name columns of the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// Rows.
    Rows,
    /// Values that are not NULL.
    Count(usize),
    /// The sum: exact of whole numbers.
    Sum(usize),
    /// The least value (`false`) or the greatest.
    Extreme(usize, bool),
    /// The first value by time; of equal times the first to arrive.
    First(usize),
    /// The last value by time; of equal times the last to arrive.
    Last(usize),
    /// The value with the greatest time; of equal times the first to arrive.
    FirstOfLast(usize),
    /// Sum of products with the second column, and the second's sum.
    Weighted(usize, usize),
    /// First, greatest, least and last value as floats.
    Candle(usize),
    /// Count, mean and sum of squares about it.
    Spread(usize),
}

/// A value that was chosen by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// Its row's tick.
    pub tick: i64,
    /// The value's bits.
    pub bits: u64,
}

/// A measure's results, one per group.
#[derive(Debug, Clone)]
pub enum Folded {
    /// Counts.
    Counts(Vec<u64>),
    /// Sums of whole numbers, with how many there were.
    Whole(Vec<(i128, u64)>),
    /// Sums of floats, with how many there were.
    Floats(Vec<(f64, u64)>),
    /// Bits of the extreme value; None where there is none.
    Extremes(Vec<Option<u64>>),
    /// Chosen values; None where there is none.
    Edges(Vec<Option<Edge>>),
    /// Sum of products and sum of weights.
    Weighted(Vec<(f64, f64)>),
    /// First and last value with their ticks, and greatest and least in between; None where there is none.
    Candles(Vec<Option<Candle>>),
    /// Count, mean, squares.
    Spreads(Vec<Moments>),
}

/// First, greatest, least and last value, with the first and the last tick.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candle {
    /// First value.
    pub first: (i64, f64),
    /// Greatest value; NaN only when there is nothing else.
    pub greatest: f64,
    /// Least value; NaN only when there is nothing else.
    pub least: f64,
    /// Last value.
    pub last: (i64, f64),
}

/// Count, mean and sum of squares about the mean.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    /// Values.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Sum of squares about it.
    pub squares: f64,
}

/// A measure and its results so far.
#[derive(Debug, Clone)]
pub struct Fold {
    measure: Measure,
    folded: Folded,
}

impl Fold {
    /// No group yet. `floats` says that a sum's column holds floats.
    #[must_use]
    pub fn new(measure: Measure, floats: bool) -> Self {
        let folded = match &measure {
            Measure::Rows | Measure::Count(_) => Folded::Counts(Vec::new()),
            Measure::Sum(_) if floats => Folded::Floats(Vec::new()),
            Measure::Sum(_) => Folded::Whole(Vec::new()),
            Measure::Extreme(..) => Folded::Extremes(Vec::new()),
            Measure::First(_) | Measure::Last(_) | Measure::FirstOfLast(_) => Folded::Edges(Vec::new()),
            Measure::Weighted(..) => Folded::Weighted(Vec::new()),
            Measure::Candle(_) => Folded::Candles(Vec::new()),
            Measure::Spread(_) => Folded::Spreads(Vec::new()),
        };
        Self { measure, folded }
    }

    /// The results.
    #[must_use]
    pub fn folded(&self) -> &Folded {
        &self.folded
    }

    /// Adds a group: these cuts, of one key and bucket, as their sources arrived.
    pub fn push(&mut self, sources: &[Source], cuts: &[Cut]) {
        let each = || cuts.iter().map(|cut| (&sources[cut.source as usize], &cut.rows));
        match (&self.measure, &mut self.folded) {
            (Measure::Rows, Folded::Counts(counts)) => {
                counts.push(cuts.iter().map(|cut| cut.rows.len() as u64).sum());
            }
            (Measure::Count(column), Folded::Counts(counts)) => {
                counts.push(each().map(|(source, rows)| source.columns[*column].count(rows)).sum());
            }
            (Measure::Sum(column), Folded::Floats(sums)) => {
                let mut sum = (0.0, 0);
                each().for_each(|(source, rows)| add_floats(&mut sum, &source.columns[*column], rows));
                sums.push(sum);
            }
            (Measure::Sum(column), Folded::Whole(sums)) => {
                let mut sum = (0, 0);
                each().for_each(|(source, rows)| add_whole(&mut sum, &source.columns[*column], rows));
                sums.push(sum);
            }
            (Measure::Extreme(column, greatest), Folded::Extremes(found)) => {
                let mut best = None;
                each().for_each(|(source, rows)| {
                    best = extreme_of(best, &source.columns[*column], rows, *greatest);
                });
                found.push(best);
            }
            (Measure::First(column), Folded::Edges(edges)) => edges.push(first_of(*column, each())),
            (Measure::Last(column), Folded::Edges(edges)) => edges.push(last_of(*column, each())),
            (Measure::FirstOfLast(column), Folded::Edges(edges)) => {
                edges.push(first_of_last(*column, each()));
            }
            (Measure::Weighted(value, weight), Folded::Weighted(sums)) => {
                let mut sum = (0.0, 0.0);
                each().for_each(|(source, rows)| {
                    add_weighted(&mut sum, &source.columns[*value], &source.columns[*weight], rows);
                });
                sums.push(sum);
            }
            (Measure::Candle(column), Folded::Candles(candles)) => {
                candles.push(candle(*column, sources, cuts))
            }
            (Measure::Spread(column), Folded::Spreads(spreads)) => {
                let mut moments = Moments::default();
                each().for_each(|(source, rows)| spread(&mut moments, &source.columns[*column], rows));
                spreads.push(moments);
            }
            // `new` gives every measure its form.
            _ => debug_assert!(false, "a measure without its form"),
        }
    }
}

fn add_floats(sum: &mut (f64, u64), column: &Numbers, rows: &Range<usize>) {
    column.each_valid(rows, |rows| {
        sum.1 += rows.len() as u64;
        sum.0 += match &column.values {
            Values::I(values) => float_sum(&values[rows]),
            Values::U(values) => float_sum(&values[rows]),
            Values::F(values) => float_sum(&values[rows]),
        };
    });
}

fn add_whole(sum: &mut (i128, u64), column: &Numbers, rows: &Range<usize>) {
    column.each_valid(rows, |rows| {
        sum.1 += rows.len() as u64;
        sum.0 += match &column.values {
            Values::I(values) => signed_sum(&values[rows]),
            Values::U(values) => unsigned_sum(&values[rows]),
            Values::F(_) => 0,
        };
    });
}

/// The better of what is known and these rows.
fn extreme_of(best: Option<u64>, column: &Numbers, rows: &Range<usize>, most: bool) -> Option<u64> {
    let mut best = best;
    column.each_valid(rows, |rows| {
        best = match &column.values {
            Values::I(values) => {
                let values = &values[rows];
                let found = if most { greatest(values) } else { least(values) };
                let better = |old: i64, new: i64| if (new > old) == most { new } else { old };
                joined(best.map(|bits| bits as i64), found, better).map(|value| value as u64)
            }
            Values::U(values) => {
                let values = &values[rows];
                let found = if most { greatest(values) } else { least(values) };
                joined(best, found, |old, new| if (new > old) == most { new } else { old })
            }
            Values::F(values) => {
                let values = &values[rows];
                let found = if most { greatest_float(values) } else { least_float(values) };
                joined(best.map(f64::from_bits), found, |old, new| better_float(old, new, most))
                    .map(f64::to_bits)
            }
        };
    });
    best
}

fn joined<T>(old: Option<T>, new: Option<T>, better: impl Fn(T, T) -> T) -> Option<T> {
    match (old, new) {
        (Some(old), Some(new)) => Some(better(old, new)),
        (old, new) => old.or(new),
    }
}

fn better_float(old: f64, new: f64, most: bool) -> f64 {
    let wins = old.is_nan() || if most { new > old } else { new < old };
    if wins { new } else { old }
}

fn edge(source: &Source, column: usize, row: usize) -> Edge {
    Edge { tick: source.ticks[row], bits: source.columns[column].bits(row) }
}

fn first_of<'a>(column: usize, cuts: impl Iterator<Item = (&'a Source, &'a Range<usize>)>) -> Option<Edge> {
    let firsts = cuts.filter_map(|(source, rows)| {
        source.columns[column].first_valid(rows).map(|row| edge(source, column, row))
    });
    // Of equal times the earlier source's.
    firsts.reduce(|old, new| if new.tick < old.tick { new } else { old })
}

fn last_of<'a>(column: usize, cuts: impl Iterator<Item = (&'a Source, &'a Range<usize>)>) -> Option<Edge> {
    let lasts = cuts.filter_map(|(source, rows)| {
        source.columns[column].last_valid(rows).map(|row| edge(source, column, row))
    });
    // Of equal times the later source's.
    lasts.reduce(|old, new| if new.tick >= old.tick { new } else { old })
}

fn first_of_last<'a>(
    column: usize,
    cuts: impl Iterator<Item = (&'a Source, &'a Range<usize>)>,
) -> Option<Edge> {
    let found = cuts.filter_map(|(source, rows)| {
        let last = source.columns[column].last_valid(rows)?;
        let tick = source.ticks[last];
        let from = rows.start + source.ticks[rows.start..last].partition_point(|&other| other < tick);
        let row = source.columns[column].first_valid(&(from..last + 1))?;
        Some(edge(source, column, row))
    });
    found.reduce(|old, new| if new.tick > old.tick { new } else { old })
}

fn add_weighted(sum: &mut (f64, f64), values: &Numbers, weights: &Numbers, rows: &Range<usize>) {
    values.each_valid(rows, |rows| {
        weights.each_valid(&rows, |rows| match &values.values {
            Values::I(values) => weigh(sum, &values[rows.clone()], weights, rows),
            Values::U(values) => weigh(sum, &values[rows.clone()], weights, rows),
            Values::F(values) => weigh(sum, &values[rows.clone()], weights, rows),
        });
    });
}

fn weigh<T: Number>(sum: &mut (f64, f64), values: &[T], weights: &Numbers, rows: Range<usize>) {
    let (products, weights) = match &weights.values {
        Values::I(weights) => (product_sum(values, &weights[rows.clone()]), float_sum(&weights[rows])),
        Values::U(weights) => (product_sum(values, &weights[rows.clone()]), float_sum(&weights[rows])),
        Values::F(weights) => (product_sum(values, &weights[rows.clone()]), float_sum(&weights[rows])),
    };
    sum.0 += products;
    sum.1 += weights;
}

fn candle(column: usize, sources: &[Source], cuts: &[Cut]) -> Option<Candle> {
    let mut candle: Option<Candle> = None;
    for cut in cuts {
        let source = &sources[cut.source as usize];
        let numbers = &source.columns[column];
        let (Some(first), Some(last)) = (numbers.first_valid(&cut.rows), numbers.last_valid(&cut.rows))
        else {
            continue;
        };
        let (mut most, mut fewest) = (f64::NAN, f64::NAN);
        numbers.each_valid(&cut.rows, |rows| {
            let (low, high) = float_extremes(numbers, rows);
            most = better_float(most, high, true);
            fewest = better_float(fewest, low, false);
        });
        let first = (source.ticks[first], numbers.float(first));
        let last = (source.ticks[last], numbers.float(last));
        candle = Some(match candle {
            None => Candle { first, greatest: most, least: fewest, last },
            Some(old) => Candle {
                first: if first.0 < old.first.0 { first } else { old.first },
                greatest: better_float(old.greatest, most, true),
                least: better_float(old.least, fewest, false),
                last: if last.0 >= old.last.0 { last } else { old.last },
            },
        });
    }
    candle
}

/// Least and greatest of rows without NULL.
fn float_extremes(numbers: &Numbers, rows: Range<usize>) -> (f64, f64) {
    let of =
        |least: Option<f64>, greatest: Option<f64>| (least.unwrap_or(f64::NAN), greatest.unwrap_or(f64::NAN));
    match &numbers.values {
        Values::F(values) => of(least_float(&values[rows.clone()]), greatest_float(&values[rows])),
        Values::I(values) => {
            of(least(&values[rows.clone()]).map(Number::float), greatest(&values[rows]).map(Number::float))
        }
        Values::U(values) => {
            of(least(&values[rows.clone()]).map(Number::float), greatest(&values[rows]).map(Number::float))
        }
    }
}

fn spread(moments: &mut Moments, column: &Numbers, rows: &Range<usize>) {
    column.each_valid(rows, |rows| {
        let other = match &column.values {
            Values::I(values) => moments_of(&values[rows]),
            Values::U(values) => moments_of(&values[rows]),
            Values::F(values) => moments_of(&values[rows]),
        };
        moments.join(&other);
    });
}

fn moments_of<T: Number>(values: &[T]) -> Moments {
    let count = values.len() as u64;
    if count == 0 {
        return Moments::default();
    }
    let mean = float_sum(values) / count as f64;
    Moments { count, mean, squares: square_sum(values, mean) }
}

impl Moments {
    /// Takes in others, as Chan, Golub and LeVeque join them.
    fn join(&mut self, other: &Self) {
        if self.count == 0 || other.count == 0 {
            if self.count == 0 {
                *self = *other;
            }
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let delta = other.mean - self.mean;
        self.squares += other.squares + delta * delta * (a * b / (a + b));
        self.mean += delta * (b / (a + b));
        self.count += other.count;
    }
}
