//! What comes out of a copy: things for the shell to do, in their order.

use std::collections::BTreeSet;

use zepto_common::ids::{Epoch, Lsn, PartitionId, SetVersion, Token};
use zepto_common::placement::{Grant, Replica};

use crate::history::{History, Position};
use crate::message::{Entry, Head, Key, Message};

/// The shell's name for a writer or reader that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Rows that want to be appended.
#[derive(Debug, Clone)]
pub struct Write<P> {
    /// Who waits.
    pub request: RequestId,
    /// The epoch that the sender's routing table names.
    pub epoch: Epoch,
    /// Recognises a repetition.
    pub key: Option<Key>,
    /// Hash of the content.
    pub content: u64,
    /// The frame's payload.
    pub payload: P,
}

/// How a request ended. Only the first two say that rows are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Committed by this request, at this position.
    Committed(Lsn),
    /// Was committed before under the same key.
    Duplicate,
    /// A reader may see everything up to here.
    Readable(Lsn),
    /// Certainly not stored: the same key came before with another content.
    OtherContent,
    /// Certainly not stored: this node does not own the partition; the highest epoch that it knows.
    NotOwner(Epoch),
    /// Certainly not stored: too much waits, or the owner is not ready yet. Try again.
    Busy,
    /// Certainly not stored: a member of the set is silent, and the set may not become smaller.
    TooFewCopies,
    /// Perhaps stored: repeat under the same key.
    Unknown,
}

/// One entry of the durable log besides rows of other partitions. Replaying them in order gives [`Recovered`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogOp<P> {
    /// A frame.
    Append(Entry<P>),
    /// Frames above this position are void.
    Truncate(Lsn),
    /// The highest token seen and the grant that it belongs to, with the set as last learned.
    Seen(Token, Grant),
    /// The owner of this epoch was answered, or this node's own time began: nobody older can hold a lease any more.
    Followed(Epoch),
    /// Members that are counted although their addition to the set is not known to be agreed.
    Pending(SetVersion, BTreeSet<Replica>),
    /// Frames up to here are committed.
    Committed(Lsn),
    /// The copy was replaced by a state at the history's end; the state itself the shell has kept.
    Installed(History),
}

/// What the log says at a start.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// The frames' tokens.
    pub history: History,
    /// Keys and contents of the frames above `committed`, in order.
    pub uncommitted: Vec<(Option<Key>, u64)>,
    /// Everything up to here is committed.
    pub committed: Lsn,
    /// The highest token seen.
    pub seen: Token,
    /// The grant that belongs to it.
    pub grant: Option<Grant>,
    /// The highest epoch whose owner was answered, or under which this node began.
    pub followed: Epoch,
    /// Members with a pending addition, and the set version that the proposal builds on.
    pub pending: Option<(SetVersion, BTreeSet<Replica>)>,
    /// The first frame that the log still has; frames below are only in the state.
    pub first: Lsn,
}

/// What an owner asks of the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Replace the set if epoch and version are still these.
    Set {
        /// The partition.
        partition: PartitionId,
        /// The owner's epoch.
        epoch: Epoch,
        /// The version that the proposal builds on.
        version: SetVersion,
        /// The new members.
        members: BTreeSet<Replica>,
    },
    /// Grant the partition to another member.
    HandOver {
        /// The partition.
        partition: PartitionId,
        /// The owner's epoch.
        epoch: Epoch,
    },
}

/// What an operator must hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// Two nodes send under one epoch.
    TwoOwners(Epoch),
    /// An owner asks to cut below what is committed here: this copy stops.
    CutBelowCommitted {
        /// Where the logs part.
        at: Lsn,
        /// What is committed.
        committed: Lsn,
    },
    /// A message came under an older token than this copy has seen.
    Fenced(Token),
}

/// What the shell must do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<P, S> {
    /// Append to the log; the shell syncs when it likes and reports how many it has synced since the start.
    Log(LogOp<P>),
    /// Send a message that is complete.
    Send(Replica, Message<P, S>),
    /// Send `Message::Replicate` with the frames `from..=to` of the log (none when `from > to`).
    SendFrames {
        /// To whom.
        to: Replica,
        /// The message's head.
        head: Head,
        /// The frame before `from`.
        previous: Position,
        /// First and last frame.
        frames: (Lsn, Lsn),
        /// The owner's committed position.
        committed: Lsn,
    },
    /// Send `Message::Tail` with the frames `frames.0..=frames.1` of the log.
    SendTail {
        /// To whom.
        to: Replica,
        /// Of the message that is answered.
        token: Token,
        /// Of the message that is answered.
        sequence: u64,
        /// The frame before the first.
        previous: Position,
        /// First and last frame.
        frames: (Lsn, Lsn),
    },
    /// Send `Message::Install` with the applied state, which stands at the end of `history`.
    SendState {
        /// To whom.
        to: Replica,
        /// The message's head.
        head: Head,
        /// The tokens of the frames that the state holds.
        history: History,
    },
    /// Replace the state by this one; its position is the end of the history that was logged just before.
    Install(S),
    /// Apply the frames up to here: they are committed.
    Apply(Lsn),
    /// End a request.
    Answer(RequestId, Outcome),
    /// Ask the coordinator; its answer comes back as a placement.
    Propose(Change),
    /// Say it loudly.
    Alarm(Alarm),
}
