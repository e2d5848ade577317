//! What an ingest node is told at its start.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;
use zepto_common::ids::NodeId;
use zepto_feeds::FeedConfig;
use zepto_proto::handshake::Secret;

/// Ingest nodes have ids from here on; lower ones are storage nodes.
pub const INGEST_ID_MIN: u32 = 99_999;

/// The options of one node.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its id, from [`INGEST_ID_MIN`]; no two that run have the same.
    pub node: NodeId,
    /// Address of the HTTP door.
    pub bind: IpAddr,
    /// Its port, 0 = any free one.
    pub http_port: u16,
    /// Addresses of the coordinators, `host:port`.
    pub coordinators: Vec<String>,
    /// The cluster.
    pub cluster_id: String,
    /// Its secret.
    pub secret: Secret,
    /// Keys of those who may use the door; None = everybody may.
    pub api_keys_file: Option<PathBuf>,
    /// `/metrics` needs the role metrics.
    pub protect_metrics: bool,
    /// Between two signs of life.
    pub heartbeat: Duration,
    /// What it follows.
    pub feeds: Vec<FeedConfig>,
}

/// The id of a node with this name (its pod's), the same at every start. Two names meet once in four billion; the
/// coordinator's number of the start tells them apart.
#[must_use]
pub fn id_of_name(name: &str) -> NodeId {
    id_of(xxh3_64(name.as_bytes()))
}

/// An id for a node without a name.
#[must_use]
pub fn random_id() -> NodeId {
    id_of(rand::random())
}

fn id_of(number: u64) -> NodeId {
    NodeId(INGEST_ID_MIN + (number % u64::from(u32::MAX - INGEST_ID_MIN)) as u32)
}
