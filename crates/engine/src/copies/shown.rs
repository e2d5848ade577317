//! From committed entries to chunks: entries that refer to one block become one chunk again, in which no row was copied
//! when all of them are there.
//!
//! Promise: within a partition, rows stay in the order of their entries.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use zepto_common::schema::TableSchema;
use zepto_common::{PartitionId, Result};

use super::block::Block;
use crate::chunk::Chunk;
use crate::table::TableData;

/// The rows of an entry that is to be shown.
pub(crate) enum Rows {
    /// Its own.
    Alone(Chunk),
    /// Some of a block, whose columns are those of the schema.
    Part(Arc<TableSchema>, Arc<Block>, Range<u32>),
}

struct Piece {
    shard: usize,
    table: Arc<TableData>,
    rows: PieceRows,
}

enum PieceRows {
    Alone(Chunk),
    Parts { schema: Arc<TableSchema>, block: Arc<Block>, parts: Vec<(PartitionId, Range<u32>)> },
}

/// What is to be shown together.
#[derive(Default)]
pub(crate) struct Shown {
    pieces: Vec<Piece>,
    /// The last piece of a block, by drain thread and address.
    blocks: HashMap<(usize, *const Block), usize>,
}

impl Shown {
    /// Adds the next rows of a partition. `floor`: where its rows before are; 0 before its first.
    pub(crate) fn add(
        &mut self,
        (shard, partition): (usize, PartitionId),
        floor: &mut usize,
        table: Arc<TableData>,
        rows: Rows,
    ) {
        let rows = match rows {
            Rows::Alone(chunk) => PieceRows::Alone(chunk),
            Rows::Part(schema, block, range) => {
                let key = (shard, Arc::as_ptr(&block));
                if let Some(&index) = self.blocks.get(&key)
                    && index >= *floor
                    && let Some(PieceRows::Parts { parts, .. }) =
                        self.pieces.get_mut(index).map(|it| &mut it.rows)
                {
                    parts.push((partition, range));
                    *floor = index + 1;
                    return;
                }
                self.blocks.insert(key, self.pieces.len());
                PieceRows::Parts { schema, block, parts: vec![(partition, range)] }
            }
        };
        self.pieces.push(Piece { shard, table, rows });
        *floor = self.pieces.len();
    }

    /// The chunks with their drain threads and tables, in an order that keeps that of each partition.
    pub(crate) fn into_chunks(self) -> Vec<(usize, Arc<TableData>, Chunk)> {
        let mut chunks = Vec::with_capacity(self.pieces.len());
        for Piece { shard, table, rows } in self.pieces {
            match rows {
                PieceRows::Alone(chunk) => chunks.push((shard, table, chunk)),
                PieceRows::Parts { schema, block, parts } => match joined(&schema, &block, parts) {
                    Ok(joined) => chunks.extend(joined.into_iter().map(|it| (shard, table.clone(), it))),
                    // Their columns and ranges were checked before they counted as shown.
                    Err(error) => tracing::error!(%error, "committed rows cannot be put together"),
                },
            }
        }
        chunks
    }
}

/// One chunk of parts of a block, or one for each where that is not possible.
fn joined(
    schema: &Arc<TableSchema>,
    block: &Block,
    mut parts: Vec<(PartitionId, Range<u32>)>,
) -> Result<Vec<Chunk>> {
    let batch = block.batch()?;
    parts.sort_by_key(|(partition, _)| *partition);
    let total: u32 = parts.iter().map(|(_, range)| range.end - range.start).sum();
    let adjacent = parts.windows(2).all(|pair| pair[0].1.end == pair[1].1.start);
    if adjacent && total == block.rows {
        return Ok(vec![Chunk::new(schema.clone(), batch.clone(), parts)?]);
    }
    let slice = |range: &Range<u32>| batch.slice(range.start as usize, (range.end - range.start) as usize);
    let slices: Vec<RecordBatch> = parts.iter().map(|(_, range)| slice(range)).collect();
    let mut end = 0;
    let placed = parts.iter().map(|(partition, range)| {
        let start = end;
        end += range.end - range.start;
        (*partition, start..end)
    });
    let placed: Vec<_> = placed.collect();
    // Copied: a slice would hold, and count, the whole block.
    let together = concat_batches(&batch.schema(), &slices).map_err(zepto_common::Error::from);
    match together.and_then(|rows| Chunk::new(schema.clone(), rows, placed)) {
        Ok(chunk) => Ok(vec![chunk]),
        Err(error) => {
            tracing::warn!(%error, "parts of a block are shown one by one");
            let alone = |((partition, range), rows): (&(PartitionId, Range<u32>), RecordBatch)| {
                Chunk::new(schema.clone(), rows, vec![(*partition, 0..range.end - range.start)])
            };
            parts.iter().zip(slices).map(alone).collect()
        }
    }
}
