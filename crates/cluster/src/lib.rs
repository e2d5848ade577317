//! How a node finds the others and reaches a partition's owner.
//!
//! - [`heartbeat`]: the datagram by which nodes show that they live, to the byte
//! - [`members`]: what a node makes of the heartbeats that it hears: who is active, who is silent
//! - [`pulse`]: the task that sends and hears heartbeats, and resolves the others' names again and again
//! - [`router`]: the cut of a block of rows by owner, after a routing table that may be old
//! - [`replicate`]: what copies of a partition say to each other: streams, bounds, reconnects
//! - [`statements`]: what runs on the other nodes, for people
//! - [`write`]: rows to the owners: streams, bounds, retries, the [`zepto_common::service::RowSink`] of an edge

pub mod heartbeat;
pub mod members;
pub mod pulse;
pub mod replicate;
pub mod router;
pub mod statements;
pub mod write;

pub use heartbeat::{Heartbeat, Secret};
pub use members::{Member, Members, State};
pub use pulse::Pulse;
pub use replicate::fetch::StateStream;
pub use replicate::links::PeerLinks;
pub use replicate::server::copy_server;
pub use replicate::{CopyAsk, CopyIdentity, CopyListener, StatePieces};
pub use router::{OwnerRows, PartitionRouter};
pub use write::pool::{EdgeIdentity, OwnerPool, PoolLimits};
pub use write::server::{OwnerIdentity, owner_server};
pub use write::sink::{RoutedSink, Tables};
pub use write::{OwnerBatch, OwnerWrites, PartOutcome, PositionsAt, Verdict};
