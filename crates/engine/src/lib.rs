//! One node's storage: log, memtables, runs, segments and the store that puts them behind one door.
//!
//! - [`store`]: the facade everyone outside uses: open, write, snapshot, DDL, mutations, backup
//! - [`catalog`]: databases, tables with all schema versions, views
//! - [`disk`]: the seam to the file system; the real one and one that simulates crashes
//! - [`error`]: what can go wrong in storage, with its code
//! - [`view`]: what the engine asks of whoever understands a materialized view
//! - [`wal`]: the write-ahead log: frames, group commit, recycled files, replay
//! - [`dedup`]: windows of batch ids, so that a retry is stored once
//! - [`chunk`], [`run`], [`segment`], [`part`]: rows as they came, sorted in memory, sorted in a file; and any of them
//! - [`saved`]: the catalog and manifest of a snapshot, read without a store
//! - [`copies`]: what a store needs to carry copies of partitions that other nodes have too
//! - `table`: the published data of one table; `memory`: the budget that all of it shares
//! - `queue`, `shard`: the rings and the drain threads that own partitions
//! - `background`: the thread that seals, flushes, compacts, cools, expires and rewrites
//! - `manifest`, `envelope`, `identity`: the small files that are replaced whole
//! - `replay`: from the logs back into memory

pub mod catalog;
pub mod chunk;
pub mod copies;
pub mod dedup;
pub mod disk;
pub mod error;
pub mod part;
pub mod run;
pub mod saved;
pub mod segment;
pub mod series;
pub mod store;
pub mod view;
pub mod wal;

mod background;
mod ballast;
mod envelope;
mod identity;
mod manifest;
mod memory;
mod queue;
mod replay;
mod shard;
mod table;

pub use error::{EngineError, Result};
pub use part::constant::zero;
pub use part::{Part, Selection};
pub use store::{Store, StoreOptions};
