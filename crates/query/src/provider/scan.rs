//! The leaf of every plan over a table: reads row ranges of parts, as batches in query types.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
    SendableRecordBatchStream, StatisticsArgs,
};
use futures::stream;
use zepto_common::schema::TableSchema;
use zepto_engine::Part;
use zepto_engine::store::TableSnapshot;

use super::predicate::Wanted;
use super::{pinned, statistics, to_query};
use crate::error::external;
use crate::plan_inputs::without_children;
use crate::running::QueryHandle;

/// Rows below which another partition costs more than it saves.
const PARTITION_ROWS_MIN: usize = 65_536;
/// Rows of a batch.
const BATCH_ROWS: usize = 16_384;

/// What is read of each row.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The version whose columns are given.
    pub(crate) schema: Arc<TableSchema>,
    /// Indexes of the output columns in the schema.
    pub(crate) output: Vec<usize>,
    /// Over all columns of the table: which rows of an inexact piece are wanted.
    pub(crate) filter: Option<Arc<dyn PhysicalExpr>>,
    /// Rows after which a partition may stop.
    pub(crate) limit: Option<usize>,
}

/// Row ranges of one part.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// The part.
    pub(crate) part: Part,
    /// Whose part it is: a key's rows are in the parts of one drain thread, which are listed as they arrived.
    pub(crate) shard: usize,
    /// Ascending and disjoint.
    pub(crate) ranges: Vec<Range<usize>>,
    /// Whether every row of the ranges is wanted.
    pub(crate) exact: bool,
}

impl Piece {
    /// Rows in the ranges.
    pub(crate) fn rows(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }
}

/// All that is to be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work {
    /// In the order of the parts.
    pub(crate) pieces: Vec<Piece>,
    /// Whether the pieces are whole parts, every row wanted.
    pub(crate) whole: bool,
    /// Whether a key's rows are given as they arrived: by one partition, in the order of the parts.
    pub(crate) as_arrived: bool,
    /// Whether every row has the same key.
    pub(crate) one_key: bool,
    /// Whether of sorted parts only the last row of each key is read.
    pub(crate) last_of_keys: bool,
}

impl Work {
    /// Finds the ranges that can hold wanted rows.
    pub(super) fn plan(snapshot: &TableSnapshot, wanted: &Wanted, limit: Option<usize>) -> Self {
        if wanted.is_nothing() || limit == Some(0) {
            return Self::default();
        }
        let selection = wanted.selection();
        let mut whole = true;
        let pieces = snapshot.parts.iter().map(pinned).enumerate().filter_map(|(at, part)| {
            let shard = snapshot.ends.partition_point(|end| *end <= at);
            if wanted.covers(part.time_range()) || wanted.is_all() {
                let ranges = wanted.rows_of(&part);
                whole &= ranges.iter().map(Range::len).sum::<usize>() == part.rows();
                return Some(Piece { part, shard, ranges, exact: true });
            }
            whole = false;
            let exact = matches!(part, Part::Run(_));
            let ranges: Vec<Range<usize>> =
                part.select(&selection).into_iter().filter(|r| !r.is_empty()).collect();
            (!ranges.is_empty()).then_some(Piece { part, shard, ranges, exact })
        });
        let pieces: Vec<Piece> = pieces.filter(|piece| piece.rows() > 0).collect();
        Self { pieces, whole, one_key: wanted.is_one_key(), ..Self::default() }
    }

    /// The same of other pieces, which have no more rows.
    pub(crate) fn with(&self, pieces: Vec<Piece>) -> Self {
        let Self { as_arrived, one_key, last_of_keys, .. } = *self;
        Self { pieces, whole: false, as_arrived, one_key, last_of_keys }
    }

    /// Whether no row needs to be looked at before it is given.
    pub(super) fn is_exact(&self) -> bool {
        self.pieces.iter().all(|piece| piece.exact)
    }

    pub(super) fn rows(&self) -> usize {
        self.pieces.iter().map(Piece::rows).sum()
    }

    /// Spreads the rows over at most `most` lists of about equal length.
    fn spread(&self, most: usize) -> Vec<Vec<Piece>> {
        if self.as_arrived {
            return self.spread_shards(most);
        }
        let total = self.rows();
        let lists = (total / PARTITION_ROWS_MIN).clamp(1, most.max(1));
        let share = total.div_ceil(lists).max(1);
        let mut out: Vec<Vec<Piece>> = vec![Vec::new()];
        let mut room = share;
        for piece in &self.pieces {
            let mut ranges = Vec::new();
            for range in &piece.ranges {
                let mut range = range.clone();
                while range.len() > room && out.len() < lists {
                    ranges.push(range.start..range.start + room);
                    range.start += room;
                    push(&mut out, piece, std::mem::take(&mut ranges));
                    out.push(Vec::new());
                    room = share;
                }
                room = room.saturating_sub(range.len());
                ranges.push(range);
            }
            push(&mut out, piece, ranges);
        }
        out
    }

    /// Spreads the shards over at most `most` lists.
    fn spread_shards(&self, most: usize) -> Vec<Vec<Piece>> {
        let mut lists: Vec<Weighed> = Vec::new();
        for shard in self.pieces.chunk_by(|one, next| one.shard == next.shard) {
            let rows: usize = shard.iter().map(Piece::rows).sum();
            let full = lists.len() >= most.max(1);
            match lists.iter_mut().min_by_key(|list| list.0).filter(|_| full) {
                Some(list) => {
                    list.0 += rows;
                    list.1.extend_from_slice(shard);
                }
                None => lists.push((rows, shard.to_vec())),
            }
        }
        if lists.is_empty() {
            lists.push(Weighed::default());
        }
        lists.into_iter().map(|(_, pieces)| pieces).collect()
    }
}

/// A list of pieces and how many rows they have.
type Weighed = (usize, Vec<Piece>);

fn push(lists: &mut [Vec<Piece>], piece: &Piece, ranges: Vec<Range<usize>>) {
    let ranges: Vec<Range<usize>> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
    if let Some(list) = lists.last_mut()
        && !ranges.is_empty()
    {
        list.push(Piece { ranges, ..piece.clone() });
    }
}

/// The plan node.
#[derive(Debug, Clone)]
pub(crate) struct PartScan {
    source: Source,
    work: Arc<Work>,
    partitions: Arc<Vec<Vec<Piece>>>,
    properties: Arc<PlanProperties>,
    statistics: Arc<Statistics>,
    metrics: ExecutionPlanMetricsSet,
}

impl PartScan {
    /// Reads `work` in at most `most` partitions.
    pub(crate) fn new(source: Source, work: Work, most: usize) -> Self {
        let schema = output_schema(&source);
        let partitions = work.spread(most);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        let statistics = statistics_of(&source, &work, &schema);
        Self {
            source,
            work: Arc::new(work),
            partitions: Arc::new(partitions),
            properties: Arc::new(properties),
            statistics: Arc::new(statistics),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// What is read of each row.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// All that is to be read.
    pub(crate) fn work(&self) -> &Work {
        &self.work
    }

    /// Partitions.
    pub(crate) fn lists(&self) -> usize {
        self.partitions.len()
    }
}

fn output_schema(source: &Source) -> SchemaRef {
    let schema = source.schema.query_schema();
    Arc::new(Schema::new(source.output.iter().map(|&i| schema.field(i).clone()).collect::<Vec<_>>()))
}

fn statistics_of(source: &Source, work: &Work, schema: &SchemaRef) -> Statistics {
    let mut statistics = statistics::unknown(schema);
    if source.limit.is_some() {
        return statistics;
    }
    let rows = work.rows();
    statistics.num_rows = if work.is_exact() { Precision::Exact(rows) } else { Precision::Inexact(rows) };
    if work.whole {
        let parts: Vec<Part> = work.pieces.iter().map(|piece| piece.part.clone()).collect();
        statistics.column_statistics =
            statistics::of_whole_parts(&parts, &source.schema, &source.output, schema);
    }
    statistics
}

impl DisplayAs for PartScan {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> =
            self.source.output.iter().map(|&i| self.source.schema.columns[i].name.as_str()).collect();
        match t {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(
                    f,
                    "PartScan: table={}, columns=[{}], parts={}, rows={}, partitions={}",
                    self.source.schema.name,
                    columns.join(", "),
                    self.work.pieces.len(),
                    self.work.rows(),
                    self.partitions.len()
                )?;
                if let Some(filter) = &self.source.filter {
                    write!(f, ", filter={filter}")?;
                }
                if let Some(limit) = self.source.limit {
                    write!(f, ", limit={limit}")?;
                }
                if self.work.last_of_keys {
                    write!(f, ", only=last of each key")?;
                }
                Ok(())
            }
            DisplayFormatType::TreeRender => write!(f, "table={}", self.source.schema.name),
        }
    }
}

impl ExecutionPlan for PartScan {
    fn name(&self) -> &'static str {
        "PartScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        match &self.source.filter {
            Some(filter) => f(filter),
            None => Ok(TreeNodeRecursion::Continue),
        }
    }

    without_children!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(pieces) = self.partitions.get(partition) else {
            return internal_err!("PartScan has no partition {partition}");
        };
        let query = context.session_config().get_extension::<QueryHandle>();
        let builder = || MetricBuilder::new(&self.metrics);
        let reader = Reader {
            pieces: pieces.clone().into_iter(),
            current: None,
            columns: Columns::new(&self.source)?,
            left: self.source.limit.unwrap_or(usize::MAX),
            baseline: BaselineMetrics::new(&self.metrics, partition),
            rows_scanned: builder().counter("rows_scanned", partition),
            bytes_scanned: builder().counter("bytes_scanned", partition),
            query,
        };
        let schema = self.schema();
        let batches = stream::iter(reader);
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(schema, batches))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let Some(partition) = args.partition() else { return Ok(self.statistics.clone()) };
        let mut statistics = statistics::unknown(&self.schema());
        if let Some(pieces) = self.partitions.get(partition) {
            statistics.num_rows = Precision::Inexact(pieces.iter().map(Piece::rows).sum());
        }
        Ok(Arc::new(statistics))
    }
}

/// Which columns are read, and which of them are given.
struct Columns {
    schema: Arc<TableSchema>,
    /// Indexes in the table's schema: the output's, then those that only the filter needs.
    read: Vec<usize>,
    read_schema: SchemaRef,
    output: Vec<usize>,
    filter: Option<Arc<dyn PhysicalExpr>>,
}

impl Columns {
    fn new(source: &Source) -> Result<Self> {
        let mut read = source.output.clone();
        if let Some(filter) = &source.filter {
            let mut needed: Vec<usize> =
                collect_columns(filter).iter().map(|column| column.index()).collect();
            needed.sort_unstable();
            read.extend(needed.into_iter().filter(|column| !source.output.contains(column)));
        }
        let whole = source.schema.query_schema();
        let fields: Vec<_> = read.iter().map(|&i| whole.field(i).clone()).collect();
        let read_schema = Arc::new(Schema::new(fields));
        let filter = match &source.filter {
            Some(filter) => Some(reassign_expr_columns(filter.clone(), &read_schema)?),
            None => None,
        };
        let output = (0..source.output.len()).collect();
        Ok(Self { schema: source.schema.clone(), read, read_schema, output, filter })
    }

    /// The wanted rows of a storage batch, in query types.
    fn take(&self, batch: &RecordBatch, exact: bool) -> Result<RecordBatch> {
        let mut batch = to_query(batch, &self.read_schema).map_err(external)?;
        if let Some(filter) = self.filter.as_ref().filter(|_| !exact) {
            let keep = filter.evaluate(&batch)?.into_array(batch.num_rows())?;
            batch = filter_record_batch(&batch, keep.as_boolean())?;
        }
        match self.output.len() == self.read.len() {
            true => Ok(batch),
            false => Ok(batch.project(&self.output)?),
        }
    }
}

/// Reads one partition.
struct Reader {
    pieces: std::vec::IntoIter<Piece>,
    current: Option<(zepto_engine::part::Batches, bool)>,
    columns: Columns,
    left: usize,
    baseline: BaselineMetrics,
    rows_scanned: Count,
    bytes_scanned: Count,
    query: Option<Arc<QueryHandle>>,
}

impl Iterator for Reader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let timer = self.baseline.elapsed_compute().clone();
        let _timer = timer.timer();
        loop {
            if self.left == 0 {
                return None;
            }
            if let Some(stopped) = self.query.as_ref().and_then(|query| query.stopped()) {
                return Some(Err(external(stopped)));
            }
            if self.query.as_ref().is_some_and(|query| query.has_read_enough()) {
                return None;
            }
            let Some((batches, exact)) = &mut self.current else {
                let piece = self.pieces.next()?;
                let columns = &self.columns;
                let batches = piece.part.scan(&columns.schema, &columns.read, &piece.ranges, BATCH_ROWS);
                self.current = Some((batches, piece.exact));
                continue;
            };
            let exact = *exact;
            match batches.next() {
                None => self.current = None,
                Some(Err(error)) => return Some(Err(external(error))),
                Some(Ok(batch)) => match self.give(&batch, exact) {
                    Ok(batch) if batch.num_rows() == 0 => {}
                    other => return Some(other),
                },
            }
        }
    }
}

impl Reader {
    fn give(&mut self, batch: &RecordBatch, exact: bool) -> Result<RecordBatch> {
        let (rows, bytes) = (batch.num_rows(), batch_bytes(batch));
        self.rows_scanned.add(rows);
        self.bytes_scanned.add(bytes);
        if let Some(query) = &self.query {
            query.progress.read(rows as u64, bytes as u64);
            metrics::counter!(zepto_common::metric_names::ROWS_SCANNED).increment(rows as u64);
        }
        let mut batch = self.columns.take(batch, exact)?;
        if batch.num_rows() > self.left {
            batch = batch.slice(0, self.left);
        }
        self.left -= batch.num_rows();
        self.baseline.record_output(batch.num_rows());
        Ok(batch)
    }
}

/// Bytes of the rows in the batch (not of the buffers it shares with others).
pub(crate) fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum()
}
