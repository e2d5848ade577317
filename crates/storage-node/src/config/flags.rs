//! Flags and environment variables: each flag is also `ZEPTO_<FLAG>`. The only place that reads the environment.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Parser;

use super::{Config, LogFormat};

/// ZeptoDB storage node: alone it is a complete time-series SQL database that speaks ClickHouse's HTTP interface.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "zepto_storage_node", version, max_term_width = 110)]
pub struct Flags {
    /// YAML configuration file
    #[arg(long, env = "ZEPTO_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, env = "ZEPTO_BIND", value_name = "ADDR")]
    pub bind: Option<IpAddr>,
    /// HTTP port, 0 = any free one [default: 8123]
    #[arg(long, env = "ZEPTO_HTTP_PORT", value_name = "N")]
    pub http_port: Option<u16>,
    /// Folder for data, logs and snapshots [default: zepto-data]
    #[arg(long, env = "ZEPTO_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Id of this node [default: 0]
    #[arg(long, env = "ZEPTO_NODE_ID", value_name = "N")]
    pub node_id: Option<u32>,
    /// RPC addresses of the coordinators; absent = the node runs alone
    #[arg(long, env = "ZEPTO_COORDINATOR", value_name = "HOST:PORT", value_delimiter = ',')]
    pub coordinator: Vec<String>,
    /// Name of the cluster; every process of it has the same [default: zeptodb]
    #[arg(long, env = "ZEPTO_CLUSTER_ID", value_name = "TEXT")]
    pub cluster_id: Option<String>,
    /// File with the secret that all processes of the cluster share
    #[arg(long, env = "ZEPTO_CLUSTER_SECRET_FILE", value_name = "FILE")]
    pub cluster_secret_file: Option<PathBuf>,
    /// RPC port, 0 = any free one [default: HTTP port + 100]
    #[arg(long, env = "ZEPTO_RPC_PORT", value_name = "N")]
    pub rpc_port: Option<u16>,
    /// UDP port of heartbeats, 0 = any free one [default: 9100]
    #[arg(long, env = "ZEPTO_HEARTBEAT_PORT", value_name = "N")]
    pub heartbeat_port: Option<u16>,
    /// Host under which others reach this node [default: the bind address]
    #[arg(long, env = "ZEPTO_ADVERTISE_HOST", value_name = "HOST")]
    pub advertise_host: Option<String>,
    /// Name that resolves to the other nodes, such as a headless service
    #[arg(long, env = "ZEPTO_DISCOVERY", value_name = "DNSNAME")]
    pub discovery: Option<String>,
    /// Where the node is; copies are spread over zones
    #[arg(long, env = "ZEPTO_ZONE", value_name = "TEXT")]
    pub zone: Option<String>,
    /// Milliseconds between two signs of life [default: 1000]
    #[arg(long, env = "ZEPTO_HEARTBEAT_INTERVAL_MS", value_name = "N")]
    pub heartbeat_interval_ms: Option<u64>,
    /// Milliseconds of silence after which another node is suspected [default: 3000]
    #[arg(long, env = "ZEPTO_SUSPECT_MS", value_name = "N")]
    pub suspect_ms: Option<u64>,
    /// Milliseconds for which another copy's answer lets an owner read and acknowledge [default: 5000]
    #[arg(long, env = "ZEPTO_LEASE_MS", value_name = "N")]
    pub lease_ms: Option<u64>,
    /// Milliseconds of silence after which a copy leaves its in-sync set [default: 2000]
    #[arg(long, env = "ZEPTO_REPLICATE_TIMEOUT_MS", value_name = "N")]
    pub replicate_timeout_ms: Option<u64>,
    /// File of API keys; without one a loopback bind serves everybody
    #[arg(long, env = "ZEPTO_API_KEYS_FILE", value_name = "FILE")]
    pub api_keys_file: Option<PathBuf>,
    /// Serve without authentication
    #[arg(long, env = "ZEPTO_NO_AUTH")]
    pub no_auth: bool,
    /// Confirms --no-auth on an address that others can reach
    #[arg(long, env = "ZEPTO_I_KNOW_THIS_IS_OPEN")]
    pub i_know_this_is_open: bool,
    /// TLS certificate chain, PEM
    #[arg(long, env = "ZEPTO_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// TLS private key, PEM
    #[arg(long, env = "ZEPTO_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Authorities of client certificates, PEM; with it clients must show one
    #[arg(long, env = "ZEPTO_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// error, warn, info, debug, trace or a filter [default: info]
    #[arg(long, env = "ZEPTO_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Log format [default: text]
    #[arg(long, env = "ZEPTO_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Threads that move queued rows to log and memtable, 0 = max(2, cores / 4) [default: 0]
    #[arg(long, env = "ZEPTO_DRAIN_THREADS", value_name = "N")]
    pub drain_threads: Option<usize>,
    /// Slots of each thread's queue, 0 = 65536 [default: 0]
    #[arg(long, env = "ZEPTO_RING_BUFFER_CAPACITY", value_name = "N")]
    pub ring_buffer_capacity: Option<usize>,
    /// Bytes of memory for the process, 0 = 75 % of the machine or control group [default: 0]
    #[arg(long, env = "ZEPTO_MEMORY_LIMIT", value_name = "BYTES")]
    pub memory_limit: Option<u64>,
    /// Milliseconds between saying "not ready" and closing the port after SIGTERM [default: 500]
    #[arg(long, env = "ZEPTO_LEAVE_MS", value_name = "N")]
    pub leave_ms: Option<u64>,
    /// Microseconds that a sync takes at least, to measure as on a slower disk [default: 0]
    #[arg(long, env = "ZEPTO_SYNC_AT_LEAST_US", value_name = "N")]
    pub sync_at_least_us: Option<u64>,
    /// SQL run once on a fresh data folder
    #[arg(long, env = "ZEPTO_BOOTSTRAP", value_name = "FILE")]
    pub bootstrap: Option<PathBuf>,
    /// Start although a log's tail is corrupt; what follows the fault is cut
    #[arg(long, env = "ZEPTO_ALLOW_CORRUPT_TAIL")]
    pub allow_corrupt_tail: bool,
    /// Seconds in which the start verifies segments before it serves; the rest is verified afterwards [default: 60]
    #[arg(long, env = "ZEPTO_SEGMENT_CHECK_SECONDS", value_name = "N")]
    pub segment_check_seconds: Option<u64>,
    /// Print the effective configuration and exit
    #[arg(long)]
    pub print_config: bool,
    /// Check the configuration and exit
    #[arg(long)]
    pub check_config: bool,
}

fn set<T: Clone>(value: &Option<T>, target: &mut T) {
    if let Some(value) = value {
        target.clone_from(value);
    }
}

fn set_some<T: Clone>(value: &Option<T>, target: &mut Option<T>) {
    if value.is_some() {
        target.clone_from(value);
    }
}

impl Flags {
    /// Puts what was given over the configuration.
    pub(super) fn apply(&self, config: &mut Config) {
        set(&self.bind, &mut config.bind);
        set(&self.http_port, &mut config.http_port);
        set(&self.data_dir, &mut config.config.data_dir);
        set(&self.node_id, &mut config.node_id);
        set_some(&self.api_keys_file, &mut config.api_keys_file);
        if !self.coordinator.is_empty() {
            config.cluster.coordinators.clone_from(&self.coordinator);
        }
        set(&self.cluster_id, &mut config.cluster.id);
        set_some(&self.cluster_secret_file, &mut config.cluster.secret_file);
        set_some(&self.rpc_port, &mut config.cluster.rpc_port);
        set_some(&self.heartbeat_port, &mut config.cluster.heartbeat_port);
        set_some(&self.advertise_host, &mut config.cluster.advertise_host);
        set_some(&self.discovery, &mut config.cluster.discovery);
        set(&self.zone, &mut config.cluster.zone);
        set(&self.heartbeat_interval_ms, &mut config.cluster.heartbeat_interval_ms);
        set(&self.suspect_ms, &mut config.cluster.suspect_ms);
        set(&self.lease_ms, &mut config.cluster.lease_ms);
        set(&self.replicate_timeout_ms, &mut config.cluster.replicate_timeout_ms);
        config.no_auth |= self.no_auth;
        config.i_know_this_is_open |= self.i_know_this_is_open;
        set_some(&self.tls_cert, &mut config.tls.cert);
        set_some(&self.tls_key, &mut config.tls.key);
        set_some(&self.tls_client_ca, &mut config.tls.client_ca);
        set(&self.log_level, &mut config.log.level);
        set(&self.log_format, &mut config.log.format);
        set(&self.drain_threads, &mut config.pipeline.drain_threads);
        set(&self.ring_buffer_capacity, &mut config.pipeline.ring_buffer_capacity);
        set(&self.memory_limit, &mut config.memory_limit);
        set(&self.leave_ms, &mut config.leave_ms);
        set(&self.sync_at_least_us, &mut config.sync_at_least_us);
        set_some(&self.bootstrap, &mut config.bootstrap);
        set(&self.segment_check_seconds, &mut config.segment_check_seconds);
        config.allow_corrupt_tail |= self.allow_corrupt_tail;
    }
}
