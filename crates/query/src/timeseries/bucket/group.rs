//! What is grouped by: the key, a bucket of time, both or nothing.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::physical_plan::aggregates::AggregateExec;
use zepto_common::types::{ColumnType, ticks_per_second, unit_of};

use super::Input;
use crate::functions::uniform_width;

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// One group column.
#[derive(Debug, Clone)]
pub(super) enum Group {
    /// The key.
    Key,
    /// The bucket, as an expression over the time column.
    Bucket(Arc<dyn PhysicalExpr>),
}

/// The groups.
#[derive(Debug, Clone)]
pub(super) struct Grouping {
    /// In the order of the output's columns.
    pub(super) groups: Vec<Group>,
    /// Whether the key is among them.
    pub(super) by_key: bool,
    /// The bucket's width in ticks; None without one.
    pub(super) width: Option<i64>,
}

impl Grouping {
    /// The groups of an aggregation; None if there are others.
    pub(super) fn of(aggregate: &AggregateExec, input: &Input<'_>) -> Option<Self> {
        let by = aggregate.group_expr();
        if !by.is_single() {
            return None;
        }
        let mut grouping = Self { groups: Vec::new(), by_key: false, width: None };
        for (expr, _) in by.expr() {
            let expr = input.over_scan(expr)?;
            if is_key(&expr, input) {
                grouping.by_key = true;
                grouping.groups.push(Group::Key);
                continue;
            }
            let width = width_of(&expr, input)?;
            // Two buckets would be cut at the smaller of both where one divides the other; nobody writes that.
            if grouping.width.replace(width).is_some() {
                return None;
            }
            grouping.groups.push(Group::Bucket(expr));
        }
        Some(grouping)
    }
}

fn is_key(expr: &Arc<dyn PhysicalExpr>, input: &Input<'_>) -> bool {
    let source = input.scan.source();
    let (Some(column), Some(key)) = (column_of(expr, input), source.schema.key_index()) else { return false };
    // Floats are equal in the index by other rules (NaN, -0) than in SQL.
    column == key && !source.schema.columns[key].ty.storage_type().is_floating()
}

fn column_of(expr: &Arc<dyn PhysicalExpr>, input: &Input<'_>) -> Option<usize> {
    input.scan.source().output.get(expr.downcast_ref::<Column>()?.index()).copied()
}

/// The width in ticks of the buckets that an expression rounds the time column to, all counted from 1970.
fn width_of(expr: &Arc<dyn PhysicalExpr>, input: &Input<'_>) -> Option<i64> {
    let call = expr.downcast_ref::<ScalarFunctionExpr>()?;
    let (time, rest) = call.args().split_first()?;
    let table = &input.scan.source().schema;
    let at = table.time_index()?;
    if column_of(time, input)? != at {
        return None;
    }
    let mut literals: Vec<Option<&ScalarValue>> = vec![None];
    for argument in rest {
        literals.push(Some(argument.downcast_ref::<Literal>()?.value()));
    }
    let (unit, zone) = match table.columns[at].ty.inner() {
        ColumnType::DateTime(zone) => (unit_of(0), zone.clone()),
        ColumnType::DateTime64(digits, zone) => (unit_of(*digits), zone.clone()),
        _ => return None,
    };
    // Times without a zone are told in the session's.
    let session = Some(input.session_zone).filter(|zone| !zone.is_empty());
    let nanos = uniform_width(call.fun().name(), &literals, zone.as_deref().or(session))?;
    let tick = SECOND / ticks_per_second(unit);
    (nanos % tick == 0 && nanos >= tick).then_some(nanos / tick)
}
