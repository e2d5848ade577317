//! Power cuts at every sync of a scripted workload: whatever the disk kept, what was acknowledged is there, nothing
//! is there that was not attempted, no row is there twice, a retry with the same token makes no duplicate, and the
//! recovered store goes on.

#![allow(clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::Int64Type;
use common::{Row, column, ids, row, trades, write};
use zepto_common::Result;
use zepto_common::schema::{TableName, TableSchema};
use zepto_common::types::ColumnType;
use zepto_engine::disk::SimDisk;
use zepto_engine::store::{AlterOp, ColumnPosition};
use zepto_engine::{Store, StoreOptions};

/// Torn images of each boundary, besides the four whole ones.
const TORN: u64 = 2;
/// Images that the test must have looked at to mean anything.
const IMAGES_MIN: usize = 500;

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
    options
}

/// One step of the script.
#[derive(Debug, Clone)]
enum Step {
    Create(&'static str, Option<u64>),
    Write(&'static str, Option<&'static str>, std::ops::Range<i64>),
    /// Rows that have expired already when they come.
    WriteOld(&'static str, std::ops::Range<i64>),
    DeleteOdd(&'static str),
    Truncate(&'static str),
    Drop(&'static str),
    AddColumn(&'static str, &'static str),
    Checkpoint,
    Optimize(&'static str),
    Expire,
    Snapshot(&'static str),
    Reopen(usize),
}

fn script() -> Vec<Step> {
    use Step::*;
    vec![
        Create("a", None),
        Create("b", None),
        Create("ttl", Some(3600)),
        Write("a", None, 0..10),
        Write("a", Some("t1"), 10..60),
        Write("b", Some("t1"), 0..30),
        Write("a", Some("t2"), 60..61),
        Checkpoint,
        Write("a", Some("t3"), 61..90),
        AddColumn("a", "volume"),
        Write("a", None, 90..120),
        Write("b", Some("t4"), 30..90),
        WriteOld("ttl", 0..20),
        Write("ttl", Some("t5"), 20..40),
        Checkpoint,
        Optimize("a"),
        Expire,
        Write("ttl", None, 40..50),
        DeleteOdd("a"),
        Write("a", Some("t6"), 120..140),
        Reopen(3),
        Write("a", Some("t7"), 140..170),
        Write("b", Some("t8"), 90..130),
        Truncate("b"),
        Write("b", Some("t9"), 130..150),
        DeleteOdd("b"),
        Snapshot("s"),
        WriteOld("ttl", 50..55),
        Expire,
        Write("ttl", Some("t10"), 55..70),
        Checkpoint,
        Write("a", Some("t11"), 170..260),
        Drop("b"),
        Create("b", None),
        Write("b", Some("t9"), 0..5),
        Reopen(2),
        Write("a", None, 260..265),
        Write("ttl", None, 70..75),
        Checkpoint,
        Optimize("a"),
        Write("a", Some("t12"), 265..300),
    ]
}

/// What the tables should hold: ids by table.
type Model = BTreeMap<&'static str, BTreeSet<i64>>;

fn apply(model: &mut Model, step: &Step) {
    match step {
        Step::Create(table, _) => drop(model.insert(table, BTreeSet::new())),
        Step::Write(table, _, ids) => model.entry(table).or_default().extend(ids.clone()),
        Step::DeleteOdd(table) => model.entry(table).or_default().retain(|id| id % 2 == 0),
        Step::Truncate(table) => model.entry(table).or_default().clear(),
        Step::Drop(table) => drop(model.remove(table)),
        // Expired rows may be seen until the next look for them; they are never counted.
        _ => {}
    }
}

fn rows_of(ids: std::ops::Range<i64>, time: i64) -> Vec<Row> {
    ids.map(|id| row(&format!("K{}", id % 23), time + id, id)).collect()
}

fn odd_out(id_column: usize) -> Arc<dyn Fn(RecordBatch) -> Result<Option<RecordBatch>> + Send + Sync> {
    Arc::new(move |batch: RecordBatch| {
        let ids = batch.column(id_column).as_primitive::<Int64Type>();
        let keep: BooleanArray = ids.values().iter().map(|id| Some(id % 2 == 0)).collect();
        if keep.false_count() == 0 {
            return Ok(None);
        }
        Ok(Some(arrow::compute::filter_record_batch(&batch, &keep)?))
    })
}

fn schema_of(store: &Store, table: &str) -> Option<Arc<TableSchema>> {
    store.catalog().table(&TableName::new("default", table)).cloned()
}

const HOUR: i64 = 3_600_000_000_000;

async fn play(store: &mut Arc<Store>, disk: &Arc<SimDisk>, now: i64, step: &Step) -> Result<()> {
    let schema = |table: &str| schema_of(store, table).expect("the script made it");
    match step {
        Step::Create(table, ttl) => {
            let mut new = trades(table);
            new.ttl_seconds = *ttl;
            store.create_table(new).await.map(drop)
        }
        Step::Write(table, token, ids) => {
            write(store, &schema(table), *token, &rows_of(ids.clone(), now)).await.map(drop)
        }
        Step::WriteOld(table, ids) => {
            write(store, &schema(table), None, &rows_of(ids.clone(), now - 2 * HOUR)).await.map(drop)
        }
        Step::DeleteOdd(table) => {
            let schema = schema(table);
            let id = schema.index_of("id").expect("the id column");
            store.rewrite(schema.id, odd_out(id)).await.map(drop)
        }
        Step::Truncate(table) => store.truncate_table(&schema(table).name).await,
        Step::Drop(table) => store.drop_table(&schema(table).name).await,
        Step::AddColumn(table, name) => {
            let column = column(name, ColumnType::Int64);
            let add = AlterOp::AddColumn { column, position: ColumnPosition::First, if_not_exists: false };
            store.alter_table(&schema(table).name, vec![add]).await
        }
        Step::Checkpoint => store.checkpoint().await,
        Step::Optimize(table) => store.optimize(schema(table).id).await,
        Step::Expire => store.expire().await,
        Step::Snapshot(name) => store.backup_snapshot(name).await.map(drop),
        Step::Reopen(threads) => {
            store.close_without_flush()?;
            *store = Store::open(options(disk, *threads))?;
            Ok(())
        }
    }
}

/// A step with the syncs between which it ran.
struct Played {
    step: Step,
    begun: u64,
    done: u64,
}

/// Rows that a table shows, without those that came expired.
fn shown(store: &Store, table: &str, old: &BTreeSet<i64>) -> Vec<i64> {
    let schema = schema_of(store, table).expect("the table exists");
    let mut rows = ids(store, schema.id);
    if table == "ttl" {
        rows.retain(|id| !old.contains(id));
    }
    rows
}

/// Looks at a recovered store: `before` and `after` the step that was running when the power went.
fn check(
    store: &Store,
    before: &Model,
    after: &Model,
    running: Option<&Step>,
    old: &BTreeSet<i64>,
    what: &str,
) {
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    for name in names {
        let exists = schema_of(store, name).is_some();
        let (before, after) = (before.get(name), after.get(name));
        if !exists {
            assert!(before.is_none() || after.is_none(), "{what}: table {name} is lost");
            continue;
        }
        let list = shown(store, name, old);
        let rows: BTreeSet<i64> = list.iter().copied().collect();
        assert_eq!(list.len(), rows.len(), "{what}: a row of {name} is there twice: {list:?}");
        let either = before == Some(&rows) || after == Some(&rows);
        let between = matches!(running, Some(Step::Write(..)))
            && before.is_none_or(|before| before.is_subset(&rows))
            && after.is_some_and(|after| rows.is_subset(after));
        // A table of a CREATE that was not acknowledged is there and empty.
        let created = before.is_none() && rows.is_empty();
        assert!(
            either || between || created,
            "{what}: {name} has {rows:?}\nbefore {before:?}\nafter {after:?}"
        );
    }
}

async fn go_on(store: &Arc<Store>, played: &[Played], running: Option<&Step>, now: i64, what: &str) {
    // The token of the running write and of the last acknowledged one: neither makes a duplicate.
    let acknowledged = played.iter().rev().find_map(|played| match &played.step {
        Step::Write(table, Some(token), ids) => Some((*table, *token, ids.clone())),
        _ => None,
    });
    let unanswered = match running {
        Some(Step::Write(table, Some(token), ids)) => Some((*table, *token, ids.clone())),
        _ => None,
    };
    for (table, token, wanted) in acknowledged.into_iter().chain(unanswered) {
        let Some(schema) = schema_of(store, table) else { continue };
        let before = ids(store, schema.id);
        let receipt = write(store, &schema, Some(token), &rows_of(wanted.clone(), now)).await;
        let receipt =
            receipt.unwrap_or_else(|error| panic!("{what}: a retry of {token} in {table}: {error}"));
        assert_eq!(receipt.rows + receipt.duplicate_rows, wanted.clone().count() as u64, "{what}");
        let list = ids(store, schema.id);
        assert_eq!(list.len() as u64, before.len() as u64 + receipt.rows, "{what}");
        let unique: BTreeSet<i64> = list.iter().copied().collect();
        assert_eq!(unique.len(), list.len(), "{what}: a retry made a duplicate in {table}");
    }
    if let Some(schema) = schema_of(store, "a") {
        let before = ids(store, schema.id).len();
        let fresh = [row("new", now, 1_000_000)];
        write(store, &schema, None, &fresh)
            .await
            .unwrap_or_else(|error| panic!("{what}: a new row: {error}"));
        assert_eq!(ids(store, schema.id).len(), before + 1, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledged_row_survives_a_power_cut_at_every_sync() {
    let disk = SimDisk::new();
    let now = zepto_common::clock::wall_nanos();
    let mut store = Store::open(options(&disk, 2)).expect("an empty disk");
    disk.record();
    let mut played = Vec::new();
    for step in script() {
        let begun = disk.syncs();
        play(&mut store, &disk, now, &step).await.unwrap_or_else(|error| panic!("{step:?}: {error}"));
        played.push(Played { step, begun, done: disk.syncs() });
    }
    store.close().expect("closes");
    drop(store);
    let old: BTreeSet<i64> = (0..20).chain(50..55).collect();
    let boundaries = disk.boundaries();
    let mut images = 0;
    for boundary in &boundaries {
        let done = played.iter().take_while(|played| played.done <= boundary.number()).count();
        let mut before = Model::new();
        played[..done].iter().for_each(|played| apply(&mut before, &played.step));
        let running = played.get(done).filter(|next| next.begun <= boundary.number()).map(|next| &next.step);
        let mut after = before.clone();
        running.into_iter().for_each(|step| apply(&mut after, step));
        for (image, recovered) in boundary.images(TORN) {
            let what = format!("sync {}, {image:?}, during {running:?}", boundary.number());
            let threads = 1 + (images % 3);
            let opened = Store::open(options(&recovered, threads));
            let store = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&store, &before, &after, running, &old, &what);
            if images % 4 == 0 {
                go_on(&store, &played[..done], running, now, &what).await;
            }
            store.close_without_flush().expect("closes");
            images += 1;
        }
    }
    println!("{images} crash images of {} syncs", boundaries.len());
    assert!(images >= IMAGES_MIN, "only {images} images");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_that_is_cut_itself_loses_nothing() {
    let disk = SimDisk::new();
    let now = zepto_common::clock::wall_nanos();
    let mut store = Store::open(options(&disk, 2)).expect("an empty disk");
    let mut model = Model::new();
    for step in &script()[..14] {
        play(&mut store, &disk, now, step).await.unwrap_or_else(|error| panic!("{step:?}: {error}"));
        apply(&mut model, step);
    }
    store.close_without_flush().expect("closes");
    drop(store);
    let old: BTreeSet<i64> = (0..20).collect();
    let first = disk.now().image(zepto_engine::disk::sim::CrashImage::DurableOnly);
    first.record();
    let again = Store::open(options(&first, 3)).expect("recovers");
    again.close().expect("closes");
    drop(again);
    let mut images = 0;
    for boundary in first.boundaries() {
        for (image, recovered) in boundary.images(TORN) {
            let what = format!("recovery cut at sync {}, {image:?}", boundary.number());
            let store = Store::open(options(&recovered, 2)).unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&store, &model, &model, None, &old, &what);
            store.close_without_flush().expect("closes");
            images += 1;
        }
    }
    println!("{images} images of a recovery that was cut");
}

/// Rows that come while a rewrite looks at the segments are in memtables and logs when it commits: they are
/// rewritten with the drain threads standing still, and the logs must not bring the old ones back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rewrite_holds_for_rows_that_came_while_it_ran_at_every_sync() {
    let disk = SimDisk::new();
    let store = Store::open(options(&disk, 2)).expect("an empty disk");
    let schema = store.create_table(trades("a")).await.expect("creates");
    write(&store, &schema, None, &rows_of(0..100, 0)).await.expect("writes");
    store.checkpoint().await.expect("flushes");
    disk.record();
    let first_call = std::sync::atomic::AtomicBool::new(true);
    let acknowledged = Arc::new(std::sync::atomic::AtomicU64::new(u64::MAX));
    let (runtime, odd_out) = (tokio::runtime::Handle::current(), odd_out(3));
    let (writer, writer_schema, sim, seen) =
        (store.clone(), schema.clone(), disk.clone(), acknowledged.clone());
    let transform = Arc::new(move |batch: RecordBatch| {
        if first_call.swap(false, std::sync::atomic::Ordering::AcqRel) {
            let rows = rows_of(100..200, 0);
            runtime.block_on(write(&writer, &writer_schema, Some("meanwhile"), &rows))?;
            seen.store(sim.syncs(), std::sync::atomic::Ordering::Release);
        }
        odd_out(batch)
    });
    assert_eq!(store.rewrite(schema.id, transform).await.expect("rewrites"), 100);
    let done = disk.syncs();
    let even: BTreeSet<i64> = (0..200).step_by(2).collect();
    assert_eq!(ids(&store, schema.id).into_iter().collect::<BTreeSet<_>>(), even);
    write(&store, &schema, None, &rows_of(200..210, 0)).await.expect("writes");
    store.close_without_flush().expect("closes");
    drop(store);
    let (old, all): (BTreeSet<i64>, BTreeSet<i64>) = ((0..100).collect(), (0..200).collect());
    let acknowledged = acknowledged.load(std::sync::atomic::Ordering::Acquire);
    assert!(acknowledged < done, "the rows came while the rewrite ran");
    for boundary in disk.boundaries() {
        for (image, recovered) in boundary.images(TORN) {
            let what = format!("sync {}, {image:?}", boundary.number());
            let store = Store::open(options(&recovered, 2)).unwrap_or_else(|error| panic!("{what}: {error}"));
            let list: Vec<i64> = ids(&store, schema.id).into_iter().filter(|&id| id < 200).collect();
            let rows: BTreeSet<i64> = list.iter().copied().collect();
            assert_eq!(list.len(), rows.len(), "{what}: a row is there twice");
            let before = rows.is_superset(&old) && (boundary.number() < acknowledged || rows == all);
            let rewritten = rows == even;
            assert!(rewritten || (before && boundary.number() < done), "{what}: {rows:?}");
            let retry =
                write(&store, &schema, Some("meanwhile"), &rows_of(100..200, 0)).await.expect("a retry");
            assert!(!rewritten || retry.rows == 0, "{what}: a retry brings deleted rows back");
            store.close_without_flush().expect("closes");
        }
    }
}
