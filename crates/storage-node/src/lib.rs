//! The storage node as a library: alone it is a complete database, and the binary, the playground and the tests
//! start it by the same function.
//!
//! - [`config`]: one YAML file, environment, flags
//! - `cluster`: what it is as one of several: the coordinators, ownership, rows from other nodes
//! - `node`: wires engine, query and door; starts and stops them in order
//! - `starting`: the door while the storage is being opened: alive, not ready
//! - `bootstrap`: the statements that a fresh data directory begins with, all or none
//! - `upkeep`: gives freed memory back to the system when the node comes to rest
//! - `info`: what the door asks about the node: health, readiness, gauges, settings
//! - `snapshots`: snapshots for backups, made and sent

mod bootstrap;
mod cluster;
pub mod config;
mod info;
mod node;
mod snapshots;
mod starting;
mod upkeep;

pub use config::{Config, ConfigFaults, Flags};
pub use node::{RunningNode, StartError, start};
