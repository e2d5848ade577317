//! Every function that ZeptoDB adds to or changes in DataFusion, one table row each.
//!
//! - [`register`] hands them to a session; [`list`] is `system.functions`
//! - a row is a scalar of our own, an aggregate, a window function, or SQL that it stands for
//! - names are found without regard to case; [`crate::semantics::rewrite_ast`] puts the row's spelling in
//!
//! The next function is one more row in the table of its topic.

mod accurate;
mod aggregates;
mod arrays;
mod best;
mod branches;
mod bucket;
mod calendar;
mod casts;
mod convert;
mod dates;
mod decimal_math;
mod decimals;
mod differences;
mod encodings;
mod grouped;
mod hashes;
mod json;
mod lambdas;
mod lists;
mod logic;
mod lttb;
mod map_folds;
mod maps;
mod math;
mod meter;
mod more;
pub(crate) mod parameters;
mod render;
pub(crate) mod rewrites;
mod row_key;
mod scalar;
mod text;
mod timestamps;
mod windows;
mod words;
mod written;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};
use sqlparser::ast::Expr;

pub(crate) use accurate::holds;
pub(crate) use aggregates::for_windows;
pub(crate) use branches::{branch_type, is_branch};
pub(crate) use bucket::Width as TimeWidth;
pub use bucket::uniform_width;
pub(crate) use calendar::add_months;
pub use differences::difference;
pub(crate) use lambdas::{lambda_args, with_lambda};
pub use logic::{CLICKHOUSE_REVISION, CLICKHOUSE_VERSION};
pub(crate) use map_folds::OF_TUPLES;
pub(crate) use meter::{Meter, copied_bytes, copied_rows, widest_row};
pub(crate) use render::float64 as write_float;
pub(crate) use rewrites::interval_parts;
pub(crate) use row_key::ROW_KEY;
pub(crate) use scalar::{column_of, fault, nullable};
pub(crate) use words::SETTING;

use scalar::{Scalar, ScalarFunction};

/// Most items that `range` makes in one array.
const RANGE_MAX: i64 = 1 << 20;

/// What a function is made of.
pub(crate) enum Plan {
    /// A scalar of our own.
    Scalar(Scalar),
    /// SQL over the arguments `$1`, `$2` …
    Sql(&'static str),
    /// Another expression, made from the arguments.
    Ast(fn(Vec<Expr>) -> zepto_common::Result<Expr>),
    /// An aggregate.
    Aggregate(fn(&'static str) -> AggregateUDF),
    /// An aggregate made from others: SQL over the arguments; FILTER and OVER move to the aggregates in it.
    AggregateSql(&'static str),
    /// A window function of our own.
    Window(fn() -> WindowUDF),
    /// A window function that is an aggregate or window function over a frame (see [`windows`]).
    Framed(fn(&sqlparser::ast::Function, Vec<Expr>) -> zepto_common::Result<Expr>),
    /// A function of a lambda and arrays.
    Higher(fn() -> HigherOrderUDF),
    /// DataFusion's own.
    Known,
}

/// One function.
pub(crate) struct Row {
    name: &'static str,
    aliases: &'static [&'static str],
    syntax: &'static str,
    about: &'static str,
    plan: Plan,
}

pub(crate) const fn row(
    name: &'static str,
    aliases: &'static [&'static str],
    syntax: &'static str,
    about: &'static str,
    plan: Plan,
) -> Row {
    Row { name, aliases, syntax, about, plan }
}

/// The tables, one per topic.
const TABLES: &[&[Row]] = &[
    aggregates::ROWS,
    arrays::ROWS,
    best::ROWS,
    branches::ROWS,
    bucket::ROWS,
    casts::ROWS,
    casts::DEFAULTS,
    dates::ROWS,
    decimal_math::ROWS,
    encodings::ROWS,
    grouped::ROWS,
    hashes::ROWS,
    json::ROWS,
    json::PATHS,
    lambdas::ROWS,
    lists::ROWS,
    logic::ROWS,
    &map_folds::SUMS,
    &map_folds::LEAST,
    &map_folds::GREATEST,
    maps::ROWS,
    math::ROWS,
    more::ROWS,
    text::ROWS,
    text::PADS,
    text::PARTS,
    text::GROUPS,
    windows::ROWS,
    words::ROWS,
    words::ADDRESSES,
];

static BY_NAME: LazyLock<HashMap<String, &'static Row>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for row in TABLES.iter().flat_map(|table| table.iter()) {
        for name in std::iter::once(&row.name).chain(row.aliases) {
            names.insert(name.to_ascii_lowercase(), row);
        }
    }
    names
});

/// The row of a function, by any of its names in any case.
pub(crate) fn find(name: &str) -> Option<&'static Row> {
    BY_NAME.get(&name.to_ascii_lowercase()).copied()
}

impl Row {
    /// The spelling under which it is registered.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// How it is made.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether it is called with OVER only.
    pub(crate) fn is_window(&self) -> bool {
        self.syntax.contains(" OVER ")
    }

    /// Whether it answers yes or no.
    pub(crate) fn is_test(&self) -> bool {
        matches!(&self.plan, Plan::Scalar(scalar) if scalar.test)
    }

    fn is_aggregate(&self) -> bool {
        matches!(self.plan, Plan::Aggregate(_) | Plan::AggregateSql(_))
    }
}

static SCALARS: LazyLock<HashMap<&'static str, Arc<ScalarUDF>>> = LazyLock::new(|| {
    let rows = TABLES.iter().flat_map(|table| table.iter());
    rows.filter_map(|row| match row.plan {
        Plan::Scalar(scalar) => {
            Some((row.name, Arc::new(ScalarUDF::from(ScalarFunction::new(row.name, scalar)))))
        }
        _ => None,
    })
    .collect()
});

/// A scalar function of a row.
///
/// # Errors
/// No row of this name is a scalar.
pub(crate) fn scalar_function(name: &str) -> Result<Arc<ScalarUDF>> {
    SCALARS.get(name).cloned().ok_or_else(|| {
        fault(zepto_common::ErrorCode::LogicalError, format!("No scalar function is called {name}"))
    })
}

/// Registers every function and the planner of operators with a session.
///
/// # Errors
/// The session refuses a function; none does today.
pub fn register(state: &mut SessionState) -> Result<()> {
    logic::start_clock();
    for udf in SCALARS.values() {
        state.register_udf(Arc::clone(udf))?;
    }
    state.register_udf(Arc::new(row_key::row_key()))?;
    for row in TABLES.iter().flat_map(|table| table.iter()) {
        match row.plan {
            Plan::Aggregate(make) => {
                state.register_udaf(Arc::new(make(row.name)))?;
            }
            Plan::Window(make) => {
                state.register_udwf(Arc::new(make()))?;
            }
            Plan::Higher(make) => {
                state.register_higher_order_function(Arc::new(make()))?;
            }
            _ => {}
        }
    }
    state.register_expr_planner(Arc::new(crate::semantics::OperatorPlanner))
}

/// A line of `system.functions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Its name or one of its other names.
    pub name: &'static str,
    /// Whether it takes many rows.
    pub is_aggregate: bool,
    /// Names are found without regard to case.
    pub case_insensitive: bool,
    /// The name that this is another name of; empty for the first name.
    pub alias_to: &'static str,
    /// What it does.
    pub description: &'static str,
    /// How it is called.
    pub syntax: &'static str,
}

/// Every function by each of its names, sorted by name.
#[must_use]
pub fn list() -> Vec<FunctionInfo> {
    let rows = TABLES.iter().flat_map(|table| table.iter()).filter(|row| !row.name.starts_with("__"));
    let mut lines: Vec<FunctionInfo> = rows
        .flat_map(|row| {
            std::iter::once((row.name, "")).chain(row.aliases.iter().map(|alias| (*alias, row.name))).map(
                |(name, alias_to)| FunctionInfo {
                    name,
                    is_aggregate: row.is_aggregate(),
                    case_insensitive: true,
                    alias_to,
                    description: row.about,
                    syntax: row.syntax,
                },
            )
        })
        .collect();
    lines.sort_by_key(|line| line.name);
    lines
}

/// Whether a call of this name is understood: a row's, or one of the families `addDays`, `toIntervalDay`, `dateAdd`.
#[must_use]
pub fn is_known(name: &str) -> bool {
    let two = [rewrites::number(1), rewrites::number(1)];
    find(name).is_some_and(|row| !row.name.starts_with("__"))
        || rewrites::interval_call(name, &two).is_some()
        || rewrites::shift_call(name, &two).is_some()
        || !matches!(rewrites::date_add(name, &[]), Ok(None))
}

/// Whether a call of this name takes many rows: one of ours, with or without a combinator, or DataFusion's.
pub(crate) fn is_aggregate(name: &sqlparser::ast::ObjectName) -> bool {
    let [part] = name.0.as_slice() else { return false };
    let Some(name) = part.as_ident().map(|name| name.value.to_ascii_lowercase()) else { return false };
    let of_ends = |name: &str| matches!(name, "first_value" | "last_value");
    let known = |name: &str| of_ends(name) || find(name).is_some_and(Row::is_aggregate);
    let stem = ["if", "distinct", "ornull", "ordefault"].iter().find_map(|suffix| name.strip_suffix(suffix));
    known(&name) || stem.is_some_and(known) || name == "string_agg"
}
