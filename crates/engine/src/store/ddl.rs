//! Changes of the catalog. Each is durable when its future completes; what it means for stored rows follows.

use std::sync::Arc;

use tokio::sync::oneshot;
use zepto_common::catalog::Ddl;
use zepto_common::schema::{TableName, TableSchema};
use zepto_common::{Error, ErrorCode, Result};

use super::Store;
use super::shared::Shared;
use crate::background::{Done, Job};
use crate::catalog::{AlterOp, Catalog, NewTable, ViewDefinition};
use crate::table::TableData;

impl Store {
    /// Makes a table.
    ///
    /// # Errors
    /// `TableAlreadyExists`, `UnknownDatabase`, what is wrong with the columns, the disk's.
    pub async fn create_table(&self, table: NewTable) -> Result<Arc<TableSchema>> {
        let name = table.name.clone();
        self.change_catalog(move |catalog| catalog.with_table(table).map(|(next, _)| next)).await?;
        self.shared.catalog.load().require(&name).cloned()
    }

    /// Drops a table and frees its disk.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownDatabase`, the disk's.
    pub async fn drop_table(&self, name: &TableName) -> Result<()> {
        let name = name.clone();
        self.drop_tables(move |catalog| catalog.without_table(&name)).await
    }

    /// Renames a table.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownDatabase`, `TableAlreadyExists`, the disk's.
    pub async fn rename_table(&self, from: &TableName, to: &TableName) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        self.change_catalog(move |catalog| catalog.with_table_renamed(&from, &to)).await
    }

    /// Gives two tables each other's name, both at once.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownDatabase`, the disk's.
    pub async fn exchange_tables(&self, one: &TableName, other: &TableName) -> Result<()> {
        let (one, other) = (one.clone(), other.clone());
        self.change_catalog(move |catalog| catalog.with_tables_exchanged(&one, &other)).await
    }

    /// Changes a table: all operations or none. No stored row is touched but those that expire.
    ///
    /// # Errors
    /// `UnknownTable`, what an operation cannot do, the disk's.
    pub async fn alter_table(&self, name: &TableName, operations: Vec<AlterOp>) -> Result<()> {
        let before = self.shared.catalog.load().require(name)?.clone();
        let ttl = operations.iter().rev().find_map(|operation| match operation {
            AlterOp::ModifyTtl { seconds } => Some(*seconds),
            _ => None,
        });
        let longer = match (before.ttl_seconds, ttl) {
            (Some(_), Some(None)) => true,
            (Some(old), Some(Some(new))) => new > old,
            _ => false,
        };
        let owned = name.clone();
        self.change_catalog(move |catalog| catalog.with_table_altered(&owned, &operations)).await?;
        if longer {
            let table = self.shared.data(before.id)?;
            self.job(|done| Job::ResetCutoff { table, done }).await?;
        }
        Ok(())
    }

    /// Sets or removes the age at which rows are dropped.
    ///
    /// # Errors
    /// `UnknownTable`; `BadArguments` for a table without a time column; the disk's.
    pub async fn set_ttl(&self, name: &TableName, seconds: Option<u64>) -> Result<()> {
        self.alter_table(name, vec![AlterOp::ModifyTtl { seconds }]).await
    }

    /// Makes a database.
    ///
    /// # Errors
    /// `DatabaseAlreadyExists`, the disk's.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.change_catalog(move |catalog| catalog.with_database(&name)).await
    }

    /// Drops a database with its tables and views.
    ///
    /// # Errors
    /// `UnknownDatabase`, the disk's.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.drop_tables(move |catalog| catalog.without_database(&name)).await
    }

    /// Stores a view's definition.
    ///
    /// # Errors
    /// `TableAlreadyExists`, `UnknownDatabase`, the disk's.
    pub async fn create_view(&self, view: ViewDefinition) -> Result<()> {
        self.change_catalog(move |catalog| catalog.with_view(view)).await
    }

    /// Begins a materialized view. Rows of the source that are there already count only with `backfill`.
    ///
    /// # Errors
    /// `TableAlreadyExists`, `UnknownDatabase`, `UnknownTable` for the source, what its query says to a row, the
    /// disk's.
    pub async fn create_materialized_view(&self, view: ViewDefinition, backfill: bool) -> Result<()> {
        self.require_alone("a materialized view")?;
        let view = Box::new(view);
        self.job(|done| Job::CreateView { view, backfill, done }).await
    }

    /// Removes a view's definition, and what a materialized one has counted.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownDatabase`, the disk's.
    pub async fn drop_view(&self, name: &TableName) -> Result<()> {
        let name = name.clone();
        self.drop_tables(move |catalog| catalog.without_view(&name)).await
    }

    /// Does a change of the catalog on this node alone. A materialized view begins without the rows there already.
    ///
    /// # Errors
    /// As the function for the change.
    pub async fn change(&self, change: Ddl) -> Result<()> {
        use ErrorCode::{DatabaseAlreadyExists, TableAlreadyExists, UnknownDatabase, UnknownTable};
        const MISSING: [ErrorCode; 2] = [UnknownTable, UnknownDatabase];
        let (done, forgiven, forgivable): (Result<()>, bool, &[ErrorCode]) = match change {
            Ddl::CreateDatabase { name, if_not_exists } => {
                (self.create_database(&name).await, if_not_exists, &[DatabaseAlreadyExists])
            }
            Ddl::DropDatabase { name, if_exists } => (self.drop_database(&name).await, if_exists, &MISSING),
            Ddl::CreateTable { table, if_not_exists } => {
                (self.create_table(table).await.map(drop), if_not_exists, &[TableAlreadyExists])
            }
            Ddl::DropTable { name, if_exists } => (self.drop_table(&name).await, if_exists, &MISSING),
            Ddl::RenameTable { from, to } => (self.rename_table(&from, &to).await, false, &[]),
            Ddl::ExchangeTables { one, other } => (self.exchange_tables(&one, &other).await, false, &[]),
            Ddl::AlterTable { name, operations } => (self.alter_table(&name, operations).await, false, &[]),
            Ddl::TruncateTable { name, if_exists } => (self.truncate_table(&name).await, if_exists, &MISSING),
            Ddl::DeleteRows { table, schema, condition, .. } => {
                (self.delete_rows(table, schema, condition.as_bytes()).await, false, &[])
            }
            Ddl::CreateView { view, if_not_exists } => {
                let made = match view.materialized {
                    true => self.create_materialized_view(view, false).await,
                    false => self.create_view(view).await,
                };
                (made, if_not_exists, &[TableAlreadyExists])
            }
            Ddl::DropView { name, if_exists } => (self.drop_view(&name).await, if_exists, &MISSING),
        };
        match done {
            Err(error) if forgiven && forgivable.contains(&error.code) => Ok(()),
            other => other,
        }
    }

    /// Takes over the catalog that a cluster has agreed on, whatever lies between: tables that it has no more are
    /// dropped with their rows. One that is not newer changes nothing.
    ///
    /// # Errors
    /// The disk's.
    pub async fn take_catalog(&self, agreed: Arc<Catalog>) -> Result<()> {
        let before = self.catalog();
        if agreed.version() <= before.version() {
            return Ok(());
        }
        let longer = |table: &&Arc<TableSchema>| {
            let old = before.table_by_id(table.id).and_then(|old| old.ttl_seconds);
            old.is_some_and(|old| table.ttl_seconds.is_none_or(|new| new > old))
        };
        let longer: Vec<_> = agreed.tables().filter(longer).map(|table| table.id).collect();
        self.drop_tables(move |now| {
            let newest = if agreed.version() > now.version() { &agreed } else { now };
            Ok(Catalog::clone(newest))
        })
        .await?;
        for table in longer {
            if let Ok(table) = self.shared.data(table) {
                self.job(|done| Job::ResetCutoff { table, done }).await?;
            }
        }
        Ok(())
    }

    async fn drop_tables(
        &self,
        change: impl FnOnce(&Catalog) -> Result<Catalog> + Send + 'static,
    ) -> Result<()> {
        let before: Vec<Arc<TableData>> = self.shared.tables.load().values().cloned().collect();
        let views_before: Vec<_> = self.catalog().views().cloned().collect();
        self.change_catalog(change).await?;
        let catalog = self.catalog();
        for view in views_before.iter().filter(|view| view.materialized) {
            let (Some(id), Some(source)) = (view.target, view.source) else { continue };
            if let Ok(source) = self.shared.data(source)
                && catalog.view_by_id(id).is_none()
            {
                self.job(|done| Job::ForgetView { source, view: id, done }).await?;
            }
        }
        let tables: Vec<_> = before.into_iter().filter(|table| table.is_dropped()).collect();
        if tables.is_empty() {
            return Ok(());
        }
        self.job(|done| Job::Forget { tables, done }).await
    }

    /// Commits a changed catalog off the caller's thread: it syncs files.
    async fn change_catalog(
        &self,
        change: impl FnOnce(&Catalog) -> Result<Catalog> + Send + 'static,
    ) -> Result<()> {
        let shared = self.shared.clone();
        let commit = move || {
            let _ddl = shared.ddl.lock();
            let next = change(&shared.catalog.load())?;
            shared.commit_catalog(next)
        };
        match tokio::task::spawn_blocking(commit).await {
            Ok(result) => result,
            Err(error) => Err(Error::internal(format!("a change of the catalog did not end: {error}"))),
        }
    }

    /// Gives the background thread a job and waits for its end.
    pub(super) async fn job<T: Send + 'static>(&self, make: impl FnOnce(Done<T>) -> Job) -> Result<T> {
        let (done, answer) = oneshot::channel();
        send_job(self.shared.clone(), make(done)).await?;
        answer.await.unwrap_or_else(|_| Err(super::shared::closing()))
    }
}

async fn send_job(shared: Arc<Shared>, job: Job) -> Result<()> {
    // The queue is bounded; a send may have to wait for the job that runs.
    let sent = tokio::task::spawn_blocking(move || shared.jobs.send(job).is_ok()).await;
    if matches!(sent, Ok(true)) { Ok(()) } else { Err(super::shared::closing()) }
}
