//! `zepto bench`: measures a real node over loopback, the whole process, rows durable before the answer. Client and
//! server share the machine; the client's work (making and encoding rows) is done before the clock starts.

mod cluster;
mod footprint;
mod ingest;
mod load;
mod machine;
mod query;
mod report;
mod rig;
mod rows;
mod series;
mod single;
mod stream;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};

use report::Report;

/// Measures a node.
#[derive(Args)]
pub(crate) struct Bench {
    /// What to measure
    #[arg(value_enum)]
    work: Work,
    /// A running node's address (host:port) instead of one started here; costs cannot be measured then
    #[arg(long, value_name = "HOST:PORT")]
    url: Option<String>,
    /// Where the nodes started here keep their data [default: a folder beside this program]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Rows in the table that queries ask
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// Rows that each ingest measurement sends
    #[arg(long, default_value_t = 4_000_000)]
    ingest_rows: u64,
    /// Keys in the table that queries ask
    #[arg(long, default_value_t = 100)]
    keys: u32,
    /// Runs of each query
    #[arg(long, default_value_t = 50)]
    runs: u32,
    /// Seconds of the single-row measurement
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Rows of one batch
    #[arg(long, default_value_t = 10_000)]
    batch: u32,
    /// Writing connections
    #[arg(long, default_value_t = 4)]
    clients: u32,
    /// The interpreter that has the other engines of `query` (`cargo xtask bench query` makes it)
    #[arg(long, value_name = "PYTHON")]
    python: Option<PathBuf>,
    /// Only the measurements of ingest and query whose name contains this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// The measurements.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Work {
    /// Everything but one-key and cluster
    All,
    /// INSERTs of several formats and numbers of keys, and single rows
    Ingest,
    /// Queries over a large table, and ten time-series queries beside other engines
    Query,
    /// Queries while rows come in
    Mixed,
    /// Memory per row and per key, restart
    Footprint,
    /// A whole table on its way out: `SELECT *` in Native, rows per second and memory
    Stream,
    /// One key with 50 million rows (or --rows)
    OneKey,
    /// A coordinator, three storage nodes and an ingest node: routed INSERTs and distributed queries
    Cluster,
}

/// Rows of the one-key measurement unless the command line says otherwise.
const ONE_KEY_ROWS: u64 = 50_000_000;
/// The default of `--rows`, to tell whether it was given.
const ROWS_DEFAULT: u64 = 10_000_000;

impl Bench {
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|text| name.contains(text.as_str()))
    }

    /// Measures and prints the table.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let mut report = Report::default();
        let wants = |work| {
            self.work == work || (self.work == Work::All && !matches!(work, Work::OneKey | Work::Cluster))
        };
        if wants(Work::Ingest) {
            ingest::measure(self, &mut report)?;
        }
        if wants(Work::Query) {
            query::measure(self, &mut report)?;
            series::measure(self, &mut report)?;
        }
        if wants(Work::Mixed) {
            query::measure_mixed(self, &mut report)?;
        }
        if wants(Work::Footprint) {
            footprint::measure(self, &mut report)?;
        }
        if wants(Work::Stream) {
            stream::measure(self, &mut report)?;
        }
        if wants(Work::OneKey) {
            let rows = if self.rows == ROWS_DEFAULT { ONE_KEY_ROWS } else { self.rows };
            query::measure_one_key(self, rows, &mut report)?;
        }
        if wants(Work::Cluster) {
            cluster::measure(self, &mut report)?;
        }
        println!("\n{}", machine::describe(&rig::data_root(self)?)?);
        print!("{report}");
        Ok(ExitCode::SUCCESS)
    }
}
