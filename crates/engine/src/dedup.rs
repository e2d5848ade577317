//! Windows of batch ids, so that a retry is stored once. Pure: no clock, no disk.
//!
//! One [`Window`] per table and drain thread. A key is (batch id, block); what is known of it is, per partition,
//! how many rows were stored, and a print of the content. The promises, within the window:
//!
//! - a key is new exactly once per partition; a retry learns which partitions have it;
//! - a known key with other content is an error, never a duplicate and never stored in part. Content is compared by
//!   length, and byte by byte where a retry must repeat them; not across an ALTER TABLE, nor where the original was cut
//!   by another number of drain threads;
//! - a retry of what is not committed yet learns that, and has to wait for its outcome.
//!
//! The window is bounded in count and age (oldest out first, never what is pending). A producer's key that left it
//! is refused as too old ([`EngineError::TooOld`]): each producer's low edge is remembered, for the last
//! [`DEDUP_PRODUCERS_MAX`] producers that left something behind. A *token* that left the window is simply no longer
//! known: sent again it is stored again. Ages go by the wall clock, because they outlive the process: a clock that
//! jumps ahead makes the window shorter, one that jumps back makes it longer, up to its count.
//!
//! Rows of a feed are known without a window, by the offsets in their source: [`Marks`].

pub(crate) mod marks;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;
use zepto_common::limits::{DEDUP_PRODUCERS_MAX, DEDUP_WINDOW_AGE, DEDUP_WINDOW_BATCHES};
use zepto_common::{BatchId, PartitionId, SchemaVersion};

use crate::error::{EngineError, Result};

pub use marks::Marks;

/// A block of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchKey {
    /// The batch.
    pub batch: BatchId,
    /// Its block.
    pub block: u32,
}

/// A print of a group's content. Zero in a field means "not known": it is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Content {
    /// The schema of the payload; bytes and hash are compared under equal schemas only.
    pub schema: SchemaVersion,
    /// Bytes of the payload.
    pub bytes: u32,
    /// XXH3-64 of the payload. Leave it out where a retry may differ from the original, as with `DEFAULT now()`.
    pub hash: u64,
}

impl Content {
    /// The print with a hash.
    #[must_use]
    pub fn hashed(schema: SchemaVersion, payload: &[u8]) -> Self {
        Self { hash: xxhash_rust::xxh3::xxh3_64(payload).max(1), ..Self::unhashed(schema, payload) }
    }

    /// The print by length alone.
    #[must_use]
    pub fn unhashed(schema: SchemaVersion, payload: &[u8]) -> Self {
        Self { schema, bytes: u32::try_from(payload.len()).unwrap_or(u32::MAX), hash: 0 }
    }

    /// Whether both are prints of the same cut of a block in the same form.
    fn is_comparable(&self, other: &Self) -> bool {
        self.bytes != 0 && other.bytes != 0 && self.schema == other.schema
    }

    fn contradicts(&self, other: &Self) -> Option<String> {
        let differ = |a: u64, b: u64| a != 0 && b != 0 && a != b;
        if differ(u64::from(self.bytes), u64::from(other.bytes)) {
            Some(format!("{} bytes, then {}", self.bytes, other.bytes))
        } else {
            differ(self.hash, other.hash).then(|| "equal length, other bytes".to_owned())
        }
    }
}

/// Rows of one partition in a block.
pub type PartRows = (PartitionId, u32);

/// What the window knows of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: store it.
    New,
    /// Every partition has it.
    Duplicate {
        /// A part of it is not committed yet: the answer must wait for that.
        pending: bool,
    },
    /// Some partitions have it (the original was cut by another number of drain threads): store the others.
    Partial {
        /// Those that have it, ascending.
        known: Vec<PartitionId>,
        /// As in `Duplicate`.
        pending: bool,
    },
}

/// Bounds of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLimits {
    /// Keys.
    pub batches: usize,
    /// Age of a key.
    pub age: Duration,
    /// Producers whose low edge is remembered.
    pub producers: usize,
}

impl Default for WindowLimits {
    fn default() -> Self {
        Self { batches: DEDUP_WINDOW_BATCHES, age: DEDUP_WINDOW_AGE, producers: DEDUP_PRODUCERS_MAX }
    }
}

#[derive(Debug, Clone, Default)]
struct Entry {
    content: Content,
    /// Milliseconds since 1970 by the wall clock.
    since_ms: i64,
    /// Ascending.
    committed: Vec<PartRows>,
    /// Ascending.
    pending: Vec<PartRows>,
}

/// The highest key of a producer that left the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edge {
    sequence: u64,
    block: u32,
    /// Count of evictions when it was raised last.
    raised: u64,
}

/// The window of one table and drain thread.
#[derive(Debug, Clone, Default)]
pub struct Window {
    limits: WindowLimits,
    entries: HashMap<BatchKey, Entry>,
    /// Oldest first; each entry's key once.
    order: VecDeque<BatchKey>,
    edges: HashMap<u64, Edge>,
    evictions: u64,
    /// What is known of the sources of feeds.
    pub(crate) marks: Marks,
    /// What a copy has committed of changes of its rows.
    pub(crate) changes: Changed,
}

/// What of the changes of a table's rows is committed in a partition. Those of one table are committed in the order of
/// their numbers, so that the highest tells all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// The highest number of a TRUNCATE, DELETE or UPDATE; 0 before the first.
    pub(crate) mutation: u64,
    /// The highest time (raw ticks) below which rows have expired.
    pub(crate) cutoff: Option<i64>,
}

impl Window {
    /// An empty window.
    #[must_use]
    pub fn new(limits: WindowLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Keys known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it knows nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.edges.is_empty()
            && self.marks.is_empty()
            && self.changes == Changed::default()
    }

    /// What is known of a block. `parts`: its partitions with their rows.
    ///
    /// # Errors
    /// `OtherContent`; `TooOld`.
    pub fn check(&self, key: &BatchKey, parts: &[PartRows], content: &Content) -> Result<Verdict> {
        let Some(entry) = self.entries.get(key) else {
            return if self.is_below_edge(key) { Err(too_old(key)) } else { Ok(Verdict::New) };
        };
        let mut known = Vec::new();
        let mut pending = false;
        for &(partition, rows) in parts {
            let in_committed = find(&entry.committed, partition);
            let in_pending = find(&entry.pending, partition);
            let Some(before) = in_committed.or(in_pending) else { continue };
            if before != rows {
                return Err(other_content(key, format!("partition {partition}: {before} rows, then {rows}")));
            }
            pending |= in_pending.is_some();
            known.push(partition);
        }
        let whole = known.len() == parts.len();
        if entry.content.is_comparable(content) {
            if let Some(what) = entry.content.contradicts(content) {
                return Err(other_content(key, what));
            }
            if !whole || parts.len() != entry.committed.len() + entry.pending.len() {
                return Err(other_content(key, "rows of other partitions".to_owned()));
            }
        }
        if whole {
            return Ok(Verdict::Duplicate { pending });
        }
        if self.is_below_edge(key) && known.is_empty() {
            return Err(too_old(key));
        }
        known.sort_unstable();
        Ok(if known.is_empty() { Verdict::New } else { Verdict::Partial { known, pending } })
    }

    /// The print of a block that is known.
    pub(crate) fn content_of(&self, key: &BatchKey) -> Option<Content> {
        self.entries.get(key).map(|entry| entry.content)
    }

    /// Whether a key that is not known may be one that left the window.
    pub(crate) fn has_left(&self, key: &BatchKey) -> bool {
        self.is_below_edge(key)
    }

    /// Notes that parts of a block are in the log and not synced. Parts already known stay as they are.
    pub fn begin(&mut self, key: BatchKey, parts: &[PartRows], content: Content, now_ms: i64) {
        let mut known_before = true;
        let order = &mut self.order;
        let entry = self.entries.entry(key).or_insert_with(|| {
            known_before = false;
            order.push_back(key);
            Entry { content, since_ms: now_ms, ..Entry::default() }
        });
        for &part in parts {
            if find(&entry.committed, part.0).is_none() {
                insert(&mut entry.pending, part);
            }
        }
        if known_before {
            // The print is of another cut of the block.
            entry.content = Content::default();
        }
    }

    /// Notes that what was pending of a block is durable.
    pub fn commit(&mut self, key: &BatchKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            let pending = std::mem::take(&mut entry.pending);
            pending.into_iter().for_each(|part| insert(&mut entry.committed, part));
        }
    }

    /// Notes that what was pending of a block is certainly not stored: it is as if it had never come.
    pub fn abandon(&mut self, key: &BatchKey) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        entry.pending.clear();
        if entry.committed.is_empty() {
            self.entries.remove(key);
            // What is pending came last.
            if let Some(index) = self.order.iter().rposition(|other| other == key) {
                self.order.remove(index);
            }
        }
    }

    /// Notes parts that are durable: `begin` and `commit` at once. Makes room if needed.
    pub fn record(&mut self, key: BatchKey, parts: &[PartRows], content: Content, now_ms: i64) {
        self.begin(key, parts, content, now_ms);
        self.commit(&key);
        self.evict(now_ms);
    }

    /// Forgets the tokens of clients; nothing may be pending. Producers are known still: what they repeat was stored.
    pub fn forget_tokens(&mut self) {
        self.entries.retain(|key, _| !key.batch.is_token());
        self.order.retain(|key| !key.batch.is_token());
    }

    /// Forgets what is over the bounds.
    pub fn evict(&mut self, now_ms: i64) {
        let age_ms = i64::try_from(self.limits.age.as_millis()).unwrap_or(i64::MAX);
        while let Some(key) = self.order.front().copied() {
            let Some(entry) = self.entries.get(&key) else {
                self.order.pop_front();
                continue;
            };
            let over =
                self.entries.len() > self.limits.batches || now_ms.saturating_sub(entry.since_ms) > age_ms;
            if !over || !entry.pending.is_empty() {
                return;
            }
            self.entries.remove(&key);
            self.order.pop_front();
            self.raise_edge(&key);
        }
    }

    /// One window out of those of several drain threads, for the partitions that `keep` says yes to: for a start
    /// with another number of drain threads. Nothing may be pending.
    #[must_use]
    pub fn merge<'a>(
        windows: impl IntoIterator<Item = &'a Self>,
        keep: impl Fn(PartitionId) -> bool,
    ) -> Self {
        let mut merged = Self::default();
        let mut entries: Vec<(BatchKey, &Entry)> = Vec::new();
        for window in windows {
            merged.limits = window.limits;
            entries.extend(window.order.iter().filter_map(|key| Some((*key, window.entries.get(key)?))));
            for (&producer, edge) in &window.edges {
                merged.put_edge(producer, edge.sequence, edge.block);
            }
            merged.marks.absorb(&window.marks, &keep);
        }
        entries.sort_by_key(|(_, entry)| entry.since_ms);
        for (key, entry) in entries {
            let parts: Vec<PartRows> = entry.committed.iter().copied().filter(|part| keep(part.0)).collect();
            if !parts.is_empty() {
                merged.begin(key, &parts, Content::default(), entry.since_ms);
                merged.commit(&key);
            }
        }
        merged
    }

    fn is_below_edge(&self, key: &BatchKey) -> bool {
        match key.batch {
            BatchId::Producer { producer, sequence } => {
                let edge = self.edges.get(&producer);
                edge.is_some_and(|edge| (sequence, key.block) <= (edge.sequence, edge.block))
            }
            BatchId::Token(_) | BatchId::Source(_) => false,
        }
    }

    fn raise_edge(&mut self, key: &BatchKey) {
        if let BatchId::Producer { producer, sequence } = key.batch {
            self.put_edge(producer, sequence, key.block);
        }
    }

    fn put_edge(&mut self, producer: u64, sequence: u64, block: u32) {
        self.evictions += 1;
        let raised = self.evictions;
        let edge = self.edges.entry(producer).or_insert(Edge { sequence, block, raised });
        (edge.sequence, edge.block) = (edge.sequence, edge.block).max((sequence, block));
        edge.raised = raised;
        if self.edges.len() > self.limits.producers
            && let Some(oldest) = self.edges.iter().min_by_key(|(_, edge)| edge.raised).map(|(&id, _)| id)
        {
            self.edges.remove(&oldest);
        }
    }
}

fn find(parts: &[PartRows], partition: PartitionId) -> Option<u32> {
    let index = parts.binary_search_by_key(&partition, |part| part.0).ok()?;
    Some(parts[index].1)
}

fn insert(parts: &mut Vec<PartRows>, part: PartRows) {
    if let Err(index) = parts.binary_search_by_key(&part.0, |other| other.0) {
        parts.insert(index, part);
    }
}

fn readable(batch: BatchId) -> String {
    match batch {
        BatchId::Producer { producer, sequence } => format!("{sequence} of producer {producer:016x}"),
        BatchId::Token(token) => format!("with token hash {token:032x}"),
        BatchId::Source(source) => format!("of source {source:032x}"),
    }
}

fn other_content(key: &BatchKey, what: String) -> EngineError {
    EngineError::OtherContent { batch: readable(key.batch), block: key.block, what }
}

fn too_old(key: &BatchKey) -> EngineError {
    EngineError::TooOld { batch: readable(key.batch), block: key.block }
}
