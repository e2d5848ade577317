//! Measures queries over a large table, alone and while rows come in. Every run has other parameters or another
//! text; there is no result cache to help.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use zepto_harness::Connection;
use zepto_harness::disk::percentile;

use super::load::Door;
use super::report::{Report, million_per_second, ms};
use super::rig::Rig;
use super::rows::{Encoding, symbol};
use super::{Bench, ingest, load};

/// Runs before the clock counts.
const WARM_UP: u32 = 3;
/// Rows that come in while queries are measured: a tenth of what the node takes, so that the figures are of a node with
/// work to do and not of an overloaded one.
const MIXED_ROWS_PER_SECOND: u32 = 1_000_000;

/// A query with a number that varies from run to run.
struct Case {
    work: &'static str,
    target: &'static str,
    sql: fn(run: u32, keys: u32) -> String,
}

const CASES: &[Case] = &[
    Case {
        work: "vwap of one symbol",
        target: "≤ 2 ms p50",
        sql: |run, keys| {
            format!("SELECT vwap(price, volume) FROM ticks WHERE symbol = '{}'", symbol(run * 7 % keys))
        },
    },
    Case {
        work: "GROUP BY symbol: sum, avg",
        target: "≤ 60 ms",
        sql: |run, _| format!("SELECT symbol, sum(volume) AS v{run}, avg(price) FROM ticks GROUP BY symbol"),
    },
    Case {
        work: "GROUP BY symbol: sum, avg, with a filter that no index answers",
        target: "",
        sql: |run, _| {
            format!("SELECT symbol, sum(volume), avg(price) FROM ticks WHERE volume <> {run} GROUP BY symbol")
        },
    },
    Case {
        work: "count(*)",
        target: "≤ 1 ms",
        sql: |run, _| format!("SELECT count(*) AS n{run} FROM ticks"),
    },
    Case {
        work: "latest row of one symbol",
        target: "",
        sql: |run, keys| {
            let key = symbol(run * 7 % keys);
            format!("SELECT last(price, timestamp), max(timestamp) FROM ticks WHERE symbol = '{key}'")
        },
    },
];

/// Measures each query on a table that has come to rest.
pub(super) fn measure(options: &Bench, report: &mut Report) -> Result<()> {
    let rig = Rig::new(options)?;
    let rows = loaded(options, &rig, options.keys, options.rows)?;
    for case in CASES.iter().filter(|case| options.wants(case.work)) {
        let times = run_case(&mut rig.connect()?, case, options)?;
        report.add(format!("{}, {rows} rows, {} keys", case.work, options.keys), case.target, text(&times));
    }
    Ok(())
}

fn loaded(options: &Bench, rig: &Rig, keys: u32, rows: u64) -> Result<u64> {
    rig.create_table("ticks")?;
    let sent = ingest::fill(options, rig, "ticks", keys, rows)?;
    rig.settle()?;
    Ok(sent)
}

fn run_case(connection: &mut Connection, case: &Case, options: &Bench) -> Result<Vec<Duration>> {
    timed(connection, options.runs, |run| (case.sql)(run, options.keys.max(1)))
}

/// How long each of so many runs of a query took, in ascending order; the first ones do not count.
pub(super) fn timed(
    connection: &mut Connection,
    runs: u32,
    sql: impl Fn(u32) -> String,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for run in 0..WARM_UP + runs {
        let sql = sql(run);
        let start = Instant::now();
        connection.query(&sql)?;
        if run >= WARM_UP {
            times.push(start.elapsed());
        }
    }
    times.sort();
    Ok(times)
}

fn text(times: &[Duration]) -> String {
    format!("p50 {}, p99 {} of {}", ms(percentile(times, 0.5)), ms(percentile(times, 0.99)), times.len())
}

/// Measures the queries while four clients write.
pub(super) fn measure_mixed(options: &Bench, report: &mut Report) -> Result<()> {
    let rig = Rig::new(options)?;
    loaded(options, &rig, options.keys, options.rows / 10)?;
    let (writes, _) = ingest::prepare(options, "ticks", Encoding::Arrow, options.keys, options.ingest_rows)?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(|| {
            let per_second = MIXED_ROWS_PER_SECOND / options.batch.max(1);
            load::stream(&rig, &writes, per_second, &over)
        });
        let measured = measure_under_load(options, &rig, report);
        over.store(true, Ordering::Relaxed);
        let load = match writer.join() {
            Ok(result) => result?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        measured?;
        let rows = load.times.len() as u64 * u64::from(options.batch);
        let batch = percentile(&load.times, 0.99);
        report.add(
            "rows coming in meanwhile",
            "",
            format!("{}; batch p99 {}", million_per_second(rows, load.wall), ms(batch)),
        );
        Ok(())
    })
}

fn measure_under_load(options: &Bench, rig: &Rig, report: &mut Report) -> Result<()> {
    for case in CASES.iter().filter(|case| options.wants(case.work)) {
        let times = run_case(&mut rig.connect()?, case, options)?;
        report.add(format!("{} while 1 M rows/s come in", case.work), "", text(&times));
    }
    Ok(())
}

/// One key with very many rows: loading, an aggregate over all, a narrow time range.
pub(super) fn measure_one_key(options: &Bench, rows: u64, report: &mut Report) -> Result<()> {
    let rig = Rig::new(options)?;
    let start = Instant::now();
    let rows = loaded(options, &rig, 1, rows)?;
    report.add(
        format!("one key, {rows} rows: load and settle"),
        "",
        million_per_second(rows, start.elapsed()),
    );
    let mut connection = rig.connect()?;
    let mut whole = Vec::new();
    let mut narrow = Vec::new();
    for run in 1..=options.runs.min(20) {
        let start = Instant::now();
        connection.query(&format!("SELECT vwap(price, volume) AS v{run} FROM ticks"))?;
        whole.push(start.elapsed());
        let start = Instant::now();
        let bound = format!("timestamp < toDateTime64('2024-01-02 14:30:{run:02}', 9)");
        connection.query(&format!("SELECT vwap(price, volume) FROM ticks WHERE {bound}"))?;
        narrow.push(start.elapsed());
    }
    whole.sort();
    narrow.sort();
    report.add("one key: vwap over all rows", "", text(&whole));
    report.add("one key: vwap over some seconds", "", text(&narrow));
    Ok(())
}
