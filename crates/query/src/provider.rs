//! A table of the engine as DataFusion sees it: one snapshot per scan, pruned by key and time before a row is read.

mod convert;
mod predicate;
mod rows;
mod scan;
mod statistics;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType, utils::conjunction};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use zepto_common::schema::TableSchema;
use zepto_engine::{Part, Store};

pub(crate) use convert::{to_query, to_storage};
pub(crate) use predicate::unqualified;
pub(crate) use rows::{scan_parts, scan_ranges};
pub(crate) use scan::{PartScan, Piece, Work};
pub(crate) use statistics::unknown as unknown_statistics;

use self::predicate::Wanted;
use self::scan::Source;
use crate::error::external;

/// One version of one table. What it reads is decided when it is scanned, so a cached plan never gives old rows.
#[derive(Debug)]
pub(crate) struct EngineTable {
    store: Arc<Store>,
    schema: Arc<TableSchema>,
    query_schema: SchemaRef,
}

impl EngineTable {
    /// This version of the table.
    pub(crate) fn new(store: Arc<Store>, schema: Arc<TableSchema>) -> Self {
        let query_schema = schema.query_schema();
        Self { store, schema, query_schema }
    }

    /// The version.
    pub(crate) fn version(&self) -> &Arc<TableSchema> {
        &self.schema
    }
}

#[async_trait]
impl TableProvider for EngineTable {
    fn schema(&self) -> SchemaRef {
        self.query_schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// A filter on key or time is met exactly: by the index where rows are sorted, row by row elsewhere.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match predicate::prunes(filter, &self.schema, &self.query_schema) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let snapshot = self.store.snapshot(self.schema.id).map_err(external)?;
        let output: Vec<usize> = match projection {
            Some(columns) => columns.clone(),
            None => (0..self.query_schema.fields().len()).collect(),
        };
        let mut wanted = Wanted::new(filters, &self.schema, &self.query_schema);
        wanted.not_before(snapshot.cutoff);
        let work = Work::plan(&snapshot.parts, &wanted, limit);
        let filter = self.row_filter(state, filters, snapshot.cutoff, &work)?;
        let source = Source { schema: self.schema.clone(), output, filter, limit };
        Ok(Arc::new(PartScan::new(source, work, state.config().target_partitions())))
    }
}

impl EngineTable {
    /// The predicate for parts whose ranges may hold other rows too; None when there are none such.
    fn row_filter(
        &self,
        state: &dyn Session,
        filters: &[Expr],
        cutoff: Option<i64>,
        work: &Work,
    ) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        if work.is_exact() {
            return Ok(None);
        }
        let alive = cutoff.and_then(|cutoff| predicate::not_before(cutoff, &self.schema, &self.query_schema));
        // A filter has the table's name as qualifier here or none; the table's own schema has none.
        let filters = filters.iter().cloned().map(predicate::unqualified).chain(alive);
        let Some(all) = conjunction(filters) else { return Ok(None) };
        let schema = DFSchema::try_from(self.query_schema.as_ref().clone())?;
        state.create_physical_expr(all, &schema).map(Some)
    }
}

/// The part to read in a query: a segment that is in memory counts as its run, which pins it there meanwhile.
fn pinned(part: &Part) -> Part {
    match part {
        Part::Segment(segment) => match segment.hot() {
            Some(run) => Part::Run(run),
            None => part.clone(),
        },
        other => other.clone(),
    }
}
