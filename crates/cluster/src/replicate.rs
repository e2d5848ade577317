//! What copies say to each other, between processes: streams, bounds, reconnects; `replicate.proto` tells the design.
//!
//! - [`batch`]: what goes out together, with each block once
//! - [`links`]: one queue and one stream per other copy's node, for the speaker
//! - [`fetch`]: asks an owner for a whole state, or for leave to go
//! - [`server`]: checks who speaks and hands on, for the listener
//!
//! Promises: the speaker never waits; what is heard comes from the replica that it names, of this cluster, with its
//! secret, and was meant for this disk; messages of one stream come in the order in which they were said, with gaps.
//! What the messages mean is nobody's business here.

mod batch;
pub mod fetch;
pub mod links;
pub mod server;
#[cfg(test)]
mod tests;

use futures::future::BoxFuture;
use zepto_common::ids::{PartitionId, PlacementVersion};
use zepto_common::placement::Replica;
use zepto_proto::coordinate::Envelope;
use zepto_proto::handshake::{PROTOCOL, Secret};
use zepto_proto::refusal::Refused;
use zepto_proto::replicate::copy_message::Says;
use zepto_proto::replicate::fetch_reply::Piece;
use zepto_proto::replicate::{Block, CopyMessage, Entry, Rows};

/// Who speaks and listens here.
#[derive(Debug, Clone)]
pub struct CopyIdentity {
    /// The cluster.
    pub cluster_id: String,
    /// This node with its data directory.
    pub me: Replica,
    /// This start.
    pub incarnation: u64,
    /// The cluster's secret.
    pub secret: Secret,
}

impl CopyIdentity {
    fn envelope(&self, (placement, catalog): (PlacementVersion, u64)) -> Envelope {
        Envelope {
            protocol: PROTOCOL,
            cluster_id: self.cluster_id.clone(),
            node_id: self.me.node.0,
            incarnation: self.incarnation,
            placement_version: placement.0,
            catalog_version: catalog,
        }
    }
}

/// What a copy asks of its owner.
#[derive(Debug, Clone, Copy)]
pub struct CopyAsk {
    /// Who asks.
    pub from: Replica,
    /// The partition.
    pub partition: PartitionId,
    /// The owner's token, as the copy knows it.
    pub token: zepto_common::Token,
}

/// The pieces of a state; a fault ends them. Reads files.
pub type StatePieces = Box<dyn Iterator<Item = Result<Piece, Refused>> + Send>;

/// Who hears what was said to this disk's copies.
pub trait CopyListener: Send + Sync + 'static {
    /// Takes messages with the blocks that they refer to; gives how many are lost because there was no room for them. Does
    /// not wait.
    ///
    /// # Errors
    /// A message that no copy of this protocol says.
    fn hear(&self, from: Replica, messages: Vec<CopyMessage>, blocks: Vec<Block>) -> Result<u64, Refused>;

    /// Pins the state of a partition for another copy, and gives its pieces one by one. May wait; the pieces may block.
    fn pin(&self, ask: CopyAsk) -> BoxFuture<'static, Result<StatePieces, Refused>>;

    /// Whether the owner here does without another copy.
    fn does_without(&self, ask: CopyAsk) -> BoxFuture<'static, Result<bool, Refused>>;

    /// The placement and the catalog that this node acts on.
    fn versions(&self) -> (PlacementVersion, u64);
}

/// A message with the blocks that it refers to. Blocks that messages share are said once.
#[derive(Debug)]
pub struct Said {
    /// The message; its blocks are numbered as they stand here.
    pub message: CopyMessage,
    /// What it refers to.
    pub blocks: Vec<Block>,
}

impl From<CopyMessage> for Said {
    fn from(message: CopyMessage) -> Self {
        Self { message, blocks: Vec::new() }
    }
}

/// `Rows.form` of rows that lie in a block.
pub const FORM_PART: u32 = 6;

/// Bytes of a message besides its rows, about.
const HEAD_BYTES: usize = 256;

/// Bytes of a message, about.
fn bytes_of(message: &CopyMessage) -> usize {
    let entries = match &message.says {
        Some(Says::Append(it)) => it.entries.as_slice(),
        Some(Says::Tail(it)) => it.entries.as_slice(),
        _ => &[],
    };
    let rows = |entry: &Entry| entry.rows.as_ref().map_or(0, |rows| rows.ipc.len());
    entries.iter().fold(HEAD_BYTES, |sum, entry| sum + HEAD_BYTES + rows(entry))
}

/// The rows of a message that lie in a block.
fn parts_of(message: &mut CopyMessage) -> impl Iterator<Item = &mut Rows> {
    let entries = match &mut message.says {
        Some(Says::Append(it)) => it.entries.as_mut_slice(),
        Some(Says::Tail(it)) => it.entries.as_mut_slice(),
        _ => &mut [],
    };
    entries.iter_mut().filter_map(|entry| entry.rows.as_mut()).filter(|rows| rows.form == FORM_PART)
}
