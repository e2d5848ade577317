//! `zepto playground`: a complete node in this process, real data in through its HTTP door, a few telling queries,
//! then it serves until Ctrl-C.

mod data;
mod questions;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use tempfile::TempDir;
use zepto_harness::Connection;
use zepto_storage_node::config::LogConfig;
use zepto_storage_node::{Config, RunningNode, StartError, start, telemetry};

/// Port that is tried first when none is asked for.
const PORT: u16 = 8123;

/// Starts a node with example data.
#[derive(Args)]
pub(crate) struct Playground {
    /// Keep the data in this folder and use what is there [default: a temporary folder]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// HTTP port on 127.0.0.1; 0 for any free one [default: 8123, or a free one if it is taken]
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
        let log = LogConfig { level: "warn".to_owned(), ..LogConfig::default() };
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
        let node = self.start_node(&folder)?;
        let address = node.http_address();
        println!("One storage node is running at http://{address}, its data in {}.\n", folder.display());
        let answered = play(address, self.rows);
        if !self.exit && answered.is_ok() {
            println!("{}", invitation(address));
            wait_for_ctrl_c()?;
            println!("\nstopping");
        }
        node.stop()?;
        Ok(if answered? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Starts on the port asked for, or on 8123, or on any.
    fn start_node(&self, folder: &Path) -> Result<RunningNode> {
        let config = |port| {
            let mut config = Config { http_port: port, ..Config::default() };
            config.config.data_dir = folder.to_path_buf();
            config
        };
        if let Some(port) = self.http_port {
            return Ok(start(config(port))?);
        }
        match start(config(PORT)) {
            Err(StartError::System { error, .. }) if error.kind() == std::io::ErrorKind::AddrInUse => {
                Ok(start(config(0))?)
            }
            result => Ok(result?),
        }
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
         http://{address}/metrics  Prometheus metrics\n\
         http://{address}/stats    counters as JSON\n\
         http://{address}/admin/queries  what is running\n\n\
         Ctrl-C ends it."
    )
}

fn wait_for_ctrl_c() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(tokio::signal::ctrl_c())?)
}
