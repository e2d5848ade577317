//! The operator: one pass over the rows, one row kept per key.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, interleave_record_batch, take_record_batch};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PhysicalExpr, PlanProperties, ReplaceChildrenOptions,
};
use foldhash::fast::RandomState;
use futures::{StreamExt, TryStreamExt, stream};
use hashbrown::HashTable;

/// Rows of a batch that is given.
const BATCH_ROWS: usize = 8_192;
/// Kept rows that nobody needs any more, beyond as many as are needed: then they are let go of.
const GARBAGE_ROWS: usize = 64 << 10;

/// Which row of which rows is the latest.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) keys: Vec<Arc<dyn PhysicalExpr>>,
    pub(super) time: Arc<dyn PhysicalExpr>,
    pub(super) null_is_latest: bool,
}

/// Where the operator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// Over each partition of the input, where a key's rows come as they arrived.
    Each,
    /// Over what those have left.
    All,
}

/// The input, the keys and the time of one that stands over rows.
pub(crate) type OverRows<'a> =
    (&'a Arc<dyn ExecutionPlan>, &'a [Arc<dyn PhysicalExpr>], &'a Arc<dyn PhysicalExpr>);

/// The latest row of each key, of each partition or of all.
#[derive(Debug)]
pub(crate) struct LatestExec {
    input: Arc<dyn ExecutionPlan>,
    order: Order,
    layer: Layer,
    properties: Arc<PlanProperties>,
}

impl LatestExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>, order: Order, layer: Layer) -> Self {
        let partitions = match layer {
            Layer::Each => input.output_partitioning().partition_count(),
            Layer::All => 1,
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { input, order, layer, properties: Arc::new(properties) }
    }

    /// The input, the keys and the time of one that stands over rows, and not over what others have left.
    pub(crate) fn over_rows(&self) -> Option<OverRows<'_>> {
        (self.layer == Layer::Each).then_some((&self.input, &self.order.keys, &self.order.time))
    }
}

impl DisplayAs for LatestExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.order.keys.iter().map(ToString::to_string).collect();
        write!(f, "LatestExec: of={:?}, time={}, keys=[{}]", self.layer, self.order.time, keys.join(", "))
    }
}

impl ExecutionPlan for LatestExec {
    fn name(&self) -> &'static str {
        "LatestExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        match self.layer {
            Layer::Each => vec![Distribution::UnspecifiedDistribution],
            Layer::All => vec![Distribution::SinglePartition],
        }
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // To deal rows out would mix up the order in which they arrived.
        vec![false]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in self.order.keys.iter().chain([&self.order.time]) {
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
        let Some(input) = children.pop() else { return internal_err!("LATEST ON has one input") };
        Ok(Arc::new(Self::new(input, self.order.clone(), self.layer)))
    }

    crate::plan_inputs::renewed_with_children!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let memory = MemoryConsumer::new("LATEST ON").register(context.memory_pool());
        let mut input = self.input.execute(partition, context)?;
        let mut kept = Kept::new(&self.order, &schema, memory)?;
        let found = async move {
            while let Some(batch) = input.try_next().await? {
                kept.take(&batch)?;
            }
            kept.give()
        };
        let batches = stream::once(found).map_ok(|batches| stream::iter(batches.into_iter().map(Ok)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches.try_flatten().boxed())))
    }
}

/// The batch without texts that only rows left behind have.
fn compact(batch: &RecordBatch) -> Result<RecordBatch> {
    let own = |column: &ArrayRef| match column.as_string_view_opt() {
        Some(texts) => Arc::new(texts.gc()) as ArrayRef,
        None => Arc::clone(column),
    };
    Ok(RecordBatch::try_new(batch.schema(), batch.columns().iter().map(own).collect())?)
}

/// The latest row of a key so far.
#[derive(Debug)]
struct Slot {
    key: Box<[u8]>,
    /// In a form whose bytes have the order of the times.
    time: Box<[u8]>,
    batch: u32,
    row: u32,
}

/// The latest rows so far.
struct Kept {
    order: Order,
    keys: RowConverter,
    times: RowConverter,
    index: HashTable<usize>,
    slots: Vec<Slot>,
    /// Rows that were the latest of their batch.
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    hasher: RandomState,
    memory: MemoryReservation,
}

impl Kept {
    fn new(order: &Order, schema: &arrow::datatypes::SchemaRef, memory: MemoryReservation) -> Result<Self> {
        let field = |expr: &Arc<dyn PhysicalExpr>| Ok(SortField::new(expr.data_type(schema)?));
        let keys: Result<Vec<SortField>> = order.keys.iter().map(field).collect();
        let options = SortOptions { descending: false, nulls_first: !order.null_is_latest };
        let time = SortField::new_with_options(order.time.data_type(schema)?, options);
        Ok(Self {
            order: order.clone(),
            keys: RowConverter::new(keys?)?,
            times: RowConverter::new(vec![time])?,
            index: HashTable::new(),
            slots: Vec::new(),
            batches: Vec::new(),
            rows: 0,
            bytes: 0,
            hasher: RandomState::default(),
            memory,
        })
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        let column = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(batch)?.into_array(rows);
        let keys: Result<Vec<ArrayRef>> = self.order.keys.iter().map(column).collect();
        let keys = self.keys.convert_columns(&keys?)?;
        let times = self.times.convert_columns(&[column(&self.order.time)?])?;
        let won = self.winners(&keys, &times);
        if won.is_empty() {
            return Ok(());
        }
        let mine = UInt32Array::from_iter_values(won.iter().map(|slot| self.slots[*slot].row));
        for (row, slot) in won.into_iter().enumerate() {
            self.slots[slot].row = row as u32;
        }
        let winners = compact(&take_record_batch(batch, &mine)?)?;
        self.rows += winners.num_rows();
        self.bytes += winners.get_array_memory_size();
        self.batches.push(winners);
        if self.rows > 2 * self.slots.len() + GARBAGE_ROWS {
            self.let_go()?;
        }
        self.charge()
    }

    /// Slots whose latest row is now in the batch that comes next.
    fn winners(&mut self, keys: &Rows, times: &Rows) -> Vec<usize> {
        let next = self.batches.len() as u32;
        let hasher = self.hasher.clone();
        let hash = |key: &[u8]| hasher.hash_one(key);
        let mut won = Vec::new();
        let mut last: Option<usize> = None;
        for row in 0..keys.num_rows() {
            let (key, time) = (keys.row(row), times.row(row));
            let (key, time): (&[u8], &[u8]) = (key.data(), time.data());
            // Sorted rows have their keys together.
            let known = match last.filter(|slot| *self.slots[*slot].key == *key) {
                Some(slot) => Some(slot),
                None => self.index.find(hash(key), |slot| *self.slots[*slot].key == *key).copied(),
            };
            let slot = match known {
                Some(slot) => {
                    let held = &mut self.slots[slot];
                    // Of equal times the one that came later.
                    if *time >= *held.time {
                        if held.batch != next {
                            won.push(slot);
                        }
                        if held.time.len() == time.len() {
                            held.time.copy_from_slice(time);
                        } else {
                            held.time = time.into();
                        }
                        (held.batch, held.row) = (next, row as u32);
                    }
                    slot
                }
                None => {
                    let slot = self.slots.len();
                    self.slots.push(Slot {
                        key: key.into(),
                        time: time.into(),
                        batch: next,
                        row: row as u32,
                    });
                    let slots = &self.slots;
                    self.index.insert_unique(hash(key), slot, |slot| hash(&slots[*slot].key));
                    won.push(slot);
                    slot
                }
            };
            last = Some(slot);
        }
        won
    }

    /// Makes one batch of the rows that are still the latest.
    fn let_go(&mut self) -> Result<()> {
        let places: Vec<(usize, usize)> = self.places().collect();
        let sources: Vec<&RecordBatch> = self.batches.iter().collect();
        let alive = compact(&interleave_record_batch(&sources, &places)?)?;
        for (row, slot) in self.slots.iter_mut().enumerate() {
            (slot.batch, slot.row) = (0, row as u32);
        }
        (self.rows, self.bytes) = (alive.num_rows(), alive.get_array_memory_size());
        self.batches = vec![alive];
        Ok(())
    }

    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.slots.iter().map(|slot| (slot.batch as usize, slot.row as usize))
    }

    fn charge(&mut self) -> Result<()> {
        let slot = size_of::<Slot>() + 2 * size_of::<usize>();
        let texts: usize = self.slots.first().map_or(0, |slot| slot.key.len() + slot.time.len());
        self.memory.try_resize(self.bytes + self.slots.len() * (slot + texts))
    }

    /// The latest rows of all keys, in the order in which the keys came.
    fn give(mut self) -> Result<Vec<RecordBatch>> {
        if self.slots.is_empty() {
            return Ok(Vec::new());
        }
        self.let_go()?;
        let all = &self.batches[0];
        let starts = (0..all.num_rows()).step_by(BATCH_ROWS);
        Ok(starts.map(|start| all.slice(start, BATCH_ROWS.min(all.num_rows() - start))).collect())
    }
}
