//! What a feed follows. A source gives messages in the order of their offsets within each of its partitions, starts each
//! partition where the storage says, and is told what is durable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use zepto_common::limits::FEED_CHECKPOINT;

/// One partition of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePartition {
    /// Topic.
    pub topic: Arc<str>,
    /// Its number there.
    pub number: u32,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where it lies.
    pub from: SourcePartition,
    /// The topic that it was sent to.
    pub topic: Arc<str>,
    /// Its position there; grows.
    pub offset: u64,
    /// What the source says of its time, milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Whether the source had kept it for those who come later.
    pub retained: bool,
    /// Its headers.
    pub headers: Vec<(String, Bytes)>,
    /// Its content; None: the source says that it was deleted.
    pub payload: Option<Bytes>,
}

/// What is wrong with a source or a feed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeedFault {
    /// May pass by itself: try again after a while.
    #[error("{0}")]
    Passing(String),
    /// Needs a human: the feed stops.
    #[error("{0}")]
    Final(String),
}

/// Gives messages.
#[async_trait]
pub trait Source: Send {
    /// The next messages; waits for the first a bounded time, and may give none. Dropped while it waits it loses nothing.
    ///
    /// # Errors
    /// What is wrong with the source; it is closed then and opened anew after a while.
    async fn poll(&mut self) -> Result<Vec<Message>, FeedFault>;

    /// Notes that all below these offsets is durable; must not wait. `stored`: what the storage has by now as the positions
    /// of the same partitions, perhaps raised by others. False: it has no room for that now.
    ///
    /// # Errors
    /// Another reads what this one has for its own; nothing was acknowledged.
    fn acknowledge(
        &mut self,
        positions: &BTreeMap<SourcePartition, u64>,
        stored: &BTreeMap<SourcePartition, u64>,
    ) -> Result<bool, FeedFault>;

    /// How long what is durable may wait for its acknowledgement.
    fn checkpoint_every(&self) -> Duration {
        FEED_CHECKPOINT
    }

    /// Messages that the source has and this feed has not read yet, by partition, as far as known.
    fn lag(&self) -> u64;

    /// What keeps it from reading at the moment, if anything does; it goes on trying by itself.
    fn trouble(&self) -> Option<String>;

    /// Whether it has partitions to read.
    fn has_partitions(&self) -> bool;

    /// Leaves the source in order, within a bounded time.
    async fn close(self: Box<Self>);
}
