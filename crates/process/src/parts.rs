//! Groups of keys that the processes share, and what must hold of them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zepto_common::limits;
use zepto_tls::{PeerFiles, TlsFiles};

use crate::gauges::cores;

/// Bytes of a cluster's name: what a heartbeat can hold.
const CLUSTER_ID_BYTES_MAX: usize = 255;

/// Every fault of a configuration, for a person.
#[derive(Debug, thiserror::Error)]
#[error("configuration is not usable:\n  - {}", .0.join("\n  - "))]
pub struct ConfigFaults(pub Vec<String>);

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

impl TlsConfig {
    /// The files, if TLS is spoken.
    #[must_use]
    pub fn files(&self) -> Option<TlsFiles> {
        let (certificate, key) = (self.cert.clone()?, self.key.clone()?);
        Some(TlsFiles { certificate, key, client_ca: self.client_ca.clone() })
    }

    /// Says what is missing.
    pub fn validate(&self, faults: &mut Vec<String>) {
        if self.cert.is_some() != self.key.is_some() {
            faults.push("tls.cert and tls.key: give both or none".to_owned());
        }
        if self.client_ca.is_some() && self.cert.is_none() {
            faults.push("tls.clientCa needs tls.cert and tls.key".to_owned());
        }
    }
}

/// `cluster.tls.*`: TLS between the processes of a cluster; all three or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PeerTlsConfig {
    /// PEM chain of this process, good for server and client and for its advertised host.
    pub cert: Option<PathBuf>,
    /// PEM private key.
    pub key: Option<PathBuf>,
    /// PEM authority of the cluster: who shows no certificate of it is refused.
    pub ca: Option<PathBuf>,
}

impl PeerTlsConfig {
    /// The files, if TLS is spoken.
    #[must_use]
    pub fn files(&self) -> Option<PeerFiles> {
        let (certificate, key, authority) = (self.cert.clone()?, self.key.clone()?, self.ca.clone()?);
        Some(PeerFiles { certificate, key, authority })
    }

    /// Says what is missing.
    pub fn validate(&self, faults: &mut Vec<String>) {
        let given = [&self.cert, &self.key, &self.ca].map(Option::is_some);
        if given.contains(&true) && given.contains(&false) {
            faults.push(
                "cluster.tls.cert, cluster.tls.key and cluster.tls.ca: give all three or none".to_owned(),
            );
        }
    }
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

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
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

/// `pipeline.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PipelineConfig {
    /// Threads that move rows on: to log and memtable, or from an ingest node to the owners; 0 (default) =
    /// max(2, cores / 4).
    pub drain_threads: usize,
    /// Slots of each queue: a drain thread's, or an ingest node's for one owner; 0 (default) = 65,536; else a power of
    /// two from 4,096 to 16,777,216.
    pub ring_buffer_capacity: usize,
}

impl PipelineConfig {
    /// Drain threads in effect.
    #[must_use]
    pub fn drain_threads(&self) -> usize {
        match self.drain_threads {
            0 => (cores() / 4).max(2),
            n => n,
        }
    }

    /// Slots of a queue in effect.
    #[must_use]
    pub fn ring_capacity(&self) -> usize {
        match self.ring_buffer_capacity {
            0 => limits::RING_CAPACITY_DEFAULT,
            n => n,
        }
    }

    /// Says what is out of bounds.
    pub fn validate(&self, faults: &mut Vec<String>) {
        let ring = self.ring_buffer_capacity;
        let bounds = limits::RING_CAPACITY_MIN..=limits::RING_CAPACITY_MAX;
        if ring != 0 && !(ring.is_power_of_two() && bounds.contains(&ring)) {
            faults.push(format!(
                "pipeline.ringBufferCapacity = {ring}: must be 0 or a power of two in [{}, {}]",
                limits::RING_CAPACITY_MIN,
                limits::RING_CAPACITY_MAX
            ));
        }
        if self.drain_threads > 256 {
            faults.push(format!("pipeline.drainThreads = {}: at most 256", self.drain_threads));
        }
    }
}

/// Whom a door lets in, as far as the configuration says.
#[derive(Debug, Clone, Copy)]
pub struct Openness<'a> {
    /// The address that it listens on.
    pub bind: IpAddr,
    /// Keys of those who may use it.
    pub api_keys_file: Option<&'a Path>,
    /// Everybody may.
    pub no_auth: bool,
    /// Said a second time.
    pub i_know_this_is_open: bool,
}

impl Openness<'_> {
    /// A door that others can reach has keys, or its openness is said twice.
    pub fn validate(self, faults: &mut Vec<String>) {
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
}

/// Says what is wrong with a memory limit; 0 = the machine's.
pub fn validate_memory(limit: u64, faults: &mut Vec<String>) {
    if limit != 0 && limit < 128 << 20 {
        faults.push(format!("memoryLimit = {limit}: at least 134217728 (128 MiB)"));
    }
}

/// Says what is wrong with the time between "not ready" and the closed port.
pub fn validate_leave(leave_ms: u64, faults: &mut Vec<String>) {
    if leave_ms > 600_000 {
        faults.push(format!("leaveMs = {leave_ms}: at most 600000 (ten minutes)"));
    }
}

/// Says what is wrong with a cluster's name.
pub fn validate_cluster_id(id: &str, faults: &mut Vec<String>) {
    if id.is_empty() || id.len() > CLUSTER_ID_BYTES_MAX {
        faults.push(format!("cluster.id: 1 to {CLUSTER_ID_BYTES_MAX} bytes"));
    }
}

/// Says whether a secret is needed that is not there.
pub fn validate_secret(file: Option<&Path>, bind: IpAddr, faults: &mut Vec<String>) {
    if file.is_none() && !bind.is_loopback() {
        faults.push("cluster.secretFile is needed on an address that others can reach".to_owned());
    }
}

/// The secret in its file; empty without one.
///
/// # Errors
/// A file that cannot be read, or holds nothing.
pub fn read_secret(file: Option<&Path>) -> Result<String, ConfigFaults> {
    let Some(path) = file else { return Ok(String::new()) };
    let fault = |what: String| ConfigFaults(vec![format!("cluster.secretFile: {}: {what}", path.display())]);
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    if text.trim().is_empty() { Err(fault("it holds no secret".to_owned())) } else { Ok(text) }
}

/// A port beside the HTTP port: the one that is given, or HTTP + offset, or any free one if that is.
#[must_use]
pub fn port_beside(http_port: u16, offset: u16, given: Option<u16>) -> u16 {
    given.unwrap_or(if http_port == 0 { 0 } else { http_port.saturating_add(offset) })
}

/// The UDP port: the one that is given, or the usual one, or any free one if the HTTP port is.
#[must_use]
pub fn heartbeat_port(http_port: u16, usual: u16, given: Option<u16>) -> u16 {
    given.unwrap_or(if http_port == 0 { 0 } else { usual })
}

/// A configuration as dotted name and value, for `/admin/settings` and the log. No value is a secret: secrets live in
/// files whose paths are shown.
#[must_use]
pub fn settings(config: &impl Serialize) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    if let Ok(value) = serde_json::to_value(config) {
        flatten("", &value, &mut settings);
    }
    settings
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
