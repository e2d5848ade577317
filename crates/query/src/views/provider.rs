//! A materialized view as DataFusion sees it: stored states and the rows that they lack, finished on the way out.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::expressions::Column as ColumnExpr;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use zepto_common::error::{Error, ErrorCode};
use zepto_engine::Store;
use zepto_engine::store::ViewDefinition;

use super::Recipe;
use super::fold::as_states;
use super::in_order::InOrder;
use crate::error::external;
use crate::provider::scan_parts;

/// One materialized view. What it reads is decided when it is scanned.
#[derive(Debug)]
pub(crate) struct MaterializedView {
    store: Arc<Store>,
    view: Arc<ViewDefinition>,
    recipe: Arc<Recipe>,
}

impl MaterializedView {
    pub(crate) fn new(store: Arc<Store>, view: Arc<ViewDefinition>, recipe: Arc<Recipe>) -> Self {
        Self { store, view, recipe }
    }
}

#[async_trait]
impl TableProvider for MaterializedView {
    fn schema(&self) -> SchemaRef {
        self.recipe.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let snapshot = self.store.view_snapshot(&self.view).map_err(external)?;
        if let Some(why) = &snapshot.broken {
            let message = format!(
                "Materialized view {} stopped at a row: {why}. Drop it and create it again",
                self.view.name
            );
            return Err(external(Error::new(ErrorCode::IncorrectData, message)));
        }
        let Some(stored) = self.view.states.clone().map(Arc::new) else {
            return Err(external(Error::internal("a view without a schema of states")));
        };
        let threads = state.config().target_partitions();
        let rows = |columns: &[usize]| scan_parts(&snapshot.schema, columns, &snapshot.fresh, threads);
        let all: Vec<usize> = (0..stored.columns.len()).collect();
        let combine = |fresh: Arc<dyn ExecutionPlan>| -> Result<Arc<dyn ExecutionPlan>> {
            let states = scan_parts(&stored, &all, &snapshot.states, threads)?;
            Ok(Arc::new(InOrder::new(as_states(&self.recipe, states)?, fresh)))
        };
        let plan = self.recipe.query_plan(&rows, &combine)?;
        let Some(columns) = projection else { return Ok(plan) };
        let schema = plan.schema();
        let expressions: Vec<(Arc<dyn PhysicalExpr>, String)> = columns
            .iter()
            .map(|&i| {
                let name = schema.field(i).name();
                (Arc::new(ColumnExpr::new(name, i)) as Arc<dyn PhysicalExpr>, name.clone())
            })
            .collect();
        Ok(Arc::new(ProjectionExec::try_new(expressions, plan)?))
    }
}
