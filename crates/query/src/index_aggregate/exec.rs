//! The operator: one partial state row per index slot.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{cast, concat_batches, take};
use arrow::datatypes::SchemaRef;
use datafusion::common::{Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
};
use futures::stream;

use super::Slots;
use super::measure::Measure;
use crate::plan_inputs::{without_children, without_expressions};
use crate::provider::PartScan;

/// The plan node: a leaf.
#[derive(Debug, Clone)]
pub(super) struct IndexAggregateExec {
    schema: SchemaRef,
    grouped: bool,
    measures: Vec<Measure>,
    slots: Arc<Vec<Slots>>,
    /// Rows without an index, of which nothing but their number is wanted.
    counted: usize,
    table: String,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl IndexAggregateExec {
    /// Gives states of this schema, with the slot's key first if grouped.
    pub(super) fn new(
        schema: SchemaRef,
        grouped: bool,
        measures: Vec<Measure>,
        slots: Vec<Slots>,
        scan: &PartScan,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let table = scan.source().schema.name.to_string();
        Self {
            schema,
            grouped,
            measures,
            slots: Arc::new(slots),
            counted: 0,
            table,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// With so many rows more, where every measure is their number.
    pub(super) fn with_counted(self, counted: usize) -> Self {
        Self { counted, ..self }
    }

    /// The state of the rows without an index.
    fn counted_state(&self) -> Result<RecordBatch> {
        let number: ArrayRef = Arc::new(Int64Array::from(vec![self.counted as i64]));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), vec![number; self.measures.len()])?)
    }

    /// The states of the slots of one part.
    fn states(&self, of: &Slots) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        if self.grouped {
            let Some(keys) = &of.index.keys else { return internal_err!("a run index has no keys") };
            columns.push(take(keys, &UInt32Array::from(of.slots.clone()), None)?);
        }
        for measure in &self.measures {
            columns.extend(measure.states(of)?);
        }
        // Text keys become views, the zone of a time column is for display.
        for (column, field) in columns.iter_mut().zip(self.schema.fields()) {
            if column.data_type() != field.data_type() {
                *column = cast(column, field.data_type())?;
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(of.slots.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    fn count(&self) -> usize {
        self.slots.iter().map(|of| of.slots.len()).sum()
    }
}

impl DisplayAs for IndexAggregateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "IndexAggregateExec: table={}, parts={}, slots={}",
            self.table,
            self.slots.len(),
            self.count()
        )?;
        match self.counted {
            0 => Ok(()),
            rows => write!(f, ", rows={rows}"),
        }
    }
}

impl ExecutionPlan for IndexAggregateExec {
    fn name(&self) -> &'static str {
        "IndexAggregateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    without_children!();
    without_expressions!();

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("IndexAggregateExec has no partition {partition}");
        }
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let counter = |name| MetricBuilder::new(&self.metrics).counter(name, partition);
        let (slots, rows, scanned) = (counter("slots"), counter("rows_known"), counter("rows_scanned"));
        let (node, schema) = (self.clone(), Arc::clone(&self.schema));
        let batch = async move {
            let _timer = baseline.elapsed_compute().timer();
            let batches: Result<Vec<RecordBatch>> = node.slots.iter().map(|of| node.states(of)).collect();
            let mut batches = batches?;
            if node.counted > 0 {
                batches.push(node.counted_state()?);
            }
            let batch = concat_batches(&node.schema, &batches)?;
            slots.add(node.count());
            scanned.add(0);
            let of_rows = |of: &Slots| {
                of.slots.iter().map(|&slot| of.index.slot_rows(slot as usize).len()).sum::<usize>()
            };
            rows.add(node.slots.iter().map(of_rows).sum::<usize>() + node.counted);
            baseline.record_output(batch.num_rows());
            Ok(batch)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::once(batch))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
