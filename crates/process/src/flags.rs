//! The flags that all processes have; each is also `ZEPTO_<FLAG>`. The environment is read here and in the file of each
//! process's own flags, nowhere else.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::add_node::AddNode;
use crate::parts::{AuthConfig, LogConfig, LogFormat, PeerTlsConfig, TlsConfig};

/// What every process can be told by flags.
#[derive(Debug, Clone, Default, Args)]
pub struct CommonFlags {
    /// YAML configuration file
    #[arg(long, env = "ZEPTO_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, env = "ZEPTO_BIND", value_name = "ADDR")]
    pub bind: Option<IpAddr>,
    /// HTTP port, 0 = any free one [default: 8123; ingest node 8124, coordinator 8125]
    #[arg(long, env = "ZEPTO_HTTP_PORT", value_name = "N")]
    pub http_port: Option<u16>,
    /// RPC port, 0 = any free one [default: HTTP port + 100]
    #[arg(long, env = "ZEPTO_RPC_PORT", value_name = "N")]
    pub rpc_port: Option<u16>,
    /// UDP port of heartbeats, 0 = any free one [default: 9100; ingest node 9101, coordinator 9102]
    #[arg(long, env = "ZEPTO_HEARTBEAT_PORT", value_name = "N")]
    pub heartbeat_port: Option<u16>,
    /// Folder for what the process keeps
    #[arg(long, env = "ZEPTO_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Id of this process among those of its kind
    #[arg(long, env = "ZEPTO_NODE_ID", value_name = "N")]
    pub node_id: Option<u32>,
    /// Name of the cluster; every process of it has the same [default: zeptodb]
    #[arg(long, env = "ZEPTO_CLUSTER_ID", value_name = "TEXT")]
    pub cluster_id: Option<String>,
    /// File with the secret that all processes of the cluster share
    #[arg(long, env = "ZEPTO_CLUSTER_SECRET_FILE", value_name = "FILE")]
    pub cluster_secret_file: Option<PathBuf>,
    /// Host under which others reach this process [default: the bind address]
    #[arg(long, env = "ZEPTO_ADVERTISE_HOST", value_name = "HOST")]
    pub advertise_host: Option<String>,
    /// Name that resolves to the other nodes, such as a headless service
    #[arg(long, env = "ZEPTO_DISCOVERY", value_name = "DNSNAME")]
    pub discovery: Option<String>,
    /// A node that no name resolves to; can be given again
    #[arg(long, env = "ZEPTO_ADD_NODE", value_name = "ID:HOST:HTTPPORT", value_delimiter = ',')]
    pub add_node: Vec<String>,
    /// Milliseconds between two signs of life [default: 1000]
    #[arg(long, env = "ZEPTO_HEARTBEAT_INTERVAL_MS", value_name = "N")]
    pub heartbeat_interval_ms: Option<u64>,
    /// Milliseconds of silence after which another node is suspected [default: 3000]
    #[arg(long, env = "ZEPTO_SUSPECT_MS", value_name = "N")]
    pub suspect_ms: Option<u64>,
    /// File of API keys; without one a loopback bind serves everybody
    #[arg(long, env = "ZEPTO_API_KEYS_FILE", value_name = "FILE")]
    pub api_keys_file: Option<PathBuf>,
    /// Serve without authentication
    #[arg(long, env = "ZEPTO_NO_AUTH")]
    pub no_auth: bool,
    /// Confirms --no-auth on an address that others can reach
    #[arg(long, env = "ZEPTO_I_KNOW_THIS_IS_OPEN")]
    pub i_know_this_is_open: bool,
    /// /metrics needs a key
    #[arg(long, env = "ZEPTO_PROTECT_METRICS")]
    pub protect_metrics: bool,
    /// TLS certificate chain of the HTTP port, PEM
    #[arg(long, env = "ZEPTO_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// TLS private key, PEM
    #[arg(long, env = "ZEPTO_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Authorities of client certificates, PEM; with it clients must show one
    #[arg(long, env = "ZEPTO_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// TLS certificate chain of the RPC port and of calls to others, PEM
    #[arg(long, env = "ZEPTO_CLUSTER_TLS_CERT", value_name = "FILE")]
    pub cluster_tls_cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, env = "ZEPTO_CLUSTER_TLS_KEY", value_name = "FILE")]
    pub cluster_tls_key: Option<PathBuf>,
    /// Authority of all processes of the cluster, PEM; both sides of a call must show a certificate of it
    #[arg(long, env = "ZEPTO_CLUSTER_TLS_CA", value_name = "FILE")]
    pub cluster_tls_ca: Option<PathBuf>,
    /// error, warn, info, debug, trace or a filter [default: info]
    #[arg(long, env = "ZEPTO_LOG_LEVEL", value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Log format [default: text]
    #[arg(long, env = "ZEPTO_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Bytes of memory for the process, 0 = 75 % of the machine or control group [default: 0]
    #[arg(long, env = "ZEPTO_MEMORY_LIMIT", value_name = "BYTES")]
    pub memory_limit: Option<u64>,
    /// Milliseconds between saying "not ready" and closing the port after SIGTERM [default: 500]
    #[arg(long, env = "ZEPTO_LEAVE_MS", value_name = "N")]
    pub leave_ms: Option<u64>,
    /// Print the effective configuration and exit
    #[arg(long)]
    pub print_config: bool,
    /// Check the configuration and exit
    #[arg(long)]
    pub check_config: bool,
}

/// The keys of a configuration that the common flags override.
#[derive(Debug)]
#[expect(missing_docs, reason = "each is described where it is a key of a configuration")]
pub struct CommonKeys<'a> {
    pub bind: &'a mut IpAddr,
    pub http_port: &'a mut u16,
    pub rpc_port: &'a mut Option<u16>,
    pub heartbeat_port: &'a mut Option<u16>,
    pub cluster_id: &'a mut String,
    pub secret_file: &'a mut Option<PathBuf>,
    pub advertise_host: &'a mut Option<String>,
    pub discovery: &'a mut Option<String>,
    pub add_nodes: &'a mut Vec<AddNode>,
    pub heartbeat_interval_ms: &'a mut u64,
    pub suspect_ms: &'a mut u64,
    pub api_keys_file: &'a mut Option<PathBuf>,
    pub no_auth: &'a mut bool,
    pub i_know_this_is_open: &'a mut bool,
    pub auth: &'a mut AuthConfig,
    pub tls: &'a mut TlsConfig,
    pub peer_tls: &'a mut PeerTlsConfig,
    pub log: &'a mut LogConfig,
    pub memory_limit: &'a mut u64,
    pub leave_ms: &'a mut u64,
}

/// Puts a flag that was given over a key.
pub fn set<T: Clone>(flag: &Option<T>, key: &mut T) {
    if let Some(value) = flag {
        key.clone_from(value);
    }
}

/// Puts a flag that was given over a key that may be absent.
pub fn set_some<T: Clone>(flag: &Option<T>, key: &mut Option<T>) {
    if flag.is_some() {
        key.clone_from(flag);
    }
}

/// Puts a list that was given over a key: it replaces what the file says.
pub fn set_list<T: Clone>(flag: &[T], key: &mut Vec<T>) {
    if !flag.is_empty() {
        *key = flag.to_vec();
    }
}

/// The values of a list; says which cannot be read.
pub fn parse_all<T: FromStr<Err = String>>(flag: &str, texts: &[String], faults: &mut Vec<String>) -> Vec<T> {
    let parse = |text: &String| match text.parse() {
        Ok(value) => Some(value),
        Err(fault) => {
            faults.push(format!("{flag}: {fault}"));
            None
        }
    };
    texts.iter().filter_map(parse).collect()
}

impl CommonFlags {
    /// Puts what was given over the configuration; says what cannot be read. The data folder and the id are each
    /// process's own to apply.
    pub fn apply(&self, keys: CommonKeys<'_>, faults: &mut Vec<String>) {
        set(&self.bind, keys.bind);
        set(&self.http_port, keys.http_port);
        set_some(&self.rpc_port, keys.rpc_port);
        set_some(&self.heartbeat_port, keys.heartbeat_port);
        set(&self.cluster_id, keys.cluster_id);
        set_some(&self.cluster_secret_file, keys.secret_file);
        set_some(&self.advertise_host, keys.advertise_host);
        set_some(&self.discovery, keys.discovery);
        set_list(&parse_all("--add-node", &self.add_node, faults), keys.add_nodes);
        set(&self.heartbeat_interval_ms, keys.heartbeat_interval_ms);
        set(&self.suspect_ms, keys.suspect_ms);
        set_some(&self.api_keys_file, keys.api_keys_file);
        *keys.no_auth |= self.no_auth;
        *keys.i_know_this_is_open |= self.i_know_this_is_open;
        keys.auth.protect_metrics |= self.protect_metrics;
        set_some(&self.tls_cert, &mut keys.tls.cert);
        set_some(&self.tls_key, &mut keys.tls.key);
        set_some(&self.tls_client_ca, &mut keys.tls.client_ca);
        set_some(&self.cluster_tls_cert, &mut keys.peer_tls.cert);
        set_some(&self.cluster_tls_key, &mut keys.peer_tls.key);
        set_some(&self.cluster_tls_ca, &mut keys.peer_tls.ca);
        set(&self.log_level, &mut keys.log.level);
        set(&self.log_format, &mut keys.log.format);
        set(&self.memory_limit, keys.memory_limit);
        set(&self.leave_ms, keys.leave_ms);
    }
}
