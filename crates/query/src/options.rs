//! How the query side is set up.

use std::path::PathBuf;

use tokio::runtime::Handle;
use zepto_common::limits::QUERIES_MAX;

/// Bytes of query memory when the options say nothing.
const MEMORY_DEFAULT: usize = 2 << 30;
/// Plans kept when the options say nothing.
const PLANS_DEFAULT: usize = 1_024;
/// Bytes of spill files when the options say nothing.
const SPILL_DEFAULT: u64 = 100 << 30;

/// How the query side is set up.
#[derive(Debug, Clone)]
pub struct SqlOptions {
    /// The runtime that queries run on. Its threads need stacks of at least 4 MiB: plans are deep.
    pub runtime: Handle,
    /// Partitions of a plan that may run at once.
    pub threads: usize,
    /// Rows below which a scan stays on one thread; 0 is no such bound.
    pub parallel_rows: usize,
    /// Bytes that all queries may hold together.
    pub memory_limit: usize,
    /// Where operators put what does not fit; None makes them fail.
    pub spill_dir: Option<PathBuf>,
    /// Bytes of all spill files together.
    pub spill_limit: u64,
    /// Statements that may run at once.
    pub queries: usize,
    /// Plans kept; 0 keeps none.
    pub plans: usize,
    /// Rows of a result; 0 is no limit.
    pub result_rows: u64,
    /// Whether aggregates may be answered from run indexes; off only to compare with what the rows say.
    pub index_aggregates: bool,
    /// Whether operators over sorted data take the place of generic ones; off only to compare with what those say.
    pub sorted_operators: bool,
    /// The node's configuration as names and values, for `system.settings`; nothing in it is a secret.
    pub configuration: Vec<(String, String)>,
    /// Whether other owners answer parts of a statement; off only to compare with what their rows say.
    pub fragments: bool,
}

impl SqlOptions {
    /// The defaults on this runtime.
    #[must_use]
    pub fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            parallel_rows: 0,
            memory_limit: MEMORY_DEFAULT,
            spill_dir: None,
            spill_limit: SPILL_DEFAULT,
            queries: QUERIES_MAX,
            plans: PLANS_DEFAULT,
            result_rows: 0,
            index_aggregates: true,
            sorted_operators: true,
            configuration: Vec::new(),
            fragments: true,
        }
    }
}
