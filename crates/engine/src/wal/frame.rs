//! What a frame says. How it is written down is in the codec.

use std::sync::Arc;

use bytes::Bytes;
use zepto_common::schema::TableSchema;
use zepto_common::{BatchId, Boot, Epoch, Lsn, PartitionId, SchemaVersion, TableId, Token};
use zepto_replication::LogOp;

use crate::copies::{Block, Payload};

/// One entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// Rows of one group: several partitions of one drain thread.
    Rows(RowsFrame),
    /// A schema version, before the first rows that need it.
    Schema(SchemaFrame),
    /// A feed's resume position.
    Checkpoint(CheckpointFrame),
    /// The first frame of a new owner.
    EpochStart(EpochStartFrame),
    /// Rows older than a time are gone.
    TtlCutoff(TtlCutoffFrame),
    /// A partition's log is cut back.
    Truncate(TruncateFrame),
    /// DELETE, UPDATE, TRUNCATE or DROP.
    Mutation(MutationFrame),
    /// A materialized view begins.
    View(ViewFrame),
    /// The copy of a partition is dropped.
    Forget(ForgetFrame),
    /// An object in the cold store is referenced or dropped.
    ObjectReference(ObjectReferenceFrame),
    /// An entry of one copy in a store whose partitions other nodes have too.
    Copy(Box<CopyFrame>),
    /// Entries of several copies whose rows are of one block.
    Copies(Box<CopiesFrame>),
}

impl Frame {
    /// The grant and start that it was first appended under.
    #[must_use]
    pub fn token(&self) -> Token {
        match self {
            Self::Rows(frame) => frame.token,
            Self::Schema(frame) => frame.token,
            Self::Checkpoint(frame) => frame.token,
            Self::EpochStart(frame) => frame.token,
            Self::TtlCutoff(frame) => frame.token,
            Self::Truncate(frame) => frame.token,
            Self::Mutation(frame) => frame.token,
            Self::View(frame) => frame.token,
            Self::Forget(frame) => frame.token,
            Self::ObjectReference(frame) => frame.token,
            Self::Copy(frame) => frame.token(),
            Self::Copies(frame) => frame.entries.first().map(CopyFrame::token).unwrap_or_default(),
        }
    }
}

/// A frame's position in one partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: PartitionId,
    /// The position there.
    pub lsn: Lsn,
}

/// Rows of a block that belong to partitions of one drain thread.
#[derive(Debug, Clone, PartialEq)]
pub struct RowsFrame {
    /// The table.
    pub table: TableId,
    /// The schema that the rows were made with.
    pub schema: SchemaVersion,
    /// See [`Frame::token`].
    pub token: Token,
    /// Recognises a retry.
    pub batch: Option<BatchId>,
    /// Number of the block within its batch.
    pub block: u32,
    /// Which rows of the payload belong to which partition. Rows that no item names are not stored (they were
    /// there before).
    pub items: Vec<RowsItem>,
    /// One Arrow IPC stream with one record batch.
    pub payload: Bytes,
}

/// One partition's rows in a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowsItem {
    /// The partition.
    pub partition: PartitionId,
    /// The position there.
    pub lsn: Lsn,
    /// Index of the first row in the payload.
    pub first_row: u32,
    /// Number of rows.
    pub rows: u32,
}

/// A schema version.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaFrame {
    /// See [`Frame::token`].
    pub token: Token,
    /// Where the version begins.
    pub places: Vec<Place>,
    /// The schema; it names table and version.
    pub schema: Arc<TableSchema>,
}

/// A feed's resume position: all below is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointFrame {
    /// See [`Frame::token`].
    pub token: Token,
    /// Positions.
    pub places: Vec<Place>,
    /// Where its rows go.
    pub table: TableId,
    /// Name of the feed and of what it follows.
    pub feed: String,
    /// Next offset to read, per source partition.
    pub offsets: Vec<SourceOffset>,
}

/// Next offset of one source partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceOffset {
    /// The source's own number of its partition.
    pub source: u32,
    /// Next offset to read.
    pub offset: u64,
}

/// The first frame of an owner under a new token.
#[derive(Debug, Clone, PartialEq)]
pub struct EpochStartFrame {
    /// The new token.
    pub token: Token,
    /// Positions.
    pub places: Vec<Place>,
}

/// Rows of a table below a time are gone.
#[derive(Debug, Clone, PartialEq)]
pub struct TtlCutoffFrame {
    /// See [`Frame::token`].
    pub token: Token,
    /// Positions.
    pub places: Vec<Place>,
    /// The table.
    pub table: TableId,
    /// Raw ticks of the time column: rows before it are gone.
    pub cutoff: i64,
}

/// Frames of one partition above a position are undone.
#[derive(Debug, Clone, PartialEq)]
pub struct TruncateFrame {
    /// See [`Frame::token`].
    pub token: Token,
    /// The partition.
    pub partition: PartitionId,
    /// The last position that stays.
    pub to: Lsn,
}

/// What a mutation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MutationKind {
    /// Rows that match go.
    Delete,
    /// Rows that match go; the new ones follow as rows frames.
    Update,
    /// All rows go.
    TruncateTable,
    /// The table goes.
    DropTable,
}

/// A change of rows below its own position.
#[derive(Debug, Clone, PartialEq)]
pub struct MutationFrame {
    /// See [`Frame::token`].
    pub token: Token,
    /// Positions; lower ones are touched.
    pub places: Vec<Place>,
    /// The table.
    pub table: TableId,
    /// Identity of the mutation.
    pub mutation: u64,
    /// What it does.
    pub kind: MutationKind,
    /// The condition as SQL text in which all that is not deterministic is a literal already; empty = every row.
    pub predicate: String,
}

/// A materialized view begins: frames above feed it, those below are its backfill.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewFrame {
    /// See [`Frame::token`].
    pub token: Token,
    /// Positions.
    pub places: Vec<Place>,
    /// The source.
    pub source: TableId,
    /// The view's own id.
    pub view: TableId,
    /// Its definition as SQL text.
    pub definition: String,
}

/// The copy of a partition on this disk is dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct ForgetFrame {
    /// See [`Frame::token`].
    pub token: Token,
    /// The partition.
    pub partition: PartitionId,
    /// Frames of this epoch and older ones are dropped.
    pub epoch: Epoch,
}

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectAction {
    /// It holds rows from now on.
    Add,
    /// It holds none from now on.
    Drop,
}

/// An object of the cold store is referenced or dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectReferenceFrame {
    /// See [`Frame::token`].
    pub token: Token,
    /// Positions.
    pub places: Vec<Place>,
    /// The table.
    pub table: TableId,
    /// Referenced or dropped.
    pub action: ObjectAction,
    /// The object's name in the store.
    pub object: String,
    /// Rows in it.
    pub rows: u64,
    /// Bytes of it.
    pub bytes: u64,
}

/// What a copy of one partition has to remember.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyFrame {
    /// The partition.
    pub partition: PartitionId,
    /// Counts the entries of this copy over all starts, without gaps.
    pub number: u64,
    /// What is remembered.
    pub op: LogOp<Payload>,
}

/// Entries of several copies of one drain thread, in the order in which they were logged.
#[derive(Debug, Clone, PartialEq)]
pub struct CopiesFrame {
    /// The rows to which those refer that have some.
    pub block: Arc<Block>,
    /// As if each were a frame of its own: rows, all in the block, and what is committed.
    pub entries: Vec<CopyFrame>,
}

impl CopyFrame {
    /// Of an entry, what it was first appended under; of a grant, what it is followed under.
    pub(super) fn token(&self) -> Token {
        match &self.op {
            LogOp::Append(entry) => entry.position.token,
            LogOp::Seen(token, _) => *token,
            LogOp::Followed(epoch) => Token { epoch: *epoch, boot: Boot(0) },
            LogOp::Truncate(_) | LogOp::Pending(..) | LogOp::Committed(_) | LogOp::Installed(_) => {
                Token::default()
            }
        }
    }
}
