//! Which queries a materialized view can have: those whose states can be added up.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use sqlparser::ast;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::schema::TableSchema;

use crate::error::from_datafusion;
use crate::provider::EngineTable;

/// Aggregates whose states are kept on disk. Their forms are pinned by a test: docs/formats/segment.md has them.
pub(super) const KEPT_AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "stddevPop",
    "stddevSamp",
    "varPop",
    "varSamp",
    "corr",
    "covarPop",
    "covarSamp",
    "any",
    "anyLast",
    "argMin",
    "argMax",
    "first",
    "last",
    "vwap",
    "avgWeighted",
];

fn refused(what: impl AsRef<str>) -> Error {
    let message = format!("A materialized view cannot have {}", what.as_ref());
    Error::new(ErrorCode::NotImplemented, message)
}

/// The one table that the query of a materialized view reads.
///
/// # Errors
/// `NotImplemented` for a query that reads another number of tables, or something that is no table.
pub(crate) fn source_of(plan: &LogicalPlan) -> Result<Arc<TableSchema>> {
    let mut tables = Vec::new();
    let visited = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let provider = source_as_provider(&scan.source)?;
            tables.push(provider.downcast_ref::<EngineTable>().map(|table| table.version().clone()));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.map_err(from_datafusion)?;
    match tables.as_mut_slice() {
        [Some(table)] => Ok(table.clone()),
        [None] => Err(refused("a source that is no table: name the table itself")),
        _ => Err(refused(format!("{} sources: it follows one table", tables.len()))),
    }
}

/// Refuses names in the query that are not the source's own: a plain view or a WITH query would be taken for it.
///
/// # Errors
/// `NotImplemented` with the name.
pub(crate) fn check_names(tree: &ast::Statement, database: &str, source: &TableSchema) -> Result<()> {
    let mut other = None;
    let _ = ast::visit_relations(tree, |name| {
        let mut parts = name.0.iter().rev().map(|part| part.as_ident().map(|ident| ident.value.as_str()));
        let (table, in_database) = (parts.next().flatten(), parts.next().flatten());
        let same =
            table == Some(&source.name.table) && in_database.unwrap_or(database) == source.name.database;
        if same {
            return ControlFlow::Continue(());
        }
        other = Some(name.to_string());
        ControlFlow::Break(())
    });
    match other {
        Some(name) => Err(refused(format!("{name} as its source: name the table {} itself", source.name))),
        None => Ok(()),
    }
}

/// Checks a plan before it is optimized, which would make a constant of `now()`.
///
/// # Errors
/// `NotImplemented` with the function.
pub(super) fn check_functions(plan: &LogicalPlan) -> Result<()> {
    let mut found = None;
    let visited = plan.apply_with_subqueries(|node| {
        found = found.take().or_else(|| moving_function(node));
        Ok(TreeNodeRecursion::Continue)
    });
    visited.map_err(from_datafusion)?;
    found.map_or(Ok(()), |what| Err(refused(what)))
}

/// Checks an optimized plan.
///
/// # Errors
/// `NotImplemented` with what stands in the way.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    let (mut aggregates, mut fault) = (0, None);
    let visited = plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Aggregate(aggregate) => {
                aggregates += 1;
                fault = fault.take().or_else(|| aggregate.aggr_expr.iter().find_map(aggregate_fault));
            }
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::TableScan(_) => {}
            LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => {
                fault = Some("ORDER BY or LIMIT: say them when you read it".to_owned());
            }
            LogicalPlan::Join(_) => fault = Some("joins".to_owned()),
            LogicalPlan::Window(_) => fault = Some("window functions".to_owned()),
            LogicalPlan::Distinct(_) => fault = Some("DISTINCT: use GROUP BY".to_owned()),
            other => {
                let text = other.display().to_string();
                fault = Some(text.split([':', ' ']).next().unwrap_or_default().to_owned());
            }
        }
        Ok(if fault.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    visited.map_err(from_datafusion)?;
    match fault {
        Some(what) => Err(refused(what)),
        None if aggregates > 1 => Err(refused("an aggregation of an aggregation")),
        None => Ok(()),
    }
}

fn aggregate_fault(expr: &Expr) -> Option<String> {
    let Expr::AggregateFunction(call) = expr.clone().unalias() else {
        return Some(format!("the aggregate {expr}"));
    };
    let name = call.func.name();
    if call.params.distinct {
        return Some(format!("DISTINCT in {name}: what was counted once cannot be told from what is new"));
    }
    let kept = KEPT_AGGREGATES.contains(&name);
    (!kept).then(|| format!("the function {name}; it can have {}", KEPT_AGGREGATES.join(", ")))
}

/// A function whose value is not the same tomorrow: rows are counted once, at a time that nobody chose.
fn moving_function(node: &LogicalPlan) -> Option<String> {
    let mut found = None;
    for expr in node.expressions() {
        let visited = expr.apply(|expr| {
            if let Expr::ScalarFunction(call) = expr
                && call.func.signature().volatility != Volatility::Immutable
            {
                found = Some(format!("the function {}, whose value changes", call.func.name()));
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        if visited.is_err() {
            return Some(format!("{expr}"));
        }
    }
    found
}
