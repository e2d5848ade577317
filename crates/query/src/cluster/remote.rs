//! The leaf of a plan over a table of a cluster: one output partition per owner, the rows as the owners send them.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, SendableRecordBatchStream,
    StatisticsArgs,
};
use futures::{StreamExt, stream};
use zepto_common::error::Error;
use zepto_common::ids::NodeId;
use zepto_common::schema::TableSchema;

use super::{Attempt, Fault, Fragment, Part, Pin, Replies, Reply, Scan, Want};
use crate::error::external;
use crate::plan_inputs::{without_children, without_expressions};
use crate::provider;

/// The leaf.
#[derive(Clone)]
pub(crate) struct RemoteExec {
    attempt: Arc<Attempt>,
    part: Part,
    /// The rows of an aggregation were planned; its states come, and this stands for the half that makes them.
    unfinished: bool,
    label: String,
    owners: Vec<(NodeId, Vec<Pin>)>,
    properties: Arc<PlanProperties>,
}

impl RemoteExec {
    /// The rows of `scan` at the owners of the attempt's placement.
    ///
    /// # Errors
    /// `NotReady` while no placement is known.
    pub(crate) fn of_scan(
        attempt: Arc<Attempt>,
        table: &TableSchema,
        scan: Scan,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let whole = table.query_schema();
        let fields: Vec<_> = scan.columns.iter().map(|&i| whole.field(i).clone()).collect();
        let schema = Arc::new(Schema::new(fields));
        let nothing = scan.keys.as_ref().is_some_and(|keys| keys.is_empty())
            || scan.time.is_some_and(|(low, high)| low > high)
            || scan.limit == Some(0);
        if nothing {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let (keys, label) = (scan.keys.clone(), label_of(table, &scan));
        Self::planned(attempt, Part::Scan(scan), keys.as_ref(), schema, label)
    }

    /// What the owners have of a subtree, under the schema that it has in the plan here.
    ///
    /// # Errors
    /// `NotReady` while no placement is known.
    pub(super) fn of_fragment(
        attempt: Arc<Attempt>,
        fragment: Fragment,
        keys: Option<&ArrayRef>,
        schema: SchemaRef,
        label: String,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Self::planned(attempt, Part::Fragment(fragment), keys, schema, label)
    }

    fn planned(
        attempt: Arc<Attempt>,
        part: Part,
        keys: Option<&ArrayRef>,
        schema: SchemaRef,
        label: String,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let unfinished = matches!(&part, Part::Fragment(fragment) if fragment.want == Want::States);
        let owners: Vec<_> = attempt.owners(keys).map_err(external)?.into_iter().collect();
        let properties = properties_of(schema, owners.len());
        Ok(Arc::new(Self { attempt, part, unfinished, label, owners, properties }))
    }

    /// The same with states of this schema, if it is for the states of an aggregation.
    pub(super) fn giving_states(&self, schema: SchemaRef) -> Option<Arc<dyn ExecutionPlan>> {
        let properties = properties_of(schema, self.owners.len());
        self.unfinished.then(|| Arc::new(Self { unfinished: false, properties, ..self.clone() }) as _)
    }
}

fn properties_of(schema: SchemaRef, partitions: usize) -> Arc<PlanProperties> {
    let properties = PlanProperties::new(
        EquivalenceProperties::new(schema),
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    );
    Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative))
}

fn label_of(table: &TableSchema, scan: &Scan) -> String {
    let columns: Vec<&str> = scan.columns.iter().map(|&i| table.columns[i].name.as_str()).collect();
    let mut label = format!("table={}, columns=[{}]", table.name, columns.join(", "));
    if let Some(keys) = &scan.keys {
        label.push_str(&format!(", keys={}", keys.len()));
    }
    if let Some((from, to)) = scan.time {
        label.push_str(&format!(", time={from}..={to}"));
    }
    if let Some(limit) = scan.limit {
        label.push_str(&format!(", limit={limit}"));
    }
    label
}

impl fmt::Debug for RemoteExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteExec").field("part", &self.part).finish_non_exhaustive()
    }
}

impl DisplayAs for RemoteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteExec: {}, owners=[", self.label)?;
        for (at, (node, pins)) in self.owners.iter().enumerate() {
            write!(f, "{}{node}: {} partitions", if at == 0 { "" } else { ", " }, pins.len())?;
        }
        write!(f, "]")
    }
}

impl ExecutionPlan for RemoteExec {
    fn name(&self) -> &'static str {
        "RemoteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    without_children!();
    without_expressions!();

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some((node, pins)) = self.owners.get(partition) else {
            return internal_err!("RemoteExec has no partition {partition}");
        };
        if self.unfinished {
            return internal_err!("the states of an aggregation were not taken");
        }
        let schema = self.schema();
        let begin = Reading {
            attempt: self.attempt.clone(),
            node: *node,
            schema: schema.clone(),
            state: State::Before(pins.clone(), self.part.clone()),
        };
        let rows = stream::unfold(begin, Reading::next).boxed();
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(schema, rows))))
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        Ok(Arc::new(provider::unknown_statistics(&self.schema())))
    }
}

/// One owner's answer while it is read.
struct Reading {
    attempt: Arc<Attempt>,
    node: NodeId,
    schema: SchemaRef,
    state: State,
}

enum State {
    /// Not asked yet.
    Before(Vec<Pin>, Part),
    Open(Replies),
    Over,
}

impl Reading {
    async fn next(mut self) -> Option<(Result<RecordBatch>, Self)> {
        let mut replies = match std::mem::replace(&mut self.state, State::Over) {
            State::Before(pins, part) => self.attempt.ask(self.node, pins, part),
            State::Open(replies) => replies,
            State::Over => return None,
        };
        let fault = match replies.next().await {
            Some(Ok(Reply::Batch(batch))) => match self.fitted(&batch) {
                Ok(batch) => {
                    self.state = State::Open(replies);
                    return Some((Ok(batch), self));
                }
                Err(error) => Fault::Statement(error),
            },
            Some(Ok(Reply::Done(totals))) => {
                self.attempt.read(totals);
                return None;
            }
            Some(Err(fault)) => fault,
            // Rows may be missing, and nobody knows which.
            None => Fault::Lost("its answer has no closing message".to_owned()),
        };
        let error = self.attempt.failed(self.node, fault);
        Some((Err(external(error)), self))
    }

    /// The batch under the plan's schema, if its columns are of the plan's types.
    fn fitted(&self, batch: &RecordBatch) -> zepto_common::Result<RecordBatch> {
        let given = batch.schema();
        let types = |schema: &SchemaRef| -> Vec<_> {
            schema.fields().iter().map(|field| field.data_type().clone()).collect()
        };
        if types(&given) != types(&self.schema) {
            let message = format!("node {} sends other columns than were asked for", self.node);
            return Err(Error::internal(message));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = batch.columns().to_vec();
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}
