//! Rule 4: a partition whose last complete copy is lost is unavailable, and never empty by itself; a person may give it to a
//! node all the same.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use zepto_harness::Request;
use zepto_integration::cluster::{Cluster, eventually};

use crate::cluster_copies::all_copies;

const NODES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);
const ROWS: u64 = 5_000;

fn lost(cluster: &Cluster) -> Result<Vec<u64>> {
    let status = cluster.status()?;
    let partitions = status["partitions"].as_array().context("there is a placement")?;
    let lost = partitions.iter().filter(|it| it["available"] == false);
    lost.map(|it| it["partition"].as_u64().context("a number")).collect()
}

#[test]
fn partitions_without_a_complete_copy_wait_until_a_person_gives_them_to_a_node() -> Result<()> {
    let mut cluster = Cluster::with_copies(env!("CARGO_TARGET_TMPDIR"), NODES, 2)?;
    all_copies(&cluster)?;
    let mut door = cluster.storage(2)?.connect()?;
    door.query("CREATE TABLE t (k String, ts DateTime64(9), v UInt64) ENGINE = MergeTree ORDER BY (k, ts)")?;
    let insert = "INSERT INTO t SELECT concat('k', toString(number)), now64(9), number FROM numbers(5000)";
    door.query(insert)?;
    for number in [0, 1] {
        cluster.kill_storage(number)?;
        cluster.lose_disk(number)?;
    }
    for number in [0, 1] {
        cluster.start_storage(number)?;
    }
    let mut gone = Vec::new();
    eventually(PATIENCE, || {
        gone = lost(&cluster)?;
        let copies = cluster.copies()?;
        // What node 2 had too is copied to the others again.
        ensure!(
            !gone.is_empty() && copies.len() >= 2 * (256 - gone.len()),
            "{} lost, {} copies",
            gone.len(),
            copies.len()
        );
        Ok(())
    })?;
    println!("{} partitions are lost", gone.len());
    let query = "SELECT count() FROM t SETTINGS max_execution_time = 2";
    let response = cluster.storage(2)?.connect()?.send(&Request::statement(query))?;
    ensure!(response.status != 200, "never fewer rows by themselves: {}", response.text());
    let path = |partition: u64, more: &str| {
        format!("/admin/rebalance/force-owner?partition={partition}&node=2{more}")
    };
    let (status, told) = cluster.ask("POST", &path(gone[0], ""))?;
    ensure!(status == 400 && told.to_string().contains("accept-loss"), "{status} {told}");
    for partition in &gone {
        let (status, told) = cluster.ask("POST", &path(*partition, "&accept_loss=1"))?;
        ensure!((status, &told["owner"]) == (200, &2.into()), "{status} {told}");
    }
    eventually(PATIENCE, || {
        let left = lost(&cluster)?;
        ensure!(left.is_empty(), "{left:?} are lost still");
        let rows = cluster.number("SELECT count() FROM t")?;
        ensure!((1..ROWS).contains(&rows), "{rows} rows, of {ROWS} with lost ones among them");
        Ok(())
    })?;
    let left = cluster.number("SELECT count() FROM t")?;
    cluster.ingest()?.connect()?.query(insert)?;
    ensure!(cluster.number("SELECT count() FROM t")? == left + ROWS, "they take rows again");
    all_copies(&cluster)?;
    Ok(())
}
