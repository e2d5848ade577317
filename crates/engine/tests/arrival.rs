//! Of rows of one key and one time, a snapshot's parts tell which came first, whatever became of the segments since.

#![allow(clippy::expect_used, reason = "a test says what it expects")]

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use zepto_common::TableId;
use zepto_common::schema::TableSchema;
use zepto_engine::{Store, StoreOptions};

use common::{Row, quiet, row, trades, write};

/// Rows with which a segment is of a class that small ones do not join.
const MANY: i64 = 70_000;

fn options(dir: &Path, threads: usize) -> StoreOptions {
    let mut options = quiet(StoreOptions::new(dir));
    options.drain_threads = threads;
    options
}

/// Checks that each key's rows are in one sequence of parts, and come in the order of their ids; how many rows.
fn check_arrival(store: &Store, table: TableId) -> usize {
    let snapshot = store.snapshot(table).expect("the table exists");
    let schema = snapshot.schema.clone();
    let index = |name: &str| schema.index_of(name).expect("a column of the test table");
    let mut last: HashMap<String, (usize, i64)> = HashMap::new();
    let mut rows = 0;
    for (at, part) in snapshot.parts.iter().enumerate() {
        let sequence = snapshot.ends.partition_point(|end| *end <= at);
        for scanned in
            part.scan(&schema, &[index("symbol"), index("id")], std::slice::from_ref(&(0..part.rows())), 8192)
        {
            let scanned = scanned.expect("the part can be read");
            let keys = cast(scanned.column(0), &DataType::Utf8).expect("text");
            let ids = scanned.column(1).as_primitive::<Int64Type>();
            for (key, id) in keys.as_string::<i32>().iter().zip(ids.values()) {
                let key = key.expect("no key is NULL");
                let now = (sequence, *id);
                if let Some(before) = last.insert(key.to_owned(), now) {
                    assert_eq!(before.0, sequence, "the rows of {key} are in two sequences");
                    assert!(before.1 < *id, "{key}: row {id} stands behind row {}", before.1);
                }
                rows += 1;
            }
        }
    }
    rows
}

async fn segment(store: &Store, schema: &Arc<TableSchema>, rows: &[Row]) {
    write(store, schema, None, rows).await.expect("writes");
    store.checkpoint().await.expect("flushes");
}

/// So many rows of one time, from this id on, dealt to some keys.
fn ties(from: i64, count: i64, keys: i64) -> Vec<Row> {
    (from..from + count).map(|id| row(&format!("k{}", id % keys), 7, id)).collect()
}

#[tokio::test]
async fn a_merge_of_older_segments_stays_before_younger_ones() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path(), 2)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    for part in 0..4 {
        segment(&store, &schema, &ties(part * MANY, MANY, 1)).await;
    }
    for part in 0..2 {
        segment(&store, &schema, &ties(4 * MANY + part * 10, 10, 1)).await;
    }
    store.look_now().await.expect("looks");
    assert_eq!(store.table_stats()[0].segments, 3, "the four large ones were merged, and they alone");
    assert_eq!(check_arrival(&store, schema.id), 4 * MANY as usize + 20);
    drop(store);
    let store = Store::open(options(dir.path(), 2)).expect("opens");
    assert_eq!(check_arrival(&store, schema.id), 4 * MANY as usize + 20);
}

#[tokio::test]
async fn a_rewritten_segment_stays_in_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path(), 2)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    for part in 0..3 {
        segment(&store, &schema, &ties(part * 100, 100, 5)).await;
    }
    let first = Arc::new(|batch: RecordBatch| {
        let ids = batch.column(3).as_primitive::<Int64Type>().clone();
        if ids.values().iter().all(|id| *id >= 100) {
            return Ok(None);
        }
        let mut columns = batch.columns().to_vec();
        columns[2] = Arc::new(Float64Array::from(vec![-1.5; batch.num_rows()])) as ArrayRef;
        Ok(Some(RecordBatch::try_new(batch.schema(), columns)?))
    });
    assert_eq!(store.rewrite(schema.id, first).await.expect("updates"), 100);
    assert_eq!(check_arrival(&store, schema.id), 300);
    drop(store);
    let store = Store::open(options(dir.path(), 2)).expect("opens");
    assert_eq!(check_arrival(&store, schema.id), 300);
}

#[tokio::test]
async fn other_numbers_of_drain_threads_keep_the_order() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut schema = None;
    for (start, threads) in [2, 3, 3, 1, 2].into_iter().enumerate() {
        let store = Store::open(options(dir.path(), threads)).expect("opens");
        let table = match &schema {
            Some(table) => Arc::clone(table),
            None => store.create_table(trades("t")).await.expect("creates"),
        };
        let from = start as i64 * 10_000;
        for part in 0..5 {
            segment(&store, &table, &ties(from + part * 1_000, 1_000, 50)).await;
            assert_eq!(check_arrival(&store, table.id), start * 6_000 + (part as usize + 1) * 1_000);
        }
        // Segments of one cut may be merged, and become few.
        store.look_now().await.expect("looks");
        store.optimize(table.id).await.expect("merges");
        check_arrival(&store, table.id);
        // Some rows are in the log alone when the store is opened again.
        write(&store, &table, None, &ties(from + 5_000, 1_000, 50)).await.expect("writes");
        assert_eq!(check_arrival(&store, table.id), (start + 1) * 6_000);
        schema = Some(table);
    }
}
