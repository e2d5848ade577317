//! Flags and environment variables of `zepto_storage_node` beside those that all processes have; each is also
//! `ZEPTO_<FLAG>`.

use std::path::PathBuf;

use clap::Parser;
use zepto_common::ids::ordinal_of_pod;
use zepto_process::CommonFlags;
use zepto_process::flags::{set, set_list, set_some};

use super::{Compression, Config};

/// ZeptoDB storage node: alone it is a complete time-series SQL database that speaks ClickHouse's HTTP interface.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "zepto_storage_node", version, max_term_width = 110)]
pub struct Flags {
    /// What all processes have.
    #[command(flatten)]
    pub common: CommonFlags,
    /// Name of this node's pod, whose ordinal is the node's id where none is given
    #[arg(long, env = "ZEPTO_POD_NAME", value_name = "TEXT")]
    pub pod_name: Option<String>,
    /// RPC addresses of the coordinators; absent = the node runs alone
    #[arg(long, env = "ZEPTO_COORDINATOR", value_name = "HOST:PORT", value_delimiter = ',')]
    pub coordinator: Vec<String>,
    /// Where the node is; copies are spread over zones
    #[arg(long, env = "ZEPTO_ZONE", value_name = "TEXT")]
    pub zone: Option<String>,
    /// Milliseconds for which another copy's answer lets an owner read and acknowledge [default: 5000]
    #[arg(long, env = "ZEPTO_LEASE_MS", value_name = "N")]
    pub lease_ms: Option<u64>,
    /// Milliseconds of silence after which a copy leaves its in-sync set [default: 2000]
    #[arg(long, env = "ZEPTO_REPLICATE_TIMEOUT_MS", value_name = "N")]
    pub replicate_timeout_ms: Option<u64>,
    /// Hash partitions of a fresh data folder, the cluster's number in a cluster [default: 256]
    #[arg(long, env = "ZEPTO_PARTITIONS", value_name = "N")]
    pub partitions: Option<u16>,
    /// Query threads, 0 = cores [default: 0]
    #[arg(long, env = "ZEPTO_WORKER_THREADS", value_name = "N")]
    pub worker_threads: Option<usize>,
    /// Rows below which a query stays on one thread [default: 100000]
    #[arg(long, env = "ZEPTO_PARALLEL_THRESHOLD", value_name = "N")]
    pub parallel_threshold: Option<usize>,
    /// Cached plans [default: 1000]
    #[arg(long, env = "ZEPTO_QUERY_CACHE_SIZE", value_name = "N")]
    pub query_cache_size: Option<usize>,
    /// Codec of segments [default: lz4]
    #[arg(long, env = "ZEPTO_HDB_COMPRESSION", value_name = "CODEC")]
    pub hdb_compression: Option<Compression>,
    /// Threads that move queued rows to log and memtable, 0 = max(2, cores / 4) [default: 0]
    #[arg(long, env = "ZEPTO_DRAIN_THREADS", value_name = "N")]
    pub drain_threads: Option<usize>,
    /// Slots of each thread's queue, 0 = 65536 [default: 0]
    #[arg(long, env = "ZEPTO_RING_BUFFER_CAPACITY", value_name = "N")]
    pub ring_buffer_capacity: Option<usize>,
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
}

impl Flags {
    /// Puts what was given over the configuration.
    pub(super) fn apply(&self, config: &mut Config, faults: &mut Vec<String>) {
        self.common.apply(config.common(), faults);
        set(&self.common.data_dir, &mut config.config.data_dir);
        set(&self.common.node_id, &mut config.node_id);
        match self
            .pod_name
            .as_deref()
            .filter(|_| self.common.node_id.is_none())
            .map(|name| (name, ordinal_of_pod(name)))
        {
            None => {}
            Some((_, Some(ordinal))) => config.node_id = ordinal,
            Some((name, None)) => faults.push(format!("--pod-name: {name:?} does not end in an ordinal")),
        }
        set_list(&self.coordinator, &mut config.cluster.coordinators);
        set(&self.zone, &mut config.cluster.zone);
        set(&self.lease_ms, &mut config.cluster.lease_ms);
        set(&self.replicate_timeout_ms, &mut config.cluster.replicate_timeout_ms);
        set(&self.partitions, &mut config.cluster.partitions);
        set(&self.worker_threads, &mut config.config.worker_threads);
        set(&self.parallel_threshold, &mut config.config.parallel_threshold);
        set(&self.query_cache_size, &mut config.config.query_cache_size);
        set(&self.hdb_compression, &mut config.config.hdb_compression);
        set(&self.drain_threads, &mut config.pipeline.drain_threads);
        set(&self.ring_buffer_capacity, &mut config.pipeline.ring_buffer_capacity);
        set(&self.sync_at_least_us, &mut config.sync_at_least_us);
        set_some(&self.bootstrap, &mut config.bootstrap);
        set(&self.segment_check_seconds, &mut config.segment_check_seconds);
        config.allow_corrupt_tail |= self.allow_corrupt_tail;
    }
}
