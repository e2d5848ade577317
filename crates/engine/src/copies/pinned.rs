//! The owner's side of a whole state: one partition as it stands at its applied lsn, pinned, and read piece by piece.
//!
//! Taking it costs the drain thread a look at each part and the encoding of the windows; no row is copied. What was
//! pinned stays as it is, whatever is written, merged or removed meanwhile.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use bytes::Bytes;
use zepto_common::limits::{STATE_PIECE_BYTES, STATE_PIECE_ROWS};
use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, Lsn, PartitionId, Result, TableId};
use zepto_replication::History;

use super::whole::{Piece, TableSum, plain};
use crate::part::{Batches, Part};
use crate::run::columns;
use crate::store::encode_rows;
use crate::store::shared::Shared;

/// A partition as it stands at one applied lsn.
#[derive(Debug)]
pub struct Pinned {
    pub(crate) partition: PartitionId,
    pub(crate) history: History,
    pub(crate) tables: Vec<PinnedTable>,
    pub(crate) windows: Vec<(TableId, Bytes)>,
    /// While it lives the owner's log keeps what follows.
    pub(crate) _kept: Arc<()>,
}

/// One table's rows in the partition: parts in the order in which their rows came.
#[derive(Debug)]
pub(crate) struct PinnedTable {
    schema: Arc<TableSchema>,
    parts: Vec<(Part, Range<usize>)>,
    cutoff: Option<i64>,
}

impl Pinned {
    /// The partition.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Where it stands.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.history.end().lsn
    }

    /// The pieces, in their order. Reads segments: not for a thread that must not wait.
    #[must_use]
    pub fn pieces(self) -> Pieces {
        Pieces {
            state: self,
            step: Step::Begin,
            table: 0,
            part: 0,
            batches: None,
            waiting: Vec::new(),
            sums: Vec::new(),
        }
    }
}

/// Pins every table's rows of a partition. To be called where nothing is applied meanwhile.
///
/// # Errors
/// `NotImplemented` for states of materialized views, which are not sent yet.
pub(crate) fn pin_tables(shared: &Shared, partition: PartitionId) -> Result<Vec<PinnedTable>> {
    let catalog = shared.catalog.load();
    let mut tables = Vec::new();
    let mut all: Vec<_> = shared.tables.load().values().cloned().collect();
    all.sort_by_key(|data| data.id);
    for data in all {
        let Some(schema) = catalog.table_by_id(data.id) else { continue };
        let states: Vec<_> = data.cells().shards.iter().map(|cell| cell.load()).collect();
        if states.iter().any(|state| state.views.values().any(|view| !view.segments.is_empty())) {
            let message =
                format!("{} has a materialized view, whose states are not sent to other copies", schema.name);
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
        let mut segments: Vec<_> = states.iter().flat_map(|state| state.segments.iter()).collect();
        segments.sort_by_key(|stored| stored.age);
        let stored = segments.into_iter().map(|stored| Part::Segment(stored.segment.clone()));
        let fresh = states.iter().flat_map(|state| state.unflushed());
        let parts = stored.chain(fresh).filter_map(|part| {
            let range = rows_of(&part, partition)?;
            Some((part, range))
        });
        let cutoff = states[shared.shard_of(partition)].cutoff;
        let parts: Vec<_> = parts.collect();
        if !parts.is_empty() {
            tables.push(PinnedTable { schema: schema.clone(), parts, cutoff });
        }
    }
    Ok(tables)
}

/// The rows of a partition in a part, if it has any.
pub(crate) fn rows_of(part: &Part, partition: PartitionId) -> Option<Range<usize>> {
    let found = part.partition_rows().into_iter().find(|(of, _)| *of == partition)?;
    Some(found.1).filter(|range| !range.is_empty())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    Rows,
    Windows,
    End,
    Over,
}

/// The pieces of a pinned partition, read when they are asked for. A fault is the last one.
pub struct Pieces {
    state: Pinned,
    step: Step,
    table: usize,
    part: usize,
    batches: Option<Batches>,
    /// Halves of a batch that was too large for a piece, the first one last.
    waiting: Vec<RecordBatch>,
    sums: Vec<TableSum>,
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces").field("partition", &self.state.partition).field("step", &self.step).finish()
    }
}

impl Iterator for Pieces {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        let piece = self.advance();
        if matches!(piece, Some(Err(_))) {
            self.step = Step::Over;
        }
        piece
    }
}

impl Pieces {
    fn advance(&mut self) -> Option<Result<Piece>> {
        loop {
            match self.step {
                Step::Begin => {
                    self.step = Step::Rows;
                    return Some(Ok(Piece::Begin(self.state.history.clone())));
                }
                Step::Rows => match self.next_rows() {
                    Ok(None) => self.step = Step::Windows,
                    Ok(Some(rows)) => return Some(self.rows_piece(&rows)),
                    Err(error) => return Some(Err(error)),
                },
                Step::Windows => match self.state.windows.pop() {
                    None => self.step = Step::End,
                    Some((table, bytes)) => return Some(Ok(Piece::Window { table, bytes })),
                },
                Step::End => {
                    self.step = Step::Over;
                    return Some(Ok(Piece::End(std::mem::take(&mut self.sums))));
                }
                Step::Over => return None,
            }
        }
    }

    /// The next rows that make one piece, without dictionaries.
    fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(rows) = self.waiting.pop() {
                let bytes: usize = rows.columns().iter().map(columns::memory).sum();
                if bytes > STATE_PIECE_BYTES && rows.num_rows() > 1 {
                    let half = rows.num_rows() / 2;
                    self.waiting.push(rows.slice(half, rows.num_rows() - half));
                    self.waiting.push(rows.slice(0, half));
                    continue;
                }
                return Ok(Some(rows));
            }
            let Some(table) = self.state.tables.get(self.table) else { return Ok(None) };
            let Some(batches) = &mut self.batches else {
                let Some((part, range)) = table.parts.get(self.part) else {
                    (self.table, self.part) = (self.table + 1, 0);
                    continue;
                };
                let all: Vec<usize> = (0..table.schema.columns.len()).collect();
                let ranges = std::slice::from_ref(range);
                self.batches = Some(part.scan(&table.schema, &all, ranges, STATE_PIECE_ROWS));
                continue;
            };
            match batches.next() {
                None => {
                    self.batches = None;
                    self.part += 1;
                }
                Some(rows) => {
                    let rows = unexpired(&table.schema, rows?, table.cutoff)?;
                    if rows.num_rows() > 0 {
                        self.waiting.push(plain(&rows)?);
                    }
                }
            }
        }
    }

    fn rows_piece(&mut self, rows: &RecordBatch) -> Result<Piece> {
        let schema = &self.state.tables[self.table].schema;
        if self.sums.last().is_none_or(|sum| sum.table != schema.id) {
            self.sums.push(TableSum::of(schema.id));
        }
        if let Some(sum) = self.sums.last_mut() {
            sum.add(rows)?;
        }
        let count = rows.num_rows() as u32;
        Ok(Piece::Rows { table: schema.id, schema: schema.version, rows: count, ipc: encode_rows(rows)? })
    }
}

fn unexpired(schema: &TableSchema, rows: RecordBatch, cutoff: Option<i64>) -> Result<RecordBatch> {
    let (Some(cutoff), Some(time)) = (cutoff, schema.time_index()) else { return Ok(rows) };
    let ticks = columns::ticks(rows.column(time))?;
    let keep =
        arrow::array::BooleanArray::from_iter((0..rows.num_rows()).map(|row| Some(ticks[row] >= cutoff)));
    Ok(filter_record_batch(&rows, &keep)?)
}
