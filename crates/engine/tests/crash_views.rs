//! Power cuts at every sync while materialized views follow tables. The fold of this test keeps the ids of rows as
//! their states, so it can be seen of each row whether it was counted, and how often.

#![allow(clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use common::{Row, column, ids, row, trades, write};
use zepto_common::schema::{TableName, TableSchema};
use zepto_common::types::ColumnType;
use zepto_common::{ColumnId, Result, SchemaVersion, TableId};
use zepto_engine::disk::{Disk, SimDisk};
use zepto_engine::store::ViewDefinition;
use zepto_engine::view::{States, ViewFold};
use zepto_engine::{Part, Store, StoreOptions};

/// Images that the test must have looked at to mean anything.
const IMAGES_MIN: usize = 200;
const HOUR: i64 = 3_600_000_000_000;

/// States are ids.
#[derive(Default)]
struct Ids {
    /// Done once, while rows are counted.
    meanwhile: parking_lot::Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ids")
    }
}

fn ids_of(parts: &[Part], schema: &Arc<TableSchema>, name: &str) -> States {
    let id = schema.index_of(name).expect("an id column");
    let mut states: std::collections::BTreeMap<_, Vec<i64>> = std::collections::BTreeMap::new();
    for part in parts {
        for (partition, range) in part.partition_rows() {
            for batch in part.scan(schema, &[id], std::slice::from_ref(&range), 8192) {
                let batch = batch.expect("the part can be read");
                let ids = batch.column(0).as_primitive::<Int64Type>();
                states.entry(partition).or_default().extend(ids.values());
            }
        }
    }
    let batch = |ids| RecordBatch::try_new(states_schema(TableId(0)).storage_schema(), vec![Arc::new(ids)]);
    let batch = |ids| batch(Int64Array::from(ids)).expect("one column");
    states.into_iter().map(|(partition, ids)| (partition, batch(ids))).collect()
}

impl ViewFold for Ids {
    fn fold(
        &self,
        _: &ViewDefinition,
        source: &Arc<TableSchema>,
        rows: &[Part],
        _: Option<i64>,
    ) -> Result<States> {
        let meanwhile = self.meanwhile.lock().take();
        meanwhile.into_iter().for_each(|work| work());
        Ok(ids_of(rows, source, "id"))
    }

    fn merge(&self, view: &ViewDefinition, _: &Arc<TableSchema>, states: &[Part]) -> Result<States> {
        Ok(ids_of(states, &Arc::new(view.states.clone().expect("states")), "s1"))
    }
}

fn states_schema(id: TableId) -> TableSchema {
    TableSchema {
        id,
        version: SchemaVersion(1),
        name: TableName::new("default", "states"),
        columns: vec![zepto_common::schema::Column { id: ColumnId(1), ..column("s1", ColumnType::Int64) }],
        key: None,
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: "MergeTree".to_owned(),
        comment: String::new(),
    }
}

fn options(disk: &Arc<SimDisk>, drain_threads: usize) -> StoreOptions {
    let mut options = StoreOptions::new("/data");
    options.disk = disk.clone();
    options.exclusive = false;
    options.drain_threads = drain_threads;
    options.partitions = Some(16);
    options.disk_reserve = 0;
    options.seal.rows = 40;
    options.seal.log_file_bytes = 64 << 10;
    options.seal.tick = Duration::from_secs(3600);
    options.fold = Some(Arc::new(Ids::default()));
    options
}

#[derive(Debug, Clone)]
enum Step {
    Create(&'static str, Option<u64>),
    View(&'static str, &'static str, bool),
    DropView(&'static str),
    Write(&'static str, std::ops::Range<i64>),
    WriteOld(&'static str, std::ops::Range<i64>),
    Checkpoint,
    Expire,
    LookNow,
    LongerTtl(&'static str),
    Reopen(usize),
}

fn script() -> Vec<Step> {
    use Step::*;
    let mut steps = vec![
        Create("a", None),
        Create("ttl", Some(3600)),
        Write("a", 0..50),
        View("all", "a", true),
        View("later", "a", false),
        View("kept", "ttl", false),
        Write("a", 50..90),
        WriteOld("ttl", 0..20),
        Write("ttl", 20..40),
        Checkpoint,
        Write("a", 90..95),
        WriteOld("ttl", 40..60),
        Expire,
        Reopen(3),
        Write("a", 95..170),
        Checkpoint,
        Expire,
        WriteOld("ttl", 200..360),
        Expire,
        LongerTtl("ttl"),
        DropView("all"),
        Write("a", 170..180),
        View("all", "a", true),
        Reopen(2),
    ];
    for from in (180..250).step_by(7) {
        steps.extend([Write("a", from..from + 7), Checkpoint]);
    }
    steps.extend([LookNow, Write("a", 250..255), Write("ttl", 70..75), Checkpoint]);
    steps
}

fn rows_of(ids: std::ops::Range<i64>, time: i64) -> Vec<Row> {
    ids.map(|id| row(&format!("K{}", id % 23), time + id, id)).collect()
}

fn table(store: &Store, name: &str) -> Option<Arc<TableSchema>> {
    store.catalog().table(&TableName::new("default", name)).cloned()
}

async fn play(store: &mut Arc<Store>, disk: &Arc<SimDisk>, now: i64, step: &Step) -> Result<()> {
    let schema = |name: &str| table(store, name).expect("the script made it");
    match step {
        Step::Create(name, ttl) => {
            let mut new = trades(name);
            new.ttl_seconds = *ttl;
            store.create_table(new).await.map(drop)
        }
        Step::View(name, source, backfill) => {
            let view = ViewDefinition {
                name: TableName::new("default", *name),
                sql: String::new(),
                columns: Vec::new(),
                materialized: true,
                target: None,
                source: Some(schema(source).id),
                states: Some(states_schema(TableId(0))),
                reads: Vec::new(),
            };
            store.create_materialized_view(view, *backfill).await
        }
        Step::DropView(name) => store.drop_view(&TableName::new("default", *name)).await,
        Step::Write(name, ids) => {
            write(store, &schema(name), None, &rows_of(ids.clone(), now)).await.map(drop)
        }
        Step::WriteOld(name, ids) => {
            write(store, &schema(name), None, &rows_of(ids.clone(), now - 2 * HOUR)).await.map(drop)
        }
        Step::Checkpoint => store.checkpoint().await,
        Step::Expire => store.expire().await,
        Step::LookNow => store.look_now().await,
        Step::LongerTtl(name) => store.set_ttl(&schema(name).name, Some(360_000)).await,
        Step::Reopen(threads) => {
            store.close_without_flush()?;
            *store = Store::open(options(disk, *threads))?;
            Ok(())
        }
    }
}

/// What a view shows: ids that it has counted, and those of the rows that it would count in a query.
fn shown(store: &Store, name: &str) -> Option<Vec<i64>> {
    let catalog = store.catalog();
    let view = catalog.view(&TableName::new("default", name))?;
    let snapshot = store.view_snapshot(view).expect("the view's source is there");
    assert_eq!(snapshot.broken, None);
    let states = ids_of(&snapshot.states, &Arc::new(view.states.clone().expect("states")), "s1");
    let fresh = ids_of(&snapshot.fresh, &snapshot.schema, "id");
    let ids = |states: States| -> Vec<i64> {
        states.iter().flat_map(|(_, b)| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
    };
    let mut all = ids(states);
    all.extend(ids(fresh));
    all.sort_unstable();
    Some(all)
}

fn unique(ids: &[i64], what: &str) -> BTreeSet<i64> {
    let set: BTreeSet<i64> = ids.iter().copied().collect();
    assert_eq!(set.len(), ids.len(), "{what}: a row was counted twice: {ids:?}");
    set
}

/// The ids written to a table by these steps.
fn written(steps: &[Step], name: &str) -> BTreeSet<i64> {
    let of = |step: &Step| match step {
        Step::Write(table, ids) | Step::WriteOld(table, ids) if *table == name => ids.clone(),
        _ => 0..0,
    };
    steps.iter().flat_map(of).collect()
}

fn check(store: &Store, done: &[Step], running: Option<&Step>, what: &str) {
    let Some(source) = table(store, "a") else { return };
    let rows: BTreeSet<i64> = ids(store, source.id).into_iter().collect();
    if let Some(all) = shown(store, "all") {
        assert_eq!(unique(&all, what), rows, "{what}: the view of all rows");
    }
    if let Some(later) = shown(store, "later") {
        let later_rows: BTreeSet<i64> = rows.iter().copied().filter(|id| *id >= 50).collect();
        assert_eq!(unique(&later, what), later_rows, "{what}: the view of later rows");
    }
    if let Some(kept) = shown(store, "kept") {
        let kept = unique(&kept, what);
        let acknowledged = written(done, "ttl");
        let mut attempted = acknowledged.clone();
        attempted.extend(running.into_iter().flat_map(|step| written(std::slice::from_ref(step), "ttl")));
        assert!(kept.is_superset(&acknowledged), "{what}: lost {:?}", acknowledged.difference(&kept));
        assert!(kept.is_subset(&attempted), "{what}: rows from nowhere");
    }
    let has = |name: &str| {
        done.iter().rev().find_map(|step| match step {
            Step::View(view, ..) if *view == name => Some(true),
            Step::DropView(view) if *view == name => Some(false),
            _ => None,
        })
    };
    for name in ["all", "later", "kept"] {
        let changing = matches!(running, Some(Step::View(view, ..) | Step::DropView(view)) if *view == name);
        let there = shown(store, name).is_some();
        assert!(changing || there == has(name).unwrap_or(false), "{what}: view {name} is there: {there}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_counts_each_row_once_whatever_a_power_cut_leaves() {
    let disk = SimDisk::new();
    let now = zepto_common::clock::wall_nanos();
    let mut store = Store::open(options(&disk, 2)).expect("an empty disk");
    disk.record();
    let mut played: Vec<(u64, u64)> = Vec::new();
    let script = script();
    for (at, step) in script.iter().enumerate() {
        let begun = disk.syncs();
        play(&mut store, &disk, now, step).await.unwrap_or_else(|error| panic!("{step:?}: {error}"));
        played.push((begun, disk.syncs()));
        check(&store, &script[..=at], None, &format!("after {step:?}"));
    }
    store.close().expect("closes");
    drop(store);
    let mut images = 0;
    for boundary in disk.boundaries() {
        let done = played.iter().take_while(|(_, done)| *done <= boundary.number()).count();
        let running = script.get(done).filter(|_| played[done].0 <= boundary.number());
        for (image, recovered) in boundary.images(1) {
            let what = format!("sync {}, {image:?}, during {running:?}", boundary.number());
            let store = Store::open(options(&recovered, 1 + (images % 3)));
            let store = store.unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&store, &script[..done], running, &what);
            if images % 5 == 0 {
                store.checkpoint().await.expect("checkpoints");
                check(&store, &script[..done], running, &what);
            }
            store.close_without_flush().expect("closes");
            images += 1;
        }
    }
    println!("{images} crash images with views");
    assert!(images >= IMAGES_MIN, "only {images} images");
}

/// Setting a longer TTL rewrites the table. Rows that come after its flush are rewritten from memory into segments
/// with the drain threads standing still, and are counted then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_come_while_expired_ones_are_removed_are_counted_once() {
    let disk = SimDisk::new();
    let now = zepto_common::clock::wall_nanos();
    let fold = Arc::new(Ids::default());
    let opened = StoreOptions { fold: Some(fold.clone()), ..options(&disk, 2) };
    let mut store = Store::open(opened).expect("an empty disk");
    for step in
        [Step::Create("ttl", Some(3600)), Step::View("kept", "ttl", false), Step::WriteOld("ttl", 0..30)]
    {
        play(&mut store, &disk, now, &step).await.expect("plays");
    }
    store.expire().await.expect("expires");
    let (runtime, writer) = (tokio::runtime::Handle::current(), store.clone());
    *fold.meanwhile.lock() = Some(Box::new(move || {
        let schema = table(&writer, "ttl").expect("the table");
        let rows = rows_of(30..60, now - 2 * HOUR);
        runtime.block_on(write(&writer, &schema, None, &rows)).expect("writes");
    }));
    play(&mut store, &disk, now, &Step::LongerTtl("ttl")).await.expect("a longer TTL");
    assert!(fold.meanwhile.lock().is_none(), "rows came meanwhile");
    let all: BTreeSet<i64> = (0..60).collect();
    assert_eq!(unique(&shown(&store, "kept").expect("the view"), "live"), all);
    store.close_without_flush().expect("closes");
    drop(store);
    let store = Store::open(options(&disk, 2)).expect("opens");
    assert_eq!(unique(&shown(&store, "kept").expect("the view"), "opened"), all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_has_the_states_of_views_and_a_dropped_view_leaves_no_file() {
    let disk = SimDisk::new();
    let now = zepto_common::clock::wall_nanos();
    let mut store = Store::open(options(&disk, 2)).expect("an empty disk");
    for step in [
        Step::Create("a", None),
        Step::Write("a", 0..50),
        Step::View("all", "a", true),
        Step::Write("a", 50..120),
        Step::Checkpoint,
        Step::Write("a", 120..130),
    ] {
        play(&mut store, &disk, now, &step).await.expect("plays");
    }
    let catalog = store.catalog();
    let view = catalog.view(&TableName::new("default", "all")).expect("the view").clone();
    let info = store.backup_snapshot("s").await.expect("a snapshot");
    assert_eq!(info.rows, 130, "rows of tables, not of what views keep about them");
    let files = || disk.list(std::path::Path::new("/data/segments")).expect("lists").len();
    let with_states = files();
    play(&mut store, &disk, now, &Step::DropView("all")).await.expect("drops");
    assert!(store.view_snapshot(&view).is_err(), "a plan made before must not read what is left");
    assert!(files() < with_states, "{with_states} files before, {} after", files());
    store.close().expect("closes");
    drop(store);
    let mut restored = options(&disk, 3);
    restored.data_dir = "/data/snapshots/s".into();
    let store = Store::open(restored).expect("opens the snapshot");
    let all: BTreeSet<i64> = (0..130).collect();
    assert_eq!(unique(&shown(&store, "all").expect("the view"), "restored"), all);
}
