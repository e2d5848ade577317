//! Ten time-series queries over trades and quotes, beside other engines on the same rows and parameters.
//!
//! The rows go to the node over HTTP and, as Parquet, to the peers' script, which has each engine load them into its own
//! tables first. Every engine's answer to each query is compared with ours: a quick wrong answer is no figure. Parameters
//! differ from run to run; there is no result cache.

mod market;
mod peers;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use zepto_harness::{Connection, Request};

use self::market::Market;
use self::peers::{Peer, close};
use super::Bench;
use super::load::Door;
use super::report::{Report, ms};
use super::rig::{Rig, data_root};
use super::rows::symbol;

/// Runs of each query; the median counts.
const RUNS: u32 = 7;
/// Runs before the clock counts; as many as the peers' script has.
const WARM_UP: u32 = 2;
/// The queries. Aliases and bounds make the text of every run new.
const QUERIES: &[Query] = &[
    Query {
        name: "Q1",
        what: "count(*)",
        to_reach: "0.2 / 0.5 ms",
        sql: |run, _| format!("SELECT count(*) AS n{run} FROM trades"),
    },
    Query {
        name: "Q2",
        what: "vwap of one symbol",
        to_reach: "0.4 / 0.8 ms",
        sql: |run, keys| {
            format!("SELECT vwap(price, volume) FROM trades WHERE symbol = '{}'", symbol(run * 7 % keys))
        },
    },
    Query {
        name: "Q3",
        what: "5-minute OHLCV of one symbol",
        to_reach: "0.8 / 1.3 ms",
        sql: |run, keys| {
            let symbol = symbol(run * 7 % keys);
            format!(
                "SELECT {SUMS} FROM (SELECT xbar(ts, INTERVAL 5 MINUTE) AS b, {BAR} FROM trades \
                 WHERE symbol = '{symbol}' GROUP BY b) AS t"
            )
        },
    },
    Query {
        name: "Q4",
        what: "sum, avg by symbol",
        to_reach: "1 / 2 ms",
        sql: |run, _| {
            format!(
                "SELECT count(*), sum(v), sum(p) AS s{run} FROM (SELECT symbol, sum(volume) AS v, avg(price) AS p \
                 FROM trades GROUP BY symbol) AS t"
            )
        },
    },
    Query {
        name: "Q5",
        what: "count where price > x",
        to_reach: "4 / 5 ms",
        sql: |run, _| format!("SELECT count(*) FROM trades WHERE price > {}", 100 + run),
    },
    Query {
        name: "Q6",
        what: "1-minute OHLCV of all symbols",
        to_reach: "30 / 60 ms",
        sql: |run, _| {
            format!(
                "SELECT {SUMS} AS s{run} FROM (SELECT symbol, xbar(ts, INTERVAL 1 MINUTE) AS b, {BAR} FROM trades \
                 GROUP BY symbol, b) AS t"
            )
        },
    },
    Query {
        name: "Q7",
        what: "as-of join of all trades with quotes, aggregated",
        to_reach: "100 / 110 ms",
        sql: |run, _| {
            format!(
                "SELECT count(*), sum(t.price - q.bid) AS s{run} FROM trades AS t ASOF JOIN quotes AS q \
                 ON t.symbol = q.symbol AND t.ts >= q.ts"
            )
        },
    },
    Query {
        name: "Q8",
        what: "20-row moving average per symbol, aggregated",
        to_reach: "60 / 70 ms",
        sql: |run, _| {
            format!(
                "SELECT count(*), sum(m) FROM (SELECT mavg(price, {}) OVER (PARTITION BY symbol ORDER BY ts) AS m \
                 FROM trades) AS t",
                20 + run % 3
            )
        },
    },
    Query {
        name: "Q9",
        what: "latest row per symbol",
        to_reach: "0.5 / 1 ms",
        sql: |run, _| {
            format!(
                "SELECT count(*), sum(price), sum(volume) AS s{run} FROM (SELECT * FROM trades \
                 LATEST ON ts PARTITION BY symbol) AS t"
            )
        },
    },
    Query {
        name: "Q10",
        what: "sum by a 100,000-value key",
        to_reach: "150 / 170 ms",
        sql: |run, _| {
            format!(
                "SELECT count(*), sum(s) AS s{run} FROM (SELECT id, sum(volume) AS s FROM trades GROUP BY id) AS t"
            )
        },
    },
];

/// A bar of trades.
const BAR: &str =
    "first(price, ts) AS o, max(price) AS h, min(price) AS l, last(price, ts) AS c, sum(volume) AS v";
/// All bars as one row, so that answers can be compared.
const SUMS: &str = "count(*), sum(o), sum(h), sum(l), sum(c), sum(v)";

/// A query whose text differs from run to run.
struct Query {
    name: &'static str,
    what: &'static str,
    /// In the node and over HTTP.
    to_reach: &'static str,
    sql: fn(run: u32, keys: u32) -> String,
}

/// What was measured of ours.
struct Measured {
    /// The node's own time, from the statement's arrival to its answer.
    inside: Duration,
    /// The client's.
    over_http: Duration,
    answer: Vec<f64>,
}

/// Measures all queries on rows in memory, and again when they are in files alone.
pub(super) fn measure(options: &Bench, report: &mut Report) -> Result<()> {
    let wanted: Vec<&Query> =
        QUERIES.iter().filter(|query| options.wants(query.name) || options.wants(query.what)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let rig = Rig::new(options)?;
    let folder = TempDir::with_prefix_in("market-", data_root(options)?)?;
    let market = Market::new(options.keys, options.rows);
    let start = Instant::now();
    market.fill(&rig, folder.path(), options.python.is_some())?;
    report.add(
        format!("{} trades and {} quotes sent, {} keys", market.rows(), market.rows(), options.keys),
        "",
        format!("{:.1} s with making them", start.elapsed().as_secs_f64()),
    );
    rig.settle()?;
    let peers = match &options.python {
        Some(python) => peers::measure(python, options, folder.path(), RUNS)?,
        None => Vec::new(),
    };
    if peers.is_empty() {
        report.add("other engines", "", "not measured: run `cargo xtask bench query`");
    }
    table(options, &rig, "hot", &wanted, &peers, report)?;
    let rig = put_in_files(options, rig)?;
    table(options, &rig, "in files", &wanted, &peers, report)
}

/// Merges the tables' files and starts the node again: what was in files alone is not read into memory then.
fn put_in_files(options: &Bench, rig: Rig) -> Result<Rig> {
    for name in ["trades", "quotes"] {
        rig.query(&format!("OPTIMIZE TABLE {name} FINAL"))?;
    }
    rig.settle()?;
    if options.url.is_some() {
        return Ok(rig);
    }
    let (_, rig) = rig.kill_and_restart()?;
    rig.settle()?;
    Ok(rig)
}

fn table(
    options: &Bench,
    rig: &Rig,
    state: &str,
    wanted: &[&Query],
    peers: &[Peer],
    report: &mut Report,
) -> Result<()> {
    report.add(format!("state: {state}"), "", parts(rig)?);
    for query in wanted {
        let ours = run(&mut rig.connect()?, query, options.keys.max(1))?;
        let mut text = format!("{} in the node, {} over HTTP", ms(ours.inside), ms(ours.over_http));
        let of_query: Vec<&Peer> = peers.iter().filter(|peer| peer.query == query.name).collect();
        for peer in &of_query {
            if !close(&ours.answer, &peer.answer) {
                bail!("{}: {} answers {:?}, ours is {:?}", query.name, peer.engine, peer.answer, ours.answer);
            }
            text.push_str(&format!("; {} {} {:.2} ms", peer.engine, peer.version, peer.ms));
        }
        let best = of_query.iter().map(|peer| peer.ms).fold(f64::INFINITY, f64::min);
        if best.is_finite() {
            text.push_str(&format!(
                "; best peer ÷ ours in the node {:.1}",
                best / (ours.inside.as_secs_f64() * 1e3)
            ));
        }
        report.add(format!("{} {}, {state}", query.name, query.what), query.to_reach, text);
    }
    Ok(())
}

/// How the rows lie.
fn parts(rig: &Rig) -> Result<String> {
    let sql = "SELECT table, part_type, count(), sum(rows), intDiv(sum(bytes_in_memory), 1048576) FROM system.parts WHERE active GROUP BY table, part_type \
               ORDER BY table, part_type FORMAT TabSeparated";
    let lines: Vec<String> = rig
        .query(sql)?
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            format!(
                "{} rows of {} in {} parts ({}, {} MiB in memory)",
                cells.get(3).unwrap_or(&""),
                cells.first().unwrap_or(&""),
                cells.get(2).unwrap_or(&""),
                cells.get(1).unwrap_or(&""),
                cells.get(4).unwrap_or(&"")
            )
        })
        .collect();
    Ok(lines.join(", "))
}

fn run(connection: &mut Connection, query: &Query, keys: u32) -> Result<Measured> {
    let (mut inside, mut over_http, mut answer) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..WARM_UP + RUNS {
        let sql = (query.sql)(run, keys);
        let start = Instant::now();
        let response = connection.send(&Request::statement(&sql))?;
        let took = start.elapsed();
        if response.status != 200 {
            bail!("{sql}: {}", response.text());
        }
        if run >= WARM_UP {
            over_http.push(took);
            inside.push(elapsed(response.header("x-clickhouse-summary").unwrap_or_default())?);
        }
        let cells: Result<Vec<f64>, _> = response.text().trim().split('\t').map(str::parse).collect();
        answer = cells.with_context(|| format!("{sql} answers {}", response.text()))?;
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    Ok(Measured { inside: median(inside), over_http: median(over_http), answer })
}

/// The node's own time in the summary of an answer.
fn elapsed(summary: &str) -> Result<Duration> {
    let summary: serde_json::Value = serde_json::from_str(summary).context("the answer has no summary")?;
    let nanos = summary["elapsed_ns"].as_str().and_then(|text| text.parse().ok());
    Ok(Duration::from_nanos(nanos.context("the summary has no elapsed_ns")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_query_comes_twice() {
        for query in QUERIES.iter().filter(|query| query.name != "Q8") {
            let texts: std::collections::HashSet<String> =
                (0..WARM_UP + RUNS).map(|run| (query.sql)(run, 100)).collect();
            assert_eq!(texts.len() as u32, WARM_UP + RUNS, "{}", query.name);
        }
    }

    #[test]
    fn a_summary_tells_the_nodes_time() {
        assert_eq!(elapsed("{\"elapsed_ns\":\"1500\"}").ok(), Some(Duration::from_nanos(1_500)));
        assert!(elapsed("").is_err() && elapsed("{}").is_err());
    }
}
