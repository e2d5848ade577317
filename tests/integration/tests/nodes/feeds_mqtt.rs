//! Feeds from a real broker of MQTT (mosquitto): what arrives, what is promised of each QoS while ingest node and broker are
//! killed, and what a feed says that cannot work.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::Value;
use zepto_harness::{Node, Request};
use zepto_integration::cluster::{Cluster, eventually};
use zepto_integration::mosquitto::{Mosquitto, Publisher};
use zepto_integration::place::rounds;

use crate::feeds::{feed, poison, says, shown, waits_grow};

const ROOT: &str = env!("CARGO_TARGET_TMPDIR");
/// What a part that was killed may take to be as before, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Keys, which are a level of the topic.
const KEYS: u64 = 17;
/// Messages that a feed may have in hand. No more than the broker's own bound: beyond that mosquitto forgets, when it starts
/// again, what was acknowledged.
const WINDOW: u64 = 100;

fn create_tables(cluster: &Cluster, tables: &[&str]) -> Result<()> {
    let mut door = cluster.storage(0)?.connect()?;
    for table in tables {
        door.query(&format!(
            "CREATE TABLE {table} (k LowCardinality(String), seq UInt64, topic String, level String, note String, kept UInt8) \
             ENGINE = MergeTree ORDER BY k"
        ))?;
    }
    door.query(
        "CREATE TABLE dead (feed String, topic String, partition UInt32, offset UInt64, time DateTime64(9), \
         error String, payload String) ENGINE = MergeTree ORDER BY (feed, time)",
    )?;
    Ok(())
}

/// A feed of `topics` into a table of its name. `more`: keys of `mqtt`.
fn entry(table: &str, url: &str, topics: &str, more: &str) -> String {
    let note = if more.contains("protocol: 4") { "constant: none" } else { "header: note" };
    format!(
        "- name: {table}\n  table: {table}\n  deadLetter: dead\n  format: JSONEachRow\n  columns:\n    \
         topic: {{ from: topic }}\n    level: {{ topicLevel: 2 }}\n    note: {{ {note} }}\n    kept: {{ from: retained }}\n  \
         mqtt: {{ brokers: ['{url}'], topics: ['{topics}'], clientId: 'zepto-{table}', inFlight: {WINDOW}, {more} }}\n"
    )
}

fn good(seq: u64) -> Vec<u8> {
    format!("{{\"k\":\"K{}\",\"seq\":{seq}}}", seq % KEYS).into_bytes()
}

fn topic(place: &str, seq: u64) -> String {
    format!("{place}/K{}/x", seq % KEYS)
}

fn count(cluster: &Cluster, what: &str) -> u64 {
    cluster.number(&format!("SELECT {what}")).unwrap_or(0)
}

/// Waits until all numbers below are there, perhaps more than once.
fn wait_for(cluster: &Cluster, table: &str, messages: u64) -> Result<()> {
    eventually(PATIENCE, || {
        let now = count(cluster, &format!("uniqExact(seq) FROM {table}"));
        ensure!(now >= messages, "{now} of {messages} in {table}; {}", admin(cluster));
        Ok(())
    })
}

fn admin(cluster: &Cluster) -> String {
    let answer =
        cluster.ingest().and_then(|node| Ok(node.connect()?.send(&Request::get("/admin/feeds"))?.text()));
    answer.unwrap_or_else(|error| format!("{error:#}"))
}

/// How many rows there are beyond one for each of so many messages, all of which are there under their keys.
fn check(cluster: &Cluster, table: &str, messages: u64) -> Result<u64> {
    let number = |what: &str| cluster.number(&format!("SELECT {what} FROM {table}"));
    ensure!(number("uniqExact(seq)")? == messages, "{table}: not each of {messages} messages");
    ensure!(number("max(seq)")? == messages - 1, "{table}: the last one");
    let wrong = format!("countIf(k != concat('K', toString(seq % {KEYS})) OR level != k)");
    ensure!(number(&wrong)? == 0, "{table}: each under its key, which is the second level of its topic");
    Ok(number("count()")? - messages)
}

#[test]
fn messages_of_each_qos_and_protocol_arrive_with_what_they_have_beside_their_payload() -> Result<()> {
    let broker = Mosquitto::start(ROOT, "allow_anonymous true", &[])?;
    let mut cluster = Cluster::start(ROOT, 1)?;
    create_tables(&cluster, &["five", "four"])?;
    let mut publisher = Publisher::connect(broker.address(), "p");
    publisher.publish_with("t/K0/x", 1, true, &good(0), &[("note", "of old")])?;
    publisher.finish()?;
    let url = format!("tcp://{}", broker.address());
    let of = |table: &str, more: &str| entry(table, &url, "t/+/x", more);
    let feeds = of("five", "qos: 2, protocol: 5") + &of("four", "qos: 2, protocol: 4");
    cluster.configure_ingest(&format!("feeds:\n{feeds}"))?;
    wait_for(&cluster, "five", 1)?;
    wait_for(&cluster, "four", 1)?;
    for seq in 1..900 {
        publisher.publish_with(&topic("t", seq), (seq % 3) as u8, false, &good(seq), &[("note", "new")])?;
        publisher.publish("other/K1/x", 1, &good(0))?;
    }
    publisher.finish()?;
    for table in ["five", "four"] {
        wait_for(&cluster, table, 900)?;
        let more = check(&cluster, table, 900)?;
        ensure!(more == 0, "{more} rows of {table} too many; {}", admin(&cluster));
        let kept = format!("count() FROM {table} WHERE kept = 1 AND seq = 0 AND topic = 't/K0/x'");
        ensure!(count(&cluster, &kept) == 1, "what was retained is there once, and said to be retained");
        ensure!(count(&cluster, &format!("count() FROM {table} WHERE kept = 1")) == 1);
    }
    let notes = "count() FROM five WHERE note = if(seq = 0, 'of old', 'new')";
    ensure!(count(&cluster, notes) == 900, "user properties are headers");
    let metrics = cluster.ingest()?.connect()?.send(&Request::get("/metrics"))?.text();
    for line in ["zepto_feed_rows_total{feed=\"five\"} 900", "zepto_feed_running{feed=\"four\"} 1"] {
        ensure!(metrics.contains(line), "no {line} in\n{metrics}");
    }
    Ok(())
}

/// Publishes all below `end` to both feeds, and knows that the broker has them.
fn publish(broker: &Mosquitto, from: u64, end: u64, name: &str) -> Result<()> {
    let mut publisher = Publisher::connect(broker.address(), name);
    for seq in from..end {
        publisher.publish(&topic("one", seq), 1, &good(seq))?;
        publisher.publish(&topic("two", seq), 2, &good(seq))?;
    }
    publisher.finish()
}

/// Waits until two feeds run: their sessions are there before the first message is.
fn two_run(cluster: &Cluster) -> Result<()> {
    eventually(PATIENCE, || {
        let shown = admin(cluster);
        ensure!(shown.matches("\"running\"").count() == 2, "{shown}");
        Ok(())
    })
}

#[test]
fn no_message_of_qos_1_or_2_is_lost_while_reader_owner_and_broker_are_killed() -> Result<()> {
    let messages = 8_000 * rounds(1)? as u64;
    let mut broker = Mosquitto::start(ROOT, "allow_anonymous true", &[])?;
    let mut cluster = Cluster::with_copies(ROOT, 2, 2)?;
    crate::cluster_copies::all_copies(&cluster)?;
    create_tables(&cluster, &["one", "two"])?;
    let url = format!("tcp://{}", broker.address());
    let feeds = entry("one", &url, "one/#", "qos: 1") + &entry("two", &url, "two/#", "qos: 2");
    cluster.configure_ingest(&format!("feeds:\n{feeds}"))?;
    two_run(&cluster)?;
    let quarter = messages / 4;
    std::thread::scope(|scope| -> Result<()> {
        let publisher = scope.spawn(|| publish(&broker, 0, quarter, "a"));
        wait_for(&cluster, "one", quarter / 8)?;
        cluster.restart_ingest()?;
        wait_for(&cluster, "two", quarter / 2)?;
        cluster.restart_ingest()?;
        publisher.join().ok().context("the publisher does not panic")?
    })?;
    publish(&broker, quarter, 2 * quarter, "b")?;
    // What it has taken is saved; then it dies with messages on their way.
    broker.save()?;
    broker.kill()?;
    broker.restart()?;
    publish(&broker, 2 * quarter, 3 * quarter, "c")?;
    let addresses = cluster.kill_storage(0)?;
    cluster.start_storage_at(0, addresses)?;
    publish(&broker, 3 * quarter, messages, "d")?;
    for table in ["one", "two"] {
        wait_for(&cluster, table, messages)?;
        let more = check(&cluster, table, messages)?;
        println!("{table}: {messages} messages, {more} rows more; {}", admin(&cluster));
        // Of QoS 2 a window for each that died; the broker has forgotten what was acknowledged since it saved its state. Of QoS 1
        // whatever the broker had sent without seeing it acknowledged: it keeps to no bound after it started again.
        ensure!(table == "one" || more <= 10 * WINDOW, "{more} rows of {table} too many");
    }
    Ok(())
}

#[test]
fn qos_2_is_stored_once_while_the_broker_goes_and_comes_back() -> Result<()> {
    let messages = 6_000 * rounds(1)? as u64;
    let mut broker = Mosquitto::start(ROOT, "allow_anonymous true", &[])?;
    let mut cluster = Cluster::start(ROOT, 1)?;
    create_tables(&cluster, &["one", "two"])?;
    let url = format!("tcp://{}", broker.address());
    let feeds = entry("two", &url, "two/#", "qos: 2") + &entry("one", &url, "one/#", "qos: 1, protocol: 4");
    cluster.configure_ingest(&format!("feeds:\n{feeds}"))?;
    two_run(&cluster)?;
    for part in 0..4 {
        publish(&broker, part * messages / 4, (part + 1) * messages / 4, &format!("p{part}"))?;
        let waiting = (part + 1) * messages / 4 - count(&cluster, "count() FROM two");
        println!("the broker goes with {waiting} messages on their way");
        broker.stop()?;
        broker.restart()?;
    }
    wait_for(&cluster, "two", messages)?;
    wait_for(&cluster, "one", messages)?;
    let (once, least) = (check(&cluster, "two", messages)?, check(&cluster, "one", messages)?);
    ensure!(once == 0, "{once} rows of QoS 2 too many; {}", admin(&cluster));
    println!("{messages} messages of QoS 1: {least} rows more");
    Ok(())
}

fn rows_of(node: &Node) -> Result<u64> {
    let answer = node.connect()?.send(&Request::get("/admin/feeds"))?;
    let all: Value = serde_json::from_slice(&answer.body)?;
    all["feeds"][0]["rows"].as_u64().with_context(|| answer.text())
}

#[test]
fn two_ingest_nodes_share_a_subscription_and_one_goes_on_alone() -> Result<()> {
    let broker = Mosquitto::start(ROOT, "allow_anonymous true", &[])?;
    let mut cluster = Cluster::start(ROOT, 1)?;
    create_tables(&cluster, &["m"])?;
    let url = format!("tcp://{}", broker.address());
    let config = entry("m", &url, "$share/g/t/#", "qos: 1").replace("zepto-m", "zepto-{node}");
    cluster.configure_ingest(&format!("nodeId: 100001\nfeeds:\n{config}"))?;
    let config = format!("feeds:\n{config}");
    let second = cluster.another_ingest(&config, 100_002)?;
    let is_running = |node: &Node| -> Result<()> {
        let shown = node.connect()?.send(&Request::get("/admin/feeds"))?.text();
        ensure!(shown.contains("\"running\""), "{shown}");
        Ok(())
    };
    eventually(PATIENCE, || is_running(cluster.ingest()?).and_then(|()| is_running(&second)))?;
    let mut publisher = Publisher::connect(broker.address(), "p");
    let mut publish = |from: u64, end: u64| -> Result<()> {
        for seq in from..end {
            publisher.publish(&topic("t", seq), 1, &good(seq))?;
        }
        publisher.finish()
    };
    publish(0, 2_000)?;
    wait_for(&cluster, "m", 2_000)?;
    let (ours, others) = (rows_of(cluster.ingest()?)?, rows_of(&second)?);
    ensure!(ours > 500 && others > 500 && ours + others == 2_000, "{ours} and {others} rows");
    second.kill()?;
    publish(2_000, 4_000)?;
    eventually(PATIENCE, || {
        let now = rows_of(cluster.ingest()?)?;
        ensure!(now >= ours + 900, "{now} rows after {ours}: the one that is left does not go on");
        Ok(())
    })?;
    // What the broker gave to the other one waits for it.
    let second = cluster.another_ingest(&config, 100_002)?;
    wait_for(&cluster, "m", 4_000)?;
    let more = check(&cluster, "m", 4_000)?;
    ensure!(more <= WINDOW, "{more} rows too many");
    drop(second);
    Ok(())
}

#[test]
fn messages_that_cannot_be_read_are_dead_letters_with_topic_and_reason() -> Result<()> {
    let broker = Mosquitto::start(ROOT, "allow_anonymous true", &[])?;
    let mut cluster = Cluster::start(ROOT, 1)?;
    create_tables(&cluster, &["m"])?;
    let url = format!("tcp://{}", broker.address());
    cluster.configure_ingest(&format!("feeds:\n{}", entry("m", &url, "t/#", "qos: 1")))?;
    eventually(PATIENCE, || {
        ensure!(feed(&cluster)?["state"] == "running", "{}", shown(&cluster));
        Ok(())
    })?;
    let mut publisher = Publisher::connect(broker.address(), "p");
    for seq in 0..900 {
        publisher.publish(&topic("t", seq), (seq % 3) as u8, &good(seq))?;
        if seq % 100 == 50 {
            publisher.publish(&topic("t", seq), 1, &poison(seq * 2))?;
        }
    }
    publisher.finish()?;
    wait_for(&cluster, "m", 900)?;
    ensure!(check(&cluster, "m", 900)? == 0, "too many rows");
    eventually(PATIENCE, || {
        let found = count(&cluster, "count() FROM dead");
        ensure!(found == 9, "{found} of 9 dead letters; {}", shown(&cluster));
        Ok(())
    })?;
    let kinds = "uniqExact(payload) FROM dead WHERE feed = 'm' AND error != '' AND topic LIKE 't/K%/x' AND partition = 0";
    ensure!(count(&cluster, kinds) == 9, "each with its topic and a reason");
    ensure!(count(&cluster, "uniqExact(offset) FROM dead") == 9, "each with its own position");
    Ok(())
}

#[test]
fn a_feed_whose_storage_is_away_acknowledges_nothing_and_goes_on_by_itself() -> Result<()> {
    let broker = Mosquitto::start(ROOT, "allow_anonymous true", &[])?;
    let mut cluster = Cluster::start(ROOT, 1)?;
    create_tables(&cluster, &["m"])?;
    let url = format!("tcp://{}", broker.address());
    let config = format!("feeds:\n{}", entry("m", &url, "t/#", "qos: 1"));
    cluster.configure_ingest(&config)?;
    let mut publisher = Publisher::connect(broker.address(), "p");
    publisher.publish(&topic("t", 0), 1, &good(0))?;
    eventually(PATIENCE, || {
        ensure!(feed(&cluster)?["state"] == "running", "{}", shown(&cluster));
        Ok(())
    })?;
    let addresses = cluster.kill_storage(0)?;
    for seq in 0..3_000 {
        publisher.publish(&topic("t", seq), 1, &good(seq))?;
    }
    publisher.finish()?;
    eventually(PATIENCE, || {
        let feed = feed(&cluster)?;
        ensure!(feed["state"] == "paused" || feed["state"] == "waiting", "{feed}");
        Ok(())
    })?;
    let kept = |feed: Value| feed["rows"].as_u64().context("a number");
    ensure!(kept(feed(&cluster)?)? <= 1, "{}", shown(&cluster));
    // If the feed had acknowledged any of what it has in hand, the broker would not have it any more.
    let address = cluster.kill_ingest()?;
    cluster.start_storage_at(0, addresses)?;
    cluster.start_ingest_at(address)?;
    wait_for(&cluster, "m", 3_000)?;
    // And by itself, without being started again.
    let addresses = cluster.kill_storage(0)?;
    for seq in 3_000..4_000 {
        publisher.publish(&topic("t", seq), 1, &good(seq))?;
    }
    publisher.finish()?;
    cluster.start_storage_at(0, addresses)?;
    wait_for(&cluster, "m", 4_000)?;
    let more = check(&cluster, "m", 4_000)?;
    ensure!(more <= 2 * WINDOW, "{more} rows too many");
    Ok(())
}

#[test]
fn a_feed_that_cannot_work_says_why_within_seconds_and_shows_no_password() -> Result<()> {
    let users = Mosquitto::users(ROOT, "me", "right-Secret")?;
    let broker = Mosquitto::start(
        ROOT,
        "allow_anonymous false\npassword_file @/users\nmax_qos 1",
        &[("users", &users), ("right", "right-Secret\n"), ("wrong", "wrong-Secret\n")],
    )?;
    let mut cluster = Cluster::start(ROOT, 1)?;
    let file = |name: &str| format!("user: me, passwordFile: '{}'", broker.folder().join(name).display());
    let with = |url: &str, more: &str| format!("feeds:\n{}", entry("m", url, "t/#", more));
    cluster.configure_ingest(&with("tcp://127.0.0.1:1", ""))?;
    says(&cluster, "waiting", "default.m")?;
    create_tables(&cluster, &["m"])?;
    says(&cluster, "waiting", "connection refused")?;
    waits_grow(&cluster)?;
    let url = format!("tcp://{}", broker.second());
    cluster.configure_ingest(&with(&url, &file("none")))?;
    says(&cluster, "waiting", "no such file")?;
    cluster.configure_ingest(&with(&url, &file("wrong")))?;
    says(&cluster, "waiting", "not authorized")?;
    cluster.configure_ingest(&with(&url, &format!("{}, protocol: 4", file("wrong"))))?;
    says(&cluster, "waiting", "not authorized")?;
    cluster.configure_ingest(&with(&url, &format!("{}, qos: 2", file("right"))))?;
    says(&cluster, "waiting", "qos 1 is granted, 2 was asked for")?;
    cluster.configure_ingest(&with(&url, &file("right")))?;
    eventually(PATIENCE, || {
        ensure!(feed(&cluster)?["state"] == "running", "{}", shown(&cluster));
        Ok(())
    })?;
    let log = cluster.ingest_log()?;
    ensure!(log.contains("passwordFile"), "the log tells the configuration");
    for text in [log, admin(&cluster)] {
        ensure!(!text.contains("-Secret"), "a password is shown: {text}");
    }
    Ok(())
}

/// An authority and a certificate of it for 127.0.0.1, good for servers and clients: PEM of all three.
fn certificates() -> Result<(String, String, String)> {
    let mut params = CertificateParams::new(vec![])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate for its own authority when both have one name.
    params.distinguished_name.push(DnType::CommonName, "an authority");
    let key = KeyPair::generate()?;
    let authority = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok((authority, params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
}

fn tls(folder: &Path, ca: &str, is_known: bool) -> String {
    let file = |name: &str| folder.join(name).display().to_string();
    let identity = if is_known {
        format!(", certificate: '{}', key: '{}'", file("cert.pem"), file("key.pem"))
    } else {
        String::new()
    };
    format!("tls: {{ ca: '{}'{identity} }}", file(ca))
}

#[test]
fn a_broker_behind_tls_is_believed_by_its_authority_and_sees_the_clients_certificate() -> Result<()> {
    let (ca, certificate, key) = certificates()?;
    let (other, ..) = certificates()?;
    let broker = Mosquitto::start(
        ROOT,
        "cafile @/ca.pem\ncertfile @/cert.pem\nkeyfile @/key.pem\nrequire_certificate true\nallow_anonymous true",
        &[("ca.pem", &ca), ("cert.pem", &certificate), ("key.pem", &key), ("other.pem", &other)],
    )?;
    let mut cluster = Cluster::start(ROOT, 1)?;
    create_tables(&cluster, &["m"])?;
    let url = format!("ssl://{}", broker.second());
    let config = |ca: &str, is_known: bool| {
        format!("feeds:\n{}", entry("m", &url, "t/#", &tls(broker.folder(), ca, is_known)))
    };
    cluster.configure_ingest(&config("other.pem", true))?;
    says(&cluster, "waiting", "invalid peer certificate")?;
    cluster.configure_ingest(&config("ca.pem", false))?;
    says(&cluster, "waiting", "certificate")?;
    cluster.configure_ingest(&config("ca.pem", true))?;
    eventually(PATIENCE, || {
        ensure!(feed(&cluster)?["state"] == "running", "{}", shown(&cluster));
        Ok(())
    })?;
    let mut publisher = Publisher::connect(broker.address(), "p");
    publisher.publish(&topic("t", 0), 1, &good(0))?;
    publisher.finish()?;
    wait_for(&cluster, "m", 1)?;
    let log = fs::read_to_string(broker.folder().join("broker.log"))?;
    ensure!(log.contains("zepto-m"), "{log}");
    Ok(())
}
