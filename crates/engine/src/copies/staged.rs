//! A state that was fetched: its rows in segment files that no manifest names yet, and what else it has.
//!
//! Dropping it before it was installed removes its files; after a crash the next start does, as with every segment that
//! the manifest does not name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use zepto_common::{PartitionId, TableId};
use zepto_replication::History;

use crate::background::Job;
use crate::store::shared::Shared;
use crate::table::{StoredSegment, TableData};

/// The segment files of a state that is not installed.
#[derive(Debug)]
pub(crate) struct StagedFiles {
    shared: Arc<Shared>,
    ids: Mutex<Vec<u64>>,
    /// The manifest names them.
    adopted: AtomicBool,
}

impl StagedFiles {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, ids: Mutex::default(), adopted: AtomicBool::new(false) }
    }

    pub(crate) fn add(&self, id: u64) {
        self.ids.lock().push(id);
    }

    pub(crate) fn adopt(&self) {
        self.adopted.store(true, Ordering::Release);
    }
}

impl Drop for StagedFiles {
    fn drop(&mut self) {
        let ids = std::mem::take(&mut *self.ids.lock());
        if ids.is_empty() || self.adopted.load(Ordering::Acquire) {
            return;
        }
        if !self.shared.try_job(Job::Discard { segments: ids }) {
            tracing::debug!("files of a state that is not wanted any more stay until the next start");
        }
    }
}

/// A whole state on this node's disk.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) partition: PartitionId,
    /// The tokens of the entries that it holds.
    pub(crate) history: History,
    /// In the order in which the rows came, by table.
    pub(crate) segments: Vec<(Arc<TableData>, Arc<StoredSegment>)>,
    pub(crate) windows: Vec<(TableId, Bytes)>,
    pub(crate) files: StagedFiles,
}
