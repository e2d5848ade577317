//! What every ZeptoDB crate knows: identifiers, errors, types, limits and the two traits between doors and data.
//!
//! - [`ids`]: newtypes for nodes, partitions, epochs, log positions and batches
//! - [`error`]: error codes (ClickHouse number, HTTP status, retry action) and the error that carries one
//! - [`types`]: column types, their names and their Arrow forms
//! - [`placement`]: who holds which partition: replicas, in-sync sets, grants
//! - [`schema`]: tables, columns and their versions
//! - [`catalog`]: what exists, and the statements that change it
//! - [`partition`]: the key hash and the cut of a batch into partitions
//! - [`service`]: [`service::RowSink`] and [`service::QueryService`], which doors and feeds talk to
//! - [`source`]: the rows that a feed brings, known by their offsets
//! - [`tally`]: what became of the blocks of one INSERT
//! - [`limits`]: every named maximum
//! - [`auth`]: API keys, their file, and who is asking
//! - [`clock`]: monotonic order and wall-clock labels
//! - [`metric_names`]: each exported metric's name
//! - [`names`]: names that people give to files

pub mod auth;
pub mod catalog;
pub mod clock;
pub mod error;
pub mod escapes;
pub mod ids;
pub mod limits;
pub mod metric_names;
pub mod names;
pub mod partition;
pub mod placement;
pub mod schema;
pub mod service;
pub mod settings;
pub mod source;
pub mod tally;
pub mod types;

pub use error::{Error, ErrorCode, Result};
pub use ids::{
    BatchId, Boot, ColumnId, DiskId, Epoch, Lsn, NodeId, PartitionId, SchemaVersion, TableId, Token,
};
