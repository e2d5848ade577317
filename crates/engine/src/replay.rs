//! From the logs back into memory after a start: frames above the applied lsns become chunks again, and when they
//! would take too much memory they are flushed on the way, so a start needs no more memory than running does.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{RecordBatch, UInt64Array};
use bytes::Bytes;
use zepto_common::clock::wall_nanos;
use zepto_common::schema::TableSchema;
use zepto_common::source::split_offsets;
use zepto_common::{BatchId, Error, ErrorCode, Lsn, PartitionId, Result, TableId};
use zepto_replication::LogOp;

use crate::background::Background;
use crate::chunk::Chunk;
use crate::copies::data::{CopyData, Next};
use crate::copies::decode_rows;
use crate::copies::frames::LogPlace;
use crate::copies::shown::Shown;
use crate::dedup::{BatchKey, Content, PartRows, Window, WindowLimits};
use crate::shard::Cut;
use crate::shard::apply::merge_tail;
use crate::store::shared::Shared;
use crate::table::{ActiveChunk, TableData};
use crate::wal::{CheckpointFrame, CopyFrame, Frame, LogPosition, Place, RowsFrame, RowsItem};

/// Frames between two lines that say how far it is.
const REPORT_EVERY: u64 = 200_000;

/// What the drain threads go on with.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// Last lsn by partition number.
    pub(crate) lsns: Vec<u64>,
    /// By drain thread and table.
    pub(crate) windows: HashMap<(usize, TableId), Window>,
    pub(crate) rows: u64,
    pub(crate) frames: u64,
    /// By partition, in a store with copies.
    pub(crate) copies: Option<Vec<CopyData>>,
}

/// Takes frames in order.
pub(crate) struct Replayer<'a> {
    background: &'a mut Background,
    state: Replayed,
    started: Instant,
}

impl<'a> Replayer<'a> {
    /// Begins at the manifest's lsns with its windows.
    ///
    /// # Errors
    /// A window that cannot be read.
    pub(crate) fn new(background: &'a mut Background) -> Result<Self> {
        let alone = background.manifest.copies.is_none();
        let windows = if alone { windows_of(background)? } else { HashMap::new() };
        let lsns = background.manifest.applied.clone();
        let copies = copies_of(background)?;
        let state = Replayed { lsns, windows, rows: 0, frames: 0, copies };
        Ok(Self { background, state, started: Instant::now() })
    }

    /// The state after the last frame.
    ///
    /// # Errors
    /// `CorruptedData` when an entry that a copy needs was not found.
    pub(crate) fn finish(mut self) -> Result<Replayed> {
        for (partition, copy) in self.state.copies.iter_mut().flatten().enumerate() {
            if !copy.settle() {
                let message = format!(
                    "partition {partition}: entries that are not in segments yet are missing in the logs"
                );
                return Err(Error::new(ErrorCode::CorruptedData, message));
            }
        }
        Ok(self.state)
    }

    /// Takes one frame.
    ///
    /// # Errors
    /// `CorruptedData` for a gap or for rows that cannot be read; the disk's when memory had to be flushed.
    pub(crate) fn take(&mut self, thread: u16, at: LogPosition, frame: Frame) -> Result<()> {
        self.state.frames += 1;
        if self.state.frames.is_multiple_of(REPORT_EVERY) {
            let (frames, rows) = (self.state.frames, self.state.rows);
            tracing::info!(
                frames,
                rows,
                seconds = self.started.elapsed().as_secs_f64(),
                "replaying the logs"
            );
        }
        match frame {
            Frame::Copy(frame) => {
                let partition = frame.partition;
                if self.take_copy(LogPlace { thread, at }, *frame)? {
                    self.show([partition])?;
                }
            }
            Frame::Copies(frames) => {
                let mut fresh = BTreeSet::new();
                for frame in frames.entries {
                    let partition = frame.partition;
                    if self.take_copy(LogPlace { thread, at }, frame)? {
                        fresh.insert(partition);
                    }
                }
                self.show(fresh)?;
            }
            Frame::Rows(frame) => self.take_rows(at, &frame)?,
            Frame::Schema(frame) => drop(self.pass_places(at, &frame.places)?),
            Frame::EpochStart(frame) => drop(self.pass_places(at, &frame.places)?),
            Frame::TtlCutoff(frame) => {
                let fresh = self.pass_places(at, &frame.places)?;
                self.raise_cutoff(frame.table, frame.cutoff, &fresh);
            }
            Frame::Checkpoint(frame) => self.take_positions(at, &frame)?,
            Frame::Truncate(_)
            | Frame::Mutation(_)
            | Frame::View(_)
            | Frame::Forget(_)
            | Frame::ObjectReference(_) => {
                let message = format!(
                    "log file {} at byte {}: a frame of a cluster's node, which a node alone cannot obey",
                    at.sequence, at.offset
                );
                return Err(Error::new(ErrorCode::NotImplemented, message));
            }
        }
        if self.background.shared.memory.wants_flush() {
            flush_all(self.background, &self.state)?;
        }
        Ok(())
    }

    /// Whether it is new. What the manifest covers is met one by one: until the last of it nothing can be shown.
    fn take_copy(&mut self, place: LogPlace, frame: CopyFrame) -> Result<bool> {
        let CopyFrame { partition, number, op } = frame;
        let corrupt = |what: String| {
            let LogPosition { sequence, offset } = place.at;
            let message = format!("log file {sequence} at byte {offset}: partition {partition}: {what}");
            Error::new(ErrorCode::CorruptedData, message)
        };
        let copies = self.state.copies.as_mut();
        let Some(copy) = copies.and_then(|all| all.get_mut(usize::from(partition.0))) else {
            return Err(corrupt("a copy that this store does not carry".to_owned()));
        };
        let known = copy.state.number;
        if number <= known {
            if let LogOp::Append(entry) = op {
                copy.meet(entry, place);
            }
            return Ok(false);
        }
        if number != known + 1 {
            return Err(corrupt(format!("entry {number} follows entry {known}; a log file is missing")));
        }
        if matches!(op, LogOp::Installed(_)) {
            return Err(corrupt("a state was installed that the manifest does not have".to_owned()));
        }
        copy.log(op, place).map_err(corrupt)?;
        copy.note_keys(partition, copy.state.committed, wall_nanos() / 1_000_000);
        Ok(true)
    }

    /// Puts the rows of what is committed into memory.
    fn show(&mut self, partitions: impl IntoIterator<Item = PartitionId>) -> Result<()> {
        let shared = self.background.shared.clone();
        let mut shown = Shown::default();
        for partition in partitions {
            self.gather(&shared, partition, &mut shown)?;
        }
        for (shard, table, chunk) in shown.into_chunks() {
            self.state.rows += chunk.rows.num_rows() as u64;
            self.push(&table, shard, chunk);
        }
        Ok(())
    }

    fn gather(&mut self, shared: &Shared, partition: PartitionId, shown: &mut Shown) -> Result<()> {
        let mut floor = 0;
        loop {
            let copies = self.state.copies.as_mut();
            let Some(copy) = copies.and_then(|all| all.get_mut(usize::from(partition.0))) else {
                return Ok(());
            };
            // What the manifest covers may be met later on: until then nothing above it can be shown.
            if copy.frames.first().0 > copy.applied + 1 {
                return Ok(());
            }
            let next = copy.next_rows(shared, partition)?;
            self.state.lsns[usize::from(partition.0)] = copy.applied;
            match next {
                // The running store carries a change out; what follows waits for it.
                None | Some(Next::Change(_)) => return Ok(()),
                Some(Next::Nothing) => {}
                Some(Next::Rows(table, rows)) => {
                    shown.add((shared.shard_of(partition), partition), &mut floor, table, rows);
                }
            }
        }
    }

    /// Whether a position is above what the manifest covers; checks that none is missing.
    fn pass(&mut self, at: LogPosition, partition: PartitionId, lsn: Lsn) -> Result<bool> {
        let Some(last) = self.state.lsns.get_mut(usize::from(partition.0)) else {
            let message = format!(
                "log file {} at byte {}: partition {partition} does not exist",
                at.sequence, at.offset
            );
            return Err(Error::new(ErrorCode::CorruptedData, message));
        };
        if lsn.0 <= *last {
            return Ok(false);
        }
        if lsn.0 != *last + 1 {
            let message = format!(
                "log file {} at byte {}: partition {partition} goes from lsn {last} to {lsn}; a log file is missing",
                at.sequence, at.offset
            );
            return Err(Error::new(ErrorCode::CorruptedData, message));
        }
        *last = lsn.0;
        Ok(true)
    }

    fn pass_places(&mut self, at: LogPosition, places: &[Place]) -> Result<Vec<PartitionId>> {
        let mut fresh = Vec::new();
        for place in places {
            if self.pass(at, place.partition, place.lsn)? {
                fresh.push(place.partition);
            }
        }
        Ok(fresh)
    }

    fn raise_cutoff(&self, table: TableId, cutoff: i64, partitions: &[PartitionId]) {
        let shared = &self.background.shared;
        let Some(data) = shared.tables.load().get(&table).cloned() else { return };
        for &partition in partitions {
            data.cells().shards[shared.shard_of(partition)]
                .update(&shared.memory, |cell| cell.raise_cutoff(cutoff));
        }
    }

    fn take_rows(&mut self, at: LogPosition, frame: &RowsFrame) -> Result<()> {
        let mut fresh = Vec::with_capacity(frame.items.len());
        for item in &frame.items {
            if self.pass(at, item.partition, item.lsn)? {
                fresh.push(*item);
            }
        }
        let shared = self.background.shared.clone();
        let Some(data) = shared.tables.load().get(&frame.table).cloned() else {
            if shared.catalog.load().ever_had(frame.table) {
                return Ok(());
            }
            let message = format!(
                "log file {} at byte {}: rows of table {}, which the catalog never had",
                at.sequence, at.offset, frame.table
            );
            return Err(Error::new(ErrorCode::CorruptedData, message));
        };
        let unreadable = |error: Error| {
            let message = format!("log file {} at byte {}: {}", at.sequence, at.offset, error.message);
            Error::new(ErrorCode::CorruptedData, message)
        };
        let mut rows = None;
        if let Some(BatchId::Source(source)) = frame.batch.filter(|_| !fresh.is_empty()) {
            let (of_table, offsets) =
                decode_rows(&frame.payload).and_then(|rows| split_offsets(&rows)).map_err(unreadable)?;
            self.mark(frame.table, source, &offsets, &fresh).map_err(unreadable)?;
            rows = Some(of_table);
        } else {
            self.remember(frame, &fresh);
        }
        let floors = self.background.manifest.tables.get(&frame.table);
        fresh.retain(|item| floors.is_none_or(|table| item.lsn > table.floor_of(item.partition)));
        if fresh.is_empty() {
            return Ok(());
        }
        let schema = shared.catalog.load().schema(frame.table, frame.schema).cloned().ok_or_else(|| {
            unreadable(Error::internal(format!("schema version {} is not in the catalog", frame.schema)))
        })?;
        let rows = match rows {
            Some(rows) => rows,
            None => decode_rows(&frame.payload).map_err(unreadable)?,
        };
        for shard in 0..shared.drains.len() {
            let items: Vec<RowsItem> =
                fresh.iter().copied().filter(|item| shared.shard_of(item.partition) == shard).collect();
            if !items.is_empty() {
                let chunk = chunk_of(&schema, &rows, &items).map_err(unreadable)?;
                self.state.rows += chunk.rows.num_rows() as u64;
                self.push(&data, shard, chunk);
            }
        }
        Ok(())
    }

    /// Notes which offsets of a source the partitions have.
    fn mark(
        &mut self,
        table: TableId,
        source: u128,
        offsets: &UInt64Array,
        fresh: &[RowsItem],
    ) -> Result<()> {
        let shared = self.background.shared.clone();
        for item in fresh {
            let last = (item.first_row as usize + item.rows as usize).checked_sub(1);
            let Some(&last) = last.and_then(|last| offsets.values().get(last)) else {
                return Err(Error::internal("rows beyond those of the payload"));
            };
            let key = (shared.shard_of(item.partition), table);
            let window = self.state.windows.entry(key).or_default();
            window.marks.raise(source, item.partition, last);
        }
        Ok(())
    }

    fn take_positions(&mut self, at: LogPosition, frame: &CheckpointFrame) -> Result<()> {
        let fresh = self.pass_places(at, &frame.places)?;
        let shared = self.background.shared.clone();
        if !shared.tables.load().contains_key(&frame.table) {
            return Ok(());
        }
        for home in fresh {
            let window = self.state.windows.entry((shared.shard_of(home), frame.table)).or_default();
            window.marks.resume_at(home, &frame.feed, frame.offsets.iter().map(|at| (at.source, at.offset)));
        }
        Ok(())
    }

    fn push(&self, data: &Arc<TableData>, shard: usize, chunk: Chunk) {
        let shared = &self.background.shared;
        let limits = &shared.options.seal;
        let (chunk, id) = (ActiveChunk::new(chunk), shared.next_sealed_id());
        data.cells().shards[shard].update(&shared.memory, |cell| {
            cell.push(chunk, self.started);
            merge_tail(cell);
            if cell.active_rows() >= limits.rows || cell.active_bytes() >= limits.bytes {
                cell.seal(id);
            }
        });
    }

    fn remember(&mut self, frame: &RowsFrame, fresh: &[RowsItem]) {
        let Some(batch) = frame.batch else { return };
        let key = BatchKey { batch, block: frame.block };
        let shared = &self.background.shared;
        let table = self.background.manifest.tables.get(&frame.table).filter(|_| batch.is_token());
        let is_known = |item: &&RowsItem| table.is_none_or(|of| item.lsn > of.token_floor_of(item.partition));
        // A log that another number of threads wrote cuts blocks in another way.
        let manifest = &self.background.manifest;
        let same_cut = usize::from(manifest.drain_threads) == shared.drains.len()
            && frame.token.boot >= manifest.threads_since
            && fresh.len() == frame.items.len();
        let content =
            if same_cut { Content::hashed(frame.schema, &frame.payload) } else { Content::default() };
        let mut by_shard: HashMap<usize, Vec<PartRows>> = HashMap::new();
        for item in fresh.iter().filter(is_known) {
            by_shard.entry(shared.shard_of(item.partition)).or_default().push((item.partition, item.rows));
        }
        for (shard, parts) in by_shard {
            let window = self.state.windows.entry((shard, frame.table)).or_default();
            window.record(key, &parts, content, wall_nanos() / 1_000_000);
        }
    }
}

/// Flushes all that was replayed so far, of every shard, and says so in the manifest.
///
/// # Errors
/// The disk's.
pub(crate) fn flush_all(background: &mut Background, state: &Replayed) -> Result<()> {
    let shared = background.shared.clone();
    let mut flushed = Vec::new();
    let mut cuts = Vec::new();
    for shard in 0..shared.drains.len() {
        for table in shared.tables.load().values() {
            let id = shared.next_sealed_id();
            table.cells().shards[shard].update(&shared.memory, |cell| cell.seal(id));
        }
        background.flush_shard(shard, u64::MAX, &mut flushed)?;
        let owned = (0..shared.partitions).map(PartitionId).filter(|&p| shared.shard_of(p) == shard);
        let owned: Vec<PartitionId> = owned.collect();
        let copies = state
            .copies
            .iter()
            .flat_map(|all| owned.iter().filter_map(|p| Some((*p, all.get(usize::from(p.0))?))));
        let mut kept: Vec<(TableId, u16, Bytes)> = Vec::new();
        for (partition, copy) in copies.clone() {
            kept.extend(copy.windows.0.iter().map(|(id, window)| (*id, partition.0, window.encode())));
        }
        let windows = state.windows.iter().filter(|((of, _), window)| *of == shard && !window.is_empty());
        cuts.push((
            shard,
            Cut {
                applied: owned.iter().map(|p| (*p, Lsn(state.lsns[usize::from(p.0)]))).collect(),
                position: LogPosition::default(),
                sealed_below: u64::MAX,
                windows: windows
                    .map(|((of, table), window)| (*table, *of as u16, window.encode()))
                    .chain(kept)
                    .collect(),
                copies: copies.map(|(partition, copy)| (partition, copy.state.clone())).collect(),
                covers_old: state.copies.is_none(),
            },
        ));
    }
    background.manifest.windows.clear();
    background.commit_flushed(flushed, &cuts, None)?;
    background.relieve_hot();
    Ok(())
}

/// The copies as the manifest has them; None in a store that stands alone.
fn copies_of(background: &Background) -> Result<Option<Vec<CopyData>>> {
    let manifest = &background.manifest;
    let Some(states) = &manifest.copies else { return Ok(None) };
    let data =
        states.iter().zip(&manifest.applied).map(|(state, applied)| CopyData::new(state.clone(), *applied));
    let mut data: Vec<CopyData> = data.collect();
    for (&(table, partition), bytes) in &manifest.windows {
        if let Some(copy) = data.get_mut(usize::from(partition)) {
            let window = Window::decode(bytes.clone(), crate::copies::data::limits())?;
            copy.windows.0.insert(table, window);
        }
    }
    Ok(Some(data))
}

/// The manifest's windows, cut anew if the number of drain threads has changed.
fn windows_of(background: &Background) -> Result<HashMap<(usize, TableId), Window>> {
    let manifest = &background.manifest;
    let shared = &background.shared;
    let threads = shared.drains.len();
    let mut decoded: HashMap<TableId, Vec<(usize, Window)>> = HashMap::new();
    for (&(table, shard), bytes) in &manifest.windows {
        let window = Window::decode(bytes.clone(), WindowLimits::default())?;
        decoded.entry(table).or_default().push((usize::from(shard), window));
    }
    let mut windows = HashMap::new();
    for (table, of_shards) in decoded {
        if usize::from(manifest.drain_threads) == threads {
            windows.extend(of_shards.into_iter().map(|(shard, window)| ((shard, table), window)));
            continue;
        }
        for shard in 0..threads {
            let parts = of_shards.iter().map(|(_, window)| window);
            let merged = Window::merge(parts, |partition| shared.shard_of(partition) == shard);
            windows.insert((shard, table), merged);
        }
    }
    Ok(windows)
}

/// The rows that these items name.
fn chunk_of(schema: &Arc<TableSchema>, rows: &RecordBatch, items: &[RowsItem]) -> Result<Chunk> {
    let total = rows.num_rows() as u64;
    if items.iter().any(|item| u64::from(item.first_row) + u64::from(item.rows) > total) {
        return Err(Error::internal(format!("rows beyond the {total} of the payload")));
    }
    let mut items = items.to_vec();
    items.sort_by_key(|item| item.partition);
    let adjacent = items.windows(2).all(|pair| pair[0].first_row + pair[0].rows == pair[1].first_row);
    let count: u32 = items.iter().map(|item| item.rows).sum();
    let rows = match items.first() {
        Some(first) if adjacent => rows.slice(first.first_row as usize, count as usize),
        _ => {
            let slices: Vec<_> =
                items.iter().map(|item| rows.slice(item.first_row as usize, item.rows as usize)).collect();
            arrow::compute::concat_batches(&rows.schema(), &slices)?
        }
    };
    let mut end = 0;
    let parts: Vec<(PartitionId, Range<u32>)> = items
        .iter()
        .map(|item| {
            end += item.rows;
            (item.partition, end - item.rows..end)
        })
        .collect();
    Chunk::new(schema.clone(), rows, parts)
}
