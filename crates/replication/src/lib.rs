//! How the copies of one partition agree, as a pure state machine: no thread, no clock, no disk, no socket.
//!
//! [`Copy`](machine::Copy) is one node's copy of one partition, owner or follower. It takes what happened (a write, a
//! message, a finished sync, a placement, a tick) and gives [`Effect`]s: append this to the log, send that, apply up to
//! here, answer this writer. The drain thread that owns the partition carries them out in order. The same code runs
//! under the storage node and under the simulation in `tests/sim`.
//!
//! - [`history`]: which token each frame of the log was appended under, and where two logs part
//! - [`message`]: what copies say to each other
//! - [`effect`]: what the shell must do, what it must log, how a write ends
//! - [`machine`]: the state and the dispatch; [`machine::Copy`] is the entry point
//!
//! The protocol is primary-backup with an agreed configuration: the owner appends, every in-sync copy syncs, then the
//! frame is committed, applied and acknowledged. What must hold in every schedule:
//!
//! - at most one frame is ever committed at a position, and at most one per key of the deduplication window;
//! - a frame that was acknowledged is in every log that can ever become the owner's;
//! - two nodes never both hold a lease, so a read sees every write acknowledged before it.

pub mod effect;
pub mod history;
pub mod machine;
pub mod message;
pub mod time;

#[cfg(feature = "plant")]
pub mod plant;

pub use effect::{Alarm, Change, Effect, LogOp, Outcome, Recovered, RequestId, Write};
pub use history::{History, Position};
pub use machine::{Copy, Phase, Window};
pub use message::{Entry, Head, Key, Message};
pub use time::{Moment, Timing};
