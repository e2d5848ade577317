//! What a store needs to carry copies of partitions that other nodes have too.
//!
//! Such a store has a [`zepto_replication::Copy`] of every partition; its drain threads carry out what the copies say.
//! No store has both kinds of partitions.

mod block;
pub(crate) mod change;
pub(crate) mod data;
pub(crate) mod followers;
pub(crate) mod frames;
pub(crate) mod pinned;
pub(crate) mod positions;
pub(crate) mod print;
pub(crate) mod shown;
pub(crate) mod staged;
pub(crate) mod state;
pub(crate) mod whole;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use zepto_common::placement::{Grant, Replica};
use zepto_common::{Lsn, NodeId, PartitionId, Result, SchemaVersion, TableId, Token};
use zepto_replication::{Alarm, Change, Message, Moment, Phase, Timing};

use zepto_common::partition::in_one_form;

use crate::chunk::Chunk;
use crate::store::write::encode_rows;

pub(crate) use block::decode_rows;
pub use block::{Block, Part};
pub use change::RowChange;
pub use pinned::{Pieces, Pinned};
pub use whole::{Fetched, Piece, TableSum, Whole, plain};

/// What copies say to each other.
pub type PeerMessage = Message<Payload, Whole>;

/// A message for another node's copy of a partition.
#[derive(Debug)]
pub struct Letter {
    /// Where that copy is.
    pub to: Replica,
    /// Which one it is.
    pub partition: PartitionId,
    /// What it is told.
    pub message: PeerMessage,
}

/// The way to the other nodes. No call may wait: drain threads make them.
pub trait Peers: fmt::Debug + Send + Sync {
    /// Sends what a drain thread has to say by now, in this order for each copy; what cannot be sent now may be dropped, the
    /// protocol repeats it. Entries of one block come together, so that the block need go only once.
    fn send(&self, letters: Vec<Letter>);

    /// Asks the coordinator; its answer comes as a placement, or never.
    fn propose(&self, change: Change);

    /// The copy here lacks more than the owner's log has: fetch the owner's whole state. Said again until it is here.
    fn wanted(&self, partition: PartitionId, owner: Replica, token: Token);

    /// The placement has no copy here any more: ask the owner whether it does without. Said again until it is gone.
    fn unwanted(&self, partition: PartitionId, owner: Replica, leave: Leave);

    /// An operator should hear of this.
    fn alarm(&self, partition: PartitionId, alarm: Alarm);
}

/// A copy's wish to go. From the wish on the copy says nothing, until it is gone or the placement wants it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    /// The highest token that the copy has seen.
    pub token: Token,
    /// Tells the wishes of one copy apart: leave that comes late is not for the next wish.
    pub round: u64,
}

/// A clock that only grows and counts the time that the machine was suspended.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Its reading.
    fn now(&self) -> Moment;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
        Moment(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }
}

/// How a store carries copies.
#[derive(Debug, Clone)]
pub struct CopyOptions {
    /// This node; with the disk id of the data directory it is a replica.
    pub node: NodeId,
    /// The protocol's times.
    pub timing: Timing,
    /// What the time is.
    pub clock: Arc<dyn Clock>,
    /// The way to the others.
    pub peers: Arc<dyn Peers>,
}

/// Where a copy stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyStatus {
    /// As an owner; None when it follows, or has stopped.
    pub phase: Option<Phase>,
    /// The highest token seen.
    pub seen: Token,
    /// The newest grant known.
    pub grant: Option<Grant>,
    /// The log's last entry.
    pub end: Lsn,
    /// Entries up to here are committed.
    pub committed: Lsn,
    /// Entries up to here are shown.
    pub applied: Lsn,
    /// It takes nothing more until the next start.
    pub stopped: bool,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Form {
    /// Rows.
    Rows = 1,
    /// Every row before goes.
    Truncate = 2,
    /// Rows before with a time below one go.
    Expire = 3,
    /// Rows before that meet a condition go.
    Delete = 4,
    /// Positions of a feed.
    Positions = 5,
}

impl Form {
    /// The form with this number in a log.
    #[must_use]
    pub fn of_number(number: u32) -> Option<Self> {
        [Self::Rows, Self::Truncate, Self::Expire, Self::Delete, Self::Positions]
            .into_iter()
            .find(|it| *it as u32 == number)
    }

    /// Whether it takes rows away.
    #[must_use]
    pub fn is_change(self) -> bool {
        matches!(self, Self::Truncate | Self::Expire | Self::Delete)
    }
}

/// Rows of one partition and one block, a change of the rows before, or positions of a feed, on their way between logs.
#[derive(Debug, Clone)]
pub struct Payload {
    /// What it is.
    pub form: Form,
    /// The table.
    pub table: TableId,
    /// The schema that the rows, or the condition, were made with; 0 with positions.
    pub schema: SchemaVersion,
    /// Number of rows; 0 for anything else.
    pub rows: u32,
    /// The rows as an Arrow IPC stream with one record batch; of a change what [`RowChange`] reads, of positions what
    /// [`positions`] does. Nothing when the rows are part of a block.
    pub ipc: Bytes,
    /// The block that has the rows.
    pub part: Option<Part>,
    /// The same rows where they came in, so that they need not be read again.
    pub(crate) chunk: Option<Chunk>,
}

impl Payload {
    /// Rows as they come from another node.
    #[must_use]
    pub fn new(table: TableId, schema: SchemaVersion, rows: u32, ipc: Bytes) -> Self {
        Self { form: Form::Rows, table, schema, rows, ipc, part: None, chunk: None }
    }

    /// So many rows of a block from one on.
    #[must_use]
    pub fn of_block(block: Arc<Block>, first: u32, rows: u32) -> Self {
        let (table, schema) = (block.table, block.schema);
        Self { part: Some(Part { block, first }), ..Self::new(table, schema, rows, Bytes::new()) }
    }

    /// The same with bytes of its own.
    ///
    /// # Errors
    /// A block that cannot be read, or does not have the rows.
    pub fn alone(self) -> Result<Self> {
        let Some(part) = &self.part else { return Ok(self) };
        let range = part.range(self.rows)?;
        let rows = part.block.batch()?.slice(range.start as usize, self.rows as usize);
        let ipc = encode_rows(&in_one_form(&rows)?)?;
        Ok(Self { ipc, part: None, ..self })
    }

    /// Bytes of its rows, or of what it has instead, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ipc.len() + self.part.as_ref().map_or(0, |part| part.block.share(self.rows))
    }

    /// The same as another form.
    #[must_use]
    pub fn with_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// A change of the rows before.
    #[must_use]
    pub fn change(table: TableId, schema: SchemaVersion, change: &RowChange) -> Self {
        Self::new(table, schema, 0, change.encode()).with_form(change.form())
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.form, it.table, it.schema, it.rows);
        of(self) == of(other) && self.ipc == other.ipc && self.part == other.part
    }
}

impl Eq for Payload {}
