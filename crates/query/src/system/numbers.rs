//! `numbers(n)`, `numbers(offset, n[, step])`, `generate_series(start, stop[, step])` and `system.numbers`: the
//! integers, made as they are read.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream;
use zepto_common::error::{Error, ErrorCode};
use zepto_common::types::ColumnType;

use crate::error::external;
use crate::running::QueryHandle;

/// Rows of a batch.
const BATCH_ROWS: u64 = 8_192;

pub(super) fn register(state: &mut SessionState) {
    for name in ["numbers", "numbers_mt"] {
        state.register_udtf(name, Arc::new(Function));
    }
    for name in ["generate_series", "generateSeries"] {
        state.register_udtf(name, Arc::new(Series));
    }
}

/// All of them, from 0.
pub(super) fn endless() -> Arc<dyn TableProvider> {
    table("number", 0, u64::MAX, 1)
}

fn table(column: &str, start: u64, count: u64, step: u64) -> Arc<dyn TableProvider> {
    let schema = Arc::new(Schema::new(vec![ColumnType::UInt64.query_field(column)]));
    let numbers = Arc::new(Numbers { start, count, step, schema: schema.clone() });
    match StreamingTable::try_new(schema.clone(), vec![numbers]) {
        Ok(table) => Arc::new(table),
        // The schemas are one and the same.
        Err(_) => Arc::new(datafusion::catalog::empty::EmptyTable::new(schema)),
    }
}

#[derive(Debug)]
struct Function;

impl TableFunctionImpl for Function {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let values: Result<Vec<u64>> = args.exprs().iter().map(constant).collect();
        match values?.as_slice() {
            [count] => Ok(table("number", 0, *count, 1)),
            [start, count] => Ok(table("number", *start, *count, 1)),
            [start, span, step] if *step > 0 => Ok(table("number", *start, span.div_ceil(*step), *step)),
            _ => Err(external(Error::new(
                ErrorCode::NumberOfArgumentsDoesntMatch,
                "Table function numbers needs a length, or an offset, a length and perhaps a step above 0",
            ))),
        }
    }
}

/// `generate_series(start, stop[, step])`, the stop with them.
#[derive(Debug)]
struct Series;

impl TableFunctionImpl for Series {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let values: Result<Vec<u64>> = args.exprs().iter().map(constant).collect();
        let (start, stop, step) = match *values?.as_slice() {
            [start, stop] => (start, stop, 1),
            [start, stop, step] => (start, stop, step),
            _ => {
                let message = "Table function generate_series needs a start, a stop and perhaps a step";
                return Err(external(Error::new(ErrorCode::NumberOfArgumentsDoesntMatch, message)));
            }
        };
        if step == 0 {
            let message = "Table function generate_series needs a step that is not 0";
            return Err(external(Error::new(ErrorCode::BadArguments, message)));
        }
        let count = stop.checked_sub(start).map_or(0, |span| (span / step).saturating_add(1));
        Ok(table("generate_series", start, count, step))
    }
}

/// The value of a constant expression.
fn constant(expr: &Expr) -> Result<u64> {
    let bad = || {
        external(Error::new(
            ErrorCode::IllegalTypeOfArgument,
            "Arguments of numbers must be constants that are not negative",
        ))
    };
    let simplifier = ExprSimplifier::new(SimplifyContext::default());
    match simplifier.simplify(expr.clone())? {
        Expr::Literal(value, _) => match value.cast_to(&arrow::datatypes::DataType::UInt64) {
            Ok(ScalarValue::UInt64(Some(value))) => Ok(value),
            _ => Err(bad()),
        },
        _ => Err(bad()),
    }
}

#[derive(Debug)]
struct Numbers {
    start: u64,
    count: u64,
    step: u64,
    schema: SchemaRef,
}

impl PartitionStream for Numbers {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let query = context.session_config().get_extension::<QueryHandle>();
        let schema = self.schema.clone();
        let (mut next, mut left, step) = (self.start, self.count, self.step);
        let batches = std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            if let Some(stopped) = query.as_ref().and_then(|query| query.stopped()) {
                left = 0;
                return Some(Err(external(stopped)));
            }
            if query.as_ref().is_some_and(|query| query.has_read_enough()) {
                left = 0;
                return None;
            }
            let rows = left.min(BATCH_ROWS);
            let values =
                UInt64Array::from_iter_values((0..rows).map(|i| next.wrapping_add(i.wrapping_mul(step))));
            next = next.wrapping_add(rows.wrapping_mul(step));
            left -= rows;
            if let Some(query) = &query {
                query.progress.read(rows, rows * 8);
            }
            Some(RecordBatch::try_new(schema.clone(), vec![Arc::new(values)]).map_err(Into::into))
        });
        let adapter = RecordBatchStreamAdapter::new(self.schema.clone(), stream::iter(batches));
        Box::pin(cooperative(adapter))
    }
}
