//! The place in a view's plan where rows go in.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, Result, Statistics, internal_err};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
    StatisticsArgs,
};
use zepto_common::schema::TableSchema;

use crate::plan_inputs::{without_children, without_expressions};
use crate::provider;

/// A catalog in which every name means the view's source: the query named it when the view was made.
#[derive(Debug, Clone)]
pub(crate) struct OnlySource(pub(crate) Arc<TableSchema>);

impl CatalogProviderList for OnlySource {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![crate::session::CATALOG.to_owned()]
    }

    fn catalog(&self, _: &str) -> Option<Arc<dyn CatalogProvider>> {
        Some(Arc::new(self.clone()))
    }
}

impl CatalogProvider for OnlySource {
    fn schema_names(&self) -> Vec<String> {
        vec![self.0.name.database.clone()]
    }

    fn schema(&self, _: &str) -> Option<Arc<dyn SchemaProvider>> {
        Some(Arc::new(self.clone()))
    }
}

#[async_trait]
impl SchemaProvider for OnlySource {
    fn table_names(&self) -> Vec<String> {
        vec![self.0.name.table.clone()]
    }

    async fn table(&self, _: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        Ok(Some(Arc::new(self.clone())))
    }

    fn table_exist(&self, _: &str) -> bool {
        true
    }
}

#[async_trait]
impl TableProvider for OnlySource {
    fn schema(&self) -> SchemaRef {
        self.0.query_schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.0.columns.len()).collect();
        Ok(Arc::new(Leaf::new(&self.0.query_schema(), projection.cloned().unwrap_or_else(all))?))
    }
}

/// Stands for the rows until it is known which.
#[derive(Debug)]
pub(super) struct Leaf {
    /// Indexes in the source's schema.
    pub(super) columns: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl Leaf {
    fn new(source: &SchemaRef, columns: Vec<usize>) -> Result<Self> {
        let schema: SchemaRef = Arc::new(Schema::clone(source).project(&columns)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self { columns, properties: Arc::new(properties) })
    }
}

impl DisplayAs for Leaf {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaf: columns={:?}", self.columns)
    }
}

impl ExecutionPlan for Leaf {
    fn name(&self) -> &'static str {
        "Leaf"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    without_children!();
    without_expressions!();

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        internal_err!("a view's plan was run without rows")
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(Arc::new(provider::unknown_statistics(&self.schema())))
    }
}

/// Makes the plan that reads the given columns of some rows.
pub(super) type Rows<'a> = &'a dyn Fn(&[usize]) -> Result<Arc<dyn ExecutionPlan>>;

/// The plan with `make(columns)` where the rows go in.
///
/// # Errors
/// What `make` says.
pub(super) fn fill(plan: &Arc<dyn ExecutionPlan>, make: Rows<'_>) -> Result<Arc<dyn ExecutionPlan>> {
    let filled = plan.clone().transform_up(|node| match node.downcast_ref::<Leaf>() {
        Some(leaf) => Ok(Transformed::yes(make(&leaf.columns)?)),
        None => Ok(Transformed::no(node)),
    })?;
    Ok(filled.data)
}
