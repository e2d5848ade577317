//! Aggregates answered from run indexes, without a row of a sorted run.
//!
//! Below a partial aggregate over a table scan, every index slot that is wanted whole becomes one state row, made
//! from the slot's statistics; the other rows keep their partial aggregate. The final aggregate above merges both
//! and does not know the difference. A slot is left to its rows when its statistics would not give exactly what
//! the rows give: a float slot with NaN or a zero as extreme for `min` and `max`, a NULL or a tie with another part
//! for `first` and
//! `last`, which are answered by key only. Float sums are added slot by slot: they agree with the rows' within rounding.

mod exec;
mod measure;
mod ties;

use std::ops::Range;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ReplaceChildrenOptions};
use zepto_common::schema::TableSchema;
use zepto_engine::run::RunIndex;

use self::exec::IndexAggregateExec;
use self::measure::Measure;
use self::ties::Ties;
use crate::provider::{PartScan, Piece, Work};

/// Rows per slot below which reading slots is no quicker than reading rows.
const ROWS_PER_SLOT_MIN: usize = 32;

/// The rows that remain have other properties than all of them.
const OTHER_CHILDREN: ReplaceChildrenOptions = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);

/// DataFusion's rules with ours where partial aggregates stand directly over their scan.
pub(crate) fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    // Counts and extremes of whole tables are known to the rule before ours without even a slot.
    let at = rules.iter().position(|rule| rule.name() == "aggregate_statistics").map_or(0, |at| at + 1);
    rules.insert(at, Arc::new(AggregateFromIndex));
    rules
}

/// The rule.
#[derive(Debug)]
struct AggregateFromIndex;

impl PhysicalOptimizerRule for AggregateFromIndex {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let replace = |node: Arc<dyn ExecutionPlan>| match replaced(&node)? {
            Some(new) => Ok(Transformed::yes(new)),
            None => Ok(Transformed::no(node)),
        };
        plan.transform_up(replace).map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "aggregate_from_index"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The slots of one part that are answered from its index.
#[derive(Debug, Clone)]
struct Slots {
    index: Arc<RunIndex>,
    slots: Vec<u32>,
}

/// What takes a partial aggregate's place; None when it stays.
fn replaced(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(aggregate) = node.downcast_ref::<AggregateExec>() else { return Ok(None) };
    let Some(scan) = aggregate.input().downcast_ref::<PartScan>() else { return Ok(None) };
    if *aggregate.mode() != AggregateMode::Partial || scan.source().limit.is_some() {
        return Ok(None);
    }
    let Some(grouped) = is_by_key(aggregate, scan) else { return Ok(None) };
    let Some(measures) = measure::all(aggregate, scan) else { return Ok(None) };
    // Without groups, rows of different keys can tie in time, and slots do not tell which arrived first.
    if !grouped && measures.iter().any(|measure| matches!(measure, Measure::Edge(..))) {
        return Ok(None);
    }
    // Rows that are only counted need no index.
    let only_counted = !grouped && measures.iter().all(|measure| matches!(measure, Measure::Rows));
    let (slots, mut rest) = split(scan.work(), &scan.source().schema, &measures);
    let mut counted = 0;
    if only_counted {
        rest.pieces.retain(|piece| {
            let known = piece.exact && piece.part.index().is_none();
            counted += if known { piece.rows() } else { 0 };
            !known
        });
    }
    if slots.is_empty() && counted == 0 {
        return Ok(None);
    }
    let states = IndexAggregateExec::new(aggregate.schema(), grouped, measures, slots, scan);
    let states: Arc<dyn ExecutionPlan> = Arc::new(states.with_counted(counted));
    if rest.pieces.is_empty() {
        return Ok(Some(states));
    }
    let rows = Arc::new(PartScan::new(scan.source().clone(), rest, scan.lists()));
    let rows = Arc::clone(node).replace_children(vec![rows], OTHER_CHILDREN)?;
    Ok(Some(UnionExec::try_new(vec![states, rows])?))
}

/// Whether the groups are the key's values (`true`) or there are none (`false`); None for other groups.
fn is_by_key(aggregate: &AggregateExec, scan: &PartScan) -> Option<bool> {
    let groups = aggregate.group_expr();
    if groups.is_true_no_grouping() {
        return Some(false);
    }
    let [(expr, _)] = groups.expr() else { return None };
    if !groups.is_single() {
        return None;
    }
    let source = scan.source();
    let column = *source.output.get(expr.downcast_ref::<Column>()?.index())?;
    let key = source.schema.key_index()?;
    // Floats are equal in the index by other rules (NaN, -0) than in SQL.
    (column == key && !source.schema.columns[key].ty.storage_type().is_floating()).then_some(true)
}

/// The slots that answer for their rows, and the work that remains.
fn split(work: &Work, table: &TableSchema, measures: &[Measure]) -> (Vec<Slots>, Work) {
    let (mut taken, mut rest) = (Vec::new(), Vec::new());
    let edges = measures.iter().any(|measure| matches!(measure, Measure::Edge(..)));
    let ties = if edges { Ties::of(&work.pieces) } else { Ties::default() };
    for piece in &work.pieces {
        let usable = |index: &RunIndex, slot: usize| {
            measures.iter().all(|measure| measure.is_exact(index, slot, &ties))
        };
        match covered(piece, table, measures, usable) {
            Some((slots, left)) => {
                taken.push(slots);
                rest.extend((!left.is_empty()).then(|| Piece { ranges: left, ..piece.clone() }));
            }
            None => rest.push(piece.clone()),
        }
    }
    (taken, work.with(rest))
}

/// The usable slots of a piece and the row ranges without them; None when there are too few.
fn covered(
    piece: &Piece,
    table: &TableSchema,
    measures: &[Measure],
    usable: impl Fn(&RunIndex, usize) -> bool,
) -> Option<(Slots, Vec<Range<usize>>)> {
    let index = piece.part.index().filter(|_| piece.exact)?;
    if !measures.iter().all(|measure| measure.is_known(index, table, piece.part.schema())) {
        return None;
    }
    let (mut slots, mut left, mut rows) = (Vec::new(), Vec::<Range<usize>>::new(), 0);
    for range in &piece.ranges {
        let mut start = range.start;
        while start < range.end {
            let slot = index.slot_of(start);
            let whole = index.slot_rows(slot);
            let end = whole.end.min(range.end);
            if whole.start == start && whole.end <= range.end && usable(index, slot) {
                slots.push(u32::try_from(slot).ok()?);
                rows += whole.len();
            } else {
                match left.last_mut().filter(|last| last.end == start) {
                    Some(last) => last.end = end,
                    None => left.push(start..end),
                }
            }
            start = end;
        }
    }
    let pays = !slots.is_empty() && rows >= slots.len() * ROWS_PER_SLOT_MIN;
    pays.then(|| (Slots { index: Arc::clone(index), slots }, left))
}
