//! What the shell keeps for one copy: its memory, its entries, and the deduplication windows of its tables.

use std::collections::HashMap;
use std::sync::Arc;

use zepto_common::schema::TableSchema;
use zepto_common::{BatchId, Lsn, PartitionId, Result, TableId};
use zepto_replication::{Entry, Key, LogOp, Recovered, Window as KeyWindow};

use super::change::{RowChange, WaitingChange};
use super::frames::{Frames, LogPlace, Slot};
use super::shown::Rows;
use super::state::CopyState;
use super::{Form, Payload, positions};
use crate::chunk::{Chunk, check_columns};
use crate::copies::decode_rows;
use crate::dedup::marks::Resume;
use crate::dedup::{BatchKey, Changed, Content, Window, WindowLimits};
use crate::store::shared::Shared;
use crate::table::TableData;

/// Keys of one table that one copy remembers: a batch has one in each partition that it touches.
pub(crate) const COPY_KEYS_MAX: usize = 2_000;

/// Windows by table.
#[derive(Debug, Default)]
pub(crate) struct Windows(pub(crate) HashMap<TableId, Window>);

/// One copy's data.
#[derive(Debug, Default)]
pub(crate) struct CopyData {
    pub(crate) state: CopyState,
    pub(crate) frames: Frames,
    /// Entries up to here are shown.
    pub(crate) applied: u64,
    /// Keys of the entries up to here are in the windows.
    keyed: u64,
    pub(crate) windows: Windows,
}

/// Bounds of a copy's window.
pub(crate) fn limits() -> WindowLimits {
    WindowLimits { batches: COPY_KEYS_MAX, producers: COPY_KEYS_MAX, ..WindowLimits::default() }
}

impl Windows {
    fn known(&self, key: &Key) -> Option<Content> {
        self.0.get(&key.table)?.content_of(&batch_key(key))
    }

    /// The print to compare with what is known: under another schema version only the key counts.
    pub(crate) fn comparable(&self, key: &Key, content: Content) -> u64 {
        match self.known(key) {
            Some(known) if known.schema != content.schema => known.hash,
            _ => content.hash,
        }
    }

    /// What is committed of changes of a table's rows.
    pub(crate) fn changes(&self, table: TableId) -> Changed {
        self.0.get(&table).map(|window| window.changes).unwrap_or_default()
    }

    fn note_change(&mut self, table: TableId, change: &RowChange) {
        let window = self.0.entry(table).or_insert_with(|| Window::new(limits()));
        let known = &mut window.changes;
        match change {
            RowChange::Expire { cutoff } => known.cutoff = known.cutoff.max(Some(*cutoff)),
            RowChange::Delete { mutation, .. } => known.mutation = known.mutation.max(*mutation),
            RowChange::Truncate { mutation } => {
                known.mutation = known.mutation.max(*mutation);
                // A reload under the same tokens is wanted, and must be stored.
                window.forget_tokens();
            }
        }
    }

    /// Whether a key is so old that it cannot be known any more.
    pub(crate) fn is_too_old(&self, key: &Key) -> bool {
        self.known(key).is_none() && self.0.get(&key.table).is_some_and(|it| it.has_left(&batch_key(key)))
    }
}

impl KeyWindow for Windows {
    fn content_of(&self, key: &Key) -> Option<u64> {
        self.known(key).map(|content| content.hash)
    }

    fn offset_of(&self, key: &Key) -> Option<u64> {
        let BatchId::Source(source) = key.batch else { return None };
        self.0.get(&key.table)?.marks.highest(source)
    }
}

fn batch_key(key: &Key) -> BatchKey {
    BatchKey { batch: key.batch, block: key.block }
}

impl CopyData {
    /// As a manifest has it.
    pub(crate) fn new(state: CopyState, applied: u64) -> Self {
        let keyed = state.committed.0;
        Self { frames: Frames::after(applied), state, applied, keyed, windows: Windows::default() }
    }

    /// What the protocol begins with.
    pub(crate) fn recovered(&self) -> Recovered {
        let state = &self.state;
        Recovered {
            history: state.history.clone(),
            uncommitted: self.frames.uncommitted(state.committed),
            committed: state.committed,
            seen: state.seen,
            grant: state.grant.clone(),
            followed: state.followed,
            pending: state.pending.clone(),
            first: self.frames.first(),
        }
    }

    /// Takes an entry that is in the log now.
    ///
    /// # Errors
    /// What no log can say.
    pub(crate) fn log(&mut self, op: LogOp<Payload>, place: LogPlace) -> Result<(), String> {
        self.state.take(&op)?;
        match op {
            LogOp::Append(entry) => {
                self.frames.push(entry.position.lsn, Slot { place, entry: Some(entry) });
            }
            LogOp::Truncate(to) => self.frames.cut(to),
            LogOp::Installed(history) => {
                let end = history.end().lsn;
                self.frames = Frames::after(end.0);
                (self.applied, self.keyed) = (end.0, end.0);
            }
            _ => {}
        }
        Ok(())
    }

    /// Meets an entry that the manifest covers: it may be needed still, to be applied or to be sent.
    pub(crate) fn meet(&mut self, entry: Entry<Payload>, place: LogPlace) {
        let lsn = entry.position.lsn;
        if self.state.history.has(entry.position) {
            let entry = (lsn.0 > self.applied).then_some(entry);
            self.frames.push(lsn, Slot { place, entry });
        }
    }

    /// Whether every entry that is to be applied was found; to be called once all logs were read.
    pub(crate) fn settle(&mut self) -> bool {
        let end = self.state.history.end().lsn;
        if end.0 == self.applied && self.frames.end() != end {
            self.frames = Frames::after(end.0);
        }
        self.frames.end() == end && self.frames.first().0 <= self.applied + 1
    }

    /// Remembers the keys of what is committed, and the positions of feeds; whether there were any of those.
    pub(crate) fn note_keys(&mut self, partition: PartitionId, to: Lsn, now_ms: i64) -> bool {
        let mut positions_came = false;
        for lsn in self.keyed + 1..=to.0 {
            let Some(entry) = self.frames.get(Lsn(lsn)).and_then(|slot| slot.entry.as_ref()) else {
                continue;
            };
            let Some(rows) = &entry.payload else { continue };
            if rows.form.is_change() {
                if let Some(change) = RowChange::decode(rows.form, rows.ipc.clone()) {
                    self.windows.note_change(rows.table, &change);
                }
                continue;
            }
            let window = self.windows.0.entry(rows.table).or_insert_with(|| Window::new(limits()));
            if rows.form == Form::Positions {
                let Some((stream, raise)) = positions_of(partition, rows) else { continue };
                window.marks.resume_at(partition, &stream, raise);
                positions_came = true;
            } else if let Some(Key { batch: BatchId::Source(source), .. }) = entry.key {
                window.marks.raise(source, partition, entry.content);
            } else if let Some(key) = &entry.key {
                let content =
                    Content { schema: rows.schema, bytes: rows.bytes() as u32, hash: entry.content };
                window.record(batch_key(key), &[(partition, rows.rows)], content, now_ms);
            }
        }
        self.keyed = self.keyed.max(to.0);
        positions_came
    }

    /// A change was carried out: what follows it may be shown.
    pub(crate) fn pass(&mut self, lsn: Lsn) {
        if lsn.0 == self.applied + 1 {
            self.frames.applied(lsn);
            self.applied = lsn.0;
        }
    }

    /// The rows of the next committed entry, which counts as applied from here on. None: there is none, or the
    /// catalog does not know its table's schema yet.
    ///
    /// # Errors
    /// Rows that cannot be read.
    pub(crate) fn next_rows(&mut self, shared: &Shared, partition: PartitionId) -> Result<Option<Next>> {
        if self.applied >= self.state.committed.0 {
            return Ok(None);
        }
        let lsn = Lsn(self.applied + 1);
        let Some(entry) = self.frames.get(lsn).and_then(|slot| slot.entry.as_ref()) else {
            let message = format!("partition {partition}: entry {lsn} is committed and not in the log");
            return Err(zepto_common::Error::internal(message));
        };
        let next = match &entry.payload {
            None | Some(Payload { form: Form::Positions, .. }) => Next::Nothing,
            Some(change) if change.form.is_change() => {
                let catalog = shared.catalog.load();
                let dropped = catalog.table_by_id(change.table).is_none() && catalog.ever_had(change.table);
                if !dropped {
                    return waiting(shared, partition, lsn, change);
                }
                Next::Nothing
            }
            Some(rows) => {
                let catalog = shared.catalog.load();
                match (shared.tables.load().get(&rows.table), catalog.schema(rows.table, rows.schema)) {
                    (Some(table), Some(schema)) => {
                        Next::Rows(table.clone(), rows_of(partition, rows, schema)?)
                    }
                    _ if catalog.table_by_id(rows.table).is_none() && catalog.ever_had(rows.table) => {
                        Next::Nothing
                    }
                    _ => return Ok(None),
                }
            }
        };
        self.frames.applied(lsn);
        self.applied = lsn.0;
        Ok(Some(next))
    }
}

/// What an entry of positions says.
fn positions_of(partition: PartitionId, payload: &Payload) -> Option<(String, Resume)> {
    let read = positions::read(payload);
    if read.is_none() {
        tracing::error!(%partition, "positions of a feed cannot be read: it goes on from older ones");
    }
    read
}

/// A change is the background thread's to carry out, once the catalog knows its table's schema.
fn waiting(shared: &Shared, partition: PartitionId, lsn: Lsn, payload: &Payload) -> Result<Option<Next>> {
    let Payload { form, table, schema, ipc, .. } = payload;
    if shared.catalog.load().schema(*table, *schema).is_none() {
        return Ok(None);
    }
    let change = RowChange::decode(*form, ipc.clone()).ok_or_else(|| {
        zepto_common::Error::internal(format!(
            "partition {partition}: entry {lsn} is a change that nobody makes"
        ))
    })?;
    let (table, schema) = (*table, *schema);
    Ok(Some(Next::Change(WaitingChange { partition, lsn, table, schema, change })))
}

/// The rows of an entry, once they are known to fit.
fn rows_of(partition: PartitionId, payload: &Payload, schema: &Arc<TableSchema>) -> Result<Rows> {
    if let Some(part) = &payload.part {
        let range = part.range(payload.rows)?;
        check_columns(schema, part.block.batch()?)?;
        return Ok(Rows::Part(schema.clone(), part.block.clone(), range));
    }
    if let Some(chunk) = &payload.chunk {
        return Ok(Rows::Alone(chunk.clone()));
    }
    let batch = decode_rows(&payload.ipc)?;
    let all = 0..batch.num_rows() as u32;
    Ok(Rows::Alone(Chunk::new(schema.clone(), batch, vec![(partition, all)])?))
}

/// What an entry shows.
pub(crate) enum Next {
    /// A change of the rows before: it counts as applied once [`CopyData::pass`] is told so.
    Change(WaitingChange),
    /// No rows, or rows of a table that was dropped.
    Nothing,
    /// Rows of one partition.
    Rows(Arc<TableData>, Rows),
}
