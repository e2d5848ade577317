//! What each statement does.

mod alter;
mod create;
mod evaluate;
mod insert;
mod materialized;
pub(crate) mod mutate;
mod query;
mod sets;
mod show;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::stream;
use zepto_common::catalog::Ddl;
use zepto_common::error::{Error, ErrorCode, Result};
use zepto_common::schema::{TableName, TableSchema};
use zepto_common::service::{Answer, RunningQuery, StatementsMeant};

use crate::service::{Core, Run};
use crate::statement::{NameText, ObjectKind, Statement};
use crate::system::{Cells, batch, is_built_in};

pub(crate) use evaluate::Evaluator;

/// Does it.
///
/// # Errors
/// ClickHouse's code for the fault.
pub(crate) async fn statement(run: Run, statement: Statement) -> Result<Answer> {
    match statement {
        Statement::Query(tokens) => query::select(run, tokens).await,
        Statement::Explain(kind, tokens) => query::explain(run, kind, tokens).await,
        Statement::Insert { table, columns, source } => insert::insert(run, &table, columns, source).await,
        Statement::CreateTable(create) => create::table(run, *create).await,
        Statement::CreateDatabase { name, if_not_exists } => {
            create::database(run, &name, if_not_exists).await
        }
        Statement::CreateView { name, query, if_not_exists, replace } => {
            create::view(run, &name, query, if_not_exists, replace).await
        }
        Statement::CreateMaterializedView(create) => materialized::create(run, *create).await,
        Statement::Drop { kind, names, if_exists } => drop_objects(run, kind, &names, if_exists).await,
        Statement::Rename(pairs) => rename(run, &pairs).await,
        Statement::Exchange(one, other) => exchange(run, &one, &other).await,
        Statement::Truncate { table, if_exists } => truncate(run, &table, if_exists).await,
        Statement::Alter { table, actions } => alter::alter(run, &table, actions).await,
        Statement::Optimize { table } => {
            let schema = run.table(&table).await?;
            run.core.store.optimize(schema.id).await?;
            Ok(run.done())
        }
        Statement::Delete { table, predicate } => mutate::delete(run, &table, predicate).await,
        Statement::Update { table, assignments, predicate } => {
            mutate::update(run, &table, assignments, predicate).await
        }
        Statement::Show(show) => show::show(run, show).await,
        Statement::Use(database) => use_database(run, database),
        Statement::Set(settings) => {
            crate::service::check_settings(&settings)?;
            let mut answer = run.done();
            answer.settings = settings;
            Ok(answer)
        }
        Statement::Kill { query_id, user, only_listed } => kill(run, query_id, user, only_listed).await,
    }
}

impl Run {
    /// An answer without rows.
    pub(crate) fn done(self) -> Answer {
        Answer {
            rows: None,
            beside: Arc::default(),
            format: None,
            settings: BTreeMap::new(),
            progress: self.guard.handle.progress.clone(),
            warnings: self.warnings,
        }
    }

    /// An answer of one batch.
    pub(crate) fn give(self, rows: RecordBatch) -> Answer {
        let schema = rows.schema();
        let stream = Box::pin(stream::iter([Ok(rows)]));
        let mut answer = self.done();
        answer.rows = Some((schema, stream));
        answer
    }

    /// The newest schema of a table of the engine; one that is not known here is asked for.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownDatabase`; for a view or a system table, that it cannot be written.
    pub(crate) async fn table(&self, name: &NameText) -> Result<Arc<TableSchema>> {
        let known = self.core.store.catalog().version();
        match self.known_table(name) {
            Err(error) if is_missing(error.code) && self.core.catch_up(known).await => self.known_table(name),
            other => other,
        }
    }

    fn known_table(&self, name: &NameText) -> Result<Arc<TableSchema>> {
        let name = Core::full_name(name, &self.context);
        let catalog = self.core.store.catalog();
        if is_built_in(&catalog, &name.database) || catalog.view(&name).is_some() {
            let message = format!("{name} is not a table that can be changed");
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
        catalog.require(&name).cloned()
    }

    /// The full name of a table to be made or renamed.
    ///
    /// # Errors
    /// In databases that are always there nothing is made.
    pub(crate) fn writable_name(&self, name: &NameText) -> Result<TableName> {
        let name = Core::full_name(name, &self.context);
        if is_built_in(&self.core.store.catalog(), &name.database) {
            let message = format!("The database {} cannot be changed", name.database);
            return Err(Error::new(ErrorCode::AccessDenied, message));
        }
        Ok(name)
    }
}

async fn drop_objects(run: Run, kind: ObjectKind, names: &[NameText], if_exists: bool) -> Result<Answer> {
    for name in names {
        let result = match kind {
            ObjectKind::Database if is_built_in(&run.core.store.catalog(), &name.table) => {
                let message = format!("The database {} cannot be dropped", name.table);
                Err(Error::new(ErrorCode::AccessDenied, message))
            }
            ObjectKind::Database => {
                run.core.change(Ddl::DropDatabase { name: name.table.clone(), if_exists: false }).await
            }
            ObjectKind::View => {
                run.core.change(Ddl::DropView { name: run.writable_name(name)?, if_exists: false }).await
            }
            ObjectKind::Table | ObjectKind::Dictionary => {
                let name = run.writable_name(name)?;
                let is_view = run.core.store.catalog().view(&name).is_some();
                run.core
                    .change(match is_view {
                        true => Ddl::DropView { name, if_exists: false },
                        false => Ddl::DropTable { name, if_exists: false },
                    })
                    .await
            }
        };
        match result {
            Err(error) if if_exists && is_missing(error.code) => {}
            other => other?,
        }
    }
    Ok(run.done())
}

fn is_missing(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::UnknownTable | ErrorCode::UnknownDatabase)
}

async fn rename(run: Run, pairs: &[(NameText, NameText)]) -> Result<Answer> {
    for (from, to) in pairs {
        let (from, to) = (run.writable_name(from)?, run.writable_name(to)?);
        run.core.change(Ddl::RenameTable { from, to }).await?;
    }
    Ok(run.done())
}

async fn exchange(run: Run, one: &NameText, other: &NameText) -> Result<Answer> {
    let (one, other) = (run.table(one).await?.name.clone(), run.table(other).await?.name.clone());
    run.core.change(Ddl::ExchangeTables { one, other }).await?;
    Ok(run.done())
}

async fn truncate(run: Run, table: &NameText, if_exists: bool) -> Result<Answer> {
    match run.table(table).await {
        Ok(schema) => {
            run.core.change(Ddl::TruncateTable { name: schema.name.clone(), if_exists: false }).await?;
        }
        Err(error) if if_exists && is_missing(error.code) => {}
        Err(error) => return Err(error),
    }
    Ok(run.done())
}

/// The session is the door's: it learns the database as a setting of the answer.
fn use_database(run: Run, database: String) -> Result<Answer> {
    if !run.core.has_database(&database) {
        return Err(Error::new(ErrorCode::UnknownDatabase, format!("Database {database} does not exist")));
    }
    let mut answer = run.done();
    answer.settings.insert("database".to_owned(), database);
    Ok(answer)
}

/// KILL QUERY, on whichever node it runs; with TEST it only tells whom it would stop.
async fn kill(run: Run, query_id: Option<String>, user: Option<String>, only_listed: bool) -> Result<Answer> {
    let me = run.context.query_id.clone();
    let meant = StatementsMeant { query_id, user };
    let (stopped, status) = match only_listed {
        true => {
            let mut listed = run.core.running_everywhere().await;
            listed.retain(|query| query.query_id != me && meant.has(query));
            (listed, "waiting")
        }
        false => (run.core.stop_everywhere(&meant, Some(&me)).await, "finished"),
    };
    let column = |of: fn(&RunningQuery) -> &String| {
        Cells::Text(stopped.iter().map(|query| of(query).clone()).collect())
    };
    let rows = batch(vec![
        ("kill_status", Cells::same(status, stopped.len())),
        ("query_id", column(|query| &query.query_id)),
        ("user", column(|query| &query.user)),
        ("query", column(|query| &query.query)),
    ])?;
    Ok(run.give(rows))
}
