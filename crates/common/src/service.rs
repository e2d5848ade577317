//! The two traits between doors (HTTP, feeds) and data: [`RowSink`] takes rows, [`QueryService`] runs statements.
//! Authentication, formats and limits are the door's; the node behind it is one process or a cluster.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use futures::Stream;
use tokio_util::sync::CancellationToken;

use crate::catalog::Ddl;
use crate::error::{Error, ErrorCode, Result};
use crate::ids::{BatchId, PartitionId};
use crate::schema::{TableName, TableSchema};
use crate::source::FeedStream;

/// What a caller may do, each role including the ones below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// `/metrics` and `/stats` only.
    Metrics,
    /// Read-only statements.
    Reader,
    /// Reader, and INSERT.
    Writer,
    /// Everything: DDL, mutations, `/admin`.
    Admin,
}

/// One block of rows on its way to storage.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// The schema that the rows were made with.
    pub table: Arc<TableSchema>,
    /// Recognises a retry; None is stored every time it is sent.
    pub batch: Option<BatchId>,
    /// Number of this block within its request: the cut is a function of the row number alone.
    pub block: u32,
    /// Whether the rows are a function of the request alone, so that a retry has the same bytes. Not so with
    /// `DEFAULT now()` and for what a SELECT gave.
    pub repeatable: bool,
    /// All columns of the schema in its order, in storage types, without NULL in columns that are not Nullable. With a
    /// batch of a source one more: [`crate::source`].
    pub rows: RecordBatch,
}

/// What became of one partition's part of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionOutcome {
    /// The partition.
    pub partition: PartitionId,
    /// Rows of the block that belong to it.
    pub rows: u64,
    /// What became of them.
    pub state: OutcomeState,
}

/// The end of one sub-batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeState {
    /// Durable and visible.
    Committed,
    /// Was durable before under the same batch id.
    Duplicate,
    /// Certainly not stored.
    Refused,
    /// Perhaps stored: repeat with the same batch id.
    Unknown,
}

/// The answer to a write that succeeded: every part is committed or a duplicate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteReceipt {
    /// Rows made durable by this write.
    pub rows: u64,
    /// Rows that were durable before.
    pub duplicate_rows: u64,
}

/// Takes rows. An `Ok` means durable and visible to the next query.
#[async_trait]
pub trait RowSink: Send + Sync {
    /// The table's newest schema.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownDatabase`.
    async fn table(&self, name: &TableName) -> Result<Arc<TableSchema>>;

    /// The table's schema after every change that was answered before this call, on whichever node. Asked when a name
    /// is missing in what [`Self::table`] gave.
    ///
    /// # Errors
    /// As there; `NotReady` while that cannot be known.
    async fn newest_table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        self.table(name).await
    }

    /// Makes a block durable.
    ///
    /// # Errors
    /// `Overloaded`, `NotEnoughSpace`, `TableIsReadOnly`: nothing was stored. `UnknownStatusOfInsert`: perhaps stored.
    async fn write(&self, request: WriteRequest, deadline: Instant) -> Result<WriteReceipt>;

    /// Raises the resume positions of a feed's stream, durably, and gives all of them: the next offset of each partition
    /// of the source below which every row is stored. A position never falls.
    ///
    /// # Errors
    /// `NotImplemented` where nobody keeps positions; else as [`Self::write`].
    async fn feed_positions(
        &self,
        _stream: &FeedStream,
        _raise: &BTreeMap<u32, u64>,
        _deadline: Instant,
    ) -> Result<BTreeMap<u32, u64>> {
        Err(Error::new(ErrorCode::NotImplemented, "this node keeps no positions of feeds"))
    }
}

/// Has changes of the catalog agreed on, on a node that is one of several.
#[async_trait]
pub trait CatalogChanges: Send + Sync {
    /// Makes a change true everywhere and waits until this node has it.
    ///
    /// # Errors
    /// The change's own; `NotReady` while nobody can agree: perhaps it comes in force later all the same.
    async fn change(&self, change: Ddl) -> Result<()>;

    /// Whether this node has a newer catalog than `known`, after asking for it within a bounded time: a change that another
    /// node has answered may not have come here yet.
    async fn catch_up(&self, known: u64) -> bool;
}

/// A node, as another or itself sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NodeStatus {
    /// Its id.
    pub id: u32,
    /// `storage` or `ingest`.
    pub role: String,
    /// `JOINING`, `ACTIVE`, `SUSPECT`, `DEAD`, `LEAVING`.
    pub state: String,
    /// Which start of it.
    pub incarnation: u64,
    /// Where it is.
    pub zone: String,
    /// `host:port` of its door.
    pub http: String,
    /// `host:port` for other nodes; empty = none.
    pub rpc: String,
    /// Partitions that it owns.
    pub partitions_owned: u64,
    /// Rows per second that it takes; None while it was not heard.
    pub rows_per_second: Option<u64>,
}

/// Which running statements are meant: those of which all that is given is true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatementsMeant {
    /// The statement's id.
    pub query_id: Option<String>,
    /// Whose it is.
    pub user: Option<String>,
}

impl StatementsMeant {
    /// The statement of this id.
    #[must_use]
    pub fn of_id(query_id: &str) -> Self {
        Self { query_id: Some(query_id.to_owned()), user: None }
    }

    /// Whether this one is meant.
    #[must_use]
    pub fn has(&self, query: &RunningQuery) -> bool {
        self.query_id.as_ref().is_none_or(|id| *id == query.query_id)
            && self.user.as_ref().is_none_or(|user| *user == query.user)
    }
}

/// Statements that run on the other nodes of a cluster. A node that does not answer in time is passed over.
#[async_trait]
pub trait StatementsElsewhere: Send + Sync {
    /// All of them.
    async fn running(&self) -> Vec<RunningQuery>;

    /// Stops those that are meant; gives them.
    async fn stop(&self, meant: &StatementsMeant) -> Vec<RunningQuery>;
}

/// Knows the nodes.
pub trait ClusterNodes: Send + Sync {
    /// All of them, by id.
    fn nodes(&self) -> Vec<NodeStatus>;
}

/// Evaluates an expression inside VALUES that is not a literal; the query service has one.
pub trait ExpressionEvaluator: Send + Sync {
    /// The value of `expression`, as a one-row array of the type's storage form.
    ///
    /// # Errors
    /// `SyntaxError`, `TypeMismatch`, or what the evaluation says.
    fn evaluate(&self, expression: &str, ty: &crate::types::ColumnType) -> Result<arrow::array::ArrayRef>;
}

/// A table that came with a request and lives as long as its statement.
#[derive(Debug, Clone)]
pub struct ExternalTable {
    /// Its name without a database, and its columns.
    pub table: Arc<TableSchema>,
    /// Its rows: all columns of the schema in its order, in storage types.
    pub batches: Vec<RecordBatch>,
}

/// What the end of a statement asks of its answer: known once it is parsed, also when it fails after that.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// The FORMAT clause, as written.
    pub format: Option<String>,
    /// The SETTINGS clause.
    pub settings: BTreeMap<String, String>,
}

/// Who asks for what, under which bounds.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Echoed to the client; kill uses it.
    pub query_id: String,
    /// The authenticated subject.
    pub user: String,
    /// What the subject may do.
    pub role: Role,
    /// For names without a database.
    pub database: String,
    /// Settings of the request (over those of the session), names checked by the door.
    pub settings: BTreeMap<String, String>,
    /// `param_<name>` values, unescaped. A missing value is None (NULL).
    pub params: BTreeMap<String, Option<String>>,
    /// Tables that came with the request; in a query their names go before those of the database.
    pub external_tables: Vec<ExternalTable>,
    /// Filled as soon as the statement is parsed.
    pub ending: Arc<OnceLock<Ending>>,
    /// HTTP GET: only reading statements.
    pub read_only: bool,
    /// End of the wait.
    pub deadline: Instant,
    /// Fires when the client went away or the query was killed.
    pub cancel: CancellationToken,
}

/// Counters of one running statement, read while it runs.
#[derive(Debug, Default)]
pub struct Progress {
    /// Rows read from storage.
    pub read_rows: AtomicU64,
    /// Bytes read from storage.
    pub read_bytes: AtomicU64,
    /// Rows to read by the plan.
    pub total_rows: AtomicU64,
    /// Rows written by INSERT … SELECT or a mutation.
    pub written_rows: AtomicU64,
    /// Bytes of these rows.
    pub written_bytes: AtomicU64,
    /// Rows of the result so far.
    pub result_rows: AtomicU64,
    /// Most bytes of memory that the statement held; 0 while nobody counts them.
    pub memory_usage: AtomicU64,
}

impl Progress {
    /// Adds rows and bytes read.
    pub fn read(&self, rows: u64, bytes: u64) {
        self.read_rows.fetch_add(rows, Ordering::Relaxed);
        self.read_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A result on its way: batches in query types; an error ends it.
pub type RowStream = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

/// What a result has beside its rows, known when they end.
#[derive(Debug, Default)]
pub struct Beside {
    /// The row of `WITH TOTALS`.
    pub totals: OnceLock<RecordBatch>,
    /// Two rows of `extremes = 1`: the least values and the greatest.
    pub extremes: OnceLock<RecordBatch>,
}

/// The answer to a statement.
pub struct Answer {
    /// Rows, or None for a statement that gives none.
    pub rows: Option<(SchemaRef, RowStream)>,
    /// What comes beside them.
    pub beside: Arc<Beside>,
    /// The FORMAT clause, as written.
    pub format: Option<String>,
    /// Settings from the SETTINGS clause that concern the door (output formats).
    pub settings: BTreeMap<String, String>,
    /// Live counters.
    pub progress: Arc<Progress>,
    /// What was ignored, said in a header.
    pub warnings: Vec<String>,
}

/// One running statement.
#[derive(Debug, Clone, serde::Serialize)]
pub struct RunningQuery {
    /// Its id.
    pub query_id: String,
    /// Its subject.
    pub user: String,
    /// Its text, bounded.
    pub query: String,
    /// Seconds since its start.
    pub elapsed: f64,
    /// Rows read so far.
    pub read_rows: u64,
    /// Bytes of memory it holds.
    pub memory_usage: u64,
    /// The node that it was sent to, in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<u32>,
}

/// Runs statements (all but INSERT with data, which the door decodes and hands to [`RowSink`]).
#[async_trait]
pub trait QueryService: Send + Sync {
    /// Plans and starts a statement. Rows come by the answer's stream.
    ///
    /// # Errors
    /// ClickHouse's code for the fault.
    async fn run(&self, sql: &str, context: RequestContext) -> Result<Answer>;

    /// Evaluates expressions in VALUES under this context.
    fn evaluator(&self, context: &RequestContext) -> Arc<dyn ExpressionEvaluator>;

    /// What runs now on this node.
    fn running(&self) -> Vec<RunningQuery>;

    /// Stops a statement of this node; false when there is none with this id.
    fn kill(&self, query_id: &str) -> bool;

    /// What runs now on all nodes.
    async fn running_everywhere(&self) -> Vec<RunningQuery> {
        self.running()
    }

    /// Stops a statement, whichever node it was sent to; false when there is none with this id.
    async fn kill_everywhere(&self, query_id: &str) -> bool {
        self.kill(query_id)
    }
}
