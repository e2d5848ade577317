//! The effective configuration of a storage node: one YAML file, overridden by the environment, overridden by flags.
//!
//! Nothing else in the process reads the environment. Unknown keys are errors, and all faults are reported at once.

mod file;
mod flags;
mod memory;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zepto_common::limits;

/// Ingest nodes have ids from here on.
const INGEST_ID_MIN: u32 = 99_999;
/// Bytes of a cluster's name: what a heartbeat can hold.
const CLUSTER_ID_BYTES_MAX: usize = 255;
/// The usual UDP port of heartbeats.
const HEARTBEAT_PORT: u16 = 9100;

pub use flags::Flags;
pub use memory::memory_limit_default;

/// Everything a storage node can be told. Field names are the YAML keys; defaults are stated per field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Address to listen on; 127.0.0.1 by default.
    pub bind: IpAddr,
    /// HTTP port; 8123 by default, 0 means any free one.
    pub http_port: u16,
    /// This node's id (the pod's ordinal); 0 by default.
    pub node_id: u32,
    /// API keys (see docs/protocol.md); none by default, which is allowed on a loopback bind only.
    pub api_keys_file: Option<PathBuf>,
    /// Serve without authentication.
    pub no_auth: bool,
    /// Said a second time: the node may be open to the network.
    pub i_know_this_is_open: bool,
    /// Start although the tail of a log is corrupt (it is cut there).
    pub allow_corrupt_tail: bool,
    /// Seconds in which the start verifies segments; what is left is verified while the node serves.
    pub segment_check_seconds: u64,
    /// Bytes of memory for the whole process; 0 (default) = 75 % of the machine's or the control group's limit.
    pub memory_limit: u64,
    /// Milliseconds between saying "not ready" and closing the port after SIGTERM; 500 by default.
    pub leave_ms: u64,
    /// Microseconds that a sync of a file takes at least; 0 by default. For measurements as on a slower disk.
    pub sync_at_least_us: u64,
    /// SQL file run once on a fresh data directory.
    pub bootstrap: Option<PathBuf>,
    /// Authentication.
    pub auth: AuthConfig,
    /// TLS for HTTP.
    pub tls: TlsConfig,
    /// Logging.
    pub log: LogConfig,
    /// Data and query settings.
    pub config: DataConfig,
    /// The way from the door to the log.
    pub pipeline: PipelineConfig,
    /// What is fixed when a data directory is made, and the node's place among others.
    pub cluster: ClusterConfig,
}

/// `auth.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuthConfig {
    /// `/metrics` asks for the metrics role; false by default.
    pub protect_metrics: bool,
}

/// `tls.*`: both or none of certificate and key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TlsConfig {
    /// PEM chain.
    pub cert: Option<PathBuf>,
    /// PEM private key.
    pub key: Option<PathBuf>,
    /// PEM authorities that client certificates must come from.
    pub client_ca: Option<PathBuf>,
}

/// `log.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogConfig {
    /// `error`, `warn`, `info` (default), `debug`, `trace`, or a tracing filter.
    pub level: String,
    /// `text` (default) or `json`.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors: one JSON object a line.
    Json,
}

/// `config.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DataConfig {
    /// Query threads; 0 (default) = cores.
    pub worker_threads: usize,
    /// Rows below which a query stays on one thread; 100,000 by default.
    pub parallel_threshold: usize,
    /// Cached plans; 1,000 by default.
    pub query_cache_size: usize,
    /// Codec of segments: none, lz4 (default), zstd, snappy.
    pub hdb_compression: Compression,
    /// Data, logs and snapshots; `zepto-data` in the working directory by default.
    pub data_dir: PathBuf,
}

/// Codec of segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As it is.
    None,
    /// Fast.
    Lz4,
    /// Small.
    Zstd,
    /// For readers without lz4.
    Snappy,
}

/// `pipeline.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PipelineConfig {
    /// Threads that move queued rows to log and memtable; 0 (default) = max(2, cores / 4).
    pub drain_threads: usize,
    /// Slots of each thread's queue; 0 (default) = 65,536; else a power of two from 4,096 to 16,777,216.
    pub ring_buffer_capacity: usize,
}

/// `cluster.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// Hash partitions of a fresh data directory; 256 by default, at most 4,096. The cluster's number in a cluster.
    pub partitions: u16,
    /// RPC addresses of the coordinators, `host:port`; none by default: the node runs alone.
    pub coordinators: Vec<String>,
    /// Name of the cluster; every process of it has the same. `zeptodb` by default.
    pub id: String,
    /// File with the secret that all processes of the cluster share.
    pub secret_file: Option<PathBuf>,
    /// Added to the HTTP port where no RPC port is given; 100 by default.
    pub rpc_port_offset: u16,
    /// RPC port, 0 means any free one; HTTP port + offset by default, or any free one if that is.
    pub rpc_port: Option<u16>,
    /// UDP port of heartbeats, 0 means any free one; 9100 by default, or any free one if the HTTP port is.
    pub heartbeat_port: Option<u16>,
    /// Host under which others reach this node; the bind address by default.
    pub advertise_host: Option<String>,
    /// Name (a headless service) that resolves to the other nodes, for heartbeats before the coordinators name them.
    pub discovery: Option<String>,
    /// Where the node is; copies are spread over zones.
    pub zone: String,
    /// Milliseconds between two signs of life; 1,000 by default.
    pub heartbeat_interval_ms: u64,
    /// Milliseconds of silence after which another node is suspected; 3,000 by default.
    pub suspect_ms: u64,
    /// Milliseconds for which an answer of another copy lets an owner read and acknowledge; 5,000 by default. Less than
    /// the coordinators' time to declare a node dead.
    pub lease_ms: u64,
    /// Milliseconds of silence after which a copy is taken out of its in-sync set; 2,000 by default.
    pub replicate_timeout_ms: u64,
}

impl ClusterConfig {
    /// Whether the node is one of several.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.coordinators.is_empty()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: IpAddr::from([127, 0, 0, 1]),
            http_port: 8123,
            node_id: 0,
            api_keys_file: None,
            no_auth: false,
            i_know_this_is_open: false,
            allow_corrupt_tail: false,
            segment_check_seconds: zepto_common::limits::SEGMENT_CHECK_TIME.as_secs(),
            memory_limit: 0,
            leave_ms: 500,
            sync_at_least_us: 0,
            bootstrap: None,
            auth: AuthConfig::default(),
            tls: TlsConfig::default(),
            log: LogConfig::default(),
            config: DataConfig::default(),
            pipeline: PipelineConfig::default(),
            cluster: ClusterConfig::default(),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            worker_threads: 0,
            parallel_threshold: 100_000,
            query_cache_size: 1_000,
            hdb_compression: Compression::Lz4,
            data_dir: PathBuf::from("zepto-data"),
        }
    }
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            partitions: limits::PARTITIONS_DEFAULT,
            coordinators: Vec::new(),
            id: "zeptodb".to_owned(),
            secret_file: None,
            rpc_port_offset: 100,
            rpc_port: None,
            heartbeat_port: None,
            advertise_host: None,
            discovery: None,
            zone: String::new(),
            heartbeat_interval_ms: 1_000,
            suspect_ms: 3_000,
            lease_ms: 5_000,
            replicate_timeout_ms: 2_000,
        }
    }
}

/// Every fault of a configuration, for a person.
#[derive(Debug, thiserror::Error)]
#[error("configuration is not usable:\n  - {}", .0.join("\n  - "))]
pub struct ConfigFaults(pub Vec<String>);

impl Config {
    /// Reads the file (if any), lets the flags (which carry the environment) override it, and validates.
    ///
    /// # Errors
    /// All faults at once.
    pub fn load(flags: &Flags) -> Result<Self, ConfigFaults> {
        let (mut config, mut faults) = match &flags.config {
            Some(path) => file::read(path)?,
            None => (Self::default(), Vec::new()),
        };
        flags.apply(&mut config);
        if let Err(ConfigFaults(more)) = config.validate() {
            faults.extend(more);
        }
        if faults.is_empty() { Ok(config) } else { Err(ConfigFaults(faults)) }
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// All faults at once.
    pub fn validate(&self) -> Result<(), ConfigFaults> {
        let mut faults = Vec::new();
        let ring = self.pipeline.ring_buffer_capacity;
        let ring_bounds = limits::RING_CAPACITY_MIN..=limits::RING_CAPACITY_MAX;
        if ring != 0 && !(ring.is_power_of_two() && ring_bounds.contains(&ring)) {
            faults.push(format!(
                "pipeline.ringBufferCapacity = {ring}: must be 0 or a power of two in [{}, {}]",
                limits::RING_CAPACITY_MIN,
                limits::RING_CAPACITY_MAX
            ));
        }
        if self.pipeline.drain_threads > 256 {
            faults.push(format!("pipeline.drainThreads = {}: at most 256", self.pipeline.drain_threads));
        }
        if !(1..=limits::PARTITIONS_MAX).contains(&self.cluster.partitions) {
            let partitions = self.cluster.partitions;
            faults.push(format!("cluster.partitions = {partitions}: 1 to {}", limits::PARTITIONS_MAX));
        }
        if self.memory_limit != 0 && self.memory_limit < 128 << 20 {
            faults.push(format!("memoryLimit = {}: at least 134217728 (128 MiB)", self.memory_limit));
        }
        if self.leave_ms > 600_000 {
            faults.push(format!("leaveMs = {}: at most 600000 (ten minutes)", self.leave_ms));
        }
        if self.sync_at_least_us > 1_000_000 {
            faults.push(format!("syncAtLeastUs = {}: at most 1000000 (a second)", self.sync_at_least_us));
        }
        if self.tls.cert.is_some() != self.tls.key.is_some() {
            faults.push("tls.cert and tls.key: give both or none".to_owned());
        }
        if self.tls.client_ca.is_some() && self.tls.cert.is_none() {
            faults.push("tls.clientCa needs tls.cert and tls.key".to_owned());
        }
        self.validate_auth(&mut faults);
        self.validate_cluster(&mut faults);
        if faults.is_empty() { Ok(()) } else { Err(ConfigFaults(faults)) }
    }

    fn validate_auth(&self, faults: &mut Vec<String>) {
        let open = self.api_keys_file.is_none();
        if self.no_auth && !open {
            faults.push("noAuth and apiKeysFile contradict each other".to_owned());
        }
        if open && !self.bind.is_loopback() && !(self.no_auth && self.i_know_this_is_open) {
            faults.push(format!(
                "bind = {}: the network can reach this node and there is no apiKeysFile; make one with `zepto keys create`, \
                 or say both --no-auth and --i-know-this-is-open",
                self.bind
            ));
        }
    }

    fn validate_cluster(&self, faults: &mut Vec<String>) {
        let cluster = &self.cluster;
        if !cluster.is_on() {
            return;
        }
        if cluster.secret_file.is_none() && !self.bind.is_loopback() {
            faults.push("cluster.secretFile is needed on an address that others can reach".to_owned());
        }
        if self.bind.is_unspecified() && cluster.advertise_host.is_none() {
            faults.push(format!("cluster.advertiseHost is needed: others cannot reach {}", self.bind));
        }
        if self.node_id >= INGEST_ID_MIN {
            faults.push(format!("nodeId = {}: storage nodes have ids below {INGEST_ID_MIN}", self.node_id));
        }
        if cluster.id.is_empty() || cluster.id.len() > CLUSTER_ID_BYTES_MAX {
            faults.push(format!("cluster.id: 1 to {CLUSTER_ID_BYTES_MAX} bytes"));
        }
        if !(10..cluster.suspect_ms).contains(&cluster.heartbeat_interval_ms) {
            faults.push(
                "cluster.heartbeatIntervalMs must be at least 10 and below cluster.suspectMs".to_owned(),
            );
        }
        if !(50..cluster.lease_ms).contains(&cluster.replicate_timeout_ms) {
            faults
                .push("cluster.replicateTimeoutMs must be at least 50 and below cluster.leaseMs".to_owned());
        }
        if self.bootstrap.is_some() {
            faults
                .push("bootstrap is for a node that runs alone: send the statements to any node".to_owned());
        }
    }

    /// The RPC port to listen on.
    #[must_use]
    pub fn rpc_port(&self) -> u16 {
        let beside =
            if self.http_port == 0 { 0 } else { self.http_port.saturating_add(self.cluster.rpc_port_offset) };
        self.cluster.rpc_port.unwrap_or(beside)
    }

    /// The UDP port to hear heartbeats on.
    #[must_use]
    pub fn heartbeat_port(&self) -> u16 {
        let usual = if self.http_port == 0 { 0 } else { HEARTBEAT_PORT };
        self.cluster.heartbeat_port.unwrap_or(usual)
    }

    /// Drain threads in effect.
    #[must_use]
    pub fn drain_threads(&self) -> usize {
        match self.pipeline.drain_threads {
            0 => (cores() / 4).max(2),
            n => n,
        }
    }

    /// Ring buffer slots in effect.
    #[must_use]
    pub fn ring_capacity(&self) -> usize {
        match self.pipeline.ring_buffer_capacity {
            0 => limits::RING_CAPACITY_DEFAULT,
            n => n,
        }
    }

    /// Query threads in effect.
    #[must_use]
    pub fn worker_threads(&self) -> usize {
        match self.config.worker_threads {
            0 => cores(),
            n => n,
        }
    }

    /// Memory bound in effect, bytes.
    #[must_use]
    pub fn memory_limit(&self) -> u64 {
        match self.memory_limit {
            0 => memory_limit_default(),
            n => n,
        }
    }

    /// The settings as dotted name and value, for `/admin/settings`. No value is a secret:
    /// secrets live in files whose paths are shown.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        let mut settings = Vec::new();
        if let Ok(value) = serde_json::to_value(self) {
            flatten("", &value, &mut settings);
        }
        settings
    }
}

/// Cores this process may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn flatten(prefix: &str, value: &serde_json::Value, out: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&name, value, out);
            }
        }
        serde_json::Value::String(text) => out.push((prefix.to_owned(), text.clone())),
        serde_json::Value::Null => out.push((prefix.to_owned(), String::new())),
        other => out.push((prefix.to_owned(), other.to_string())),
    }
}
