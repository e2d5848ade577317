//! The published data of one table: per drain thread one immutable [`TableShard`] behind one pointer.
//!
//! A block's rows of one drain thread enter by a single pointer swap, and every later change of form (merged,
//! sealed, flushed, compacted) is again a single swap, so a reader sees each row exactly once, and of a block each
//! partition's part wholly or not at all. Readers only load pointers. Writers of a cell (its drain thread and the
//! background thread) take turns by a lock that is held for the copy of a few lists.

pub(crate) mod merge;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use zepto_common::TableId;
use zepto_common::schema::TableSchema;

use crate::chunk::Chunk;
use crate::memory::MemoryBudget;
use crate::part::Part;
use crate::segment::Segment;

/// A chunk of the active memtable with what it weighs.
#[derive(Debug, Clone)]
pub(crate) struct ActiveChunk {
    pub(crate) chunk: Arc<Chunk>,
    pub(crate) bytes: usize,
}

impl ActiveChunk {
    pub(crate) fn new(chunk: Chunk) -> Self {
        let bytes = chunk.memory();
        Self { chunk: Arc::new(chunk), bytes }
    }

    pub(crate) fn rows(&self) -> usize {
        self.chunk.rows.num_rows()
    }
}

/// A closed memtable: chunks until the background thread has made a run of them.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// Unique in the process; survives the change of form.
    pub(crate) id: u64,
    pub(crate) parts: Vec<Part>,
    pub(crate) bytes: usize,
    pub(crate) rows: usize,
}

/// A segment in use.
#[derive(Debug)]
pub(crate) struct StoredSegment {
    pub(crate) id: u64,
    /// Orders segments by when their rows came: the number of the oldest one whose rows it has.
    pub(crate) age: u64,
    pub(crate) segment: Arc<Segment>,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// One table's rows in one drain thread at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableShard {
    /// The active memtable, oldest first.
    pub(crate) chunks: Vec<ActiveChunk>,
    /// When its oldest row came.
    pub(crate) opened: Option<Instant>,
    /// Closed memtables that no segment has, oldest first.
    pub(crate) sealed: Vec<Arc<Sealed>>,
    /// Segments, oldest first.
    pub(crate) segments: Arc<Vec<Arc<StoredSegment>>>,
    /// Rows with a time below are expired.
    pub(crate) cutoff: Option<i64>,
    /// What materialized views have counted of the rows that are, or once were, in segments; by view.
    pub(crate) views: Arc<BTreeMap<TableId, ViewStates>>,
}

/// The partial states of one materialized view in one drain thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct ViewStates {
    /// Segments of states, oldest first.
    pub(crate) segments: Vec<Arc<StoredSegment>>,
    /// Why the view stopped, if it did.
    pub(crate) broken: Option<Arc<str>>,
}

impl TableShard {
    /// Rows of the active memtable.
    pub(crate) fn active_rows(&self) -> usize {
        self.chunks.iter().map(ActiveChunk::rows).sum()
    }

    /// Bytes of the active memtable.
    pub(crate) fn active_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes).sum()
    }

    /// Bytes that only a checkpoint can free.
    pub(crate) fn unflushed_bytes(&self) -> usize {
        self.active_bytes() + self.sealed.iter().map(|sealed| sealed.bytes).sum::<usize>()
    }

    /// Rows in all forms.
    pub(crate) fn rows(&self) -> u64 {
        let sealed: usize = self.sealed.iter().map(|sealed| sealed.rows).sum();
        let stored: u64 = self.segments.iter().map(|segment| segment.rows).sum();
        (self.active_rows() + sealed) as u64 + stored
    }

    /// Takes in rows at `now`.
    pub(crate) fn push(&mut self, chunk: ActiveChunk, now: Instant) {
        self.opened.get_or_insert(now);
        self.chunks.push(chunk);
    }

    /// Closes the active memtable, if it has rows, under this id.
    pub(crate) fn seal(&mut self, id: u64) -> bool {
        if self.chunks.is_empty() {
            return false;
        }
        self.opened = None;
        let (bytes, rows) = (self.active_bytes(), self.active_rows());
        let parts = self.chunks.drain(..).map(|active| Part::Chunk(active.chunk)).collect();
        self.sealed.push(Arc::new(Sealed { id, parts, bytes, rows }));
        true
    }

    /// Puts another form of a closed memtable in its place.
    pub(crate) fn replace_sealed(&mut self, next: Sealed) {
        if let Some(slot) = self.sealed.iter_mut().find(|sealed| sealed.id == next.id) {
            *slot = Arc::new(next);
        }
    }

    /// Takes out closed memtables and segments and puts in segments, kept in order of age.
    pub(crate) fn exchange(&mut self, sealed: &[u64], gone: &[u64], added: &[Arc<StoredSegment>]) {
        self.sealed.retain(|memtable| !sealed.contains(&memtable.id));
        let mut segments: Vec<_> =
            self.segments.iter().filter(|segment| !gone.contains(&segment.id)).cloned().collect();
        segments.extend(added.iter().cloned());
        segments.sort_by_key(|segment| segment.age);
        self.segments = Arc::new(segments);
    }

    /// All segments, of rows and of states.
    pub(crate) fn all_segments(&self) -> impl Iterator<Item = &Arc<StoredSegment>> {
        self.segments.iter().chain(self.views.values().flat_map(|view| &view.segments))
    }

    /// The rows that no segment has: the states of a view lack exactly these.
    pub(crate) fn unflushed(&self) -> impl Iterator<Item = Part> {
        let sealed = self.sealed.iter().flat_map(|sealed| sealed.parts.iter().cloned());
        sealed.chain(self.chunks.iter().map(|active| Part::Chunk(active.chunk.clone())))
    }

    /// Changes the states of one view.
    pub(crate) fn change_view(&mut self, view: TableId, change: impl FnOnce(&mut ViewStates)) {
        change(Arc::make_mut(&mut self.views).entry(view).or_default());
    }

    /// Raises the cutoff; it never falls.
    pub(crate) fn raise_cutoff(&mut self, cutoff: i64) {
        self.cutoff = Some(self.cutoff.map_or(cutoff, |before| before.max(cutoff)));
    }
}

/// The current [`TableShard`] and the lock of those who replace it.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    state: ArcSwap<TableShard>,
    writer: Mutex<()>,
}

impl Cell {
    /// The state now; wait-free.
    pub(crate) fn load(&self) -> Arc<TableShard> {
        self.state.load_full()
    }

    /// Puts a state into a cell that nobody sees yet; its bytes are not counted.
    pub(crate) fn put(&self, state: TableShard) {
        self.state.store(Arc::new(state));
    }

    /// Replaces the state by a changed copy.
    pub(crate) fn update<R>(&self, memory: &MemoryBudget, change: impl FnOnce(&mut TableShard) -> R) -> R {
        let _writer = self.writer.lock();
        let mut next = (**self.state.load()).clone();
        let before = next.unflushed_bytes();
        let result = change(&mut next);
        memory.adjust_unflushed(before, next.unflushed_bytes());
        self.state.store(Arc::new(next));
        result
    }
}

/// The cells of one table, by drain thread. A rewrite replaces them all by one swap.
#[derive(Debug)]
pub(crate) struct Cells {
    pub(crate) shards: Vec<Cell>,
}

impl Cells {
    pub(crate) fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| Cell::default()).collect() }
    }
}

/// A table's data, from its creation to its end.
#[derive(Debug)]
pub(crate) struct TableData {
    pub(crate) id: TableId,
    cells: ArcSwap<Cells>,
    dropped: AtomicBool,
}

impl TableData {
    pub(crate) fn new(id: TableId, shards: usize) -> Self {
        Self { id, cells: ArcSwap::from_pointee(Cells::new(shards)), dropped: AtomicBool::new(false) }
    }

    /// The cells now.
    pub(crate) fn cells(&self) -> Arc<Cells> {
        self.cells.load_full()
    }

    /// Replaces the cells while the drain threads stand still; gives the old ones' bytes back to the budget.
    pub(crate) fn replace_cells(&self, next: Cells, memory: &MemoryBudget) {
        let unflushed = |cells: &Cells| cells.shards.iter().map(|cell| cell.load().unflushed_bytes()).sum();
        let after = unflushed(&next);
        let old = self.cells.swap(Arc::new(next));
        memory.adjust_unflushed(unflushed(&old), after);
    }

    /// Marks the table as gone: its rows are refused from now on.
    pub(crate) fn mark_dropped(&self) {
        self.dropped.store(true, Ordering::Release);
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }

    /// All parts and the cutoff. Segments of an age below `elders_below` were cut by another number of drain threads.
    pub(crate) fn snapshot(&self, schema: Arc<TableSchema>, elders_below: u64) -> TableSnapshot {
        let (mut parts, mut ends, mut cutoff) = (Vec::new(), Vec::new(), None);
        let states: Vec<_> = self.cells().shards.iter().map(|cell| cell.state.load_full()).collect();
        let segments = states.iter().flat_map(|state| state.segments.iter());
        let mut elders: Vec<_> = segments.filter(|stored| stored.age < elders_below).collect();
        elders.sort_by_key(|stored| stored.age);
        parts.extend(elders.iter().map(|stored| Part::Segment(stored.segment.clone())));
        for state in &states {
            let younger = state.segments.iter().filter(|stored| stored.age >= elders_below);
            parts.extend(younger.map(|stored| Part::Segment(stored.segment.clone())));
            parts.extend(state.unflushed());
            ends.push(parts.len());
            cutoff = cutoff.max(state.cutoff);
        }
        if !elders.is_empty() {
            // A key's older rows may be another thread's than its newer ones: one sequence has them all.
            ends = vec![parts.len()];
        }
        TableSnapshot { schema, parts, ends, cutoff }
    }

    /// What a materialized view over this table is made of: states and the rows that they lack, of each drain
    /// thread at one moment.
    pub(crate) fn view_snapshot(&self, schema: Arc<TableSchema>, view: TableId) -> ViewSnapshot {
        let mut snapshot = ViewSnapshot { schema, states: Vec::new(), fresh: Vec::new(), broken: None };
        let mut stored: Vec<Arc<StoredSegment>> = Vec::new();
        for cell in &self.cells().shards {
            let state = cell.state.load();
            if let Some(states) = state.views.get(&view) {
                stored.extend(states.segments.iter().cloned());
                snapshot.broken = snapshot.broken.or_else(|| states.broken.clone());
            }
            snapshot.fresh.extend(state.unflushed());
        }
        stored.sort_by_key(|stored| stored.age);
        snapshot.states = stored.iter().map(|stored| Part::Segment(stored.segment.clone())).collect();
        snapshot
    }
}

/// What a query reads of a materialized view.
#[derive(Debug, Clone)]
pub struct ViewSnapshot {
    /// The newest schema of the source table.
    pub schema: Arc<TableSchema>,
    /// Partial states, in the view's own schema of states.
    pub states: Vec<Part>,
    /// Rows of the source that the states do not have yet. Expired ones count: a view outlives its source's rows.
    pub fresh: Vec<Part>,
    /// Why the view stopped, if it did: then states and fresh rows together are not all.
    pub broken: Option<Arc<str>>,
}

/// What a query reads of one table: fixed when it was taken, whatever is written since.
#[derive(Debug, Clone)]
pub struct TableSnapshot {
    /// The newest schema.
    pub schema: Arc<TableSchema>,
    /// All rows, each in exactly one part.
    pub parts: Vec<Part>,
    /// For each drain thread, or for all together, where its parts end. A key's rows are in the parts of one, which are
    /// in the order in which their rows arrived.
    pub ends: Vec<usize>,
    /// Rows whose time is below this (raw ticks of the time column) are expired: filter them out.
    pub cutoff: Option<i64>,
}
