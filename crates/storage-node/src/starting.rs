//! What the door says while the storage is being opened: logs are replayed and segments verified, which can take
//! minutes, and who watches the node must be able to tell that from a dead one.
//!
//! Promises: `/health` is 200, `/ready` is 503 with its reason, every statement is 503 with `Retry-After`: nothing was
//! done. The socket is the node's own, so no connection is refused when the real door takes over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::ArrayRef;
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use zepto_common::metric_names as names;
use zepto_common::schema::{TableName, TableSchema};
use zepto_common::service::{
    Answer, ExpressionEvaluator, QueryService, RequestContext, RowSink, RunningQuery, WriteReceipt,
    WriteRequest,
};
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode, Result};
use zepto_http::{Door, Identity, NodeInfo, StoredFile, serve_until_closed};

use crate::node::{StartError, system};

/// What a node without its storage answers to everything.
#[derive(Debug)]
struct Starting {
    identity: Identity,
    settings: Value,
}

/// How long the real door waits for this one to take no more connections.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// A door in front of nothing yet; it closes when this is dropped.
#[derive(Debug)]
pub(crate) struct StartingDoor {
    open: DropGuard,
    closed: CancellationToken,
}

impl StartingDoor {
    /// Serves on the listener's socket until dropped. `door` makes the door from what it is to answer with.
    ///
    /// # Errors
    /// The socket cannot be shared.
    pub(crate) fn open(
        listener: TcpListener,
        runtime: &Runtime,
        identity: Identity,
        settings: Value,
        door: impl FnOnce(Arc<dyn RowSink>, Arc<dyn QueryService>, Arc<dyn NodeInfo>) -> Door,
    ) -> std::result::Result<(Self, TcpListener), StartError> {
        let _inside = runtime.enter();
        let share = || -> std::io::Result<(TcpListener, TcpListener)> {
            let socket = listener.into_std()?;
            Ok((TcpListener::from_std(socket.try_clone()?)?, TcpListener::from_std(socket)?))
        };
        let (shared, listener) = share().map_err(system("cannot share the listening socket"))?;
        let starting = Arc::new(Starting { identity, settings });
        let door = door(starting.clone(), starting.clone(), starting);
        let (stop, closed) = (CancellationToken::new(), CancellationToken::new());
        runtime.spawn(serve_until_closed(shared, door, stop.clone(), closed.clone()));
        Ok((Self { open: stop.drop_guard(), closed }, listener))
    }

    /// Ends it; afterwards it takes no connection, so whoever comes after the node said that it is ready meets the
    /// real door.
    pub(crate) async fn close(self) {
        drop(self.open);
        if timeout(CLOSE_TIME, self.closed.cancelled()).await.is_err() {
            tracing::warn!("the door of the start is still open: some statements may be told to try again");
        }
    }
}

fn not_yet() -> Error {
    Error::new(ErrorCode::NotReady, "The node is starting: its storage is being opened. Try again")
}

#[async_trait]
impl RowSink for Starting {
    async fn table(&self, _: &TableName) -> Result<Arc<TableSchema>> {
        Err(not_yet())
    }

    async fn write(&self, _: WriteRequest, _: Instant) -> Result<WriteReceipt> {
        Err(not_yet())
    }
}

struct NoValues;

impl ExpressionEvaluator for NoValues {
    fn evaluate(&self, _: &str, _: &ColumnType) -> Result<ArrayRef> {
        Err(not_yet())
    }
}

#[async_trait]
impl QueryService for Starting {
    async fn run(&self, _: &str, _: RequestContext) -> Result<Answer> {
        Err(not_yet())
    }

    fn evaluator(&self, _: &RequestContext) -> Arc<dyn ExpressionEvaluator> {
        Arc::new(NoValues)
    }

    fn running(&self) -> Vec<RunningQuery> {
        Vec::new()
    }

    fn kill(&self, _: &str) -> bool {
        false
    }
}

#[async_trait]
impl NodeInfo for Starting {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn not_ready(&self) -> Vec<String> {
        vec!["the node is starting: its storage is being opened".to_owned()]
    }

    fn stats(&self) -> Value {
        json!({})
    }

    fn settings(&self) -> Value {
        self.settings.clone()
    }

    fn refresh_gauges(&self) {
        metrics::gauge!(names::SERVER_UP).set(1.0);
        metrics::gauge!(names::SERVER_READY).set(0.0);
    }

    async fn create_snapshot(&self, _: Option<&str>) -> Result<Value> {
        Err(not_yet())
    }

    fn snapshots(&self) -> Result<Value> {
        Err(not_yet())
    }

    fn snapshot(&self, _: &str) -> Result<Value> {
        Err(not_yet())
    }

    fn snapshot_file(&self, _: &str, _: &str) -> Result<Box<dyn StoredFile>> {
        Err(not_yet())
    }

    async fn remove_snapshot(&self, _: &str) -> Result<Value> {
        Err(not_yet())
    }
}
