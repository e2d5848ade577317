//! `ORDER BY x WITH FILL [FROM a] [TO b] [STEP c] [INTERPOLATE (y, z AS 0, w AS linear(w))]`: rows for the values that are
//! missing.
//!
//! [`mark`] carries the clause through DataFusion's planner as a call of [`FILL_MARKER`] around the expression;
//! [`replace_marked`] makes a [`node::Fill`] of the marked sort, and [`exec::FillExec`] runs it over the sorted rows.
//! Entries of ORDER BY before the filled one divide the rows: each part is filled for itself, as in ClickHouse.

mod exec;
mod interpolation;
mod node;
mod values;

use std::sync::Arc;

use arrow::datatypes::Field;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, Sort, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use sqlparser::ast::{self, OrderByKind, Query, Value};
use zepto_common::error::{Error, ErrorCode};

use self::interpolation::Interpolation;
use self::node::Fill;
use self::values::{Bounds, Step};
use crate::error::external;
use crate::functions::rewrites::{call, interval_text, number, plain_call, text};

/// The function around the expression that is filled: expression, FROM, TO, STEP, then of each column to interpolate its
/// name, how, and the constant that stands there (or NULL).
pub(crate) const FILL_MARKER: &str = "__fill";
/// How a column is interpolated, as the marker says it.
const PREVIOUS: &str = "previous";
const LINEAR: &str = "linear";
const CONSTANT: &str = "constant";

/// Puts the clause of a query's last ORDER BY entry into a call.
///
/// # Errors
/// `NotImplemented` for several filled entries and for other expressions in INTERPOLATE.
pub(crate) fn mark(query: &mut Query) -> zepto_common::Result<()> {
    let Some(order) = &mut query.order_by else { return Ok(()) };
    let OrderByKind::Expressions(list) = &mut order.kind else { return Ok(()) };
    let count = list.iter().filter(|by| by.with_fill.is_some()).count();
    if count == 0 {
        return Ok(());
    }
    let refused = |message: &str| Err(Error::new(ErrorCode::NotImplemented, message));
    let Some(last) = list.last_mut() else { return Ok(()) };
    if count > 1 || last.with_fill.is_none() {
        return refused("WITH FILL is supported for the last entry of ORDER BY");
    }
    let Some(fill) = last.with_fill.take() else { return Ok(()) };
    let null = || ast::Expr::Value(Value::Null.into());
    let step = match fill.step {
        Some(ast::Expr::Interval(interval)) => interval_text(&interval)?,
        Some(step) => step,
        None if last.options.asc == Some(false) => number(-1),
        None => number(1),
    };
    let by = std::mem::replace(&mut last.expr, null());
    let mut args = vec![by, fill.from.unwrap_or_else(null), fill.to.unwrap_or_else(null), step];
    if let Some(interpolate) = order.interpolate.take() {
        let Some(exprs) = interpolate.exprs else {
            return refused("INTERPOLATE needs the names of its columns");
        };
        for column in exprs {
            let (how, constant) = match column.expr {
                None => (PREVIOUS, null()),
                Some(expr) if expr == ast::Expr::Identifier(column.column.clone()) => (PREVIOUS, null()),
                Some(expr)
                    if expr == plain_call(LINEAR, vec![ast::Expr::Identifier(column.column.clone())]) =>
                {
                    (LINEAR, null())
                }
                Some(expr) if is_constant(&expr) => (CONSTANT, expr),
                Some(_) => {
                    return refused(
                        "INTERPOLATE takes y, y AS constant and y AS linear(y); other expressions are not supported",
                    );
                }
            };
            args.extend([text(column.column.value), text(how.to_owned()), constant]);
        }
    }
    last.expr = call(FILL_MARKER, args);
    Ok(())
}

/// A number with its sign, a text or NULL.
fn is_constant(expr: &ast::Expr) -> bool {
    match expr {
        ast::Expr::Value(_) => true,
        ast::Expr::UnaryOp { op: ast::UnaryOperator::Minus, expr } => matches!(**expr, ast::Expr::Value(_)),
        _ => false,
    }
}

fn invalid(message: impl Into<String>) -> datafusion::common::DataFusionError {
    external(Error::new(ErrorCode::InvalidWithFillExpression, message))
}

/// Replaces every marked sort of a fresh plan.
///
/// # Errors
/// `NotImplemented` for an expression that is no column of the result.
pub(crate) fn replace_marked(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Sort(sort) if sort.expr.iter().any(|by| is_marked(&by.expr)) => {
            Ok(Transformed::yes(filled(sort)?))
        }
        other => Ok(Transformed::no(other)),
    })
    .map(|transformed| transformed.data)
}

/// Passes over the plan keep a changed expression's name by an alias.
fn bare(expr: Expr) -> Expr {
    match expr {
        Expr::Alias(alias) => bare(*alias.expr),
        other => other,
    }
}

fn is_marked(expr: &Expr) -> bool {
    if let Expr::Alias(alias) = expr {
        return is_marked(&alias.expr);
    }
    matches!(expr, Expr::ScalarFunction(ScalarFunction { func, .. }) if func.name() == FILL_MARKER)
}

fn filled(mut sort: Sort) -> Result<LogicalPlan> {
    let Some(mut last) = sort.expr.pop() else { return plan_err!("a sort has an expression") };
    let Expr::ScalarFunction(mark) = bare(last.expr) else { return plan_err!("the last entry is filled") };
    let mut args = mark.args.into_iter();
    let (Some(by), Some(from), Some(to), Some(step)) =
        (args.next().map(bare), args.next().map(bare), args.next().map(bare), args.next().map(bare))
    else {
        return plan_err!("WITH FILL has four arguments");
    };
    let column = column_of(&by, &sort.input).ok_or_else(|| {
        let message = format!("WITH FILL needs a column of the result, not {by}");
        external(Error::new(ErrorCode::NotImplemented, message))
    })?;
    let written = |expr: Expr| match bare(expr) {
        Expr::Literal(text, _) => text.try_as_str().flatten().map(str::to_owned),
        _ => None,
    };
    let (mut interpolated, mut constants) = (Vec::new(), Vec::new());
    while let (Some(name), Some(how), Some(constant)) = (args.next(), args.next(), args.next()) {
        let (Some(name), Some(how)) = (written(name), written(how)) else {
            return plan_err!("INTERPOLATE has names");
        };
        interpolated.push((name, how));
        constants.push(bare(constant));
    }
    let prefix: Option<Vec<Column>> = sort.expr.iter().map(|by| column_of(&by.expr, &sort.input)).collect();
    let prefix = prefix.ok_or_else(|| {
        external(Error::new(
            ErrorCode::NotImplemented,
            "ORDER BY before WITH FILL needs columns of the result",
        ))
    })?;
    last.expr = Expr::Column(column.clone());
    let descending = !last.asc;
    sort.expr.push(last);
    let order = sort.expr.clone();
    let input = Arc::new(LogicalPlan::Sort(sort));
    let node =
        Fill { input, order, prefix, column, descending, bounds: [from, to, step], interpolated, constants };
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// The column that an expression is, by itself or by the projection below.
fn column_of(expr: &Expr, input: &LogicalPlan) -> Option<Column> {
    if let Expr::Column(column) = expr {
        return Some(column.clone());
    }
    let LogicalPlan::Projection(projection) = input else { return None };
    let at = projection.expr.iter().position(|made| match made {
        Expr::Alias(alias) => *alias.expr == *expr,
        other => other == expr,
    })?;
    let (qualifier, field) = projection.schema.qualified_field(at);
    Some(Column::new(qualifier.cloned(), field.name().clone()))
}

/// Plans [`Fill`].
#[derive(Debug)]
pub(crate) struct FillPlanner;

#[async_trait]
impl ExtensionPlanner for FillPlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<Fill>() else { return Ok(None) };
        let (&[logical], [input]) = (logical_inputs, physical_inputs) else {
            return plan_err!("WITH FILL has one input");
        };
        let empty = DFSchema::empty();
        let one_row = arrow::array::RecordBatch::try_new_with_options(
            Arc::new(arrow::datatypes::Schema::empty()),
            vec![],
            &arrow::array::RecordBatchOptions::new().with_row_count(Some(1)),
        )?;
        let constant = |expr: &Expr| -> Result<ScalarValue> {
            let made = planner.create_physical_expr(expr, &empty, session, context)?;
            ScalarValue::try_from_array(&made.evaluate(&one_row)?.into_array(1)?, 0)
        };
        let [from, to, step] = &node.bounds;
        let (from, to, step) = (constant(from)?, constant(to)?, constant(step)?);
        let schema = logical.schema();
        let at = schema.index_of_column(&node.column)?;
        let ty = schema.field(at).data_type().clone();
        let bounds = Bounds {
            from: values::bound(&from, &ty)?,
            to: values::bound(&to, &ty)?,
            step: Step::of(&step, &ty)?,
            descending: node.descending,
        };
        bounds.check()?;
        let prefix: Result<Vec<usize>> =
            node.prefix.iter().map(|column| schema.index_of_column(column)).collect();
        let mut interpolated = Vec::new();
        for ((name, how), expr) in node.interpolated.iter().zip(&node.constants) {
            let named = |field: &Field| crate::semantics::output_name(field.name()) == name;
            let fields = schema.fields().iter().enumerate().filter(|(_, field)| named(field));
            for (at, field) in fields {
                interpolated.push((at, Interpolation::of(how, &constant(expr)?, field)?));
            }
        }
        let order = node.order.iter().map(|by| {
            let expr = planner.create_physical_expr(&by.expr, schema, session, context)?;
            let options = arrow::compute::SortOptions { descending: !by.asc, nulls_first: by.nulls_first };
            Ok(datafusion::physical_expr::PhysicalSortExpr::new(expr, options))
        });
        let order: Result<Vec<_>> = order.collect();
        let exec = exec::FillExec::new(input.clone(), order?, prefix?, at, bounds, interpolated);
        Ok(Some(Arc::new(exec)))
    }
}
