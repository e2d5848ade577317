//! Measures INSERTs: throughput, server processor time per row, latency of single rows.

use std::time::Duration;

use anyhow::{Result, ensure};
use zepto_harness::Request;
use zepto_harness::cost::Cost;
use zepto_harness::disk::{percentile, sync_times};

use super::Bench;
use super::load;
use super::machine::SYNC_ROUNDS;
use super::report::{Report, million_per_second, ms, us_per_row};
use super::rig::{Rig, data_root};
use super::rows::{Encoding, Maker};

/// Connections of the single-row measurement.
const SINGLE_CONNECTIONS: usize = 64;
/// Requests per second of the single-row measurement by schedule: the rate that is to be reached.
const SINGLE_RATE: u32 = 6_000;
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
    if options.wants("single-row") { measure_single(options, report) } else { Ok(()) }
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
pub(super) fn fill(options: &Bench, rig: &Rig, table: &str, keys: u32, rows: u64) -> Result<u64> {
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
        load::send_all(rig, &requests)?;
        sent += rounds * per_round;
    }
    Ok(sent)
}

/// A measurement of single rows.
struct Single {
    work: &'static str,
    /// By schedule, or as fast as answers come.
    rate: Option<u32>,
    /// A sync takes at least this long; None: as long as it takes here.
    sync: Option<Duration>,
    target: &'static str,
}

/// What a sync takes on a common disk that does not answer from a cache. Sixty-four connections that wait for each
/// other's processor time, not for the disk, say nothing about sharing syncs.
const COMMON_SYNC: Duration = Duration::from_millis(4);

const SINGLES: &[Single] = &[
    Single { work: "a sync takes 4 ms or more", rate: None, sync: Some(COMMON_SYNC), target: SHARED },
    Single { work: "this disk", rate: None, sync: None, target: "≥ 6 k/s" },
    Single {
        work: "this disk, 6,000 per second by schedule",
        rate: Some(SINGLE_RATE),
        sync: None,
        target: SHARED,
    },
];
const SHARED: &str = "≥ 6 k/s, p99 ≤ 3 syncs";

fn measure_single(options: &Bench, report: &mut Report) -> Result<()> {
    SINGLES.iter().try_for_each(|case| single(options, report, case))
}

/// Single rows under some load, with the disk's own sync times from just before it.
fn single(options: &Bench, report: &mut Report, case: &Single) -> Result<()> {
    let at_least = case.sync.unwrap_or_default();
    if options.url.is_some() && !at_least.is_zero() {
        eprintln!("left out, a running node's disk cannot be slowed: {}", case.work);
        return Ok(());
    }
    let micros = at_least.as_micros().to_string();
    let rig = Rig::with_flags(options, &["--sync-at-least-us", &micros])?;
    rig.create_table("ticks")?;
    let requests = (0..SINGLE_CONNECTIONS)
        .map(|writer| Maker::new(100, 1, u32::try_from(writer)?).request("ticks", Encoding::Values));
    let requests = requests.collect::<Result<Vec<_>>>()?;
    let mut syncs = sync_times(&data_root(options)?, SYNC_ROUNDS)?;
    syncs.iter_mut().for_each(|took| *took = at_least.max(*took));
    let time = Duration::from_secs(options.seconds);
    let load = match case.rate {
        Some(rate) => load::paced(&rig, &requests, rate, time),
        None => load::repeat(&rig, &requests, time),
    }?;
    let counted: usize = rig.query("SELECT count() FROM ticks")?.trim().parse()?;
    ensure!(counted == load.times.len(), "{} acknowledged, {counted} there", load.times.len());
    let rate = load.times.len() as f64 / load.wall.as_secs_f64() / 1e3;
    let (p50, p99) = (percentile(&load.times, 0.5), percentile(&load.times, 0.99));
    let sync = percentile(&syncs, 0.5);
    let measured = format!(
        "{rate:.1} k/s; p50 {}, p99 {} ({:.1} syncs); one sync p50 {}, p99 {}",
        ms(p50),
        ms(p99),
        p99.as_secs_f64() / sync.as_secs_f64().max(1e-9),
        ms(sync),
        ms(percentile(&syncs, 0.99))
    );
    let work = format!("single-row INSERTs, {SINGLE_CONNECTIONS} connections, {}", case.work);
    report.add(work, case.target, measured);
    Ok(())
}
