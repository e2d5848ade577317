//! What a cluster shows of itself, the same at every door: its nodes, who has which partition, what runs.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use zepto_harness::{Connection, Request};
use zepto_integration::cluster::{Cluster, eventually};

const NODES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);
/// Runs for hours.
const SLOW: &str = "SELECT sum(cityHash64(number)) FROM numbers(1000000000000)";

/// A storage node's door; the last is the ingest node's.
fn door(cluster: &Cluster, number: usize) -> Result<Connection> {
    let node = if number == NODES { cluster.ingest()? } else { cluster.storage(number)? };
    Ok(node.connect()?)
}

fn listed(door: &mut Connection) -> Result<Vec<(String, u64)>> {
    let response = door.send(&Request::get("/admin/queries"))?;
    let value: Value = serde_json::from_slice(&response.body)?;
    let queries = value["queries"].as_array().context("there is a list")?;
    let one = |it: &Value| Some((it["query_id"].as_str()?.to_owned(), it["node"].as_u64()?));
    queries.iter().map(|it| one(it).context("a statement has an id and a node")).collect()
}

/// A statement at node 1 is listed at every door, and is stopped by what `stop` does.
fn stopped_by(cluster: &Cluster, id: &str, stop: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut connection = cluster.storage(1)?.connect()?;
    let request = Request::new("POST", &format!("/?query_id={id}"), &[], SLOW.as_bytes());
    let asked = thread::spawn(move || connection.send(&request));
    for number in 0..=NODES {
        eventually(PATIENCE, || {
            let there = listed(&mut door(cluster, number)?)?;
            ensure!(there.contains(&(id.to_owned(), 1)), "{id} is not in {there:?}");
            Ok(())
        })?;
        let sql = format!("SELECT count() FROM system.processes WHERE query_id = '{id}'");
        ensure!(door(cluster, number)?.query(&sql)?.trim() == "1", "{id} is no process");
    }
    let begun = Instant::now();
    stop()?;
    let response = asked.join().map_err(|_| anyhow::anyhow!("the asker panicked"))??;
    ensure!(response.exception_code() == Some(394), "{}: {}", response.status, response.text());
    ensure!(begun.elapsed() < Duration::from_secs(10), "it went on for {:?}", begun.elapsed());
    Ok(())
}

#[test]
fn a_statement_is_listed_and_stopped_through_any_door() -> Result<()> {
    let cluster = Cluster::start(env!("CARGO_TARGET_TMPDIR"), NODES)?;
    stopped_by(&cluster, "slow_a", || {
        let (status, told) = cluster.ask("DELETE", "/admin/queries/slow_a")?;
        ensure!((status, &told["killed"]) == (200, &Value::Bool(true)), "{status} {told}");
        Ok(())
    })?;
    stopped_by(&cluster, "slow_b", || {
        let told = cluster.storage(2)?.connect()?.query("KILL QUERY WHERE query_id = 'slow_b'")?;
        ensure!(told.contains("slow_b"), "{told}");
        Ok(())
    })?;
    stopped_by(&cluster, "slow_c", || {
        let told = cluster.ingest()?.connect()?.query("KILL QUERY WHERE query_id = 'slow_c'")?;
        ensure!(told.contains("slow_c"), "{told}");
        Ok(())
    })?;
    let (status, _) = cluster.ask("DELETE", "/admin/queries/slow_a")?;
    ensure!(status == 404, "{status} for a statement that is over");
    Ok(())
}

#[test]
fn every_door_shows_the_same_nodes_and_partitions() -> Result<()> {
    let cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), NODES, 2)?;
    crate::cluster_copies::all_copies(&cluster)?;
    cluster.ingest()?.connect()?.query("CREATE TABLE t (k String, v Int64) ENGINE = MergeTree ORDER BY k")?;
    eventually(PATIENCE, || {
        let status = cluster.status()?;
        let partitions = status["partitions"].as_array().context("there is a placement")?;
        let numbers = |it: &Value| -> String {
            let all = it.as_array().into_iter().flatten();
            let mut all: Vec<u64> = all.filter_map(Value::as_u64).collect();
            all.sort_unstable();
            format!("[{}]", all.iter().map(u64::to_string).collect::<Vec<_>>().join(","))
        };
        let line = |it: &Value| {
            let followers = numbers(&it["followers"]);
            format!("{}\t{}\t{}\t{followers}\n", it["partition"], it["owner"], it["epoch"])
        };
        let expected: String = partitions.iter().map(line).collect();
        for at in 0..=NODES {
            let told = door(&cluster, at)?.query(
                "SELECT partition, owner, epoch, arraySort(followers) FROM system.partitions ORDER BY partition",
            )?;
            ensure!(told == expected, "door {at} says {told}\nand the coordinator {expected}");
        }
        Ok(())
    })?;
    eventually(PATIENCE, || {
        let mut shown = Vec::new();
        for mut door in cluster.connect_all()? {
            let nodes =
                door.query("SELECT id, role, state, http, partitions_owned FROM system.nodes ORDER BY id")?;
            ensure!(nodes.lines().count() == NODES + 1, "{nodes}");
            let rates = door.query("SELECT count(rows_per_second) FROM system.nodes")?;
            ensure!(rates.trim() == (NODES + 1).to_string(), "{rates} nodes say how many rows they take");
            let response = door.send(&Request::get("/admin/nodes"))?;
            let value: Value = serde_json::from_slice(&response.body)?;
            let rates = value["nodes"].as_array().context("a list")?.iter();
            ensure!(rates.filter(|it| it["rows_per_second"].is_u64()).count() == NODES + 1, "{value}");
            ensure!(door.query("SHOW CLUSTER")?.lines().count() == NODES + 1, "SHOW CLUSTER shows the nodes");
            // A node has some rows of others, and lacks some: no number is better than one of those that it has.
            let rows = door
                .query("SELECT total_rows, total_bytes, has_own_data FROM system.tables WHERE name = 't'")?;
            ensure!(rows == "\\N\t\\N\t1\n", "{rows:?}");
            shown.push(nodes);
        }
        ensure!(shown.windows(2).all(|two| two[0] == two[1]), "the doors show {shown:?}");
        Ok(())
    })
}
