//! The ingest node: the HTTP door of a cluster without a disk. Rows go to the owners of their partitions; statements
//! that are no INSERT with data (DDL too) are passed on to a storage node, which has the SQL engine.
//!
//! - [`options`]: what a node is told at its start
//! - [`node`]: starts and stops it
//! - `agreed`: what the coordinators have told: placement, catalog, nodes; registration and signs of life
//! - `forward`: statements to a storage node, answers streamed back
//! - `info`: what the door asks about the node
//! - `queries`: what the door's query service says here: that this node has none

mod agreed;
mod forward;
mod info;
pub mod node;
pub mod options;
mod queries;

pub use node::{IngestNode, StartError};
pub use options::Options;
