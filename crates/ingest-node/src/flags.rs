//! Flags and environment variables of `zepto_ingest_node`: each flag is also `ZEPTO_<FLAG>`. The only place of this
//! process that reads the environment.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde::Deserialize;
use zepto_common::ids::NodeId;
use zepto_feeds::FeedConfig;
use zepto_ingest_node::Options;
use zepto_ingest_node::options::{INGEST_ID_MIN, id_of_name, random_id};
use zepto_proto::handshake::Secret;

/// Log output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// ZeptoDB ingest node: an HTTP door without a disk, which takes rows to their owners and passes statements on.
#[derive(Debug, Clone, Parser)]
#[command(name = "zepto_ingest_node", version, max_term_width = 110)]
pub(crate) struct Flags {
    /// File with the feeds of this node: YAML, a list under `feeds`
    #[arg(long, env = "ZEPTO_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on
    #[arg(long, env = "ZEPTO_BIND", value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// HTTP port, 0 = any free one
    #[arg(long, env = "ZEPTO_HTTP_PORT", value_name = "N", default_value_t = 8124)]
    http_port: u16,
    /// Id of this node, from 99999; absent = of its name, or random without one
    #[arg(long, env = "ZEPTO_NODE_ID", value_name = "N")]
    node_id: Option<u32>,
    /// Name of this node (its pod's), from which its id is made
    #[arg(long, env = "ZEPTO_POD_NAME", value_name = "TEXT")]
    pod_name: Option<String>,
    /// RPC addresses of the coordinators
    #[arg(long, env = "ZEPTO_COORDINATOR", value_name = "HOST:PORT", value_delimiter = ',')]
    coordinator: Vec<String>,
    /// Name of the cluster; every process of it has the same
    #[arg(long, env = "ZEPTO_CLUSTER_ID", value_name = "TEXT", default_value = "zeptodb")]
    cluster_id: String,
    /// File with the secret that all processes of the cluster share
    #[arg(long, env = "ZEPTO_CLUSTER_SECRET_FILE", value_name = "FILE")]
    cluster_secret_file: Option<PathBuf>,
    /// File with the API keys of those who may use the door
    #[arg(long, env = "ZEPTO_API_KEYS_FILE", value_name = "FILE")]
    api_keys_file: Option<PathBuf>,
    /// Serve everybody; on an address that others can reach this must be said twice
    #[arg(long, env = "ZEPTO_NO_AUTH")]
    no_auth: bool,
    /// Says --no-auth the second time
    #[arg(long, env = "ZEPTO_I_KNOW_THIS_IS_OPEN")]
    i_know_this_is_open: bool,
    /// /metrics needs a key
    #[arg(long, env = "ZEPTO_PROTECT_METRICS")]
    protect_metrics: bool,
    /// Milliseconds between two signs of life
    #[arg(long, env = "ZEPTO_HEARTBEAT_INTERVAL_MS", value_name = "N", default_value_t = 1_000)]
    heartbeat_interval_ms: u64,
    /// Milliseconds of saying "not ready" before the port is closed
    #[arg(long, env = "ZEPTO_LEAVE_MS", value_name = "N", default_value_t = 0)]
    pub(crate) leave_ms: u64,
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

/// What the file may hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    feeds: Vec<FeedConfig>,
}

impl Flags {
    /// The options, or every fault at once.
    pub(crate) fn options(&self) -> Result<Options, String> {
        let mut faults = Vec::new();
        if self.coordinator.is_empty() {
            faults.push("--coordinator: an ingest node needs at least one".to_owned());
        }
        if let Some(id) = self.node_id.filter(|id| *id < INGEST_ID_MIN) {
            faults.push(format!(
                "--node-id: {id} is a storage node's; ingest nodes have ids from {INGEST_ID_MIN}"
            ));
        }
        let secret = match &self.cluster_secret_file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).unwrap_or_else(|error| {
                faults.push(format!("--cluster-secret-file: {}: {error}", path.display()));
                String::new()
            }),
        };
        if let Some(path) = self.cluster_secret_file.as_ref().filter(|_| secret.trim().is_empty()) {
            faults.push(format!("--cluster-secret-file: {} holds no secret", path.display()));
        }
        let open = self.api_keys_file.is_none() || self.no_auth;
        if open && !self.bind.is_loopback() && !(self.no_auth && self.i_know_this_is_open) {
            let text = "--api-keys-file is needed on an address that others can reach (or --no-auth \
                --i-know-this-is-open)";
            faults.push(text.to_owned());
        }
        let feeds = self.feeds(&mut faults);
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
        let named = self.pod_name.as_deref().map(id_of_name);
        Ok(Options {
            node: self.node_id.map(NodeId).or(named).unwrap_or_else(random_id),
            bind: self.bind,
            http_port: self.http_port,
            coordinators: self.coordinator.clone(),
            cluster_id: self.cluster_id.clone(),
            secret: Secret::new(&secret),
            api_keys_file: self.api_keys_file.clone().filter(|_| !self.no_auth),
            protect_metrics: self.protect_metrics,
            heartbeat: Duration::from_millis(self.heartbeat_interval_ms.max(10)),
            feeds,
        })
    }

    fn feeds(&self, faults: &mut Vec<String>) -> Vec<FeedConfig> {
        let Some(path) = &self.config else { return Vec::new() };
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        let file = text
            .and_then(|text| serde_yaml_ng::from_str::<ConfigFile>(&text).map_err(|error| error.to_string()));
        match file {
            Ok(file) => {
                zepto_feeds::config::validate(&file.feeds, faults);
                file.feeds
            }
            Err(error) => {
                faults.push(format!("--config: {}: {error}", path.display()));
                Vec::new()
            }
        }
    }
}
