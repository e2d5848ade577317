//! How a node finds the others and reaches a partition's owner.
//!
//! - [`heartbeat`]: the datagram by which nodes show that they live, to the byte
//! - [`members`]: what a node makes of the heartbeats that it hears: who is active, who is silent
//! - [`pulse`]: the task that sends and hears heartbeats, and resolves the others' names again and again
//! - [`router`]: the cut of a block of rows by owner, after a routing table that may be old

pub mod heartbeat;
pub mod members;
pub mod pulse;
pub mod router;

pub use heartbeat::{Heartbeat, Secret};
pub use members::{Member, Members, State};
pub use pulse::Pulse;
pub use router::{OwnerRows, PartitionRouter};
