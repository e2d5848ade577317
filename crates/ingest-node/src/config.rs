//! The effective configuration of an ingest node: one YAML file, overridden by the environment, overridden by flags.
//! Unknown keys are errors, and all faults are reported at once.

mod flags;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;
use zepto_common::ids::NodeId;
use zepto_common::limits::{INSERT_BYTES_IN_FLIGHT, OWNER_BYTES_IN_FLIGHT};
use zepto_feeds::FeedConfig;
use zepto_process::flags::CommonKeys;
use zepto_process::memory::part_of;
use zepto_process::parts::{self, Openness};
use zepto_process::{
    AddNode, AuthConfig, ConfigFaults, LogConfig, PeerTlsConfig, PipelineConfig, TlsConfig, file,
};

pub use flags::Flags;

/// Ingest nodes have ids from here on; lower ones are storage nodes.
pub const INGEST_ID_MIN: u32 = 99_999;
/// The usual UDP port of heartbeats.
const HEARTBEAT_PORT: u16 = 9101;

/// Everything an ingest node can be told. Field names are the YAML keys; defaults are stated per field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Address to listen on; 127.0.0.1 by default.
    pub bind: IpAddr,
    /// HTTP port; 8124 by default, 0 means any free one.
    pub http_port: u16,
    /// This node's id, from 99,999, that no other has; by default one made of its name.
    pub node_id: Option<u32>,
    /// This node's name (its pod's), from which its id is made; without one the id is random.
    pub pod_name: Option<String>,
    /// API keys (see docs/protocol.md); none by default, which is allowed on a loopback bind only.
    pub api_keys_file: Option<PathBuf>,
    /// Serve without authentication.
    pub no_auth: bool,
    /// Said a second time: the node may be open to the network.
    pub i_know_this_is_open: bool,
    /// Bytes of memory for the whole process; 0 (default) = 75 % of the machine's or the control group's limit. A tenth
    /// of it may be rows on their way.
    pub memory_limit: u64,
    /// Milliseconds between saying "not ready" and closing the port after SIGTERM; 500 by default.
    pub leave_ms: u64,
    /// Authentication.
    pub auth: AuthConfig,
    /// TLS for HTTP.
    pub tls: TlsConfig,
    /// Logging.
    pub log: LogConfig,
    /// What it keeps.
    pub config: DataConfig,
    /// The way from the door to the owners.
    pub pipeline: PipelineConfig,
    /// The node's place among others.
    pub cluster: ClusterConfig,
    /// External sources that it follows (see docs/feeds.md); none by default.
    pub feeds: Vec<FeedConfig>,
}

/// `config.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DataConfig {
    /// Folder for the last catalog and placement, so that a restart needs no coordinator; none by default: memory only.
    pub data_dir: Option<PathBuf>,
}

/// `cluster.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// RPC addresses of the coordinators, `host:port`; at least one.
    pub coordinators: Vec<String>,
    /// Name of the cluster; every process of it has the same. `zeptodb` by default.
    pub id: String,
    /// File with the secret that all processes of the cluster share.
    pub secret_file: Option<PathBuf>,
    /// TLS between the processes of the cluster.
    pub tls: PeerTlsConfig,
    /// Added to the HTTP port where no RPC port is given; 100 by default.
    pub rpc_port_offset: u16,
    /// RPC port (health and metrics), 0 means any free one; HTTP port + offset by default, or any free one if that is.
    pub rpc_port: Option<u16>,
    /// UDP port of heartbeats, 0 means any free one; 9101 by default, or any free one if the HTTP port is.
    pub heartbeat_port: Option<u16>,
    /// Host under which others reach this node; the bind address by default.
    pub advertise_host: Option<String>,
    /// Name (a headless service) that resolves to the storage nodes, for heartbeats before the coordinators name them.
    pub discovery: Option<String>,
    /// Storage nodes named by hand, `id:host:httpport`.
    pub add_nodes: Vec<AddNode>,
    /// Milliseconds between two signs of life; 1,000 by default.
    pub heartbeat_interval_ms: u64,
    /// Milliseconds of silence after which another node is suspected; 3,000 by default.
    pub suspect_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: IpAddr::from([127, 0, 0, 1]),
            http_port: 8124,
            node_id: None,
            pod_name: None,
            api_keys_file: None,
            no_auth: false,
            i_know_this_is_open: false,
            memory_limit: 0,
            leave_ms: 500,
            auth: AuthConfig::default(),
            tls: TlsConfig::default(),
            log: LogConfig::default(),
            config: DataConfig::default(),
            pipeline: PipelineConfig::default(),
            cluster: ClusterConfig::default(),
            feeds: Vec::new(),
        }
    }
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
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
            heartbeat_interval_ms: 1_000,
            suspect_ms: 3_000,
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
        let (mut faults, cluster) = (Vec::new(), &self.cluster);
        if cluster.coordinators.is_empty() {
            faults.push("cluster.coordinators: an ingest node needs at least one".to_owned());
        }
        if let Some(id) = self.node_id.filter(|id| *id < INGEST_ID_MIN) {
            faults.push(format!("nodeId = {id}: ingest nodes have ids from {INGEST_ID_MIN}"));
        }
        if self.bind.is_unspecified() && cluster.advertise_host.is_none() {
            faults.push(format!("cluster.advertiseHost is needed: others cannot reach {}", self.bind));
        }
        if !(10..cluster.suspect_ms).contains(&cluster.heartbeat_interval_ms) {
            let text = "cluster.heartbeatIntervalMs must be at least 10 and below cluster.suspectMs";
            faults.push(text.to_owned());
        }
        parts::validate_cluster_id(&cluster.id, &mut faults);
        parts::validate_secret(cluster.secret_file.as_deref(), self.bind, &mut faults);
        parts::validate_memory(self.memory_limit, &mut faults);
        parts::validate_leave(self.leave_ms, &mut faults);
        self.pipeline.validate(&mut faults);
        self.tls.validate(&mut faults);
        self.cluster.tls.validate(&mut faults);
        zepto_feeds::config::validate(&self.feeds, &mut faults);
        if self.node_id.is_none() && self.pod_name.is_none() {
            // A random one would leave a session behind at the broker with each start.
            for feed in self.feeds.iter().filter(|feed| feed.names_its_node()) {
                faults
                    .push(format!("feeds.{}: {{node}} in mqtt.clientId needs nodeId or podName", feed.name));
            }
        }
        let openness = Openness {
            bind: self.bind,
            api_keys_file: self.api_keys_file.as_deref(),
            no_auth: self.no_auth,
            i_know_this_is_open: self.i_know_this_is_open,
        };
        openness.validate(&mut faults);
        if faults.is_empty() { Ok(()) } else { Err(ConfigFaults(faults)) }
    }

    /// The id of this node: the one given, or that of its name, or a random one. Two names meet once in four billion;
    /// the coordinator's number of the start tells them apart.
    #[must_use]
    pub fn id(&self) -> NodeId {
        let named = || self.pod_name.as_ref().map(|name| id_of(xxh3_64(name.as_bytes())));
        self.node_id.map(NodeId).or_else(named).unwrap_or_else(|| id_of(rand::random()))
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

    /// Memory bound in effect, bytes.
    #[must_use]
    pub fn memory_limit(&self) -> u64 {
        match self.memory_limit {
            0 => zepto_process::memory::memory_limit_default(),
            n => n,
        }
    }

    /// Bytes that the INSERTs at the door may take together: a quarter of the memory at most.
    #[must_use]
    pub fn insert_bytes(&self) -> usize {
        part_of(self.memory_limit(), 4, INSERT_BYTES_IN_FLIGHT)
    }

    /// Bytes of rows on their way to one owner.
    #[must_use]
    pub fn bytes_to_an_owner(&self) -> usize {
        part_of(self.memory_limit(), 8, OWNER_BYTES_IN_FLIGHT)
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

fn id_of(number: u64) -> NodeId {
    NodeId(INGEST_ID_MIN + (number % u64::from(u32::MAX - INGEST_ID_MIN)) as u32)
}
