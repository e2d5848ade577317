//! Segments are verified whole before a store serves, as far as the time for that reaches, and the rest soon after: bytes
//! that a disk has lost are told of while there is a copy to restore, not years later when somebody asks for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use zepto_common::{Error, Result};

use super::Background;
use crate::table::StoredSegment;

/// Threads that verify before the store serves.
const THREADS: usize = 4;
/// Bytes verified per look around afterwards: other work must not wait long.
const BYTES_PER_LOOK: u64 = 32 << 20;

impl Background {
    /// Verifies the newest segments before older ones until `time` is over; the rest is left for later.
    ///
    /// # Errors
    /// `CorruptedData` with file and offset, the first that is found.
    pub(crate) fn check_segments(&mut self, time: Duration) -> Result<()> {
        let started = Instant::now();
        let mut all: Vec<Arc<StoredSegment>> = Vec::new();
        for table in self.shared.tables.load().values() {
            for cell in &table.cells().shards {
                let state = cell.load();
                all.extend(state.segments.iter().cloned());
                all.extend(state.views.values().flat_map(|view| view.segments.iter().cloned()));
            }
        }
        all.sort_by_key(|stored| stored.id);
        let (segments, waiting) = (all.len(), Mutex::new(all));
        let fault: Mutex<Option<Error>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..THREADS.min(segments) {
                scope.spawn(|| {
                    while started.elapsed() < time && fault.lock().is_none() {
                        let Some(stored) = waiting.lock().pop() else { return };
                        if let Err(error) = stored.segment.check() {
                            fault.lock().get_or_insert(error);
                        }
                    }
                });
            }
        });
        if let Some(error) = fault.into_inner() {
            return Err(error);
        }
        self.unchecked = waiting.into_inner().into_iter().rev().collect();
        let seconds = started.elapsed().as_secs_f64();
        tracing::info!(segments, later = self.unchecked.len(), seconds, "segments were verified");
        Ok(())
    }

    /// Verifies some of the segments that the start left.
    pub(crate) fn check_some_segments(&mut self) {
        let mut bytes = 0;
        while bytes < BYTES_PER_LOOK
            && let Some(stored) = self.unchecked.pop_front()
        {
            bytes += stored.bytes;
            if let Err(error) = stored.segment.check() {
                self.shared.counters.segments_damaged.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "a segment is damaged: restore it from a snapshot");
            }
        }
        if self.unchecked.capacity() > 0 && self.unchecked.is_empty() {
            tracing::info!("the segments that the start had left were verified");
            self.unchecked = VecDeque::new();
        }
    }
}
