//! DELETE and UPDATE: the engine rewrites the table with a function made here, all of it or nothing. In a cluster the
//! condition travels instead ([`crate::conditions`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast_with_options, filter_record_batch, interleave, not, prep_null_mask_filter};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::PhysicalExpr;
use zepto_common::catalog::Ddl;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::schema::{Column, TableSchema};
use zepto_common::service::Answer;

use super::evaluate::as_of_a_row;
use super::sets;
use crate::conditions::{Moment, SAME_EVERYWHERE, stored_delete, stored_update};
use crate::error::from_datafusion;
use crate::provider::to_query;
use crate::service::Run;
use crate::statement::cursor::{quote, text_of};
use crate::statement::{self, NameText, Tokens};

/// DELETE FROM table WHERE predicate.
pub(super) async fn delete(run: Run, table: &NameText, predicate: Tokens) -> Result<Answer> {
    let schema = run.table(table).await?;
    let state = run.state()?;
    let predicate = Box::pin(sets::resolved(&run, predicate)).await?;
    if run.core.cluster.is_some() {
        return delete_in_cluster(run, &schema, &state, &predicate).await;
    }
    let wanted = expression(&run, &state, &schema, predicate, None).await?;
    let query_schema = schema.query_schema();
    let rewrite = move |batch: RecordBatch| -> Result<Option<RecordBatch>> {
        let doomed = mask(&wanted, &batch, &query_schema)?;
        if doomed.true_count() == 0 {
            return Ok(None);
        }
        Ok(Some(filter_record_batch(&batch, &not(&doomed)?)?))
    };
    finish(run, &schema, Arc::new(rewrite)).await
}

/// As a change that the cluster agrees on: each partition's copies remove the rows by themselves.
async fn delete_in_cluster(
    run: Run,
    schema: &TableSchema,
    state: &SessionState,
    predicate: &Tokens,
) -> Result<Answer> {
    // What is wrong with it is told before anything is agreed on.
    let expr = plain_expression(&run, state, schema, predicate.clone(), None).await?;
    fixed_everywhere(&expr)?;
    physical(state, expr, schema)?;
    let condition = stored_delete(text_of(predicate), Moment::of(&run.context, state)?)?;
    change_rows(run, schema, condition).await
}

/// Has a DELETE or UPDATE agreed on.
async fn change_rows(run: Run, schema: &TableSchema, condition: String) -> Result<Answer> {
    let (name, table, version) = (schema.name.clone(), schema.id, schema.version);
    run.core.change(Ddl::DeleteRows { name, table, schema: version, condition }).await?;
    Ok(run.done())
}

/// As [`delete_in_cluster`]: each copy makes the same values of the same rows.
async fn update_in_cluster(
    run: Run,
    schema: &TableSchema,
    state: &SessionState,
    assignments: Vec<(String, Tokens)>,
    predicate: &Tokens,
) -> Result<Answer> {
    let expr = plain_expression(&run, state, schema, predicate.clone(), None).await?;
    fixed_everywhere(&expr)?;
    physical(state, expr, schema)?;
    let mut set: Vec<(String, String)> = Vec::with_capacity(assignments.len());
    for (name, tokens) in &assignments {
        let index = changeable(schema, name)?;
        not_twice(name, set.iter().any(|(other, _)| other == name))?;
        let ty = schema.columns[index].ty.to_string();
        let expr = plain_expression(&run, state, schema, tokens.clone(), Some(&ty)).await?;
        fixed_everywhere(&expr)?;
        let reads_written =
            || expr.column_refs().iter().any(|it| assignments.iter().any(|(n, _)| *n == it.name));
        if !run.core.store.has_copies() && reads_written() {
            let message = format!(
                "UPDATE of {name} by columns that it changes, in a cluster with one copy of each partition"
            );
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
        physical(state, expr, schema)?;
        set.push((name.clone(), text_of(tokens)));
    }
    sets::tried(&run, schema, &set, predicate).await?;
    let stored = stored_update(text_of(predicate), set, Moment::of(&run.context, state)?)?;
    change_rows(run, schema, stored).await
}

fn not_twice(name: &str, twice: bool) -> Result<()> {
    match twice {
        true => Err(Error::new(ErrorCode::BadArguments, format!("Column {name} is assigned twice"))),
        false => Ok(()),
    }
}

/// Refuses functions that say something else on another node.
fn fixed_everywhere(expr: &Expr) -> Result<()> {
    let mut found = None;
    let visited = expr.apply(|expr| {
        if let Expr::ScalarFunction(call) = expr
            && call.func.signature().volatility == Volatility::Stable
            && !SAME_EVERYWHERE.contains(&call.func.name())
        {
            found = Some(call.func.name().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.map_err(from_datafusion)?;
    found.map_or(Ok(()), |name| {
        let message = format!("{name} in a DELETE or UPDATE: its value may differ from node to node");
        Err(Error::new(ErrorCode::NotImplemented, message))
    })
}

/// UPDATE table SET a = x WHERE predicate.
pub(super) async fn update(
    run: Run,
    table: &NameText,
    assignments: Vec<(String, Tokens)>,
    predicate: Tokens,
) -> Result<Answer> {
    let schema = run.table(table).await?;
    let state = run.state()?;
    let predicate = Box::pin(sets::resolved(&run, predicate)).await?;
    if run.core.cluster.is_some() {
        return Box::pin(update_in_cluster(run, &schema, &state, assignments, &predicate)).await;
    }
    let wanted = expression(&run, &state, &schema, predicate, None).await?;
    let mut values: Vec<(usize, Arc<dyn PhysicalExpr>)> = Vec::with_capacity(assignments.len());
    for (name, tokens) in assignments {
        let index = changeable(&schema, &name)?;
        not_twice(&name, values.iter().any(|(other, _)| *other == index))?;
        let ty = schema.columns[index].ty.to_string();
        values.push((index, expression(&run, &state, &schema, tokens, Some(&ty)).await?));
    }
    let query_schema = schema.query_schema();
    let table = schema.clone();
    let rewrite = move |batch: RecordBatch| -> Result<Option<RecordBatch>> {
        let changed = mask(&wanted, &batch, &query_schema)?;
        if changed.true_count() == 0 {
            return Ok(None);
        }
        assign(&batch, &changed, &values, &table, &query_schema).map(Some)
    };
    finish(run, &schema, Arc::new(rewrite)).await
}

async fn finish(run: Run, schema: &TableSchema, rewrite: zepto_engine::store::RewriteFn) -> Result<Answer> {
    let rows = run.core.store.rewrite(schema.id, rewrite).await?;
    run.guard.handle.progress.written_rows.fetch_add(rows, Ordering::Relaxed);
    Ok(run.done())
}

/// The index of a column that may be assigned: rows lie by key and time, so these two stay.
fn changeable(schema: &TableSchema, name: &str) -> Result<usize> {
    let index = schema.index_of(name).ok_or_else(|| {
        Error::new(
            ErrorCode::NoSuchColumnInTable,
            format!("There is no column {name} in table {}", schema.name),
        )
    })?;
    let id = schema.columns[index].id;
    if schema.key == Some(id) || schema.time == Some(id) || schema.order_by.contains(&id) {
        let message = format!("Cannot UPDATE key column {name}: rows are stored by it");
        return Err(Error::new(ErrorCode::CannotUpdateColumn, message));
    }
    Ok(index)
}

/// The expression over the table's columns in query types, with what changes from call to call made constant.
async fn expression(
    run: &Run,
    state: &SessionState,
    schema: &TableSchema,
    tokens: Tokens,
    as_type: Option<&str>,
) -> Result<Arc<dyn PhysicalExpr>> {
    physical(state, plain_expression(run, state, schema, tokens, as_type).await?, schema)
}

async fn plain_expression(
    run: &Run,
    state: &SessionState,
    schema: &TableSchema,
    tokens: Tokens,
    as_type: Option<&str>,
) -> Result<Expr> {
    let (text, sql) = statement_of(schema, tokens, as_type)?;
    let plan = run.core.logical_plan(state, statement::tokenize(&sql)?).await?;
    plain(&plan, &text, as_type.is_some())
}

/// A condition over rows of this schema in a session that knows nothing but its table.
///
/// # Errors
/// ClickHouse's code for what is wrong with it.
pub(crate) async fn condition(
    state: &SessionState,
    schema: &TableSchema,
    tokens: Tokens,
) -> Result<Arc<dyn PhysicalExpr>> {
    let (text, sql) = statement_of(schema, tokens, None)?;
    let plan = crate::planner::plan_query(state, statement::tokenize(&sql)?).await?;
    physical(state, plain(&plan, &text, false)?, schema)
}

/// Values of these columns, by their texts, as [`condition`].
///
/// # Errors
/// A column that is not there; what is wrong with a text.
pub(crate) async fn values(
    state: &SessionState,
    schema: &TableSchema,
    set: &[(String, String)],
) -> Result<Vec<(usize, Arc<dyn PhysicalExpr>)>> {
    let mut values = Vec::with_capacity(set.len());
    for (name, text) in set {
        let index = changeable(schema, name)?;
        let ty = schema.columns[index].ty.to_string();
        let (text, sql) = statement_of(schema, statement::tokenize(text)?, Some(&ty))?;
        let plan = crate::planner::plan_query(state, statement::tokenize(&sql)?).await?;
        values.push((index, physical(state, plain(&plan, &text, true)?, schema)?));
    }
    Ok(values)
}

/// The text of an expression, and a statement that has it.
fn statement_of(schema: &TableSchema, tokens: Tokens, as_type: Option<&str>) -> Result<(String, String)> {
    let _only_checked = statement::expression(tokens.clone())?;
    let text = text_of(&tokens);
    let item = match as_type {
        Some(ty) => value_text(&text, ty),
        None => text.clone(),
    };
    let table = table_text(schema);
    // As a WHERE the predicate gets the meaning that it has in a SELECT.
    let sql = match as_type {
        Some(_) => format!("SELECT {item} FROM {table}"),
        None => format!("SELECT 1 FROM {table} WHERE {item}"),
    };
    Ok((text, sql))
}

/// A value as a column of this type takes it.
pub(super) fn value_text(text: &str, ty: &str) -> String {
    format!("__fitting(({text}), {})", quote(ty))
}

/// The table's name in a statement.
pub(super) fn table_text(schema: &TableSchema) -> String {
    let quoted = |name: &str| format!("`{}`", name.replace('`', "\\`"));
    format!("{}.{}", quoted(&schema.name.database), quoted(&schema.name.table))
}

/// The error of a NULL in a column that cannot hold it.
pub(super) fn no_null(column: &Column) -> Error {
    let message = format!("Cannot set column {} of type {} to NULL", column.name, column.ty);
    Error::new(ErrorCode::CannotInsertNullInOrdinaryColumn, message)
}

fn plain(plan: &LogicalPlan, text: &str, of_projection: bool) -> Result<Expr> {
    let expr = find_expression(plan, of_projection).ok_or_else(|| {
        Error::new(ErrorCode::NotImplemented, format!("{text}: only plain expressions over one table"))
    })?;
    check_plain(&expr, text)?;
    Ok(crate::provider::unqualified(expr))
}

fn physical(state: &SessionState, expr: Expr, schema: &TableSchema) -> Result<Arc<dyn PhysicalExpr>> {
    let df_schema = DFSchema::try_from(schema.query_schema().as_ref().clone()).map_err(from_datafusion)?;
    let simplified = simplify(state, expr, &df_schema)?;
    state.create_physical_expr(simplified, &df_schema).map_err(from_datafusion)
}

/// `now()` and its like become one constant for all rows and all batches.
fn simplify(state: &SessionState, expr: Expr, schema: &DFSchema) -> Result<Expr> {
    use datafusion::logical_expr::simplify::SimplifyContext;
    use datafusion::optimizer::simplify_expressions::ExprSimplifier;
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema.clone()))
        .with_config_options(state.config_options().clone())
        .with_query_execution_start_time(state.execution_props().query_execution_start_time)
        .build();
    let simplifier = ExprSimplifier::new(context);
    let expr = simplifier.coerce(expr, schema).map_err(from_datafusion)?;
    crate::constants::folding(|| simplifier.simplify(expr)).map_err(from_datafusion)
}

fn find_expression(plan: &LogicalPlan, of_projection: bool) -> Option<Expr> {
    match plan {
        LogicalPlan::Projection(projection) if of_projection => {
            let scan = matches!(&*projection.input, LogicalPlan::TableScan(_));
            projection.expr.first().filter(|_| scan).map(|expr| expr.clone().unalias())
        }
        LogicalPlan::Projection(projection) => match &*projection.input {
            LogicalPlan::Filter(filter) if matches!(&*filter.input, LogicalPlan::TableScan(_)) => {
                Some(filter.predicate.clone())
            }
            _ => None,
        },
        _ => None,
    }
}

/// Refuses subqueries, aggregates, and functions whose value differs from row to row by chance.
fn check_plain(expr: &Expr, text: &str) -> Result<()> {
    let mut fault = None;
    let visited = expr.apply(|expr| {
        match expr {
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => fault = Some("subqueries"),
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) => fault = Some("aggregates"),
            Expr::ScalarFunction(call) if call.func.signature().volatility == Volatility::Volatile => {
                fault = Some("random functions");
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.map_err(from_datafusion)?;
    match fault {
        Some(what) => Err(Error::new(
            ErrorCode::NotImplemented,
            format!("{text}: {what} are not supported in mutations"),
        )),
        None => Ok(()),
    }
}

fn evaluate(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    expr.evaluate(batch).and_then(|value| value.into_array(batch.num_rows())).map_err(from_datafusion)
}

/// The rows for which the predicate is true (neither false nor NULL).
pub(crate) fn mask(
    wanted: &Arc<dyn PhysicalExpr>,
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<BooleanArray> {
    let rows = to_query(batch, schema)?;
    let value = evaluate(wanted, &rows)?;
    let value = match value.data_type() {
        DataType::Boolean => value,
        _ => arrow::compute::cast(&value, &DataType::Boolean)?,
    };
    let value = value.as_boolean();
    Ok(if value.null_count() > 0 { prep_null_mask_filter(value) } else { value.clone() })
}

/// The rows with these values in those of the mask.
///
/// # Errors
/// Those of the expressions; a NULL in a column that cannot hold it.
pub(crate) fn assign(
    batch: &RecordBatch,
    changed: &BooleanArray,
    values: &[(usize, Arc<dyn PhysicalExpr>)],
    table: &TableSchema,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    // The other rows may have values that the expressions do not take.
    let rows = to_query(&filter_record_batch(batch, changed)?, schema)?;
    let mut next = 0;
    let places: Vec<(usize, usize)> = (0..batch.num_rows())
        .map(|row| {
            let place = if changed.value(row) { (1, next) } else { (0, row) };
            next += place.0;
            place
        })
        .collect();
    let mut columns = batch.columns().to_vec();
    let strict = arrow::compute::CastOptions { safe: false, ..Default::default() };
    for (index, expr) in values {
        let storage = columns[*index].data_type().clone();
        // A dictionary is put together from plain text: the two sides have different dictionaries.
        let plain = match &storage {
            DataType::Dictionary(_, value) => (**value).clone(),
            other => other.clone(),
        };
        let new = cast_with_options(&evaluate(expr, &rows).map_err(as_of_a_row)?, &plain, &strict)?;
        let old = cast_with_options(&columns[*index], &plain, &strict)?;
        let merged = interleave(&[old.as_ref(), new.as_ref()], &places)?;
        let column = &table.columns[*index];
        if !column.ty.is_nullable() && merged.logical_null_count() > 0 {
            return Err(no_null(column));
        }
        columns[*index] = cast_with_options(&merged, &storage, &strict)?;
    }
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}
