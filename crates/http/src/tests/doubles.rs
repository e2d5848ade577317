//! A sink that keeps rows in memory, a query service that answers by script, and a node that says what it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, StringViewArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use metrics_exporter_prometheus::PrometheusBuilder;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zepto_common::auth::Authenticator;
use zepto_common::ids::{ColumnId, SchemaVersion, TableId};
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::service::{
    Answer, Ending, ExpressionEvaluator, Progress, QueryService, RequestContext, RowSink, RunningQuery,
    WriteReceipt, WriteRequest,
};
use zepto_common::types::ColumnType;
use zepto_common::{BatchId, Error, ErrorCode, Result};

use crate::door::{Door, DoorLimits, Forward, ForwardedStatement, Identity, NodeInfo, RebalanceChange};
use zepto_tls::Tls;

/// `t (k String, v Int64)`.
pub(crate) fn table() -> Arc<TableSchema> {
    let column = |id, name: &str, ty| Column {
        id: ColumnId(id),
        name: name.to_owned(),
        ty,
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    Arc::new(TableSchema {
        id: TableId(1),
        version: SchemaVersion(1),
        name: TableName::new("default", "t"),
        columns: vec![column(1, "k", ColumnType::String), column(2, "v", ColumnType::Int64)],
        key: Some(ColumnId(1)),
        time: None,
        order_by: vec![ColumnId(1)],
        ttl_seconds: None,
        engine: "MergeTree".to_owned(),
        comment: String::new(),
    })
}

/// Keeps what it is given.
#[derive(Default)]
pub(crate) struct MemorySink {
    pub(crate) writes: Mutex<Vec<(Option<BatchId>, u32, RecordBatch)>>,
    /// The error of each block with this number.
    pub(crate) faults: Mutex<BTreeMap<u32, Error>>,
    /// While set, each write needs a permit.
    pub(crate) gate: Mutex<Option<Arc<Semaphore>>>,
    pub(crate) waiting: AtomicUsize,
}

impl MemorySink {
    pub(crate) fn rows(&self) -> usize {
        self.writes.lock().iter().map(|(_, _, rows)| rows.num_rows()).sum()
    }

    /// The values of column `v`, in block order.
    pub(crate) fn values(&self) -> Vec<i64> {
        let mut writes = self.writes.lock().clone();
        writes.sort_by_key(|(_, block, _)| *block);
        let column = |rows: &RecordBatch| rows.column(1).as_primitive::<Int64Type>().values().to_vec();
        writes.iter().flat_map(|(_, _, rows)| column(rows)).collect()
    }
}

#[async_trait]
impl RowSink for MemorySink {
    async fn table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        if *name == table().name {
            return Ok(table());
        }
        Err(Error::new(ErrorCode::UnknownTable, format!("Table {name} does not exist")))
    }

    async fn write(&self, request: WriteRequest, _deadline: Instant) -> Result<WriteReceipt> {
        let gate = self.gate.lock().clone();
        if let Some(gate) = gate {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.map_err(|error| Error::internal(error.to_string()))?.forget();
            self.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        if let Some(fault) = self.faults.lock().get(&request.block) {
            return Err(fault.clone());
        }
        let rows = request.rows.num_rows() as u64;
        let mut writes = self.writes.lock();
        if request.batch.is_some() && writes.iter().any(|w| (w.0, w.1) == (request.batch, request.block)) {
            return Ok(WriteReceipt { rows: 0, duplicate_rows: rows });
        }
        writes.push((request.batch, request.block, request.rows));
        Ok(WriteReceipt { rows, duplicate_rows: 0 })
    }
}

/// Answers by what the statement says; see [`ScriptedQueries::run`].
#[derive(Default)]
pub(crate) struct ScriptedQueries {
    pub(crate) contexts: Mutex<Vec<(String, RequestContext)>>,
    /// Batches that were asked for.
    pub(crate) pulled: Arc<AtomicU64>,
}

impl ScriptedQueries {
    pub(crate) fn last(&self) -> (String, RequestContext) {
        self.contexts.lock().last().cloned().expect("a statement ran")
    }
}

fn numbers_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("number", DataType::UInt64, false)]))
}

fn numbers(from: u64, rows: u64) -> RecordBatch {
    let values: ArrayRef = Arc::new(UInt64Array::from_iter_values(from..from + rows));
    RecordBatch::try_new(numbers_schema(), vec![values]).unwrap()
}

/// What `SET a = 1, b = 2` or `USE d` says.
fn settings_of(said: &str) -> BTreeMap<String, String> {
    let pairs = said.split(',').map(|pair| pair.split_once('=').unwrap_or(("database", pair)));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

/// A statement without its FORMAT and SETTINGS, and those.
fn clauses_of(sql: &str) -> (&str, Option<String>, BTreeMap<String, String>) {
    let (text, format) = match sql.rsplit_once("FORMAT ") {
        Some((text, format)) => (text.trim(), Some(format.trim().to_owned())),
        None => (sql.trim(), None),
    };
    match text.rsplit_once(" SETTINGS ") {
        Some((text, clause)) => (text, format, settings_of(clause)),
        None => (text, format, BTreeMap::new()),
    }
}

#[async_trait]
impl QueryService for ScriptedQueries {
    /// `SELECT 1`; `SELECT batches N ROWS R [THEN fail|hang]`; `SELECT hang`, `SELECT panic`; `fail: message`; `SELECT params`;
    /// anything else has no rows. `FORMAT X` at the end is taken off.
    async fn run(&self, sql: &str, context: RequestContext) -> Result<Answer> {
        self.contexts.lock().push((sql.to_owned(), context.clone()));
        let (text, format, clause) = clauses_of(sql);
        let _ = context.ending.set(Ending { format: format.clone(), settings: clause.clone() });
        let progress = Arc::new(Progress::default());
        let words: Vec<&str> = text.split_whitespace().collect();
        let rows = match words[..] {
            ["SELECT", "1"] => {
                progress.read(1, 8);
                let batch = numbers(1, 1);
                Some((batch.schema(), stream::iter([Ok(batch)]).boxed()))
            }
            ["SELECT", "hang"] => {
                context.cancel.cancelled().await;
                return Err(Error::new(ErrorCode::QueryWasCancelled, "cancelled"));
            }
            ["SELECT", "panic"] => panic!("planted"),
            ["SELECT", "params"] => {
                let text = format!("{:?}", context.params);
                let schema = Arc::new(Schema::new(vec![Field::new("p", DataType::Utf8View, false)]));
                let array: ArrayRef = Arc::new(StringViewArray::from(vec![text]));
                let batch = RecordBatch::try_new(schema.clone(), vec![array]).unwrap();
                Some((schema, stream::iter([Ok(batch)]).boxed()))
            }
            ["SELECT", "batches", count, "ROWS", rows, ref then @ ..] => {
                let (count, rows): (u64, u64) = (count.parse().unwrap(), rows.parse().unwrap());
                let pulled = self.pulled.clone();
                let batches = stream::iter(0..count).map(move |i| {
                    pulled.fetch_add(1, Ordering::SeqCst);
                    Ok(numbers(i * rows, rows))
                });
                let cancel = context.cancel.clone();
                let end = match then {
                    ["THEN", "fail"] => {
                        let error = Error::new(ErrorCode::MemoryLimitExceeded, "planted fault");
                        stream::iter([Err(error)]).boxed()
                    }
                    ["THEN", "hang"] => stream::once(async move {
                        cancel.cancelled().await;
                        Err(Error::new(ErrorCode::QueryWasCancelled, "cancelled"))
                    })
                    .boxed(),
                    _ => stream::empty().boxed(),
                };
                Some((numbers_schema(), batches.chain(end).boxed()))
            }
            ["SET" | "USE", ref said @ ..] => {
                let (settings, beside, warnings) = (settings_of(&said.join(" ")), Arc::default(), vec![]);
                return Ok(Answer { rows: None, beside, format, settings, progress, warnings });
            }
            ["SELECT", "slowly"] => {
                progress.read(1, 8);
                let batch = numbers(1, 1);
                let late = stream::once(async move {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    Ok(batch)
                });
                Some((numbers_schema(), late.boxed()))
            }
            ["INSERT", ..] if !text.contains("SELECT") => {
                return Err(Error::new(ErrorCode::SyntaxError, "Syntax error"));
            }
            ["fail:", ..] => return Err(Error::new(ErrorCode::UnknownTable, text[5..].trim())),
            _ => None,
        };
        let warnings = if text.contains("WARN") { vec!["SETTINGS were\nignored".to_owned()] } else { vec![] };
        let settings = clause;
        Ok(Answer { rows, beside: Arc::default(), format, settings, progress, warnings })
    }

    fn evaluator(&self, _: &RequestContext) -> Arc<dyn ExpressionEvaluator> {
        Arc::new(NoExpressions)
    }

    fn running(&self) -> Vec<RunningQuery> {
        let query = |(sql, context): &(String, RequestContext)| RunningQuery {
            query_id: context.query_id.clone(),
            user: context.user.clone(),
            query: sql.clone(),
            elapsed: 0.5,
            read_rows: 0,
            memory_usage: 0,
            node: None,
        };
        self.contexts.lock().iter().filter(|(_, c)| !c.cancel.is_cancelled()).map(query).collect()
    }

    fn kill(&self, query_id: &str) -> bool {
        let contexts = self.contexts.lock();
        let found = contexts.iter().find(|(_, c)| c.query_id == query_id && !c.cancel.is_cancelled());
        found.inspect(|(_, context)| context.cancel.cancel()).is_some()
    }
}

struct NoExpressions;

impl ExpressionEvaluator for NoExpressions {
    fn evaluate(&self, expression: &str, _: &ColumnType) -> Result<ArrayRef> {
        match expression.trim() {
            "1 + 1" => Ok(Arc::new(arrow::array::Int64Array::from(vec![2]))),
            "upper('x')" => Ok(Arc::new(StringArray::from(vec!["X"]))),
            other => Err(Error::new(ErrorCode::SyntaxError, format!("cannot evaluate {other}"))),
        }
    }
}

/// Says what its fields say.
pub(crate) struct TestNode {
    identity: Identity,
    pub(crate) ready: AtomicBool,
    pub(crate) refreshed: AtomicU64,
    forward: Option<BrokenAnswers>,
}

/// Answers every statement with these bytes and a break, both there at once.
struct BrokenAnswers(&'static [u8]);

#[async_trait]
impl Forward for BrokenAnswers {
    async fn forward(&self, _statement: ForwardedStatement) -> Result<http::Response<Body>> {
        let parts = [Ok(Bytes::from_static(self.0)), Err(std::io::Error::other("the node is gone"))];
        Ok(http::Response::new(Body::from_stream(stream::iter(parts))))
    }
}

#[async_trait]
impl NodeInfo for TestNode {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn not_ready(&self) -> Vec<String> {
        if self.ready.load(Ordering::SeqCst) { vec![] } else { vec!["replaying the log".to_owned()] }
    }

    fn forward(&self) -> Option<&dyn Forward> {
        self.forward.as_ref().map(|it| it as &dyn Forward)
    }

    fn stats(&self) -> Value {
        json!({"ticks_stored": 7})
    }

    fn settings(&self) -> Value {
        json!({"http_port": 8123, "cluster_secret": "<redacted>"})
    }

    fn refresh_gauges(&self) {
        self.refreshed.fetch_add(1, Ordering::SeqCst);
    }

    async fn rebalance(&self) -> Result<Value> {
        Ok(json!({"rebalancing": "on", "moves": [1], "handovers": [2], "history": [3]}))
    }

    async fn change_rebalance(&self, change: RebalanceChange) -> Result<Value> {
        match change {
            RebalanceChange::Drain(9) => Err(Error::new(ErrorCode::BadArguments, "there is no node 9")),
            change => Ok(json!(format!("{change:?}"))),
        }
    }

    async fn create_snapshot(&self, name: Option<&str>) -> Result<Value> {
        match name {
            Some("taken") => Err(Error::new(ErrorCode::BadArguments, "there is a snapshot taken")),
            name => Ok(json!({"name": name.unwrap_or("snapshot-1")})),
        }
    }

    fn snapshots(&self) -> Result<Value> {
        Ok(json!([{"name": "snapshot-1"}]))
    }
}

/// A door that serves on a free port of loopback.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) sink: Arc<MemorySink>,
    pub(crate) queries: Arc<ScriptedQueries>,
    pub(crate) node: Arc<TestNode>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<std::io::Result<()>>,
}

/// What a test wants otherwise than usual.
pub(crate) struct Wish {
    pub(crate) auth: Authenticator,
    pub(crate) limits: DoorLimits,
    pub(crate) protect_metrics: bool,
    pub(crate) tls: Option<Tls>,
    /// The node has others run its statements, whose answers begin so and break.
    pub(crate) forwards: Option<&'static [u8]>,
}

impl Default for Wish {
    fn default() -> Self {
        // Short bounds, so that a test of one is quick and a hanging test ends.
        let limits = DoorLimits {
            head_time: Duration::from_secs(2),
            stall: Duration::from_secs(2),
            query_time: Duration::from_secs(20),
            insert_time: Duration::from_secs(20),
            shutdown_time: Duration::from_secs(5),
            insert_wait: Duration::from_millis(300),
            ..DoorLimits::default()
        };
        Self { auth: Authenticator::open(), limits, protect_metrics: false, tls: None, forwards: None }
    }
}

pub(crate) async fn start(wish: Wish) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sink, queries) = (Arc::new(MemorySink::default()), Arc::new(ScriptedQueries::default()));
    let identity = Identity {
        role: "storage",
        node_id: "0".to_owned(),
        display_name: "test-node".to_owned(),
        version: "0.1.0".to_owned(),
        started: Instant::now(),
    };
    let node = Arc::new(TestNode {
        identity,
        ready: AtomicBool::new(true),
        refreshed: AtomicU64::new(0),
        forward: wish.forwards.map(BrokenAnswers),
    });
    let door = Door {
        sink: sink.clone(),
        queries: queries.clone(),
        node: node.clone(),
        auth: Arc::new(wish.auth),
        limits: wish.limits,
        metrics: PrometheusBuilder::new().build_recorder().handle(),
        protect_metrics: wish.protect_metrics,
        tls: wish.tls.map(Arc::new),
    };
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(crate::serve(listener, door, shutdown.clone()));
    Running { address, sink, queries, node, shutdown, served }
}
