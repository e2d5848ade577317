//! How a node finds the others and reaches a partition's owner.
//!
//! - [`heartbeat`]: the datagram by which nodes show that they live, to the byte
//! - [`members`]: what a node makes of the heartbeats that it hears: who is active, who is silent
//! - [`router`]: the cut of a block of rows by owner, after a routing table that may be old

pub mod heartbeat;
pub mod members;
pub mod router;

pub use heartbeat::{Heartbeat, Secret};
pub use members::{Member, Members, State};
pub use router::{OwnerRows, PartitionRouter};
