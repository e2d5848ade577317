//! Feeds of the ingest pods: what the chart takes is what the process takes, and rows come of it.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use zepto_harness::node::program_named;
use zepto_harness::{Connection, Request};
use zepto_integration::cluster::eventually;
use zepto_integration::mosquitto::{Mosquitto, Publisher};

use super::chart::{Chart, Manifests, file, text};
use super::release::{READY_WAIT, Release, configuration};

const ROOT: &str = env!("CARGO_TARGET_TMPDIR");
const EVERY_KEY: &[&str] = &["-f", "HERE/every-key.yaml"];
/// A small cluster with one ingest pod.
const ONE_OF_EACH: &str = "coordinator.replicas=1,replicaCount=1,cluster.replicationFactor=1,cluster.partitions=16,\
     autoscaling.enabled=false,podDisruptionBudget.enabled=false,gracefulShutdown.preStopSleepSeconds=0,\
     ingest.enabled=true,ingest.replicas=1";
/// What every feed of the list below has.
const HEAD: &str = r#""name": "f", "table": "t", "deadLetter": "d", "format": "CSV""#;
const KAFKA: &str = r#""kafka": {"brokers": ["b:9092"], "topics": ["x"], "groupId": "g"}"#;

/// Feeds in JSON that are refused, each with these words in the message.
fn refused() -> Vec<(String, &'static str)> {
    let mqtt = |keys: &str| {
        format!(r#"{HEAD}, "mqtt": {{"brokers": ["tcp://b"], "topics": ["x"], "clientId": "c"{keys}}}"#)
    };
    let kafka = |keys: &str| format!("{HEAD}, {}", KAFKA.replace('}', &format!("{keys}}}")));
    vec![
        (format!(r#""table": "t", "deadLetter": "d", "format": "CSV", {KAFKA}"#), "missing property 'name'"),
        (format!(r#""name": "f", "deadLetter": "d", "format": "CSV", {KAFKA}"#), "missing property 'table'"),
        (format!("{HEAD}, {KAFKA}").replace("table", "tabel"), "additional properties 'tabel'"),
        (mqtt(r#", "keepAlive": 5"#), "additional properties 'keepAlive'"),
        (HEAD.to_owned(), "a feed has one of kafka and mqtt"),
        (format!("{}, {KAFKA}", mqtt("")), "a feed has one of kafka and mqtt"),
        (kafka(r#", "options": {"sasl.password": "hunter2"}"#), "TLS and SASL are not supported"),
        (kafka(r#", "options": {"some.token": "hunter2"}"#), "no option of a feed may be a secret"),
        (mqtt(r#", "password": "hunter2""#), "additional properties 'password'"),
        (mqtt("").replace("tcp://b", "tcp://me:hunter2@b"), "has no user and no password"),
        (mqtt("").replace("tcp://b", "me:hunter2@b"), "begins with tcp:// or ssl://"),
        (mqtt(r#", "passwordEnv": "PASSWORD""#), "additional properties 'passwordEnv'"),
        (
            mqtt(r#", "user": "u", "passwordFile": "/etc/zeptodb/feeds/a/password""#),
            "none of ingest.feedSecrets",
        ),
        (format!("{HEAD}, {KAFKA}}}, {{{HEAD}, {KAFKA}"), "another feed has this name"),
        (
            format!("{HEAD}, {KAFKA}}}, {{{HEAD}, {KAFKA}").replacen("\"f\"", "\"e\"", 1),
            "has the kafka.groupId g",
        ),
    ]
}

#[test]
fn what_is_wrong_with_a_feed_is_refused_with_the_reason_and_without_a_secret() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let one = "ingest.enabled=true,ingest.replicas=1";
    let refuse = |set: &str, feeds: &str, reason: &str| {
        let feeds = format!("ingest.feeds=[{{{feeds}}}]");
        let Err(error) = chart.release("zeptodb", &["--set", set, "--set-json", &feeds]) else {
            anyhow::bail!("{feeds} was rendered");
        };
        // The message begins with the arguments that this test gave.
        let error = error.to_string();
        let (_, said) = error.split_once("]: ").with_context(|| error.clone())?;
        ensure!(said.contains(reason) && !said.contains("hunter2"), "{feeds}: {said}");
        Ok(())
    };
    for (feeds, reason) in refused() {
        refuse(one, &feeds, reason)?;
    }
    let kafka = format!("{HEAD}, {KAFKA}");
    refuse("replicaCount=3", &kafka, "ingest.feeds needs ingest.enabled=true")?;
    let mqtt = format!(r#"{HEAD}, "mqtt": {{"brokers": ["tcp://b"], "topics": ["x"], "clientId": "c"}}"#);
    let two = "ingest.enabled=true,ingest.replicas=2";
    refuse(two, &mqtt, "up to 2 ingest pods would shut each other out")?;
    let scaled = format!("{one},ingest.autoscaling.enabled=true");
    refuse(&scaled, &mqtt, "up to 10 ingest pods would shut each other out")?;
    refuse(two, &mqtt.replace("\"c\"", "\"c-{node}\""), "is never fetched")
}

/// The paths of all keys; elements of lists, and what the free maps hold, are told apart by nothing.
fn keys(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    let free = ["fields", "units", "options"].iter().any(|map| at.ends_with(map));
    match value {
        Value::Object(group) if !free => {
            for (key, inner) in group {
                let key = if at.ends_with("columns") { "*" } else { key.as_str() };
                let path = format!("{at}.{key}");
                keys(inner, &path, found);
                found.insert(path);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| keys(inner, at, found)),
        _ => {}
    }
}

/// The same of a schema.
fn described(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    let named = schema["properties"].as_object().into_iter().flatten();
    let any = schema["additionalProperties"].as_object().map(|_| &schema["additionalProperties"]);
    let any = any.filter(|inner| inner["type"] == "object").map(|inner| ("*", inner));
    for (key, inner) in named.map(|(key, inner)| (key.as_str(), inner)).chain(any) {
        let path = format!("{at}.{key}");
        described(inner, &path, found);
        found.insert(path);
    }
}

/// What the process says of a configuration, and whether it takes it.
fn ask(configuration: &str, question: &str) -> Result<(bool, String)> {
    let folder = TempDir::new_in(ROOT)?;
    let path = folder.path().join("zeptodb.conf");
    fs::write(&path, configuration)?;
    let mut ask = Command::new(program_named("zepto_ingest_node")?);
    ask.env_clear().args(["--coordinator", "c:8225", "--node-id", "100001", question, "--config"]).arg(&path);
    let output = ask.output()?;
    let said = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
    Ok((output.status.success(), said))
}

fn rendered(chart: &Chart, arguments: &[&str]) -> Result<String> {
    let manifests = Manifests::parse(&chart.release("zeptodb", arguments)?)?;
    let workload = manifests.get("Deployment", "zeptodb-ingest")?;
    Ok(configuration(&manifests, workload, "zeptodb.conf")?.to_owned())
}

#[test]
fn the_chart_knows_the_keys_of_a_feed_that_the_process_knows() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let given = rendered(&chart, EVERY_KEY)?;
    let (good, said) = ask(&given, "--print-config")?;
    ensure!(good, "{said}");
    let (mut by_the_chart, mut by_the_process, mut written) = Default::default();
    let schema: Value = serde_json::from_str(&file(&chart, "values.schema.json")?)?;
    let feed = &schema["properties"]["ingest"]["properties"]["feeds"]["items"];
    described(feed, "", &mut by_the_chart);
    let effective: Value = serde_yaml_ng::from_str(&said)?;
    keys(&effective["feeds"], "", &mut by_the_process);
    let given: Value = serde_yaml_ng::from_str(&given)?;
    keys(&given["feeds"], "", &mut written);
    ensure!(by_the_chart == written, "every-key.yaml has {written:?}, the schema {by_the_chart:?}");
    // No pod has a variable with a password.
    ensure!(by_the_process.remove(".mqtt.passwordEnv"), "{by_the_process:?}");
    ensure!(
        by_the_chart == by_the_process,
        "the schema has {by_the_chart:?}, the process {by_the_process:?}"
    );
    // What was written is what is in force.
    let numbers = &effective["feeds"][1]["mqtt"];
    let session = (&numbers["sessionExpirySeconds"], &effective["feeds"][0]["deadLetterLimit"]);
    ensure!(session == (&json!(4_294_967_295_u64), &json!(100_000_000)), "{session:?}");
    Ok(())
}

#[test]
fn the_process_tells_all_keys_that_are_written_wrong() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let good = rendered(&chart, EVERY_KEY)?;
    ensure!(ask(&good, "--check-config")? == (true, "configuration is good\n".to_owned()), "{good}");
    let bad = good.replace("groupId:", "groupID:").replace("memoryLimit:", "memorylimit:");
    let (taken, said) = ask(&bad, "--check-config")?;
    ensure!(!taken && said.contains("groupID") && said.contains("memorylimit"), "{said}");
    Ok(())
}

#[test]
fn the_feeds_that_profiles_show_in_comments_are_good() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let folder = TempDir::new_in(ROOT)?;
    for (profile, name) in [("iot-pilot", "tags"), ("auto-factory", "lines")] {
        let text = file(&chart, &format!("profiles/{profile}.yaml"))?;
        // All comments but the sentences.
        let lines =
            text.lines().filter(|line| !line.trim_start().starts_with("# A ") && !line.contains("docs/"));
        let shown: Vec<String> = lines.map(|line| line.replacen("# ", "", 1)).collect();
        let path = folder.path().join(profile);
        fs::write(&path, shown.join("\n"))?;
        let given = rendered(&chart, &["-f", &path.display().to_string()])?;
        let (good, said) = ask(&given, "--check-config")?;
        ensure!(good && given.contains(&format!("name: {name}")), "{profile}: {said}{given}");
    }
    Ok(())
}

#[test]
fn another_feed_rolls_the_ingest_pods_and_no_others() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let sums = |arguments: &[&str]| {
        let manifests = Manifests::parse(&chart.release("zeptodb", arguments)?)?;
        let of = |kind, name| {
            let template = &manifests.get(kind, name)?["spec"]["template"];
            Ok::<_, anyhow::Error>(text(&template["metadata"]["annotations"]["checksum/config"]).to_owned())
        };
        Ok::<_, anyhow::Error>((of("Deployment", "zeptodb-ingest")?, of("StatefulSet", "zeptodb")?))
    };
    let (before, storage_before) = sums(&["--set", "ingest.enabled=true"])?;
    let (after, storage_after) = sums(EVERY_KEY)?;
    ensure!(before.len() == 64 && after.len() == 64 && before != after, "{before}, {after}");
    ensure!(storage_before == storage_after, "storage pods would be rolled");
    Ok(())
}

#[test]
fn a_feed_of_a_release_reads_its_password_from_a_secret_and_writes_rows() -> Result<()> {
    let chart = Chart::new(ROOT)?;
    let users = Mosquitto::users(ROOT, "zepto", "correct horse")?;
    let second = "allow_anonymous false\npassword_file @/users";
    let broker = Mosquitto::start(ROOT, second, &[("users", &users)])?;
    let feeds = json!([{
        "name": "weather", "table": "weather", "deadLetter": "dead", "format": "JSONEachRow",
        "columns": {"place": {"topicLevel": 2}},
        "mqtt": {
            "brokers": [format!("tcp://{}", broker.second())], "topics": ["weather/+"], "clientId": "zepto",
            "user": "zepto", "passwordFile": "/etc/zeptodb/feeds/plant/password",
        },
    }]);
    let (feeds, secrets) = (
        format!("ingest.feeds={feeds}"),
        "ingest.feedSecrets[0].name=plant,ingest.feedSecrets[0].secretName=plant-broker",
    );
    let arguments = ["--set", ONE_OF_EACH, "--set", secrets, "--set-json", &feeds];
    let mut manifests = Manifests::parse(&chart.release("zeptodb", &arguments)?)?;
    let password = STANDARD.encode("correct horse\n");
    manifests.0.push(json!({
        "kind": "Secret", "metadata": {"name": "plant-broker"}, "data": {"password": password},
    }));
    let release = Release::new(manifests)?;
    let until = Instant::now() + READY_WAIT;
    let mut pods = release.start("StatefulSet", "zeptodb-coordinator")?;
    pods.extend(release.start("StatefulSet", "zeptodb")?);
    pods.extend(release.start("Deployment", "zeptodb-ingest")?);
    pods.iter().try_for_each(|pod| pod.await_ready(until))?;
    let [_, storage, ingest] = &pods[..] else { anyhow::bail!("{} pods", pods.len()) };
    let key = release.secret("zeptodb-auth", "admin-key")?;
    for table in [
        "CREATE TABLE weather (place String, value Float64) ENGINE = MergeTree ORDER BY place",
        "CREATE TABLE dead (feed String, topic String, partition UInt32, offset UInt64, time DateTime64(9), \
         error String, payload String) ENGINE = MergeTree ORDER BY (feed, time)",
    ] {
        let bearer = format!("Bearer {key}");
        let request = Request::new("POST", "/", &[("Authorization", &bearer)], table.as_bytes().to_vec());
        let answer =
            Connection::open(SocketAddr::from((storage.address, storage.ports["http"])))?.send(&request)?;
        ensure!(answer.status == 200, "{table}: {}", answer.text());
    }
    // The tables came after the feed: it waits for them, and the broker keeps nothing of before its subscription.
    eventually(READY_WAIT, || {
        let (_, feeds) = ingest.get("/admin/feeds", Some(&key))?;
        ensure!(feeds.contains("running"), "{feeds}");
        Ok(())
    })?;
    let mut publisher = Publisher::connect(broker.address(), "station");
    publisher.publish("weather/rome", 1, br#"{"value": 21.5}"#)?;
    publisher.publish("weather/oslo", 1, b"cold")?;
    publisher.finish()?;
    eventually(READY_WAIT, || {
        let rows = storage.get("/?query=SELECT%20*%20FROM%20weather", Some(&key))?;
        ensure!(rows == (200, "rome\t21.5\n".to_owned()), "{rows:?}");
        let dead = storage.get("/?query=SELECT%20feed,topic,payload%20FROM%20dead", Some(&key))?;
        ensure!(dead == (200, "weather\tweather/oslo\tcold\n".to_owned()), "{dead:?}");
        Ok(())
    })
}
