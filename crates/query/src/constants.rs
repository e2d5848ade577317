//! Constants of statements. A small one is computed once and becomes a part of the plan. The text of every part of a
//! plan is written into names many times while it is optimized, so one that is large stays the call that makes it, and
//! is made when the statement runs, once for each block of rows.

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{ColumnarValue, LogicalPlan};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use zepto_common::ErrorCode;
use zepto_common::error::Error;
use zepto_common::limits::CONSTANT_BYTES_MAX;

use crate::error::from_datafusion;
use crate::functions::{column_of, fault};

thread_local! {
    /// Whether this thread is making constants into parts of a plan.
    static FOLDING: Cell<bool> = const { Cell::new(false) };
}

/// The plan with its small constants computed.
///
/// # Errors
/// ClickHouse's code for what is wrong with it.
pub(crate) fn optimize(state: &SessionState, plan: &LogicalPlan) -> Result<LogicalPlan, Error> {
    folding(|| state.optimize(plan)).map_err(from_datafusion)
}

/// Runs what makes constants into parts of a plan. What it runs does not wait, so the thread is its own.
pub(crate) fn folding<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            FOLDING.set(self.0);
        }
    }
    let _restore = Restore(FOLDING.replace(true));
    work()
}

/// Whether what a call makes is to become a part of a plan.
pub(crate) fn is_folding() -> bool {
    FOLDING.get()
}

/// Refuses a value that is too large for a part of a plan. The error keeps the call as it is and goes no further.
///
/// # Errors
/// `MemoryLimitExceeded` beyond [`CONSTANT_BYTES_MAX`] while constants are made into parts of a plan.
pub(crate) fn check(value: &ScalarValue) -> Result<()> {
    if is_folding() && value.size() > CONSTANT_BYTES_MAX {
        let message = format!("A constant has more than {CONSTANT_BYTES_MAX} bytes");
        return Err(fault(ErrorCode::MemoryLimitExceeded, message));
    }
    Ok(())
}

/// Counts an array that is the same in each row before it is written out for each.
#[derive(Debug)]
pub(crate) struct MeterConstants;

impl PhysicalOptimizerRule for MeterConstants {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let metered = plan.transform_up(|node| {
            let Some(projection) = node.downcast_ref::<ProjectionExec>() else {
                return Ok(Transformed::no(node));
            };
            let input = projection.input();
            let schema = input.schema();
            let mut changed = false;
            let mut exprs = Vec::with_capacity(projection.expr().len());
            for one in projection.expr() {
                let mut one: ProjectionExpr = one.clone();
                if collect_columns(&one.expr).is_empty() && one.expr.data_type(&schema)?.is_nested() {
                    one.expr = Arc::new(WrittenOut(one.expr));
                    changed = true;
                }
                exprs.push(one);
            }
            match changed {
                true => Ok(Transformed::yes(Arc::new(ProjectionExec::try_new(exprs, Arc::clone(input))?))),
                false => Ok(Transformed::no(node)),
            }
        })?;
        Ok(metered.data)
    }

    fn name(&self) -> &str {
        "meter_constants"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Its input as a column, if there is room for it.
#[derive(Debug)]
struct WrittenOut(Arc<dyn PhysicalExpr>);

impl fmt::Display for WrittenOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for WrittenOut {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Eq for WrittenOut {}

impl Hash for WrittenOut {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PhysicalExpr for WrittenOut {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.0.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.0.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.0.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let value = self.0.evaluate(batch)?;
        Ok(ColumnarValue::Array(column_of(&value, batch.num_rows())?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(child) => Ok(Arc::new(Self(child))),
            None => Ok(self),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}
