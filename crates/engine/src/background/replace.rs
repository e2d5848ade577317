//! Replacing whole copies: the state of another node's copy takes the place of what this node had, or nothing does.
//!
//! Everything that can take long or fail is done before: the new rows are in files already, and segments that have old
//! rows of the partition are written again without them. Then the drain thread stands still while the manifest is
//! replaced, which is the one point at which the copy changes: before it there is the old one after a crash, after it
//! the new one. The log entry that tells of it is written after that, and the manifest's number covers it.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::sync::oneshot;
use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, PartitionId, Result};

use super::files::entry_of;
use super::pause::stuck;
use super::{Background, warn_of};
use crate::chunk::Chunk;
use crate::copies::pinned::rows_of;
use crate::part::Part;
use crate::run::Run;
use crate::shard::Command;
use crate::shard::copies::{CopyCommand, Replaced, Replacement, TransferCommand};
use crate::table::{StoredSegment, TableData};

/// How long a drain thread may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rows that are copied at once.
const BATCH_ROWS: usize = 65_536;

/// A segment with rows of copies that go, and what takes its place.
struct Cleared {
    table: Arc<TableData>,
    shard: usize,
    old: u64,
    next: Option<Arc<StoredSegment>>,
}

impl Background {
    /// Writes rows of a state as a segment that the manifest does not name yet; gives it to whoever asked.
    pub(super) fn stage(
        &mut self,
        schema: &Arc<TableSchema>,
        chunks: &[Arc<Chunk>],
        done: oneshot::Sender<Result<Arc<StoredSegment>>>,
    ) {
        let room = self.room_for_state();
        let run = room.and_then(|()| Run::build(schema, chunks));
        let written = run.and_then(|run| self.write_segment(&Arc::new(run)));
        if let Ok(stored) = &written {
            stored.segment.cool();
        }
        if let Err(Ok(unwanted)) = done.send(written) {
            self.remove_segments([unwanted.id]);
        }
    }

    /// A state that comes in must leave the room that the logs need.
    fn room_for_state(&self) -> Result<()> {
        let options = &self.shared.options;
        match self.shared.disk().space(&options.data_dir) {
            Ok(space) if space.free < options.disk_reserve => {
                let message = format!("{} bytes are free: too few to take in a copy's state", space.free);
                Err(Error::new(ErrorCode::NotEnoughSpace, message))
            }
            // A disk that cannot tell is not known to be short.
            _ => Ok(()),
        }
    }

    /// Replaces the copies of a drain thread that wait for it.
    ///
    /// # Errors
    /// The disk's. The copies are as they were, and it is tried again when their owners offer a state again.
    pub(super) fn replace_copies(&mut self, shard: usize) -> Result<()> {
        let (answer, answered) = sync_channel(1);
        self.shared.drains[shard]
            .command(Command::Copies(CopyCommand::Transfer(TransferCommand::Replaceable(answer))))?;
        let list: Vec<Replacement> = answered.recv_timeout(PATIENCE).map_err(|_| stuck())?;
        if list.is_empty() {
            return Ok(());
        }
        let partitions: Vec<PartitionId> = list.iter().map(|it| it.partition).collect();
        if self.memory_has(shard, &partitions) {
            self.checkpoint(&[shard])?;
        }
        let mut cleared = Vec::new();
        let result = self
            .clear(&partitions, &mut cleared)
            .and_then(|()| self.sync_segments())
            .and_then(|()| self.commit_replaced(shard, list, &cleared));
        if result.is_err() {
            let orphans: Vec<u64> = cleared.iter().filter_map(|it| Some(it.next.as_ref()?.id)).collect();
            self.remove_segments(orphans);
        }
        self.weigh_hot();
        result
    }

    fn memory_has(&self, shard: usize, partitions: &[PartitionId]) -> bool {
        self.shared.tables.load().values().any(|table| has_unflushed(table, shard, partitions))
    }

    /// Writes every segment that has rows of these partitions again, without them.
    fn clear(&mut self, partitions: &[PartitionId], cleared: &mut Vec<Cleared>) -> Result<()> {
        let tables: Vec<Arc<TableData>> = self.shared.tables.load().values().cloned().collect();
        for table in tables {
            for shard in 0..self.shared.drains.len() {
                let segments = table.cells().shards[shard].load().segments.clone();
                for stored in segments.iter() {
                    let part = Part::Segment(stored.segment.clone());
                    if !partitions.iter().any(|partition| rows_of(&part, *partition).is_some()) {
                        continue;
                    }
                    let left = left_of(&part, partitions)?;
                    let next = if left.is_empty() {
                        None
                    } else {
                        let run = Arc::new(Run::build(part.schema(), &left)?);
                        let next = self.write_segment_aged(&run, Some(stored.age))?;
                        if stored.segment.hot().is_none() {
                            next.segment.cool();
                        }
                        Some(next)
                    };
                    cleared.push(Cleared { table: table.clone(), shard, old: stored.id, next });
                }
            }
        }
        Ok(())
    }

    fn commit_replaced(&mut self, shard: usize, list: Vec<Replacement>, cleared: &[Cleared]) -> Result<()> {
        let staged: Vec<_> = list.iter().filter_map(|it| it.staged.clone()).collect();
        let (answer, answered) = sync_channel(1);
        let (committed, outcome) = sync_channel(1);
        let replace = CopyCommand::Transfer(TransferCommand::Replace { list, answer, committed: outcome });
        self.shared.drains[shard].command(Command::Copies(replace))?;
        // From here on the drain thread stands still until it hears of the outcome, or that nobody will tell it.
        let replaced = answered.recv_timeout(PATIENCE).map_err(|_| stuck())??;
        let added: Vec<(Arc<TableData>, Arc<StoredSegment>)> = staged
            .iter()
            .flat_map(|staged| staged.segments.iter().cloned())
            .filter(|(table, _)| !table.is_dropped())
            .collect();
        self.commit(|manifest| {
            for it in cleared.iter().filter(|it| !it.table.is_dropped()) {
                let known = &mut manifest.table(it.table.id).segments;
                known.retain(|entry| entry.id != it.old);
                known.extend(it.next.iter().map(|stored| entry_of(stored, it.shard)));
            }
            for (table, stored) in &added {
                manifest.table(table.id).segments.push(entry_of(stored, shard));
            }
            for Replaced { partition, state, windows } in &replaced {
                let place = usize::from(partition.0);
                manifest.applied[place] = state.committed.0;
                manifest.windows.retain(|(_, of), _| *of != partition.0);
                manifest
                    .windows
                    .extend(windows.iter().map(|(id, bytes)| ((*id, partition.0), bytes.clone())));
                if let Some(slot) = manifest.copies.as_mut().and_then(|all| all.get_mut(place)) {
                    slot.clone_from(state);
                }
            }
        })?;
        staged.iter().for_each(|staged| staged.files.adopt());
        for it in cleared {
            let next: Vec<_> = it.next.iter().cloned().collect();
            let cells = it.table.cells();
            cells.shards[it.shard].update(&self.shared.memory, |cell| cell.exchange(&[], &[it.old], &next));
        }
        for (table, stored) in &added {
            let cells = table.cells();
            let stored = std::slice::from_ref(stored);
            cells.shards[shard].update(&self.shared.memory, |cell| cell.exchange(&[], &[], stored));
        }
        // It may have waited for too long and gone on as after a failed log; then there is nobody to hear it.
        let _ = committed.send(());
        let mut gone: Vec<u64> = cleared.iter().map(|it| it.old).collect();
        let dropped = |table: &TableData| table.is_dropped();
        gone.extend(
            cleared.iter().filter(|it| dropped(&it.table)).filter_map(|it| Some(it.next.as_ref()?.id)),
        );
        let of_dropped =
            staged.iter().flat_map(|staged| &staged.segments).filter(|(table, _)| dropped(table));
        gone.extend(of_dropped.map(|(_, stored)| stored.id));
        self.remove_segments(gone);
        Ok(())
    }

    /// Replaces copies, and says when that failed.
    pub(super) fn try_replace(&mut self, shard: usize) {
        warn_of(self.replace_copies(shard), "copies could not be replaced and will be tried again");
    }
}

/// Whether memory has rows of these partitions that no segment has.
pub(crate) fn has_unflushed(table: &TableData, shard: usize, partitions: &[PartitionId]) -> bool {
    let state = table.cells().shards[shard].load();
    state.unflushed().any(|part| partitions.iter().any(|partition| rows_of(&part, *partition).is_some()))
}

/// The rows of all other partitions.
fn left_of(part: &Part, partitions: &[PartitionId]) -> Result<Vec<Arc<Chunk>>> {
    let schema = part.schema();
    let all: Vec<usize> = (0..schema.columns.len()).collect();
    let mut left = Vec::new();
    for (partition, range) in part.partition_rows() {
        if partitions.contains(&partition) {
            continue;
        }
        for batch in part.scan(schema, &all, std::slice::from_ref(&range), BATCH_ROWS) {
            let rows = batch?;
            let count = rows.num_rows() as u32;
            if count > 0 {
                left.push(Arc::new(Chunk::new(schema.clone(), rows, vec![(partition, 0..count)])?));
            }
        }
    }
    Ok(left)
}
