//! The operator: units of partitions, each key's rows in time order, and every function over them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array, new_empty_array};
use arrow::compute::{cast, concat, take};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
    ReplaceChildrenOptions, SendableRecordBatchStream,
};
use futures::stream;
use zepto_common::PartitionId;
use zepto_engine::series::in_order;

use super::window::Window;
use crate::error::external;
use crate::provider::batch_bytes;
use crate::running::QueryHandle;
use crate::timeseries::keys::Keys;
use crate::timeseries::load::{Loaded, Loader, Read};
use crate::timeseries::side::Side;
use crate::timeseries::unit::{Unit, by_partition, spread};

/// Rows of a batch.
const BATCH_ROWS: usize = 16_384;

/// The plan node: a leaf.
#[derive(Debug, Clone)]
pub(super) struct MovingExec {
    schema: SchemaRef,
    /// The input's columns: where each is among the loaded ones; None for the key.
    columns: Arc<Vec<Option<usize>>>,
    windows: Arc<Vec<Window>>,
    loader: Loader,
    table: String,
    lists: Arc<Vec<Vec<(PartitionId, Unit)>>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl MovingExec {
    /// The input's columns, then those of the functions; None if a column cannot be loaded.
    pub(super) fn new(
        schema: SchemaRef,
        functions: Vec<Arc<dyn WindowExpr>>,
        side: &Side<'_>,
    ) -> Option<Self> {
        let (table, scan) = (side.table(), side.scan);
        let loader = Loader::new(scan.source(), &side.columns)?;
        let place = |column: &usize| match table.key_index() == Some(*column) {
            true => Some(None),
            false => loader.place(table, *column).map(Some),
        };
        let columns: Option<Vec<Option<usize>>> = side.columns.iter().map(place).collect();
        let first = side.columns.len();
        let windows = functions.into_iter().enumerate();
        let windows = windows.map(|(at, of)| Window::new(of, schema.field(first + at).data_type().clone()));
        let units: Vec<(PartitionId, Unit)> = by_partition(scan.work()).into_iter().collect();
        let lists = spread(units, scan.lists(), |(_, unit)| unit.rows);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(lists.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Some(Self {
            columns: Arc::new(columns?),
            windows: Arc::new(windows.collect()),
            table: table.name.to_string(),
            schema,
            loader,
            lists: Arc::new(lists),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

impl DisplayAs for MovingExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.windows.iter().map(Window::name).collect();
        let rows: usize = self.lists.iter().flatten().map(|(_, unit)| unit.rows).sum();
        write!(
            f,
            "MovingExec: table={}, functions=[{}], rows={rows}, partitions={}",
            self.table,
            names.join(", "),
            self.lists.len()
        )
    }
}

impl ExecutionPlan for MovingExec {
    fn name(&self) -> &'static str {
        "MovingExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(units) = self.lists.get(partition) else {
            return internal_err!("MovingExec has no partition {partition}");
        };
        let counter = |name| MetricBuilder::new(&self.metrics).counter(name, partition);
        let worker = Worker {
            node: self.clone(),
            units: units.clone().into_iter(),
            ready: Vec::new().into_iter(),
            baseline: BaselineMetrics::new(&self.metrics, partition),
            rows_scanned: counter("rows_scanned"),
            bytes_scanned: counter("bytes_scanned"),
            memory: MemoryConsumer::new("Moving").register(context.memory_pool()),
            query: context.session_config().get_extension::<QueryHandle>(),
        };
        let schema = Arc::clone(&self.schema);
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(schema, stream::iter(worker)))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Works through one partition's units.
struct Worker {
    node: MovingExec,
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

impl Worker {
    fn unit(&mut self, partition: PartitionId, unit: &Unit) -> Result<RecordBatch> {
        let mut read = Read::default();
        let loaded = self.node.loader.load(partition, unit, &mut read)?;
        self.rows_scanned.add(read.rows);
        self.bytes_scanned.add(read.bytes);
        if let Some(query) = &self.query {
            query.progress.read(read.rows as u64, read.bytes as u64);
            metrics::counter!(zepto_common::metric_names::ROWS_SCANNED).increment(read.rows as u64);
        }
        let copied: usize = loaded.iter().map(|source| source.copied).sum();
        self.memory.try_resize(copied)?;
        let (rows, keys) = self.node.in_order(&loaded)?;
        self.memory.try_resize(copied + batch_bytes(&rows))?;
        let all = self.node.over(rows, &keys)?;
        self.memory.try_resize(copied + batch_bytes(&all))?;
        Ok(all)
    }
}

impl MovingExec {
    /// The input's rows with each key's together in time order, and where they are.
    fn in_order(&self, loaded: &[Loaded]) -> Result<(RecordBatch, Vec<Range<usize>>)> {
        let keys = Keys::of(&loaded.iter().collect::<Vec<_>>())?;
        let mut offsets = Vec::with_capacity(loaded.len());
        let mut end = 0usize;
        for source in loaded {
            offsets.push(end as u32);
            end += source.ticks.len();
        }
        if end >= u32::MAX as usize {
            return internal_err!("{end} rows of one partition cannot be put in order at once");
        }
        let (mut order, mut ranges) = (Vec::with_capacity(end), Vec::new());
        let (mut times, mut rows) = (Vec::new(), Vec::new());
        let (mut places, mut of_rows) = (Vec::new(), Vec::new());
        let has_key = self.columns.contains(&None);
        for stretches in keys.iter() {
            let start = order.len();
            places.extend(stretches.first().map(|first| (first.source, first.slot)));
            let of_key: Vec<(&[i64], u32)> = stretches
                .iter()
                .map(|at| {
                    (&loaded[at.source].ticks[at.rows.clone()], offsets[at.source] + at.rows.start as u32)
                })
                .collect();
            in_order(&of_key, &mut times, &mut rows);
            order.extend_from_slice(&rows);
            if has_key {
                of_rows.resize(order.len(), ranges.len() as u32);
            }
            ranges.push(start..order.len());
        }
        let identity = order.len() == end && order.iter().enumerate().all(|(at, row)| at as u32 == *row);
        let order = UInt32Array::from(order);
        let fields = &self.schema.fields()[..self.columns.len()];
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(fields.len());
        for (place, field) in self.columns.iter().zip(fields) {
            if order.is_empty() {
                columns.push(new_empty_array(field.data_type()));
                continue;
            }
            let Some(place) = place else {
                let values = cast(&Keys::values(loaded, &places)?, field.data_type())?;
                columns.push(take(&values, &UInt32Array::from(of_rows.clone()), None)?);
                continue;
            };
            let pieces: Result<Vec<ArrayRef>> =
                loaded.iter().map(|source| Ok(cast(&source.columns[*place], field.data_type())?)).collect();
            let all = joined(&pieces?)?;
            columns.push(if identity { all } else { take(&all, &order, None)? });
        }
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let options = RecordBatchOptions::new().with_row_count(Some(order.len()));
        Ok((RecordBatch::try_new_with_options(schema, columns, &options)?, ranges))
    }

    /// The rows with the functions' values; a function sees the values of those before it.
    fn over(&self, rows: RecordBatch, keys: &[Range<usize>]) -> Result<RecordBatch> {
        let mut all = rows;
        for window in self.windows.iter() {
            let field = self.schema.field(all.num_columns());
            let values: Result<Vec<ArrayRef>> =
                keys.iter().map(|range| window.over(&all.slice(range.start, range.len()))).collect();
            let values = values?;
            let values =
                if values.is_empty() { new_empty_array(field.data_type()) } else { joined(&values)? };
            let mut columns = all.columns().to_vec();
            columns.push(if values.data_type() == field.data_type() {
                values
            } else {
                cast(&values, field.data_type())?
            });
            let schema = Arc::new(Schema::new(self.schema.fields()[..columns.len()].to_vec()));
            let options = RecordBatchOptions::new().with_row_count(Some(all.num_rows()));
            all = RecordBatch::try_new_with_options(schema, columns, &options)?;
        }
        Ok(all.with_schema(Arc::clone(&self.schema))?)
    }
}

/// One array of all pieces, of which there is at least one.
fn joined(pieces: &[ArrayRef]) -> Result<ArrayRef> {
    match pieces {
        [one] => Ok(Arc::clone(one)),
        many => Ok(concat(&many.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())?),
    }
}
