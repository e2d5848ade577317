//! Which aggregates can be folded over sorted number columns.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_plan::aggregates::AggregateExec;
use zepto_engine::series::{Measure as Folding, is_number};

use super::Input;
use crate::provider::PartScan;

/// How an aggregate's result is made of what was folded.
#[derive(Debug, Clone)]
pub(super) enum Finish {
    /// A count.
    Count,
    /// A sum of whole numbers.
    WholeSum,
    /// A sum of floats.
    FloatSum,
    /// A mean.
    Mean,
    /// A value of the column.
    Value,
    /// A value that was chosen by its time.
    Chosen,
    /// A weighted mean.
    Weighted,
    /// Open, high, low, close.
    Candle,
    /// A deviation or variance.
    Spread(Arc<AggregateFunctionExpr>),
}

/// One aggregate.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    /// What is folded; its columns are indexes in the table's schema.
    pub(super) folding: Folding,
    /// Whether a sum's values are added as floats.
    pub(super) floats: bool,
    /// The type of the column in storage.
    pub(super) stored: DataType,
    /// What becomes of it.
    pub(super) finish: Finish,
}

/// The measures of all aggregates; None when one of them is not of this kind.
pub(super) fn all(aggregate: &AggregateExec, input: &Input<'_>) -> Option<Vec<Measure>> {
    if aggregate.filter_expr().iter().any(Option::is_some) {
        return None;
    }
    aggregate.aggr_expr().iter().map(|function| one(function, input)).collect()
}

/// A column of the table behind an argument.
struct Argument {
    index: usize,
    stored: DataType,
    given: DataType,
}

impl Argument {
    fn of(expr: &Arc<dyn PhysicalExpr>, scan: &PartScan) -> Option<Self> {
        let (bare, cast) = match expr.downcast_ref::<CastExpr>() {
            Some(cast) => (cast.expr(), Some(cast.cast_type().clone())),
            None => (expr, None),
        };
        let source = scan.source();
        let index = *source.output.get(bare.downcast_ref::<Column>()?.index())?;
        let stored = source.schema.columns[index].ty.storage_type();
        let given = cast.unwrap_or_else(|| source.schema.query_schema().field(index).data_type().clone());
        is_number(&stored).then_some(Self { index, stored, given })
    }

    /// The column, if it is given as it is stored; a time's zone is for display.
    fn bare(self) -> Option<Self> {
        let same = match (&self.given, &self.stored) {
            (DataType::Timestamp(given, _), DataType::Timestamp(stored, _)) => given == stored,
            (given, stored) => given == stored,
        };
        same.then_some(self)
    }

    /// The column, if it is given as floats; a time is none.
    fn floats(self) -> Option<Self> {
        let number = self.stored.is_integer() || self.stored.is_floating();
        (self.given == DataType::Float64 && number).then_some(self)
    }
}

fn one(function: &AggregateFunctionExpr, input: &Input<'_>) -> Option<Measure> {
    if function.is_distinct() || function.ignore_nulls() || !function.order_bys().is_empty() {
        return None;
    }
    let arguments: Vec<Arc<dyn PhysicalExpr>> =
        function.expressions().iter().map(|expr| input.over_scan(expr)).collect::<Option<_>>()?;
    let argument = |at: usize| Argument::of(arguments.get(at)?, input.scan);
    let time = input.scan.source().schema.time_index()?;
    let by_time = || argument(1).and_then(Argument::bare).filter(|by| by.index == time);
    let made = |folding, stored, finish| Measure { folding, floats: false, stored, finish };
    Some(match (function.fun().name(), arguments.len()) {
        ("count", 1) if is_value(&arguments[0]) => made(Folding::Rows, DataType::UInt64, Finish::Count),
        ("count", 1) => made(Folding::Count(argument(0)?.bare()?.index), DataType::UInt64, Finish::Count),
        ("sum", 1) => sum(argument(0)?)?,
        ("avg", 1) => {
            let of = argument(0)?.floats()?;
            let floats = of.stored.is_floating();
            Measure { floats, ..made(Folding::Sum(of.index), of.stored, Finish::Mean) }
        }
        ("min" | "max", 1) => {
            let of = argument(0)?.bare()?;
            let greatest = function.fun().name() == "max";
            made(Folding::Extreme(of.index, greatest), of.stored, Finish::Value)
        }
        (name @ ("first" | "last" | "argMin" | "argMax"), 2) => {
            let of = argument(0)?.bare()?;
            by_time()?;
            let folding = match name {
                "last" => Folding::Last(of.index),
                "argMax" => Folding::FirstOfLast(of.index),
                _ => Folding::First(of.index),
            };
            made(folding, of.stored, Finish::Chosen)
        }
        ("vwap" | "avgWeighted", 2) => {
            let (value, weight) = (argument(0)?.floats()?, argument(1)?.floats()?);
            made(Folding::Weighted(value.index, weight.index), value.stored, Finish::Weighted)
        }
        ("ohlc", 2) => {
            let of = argument(0)?.floats()?;
            by_time()?;
            made(Folding::Candle(of.index), of.stored, Finish::Candle)
        }
        ("stddevPop" | "stddevSamp" | "varPop" | "varSamp", 1) => {
            let of = argument(0)?.floats()?;
            made(Folding::Spread(of.index), of.stored, Finish::Spread(Arc::new(function.clone())))
        }
        _ => return None,
    })
}

fn sum(of: Argument) -> Option<Measure> {
    let (floats, finish) = match &of.given {
        DataType::Float64 if of.stored.is_integer() || of.stored.is_floating() => (true, Finish::FloatSum),
        DataType::Int64 if of.stored.is_signed_integer() => (false, Finish::WholeSum),
        DataType::UInt64 if of.stored.is_unsigned_integer() => (false, Finish::WholeSum),
        _ => return None,
    };
    Some(Measure { folding: Folding::Sum(of.index), floats, stored: of.stored, finish })
}

fn is_value(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.downcast_ref::<Literal>().is_some_and(|literal| !literal.value().is_null())
}

impl Measure {
    /// Whether rows of different keys with one time would have to be told apart.
    pub(super) fn is_by_arrival(&self) -> bool {
        matches!(self.finish, Finish::Chosen | Finish::Candle)
    }

    /// The columns of the table that are read.
    pub(super) fn columns(&self) -> Vec<usize> {
        match self.folding {
            Folding::Rows => vec![],
            Folding::Count(at)
            | Folding::Sum(at)
            | Folding::Extreme(at, _)
            | Folding::First(at)
            | Folding::Last(at)
            | Folding::FirstOfLast(at)
            | Folding::Candle(at)
            | Folding::Spread(at) => vec![at],
            Folding::Weighted(value, weight) => vec![value, weight],
        }
    }

    /// The same over other column numbers; None where a column has none.
    pub(super) fn placed(mut self, place: impl Fn(usize) -> Option<usize>) -> Option<Self> {
        match &mut self.folding {
            Folding::Rows => {}
            Folding::Count(at)
            | Folding::Sum(at)
            | Folding::Extreme(at, _)
            | Folding::First(at)
            | Folding::Last(at)
            | Folding::FirstOfLast(at)
            | Folding::Candle(at)
            | Folding::Spread(at) => *at = place(*at)?,
            Folding::Weighted(value, weight) => (*value, *weight) = (place(*value)?, place(*weight)?),
        }
        Some(self)
    }
}
