//! Statements that change the catalog, as data: what is agreed on in a cluster and applied by every member alike.

use serde::{Deserialize, Serialize};

use super::{AlterOp, Catalog, NewTable, ViewDefinition};
use crate::limits::CONDITION_BYTES_MAX;
use crate::schema::TableName;
use crate::{Error, ErrorCode, Result, SchemaVersion, TableId};

/// One change of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ddl {
    /// CREATE DATABASE.
    CreateDatabase {
        /// Its name.
        name: String,
        /// An existing one is no error.
        if_not_exists: bool,
    },
    /// DROP DATABASE, with its tables and views.
    DropDatabase {
        /// Its name.
        name: String,
        /// A missing one is no error.
        if_exists: bool,
    },
    /// CREATE TABLE.
    CreateTable {
        /// The table.
        table: NewTable,
        /// An existing one is no error.
        if_not_exists: bool,
    },
    /// DROP TABLE.
    DropTable {
        /// Its name.
        name: TableName,
        /// A missing one is no error.
        if_exists: bool,
    },
    /// RENAME TABLE.
    RenameTable {
        /// Its name.
        from: TableName,
        /// Its next name.
        to: TableName,
    },
    /// EXCHANGE TABLES: both at once.
    ExchangeTables {
        /// One name.
        one: TableName,
        /// The other.
        other: TableName,
    },
    /// ALTER TABLE: all operations or none.
    AlterTable {
        /// Its name.
        name: TableName,
        /// In order.
        operations: Vec<AlterOp>,
    },
    /// TRUNCATE TABLE: an entry of the catalog, so that it has one place in the order of all changes.
    TruncateTable {
        /// Its name.
        name: TableName,
        /// A missing one is no error.
        if_exists: bool,
    },
    /// DELETE or UPDATE: an entry of the catalog, so that it has one place in the order of all changes, and a number.
    DeleteRows {
        /// The table's name.
        name: TableName,
        /// Its id when the condition was understood.
        table: TableId,
        /// The schema that the condition reads.
        schema: SchemaVersion,
        /// What the SQL side of each node understands: which rows, and the values of an UPDATE; nothing in it depends on who
        /// reads it, or when.
        condition: String,
    },
    /// CREATE [MATERIALIZED] VIEW. A materialized one without a target gets an id for its states.
    CreateView {
        /// The view.
        view: ViewDefinition,
        /// An existing one is no error.
        if_not_exists: bool,
    },
    /// DROP VIEW.
    DropView {
        /// Its name.
        name: TableName,
        /// A missing one is no error.
        if_exists: bool,
    },
}

impl Ddl {
    /// The catalog after this change; None if IF EXISTS or IF NOT EXISTS made it nothing.
    ///
    /// # Errors
    /// As the catalog's own functions; the catalog stays as it was.
    pub fn apply(&self, catalog: &Catalog) -> Result<Option<Catalog>> {
        use ErrorCode::{DatabaseAlreadyExists, TableAlreadyExists, UnknownDatabase, UnknownTable};
        match self {
            Self::CreateDatabase { name, if_not_exists } => {
                forgive(catalog.with_database(name), *if_not_exists, &[DatabaseAlreadyExists])
            }
            Self::DropDatabase { name, if_exists } => {
                forgive(catalog.without_database(name), *if_exists, &[UnknownDatabase])
            }
            Self::CreateTable { table, if_not_exists } => {
                let next = catalog.with_table(table.clone()).map(|(next, _)| next);
                forgive(next, *if_not_exists, &[TableAlreadyExists])
            }
            Self::DropTable { name, if_exists } => {
                forgive(catalog.without_table(name), *if_exists, &[UnknownTable, UnknownDatabase])
            }
            Self::RenameTable { from, to } => catalog.with_table_renamed(from, to).map(Some),
            Self::ExchangeTables { one, other } => catalog.with_tables_exchanged(one, other).map(Some),
            Self::AlterTable { name, operations } => catalog.with_table_altered(name, operations).map(Some),
            Self::TruncateTable { name, if_exists } => {
                forgive(catalog.with_table_emptied(name), *if_exists, &[UnknownTable, UnknownDatabase])
            }
            Self::DeleteRows { name, table, schema, condition } => {
                if condition.len() > CONDITION_BYTES_MAX {
                    let message = format!("The condition has more than {CONDITION_BYTES_MAX} bytes");
                    return Err(Error::new(ErrorCode::QueryIsTooLarge, message));
                }
                if catalog.require(name)?.id != *table || catalog.schema(*table, *schema).is_none() {
                    let message = format!("Table {name} is another one by now: repeat the statement");
                    return Err(Error::new(ErrorCode::UnknownTable, message));
                }
                catalog.with_table_emptied(name).map(Some)
            }
            Self::CreateView { view, if_not_exists } => {
                forgive(create_view(catalog, view), *if_not_exists, &[TableAlreadyExists])
            }
            Self::DropView { name, if_exists } => {
                forgive(catalog.without_view(name), *if_exists, &[UnknownTable, UnknownDatabase])
            }
        }
    }
}

fn create_view(catalog: &Catalog, view: &ViewDefinition) -> Result<Catalog> {
    if !view.materialized || view.target.is_some() {
        return catalog.with_view(view.clone());
    }
    let (reserved, id) = catalog.with_reserved_id();
    let mut view = ViewDefinition { target: Some(id), ..view.clone() };
    if let Some(states) = &mut view.states {
        states.id = id;
    }
    // One change is one version, whatever it takes inside.
    Ok(Catalog { version: catalog.version + 1, ..reserved.with_view(view)? })
}

fn forgive(result: Result<Catalog>, wanted: bool, codes: &[ErrorCode]) -> Result<Option<Catalog>> {
    match result {
        Ok(next) => Ok(Some(next)),
        Err(error) if wanted && codes.contains(&error.code) => Ok(None),
        Err(error) => Err(error),
    }
}
