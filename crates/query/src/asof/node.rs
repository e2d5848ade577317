//! The logical node.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::How;

/// An as-of join of two plans.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AsOfJoin {
    pub(super) left: Arc<LogicalPlan>,
    pub(super) right: Arc<LogicalPlan>,
    /// Pairs (left, right) that must be equal, of one type each.
    pub(super) keys: Vec<(Expr, Expr)>,
    /// Left and right time, of one type.
    pub(super) time: (Expr, Expr),
    pub(super) how: How,
    /// Left columns, then right columns.
    pub(super) schema: DFSchemaRef,
}

impl AsOfJoin {
    pub(super) fn new(
        left: Arc<LogicalPlan>,
        right: Arc<LogicalPlan>,
        keys: Vec<(Expr, Expr)>,
        time: (Expr, Expr),
        how: How,
        schema: DFSchemaRef,
    ) -> Self {
        Self { left, right, keys, time, how, schema }
    }
}

impl PartialOrd for AsOfJoin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        // Only equal plans have an order; the planner needs no more.
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for AsOfJoin {
    fn name(&self) -> &str {
        "AsOfJoin"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let keys = self.keys.iter().flat_map(|(a, b)| [a.clone(), b.clone()]);
        keys.chain([self.time.0.clone(), self.time.1.clone()]).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsOfJoin: {}", self.how)?;
        for (a, b) in &self.keys {
            write!(f, ", {a} = {b}")?;
        }
        write!(f, ", {} {:?} {}", self.time.0, self.how.kind, self.time.1)
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(right), Some(left), None) = (inputs.pop(), inputs.pop(), inputs.pop()) else {
            return plan_err!("an ASOF join has two inputs");
        };
        if exprs.len() != 2 * self.keys.len() + 2 {
            return plan_err!("an ASOF join has two expressions per key and two times");
        }
        let times = exprs.split_off(exprs.len() - 2);
        let mut exprs = exprs.into_iter();
        let mut keys = Vec::with_capacity(self.keys.len());
        while let (Some(a), Some(b)) = (exprs.next(), exprs.next()) {
            keys.push((a, b));
        }
        let mut times = times.into_iter();
        let (Some(a), Some(b)) = (times.next(), times.next()) else {
            return plan_err!("an ASOF join has two times");
        };
        let schema = schema_of(&left, &right, self.how.outer)?;
        Ok(Self { left: Arc::new(left), right: Arc::new(right), keys, time: (a, b), how: self.how, schema })
    }

    /// Any column may be left out of an input: the output is what the inputs have.
    fn necessary_children_exprs(&self, output: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.left.schema().fields().len();
        let (left, right): (Vec<usize>, Vec<usize>) = output.iter().partition(|&&column| column < width);
        Some(vec![left, right.into_iter().map(|column| column - width).collect()])
    }
}

fn schema_of(left: &LogicalPlan, right: &LogicalPlan, outer: bool) -> Result<DFSchemaRef> {
    use datafusion::common::JoinType;
    let kind = if outer { JoinType::Left } else { JoinType::Inner };
    Ok(Arc::new(datafusion::logical_expr::build_join_schema(left.schema(), right.schema(), &kind)?))
}
