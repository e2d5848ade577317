//! Bounds of what the coordinators keep.

/// Nodes of a cluster, the stateless ones included.
pub const NODES_MAX: usize = 1_024;
/// Answers to DDL statements that are remembered, so that a repeated one is not applied again.
pub const REQUESTS_REMEMBERED: usize = 4_096;
/// Finished moves that are remembered.
pub const MOVES_REMEMBERED: usize = 512;
/// Disks of one node that were replaced and are remembered.
pub const RETIRED_DISKS_MAX: usize = 16;
/// API keys.
pub const KEYS_MAX: usize = 10_000;
/// Named works.
pub const WORKS_MAX: usize = 10_000;
/// Snapshots.
pub const SNAPSHOTS_MAX: usize = 1_000;
/// Overrides by hand that are remembered.
pub const FORCED_REMEMBERED: usize = 256;
/// TRUNCATE, DELETE and DROP under way.
pub const SWEEPS_MAX: usize = 10_000;
/// Copies of a partition that may be in sync at one time: the factor, and those of moves.
pub const SET_MEMBERS_MAX: usize = 7;
/// Partitions of a cluster.
pub const PARTITIONS_MAX: u16 = 16_384;
/// Copies that a factor may ask for.
pub const REPLICATION_FACTOR_MAX: u8 = 3;
/// The first id of nodes that hold no rows.
pub const INGEST_ID_MIN: u32 = 99_999;
/// Milliseconds that a work's lease may last.
pub const LEASE_MS_MAX: u64 = 600_000;
/// Coordinators that a group ever had.
pub const MEMBERS_MAX: usize = 1_000;
