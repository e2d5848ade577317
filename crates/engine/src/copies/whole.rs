//! A copy's whole state on its way to a node that lacks more than the owner's log still has: what is said, in which
//! order, and how both sides find that the same rows arrived.
//!
//! A state stands at one applied lsn and is said in pieces: [`Piece::Begin`], rows table by table in the order in which
//! they came, the deduplication windows, [`Piece::End`]. Sums are logical: over the rows' values, however they are encoded
//! or cut. docs/formats/copy-state.md has it in full.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::row::{RowConverter, SortField};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;
use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, Lsn, Result, SchemaVersion, TableId};
use zepto_replication::History;

use super::staged::Staged;
use crate::run::columns;

/// What [`zepto_replication::Message::Install`] has in place of a state: the state itself goes by a way of its own.
#[derive(Debug, Clone)]
pub enum Whole {
    /// It can be fetched. The owner's log begins here: a copy that has the entry before needs no state.
    Offered {
        /// The first entry of the owner's log.
        first: Lsn,
    },
    /// It was fetched, and lies on this node's disk.
    Fetched(Fetched),
}

/// A state that was fetched.
#[derive(Debug, Clone)]
pub struct Fetched(pub(crate) Arc<Staged>);

impl PartialEq for Whole {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Offered { first }, Self::Offered { first: other }) => first == other,
            (Self::Fetched(one), Self::Fetched(other)) => Arc::ptr_eq(&one.0, &other.0),
            _ => false,
        }
    }
}

impl Eq for Whole {}

/// A part of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// First: the tokens of all entries that the state holds; it stands at their end.
    Begin(History),
    /// Rows of one table, in the order in which they came as far as key and time are equal.
    Rows {
        /// The table.
        table: TableId,
        /// The schema that the rows have.
        schema: SchemaVersion,
        /// How many.
        rows: u32,
        /// An Arrow IPC stream with one record batch, without dictionaries.
        ipc: Bytes,
    },
    /// The deduplication window of one table.
    Window {
        /// The table.
        table: TableId,
        /// As in a manifest.
        bytes: Bytes,
    },
    /// Last: what was said, by table, ascending.
    End(Vec<TableSum>),
}

impl Piece {
    /// Bytes of what it carries.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Rows { ipc, .. } => ipc.len(),
            Self::Window { bytes, .. } => bytes.len(),
            Self::Begin(_) | Self::End(_) => 0,
        }
    }
}

/// The logical sum of a table's rows in one partition: the same for the same rows, in whatever order and form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSum {
    /// The table.
    pub table: TableId,
    /// Rows.
    pub rows: u64,
    /// Sum, modulo 2^64, of a hash of each row's values.
    pub sum: u64,
}

impl TableSum {
    /// Of no rows.
    #[must_use]
    pub fn of(table: TableId) -> Self {
        Self { table, rows: 0, sum: 0 }
    }

    /// Adds rows without dictionaries.
    ///
    /// # Errors
    /// Columns that have no order.
    pub fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        self.rows += rows.num_rows() as u64;
        if rows.num_columns() == 0 {
            return Ok(());
        }
        let fields = rows.columns().iter().map(|column| SortField::new(column.data_type().clone()));
        let converter = RowConverter::new(fields.collect())?;
        for row in &converter.convert_columns(rows.columns())? {
            self.sum = self.sum.wrapping_add(xxh3_64(row.as_ref()));
        }
        Ok(())
    }
}

/// Rows with plain values in place of dictionaries, which would come again with each piece.
///
/// # Errors
/// Of the cast.
pub fn plain(rows: &RecordBatch) -> Result<RecordBatch> {
    let mut fields = Vec::with_capacity(rows.num_columns());
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(rows.num_columns());
    for (field, array) in rows.schema().fields().iter().zip(rows.columns()) {
        let array = match array.data_type() {
            DataType::Dictionary(_, values) => cast(array, values)?,
            _ => array.clone(),
        };
        fields.push(Field::new(field.name(), array.data_type().clone(), field.is_nullable()));
        arrays.push(array);
    }
    columns::batch(Arc::new(Schema::new(fields)), arrays, rows.num_rows())
}

/// The rows in the storage types of their table.
///
/// # Errors
/// `IncorrectData` for rows that are not of this schema.
pub(crate) fn stored(schema: &TableSchema, rows: &RecordBatch) -> Result<RecordBatch> {
    let storage = schema.storage_schema();
    let wrong = || {
        let message =
            format!("rows of a copy's state are not of schema {} of {}", schema.version, schema.name);
        Error::new(ErrorCode::IncorrectData, message)
    };
    if storage.fields().len() != rows.num_columns() {
        return Err(wrong());
    }
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(rows.num_columns());
    for (field, array) in storage.fields().iter().zip(rows.columns()) {
        let plain = match field.data_type() {
            DataType::Dictionary(_, values) => values.as_ref(),
            other => other,
        };
        if array.data_type() != plain {
            return Err(wrong());
        }
        arrays.push(if array.data_type() == field.data_type() {
            array.clone()
        } else {
            cast(array, field.data_type())?
        });
    }
    columns::batch(storage, arrays, rows.num_rows())
}
