//! A disk that fills up. The node gets a small file system of its own in a mount namespace, which needs no
//! privileges where user namespaces are allowed, and none but root's where they are not.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use zepto_harness::{Connection, Launch, Request};

/// Size of the small file system, MiB: a few log files and little more.
const DISK_MIB: u32 = 700;
/// INSERTs after which the disk must have been full.
const INSERTS_MAX: usize = 5_000;
/// How long the node may take to notice that there is room again.
const RECOVERY: Duration = Duration::from_secs(60);

#[test]
fn a_full_disk_refuses_writes_answers_queries_and_recovers_without_hands() -> Result<()> {
    let place = crate::place()?;
    let mount = place.path().join("mount");
    fs::create_dir(&mount)?;
    let launch = on_small_disk(place.launch(), &mount)?;
    let node = launch.start()?;
    let mut connection = node.connect()?;
    connection.query(
        "CREATE TABLE t (k LowCardinality(String), ts DateTime64(9), v String) ENGINE = MergeTree ORDER BY (k, ts)",
    )?;
    let inside = PathBuf::from(format!("/proc/{}/root{}", node.pid(), mount.display()));
    fill(&inside)?;
    let acknowledged = write_until_refused(&mut connection)?;
    ensure!(count(&mut connection)? == acknowledged, "queries go on, and every acknowledged row is there");
    ensure!(node.connect()?.send(&Request::get("/ping"))?.status == 200);
    fs::remove_file(inside.join("ballast")).context("making room")?;
    let acknowledged = acknowledged + write_again(&mut connection)?;
    ensure!(count(&mut connection)? == acknowledged, "after there was room again");
    ensure!(node.terminate()?.success(), "an orderly end");
    Ok(())
}

/// The launch, run in a mount namespace with a small tmpfs under its data directory.
fn on_small_disk(mut launch: Launch, mount: &std::path::Path) -> Result<Launch> {
    let script = format!("mount -t tmpfs -o size={DISK_MIB}m none '{}' && exec \"$@\"", mount.display());
    let works = |flags: &str| {
        let probe = Command::new("unshare")
            .args([flags, "sh", "-c", &script, "sh", "true"])
            .stderr(Stdio::null())
            .status();
        probe.is_ok_and(|status| status.success())
    };
    let Some(flags) = ["-m", "-rm"].into_iter().find(|flags| works(flags)) else {
        bail!(
            "this machine allows no mount namespace (`unshare -m` as root, `unshare -rm` as a user): allow one of them"
        );
    };
    launch.wrapper = ["unshare", flags, "sh", "-c", &script, "sh"].map(OsString::from).to_vec();
    launch.data_dir = mount.join("data");
    Ok(launch)
}

/// Takes all but a little of what is free.
fn fill(inside: &std::path::Path) -> Result<()> {
    const LEFT: u64 = 24 << 20;
    const PART: u64 = 1 << 20;
    let mut ballast =
        fs::File::create(inside.join("ballast")).context("reaching into the node's file system")?;
    let part = vec![0; PART as usize];
    let mut written = 0;
    while std::io::Write::write_all(&mut ballast, &part).is_ok() {
        written += PART;
        ensure!(written < u64::from(DISK_MIB) << 20, "the file system is not small");
    }
    ballast.set_len(written.saturating_sub(LEFT))?;
    Ok(())
}

fn rows(number: usize) -> Request {
    let text = "x".repeat(50_000);
    let body = format!("INSERT INTO t VALUES ('k{}', '2024-01-02 10:00:00', '{text}')", number % 7);
    Request::new("POST", &format!("/?insert_deduplication_token=n{number}"), &[], body.into_bytes())
}

fn write_until_refused(connection: &mut Connection) -> Result<usize> {
    for number in 0..INSERTS_MAX {
        let response = connection.send(&rows(number))?;
        if response.status != 200 {
            let text = response.text();
            ensure!(response.status == 503, "{}: {text}", response.status);
            ensure!(response.exception_code() == Some(243), "NOT_ENOUGH_SPACE is expected: {text}");
            ensure!(response.header("retry-after").is_some(), "a 503 says when to come again");
            return Ok(number);
        }
    }
    bail!("{INSERTS_MAX} INSERTs did not fill the disk")
}

/// Repeats the refused INSERT until it is taken; the rows that came in.
fn write_again(connection: &mut Connection) -> Result<usize> {
    let deadline = Instant::now() + RECOVERY;
    let (_keep, never) = channel::<()>();
    loop {
        let response = connection.send(&rows(INSERTS_MAX))?;
        if response.status == 200 {
            return Ok(1);
        }
        ensure!(Instant::now() < deadline, "no recovery: {} {}", response.status, response.text());
        let _passed = never.recv_timeout(Duration::from_millis(200));
    }
}

fn count(connection: &mut Connection) -> Result<usize> {
    Ok(connection.query("SELECT count() FROM t")?.trim().parse()?)
}
