//! The physical node: holds the sorted rows, gives them with those that were missing.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{cast, concat_batches, partition, take};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, Partitioning, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, PhysicalExpr, PlanProperties,
    ReplaceChildrenOptions, SendableRecordBatchStream,
};
use futures::TryStreamExt;

use super::interpolation::{Interpolation, Places};
use super::invalid;
use super::values::Bounds;

/// Fills the missing rows of its sorted input.
#[derive(Debug)]
pub(crate) struct FillExec {
    input: Arc<dyn ExecutionPlan>,
    order: Vec<PhysicalSortExpr>,
    fill: Arc<Filling>,
    properties: Arc<PlanProperties>,
}

/// What is filled and how.
#[derive(Debug)]
struct Filling {
    /// Columns that divide the rows.
    prefix: Vec<usize>,
    /// The filled column.
    column: usize,
    bounds: Bounds,
    /// Columns whose cells of made rows are no zero values.
    interpolated: Vec<(usize, Interpolation)>,
}

impl FillExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        order: Vec<PhysicalSortExpr>,
        prefix: Vec<usize>,
        column: usize,
        bounds: Bounds,
        interpolated: Vec<(usize, Interpolation)>,
    ) -> Self {
        Self::over(input, order, Arc::new(Filling { prefix, column, bounds, interpolated }))
    }

    fn over(input: Arc<dyn ExecutionPlan>, order: Vec<PhysicalSortExpr>, fill: Arc<Filling>) -> Self {
        let mut equivalence = EquivalenceProperties::new(input.schema());
        equivalence.add_ordering(order.clone());
        let properties = PlanProperties::new(
            equivalence,
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { input, order, fill, properties: Arc::new(properties) }
    }
}

impl DisplayAs for FillExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FillExec: column={}", self.fill.column)
    }
}

impl ExecutionPlan for FillExec {
    fn name(&self) -> &'static str {
        "FillExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![LexOrdering::new(self.order.clone()).map(OrderingRequirements::from)]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for by in &self.order {
            if f(&by.expr)? == TreeNodeRecursion::Stop {
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
        let Some(input) = children.pop() else { return internal_err!("WITH FILL has one input") };
        Ok(Arc::new(Self::over(input, self.order.clone(), self.fill.clone())))
    }

    crate::plan_inputs::renewed_with_children!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.input.schema();
        let memory = MemoryConsumer::new("WITH FILL").register(context.memory_pool());
        let mut input = self.input.execute(partition, context)?;
        let (fill, kept) = (self.fill.clone(), schema.clone());
        let filled = async move {
            let mut batches = Vec::new();
            while let Some(batch) = input.try_next().await? {
                memory.try_grow(batch.get_array_memory_size())?;
                batches.push(batch);
            }
            let rows = concat_batches(&kept, &batches)?;
            fill.fill(&rows)
        };
        let batches = futures::stream::once(filled);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

fn ticks(column: &ArrayRef) -> Result<Int64Array> {
    let whole = match column.data_type() {
        DataType::Date32 => cast(column, &DataType::Int32)?,
        ty if ty.is_integer() || matches!(ty, DataType::Timestamp(..)) => Arc::clone(column),
        other => return Err(invalid(format!("WITH FILL takes whole numbers and times, not {other}"))),
    };
    Ok(cast(&whole, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn from_ticks(values: Int64Array, ty: &DataType) -> Result<ArrayRef> {
    let values: ArrayRef = Arc::new(values);
    Ok(match ty {
        DataType::Date32 => cast(&cast(&values, &DataType::Int32)?, ty)?,
        ty => cast(&values, ty)?,
    })
}

impl Filling {
    fn fill(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let values = ticks(rows.column(self.column))?;
        let parts = match self.prefix.is_empty() {
            true => std::iter::once(0..rows.num_rows()).collect(),
            false => {
                let keys: Vec<ArrayRef> = self.prefix.iter().map(|at| rows.column(*at).clone()).collect();
                if rows.num_rows() == 0 { vec![] } else { partition(&keys)?.ranges() }
            }
        };
        // Places in the input; one behind the last is the row of zero values.
        let absent = rows.num_rows();
        let (mut there, mut before, mut first) = (Vec::new(), Vec::new(), Vec::new());
        let (mut made, mut valid) = (Vec::new(), Vec::new());
        let mut total = 0;
        for part in parts {
            let column: Vec<Option<i64>> =
                part.clone().map(|at| values.is_valid(at).then(|| values.value(at))).collect();
            let mut last = absent;
            for (place, value) in self.bounds.filled(&column, &mut total)? {
                let at = place.map_or(absent, |place| part.start + place);
                if place.is_some() {
                    last = at;
                }
                there.push(at as u32);
                before.push(last as u32);
                first.push(part.start as u32);
                valid.push(place.is_none_or(|place| column[place].is_some()));
                made.push(value);
            }
        }
        let count = there.len();
        let places = Places {
            there: UInt32Array::from(there),
            before: UInt32Array::from(before),
            part: UInt32Array::from(first),
            ticks: made,
            absent: absent as u32,
        };
        let columns: Result<Vec<ArrayRef>> = rows
            .columns()
            .iter()
            .enumerate()
            .map(|(at, column)| {
                if at == self.column {
                    let made = places.ticks.iter().zip(&valid).map(|(value, valid)| valid.then_some(*value));
                    return from_ticks(made.collect(), column.data_type());
                }
                if self.prefix.contains(&at) {
                    return Ok(take(column, &places.part, None)?);
                }
                let how = self.interpolated.iter().find(|(of, _)| *of == at).map(|(_, how)| how);
                places.column(column, how, rows.schema_ref().field(at).is_nullable())
            })
            .collect();
        let schema: SchemaRef = rows.schema();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(schema, columns?, &options)?)
    }
}
