//! Feeds from librdkafka's mock cluster into a real store on a simulated disk.

#![expect(clippy::expect_used, reason = "a test")]

#[path = "../../engine/tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{column, ids, quiet, trades};
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::{ClientConfig, TopicPartitionList};
use zepto_common::service::RowSink;
use zepto_common::source::FeedStream;
use zepto_common::types::ColumnType;
use zepto_engine::catalog::NewTable;
use zepto_engine::disk::SimDisk;
use zepto_engine::disk::sim::Fault;
use zepto_engine::{Store, StoreOptions};
use zepto_feeds::status::FeedStatus;
use zepto_feeds::supervisor::State;
use zepto_feeds::{FeedConfig, Feeds};

const TOPIC: &str = "orders";
const PARTITIONS: i32 = 4;
/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A broker, a store, and a producer.
struct World {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
    disk: Arc<SimDisk>,
    store: Arc<Store>,
    produced: i64,
    /// The feed that was started last.
    newest: Mutex<Option<Arc<FeedStatus>>>,
}

impl World {
    async fn new() -> Self {
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
        Self { cluster, producer, disk, store, produced: 0, newest: Mutex::default() }
    }

    /// The feed's configuration.
    fn feed(&self) -> FeedConfig {
        let text = format!(
            "name: f\ntable: t\nformat: JSONEachRow\ndeadLetter: dead\n\
             kafka: {{ brokers: ['{}'], topics: [{TOPIC}], groupId: g }}\n",
            self.cluster.bootstrap_servers()
        );
        serde_yaml_ng::from_str(&text).expect("a configuration")
    }

    fn start(&self, config: FeedConfig) -> (Feeds, Arc<FeedStatus>) {
        let sink: Arc<dyn RowSink> = self.store.clone();
        let feeds = Feeds::start(vec![config], &sink);
        let status = feeds.statuses().pop().expect("one feed");
        *self.newest.lock() = Some(status.clone());
        (feeds, status)
    }

    fn send(&self, partition: i32, payload: &[u8]) {
        let record: BaseRecord<'_, (), [u8]> = BaseRecord::to(TOPIC).partition(partition).payload(payload);
        self.producer.send(record).map_err(|(error, _)| error).expect("sends");
    }

    /// Sends so many good messages over all partitions.
    fn produce(&mut self, count: i64) {
        for id in self.produced..self.produced + count {
            self.send((id % i64::from(PARTITIONS)) as i32, message(id).as_bytes());
        }
        self.produced += count;
        self.producer.flush(PATIENCE).expect("the broker takes them");
    }

    /// Messages that the group has committed.
    fn committed(&self) -> i64 {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers()).set("group.id", "g");
        let reader: BaseConsumer = config.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_range(TOPIC, 0, PARTITIONS - 1);
        let committed = reader.committed_offsets(list, PATIENCE).expect("the broker tells");
        committed.elements().iter().filter_map(|it| it.offset().to_raw()).map(|offset| offset.max(0)).sum()
    }

    fn table(&self, name: &str) -> Arc<zepto_common::schema::TableSchema> {
        let name = zepto_common::schema::TableName::new("default", name);
        self.store.catalog().table(&name).expect("the table").clone()
    }

    fn stored(&self) -> Vec<i64> {
        ids(&self.store, self.table("t").id)
    }

    /// Waits until every message is there, each once.
    async fn complete(&self) {
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

fn options(disk: &Arc<SimDisk>) -> StoreOptions {
    let mut options = quiet(StoreOptions::new("/data"));
    options.disk = disk.clone();
    options.exclusive = false;
    options.partitions = Some(16);
    options.disk_reserve = 0;
    options.seal.log_file_bytes = 64 << 10;
    options
}

fn dead_letters() -> NewTable {
    let columns = vec![
        column("feed", ColumnType::String),
        column("topic", ColumnType::String),
        column("partition", ColumnType::UInt32),
        column("offset", ColumnType::UInt64),
        column("time", ColumnType::DateTime64(9, None)),
        column("error", ColumnType::String),
        column("payload", ColumnType::String),
    ];
    NewTable { columns, key: None, order_by: vec!["feed".to_owned(), "time".to_owned()], ..trades("dead") }
}

fn message(id: i64) -> String {
    format!("{{\"symbol\":\"K{}\",\"time\":{},\"price\":{}.5,\"id\":{id}}}", id % 40, 1_700_000_000 + id, id)
}

async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_stored_once_however_often_the_feed_is_torn_away() {
    let mut world = World::new().await;
    for round in 0..4 {
        world.produce(3_000);
        let (feeds, _) = world.start(world.feed());
        let least = world.stored().len() + 1;
        until("some are stored", || world.stored().len() >= least).await;
        if round % 2 == 0 {
            // Its tasks end wherever they stand, as by kill -9.
            drop(feeds);
        } else {
            feeds.stop().await;
        }
    }
    let (feeds, status) = world.start(world.feed());
    world.complete().await;
    until("it runs", || status.state() == State::Running).await;
    feeds.stop().await;
    assert_eq!(status.state(), State::Stopped);
    assert_eq!(world.stored().len() as i64, world.produced);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_to_the_group_is_durable_and_a_restart_of_the_store_loses_nothing() {
    let mut world = World::new().await;
    world.produce(2_000);
    let (feeds, _) = world.start(world.feed());
    world.complete().await;
    feeds.stop().await;
    world.store.close_without_flush().expect("closes");
    world.store = Store::open(options(&world.disk)).expect("opens");
    assert_eq!(world.stored().len(), 2_000);
    world.produce(2_000);
    let (feeds, status) = world.start(world.feed());
    world.complete().await;
    feeds.stop().await;
    let shown = status.show();
    assert_eq!(shown["duplicate_rows"], 0, "a clean stop leaves nothing to be read again: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_be_read_lie_in_the_dead_letter_table_and_harm_no_other() {
    let mut world = World::new().await;
    let bad: [&[u8]; 10] = [
        b"",
        b"{",
        b"nothing",
        b"[1,2",
        b"{\"id\":\"x\"}",
        b"{\"id\":1}{\"id\":",
        b"\xff\xfe",
        b"null",
        b"{\"id\":99999999999999999999999}",
        b"{\"symbol\":\"\xc3\x28\",\"id\":5}",
    ];
    for round in 0..10 {
        world.produce(100);
        for (at, payload) in bad.iter().enumerate() {
            world.send((round + at as i32) % PARTITIONS, payload);
        }
    }
    world.produce(100);
    let (feeds, status) = world.start(world.feed());
    world.complete().await;
    until("the dead letters are stored", || status.show()["dead_letters"] == 100).await;
    feeds.stop().await;
    assert_eq!(
        world
            .store
            .snapshot(world.table("dead").id)
            .expect("a table")
            .parts
            .iter()
            .map(|p| p.rows())
            .sum::<usize>(),
        100
    );
    // Read again, they are known.
    let (feeds, _) = world.start(world.feed());
    world.produce(10);
    world.complete().await;
    feeds.stop().await;
    assert_eq!(
        world
            .store
            .snapshot(world.table("dead").id)
            .expect("a table")
            .parts
            .iter()
            .map(|p| p.rows())
            .sum::<usize>(),
        100
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_dead_letters_than_the_limit_stop_the_feed_in_a_clear_state() {
    let mut world = World::new().await;
    for _ in 0..20 {
        world.send(0, b"nothing");
    }
    world.produce(10);
    let (feeds, status) = world.start(FeedConfig { dead_letter_limit: 10, ..world.feed() });
    until("it has failed", || status.state() == State::Failed).await;
    let error = status.show()["last_error"].to_string();
    assert!(error.contains("more than 10 messages cannot be read"), "{error}");
    feeds.stop().await;
    assert_eq!(status.state(), State::Failed);
    let (feeds, _) = world.start(world.feed());
    world.complete().await;
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_the_partitions_and_one_takes_over_from_the_other() {
    let mut world = World::new().await;
    world.produce(1_000);
    let (first, _) = world.start(world.feed());
    let (second, other) = world.start(world.feed());
    world.complete().await;
    let mut sent = 0;
    until("the second reads too", || {
        if sent < 20_000 {
            sent += 100;
            world.produce(100);
        }
        other.show()["rows"].as_u64() > Some(0)
    })
    .await;
    drop(first);
    world.produce(1_000);
    world.complete().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_storage_pauses_the_feed_and_it_goes_on_by_itself() {
    let mut world = World::new().await;
    world.produce(100);
    let (feeds, status) = world.start(world.feed());
    world.complete().await;
    world.disk.fail(Fault::NoSpaceAfter(0));
    world.produce(20_000);
    until("it pauses", || status.state() == State::Paused).await;
    // Long enough for what is sent in error to arrive.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (committed, stored) = (world.committed(), world.stored().len() as i64);
    assert!(committed <= stored, "{committed} are committed to the group and {stored} are durable");
    world.disk.heal();
    world.complete().await;
    until("it runs", || status.state() == State::Running).await;
    until("all are committed to the group", || world.committed() == world.produced).await;
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_and_the_feed_runs_when_it_is_there() {
    let mut world = World::new().await;
    world.produce(10);
    let (feeds, status) = world.start(FeedConfig { table: "later".to_owned(), ..world.feed() });
    let says = |text: &str| status.show()["last_error"].to_string().contains(text);
    until("the table is missing", || says("later")).await;
    assert_eq!(status.state(), State::Waiting);
    world.store.create_table(trades("later")).await.expect("creates");
    until("it runs", || status.show()["rows"] == 10).await;
    feeds.stop().await;

    let mut config = world.feed();
    config.kafka.topics = vec!["nowhere".to_owned()];
    config.kafka.options.insert("allow.auto.create.topics".to_owned(), "false".to_owned());
    config.kafka.brokers = vec!["127.0.0.1:1".to_owned()];
    let (feeds, status) = world.start(config);
    let says = || status.show()["last_error"].to_string().to_lowercase().contains("connect");
    until("the broker is missing", says).await;
    until("its state says so", || status.state() == State::Waiting).await;
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_stops_the_feed() {
    let mut world = World::new().await;
    let stream = FeedStream { table: world.table("t"), name: format!("f/{TOPIC}") };
    let far = [(0, 1_000_000)].into_iter().collect();
    let deadline = Instant::now() + PATIENCE;
    RowSink::feed_positions(world.store.as_ref(), &stream, &far, deadline).await.expect("raises");
    world.produce(10);
    let (feeds, status) = world.start(world.feed());
    until("it has failed", || status.state() == State::Failed).await;
    let error = status.show()["last_error"].to_string();
    assert!(error.contains("made anew"), "{error}");
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_begins_with_the_latest_goes_on_from_there_after_a_restart() {
    let mut world = World::new().await;
    world.produce(1_000);
    let latest = || {
        let mut config = world.feed();
        config.kafka.start = zepto_feeds::config::StartAt::Latest;
        config
    };
    let (feeds, _) = world.start(latest());
    until("its beginning is durable", || world.store.feed_positions().len() == PARTITIONS as usize).await;
    // Torn away before it has read anything: what comes now is after its beginning.
    drop(feeds);
    let config = latest();
    world.produce(100);
    let (feeds, _) = world.start(config);
    until("all after the beginning is stored", || world.stored().len() >= 100).await;
    assert_eq!(world.stored(), (1_000..1_100).collect::<Vec<_>>());
    feeds.stop().await;
}
