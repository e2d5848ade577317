//! The operator: units of partitions, folded key by key and bucket by bucket.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::utils::reassign_expr_columns;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
    SendableRecordBatchStream,
};
use futures::stream;
use zepto_common::PartitionId;
use zepto_common::limits::SORTED_COPY_ROWS_MAX;
use zepto_common::schema::TableSchema;
use zepto_engine::series;

use super::group::{Group, Grouping};
use super::measure::Measure;
use crate::error::external;
use crate::plan_inputs::without_children;
use crate::provider::PartScan;
use crate::running::QueryHandle;
use crate::timeseries::keys::{Keys, Stretch};
use crate::timeseries::load::{Loaded, Loader, Read};
use crate::timeseries::unit::{Unit, by_partition, spread};

/// Rows of a batch.
const BATCH_ROWS: usize = 16_384;

/// What the operator gives.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// The columns.
    pub(super) schema: SchemaRef,
    /// The groups.
    pub(super) grouping: Grouping,
    /// Results (`true`) or partial states.
    pub(super) complete: bool,
}

/// The plan node: a leaf.
#[derive(Debug, Clone)]
pub(super) struct BucketAggregateExec {
    shape: Arc<Shape>,
    measures: Arc<Vec<Measure>>,
    loader: Loader,
    table: Arc<TableSchema>,
    lists: Arc<Vec<Vec<(PartitionId, Unit)>>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl BucketAggregateExec {
    /// Over what the scan would read, in as many partitions; None if a column cannot be loaded, or a partition has
    /// too much to be held at once.
    pub(super) fn new(shape: Shape, measures: Vec<Measure>, scan: &PartScan) -> Option<Self> {
        let table = Arc::clone(&scan.source().schema);
        let columns: Vec<usize> = measures.iter().flat_map(Measure::columns).collect();
        let loader = Loader::new(scan.source(), &columns)?;
        let place = |column| loader.place(&table, column);
        let measures: Option<Vec<Measure>> =
            measures.into_iter().map(|measure| measure.placed(place)).collect();
        let units: Vec<(PartitionId, Unit)> = by_partition(scan.work()).into_iter().collect();
        if units.iter().any(|(_, unit)| unit.copied_rows() > SORTED_COPY_ROWS_MAX) {
            return None;
        }
        let lists = spread(units, scan.lists(), |(_, unit)| unit.rows);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&shape.schema)),
            Partitioning::UnknownPartitioning(lists.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Some(Self {
            shape: Arc::new(shape),
            measures: Arc::new(measures?),
            loader,
            table,
            lists: Arc::new(lists),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    fn rows(&self) -> usize {
        self.lists.iter().flatten().map(|(_, unit)| unit.rows).sum()
    }
}

impl DisplayAs for BucketAggregateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grouping = &self.shape.grouping;
        let groups: Vec<String> = grouping
            .groups
            .iter()
            .map(|group| match group {
                Group::Key => "key".to_owned(),
                Group::Bucket(expr) => expr.to_string(),
            })
            .collect();
        write!(
            f,
            "BucketAggregateExec: table={}, gby=[{}], gives={}, measures={}, rows={}, partitions={}",
            self.table.name,
            groups.join(", "),
            if self.shape.complete { "results" } else { "states" },
            self.measures.len(),
            self.rows(),
            self.lists.len()
        )
    }
}

impl ExecutionPlan for BucketAggregateExec {
    fn name(&self) -> &'static str {
        "BucketAggregateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for group in &self.shape.grouping.groups {
            if let Group::Bucket(expr) = group
                && f(expr)? == TreeNodeRecursion::Stop
            {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    without_children!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(units) = self.lists.get(partition) else {
            return internal_err!("BucketAggregateExec has no partition {partition}");
        };
        let counter = |name| MetricBuilder::new(&self.metrics).counter(name, partition);
        let worker = Worker {
            node: self.clone(),
            units: units.clone().into_iter(),
            ready: Vec::new().into_iter(),
            baseline: BaselineMetrics::new(&self.metrics, partition),
            rows_scanned: counter("rows_scanned"),
            bytes_scanned: counter("bytes_scanned"),
            memory: MemoryConsumer::new("BucketAggregate").register(context.memory_pool()),
            query: context.session_config().get_extension::<QueryHandle>(),
        };
        let schema = Arc::clone(&self.shape.schema);
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(schema, stream::iter(worker)))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Works through one partition's units.
struct Worker {
    node: BucketAggregateExec,
    units: std::vec::IntoIter<(PartitionId, Unit)>,
    ready: std::vec::IntoIter<RecordBatch>,
    baseline: BaselineMetrics,
    rows_scanned: Count,
    bytes_scanned: Count,
    memory: MemoryReservation,
    query: Option<Arc<QueryHandle>>,
}

impl Iterator for Worker {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let timer = self.baseline.elapsed_compute().clone();
        let _timer = timer.timer();
        loop {
            if let Some(batch) = self.ready.next() {
                self.baseline.record_output(batch.num_rows());
                return Some(Ok(batch));
            }
            if let Some(stopped) = self.query.as_ref().and_then(|query| query.stopped()) {
                return Some(Err(external(stopped)));
            }
            if self.query.as_ref().is_some_and(|query| query.has_read_enough()) {
                return None;
            }
            let (partition, unit) = self.units.next()?;
            match self.unit(partition, &unit) {
                Ok(all) => {
                    let starts = (0..all.num_rows()).step_by(BATCH_ROWS);
                    let cut = |start| all.slice(start, BATCH_ROWS.min(all.num_rows() - start));
                    self.ready = starts.map(cut).collect::<Vec<_>>().into_iter();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Groups of a unit.
#[derive(Default)]
struct Groups {
    /// A time of each.
    ticks: Vec<i64>,
    /// The number of each one's key.
    keys: Vec<u32>,
    /// Where the keys are: source and slot.
    places: Vec<(usize, usize)>,
}

impl Worker {
    fn unit(&mut self, partition: PartitionId, unit: &Unit) -> Result<RecordBatch> {
        let mut read = Read::default();
        self.memory.try_resize(self.node.loader.copied_bytes(unit))?;
        let loaded = self.node.loader.load(partition, unit, &mut read)?;
        self.tell(read);
        self.memory.try_resize(loaded.iter().map(|source| source.copied).sum())?;
        let sources: Result<Vec<series::Source>> = loaded.iter().map(numbers_of).collect();
        let (sources, keys) = (sources?, Keys::of(&loaded.iter().collect::<Vec<_>>())?);
        let mut folds: Vec<series::Fold> = self
            .node
            .measures
            .iter()
            .map(|measure| series::Fold::new(measure.folding.clone(), measure.floats))
            .collect();
        let (mut groups, mut cuts) = (Groups::default(), Vec::new());
        let grouping = &self.node.shape.grouping;
        let mut key = |stretches: &[Stretch]| {
            let Some(first) = stretches.first() else { return };
            let rows: Vec<_> = stretches.iter().map(|at| (at.source, at.rows.clone())).collect();
            let ticks = &mut groups.ticks;
            let made = series::fold_key(&sources, &rows, grouping.width, &mut cuts, &mut folds, ticks);
            groups.keys.extend(std::iter::repeat_n(groups.places.len() as u32, made));
            groups.places.push((first.source, first.slot));
        };
        if grouping.by_key {
            keys.iter().for_each(&mut key);
        } else {
            key(keys.all());
        }
        self.node.give(&loaded, &groups, &folds)
    }

    fn tell(&self, read: Read) {
        self.rows_scanned.add(read.rows);
        self.bytes_scanned.add(read.bytes);
        if let Some(query) = &self.query {
            query.progress.read(read.rows as u64, read.bytes as u64);
            metrics::counter!(zepto_common::metric_names::ROWS_SCANNED).increment(read.rows as u64);
        }
    }
}

fn numbers_of(loaded: &Loaded) -> Result<series::Source> {
    let columns: zepto_common::Result<Vec<series::Numbers>> =
        loaded.columns.iter().map(series::Numbers::of).collect();
    Ok(series::Source { ticks: loaded.ticks.clone(), columns: columns.map_err(external)? })
}

impl BucketAggregateExec {
    /// The groups of a unit as a batch.
    fn give(&self, loaded: &[Loaded], groups: &Groups, folds: &[series::Fold]) -> Result<RecordBatch> {
        if groups.ticks.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.shape.schema)));
        }
        let fields = self.shape.schema.fields();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(fields.len());
        for (group, field) in self.shape.grouping.groups.iter().zip(fields) {
            let column = match group {
                Group::Key => {
                    let keys = cast(&Keys::values(loaded, &groups.places)?, field.data_type())?;
                    take(&keys, &UInt32Array::from(groups.keys.clone()), None)?
                }
                Group::Bucket(expr) => self.buckets(expr, &groups.ticks)?,
            };
            columns.push(super::finish::in_type(column, field)?);
        }
        for (measure, fold) in self.measures.iter().zip(folds) {
            if self.shape.complete {
                columns.push(measure.results(fold.folded(), &fields[columns.len()])?);
                continue;
            }
            for state in measure.states(fold.folded())? {
                let field = &fields[columns.len()];
                columns.push(super::finish::in_type(state, field)?);
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(groups.ticks.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.shape.schema), columns, &options)?)
    }

    /// The buckets of these times, as the statement's own expression gives them.
    fn buckets(&self, expr: &Arc<dyn PhysicalExpr>, ticks: &[i64]) -> Result<ArrayRef> {
        let Some(time) = self.table.time_index() else { return internal_err!("a bucket has a time") };
        let schema = self.table.query_schema();
        let field = schema.field(time).clone();
        let times = cast(&Int64Array::from(ticks.to_vec()), field.data_type())?;
        let schema = Arc::new(Schema::new(vec![field]));
        let expr = reassign_expr_columns(Arc::clone(expr), &schema)?;
        let batch = RecordBatch::try_new(schema, vec![times])?;
        expr.evaluate(&batch)?.into_array(batch.num_rows())
    }
}
