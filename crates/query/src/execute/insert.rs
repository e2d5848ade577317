//! INSERT INTO … SELECT (and VALUES that come as a query): the rows of a plan, cast to the table's columns.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{BatchCoalescer, cast as cast_array, interleave};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{
    ExecutionPlan, ExecutionPlanProperties, Partitioning, ReplaceChildrenOptions, execute_stream,
};
use futures::StreamExt;
use zepto_common::BatchId;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::limits::BLOCK_ROWS;
use zepto_common::schema::{Column, TableSchema};
use zepto_common::service::{Answer, WriteRequest};
use zepto_common::tally::Tally;
use zepto_common::types::ColumnType;

use super::evaluate::constant;
use crate::error::from_datafusion;
use crate::functions::scalar_function;
use crate::provider::to_storage;
use crate::service::Run;
use crate::statement::{self, Columns, NameText, Tokens};

/// Inserts the rows of `source`.
pub(super) async fn insert(run: Run, table: &NameText, columns: Columns, source: Tokens) -> Result<Answer> {
    let schema = run.table(table).await?;
    let targets = targets(&schema, columns)?;
    let state = run.state()?;
    let plan = run.core.logical_plan(&state, source).await?;
    let mut sender = Sender::new(&run, schema.clone());
    let ordered = matches!(plan, LogicalPlan::Sort(_)) || is_cut_of_sorted(&plan);
    let mut plan = cast_to(plan, &schema, &targets)?;
    if sender.batch.is_some() && !ordered {
        plan = in_one_order(plan)?;
    }
    let physical = state.create_physical_plan(&plan).await.map_err(from_datafusion)?;
    let physical = if ordered { undealt(physical).map_err(from_datafusion)? } else { physical };
    let mut input = execute_stream(physical, run.task(&state)?).map_err(from_datafusion)?;
    let fill = Fill::new(&run, &schema, &targets)?;
    let mut coalescer = BatchCoalescer::new(input.schema(), BLOCK_ROWS);
    let sent = async {
        while let Some(batch) = input.next().await {
            if let Some(stopped) = run.guard.handle.stopped() {
                return Err(stopped);
            }
            coalescer.push_batch(batch.map_err(from_datafusion)?)?;
            while let Some(block) = coalescer.next_completed_batch() {
                sender.send(fill.rows(&block)?).await?;
            }
        }
        coalescer.finish_buffered_batch()?;
        while let Some(block) = coalescer.next_completed_batch() {
            sender.send(fill.rows(&block)?).await?;
        }
        Ok(())
    };
    match sent.await {
        Ok(()) => Ok(run.done()),
        Err(error) if sender.tally.nothing_stored() => Err(error),
        Err(error) => Err(sender.tally.explain(&error, sender.batch.is_some())),
    }
}

/// Whether the plan gives the first rows of an order that the statement asks for.
fn is_cut_of_sorted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Limit(limit) => matches!(&*limit.input, LogicalPlan::Sort(_)),
        LogicalPlan::Projection(projection) => {
            matches!(&*projection.input, LogicalPlan::Sort(_)) || is_cut_of_sorted(&projection.input)
        }
        _ => false,
    }
}

/// The plan without what deals the batches of one sorted stream out to several threads, for the casts behind it: the rows
/// are stored in the order that the statement asks for.
fn undealt(plan: Arc<dyn ExecutionPlan>) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
    let children = plan.children();
    let [child] = children.as_slice() else { return Ok(plan) };
    let child = Arc::clone(child);
    if let Some(deal) = plan.downcast_ref::<RepartitionExec>() {
        let dealt = matches!(deal.partitioning(), Partitioning::RoundRobinBatch(_));
        return if dealt && child.output_partitioning().partition_count() == 1 {
            undealt(child)
        } else {
            Ok(plan)
        };
    }
    if !plan.is::<ProjectionExec>() {
        return Ok(plan);
    }
    let child = undealt(child)?;
    plan.replace_children(vec![child], ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
}

/// The plan with its rows in an order that does not depend on how it runs: a statement that is repeated under its token is
/// then cut into the same blocks, as long as it gives the same rows. Columns of types without an order take no part.
fn in_one_order(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut by = Vec::new();
    for column in plan.schema().columns() {
        let expr = Expr::Column(column);
        let ty = expr.get_type(plan.schema()).map_err(from_datafusion)?;
        if !matches!(ty, DataType::Map(..) | DataType::Struct(_)) {
            by.push(expr.sort(true, true));
        }
    }
    if by.is_empty() {
        return Ok(plan);
    }
    LogicalPlanBuilder::from(plan).sort(by).and_then(LogicalPlanBuilder::build).map_err(from_datafusion)
}

/// Indexes of the columns that get the query's columns, in its order.
fn targets(schema: &TableSchema, columns: Columns) -> Result<Vec<usize>> {
    match columns {
        Columns::All => Ok((0..schema.columns.len()).collect()),
        Columns::Named(names) => indexes(schema, &names),
        Columns::Except(names) => {
            let except = indexes(schema, &names)?;
            Ok((0..schema.columns.len()).filter(|index| !except.contains(index)).collect())
        }
    }
}

fn indexes(schema: &TableSchema, names: &[String]) -> Result<Vec<usize>> {
    let mut targets = Vec::with_capacity(names.len());
    for name in names {
        let Some(index) = schema.index_of(name) else {
            let message = format!("No such column {name} in table {}", schema.name);
            return Err(Error::new(ErrorCode::NoSuchColumnInTable, message));
        };
        if targets.contains(&index) {
            return Err(Error::new(ErrorCode::DuplicateColumn, format!("Column {name} is named twice")));
        }
        targets.push(index);
    }
    Ok(targets)
}

/// The plan with its columns cast, by position, to the query types of the target columns.
fn cast_to(plan: LogicalPlan, schema: &TableSchema, targets: &[usize]) -> Result<LogicalPlan> {
    let given = plan.schema().fields().len();
    if given != targets.len() {
        let message =
            format!("Number of columns doesn't match: the query has {given}, the INSERT {}", targets.len());
        return Err(Error::new(ErrorCode::NumberOfColumnsDoesntMatch, message));
    }
    let exprs: Result<Vec<Expr>> = plan
        .schema()
        .columns()
        .into_iter()
        .zip(targets)
        .map(|(column, &target)| {
            let expr = Expr::Column(column);
            let from = expr.get_type(plan.schema()).map_err(from_datafusion)?;
            let expr = fitted(expr, &from, &schema.columns[target].ty)?;
            // Two columns of a query may share a name; the positions never do.
            Ok(expr.alias(format!("__insert_{target}")))
        })
        .collect();
    LogicalPlanBuilder::from(plan)
        .project(exprs?)
        .and_then(LogicalPlanBuilder::build)
        .map_err(from_datafusion)
}

/// The expression in the query type of a column.
fn fitted(expr: Expr, from: &DataType, to: &ColumnType) -> Result<Expr> {
    let ty = to.query_type();
    if *from == ty {
        return Ok(expr);
    }
    // Digits that a Decimal has no room for are cut, as everywhere, and a time is read in the session's zone; Arrow's cast
    // would round, and reads UTC.
    let is_time_of_text =
        matches!(ty, DataType::Timestamp(..)) && (from.is_string() || *from == DataType::Date32);
    if *from == DataType::Null || !(matches!(ty, DataType::Decimal128(..)) || is_time_of_text) {
        return Ok(cast(expr, ty));
    }
    let function = scalar_function("CAST").map_err(from_datafusion)?;
    let name = lit(ScalarValue::Utf8View(Some(to.inner().to_string())));
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr, name])))
}

/// Makes whole rows: the query's columns, and the defaults of the others.
struct Fill {
    schema: Arc<TableSchema>,
    /// Per column of the table: the query's column, or the default's value.
    columns: Vec<FillColumn>,
}

enum FillColumn {
    /// The query's column of this number; what a NULL becomes where NULL is no value, if it becomes anything.
    Given(usize, Option<ArrayRef>),
    Default(ArrayRef),
}

impl Fill {
    fn new(run: &Run, schema: &Arc<TableSchema>, targets: &[usize]) -> Result<Self> {
        let set = run.context.settings.get("insert_null_as_default");
        let null_is_default = set.is_none_or(|value| value == "1" || value.eq_ignore_ascii_case("true"));
        let columns = schema.columns.iter().enumerate().map(|(index, column)| {
            match targets.iter().position(|&target| target == index) {
                Some(given) => {
                    let wanted = null_is_default && !column.ty.is_nullable();
                    let default = wanted.then(|| default_value(run, column)).transpose()?;
                    Ok(FillColumn::Given(given, default))
                }
                None => default_value(run, column).map(FillColumn::Default),
            }
        });
        Ok(Self { schema: schema.clone(), columns: columns.collect::<Result<_>>()? })
    }

    fn rows(&self, block: &RecordBatch) -> Result<RecordBatch> {
        let rows = block.num_rows();
        let columns: Result<Vec<ArrayRef>> = self
            .columns
            .iter()
            .map(|column| match column {
                FillColumn::Given(index, Some(default)) if block.column(*index).logical_null_count() > 0 => {
                    filled(block.column(*index), default)
                }
                FillColumn::Given(index, _) => Ok(block.column(*index).clone()),
                FillColumn::Default(value) => {
                    let zeros = arrow::array::UInt32Array::from(vec![0; rows]);
                    Ok(arrow::compute::take(value, &zeros, None)?)
                }
            })
            .collect();
        to_storage(&columns?, rows, &self.schema)
    }
}

/// A column with this one value in the place of NULLs.
fn filled(column: &ArrayRef, default: &ArrayRef) -> Result<ArrayRef> {
    let default = cast_array(default, column.data_type())?;
    let nulls = column.logical_nulls();
    let places = (0..column.len()).map(|row| {
        let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        if is_null { (1, 0) } else { (0, row) }
    });
    let places: Vec<(usize, usize)> = places.collect();
    Ok(interleave(&[column.as_ref(), default.as_ref()], &places)?)
}

/// What a column gets that the INSERT leaves out, as a one-row array of its storage type.
fn default_value(run: &Run, column: &Column) -> Result<ArrayRef> {
    use zepto_common::schema::ColumnDefault as D;
    let evaluate = |text: &str| constant(&run.core, &*run.state()?, statement::tokenize(text)?, &column.ty);
    match &column.default {
        D::Zero => zepto_engine::zero(&column.ty),
        D::Now => evaluate("now64(9)"),
        D::Constant(text) => evaluate(&crate::statement::cursor::quote(text)),
    }
}

/// Sends blocks one after the other.
struct Sender<'a> {
    run: &'a Run,
    schema: Arc<TableSchema>,
    batch: Option<BatchId>,
    block: u32,
    tally: Tally,
}

impl<'a> Sender<'a> {
    fn new(run: &'a Run, schema: Arc<TableSchema>) -> Self {
        let token = run.context.settings.get("insert_deduplication_token").filter(|token| !token.is_empty());
        let batch = token.map(|token| BatchId::from_token(token));
        Self { run, schema, batch, block: 0, tally: Tally::default() }
    }

    async fn send(&mut self, rows: RecordBatch) -> Result<()> {
        let handle = &self.run.guard.handle;
        let (batch, block) = (self.batch, self.block);
        let (count, bytes) = (rows.num_rows() as u64, rows.get_array_memory_size() as u64);
        // What an expression or a SELECT gives may be different the next time.
        let request = WriteRequest { table: self.schema.clone(), batch, block, repeatable: false, rows };
        let outcome = self.run.core.rows().write(request, handle.deadline).await;
        if let Ok(receipt) = &outcome {
            handle.progress.written_rows.fetch_add(receipt.rows, Ordering::Relaxed);
            let stored = if receipt.rows > 0 { bytes } else { 0 };
            handle.progress.written_bytes.fetch_add(stored, Ordering::Relaxed);
        }
        self.block += 1;
        self.tally.add(block, count, bytes, outcome)
    }
}
