//! A node's log: entries of all its partitions in one order. A crash keeps what was synced and any beginning of the
//! rest.

use std::collections::BTreeMap;

use zepto_common::ids::{Lsn, Token};
use zepto_replication::{Entry, History, LogOp, Recovered};

use crate::random::Random;

/// What a frame carries: who wrote it, and its number.
pub type Payload = (u64, u64);

/// One applied frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its position.
    pub lsn: Lsn,
    /// Its token.
    pub token: Token,
    /// The deduplication key and content, and the payload; None for the beginning of an owner's time.
    pub written: Option<(zepto_replication::Key, u64, Payload)>,
}

/// All applied frames of a copy, in order.
pub type State = Vec<Row>;

/// What stands in the log.
#[derive(Debug, Clone)]
pub enum Stored {
    /// An entry of the protocol.
    Op(LogOp<Payload>),
    /// `LogOp::Installed` with the state, which become durable together.
    Installed(History, State),
    /// The state up to its last row is in the data files; the frames below are gone from the log.
    Checkpoint(State),
}

/// The log.
#[derive(Debug, Default)]
pub struct Disk {
    entries: Vec<(usize, Stored)>,
    synced: usize,
    /// How often it was started.
    pub boot: u64,
}

/// A partition's part of a replay.
#[derive(Debug, Default)]
pub struct Replayed {
    /// For the protocol.
    pub recovered: Recovered,
    /// The frames that the log has.
    pub frames: BTreeMap<u64, Entry<Payload>>,
    /// The state that the data files have.
    pub state: State,
}

impl Disk {
    /// Adds an entry.
    pub fn append(&mut self, partition: usize, stored: Stored) {
        self.entries.push((partition, stored));
    }

    /// Entries so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was ever appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A sync that began at this length has ended.
    pub fn synced(&mut self, length: usize) {
        self.synced = self.synced.max(length);
    }

    /// Power is lost.
    pub fn crash(&mut self, random: &mut Random) {
        let keep = random.range(self.synced as u64, self.entries.len() as u64 + 1) as usize;
        self.entries.truncate(keep);
        self.synced = keep;
    }

    /// What the log says of each partition.
    #[must_use]
    pub fn replay(&self, partitions: usize) -> Vec<Replayed> {
        let mut all: Vec<Replayed> = (0..partitions).map(|_| Replayed::default()).collect();
        for (partition, stored) in &self.entries {
            all[*partition].take(stored);
        }
        for it in &mut all {
            let committed = it.recovered.committed;
            it.recovered.uncommitted =
                it.frames.range(committed.0 + 1..).map(|(_, entry)| (entry.key, entry.content)).collect();
        }
        all
    }
}

impl Replayed {
    fn take(&mut self, stored: &Stored) {
        let recovered = &mut self.recovered;
        match stored {
            Stored::Op(LogOp::Append(entry)) => {
                let position = recovered.history.append(entry.position.token);
                assert_eq!(position, entry.position, "the log has a gap");
                self.frames.insert(position.lsn.0, entry.clone());
            }
            Stored::Op(LogOp::Truncate(to)) => {
                recovered.history.truncate(*to);
                self.frames.split_off(&(to.0 + 1));
            }
            Stored::Op(LogOp::Seen(token, grant)) => {
                recovered.seen = *token;
                recovered.grant = Some(grant.clone());
            }
            Stored::Op(LogOp::Followed(epoch)) => recovered.followed = *epoch,
            Stored::Op(LogOp::Pending(base, members)) => {
                recovered.pending = Some((*base, members.clone()));
            }
            Stored::Op(LogOp::Committed(lsn)) => recovered.committed = recovered.committed.max(*lsn),
            Stored::Op(LogOp::Installed(_)) => unreachable!("is stored with its state"),
            Stored::Installed(history, state) => self.install(history, state),
            Stored::Checkpoint(state) => {
                let last = state.last().map_or(Lsn(0), |row| row.lsn);
                self.state.clone_from(state);
                recovered.first = last.next();
                self.frames = self.frames.split_off(&(last.0 + 1));
            }
        }
    }

    fn install(&mut self, history: &History, state: &State) {
        self.state.clone_from(state);
        self.frames.clear();
        self.recovered.history = history.clone();
        self.recovered.committed = history.end().lsn;
        self.recovered.first = history.end().lsn.next();
    }
}
