//! What a store needs to carry copies of partitions that other nodes have too.
//!
//! Such a store has a [`zepto_replication::Copy`] of every partition; its drain threads carry out what the copies say.
//! No store has both kinds of partitions.

pub(crate) mod change;
pub(crate) mod data;
pub(crate) mod frames;
pub(crate) mod print;
pub(crate) mod state;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use zepto_common::placement::{Grant, Replica};
use zepto_common::{Lsn, NodeId, PartitionId, SchemaVersion, TableId, Token};
use zepto_replication::{Alarm, Change, Message, Moment, Phase, Timing};

use crate::chunk::Chunk;

/// What copies say to each other. The state of a whole copy is not sent: nobody can make one.
pub type PeerMessage = Message<Payload, Infallible>;

/// The way to the other nodes. No call may wait: drain threads make them.
pub trait Peers: fmt::Debug + Send + Sync {
    /// Sends a message to a copy of a partition; what cannot be sent now may be dropped, the protocol repeats it.
    fn send(&self, to: Replica, partition: PartitionId, message: PeerMessage);

    /// Asks the coordinator; its answer comes as a placement, or never.
    fn propose(&self, change: Change);

    /// An operator should hear of this.
    fn alarm(&self, partition: PartitionId, alarm: Alarm);
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

pub use change::{Form, RowChange};

/// Rows of one partition and one block, or a change of the rows before, on their way between logs.
#[derive(Debug, Clone)]
pub struct Payload {
    /// What it is.
    pub form: Form,
    /// The table.
    pub table: TableId,
    /// The schema that the rows, or the condition, were made with.
    pub schema: SchemaVersion,
    /// Number of rows; 0 for a change.
    pub rows: u32,
    /// The rows as an Arrow IPC stream with one record batch; of a change what [`RowChange`] reads.
    pub ipc: Bytes,
    /// The same rows where they came in, so that they need not be read again.
    pub(crate) chunk: Option<Chunk>,
}

impl Payload {
    /// Rows as they come from another node.
    #[must_use]
    pub fn new(table: TableId, schema: SchemaVersion, rows: u32, ipc: Bytes) -> Self {
        Self { form: Form::Rows, table, schema, rows, ipc, chunk: None }
    }

    /// A change of the rows before.
    #[must_use]
    pub fn change(table: TableId, schema: SchemaVersion, change: &RowChange) -> Self {
        let (form, ipc) = (change.form(), change.encode());
        Self { form, table, schema, rows: 0, ipc, chunk: None }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.form, it.table, it.schema, it.rows);
        of(self) == of(other) && self.ipc == other.ipc
    }
}

impl Eq for Payload {}
