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
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{ColumnarValue, Expr, LogicalPlan, Operator, Projection};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use zepto_common::ErrorCode;
use zepto_common::error::Error;
use zepto_common::limits::CONSTANT_BYTES_MAX;

use crate::error::from_datafusion;
use crate::functions::{column_of, fault, scalar_function};

thread_local! {
    /// Whether this thread is making constants into parts of a plan.
    static FOLDING: Cell<bool> = const { Cell::new(false) };
}

/// The plan with its small constants computed.
///
/// # Errors
/// ClickHouse's code for what is wrong with it.
pub(crate) fn optimize(state: &SessionState, plan: &LogicalPlan) -> Result<LogicalPlan, Error> {
    if matches!(plan, LogicalPlan::Explain(_)) {
        return folding(|| state.optimize(plan)).map_err(from_datafusion);
    }
    let optimized = folding(|| {
        let analyzed = state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
        let nullable = may_be_null(&analyzed);
        as_nullable(state.optimizer().optimize(analyzed, state, |_, _| {})?, &nullable)
    });
    optimized.map_err(from_datafusion)
}

/// Which columns of a plan's result may be NULL by their types.
fn may_be_null(plan: &LogicalPlan) -> Vec<bool> {
    let of_fields = || plan.schema().fields().iter().map(|field| field.is_nullable());
    match plan {
        LogicalPlan::Projection(projection) => {
            let exprs = projection.expr.iter().map(|expr| !tells_nulls_apart(expr));
            of_fields().zip(exprs).map(|(nullable, may)| nullable && may).collect()
        }
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_)
            if plan.inputs()[0].schema().fields().len() == of_fields().count() =>
        {
            may_be_null(plan.inputs()[0])
        }
        _ => of_fields().collect(),
    }
}

/// `IS DISTINCT FROM` knows an answer for NULL, which DataFusion's type does not say.
fn tells_nulls_apart(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => tells_nulls_apart(&alias.expr),
        Expr::BinaryExpr(binary) => {
            matches!(binary.op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
        }
        _ => false,
    }
}

/// A constant that was computed is not NULL, but its type may still say that it could be: `toNullable(1)`.
fn as_nullable(plan: LogicalPlan, nullable: &[bool]) -> Result<LogicalPlan> {
    let fields = plan.schema().fields().iter();
    let wanted: Vec<bool> = fields.zip(nullable).map(|(field, wide)| *wide && !field.is_nullable()).collect();
    if !wanted.contains(&true) {
        return Ok(plan);
    }
    match plan {
        LogicalPlan::Projection(projection) => {
            let exprs: Result<Vec<Expr>> = projection
                .expr
                .into_iter()
                .zip(wanted)
                .map(|(expr, wanted)| if wanted { nullable_constant(expr) } else { Ok(expr) })
                .collect();
            Ok(LogicalPlan::Projection(Projection::try_new(exprs?, projection.input)?))
        }
        // The constants are below.
        other @ (LogicalPlan::Sort(_) | LogicalPlan::Limit(_))
            if other.inputs()[0].schema().fields().len() == nullable.len() =>
        {
            let below = as_nullable(other.inputs()[0].clone(), nullable)?;
            let exprs = other.expressions();
            other.with_new_exprs(exprs, vec![below])?.recompute_schema()
        }
        other => Ok(other),
    }
}

/// Only what is a constant: anything else is not NULL for a reason.
fn nullable_constant(expr: Expr) -> Result<Expr> {
    let (relation, name) = expr.qualified_name();
    let value = match expr {
        Expr::Alias(alias) => *alias.expr,
        other => other,
    };
    let value = match value {
        Expr::Literal(..) => {
            Expr::ScalarFunction(ScalarFunction::new_udf(scalar_function("toNullable")?, vec![value]))
        }
        other => other,
    };
    Ok(value.alias_qualified(relation, name))
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
