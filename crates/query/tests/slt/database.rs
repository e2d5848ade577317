//! Services over fresh stores, asked as the door would ask them.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use zepto_common::schema::TableName;
use zepto_common::service::{QueryService, RequestContext, Role, RowSink, WriteRequest};
use zepto_common::{Error, ErrorCode};
use zepto_engine::store::{Store, StoreOptions};
use zepto_formats::insert::InsertHead;
use zepto_formats::{Format, FormatSettings, ResultTotals};
use zepto_query::{SqlOptions, SqlService};

use super::cluster::{Cluster, PARTITIONS};

/// A log file of a test's store: many stores are open at once, and a disk that has room for the build has not 128 MiB
/// for each.
pub(crate) const LOG_FILE_BYTES: u64 = 1 << 20;
/// How long one statement may take.
const WAIT: Duration = Duration::from_secs(60);

/// Where statements go: one node, or several in turn.
pub(crate) struct Database {
    services: Vec<SqlService>,
    sink: Arc<dyn RowSink>,
    /// Statements so far.
    count: AtomicUsize,
    /// What lives as long as it.
    _keep: Box<dyn Any + Send + Sync>,
}

impl Database {
    /// An empty one of one node.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut options = StoreOptions::new(dir.path());
        options.seal.log_file_bytes = LOG_FILE_BYTES;
        options.partitions = Some(PARTITIONS);
        let store = Store::open(options).expect("a fresh store opens");
        let runtime = tokio::runtime::Handle::current();
        let service = SqlService::new(Arc::clone(&store), SqlOptions::new(runtime)).expect("a service");
        Self { services: vec![service], sink: store, count: AtomicUsize::new(0), _keep: Box::new(dir) }
    }

    /// An empty one of several nodes, which are asked in turn.
    pub(crate) fn over(cluster: Arc<Cluster>) -> Self {
        let services = cluster.nodes.iter().map(|node| node.service.clone()).collect();
        Self { services, sink: cluster.sink(), count: AtomicUsize::new(0), _keep: Box::new(cluster) }
    }

    fn service(&self) -> &SqlService {
        &self.services[self.count.load(Ordering::Relaxed) % self.services.len()]
    }

    fn context() -> RequestContext {
        RequestContext {
            query_id: uuid::Uuid::new_v4().to_string(),
            user: "default".to_owned(),
            role: Role::Admin,
            database: "default".to_owned(),
            settings: BTreeMap::new(),
            params: BTreeMap::new(),
            external_tables: Vec::new(),
            ending: Arc::default(),
            read_only: false,
            deadline: Instant::now() + WAIT,
            cancel: CancellationToken::new(),
        }
    }

    /// What the HTTP door does with the data of an INSERT.
    async fn insert(&self, sql: &str, head: InsertHead) -> Result<(), Error> {
        let (database, table) = head.table.clone();
        let name = TableName::new(database.unwrap_or_else(|| "default".to_owned()), table);
        let schema = self.sink.table(&name).await?;
        let evaluator = self.service().evaluator(&Self::context());
        let settings = FormatSettings::from_map(&head.settings)?;
        let format = Format::parse(head.format.as_deref().unwrap_or("Values"))?;
        let columns = head.columns_of(&schema)?;
        let columns = columns.as_deref();
        let mut decoder = zepto_formats::decoder(format, &schema, columns, &settings, Some(evaluator))?;
        let mut blocks = Vec::new();
        decoder.push(&sql.as_bytes()[head.data_offset..], &mut blocks)?;
        decoder.finish(&mut blocks)?;
        for (block, rows) in blocks.into_iter().enumerate() {
            let request = WriteRequest {
                table: Arc::clone(&schema),
                batch: None,
                block: block as u32,
                repeatable: true,
                rows,
            };
            self.sink.write(request, Instant::now() + WAIT).await?;
        }
        Ok(())
    }

    /// A statement's answer as text, in TabSeparated where it names no format; None for one without rows.
    pub(crate) async fn query(&self, sql: &str) -> Result<Option<String>, Error> {
        self.query_as(sql, "TabSeparated").await
    }

    /// The same with another format where the statement names none.
    pub(crate) async fn query_as(&self, sql: &str, format: &str) -> Result<Option<String>, Error> {
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(head) = InsertHead::parse(sql.as_bytes())? {
            self.insert(sql, head).await?;
            return Ok(None);
        }
        let answer = self.service().run(sql, Self::context()).await?;
        let Some((schema, mut rows)) = answer.rows else { return Ok(None) };
        let beside = answer.beside;
        let format = Format::parse(answer.format.as_deref().unwrap_or(format))?;
        let mut encoder =
            zepto_formats::encoder(format, schema, &FormatSettings::from_map(&answer.settings)?)?;
        let mut out = Vec::new();
        encoder.begin(&mut out)?;
        while let Some(batch) = rows.next().await {
            encoder.batch(&batch?, &mut out)?;
        }
        let totals = ResultTotals {
            totals: beside.totals.get().cloned(),
            extremes: beside.extremes.get().cloned(),
            ..ResultTotals::default()
        };
        encoder.finish(&totals, &mut out)?;
        String::from_utf8(out)
            .map(Some)
            .map_err(|error| Error::new(ErrorCode::LogicalError, error.to_string()))
    }
}
