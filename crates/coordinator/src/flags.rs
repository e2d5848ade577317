//! Flags and environment variables of `zepto_coordinator`: each flag is also `ZEPTO_<FLAG>`. The only place of this
//! process that reads the environment.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use zepto_coordinator::{Options, Times};
use zepto_proto::handshake::Secret;

/// Log output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// ZeptoDB coordinator: node registry, placement, fencing epochs and catalog of a cluster, agreed on by 1, 3 or 5 of them.
#[derive(Debug, Clone, Parser)]
#[command(name = "zepto_coordinator", version, max_term_width = 110)]
pub(crate) struct Flags {
    /// Address to listen on
    #[arg(long, env = "ZEPTO_BIND", value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// HTTP port, 0 = any free one
    #[arg(long, env = "ZEPTO_HTTP_PORT", value_name = "N", default_value_t = 8125)]
    http_port: u16,
    /// RPC port, 0 = any free one [default: HTTP port + 100]
    #[arg(long, env = "ZEPTO_RPC_PORT", value_name = "N")]
    rpc_port: Option<u16>,
    /// Folder for log and snapshots
    #[arg(long, env = "ZEPTO_DATA_DIR", value_name = "DIR", default_value = "zepto-coordinator-data")]
    data_dir: PathBuf,
    /// Id of this member of the group, from 1
    #[arg(long, env = "ZEPTO_NODE_ID", value_name = "N", default_value_t = 1)]
    node_id: u64,
    /// Name of the cluster; every process of it has the same
    #[arg(long, env = "ZEPTO_CLUSTER_ID", value_name = "TEXT", default_value = "zeptodb")]
    cluster_id: String,
    /// File with the secret that all processes of the cluster share
    #[arg(long, env = "ZEPTO_CLUSTER_SECRET_FILE", value_name = "FILE")]
    cluster_secret_file: Option<PathBuf>,
    /// All members of the group with their RPC addresses, this one among them; absent = this one alone
    #[arg(long, env = "ZEPTO_MEMBERS", value_name = "ID@HOST:PORT", value_delimiter = ',')]
    members: Vec<String>,
    /// Begin a new group; refused if any listed member belongs to one
    #[arg(long, env = "ZEPTO_BOOTSTRAP")]
    bootstrap: bool,
    /// Partitions of a new cluster
    #[arg(long, env = "ZEPTO_PARTITIONS", value_name = "N", default_value_t = 256)]
    partitions: u16,
    /// Copies of each partition of a new cluster
    #[arg(long, env = "ZEPTO_REPLICATION_FACTOR", value_name = "N", default_value_t = 2)]
    replication_factor: u8,
    /// Copies in sync below which a new cluster takes no writes
    #[arg(long, env = "ZEPTO_MIN_IN_SYNC", value_name = "N", default_value_t = 1)]
    min_in_sync: u8,
    /// Milliseconds between two signs of life of a node
    #[arg(long, env = "ZEPTO_HEARTBEAT_INTERVAL_MS", value_name = "N", default_value_t = 1_000)]
    heartbeat_interval_ms: u64,
    /// Milliseconds of silence after which a node is suspected
    #[arg(long, env = "ZEPTO_SUSPECT_MS", value_name = "N", default_value_t = 3_000)]
    suspect_ms: u64,
    /// Milliseconds of silence after which a node is dead
    #[arg(long, env = "ZEPTO_DEAD_MS", value_name = "N", default_value_t = 10_000)]
    dead_ms: u64,
    /// error, warn, info, debug, trace or a filter
    #[arg(long, env = "ZEPTO_LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: String,
    /// Log format
    #[arg(long, env = "ZEPTO_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Check the flags and exit
    #[arg(long)]
    pub(crate) check_config: bool,
}

impl Flags {
    /// The options, or every fault at once.
    pub(crate) fn options(&self) -> Result<Options, String> {
        let mut faults = Vec::new();
        let members = self.members.iter().filter_map(|text| match member(text) {
            Ok(member) => Some(member),
            Err(fault) => {
                faults.push(fault);
                None
            }
        });
        let members: Vec<(u64, String)> = members.collect();
        let secret = match &self.cluster_secret_file {
            None => String::new(),
            Some(path) => match std::fs::read_to_string(path) {
                Ok(text) if text.trim().is_empty() => {
                    faults.push(format!("--cluster-secret-file: {} is empty", path.display()));
                    text
                }
                Ok(text) => text,
                Err(error) => {
                    faults.push(format!("--cluster-secret-file: {}: {error}", path.display()));
                    String::new()
                }
            },
        };
        if self.cluster_secret_file.is_none() && !self.bind.is_loopback() {
            faults.push("--cluster-secret-file is needed on an address that others can reach".to_owned());
        }
        if !(self.heartbeat_interval_ms < self.suspect_ms && self.suspect_ms < self.dead_ms) {
            faults.push("the heartbeat interval must be below suspect, and suspect below dead".to_owned());
        }
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
        let times = Times {
            interval: Duration::from_millis(self.heartbeat_interval_ms),
            suspect: Duration::from_millis(self.suspect_ms),
            dead: Duration::from_millis(self.dead_ms),
            ..Times::default()
        };
        Ok(Options {
            member: self.node_id,
            data_dir: self.data_dir.clone(),
            bind: self.bind,
            http_port: self.http_port,
            rpc_port: self.rpc_port.unwrap_or(if self.http_port == 0 { 0 } else { self.http_port + 100 }),
            bootstrap: self.bootstrap || members.is_empty(),
            members,
            cluster_id: self.cluster_id.clone(),
            secret: Secret::new(&secret),
            partitions: self.partitions,
            replication_factor: self.replication_factor,
            min_in_sync: self.min_in_sync,
            times,
        })
    }
}

fn member(text: &str) -> Result<(u64, String), String> {
    let fault = || format!("--members: {text:?} is not id@host:port");
    let (id, address) = text.trim().split_once('@').ok_or_else(fault)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(fault)?;
    if host.is_empty() || port.parse::<u16>().is_err() {
        return Err(fault());
    }
    Ok((id.parse().map_err(|_| fault())?, address.to_owned()))
}
