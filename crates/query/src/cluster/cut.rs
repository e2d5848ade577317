//! What of a statement its owners can answer for themselves: the largest subtrees of the optimized plan for which the
//! union of the owners' answers is the answer, and aggregations whose states can be merged here.
//!
//! A subtree is told by its number (preorder, subqueries included) and its print. The owner has the same plan from the
//! same text; where the print differs it refuses, and the statement is tried again over plain scans.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunction};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Sort, TableScan, Window};
use zepto_common::partition::key_hash;
use zepto_common::schema::TableSchema;

use super::Want;
use super::leaf::Remote;
use crate::provider::EngineTable;

/// The plan with its cuts in place; None if there is nothing to cut.
///
/// # Errors
/// DataFusion's, for a plan that contradicts itself.
pub(super) fn cut(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let (mut next, mut cuts) = (0u32, 0);
    let cut = plan.clone().transform_down_with_subqueries(|node| {
        let number = next;
        next += 1;
        let Some(replaced) = replaced(&node, number)? else { return Ok(Transformed::no(node)) };
        // What stands below is not visited, and has numbers all the same.
        next += nodes(&node).saturating_sub(1);
        cuts += 1;
        Ok(Transformed::new(replaced, true, TreeNodeRecursion::Jump))
    })?;
    Ok((cuts > 0).then_some(cut.data))
}

/// The subtree of this number.
pub(super) fn numbered(plan: &LogicalPlan, number: u32) -> Option<LogicalPlan> {
    let (mut next, mut found) = (0u32, None);
    let visited = plan.apply_with_subqueries(|node| {
        if next == number {
            found = Some(node.clone());
            return Ok(TreeNodeRecursion::Stop);
        }
        next += 1;
        Ok(TreeNodeRecursion::Continue)
    });
    visited.ok().and(found)
}

fn nodes(plan: &LogicalPlan) -> u32 {
    let mut count = 0;
    // Nothing in the closure fails.
    let _ = plan.apply_with_subqueries(|_| {
        count += 1;
        Ok(TreeNodeRecursion::Continue)
    });
    count
}

/// Tells a subtree from others: its text with all types, and which versions of which tables it reads.
pub(super) fn print(plan: &LogicalPlan) -> u64 {
    let mut text = plan.display_indent_schema().to_string();
    // Nothing in the closure fails.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(table) = provider.downcast_ref::<EngineTable>()
        {
            let version = table.version();
            text.push_str(&format!("\n{} {}", version.id, version.version));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    key_hash(text.as_bytes())
}

/// What takes the place of a node; None if it stays.
fn replaced(node: &LogicalPlan, number: u32) -> Result<Option<LogicalPlan>> {
    if let Some(local) = local(node) {
        // A scan alone is asked for without a plan.
        let plain = matches!(node, LogicalPlan::TableScan(_)) || local.nothing;
        return Ok((!plain).then(|| Remote::plan(node, number, node.schema(), Want::Rows, &local)));
    }
    match node {
        LogicalPlan::Sort(sort) if sort.fetch.is_some() => {
            let Some(below) = local(&sort.input).filter(|below| !below.nothing) else { return Ok(None) };
            if !sort.expr.iter().all(|by| is_plain(&by.expr)) {
                return Ok(None);
            }
            let input = Remote::plan(node, number, sort.input.schema(), Want::Rows, &below);
            Ok(Some(LogicalPlan::Sort(Sort { input: input.into(), ..sort.clone() })))
        }
        LogicalPlan::Aggregate(aggregate) => {
            let Some(below) = local(&aggregate.input).filter(|below| !below.nothing) else {
                return Ok(None);
            };
            if !aggregate.group_expr.iter().all(is_plain) || !aggregate.aggr_expr.iter().all(has_states) {
                return Ok(None);
            }
            let input = Remote::plan(node, number, aggregate.input.schema(), Want::States, &below);
            let Aggregate { group_expr, aggr_expr, schema, .. } = aggregate.clone();
            let above = Aggregate::try_new_with_schema(input.into(), group_expr, aggr_expr, schema)?;
            Ok(Some(LogicalPlan::Aggregate(above)))
        }
        _ => Ok(None),
    }
}

/// A subtree whose answer is the union of its owners' answers.
#[derive(Debug, Default)]
pub(super) struct Local {
    /// Output columns that equal the key by which rows are partitioned.
    keys: Vec<usize>,
    /// The only scan in it.
    pub(super) scan: Option<TableScan>,
    /// Its filters exclude everything.
    nothing: bool,
}

fn local(node: &LogicalPlan) -> Option<Local> {
    match node {
        LogicalPlan::TableScan(scan) => of_scan(scan),
        LogicalPlan::Filter(filter) if is_plain(&filter.predicate) => local(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => local(&alias.input),
        LogicalPlan::Projection(projection) if projection.expr.iter().all(is_plain) => {
            let below = local(&projection.input)?;
            let schema = projection.input.schema();
            let kept = |expr: &Expr| is_key(expr, schema, &below.keys);
            let keys = positions(projection.expr.iter().map(kept));
            Some(Local { keys, ..below })
        }
        LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. }) => {
            let below = local(input)?;
            let schema = input.schema();
            let keys = positions(group_expr.iter().map(|expr| is_key(expr, schema, &below.keys)));
            let complete = !keys.is_empty() && group_expr.iter().chain(aggr_expr).all(is_plain);
            complete.then_some(Local { keys, ..below })
        }
        LogicalPlan::Window(Window { input, window_expr, .. }) => {
            let below = local(input)?;
            let schema = input.schema();
            let complete = window_expr.iter().all(|expr| {
                is_plain(expr)
                    && window_of(expr).is_some_and(|window| {
                        window.params.partition_by.iter().any(|by| is_key(by, schema, &below.keys))
                    })
            });
            complete.then_some(below)
        }
        _ => None,
    }
}

fn of_scan(scan: &TableScan) -> Option<Local> {
    let provider = source_as_provider(&scan.source).ok()?;
    let table = provider.downcast_ref::<EngineTable>()?;
    if !scan.filters.iter().all(is_plain) {
        return None;
    }
    let nothing = scan.fetch == Some(0) || table.wants_nothing(&scan.filters);
    let key = key_column(table.version());
    let keys = match (&scan.projection, key) {
        (_, None) => Vec::new(),
        (Some(columns), Some(key)) => positions(columns.iter().map(|&column| column == key)),
        (None, Some(key)) => vec![key],
    };
    Some(Local { keys, scan: Some(scan.clone()), nothing })
}

/// The key, if equal values of it are in one partition: floats are equal by other rules in SQL (NaN, -0).
fn key_column(table: &TableSchema) -> Option<usize> {
    let key = table.key_index()?;
    (!table.columns[key].ty.storage_type().is_floating()).then_some(key)
}

fn positions(of: impl Iterator<Item = bool>) -> Vec<usize> {
    of.enumerate().filter_map(|(at, yes)| yes.then_some(at)).collect()
}

/// Whether the expression is one of the key columns, under whatever name.
fn is_key(expr: &Expr, schema: &DFSchema, keys: &[usize]) -> bool {
    match expr {
        Expr::Alias(alias) => is_key(&alias.expr, schema, keys),
        Expr::Column(column) => index_of(column, schema).is_some_and(|index| keys.contains(&index)),
        _ => false,
    }
}

fn index_of(column: &Column, schema: &DFSchema) -> Option<usize> {
    schema.maybe_index_of_column(column)
}

fn window_of(expr: &Expr) -> Option<&WindowFunction> {
    match expr {
        Expr::Alias(alias) => window_of(&alias.expr),
        Expr::WindowFunction(window) => Some(window),
        _ => None,
    }
}

/// Whether its value at the owner is its value here: nothing of other rows, other tables or chance.
fn is_plain(expr: &Expr) -> bool {
    let mut plain = true;
    let visited = expr.apply(|expr| {
        plain &= !expr.is_volatile_node()
            && !matches!(
                expr,
                Expr::Exists(_)
                    | Expr::InSubquery(_)
                    | Expr::ScalarSubquery(_)
                    | Expr::SetComparison(_)
                    | Expr::OuterReferenceColumn(..)
                    | Expr::GroupingSet(_)
                    | Expr::Placeholder(_)
                    | Expr::ScalarVariable(..)
            );
        Ok(if plain { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    plain && visited.is_ok()
}

/// Whether states of the aggregate from several owners give its value: not if it wants its rows in an order.
fn has_states(expr: &Expr) -> bool {
    let mut ordered = false;
    let visited = expr.apply(|expr| {
        if let Expr::AggregateFunction(function) = expr {
            let AggregateFunctionParams { order_by, .. } = &function.params;
            ordered |= !order_by.is_empty();
        }
        Ok(TreeNodeRecursion::Continue)
    });
    !ordered && visited.is_ok() && is_plain(expr)
}
