//! Writers that repeat each write under its key until it is acknowledged, by routing tables that may be old.

use zepto_common::ids::{BatchId, Epoch, TableId};
use zepto_common::placement::Placement;
use zepto_replication::{Key, Outcome, RequestId, Write};

use crate::disk::Payload;
use crate::random::Random;

/// A writer of one partition, one write at a time.
#[derive(Debug)]
pub struct Writer {
    /// Its number.
    pub id: u64,
    /// Where it writes.
    pub partition: usize,
    /// Writes that are done.
    pub done: u64,
    /// Writes to do.
    pub goal: u64,
    /// Its routing table.
    pub table: Placement,
    /// The request that it waits for.
    pub waiting: Option<RequestId>,
    /// Writes as a feed does: offsets of one source, now and then again from an older position.
    pub feed: bool,
    /// Takes a new key for each attempt: a planted bug.
    pub new_keys: bool,
    attempts: u64,
}

/// What a writer does with an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// The write is stored: its key and content.
    Stored(Key, u64),
    /// Try again, perhaps elsewhere.
    Again,
    /// Not its answer any more.
    Nothing,
}

impl Writer {
    /// A writer that has nothing written yet.
    #[must_use]
    pub fn new(id: u64, partition: usize, goal: u64, table: Placement) -> Self {
        Self { id, partition, done: 0, goal, table, waiting: None, feed: false, new_keys: false, attempts: 0 }
    }

    /// Whether everything is written.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.done >= self.goal
    }

    /// The key of the write that is under way.
    #[must_use]
    pub fn key(&self) -> Key {
        if self.feed {
            return Key { table: TableId(1), batch: BatchId::Source(self.id.into()), block: 0 };
        }
        let sequence = if self.new_keys { self.attempts << 32 | self.done } else { self.done };
        Key { table: TableId(1), batch: BatchId::Producer { producer: self.id, sequence }, block: 0 }
    }

    /// The next attempt: to whom, and what.
    pub fn attempt(&mut self, request: RequestId, random: &mut Random, nodes: u32) -> (u32, Write<Payload>) {
        self.attempts += 1;
        self.waiting = Some(request);
        let it = &self.table.partitions[self.partition].grant;
        // A table may name anybody; now and then somebody wrong is asked on purpose.
        let (node, epoch) = if random.chance(5) {
            (random.range(0, u64::from(nodes)) as u32, it.epoch)
        } else {
            (it.owner.node.0, it.epoch)
        };
        let epoch = if random.chance(5) { Epoch(epoch.0.saturating_sub(1)) } else { epoch };
        let write = Write {
            request,
            epoch,
            key: Some(self.key()),
            content: self.done,
            payload: (self.id, self.done),
        };
        (node, write)
    }

    /// An answer has come.
    pub fn answered(&mut self, request: RequestId, outcome: Outcome, random: &mut Random) -> Next {
        if self.waiting != Some(request) {
            return Next::Nothing;
        }
        match outcome {
            Outcome::Committed(_) | Outcome::Duplicate => {
                let (key, content) = (self.key(), self.done);
                self.waiting = None;
                self.done += 1;
                if self.feed && !self.finished() && random.chance(10) {
                    // As after a restart: the position is older than what is stored.
                    self.done -= random.range(0, self.done.min(5) + 1);
                }
                self.attempts = 0;
                Next::Stored(key, content)
            }
            _ => {
                self.waiting = None;
                Next::Again
            }
        }
    }
}
