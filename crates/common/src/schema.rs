//! Tables and columns. A column is known by its id, so a rename touches no data.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{ColumnId, SchemaVersion, TableId};
use crate::types::ColumnType;

/// The database that a name without one belongs to.
pub const DEFAULT_DATABASE: &str = "default";

/// A table's full name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// Database.
    pub database: String,
    /// Table in it.
    pub table: String,
}

impl TableName {
    /// `database.table`.
    pub fn new(database: impl Into<String>, table: impl Into<String>) -> Self {
        Self { database: database.into(), table: table.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// What a column gets when an INSERT leaves it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnDefault {
    /// NULL for Nullable, else the type's zero value.
    Zero,
    /// A constant as text, in the column type's TabSeparated form (unescaped).
    Constant(String),
    /// The wall clock when the block was received.
    Now,
}

/// One column of one schema version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Survives a rename.
    pub id: ColumnId,
    /// Its name in this version.
    pub name: String,
    /// Its type.
    #[serde(serialize_with = "write_type", deserialize_with = "read_type")]
    pub ty: ColumnType,
    /// For INSERTs that leave it out.
    pub default: ColumnDefault,
    /// The comment of CREATE TABLE.
    #[serde(default)]
    pub comment: String,
}

fn write_type<S: Serializer>(ty: &ColumnType, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&ty.to_string())
}

fn read_type<'de, D: Deserializer<'de>>(from: D) -> Result<ColumnType, D::Error> {
    String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
}

/// One version of one table's schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSchema {
    /// The table.
    pub id: TableId,
    /// This version.
    pub version: SchemaVersion,
    /// The table's name in this version.
    pub name: TableName,
    /// In order.
    pub columns: Vec<Column>,
    /// The partition key: rows hash by it and lie sorted by it.
    pub key: Option<ColumnId>,
    /// The time column: rows of one key lie sorted by it. DateTime or DateTime64, not Nullable.
    pub time: Option<ColumnId>,
    /// Sort order within a partition after key and time (tables without both: the whole ORDER BY).
    pub order_by: Vec<ColumnId>,
    /// Rows older than this many seconds are dropped.
    pub ttl_seconds: Option<u64>,
    /// The engine clause as written, for SHOW CREATE TABLE.
    pub engine: String,
    /// The table's comment.
    #[serde(default)]
    pub comment: String,
}

impl TableSchema {
    /// Index of the column with this name (names are case-sensitive, as in ClickHouse).
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Index of the column with this id.
    #[must_use]
    pub fn index_of_id(&self, id: ColumnId) -> Option<usize> {
        self.columns.iter().position(|column| column.id == id)
    }

    /// Index of the partition key.
    #[must_use]
    pub fn key_index(&self) -> Option<usize> {
        self.key.and_then(|id| self.index_of_id(id))
    }

    /// Index of the time column.
    #[must_use]
    pub fn time_index(&self) -> Option<usize> {
        self.time.and_then(|id| self.index_of_id(id))
    }

    /// Arrow schema of rows in storage.
    #[must_use]
    pub fn storage_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|c| c.ty.storage_field(&c.name)).collect::<Vec<_>>()))
    }

    /// Arrow schema of rows in queries.
    #[must_use]
    pub fn query_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|c| c.ty.query_field(&c.name)).collect::<Vec<_>>()))
    }
}
