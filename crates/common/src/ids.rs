//! Newtypes for everything that has an identity, so that two of them cannot be swapped by mistake.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// A process in the cluster; stable over restarts (the pod's ordinal).
    NodeId(u32)
);
number_id!(
    /// A hash bucket of partition keys: the unit of ownership, log order and moves, `0..P`.
    PartitionId(u16)
);
number_id!(
    /// The fencing token of one grant of ownership; only grows.
    Epoch(u64)
);
number_id!(
    /// Durable counter of the starts of one data directory.
    Boot(u64)
);
number_id!(
    /// Position in one partition's log; the first frame is 1.
    Lsn(u64)
);
number_id!(
    /// Version of one partition's in-sync set; only grows, over changes of the owner too.
    SetVersion(u64)
);
number_id!(
    /// Version of the whole placement; only grows.
    PlacementVersion(u64)
);
number_id!(
    /// A table; never reused after DROP.
    TableId(u64)
);
number_id!(
    /// Version of one table's schema; the first is 1.
    SchemaVersion(u32)
);
number_id!(
    /// A column of one table; survives RENAME, never reused after DROP COLUMN.
    ColumnId(u32)
);

impl Lsn {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What a log frame was first appended under: the grant and the start of the appending node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Token {
    /// The grant.
    pub epoch: Epoch,
    /// The start.
    pub boot: Boot,
}

/// Random identity made with a data directory: an emptied volume is another disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DiskId(pub u128);

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Names rows that travel together, so that a retry is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BatchId {
    /// Made by a writer that counts its batches.
    Producer {
        /// The writer's random identity.
        producer: u64,
        /// Its count, growing.
        sequence: u64,
    },
    /// The client's `insert_deduplication_token`, as the XXH3-128 of its bytes.
    Token(u128),
    /// Rows of one partition of an external source, known by their offsets there: see [`crate::source`].
    Source(u128),
}

impl BatchId {
    /// The id for a client's deduplication token.
    #[must_use]
    pub fn from_token(token: &str) -> Self {
        Self::Token(xxhash_rust::xxh3::xxh3_128(token.as_bytes()))
    }

    /// As one number, by which the blocks of tables without a key are spread.
    #[must_use]
    pub fn number(&self) -> u128 {
        match *self {
            Self::Token(number) | Self::Source(number) => number,
            Self::Producer { producer, sequence } => u128::from(producer) << 64 | u128::from(sequence),
        }
    }

    /// Whether a client named it.
    #[must_use]
    pub fn is_token(&self) -> bool {
        matches!(self, Self::Token(_))
    }
}
