//! A table of the engine as DataFusion sees it: one snapshot per scan, pruned by key and time before a row is read.

mod convert;
mod predicate;
mod rows;
mod scan;
mod statistics;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType, utils::conjunction};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use zepto_common::PartitionId;
use zepto_common::schema::TableSchema;
use zepto_engine::store::TableSnapshot;
use zepto_engine::{Part, Store};

pub(crate) use convert::{to_query, to_storage};
pub(crate) use predicate::unqualified;
pub(crate) use rows::{scan_parts, scan_ranges};
pub(crate) use scan::{PartScan, Piece, Source, Work, batch_bytes};
pub(crate) use statistics::unknown as unknown_statistics;

use self::predicate::Wanted;
use crate::arrival::AsArrived;
use crate::cluster::{Attempt, PinnedReads, RemoteExec, Scan};
use crate::error::external;

/// One version of one table. What it reads is decided when it is scanned, so a cached plan never gives old rows.
#[derive(Debug)]
pub(crate) struct EngineTable {
    store: Arc<Store>,
    schema: Arc<TableSchema>,
    query_schema: SchemaRef,
    /// Whether other nodes have rows of it.
    elsewhere: bool,
}

impl EngineTable {
    /// This version of the table.
    pub(crate) fn new(store: Arc<Store>, schema: Arc<TableSchema>, elsewhere: bool) -> Self {
        let query_schema = schema.query_schema();
        Self { store, schema, query_schema, elsewhere }
    }

    /// The version.
    pub(crate) fn version(&self) -> &Arc<TableSchema> {
        &self.schema
    }
}

/// Tells scans, as an extension of a session, how many rows are worth a second thread.
#[derive(Debug)]
pub(crate) struct ParallelFrom(pub(crate) usize);

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
        let output: Vec<usize> = match projection {
            Some(columns) => columns.clone(),
            None => (0..self.query_schema.fields().len()).collect(),
        };
        // A filter was taken off the plan in one form and may have been rewritten since: passed over, it would let all rows in.
        if let Some(filter) = filters.iter().find(|f| !predicate::prunes(f, &self.schema, &self.query_schema))
        {
            return internal_err!("{filter} was taken as a filter of a table and cannot be kept");
        }
        let wanted = Wanted::new(filters, &self.schema, &self.query_schema);
        if self.elsewhere {
            let Some(here) = state.config().get_extension::<PinnedReads>() else {
                return self.scan_owners(state, output, &wanted, limit);
            };
            let snapshot = here.snapshot(self.schema.id).map_err(external)?;
            let rows = Rows { schema: &self.schema, query_schema: &self.query_schema, snapshot: &snapshot };
            let wanted = wanted.only(here.partitions());
            return Ok(Arc::new(rows.scan(state, output, filters, wanted, limit)?));
        }
        let snapshot = self.store.snapshot(self.schema.id).map_err(external)?;
        let rows = Rows { schema: &self.schema, query_schema: &self.query_schema, snapshot: &snapshot };
        Ok(Arc::new(rows.scan(state, output, filters, wanted, limit)?))
    }
}

impl EngineTable {
    /// The keys that can satisfy these filters, in the index's type; None if any can.
    pub(crate) fn wanted_keys(&self, filters: &[Expr]) -> Option<ArrayRef> {
        Wanted::new(filters, &self.schema, &self.query_schema).bounds().ok()?.0
    }

    /// Whether no row can satisfy these filters.
    pub(crate) fn wants_nothing(&self, filters: &[Expr]) -> bool {
        Wanted::new(filters, &self.schema, &self.query_schema).is_nothing()
    }

    /// Every partition's rows from its owner.
    fn scan_owners(
        &self,
        state: &dyn Session,
        columns: Vec<usize>,
        wanted: &Wanted,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(attempt) = state.config().get_extension::<Attempt>() else {
            return internal_err!("a table of a cluster is read outside of a statement");
        };
        let (keys, time) = wanted.bounds()?;
        let (table, version) = (self.schema.id, self.schema.version);
        let scan = Scan { table, version, columns, keys, time, limit };
        RemoteExec::of_scan(attempt, &self.schema, scan)
    }
}

/// The rows of these partitions (ascending) that the request wants.
///
/// # Errors
/// Keys that are not of the table's key type.
pub(crate) fn pinned_scan(
    state: &dyn Session,
    schema: &Arc<TableSchema>,
    snapshot: &TableSnapshot,
    scan: &Scan,
    partitions: Vec<PartitionId>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let query_schema = schema.query_schema();
    let wanted = Wanted::of(scan.keys.as_ref(), scan.time)?;
    let filters = wanted.filters(schema, &query_schema)?;
    let wanted = wanted.only(partitions);
    let rows = Rows { schema, query_schema: &query_schema, snapshot };
    Ok(Arc::new(rows.scan(state, scan.columns.clone(), &filters, wanted, scan.limit)?))
}

/// A table's rows at one moment, under one version of its schema.
struct Rows<'a> {
    schema: &'a Arc<TableSchema>,
    query_schema: &'a SchemaRef,
    snapshot: &'a TableSnapshot,
}

impl Rows<'_> {
    fn scan(
        &self,
        state: &dyn Session,
        output: Vec<usize>,
        filters: &[Expr],
        mut wanted: Wanted,
        limit: Option<usize>,
    ) -> Result<PartScan> {
        wanted.not_before(self.snapshot.cutoff);
        let mut work = Work::plan(self.snapshot, &wanted, limit);
        work.as_arrived = state.config().get_extension::<AsArrived>().is_some();
        let filter = self.row_filter(state, filters, &work)?;
        let source = Source { schema: self.schema.clone(), output, filter, limit };
        let config = state.config();
        let few = config.get_extension::<ParallelFrom>().is_some_and(|from| work.rows() < from.0);
        let threads = if few { 1 } else { config.target_partitions() };
        Ok(PartScan::new(source, work, threads))
    }

    /// The predicate for parts whose ranges may hold other rows too; None when there are none such.
    fn row_filter(
        &self,
        state: &dyn Session,
        filters: &[Expr],
        work: &Work,
    ) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        if work.is_exact() {
            return Ok(None);
        }
        let cutoff = self.snapshot.cutoff;
        let alive = cutoff.and_then(|cutoff| predicate::not_before(cutoff, self.schema, self.query_schema));
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
