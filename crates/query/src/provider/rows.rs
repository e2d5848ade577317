//! Scans of given parts, for plans that are put together outside of a query's planning.

use std::ops::Range;
use std::sync::Arc;

use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use zepto_common::schema::TableSchema;
use zepto_engine::Part;

use super::scan::{Piece, Source, Work};
use super::{PartScan, pinned, predicate};

/// All rows of these parts: the columns of `schema` with these indexes, in at most `threads` partitions.
///
/// # Errors
/// None now.
pub(crate) fn scan_parts(
    schema: &Arc<TableSchema>,
    columns: &[usize],
    parts: &[Part],
    threads: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let ranges = parts.iter().map(|part| {
        let part = pinned(part);
        let all = 0..part.rows();
        (part, std::iter::once(all).collect())
    });
    Ok(Arc::new(PartScan::new(source(schema, columns, None), work(ranges, true), threads)))
}

/// These ranges in one partition; of them, the rows whose time is not below `not_before`.
///
/// # Errors
/// A comparison that cannot be planned.
pub(crate) fn scan_ranges(
    schema: &Arc<TableSchema>,
    columns: &[usize],
    ranges: Vec<(Part, Vec<Range<usize>>)>,
    not_before: Option<i64>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let query_schema = schema.query_schema();
    let alive = not_before.and_then(|time| predicate::not_before(time, schema, &query_schema));
    let filter = match alive {
        Some(alive) => {
            let schema = DFSchema::try_from(query_schema.as_ref().clone())?;
            Some(create_physical_expr(
                &alive,
                &schema,
                &ExecutionProps::new(),
                &PhysicalPlanningContext::default(),
            )?)
        }
        None => None,
    };
    let exact = filter.is_none();
    let ranges = ranges.into_iter().map(|(part, ranges)| (pinned(&part), ranges));
    Ok(Arc::new(PartScan::new(source(schema, columns, filter), work(ranges, exact), 1)))
}

fn source(schema: &Arc<TableSchema>, columns: &[usize], filter: Option<Arc<dyn PhysicalExpr>>) -> Source {
    Source { schema: schema.clone(), output: columns.to_vec(), filter, limit: None }
}

fn work(ranges: impl Iterator<Item = (Part, Vec<Range<usize>>)>, exact: bool) -> Work {
    let pieces = ranges.map(|(part, ranges)| Piece { part, shard: 0, ranges, exact });
    Work { pieces: pieces.filter(|piece| piece.rows() > 0).collect(), ..Work::default() }
}
