//! One query's share of the process's memory: counted, bounded, and taken from the common pool.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

use crate::running::QueryHandle;

/// A pool that hands on to the process's and counts on the query's handle.
#[derive(Debug)]
pub(crate) struct QueryPool {
    inner: Arc<dyn MemoryPool>,
    query: Arc<QueryHandle>,
    most: usize,
}

impl QueryPool {
    /// At most `most` bytes of `inner`.
    pub(crate) fn new(inner: Arc<dyn MemoryPool>, query: Arc<QueryHandle>, most: usize) -> Self {
        Self { inner, query, most }
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query pool (used: {}, most: {})", self.query.memory.load(Ordering::Relaxed), self.most)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.inner.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.inner.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.inner.grow(reservation, additional);
        self.query.memory.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.inner.shrink(reservation, shrink);
        self.query.memory.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let used = self.query.memory.load(Ordering::Relaxed);
        if used.saturating_add(additional) > self.most {
            let message =
                format!("query would use {} bytes, maximum: {} bytes", used + additional, self.most);
            return Err(DataFusionError::ResourcesExhausted(message));
        }
        self.inner.try_grow(reservation, additional)?;
        self.query.memory.fetch_add(additional, Ordering::Relaxed);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.query.memory.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.most)
    }
}
