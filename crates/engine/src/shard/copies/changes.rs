//! Changes of rows in a store with copies: how they come into the log, and what waits until the background thread has
//! carried them out.
//!
//! A committed change stands in its partition's way: the rows below it are shown, those above it are not, so that the
//! background thread finds exactly the rows that it touches. Reads and acknowledgements of what lies above wait.

use tokio::sync::oneshot;
use zepto_common::{BatchId, Epoch, Lsn, PartitionId, Result};
use zepto_replication::{Key, Message, Outcome, RequestId, Write};

use super::{Copies, Held, Waiter};
use crate::copies::change::WaitingChange;
use crate::copies::{Payload, PeerMessage, RowChange};
use crate::shard::Shard;
use crate::store::shared::Shared;

/// The producer under which changes are known while they are not committed. Those of rows are drawn by chance.
const MUTATIONS: u64 = u64::MAX;
/// Bytes of rows that a follower takes above a change that it has not carried out yet; then it takes no more, and the
/// owner sends them again.
const BEHIND_BYTES_MAX: usize = 64 << 20;

/// A change with the partitions that it is for.
#[derive(Debug)]
pub(crate) struct ChangeItem {
    pub(crate) change: RowChange,
    pub(crate) payload: Payload,
    pub(crate) parts: Vec<(PartitionId, oneshot::Sender<Result<()>>)>,
}

impl Held {
    /// Puts a change into the background thread's list. True when it is new there.
    pub(super) fn wait_for(&mut self, shared: &Shared, change: WaitingChange) -> bool {
        if self.blocked == Some(change.lsn) {
            return false;
        }
        self.blocked = Some(change.lsn);
        self.behind_bytes = 0;
        shared.changes.lock().insert(change.partition, change);
        true
    }

    /// Takes it out again once it is passed: carried out, or its table was dropped meanwhile.
    pub(super) fn no_longer_waits(&mut self, shared: &Shared, partition: PartitionId) {
        if self.blocked.is_some_and(|lsn| lsn.0 <= self.data.applied) {
            self.blocked = None;
            self.behind_bytes = 0;
            shared.changes.lock().remove(&partition);
        }
    }

    /// Something else took the copy's place: a change that waited was of entries that it has no more.
    pub(super) fn begins_anew(&mut self, shared: &Shared, partition: PartitionId) {
        self.blocked = None;
        self.behind_bytes = 0;
        shared.changes.lock().remove(&partition);
    }

    /// Whether there is room for what a message brings.
    pub(super) fn takes(&self, message: &PeerMessage) -> bool {
        let brings = matches!(message, Message::Replicate { entries, .. } if !entries.is_empty());
        !brings || self.blocked.is_none() || self.behind_bytes <= BEHIND_BYTES_MAX
    }

    /// Whether what this lsn has is not shown because a change stands before it.
    fn hides(&self, lsn: Lsn) -> bool {
        self.blocked.is_some() && self.data.applied < lsn.0
    }
}

impl Copies {
    /// Whether an answer has to wait until a change is carried out: a reader must see what was acknowledged, and a
    /// writer keeps its room in the ring, so that rows which cannot be shown yet do not fill the memory.
    pub(super) fn waits_for_change(&self, request: RequestId, outcome: Outcome) -> bool {
        let hidden =
            |partition: &PartitionId, lsn| self.held.get(&partition.0).is_some_and(|it| it.hides(lsn));
        match (self.waiters.get(&request), outcome) {
            (Some(Waiter::Reader { partition, answer }), Outcome::Readable(lsn)) => {
                !answer.is_closed() && hidden(partition, lsn)
            }
            (Some(Waiter::Writer { partition, .. }), Outcome::Committed(lsn)) => hidden(partition, lsn),
            _ => false,
        }
    }
}

impl Shard {
    /// Has a change appended wherever it is not committed already.
    pub(super) fn begin_change(&mut self, copies: &mut Copies, item: ChangeItem) {
        let ChangeItem { change, payload, parts } = item;
        let table = payload.table;
        let content = xxhash_rust::xxh3::xxh3_64(&payload.ipc).max(1);
        let key = change.mutation().map(|number| {
            let batch = BatchId::Producer { producer: MUTATIONS, sequence: number };
            Key { table, batch, block: 0 }
        });
        for (partition, answer) in parts {
            let (request, now) = (copies.next_request(), copies.now());
            let Some(held) = copies.held.get_mut(&partition.0) else { continue };
            let known = held.data.windows.changes(table);
            let is_known = match &change {
                RowChange::Expire { cutoff } => known.cutoff >= Some(*cutoff),
                other => other.mutation().is_some_and(|number| known.mutation >= number),
            };
            if is_known {
                let _ = answer.send(Ok(()));
                continue;
            }
            copies.waiters.insert(request, Waiter::Change { answer });
            let write = Write { request, epoch: Epoch(0), key, content, payload: payload.clone() };
            held.copy.write(now, write, &held.data.windows);
            self.carry_out(copies, partition.0);
        }
    }

    /// What follows these changes may be shown.
    pub(super) fn changed(&mut self, copies: &mut Copies, changes: &[(PartitionId, Lsn)]) {
        for (partition, lsn) in changes {
            if let Some(held) = copies.held.get_mut(&partition.0) {
                held.data.pass(*lsn);
                held.no_longer_waits(&self.shared, *partition);
            }
        }
    }
}
