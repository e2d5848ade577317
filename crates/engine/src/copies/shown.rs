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

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::Int64Type;
    use zepto_common::types::ColumnType;

    use super::*;
    use crate::part::tests::rows;

    /// Rows `first..first + 4` of partitions 1 (three) and 3 (one).
    struct World {
        schema: Arc<TableSchema>,
        table: Arc<TableData>,
        shown: Shown,
    }

    impl World {
        fn new() -> Self {
            let schema = rows::table(None, None, &[ColumnType::Int64]);
            Self { table: Arc::new(TableData::new(schema.id, 2)), schema, shown: Shown::default() }
        }

        fn block(&self, first: i64) -> Arc<Block> {
            let numbers = Int64Array::from_iter_values(first..first + 4);
            let rows = RecordBatch::try_new(self.schema.storage_schema(), vec![Arc::new(numbers)]).unwrap();
            let of = (self.schema.id, self.schema.version);
            Arc::new(Block::of_batch(of, rows, bytes::Bytes::new(), Arc::default()))
        }

        fn add(&mut self, partition: u16, floor: &mut usize, block: &Arc<Block>) {
            let range = if partition == 1 { 0..3 } else { 3..4 };
            let rows = Rows::Part(self.schema.clone(), block.clone(), range);
            self.shown.add((0, PartitionId(partition)), floor, self.table.clone(), rows);
        }

        /// The numbers of each chunk by partition.
        fn chunks(self) -> Vec<Vec<(u16, Vec<i64>)>> {
            let of = |(_, _, chunk): (usize, Arc<TableData>, Chunk)| {
                let numbers = chunk.rows.column(0).as_primitive::<Int64Type>().values().to_vec();
                let parts = chunk.parts.iter();
                parts
                    .map(|(p, range)| (p.0, numbers[range.start as usize..range.end as usize].to_vec()))
                    .collect()
            };
            self.shown.into_chunks().into_iter().map(of).collect()
        }
    }

    #[test]
    fn parts_of_a_block_become_one_chunk_and_what_is_alone_is_copied_out() {
        let mut world = World::new();
        let (one, other) = (world.block(10), world.block(20));
        let mut floor = 0;
        world.add(1, &mut floor, &one);
        world.add(1, &mut floor, &other);
        world.add(3, &mut 0, &one);
        let chunks = world.chunks();
        assert_eq!(chunks, [vec![(1, vec![10, 11, 12]), (3, vec![13])], vec![(1, vec![20, 21, 22])]]);
    }

    #[test]
    fn a_chunk_of_a_whole_block_has_its_arrays_and_a_part_holds_no_more_than_its_rows() {
        let mut world = World::new();
        let (whole, half) = (world.block(10), world.block(20));
        world.add(1, &mut 0, &whole);
        world.add(3, &mut 0, &whole);
        world.add(3, &mut 0, &half);
        let chunks = std::mem::take(&mut world.shown).into_chunks();
        let column = |index: usize| chunks[index].2.rows.column(0);
        assert!(Arc::ptr_eq(column(0), whole.batch().unwrap().column(0)));
        assert!(
            column(1).get_buffer_memory_size()
                < half.batch().unwrap().column(0).get_buffer_memory_size() + 64
        );
        assert_eq!(column(1).len(), 1);
    }

    #[test]
    fn entries_that_came_in_another_order_in_one_partition_stay_in_it() {
        let mut world = World::new();
        let (one, other) = (world.block(10), world.block(20));
        let mut floor = 0;
        world.add(1, &mut floor, &one);
        world.add(1, &mut floor, &other);
        let mut floor = 0;
        world.add(3, &mut floor, &other);
        world.add(3, &mut floor, &one);
        let of_three: Vec<i64> =
            world.chunks().into_iter().flatten().filter(|(p, _)| *p == 3).flat_map(|(_, it)| it).collect();
        assert_eq!(of_three, [23, 13]);
    }
}
