//! What exists: databases, tables with their schema versions, views. A [`Catalog`] is an immutable value with a
//! version; every change is a pure function that gives the next one, and becomes true when its file is replaced.
//! Table ids and column ids are never reused, so a frame of a dropped table can never be taken for another's.

//!
//! The same code runs on a lone node, which keeps the catalog in a file, and in the coordinator, which agrees on it.

mod alter;
mod ddl;
mod document;
mod exchange;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::limits::{COLUMNS_MAX, NAME_BYTES_MAX, TABLES_MAX};
use crate::schema::{Column, DEFAULT_DATABASE, TableName, TableSchema};
use crate::types::ColumnType;
use crate::{ColumnId, Error, ErrorCode, Result, SchemaVersion, TableId};
use serde::{Deserialize, Serialize};

pub use alter::{AlterOp, ColumnPosition};
pub use ddl::Ddl;

/// A table to be made. Column ids are assigned by the catalog; those given are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTable {
    /// Its name; the database must exist.
    pub name: TableName,
    /// In order, at least one.
    pub columns: Vec<Column>,
    /// Name of the partition key column.
    pub key: Option<String>,
    /// Name of the time column: DateTime or DateTime64, not Nullable.
    pub time: Option<String>,
    /// Names of the ORDER BY columns.
    pub order_by: Vec<String>,
    /// Age at which rows are dropped.
    pub ttl_seconds: Option<u64>,
    /// The engine clause as written.
    pub engine: String,
    /// The table's comment.
    pub comment: String,
}

/// A table and every schema version that its rows may have been written with.
#[derive(Debug, Clone)]
pub struct TableEntry {
    /// The newest version.
    pub newest: Arc<TableSchema>,
    /// All versions, the newest among them.
    pub versions: BTreeMap<SchemaVersion, Arc<TableSchema>>,
    next_column: u32,
}

impl TableEntry {
    /// The id of the next column, for a column that is added.
    fn next_column(&mut self) -> ColumnId {
        self.next_column += 1;
        ColumnId(self.next_column - 1)
    }
}

/// A view as it was defined; what it means is the query side's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDefinition {
    /// Its name; shares the name space of tables.
    pub name: TableName,
    /// The CREATE statement as written.
    pub sql: String,
    /// The columns that it gives.
    pub columns: Vec<Column>,
    /// Whether its rows are kept up to date on ingest.
    pub materialized: bool,
    /// The id under which a materialized view's partial states are kept.
    pub target: Option<TableId>,
    /// The table that a materialized view follows.
    pub source: Option<TableId>,
    /// How the partial states are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub states: Option<TableSchema>,
    /// Columns of the source that a materialized view reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<ColumnId>,
}

/// All that exists, at one version.
#[derive(Debug, Clone)]
pub struct Catalog {
    version: u64,
    next_table: u64,
    databases: Vec<String>,
    tables: BTreeMap<TableId, Arc<TableEntry>>,
    by_name: HashMap<TableName, TableId>,
    views: BTreeMap<TableName, Arc<ViewDefinition>>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            version: 1,
            next_table: 1,
            databases: vec![DEFAULT_DATABASE.to_owned()],
            tables: BTreeMap::new(),
            by_name: HashMap::new(),
            views: BTreeMap::new(),
        }
    }
}

impl Catalog {
    /// Grows by one with each change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Names of the databases, sorted.
    #[must_use]
    pub fn databases(&self) -> &[String] {
        &self.databases
    }

    /// Whether there is a database of this name.
    #[must_use]
    pub fn has_database(&self, name: &str) -> bool {
        self.databases.iter().any(|database| database == name)
    }

    /// The newest schemas of all tables, by id.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<TableSchema>> {
        self.tables.values().map(|entry| &entry.newest)
    }

    /// The newest schema of a table, if there is one of this name.
    #[must_use]
    pub fn table(&self, name: &TableName) -> Option<&Arc<TableSchema>> {
        self.by_name.get(name).and_then(|id| self.table_by_id(*id))
    }

    /// The newest schema of a table.
    #[must_use]
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<TableSchema>> {
        self.tables.get(&id).map(|entry| &entry.newest)
    }

    /// A table with all its schema versions.
    #[must_use]
    pub fn entry(&self, id: TableId) -> Option<&Arc<TableEntry>> {
        self.tables.get(&id)
    }

    /// One version of a table's schema.
    #[must_use]
    pub fn schema(&self, id: TableId, version: SchemaVersion) -> Option<&Arc<TableSchema>> {
        self.tables.get(&id).and_then(|entry| entry.versions.get(&version))
    }

    /// All views, by name.
    pub fn views(&self) -> impl Iterator<Item = &Arc<ViewDefinition>> {
        self.views.values()
    }

    /// A view.
    #[must_use]
    pub fn view(&self, name: &TableName) -> Option<&Arc<ViewDefinition>> {
        self.views.get(name)
    }

    /// The materialized views that follow a table.
    pub fn views_of(&self, source: TableId) -> impl Iterator<Item = &Arc<ViewDefinition>> {
        self.views.values().filter(move |view| view.materialized && view.source == Some(source))
    }

    /// The materialized view whose states are kept under this id.
    #[must_use]
    pub fn view_by_id(&self, id: TableId) -> Option<&Arc<ViewDefinition>> {
        self.views.values().find(|view| view.target == Some(id))
    }

    /// Takes an id for the states of a view.
    #[must_use]
    pub fn with_reserved_id(&self) -> (Self, TableId) {
        let mut next = self.next();
        next.next_table += 1;
        (next, TableId(self.next_table))
    }

    /// Refuses what would take rows away from under materialized views.
    ///
    /// # Errors
    /// `HaveDependentObjects` with their names.
    pub fn require_unfollowed(&self, source: TableId) -> Result<()> {
        self.require_unfollowed_by(source, |_| true)
    }

    fn require_unfollowed_by(&self, source: TableId, stays: impl Fn(&ViewDefinition) -> bool) -> Result<()> {
        let names: Vec<String> =
            self.views_of(source).filter(|view| stays(view)).map(|view| view.name.to_string()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let message = format!("Materialized views follow this table: {}. Drop them first", names.join(", "));
        Err(Error::new(ErrorCode::HaveDependentObjects, message))
    }

    /// Whether this id was given to a table at some time.
    #[must_use]
    pub fn ever_had(&self, id: TableId) -> bool {
        id.0 < self.next_table
    }

    /// The newest schema of a table.
    ///
    /// # Errors
    /// `UnknownDatabase`, `UnknownTable`, `NotImplemented` for a view: it has no rows of its own.
    pub fn require(&self, name: &TableName) -> Result<&Arc<TableSchema>> {
        self.require_database(&name.database)?;
        if let Some(table) = self.table(name) {
            return Ok(table);
        }
        if self.view(name).is_some() {
            let message =
                format!("{name} is a view: it shows what its query reads and holds no rows of its own");
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
        Err(Error::new(ErrorCode::UnknownTable, format!("Table {name} does not exist")))
    }

    fn require_database(&self, name: &str) -> Result<()> {
        if self.has_database(name) {
            return Ok(());
        }
        Err(Error::new(ErrorCode::UnknownDatabase, format!("Database {name} does not exist")))
    }

    fn require_free(&self, name: &TableName) -> Result<()> {
        check_name(&name.table)?;
        self.require_database(&name.database)?;
        if self.by_name.contains_key(name) || self.views.contains_key(name) {
            return Err(Error::new(ErrorCode::TableAlreadyExists, format!("Table {name} already exists")));
        }
        Ok(())
    }

    fn next(&self) -> Self {
        Self { version: self.version + 1, ..self.clone() }
    }

    /// With another database.
    ///
    /// # Errors
    /// `DatabaseAlreadyExists`, a name that is empty or too long.
    pub fn with_database(&self, name: &str) -> Result<Self> {
        check_name(name)?;
        if self.has_database(name) {
            let message = format!("Database {name} already exists");
            return Err(Error::new(ErrorCode::DatabaseAlreadyExists, message));
        }
        let mut next = self.next();
        next.databases.push(name.to_owned());
        next.databases.sort();
        Ok(next)
    }

    /// Without a database, its tables and views.
    ///
    /// # Errors
    /// `UnknownDatabase`.
    pub fn without_database(&self, name: &str) -> Result<Self> {
        self.require_database(name)?;
        for table in self.tables().filter(|table| table.name.database == name) {
            self.require_unfollowed_by(table.id, |view| view.name.database != name)?;
        }
        let mut next = self.next();
        next.databases.retain(|database| database != name);
        next.tables.retain(|_, entry| entry.newest.name.database != name);
        next.by_name.retain(|table, _| table.database != name);
        next.views.retain(|view, _| view.database != name);
        Ok(next)
    }

    /// With another table.
    ///
    /// # Errors
    /// `TableAlreadyExists`, `UnknownDatabase`, or what is wrong with the columns.
    pub fn with_table(&self, table: NewTable) -> Result<(Self, Arc<TableSchema>)> {
        self.require_free(&table.name)?;
        if self.tables.len() >= TABLES_MAX {
            let message = format!("there are {TABLES_MAX} tables already, which is the most");
            return Err(Error::new(ErrorCode::TooManyParts, message));
        }
        let mut next = self.next();
        let schema = Arc::new(schema_of(table, TableId(next.next_table))?);
        next.next_table += 1;
        next.insert(TableEntry {
            newest: schema.clone(),
            versions: BTreeMap::from([(schema.version, schema.clone())]),
            next_column: schema.columns.len() as u32 + 1,
        });
        Ok((next, schema))
    }

    fn insert(&mut self, entry: TableEntry) {
        self.by_name.insert(entry.newest.name.clone(), entry.newest.id);
        self.tables.insert(entry.newest.id, Arc::new(entry));
    }

    /// Without a table.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownDatabase`.
    pub fn without_table(&self, name: &TableName) -> Result<Self> {
        let id = self.require(name)?.id;
        self.require_unfollowed(id)?;
        let mut next = self.next();
        next.by_name.remove(name);
        next.tables.remove(&id);
        Ok(next)
    }

    /// With a table's rows gone: the same tables at another version, so that TRUNCATE has a place in the order.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownDatabase`, `HaveDependentObjects`.
    pub fn with_table_emptied(&self, name: &TableName) -> Result<Self> {
        self.require_unfollowed(self.require(name)?.id)?;
        Ok(self.next())
    }

    /// With a table under another name.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownDatabase`, `TableAlreadyExists`.
    pub fn with_table_renamed(&self, from: &TableName, to: &TableName) -> Result<Self> {
        let id = self.require(from)?.id;
        self.require_free(to)?;
        self.with_version(id, |entry| Ok(TableSchema { name: to.clone(), ..(*entry.newest).clone() }))
    }

    /// With a table changed; all operations or none.
    ///
    /// # Errors
    /// `UnknownTable`, and what an operation cannot do.
    pub fn with_table_altered(&self, name: &TableName, operations: &[AlterOp]) -> Result<Self> {
        let table = self.require(name)?;
        let next = self.with_version(table.id, |entry| alter::apply(entry, operations))?;
        self.require_columns_of_views(&next, table)?;
        Ok(next)
    }

    /// Refuses a change after which a materialized view would not find a column that it reads under its name.
    fn require_columns_of_views(&self, next: &Self, table: &TableSchema) -> Result<()> {
        let Some(after) = next.table_by_id(table.id) else { return Ok(()) };
        for view in self.views_of(table.id) {
            for id in &view.reads {
                let name =
                    |schema: &TableSchema| schema.index_of_id(*id).map(|i| schema.columns[i].name.clone());
                if name(table) != name(after) {
                    let column = name(table).unwrap_or_default();
                    let message = format!(
                        "Column {column} is read by the materialized view {}: drop it first",
                        view.name
                    );
                    return Err(Error::new(ErrorCode::AlterOfColumnIsForbidden, message));
                }
            }
        }
        Ok(())
    }

    fn with_version(
        &self,
        id: TableId,
        change: impl FnOnce(&mut TableEntry) -> Result<TableSchema>,
    ) -> Result<Self> {
        let mut next = self.next();
        let mut entry = match next.tables.get(&id) {
            Some(entry) => (**entry).clone(),
            None => return Err(Error::new(ErrorCode::UnknownTable, format!("Table {id} does not exist"))),
        };
        next.by_name.remove(&entry.newest.name);
        let mut schema = change(&mut entry)?;
        schema.version = SchemaVersion(entry.newest.version.0 + 1);
        let schema = Arc::new(schema);
        entry.versions.insert(schema.version, schema.clone());
        entry.newest = schema;
        next.insert(entry);
        Ok(next)
    }

    /// With another view.
    ///
    /// # Errors
    /// `TableAlreadyExists`, `UnknownDatabase`.
    pub fn with_view(&self, view: ViewDefinition) -> Result<Self> {
        self.require_free(&view.name)?;
        if let Some(source) = view.source
            && self.table_by_id(source).is_none()
        {
            let message = format!("The table that {} should follow does not exist any more", view.name);
            return Err(Error::new(ErrorCode::UnknownTable, message));
        }
        let mut next = self.next();
        next.views.insert(view.name.clone(), Arc::new(view));
        Ok(next)
    }

    /// Without a view.
    ///
    /// # Errors
    /// `UnknownTable`, as ClickHouse says it of views too.
    pub fn without_view(&self, name: &TableName) -> Result<Self> {
        self.require_database(&name.database)?;
        let mut next = self.next();
        match next.views.remove(name) {
            Some(_) => Ok(next),
            None => Err(Error::new(ErrorCode::UnknownTable, format!("View {name} does not exist"))),
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
        let message = format!("a name must have 1 to {NAME_BYTES_MAX} bytes and no zero byte");
        return Err(Error::new(ErrorCode::BadArguments, message));
    }
    Ok(())
}

fn check_columns(columns: &[Column]) -> Result<()> {
    if columns.is_empty() {
        let message = "a table needs at least one column";
        return Err(Error::new(ErrorCode::EmptyListOfColumnsQueried, message));
    }
    if columns.len() > COLUMNS_MAX {
        let message = format!("a table can have {COLUMNS_MAX} columns at most");
        return Err(Error::new(ErrorCode::TooManyRowsOrBytes, message));
    }
    let mut names = std::collections::HashSet::with_capacity(columns.len());
    for column in columns {
        check_name(&column.name)?;
        if !names.insert(&column.name) {
            let message = format!("Cannot add column {}: column with this name already exists", column.name);
            return Err(Error::new(ErrorCode::DuplicateColumn, message));
        }
    }
    Ok(())
}

fn schema_of(table: NewTable, id: TableId) -> Result<TableSchema> {
    check_columns(&table.columns)?;
    let mut columns = table.columns;
    for (column, number) in columns.iter_mut().zip(1..) {
        column.id = ColumnId(number);
    }
    let find = |name: &String| {
        columns.iter().find(|column| column.name == *name).ok_or_else(|| {
            Error::new(
                ErrorCode::UnknownIdentifier,
                format!("there is no column {name} in table {}", table.name),
            )
        })
    };
    let key = table.key.as_ref().map(find).transpose()?;
    if let Some(key) = key
        && matches!(key.ty.inner(), ColumnType::Array(_) | ColumnType::Tuple(_) | ColumnType::Map(..))
    {
        let message = format!("column {} of type {} cannot be a partition key", key.name, key.ty);
        return Err(Error::new(ErrorCode::BadArguments, message));
    }
    let time = table.time.as_ref().map(find).transpose()?;
    if let Some(time) = time
        && !time.ty.is_time()
    {
        let message =
            format!("the time column {} must be DateTime or DateTime64, not {}", time.name, time.ty);
        return Err(Error::new(ErrorCode::BadArguments, message));
    }
    let order_by: Result<Vec<ColumnId>> = table.order_by.iter().map(|n| find(n).map(|c| c.id)).collect();
    Ok(TableSchema {
        id,
        version: SchemaVersion(1),
        key: key.map(|column| column.id),
        time: time.map(|column| column.id),
        order_by: order_by?,
        ttl_seconds: table.ttl_seconds,
        engine: table.engine,
        comment: table.comment,
        name: table.name,
        columns,
    })
}
