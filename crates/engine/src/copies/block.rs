//! Rows of one block that go the same way: several partitions of one drain thread whose copies are on the same nodes.
//! They are encoded once; the entry of each partition refers to its own rows ([`Part`]), in memory, in the log and
//! between nodes.

use std::io::Cursor;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use bytes::Bytes;
use zepto_common::placement::Replica;
use zepto_common::{Error, Result, SchemaVersion, TableId};

/// Rows of several partitions.
#[derive(Debug)]
pub struct Block {
    /// The table.
    pub table: TableId,
    /// The schema that the rows were made with.
    pub schema: SchemaVersion,
    /// Number of rows.
    pub rows: u32,
    /// The rows as an Arrow IPC stream with one record batch.
    pub ipc: Bytes,
    /// Who gets all of its rows, as far as who cut it knew. What goes to anybody else is cut out.
    followers: Arc<[Replica]>,
    batch: OnceLock<RecordBatch>,
}

impl Block {
    /// Rows as they come from another node or from the log: whatever goes further is cut out.
    #[must_use]
    pub fn new(table: TableId, schema: SchemaVersion, rows: u32, ipc: Bytes) -> Self {
        Self { table, schema, rows, ipc, followers: Arc::default(), batch: OnceLock::new() }
    }

    /// Rows as they came in, with their encoding, for these copies.
    pub(crate) fn of_batch(
        (table, schema): (TableId, SchemaVersion),
        batch: RecordBatch,
        ipc: Bytes,
        followers: Arc<[Replica]>,
    ) -> Self {
        let rows = batch.num_rows() as u32;
        Self { table, schema, rows, ipc, followers, batch: OnceLock::from(batch) }
    }

    /// Whether all rows are meant for this copy.
    pub(crate) fn is_for(&self, replica: Replica) -> bool {
        self.followers.contains(&replica)
    }

    /// The rows.
    ///
    /// # Errors
    /// Bytes that are no such rows, or not so many.
    pub fn batch(&self) -> Result<&RecordBatch> {
        if let Some(batch) = self.batch.get() {
            return Ok(batch);
        }
        let batch = decode_rows(&self.ipc)?;
        if batch.num_rows() != self.rows as usize {
            return Err(Error::internal(format!("{} rows where {} are due", batch.num_rows(), self.rows)));
        }
        Ok(self.batch.get_or_init(|| batch))
    }

    /// Bytes of so many of its rows, about.
    pub(crate) fn share(&self, rows: u32) -> usize {
        let share = self.ipc.len() as u64 * u64::from(rows) / u64::from(self.rows.max(1));
        usize::try_from(share).unwrap_or(usize::MAX)
    }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.table, it.schema, it.rows);
        of(self) == of(other) && self.ipc == other.ipc
    }
}

/// Where the rows of an entry lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The block that has them.
    pub block: Arc<Block>,
    /// The first of them.
    pub first: u32,
}

impl Part {
    /// The range of so many rows.
    ///
    /// # Errors
    /// Rows that the block does not have.
    pub fn range(&self, rows: u32) -> Result<Range<u32>> {
        match self.first.checked_add(rows) {
            Some(end) if end <= self.block.rows => Ok(self.first..end),
            _ => {
                let (first, of) = (self.first, self.block.rows);
                Err(Error::internal(format!("{rows} rows from row {first} of a block of {of}")))
            }
        }
    }
}

/// The one batch of a payload.
pub(crate) fn decode_rows(payload: &[u8]) -> Result<RecordBatch> {
    let mut batches = StreamReader::try_new(Cursor::new(payload), None)?;
    match batches.next() {
        Some(batch) => Ok(batch?),
        None => Err(Error::internal("a rows frame without rows")),
    }
}
