//! Messages of other nodes that wait for a drain thread.

use parking_lot::Mutex;
use zepto_common::PartitionId;
use zepto_common::placement::Replica;
use zepto_replication::Message;

use crate::copies::{Payload, PeerMessage};

/// Messages that may wait.
const MESSAGES_MAX: usize = 4_096;
/// Bytes of rows in them.
const BYTES_MAX: usize = 256 << 20;

/// A message with who sent it.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) partition: PartitionId,
    pub(crate) from: Replica,
    pub(crate) message: PeerMessage,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: Vec<Delivered>,
    bytes: usize,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Waiting>);

impl Inbox {
    /// Puts messages in. For how many there is no room: they are lost, and the protocol repeats them.
    pub(crate) fn put(&self, messages: Vec<Delivered>) -> u64 {
        let mut waiting = self.0.lock();
        let mut lost = 0;
        for it in messages {
            let bytes = bytes_of(&it.message);
            let full = waiting.messages.len() >= MESSAGES_MAX || waiting.bytes + bytes > BYTES_MAX;
            if full && !waiting.messages.is_empty() {
                lost += 1;
                continue;
            }
            waiting.bytes += bytes;
            waiting.messages.push(it);
        }
        lost
    }

    pub(super) fn take(&self) -> Vec<Delivered> {
        let mut waiting = self.0.lock();
        waiting.bytes = 0;
        std::mem::take(&mut waiting.messages)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().messages.is_empty()
    }
}

fn bytes_of(message: &PeerMessage) -> usize {
    match message {
        Message::Replicate { entries, .. } | Message::Tail { entries, .. } => {
            entries.iter().filter_map(|entry| entry.payload.as_ref()).map(Payload::bytes).sum()
        }
        _ => 0,
    }
}
