//! The query side's door: takes a statement's text and a context, gives an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use zepto_common::catalog::Ddl;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::limits::STOPPED_INSERT_WAIT;
use zepto_common::schema::{DEFAULT_DATABASE, TableName};
use zepto_common::service::{
    Answer, CatalogChanges, ClusterNodes, Ending, ExpressionEvaluator, QueryService, RequestContext, Role,
    RowSink, RunningQuery, StatementsElsewhere, StatementsMeant,
};
use zepto_engine::Store;

use crate::cluster::{ClusterMode, Clustered, Owner};
use crate::execute::{self, Evaluator};
use crate::options::SqlOptions;
use crate::plan_cache::PlanCache;
use crate::running::{QueryHandle, Running, RunningGuard};
use crate::session::Sessions;
use crate::statement::{self, NameText, ObjectKind, Parsed, Show, Statement};
use crate::system::is_built_in;
use crate::views::Recipes;

/// What all statements share.
pub(crate) struct Core {
    /// The data.
    pub(crate) store: Arc<Store>,
    /// Functions, rules, memory.
    pub(crate) sessions: Sessions,
    /// Plans by statement.
    pub(crate) plans: PlanCache,
    /// How materialized views are computed.
    pub(crate) recipes: Recipes,
    /// What runs now.
    pub(crate) running: Arc<Running>,
    /// Bounds.
    pub(crate) options: SqlOptions,
    /// The other nodes, if there are any.
    pub(crate) cluster: Option<ClusterSide>,
    /// How rows of other nodes are read.
    pub(crate) reads: Option<ClusterMode>,
}

/// What a node that is one of several has instead of its store alone.
#[derive(Clone)]
pub struct ClusterSide {
    /// Has changes of the catalog agreed on.
    pub changes: Arc<dyn CatalogChanges>,
    /// Takes rows to the owners of their partitions.
    pub rows: Arc<dyn RowSink>,
    /// Knows the nodes.
    pub nodes: Arc<dyn ClusterNodes>,
    /// Knows what runs on them.
    pub statements: Arc<dyn StatementsElsewhere>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}

/// The settings of one statement, reachable from its session: those of the request, over them its SETTINGS clause.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(pub(crate) BTreeMap<String, String>);

impl Core {
    /// The full name of a table in this context.
    pub(crate) fn full_name(name: &NameText, context: &RequestContext) -> TableName {
        let database = name.database.as_deref().unwrap_or(&context.database);
        TableName::new(database, &name.table)
    }

    /// Makes a change of the catalog true: on this node, or by agreement.
    ///
    /// # Errors
    /// The change's own; `NotReady` while nobody can agree.
    pub(crate) async fn change(&self, change: Ddl) -> Result<()> {
        match &self.cluster {
            Some(cluster) => cluster.changes.change(change).await,
            None => self.store.change(change).await,
        }
    }

    /// Whether there is a newer catalog than `known` here, after asking for it.
    pub(crate) async fn catch_up(&self, known: u64) -> bool {
        match &self.cluster {
            Some(cluster) => cluster.changes.catch_up(known).await,
            None => false,
        }
    }

    /// Where the rows of INSERT … SELECT go.
    pub(crate) fn rows(&self) -> &dyn RowSink {
        match &self.cluster {
            Some(cluster) => cluster.rows.as_ref(),
            None => self.store.as_ref(),
        }
    }

    /// What runs now, on this node and the others, oldest first on each.
    pub(crate) async fn running_everywhere(&self) -> Vec<RunningQuery> {
        let here = self.own_statements(self.running.list());
        match &self.cluster {
            Some(cluster) => here.into_iter().chain(cluster.statements.running().await).collect(),
            None => here,
        }
    }

    /// Stops what is meant, on this node and the others.
    pub(crate) async fn stop_everywhere(
        &self,
        meant: &StatementsMeant,
        except: Option<&str>,
    ) -> Vec<RunningQuery> {
        let wanted = |query: &RunningQuery| meant.has(query) && Some(query.query_id.as_str()) != except;
        let here = self.own_statements(self.running.kill(wanted));
        match &self.cluster {
            Some(cluster) => here.into_iter().chain(cluster.statements.stop(meant).await).collect(),
            None => here,
        }
    }

    /// The same with this node's name, if it is one of several.
    fn own_statements(&self, mut statements: Vec<RunningQuery>) -> Vec<RunningQuery> {
        let me = self.reads.as_ref().map(|mode| mode.parts.node.0);
        statements.iter_mut().for_each(|statement| statement.node = me);
        statements
    }

    /// Refuses what this node can only do to its own rows.
    ///
    /// # Errors
    /// `NotImplemented` on a node that is one of several.
    pub(crate) fn require_alone(&self, what: &str) -> Result<()> {
        match self.cluster {
            None => Ok(()),
            Some(_) => {
                let message = format!("{what} is not supported in a cluster yet, only on a single node");
                Err(Error::new(ErrorCode::NotImplemented, message))
            }
        }
    }

    /// Whether there is a database of this name.
    pub(crate) fn has_database(&self, name: &str) -> bool {
        let catalog = self.store.catalog();
        is_built_in(&catalog, name) || catalog.has_database(name)
    }
}

/// Runs SQL over a store.
#[derive(Debug, Clone)]
pub struct SqlService {
    core: Arc<Core>,
}

/// One statement on its way: what it is, who asks, and its place on the list.
pub(crate) struct Run {
    /// What all statements share.
    pub(crate) core: Arc<Core>,
    /// Who asks, with the settings of the request and the SETTINGS clause.
    pub(crate) context: RequestContext,
    /// Its place on the list of running statements.
    pub(crate) guard: RunningGuard,
    /// What is said beside the answer.
    pub(crate) warnings: Vec<String>,
}

impl SqlService {
    /// Over this store.
    ///
    /// # Errors
    /// A spill directory that cannot be made.
    pub fn new(store: Arc<Store>, options: SqlOptions) -> Result<Self> {
        Self::of(store, options, None, None)
    }

    /// Over the stores of several nodes, of which this is one's.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn distributed(
        store: Arc<Store>,
        options: SqlOptions,
        cluster: ClusterSide,
        reads: Clustered,
    ) -> Result<Self> {
        Self::of(store, options, Some(cluster), Some(ClusterMode::new(reads)))
    }

    /// Answers other nodes' fragments of statements; None without [`Self::distributed`].
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.core.reads.is_some().then(|| Owner::new(self.core.clone()))
    }

    fn of(
        store: Arc<Store>,
        options: SqlOptions,
        cluster: Option<ClusterSide>,
        reads: Option<ClusterMode>,
    ) -> Result<Self> {
        let core = Core {
            store,
            sessions: Sessions::new(&options)?,
            plans: PlanCache::new(options.plans),
            recipes: Recipes::default(),
            running: Running::new(options.queries),
            options,
            cluster,
            reads,
        };
        Ok(Self { core: Arc::new(core) })
    }

    /// A database that somebody named has to be there. The default one may be gone, which only a table in it tells; and what
    /// makes or chooses a database needs none.
    fn check_database(&self, statement: &Statement, database: &str) -> Result<()> {
        let needs_none = matches!(
            statement,
            Statement::CreateDatabase { .. }
                | Statement::Drop { kind: ObjectKind::Database, .. }
                | Statement::Use(_)
                | Statement::Set(_)
                | Statement::Kill { .. }
                | Statement::Show(Show::Databases { .. })
        );
        if needs_none || database == DEFAULT_DATABASE || self.core.has_database(database) {
            return Ok(());
        }
        Err(Error::new(ErrorCode::UnknownDatabase, format!("Database {database} does not exist")))
    }

    /// As [`Self::attempt`]; what reads something that is not known here is asked once more with the coordinators' catalog.
    async fn start(&self, sql: &str, context: RequestContext) -> Result<Answer> {
        let known = self.core.store.catalog().version();
        let error = match self.attempt(sql, context.clone()).await {
            Err(error) if may_be_newer(error.code) => error,
            other => return other,
        };
        // One that writes may have done a part of it.
        let reads = statement::parse(sql, &context.params).is_ok_and(|parsed| !parsed.statement.writes());
        if reads && self.core.catch_up(known).await { self.attempt(sql, context).await } else { Err(error) }
    }

    async fn attempt(&self, sql: &str, mut context: RequestContext) -> Result<Answer> {
        let Parsed { statement, clauses } = statement::parse(sql, &context.params)?;
        let ending = Ending { format: clauses.format.clone(), settings: clauses.settings.clone() };
        // Nobody else fills it.
        let _ = context.ending.set(ending);
        check_settings(&clauses.settings)?;
        context.settings.extend(clauses.settings.clone());
        check_rights(&statement, &context)?;
        self.check_database(&statement, &context.database)?;
        let deadline = deadline(&context)?;
        let inserts = matches!(statement, Statement::Insert { .. });
        let guard = self.core.running.start(sql, &context, deadline)?;
        let handle = guard.handle.clone();
        let run = Run { core: self.core.clone(), context, guard, warnings: Vec::new() };
        // Planning is deep and can be long: it belongs on the query runtime, and ends with this future.
        let mut task = AbortOnDrop(self.core.options.runtime.spawn(execute::statement(run, statement)));
        let ended = tokio::select! {
            biased;
            () = handle.cancel.cancelled() => Err(handle.cancelled()),
            () = tokio::time::sleep_until(deadline.into()) => Err(handle.timed_out()),
            answer = task.join() => Ok(answer),
        };
        let mut answer = match ended {
            Ok(answer) => answer?,
            // It stops by itself between two blocks, and knows which are stored.
            Err(stopped) if inserts => match tokio::time::timeout(STOPPED_INSERT_WAIT, task.join()).await {
                Ok(answer) => answer?,
                Err(_) => return Err(stored_in_part(stopped, &handle)),
            },
            Err(stopped) => return Err(stopped),
        };
        answer.format = clauses.format;
        answer.settings.extend(clauses.settings);
        Ok(answer)
    }
}

/// Whether an error says that something is not there, which another node may have been told of already.
fn may_be_newer(code: ErrorCode) -> bool {
    use ErrorCode as E;
    matches!(code, E::UnknownTable | E::UnknownDatabase | E::UnknownIdentifier | E::NoSuchColumnInTable)
}

/// The error of an INSERT that did not stop by itself.
fn stored_in_part(stopped: Error, handle: &QueryHandle) -> Error {
    let rows = handle.progress.written_rows.load(Ordering::Relaxed);
    let text = stopped.message.trim_end_matches('.');
    let message =
        format!("{text}. The INSERT may be stored in part: {rows} rows are, a block on its way may be");
    Error::new(stopped.code, message)
}

/// A task that does not outlive the one who waits for it.
struct AbortOnDrop(tokio::task::JoinHandle<Result<Answer>>);

impl AbortOnDrop {
    async fn join(&mut self) -> Result<Answer> {
        match (&mut self.0).await {
            Ok(answer) => answer,
            Err(error) => Err(Error::internal(format!("the statement's task failed: {error}"))),
        }
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Refuses settings that are not known, as the HTTP door does.
pub(crate) fn check_settings(settings: &BTreeMap<String, String>) -> Result<()> {
    let settings = settings.iter().filter(|(name, _)| !name.starts_with(PARAMETER));
    settings.into_iter().try_for_each(|(name, value)| zepto_common::settings::check(name, value))
}

/// `SET param_x = 1` is for the session, whose parameters the door hands over with the next statement.
const PARAMETER: &str = "param_";

/// The door's deadline, or `max_execution_time` if that is sooner.
fn deadline(context: &RequestContext) -> Result<Instant> {
    let Some(text) = context.settings.get("max_execution_time") else { return Ok(context.deadline) };
    let seconds: f64 =
        text.parse().ok().filter(|s: &f64| s.is_finite() && *s >= 0.0).ok_or_else(|| {
            Error::new(ErrorCode::BadArguments, format!("max_execution_time cannot be {text}"))
        })?;
    if seconds == 0.0 {
        return Ok(context.deadline);
    }
    let wanted = Instant::now().checked_add(Duration::from_secs_f64(seconds.min(1e9)));
    Ok(wanted.map_or(context.deadline, |wanted| wanted.min(context.deadline)))
}

/// GET requests only read; readers only read; writers insert; the rest is the admin's.
fn check_rights(statement: &statement::Statement, context: &RequestContext) -> Result<()> {
    use statement::Statement as S;
    if context.read_only && statement.writes() {
        let message = "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. \
                       You should use method POST for modifying queries";
        return Err(Error::new(ErrorCode::InsertIntoReadonly, message));
    }
    let needed = match statement {
        S::Insert { .. } => Role::Writer,
        S::Kill { .. } => Role::Admin,
        other if other.writes() => Role::Admin,
        _ => Role::Reader,
    };
    if context.role < needed {
        let message = format!("{}: Not enough privileges: role {needed:?} is needed", context.user);
        return Err(Error::new(ErrorCode::AccessDenied, message));
    }
    Ok(())
}

#[async_trait]
impl QueryService for SqlService {
    async fn run(&self, sql: &str, context: RequestContext) -> Result<Answer> {
        let started = Instant::now();
        let answer = Box::pin(self.start(sql, context)).await;
        metrics::counter!(zepto_common::metric_names::QUERIES_EXECUTED).increment(1);
        metrics::histogram!(zepto_common::metric_names::QUERY_DURATION)
            .record(started.elapsed().as_secs_f64());
        answer
    }

    fn evaluator(&self, context: &RequestContext) -> Arc<dyn ExpressionEvaluator> {
        Arc::new(Evaluator::new(self.core.clone(), context.clone()))
    }

    fn running(&self) -> Vec<RunningQuery> {
        self.core.running.list()
    }

    fn kill(&self, query_id: &str) -> bool {
        !self.core.running.kill(|query| query.query_id == query_id).is_empty()
    }

    async fn running_everywhere(&self) -> Vec<RunningQuery> {
        self.core.running_everywhere().await
    }

    async fn kill_everywhere(&self, query_id: &str) -> bool {
        !self.core.stop_everywhere(&StatementsMeant::of_id(query_id), None).await.is_empty()
    }
}

#[cfg(test)]
mod tests;
