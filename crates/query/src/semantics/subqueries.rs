//! Subqueries within expressions, where ClickHouse's NULLs are not those of the standard.
//!
//! - one without a row is NULL, whatever the type of its column;
//! - NULLs of a set count for nothing, and NULL is neither in a set nor not in one: a filter leaves it out, and elsewhere
//!   the test is NULL.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::logical_expr::expr::{InSubquery, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery, lit, when};

use crate::functions::scalar_function;

/// Puts ClickHouse's meaning into a fresh plan.
pub(crate) fn nulls_of_subqueries(plan: LogicalPlan) -> Result<LogicalPlan> {
    let changed = plan.transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        let schemas = node.inputs().into_iter().map(|input| Arc::clone(input.schema())).collect::<Vec<_>>();
        let may_be_null = |expr: &Expr| {
            use datafusion::logical_expr::ExprSchemable;
            schemas.iter().any(|schema| expr.nullable(schema.as_ref()).unwrap_or(true))
        };
        let filters = matches!(node, LogicalPlan::Filter(_) | LogicalPlan::Join(_));
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let positive = expr.transform_up(|expr| match expr {
                Expr::Not(inner) => match *inner {
                    Expr::InSubquery(test) => {
                        let negated = !test.negated;
                        Ok(Transformed::yes(Expr::InSubquery(InSubquery { negated, ..test })))
                    }
                    inner => Ok(Transformed::no(Expr::Not(Box::new(inner)))),
                },
                other => Ok(Transformed::no(other)),
            })?;
            let changed = positive.transform_data(|expr| {
                expr.transform_up(|expr| match expr {
                    Expr::ScalarSubquery(subquery) => scalar(subquery),
                    Expr::InSubquery(test) => within(test, filters, &may_be_null),
                    other => Ok(Transformed::no(other)),
                })
            })?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })
    })?;
    match changed.transformed {
        true => changed
            .data
            .transform_up_with_subqueries(|node| Ok(Transformed::yes(node.recompute_schema()?)))
            .map(|changed| changed.data),
        false => Ok(changed.data),
    }
}

fn call(name: &str, arg: Expr) -> Result<Expr> {
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(scalar_function(name)?, vec![arg])))
}

/// The subquery with its one column through a function; None when it has another number of columns.
fn mapped(subquery: &Subquery, only_values: bool, function: &str) -> Result<Option<Subquery>> {
    let plan = subquery.subquery.as_ref().clone();
    let [(qualifier, field)] = plan.schema().iter().collect::<Vec<_>>()[..] else { return Ok(None) };
    let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
    let name = field.name().clone();
    let mut builder = LogicalPlanBuilder::from(plan);
    if only_values {
        builder = builder.filter(column.clone().is_not_null())?;
    }
    let plan = builder.project([call(function, column)?.alias(name)])?.build()?;
    Ok(Some(subquery.with_plan(Arc::new(plan))))
}

fn scalar(subquery: Subquery) -> Result<Transformed<Expr>> {
    let nullable = subquery.subquery.schema().fields().iter().all(|field| field.is_nullable());
    if nullable || has_one_row(&subquery) {
        return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
    }
    Ok(match mapped(&subquery, false, "toNullable")? {
        Some(made) => Transformed::yes(Expr::ScalarSubquery(made)),
        None => Transformed::no(Expr::ScalarSubquery(subquery)),
    })
}

/// Whether it gives a row whatever the tables hold: an aggregation of all rows, or constants.
fn has_one_row(subquery: &Subquery) -> bool {
    if !subquery.outer_ref_columns.is_empty() {
        return false;
    }
    let mut plan = subquery.subquery.as_ref();
    loop {
        plan = match plan {
            LogicalPlan::Projection(node) => &node.input,
            LogicalPlan::SubqueryAlias(node) => &node.input,
            LogicalPlan::Sort(node) => &node.input,
            LogicalPlan::Window(node) => &node.input,
            LogicalPlan::Aggregate(node) => return node.group_expr.is_empty(),
            LogicalPlan::EmptyRelation(node) => return node.produce_one_row,
            _ => return false,
        };
    }
}

/// The set of one column with a table's name before it. DataFusion's join of a test within an expression takes a column
/// without one for two.
fn named(subquery: &Subquery) -> Result<Option<Subquery>> {
    let plan = subquery.subquery.as_ref();
    let [(None, _)] = plan.schema().iter().collect::<Vec<_>>()[..] else { return Ok(None) };
    if !subquery.outer_ref_columns.is_empty() {
        return Ok(None);
    }
    let plan = LogicalPlanBuilder::from(plan.clone()).alias("__set")?.build()?;
    Ok(Some(subquery.with_plan(Arc::new(plan))))
}

fn within(test: InSubquery, filters: bool, may_be_null: &dyn Fn(&Expr) -> bool) -> Result<Transformed<Expr>> {
    let InSubquery { expr, subquery, negated } = test;
    let named = named(&subquery)?;
    let renamed = named.is_some();
    let subquery = named.unwrap_or(subquery);
    let nullable = subquery.subquery.schema().fields().iter().any(|field| field.is_nullable());
    let made = if nullable { mapped(&subquery, true, "assumeNotNull")? } else { None };
    let changed = made.is_some() || renamed;
    let subquery = made.unwrap_or(subquery);
    if (filters && !negated) || !may_be_null(&expr) {
        let test = Expr::InSubquery(InSubquery { expr, subquery, negated });
        return Ok(Transformed::new_transformed(test, changed));
    }
    let known = expr.as_ref().clone().is_not_null();
    let value = Box::new(call("assumeNotNull", *expr)?);
    let test = Expr::InSubquery(InSubquery { expr: value, subquery, negated });
    Ok(Transformed::yes(match filters {
        true => known.and(test),
        false => when(known, test).otherwise(lit(ScalarValue::Boolean(None)))?,
    }))
}
