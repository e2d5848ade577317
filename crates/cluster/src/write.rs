//! Rows on their way from an edge to the owners of their partitions, in both roles; `write.proto` tells the design.
//!
//! - [`OwnerWrites`], [`OwnerBatch`], [`Verdict`]: what an owner implements
//! - [`server`]: puts an [`OwnerWrites`] behind the gRPC service
//! - [`pool`]: an edge's streams to the owners, with the bound of bytes in flight
//! - [`ledger`]: what became of each partition's part, and what to do next; pure
//! - `positions`: from where a feed goes on
//! - [`sink`]: the [`zepto_common::service::RowSink`] that cuts a block by owner and sees it through
//! - `codec`: between these types and messages; `link`: one stream

mod codec;
pub mod ledger;
pub(crate) mod link;
pub mod pool;
pub(crate) mod positions;
pub mod server;
pub mod sink;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use zepto_common::ids::{Epoch, NodeId, PartitionId, PlacementVersion, SchemaVersion, TableId};
use zepto_common::{BatchId, Error, ErrorCode};

/// One owner's part of a block. The schema of `rows` is the sender's word: the owner compares it with its catalog.
#[derive(Debug, Clone)]
pub struct OwnerBatch {
    /// Who sends it.
    pub from: NodeId,
    /// The placement that the sender acts on.
    pub placement: PlacementVersion,
    /// The table.
    pub table: TableId,
    /// The schema that the rows were made with.
    pub schema: SchemaVersion,
    /// Recognises a repeat, together with table, partition and block.
    pub batch: BatchId,
    /// Number of the block in its batch.
    pub block: u32,
    /// A repeat by the client has the same bytes.
    pub repeatable: bool,
    /// Partitions ascending, each with the epoch that the sender knows; the ranges cover the rows.
    pub parts: Vec<(PartitionId, Epoch, Range<u32>)>,
    /// The rows, partition after partition.
    pub rows: RecordBatch,
    /// The same as they came: one Arrow IPC stream.
    pub payload: Bytes,
    /// The sender waits no longer.
    pub deadline: Instant,
}

/// What became of one partition's part.
#[derive(Debug, Clone)]
pub struct PartOutcome {
    /// The partition.
    pub partition: PartitionId,
    /// What became of its rows.
    pub verdict: Verdict,
}

/// The end of one partition's part. Only `Stored` and `Duplicate` are successes; `Unknown` alone leaves it open whether
/// this try has stored anything.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Durable on every in-sync copy, and visible.
    Stored,
    /// Was so before, under the same batch and block.
    Duplicate,
    /// Another owns the partition; the highest epoch known.
    NotOwner(Epoch),
    /// The receiver acts on this other placement and cannot judge.
    StalePlacement(PlacementVersion),
    /// The schema version is not there; the newest that is, 0 = the table is not known.
    UnknownSchema(SchemaVersion),
    /// No room; when there may be.
    Busy(Duration),
    /// Perhaps stored, and why nobody knows.
    Unknown(String),
    /// The same rows will be refused again.
    Refused(Error),
}

/// Positions of a feed's stream that are asked for, or to be raised.
#[derive(Debug, Clone)]
pub struct PositionsAt {
    /// The placement that the sender acts on.
    pub placement: PlacementVersion,
    /// Where the rows go.
    pub table: TableId,
    /// Name of the stream.
    pub stream: String,
    /// The partition that keeps the positions.
    pub home: PartitionId,
    /// Its grant as the sender knows it.
    pub epoch: Epoch,
    /// None: only asked.
    pub raise: BTreeMap<u32, u64>,
    /// The sender waits no longer.
    pub deadline: Instant,
}

/// Takes rows as the owner of their partitions.
#[async_trait]
pub trait OwnerWrites: Send + Sync + 'static {
    /// Makes the parts durable, each by itself. One outcome per part; a part without one counts as unknown.
    async fn write(&self, batch: OwnerBatch) -> Vec<PartOutcome>;

    /// Raises the positions of a feed's stream, durably, and gives all of them.
    ///
    /// # Errors
    /// Why not, never `Stored` or `Duplicate`.
    async fn positions(&self, _request: PositionsAt) -> Result<BTreeMap<u32, u64>, Verdict> {
        let message = "this node keeps no positions of feeds";
        Err(Verdict::Refused(Error::new(ErrorCode::NotImplemented, message)))
    }

    /// The placement and the catalog that this node acts on, for the envelopes of its answers.
    fn versions(&self) -> (PlacementVersion, u64);
}
