//! The node under measurement: started here on a fresh folder, or one that runs already.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use zepto_common::metric_names;
use zepto_harness::cost::Cost;
use zepto_harness::{Connection, Launch, Node, Request, node};

use super::Bench;
use super::load::{Door, pause};

/// Longest wait for a node to have nothing left to do.
pub(super) const SETTLE_MAX: Duration = Duration::from_secs(180);
/// Pause between two looks at a node that settles.
pub(super) const SETTLE_PAUSE: Duration = Duration::from_secs(1);
/// Processor time per pause below which a node is idle.
pub(super) const IDLE_CPU: Duration = Duration::from_millis(30);
/// Quiet pauses in a row that count as settled.
pub(super) const SETTLE_QUIET: u32 = 3;

/// What a node under measurement logs: what is wrong, and what its start found.
pub(super) const LOG_FILTER: &str = "warn,zepto_engine::store::open=info";
/// The event of that start.
const STORAGE_OPEN: &str = "storage is open";

/// The statement that makes the table of all measurements.
pub(super) fn create_table(name: &str) -> String {
    format!(
        "CREATE TABLE {name} (symbol LowCardinality(String), timestamp DateTime64(9), price Float64, \
         volume Int64) ENGINE = MergeTree ORDER BY (symbol, timestamp)"
    )
}

/// The node and its folder.
pub(super) struct Rig {
    node: Option<Node>,
    launch: Option<Launch>,
    address: SocketAddr,
    /// Removed with its contents when the rig goes.
    _folder: Option<TempDir>,
}

/// The folder that nodes started here get theirs in.
pub(super) fn data_root(options: &Bench) -> Result<PathBuf> {
    if let Some(dir) = &options.data_dir {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        return Ok(dir.clone());
    }
    let program = std::env::current_exe()?;
    Ok(program.parent().unwrap_or(Path::new(".")).to_path_buf())
}

impl Door for Rig {
    fn connect(&self) -> Result<Connection> {
        Connection::open(self.address).with_context(|| format!("cannot connect to {}", self.address))
    }
}

impl Rig {
    /// A fresh node, or the one named on the command line.
    pub(super) fn new(options: &Bench) -> Result<Self> {
        Self::with_flags(options, &[])
    }

    /// As [`Rig::new`]; a fresh node gets these flags too.
    pub(super) fn with_flags(options: &Bench, flags: &[&str]) -> Result<Self> {
        if let Some(url) = &options.url {
            let host = url.trim_start_matches("http://").trim_end_matches('/');
            let address = host.to_socket_addrs()?.next().with_context(|| format!("{host} has no address"))?;
            return Ok(Self { node: None, launch: None, address, _folder: None });
        }
        let folder = TempDir::with_prefix_in("bench-", data_root(options)?)?;
        let launch = Launch::new(&node::program_beside_this()?, &folder.path().join("data"));
        let log = ["--log-level", LOG_FILTER, "--log-format", "json"];
        let launch = log.iter().chain(flags).fold(launch, |launch, flag| launch.flag(*flag));
        let node = launch.start()?;
        let address = node.address();
        Ok(Self { node: Some(node), launch: Some(launch), address, _folder: Some(folder) })
    }

    /// Where the node listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs a statement.
    pub(super) fn query(&self, sql: &str) -> Result<String> {
        Ok(self.connect()?.query(sql)?)
    }

    /// Makes the table that all measurements use, empty.
    pub(super) fn create_table(&self, name: &str) -> Result<()> {
        self.query(&format!("DROP TABLE IF EXISTS {name}"))?;
        self.query(&create_table(name))?;
        Ok(())
    }

    /// What the process has cost so far; None for a node that was not started here.
    pub(super) fn cost(&self) -> Result<Option<Cost>> {
        Ok(self.node.as_ref().map(Node::cost).transpose()?)
    }

    /// Has the node flush what it holds (a snapshot does), and waits until nothing is queued, no memtable is open
    /// and the processor is idle. The flush belongs to the cost of the rows.
    pub(super) fn settle(&self) -> Result<()> {
        let flushed = self.connect()?.send(&Request::new("POST", "/admin/snapshot", &[], &[][..]))?;
        if flushed.status != 200 {
            bail!("the node did not flush: {}", flushed.text());
        }
        let deadline = Instant::now() + SETTLE_MAX;
        let mut quiet = 0;
        let mut before = self.cost()?.unwrap_or_default().cpu;
        while quiet < SETTLE_QUIET {
            if Instant::now() > deadline {
                bail!("the node did not come to rest within {} s", SETTLE_MAX.as_secs());
            }
            pause(SETTLE_PAUSE);
            let now = self.cost()?.unwrap_or_default().cpu;
            let idle = now.saturating_sub(before) < IDLE_CPU;
            before = now;
            quiet = if idle && self.open_rows()? == 0.0 { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    /// Bytes in open memtables and rows in queues.
    fn open_rows(&self) -> Result<f64> {
        let text = self.connect()?.send(&Request::get("/metrics"))?.text();
        Ok(gauge(&text, metric_names::MEMTABLE_BYTES) + gauge(&text, metric_names::QUEUE_ROWS))
    }

    /// Log syncs so far: how many, and their seconds in all.
    pub(super) fn syncs(&self) -> Result<(f64, f64)> {
        let text = self.connect()?.send(&Request::get("/metrics"))?.text();
        let of = |what| gauge(&text, &format!("{}_{what}", metric_names::WAL_SYNC_DURATION));
        Ok((of("count"), of("sum")))
    }

    /// Rows that the newest start took from the logs, by its log line.
    pub(super) fn rows_replayed(&self) -> Result<u64> {
        let launch = self.launch.as_ref().context("the node was not started here")?;
        let log = std::fs::read_to_string(&launch.log)
            .with_context(|| format!("cannot read {}", launch.log.display()))?;
        replayed_in(&log).context("the node's log does not say how many rows it replayed")
    }

    /// kill -9, start again on the same data; the time until it is ready, and the node.
    pub(super) fn kill_and_restart(mut self) -> Result<(Duration, Self)> {
        let (Some(node), Some(launch)) = (self.node.take(), self.launch.take()) else {
            bail!("only a node started here can be restarted");
        };
        node.kill()?;
        let start = Instant::now();
        let node = launch.start()?;
        let took = start.elapsed();
        self.address = node.address();
        (self.node, self.launch) = (Some(node), Some(launch));
        Ok((took, self))
    }
}

/// The number of replayed rows in the last line of a JSON log that tells it.
fn replayed_in(log: &str) -> Option<u64> {
    let line = log.lines().rfind(|line| line.contains(STORAGE_OPEN))?;
    let number = line.split_once("\"rows\":")?.1;
    let end = number.find(|c: char| !c.is_ascii_digit())?;
    number[..end].parse().ok()
}

/// Sum of a gauge's series in Prometheus text.
fn gauge(text: &str, name: &str) -> f64 {
    let series = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        (rest.starts_with(' ') || rest.starts_with('{'))
            .then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
    });
    series.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_summed_over_its_series_and_not_mistaken_for_another() {
        let text = "# TYPE a gauge\na{x=\"1\"} 2\na{x=\"2\"} 3.5\na_b 100\n";
        assert!((gauge(text, "a") - 5.5).abs() < 1e-9);
        assert!((gauge(text, "a_b") - 100.0).abs() < 1e-9);
        assert!(gauge(text, "none").abs() < 1e-9);
    }

    #[test]
    fn the_newest_start_says_what_it_replayed() {
        let log = "{\"message\":\"storage is open: x\",\"frames\":0,\"rows\":0,\"seconds\":0.1}\n\
                   {\"message\":\"storage is open: x\",\"frames\":9,\"rows\":123,\"seconds\":0.1}\n{}\n";
        assert_eq!(replayed_in(log), Some(123));
        assert_eq!(replayed_in("{}"), None);
    }
}
