//! Materialized views: every row of a source is counted once, when its memtable becomes a segment, and the states
//! become true with the same replacement of the manifest. So states and the rows that no segment has are together
//! always all rows since the view began, also after a crash, and a late row is a row like any other. What was
//! counted stays counted when the source's rows expire.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use zepto_common::schema::TableSchema;
use zepto_common::{Error, ErrorCode, Result, TableId};

use super::Background;
use super::checkpoint::Flushed;
use super::files::entry_of;
use crate::catalog::ViewDefinition;
use crate::chunk::Chunk;
use crate::manifest::{Manifest, ViewManifest};
use crate::memory::MemoryBudget;
use crate::part::Part;
use crate::run::Run;
use crate::table::{StoredSegment, TableData, TableShard};
use crate::view::{States, ViewFold};

/// Segments of states in one shard before they are merged into one.
const STATE_SEGMENTS_MAX: usize = 8;
/// State rows beyond which a segment of states is left alone: what a merge holds in memory is bounded by it.
const MERGE_ROWS_MAX: u64 = 4 << 20;

/// What a checkpoint adds to a view.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) view: TableId,
    /// Or why its rows could not be counted: the view stops.
    pub(crate) states: std::result::Result<Vec<Arc<StoredSegment>>, String>,
}

/// A view that begins with a checkpoint.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) source: Arc<TableData>,
    pub(crate) view: TableId,
    /// By shard, what it counts of the rows before it began.
    pub(crate) states: Vec<Vec<Arc<StoredSegment>>>,
}

impl Counted {
    /// Shows it in the shard's state.
    pub(super) fn show(&self, cell: &mut TableShard) {
        cell.change_view(self.view, |view| match &self.states {
            Ok(states) => view.segments.extend(states.iter().cloned()),
            Err(why) => view.broken = Some(why.as_str().into()),
        });
    }
}

impl Beginning {
    /// Files that were written.
    pub(super) fn files(&self) -> impl Iterator<Item = u64> {
        self.states.iter().flatten().map(|stored| stored.id)
    }

    /// Puts it into the manifest.
    pub(super) fn enter(&self, manifest: &mut Manifest) {
        let states = self.states.iter().enumerate();
        let segments = states.flat_map(|(shard, of)| of.iter().map(move |stored| entry_of(stored, shard)));
        let view = ViewManifest { segments: segments.collect(), broken: None };
        manifest.table(self.source.id).views.insert(self.view, view);
    }

    /// Shows it in the source's shards, where no query looks before the catalog has the view.
    pub(super) fn show(&self, memory: &MemoryBudget) {
        for (cell, states) in self.source.cells().shards.iter().zip(&self.states) {
            cell.update(memory, |state| {
                state.change_view(self.view, |view| view.segments.clone_from(states))
            });
        }
    }
}

impl Background {
    /// Counts rows that are about to become segments for every view that follows their table.
    ///
    /// # Errors
    /// The disk's. What the view's query says to a row is kept in the result instead.
    pub(super) fn count(&mut self, table: TableId, rows: &[Part]) -> Result<Vec<Counted>> {
        let catalog = self.shared.catalog.load_full();
        let Some(source) = catalog.table_by_id(table) else { return Ok(Vec::new()) };
        let mut counted = Vec::new();
        for view in catalog.views_of(table) {
            let Some(id) = view.target else { continue };
            if self.is_broken(table, id) {
                continue;
            }
            let folded = self.fold_of(view).and_then(|fold| fold.fold(view, source, rows, None));
            let states = match folded {
                Ok(states) => Ok(self.write_states(view, states, None)?.into_iter().collect()),
                Err(error) => {
                    tracing::error!(view = %view.name, %error, "a materialized view has stopped");
                    Err(error.message)
                }
            };
            counted.push(Counted { view: id, states });
        }
        Ok(counted)
    }

    fn is_broken(&self, table: TableId, view: TableId) -> bool {
        let known = self.manifest.tables.get(&table).and_then(|table| table.views.get(&view));
        known.is_some_and(|view| view.broken.is_some())
    }

    fn fold_of(&self, view: &ViewDefinition) -> Result<Arc<dyn ViewFold>> {
        self.shared.options.fold.clone().ok_or_else(|| {
            Error::internal(format!(
                "{} cannot be kept up to date: the store was opened without SQL",
                view.name
            ))
        })
    }

    /// Writes states as a segment, sorted like rows; None when there are none.
    fn write_states(
        &mut self,
        view: &ViewDefinition,
        states: States,
        age: Option<u64>,
    ) -> Result<Option<Arc<StoredSegment>>> {
        let schema = states_schema(view)?;
        let mut chunks = Vec::with_capacity(states.len());
        for (partition, rows) in states {
            if rows.num_rows() > 0 {
                let all: Range<u32> = 0..rows.num_rows() as u32;
                chunks.push(Arc::new(Chunk::new(schema.clone(), rows, vec![(partition, all)])?));
            }
        }
        if chunks.is_empty() {
            return Ok(None);
        }
        self.write_segment_aged(&Arc::new(Run::build(&schema, &chunks)?), age).map(Some)
    }

    /// Begins a materialized view at one moment per shard: rows that are there already count only with `backfill`,
    /// every later one counts.
    ///
    /// # Errors
    /// `TableAlreadyExists`, `UnknownTable`, what the query says to a row there already, the disk's. There is no
    /// such view then.
    pub(super) fn create_view(&mut self, mut view: ViewDefinition, backfill: bool) -> Result<()> {
        let source_id = view.source.ok_or_else(|| Error::internal("a materialized view without a source"))?;
        let source = self.shared.data(source_id)?;
        let id = self.reserve_view_id(&view)?;
        view.target = Some(id);
        if let Some(states) = &mut view.states {
            states.id = id;
        }
        let shards: Vec<usize> = (0..self.shared.drains.len()).collect();
        let (cuts, flushed) = self.prepare(&shards)?;
        let states = match backfill {
            true => self.backfill(&view, &source, &flushed),
            false => Ok(vec![Vec::new(); shards.len()]),
        };
        let states = match states {
            Ok(states) => states,
            Err(error) => {
                self.discard(&flushed);
                return Err(error);
            }
        };
        let beginning = Beginning { source: source.clone(), view: id, states };
        self.commit_flushed(flushed, &cuts, Some(&beginning))?;
        self.let_go(cuts);
        let committed = {
            let _ddl = self.shared.ddl.lock();
            let next = self.shared.catalog.load().with_view(view);
            next.and_then(|next| self.shared.commit_catalog(next))
        };
        if committed.is_err() {
            // Nothing shows these states; a start removes them if this does not.
            super::warn_of(
                self.forget_view(&source, id),
                "states of a view that is not there stay until the next start",
            );
        }
        committed
    }

    /// An id of its own, durable before anything is kept under it, so that a crash leaves no states for another.
    fn reserve_view_id(&self, view: &ViewDefinition) -> Result<TableId> {
        let _ddl = self.shared.ddl.lock();
        let catalog = self.shared.catalog.load();
        catalog.with_view(view.clone())?;
        let (next, id) = catalog.with_reserved_id();
        self.shared.commit_catalog(next)?;
        Ok(id)
    }

    fn backfill(
        &mut self,
        view: &ViewDefinition,
        source: &Arc<TableData>,
        flushed: &[Flushed],
    ) -> Result<Vec<Vec<Arc<StoredSegment>>>> {
        let schema = self.newest(source)?;
        let fold = self.fold_of(view)?;
        let mut by_shard: Vec<Vec<Arc<StoredSegment>>> = Vec::new();
        for (shard, cell) in source.cells().shards.iter().enumerate() {
            let state = cell.load();
            let fresh = flushed.iter().filter(|f| f.shard == shard && f.table.id == source.id);
            let fresh = fresh.flat_map(|flushed| &flushed.segments);
            let segments = state.segments.iter().chain(fresh);
            let rows: Vec<Part> = segments.map(|stored| Part::Segment(stored.segment.clone())).collect();
            let written = fold
                .fold(view, &schema, &rows, state.cutoff)
                .and_then(|states| self.write_states(view, states, None));
            match written {
                Ok(written) => by_shard.push(written.into_iter().collect()),
                Err(error) => {
                    self.remove_segments(
                        by_shard.iter().flatten().map(|stored| stored.id).collect::<Vec<_>>(),
                    );
                    return Err(error);
                }
            }
        }
        Ok(by_shard)
    }

    /// Lets go of the states of a view. The catalog no longer has it; after a crash the next start does this.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn forget_view(&mut self, source: &Arc<TableData>, view: TableId) -> Result<()> {
        let known = self.manifest.tables.get(&source.id).and_then(|table| table.views.get(&view));
        let gone: Vec<u64> =
            known.into_iter().flat_map(|v| v.segments.iter().map(|entry| entry.id)).collect();
        self.commit(|manifest| {
            if let Some(table) = manifest.tables.get_mut(&source.id) {
                table.views.remove(&view);
            }
        })?;
        for cell in &source.cells().shards {
            cell.update(&self.shared.memory, |state| {
                Arc::make_mut(&mut state.views).remove(&view);
            });
        }
        self.remove_segments(gone);
        self.weigh_hot();
        Ok(())
    }

    /// Merges the states of one view in one shard, if there are many segments of them; whether it did.
    pub(super) fn merge_states_of_one(&mut self) -> bool {
        let tables: Vec<Arc<TableData>> = self.shared.tables.load().values().cloned().collect();
        for table in tables {
            for shard in 0..self.shared.drains.len() {
                let views = table.cells().shards[shard].load().views.clone();
                for (&id, states) in views.iter() {
                    let small = |stored: &Arc<StoredSegment>| stored.rows <= MERGE_ROWS_MAX;
                    // Neighbours only: their order is that in which the rows arrived, which breaks ties.
                    let alike = |a: &Arc<StoredSegment>, b: &Arc<StoredSegment>| {
                        small(a) && small(b) && self.same_cut(a, b)
                    };
                    let mut neighbours = states.segments.chunk_by(alike);
                    let chosen = neighbours.find(|chosen| chosen.len() >= STATE_SEGMENTS_MAX);
                    let Some(chosen) = chosen.filter(|_| states.broken.is_none()) else { continue };
                    match self.merge_states(&table, shard, id, chosen) {
                        Ok(()) => return true,
                        Err(error) => tracing::warn!(%error, "states of a view could not be merged"),
                    }
                }
            }
        }
        false
    }

    fn merge_states(
        &mut self,
        table: &Arc<TableData>,
        shard: usize,
        id: TableId,
        old: &[Arc<StoredSegment>],
    ) -> Result<()> {
        let catalog = self.shared.catalog.load_full();
        let (Some(view), Some(source)) = (catalog.view_by_id(id), catalog.table_by_id(table.id)) else {
            return Ok(());
        };
        let parts: Vec<Part> = old.iter().map(|stored| Part::Segment(stored.segment.clone())).collect();
        let states = self.fold_of(view)?.merge(view, source, &parts)?;
        drop(parts);
        let age = old.iter().map(|stored| stored.age).min();
        let added: Vec<Arc<StoredSegment>> = self.write_states(view, states, age)?.into_iter().collect();
        self.sync_segments()?;
        let gone: Vec<u64> = old.iter().map(|stored| stored.id).collect();
        self.commit(|manifest| {
            let known = &mut manifest.table(table.id).views.entry(id).or_default().segments;
            let place = known.iter().position(|entry| gone.contains(&entry.id)).unwrap_or(known.len());
            known.retain(|entry| !gone.contains(&entry.id));
            known.splice(place..place, added.iter().map(|stored| entry_of(stored, shard)));
        })?;
        table.cells().shards[shard].update(&self.shared.memory, |cell| {
            cell.change_view(id, |states| {
                let known = &mut states.segments;
                let place = known.iter().position(|stored| gone.contains(&stored.id)).unwrap_or(known.len());
                known.retain(|stored| !gone.contains(&stored.id));
                known.splice(place..place, added);
            });
        });
        self.remove_segments(gone);
        self.weigh_hot();
        Ok(())
    }
}

/// Puts what was counted into the manifest.
pub(super) fn record(known: &mut BTreeMap<TableId, ViewManifest>, counted: &[Counted], shard: usize) {
    for counted in counted {
        let view = known.entry(counted.view).or_default();
        match &counted.states {
            Ok(states) => view.segments.extend(states.iter().map(|stored| entry_of(stored, shard))),
            Err(why) => view.broken = Some(why.clone()),
        }
    }
}

fn states_schema(view: &ViewDefinition) -> Result<Arc<TableSchema>> {
    let schema = view.states.clone().map(Arc::new);
    schema.ok_or_else(|| {
        Error::new(
            ErrorCode::CorruptedData,
            format!("view {} has no schema of states in the catalog", view.name),
        )
    })
}
