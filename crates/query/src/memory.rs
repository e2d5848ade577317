//! One query's share of the process's memory: counted, bounded, and taken from the common pool.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use datafusion::execution::runtime_env::RuntimeEnv;

use crate::running::QueryHandle;

/// A pool that hands on to the process's and counts on the query's handle. What can spill has equal shares of the query's
/// bytes: else the first thread that sorts takes them all, and the next has nothing that it could spill. Where nothing is
/// spilled, shares would only waste what others do not need; a query that may have all has its share in the process's pool.
#[derive(Debug)]
pub(crate) struct QueryPool {
    inner: Arc<dyn MemoryPool>,
    shares: Option<FairSpillPool>,
    query: Arc<QueryHandle>,
    most: usize,
}

impl QueryPool {
    /// At most `most` bytes of the runtime's pool, which has `all`.
    pub(crate) fn new(runtime: &RuntimeEnv, query: Arc<QueryHandle>, most: usize, all: usize) -> Self {
        let shared = most < all && runtime.disk_manager.tmp_files_enabled();
        let shares = shared.then(|| FairSpillPool::new(most));
        let inner = runtime.memory_pool.clone();
        Self { inner, shares, query, most }
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
        self.shares.iter().for_each(|shares| shares.register(consumer));
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.inner.unregister(consumer);
        self.shares.iter().for_each(|shares| shares.unregister(consumer));
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.inner.grow(reservation, additional);
        self.shares.iter().for_each(|shares| shares.grow(reservation, additional));
        self.query.memory.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.inner.shrink(reservation, shrink);
        self.shares.iter().for_each(|shares| shares.shrink(reservation, shrink));
        self.query.memory.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let used = self.query.memory.load(Ordering::Relaxed);
        if used.saturating_add(additional) > self.most {
            let message =
                format!("query would use {} bytes, maximum: {} bytes", used + additional, self.most);
            return Err(DataFusionError::ResourcesExhausted(message));
        }
        if let Some(shares) = &self.shares {
            shares.try_grow(reservation, additional)?;
        }
        if let Err(refused) = self.inner.try_grow(reservation, additional) {
            self.shares.iter().for_each(|shares| shares.shrink(reservation, additional));
            return Err(refused);
        }
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
