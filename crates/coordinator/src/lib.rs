//! The coordinator: the few things that a cluster must agree on.
//!
//! - [`state`]: what is agreed on, as a pure state machine
//! - [`policy`]: who should own what, as pure functions
//! - [`detector`]: who is silent, as a pure function of what was seen
//! - [`log`]: the Raft log and snapshots on disk
//! - [`member`]: one member of the group: proposes, reads, finds the leader
//! - `governor`: the leader's loop: detector and policy in, proposals out
//! - [`server`]: the process's doors: RPC for nodes and members, HTTP for people and probes
//! - [`options`]: what a coordinator is told at its start; [`config`]: the same from file, environment and flags
//! - `beat`: heartbeats

mod beat;
pub mod config;
pub mod detector;
pub mod log;
pub mod member;
pub mod options;
pub mod policy;
pub mod server;
pub mod state;

mod governor;
mod lookout;

pub use config::{Config, Flags};
pub use options::{Options, Times};
pub use server::{Coordinator, StartError};

#[cfg(test)]
mod example;
