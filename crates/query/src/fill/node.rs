//! The logical node.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use datafusion::common::{Column, DFSchemaRef, Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr, UserDefinedLogicalNodeCore};

/// A sorted plan whose missing rows are made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Fill {
    pub(super) input: Arc<LogicalPlan>,
    /// How the input is sorted.
    pub(super) order: Vec<SortExpr>,
    /// Columns that divide the rows into parts.
    pub(super) prefix: Vec<Column>,
    /// The column that is filled.
    pub(super) column: Column,
    pub(super) descending: bool,
    /// FROM, TO (NULL for none), STEP.
    pub(super) bounds: [Expr; 3],
    /// Columns whose cells of made rows are found otherwise, and how.
    pub(super) interpolated: Vec<(String, String)>,
    /// What stands there, of each of them; NULL where it is found from rows.
    pub(super) constants: Vec<Expr>,
}

impl PartialOrd for Fill {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        // Only equal plans have an order; the planner needs no more.
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for Fill {
    fn name(&self) -> &str {
        "Fill"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        self.bounds.iter().chain(&self.constants).cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to, step] = &self.bounds;
        write!(f, "Fill: {} from {from} to {to} step {step}", self.column)
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let constants = exprs.split_off(exprs.len().min(self.bounds.len()));
        let (Some(input), Ok(bounds)) = (inputs.pop(), <[Expr; 3]>::try_from(exprs)) else {
            return plan_err!("WITH FILL has one input and three bounds");
        };
        Ok(Self { input: Arc::new(input), bounds, constants, ..self.clone() })
    }
}
