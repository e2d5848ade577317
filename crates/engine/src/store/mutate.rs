//! Changes of stored rows, and the work that people may ask for by hand.

use std::sync::Arc;

use arrow::array::RecordBatch;
use zepto_common::schema::TableName;
use zepto_common::{Result, TableId};

use super::Store;
use crate::background::Job;

/// Gives what is left of a batch: storage types of the newest schema, a part of one partition's rows. None: all
/// rows stay as they are. Key and time column may not be changed.
pub type RewriteFn = Arc<dyn Fn(RecordBatch) -> Result<Option<RecordBatch>> + Send + Sync>;

impl Store {
    /// DELETE and UPDATE: applies `change` to every row at one moment and commits all of it or nothing. Rows that
    /// are written later are not touched. Gives the number of rows removed or changed.
    ///
    /// # Errors
    /// `UnknownTable`; `HaveDependentObjects` when materialized views follow the table, because what they counted
    /// cannot be taken back; what `change` says; the disk's.
    pub async fn rewrite(&self, table: TableId, change: RewriteFn) -> Result<u64> {
        self.require_alone("DELETE or UPDATE")?;
        self.shared.catalog.load().require_unfollowed(table)?;
        let table = self.shared.data(table)?;
        self.job(|done| Job::Rewrite { table, transform: change, done }).await
    }

    /// Removes all rows of a table and frees its disk.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownDatabase`; `HaveDependentObjects` when materialized views follow it; the disk's.
    pub async fn truncate_table(&self, name: &TableName) -> Result<()> {
        self.require_alone("TRUNCATE")?;
        let catalog = self.shared.catalog.load();
        let id = catalog.require(name)?.id;
        catalog.require_unfollowed(id)?;
        drop(catalog);
        let table = self.shared.data(id)?;
        self.job(|done| Job::Truncate { table, done }).await
    }

    /// Removes all rows of a table, whatever follows it: the decision is the cluster's.
    ///
    /// # Errors
    /// `UnknownTable`; the disk's.
    pub async fn empty_table(&self, table: TableId) -> Result<()> {
        self.require_alone("TRUNCATE")?;
        let table = self.shared.data(table)?;
        self.job(|done| Job::Truncate { table, done }).await
    }

    /// Flushes a table and merges its segments.
    ///
    /// # Errors
    /// `UnknownTable`, the disk's.
    pub async fn optimize(&self, table: TableId) -> Result<()> {
        let table = self.shared.data(table)?;
        self.job(|done| Job::Optimize { table, done }).await
    }

    /// Puts all rows into segments and lets go of the logs.
    ///
    /// # Errors
    /// The disk's.
    pub async fn checkpoint(&self) -> Result<()> {
        self.job(|done| Job::Checkpoint { done }).await
    }

    /// Does now what the background thread does by itself from time to time.
    ///
    /// # Errors
    /// The node is closing.
    pub async fn look_now(&self) -> Result<()> {
        self.job(|done| Job::LookNow { done }).await
    }

    /// Looks for expired rows now instead of at the next round.
    ///
    /// # Errors
    /// The disk's.
    pub async fn expire(&self) -> Result<()> {
        self.job(|done| Job::Expire { done }).await
    }
}
