//! The effective configuration of the process `zepto_coordinator`: one YAML file, overridden by the environment,
//! overridden by flags. Unknown keys are errors, and all faults are reported at once.

mod flags;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zepto_common::limits;
use zepto_process::flags::CommonKeys;
use zepto_process::parts::{self, read_secret};
use zepto_process::{AddNode, AuthConfig, ConfigFaults, LogConfig, PeerTlsConfig, TlsConfig, file};
use zepto_proto::handshake::Secret;
use zepto_proto::wire::Wire;
use zepto_tls::PeerTls;

pub use flags::Flags;

use crate::options::{BeatOptions, DoorOptions, Options, Times};

/// The usual UDP port of heartbeats.
const HEARTBEAT_PORT: u16 = 9102;

/// Everything a coordinator can be told. Field names are the YAML keys; defaults are stated per field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Address to listen on; 127.0.0.1 by default.
    pub bind: IpAddr,
    /// HTTP port; 8125 by default, 0 means any free one.
    pub http_port: u16,
    /// Id of this member of the group, from 1 (the default).
    pub node_id: u32,
    /// API keys that open `/admin/*` beside those that the cluster has agreed on; none by default.
    pub api_keys_file: Option<PathBuf>,
    /// `/admin/*` is open to everybody.
    pub no_auth: bool,
    /// Said a second time: the network may reach it.
    pub i_know_this_is_open: bool,
    /// Bytes of memory, for `zepto_memory_limit_bytes`; 0 (default) = 75 % of the machine's or the control group's.
    pub memory_limit: u64,
    /// Milliseconds between saying "not ready" and closing the ports after SIGTERM; 500 by default.
    pub leave_ms: u64,
    /// Authentication.
    pub auth: AuthConfig,
    /// TLS for HTTP.
    pub tls: TlsConfig,
    /// Logging.
    pub log: LogConfig,
    /// What it keeps.
    pub config: DataConfig,
    /// The group, and the cluster that it agrees for.
    pub cluster: ClusterConfig,
}

/// `config.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DataConfig {
    /// Log and snapshots; `zepto-coordinator-data` in the working directory by default.
    pub data_dir: PathBuf,
}

/// A member of the group, `id@host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupMember {
    /// Its id.
    pub id: u64,
    /// Its RPC address, `host:port`.
    pub address: String,
}

/// `cluster.*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterConfig {
    /// All members of the group with their RPC addresses, `id@host:port`, this one among them; none = this one alone.
    pub members: Vec<GroupMember>,
    /// Begin a new group; refused if any listed member belongs to one.
    pub bootstrap: bool,
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
    /// UDP port of heartbeats, 0 means any free one; 9102 by default, or any free one if the HTTP port is.
    pub heartbeat_port: Option<u16>,
    /// Host under which others reach this process; the bind address by default.
    pub advertise_host: Option<String>,
    /// Name (a headless service) that resolves to the nodes, for heartbeats before they register.
    pub discovery: Option<String>,
    /// Nodes named by hand, `id:host:httpport`, for heartbeats before they register.
    pub add_nodes: Vec<AddNode>,
    /// Partitions of a new cluster; 256 by default, at most 4,096.
    pub partitions: u16,
    /// Copies of each partition of a new cluster, 1 to 3; 2 by default.
    pub replication_factor: u8,
    /// Copies in sync below which a new cluster takes no writes; 1 by default, at most the replication factor.
    pub min_in_sync: u8,
    /// Milliseconds between two signs of life of a node; 1,000 by default.
    pub heartbeat_interval_ms: u64,
    /// Milliseconds of silence after which a node is suspected; 3,000 by default.
    pub suspect_ms: u64,
    /// Milliseconds of silence after which a node is dead; 10,000 by default.
    pub dead_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: IpAddr::from([127, 0, 0, 1]),
            http_port: 8125,
            node_id: 1,
            api_keys_file: None,
            no_auth: false,
            i_know_this_is_open: false,
            memory_limit: 0,
            leave_ms: 500,
            auth: AuthConfig::default(),
            tls: TlsConfig::default(),
            log: LogConfig::default(),
            config: DataConfig::default(),
            cluster: ClusterConfig::default(),
        }
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { data_dir: PathBuf::from("zepto-coordinator-data") }
    }
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            bootstrap: false,
            id: "zeptodb".to_owned(),
            secret_file: None,
            tls: PeerTlsConfig::default(),
            rpc_port_offset: 100,
            rpc_port: None,
            heartbeat_port: None,
            advertise_host: None,
            discovery: None,
            add_nodes: Vec::new(),
            partitions: limits::PARTITIONS_DEFAULT,
            replication_factor: 2,
            min_in_sync: 1,
            heartbeat_interval_ms: 1_000,
            suspect_ms: 3_000,
            dead_ms: 10_000,
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
        if self.node_id == 0 {
            faults.push("nodeId = 0: members of the group have ids from 1".to_owned());
        }
        if !(1..=limits::PARTITIONS_MAX).contains(&cluster.partitions) {
            faults.push(format!(
                "cluster.partitions = {}: 1 to {}",
                cluster.partitions,
                limits::PARTITIONS_MAX
            ));
        }
        if !(1..=3).contains(&cluster.replication_factor) {
            faults.push(format!("cluster.replicationFactor = {}: 1 to 3", cluster.replication_factor));
        }
        if !(1..=cluster.replication_factor.max(1)).contains(&cluster.min_in_sync) {
            faults
                .push(format!("cluster.minInSync = {}: 1 to cluster.replicationFactor", cluster.min_in_sync));
        }
        if !(cluster.heartbeat_interval_ms >= 10
            && cluster.heartbeat_interval_ms < cluster.suspect_ms
            && cluster.suspect_ms < cluster.dead_ms)
        {
            let text = "cluster.heartbeatIntervalMs (at least 10) must be below cluster.suspectMs, and that below \
                cluster.deadMs";
            faults.push(text.to_owned());
        }
        if self.no_auth && !self.bind.is_loopback() && !self.i_know_this_is_open {
            faults
                .push(format!("bind = {}: say --no-auth a second time by --i-know-this-is-open", self.bind));
        }
        if self.no_auth && self.api_keys_file.is_some() {
            faults.push("noAuth and apiKeysFile contradict each other".to_owned());
        }
        parts::validate_cluster_id(&cluster.id, &mut faults);
        parts::validate_secret(cluster.secret_file.as_deref(), self.bind, &mut faults);
        parts::validate_memory(self.memory_limit, &mut faults);
        parts::validate_leave(self.leave_ms, &mut faults);
        self.tls.validate(&mut faults);
        self.cluster.tls.validate(&mut faults);
        if faults.is_empty() { Ok(()) } else { Err(ConfigFaults(faults)) }
    }

    /// What the library is told.
    ///
    /// # Errors
    /// A secret or a certificate that cannot be read.
    pub fn options(&self) -> Result<Options, ConfigFaults> {
        let cluster = &self.cluster;
        let text = read_secret(cluster.secret_file.as_deref())?;
        let broken = |error: zepto_common::Error| ConfigFaults(vec![error.to_string()]);
        let tls = cluster.tls.files().map(PeerTls::load).transpose().map_err(broken)?;
        let wire = tls.map(|tls| Wire::tls(Arc::new(tls))).unwrap_or_default();
        let beat_port = parts::heartbeat_port(self.http_port, HEARTBEAT_PORT, cluster.heartbeat_port);
        let added = cluster.add_nodes.iter().map(|node| &node.host).chain(&cluster.discovery);
        let times = Times {
            interval: Duration::from_millis(cluster.heartbeat_interval_ms),
            suspect: Duration::from_millis(cluster.suspect_ms),
            dead: Duration::from_millis(cluster.dead_ms),
            ..Times::default()
        };
        Ok(Options {
            member: self.node_id.into(),
            data_dir: self.config.data_dir.clone(),
            bind: self.bind,
            http_port: self.http_port,
            rpc_port: parts::port_beside(self.http_port, cluster.rpc_port_offset, cluster.rpc_port),
            members: cluster.members.iter().map(|it| (it.id, it.address.clone())).collect(),
            bootstrap: cluster.bootstrap || cluster.members.is_empty(),
            cluster_id: cluster.id.clone(),
            secret: Secret::new(&text).over(wire),
            partitions: cluster.partitions,
            replication_factor: cluster.replication_factor,
            min_in_sync: cluster.min_in_sync,
            times,
            beat: BeatOptions {
                port: beat_port,
                secret: zepto_cluster::Secret::new(text.trim()),
                peers: added.filter(|_| beat_port != 0).map(|host| format!("{host}:{beat_port}")).collect(),
                host: cluster.advertise_host.clone().unwrap_or_else(|| self.bind.to_string()),
            },
            door: DoorOptions {
                api_keys_file: self.api_keys_file.clone(),
                no_auth: self.no_auth,
                protect_metrics: self.auth.protect_metrics,
                tls: self.tls.clone(),
                memory_limit: match self.memory_limit {
                    0 => zepto_process::memory::memory_limit_default(),
                    n => n,
                },
            },
        })
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

impl FromStr for GroupMember {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("{text:?} is not id@host:port");
        let (id, address) = text.trim().split_once('@').ok_or_else(fault)?;
        let (host, port) = address.rsplit_once(':').ok_or_else(fault)?;
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(fault());
        }
        Ok(Self { id: id.parse().map_err(|_| fault())?, address: address.to_owned() })
    }
}

impl TryFrom<String> for GroupMember {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<GroupMember> for String {
    fn from(member: GroupMember) -> Self {
        format!("{}@{}", member.id, member.address)
    }
}
