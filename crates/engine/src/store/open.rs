//! From a data directory to a running store.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use parking_lot::Mutex;
use zepto_common::limits::EXPRESSION_STACK_BYTES;
use zepto_common::{Boot, Epoch, Error, ErrorCode, PartitionId, Result, TableId, Token};

use super::shared::{Shared, SharedParts};
use super::snapshots::remove_unfinished;
use super::{Store, StoreOptions, Threads};
use crate::background::snapshot::SNAPSHOTS;
use crate::background::{Background, JOBS_MAX, Job};
use crate::ballast;
use crate::catalog::Catalog;
use crate::disk::Disk;
use crate::envelope;
use crate::error::{EngineError, IoAction};
use crate::identity::{DirectoryLock, Identity};
use crate::manifest::{Manifest, SegmentEntry, TableManifest, ViewManifest, segment_path, segments_dir};
use crate::replay::{Replayed, Replayer, flush_all};
use crate::shard::copies::Copies;
use crate::shard::space::SpaceWatch;
use crate::shard::{LogMeter, Shard, TableMemory, Watch};
use crate::table::{TableData, ViewStates};
use crate::wal::{EpochStartFrame, Frame, Log, LogHeads, LogOptions, ReplayOptions, ReplaySummary, replay};

/// Folder of the logs in a data directory.
const WAL: &str = "wal";

/// What the small files say.
struct Found {
    identity: Identity,
    catalog: Option<Catalog>,
    manifest: Option<Manifest>,
}

pub(super) fn open(options: StoreOptions) -> Result<Arc<Store>> {
    let started = Instant::now();
    let mut options = options.settled()?;
    let disk = options.disk.clone();
    let dir = options.data_dir.clone();
    for folder in [dir.clone(), segments_dir(&dir), dir.join(WAL), dir.join(SNAPSHOTS)] {
        disk.create_dir_all(&folder).map_err(|error| EngineError::io(IoAction::Create, &folder, &error))?;
    }
    options.fit_to_disk();
    let lock = if options.exclusive { Some(DirectoryLock::take(&dir)?) } else { None };
    let found = find(&options)?;
    let identity = found.identity.clone();
    let (mut background, jobs) = assemble(options, found)?;
    let shared = background.shared.clone();
    remove_unfinished(disk.as_ref(), &dir)?;
    let replayed = restore(&mut background, identity.heads.clone())?;
    tracing::info!(
        drain_threads = shared.drains.len(),
        ring_capacity = shared.options.ring_capacity,
        partitions = shared.partitions,
        disk_id = %shared.disk_id,
        boot = %shared.token.boot,
        frames = replayed.0.frames,
        rows = replayed.0.rows,
        seconds = started.elapsed().as_secs_f64(),
        "storage is open: drain_threads={}, ring_capacity={}",
        shared.drains.len(),
        shared.options.ring_capacity
    );
    start(background, identity, jobs, replayed, lock)
}

fn find(options: &StoreOptions) -> Result<Found> {
    let (disk, dir) = (options.disk.as_ref(), &options.data_dir);
    ballast::throw_off(disk, dir);
    let (catalog_path, manifest_path) = (dir.join("CATALOG"), dir.join("MANIFEST"));
    let catalog = envelope::read(disk, &catalog_path)?
        .map(|b| crate::catalog::file::decode(&b, &catalog_path))
        .transpose()?;
    let manifest =
        envelope::read(disk, &manifest_path)?.map(|b| Manifest::decode(&b, &manifest_path)).transpose()?;
    if manifest.is_none() {
        // The manifest is the first file that anything else needs: with rows there must be one.
        for folder in [segments_dir(dir), dir.join(WAL)] {
            let names = list(disk, &folder)?;
            if !names.is_empty() {
                return Err(missing(
                    &manifest_path,
                    &format!("{} has {} files", folder.display(), names.len()),
                ));
            }
        }
    } else if catalog.is_none() {
        return Err(missing(&catalog_path, "there is a MANIFEST"));
    }
    if let Some(manifest) = &manifest
        && manifest.copies.is_some() != options.copies.is_some()
    {
        let (is, not) = if manifest.copies.is_some() { ("with", "without") } else { ("without", "with") };
        let message = format!("{} was made {is} copies and cannot be opened {not} them", dir.display());
        return Err(Error::new(ErrorCode::InvalidConfigParameter, message));
    }
    let partitions = options.partitions.or(manifest.as_ref().map(|manifest| manifest.partitions));
    let boot_before = manifest.as_ref().map_or(Boot(0), |manifest| manifest.boot);
    let identity = Identity::start(disk, dir, partitions, options.partitions_wanted(), boot_before)?;
    if let Some(manifest) = &manifest
        && manifest.partitions != identity.partitions
    {
        let message = format!(
            "{} was made with {} partitions, not {}",
            manifest_path.display(),
            manifest.partitions,
            identity.partitions
        );
        return Err(Error::new(ErrorCode::InvalidConfigParameter, message));
    }
    Ok(Found { identity, catalog, manifest })
}

fn missing(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorCode::CorruptedData,
        format!("{}: byte 0: the file is missing although {why}", path.display()),
    )
}

fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<String>> {
    disk.list(dir).map_err(|error| EngineError::io(IoAction::List, dir, &error).into())
}

/// Makes what the threads share and the background's state; writes the first catalog and manifest.
fn assemble(options: StoreOptions, found: Found) -> Result<(Background, Receiver<Job>)> {
    let (jobs, receiver) = sync_channel(JOBS_MAX);
    let threads = options.drain_threads as u16;
    let Found { identity, catalog, mut manifest } = found;
    if let Some(manifest) = manifest.as_mut().filter(|manifest| manifest.drain_threads != threads) {
        manifest.note_recut();
    }
    let fresh_catalog = catalog.is_none();
    let fresh_manifest = manifest.is_none();
    let shared = Arc::new(Shared::new(SharedParts {
        options,
        disk_id: identity.disk_id,
        token: Token { epoch: Epoch(1), boot: identity.boot },
        partitions: identity.partitions,
        elders_below: manifest.as_ref().map_or(0, Manifest::elders_below),
        catalog: catalog.unwrap_or_default(),
        jobs,
    }));
    if fresh_catalog {
        let _ddl = shared.ddl.lock();
        shared.commit_catalog(Catalog::clone(&shared.catalog.load()))?;
    }
    let manifest = manifest.unwrap_or_else(|| {
        let fresh = Manifest::new(identity.partitions, threads);
        let copies = shared.options.copies.is_some().then(|| vec![Default::default(); fresh.applied.len()]);
        Manifest { copies, ..fresh }
    });
    let mut background = Background::new(shared, manifest);
    if fresh_manifest {
        background.commit(|_| ())?;
    }
    Ok((background, receiver))
}

/// Brings back all rows: segments by the manifest, the rest from the logs.
fn restore(background: &mut Background, heads: Option<LogHeads>) -> Result<(Replayed, ReplaySummary)> {
    let shared = background.shared.clone();
    let (disk, dir) = (shared.options.disk.clone(), shared.options.data_dir.clone());
    let threads_before = background.manifest.drain_threads;
    let catalog = shared.catalog.load_full();
    let mut views = background.manifest.tables.values().flat_map(|table| table.views.keys());
    let lost_views = views.any(|id| catalog.view_by_id(*id).is_none());
    if lost_views || background.manifest.tables.keys().any(|id| catalog.table_by_id(*id).is_none()) {
        background.commit_keeping_threads(|manifest| {
            manifest.retain_tables(|id| catalog.table_by_id(id).is_some());
            manifest.retain_views(|id| catalog.view_by_id(id).is_some());
        })?;
    }
    remove_orphans(background)?;
    open_segments(background)?;
    background.check_segments(shared.options.check_time)?;
    let allow_corrupt_tail = shared.options.allow_corrupt_tail;
    let options = ReplayOptions { disk_id: shared.disk_id, allow_corrupt_tail, heads };
    let mut frames = replay(disk, &dir.join(WAL), options)?;
    let mut replayer = Replayer::new(background)?;
    while let Some(frame) = frames.next() {
        let (at, frame) = frame?;
        replayer.take(frames.thread(), at, frame)?;
    }
    let replayed = replayer.finish()?;
    let summary = frames.finish()?;
    if usize::from(threads_before) != shared.drains.len() && replayed.copies.is_none() {
        // The windows in the manifest are cut by thread: they must not be read with the wrong number.
        flush_all(background, &replayed)?;
        background.covered.fill(true);
    }
    Ok((replayed, summary))
}

fn remove_orphans(background: &Background) -> Result<()> {
    let shared = &background.shared;
    let dir = segments_dir(&shared.options.data_dir);
    let entries = background.manifest.tables.values().flat_map(TableManifest::entries);
    let known: Vec<_> = entries.map(|entry| segment_path(&shared.options.data_dir, entry.id)).collect();
    let known: std::collections::HashSet<_> =
        known.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let mut removed = 0;
    for name in list(shared.disk(), &dir)? {
        if !known.contains(name.as_str()) {
            let path = dir.join(&name);
            shared.disk().remove(&path).map_err(|error| EngineError::io(IoAction::Remove, &path, &error))?;
            removed += 1;
        }
    }
    if removed > 0 {
        shared.disk().sync_dir(&dir).map_err(|error| EngineError::io(IoAction::Sync, &dir, &error))?;
        tracing::info!(removed, "segment files that nothing names were removed");
    }
    Ok(())
}

fn open_segments(background: &Background) -> Result<()> {
    let shared = &background.shared;
    let threads = shared.drains.len();
    let tables = shared.tables.load();
    for (id, known) in &background.manifest.tables {
        let Some(data) = tables.get(id) else { continue };
        let mut by_shard: HashMap<usize, Vec<_>> = HashMap::new();
        for entry in &known.segments {
            let stored = background.open_segment(entry)?;
            by_shard.entry(usize::from(entry.shard) % threads).or_default().push(stored);
        }
        for (shard, cell) in data.cells().shards.iter().enumerate() {
            let added = by_shard.remove(&shard).unwrap_or_default();
            cell.update(&shared.memory, |state| {
                state.exchange(&[], &[], &added);
                state.cutoff = known.cutoff;
            });
        }
        for (&view, states) in &known.views {
            open_states(background, data, view, states)?;
        }
    }
    background.weigh_hot();
    Ok(())
}

fn open_states(
    background: &Background,
    source: &TableData,
    view: TableId,
    known: &ViewManifest,
) -> Result<()> {
    let shared = &background.shared;
    let cells = source.cells();
    for (shard, cell) in cells.shards.iter().enumerate() {
        let of_shard = |entry: &&SegmentEntry| usize::from(entry.shard) % cells.shards.len() == shard;
        let segments: Result<Vec<_>> =
            known.segments.iter().filter(of_shard).map(|entry| background.open_segment(entry)).collect();
        let states = ViewStates { segments: segments?, broken: known.broken.as_deref().map(Arc::from) };
        cell.update(&shared.memory, |state| state.change_view(view, |of| *of = states));
    }
    Ok(())
}

/// Opens the logs and starts the threads.
fn start(
    mut background: Background,
    mut identity: Identity,
    jobs: Receiver<Job>,
    (mut replayed, summary): (Replayed, ReplaySummary),
    lock: Option<DirectoryLock>,
) -> Result<Arc<Store>> {
    let shared = background.shared.clone();
    let mut shards = Vec::with_capacity(shared.drains.len());
    let mut copies: Vec<Vec<_>> = shared.drains.iter().map(|_| Vec::new()).collect();
    for index in 0..shared.drains.len() {
        shards.push(shard_of(&shared, index, &mut replayed, &summary)?);
    }
    let threads = shards.len();
    for (partition, data) in replayed.copies.take().into_iter().flatten().enumerate() {
        copies[partition % threads].push((PartitionId(partition as u16), data));
    }
    for (shard, data) in shards.iter_mut().zip(copies) {
        if let Some(options) = &shared.options.copies {
            shard.copies = Some(Box::new(Copies::new(shard, options.clone(), data)));
        }
    }
    // The logs have begun durably: from now on the next start may ask for these files.
    let first = (0..shards.len()).map(|thread| summary.next_sequence(thread as u16)).collect();
    identity.heads = Some(LogHeads { boot: identity.boot, first });
    identity.write(shared.disk(), &shared.options.data_dir)?;
    background.old_logs = Some(summary);
    background.release_old_logs();
    match spawn(&shared, shards, background, jobs) {
        Ok(threads) => Ok(Arc::new(Store { shared, threads: Mutex::new(Some(threads)), _lock: lock })),
        Err(error) => {
            // Those that were started end by themselves; nobody waits for rows yet.
            shared.refuse_writes();
            shared.drains.iter().for_each(|drain| drain.stop(super::STOP_PATIENCE));
            Err(Error::internal(format!("cannot start a thread: {error}")))
        }
    }
}

fn spawn(
    shared: &Arc<Shared>,
    shards: Vec<Shard>,
    background: Background,
    jobs: Receiver<Job>,
) -> std::io::Result<Threads> {
    let mut drains = Vec::with_capacity(shards.len());
    for shard in shards {
        // The thread can be woken before it runs: whoever pushes knows it by then.
        let name = format!("zepto-drain-{}", shard.index);
        let index = shard.index;
        let watch = Watch::new(shared.clone(), index);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let _watch = watch;
            shard.run();
        })?;
        shared.drains[index].ring.set_consumer(thread.thread().clone());
        drains.push(thread);
    }
    let thread = std::thread::Builder::new().name("zepto-background".to_owned());
    // It judges rows by conditions of DELETE.
    let thread = thread.stack_size(EXPRESSION_STACK_BYTES);
    let background = thread.spawn(move || background.run(jobs))?;
    Ok(Threads { drains, background })
}

fn shard_of(
    shared: &Arc<Shared>,
    index: usize,
    replayed: &mut Replayed,
    summary: &ReplaySummary,
) -> Result<Shard> {
    let thread = index as u16;
    let options = LogOptions {
        file_bytes: shared.options.seal.log_file_bytes,
        ..LogOptions::new(thread, shared.disk_id, shared.token.boot)
    };
    let wal = shared.options.data_dir.join(WAL);
    let log = Log::open(shared.options.disk.clone(), wal, options, summary.next_sequence(thread))?;
    let of_shard: Vec<(usize, TableId)> =
        replayed.windows.keys().filter(|(of, _)| *of == index).copied().collect();
    let tables = of_shard.into_iter().filter_map(|key| {
        Some((key.1, TableMemory { window: replayed.windows.remove(&key)?, ..Default::default() }))
    });
    let tables = tables.collect();
    let data = shared.tables.load();
    let dirty = data.values().filter(|table| !table.cells().shards[index].load().chunks.is_empty());
    let dirty = dirty.map(|table| (table.id, table.clone())).collect();
    let mut shard = Shard {
        index,
        shared: shared.clone(),
        log,
        first_sequence: summary.next_sequence(thread),
        copies: None,
        lsns: replayed.lsns.clone(),
        tables,
        dirty,
        space: SpaceWatch::new(),
        logged: LogMeter::new(0),
    };
    // What a copy logs has places of its own; this only begins the log.
    let places = if shared.options.copies.is_some() { Vec::new() } else { shard.places() };
    shard.log.append(&Frame::EpochStart(EpochStartFrame { token: shared.token, places: places.clone() }))?;
    shard.log.sync()?;
    shard.advance(&places);
    shard.show_positions();
    Ok(shard)
}
