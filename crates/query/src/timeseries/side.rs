//! What an operator reads: a scan, perhaps with columns left out or put in another order.

use std::sync::Arc;

use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use zepto_common::schema::TableSchema;

use crate::provider::PartScan;

/// The table's column that an expression over a scan is.
pub(super) fn column_of(expr: &Arc<dyn PhysicalExpr>, side: &Side<'_>) -> Option<usize> {
    side.columns.get(expr.downcast_ref::<Column>()?.index()).copied()
}

/// An input: a scan, perhaps with columns left out or put in another order.
pub(super) struct Side<'a> {
    pub(super) scan: &'a PartScan,
    /// The table's columns that it gives.
    pub(super) columns: Vec<usize>,
}

impl<'a> Side<'a> {
    /// The input, if it is of that kind.
    pub(super) fn of(plan: &'a Arc<dyn ExecutionPlan>) -> Option<Self> {
        if let Some(scan) = plan.downcast_ref::<PartScan>() {
            scan.source().limit.is_none().then_some(())?;
            return Some(Self { scan, columns: scan.source().output.clone() });
        }
        let projection = plan.downcast_ref::<ProjectionExec>()?;
        let below = Self::of(projection.input())?;
        let columns: Option<Vec<usize>> =
            projection.expr().iter().map(|of| column_of(&of.expr, &below)).collect();
        Some(Self { scan: below.scan, columns: columns? })
    }

    /// The table.
    pub(super) fn table(&self) -> &Arc<TableSchema> {
        &self.scan.source().schema
    }
}
