//! An owner's side: answers one fragment over the partitions that it is pinned to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use datafusion::common::DataFusionError;
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream};
use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zepto_common::error::{Error, Result};
use zepto_common::ids::PartitionId;
use zepto_common::schema::DEFAULT_DATABASE;
use zepto_common::service::{RequestContext, Role, RunningQuery, StatementsMeant};

use super::pins::Entered;
use super::{
    ClusterMode, Fault, Fragment, Part, PinnedReads, QueryId, Replies, Reply, Request, Scan, Totals, Want,
    cut,
};
use crate::error::from_datafusion;
use crate::provider;
use crate::running::QueryHandle;
use crate::service::{Core, Settings};
use crate::session::states_plan;
use crate::statement;

/// How long a fragment waits for its partitions to begin.
const BEGIN_WAIT: Duration = Duration::from_millis(500);
/// Between two looks.
const BEGIN_LOOK: Duration = Duration::from_millis(10);
/// Replies that wait for the asker: one is sent while the next is computed.
const REPLIES_WAITING: usize = 2;

/// Answers fragments of statements over this node's rows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Owner {
    core: Arc<Core>,
}

impl Owner {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Answers a request; the work stops when the answer is dropped or the deadline is over.
    #[must_use]
    pub fn run(&self, request: Request) -> Replies {
        let (sender, receiver) = mpsc::channel(REPLIES_WAITING);
        let core = self.core.clone();
        if let Some(mode) = &core.reads {
            mode.pins.expire();
        }
        let entered = match Entered::new(&core, request.query, request.deadline) {
            Ok(entered) => entered,
            Err(fault) => return stream::iter([Err(fault)]).boxed(),
        };
        let task = self.core.options.runtime.spawn(async move {
            let _pins = entered;
            let until = tokio::time::Instant::from_std(request.deadline);
            let cancel = CancellationToken::new();
            let _stops_operators = cancel.clone().drop_guard();
            let ended = tokio::select! {
                biased;
                () = sender.closed() => return,
                () = tokio::time::sleep_until(until) => Err(Fault::Lost("the deadline is over".to_owned())),
                ended = answer(&core, &request, cancel, &sender) => ended,
            };
            let _asker_may_be_gone = sender.send(ended.map(Reply::Done)).await;
        });
        let replies = stream::unfold((receiver, task), |(mut receiver, task)| async move {
            let reply = receiver.recv().await?;
            Some((reply, (receiver, task)))
        });
        replies.boxed()
    }

    /// The statement is over.
    pub fn end(&self, query: QueryId) {
        if let Some(mode) = &self.core.reads {
            mode.pins.end(query);
        }
    }

    /// Statements that were sent to this node and run now.
    #[must_use]
    pub fn statements(&self) -> Vec<RunningQuery> {
        self.core.running.list()
    }

    /// Stops those that are meant; gives them.
    #[must_use]
    pub fn stop(&self, meant: &StatementsMeant) -> Vec<RunningQuery> {
        self.core.running.kill(|query| meant.has(query))
    }

    /// Statements that have pins here.
    #[must_use]
    pub fn pinned(&self) -> usize {
        self.core.reads.as_ref().map_or(0, |mode| mode.pins.len())
    }
}

/// Sends the rows; gives what they have cost once every pin was found to hold still.
async fn answer(
    core: &Arc<Core>,
    request: &Request,
    cancel: CancellationToken,
    sender: &mpsc::Sender<Result<Reply, Fault>>,
) -> Result<Totals, Fault> {
    let Some(mode) = &core.reads else {
        return Err(Error::internal("a fragment came to a node that runs alone").into());
    };
    await_pins(mode, request).await?;
    let handle = QueryHandle::of_fragment(&context_of(request, cancel));
    let mut rows = match &request.part {
        Part::Scan(wanted) => scan(core, mode, request, wanted, &handle)?,
        Part::Fragment(wanted) => fragment(core, request, wanted, &handle).await?,
    };
    while let Some(batch) = rows.next().await {
        if sender.send(Ok(Reply::Batch(batch.map_err(fault)?))).await.is_err() {
            return Err(Fault::Lost("the asker is gone".to_owned()));
        }
    }
    // What was read is of the owner only if it has been that all the time.
    check_pins(mode, request).await?;
    let progress = &handle.progress;
    Ok(Totals {
        read_rows: progress.read_rows.load(Ordering::Relaxed),
        read_bytes: progress.read_bytes.load(Ordering::Relaxed),
    })
}

/// Waits for partitions whose time as this node's has been granted and has not begun: it does within a moment, and while
/// many move, a statement that began anew for each of them would never end.
async fn await_pins(mode: &ClusterMode, request: &Request) -> Result<(), Fault> {
    let until = Instant::now() + BEGIN_WAIT;
    loop {
        match check_pins(mode, request).await {
            Err(Fault::Busy(_)) if Instant::now() < until => tokio::time::sleep(BEGIN_LOOK).await,
            checked => return checked,
        }
    }
}

/// Asked before the snapshot is taken and after it was read. Before, so that it has what other owners have acknowledged;
/// after, so that nobody else can have acknowledged anything until it was taken.
async fn check_pins(mode: &ClusterMode, request: &Request) -> Result<(), Fault> {
    let holdings = &mode.parts.holdings;
    let held = request.pins.iter().all(|pin| holdings.epoch(pin.partition) == Some(pin.epoch));
    if !held {
        return Err(Fault::Moved(holdings.placement()));
    }
    let partitions: Vec<PartitionId> = request.pins.iter().map(|pin| pin.partition).collect();
    holdings.confirm(&partitions).await.map_err(|error| Fault::Busy(error.message))
}

/// The rows of the pinned partitions.
fn scan(
    core: &Arc<Core>,
    mode: &ClusterMode,
    request: &Request,
    wanted: &Scan,
    handle: &Arc<QueryHandle>,
) -> Result<SendableRecordBatchStream, Fault> {
    let Some(schema) = core.store.catalog().schema(wanted.table, wanted.version).cloned() else {
        let message = format!("table {} has no version {} here", wanted.table, wanted.version);
        return Err(Fault::Behind(message));
    };
    if wanted.columns.iter().any(|&column| column >= schema.columns.len()) {
        return Err(Error::internal("a scan names a column that the table does not have").into());
    }
    let snapshot = mode.pins.snapshot(&core.store, request.query, wanted.table)?;
    let mut settings = BTreeMap::new();
    if request.memory > 0 {
        settings.insert("max_memory_usage".to_owned(), request.memory.to_string());
    }
    let state = core.sessions.query_state(core, DEFAULT_DATABASE, handle, &settings);
    let partitions: Vec<PartitionId> = request.pins.iter().map(|pin| pin.partition).collect();
    let plan = provider::pinned_scan(&*state, &schema, &snapshot, wanted, partitions).map_err(fault)?;
    let task = core.sessions.task(&state, handle, &settings)?;
    execute_stream(plan, task).map_err(fault)
}

/// What the pinned partitions have of a subtree of the statement's plan.
async fn fragment(
    core: &Arc<Core>,
    request: &Request,
    wanted: &Fragment,
    handle: &Arc<QueryHandle>,
) -> Result<SendableRecordBatchStream, Fault> {
    let mut state = core.sessions.query_state(core, &wanted.database, handle, &wanted.settings);
    let config = state.config_mut();
    config.set_extension(Arc::new(Settings(wanted.settings.clone())));
    config.set_extension(Arc::new(PinnedReads::new(core.clone(), request)));
    let now = chrono::DateTime::from_timestamp_nanos(wanted.now);
    state.execution_props_mut().query_execution_start_time = Some(now);
    let tokens = statement::tokenize(&wanted.text)?;
    let differ = |why: String| Fault::PlansDiffer(why);
    let plan = core.optimized(&state, tokens).await.map_err(|error| differ(error.to_string()))?;
    let subtree = cut::numbered(&plan, wanted.number).filter(|subtree| cut::print(subtree) == wanted.print);
    let Some(subtree) = subtree else { return Err(differ(format!("subtree {}", wanted.number))) };
    let plan = match wanted.want {
        Want::Rows => state.query_planner().create_physical_plan(&subtree, &*state).await,
        Want::States => states_plan(&subtree, &state).await,
    };
    let task = core.sessions.task(&state, handle, &wanted.settings)?;
    execute_stream(plan.map_err(fault)?, task).map_err(fault)
}

fn fault(error: DataFusionError) -> Fault {
    Fault::Statement(from_datafusion(error))
}

fn context_of(request: &Request, cancel: CancellationToken) -> RequestContext {
    RequestContext {
        query_id: request.client_query_id.clone(),
        user: request.user.clone(),
        role: Role::Reader,
        database: DEFAULT_DATABASE.to_owned(),
        settings: BTreeMap::new(),
        params: BTreeMap::new(),
        external_tables: Vec::new(),
        ending: Arc::default(),
        read_only: true,
        deadline: request.deadline,
        cancel,
    }
}
