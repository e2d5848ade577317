//! Measures INSERTs: throughput, server processor time per row, latency of single rows.

use std::time::Duration;

use anyhow::{Result, ensure};
use zepto_harness::Request;
use zepto_harness::cost::Cost;
use zepto_harness::disk::percentile;

use super::load::Door;
use super::report::{Report, million_per_second, ms, us_per_row};
use super::rig::Rig;
use super::rows::{Encoding, Maker};
use super::{Bench, load, single};

/// Keys of the measurement with many keys.
const MANY_KEYS: u32 = 100_000;

/// One measurement.
struct Case {
    work: &'static str,
    encoding: Encoding,
    keys: u32,
    target: &'static str,
}

const CASES: &[Case] = &[
    Case {
        work: "VALUES text, 100 keys",
        encoding: Encoding::Values,
        keys: 100,
        target: "≥ 1.5 M rows/s, ≤ 0.7 µs until quiescent",
    },
    Case { work: "RowBinary, 100 keys", encoding: Encoding::RowBinary, keys: 100, target: FAST },
    Case { work: "RowBinary, 100,000 keys", encoding: Encoding::RowBinary, keys: MANY_KEYS, target: FAST },
    Case { work: "Arrow, 100 keys", encoding: Encoding::Arrow, keys: 100, target: FAST },
    Case { work: "Arrow, 100,000 keys", encoding: Encoding::Arrow, keys: MANY_KEYS, target: FAST },
];
const FAST: &str = "≥ 5 M rows/s where a sync takes ≤ 4 ms, ≤ 0.2 µs foreground, ≤ 0.4 µs in all";

/// Measures all cases, each on a node of its own.
pub(super) fn measure(options: &Bench, report: &mut Report) -> Result<()> {
    for case in CASES.iter().filter(|case| options.wants(case.work)) {
        measure_case(options, case, report)?;
    }
    if options.wants("single-row") { single::measure(options, report) } else { Ok(()) }
}

fn measure_case(options: &Bench, case: &Case, report: &mut Report) -> Result<()> {
    let rig = Rig::new(options)?;
    rig.create_table("ticks")?;
    let (requests, rows) = prepare(options, "ticks", case.encoding, case.keys, options.ingest_rows)?;
    let before = rig.cost()?;
    let load = load::send_all(&rig, &requests)?;
    let acknowledged = rig.cost()?;
    let counted: u64 = rig.query("SELECT count() FROM ticks")?.trim().parse()?;
    ensure!(counted == rows, "{rows} rows were acknowledged, {counted} are there");
    rig.settle()?;
    let settled = rig.cost()?;
    let work = format!("INSERT {}, {}-row batches, {} clients", case.work, options.batch, options.clients);
    let mut measured = format!(
        "{}; batch p50 {}, p99 {}",
        million_per_second(rows, load.wall),
        ms(percentile(&load.times, 0.5)),
        ms(percentile(&load.times, 0.99))
    );
    if let (Some(before), Some(acknowledged), Some(settled)) = (before, acknowledged, settled) {
        measured += &format!(
            "; server CPU per row {} foreground, {} until quiescent",
            us_per_row(spent(before, acknowledged), rows),
            us_per_row(spent(before, settled), rows)
        );
    }
    report.add(work, case.target, measured);
    Ok(())
}

fn spent(before: Cost, after: Cost) -> Duration {
    after.cpu.saturating_sub(before.cpu)
}

/// Prepared requests of all clients, and the rows in them.
pub(super) fn prepare(
    options: &Bench,
    table: &str,
    encoding: Encoding,
    keys: u32,
    rows: u64,
) -> Result<(Vec<Vec<Request>>, u64)> {
    let per_batch = u64::from(options.batch.max(1)) * u64::from(options.clients.max(1));
    let batches = rows.div_ceil(per_batch).max(1);
    let clients = 0..options.clients.max(1);
    let requests = clients.map(|writer| {
        let mut maker = Maker::new(keys, options.batch, writer);
        (0..batches).map(|_| maker.request(table, encoding)).collect::<Result<Vec<_>>>()
    });
    Ok((requests.collect::<Result<Vec<_>>>()?, batches * per_batch))
}

/// Loads a table with Arrow batches, in pieces so that the client's memory stays small.
pub(super) fn fill(options: &Bench, door: &impl Door, table: &str, keys: u32, rows: u64) -> Result<u64> {
    /// Rows prepared at a time.
    const PIECE: u64 = 1_000_000;
    let clients = options.clients.max(1);
    let mut makers: Vec<Maker> = (0..clients).map(|writer| Maker::new(keys, options.batch, writer)).collect();
    let per_round = u64::from(options.batch.max(1)) * u64::from(clients);
    let rounds = (PIECE / per_round).max(1);
    let mut sent = 0;
    while sent < rows {
        let rounds = rounds.min((rows - sent).div_ceil(per_round));
        let requests = makers.iter_mut().map(|maker| {
            (0..rounds).map(|_| maker.request(table, Encoding::Arrow)).collect::<Result<Vec<_>>>()
        });
        let requests = requests.collect::<Result<Vec<_>>>()?;
        load::send_all(door, &requests)?;
        sent += rounds * per_round;
    }
    Ok(sent)
}
