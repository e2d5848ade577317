//! What can happen, and the order in which it does.

use zepto_common::ids::{Epoch, SetVersion, Token};
use zepto_common::placement::{Placement, Replica};
use zepto_replication::{Change, Outcome, RequestId, Write};

use crate::coordinator::{Sign, Wanted};
use crate::disk::{Payload, State};
use crate::node::Peer;

/// What happens next.
#[derive(Debug)]
pub(crate) enum Event {
    Tick(usize),
    CoordinatorTick,
    Heartbeat(Replica, Sign),
    Learn(usize, Placement, Wanted),
    /// A set may not become smaller.
    HeldSet {
        node: usize,
        partition: usize,
        epoch: Epoch,
        version: SetVersion,
    },
    Message {
        to: Replica,
        partition: usize,
        from: Replica,
        message: Peer,
    },
    SyncEnds {
        node: usize,
        start: u64,
        length: usize,
        counts: Vec<u64>,
    },
    Proposal(Change),
    WriterStep(usize),
    WriterGivesUp(usize, RequestId),
    Write {
        node: usize,
        partition: usize,
        write: Write<Payload>,
    },
    Answered(RequestId, Outcome),
    Read,
    ReadArrives {
        node: usize,
        partition: usize,
        mark: usize,
    },
    Show {
        node: usize,
        start: u64,
        partition: usize,
        mark: usize,
        view: State,
        pinned: Token,
    },
    Fault,
    Isolate(u32, u64),
    Start(usize),
    /// A start that was told to end does.
    Ends {
        node: usize,
        start: u64,
        long: u64,
    },
    Mend(u32, u32),
    Calm,
    CoordinatorBack,
}

/// An event with its time; of two at one time the one that was planned first comes first.
pub(crate) struct Due(pub(crate) u64, pub(crate) u64, pub(crate) Event);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}
