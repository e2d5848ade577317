//! What a coordinator is told at its start.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use zepto_process::TlsConfig;
use zepto_proto::handshake::Secret;

/// Times of a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How often nodes make themselves heard.
    pub interval: Duration,
    /// Silence after which a node is suspected.
    pub suspect: Duration,
    /// Silence after which a node is dead.
    pub dead: Duration,
    /// How long a dead node's copies are kept before others are made.
    pub repair_after: Duration,
    /// How long the first placement waits for more nodes after the newest one came.
    pub settle: Duration,
    /// How often the leader tells the members that it is there.
    pub group_heartbeat: Duration,
    /// Least silence of the leader before another is elected.
    pub election_min: Duration,
    /// Greatest silence of the leader before another is elected.
    pub election_max: Duration,
    /// For one call, here and at the leader.
    pub call: Duration,
    /// How often a watch stream says that it lives.
    pub watch_idle: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            suspect: Duration::from_secs(3),
            dead: Duration::from_secs(10),
            repair_after: Duration::from_secs(600),
            settle: Duration::from_secs(3),
            group_heartbeat: Duration::from_millis(250),
            election_min: Duration::from_millis(1_000),
            election_max: Duration::from_millis(2_000),
            call: Duration::from_secs(3),
            watch_idle: Duration::from_secs(5),
        }
    }
}

/// What a coordinator is told at its start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its id in the group.
    pub member: u64,
    /// Log and snapshots.
    pub data_dir: PathBuf,
    /// Address to listen on.
    pub bind: IpAddr,
    /// Health, metrics and status; 0 = any free port.
    pub http_port: u16,
    /// RPC; 0 = any free port.
    pub rpc_port: u16,
    /// All members with their RPC addresses, this one among them; empty = this one alone.
    pub members: Vec<(u64, String)>,
    /// Begin the group, if none of the members has one.
    pub bootstrap: bool,
    /// The cluster's id.
    pub cluster_id: String,
    /// The cluster's secret.
    pub secret: Secret,
    /// P of a new cluster.
    pub partitions: u16,
    /// Copies that every partition of a new cluster should have.
    pub replication_factor: u8,
    /// Copies below which a set of a new cluster is never shrunk.
    pub min_in_sync: u8,
    /// Times.
    pub times: Times,
    /// Heartbeats.
    pub beat: BeatOptions,
    /// The HTTP port's.
    pub door: DoorOptions,
}

/// How a coordinator says and hears heartbeats. They inform; who is dead is judged by authenticated calls alone.
#[derive(Debug, Clone)]
pub struct BeatOptions {
    /// UDP port, 0 = any free one.
    pub port: u16,
    /// The cluster's secret, for the code of datagrams.
    pub secret: zepto_cluster::Secret,
    /// `host:port` of nodes beside those that register.
    pub peers: Vec<String>,
    /// Where others reach this process.
    pub host: String,
}

/// Who may use the HTTP port, and how.
#[derive(Debug, Clone, Default)]
pub struct DoorOptions {
    /// Keys beside those that the cluster has agreed on.
    pub api_keys_file: Option<PathBuf>,
    /// Everybody may.
    pub no_auth: bool,
    /// `/metrics` needs a key.
    pub protect_metrics: bool,
    /// Certificate and authorities.
    pub tls: TlsConfig,
    /// Bound of memory, for its metric.
    pub memory_limit: u64,
}

impl Options {
    /// A group of one on loopback with any free ports.
    #[must_use]
    pub fn alone(data_dir: PathBuf) -> Self {
        Self {
            member: 1,
            data_dir,
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            http_port: 0,
            rpc_port: 0,
            members: Vec::new(),
            bootstrap: true,
            cluster_id: "zeptodb".to_owned(),
            secret: Secret::new(""),
            partitions: 256,
            replication_factor: 2,
            min_in_sync: 1,
            times: Times::default(),
            beat: BeatOptions {
                port: 0,
                secret: zepto_cluster::Secret::new(""),
                peers: Vec::new(),
                host: Ipv4Addr::LOCALHOST.to_string(),
            },
            door: DoorOptions::default(),
        }
    }
}
