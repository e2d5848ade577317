//! The ingest node: the HTTP door of a cluster without rows of its own. Rows go to the owners of their partitions; statements
//! that are no INSERT with data (DDL too) are passed on to a storage node, which has the SQL engine.
//!
//! - [`config`]: one YAML file, environment, flags
//! - [`node`]: starts and stops it
//! - `agreed`: what the coordinators have told: placement, catalog, nodes; registration and signs of life
//! - `memory`: what of it outlives the process, in the file `INGEST`, if there is a folder
//! - `beat`: heartbeats; `rpc`: the port that tells other processes of the cluster how the node is
//! - `forward`: statements to a storage node, answers streamed back
//! - `info`: what the door asks about the node
//! - `queries`: what the door's query service says here: that this node has none

mod agreed;
mod beat;
pub mod config;
mod forward;
mod info;
mod memory;
pub mod node;
mod queries;
mod rpc;

pub use config::{Config, Flags};
pub use node::{IngestNode, StartError};
pub use zepto_process::ConfigFaults;
