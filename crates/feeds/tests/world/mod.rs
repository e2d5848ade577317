//! A mock broker of librdkafka, a real store on a simulated disk behind a sink that can be told to misbehave, and a
//! producer.

#![allow(dead_code, reason = "each test file uses a part of it")]

#[path = "../../../engine/tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use common::{column, ids, quiet};
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::{ClientConfig, TopicPartitionList};
use zepto_common::schema::{Column, TableName, TableSchema};
use zepto_common::service::{RowSink, WriteReceipt, WriteRequest};
use zepto_common::source::FeedStream;
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode, Result};
use zepto_engine::catalog::NewTable;
use zepto_engine::disk::SimDisk;
use zepto_engine::{Store, StoreOptions};
use zepto_feeds::status::FeedStatus;
use zepto_feeds::{FeedConfig, Feeds, dead_letter};

pub(crate) use common::trades;

pub(crate) const TOPIC: &str = "orders";
pub(crate) const PARTITIONS: i32 = 4;
/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A broker, a store, and a producer.
pub(crate) struct World {
    pub(crate) cluster: MockCluster<'static, DefaultProducerContext>,
    pub(crate) producer: BaseProducer,
    pub(crate) disk: Arc<SimDisk>,
    pub(crate) store: Arc<Store>,
    pub(crate) moods: Arc<Moods>,
    pub(crate) produced: i64,
    /// The feed that was started last.
    newest: Mutex<Option<Arc<FeedStatus>>>,
}

/// How the storage behaves beside what its disk does.
#[derive(Default)]
pub(crate) struct Moods {
    /// Every write is refused with this.
    pub(crate) refuses: Mutex<Option<ErrorCode>>,
    /// Writes do not end, whatever their deadline.
    pub(crate) hangs: AtomicBool,
    /// Positions cannot be raised at the moment.
    pub(crate) keeps_positions: AtomicBool,
    /// Positions do not move.
    pub(crate) forgets: AtomicBool,
    /// Writes that were asked for.
    pub(crate) writes: AtomicU64,
}

/// The store, in its mood.
struct Moody {
    store: Arc<Store>,
    moods: Arc<Moods>,
}

#[async_trait]
impl RowSink for Moody {
    async fn table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        self.store.table(name).await
    }

    async fn write(&self, request: WriteRequest, deadline: Instant) -> Result<WriteReceipt> {
        self.moods.writes.fetch_add(1, Ordering::Relaxed);
        if self.moods.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let refused = *self.moods.refuses.lock();
        match refused {
            Some(code) => Err(Error::new(code, "the storage is told to refuse")),
            None => self.store.write(request, deadline).await,
        }
    }

    async fn feed_positions(
        &self,
        stream: &FeedStream,
        raise: &BTreeMap<u32, u64>,
        deadline: Instant,
    ) -> Result<BTreeMap<u32, u64>> {
        if !raise.is_empty() && self.moods.keeps_positions.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorCode::NotReady, "the storage is told to keep its positions"));
        }
        let raise = match self.moods.forgets.load(Ordering::Relaxed) {
            true => BTreeMap::new(),
            false => raise.clone(),
        };
        RowSink::feed_positions(self.store.as_ref(), stream, &raise, deadline).await
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let cluster = MockCluster::new(1).expect("a cluster");
        cluster.create_topic(TOPIC, PARTITIONS, 1).expect("a topic");
        let producer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .create()
            .expect("a producer");
        let disk = SimDisk::new();
        let store = Store::open(options(&disk)).expect("opens");
        store.create_table(dead_letters()).await.expect("creates");
        store.create_table(trades("t")).await.expect("creates");
        let (moods, newest) = (Arc::default(), Mutex::default());
        Self { cluster, producer, disk, store, moods, produced: 0, newest }
    }

    /// The feed's configuration.
    pub(crate) fn feed(&self) -> FeedConfig {
        let text = format!(
            "name: f\ntable: t\nformat: JSONEachRow\ndeadLetter: dead\n\
             kafka: {{ brokers: ['{}'], topics: [{TOPIC}], groupId: g }}\n",
            self.cluster.bootstrap_servers()
        );
        serde_yaml_ng::from_str(&text).expect("a configuration")
    }

    pub(crate) fn start(&self, config: FeedConfig) -> (Feeds, Arc<FeedStatus>) {
        let sink: Arc<dyn RowSink> = Arc::new(Moody { store: self.store.clone(), moods: self.moods.clone() });
        let feeds = Feeds::start(vec![config], &sink);
        let status = feeds.statuses().pop().expect("one feed");
        *self.newest.lock() = Some(status.clone());
        (feeds, status)
    }

    pub(crate) fn send(&self, partition: i32, payload: &[u8]) {
        let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(TOPIC).partition(partition).payload(payload);
        self.producer.send(record).map_err(|(error, _)| error).expect("sends");
    }

    /// Sends so many good messages over all partitions.
    pub(crate) fn produce(&mut self, count: i64) {
        for id in self.produced..self.produced + count {
            self.send((id % i64::from(PARTITIONS)) as i32, message(id).as_bytes());
        }
        self.produced += count;
        self.producer.flush(PATIENCE).expect("the broker takes them");
    }

    /// Messages that the group has committed.
    pub(crate) fn committed(&self) -> i64 {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers()).set("group.id", "g");
        let reader: BaseConsumer = config.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_range(TOPIC, 0, PARTITIONS - 1);
        let committed = reader.committed_offsets(list, PATIENCE).expect("the broker tells");
        committed.elements().iter().filter_map(|it| it.offset().to_raw()).map(|offset| offset.max(0)).sum()
    }

    pub(crate) fn table(&self, name: &str) -> Arc<TableSchema> {
        let name = TableName::new("default", name);
        self.store.catalog().table(&name).expect("the table").clone()
    }

    pub(crate) fn stored(&self) -> Vec<i64> {
        ids(&self.store, self.table("t").id)
    }

    /// The sum of all positions of a table.
    pub(crate) fn positions(&self, table: &str) -> u64 {
        let id = self.table(table).id;
        let all = self.store.feed_positions();
        all.iter().filter(|it| it.table == id).map(|it| it.offset).sum()
    }

    /// How many rows a table has.
    pub(crate) fn rows(&self, table: &str) -> usize {
        let snapshot = self.store.snapshot(self.table(table).id).expect("a table");
        snapshot.parts.iter().map(|part| part.rows()).sum()
    }

    /// Values of a column of numbers, sorted.
    pub(crate) fn numbers(&self, table: &str, column: &str) -> Vec<i64> {
        let snapshot = self.store.snapshot(self.table(table).id).expect("a table");
        let column = snapshot.schema.index_of(column).expect("a column");
        let mut found = Vec::new();
        for part in &snapshot.parts {
            for rows in part.scan(&snapshot.schema, &[column], std::slice::from_ref(&(0..part.rows())), 8192)
            {
                let rows = rows.expect("the part can be read");
                found.extend_from_slice(rows.column(0).as_primitive::<Int64Type>().values());
            }
        }
        found.sort_unstable();
        found
    }

    /// Waits until every message is there, each once.
    pub(crate) async fn complete(&self) {
        let expected: Vec<i64> = (0..self.produced).collect();
        let end = Instant::now() + PATIENCE;
        while self.stored().len() < expected.len() {
            let shown = self.newest.lock().as_ref().map(|status| status.show());
            assert!(Instant::now() < end, "{} of {} rows: {shown:?}", self.stored().len(), expected.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.stored(), expected);
    }
}

pub(crate) fn options(disk: &Arc<SimDisk>) -> StoreOptions {
    let mut options = quiet(StoreOptions::new("/data"));
    options.disk = disk.clone();
    options.exclusive = false;
    options.partitions = Some(16);
    options.disk_reserve = 0;
    options.seal.log_file_bytes = 64 << 10;
    options
}

/// A column of numbers.
pub(crate) fn number(name: &str) -> Column {
    column(name, ColumnType::Int64)
}

/// The table that the statement makes which people are told.
fn dead_letters() -> NewTable {
    let statement = dead_letter::create_statement("dead");
    let columns =
        statement.split_once(" (").and_then(|(_, rest)| rest.split_once(") ENGINE")).expect("columns");
    let column = |text: &str| {
        let (name, ty) = text.split_once(' ').expect("a name and a type");
        column(name, ty.parse().expect("a type"))
    };
    let columns = columns.0.split(", ").map(column).collect();
    NewTable { columns, key: None, order_by: vec!["feed".to_owned(), "time".to_owned()], ..trades("dead") }
}

pub(crate) fn message(id: i64) -> String {
    format!("{{\"symbol\":\"K{}\",\"time\":{},\"price\":{}.5,\"id\":{id}}}", id % 40, 1_700_000_000 + id, id)
}

pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
