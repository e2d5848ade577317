//! The effective configuration of a storage node: one YAML file, overridden by the environment, overridden by flags.
//!
//! Nothing else in the process reads the environment. Unknown keys are errors, and all faults are reported at once.

mod flags;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zepto_common::limits;
use zepto_process::flags::CommonKeys;
use zepto_process::memory::part_of;
use zepto_process::parts::{self, Openness};
use zepto_process::{AddNode, AuthConfig, PeerTlsConfig, PipelineConfig, TlsConfig, file};

/// Ingest nodes have ids from here on.
const INGEST_ID_MIN: u32 = 99_999;
/// The usual UDP port of heartbeats.
const HEARTBEAT_PORT: u16 = 9100;

pub use flags::Flags;
pub use zepto_process::gauges::cores;
pub use zepto_process::memory::memory_limit_default;
pub use zepto_process::{ConfigFaults, LogConfig};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
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
    /// TLS between the processes of the cluster.
    pub tls: PeerTlsConfig,
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
    /// Nodes named by hand, `id:host:httpport`, for heartbeats and rows before the coordinators name them.
    pub add_nodes: Vec<AddNode>,
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
            tls: PeerTlsConfig::default(),
            rpc_port_offset: 100,
            rpc_port: None,
            heartbeat_port: None,
            advertise_host: None,
            discovery: None,
            add_nodes: Vec::new(),
            zone: String::new(),
            heartbeat_interval_ms: 1_000,
            suspect_ms: 3_000,
            lease_ms: 5_000,
            replicate_timeout_ms: 2_000,
        }
    }
}

impl Config {
    /// Reads the file (if any), lets the flags (which carry the environment) override it, and validates.
    ///
    /// # Errors
    /// All faults at once.
    pub fn load(flags: &Flags) -> Result<Self, ConfigFaults> {
        let (mut config, mut faults) = match &flags.common.config {
            Some(path) => file::read::<Self>(path)?,
            None => (Self::default(), Vec::new()),
        };
        flags.apply(&mut config, &mut faults);
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
        self.pipeline.validate(&mut faults);
        if !(1..=limits::PARTITIONS_MAX).contains(&self.cluster.partitions) {
            let partitions = self.cluster.partitions;
            faults.push(format!("cluster.partitions = {partitions}: 1 to {}", limits::PARTITIONS_MAX));
        }
        parts::validate_memory(self.memory_limit, &mut faults);
        parts::validate_leave(self.leave_ms, &mut faults);
        if self.sync_at_least_us > 1_000_000 {
            faults.push(format!("syncAtLeastUs = {}: at most 1000000 (a second)", self.sync_at_least_us));
        }
        self.tls.validate(&mut faults);
        self.cluster.tls.validate(&mut faults);
        let openness = Openness {
            bind: self.bind,
            api_keys_file: self.api_keys_file.as_deref(),
            no_auth: self.no_auth,
            i_know_this_is_open: self.i_know_this_is_open,
        };
        openness.validate(&mut faults);
        self.validate_cluster(&mut faults);
        if faults.is_empty() { Ok(()) } else { Err(ConfigFaults(faults)) }
    }

    fn validate_cluster(&self, faults: &mut Vec<String>) {
        let cluster = &self.cluster;
        if self.node_id >= INGEST_ID_MIN {
            faults.push(format!("nodeId = {}: storage nodes have ids below {INGEST_ID_MIN}", self.node_id));
        }
        if !cluster.is_on() {
            return;
        }
        parts::validate_secret(cluster.secret_file.as_deref(), self.bind, faults);
        if self.bind.is_unspecified() && cluster.advertise_host.is_none() {
            faults.push(format!("cluster.advertiseHost is needed: others cannot reach {}", self.bind));
        }
        parts::validate_cluster_id(&cluster.id, faults);
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
        parts::port_beside(self.http_port, self.cluster.rpc_port_offset, self.cluster.rpc_port)
    }

    /// The UDP port to hear heartbeats on.
    #[must_use]
    pub fn heartbeat_port(&self) -> u16 {
        parts::heartbeat_port(self.http_port, HEARTBEAT_PORT, self.cluster.heartbeat_port)
    }

    /// Drain threads in effect.
    #[must_use]
    pub fn drain_threads(&self) -> usize {
        self.pipeline.drain_threads()
    }

    /// Ring buffer slots in effect.
    #[must_use]
    pub fn ring_capacity(&self) -> usize {
        self.pipeline.ring_capacity()
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

    /// Bytes that the INSERTs at the door may take together: an eighth of the memory at most.
    #[must_use]
    pub fn insert_bytes(&self) -> usize {
        part_of(self.memory_limit(), 8, limits::INSERT_BYTES_IN_FLIGHT)
    }

    /// Bytes of rows that wait for one drain thread: an eighth of the memory at most for all of them.
    #[must_use]
    pub fn ring_bytes(&self) -> usize {
        part_of(self.memory_limit(), 8 * self.drain_threads() as u64, limits::RING_BYTES_MAX)
    }

    /// Bytes of rows on their way to one other owner.
    #[must_use]
    pub fn bytes_to_an_owner(&self) -> usize {
        part_of(self.memory_limit(), 16, limits::OWNER_BYTES_IN_FLIGHT)
    }

    /// Bytes of rows that other nodes have sent and that are not stored yet.
    #[must_use]
    pub fn bytes_from_edges(&self) -> usize {
        part_of(self.memory_limit(), 8, limits::OWNER_BYTES_TAKEN)
    }

    /// The settings as dotted name and value, for `/admin/settings`. No value is a secret:
    /// secrets live in files whose paths are shown.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        parts::settings(self)
    }

    /// The keys that every process has.
    fn common(&mut self) -> CommonKeys<'_> {
        let cluster = &mut self.cluster;
        CommonKeys {
            bind: &mut self.bind,
            http_port: &mut self.http_port,
            rpc_port: &mut cluster.rpc_port,
            heartbeat_port: &mut cluster.heartbeat_port,
            cluster_id: &mut cluster.id,
            secret_file: &mut cluster.secret_file,
            advertise_host: &mut cluster.advertise_host,
            discovery: &mut cluster.discovery,
            add_nodes: &mut cluster.add_nodes,
            heartbeat_interval_ms: &mut cluster.heartbeat_interval_ms,
            suspect_ms: &mut cluster.suspect_ms,
            api_keys_file: &mut self.api_keys_file,
            no_auth: &mut self.no_auth,
            i_know_this_is_open: &mut self.i_know_this_is_open,
            auth: &mut self.auth,
            tls: &mut self.tls,
            peer_tls: &mut cluster.tls,
            log: &mut self.log,
            memory_limit: &mut self.memory_limit,
            leave_ms: &mut self.leave_ms,
        }
    }
}
