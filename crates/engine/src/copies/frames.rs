//! Where the entries of a copy stand in the logs, and those that are not applied yet.

use std::collections::VecDeque;

use zepto_common::Lsn;
use zepto_replication::{Entry, Key};

use super::Payload;
use crate::wal::LogPosition;

/// A frame's place in the logs of a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogPlace {
    /// The drain thread that wrote it.
    pub(crate) thread: u16,
    pub(crate) at: LogPosition,
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) place: LogPlace,
    /// Until it is applied.
    pub(crate) entry: Option<Entry<Payload>>,
}

/// The entries that the logs have, without gaps.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// Lsn before the first slot.
    before: u64,
    slots: VecDeque<Slot>,
}

impl Frames {
    /// None, after this lsn.
    pub(crate) fn after(lsn: u64) -> Self {
        Self { before: lsn, slots: VecDeque::new() }
    }

    /// The first entry that the logs have; the one after the last when they have none.
    pub(crate) fn first(&self) -> Lsn {
        Lsn(self.before + 1)
    }

    /// The last entry.
    pub(crate) fn end(&self) -> Lsn {
        Lsn(self.before + self.slots.len() as u64)
    }

    /// Adds an entry; those from its lsn on go, and all when one between is missing.
    pub(crate) fn push(&mut self, lsn: Lsn, slot: Slot) {
        if lsn.0 == 0 {
            return;
        }
        self.cut(Lsn(lsn.0 - 1));
        if self.end().0 + 1 != lsn.0 {
            *self = Self::after(lsn.0 - 1);
        }
        self.slots.push_back(slot);
    }

    /// Removes the entries above `to`.
    pub(crate) fn cut(&mut self, to: Lsn) {
        self.slots.truncate(usize::try_from(to.0.saturating_sub(self.before)).unwrap_or(usize::MAX));
        if to.0 < self.before {
            self.before = to.0;
        }
    }

    /// Notes where an entry stands that was added before it was written down.
    pub(crate) fn set_place(&mut self, lsn: Lsn, place: LogPlace) {
        if let Some(index) = self.index(lsn)
            && let Some(slot) = self.slots.get_mut(index)
        {
            slot.place = place;
        }
    }

    pub(crate) fn get(&self, lsn: Lsn) -> Option<&Slot> {
        self.slots.get(self.index(lsn)?)
    }

    /// Lets go of an entry that is applied; its place stays.
    pub(crate) fn applied(&mut self, lsn: Lsn) -> Option<Entry<Payload>> {
        let index = self.index(lsn)?;
        self.slots.get_mut(index)?.entry.take()
    }

    /// Keys and prints of the entries above `committed`.
    pub(crate) fn uncommitted(&self, committed: Lsn) -> Vec<(Option<Key>, u64)> {
        let above = committed.0.max(self.before) + 1..=self.end().0;
        let entries = above.filter_map(|lsn| self.get(Lsn(lsn))?.entry.as_ref());
        entries.map(|entry| (entry.key, entry.content)).collect()
    }

    /// Where the first entry stands that is not applied.
    pub(crate) fn first_needed(&self) -> Option<LogPlace> {
        self.slots.iter().find(|slot| slot.entry.is_some()).map(|slot| slot.place)
    }

    /// Forgets applied entries whose files may go: those of this thread below `below`, and of other threads.
    pub(crate) fn release(&mut self, thread: u16, below: LogPosition) {
        while let Some(slot) = self.slots.front() {
            let gone = slot.place.thread != thread || slot.place.at < below;
            if slot.entry.is_some() || !gone {
                return;
            }
            self.slots.pop_front();
            self.before += 1;
        }
    }

    fn index(&self, lsn: Lsn) -> Option<usize> {
        usize::try_from(lsn.0.checked_sub(self.before + 1)?).ok()
    }
}
