//! Changes of rows that are in the log before: what an entry says instead of rows. docs/formats/wal.md has the bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use zepto_common::{Lsn, PartitionId, SchemaVersion, TableId};

use super::Form;

/// A change of one table's rows with lower lsns in one partition: the same on every copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// All go.
    Truncate {
        /// Its number: of one table the later has the higher one.
        mutation: u64,
    },
    /// Those with a time below this (raw ticks of the time column) go.
    Expire {
        /// The time.
        cutoff: i64,
    },
    /// Those that meet a condition go.
    Delete {
        /// As above.
        mutation: u64,
        /// What [`crate::store::Conditions`] understands; nothing in it depends on who reads it, or when.
        condition: Bytes,
    },
}

impl RowChange {
    /// What its entry is.
    #[must_use]
    pub fn form(&self) -> Form {
        match self {
            Self::Truncate { .. } => Form::Truncate,
            Self::Expire { .. } => Form::Expire,
            Self::Delete { .. } => Form::Delete,
        }
    }

    /// Its number, for one that happens once.
    #[must_use]
    pub fn mutation(&self) -> Option<u64> {
        match self {
            Self::Truncate { mutation } | Self::Delete { mutation, .. } => Some(*mutation),
            Self::Expire { .. } => None,
        }
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Truncate { mutation } => out.put_u64_le(*mutation),
            Self::Expire { cutoff } => out.put_i64_le(*cutoff),
            Self::Delete { mutation, condition } => {
                out.put_u64_le(*mutation);
                out.put_slice(condition);
            }
        }
        out.freeze()
    }

    /// None for bytes that are no change of this form, and for rows.
    pub(crate) fn decode(form: Form, mut bytes: Bytes) -> Option<Self> {
        if bytes.len() < 8 || (form != Form::Delete && bytes.len() > 8) {
            return None;
        }
        match form {
            Form::Rows | Form::Positions => None,
            Form::Truncate => Some(Self::Truncate { mutation: bytes.get_u64_le() }),
            Form::Expire => Some(Self::Expire { cutoff: bytes.get_i64_le() }),
            Form::Delete => Some(Self::Delete { mutation: bytes.get_u64_le(), condition: bytes }),
        }
    }
}

/// A committed change that waits for the background thread: nothing above it is shown in its partition until then.
#[derive(Debug, Clone)]
pub(crate) struct WaitingChange {
    pub(crate) partition: PartitionId,
    pub(crate) lsn: Lsn,
    pub(crate) table: TableId,
    pub(crate) schema: SchemaVersion,
    pub(crate) change: RowChange,
}
