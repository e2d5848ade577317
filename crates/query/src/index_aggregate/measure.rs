//! Which aggregates a slot's statistics can stand for, and their partial states.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Decimal128Array, Float64Array, Int64Array, UInt32Array,
    UInt64Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_plan::aggregates::AggregateExec;
use zepto_common::ColumnId;
use zepto_common::schema::TableSchema;
use zepto_engine::run::{KeyStats, RunIndex, Sums};

use super::Slots;
use super::ties::Ties;
use crate::provider::PartScan;

/// One aggregate, as far as statistics know it.
#[derive(Debug, Clone)]
pub(super) enum Measure {
    /// Rows; also values of the time column, which is never NULL.
    Rows,
    /// Values that are not NULL.
    Count(ColumnId),
    /// A sum of whole numbers; the state is exact.
    WholeSum(ColumnId),
    /// A sum of floats.
    FloatSum(ColumnId),
    /// A mean: count and sum.
    Mean(ColumnId),
    /// The least (`false`) or greatest value of a number column.
    Extreme(ColumnId, bool),
    /// The least or greatest tick, as this type.
    Tick(bool, DataType),
    /// The value of the earliest (`false`) or latest row by the time column.
    Edge(ColumnId, bool),
}

/// The measures of all aggregates; None when one of them is not known to statistics.
pub(super) fn all(aggregate: &AggregateExec, scan: &PartScan) -> Option<Vec<Measure>> {
    if aggregate.filter_expr().iter().any(Option::is_some) {
        return None;
    }
    aggregate.aggr_expr().iter().map(|function| one(function, scan)).collect()
}

fn one(function: &AggregateFunctionExpr, scan: &PartScan) -> Option<Measure> {
    if function.is_distinct() || !function.order_bys().is_empty() {
        return None;
    }
    let table = &scan.source().schema;
    let arguments = function.expressions();
    let column = |at: usize| column_of(arguments.get(at)?, scan);
    let name = function.fun().name();
    match (name, arguments.len()) {
        ("count", 1) if is_value(&arguments[0]) => Some(Measure::Rows),
        ("count", 1) if Some(column(0)?.0) == time_of(table) => Some(Measure::Rows),
        ("count", 1) => Some(Measure::Count(table.columns[column(0)?.0].id)),
        ("sum" | "avg", 1) => {
            let (index, given) = column(0)?;
            let stored = table.columns[index].ty.storage_type();
            let id = table.columns[index].id;
            let is_number = stored.is_integer() || stored.is_floating();
            match (name, given) {
                ("avg", DataType::Float64) if is_number => Some(Measure::Mean(id)),
                ("sum", DataType::Float64) if is_number => Some(Measure::FloatSum(id)),
                ("sum", DataType::Int64) if stored.is_signed_integer() => Some(Measure::WholeSum(id)),
                ("sum", DataType::UInt64) if stored.is_unsigned_integer() => Some(Measure::WholeSum(id)),
                _ => None,
            }
        }
        ("min" | "max", 1) => {
            let (index, given) = column(0)?;
            if Some(index) == time_of(table) && given == table.columns[index].ty.storage_type() {
                return Some(Measure::Tick(name == "max", given));
            }
            bare(table, (index, given)).map(|id| Measure::Extreme(id, name == "max"))
        }
        ("first" | "last", 2) if Some(column(1)?.0) == time_of(table) => {
            bare(table, column(0)?).map(|id| Measure::Edge(id, name == "last"))
        }
        _ => None,
    }
}

/// The column, if it is given as it is stored.
fn bare(table: &TableSchema, (index, given): (usize, DataType)) -> Option<ColumnId> {
    let column = &table.columns[index];
    (given == column.ty.storage_type()).then_some(column.id)
}

/// The time column, if every row has a time.
fn time_of(table: &TableSchema) -> Option<usize> {
    table.time_index().filter(|&index| !table.query_schema().field(index).is_nullable())
}

fn is_value(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.downcast_ref::<Literal>().is_some_and(|literal| !literal.value().is_null())
}

/// The table's column behind an argument, and the type in which it is given.
fn column_of(expr: &Arc<dyn PhysicalExpr>, scan: &PartScan) -> Option<(usize, DataType)> {
    let source = scan.source();
    let index =
        |expr: &Arc<dyn PhysicalExpr>| source.output.get(expr.downcast_ref::<Column>()?.index()).copied();
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        return Some((index(cast.expr())?, cast.cast_type().clone()));
    }
    let index = index(expr)?;
    Some((index, source.schema.query_schema().field(index).data_type().clone()))
}

impl Measure {
    fn column(&self) -> Option<ColumnId> {
        match self {
            Self::Rows | Self::Tick(..) => None,
            Self::Count(id) | Self::WholeSum(id) | Self::FloatSum(id) | Self::Mean(id) => Some(*id),
            Self::Extreme(id, _) | Self::Edge(id, _) => Some(*id),
        }
    }

    /// Whether this index has what is needed, about the same column in the same type.
    pub(super) fn is_known(&self, index: &RunIndex, table: &TableSchema, part: &TableSchema) -> bool {
        if matches!(self, Self::Tick(..) | Self::Edge(..)) && index.times.is_none() {
            return false;
        }
        let Some(id) = self.column() else { return true };
        let ty = |schema: &TableSchema| schema.index_of_id(id).map(|at| schema.columns[at].ty.storage_type());
        let Some(stats) = index.key_stats(id) else { return false };
        let sums_fit = match self {
            Self::WholeSum(_) => matches!(stats.sums, Sums::I(_)),
            _ => true,
        };
        sums_fit && ty(table).is_some() && ty(table) == ty(part)
    }

    /// Whether the slot's statistics say what its rows would.
    pub(super) fn is_exact(&self, index: &RunIndex, slot: usize, ties: &Ties) -> bool {
        match self {
            Self::Extreme(id, greatest) => {
                let Some(stats) = index.key_stats(*id) else { return false };
                match &stats.sums {
                    Sums::I(_) => true,
                    Sums::F(sums) => {
                        let extreme = if *greatest { &stats.max } else { &stats.min };
                        !sums[slot].is_nan() && float_at(extreme, slot) != Some(0.0)
                    }
                }
            }
            Self::Edge(id, last) => {
                let (Some(stats), Some((min, max))) = (index.key_stats(*id), &index.times) else {
                    return false;
                };
                let tick = if *last { max[slot] } else { min[slot] };
                let complete = stats.counts[slot] as usize == index.slot_rows(slot).len();
                complete && index.partition_of_slot(slot).is_some_and(|of| !ties.may_tie(of, tick))
            }
            _ => true,
        }
    }

    /// The columns of the partial state, a row per slot.
    ///
    /// # Errors
    /// Arrow's; statistics that are not there although [`Measure::is_known`] said so.
    pub(super) fn states(&self, of: &Slots) -> Result<Vec<ArrayRef>> {
        let slots = || of.slots.iter().map(|&slot| slot as usize);
        let index = &of.index;
        let places = UInt32Array::from(of.slots.clone());
        let rows = |slot: usize| index.slot_rows(slot).len();
        Ok(match self {
            Self::Rows => vec![Arc::new(slots().map(|slot| Some(rows(slot) as i64)).collect::<Int64Array>())],
            Self::Count(id) => {
                let stats = stats(index, *id)?;
                vec![Arc::new(
                    slots().map(|slot| Some(i64::from(stats.counts[slot]))).collect::<Int64Array>(),
                )]
            }
            Self::WholeSum(id) => {
                let stats = stats(index, *id)?;
                let Sums::I(sums) = &stats.sums else { return missing() };
                let sums = slots().map(|slot| (stats.counts[slot] > 0).then_some(sums[slot]));
                vec![Arc::new(sums.collect::<Decimal128Array>().with_precision_and_scale(38, 0)?)]
            }
            Self::FloatSum(id) => vec![Arc::new(float_sums(stats(index, *id)?, slots()))],
            Self::Mean(id) => {
                let stats = stats(index, *id)?;
                let counts = slots().map(|slot| stats.counts[slot]);
                let counts: UInt64Array = counts.map(|n| (n > 0).then_some(u64::from(n))).collect();
                vec![Arc::new(counts), Arc::new(float_sums(stats, slots()))]
            }
            Self::Extreme(id, greatest) => {
                let stats = stats(index, *id)?;
                vec![take(if *greatest { &stats.max } else { &stats.min }, &places, None)?]
            }
            Self::Tick(greatest, ty) => vec![cast(&ticks(index, slots(), *greatest)?, ty)?],
            Self::Edge(id, last) => {
                let stats = stats(index, *id)?;
                let ticks = ticks(index, slots(), *last)?;
                let ticks = ticks.as_primitive::<arrow::datatypes::Int64Type>().iter();
                let ticks: Decimal128Array = ticks.map(|tick| tick.map(i128::from)).collect();
                vec![
                    Arc::new(ticks.with_precision_and_scale(38, 0)?),
                    Arc::new(BinaryArray::new_null(of.slots.len())),
                    take(if *last { &stats.last } else { &stats.first }, &places, None)?,
                ]
            }
        })
    }
}

fn missing<T>() -> Result<T> {
    datafusion::common::internal_err!("a run index lost its statistics")
}

fn stats(index: &RunIndex, id: ColumnId) -> Result<&KeyStats> {
    index.key_stats(id).map_or_else(missing, Ok)
}

fn ticks(index: &RunIndex, slots: impl Iterator<Item = usize>, greatest: bool) -> Result<ArrayRef> {
    let Some((min, max)) = &index.times else { return missing() };
    let ticks = if greatest { max } else { min };
    Ok(Arc::new(slots.map(|slot| Some(ticks[slot])).collect::<Int64Array>()))
}

fn float_sums(stats: &KeyStats, slots: impl Iterator<Item = usize>) -> Float64Array {
    let sum = |slot: usize| match &stats.sums {
        Sums::I(sums) => sums[slot] as f64,
        Sums::F(sums) => sums[slot],
    };
    slots.map(|slot| (stats.counts[slot] > 0).then(|| sum(slot))).collect()
}

fn float_at(array: &ArrayRef, slot: usize) -> Option<f64> {
    if array.is_null(slot) {
        return None;
    }
    match array.data_type() {
        DataType::Float32 => Some(f64::from(array.as_primitive::<Float32Type>().value(slot))),
        DataType::Float64 => Some(array.as_primitive::<Float64Type>().value(slot)),
        _ => None,
    }
}
