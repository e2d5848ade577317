//! Flags and environment variables of `zepto_coordinator` beside those that all processes have; each is also
//! `ZEPTO_<FLAG>`.

use clap::Parser;
use zepto_common::ids::ordinal_of_pod;
use zepto_process::CommonFlags;
use zepto_process::flags::{parse_all, set, set_list};

use super::{Config, GroupMember};

/// ZeptoDB coordinator: node registry, placement, fencing epochs and catalog of a cluster, agreed on by 1, 3 or 5 of them.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "zepto_coordinator", version, max_term_width = 110)]
pub struct Flags {
    /// What all processes have.
    #[command(flatten)]
    pub common: CommonFlags,
    /// Name of this member's pod: its id is the ordinal + 1 where none is given
    #[arg(long, env = "ZEPTO_POD_NAME", value_name = "TEXT")]
    pub pod_name: Option<String>,
    /// All members of the group with their RPC addresses, this one among them; absent = this one alone
    #[arg(long, env = "ZEPTO_MEMBERS", value_name = "ID@HOST:PORT", value_delimiter = ',')]
    pub members: Vec<String>,
    /// Begin a new group; refused if any listed member belongs to one
    #[arg(long, env = "ZEPTO_BOOTSTRAP")]
    pub bootstrap: bool,
    /// Partitions of a new cluster [default: 256]
    #[arg(long, env = "ZEPTO_PARTITIONS", value_name = "N")]
    pub partitions: Option<u16>,
    /// Copies of each partition of a new cluster [default: 2]
    #[arg(long, env = "ZEPTO_REPLICATION_FACTOR", value_name = "N")]
    pub replication_factor: Option<u8>,
    /// Copies in sync below which a new cluster takes no writes [default: 1]
    #[arg(long, env = "ZEPTO_MIN_IN_SYNC", value_name = "N")]
    pub min_in_sync: Option<u8>,
    /// Milliseconds of silence after which a node is dead [default: 10000]
    #[arg(long, env = "ZEPTO_DEAD_MS", value_name = "N")]
    pub dead_ms: Option<u64>,
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
            Some((_, Some(ordinal))) => config.node_id = ordinal.saturating_add(1),
            Some((name, None)) => faults.push(format!("--pod-name: {name:?} does not end in an ordinal")),
        }
        set_list(&parse_all::<GroupMember>("--members", &self.members, faults), &mut config.cluster.members);
        config.cluster.bootstrap |= self.bootstrap;
        set(&self.partitions, &mut config.cluster.partitions);
        set(&self.replication_factor, &mut config.cluster.replication_factor);
        set(&self.min_in_sync, &mut config.cluster.min_in_sync);
        set(&self.dead_ms, &mut config.cluster.dead_ms);
    }
}
