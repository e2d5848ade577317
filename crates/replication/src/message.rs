//! What the copies of one partition say to each other.

use std::sync::Arc;

use zepto_common::ids::{BatchId, Lsn, TableId, Token};
use zepto_common::placement::Grant;

use crate::history::{History, Position};

/// Recognises a repeated write within one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The table.
    pub table: TableId,
    /// The batch.
    pub batch: BatchId,
    /// The block of the batch.
    pub block: u32,
}

impl Key {
    /// Whether it is that of rows of a feed: all rows of one partition of the source have the same key, and their
    /// contents are offsets.
    #[must_use]
    pub fn is_source(&self) -> bool {
        matches!(self.batch, BatchId::Source(_))
    }
}

/// One frame on its way between logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<P> {
    /// Where it stands and what it was first appended under.
    pub position: Position,
    /// Recognises its repetition; None for what is not a client's write.
    pub key: Option<Key>,
    /// Hash of what was written: the same key with another content is a fault. Of rows of a feed: the highest offset.
    pub content: u64,
    /// What to apply; None for the frame that begins an owner's time.
    pub payload: Option<P>,
}

/// Begins every message of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What the owner sends under now; it is this that is fenced.
    pub token: Token,
    /// Grows with every message of this token; the answer repeats it.
    pub sequence: u64,
    /// The right to send, with the set as the owner knows it. Shared by the messages of one owner.
    pub grant: Arc<Grant>,
}

/// One message. `P` is a frame's payload, `S` a copy's whole state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<P, S> {
    /// Owner to copy: frames that follow `previous`; none of them to renew the lease or to find where the logs part.
    Replicate {
        /// Who sends.
        head: Head,
        /// The frame before the first one of `entries`.
        previous: Position,
        /// Frames without gaps.
        entries: Vec<Entry<P>>,
        /// The owner's committed position.
        committed: Lsn,
    },
    /// Owner to copy, before its first frame: stop following others, and what do you have?
    Confirm {
        /// Who sends.
        head: Head,
    },
    /// Owner to a copy with a longer log: send me what follows `after`.
    Fetch {
        /// Who sends.
        head: Head,
        /// The last frame that both have.
        after: Position,
    },
    /// Owner to copy: I read and acknowledge no more until I ask again.
    Release {
        /// Who sends.
        head: Head,
    },
    /// Owner to a copy that lacks frames which the owner's log has no more: the whole state.
    Install {
        /// Who sends.
        head: Head,
        /// The tokens of the frames that the state holds; its end is the state's position.
        history: History,
        /// The state.
        state: S,
    },
    /// Copy to owner: every frame up to `matched` is the owner's and synced.
    Synced {
        /// Of the message that is answered.
        token: Token,
        /// Of the message that is answered.
        sequence: u64,
        /// The last position that is surely the same in both logs.
        matched: Lsn,
    },
    /// Copy to owner: `previous` is not in my log.
    Mismatch {
        /// Of the message that is answered.
        token: Token,
        /// Of the message that is answered.
        sequence: u64,
        /// What the copy has instead.
        history: History,
    },
    /// Copy to owner, the answer to `Confirm`: no higher token is known here, and this is my log.
    Confirmed {
        /// Of the message that is answered.
        token: Token,
        /// Of the message that is answered.
        sequence: u64,
        /// The copy's log.
        history: History,
    },
    /// Copy to owner, the answer to `Fetch`.
    Tail {
        /// Of the message that is answered.
        token: Token,
        /// Of the message that is answered.
        sequence: u64,
        /// The frame before the first one of `entries`.
        previous: Position,
        /// Frames without gaps, under the tokens that they were first appended under.
        entries: Vec<Entry<P>>,
    },
    /// Copy to owner: I am alive, and follow you as soon as nobody older can hold a lease. Renews nothing.
    Waiting {
        /// Of the message that is answered.
        token: Token,
        /// Of the message that is answered.
        sequence: u64,
    },
    /// Copy to a sender whose token is too old.
    Fenced {
        /// The highest token that the copy has seen.
        seen: Token,
    },
}
