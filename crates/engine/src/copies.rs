//! What a store needs to carry copies of partitions that other nodes have too.
//!
//! Such a store has a [`zepto_replication::Copy`] of every partition; its drain threads carry out what the copies say.
//! No store has both kinds of partitions.

use bytes::Bytes;
use zepto_common::{SchemaVersion, TableId};

use crate::chunk::Chunk;

/// Rows of one partition and one block, on their way between logs.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The table.
    pub table: TableId,
    /// The schema that the rows were made with.
    pub schema: SchemaVersion,
    /// Number of rows.
    pub rows: u32,
    /// The rows as an Arrow IPC stream with one record batch.
    pub ipc: Bytes,
    /// The same rows where they came in, so that they need not be read again.
    #[expect(dead_code, reason = "for the drain threads")]
    pub(crate) chunk: Option<Chunk>,
}

impl Payload {
    /// Rows as they come from another node.
    #[must_use]
    pub fn new(table: TableId, schema: SchemaVersion, rows: u32, ipc: Bytes) -> Self {
        Self { table, schema, rows, ipc, chunk: None }
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        (self.table, self.schema, self.rows, &self.ipc) == (other.table, other.schema, other.rows, &other.ipc)
    }
}

impl Eq for Payload {}
