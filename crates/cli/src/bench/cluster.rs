//! Measures a cluster: routed INSERTs with one and with two copies, what routing costs, queries over the rows of all
//! nodes. Every process is one of its own on this machine, so they share its processors and its disk with the client.

mod rig;

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use zepto_harness::Connection;
use zepto_harness::disk::percentile;

use super::load::Door;
use super::report::{Report, million_per_second, ms, us_per_row};
use super::rows::{Encoding, symbol};
use super::{Bench, ingest, load, query};
use rig::{ClusterCost, ClusterRig};

/// Storage nodes of the cluster under measurement.
const STORAGE_NODES: usize = 3;
/// Keys of the rows.
const KEYS: u32 = 100;

/// One way in.
struct Way {
    work: &'static str,
    encoding: Encoding,
    target: &'static str,
}

const WAYS: &[Way] = &[
    Way { work: "VALUES text", encoding: Encoding::Values, target: "≥ 1 M rows/s" },
    Way { work: "RowBinary", encoding: Encoding::RowBinary, target: "≥ 2.5 M rows/s" },
    Way {
        work: "Arrow",
        encoding: Encoding::Arrow,
        target: "≥ 2.5 M rows/s; ≤ 0.1 µs/row on the ingest node",
    },
];

/// A query over the rows of all nodes, with a number that varies from run to run.
struct Query {
    work: &'static str,
    target: &'static str,
    sql: fn(run: u32) -> String,
}

const QUERIES: &[Query] = &[
    Query {
        work: "count(*)", target: "≤ 3 ms", sql: |run| format!("SELECT count(*) AS n{run} FROM ticks")
    },
    Query {
        work: "GROUP BY symbol: sum, avg",
        target: "≤ 40 ms",
        sql: |run| format!("SELECT symbol, sum(volume) AS v{run}, avg(price) FROM ticks GROUP BY symbol"),
    },
    Query {
        work: "vwap of one symbol",
        target: "≤ 4 ms",
        sql: |run| {
            format!("SELECT vwap(price, volume) FROM ticks WHERE symbol = '{}'", symbol(run * 7 % KEYS))
        },
    },
];

/// What one way in took.
struct Measured {
    wall: Duration,
    /// Until the last row was acknowledged.
    foreground: ClusterCost,
    /// Until everything was sorted and flushed. The second copy is background work too: without it the comparison
    /// would depend on how much of either run's happened to fall before the end.
    all: ClusterCost,
    rows: u64,
}

/// Measures all of it; the cluster is started here.
pub(super) fn measure(options: &Bench, report: &mut Report) -> Result<()> {
    if options.url.is_some() {
        bail!("a cluster is measured that was started here: leave out --url");
    }
    for way in WAYS.iter().filter(|way| options.wants(way.work)) {
        let one = insert(options, report, way, 1)?;
        let two = insert(options, report, way, 2)?;
        let per_row = |of: &ClusterCost, it: &Measured| of.all().as_secs_f64() / it.rows as f64;
        let times = |of: fn(&Measured) -> &ClusterCost| per_row(of(&two), &two) / per_row(of(&one), &one);
        report.add(
            format!("{}: two copies against one", way.work),
            "CPU ≤ 1.7×, rows/s ≥ 45 %",
            format!(
                "CPU per row {:.2}× in all, {:.2}× foreground, rows/s {:.0} %",
                times(|it| &it.all),
                times(|it| &it.foreground),
                100.0 * one.wall.as_secs_f64() / two.wall.as_secs_f64()
            ),
        );
    }
    queries(options, report)
}

/// Rows through the ingest node, on a fresh cluster. Of an Arrow stream hardly anything is parsed, so what the ingest
/// node spends on its rows is an upper bound of what routing costs.
fn insert(options: &Bench, report: &mut Report, way: &Way, copies: u8) -> Result<Measured> {
    let rig = ClusterRig::start(options, STORAGE_NODES, copies)?;
    rig.create_table("ticks")?;
    let (requests, rows) = ingest::prepare(options, "ticks", way.encoding, KEYS, options.ingest_rows)?;
    let before = rig.cost()?;
    let load = load::send_all(&rig, &requests)?;
    let foreground = rig.cost()?.since(&before);
    rig.flush()?;
    rig.settle()?;
    let all = rig.cost()?.since(&before);
    let counted = rig.rows("ticks")?;
    ensure!(counted == rows, "{rows} rows were acknowledged, {counted} are there");
    report.add(
        format!("routed INSERT {}, {}-row batches, {copies} cop{}", way.work, options.batch, plural(copies)),
        if copies == 1 { way.target } else { "" },
        format!(
            "{}; batch p50 {}, p99 {}; CPU per row {} foreground, {} until quiescent; {} on the ingest node",
            million_per_second(rows, load.wall),
            ms(percentile(&load.times, 0.5)),
            ms(percentile(&load.times, 0.99)),
            us_per_row(foreground.all(), rows),
            us_per_row(all.all(), rows),
            us_per_row(foreground.ingest, rows)
        ),
    );
    Ok(Measured { wall: load.wall, foreground, all, rows })
}

fn plural(copies: u8) -> &'static str {
    if copies == 1 { "y" } else { "ies" }
}

/// Queries right behind the load, when each node has up to a million rows that are not sorted yet, and at rest as the
/// queries of one node are measured.
fn queries(options: &Bench, report: &mut Report) -> Result<()> {
    let wanted: Vec<&Query> = QUERIES.iter().filter(|query| options.wants(query.work)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let rig = ClusterRig::start(options, STORAGE_NODES, 1)?;
    rig.create_table("ticks")?;
    let rows = ingest::fill(options, &rig, "ticks", KEYS, options.rows)?;
    rig.settle()?;
    ensure!(rig.rows("ticks")? == rows, "not all of {rows} rows are there");
    let fresh = wanted.iter().map(|query| times(options, &rig, query)).collect::<Result<Vec<_>>>()?;
    rig.flush()?;
    rig.settle()?;
    for (query, fresh) in wanted.into_iter().zip(fresh) {
        let rest = times(options, &rig, query)?;
        report.add(
            format!("{}, {rows} rows on {STORAGE_NODES} nodes", query.work),
            query.target,
            format!(
                "p50 {}, p99 {} at a storage node; p50 {} through the ingest node; right behind the load p50 {} and {}",
                ms(percentile(&rest.storage, 0.5)),
                ms(percentile(&rest.storage, 0.99)),
                ms(percentile(&rest.ingest, 0.5)),
                ms(percentile(&fresh.storage, 0.5)),
                ms(percentile(&fresh.ingest, 0.5)),
            ),
        );
    }
    Ok(())
}

/// How long a query took at a storage node and through the ingest node, each in ascending order.
struct Times {
    storage: Vec<Duration>,
    ingest: Vec<Duration>,
}

fn times(options: &Bench, rig: &ClusterRig, item: &Query) -> Result<Times> {
    let through = |mut connection: Connection| query::timed(&mut connection, options.runs, item.sql);
    Ok(Times { storage: through(rig.storage(0)?)?, ingest: through(rig.connect()?)? })
}
