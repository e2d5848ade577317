//! Measures memory per row and per key, and the restart after kill -9.

use anyhow::{Context, Result, bail};
use zepto_harness::cost::Cost;

use super::report::Report;
use super::rig::Rig;
use super::{Bench, ingest};

/// Keys of the measurement with one row each.
const LONELY_KEYS: u32 = 10_000;

/// Measures all of it; needs nodes started here.
pub(super) fn measure(options: &Bench, report: &mut Report) -> Result<()> {
    if options.url.is_some() {
        bail!("memory and restart can be measured on nodes started here only: leave out --url");
    }
    memory(options, report)?;
    restart(options, report)?;
    lonely_keys(options, report)
}

fn cost(rig: &Rig) -> Result<Cost> {
    rig.cost()?.context("the node was started here")
}

/// Resident memory of a node that took the rows, flushed them and came to rest.
fn memory(options: &Bench, report: &mut Report) -> Result<()> {
    let rig = Rig::new(options)?;
    rig.create_table("ticks")?;
    let empty = cost(&rig)?;
    let rows = ingest::fill(options, &rig, "ticks", options.keys, options.rows)?;
    rig.settle()?;
    let settled = cost(&rig)?;
    let bytes = settled.resident.saturating_sub(empty.resident) as f64 / rows as f64;
    report.add(
        format!("resident memory, {rows} rows of (symbol, ns time, f64, i64)"),
        "≤ 40 B/row",
        format!(
            "{bytes:.1} B/row ({} MB at rest, {} MB at most while loading, empty {} MB)",
            settled.resident >> 20,
            settled.resident_max >> 20,
            empty.resident >> 20
        ),
    );
    Ok(())
}

/// kill -9 right after the last acknowledgement: what no checkpoint has covered must come from the logs.
fn restart(options: &Bench, report: &mut Report) -> Result<()> {
    let rig = Rig::new(options)?;
    rig.create_table("ticks")?;
    let rows = ingest::fill(options, &rig, "ticks", options.keys, options.rows)?;
    let loaded = cost(&rig)?;
    let (took, rig) = rig.kill_and_restart()?;
    let restarted = cost(&rig)?;
    let replayed = rig.rows_replayed()?;
    let counted: u64 = rig.query("SELECT count() FROM ticks")?.trim().parse()?;
    if counted != rows {
        bail!("{rows} rows were acknowledged before kill -9, {counted} are there after it");
    }
    report.add(
        format!("restart after kill -9 with {rows} rows just written"),
        "≤ 10 s, memory within the running bound",
        format!(
            "{:.1} s, {replayed} rows from the logs; {} MB at most (before the kill {} MB), all rows there",
            took.as_secs_f64(),
            restarted.resident_max >> 20,
            loaded.resident_max >> 20
        ),
    );
    Ok(())
}

fn lonely_keys(options: &Bench, report: &mut Report) -> Result<()> {
    let rig = Rig::new(options)?;
    rig.create_table("ticks")?;
    let empty = cost(&rig)?;
    rig.query(&format!(
        "INSERT INTO ticks SELECT concat('K', toString(number)), toDateTime64('2024-01-02 00:00:00', 9), 1.5, 1 \
         FROM numbers({LONELY_KEYS})"
    ))?;
    rig.settle()?;
    let settled = cost(&rig)?;
    report.add(
        format!("{LONELY_KEYS} keys with one row each"),
        "≤ 100 MB over empty",
        format!("{:.1} MB over empty", settled.resident.saturating_sub(empty.resident) as f64 / 1e6),
    );
    Ok(())
}
