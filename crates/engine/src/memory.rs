//! The memory that data may take, shared by everything in one store.
//!
//! *Unflushed* rows (memtables, sealed runs without a segment) must stay until a checkpoint; *hot* rows (runs of
//! segments) can be dropped at any time. Writers are refused when the unflushed rows alone are over their share.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Share of the limit that unflushed rows may take before writers wait: a seal needs as much again for a moment.
const UNFLUSHED_SHARE: f64 = 0.5;
/// Share of the limit at which unflushed rows are checkpointed, long before writers notice.
const FLUSH_SHARE: f64 = 0.2;
/// Share of the limit above which hot runs are cooled, and down to which.
const COOL_ABOVE_SHARE: f64 = 0.8;
const COOL_DOWN_TO_SHARE: f64 = 0.7;

/// Counters of bytes held.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    limit: usize,
    unflushed: AtomicUsize,
    hot: AtomicUsize,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, unflushed: AtomicUsize::new(0), hot: AtomicUsize::new(0) }
    }

    fn share(&self, share: f64) -> usize {
        (self.limit as f64 * share) as usize
    }

    /// Replaces one contribution to the unflushed bytes.
    pub(crate) fn adjust_unflushed(&self, before: usize, after: usize) {
        if after >= before {
            self.unflushed.fetch_add(after - before, Ordering::AcqRel);
        } else {
            self.unflushed.fetch_sub(before - after, Ordering::AcqRel);
        }
    }

    /// Says how many bytes hot runs take now.
    pub(crate) fn set_hot(&self, bytes: usize) {
        self.hot.store(bytes, Ordering::Release);
    }

    /// The bound.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes of rows that no segment has.
    pub(crate) fn unflushed(&self) -> usize {
        self.unflushed.load(Ordering::Acquire)
    }

    /// Bytes of rows that a segment has too.
    pub(crate) fn hot(&self) -> usize {
        self.hot.load(Ordering::Acquire)
    }

    /// Whether so many more bytes may be taken in.
    pub(crate) fn admits(&self, waiting: usize) -> bool {
        self.unflushed() + waiting <= self.share(UNFLUSHED_SHARE)
    }

    /// Whether a checkpoint should free memory.
    pub(crate) fn wants_flush(&self) -> bool {
        self.unflushed() > self.share(FLUSH_SHARE)
    }

    /// How many bytes of hot runs to drop now; 0 when there is room.
    pub(crate) fn excess(&self) -> usize {
        let used = self.unflushed() + self.hot();
        if used <= self.share(COOL_ABOVE_SHARE) { 0 } else { used - self.share(COOL_DOWN_TO_SHARE) }
    }
}
