//! ALTER TABLE: what each operation does to a schema. Columns keep their ids, so no stored row is touched.

use serde::{Deserialize, Serialize};

use super::{TableEntry, check_columns};
use crate::schema::{Column, ColumnDefault, TableSchema};
use crate::{Error, ErrorCode, Result};

/// Where a new column goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnPosition {
    /// Behind all others.
    Last,
    /// Before all others.
    First,
    /// Behind this one.
    After(String),
}

/// One operation of ALTER TABLE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlterOp {
    /// ADD COLUMN. Rows from before have its default; the id given is ignored.
    AddColumn {
        /// The column.
        column: Column,
        /// Where.
        position: ColumnPosition,
        /// An existing column of this name is no error.
        if_not_exists: bool,
    },
    /// DROP COLUMN.
    DropColumn {
        /// Its name.
        name: String,
        /// A missing one is no error.
        if_exists: bool,
    },
    /// RENAME COLUMN.
    RenameColumn {
        /// Its name.
        from: String,
        /// Its next name.
        to: String,
        /// A missing one is no error.
        if_exists: bool,
    },
    /// MODIFY TTL, REMOVE TTL (None).
    ModifyTtl {
        /// Age at which rows are dropped.
        seconds: Option<u64>,
    },
    /// MODIFY COLUMN … DEFAULT, REMOVE DEFAULT: for rows to come, and where stored rows have no value.
    Default {
        /// The column's name.
        name: String,
        /// Its next default.
        default: ColumnDefault,
    },
    /// MODIFY COMMENT.
    Comment(String),
    /// COMMENT COLUMN.
    CommentColumn {
        /// Its name.
        name: String,
        /// The comment.
        comment: String,
    },
}

/// The schema after all operations; its version is the caller's.
pub(super) fn apply(entry: &mut TableEntry, operations: &[AlterOp]) -> Result<TableSchema> {
    let mut schema = (*entry.newest).clone();
    for operation in operations {
        match operation {
            AlterOp::AddColumn { column, position, if_not_exists } => {
                if !(*if_not_exists && schema.index_of(&column.name).is_some()) {
                    let column = Column { id: entry.next_column(), ..column.clone() };
                    add(&mut schema, column, position)?;
                }
            }
            AlterOp::DropColumn { name, if_exists } => drop_column(&mut schema, name, *if_exists)?,
            AlterOp::RenameColumn { from, to, if_exists } => {
                if let Some(index) = find(&schema, from, *if_exists)? {
                    schema.columns[index].name.clone_from(to);
                }
            }
            AlterOp::Default { name, default } => {
                if let Some(index) = find(&schema, name, false)? {
                    schema.columns[index].default.clone_from(default);
                }
            }
            AlterOp::ModifyTtl { seconds } => set_ttl(&mut schema, *seconds)?,
            AlterOp::Comment(comment) => schema.comment.clone_from(comment),
            AlterOp::CommentColumn { name, comment } => {
                if let Some(index) = find(&schema, name, false)? {
                    schema.columns[index].comment.clone_from(comment);
                }
            }
        }
        check_columns(&schema.columns)?;
    }
    Ok(schema)
}

fn find(schema: &TableSchema, name: &str, may_miss: bool) -> Result<Option<usize>> {
    match schema.index_of(name) {
        None if !may_miss => {
            let message = format!("there is no column {name} in table {}", schema.name);
            Err(Error::new(ErrorCode::NotFoundColumnInBlock, message))
        }
        found => Ok(found),
    }
}

fn add(schema: &mut TableSchema, column: Column, position: &ColumnPosition) -> Result<()> {
    let index = match position {
        ColumnPosition::Last => schema.columns.len(),
        ColumnPosition::First => 0,
        ColumnPosition::After(name) => match find(schema, name, false)? {
            Some(index) => index + 1,
            None => schema.columns.len(),
        },
    };
    schema.columns.insert(index, column);
    Ok(())
}

fn drop_column(schema: &mut TableSchema, name: &str, if_exists: bool) -> Result<()> {
    let Some(index) = find(schema, name, if_exists)? else { return Ok(()) };
    let id = schema.columns[index].id;
    if schema.key == Some(id) || schema.time == Some(id) || schema.order_by.contains(&id) {
        let message = format!("column {name} is the key, the time or in the ORDER BY: it cannot be dropped");
        return Err(Error::new(ErrorCode::AlterOfColumnIsForbidden, message));
    }
    schema.columns.remove(index);
    Ok(())
}

fn set_ttl(schema: &mut TableSchema, seconds: Option<u64>) -> Result<()> {
    if seconds.is_some() && schema.time.is_none() {
        let message = format!("table {} has no time column, so its rows have no age", schema.name);
        return Err(Error::new(ErrorCode::BadArguments, message));
    }
    schema.ttl_seconds = seconds;
    Ok(())
}
