//! `zepto playground`: a whole cluster in this process, real data in through its ingest node's HTTP door, a few telling
//! queries, then it serves until Ctrl-C.

mod data;
mod nodes;
mod questions;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use tempfile::TempDir;
use zepto_harness::Connection;
use zepto_process::{LogConfig, telemetry};

use nodes::Nodes;

/// Starts a cluster with example data: one coordinator, three storage nodes, one ingest node.
#[derive(Args)]
pub(crate) struct Playground {
    /// Keep the data in this folder and use what is there [default: a temporary folder]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// One storage node alone instead of a cluster
    #[arg(long)]
    single: bool,
    /// HTTP port of the first storage node on 127.0.0.1; 0 for any free one [default: 8123, or a free one if it is taken]
    #[arg(long)]
    http_port: Option<u16>,
    /// Load only this many rows of each table
    #[arg(long)]
    rows: Option<usize>,
    /// Leave after the queries; the exit code says whether all were answered
    #[arg(long)]
    exit: bool,
}

impl Playground {
    /// Runs it.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        // Nodes of one process that start and end together miss each other for a moment, and say so.
        let level = if self.single { "warn" } else { "error" };
        let log = LogConfig { level: level.to_owned(), ..LogConfig::default() };
        telemetry::start_logging(&log).map_err(anyhow::Error::msg)?;
        let temporary = match &self.data_dir {
            None => {
                Some(TempDir::with_prefix("zepto-playground-").context("cannot make a temporary folder")?)
            }
            Some(_) => None,
        };
        let folder = match (&self.data_dir, &temporary) {
            (Some(given), _) => given.clone(),
            (None, Some(made)) => made.path().to_path_buf(),
            (None, None) => PathBuf::from("zepto-data"),
        };
        let nodes = match self.single {
            true => Nodes::single(&folder, self.http_port)?,
            false => Nodes::cluster(&folder, self.http_port)?,
        };
        println!("{}\nIts data are in {}.\n", nodes.describe()?, folder.display());
        let front = nodes.front();
        let answered = play(front, self.rows);
        if !self.exit && answered.is_ok() {
            println!("{}", invitation(front));
            wait_for_ctrl_c()?;
            println!("\nstopping");
        }
        nodes.stop()?;
        Ok(if answered? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Loads and asks; whether every question was answered.
fn play(address: SocketAddr, rows: Option<usize>) -> Result<bool> {
    let mut connection = Connection::open(address)?;
    for table in data::TABLES {
        data::load(&mut connection, table, rows)?;
    }
    println!();
    Ok(questions::ask_all(&mut connection))
}

fn invitation(address: SocketAddr) -> String {
    format!(
        "Ask it yourself:\n\n  \
         curl http://{address}/ --data-binary 'SELECT carrier, count() FROM departures GROUP BY carrier FORMAT PrettyCompact'\n  \
         cargo run -p zepto -- sql --url http://{address}\n\n\
         http://{address}/metrics  Prometheus metrics, of all nodes of this process together\n\
         http://{address}/stats    counters as JSON\n\
         http://{address}/admin/queries  what is running\n\n\
         Ctrl-C ends it."
    )
}

fn wait_for_ctrl_c() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(tokio::signal::ctrl_c())?)
}
