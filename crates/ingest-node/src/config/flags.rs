//! Flags and environment variables of `zepto_ingest_node` beside those that all processes have; each is also
//! `ZEPTO_<FLAG>`.

use clap::Parser;
use zepto_process::CommonFlags;
use zepto_process::flags::{set, set_list, set_some};

use super::Config;

/// ZeptoDB ingest node: an HTTP door without a disk, which takes rows to their owners and passes statements on.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "zepto_ingest_node", version, max_term_width = 110)]
pub struct Flags {
    /// What all processes have.
    #[command(flatten)]
    pub common: CommonFlags,
    /// Name of this node (its pod's), from which its id is made
    #[arg(long, env = "ZEPTO_POD_NAME", value_name = "TEXT")]
    pub pod_name: Option<String>,
    /// RPC addresses of the coordinators
    #[arg(long, env = "ZEPTO_COORDINATOR", value_name = "HOST:PORT", value_delimiter = ',')]
    pub coordinator: Vec<String>,
    /// Threads that take rows from the door to the owners, 0 = max(2, cores / 4) [default: 0]
    #[arg(long, env = "ZEPTO_DRAIN_THREADS", value_name = "N")]
    pub drain_threads: Option<usize>,
    /// Slots of the queue to each owner, 0 = 65536 [default: 0]
    #[arg(long, env = "ZEPTO_RING_BUFFER_CAPACITY", value_name = "N")]
    pub ring_buffer_capacity: Option<usize>,
}

impl Flags {
    /// Puts what was given over the configuration.
    pub(super) fn apply(&self, config: &mut Config, faults: &mut Vec<String>) {
        self.common.apply(config.common(), faults);
        set_some(&self.common.data_dir, &mut config.config.data_dir);
        set_some(&self.common.node_id, &mut config.node_id);
        set_some(&self.pod_name, &mut config.pod_name);
        set_list(&self.coordinator, &mut config.cluster.coordinators);
        set(&self.drain_threads, &mut config.pipeline.drain_threads);
        set(&self.ring_buffer_capacity, &mut config.pipeline.ring_buffer_capacity);
    }
}
