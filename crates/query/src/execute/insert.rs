//! INSERT INTO … SELECT (and VALUES that come as a query): the rows of a plan, cast to the table's columns.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::BatchCoalescer;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use zepto_common::BatchId;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::limits::BLOCK_ROWS;
use zepto_common::schema::{Column, TableSchema};
use zepto_common::service::{Answer, RowSink, WriteRequest};

use super::evaluate::constant;
use crate::error::from_datafusion;
use crate::provider::to_storage;
use crate::service::Run;
use crate::statement::{self, NameText, Tokens};

/// Inserts the rows of `source`.
pub(super) async fn insert(
    run: Run,
    table: &NameText,
    columns: Option<Vec<String>>,
    source: Tokens,
) -> Result<Answer> {
    let schema = run.table(table)?;
    let targets = targets(&schema, columns)?;
    let state = run.state()?;
    let plan = run.core.logical_plan(&state, source).await?;
    let plan = cast_to(plan, &schema, &targets)?;
    let physical = state.create_physical_plan(&plan).await.map_err(from_datafusion)?;
    let mut input = execute_stream(physical, run.task(&state)?).map_err(from_datafusion)?;
    let fill = Fill::new(&run, &schema, &targets)?;
    let mut sender = Sender::new(&run, schema.clone());
    let mut coalescer = BatchCoalescer::new(input.schema(), BLOCK_ROWS);
    let handle = run.guard.handle.clone();
    while let Some(batch) = input.next().await {
        if let Some(stopped) = handle.stopped() {
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
    Ok(run.done())
}

/// Indexes of the columns that get the query's columns, in its order.
fn targets(schema: &TableSchema, columns: Option<Vec<String>>) -> Result<Vec<usize>> {
    let Some(columns) = columns else { return Ok((0..schema.columns.len()).collect()) };
    let mut targets = Vec::with_capacity(columns.len());
    for name in &columns {
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
            let ty = schema.columns[target].ty.query_type();
            let expr = Expr::Column(column);
            let same = expr.get_type(plan.schema()).map_err(from_datafusion)? == ty;
            let expr = if same { expr } else { cast(expr, ty) };
            // Two columns of a query may share a name; the positions never do.
            Ok(expr.alias(format!("__insert_{target}")))
        })
        .collect();
    LogicalPlanBuilder::from(plan)
        .project(exprs?)
        .and_then(LogicalPlanBuilder::build)
        .map_err(from_datafusion)
}

/// Makes whole rows: the query's columns, and the defaults of the others.
struct Fill {
    schema: Arc<TableSchema>,
    /// Per column of the table: the query's column, or the default's value.
    columns: Vec<FillColumn>,
}

enum FillColumn {
    Given(usize),
    Default(ArrayRef),
}

impl Fill {
    fn new(run: &Run, schema: &Arc<TableSchema>, targets: &[usize]) -> Result<Self> {
        let columns = schema.columns.iter().enumerate().map(|(index, column)| {
            match targets.iter().position(|&target| target == index) {
                Some(given) => Ok(FillColumn::Given(given)),
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
                FillColumn::Given(index) => Ok(block.column(*index).clone()),
                FillColumn::Default(value) => {
                    let zeros = arrow::array::UInt32Array::from(vec![0; rows]);
                    Ok(arrow::compute::take(value, &zeros, None)?)
                }
            })
            .collect();
        to_storage(&columns?, rows, &self.schema)
    }
}

/// What a column gets that the INSERT leaves out, as a one-row array of its storage type.
fn default_value(run: &Run, column: &Column) -> Result<ArrayRef> {
    use zepto_common::schema::ColumnDefault as D;
    let evaluate = |text: &str| constant(&run.core, &run.state()?, statement::tokenize(text)?, &column.ty);
    match &column.default {
        D::Zero if column.ty.is_nullable() => Ok(new_null_array(&column.ty.storage_type(), 1)),
        D::Zero => zero(&column.ty.storage_type()),
        D::Now => evaluate("now64(9)"),
        D::Constant(text) => evaluate(&crate::statement::cursor::quote(text)),
    }
}

/// The zero value of a storage type.
fn zero(ty: &arrow::datatypes::DataType) -> Result<ArrayRef> {
    use datafusion::common::ScalarValue;
    let value = match ty {
        arrow::datatypes::DataType::FixedSizeBinary(size) => {
            ScalarValue::FixedSizeBinary(*size, Some(vec![0; usize::try_from(*size).unwrap_or(0)]))
        }
        other => ScalarValue::new_default(other).map_err(from_datafusion)?,
    };
    value.to_array().map_err(from_datafusion)
}

/// Sends blocks one after the other.
struct Sender<'a> {
    run: &'a Run,
    schema: Arc<TableSchema>,
    batch: Option<BatchId>,
    block: u32,
}

impl<'a> Sender<'a> {
    fn new(run: &'a Run, schema: Arc<TableSchema>) -> Self {
        let token = run.context.settings.get("insert_deduplication_token").filter(|token| !token.is_empty());
        Self { run, schema, batch: token.map(|token| BatchId::from_token(token)), block: 0 }
    }

    async fn send(&mut self, rows: RecordBatch) -> Result<()> {
        let handle = &self.run.guard.handle;
        let (batch, block) = (self.batch, self.block);
        // What an expression or a SELECT gives may be different the next time.
        let request = WriteRequest { table: self.schema.clone(), batch, block, repeatable: false, rows };
        let receipt = self.run.core.store.write(request, handle.deadline).await?;
        handle.progress.written_rows.fetch_add(receipt.rows, Ordering::Relaxed);
        self.block += 1;
        Ok(())
    }
}
