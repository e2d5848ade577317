//! The operator: partitions of both tables, joined one after the other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::{Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use futures::stream;
use zepto_common::PartitionId;
use zepto_common::limits::SORTED_COPY_ROWS_MAX;
use zepto_engine::series::NO_ROW;

use super::join::{Both, Join, Joined};
use crate::error::external;
use crate::plan_inputs::{without_children, without_expressions};
use crate::provider::PartScan;
use crate::running::QueryHandle;
use crate::timeseries::load::Read;
use crate::timeseries::unit::{by_partition, spread};

/// The plan node: a leaf.
#[derive(Debug, Clone)]
pub(super) struct AsOfMergeExec {
    join: Arc<Join>,
    lists: Arc<Vec<Vec<(PartitionId, Both)>>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl AsOfMergeExec {
    /// Over what both scans would read; None when a partition has too much to be held at once.
    pub(super) fn new(join: Join, left: &PartScan, right: &PartScan) -> Option<Self> {
        let mut units: BTreeMap<PartitionId, Both> = BTreeMap::new();
        for (partition, left) in by_partition(left.work()) {
            units.insert(partition, Both { left, ..Both::default() });
        }
        for (partition, right) in by_partition(right.work()) {
            // Where there is no left row, nothing is asked.
            if let Some(both) = units.get_mut(&partition) {
                both.right = right;
            }
        }
        let fits = |both: &Both| {
            both.left.copied_rows() + both.right.copied_rows() <= SORTED_COPY_ROWS_MAX
                && both.right.held_rows() < NO_ROW as usize
        };
        if !units.values().all(fits) {
            return None;
        }
        let most = left.lists().max(right.lists());
        let lists = spread(units.into_iter().collect(), most, |(_, both)| both.left.rows + both.right.rows);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&join.schema)),
            Partitioning::UnknownPartitioning(lists.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Some(Self {
            join: Arc::new(join),
            lists: Arc::new(lists),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

impl DisplayAs for AsOfMergeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows =
            |of: fn(&Both) -> usize| self.lists.iter().flatten().map(|(_, both)| of(both)).sum::<usize>();
        write!(
            f,
            "AsOfMergeExec: {}, left={}, right={}, left_rows={}, right_rows={}, partitions={}",
            self.join.how,
            self.join.tables[0],
            self.join.tables[1],
            rows(|both| both.left.rows),
            rows(|both| both.right.rows),
            self.lists.len()
        )
    }
}

impl ExecutionPlan for AsOfMergeExec {
    fn name(&self) -> &'static str {
        "AsOfMergeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    without_children!();
    without_expressions!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(units) = self.lists.get(partition) else {
            return internal_err!("AsOfMergeExec has no partition {partition}");
        };
        let counter = |name| MetricBuilder::new(&self.metrics).counter(name, partition);
        let worker = Worker {
            join: Arc::clone(&self.join),
            units: units.clone().into_iter(),
            joined: None,
            baseline: BaselineMetrics::new(&self.metrics, partition),
            rows_scanned: counter("rows_scanned"),
            bytes_scanned: counter("bytes_scanned"),
            memory: MemoryConsumer::new("AsOfMerge").register(context.memory_pool()),
            query: context.session_config().get_extension::<QueryHandle>(),
        };
        let schema = Arc::clone(&self.join.schema);
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(schema, stream::iter(worker)))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Works through one partition's units.
struct Worker {
    join: Arc<Join>,
    units: std::vec::IntoIter<(PartitionId, Both)>,
    /// The partition whose rows are being given.
    joined: Option<Joined>,
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
            if let Some(stopped) = self.query.as_ref().and_then(|query| query.stopped()) {
                return Some(Err(external(stopped)));
            }
            if let Some(joined) = &mut self.joined {
                match self.join.next(joined) {
                    Some(Ok(batch)) => {
                        self.baseline.record_output(batch.num_rows());
                        return Some(Ok(batch));
                    }
                    Some(Err(error)) => return Some(Err(error)),
                    None => self.joined = None,
                }
            }
            if self.query.as_ref().is_some_and(|query| query.has_read_enough()) {
                return None;
            }
            let (partition, both) = self.units.next()?;
            match self.unit(partition, &both) {
                Ok(joined) => self.joined = Some(joined),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Worker {
    fn unit(&mut self, partition: PartitionId, both: &Both) -> Result<Joined> {
        let mut read = Read::default();
        self.memory.try_resize(self.join.copied_bytes(both))?;
        let joined = self.join.partition(partition, both, &mut read)?;
        self.rows_scanned.add(read.rows);
        self.bytes_scanned.add(read.bytes);
        if let Some(query) = &self.query {
            query.progress.read(read.rows as u64, read.bytes as u64);
            metrics::counter!(zepto_common::metric_names::ROWS_SCANNED).increment(read.rows as u64);
        }
        self.memory.try_resize(joined.bytes)?;
        Ok(joined)
    }
}
