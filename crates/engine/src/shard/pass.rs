//! One pass: dedup check, positions, frames, one sync, publication, answers. Order is the whole point: nothing is
//! seen or answered before the sync, and after a failed one nothing of the group is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use arrow::array::UInt64Array;
use tokio::sync::oneshot;
use zepto_common::clock::wall_nanos;
use zepto_common::metric_names::WAL_SYNC_DURATION;
use zepto_common::{BatchId, Error, ErrorCode, Lsn, PartitionId, Result, SchemaVersion, TableId};

use super::apply::TableRows;
use super::{GROUP_BYTES_MAX, GROUP_ITEMS_MAX, Shard, Stored, WriteItem, tell_all};
use crate::chunk::Chunk;
use crate::dedup::{BatchKey, Content, PartRows, Verdict, marks};
use crate::error::EngineError;
use crate::store::LogState;
use crate::wal::{Frame, RowsFrame, RowsItem, SchemaFrame};

/// What waits for the sync: an answer, and rows unless all were there before.
struct Staged {
    answers: Vec<oneshot::Sender<Result<Stored>>>,
    stored: Stored,
}

/// The work of one pass until its sync.
#[derive(Default)]
struct Staging {
    staged: Vec<Staged>,
    rows: BTreeMap<TableId, TableRows>,
    /// Keys that this pass makes durable.
    keys: Vec<(TableId, BatchKey)>,
    /// Marks of sources that this pass has raised, with what they were.
    raised: Vec<(TableId, u128, PartitionId, Option<u64>)>,
}

/// A partition's part of an item that is not stored yet.
#[derive(Debug, Clone, Copy)]
struct FreshPart {
    partition: PartitionId,
    first_row: u32,
    rows: u32,
}

/// What of an item is new.
struct Fresh {
    parts: Vec<FreshPart>,
    /// Known parts are not durable yet: the answer waits for this pass.
    pending: bool,
}

impl Shard {
    /// Takes what waits, up to the bounds of a group.
    pub(super) fn gather(&self) -> Vec<WriteItem> {
        let (mut group, mut bytes) = (Vec::new(), 0);
        while bytes < GROUP_BYTES_MAX && group.len() < GROUP_ITEMS_MAX {
            let Some(item) = self.drain().ring.pop(WriteItem::row_count) else { break };
            bytes += item.payload.len();
            group.push(item);
        }
        group
    }

    /// Makes a group durable and visible and answers it.
    pub(super) fn pass(&mut self, group: Vec<WriteItem>) {
        let now = Instant::now();
        let slots = group.len();
        let bytes = group.iter().map(|item| item.bytes).sum();
        match self.ready_for_rows(now) {
            Ok(()) => self.commit(group, now),
            Err(error) => {
                for item in group {
                    item.answer(&Err(error.clone()));
                }
            }
        }
        self.drain().ring.free(slots, bytes);
    }

    pub(super) fn ready_for_rows(&mut self, now: Instant) -> Result<()> {
        if self.shared.health.is_failed(self.index) {
            return self.shared.health.check(self.index);
        }
        let room = self.space.check(&self.shared, now);
        if let Err(error) = &room {
            let reason = error.message.clone();
            self.shared.health.set(self.index, LogState::ReadOnly { reason }, error.code);
        }
        room
    }

    /// Notes that a disk which refused rows takes them again, though nobody writes.
    pub(super) fn look_again(&mut self) {
        if !self.shared.health.is_read_only(self.index)
            || !self.space.takes_rows_again(&self.shared, self.index, Instant::now())
        {
            return;
        }
        let (state, code) = match self.log.settle_or_fail() {
            Ok(true) => (LogState::Healthy, ErrorCode::LogicalError),
            Ok(false) => return,
            Err(error) => (LogState::Failed { reason: error.to_string() }, error.code()),
        };
        self.shared.health.set(self.index, state, code);
    }

    fn commit(&mut self, group: Vec<WriteItem>, now: Instant) {
        let lsns_before = self.lsns.clone();
        let now_ms = wall_nanos() / 1_000_000;
        let mut staging = Staging::default();
        for item in group {
            self.stage(item, &mut staging, now_ms);
        }
        if let Err(error) = self.sync_log() {
            self.undo(&staging, lsns_before);
            for staged in staging.staged {
                tell_all(staged.answers, &Err(error.clone()));
            }
            return;
        }
        for (table, key) in &staging.keys {
            let window = &mut self.tables.entry(*table).or_default().window;
            window.commit(key);
            window.evict(now_ms);
        }
        self.apply(staging.rows, now);
        for staged in staging.staged {
            tell_all(staged.answers, &Ok(staged.stored));
        }
    }

    /// As if the pass had never been. After a log failure nothing is accepted any more, so it does no harm there.
    fn undo(&mut self, staging: &Staging, lsns_before: Vec<u64>) {
        self.lsns = lsns_before;
        for (table, key) in &staging.keys {
            self.tables.entry(*table).or_default().window.abandon(key);
        }
        for &(table, source, partition, before) in staging.raised.iter().rev() {
            self.tables.entry(table).or_default().window.marks.restore(source, partition, before);
        }
        for table in staging.rows.keys() {
            self.tables.entry(*table).or_default().schema_logged = SchemaVersion(0);
        }
    }

    /// Puts an item's new rows into the log's group, or answers it.
    fn stage(&mut self, item: WriteItem, staging: &mut Staging, now_ms: i64) {
        match self.try_stage(&item, staging, now_ms) {
            Ok((stored, true)) => staging.staged.push(Staged { answers: item.answers, stored }),
            Ok((stored, false)) => item.answer(&Ok(stored)),
            Err(error) => item.answer(&Err(error)),
        }
    }

    /// What will be stored of an item, and whether the answer must wait for the sync.
    fn try_stage(&mut self, item: &WriteItem, staging: &mut Staging, now_ms: i64) -> Result<(Stored, bool)> {
        if item.table.is_dropped() {
            let message = format!("Table {} was dropped", item.chunk.schema.name);
            return Err(Error::new(ErrorCode::UnknownTable, message));
        }
        let Fresh { parts: fresh, pending } = self.fresh_parts(item, staging)?;
        let rows: u64 = fresh.iter().map(|part| u64::from(part.rows)).sum();
        let stored = Stored { rows, duplicate_rows: item.row_count() - rows };
        if fresh.is_empty() {
            return Ok((stored, pending));
        }
        let chunk = chunk_of(&item.chunk, &fresh)?;
        self.announce_schema(item)?;
        self.append_rows(item, &fresh)?;
        let table = item.table.clone();
        let entry =
            staging.rows.entry(item.table.id).or_insert_with(|| TableRows { table, chunks: Vec::new() });
        entry.chunks.push(chunk);
        if let (Some(BatchId::Source(source)), Some(offsets)) = (item.batch, &item.offsets) {
            self.raise_marks(item.table.id, source, offsets, &fresh, staging);
        } else if let Some(batch) = item.batch {
            let key = BatchKey { batch, block: item.block };
            let parts: Vec<PartRows> = fresh.iter().map(|part| (part.partition, part.rows)).collect();
            let content = content_of(item);
            self.tables.entry(item.table.id).or_default().window.begin(key, &parts, content, now_ms);
            staging.keys.push((item.table.id, key));
        }
        Ok((stored, true))
    }

    /// The parts of an item that are not stored yet.
    fn fresh_parts(&mut self, item: &WriteItem, staging: &Staging) -> Result<Fresh> {
        let parts = item.chunk.parts.iter();
        let mut parts: Vec<FreshPart> = parts
            .map(|(partition, range)| FreshPart {
                partition: *partition,
                first_row: range.start,
                rows: range.end - range.start,
            })
            .collect();
        let Some(batch) = item.batch else { return Ok(Fresh { parts, pending: false }) };
        if let (BatchId::Source(source), Some(offsets)) = (batch, &item.offsets) {
            let marks = &self.tables.entry(item.table.id).or_default().window.marks;
            marks.check_room(source)?;
            parts.retain_mut(|part| {
                let of = marks::slice(offsets, part.first_row, part.rows);
                let known = marks.known(source, part.partition, of) as u32;
                (part.first_row, part.rows) = (part.first_row + known, part.rows - known);
                part.rows > 0
            });
            // What is trimmed may be of this very pass: then it is durable when the others are.
            return Ok(Fresh { parts, pending: !staging.raised.is_empty() });
        }
        let key = BatchKey { batch, block: item.block };
        let rows: Vec<PartRows> = parts.iter().map(|part| (part.partition, part.rows)).collect();
        let content = content_of(item);
        let window = &self.tables.entry(item.table.id).or_default().window;
        let pending = match window.check(&key, &rows, &content)? {
            Verdict::New => false,
            Verdict::Duplicate { pending } => {
                parts.clear();
                pending
            }
            Verdict::Partial { known, pending } => {
                parts.retain(|part| known.binary_search(&part.partition).is_err());
                pending
            }
        };
        Ok(Fresh { parts, pending })
    }

    fn raise_marks(
        &mut self,
        table: TableId,
        source: u128,
        offsets: &UInt64Array,
        fresh: &[FreshPart],
        staging: &mut Staging,
    ) {
        let marks = &mut self.tables.entry(table).or_default().window.marks;
        for part in fresh {
            if let Some(last) = marks::slice(offsets, part.first_row, part.rows).last() {
                let before = marks.raise(source, part.partition, *last);
                staging.raised.push((table, source, part.partition, before));
            }
        }
    }

    fn append_rows(&mut self, item: &WriteItem, fresh: &[FreshPart]) -> Result<()> {
        let frame = RowsFrame {
            table: item.table.id,
            schema: item.chunk.schema.version,
            token: self.shared.token,
            batch: item.batch,
            block: item.block,
            items: self.take_positions(fresh),
            payload: item.payload.clone(),
        };
        self.log.append(&Frame::Rows(frame)).map_err(|error| {
            for part in fresh {
                self.lsns[usize::from(part.partition.0)] -= 1;
            }
            error.into()
        })
    }

    /// A frame for the schema version of an item, if this start has none yet for it in this log.
    fn announce_schema(&mut self, item: &WriteItem) -> Result<()> {
        let schema = &item.chunk.schema;
        let logged = self.tables.entry(item.table.id).or_default().schema_logged;
        if logged >= schema.version {
            return Ok(());
        }
        let places = self.places();
        let frame = SchemaFrame { token: self.shared.token, places: places.clone(), schema: schema.clone() };
        self.log.append(&Frame::Schema(frame))?;
        self.advance(&places);
        self.tables.entry(item.table.id).or_default().schema_logged = schema.version;
        Ok(())
    }

    fn take_positions(&mut self, fresh: &[FreshPart]) -> Vec<RowsItem> {
        let position = |part: &FreshPart| {
            let lsn = &mut self.lsns[usize::from(part.partition.0)];
            *lsn += 1;
            RowsItem { partition: part.partition, lsn: Lsn(*lsn), first_row: part.first_row, rows: part.rows }
        };
        fresh.iter().map(position).collect()
    }

    /// Syncs the group and notes the log's health.
    ///
    /// # Errors
    /// `NotEnoughSpace`, `TableIsReadOnly`: nothing of the group is stored. `UnknownStatusOfInsert`: perhaps.
    pub(super) fn sync_log(&mut self) -> Result<()> {
        let bytes = self.log.waiting_bytes() as u64;
        if bytes == 0 {
            return Ok(());
        }
        let error = match self.log.sync() {
            Ok(took) => {
                self.logged.bytes += bytes;
                self.shared.counters.syncs.fetch_add(1, Ordering::Relaxed);
                metrics::histogram!(WAL_SYNC_DURATION).record(took.as_secs_f64());
                self.shared.health.set(self.index, LogState::Healthy, ErrorCode::LogicalError);
                return Ok(());
            }
            Err(error) => error,
        };
        let reason = error.to_string();
        let state = match &error {
            EngineError::DiskFull { .. }
            | EngineError::ReadOnlyDisk { .. }
            | EngineError::LeftBehind { .. } => LogState::ReadOnly { reason },
            _ => LogState::Failed { reason },
        };
        let unknown =
            matches!(state, LogState::Failed { .. }) || matches!(error, EngineError::LeftBehind { .. });
        self.shared.health.set(self.index, state, error.code());
        if unknown {
            let message =
                format!("the rows may be stored or not: {error}; repeat with the same token after it");
            return Err(Error::new(ErrorCode::UnknownStatusOfInsert, message));
        }
        Err(error.into())
    }
}

/// The chunk of the new rows of an item: all of it, but after a restart with another number of drain threads and where
/// a feed reads again.
fn chunk_of(chunk: &Chunk, fresh: &[FreshPart]) -> Result<Chunk> {
    let rows: usize = fresh.iter().map(|part| part.rows as usize).sum();
    if rows == chunk.rows.num_rows() {
        return Ok(chunk.clone());
    }
    let slices: Vec<_> =
        fresh.iter().map(|part| chunk.rows.slice(part.first_row as usize, part.rows as usize)).collect();
    let rows = arrow::compute::concat_batches(&chunk.rows.schema(), &slices)?;
    let mut end = 0;
    let parts = fresh.iter().map(|part| {
        end += part.rows;
        (part.partition, end - part.rows..end)
    });
    let parts = parts.collect();
    Chunk::new(Arc::clone(&chunk.schema), rows, parts)
}

fn content_of(item: &WriteItem) -> Content {
    let print = if item.repeatable { Content::hashed } else { Content::unhashed };
    print(item.chunk.schema.version, &item.payload)
}
