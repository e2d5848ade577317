//! Aggregate functions: DataFusion's adapted, and our own folds.

mod adapted;
mod element;
mod extreme;
mod first_seen;
mod fold;
mod folds;
mod mean;
mod quantiles;
mod sliding;
mod spread;
mod sum;
mod windowed;
mod winner;

use datafusion::functions_aggregate as df;

use adapted::{Adapted, Kind};
use fold::aggregate;
pub(crate) use windowed::for_windows;

use super::{Plan, Row, row};

/// An aggregate of DataFusion over the bits of whole numbers; of none, all are set or no one is.
pub(super) fn of_bits(
    name: &'static str,
    inner: std::sync::Arc<datafusion::logical_expr::AggregateUDF>,
    all: bool,
) -> datafusion::logical_expr::AggregateUDF {
    Adapted::udaf(name, inner, if all { Kind::AllBits } else { Kind::Bits }, (1, 1))
}

macro_rules! adapted {
    ($make:expr, $kind:ident, $arguments:expr) => {
        Plan::Aggregate(|name| Adapted::udaf(name, $make, Kind::$kind, $arguments))
    };
}

macro_rules! fold {
    ($rule:expr) => {
        Plan::Aggregate(|name| aggregate(name, $rule))
    };
}

/// Aggregates. `…If`, `…Distinct`, `…OrNull` after a name are understood for all of them.
pub(crate) const ROWS: &[Row] = &[
    row(
        "count",
        &[],
        "count([x])",
        "Rows, or values that are not NULL.",
        adapted!(df::count::count_udaf(), Count, (0, 255)),
    ),
    row(
        "sum",
        &[],
        "sum(x)",
        "Sum; an error when a whole sum does not fit 64 bits.",
        Plan::Aggregate(sum::sum),
    ),
    row("min", &[], "min(x)", "The least value.", adapted!(df::min_max::min_udaf(), Same, (1, 1))),
    row("max", &[], "max(x)", "The greatest value.", adapted!(df::min_max::max_udaf(), Same, (1, 1))),
    row("avg", &["mean"], "avg(x)", "Mean.", Plan::Aggregate(mean::mean)),
    row(
        "stddevPop",
        &["stddev_pop", "STD", "stddevPopStable"],
        "stddevPop(x)",
        "Standard deviation of all values.",
        adapted!(df::stddev::stddev_pop_udaf(), Mean, (1, 1)),
    ),
    row(
        "stddevSamp",
        &["stddev_samp", "stddev", "stddevSampStable"],
        "stddevSamp(x)",
        "Standard deviation of a sample.",
        adapted!(df::stddev::stddev_udaf(), Mean, (1, 1)),
    ),
    row(
        "varPop",
        &["var_pop", "varPopStable"],
        "varPop(x)",
        "Variance of all values.",
        adapted!(df::variance::var_pop_udaf(), Mean, (1, 1)),
    ),
    row(
        "varSamp",
        &["var_samp", "variance", "varSampStable"],
        "varSamp(x)",
        "Variance of a sample.",
        adapted!(df::variance::var_samp_udaf(), Mean, (1, 1)),
    ),
    row(
        "corr",
        &["corrStable"],
        "corr(x, y)",
        "Pearson's correlation.",
        adapted!(df::correlation::corr_udaf(), Mean, (2, 2)),
    ),
    row(
        "covarPop",
        &["covar_pop", "covarPopStable"],
        "covarPop(x, y)",
        "Covariance of all pairs.",
        adapted!(df::covariance::covar_pop_udaf(), Mean, (2, 2)),
    ),
    row(
        "covarSamp",
        &["covar_samp", "covarSampStable"],
        "covarSamp(x, y)",
        "Covariance of a sample.",
        adapted!(df::covariance::covar_samp_udaf(), Mean, (2, 2)),
    ),
    row(
        "groupArray",
        &["array_agg"],
        "groupArray(x)",
        "The values that are not NULL as an array.",
        adapted!(df::array_agg::array_agg_udaf(), Items, (1, 1)),
    ),
    row(
        "groupUniqArray",
        &[],
        "groupUniqArray(x)",
        "The different values as an array.",
        Plan::AggregateSql("groupArray(DISTINCT $1)"),
    ),
    row(
        "uniqExact",
        &["uniq", "uniqHLL12", "uniqTheta", "approx_count_distinct"],
        "uniqExact(x)",
        "How many different values; exact under each of its names.",
        Plan::AggregateSql("count(DISTINCT $1)"),
    ),
    row("any", &["any_value"], "any(x)", "The first value to arrive that is not NULL.", fold!(winner::any())),
    row(
        "anyLast",
        &[],
        "anyLast(x)",
        "The last value to arrive that is not NULL.",
        fold!(winner::any_last()),
    ),
    row(
        "argMin",
        &["arg_min", "min_by"],
        "argMin(x, key)",
        "x of the row with the least key.",
        fold!(winner::arg_min()),
    ),
    row(
        "argMax",
        &["arg_max", "max_by"],
        "argMax(x, key)",
        "x of the row with the greatest key.",
        fold!(winner::arg_max()),
    ),
    row(
        "first",
        &[],
        "first(x[, ts])",
        "x of the earliest row; of rows with the same time the first to arrive.",
        fold!(winner::first()),
    ),
    row(
        "last",
        &[],
        "last(x[, ts])",
        "x of the latest row; of rows with the same time the last to arrive.",
        fold!(winner::last()),
    ),
    row(
        "quantile",
        &["quantileTDigest", "quantileInterpolatedWeighted", "quantileTiming"],
        "quantile(level)(x)",
        "The value at a level from 0 to 1, between neighbours; exact.",
        fold!(quantiles::quantile_rule()),
    ),
    row(
        "percentile",
        &["percentile_cont"],
        "percentile(x, p)",
        "The value at p percent (or a level from 0 to 1).",
        fold!(quantiles::percentile_rule()),
    ),
    row("median", &[], "median(x)", "quantile(0.5)(x).", Plan::AggregateSql("quantile($1, 0.5)")),
    row(
        "quantileExact",
        &["medianExact"],
        "quantileExact(level)(x)",
        "The element at a level.",
        fold!(element::rule()),
    ),
    row(
        "quantiles",
        &["quantilesTDigest"],
        "quantiles(a, b, …)(x)",
        "The values at several levels.",
        fold!(quantiles::quantiles_rule()),
    ),
    row("vwap", &[], "vwap(price, volume)", "Mean price weighted by volume.", fold!(folds::weighted_rule())),
    row("avgWeighted", &[], "avgWeighted(x, weight)", "Weighted mean.", fold!(folds::weighted_rule())),
    row(
        "twap",
        &[],
        "twap(price, ts)",
        "Mean price weighted by the time until the next one.",
        fold!(folds::twap_rule()),
    ),
    row(
        "ohlc",
        &[],
        "ohlc(price, ts)",
        "Tuple of the first, greatest, least and last price.",
        fold!(folds::ohlc_rule()),
    ),
];
