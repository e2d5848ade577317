//! Rows of a feed: each message's rows are stored once, however its source is read again, and a feed goes on from where
//! everything below is durable.

#![expect(clippy::expect_used, reason = "a test")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::UInt64Array;
use common::{deadline, ids, row, trades};
use zepto_common::ErrorCode;
use zepto_common::schema::TableSchema;
use zepto_common::service::{RowSink, WriteReceipt, WriteRequest};
use zepto_common::source::{FeedStream, with_offsets};
use zepto_engine::disk::SimDisk;
use zepto_engine::disk::sim::Fault;
use zepto_engine::{Store, StoreOptions};

const STREAM: &str = "orders/topic";

fn options(disk: &Arc<SimDisk>, threads: usize) -> StoreOptions {
    let mut options = StoreOptions::new("/data");
    options.disk = disk.clone();
    options.exclusive = false;
    options.drain_threads = threads;
    options.partitions = Some(16);
    options.disk_reserve = 0;
    options.seal.log_file_bytes = 64 << 10;
    options.seal.tick = Duration::from_secs(3600);
    options
}

fn stream(schema: &Arc<TableSchema>) -> FeedStream {
    FeedStream { table: schema.clone(), name: STREAM.to_owned() }
}

/// Messages `from..to` of a partition of the source; each has two rows, with ids that name source, offset and row.
fn messages(schema: &Arc<TableSchema>, source: u32, from: u64, to: u64) -> WriteRequest {
    let of = |offset: u64| (0..2).map(move |part| (offset, part));
    let all: Vec<(u64, i64)> = (from..to).flat_map(of).collect();
    let rows: Vec<_> = all
        .iter()
        .map(|&(offset, part)| {
            let id = i64::from(source) * 1_000_000 + offset as i64 * 2 + part;
            row(&format!("K{}", (offset * 7 + part as u64) % 40), id, id)
        })
        .collect();
    let offsets = UInt64Array::from_iter_values(all.iter().map(|it| it.0));
    let rows = with_offsets(&common::batch(schema, &rows), offsets).expect("as many offsets as rows");
    let batch = Some(stream(schema).batch(source));
    WriteRequest { table: schema.clone(), batch, block: 0, repeatable: true, rows }
}

async fn write(store: &Store, schema: &Arc<TableSchema>, source: u32, from: u64, to: u64) -> WriteReceipt {
    store.write(messages(schema, source, from, to), deadline()).await.expect("stores")
}

fn expected(sources: &[(u32, u64)]) -> Vec<i64> {
    let of =
        |&(source, to): &(u32, u64)| (0..to as i64 * 2).map(move |id| i64::from(source) * 1_000_000 + id);
    sources.iter().flat_map(of).collect()
}

async fn resume(store: &Store, schema: &Arc<TableSchema>) -> BTreeMap<u32, u64> {
    RowSink::feed_positions(store, &stream(schema), &BTreeMap::new(), deadline()).await.expect("tells")
}

async fn raise(store: &Store, schema: &Arc<TableSchema>, positions: &[(u32, u64)]) -> BTreeMap<u32, u64> {
    let positions = positions.iter().copied().collect();
    RowSink::feed_positions(store, &stream(schema), &positions, deadline()).await.expect("raises")
}

#[tokio::test]
async fn messages_that_are_read_again_in_another_cut_are_stored_once() {
    let disk = SimDisk::new();
    let store = Store::open(options(&disk, 2)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    assert_eq!(write(&store, &schema, 0, 0, 100).await, WriteReceipt { rows: 200, duplicate_rows: 0 });
    assert_eq!(write(&store, &schema, 1, 0, 10).await, WriteReceipt { rows: 20, duplicate_rows: 0 });
    assert_eq!(write(&store, &schema, 0, 0, 60).await, WriteReceipt { rows: 0, duplicate_rows: 120 });
    assert_eq!(write(&store, &schema, 0, 60, 130).await, WriteReceipt { rows: 60, duplicate_rows: 80 });
    assert_eq!(ids(&store, schema.id), expected(&[(0, 130), (1, 10)]));
}

#[tokio::test]
async fn offsets_are_known_after_every_kind_of_restart() {
    let disk = SimDisk::new();
    let mut store = Store::open(options(&disk, 2)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    let mut to = 100;
    write(&store, &schema, 0, 0, to).await;
    raise(&store, &schema, &[(0, 50), (7, 3)]).await;
    // By the log, by the manifest, by both, and cut anew for another number of threads.
    for (flush, threads) in [(false, 2), (true, 2), (false, 2), (true, 3), (false, 1), (true, 5), (false, 5)]
    {
        match flush {
            true => store.close().expect("closes"),
            false => store.close_without_flush().expect("closes"),
        }
        drop(store);
        store = Store::open(options(&disk, threads)).expect("opens");
        assert_eq!(resume(&store, &schema).await, BTreeMap::from([(0, to - 50), (7, 3)]));
        let again = write(&store, &schema, 0, to - 50, to + 10).await;
        assert_eq!(again, WriteReceipt { rows: 20, duplicate_rows: 100 }, "{threads} threads, flush {flush}");
        to += 10;
        assert_eq!(ids(&store, schema.id), expected(&[(0, to)]));
        raise(&store, &schema, &[(0, to - 50)]).await;
    }
}

#[tokio::test]
async fn a_position_never_falls() {
    let disk = SimDisk::new();
    let store = Store::open(options(&disk, 2)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    assert_eq!(resume(&store, &schema).await, BTreeMap::new());
    assert_eq!(raise(&store, &schema, &[(0, 10), (1, 5)]).await, BTreeMap::from([(0, 10), (1, 5)]));
    assert_eq!(raise(&store, &schema, &[(0, 9), (1, 6)]).await, BTreeMap::from([(0, 10), (1, 6)]));
    assert_eq!(resume(&store, &schema).await, BTreeMap::from([(0, 10), (1, 6)]));
}

#[tokio::test]
async fn a_dropped_table_forgets_its_sources_and_a_truncated_one_does_not() {
    let disk = SimDisk::new();
    let store = Store::open(options(&disk, 2)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, 0, 0, 10).await;
    raise(&store, &schema, &[(0, 10)]).await;
    store.truncate_table(&schema.name).await.expect("truncates");
    assert_eq!(write(&store, &schema, 0, 0, 11).await.rows, 2, "what was truncated does not come back");
    store.drop_table(&schema.name).await.expect("drops");
    let schema = store.create_table(trades("t")).await.expect("creates");
    assert_eq!(resume(&store, &schema).await, BTreeMap::new());
    assert!(store.feed_positions().is_empty());
    assert_eq!(write(&store, &schema, 0, 0, 10).await.rows, 20);
}

#[tokio::test]
async fn rows_that_the_disk_refused_are_not_taken_for_known() {
    let disk = SimDisk::new();
    let store = Store::open(options(&disk, 2)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, 0, 0, 100).await;
    disk.fail(Fault::NoSpaceAfter(0));
    let mut refused = 0;
    for part in 1..30u64 {
        refused += u64::from(store.write(messages(&schema, part as u32, 0, 100), deadline()).await.is_err());
    }
    assert!(refused > 0, "the disk was full and nothing was refused");
    disk.heal();
    for part in 1..30 {
        write(&store, &schema, part, 0, 100).await;
    }
    let all: Vec<_> = (0..30).map(|source| (source, 100)).collect();
    assert_eq!(ids(&store, schema.id), expected(&all));
}

#[tokio::test]
async fn a_block_whose_offsets_fall_is_refused() {
    let disk = SimDisk::new();
    let store = Store::open(options(&disk, 2)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    let rows = common::batch(&schema, &[row("A", 1, 1), row("A", 2, 2)]);
    let bad = with_offsets(&rows, UInt64Array::from(vec![5, 4])).expect("two");
    let request = WriteRequest { rows: bad, ..messages(&schema, 0, 0, 1) };
    let error = store.write(request, deadline()).await.expect_err("falls");
    assert_eq!(error.code, ErrorCode::IncorrectData, "{error}");
    let request = WriteRequest { rows, ..messages(&schema, 0, 0, 1) };
    let error = store.write(request, deadline()).await.expect_err("no offsets");
    assert_eq!(error.code, ErrorCode::IncorrectData, "{error}");
    assert!(ids(&store, schema.id).is_empty());
}
