//! The write-ahead log: what is in it after a sync is there after a crash.
//!
//! One [`Log`] per drain thread appends frames to files of bounded size; [`Log::sync`] makes a whole group durable
//! with one write and one sync. [`replay`] reads every log found in a folder, in an order that keeps each
//! partition's positions growing. The promises:
//!
//! - a synced frame is replayed, byte for byte, until its file is released;
//! - a group that `sync` refused for want of room is never replayed;
//! - a tail that was never synced ends the log quietly; damage to what was synced, or its absence, stops the start;
//! - old frames in a recycled file are never taken for new ones;
//! - after any other failed write or sync the log takes nothing more until it is opened again.
//!
//! The format is documented to the byte in docs/formats/wal.md.

mod chain;
mod codec;
pub(crate) mod cursor;
mod files;
mod frame;
mod log;
mod replay;
mod scan;
mod summary;
#[cfg(test)]
mod tests;

pub use chain::LogHeads;
pub use frame::{
    CheckpointFrame, CopiesFrame, CopyFrame, EpochStartFrame, ForgetFrame, Frame, MutationFrame,
    MutationKind, ObjectAction, ObjectReferenceFrame, Place, RowsFrame, RowsItem, SchemaFrame, SourceOffset,
    TruncateFrame, TtlCutoffFrame, ViewFrame,
};
pub use log::{Log, LogOptions};
pub(crate) use replay::read_frame;
pub use replay::{Replay, ReplayOptions, replay};
pub use summary::{OldLog, ReplaySummary, TornTail};

use serde::{Deserialize, Serialize};

/// A place in one thread's log. Ordered: a later frame has a greater position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct LogPosition {
    /// The file's sequence number.
    pub sequence: u64,
    /// Bytes from the start of the file.
    pub offset: u64,
}
