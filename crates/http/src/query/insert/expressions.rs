//! Expressions in the rows of INSERT … VALUES, with the request's parameters.

use std::sync::Arc;

use arrow::array::ArrayRef;
use tokio_util::sync::CancellationToken;
use zepto_common::Result;
use zepto_common::service::ExpressionEvaluator;
use zepto_common::types::ColumnType;

use crate::query::Call;
use crate::statement::StatementKind;

/// Evaluates the expressions of this call's rows.
pub(super) fn evaluator(call: &Arc<Call>) -> Arc<dyn ExpressionEvaluator> {
    Arc::new(Expressions { plain: for_text(call, ""), call: call.clone() })
}

fn for_text(call: &Call, text: &str) -> Arc<dyn ExpressionEvaluator> {
    let context = call.context(text, StatementKind::Insert, CancellationToken::new());
    call.service.door.queries.evaluator(&context)
}

struct Expressions {
    call: Arc<Call>,
    /// For expressions without parameters, which are most.
    plain: Arc<dyn ExpressionEvaluator>,
}

impl ExpressionEvaluator for Expressions {
    fn evaluate(&self, expression: &str, ty: &ColumnType) -> Result<ArrayRef> {
        if expression.contains('{') {
            // How a parameter's escapes are read depends on the type that stands beside its name.
            return for_text(&self.call, expression).evaluate(expression, ty);
        }
        self.plain.evaluate(expression, ty)
    }
}
