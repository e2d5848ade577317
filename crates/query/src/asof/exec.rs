//! The physical node.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, is_not_null, take};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::{Distribution, EquivalenceProperties};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PhysicalExpr, PlanProperties, ReplaceChildrenOptions, SendableRecordBatchStream,
};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::How;
use super::lookup::Lookup;
use crate::functions::{Meter, copied_rows};

/// Pairs (left, right).
pub(crate) type Pairs = Vec<(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)>;

/// The right side, collected once for all partitions of the left.
#[derive(Debug)]
struct Right {
    rows: RecordBatch,
    lookup: Lookup,
    _memory: MemoryReservation,
}

/// Streams the left side past the right one.
#[derive(Debug)]
pub(crate) struct AsOfJoinExec {
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
    keys: Pairs,
    time: (Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>),
    how: How,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    collected: Arc<OnceCell<Arc<Right>>>,
}

impl AsOfJoinExec {
    pub(super) fn new(
        left: Arc<dyn ExecutionPlan>,
        right: Arc<dyn ExecutionPlan>,
        keys: Pairs,
        time: (Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>),
        how: How,
        schema: SchemaRef,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            left.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            left,
            right,
            keys,
            time,
            how,
            schema,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            collected: Arc::new(OnceCell::new()),
        }
    }
}

impl AsOfJoinExec {
    /// The left input.
    pub(crate) fn left(&self) -> &Arc<dyn ExecutionPlan> {
        &self.left
    }

    /// The right input.
    pub(crate) fn right(&self) -> &Arc<dyn ExecutionPlan> {
        &self.right
    }

    /// What must be equal: left and right.
    pub(crate) fn keys(&self) -> &Pairs {
        &self.keys
    }

    /// Left and right time.
    pub(crate) fn time(&self) -> (&Arc<dyn PhysicalExpr>, &Arc<dyn PhysicalExpr>) {
        (&self.time.0, &self.time.1)
    }

    /// How rows are joined.
    pub(crate) fn how(&self) -> How {
        self.how
    }
}

impl DisplayAs for AsOfJoinExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsOfJoinExec: {}, on=[", self.how)?;
        for (i, (a, b)) in self.keys.iter().enumerate() {
            write!(f, "{}{a} = {b}", if i > 0 { ", " } else { "" })?;
        }
        write!(f, "], match={:?}({}, {})", self.how.kind, self.time.0, self.time.1)
    }
}

impl ExecutionPlan for AsOfJoinExec {
    fn name(&self) -> &'static str {
        "AsOfJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.left, &self.right]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![
            Distribution::UnspecifiedDistribution,
            Distribution::SinglePartition,
        ])
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let keys = self.keys.iter().flat_map(|(a, b)| [a, b]);
        for expr in keys.chain([&self.time.0, &self.time.1]) {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(right), Some(left)) = (children.pop(), children.pop()) else {
            return internal_err!("an ASOF join has two inputs");
        };
        Ok(Arc::new(Self::new(
            left,
            right,
            self.keys.clone(),
            self.time.clone(),
            self.how,
            self.schema.clone(),
        )))
    }

    crate::plan_inputs::renewed_with_children!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let left = self.left.execute(partition, context.clone())?;
        // Only the first partition to get here pulls the right side; the others wait for it.
        let right = (self.right.clone(), context);
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let join = Arc::new(Probe {
            keys: self.keys.clone(),
            time: self.time.clone(),
            how: self.how,
            schema: self.schema.clone(),
            collected: self.collected.clone(),
        });
        let schema = self.schema.clone();
        let batches = left.and_then(move |batch| {
            let (join, right, baseline) = (join.clone(), right.clone(), baseline.clone());
            async move {
                let right = join.right(right.0, right.1).await?;
                let _timer = baseline.elapsed_compute().timer();
                let joined = join.join(&batch, &right)?;
                baseline.record_output(joined.num_rows());
                Ok(joined)
            }
        });
        let batches = batches.try_filter(|batch| std::future::ready(batch.num_rows() > 0));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches.boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct Probe {
    keys: Pairs,
    time: (Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>),
    how: How,
    schema: SchemaRef,
    collected: Arc<OnceCell<Arc<Right>>>,
}

fn evaluate(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    expr.evaluate(batch)?.into_array(batch.num_rows())
}

impl Probe {
    /// The right side, collected by whoever comes first.
    async fn right(&self, plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<Arc<Right>> {
        let right = self.collected.get_or_try_init(|| async {
            let memory = MemoryConsumer::new("AsOfJoin right side").register(context.memory_pool());
            let schema = plan.schema();
            let mut stream = plan.execute(0, context.clone())?;
            let mut batches = Vec::new();
            while let Some(batch) = stream.next().await {
                let batch = batch?;
                memory.try_grow(batch.get_array_memory_size())?;
                batches.push(batch);
            }
            let rows = concat_batches(&schema, &batches)?;
            drop(batches);
            let keys: Result<Vec<ArrayRef>> = self.keys.iter().map(|(_, b)| evaluate(b, &rows)).collect();
            let lookup = Lookup::new(&keys?, &evaluate(&self.time.1, &rows)?, self.how)?;
            memory.try_resize(rows.get_array_memory_size() + lookup.memory())?;
            Ok::<_, datafusion::common::DataFusionError>(Arc::new(Right { rows, lookup, _memory: memory }))
        });
        right.await.cloned()
    }

    fn join(&self, left: &RecordBatch, right: &Right) -> Result<RecordBatch> {
        let keys: Result<Vec<ArrayRef>> = self.keys.iter().map(|(a, _)| evaluate(a, left)).collect();
        let found: UInt32Array = right.lookup.find(&keys?, &evaluate(&self.time.0, left)?)?;
        let (left, found) = match self.how.outer {
            true => (left.clone(), found),
            false => {
                let matched = is_not_null(&found)?;
                let found = arrow::compute::filter(&found, &matched)?;
                let found =
                    arrow::array::AsArray::as_primitive::<arrow::datatypes::UInt32Type>(&found).clone();
                (filter_record_batch(left, &matched)?, found)
            }
        };
        let mut columns: Vec<ArrayRef> = left.columns().to_vec();
        let mut meter = Meter::of_rows();
        for column in right.rows.columns() {
            meter.take(copied_rows(column, &found))?;
            columns.push(take(column, &found, None)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(left.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}
