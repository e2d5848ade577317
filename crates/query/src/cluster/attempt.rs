//! One try of one statement: the placement that it goes by, whom it has asked, why it failed; and the tries after it.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin as BoxPin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch};
use datafusion::common::{Result as DfResult, internal_err};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::ids::{NodeId, PartitionId};
use zepto_common::limits::ROUTE_TIME_MAX;
use zepto_common::metric_names::FRAGMENTS_REFUSED;
use zepto_common::partition::partitions_of;
use zepto_common::placement::Placement;

use super::{Fault, Fragment, Owner, Part, Pin, QueryId, Replies, Request, Want, cut};
use crate::error::from_datafusion;
use crate::external::ExternalTables;
use crate::running::QueryHandle;
use crate::service::{Core, Run, Settings};
use crate::statement::Tokens;
use crate::statement::cursor::text_of;

/// Bytes of an answer that are held back: until they have left for the client, the statement can be tried again.
const HELD_BYTES: usize = 64 << 10;
/// How long the first rows are held back.
const HELD_TIME: Duration = Duration::from_millis(50);
/// How long a newer placement is waited for before the next try.
const PAUSE: Duration = Duration::from_millis(100);

/// One try. Plans reach it through the session's extensions; when the last of it is dropped, the owners are told.
pub(crate) struct Attempt {
    core: Arc<Core>,
    id: QueryId,
    placement: Arc<Placement>,
    handle: Arc<QueryHandle>,
    memory: u64,
    /// The statement, for parts of its plan; empty while nothing was cut.
    statement: OnceLock<Fragment>,
    asked: Mutex<BTreeSet<NodeId>>,
    failed: Mutex<Option<Fault>>,
}

impl Attempt {
    /// By the placement of this moment; None on a node that runs alone.
    pub(crate) fn new(core: &Arc<Core>, handle: &Arc<QueryHandle>, memory: u64) -> Option<Self> {
        let mode = core.reads.as_ref()?;
        Some(Self {
            core: core.clone(),
            id: mode.next_query(),
            placement: mode.parts.peers.placement(),
            handle: handle.clone(),
            memory,
            statement: OnceLock::new(),
            asked: Mutex::default(),
            failed: Mutex::default(),
        })
    }

    /// The owners of all partitions, or of those of these keys, each with its pins in ascending order.
    ///
    /// # Errors
    /// `NotReady` while no placement is known.
    pub(super) fn owners(&self, keys: Option<&ArrayRef>) -> Result<BTreeMap<NodeId, Vec<Pin>>> {
        let count = self.placement.partitions.len() as u16;
        if count == 0 {
            return Err(Error::new(ErrorCode::NotReady, "no placement is known yet: try again"));
        }
        if count != self.core.store.partitions() {
            let (here, there) = (self.core.store.partitions(), count);
            return Err(Error::internal(format!("{here} partitions here, {there} in the placement")));
        }
        let wanted: Option<BTreeSet<u16>> = match keys {
            Some(keys) => Some(partitions_of(keys, count)?.into_iter().collect()),
            None => None,
        };
        let mut owners: BTreeMap<NodeId, Vec<Pin>> = BTreeMap::new();
        for (partition, it) in (0u16..).zip(&self.placement.partitions) {
            if wanted.as_ref().is_none_or(|wanted| wanted.contains(&partition)) {
                let pin = Pin { partition: PartitionId(partition), epoch: it.grant.epoch };
                owners.entry(it.grant.owner.node).or_default().push(pin);
            }
        }
        Ok(owners)
    }

    /// The part of the statement that an owner is asked for.
    ///
    /// # Errors
    /// None was cut.
    pub(super) fn fragment(&self, number: u32, print: u64, want: Want) -> DfResult<Fragment> {
        let Some(statement) = self.statement.get() else {
            return internal_err!("a part of a plan for owners in a plan that was not cut");
        };
        Ok(Fragment { number, print, want, ..statement.clone() })
    }

    /// Asks an owner: this node itself without a detour.
    pub(super) fn ask(&self, node: NodeId, pins: Vec<Pin>, part: Part) -> Replies {
        self.asked.lock().insert(node);
        let request = Request {
            query: self.id,
            client_query_id: self.handle.id().to_owned(),
            user: self.handle.user().to_owned(),
            deadline: self.handle.deadline,
            memory: self.memory,
            placement: self.placement.version,
            pins,
            part,
        };
        match &self.core.reads {
            Some(mode) if mode.parts.node != node => mode.parts.peers.clone().run(node, request),
            _ => Owner::new(self.core.clone()).run(request),
        }
    }

    /// Notes why an owner has not answered; the error that ends the plan.
    pub(super) fn failed(&self, node: NodeId, fault: Fault) -> Error {
        // A stop of the statement is why its owners fail, not the other way round.
        if let Some(stopped) = self.handle.stopped() {
            return stopped;
        }
        self.failed.lock().get_or_insert_with(|| fault.clone());
        fault.error(node)
    }

    /// Counts what an owner has read.
    pub(super) fn read(&self, totals: super::Totals) {
        self.handle.progress.read(totals.read_rows, totals.read_bytes);
    }

    /// Whether an owner's plan of the statement was another one.
    fn plans_differ(&self) -> bool {
        matches!(&*self.failed.lock(), Some(Fault::PlansDiffer(_)))
    }

    /// Whether the try has failed for a reason that another one may not meet.
    fn may_try_again(&self) -> bool {
        self.failed.lock().as_ref().is_some_and(Fault::may_pass)
    }

    async fn wait_for_newer(&self, until: Instant) {
        if let Some(mode) = &self.core.reads {
            let begun = tokio::time::Instant::now();
            mode.parts.peers.newer_than(self.placement.version, until.min(Instant::now() + PAUSE)).await;
            // A placement that is newer at once may still be older than the owner's.
            tokio::time::sleep_until(begun + PAUSE / 10).await;
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(mode) = &self.core.reads else { return };
        let (own, others): (Vec<NodeId>, Vec<NodeId>) =
            std::mem::take(self.asked.get_mut()).into_iter().partition(|node| *node == mode.parts.node);
        if !own.is_empty() {
            mode.pins.end(self.id);
        }
        if !others.is_empty() {
            mode.parts.peers.end(self.id, &others);
        }
    }
}

/// The plan with the parts in it that its owners can answer; unchanged on a node that runs alone, and for a statement
/// with tables of its request, which the owners do not have.
///
/// # Errors
/// DataFusion's.
pub(crate) fn with_cuts(
    state: &mut SessionState,
    plan: Arc<LogicalPlan>,
    tokens: &Tokens,
) -> Result<Arc<LogicalPlan>> {
    let Some(attempt) = state.config().get_extension::<Attempt>() else { return Ok(plan) };
    if state.config().get_extension::<ExternalTables>().is_some() {
        return Ok(plan);
    }
    let Some(cut) = cut::cut(&plan).map_err(from_datafusion)? else { return Ok(plan) };
    let now = state.execution_props().query_execution_start_time;
    let settings = state.config().get_extension::<Settings>();
    let fragment = Fragment {
        text: text_of(tokens),
        database: state.config_options().catalog.default_schema.clone(),
        settings: settings.map(|all| all.0.clone()).unwrap_or_default(),
        now: now.and_then(|now| now.timestamp_nanos_opt()).unwrap_or_default(),
        number: 0,
        print: 0,
        want: Want::Rows,
    };
    // Set once per attempt: a statement has one text.
    let _same = attempt.statement.set(fragment);
    Ok(Arc::new(cut))
}

/// The query's batches; while none has left, what an owner's loss or move has spoiled is tried again.
///
/// # Errors
/// The statement's own; `NotReady` when owners cannot be had in time.
pub(crate) async fn run(run: &Run, tokens: Tokens) -> Result<SendableRecordBatchStream> {
    if run.core.reads.is_none() {
        return run.stream(&mut *run.state()?, tokens, false).await;
    }
    let handle = &run.guard.handle;
    let until = handle.deadline.min(Instant::now() + ROUTE_TIME_MAX);
    let mut cuts = run.core.options.fragments;
    loop {
        let mut state = run.state()?;
        let begun = match run.stream(&mut state, tokens.clone(), cuts).await {
            Ok(stream) => held(stream).await.map_err(from_datafusion),
            Err(error) => Err(error),
        };
        let error = match begun {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let attempt = state.config().get_extension::<Attempt>();
        let Some(attempt) = attempt.filter(|attempt| attempt.may_try_again()) else { return Err(error) };
        if let Some(stopped) = handle.stopped() {
            return Err(stopped);
        }
        if Instant::now() >= until {
            return Err(error);
        }
        drop(state);
        if cuts && attempt.plans_differ() {
            tracing::warn!(%error, "a statement is answered by plain scans");
            metrics::counter!(FRAGMENTS_REFUSED).increment(1);
            cuts = false;
            continue;
        }
        tracing::debug!(%error, "a statement is tried again");
        attempt.wait_for_newer(until).await;
    }
}

/// The stream once it has ended, or has given as much as is held back.
async fn held(mut rows: SendableRecordBatchStream) -> DfResult<SendableRecordBatchStream> {
    let schema = rows.schema();
    let mut first: Vec<RecordBatch> = Vec::new();
    let (mut bytes, mut late) = (0, None::<BoxPin<Box<tokio::time::Sleep>>>);
    while bytes < HELD_BYTES {
        let next = match &mut late {
            None => rows.next().await,
            Some(late) => tokio::select! {
                biased;
                next = rows.next() => next,
                () = late => break,
            },
        };
        let Some(batch) = next else {
            return Ok(stream_of(schema, stream::iter(first.into_iter().map(Ok)).boxed()));
        };
        let batch = batch?;
        bytes += batch.get_array_memory_size();
        first.push(batch);
        late.get_or_insert_with(|| Box::pin(tokio::time::sleep(HELD_TIME)));
    }
    Ok(stream_of(schema, stream::iter(first.into_iter().map(Ok)).chain(rows).boxed()))
}

fn stream_of(
    schema: arrow::datatypes::SchemaRef,
    rows: stream::BoxStream<'static, DfResult<RecordBatch>>,
) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(schema, rows))
}
