//! Drives a real node from outside, for the benchmarks and the integration tests: starts and kills its process,
//! speaks plain HTTP/1.1 to it at little cost, reads what it costs from `/proc`.
//!
//! - [`connection`]: one keep-alive connection; requests are prepared once and sent many times
//! - [`node`]: a node's process
//! - [`cost`]: processor time and memory of a process
//! - [`disk`]: how long this disk takes to sync

pub mod connection;
pub mod cost;
pub mod disk;
pub mod node;

pub use connection::{Connection, Request, Response};
pub use node::{Launch, Node};
