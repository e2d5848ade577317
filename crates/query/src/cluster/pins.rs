//! What a statement sees of this node: the snapshot of each table at its first fragment, the same for all later ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use zepto_common::error::{Error, Result};
use zepto_common::ids::{PartitionId, TableId};
use zepto_engine::store::{Store, TableSnapshot};

use super::{Fault, QueryId, Request};
use crate::service::Core;

/// Statements with pins at one time.
const PINNED_MAX: usize = 4_096;

/// How long the end of a statement is remembered whose fragment has not come.
const END_REMEMBERED: Duration = Duration::from_secs(10);

/// Pins by statement. They end with [`Pins::end`] or the statement's deadline.
#[derive(Default)]
pub(crate) struct Pins {
    by_query: Mutex<HashMap<QueryId, Pinned>>,
}

/// What the scans of a fragment read: this node's rows of the pinned partitions. Plans reach it through the session's
/// extensions.
pub(crate) struct PinnedReads {
    core: Arc<Core>,
    query: QueryId,
    /// Ascending.
    partitions: Vec<PartitionId>,
}

impl PinnedReads {
    pub(super) fn new(core: Arc<Core>, request: &Request) -> Self {
        let partitions = request.pins.iter().map(|pin| pin.partition).collect();
        Self { core, query: request.query, partitions }
    }

    /// The partitions.
    pub(crate) fn partitions(&self) -> Vec<PartitionId> {
        self.partitions.clone()
    }

    /// The table as the statement sees it.
    ///
    /// # Errors
    /// As [`Pins::snapshot`].
    pub(crate) fn snapshot(&self, table: TableId) -> Result<Arc<TableSnapshot>> {
        let Some(mode) = &self.core.reads else {
            return Err(Error::internal("a fragment came to a node that runs alone"));
        };
        let snapshot = mode.pins.snapshot(&self.core.store, self.query, table);
        snapshot.map_err(|fault| fault.error(mode.parts.node))
    }
}

struct Pinned {
    tables: HashMap<TableId, Arc<TableSnapshot>>,
    until: Instant,
    /// Fragments under way.
    fragments: usize,
    /// The statement is over: the last fragment takes the pins with it.
    ended: bool,
}

/// A fragment under way.
pub(super) struct Entered {
    core: Arc<Core>,
    query: QueryId,
}

impl Entered {
    /// Begins a fragment. From now on the end of the statement finds it, however late it gets its first snapshot.
    ///
    /// # Errors
    /// `Busy` if too many statements have pins; `Lost` if the statement is over.
    pub(super) fn new(core: &Arc<Core>, query: QueryId, until: Instant) -> Result<Self, Fault> {
        let Some(mode) = &core.reads else {
            return Err(Error::internal("a fragment came to a node that runs alone").into());
        };
        let mut all = mode.pins.by_query.lock();
        if all.len() >= PINNED_MAX && !all.contains_key(&query) {
            return Err(Fault::Busy(format!("{PINNED_MAX} statements have pins")));
        }
        let fresh = || Pinned { tables: HashMap::new(), until, fragments: 0, ended: false };
        let pinned = all.entry(query).or_insert_with(fresh);
        if pinned.ended {
            return Err(Fault::Lost("the statement is over".to_owned()));
        }
        pinned.fragments += 1;
        drop(all);
        Ok(Self { core: core.clone(), query })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let Some(mode) = &self.core.reads else { return };
        let mut all = mode.pins.by_query.lock();
        let Some(pinned) = all.get_mut(&self.query) else { return };
        pinned.fragments = pinned.fragments.saturating_sub(1);
        let over = pinned.ended && pinned.fragments == 0;
        let gone = over.then(|| all.remove(&self.query));
        // Snapshots may hold much: they go outside of the lock.
        drop(all);
        drop(gone);
    }
}

impl Pins {
    /// The table as the statement sees it.
    ///
    /// # Errors
    /// `Lost` if its fragment has not begun or its time is over; `UnknownTable`.
    pub(super) fn snapshot(
        &self,
        store: &Store,
        query: QueryId,
        table: TableId,
    ) -> Result<Arc<TableSnapshot>, Fault> {
        let mut all = self.by_query.lock();
        let Some(pinned) = all.get_mut(&query) else {
            return Err(Fault::Lost("the statement's time is over".to_owned()));
        };
        if let Some(snapshot) = pinned.tables.get(&table) {
            return Ok(snapshot.clone());
        }
        let snapshot = Arc::new(store.snapshot(table)?);
        pinned.tables.insert(table, snapshot.clone());
        Ok(snapshot)
    }

    /// The statement is over. Its end may be told before its fragment has come: that one is refused then.
    pub(crate) fn end(&self, query: QueryId) {
        let mut all = self.by_query.lock();
        let room = all.len() < PINNED_MAX;
        let gone = match all.get_mut(&query) {
            Some(pinned) if pinned.fragments > 0 => {
                pinned.ended = true;
                None
            }
            Some(_) => all.remove(&query),
            None if room => {
                let until = Instant::now() + END_REMEMBERED;
                all.insert(query, Pinned { tables: HashMap::new(), until, fragments: 0, ended: true })
            }
            None => None,
        };
        drop(all);
        drop(gone);
    }

    /// Forgets statements whose time is over.
    pub(super) fn expire(&self) {
        let now = Instant::now();
        let mut all = self.by_query.lock();
        let over: Vec<QueryId> =
            all.iter().filter(|(_, pinned)| pinned.until <= now).map(|(query, _)| *query).collect();
        let gone: Vec<_> = over.iter().filter_map(|query| all.remove(query)).collect();
        drop(all);
        drop(gone);
    }

    /// Statements with pins.
    pub(crate) fn len(&self) -> usize {
        self.by_query.lock().len()
    }
}
