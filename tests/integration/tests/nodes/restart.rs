//! Orderly stops and starts: what was there stays, what is in flight ends well.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::libc::O_NONBLOCK;
use zepto_harness::node::START_WAIT;
use zepto_harness::{Connection, Request};
use zepto_integration::ledger::{self, Writer};

#[test]
fn sigterm_ends_a_busy_node_in_order_and_loses_nothing() -> Result<()> {
    let place = crate::place()?;
    let mut writers: Vec<Writer> = (0..4).map(|number| Writer::new(number, 7)).collect();
    for _ in 0..3 {
        let node = place.launch().start()?;
        node.connect()?.query(ledger::TABLE)?;
        let (address, stop) = (node.address(), AtomicBool::new(false));
        thread::scope(|scope| -> Result<()> {
            let busy: Vec<_> =
                writers.iter_mut().map(|writer| scope.spawn(|| writer.write(address, &stop))).collect();
            let (_keep, never) = channel::<()>();
            let _passed = never.recv_timeout(Duration::from_millis(500));
            let status = node.terminate();
            stop.store(true, Ordering::Relaxed);
            for writer in busy {
                writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
            }
            ensure!(status?.success(), "SIGTERM must end with exit code 0");
            Ok(())
        })?;
    }
    let node = place.launch().start()?;
    let stored = ledger::audit(&mut node.connect()?, &writers)?;
    ensure!(stored > 100, "the load was too small to tell anything: {stored} rows");
    Ok(())
}

/// A log file on a full disk, a pipe whose reader is gone: what the node has to say is lost, the node is not.
#[test]
fn a_node_whose_log_cannot_be_written_serves_and_ends_in_order() -> Result<()> {
    let place = crate::place()?;
    let mut launch = place.launch();
    launch.wrapper = ["sh", "-c", "exec \"$@\" 2>/dev/full", "sh"].map(Into::into).to_vec();
    let node = launch.start()?;
    let mut connection = node.connect()?;
    connection.query("CREATE TABLE t (k String, ts DateTime64(9)) ENGINE = MergeTree ORDER BY (k, ts)")?;
    for number in 0..20 {
        connection.query(&format!("INSERT INTO t VALUES ('k{number}', now64(9))"))?;
        let _refused = connection.query("SELECT nothing FROM t");
    }
    ensure!(connection.query("SELECT count() FROM t")?.trim() == "20");
    ensure!(connection.send(&Request::get("/ready"))?.status == 200);
    ensure!(node.terminate()?.success(), "SIGTERM must end with exit code 0");
    Ok(())
}

#[test]
fn a_node_that_leaves_says_so_before_it_closes_its_port() -> Result<()> {
    let place = crate::place()?;
    let node = place.launch().flag("--leave-ms").flag("60000").start()?;
    let ready = Request::get("/ready");
    ensure!(node.connect()?.send(&ready)?.status == 200);
    node.ask_to_end()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = node.connect()?.send(&ready)?;
        if answer.status == 503 {
            ensure!(answer.text().contains("the node is shutting down"), "{}", answer.text());
            break;
        }
        ensure!(Instant::now() < deadline, "still ready");
    }
    // Whoever has not heard of it yet is served.
    let mut late = node.connect()?;
    late.query("CREATE TABLE late (n Int64) ORDER BY n")?;
    late.query("INSERT INTO late VALUES (1)")?;
    // The second signal hurries: within a fraction of the minute.
    ensure!(node.terminate()?.success());
    let node = place.launch().start()?;
    ensure!(node.connect()?.query("SELECT count() FROM late")? == "1\n");
    Ok(())
}

#[test]
fn a_bootstrap_file_is_run_as_a_whole_or_not_at_all() -> Result<()> {
    let place = crate::place()?;
    let file = place.path().join("bootstrap.sql");
    let launch = || place.launch().flag("--bootstrap").flag(&file);
    let table =
        "CREATE TABLE trades (symbol LowCardinality(String), ts DateTime64(9)) ORDER BY (symbol, ts);";
    let rows = "INSERT INTO trades VALUES ('A', '2024-01-02 10:00:00');";
    let view = "CREATE MATERIALIZED VIEW totals AS SELECT symbol, count() AS n FROM trades GROUP BY symbol;";
    std::fs::write(&file, format!("{table}{view}{rows}\nCREATE TABLE broken (n Nonsense) ORDER BY n;"))?;
    ensure!(launch().start().is_err(), "the last statement is wrong");
    std::fs::write(&file, format!("{table}\n{view}\n{rows}"))?;
    for _ in 0..2 {
        let node = launch().start()?;
        ensure!(node.connect()?.query("SELECT symbol, n FROM totals")? == "A\t1\n");
        ensure!(node.connect()?.query("SELECT count() FROM trades")? == "1\n");
        ensure!(node.terminate()?.success());
    }
    Ok(())
}

#[test]
fn rows_that_came_after_a_broken_bootstrap_are_never_taken_for_its_remains() -> Result<()> {
    let place = crate::place()?;
    let file = place.path().join("bootstrap.sql");
    let with_file = || place.launch().flag("--bootstrap").flag(&file);
    let table = "CREATE TABLE trades (k String, n Int64) ORDER BY k;";
    std::fs::write(&file, format!("{table}\nCREATE TABLE broken (n Nonsense) ORDER BY n;"))?;
    ensure!(with_file().start().is_err(), "the last statement is wrong");
    let node = place.launch().start()?;
    ensure!(node.connect()?.query("SHOW TABLES")?.is_empty(), "what the bootstrap left is gone");
    node.connect()?.query("CREATE TABLE mine (n Int64) ORDER BY n")?;
    node.connect()?.query("INSERT INTO mine VALUES (1)")?;
    ensure!(node.terminate()?.success());
    std::fs::write(&file, table)?;
    let node = with_file().start()?;
    ensure!(node.connect()?.query("SELECT n FROM mine")? == "1\n");
    Ok(())
}

#[test]
fn a_table_of_the_bootstrap_that_was_dropped_stays_away() -> Result<()> {
    let place = crate::place()?;
    let file = place.path().join("bootstrap.sql");
    std::fs::write(&file, "CREATE TABLE trades (k String, n Int64) ORDER BY k;")?;
    let launch = || place.launch().flag("--bootstrap").flag(&file);
    let node = launch().start()?;
    node.connect()?.query("DROP TABLE trades")?;
    ensure!(node.terminate()?.success());
    let node = launch().start()?;
    ensure!(node.connect()?.query("SHOW TABLES")?.is_empty(), "the bootstrap ran a second time");
    Ok(())
}

#[test]
fn a_node_that_opens_its_storage_is_alive_and_not_ready() -> Result<()> {
    let place = crate::place()?;
    // Reading a pipe takes until somebody writes it: so long the start lasts.
    let pipe = place.path().join("bootstrap.sql");
    ensure!(Command::new("mkfifo").arg(&pipe).status()?.success());
    let launch = place.launch().flag("--bootstrap").flag(&pipe);
    thread::scope(|scope| -> Result<()> {
        let starting = scope.spawn(|| launch.start());
        let said = door_opened(&launch.log).and_then(while_it_starts);
        let mut pipe = once_it_is_read(&pipe)?;
        pipe.write_all(b"CREATE TABLE t (n Int64) ORDER BY n; INSERT INTO t VALUES (7);")?;
        drop(pipe);
        let node = starting.join().map_err(|_| anyhow::anyhow!("the starter panicked"))??;
        ensure!(node.connect()?.query("SELECT n FROM t")? == "7\n");
        said
    })
}

/// The writing end of a pipe; there is none before somebody reads.
fn once_it_is_read(pipe: &Path) -> Result<File> {
    let deadline = Instant::now() + START_WAIT;
    loop {
        match File::options().write(true).custom_flags(O_NONBLOCK).open(pipe) {
            Ok(file) => return Ok(file),
            Err(error) if Instant::now() >= deadline => return Err(error.into()),
            Err(_) => thread::yield_now(),
        }
    }
}

/// The address in the log, once the door is said to be open.
fn door_opened(log: &Path) -> Result<SocketAddr> {
    let deadline = Instant::now() + START_WAIT;
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let opened = text.lines().filter(|line| line.contains("HTTP door opened"));
        let mut words = opened.flat_map(str::split_whitespace);
        if let Some(address) = words.find_map(|word| word.strip_prefix("address=")) {
            return Ok(address.parse()?);
        }
        ensure!(Instant::now() < deadline, "no door: {text}");
        thread::yield_now();
    }
}

fn while_it_starts(address: SocketAddr) -> Result<()> {
    let mut connection = Connection::open(address)?;
    ensure!(connection.send(&Request::get("/health"))?.status == 200);
    let ready = connection.send(&Request::get("/ready"))?;
    ensure!(ready.status == 503 && ready.text().contains("starting"), "{} {}", ready.status, ready.text());
    for statement in ["SELECT 1", "INSERT INTO t VALUES (1)", "CREATE TABLE t (n Int64) ORDER BY n"] {
        let answer = connection.send(&Request::new("POST", "/", &[], statement.as_bytes()))?;
        ensure!(
            answer.status == 503 && answer.header("retry-after").is_some(),
            "{statement}: {}",
            answer.text()
        );
    }
    Ok(())
}

#[test]
fn tables_views_and_changes_survive_both_ways_to_end() -> Result<()> {
    let place = crate::place()?;
    let node = place.launch().start()?;
    let mut connection = node.connect()?;
    for statement in [
        "CREATE DATABASE market",
        "CREATE TABLE market.trades (symbol LowCardinality(String), ts DateTime64(9), price Float64, \
         volume Int64) ENGINE = MergeTree ORDER BY (symbol, ts)",
        "CREATE VIEW market.totals AS \
         SELECT symbol, sum(volume) AS volume, count() AS trades FROM market.trades GROUP BY symbol",
        "INSERT INTO market.trades VALUES ('A', '2024-01-02 10:00:00.000000001', 1.5, 10), \
         ('B', '2024-01-02 10:00:01', 2.5, 20), ('A', '1969-12-31 23:59:59.999999999', 3.5, 30)",
        "DELETE FROM market.trades WHERE symbol = 'B'",
        "CREATE MATERIALIZED VIEW market.bars POPULATE AS SELECT symbol, toStartOfMinute(ts) AS minute, \
         sum(volume) AS volume, argMax(volume, ts) AS newest FROM market.trades GROUP BY symbol, minute",
        "ALTER TABLE market.trades ADD COLUMN venue String DEFAULT 'none'",
        "INSERT INTO market.trades VALUES ('A', '2024-01-02 10:00:02', 4.5, 40, 'X')",
        "ALTER TABLE market.trades RENAME COLUMN price TO paid",
    ] {
        connection.query(statement)?;
    }
    let before = look(&mut connection)?;
    ensure!(before[0].lines().count() == 3, "{before:?}");
    let bars = "A\t1969-12-31 23:59:00\t30\t30\nA\t2024-01-02 10:00:00\t50\t40\n";
    ensure!(before[2] == bars, "{}", before[2]);
    node.kill()?;
    let node = place.launch().start()?;
    let after_kill = look(&mut node.connect()?)?;
    ensure!(after_kill == before, "after kill -9\n{before:#?}\n{after_kill:#?}");
    ensure!(node.terminate()?.success());
    let node = place.launch().start()?;
    let after_stop = look(&mut node.connect()?)?;
    ensure!(after_stop == before, "after SIGTERM\n{before:#?}\n{after_stop:#?}");
    Ok(())
}

fn look(connection: &mut Connection) -> Result<Vec<String>> {
    let questions = [
        "SELECT symbol, ts, paid, volume, venue FROM market.trades ORDER BY symbol, ts",
        "SELECT symbol, sum(volume), sum(trades) FROM market.totals GROUP BY symbol ORDER BY symbol",
        "SELECT symbol, minute, volume, newest FROM market.bars ORDER BY symbol, minute",
        "SHOW CREATE TABLE market.trades",
        "SELECT database, name FROM system.tables WHERE database = 'market' ORDER BY name",
    ];
    questions.iter().map(|sql| Ok(connection.query(sql)?)).collect()
}

#[test]
fn a_second_node_on_the_same_folder_is_refused() -> Result<()> {
    let place = crate::place()?;
    let node = place.launch().start()?;
    let second = place.launch().start();
    ensure!(second.is_err(), "two nodes on one folder would overwrite each other");
    ensure!(node.connect()?.send(&Request::get("/ping"))?.text() == "Ok.\n");
    Ok(())
}

#[test]
fn a_repeated_batch_is_stored_once_even_over_a_kill() -> Result<()> {
    let place = crate::place()?;
    let insert = Request::new(
        "POST",
        "/?insert_deduplication_token=once",
        &[],
        &b"INSERT INTO t VALUES ('a', '2024-01-02 10:00:00', 1), ('b', '2024-01-02 10:00:00', 2)"[..],
    );
    let node = place.launch().start()?;
    let mut connection = node.connect()?;
    connection.query(
        "CREATE TABLE t (k LowCardinality(String), ts DateTime64(9), v Int64) ENGINE = MergeTree ORDER BY (k, ts)",
    )?;
    for _ in 0..3 {
        ensure!(connection.send(&insert)?.status == 200);
    }
    ensure!(connection.query("SELECT count() FROM t")?.trim() == "2");
    node.kill()?;
    let node = place.launch().start()?;
    let mut connection = node.connect()?;
    ensure!(connection.send(&insert)?.status == 200);
    ensure!(connection.query("SELECT count() FROM t")?.trim() == "2", "stored again after kill -9");
    ensure!(node.terminate()?.success());
    let node = place.launch().start()?;
    let mut connection = node.connect()?;
    ensure!(connection.send(&insert)?.status == 200);
    ensure!(
        connection.query("SELECT count() FROM t")?.trim() == "2",
        "stored again after an orderly restart"
    );
    Ok(())
}
