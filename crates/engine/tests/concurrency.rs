//! Writers, readers and the background thread at the same time: no torn read, no lost and no doubled row; and data
//! of awkward shapes.

mod common;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use common::{Row, ids, quiet, read, row, trades, write};
use zepto_common::ErrorCode;
use zepto_engine::disk::PacedDisk;
use zepto_engine::{Selection, Store, StoreOptions};

/// Options under which rows change their form all the time.
fn busy(dir: &std::path::Path) -> StoreOptions {
    let mut options = quiet(StoreOptions::new(dir));
    options.seal.rows = 500;
    options.seal.log_bytes = 256 << 10;
    options.seal.tick = Duration::from_millis(5);
    options.seal.age = Duration::from_millis(20);
    options
}

/// Rows of one block have one time; a reader must find each key's rows of it all or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_a_partitions_part_of_a_block_wholly_or_not_at_all() {
    const KEYS: i64 = 8;
    const PER_KEY: i64 = 25;
    const BLOCKS: i64 = 60;
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(busy(dir.path())).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicI64::new(0));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (store, stop, acknowledged) = (store.clone(), stop.clone(), acknowledged.clone());
            let table = schema.id;
            std::thread::spawn(move || {
                let mut reads = 0;
                while !stop.load(Ordering::Acquire) {
                    let least = acknowledged.load(Ordering::Acquire);
                    let rows = read(&store, table);
                    assert!(rows.len() as i64 >= least, "{} rows of {least} acknowledged", rows.len());
                    let mut groups: HashMap<(String, i64), i64> = HashMap::new();
                    for row in rows {
                        *groups.entry((row.key, row.time)).or_default() += 1;
                    }
                    for ((key, block), count) in groups {
                        assert_eq!(count, PER_KEY, "block {block} of key {key}");
                    }
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    let mut writers = Vec::new();
    for writer in 0..3 {
        let (store, schema, acknowledged) = (store.clone(), schema.clone(), acknowledged.clone());
        writers.push(tokio::spawn(async move {
            for block in 0..BLOCKS {
                let time = writer * BLOCKS + block;
                let rows: Vec<Row> = (0..KEYS * PER_KEY)
                    .map(|i| row(&format!("K{}", i % KEYS), time, time * KEYS * PER_KEY + i))
                    .collect();
                write(&store, &schema, None, &rows).await.expect("writes");
                acknowledged.fetch_add(KEYS * PER_KEY, Ordering::AcqRel);
            }
        }));
    }
    for writer in writers {
        writer.await.expect("the writer ends");
    }
    stop.store(true, Ordering::Release);
    let reads: u64 = readers.into_iter().map(|reader| reader.join().expect("no torn read")).sum();
    assert!(reads > 0);
    let all: Vec<i64> = (0..3 * BLOCKS * KEYS * PER_KEY).collect();
    assert_eq!(ids(&store, schema.id), all);
    let stats = store.stats();
    assert!(stats.checkpoints > 0, "rows changed their form meanwhile: {stats:?}");
    store.close().expect("closes");
    drop(store);
    let store = Store::open(busy(dir.path())).expect("opens");
    assert_eq!(ids(&store, schema.id), all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn single_row_writers_share_syncs() {
    const WRITERS: i64 = 64;
    const ROWS: i64 = 20;
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = quiet(StoreOptions::new(dir.path()));
    // Where a sync takes next to no time, few writers come meanwhile.
    options.disk = Arc::new(PacedDisk::new(Duration::from_millis(4)));
    let store = Store::open(options).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    let before = store.stats().syncs;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (store, schema) = (store.clone(), schema.clone());
        writers.push(tokio::spawn(async move {
            for i in 0..ROWS {
                let id = writer * ROWS + i;
                write(&store, &schema, None, &[row(&format!("K{id}"), id, id)]).await.expect("writes");
            }
        }));
    }
    for writer in writers {
        writer.await.expect("the writer ends");
    }
    assert_eq!(ids(&store, schema.id).len() as i64, WRITERS * ROWS);
    let syncs = store.stats().syncs - before;
    assert!(syncs < (WRITERS * ROWS / 4) as u64, "{syncs} syncs for {} rows", WRITERS * ROWS);
    assert!(store.snapshot(schema.id).expect("exists").parts.len() < 64, "chunks are merged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_token_sent_by_many_at_once_is_stored_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(quiet(StoreOptions::new(dir.path()))).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    let rows: Vec<Row> = (0..100).map(|id| row(&format!("K{id}"), id, id)).collect();
    let mut writers = Vec::new();
    for _ in 0..16 {
        let (store, schema, rows) = (store.clone(), schema.clone(), rows.clone());
        writers.push(tokio::spawn(async move { write(&store, &schema, Some("same"), &rows).await }));
    }
    let (mut stored, mut duplicates) = (0, 0);
    for writer in writers {
        let receipt = writer.await.expect("the writer ends").expect("all are answered");
        stored += receipt.rows;
        duplicates += receipt.duplicate_rows;
    }
    assert_eq!((stored, duplicates), (100, 1500));
    assert_eq!(ids(&store, schema.id), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn keys_and_times_of_every_shape_come_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(quiet(StoreOptions::new(dir.path()))).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    let long = "x".repeat(10 << 10);
    let times = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX, -86_400_000_000_000];
    let mut rows = Vec::new();
    for (i, key) in [long.as_str(), "", "ключ", "\u{0}", "K"].iter().enumerate() {
        rows.extend(times.iter().enumerate().map(|(j, &time)| row(key, time, (i * 10 + j) as i64)));
    }
    write(&store, &schema, None, &rows).await.expect("writes");
    assert_eq!(read(&store, schema.id), rows);
    store.close().expect("closes");
    drop(store);
    let store = Store::open(quiet(StoreOptions::new(dir.path()))).expect("opens");
    assert_eq!(read(&store, schema.id), rows);
    let part = store.snapshot(schema.id).expect("exists").parts;
    let extremes = part.iter().filter_map(zepto_engine::Part::time_range);
    let (from, to) = extremes.fold((0, 0), |(from, to), (a, b)| (a.min(from), b.max(to)));
    assert_eq!((from, to), (i64::MIN, i64::MAX));
}

#[tokio::test]
async fn a_hundred_thousand_keys_and_one_key_of_two_million_rows_are_no_special_case() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = quiet(StoreOptions::new(dir.path()));
    options.seal.tick = Duration::from_millis(50);
    let store = Store::open(options.clone()).expect("opens");
    let many = store.create_table(trades("many")).await.expect("creates");
    let one = store.create_table(trades("one")).await.expect("creates");
    let keys: Vec<Row> = (0..100_000).map(|id| row(&format!("key-{id}"), id, id)).collect();
    for block in keys.chunks(25_000) {
        write(&store, &many, None, block).await.expect("writes");
    }
    let block: Vec<Row> = (0..50_000).map(|id| row("only", 50_000 - id, id)).collect();
    for _ in 0..40 {
        write(&store, &one, None, &block).await.expect("writes");
    }
    store.checkpoint().await.expect("flushes");
    store.close().expect("closes");
    drop(store);
    let store = Store::open(options).expect("opens");
    let count =
        |table| store.snapshot(table).expect("exists").parts.iter().map(zepto_engine::Part::rows).sum();
    let (many_rows, one_rows): (usize, usize) = (count(many.id), count(one.id));
    assert_eq!((many_rows, one_rows), (100_000, 2_000_000));
    let wanted: arrow::array::ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["key-77777"]));
    let selection = Selection { keys: Some(wanted), ..Selection::default() };
    let parts = store.snapshot(many.id).expect("exists").parts;
    let found: usize = parts.iter().flat_map(|part| part.select(&selection)).map(|range| range.len()).sum();
    assert_eq!(found, 1, "the index finds one key's row");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_says_429_and_stores_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut options = quiet(StoreOptions::new(dir.path()));
    options.memory_limit = 16 << 20;
    let store = Store::open(options).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    let rows: Vec<Row> = (0..60_000).map(|id| row("K", id, id)).collect();
    let held: Arc<dyn Fn(arrow::array::RecordBatch) -> _ + Send + Sync> = Arc::new(|_batch| {
        // The background thread is busy, so nothing is flushed meanwhile.
        std::thread::park_timeout(Duration::from_secs(4));
        Ok(None)
    });
    write(&store, &schema, None, &rows).await.expect("writes");
    let (other, id) = (store.clone(), schema.id);
    let busy = tokio::spawn(async move { other.rewrite(id, held).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut stored = rows.len() as u64;
    let refused = loop {
        match write(&store, &schema, None, &rows).await {
            Ok(receipt) => stored += receipt.rows,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.code, ErrorCode::Overloaded);
    assert_eq!(store.stats().rows, stored);
    busy.await.expect("the task ends").expect("nothing to rewrite");
    write(&store, &schema, None, &rows).await.expect("there is room again");
}
