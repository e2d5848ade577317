//! A feed from a real Kafka broker into a cluster of two storage nodes with two copies of each partition: each message is
//! stored once, while the ingest node that reads, an owner that stores and the broker are killed.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::producer::Producer;
use serde_json::Value;
use zepto_harness::Request;
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::kafka::{Broker, send};
use zepto_integration::place::rounds;

use crate::cluster_copies::all_copies;

/// Good messages of a run of the tests; `cargo xtask soak` asks for more.
const MESSAGES: u64 = 20_000;
const KEYS: u64 = 97;
const PARTITIONS: u16 = 8;
const TOPIC: &str = "ticks";
/// What a part that was killed may take to be as before, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Within so long a feed says what is missing.
const SAYS_SOON: Duration = Duration::from_secs(20);
/// One of so many messages cannot be read.
const POISON: u64 = 100;

fn config(broker: &str, topic: &str, table: &str) -> String {
    format!(
        "feeds:\n- name: {topic}\n  table: {table}\n  deadLetter: dead\n  format: JSONEachRow\n  columns:\n    \
         source: {{ from: partition }}\n    at: {{ from: timestamp }}\n  kafka:\n    brokers: ['{broker}']\n    \
         topics: [{topic}]\n    groupId: zepto\n"
    )
}

/// A message of a kind that no reader of objects understands; every one is another.
pub(crate) fn poison(seq: u64) -> Vec<u8> {
    match seq / POISON % 9 {
        0 => format!("{{\"k\":\"K\",\"seq\":no {seq}}}").into_bytes(),
        1 => format!("{{\"k\":\"K\",\"seq\":{seq}").into_bytes(),
        2 => format!("{{\"k\":\"K\",\"seq\":\"x{seq}\"}}").into_bytes(),
        3 => format!("[{seq},").into_bytes(),
        4 => [&b"\xff\xfe "[..], seq.to_string().as_bytes()].concat(),
        5 => format!("seq={seq};k=K").into_bytes(),
        6 => [&b"{\"k\":\"\xc3\x28 "[..], seq.to_string().as_bytes(), b"\",\"seq\":1}"].concat(),
        7 => format!("{{\"k\":\"K\",\"seq\":{seq}}} and {{\"k\":").into_bytes(),
        _ => format!("{{\"k\":\"K\",\"seq\":-{seq}}}").into_bytes(),
    }
}

/// The messages that cannot be read, as the dead-letter table shows them.
fn poisoned(messages: u64) -> BTreeSet<String> {
    let shown = |bytes: Vec<u8>| match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => error.into_bytes().escape_ascii().to_string(),
    };
    (1..messages).filter(|seq| seq % POISON == 0).map(|seq| shown(poison(seq))).collect()
}

/// All good messages with those between them that cannot be read, so slowly that the faults come while they flow.
fn produce(broker: &Broker, messages: u64) -> Result<thread::JoinHandle<Result<()>>> {
    let producer = broker.producer()?;
    Ok(thread::spawn(move || {
        for seq in 0..messages {
            let partition = (seq % KEYS % u64::from(PARTITIONS)) as i32;
            let good = format!("{{\"k\":\"K{}\",\"seq\":{seq}}}", seq % KEYS);
            send(&producer, TOPIC, partition, good.as_bytes())?;
            if seq > 0 && seq % POISON == 0 {
                send(&producer, TOPIC, partition, &poison(seq))?;
                thread::park_timeout(Duration::from_millis(100));
            }
        }
        producer.flush(PATIENCE)?;
        ensure!(producer.in_flight_count() == 0, "messages are still on their way");
        Ok(())
    }))
}

fn create_tables(cluster: &Cluster) -> Result<()> {
    let mut door = cluster.storage(0)?.connect()?;
    door.query(
        "CREATE TABLE ticks (k LowCardinality(String), seq UInt64, source UInt32, at DateTime64(3)) ENGINE = MergeTree \
         ORDER BY k",
    )?;
    door.query(
        "CREATE TABLE dead (feed String, topic String, partition UInt32, offset UInt64, time DateTime64(9), \
         error String, payload String) ENGINE = MergeTree ORDER BY (feed, time)",
    )?;
    Ok(())
}

/// Rows that the cluster has by now; 0 while a node is away.
fn stored(cluster: &Cluster) -> u64 {
    cluster.number("SELECT count() FROM ticks").unwrap_or(0)
}

fn wait_for(cluster: &Cluster, rows: u64) -> Result<()> {
    eventually(PATIENCE, || {
        let now = stored(cluster);
        ensure!(now >= rows, "{now} rows of {rows} are stored; {}", shown(cluster));
        Ok(())
    })
}

/// What `/admin/feeds` says of the only feed.
pub(crate) fn feed(cluster: &Cluster) -> Result<Value> {
    let answer = cluster.ingest()?.connect()?.send(&Request::get("/admin/feeds"))?;
    ensure!(answer.status == 200, "{}", answer.text());
    let all: Value = serde_json::from_slice(&answer.body)?;
    all["feeds"].as_array().and_then(|feeds| feeds.first()).cloned().context("there is a feed")
}

pub(crate) fn shown(cluster: &Cluster) -> String {
    feed(cluster).map_or_else(|error| format!("{error:#}"), |feed| feed.to_string())
}

/// Waits until the feed is in a state and its last error has this text.
pub(crate) fn says(cluster: &Cluster, state: &str, text: &str) -> Result<()> {
    eventually(SAYS_SOON, || {
        let feed = feed(cluster)?;
        let error = feed["last_error"].as_str().unwrap_or_default().to_lowercase();
        ensure!(feed["state"] == state && error.contains(text), "not {state} for {text:?}: {feed}");
        Ok(())
    })
}

#[test]
fn every_message_is_stored_once_or_a_dead_letter_once_while_reader_owner_and_broker_are_killed() -> Result<()>
{
    let (root, begun) = (env!("CARGO_TARGET_TMPDIR"), Instant::now());
    let rounds = rounds(1)? as u64;
    let messages = MESSAGES * rounds;
    let mut broker = Broker::start(root, TOPIC, PARTITIONS)?;
    let mut cluster = Cluster::with_copies(root, 2, 2)?;
    all_copies(&cluster)?;
    create_tables(&cluster)?;
    cluster.configure_ingest(&config(&broker.address().to_string(), TOPIC, "ticks"))?;
    let producer = produce(&broker, messages)?;
    for round in 0..rounds {
        let at = |twentieth: u64| (20 * round + twentieth) * MESSAGES / 20;
        wait_for(&cluster, at(1))?;
        cluster.restart_ingest()?;
        wait_for(&cluster, at(4))?;
        let number = (round % 2) as usize;
        let addresses = cluster.kill_storage(number)?;
        cluster.start_storage_at(number, addresses)?;
        wait_for(&cluster, at(7))?;
        broker.kill()?;
        broker.restart()?;
        wait_for(&cluster, at(11))?;
        cluster.restart_ingest()?;
        all_copies(&cluster)?;
        let addresses = cluster.kill_storage(1 - number)?;
        cluster.start_storage_at(1 - number, addresses)?;
    }
    producer.join().ok().context("the producer does not panic")??;
    wait_for(&cluster, messages)?;
    check_rows(&cluster, messages)?;
    check_dead_letters(&cluster, messages)?;
    check_group(&broker, &cluster)?;
    println!("{} kills: {messages} messages in {:?}; {}", 5 * rounds, begun.elapsed(), shown(&cluster));
    Ok(())
}

fn check_rows(cluster: &Cluster, messages: u64) -> Result<()> {
    let number = |sql: &str| cluster.number(sql);
    let count = number("SELECT count() FROM ticks")?;
    ensure!(count == messages, "{count} rows of {messages} messages");
    ensure!(number("SELECT uniqExact(seq) FROM ticks")? == messages, "each sequence once");
    ensure!(number("SELECT max(seq) FROM ticks")? == messages - 1);
    let wrong = format!("SELECT count() FROM ticks WHERE k != concat('K', toString(seq % {KEYS}))");
    ensure!(number(&wrong)? == 0, "each under its key");
    let moved = format!("SELECT count() FROM ticks WHERE source != seq % {KEYS} % {PARTITIONS}");
    ensure!(number(&moved)? == 0, "each with the partition that it came from");
    Ok(())
}

fn check_dead_letters(cluster: &Cluster, messages: u64) -> Result<()> {
    let expected = poisoned(messages);
    let number = |sql: &str| cluster.number(sql);
    eventually(PATIENCE, || {
        let found = number("SELECT count() FROM dead")?;
        ensure!(
            found >= expected.len() as u64,
            "{found} of {} dead letters; {}",
            expected.len(),
            shown(cluster)
        );
        Ok(())
    })?;
    let mut door = cluster.storage(0)?.connect()?;
    let text = door.query("SELECT payload FROM dead FORMAT JSONCompactEachRow")?;
    let payloads: Vec<String> = text
        .lines()
        .map(|line| Ok(serde_json::from_str::<[String; 1]>(line).map(|[payload]| payload)?))
        .collect::<Result<_>>()?;
    ensure!(payloads.len() == expected.len(), "{} dead letters of {}", payloads.len(), expected.len());
    let found: BTreeSet<String> = payloads.into_iter().collect();
    ensure!(found == expected, "missing: {:?}", expected.difference(&found).collect::<Vec<_>>());
    ensure!(
        number("SELECT count() FROM dead WHERE error = '' OR feed != 'ticks'")? == 0,
        "each has a reason"
    );
    let places = "SELECT uniqExact(concat(toString(partition), ' ', toString(offset))) FROM dead";
    ensure!(number(places)? == expected.len() as u64, "each has its own position");
    Ok(())
}

/// The group's offsets reach the end of the topic, and are those that the storage has.
fn check_group(broker: &Broker, cluster: &Cluster) -> Result<()> {
    eventually(PATIENCE, || {
        let feed = feed(cluster)?;
        ensure!(feed["state"] == "running", "{feed}");
        let committed = broker.committed("zepto", TOPIC, PARTITIONS)?;
        for (partition, (offset, end)) in committed.into_iter().enumerate() {
            ensure!(offset == Some(end), "partition {partition}: {offset:?} of {end} is committed; {feed}");
        }
        Ok(())
    })
}

#[test]
fn a_feed_that_cannot_work_says_why_within_seconds_and_works_when_it_can() -> Result<()> {
    let root = env!("CARGO_TARGET_TMPDIR");
    let mut cluster = Cluster::start(root, 1)?;
    cluster.configure_ingest(&config("127.0.0.1:1", "later", "ticks"))?;
    says(&cluster, "waiting", "ticks")?;
    create_tables(&cluster)?;
    says(&cluster, "waiting", "connect")?;
    let broker = Broker::start(root, TOPIC, PARTITIONS)?;
    cluster.configure_ingest(&config(&broker.address().to_string(), "later", "ticks"))?;
    says(&cluster, "waiting", "unknown topic")?;
    waits_grow(&cluster)?;
    broker.make_topic("later", PARTITIONS)?;
    let producer = broker.producer()?;
    send(&producer, "later", 0, b"{\"k\":\"K\",\"seq\":1}")?;
    producer.flush(PATIENCE)?;
    wait_for(&cluster, 1)?;
    let metrics = cluster.ingest()?.connect()?.send(&Request::get("/metrics"))?.text();
    for line in [
        "zepto_feed_rows_total{feed=\"later\"} 1",
        "zepto_feed_lag{feed=\"later\"}",
        "zepto_feed_running{feed=\"later\"} 1",
    ] {
        ensure!(metrics.contains(line), "no {line} in\n{metrics}");
    }
    Ok(())
}

/// Watches four tries: the wait before the last is two doublings longer than that before the second, whatever chance says.
pub(crate) fn waits_grow(cluster: &Cluster) -> Result<()> {
    let tries = || feed(cluster)?["restarts"].as_u64().context("a number");
    let mut at = Vec::new();
    let mut seen = tries()?;
    while at.len() < 4 {
        eventually(PATIENCE, || {
            ensure!(tries()? > seen, "no try after {seen}");
            Ok(())
        })?;
        seen = tries()?;
        at.push(Instant::now());
    }
    let waits: Vec<Duration> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    ensure!(waits[2] > waits[0], "{waits:?} do not grow");
    Ok(())
}
