//! The ring between writers and one drain thread: bounded in slots and bytes, woken by parking.
//!
//! Room is reserved before anything is pushed, so that a block that goes to several rings goes to all or none;
//! after a reservation the push cannot fail. A consumer that finds nothing says that it sleeps, looks once more
//! and parks; a producer looks at that word after its push and unparks. No side ever spins.

#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::thread::Thread;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;

/// Where a refused reservation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// A bounded queue with one consumer thread.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    slots: ArrayQueue<T>,
    reserved_slots: AtomicUsize,
    reserved_bytes: AtomicUsize,
    bytes_max: usize,
    rows: AtomicU64,
    sleeping: AtomicBool,
    consumer: OnceLock<Thread>,
    room: tokio::sync::Notify,
}

impl<T> Ring<T> {
    /// A ring of this many slots for this many bytes of rows.
    pub(crate) fn new(slots: usize, bytes_max: usize) -> Self {
        Self {
            slots: ArrayQueue::new(slots.max(1)),
            reserved_slots: AtomicUsize::new(0),
            reserved_bytes: AtomicUsize::new(0),
            bytes_max,
            rows: AtomicU64::new(0),
            sleeping: AtomicBool::new(false),
            consumer: OnceLock::new(),
            room: tokio::sync::Notify::new(),
        }
    }

    /// Takes one slot and so many bytes. An item larger than all bytes fits into an empty ring only.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<(), Full> {
        let slots = self.reserved_slots.fetch_add(1, Ordering::AcqRel) + 1;
        if slots > self.slots.capacity() {
            self.reserved_slots.fetch_sub(1, Ordering::AcqRel);
            return Err(Full);
        }
        let before = self.reserved_bytes.fetch_add(bytes, Ordering::AcqRel);
        if before > 0 && before + bytes > self.bytes_max {
            self.reserved_bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.reserved_slots.fetch_sub(1, Ordering::AcqRel);
            return Err(Full);
        }
        Ok(())
    }

    /// Gives a reservation back: of an item that was handled, or never pushed.
    pub(crate) fn free(&self, slots: usize, bytes: usize) {
        self.reserved_bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.reserved_slots.fetch_sub(slots, Ordering::AcqRel);
        self.room.notify_waiters();
    }

    /// Puts in an item whose room was reserved.
    pub(crate) fn push(&self, item: T, rows: u64) -> Result<(), Full> {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        if self.slots.push(item).is_err() {
            self.rows.fetch_sub(rows, Ordering::Relaxed);
            return Err(Full);
        }
        self.wake();
        Ok(())
    }

    /// Takes the oldest item.
    pub(crate) fn pop(&self, rows_of: impl Fn(&T) -> u64) -> Option<T> {
        let item = self.slots.pop()?;
        self.rows.fetch_sub(rows_of(&item), Ordering::Relaxed);
        Some(item)
    }

    /// Completes at the next [`free`](Self::free) after this call, once it was polled or enabled.
    pub(crate) fn room(&self) -> tokio::sync::futures::Notified<'_> {
        self.room.notified()
    }

    /// Rows that wait.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes that wait or are being written.
    pub(crate) fn bytes(&self) -> usize {
        self.reserved_bytes.load(Ordering::Relaxed)
    }

    /// Names the thread that pops; the first call counts.
    pub(crate) fn set_consumer(&self, thread: Thread) {
        let _ = self.consumer.set(thread);
    }

    /// Wakes the consumer if it sleeps.
    pub(crate) fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::SeqCst)
            && let Some(thread) = self.consumer.get()
        {
            thread.unpark();
        }
    }

    /// Parks the calling consumer until an item comes, [`wake`](Self::wake) is called, or the time is over.
    /// `other_work` is asked after the sleep was announced.
    pub(crate) fn sleep(&self, at_most: Duration, other_work: impl Fn() -> bool) {
        self.sleeping.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.slots.is_empty() && !other_work() {
            std::thread::park_timeout(at_most);
        }
        self.sleeping.store(false, Ordering::SeqCst);
    }
}
