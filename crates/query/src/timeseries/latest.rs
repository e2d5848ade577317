//! LATEST ON by a table's key and time: rows of a key lie sorted by time, so of a sorted part only the last row of each
//! key is read. Memtables are read whole, and who is the latest of all parts is decided above as ever.

use std::ops::Range;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::{ExecutionPlan, ReplaceChildrenOptions};
use zepto_engine::run::RunIndex;

use super::side::{Side, column_of};
use crate::latest::LatestExec;
use crate::provider::{PartScan, Piece, Work};

/// Rows per key below which single rows are read no quicker than all.
const ROWS_PER_KEY_MIN: usize = 8;

/// Fewer rows have other properties.
const OTHER_CHILDREN: ReplaceChildrenOptions = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);

/// The rule.
#[derive(Debug)]
pub(super) struct LastOfEachKey;

impl PhysicalOptimizerRule for LastOfEachKey {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let replace = |node: Arc<dyn ExecutionPlan>| match narrowed(&node) {
            Some((input, scan)) => {
                let input = with_scan(&input, scan)?;
                node.replace_children(vec![input], OTHER_CHILDREN).map(Transformed::yes)
            }
            None => Ok(Transformed::no(node)),
        };
        plan.transform_down(replace).map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "last_of_each_key"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The input of a LATEST ON and the scan that is enough below it; None when all rows are needed.
fn narrowed(node: &Arc<dyn ExecutionPlan>) -> Option<(Arc<dyn ExecutionPlan>, PartScan)> {
    let latest = node.downcast_ref::<LatestExec>()?;
    let (input, keys, time) = latest.over_rows()?;
    let [key] = keys else { return None };
    let side = Side::of(input)?;
    let (key, time) = (column_of(key, &side)?, column_of(time, &side)?);
    let table = side.table();
    // Floats are equal in the index by other rules (NaN, -0) than in SQL.
    let by_index = Some(key) == table.key_index()
        && Some(time) == table.time_index()
        && !table.columns[key].ty.storage_type().is_floating();
    let work = last_rows(side.scan.work()).filter(|_| by_index)?;
    Some((Arc::clone(input), PartScan::new(side.scan.source().clone(), work, side.scan.lists())))
}

/// The input with this scan in the place of its own.
fn with_scan(input: &Arc<dyn ExecutionPlan>, scan: PartScan) -> Result<Arc<dyn ExecutionPlan>> {
    let scan: Arc<dyn ExecutionPlan> = Arc::new(scan);
    let replace = |node: Arc<dyn ExecutionPlan>| {
        Ok(match node.is::<PartScan>() {
            true => Transformed::yes(Arc::clone(&scan)),
            false => Transformed::no(node),
        })
    };
    Arc::clone(input).transform_up(replace).map(|transformed| transformed.data)
}

/// The work with the last row of each key of sorted parts; None if that is no less.
fn last_rows(work: &Work) -> Option<Work> {
    if work.last_of_keys {
        return None;
    }
    let mut found = false;
    let mut pieces = Vec::with_capacity(work.pieces.len());
    for piece in &work.pieces {
        let index = piece.part.index().filter(|index| piece.exact && index.times.is_some());
        let ranges = index.and_then(|index| last_of_slots(index, piece));
        found |= ranges.is_some();
        pieces.push(Piece { ranges: ranges.unwrap_or_else(|| piece.ranges.clone()), ..piece.clone() });
    }
    found.then(|| Work { last_of_keys: true, ..work.with(pieces) })
}

/// The last wanted row of each slot; None when there are nearly as many slots as rows.
fn last_of_slots(index: &RunIndex, piece: &Piece) -> Option<Vec<Range<usize>>> {
    let most = piece.rows() / ROWS_PER_KEY_MIN;
    let mut last = Vec::new();
    for range in &piece.ranges {
        let mut start = range.start;
        while start < range.end {
            let end = index.slot_rows(index.slot_of(start)).end.min(range.end);
            last.push(end - 1..end);
            if last.len() > most {
                return None;
            }
            start = end;
        }
    }
    Some(last)
}
