//! Expressions without rows: values in INSERT … VALUES, defaults of columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Volatility};
use datafusion::physical_expr::create_physical_expr;
use futures::FutureExt;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::service::{ExpressionEvaluator, RequestContext};
use zepto_common::types::ColumnType;

use crate::error::from_datafusion;
use crate::service::Core;
use crate::statement::cursor::{quote, text_of};
use crate::statement::{self, Tokens};

/// Evaluates expressions in one context.
pub(crate) struct Evaluator {
    core: Arc<Core>,
    context: RequestContext,
}

impl Evaluator {
    /// In this context.
    pub(crate) fn new(core: Arc<Core>, context: RequestContext) -> Self {
        Self { core, context }
    }
}

impl ExpressionEvaluator for Evaluator {
    fn evaluate(&self, expression: &str, ty: &ColumnType) -> Result<ArrayRef> {
        let context = &self.context;
        let tokens = statement::parametrized(expression, &context.params)?;
        let state = self.core.sessions.evaluation_state(&self.core, &context.database, &context.settings);
        constant(&self.core, &state, tokens, ty)
    }
}

/// The value of a constant expression as a one-row array of the type's storage form.
///
/// # Errors
/// `SyntaxError`, `UnknownIdentifier` for a column, `TypeMismatch`.
pub(super) fn constant(
    core: &Core,
    state: &SessionState,
    tokens: Tokens,
    ty: &ColumnType,
) -> Result<ArrayRef> {
    let text = text_of(&tokens);
    // SQL's conversions apply, but none that would change the value: reading rows is strict.
    let wrapped = statement::tokenize(&format!("SELECT __held(({text}), {})", quote(&ty.to_string())))?;
    let _only_checked = statement::expression(tokens)?;
    let planned = core.logical_plan(state, wrapped).now_or_never();
    let plan = planned.unwrap_or_else(|| Err(bad(&text, "it is not a constant")))?;
    let optimized = crate::constants::optimize(state, &plan).map_err(as_of_a_row)?;
    let expr = single_expression(&optimized).ok_or_else(|| bad(&text, "it is not a constant"))?;
    let schema = datafusion::common::DFSchema::empty();
    let planning = PhysicalPlanningContext::default();
    let physical =
        create_physical_expr(&expr, &schema, state.execution_props(), &planning).map_err(from_datafusion)?;
    let row = RecordBatch::try_new_with_options(
        Arc::new(Schema::empty()),
        vec![],
        &RecordBatchOptions::new().with_row_count(Some(1)),
    )?;
    let value = physical.evaluate(&row).and_then(|value| value.into_array(1));
    let value = value.map_err(|error| as_of_a_row(from_datafusion(error)))?;
    let value = arrow::compute::cast(&value, &ty.storage_type())?;
    if !ty.is_nullable() && value.logical_null_count() > 0 {
        return Err(bad(&text, "it is NULL"));
    }
    Ok(value)
}

/// Whether an expression calls what gives another value at another time, or in another row.
///
/// # Errors
/// As [`constant`].
pub(super) fn is_moving(core: &Core, state: &SessionState, tokens: &Tokens) -> Result<bool> {
    let text = text_of(tokens);
    let wrapped = statement::tokenize(&format!("SELECT ({text})"))?;
    let planned = core.logical_plan(state, wrapped).now_or_never();
    let plan = planned.unwrap_or_else(|| Err(bad(&text, "it is not a constant")))?;
    let mut moving = false;
    let visited = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                moving |= matches!(expr, Expr::ScalarFunction(call)
                    if call.func.signature().volatility != Volatility::Immutable);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    visited.map_err(from_datafusion)?;
    Ok(moving)
}

/// A value that the column cannot hold has the same code whether it is written as a literal or as an expression.
pub(super) fn as_of_a_row(error: Error) -> Error {
    match error.code {
        ErrorCode::CannotConvertType | ErrorCode::Decimals => {
            Error::new(ErrorCode::ValueIsOutOfRange, error.message)
        }
        _ => error,
    }
}

fn bad(text: &str, why: &str) -> Error {
    Error::new(ErrorCode::BadArguments, format!("Cannot evaluate {text} as a value: {why}"))
}

/// The one expression of `SELECT e`, if the plan is no more than that.
fn single_expression(plan: &LogicalPlan) -> Option<Expr> {
    match plan {
        LogicalPlan::Projection(Projection { expr, input, .. }) => match (expr.as_slice(), &**input) {
            ([expr], LogicalPlan::EmptyRelation(empty)) if empty.produce_one_row => {
                Some(expr.clone().unalias())
            }
            _ => None,
        },
        _ => None,
    }
}
