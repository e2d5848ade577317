//! Measures what a second copy costs the engine, without a network:
//! `cargo run --release -p zepto-engine --example copies -- [keys] [rows of a block] [blocks]`. One store alone and then an owner
//! with a follower in the same process take the same blocks from four writers; messages between the two are handed over as they are.
//!
//! The figures are nanoseconds of processor time per row by group of threads: the edge (regrouping, IPC), the drain threads of
//! all stores, the background.

#[path = "shared/processor_time.rs"]
mod processor_time;
#[path = "shared/ticks.rs"]
mod ticks;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::compute::cast;
use zepto_common::ids::{PlacementVersion, SetVersion};
use zepto_common::placement::{Assignment, Grant, InSyncSet, Placement, Replica};
use zepto_common::schema::TableSchema;
use zepto_common::service::{RowSink, WriteRequest};
use zepto_common::{BatchId, Epoch, Error, NodeId, PartitionId, Result, Token};
use zepto_engine::copies::{CopyOptions, CopyStatus, Leave, Letter, Peers, SystemClock};
use zepto_engine::{Store, StoreOptions};
use zepto_replication::{Alarm, Change, Phase, Timing};

use processor_time::{nanos_of, nanos_of_threads};
use ticks::table;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const WRITERS: usize = 4;
const PARTITIONS: u16 = 256;
const LEASE: Duration = Duration::from_secs(2);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hands what one store's copies say to the other store.
#[derive(Debug, Default)]
struct Wire {
    me: OnceLock<Replica>,
    other: OnceLock<Weak<Store>>,
}

impl Peers for Wire {
    fn send(&self, letters: Vec<Letter>) {
        if let (Some(me), Some(other)) = (self.me.get(), self.other.get().and_then(Weak::upgrade)) {
            other.deliver(*me, letters.into_iter().map(|it| (it.partition, it.message)).collect());
        }
    }

    fn propose(&self, _change: Change) {}

    fn wanted(&self, _partition: PartitionId, _owner: Replica, _token: Token) {}

    fn unwanted(&self, _partition: PartitionId, _owner: Replica, _leave: Leave) {}

    fn alarm(&self, _partition: PartitionId, _alarm: Alarm) {}
}

/// Block number `number`: its rows walk through the keys.
fn block(schema: &TableSchema, number: usize, (keys, rows): (usize, usize)) -> Result<RecordBatch> {
    let names = StringArray::from_iter_values((0..keys).map(|key| format!("S{key:05}")));
    let ids = Int32Array::from_iter_values((0..rows).map(|row| ((row * 7 + number) % keys) as i32));
    let ticks = Int64Array::from_iter_values((0..rows).map(|row| (number * rows + row) as i64));
    let time: ArrayRef = cast(&ticks, &schema.columns[1].ty.storage_type())?;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(DictionaryArray::try_new(ids, Arc::new(names))?),
        time,
        Arc::new(Float64Array::from_iter_values((0..rows).map(|row| (row % 991) as f64 / 4.0))),
        Arc::new(Int64Array::from_iter_values((0..rows).map(|row| (row % 97) as i64))),
    ];
    Ok(RecordBatch::try_new(schema.storage_schema(), columns)?)
}

fn write_all(store: &Store, schema: &Arc<TableSchema>, writer: usize, blocks: &[RecordBatch]) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::internal(error.to_string()))?;
    let before = nanos_of(Path::new("/proc/thread-self"));
    for (number, rows) in blocks.iter().enumerate() {
        let batch = BatchId::Producer { producer: writer as u64, sequence: number as u64 };
        let (table, rows) = (schema.clone(), rows.clone());
        let request = WriteRequest { table, batch: Some(batch), block: 0, repeatable: true, rows };
        runtime.block_on(store.write(request, Instant::now() + Duration::from_secs(60)))?;
    }
    Ok(nanos_of(Path::new("/proc/thread-self")) - before)
}

/// The stores, the first of which takes the rows.
fn stores(folder: &Path, copies: usize) -> Result<Vec<Arc<Store>>> {
    let timing = Timing { lease: LEASE, replicate_timeout: LEASE, heartbeat: LEASE / 10, resend: LEASE / 10 };
    let wires: Vec<Arc<Wire>> = (0..copies).map(|_| Arc::default()).collect();
    let open = |(node, wire): (usize, &Arc<Wire>)| {
        let mut options = StoreOptions::new(folder.join(node.to_string()));
        options.partitions = Some(PARTITIONS);
        if copies > 1 {
            let node = NodeId(node as u32);
            options.copies =
                Some(CopyOptions { node, timing, clock: Arc::new(SystemClock), peers: wire.clone() });
        }
        Store::open(options)
    };
    let stores = wires.iter().enumerate().map(open).collect::<Result<Vec<_>>>()?;
    if copies > 1 {
        let replicas = stores.iter().enumerate();
        let replicas: Vec<Replica> =
            replicas.map(|(node, it)| Replica { node: NodeId(node as u32), disk: it.disk_id() }).collect();
        for (node, wire) in wires.iter().enumerate() {
            let _first = wire.me.set(replicas[node]);
            let _first = wire.other.set(Arc::downgrade(&stores[1 - node]));
        }
        let set = InSyncSet { version: SetVersion(1), members: replicas.iter().copied().collect() };
        let partitions = (0..PARTITIONS).map(|partition| Assignment {
            grant: Grant {
                partition: PartitionId(partition),
                epoch: Epoch(1),
                owner: replicas[0],
                set: set.clone(),
            },
            joining: BTreeSet::new(),
            leaving: BTreeSet::new(),
        });
        let placement = Placement { version: PlacementVersion(1), partitions: partitions.collect() };
        let placement = Arc::new(placement);
        stores.iter().try_for_each(|store| store.learn(&placement))?;
    }
    Ok(stores)
}

/// Waits until every copy of a store is so.
async fn all(store: &Store, is_so: impl Fn(&CopyStatus) -> bool) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    for partition in (0..PARTITIONS).map(PartitionId) {
        while !is_so(&store.copy_status(partition).await?) {
            if Instant::now() > until {
                return Err(Error::internal(format!("partition {partition} does not come on")));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}

fn round(folder: &Path, copies: usize, shape: (usize, usize), blocks: usize) -> Result<[f64; 4]> {
    let fault = |error: std::io::Error| Error::internal(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fault)?;
    let stores = stores(folder, copies)?;
    let mut schema = None;
    for store in &stores {
        schema = Some(runtime.block_on(store.create_table(table()))?);
    }
    let schema = schema.ok_or_else(|| Error::internal("no store"))?;
    if copies > 1 {
        runtime.block_on(all(&stores[0], |status| status.phase == Some(Phase::Serving)))?;
    }
    let made: Vec<RecordBatch> = (0..blocks).map(|it| block(&schema, it, shape)).collect::<Result<_>>()?;
    let drains_before = nanos_of_threads("zepto-drain");
    let start = Instant::now();
    let edge: Result<Vec<u64>> = std::thread::scope(|scope| {
        let (store, schema, made) = (&stores[0], &schema, &made);
        let writers: Vec<_> =
            (0..WRITERS).map(|it| scope.spawn(move || write_all(store, schema, it, made))).collect();
        let lost = |_| Err(Error::internal("a writer ended early"));
        writers.into_iter().map(|writer| writer.join().unwrap_or_else(lost)).collect()
    });
    let acknowledged = start.elapsed();
    if copies > 1 {
        runtime.block_on(all(&stores[1], |status| status.applied == status.end))?;
    }
    let drain = nanos_of_threads("zepto-drain") - drains_before;
    stores.iter().try_for_each(|store| runtime.block_on(store.checkpoint()))?;
    let rows = (WRITERS * blocks * shape.1) as f64;
    let background = nanos_of_threads("zepto-backgroun");
    let figures =
        [edge?.iter().sum::<u64>() as f64, drain as f64, background as f64, acknowledged.as_nanos() as f64];
    stores.iter().try_for_each(|store| store.close())?;
    Ok(figures.map(|nanos| nanos / rows))
}

#[expect(clippy::print_stdout, reason = "the figures are this program's result")]
fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).map(|it| it.parse::<usize>().unwrap_or(0));
    let (keys, rows) = (arguments.next().unwrap_or(33), arguments.next().unwrap_or(3_333));
    let blocks = arguments.next().unwrap_or(300);
    let folder = std::env::temp_dir().join(format!("zepto-copies-{}", std::process::id()));
    println!("{keys} keys, blocks of {rows} rows, {blocks} from each of {WRITERS} writers; ns per row");
    for copies in [1, 2, 1, 2] {
        let figures = round(&folder.join("data"), copies, (keys, rows), blocks);
        let _emptied = std::fs::remove_dir_all(&folder);
        let [edge, drain, background, wall] = figures?;
        let all = edge + drain + background;
        println!(
            "{copies}: edge {edge:.0}, drain {drain:.0}, background {background:.0}, together {all:.0}; wall {wall:.0}"
        );
    }
    Ok(())
}
