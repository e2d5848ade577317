//! A feed from a real Kafka broker into a cluster of two storage nodes: each message is stored once, while the ingest
//! node that reads, an owner that stores and the broker are killed.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::producer::Producer;
use zepto_harness::Request;
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::kafka::{Broker, send};

const MESSAGES: u64 = 200_000;
const KEYS: u64 = 97;
const PARTITIONS: u16 = 8;
const TOPIC: &str = "ticks";
/// What a part that was killed may take to be as before, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// One of so many messages cannot be read.
const POISON: u64 = 1_000;

fn config(broker: &Broker) -> String {
    format!(
        "feeds:\n- name: ticks\n  table: ticks\n  deadLetter: dead\n  format: JSONEachRow\n  columns:\n    \
         source: {{ from: partition }}\n    at: {{ from: timestamp }}\n  kafka:\n    brokers: ['{}']\n    \
         topics: [{TOPIC}]\n    groupId: zepto\n",
        broker.address()
    )
}

/// All good messages with some that cannot be read between them, as fast as the broker takes them.
fn produce(broker: &Broker) -> Result<thread::JoinHandle<Result<()>>> {
    let producer = broker.producer()?;
    Ok(thread::spawn(move || {
        for seq in 0..MESSAGES {
            let partition = (seq % KEYS % u64::from(PARTITIONS)) as i32;
            send(&producer, TOPIC, partition, &format!("{{\"k\":\"K{}\",\"seq\":{seq}}}", seq % KEYS))?;
            if seq % POISON == 0 {
                send(&producer, TOPIC, partition, &format!("{{\"k\":\"K\",\"seq\":no {seq}}}"))?;
            }
        }
        producer.flush(PATIENCE)?;
        ensure!(producer.in_flight_count() == 0, "messages are still on their way");
        Ok(())
    }))
}

/// Rows that the cluster has by now; 0 while a node is away.
fn stored(cluster: &Cluster) -> u64 {
    cluster.number("SELECT count() FROM ticks").unwrap_or(0)
}

fn wait_for(cluster: &Cluster, rows: u64) -> Result<()> {
    eventually(PATIENCE, || {
        let now = stored(cluster);
        ensure!(now >= rows, "{now} rows of {rows} are stored; {}", feeds(cluster));
        Ok(())
    })
}

fn feeds(cluster: &Cluster) -> String {
    let ask = || anyhow::Ok(cluster.ingest()?.connect()?.send(&Request::get("/admin/feeds"))?.text());
    ask().unwrap_or_else(|error| format!("{error:#}"))
}

#[test]
fn two_hundred_thousand_messages_are_stored_once_while_reader_owner_and_broker_are_killed() -> Result<()> {
    let root = env!("CARGO_TARGET_TMPDIR");
    let mut broker = Broker::start(root, TOPIC, PARTITIONS)?;
    let mut cluster = Cluster::start(root, 2)?;
    let mut door = cluster.storage(0)?.connect()?;
    door.query(
        "CREATE TABLE ticks (k LowCardinality(String), seq UInt64, source UInt32, at DateTime64(3)) ENGINE = MergeTree \
         ORDER BY k",
    )?;
    door.query(
        "CREATE TABLE dead (feed String, topic String, partition UInt32, offset UInt64, time DateTime64(9), \
         error String, payload String) ENGINE = MergeTree ORDER BY (feed, time)",
    )?;
    cluster.configure_ingest(&config(&broker))?;
    let producer = produce(&broker)?;
    wait_for(&cluster, MESSAGES / 20)?;
    cluster.restart_ingest()?;
    wait_for(&cluster, MESSAGES / 5)?;
    let at = cluster.kill_storage(1)?;
    cluster.start_storage_at(1, at)?;
    wait_for(&cluster, MESSAGES / 3)?;
    broker.kill()?;
    broker.restart()?;
    wait_for(&cluster, MESSAGES / 2)?;
    cluster.restart_ingest()?;
    let at = cluster.kill_storage(0)?;
    cluster.start_storage_at(0, at)?;
    producer.join().ok().context("the producer does not panic")??;
    wait_for(&cluster, MESSAGES)?;
    check(&cluster)
}

fn check(cluster: &Cluster) -> Result<()> {
    let number = |sql: &str| cluster.number(sql);
    ensure!(number("SELECT count() FROM ticks")? == MESSAGES, "each message once");
    ensure!(number("SELECT uniqExact(seq) FROM ticks")? == MESSAGES, "each sequence once");
    ensure!(number("SELECT max(seq) FROM ticks")? == MESSAGES - 1);
    let wrong = format!("SELECT count() FROM ticks WHERE k != concat('K', toString(seq % {KEYS}))");
    ensure!(number(&wrong)? == 0, "each under its key");
    let moved = format!("SELECT count() FROM ticks WHERE source != seq % {KEYS} % {PARTITIONS}");
    ensure!(number(&moved)? == 0, "each with the partition that it came from");
    let dead = MESSAGES / POISON;
    eventually(PATIENCE, || {
        let found = number("SELECT count() FROM dead")?;
        ensure!(found >= dead, "{found} of {dead} dead letters; {}", feeds(cluster));
        Ok(())
    })?;
    ensure!(number("SELECT count() FROM dead")? == dead, "each dead letter once");
    ensure!(number("SELECT uniqExact(payload) FROM dead")? == dead);
    // What is stored is what is acknowledged: nothing comes any more.
    let shown = feeds(cluster);
    ensure!(shown.contains("\"state\":\"running\""), "{shown}");
    Ok(())
}
