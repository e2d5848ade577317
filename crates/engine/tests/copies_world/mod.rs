//! The world of the tests: stores, network, coordinator, writers and the judge.
//!
//! One step delivers messages, lets time pass and waits until every drain thread is quiet, so that a seed decides
//! nearly everything; only the order in which threads send within a step is left to chance.

#![allow(dead_code, reason = "each test file uses a part of it")]

mod changes;
mod coordinator;
mod network;
pub(crate) mod transfers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, StringArray, UInt64Array};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use zepto_common::partition::partitions_of;
use zepto_common::placement::Replica;
use zepto_common::schema::TableSchema;
use zepto_common::service::{WriteReceipt, WriteRequest};
use zepto_common::source::{FeedStream, home_of_stream, with_offsets};
use zepto_common::{NodeId, PartitionId, Result};
use zepto_engine::copies::{Clock, CopyOptions, CopyStatus};
use zepto_engine::disk::SimDisk;
use zepto_engine::disk::sim::CrashImage;
use zepto_engine::store::{PartResult, PartStored};
use zepto_engine::{Store, StoreOptions};
use zepto_replication::{Moment, Phase, Timing};

use self::coordinator::Coordinator;
use self::network::Network;
use self::transfers::Transfers;
use crate::common::{batch, ids, quiet, request, row, trades};
use zepto_common::service::RowSink;

pub(crate) const NODES: usize = 3;
pub(crate) const PARTITIONS: u16 = 4;
/// Writers; each writes to one partition.
const WRITERS: usize = 8;
/// How long a read may wait until a change is carried out.
const READ_WAIT: Duration = Duration::from_secs(20);
/// Steps after which something that should happen has not.
const PATIENCE: usize = 2_000;

const TIMING: Timing = Timing {
    lease: Duration::from_millis(1_000),
    replicate_timeout: Duration::from_millis(400),
    heartbeat: Duration::from_millis(100),
    resend: Duration::from_millis(100),
};

/// A small generator (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % (bound as u64).max(1)) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

#[derive(Debug, Default)]
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> Moment {
        Moment(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Debug)]
struct Node {
    disk: Arc<SimDisk>,
    store: Option<Arc<Store>>,
    replica: Replica,
    clock: Arc<TestClock>,
}

/// Writes one batch after the other, and repeats each until it is acknowledged. Every second one is a feed: its batches
/// are messages of a source for its partition, and each try begins at another one of those before. The others are wide: each batch has a
/// row for their partition and one for another of the same drain thread, and what an owner has of it is not sent again.
#[derive(Debug)]
struct Writer {
    key: String,
    partition: u16,
    /// Of a wide writer's second row.
    other: (String, u16),
    /// The batch under way: its number, when it was sent, and the answer to come.
    batch: Option<u64>,
    call: Option<(usize, JoinHandle<Result<Told>>)>,
    /// Ids of the batch under way that an owner has.
    told: BTreeSet<i64>,
    next: u64,
    /// Ids of acknowledged rows.
    stored: BTreeSet<i64>,
    begun: BTreeSet<i64>,
    /// Ids of rows that a change has certainly removed.
    gone: BTreeSet<i64>,
    /// Rows of the batch under way that a change may have met.
    doubtful: BTreeSet<i64>,
}

/// The answer to a write.
#[derive(Debug)]
enum Told {
    Whole(WriteReceipt),
    Parts(Vec<PartResult>),
}

pub(crate) struct World {
    pub(crate) coordinator_away: bool,
    pub(crate) failovers: u64,
    runtime: Runtime,
    random: Random,
    nodes: Vec<Node>,
    network: Arc<Network>,
    coordinator: Coordinator,
    writers: Vec<Writer>,
    schema: Option<Arc<TableSchema>>,
    steps: usize,
    /// Logs are kept for two files and no longer.
    short_logs: bool,
    transfers: Transfers,
    changes: changes::Changes,
}

impl Drop for World {
    fn drop(&mut self) {
        self.transfers = Transfers::default();
        // No background thread may be left behind it.
        self.changes.conditions.set(false);
        for node in &mut self.nodes {
            drop(node.store.take());
        }
    }
}

fn ids_of(writer: usize, batch: u64) -> [i64; 2] {
    let first = (writer as i64) << 32 | (batch as i64) << 1;
    [first, first + 1]
}

fn is_feed(writer: usize) -> bool {
    writer % 2 == 1
}

/// Messages of a feed, two rows each.
fn messages(
    schema: &Arc<TableSchema>,
    writer: usize,
    key: &str,
    offsets: std::ops::RangeInclusive<u64>,
) -> WriteRequest {
    let ids: Vec<i64> = offsets.clone().flat_map(|offset| ids_of(writer, offset)).collect();
    let rows: Vec<_> = ids.iter().map(|&id| row(key, id, id)).collect();
    let offsets = UInt64Array::from_iter_values(offsets.flat_map(|offset| [offset; 2]));
    let stream = FeedStream { table: schema.clone(), name: format!("feed/{writer}") };
    WriteRequest {
        table: schema.clone(),
        batch: Some(stream.batch(0)),
        block: 0,
        repeatable: true,
        rows: with_offsets(&batch(schema, &rows), offsets).unwrap(),
    }
}

fn partition_of_key(key: &str) -> u16 {
    let keys: ArrayRef = Arc::new(StringArray::from(vec![key]));
    partitions_of(&keys, PARTITIONS).unwrap()[0]
}

impl World {
    pub(crate) fn new(seed: u64, lossy: bool) -> Self {
        Self::with_logs(seed, lossy, false)
    }

    pub(crate) fn with_logs(seed: u64, lossy: bool, short_logs: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let network = Arc::new(Network::new(lossy));
        let mut world = Self {
            coordinator_away: false,
            failovers: 0,
            runtime,
            random: Random(seed),
            nodes: Vec::new(),
            network,
            coordinator: Coordinator::default(),
            writers: Vec::new(),
            schema: None,
            steps: 0,
            short_logs,
            transfers: Transfers::default(),
            changes: changes::Changes::default(),
        };
        for index in 0..NODES {
            let disk = SimDisk::new();
            let clock = Arc::new(TestClock(AtomicU64::new(1_000_000_000 * (1 + index as u64))));
            let replica = Replica { node: NodeId(index as u32), disk: zepto_common::DiskId(0) };
            world.nodes.push(Node { disk, store: None, replica, clock });
            world.start(index);
            let store = world.nodes[index].store.clone().unwrap();
            world.schema = Some(world.runtime.block_on(store.create_table(trades("trades"))).unwrap());
        }
        let replicas: Vec<Replica> = world.nodes.iter().map(|node| node.replica).collect();
        world.coordinator = Coordinator::new(&replicas, PARTITIONS);
        for partition in 0..PARTITIONS {
            let keys = (0..).map(|n| format!("k{n}")).filter(|key| partition_of_key(key) == partition);
            let other = (partition + 2) % PARTITIONS;
            let beside = (0..).map(|n| format!("o{n}")).find(|key| partition_of_key(key) == other).unwrap();
            for key in keys.take(WRITERS / usize::from(PARTITIONS)) {
                world.writers.push(Writer {
                    key,
                    partition,
                    other: (beside.clone(), other),
                    batch: None,
                    call: None,
                    told: BTreeSet::new(),
                    next: 0,
                    stored: BTreeSet::new(),
                    begun: BTreeSet::new(),
                    gone: BTreeSet::new(),
                    doubtful: BTreeSet::new(),
                });
            }
        }
        world
    }

    fn options(&self, index: usize) -> StoreOptions {
        let node = &self.nodes[index];
        let mut options = quiet(StoreOptions::new("/data"));
        options.disk = node.disk.clone();
        options.exclusive = false;
        options.partitions = Some(PARTITIONS);
        options.memory_limit = 64 << 20;
        options.seal.log_file_bytes = 32 << 10;
        options.seal.log_bytes = if self.short_logs { 32 << 10 } else { 64 << 20 };
        options.conditions = Some(self.changes.conditions.clone());
        options.copies = Some(CopyOptions {
            node: NodeId(index as u32),
            timing: TIMING,
            clock: node.clock.clone(),
            peers: self.network.of(index),
        });
        options
    }

    pub(crate) fn start(&mut self, index: usize) {
        let store = Store::open(self.options(index)).expect("the store opens");
        self.nodes[index].replica.disk = store.disk_id();
        self.network.know(index, self.nodes[index].replica);
        self.nodes[index].store = Some(store);
    }

    pub(crate) fn open_alone(&mut self, index: usize) -> Result<Arc<Store>> {
        self.kill(index, None);
        Store::open(StoreOptions { copies: None, ..self.options(index) })
    }

    /// The process is gone; with a seed the power too.
    pub(crate) fn kill(&mut self, index: usize, torn: Option<u64>) {
        let node = &mut self.nodes[index];
        let Some(store) = node.store.take() else { return };
        // The disk stops first: what is synced and acknowledged after its image was taken would be lost by the test itself.
        while !node.disk.is_frozen() {
            let next = node.disk.syncs();
            node.disk.freeze_at(next);
            if node.disk.syncs() == next {
                break;
            }
        }
        let image = match torn {
            None => node.disk.now().image(CrashImage::Everything),
            Some(0) => node.disk.now().image(CrashImage::DurableOnly),
            Some(seed) => node.disk.now().image(CrashImage::Torn { seed }),
        };
        self.transfers.drop_of(index);
        self.network.silence(index);
        let _ = store.close_without_flush();
        self.nodes[index].disk = image;
    }

    fn alive(&self, index: usize) -> bool {
        self.nodes[index].store.is_some() && !self.network.is_cut_off(index)
    }

    pub(crate) fn cut_off(&mut self, index: usize, cut: bool) {
        self.network.cut_off(index, cut);
    }

    /// One step of the world.
    pub(crate) fn step(&mut self) {
        self.steps += 1;
        let pass = 5 + self.random.below(30) as u64;
        for node in &self.nodes {
            node.clock.0.fetch_add(pass * 1_000_000, Ordering::SeqCst);
        }
        for (to, partition, from, message) in self.network.due(&mut self.random) {
            if let Some(store) = &self.nodes[to].store {
                store.deliver(from, vec![(partition, message)]);
            }
        }
        if !self.coordinator_away {
            let alive: Vec<bool> = (0..NODES).map(|index| self.alive(index)).collect();
            for (from, change) in self.network.proposals() {
                if alive[from] {
                    self.coordinator.propose(&change);
                }
            }
            self.coordinator.pass(pass, &alive);
            self.failovers = self.coordinator.failovers;
            let placement = Arc::new(self.coordinator.placement.clone());
            for (index, node) in self.nodes.iter().enumerate() {
                if let Some(store) = node.store.as_ref().filter(|_| alive[index] && self.random.chance(40)) {
                    store.learn(&placement).unwrap();
                }
            }
        }
        self.poll_writers();
        self.pass_states();
        self.poll_changes();
        for node in &self.nodes {
            if let Some(store) = &node.store {
                store.settle().unwrap();
            }
        }
        self.let_changes_be_carried_out();
        self.poll_writers();
    }

    pub(crate) fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
        }
    }

    pub(crate) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..PATIENCE {
            self.step();
            if done(self) {
                return;
            }
        }
        let statuses: Vec<_> = (0..NODES)
            .filter(|index| self.nodes[*index].store.is_some())
            .map(|index| (index, (0..PARTITIONS).map(|p| self.status(index, p)).collect::<Vec<_>>()))
            .collect();
        panic!("{what}: not after {PATIENCE} steps; {statuses:#?}");
    }

    pub(crate) fn status(&self, index: usize, partition: u16) -> CopyStatus {
        let store = self.nodes[index].store.clone().expect("it runs");
        self.runtime.block_on(store.copy_status(PartitionId(partition))).unwrap()
    }

    pub(crate) fn owner_of(&self, partition: u16) -> usize {
        self.coordinator.placement.partitions[usize::from(partition)].grant.owner.node.0 as usize
    }

    pub(crate) fn all_serve(&mut self) -> bool {
        (0..PARTITIONS).all(|p| {
            let owner = self.owner_of(p);
            self.alive(owner) && self.status(owner, p).phase == Some(Phase::Serving)
        })
    }

    pub(crate) fn checkpoint(&mut self, index: usize) {
        let store = self.nodes[index].store.clone().unwrap();
        self.runtime.block_on(store.checkpoint()).unwrap();
    }

    // Writers.

    pub(crate) fn begin_writes(&mut self, _round: usize) {
        for index in 0..self.writers.len() {
            let writer = &mut self.writers[index];
            if writer.batch.is_none() {
                writer.batch = Some(writer.next);
                writer.next += 1;
            }
        }
        self.poll_writers();
    }

    pub(crate) fn write_all(&mut self, round: usize) {
        self.begin_writes(round);
        self.until("all writers were answered", Self::quiet);
    }

    /// Writes every batch again that was acknowledged: each must be told to be there already.
    pub(crate) fn repeat_all(&mut self) {
        for index in 0..self.writers.len() {
            assert!(self.writers[index].batch.is_none());
            let before = self.writers[index].next;
            for batch in 0..before {
                self.writers[index].batch = Some(batch);
                self.until("a repeated batch is answered", |world| world.writers[index].batch.is_none());
            }
        }
    }

    pub(crate) fn quiet(&mut self) -> bool {
        self.writers.iter().all(|writer| writer.batch.is_none())
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.writers.iter().map(|writer| writer.stored.len().div_ceil(2)).sum()
    }

    fn poll_writers(&mut self) {
        // Lets the tasks run that were answered.
        self.runtime.block_on(async { tokio::task::yield_now().await });
        for index in 0..self.writers.len() {
            if let Some((since, call)) = self.writers[index].call.take() {
                if call.is_finished() {
                    let answer = self.runtime.block_on(call).unwrap();
                    self.answered(index, answer);
                } else if self.steps - since > 60 {
                    // The writer gives up on this owner; what it asked for may still be stored.
                    call.abort();
                } else {
                    self.writers[index].call = Some((since, call));
                    continue;
                }
            }
            self.send(index);
        }
        self.runtime.block_on(async { tokio::task::yield_now().await });
    }

    fn answered(&mut self, index: usize, answer: Result<Told>) {
        let writer = &mut self.writers[index];
        let Some(batch) = writer.batch else { return };
        if let Ok(Told::Parts(parts)) = &answer {
            return self.told(index, batch, parts);
        }
        if let Ok(Told::Whole(receipt)) = answer {
            let rows = ids_of(index, batch);
            let before = writer.stored.contains(&rows[0]);
            assert!(receipt.rows <= 2, "the messages before the last one are stored already: {receipt:?}");
            assert!(!before || receipt.rows == 0, "an acknowledged batch was stored again");
            let doubtful = std::mem::take(&mut writer.doubtful);
            // A feed's messages stay known by their offsets, whatever has become of their rows.
            let gone = |id: &i64| writer.gone.contains(id);
            writer.stored.extend(rows.iter().filter(|id| !doubtful.contains(id) && !gone(id)));
            writer.batch = None;
        }
    }

    /// What became of a wide batch at one owner.
    fn told(&mut self, index: usize, batch: u64, parts: &[PartResult]) {
        for (partition, outcome) in parts {
            let Ok(stored) = outcome else { continue };
            for id in ids_of(index, batch) {
                if self.partition_of(id) != partition.0 {
                    continue;
                }
                let writer = &mut self.writers[index];
                let before = writer.stored.contains(&id);
                assert!(!before || *stored == PartStored::Before, "an acknowledged part was stored again");
                if writer.told.insert(id) && !writer.doubtful.contains(&id) {
                    writer.stored.insert(id);
                }
            }
        }
        let writer = &mut self.writers[index];
        if ids_of(index, batch).iter().all(|id| writer.told.contains(id)) {
            writer.told.clear();
            writer.doubtful.clear();
            writer.batch = None;
        }
    }

    /// The partition of a row.
    fn partition_of(&self, id: i64) -> u16 {
        let index = (id >> 32) as usize;
        let writer = &self.writers[index];
        if !is_feed(index) && id & 1 == 1 { writer.other.1 } else { writer.partition }
    }

    fn send(&mut self, index: usize) {
        let Some(batch) = self.writers[index].batch else { return };
        let mut due = ids_of(index, batch).to_vec();
        due.retain(|id| !self.writers[index].told.contains(id));
        let first = due.first().map_or(self.writers[index].partition, |id| self.partition_of(*id));
        let partition = if is_feed(index) { self.writers[index].partition } else { first };
        let wrong = self.random.chance(5);
        let node = if wrong { self.random.below(NODES) } else { self.owner_of(partition) };
        // A writer reaches nodes that the others do not: an owner that was cut off is asked too.
        let Some(store) = self.nodes[node].store.clone() else { return };
        let key = self.writers[index].key.clone();
        self.writers[index].begun.extend(ids_of(index, batch));
        let schema = self.schema.clone().unwrap();
        let request = if is_feed(index) {
            let from = batch.saturating_sub(self.random.below(4) as u64);
            messages(&schema, index, &key, from..=batch)
        } else {
            // As an edge cuts it: what this node owns, as far as one knows.
            due.retain(|id| self.owner_of(self.partition_of(*id)) == self.owner_of(partition));
            let beside = self.writers[index].other.0.clone();
            let key = |id: i64| if id & 1 == 1 { &beside } else { &key };
            let rows: Vec<_> = due.iter().map(|&id| row(key(id), id, id)).collect();
            request(&schema, Some(&format!("{index}-{batch}")), &rows)
        };
        let (deadline, whole) = (Instant::now() + Duration::from_secs(60), is_feed(index));
        let call = self.runtime.spawn(async move {
            match whole {
                true => store.write(request, deadline).await.map(Told::Whole),
                false => store.write_parts(request, deadline).await.map(Told::Parts),
            }
        });
        self.writers[index].call = Some((self.steps, call));
    }

    // Positions of a feed.

    /// The partition that keeps them, and who owns it.
    pub(crate) fn home(&self, stream: &str) -> (u16, usize) {
        let home = home_of_stream(self.schema.as_ref().unwrap().id, stream, PARTITIONS).0;
        (home, self.owner_of(home))
    }

    /// Raises positions at the owner of their home, or only asks; None where it cannot say.
    pub(crate) fn positions(&mut self, stream: &str, raise: &[(u32, u64)]) -> Option<BTreeMap<u32, u64>> {
        let owner = self.home(stream).1;
        self.positions_at(owner, stream, raise)
    }

    /// The same at any node.
    pub(crate) fn positions_at(
        &mut self,
        node: usize,
        stream: &str,
        raise: &[(u32, u64)],
    ) -> Option<BTreeMap<u32, u64>> {
        let (store, table) = (self.nodes[node].store.clone()?, self.schema.as_ref().unwrap().id);
        let (stream, raise) = (stream.to_owned(), raise.iter().copied().collect());
        let call = self.runtime.spawn(async move {
            let deadline = Instant::now() + Duration::from_secs(60);
            store.raise_positions(table, &stream, &raise, deadline).await
        });
        for _ in 0..60 {
            self.step();
            self.runtime.block_on(async { tokio::task::yield_now().await });
            if call.is_finished() {
                return self.runtime.block_on(call).unwrap().ok();
            }
        }
        call.abort();
        None
    }

    /// What a node shows of a stream's positions without asking anybody.
    pub(crate) fn shown_positions(&self, node: usize, stream: &str) -> BTreeMap<u32, u64> {
        let store = self.nodes[node].store.as_ref().expect("it runs");
        let shown = store.feed_positions().into_iter().filter(|it| it.stream == stream);
        shown.map(|it| (it.source, it.offset)).collect()
    }

    // The judge.

    fn rows_at(&self, index: usize) -> Vec<i64> {
        let store = self.nodes[index].store.as_ref().expect("it runs");
        ids(store, self.schema.as_ref().unwrap().id)
    }

    /// A view of what belongs to a partition; no row may be there twice, nor without a writer.
    fn view(&self, index: usize, partition: u16) -> BTreeSet<i64> {
        let mut seen = BTreeSet::new();
        for id in self.rows_at(index) {
            let writer = &self.writers[(id >> 32) as usize];
            assert!(writer.begun.contains(&id), "row {id} at node {index} was never written");
            if self.partition_of(id) == partition {
                assert!(seen.insert(id), "row {id} is at node {index} twice");
            }
        }
        seen
    }

    fn acknowledged_of(&self, partition: u16) -> BTreeSet<i64> {
        let stored = self.writers.iter().flat_map(|writer| writer.stored.iter().copied());
        let stored = stored.filter(|id| self.partition_of(*id) == partition);
        // A change under way may have been committed, and its answer lost.
        stored.filter(|id| !self.may_be_removed(partition, *id)).collect()
    }

    /// Whether this node may be read, and then that it shows all that was acknowledged before.
    pub(crate) fn reads_at(&self, index: usize, partition: u16) -> bool {
        let Some(store) = self.nodes[index].store.clone() else { return false };
        let confirmed = || {
            let read =
                async { tokio::time::timeout(READ_WAIT, store.confirm_read(PartitionId(partition))).await };
            self.runtime.block_on(read).is_ok_and(|read| read.is_ok())
        };
        let (acknowledged, gone) = (self.acknowledged_of(partition), self.gone_from(partition));
        if !confirmed() {
            return false;
        }
        let view = self.view(index, partition);
        if !confirmed() {
            return false;
        }
        let back: Vec<_> = gone.intersection(&view).collect();
        assert!(back.is_empty(), "node {index} may be read and has rows that were removed: {back:?}");
        let lost: Vec<_> = acknowledged.difference(&view).collect();
        let up = (0..NODES).filter(|node| self.nodes[*node].store.is_some());
        let stand = || up.map(|node| (node, self.status(node, partition))).collect::<Vec<_>>();
        assert!(
            lost.is_empty(),
            "node {index} may be read and lacks acknowledged rows {lost:?} of partition {partition}; owner {}: {:#?}",
            self.owner_of(partition),
            stand()
        );
        true
    }

    pub(crate) fn check_reads(&mut self) {
        for partition in 0..PARTITIONS {
            self.until("the owner may be read", |world| world.reads_at(world.owner_of(partition), partition));
        }
    }

    /// All nodes run and agree, and nothing that was acknowledged is missing.
    pub(crate) fn check_end(&mut self) {
        self.until("all writers were answered", Self::quiet);
        self.until("all changes are committed", Self::changes_committed);
        self.until("all copies are in every set and equal", |world| {
            world.all_serve() && (0..PARTITIONS).all(|p| world.is_level(p))
        });
        self.check_reads();
        for partition in 0..PARTITIONS {
            let acknowledged = self.acknowledged_of(partition);
            let views: Vec<_> = (0..NODES).map(|index| self.view(index, partition)).collect();
            for (index, view) in views.iter().enumerate() {
                assert_eq!(view, &views[0], "nodes {index} and 0 differ in partition {partition}");
                let back: Vec<_> = self.gone_from(partition).intersection(view).copied().collect();
                assert!(back.is_empty(), "node {index} has rows {back:?} that were removed");
                let lost: Vec<_> = acknowledged.difference(view).collect();
                assert!(lost.is_empty(), "node {index} lost {lost:?} of partition {partition}");
            }
        }
    }

    fn is_level(&self, partition: u16) -> bool {
        let grant = &self.coordinator.placement.partitions[usize::from(partition)].grant;
        let statuses: Vec<CopyStatus> = (0..NODES).map(|index| self.status(index, partition)).collect();
        grant.set.members.len() == NODES
            && statuses.iter().all(|it| it.applied == it.end && it.end == statuses[0].end)
    }

    // Faults.

    pub(crate) fn faults(&mut self, steps: usize) {
        for _ in 0..steps {
            let node = self.random.below(NODES);
            match self.random.below(100) {
                0..3 if self.up() > 1 => {
                    let seed = if self.random.chance(25) { 0 } else { self.random.next() };
                    self.kill(node, Some(seed));
                }
                3..5 if self.up() > 1 => self.kill(node, None),
                5..8 if self.up() > 2 => self.fall_within_a_sync(node),
                8..18 if self.nodes[node].store.is_none() => self.start(node),
                18..20 => self.cut_off(node, true),
                20..26 => self.cut_off(node, false),
                26..28 => self.coordinator_away = true,
                28..34 => self.coordinator_away = false,
                34..37 if self.up() == NODES && !self.short_logs => self.checkpoint_when_level(node),
                34..36 if self.nodes[node].store.is_some() && self.short_logs => self.checkpoint(node),
                36..37 if self.up() == NODES && self.short_logs => self.lose_disk_when_level(node),
                37..40 => {
                    let partition = PartitionId(self.random.below(PARTITIONS.into()) as u16);
                    if let Some(store) = &self.nodes[self.owner_of(partition.0)].store {
                        store.hand_over(partition).unwrap();
                    }
                }
                40..44 if self.changes.wanted => self.begin_change(),
                40..80 => self.begin_writes(0),
                80..100 => {
                    for partition in 0..PARTITIONS {
                        self.reads_at(node, partition);
                    }
                }
                _ => {}
            }
            self.step();
        }
    }

    /// A checkpoint lets go of log entries that a copy which was away may lack, and nothing else could bring it up to
    /// date: so it waits here until every copy has them.
    fn checkpoint_when_level(&mut self, node: usize) {
        self.coordinator_away = false;
        (0..NODES).for_each(|index| self.cut_off(index, false));
        for _ in 0..200 {
            self.step();
            if self.all_serve() && (0..PARTITIONS).all(|p| self.is_level(p)) {
                return self.checkpoint(node);
            }
        }
    }

    fn up(&self) -> usize {
        self.nodes.iter().filter(|node| node.store.is_some()).count()
    }

    /// The power of a node goes while a sync is under way: what was written of it survives in part.
    fn fall_within_a_sync(&mut self, index: usize) {
        if self.nodes[index].store.is_none() {
            return;
        }
        let disk = self.nodes[index].disk.clone();
        disk.freeze_at(disk.syncs() + self.random.below(4) as u64);
        for _ in 0..20 {
            self.begin_writes(0);
            self.step();
            if disk.is_frozen() {
                break;
            }
        }
        let seed = self.random.next();
        self.kill(index, Some(seed));
    }

    pub(crate) fn heal(&mut self) {
        self.coordinator_away = false;
        for index in 0..NODES {
            self.cut_off(index, false);
            if self.nodes[index].store.is_none() {
                self.start(index);
            }
        }
        self.network.heal();
    }
}
