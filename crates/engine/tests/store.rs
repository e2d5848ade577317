//! The store on a real file system: what is written is there, now and after every kind of reopening.

mod common;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::{cast, filter_record_batch};
use common::{Row, column, deadline, ids, quiet, read, row, trades, write};
use zepto_common::partition::partitions_of;
use zepto_common::schema::{ColumnDefault, TableName};
use zepto_common::service::WriteRequest;
use zepto_common::types::ColumnType;
use zepto_common::{BatchId, ErrorCode, PartitionId};
use zepto_engine::saved::Saved;
use zepto_engine::store::{AlterOp, ColumnPosition, PartStored};
use zepto_engine::{Store, StoreOptions};

fn options(dir: &std::path::Path) -> StoreOptions {
    quiet(StoreOptions::new(dir))
}

fn rows(from: i64, to: i64) -> Vec<Row> {
    (from..to).map(|id| row(&format!("K{}", id % 37), 1_000_000 - id * 3, id)).collect()
}

#[tokio::test]
async fn rows_survive_reopening_by_the_log_and_by_segments() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    let receipt = write(&store, &schema, None, &rows(0, 1000)).await.expect("writes");
    assert_eq!((receipt.rows, receipt.duplicate_rows), (1000, 0));
    assert_eq!(read(&store, schema.id), rows(0, 1000));
    store.close_without_flush().expect("closes");
    drop(store);

    let store = Store::open(options(dir.path())).expect("opens again");
    assert_eq!(read(&store, schema.id), rows(0, 1000));
    write(&store, &schema, None, &rows(1000, 1500)).await.expect("writes");
    store.close().expect("closes");
    drop(store);

    let store = Store::open(options(dir.path())).expect("opens a third time");
    assert_eq!(store.boot().0, 3);
    assert_eq!(read(&store, schema.id), rows(0, 1500));
    let stats = store.stats();
    assert_eq!((stats.rows, stats.memtable_bytes), (1500, 0), "all rows are in segments");
}

/// A block of a table with text, NULL and Bool, as the owner of some of its partitions gets it.
async fn mixed(store: &Store) -> zepto_common::Result<WriteRequest> {
    let mut table = trades("mixed");
    table.columns.push(column("flag", ColumnType::Bool));
    table.columns.push(column("note", ColumnType::Nullable(Box::new(ColumnType::Int64))));
    let schema = store.create_table(table).await?;
    let key = |row: usize| format!("K{}", row % 37);
    let count = 200;
    let columns: [ArrayRef; 6] = [
        Arc::new(StringArray::from_iter_values((0..count).map(key))),
        Arc::new(Int64Array::from_iter_values(0..count as i64)),
        Arc::new(Float64Array::from_iter_values((0..count).map(|row| row as f64))),
        Arc::new(Int64Array::from_iter_values(0..count as i64)),
        Arc::new(BooleanArray::from_iter((0..count).map(|row| Some(row % 3 == 0)))),
        Arc::new(Int64Array::from_iter((0..count).map(|row| (row % 5 > 0).then_some(row as i64)))),
    ];
    let storage = schema.storage_schema();
    let columns = columns.iter().zip(storage.fields());
    let columns = columns.map(|(array, field)| cast(array, field.data_type()));
    let rows = RecordBatch::try_new(storage.clone(), columns.collect::<Result<_, _>>()?)?;
    let batch = Some(BatchId::from_token("mixed"));
    Ok(WriteRequest { table: schema, batch, block: 0, repeatable: true, rows })
}

#[tokio::test]
async fn parts_of_a_block_are_known_again_in_whatever_cut_they_come() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    let whole = mixed(&store).await.expect("a block");
    let stored = store.write_parts(whole.clone(), deadline()).await.expect("stores");
    let all = stored.len();
    assert!(stored.into_iter().all(|(_, part)| part.expect("stored") == PartStored::Now));
    // Each of the two drain threads has the even or the odd partitions: a retry with those of one of them.
    let partitions = partitions_of(whole.rows.column(0), store.partitions()).expect("text");
    let mut seen = 0;
    for thread in 0..2 {
        let mine = BooleanArray::from_iter(partitions.iter().map(|it| Some(it % 2 == thread)));
        let rows = filter_record_batch(&whole.rows, &mine).expect("filters");
        let retry = WriteRequest { rows, ..whole.clone() };
        for (partition, part) in store.write_parts(retry, deadline()).await.expect("is known") {
            assert_eq!(part.expect("is known"), PartStored::Before, "{partition}");
            seen += 1;
        }
    }
    assert_eq!(seen, all);
    assert_eq!(store.stats().rows, 200);
    let mut other = whole.clone();
    other.rows = whole.rows.slice(0, 199);
    let refused = store.write_parts(other, deadline()).await.expect("an outcome for each part");
    assert!(refused.iter().any(|(_, part)| part.is_err()), "other rows under the same token");
}

#[tokio::test]
async fn a_retry_is_stored_once_whatever_happened_in_between() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(options(dir.path())).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, Some("a"), &rows(0, 100)).await.expect("writes");
    for threads in [2, 3, 3, 1, 5] {
        let receipt = write(&store, &schema, Some("a"), &rows(0, 100)).await.expect("writes");
        assert_eq!((receipt.rows, receipt.duplicate_rows), (0, 100));
        match threads {
            2 | 5 => store.close().expect("closes"),
            _ => store.close_without_flush().expect("closes"),
        }
        drop(store);
        store = Store::open(StoreOptions { drain_threads: threads, ..options(dir.path()) }).expect("opens");
        assert_eq!(read(&store, schema.id), rows(0, 100), "with {threads} drain threads");
    }
    let other =
        write(&store, &schema, Some("a"), &rows(0, 101)).await.expect_err("other rows under this token");
    assert_eq!(other.code, ErrorCode::IncorrectData);
}

#[tokio::test]
async fn a_second_process_is_kept_out_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let _store = Store::open(options(dir.path())).expect("opens");
    let error = Store::open(options(dir.path())).expect_err("it is in use");
    assert_eq!(error.code, ErrorCode::CannotOpenFile);
    assert!(error.message.contains(&format!("pid {}", std::process::id())), "{}", error.message);
}

#[tokio::test]
async fn columns_change_without_touching_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    let old = store.create_table(trades("t")).await.expect("creates");
    let name = old.name.clone();
    write(&store, &old, None, &rows(0, 10)).await.expect("writes");
    let mut added = column("volume", ColumnType::Int64);
    added.default = ColumnDefault::Constant("7".to_owned());
    let add = AlterOp::AddColumn { column: added, position: ColumnPosition::First, if_not_exists: false };
    let rename = AlterOp::RenameColumn { from: "price".to_owned(), to: "p".to_owned(), if_exists: false };
    store.alter_table(&name, vec![add, rename]).await.expect("alters");
    // A writer that still has the old version is served.
    write(&store, &old, None, &rows(10, 20)).await.expect("writes");
    let back = AlterOp::RenameColumn { from: "p".to_owned(), to: "price".to_owned(), if_exists: false };
    store.alter_table(&name, vec![back]).await.expect("alters");
    let new = store.catalog().require(&name).expect("exists").clone();
    assert_eq!((new.version.0, new.columns[0].name.as_str()), (3, "volume"));
    write(&store, &new, None, &rows(20, 30)).await.expect("writes");
    assert_eq!(read(&store, new.id), rows(0, 30));
    store.close().expect("closes");
    drop(store);
    let store = Store::open(options(dir.path())).expect("opens");
    assert_eq!(read(&store, new.id), rows(0, 30));
    let refused =
        store.alter_table(&name, vec![AlterOp::DropColumn { name: "time".into(), if_exists: false }]);
    assert_eq!(refused.await.expect_err("the time column stays").code, ErrorCode::AlterOfColumnIsForbidden);
}

#[tokio::test]
async fn a_token_with_other_rows_is_refused_whole_before_and_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(options(dir.path())).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, Some("a"), &rows(0, 100)).await.expect("writes");
    let mut changed = rows(0, 100);
    changed[40] = row("K3", 1_000_000 - 40 * 3 + 1, 40);
    for flushed in [true, false, true] {
        for other in [rows(100, 200), rows(0, 99), changed.clone()] {
            let error = write(&store, &schema, Some("a"), &other).await.expect_err("other rows");
            assert_eq!(error.code, ErrorCode::IncorrectData, "{error}");
        }
        let receipt = write(&store, &schema, Some("a"), &rows(0, 100)).await.expect("writes");
        assert_eq!((receipt.rows, receipt.duplicate_rows), (0, 100));
        assert_eq!(read(&store, schema.id), rows(0, 100));
        if flushed { store.close() } else { store.close_without_flush() }.expect("closes");
        drop(store);
        store = Store::open(options(dir.path())).expect("opens again");
    }
}

#[tokio::test]
async fn after_a_truncation_the_same_token_stores_again_and_later_tokens_stay_known() {
    for flushed in [true, false] {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(options(dir.path())).expect("opens");
        let schema = store.create_table(trades("t")).await.expect("creates");
        let other = store.create_table(trades("other")).await.expect("creates");
        for table in [&schema, &other] {
            write(&store, table, Some("early"), &rows(0, 100)).await.expect("writes");
        }
        store.checkpoint().await.expect("flushes");
        write(&store, &schema, Some("a"), &rows(100, 200)).await.expect("writes");
        store.truncate_table(&schema.name).await.expect("truncates");
        write(&store, &schema, Some("b"), &rows(200, 300)).await.expect("writes");
        if flushed { store.close() } else { store.close_without_flush() }.expect("closes");
        drop(store);
        let store = Store::open(options(dir.path())).expect("opens again");
        for (table, token, from, stored) in [
            (&schema, "early", 0, 100),
            (&schema, "a", 100, 100),
            (&schema, "b", 200, 0),
            (&schema, "a", 100, 0),
            (&other, "early", 0, 0),
        ] {
            let receipt = write(&store, table, Some(token), &rows(from, from + 100)).await.expect("writes");
            assert_eq!(receipt.rows, stored, "{token}, flushed: {flushed}");
        }
        assert_eq!(read(&store, schema.id), rows(0, 300));
    }
}

#[tokio::test]
async fn truncate_and_drop_free_the_disk_and_stay_done() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    let one = store.create_table(trades("one")).await.expect("creates");
    let two = store.create_table(trades("two")).await.expect("creates");
    for table in [&one, &two] {
        write(&store, table, None, &rows(0, 500)).await.expect("writes");
        store.checkpoint().await.expect("flushes");
        write(&store, table, None, &rows(500, 600)).await.expect("writes");
    }
    let files = || std::fs::read_dir(dir.path().join("segments")).expect("lists").count();
    assert_eq!(files(), 6);
    store.truncate_table(&one.name).await.expect("truncates");
    assert!(read(&store, one.id).is_empty());
    write(&store, &one, None, &rows(600, 650)).await.expect("writes");
    store.drop_table(&two.name).await.expect("drops");
    assert_eq!(store.snapshot(two.id).expect_err("gone").code, ErrorCode::UnknownTable);
    let refused = write(&store, &two, None, &rows(0, 1)).await.expect_err("gone");
    assert_eq!(refused.code, ErrorCode::UnknownTable);
    assert_eq!(files(), 0);
    store.close_without_flush().expect("closes");
    drop(store);
    let store = Store::open(options(dir.path())).expect("opens");
    assert_eq!(read(&store, one.id), rows(600, 650));
    let again = store.create_table(trades("two")).await.expect("the name is free");
    assert_ne!(again.id, two.id);
    assert!(read(&store, again.id).is_empty());
}

#[tokio::test]
async fn a_rewrite_changes_rows_in_every_form_and_stays_done() {
    use arrow::array::{AsArray, BooleanArray};
    use arrow::datatypes::Int64Type;
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, Some("a"), &rows(0, 300)).await.expect("writes");
    store.checkpoint().await.expect("flushes");
    write(&store, &schema, Some("b"), &rows(300, 400)).await.expect("writes");
    let odd_only = Arc::new(|batch: arrow::array::RecordBatch| {
        let ids = batch.column(3).as_primitive::<Int64Type>();
        let keep: BooleanArray = ids.values().iter().map(|id| Some(id % 2 == 1)).collect();
        if keep.false_count() == 0 {
            return Ok(None);
        }
        Ok(Some(arrow::compute::filter_record_batch(&batch, &keep)?))
    });
    assert_eq!(store.rewrite(schema.id, odd_only.clone()).await.expect("deletes"), 200);
    let odd: Vec<Row> = rows(0, 400).into_iter().filter(|row| row.id % 2 == 1).collect();
    assert_eq!(read(&store, schema.id), odd);
    assert_eq!(store.rewrite(schema.id, odd_only).await.expect("finds nothing"), 0);
    store.close_without_flush().expect("closes");
    drop(store);
    let store = Store::open(options(dir.path())).expect("opens");
    assert_eq!(read(&store, schema.id), odd);
    let again = write(&store, &schema, Some("b"), &rows(300, 400)).await.expect("a retry");
    assert_eq!(again.duplicate_rows, 100, "a retry of deleted rows does not bring them back");
}

#[tokio::test]
async fn expired_rows_go_from_view_and_disk_and_a_longer_ttl_brings_none_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    let mut table = trades("t");
    table.ttl_seconds = Some(3600);
    let schema = store.create_table(table).await.expect("creates");
    let now = zepto_common::clock::wall_nanos();
    let hour = 3_600_000_000_000;
    let old: Vec<Row> = (0..100).map(|id| row("A", now - 2 * hour, id)).collect();
    let new: Vec<Row> = (100..200).map(|id| row("A", now - hour / 2, id)).collect();
    write(&store, &schema, None, &old).await.expect("writes");
    store.checkpoint().await.expect("flushes");
    write(&store, &schema, None, &new).await.expect("writes");
    store.expire().await.expect("expires");
    assert_eq!(read(&store, schema.id), new);
    assert_eq!(store.stats().rows, 100, "the old segment is gone");
    store.close_without_flush().expect("closes");
    drop(store);
    let store = Store::open(options(dir.path())).expect("opens");
    assert_eq!(read(&store, schema.id), new);
    store.set_ttl(&schema.name, None).await.expect("removes the TTL");
    let schema = store.catalog().require(&schema.name).expect("exists").clone();
    write(&store, &schema, None, &[row("A", now - 5 * hour, 0)]).await.expect("writes an old row");
    assert_eq!(read(&store, schema.id).len(), 101, "without a TTL old rows are rows");
    store.close_without_flush().expect("closes");
    drop(store);
    let store = Store::open(options(dir.path())).expect("opens");
    assert_eq!(read(&store, schema.id).len(), 101);
}

#[tokio::test]
async fn a_snapshot_opens_as_a_data_directory() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, Some("a"), &rows(0, 200)).await.expect("writes");
    let info = store.backup_snapshot("first").await.expect("makes a snapshot");
    assert_eq!((info.rows, store.snapshots().expect("lists")), (200, vec![info.clone()]));
    let taken = store.backup_snapshot("first").await.expect_err("the name is taken");
    assert_eq!(taken.code, ErrorCode::BadArguments);
    assert!(store.backup_snapshot("../x").await.is_err());
    write(&store, &schema, None, &rows(200, 300)).await.expect("writes");
    store.truncate_table(&schema.name).await.expect("truncates");
    let copy = Store::open(options(&info.path)).expect("the snapshot opens");
    assert_eq!(read(&copy, schema.id), rows(0, 200));
    assert_ne!(copy.disk_id(), store.disk_id());
    let retry = write(&copy, &schema, Some("a"), &rows(0, 200)).await.expect("a retry");
    assert_eq!(retry.duplicate_rows, 200);
    write(&copy, &schema, None, &rows(200, 210)).await.expect("writes");
    assert_eq!(read(&copy, schema.id), rows(0, 210));
}

#[tokio::test]
async fn the_files_of_a_snapshot_are_told_read_and_removed() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, None, &rows(0, 200)).await.expect("writes");
    let begun = store.shared_snapshot("a").await.expect("makes a snapshot");
    assert_eq!(begun.whole, Some(Vec::new()), "nothing is sure yet");
    let info = store.confirm_snapshot("a", vec![PartitionId(3)]).await.expect("notes it");
    assert_eq!(info.whole, Some(vec![PartitionId(3)]));
    let (again, files) = store.snapshot_files("a").expect("lists");
    assert_eq!(again, info);
    let segments = files.iter().filter(|file| file.key.is_some()).count();
    assert_eq!((files.len() - segments, segments), (2, store.table_stats()[0].segments as usize));
    let bytes_of = |path: &str| {
        let file = store.open_snapshot_file("a", path).expect("opens");
        let mut bytes = vec![0; file.len().expect("a length") as usize];
        assert_eq!(file.read_at(&mut bytes, 0).expect("reads"), bytes.len());
        bytes
    };
    for file in &files {
        assert_eq!(bytes_of(&file.path).len() as u64, file.bytes, "{file:?}");
    }
    let saved = Saved::decode(&bytes_of("CATALOG"), &bytes_of("MANIFEST"), dir.path()).expect("reads");
    assert_eq!(saved.segments(schema.id).iter().map(|it| it.rows).sum::<u64>(), 200);
    assert_eq!(saved.catalog().version(), info.catalog_version);
    for bad in [
        "SNAPSHOT",
        "../DISK",
        "segments/../MANIFEST",
        "segments/x.parquet",
        "segments/0000000000000099.parquet",
    ] {
        let refused = store.open_snapshot_file("a", bad).expect_err(bad);
        assert_eq!(refused.code, ErrorCode::BadArguments, "{bad}");
    }
    // The next snapshot has the same segments under the same keys, and one more.
    write(&store, &schema, None, &rows(200, 210)).await.expect("writes");
    store.backup_snapshot("b").await.expect("makes a snapshot");
    let (_, later) = store.snapshot_files("b").expect("lists");
    let known: Vec<_> = files.iter().filter_map(|file| file.key.as_ref()).collect();
    let same = later.iter().filter(|file| file.key.as_ref().is_some_and(|key| known.contains(&key))).count();
    assert_eq!(same, segments);
    assert!(later.len() > files.len());
    store.remove_snapshot("a").await.expect("removes");
    for gone in [store.remove_snapshot("a").await, store.snapshot_files("a").map(drop)] {
        assert_eq!(gone.expect_err("is gone").code, ErrorCode::BadArguments);
    }
    assert_eq!(store.snapshots().expect("lists").len(), 1);
    assert_eq!(read(&store, schema.id), rows(0, 210));
}

#[tokio::test]
async fn optimize_leaves_one_segment_per_thread() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    for part in 0..6 {
        write(&store, &schema, None, &rows(part * 100, part * 100 + 100)).await.expect("writes");
        store.checkpoint().await.expect("flushes");
    }
    assert_eq!(store.table_stats()[0].segments, 12);
    store.optimize(schema.id).await.expect("merges");
    assert_eq!(store.table_stats()[0].segments, 2);
    assert_eq!(read(&store, schema.id), rows(0, 600));
    assert_eq!(std::fs::read_dir(dir.path().join("segments")).expect("lists").count(), 2);
}

#[tokio::test]
async fn tables_without_key_or_time_and_databases_work() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(options(dir.path())).expect("opens");
    store.create_database("lab").await.expect("creates");
    let mut table = trades("plain");
    table.name = TableName::new("lab", "plain");
    (table.key, table.time, table.order_by) = (None, None, vec!["id".to_owned()]);
    let schema = store.create_table(table).await.expect("creates");
    for part in 0..20 {
        write(&store, &schema, None, &rows(part * 10, part * 10 + 10)).await.expect("writes");
    }
    assert_eq!(ids(&store, schema.id), (0..200).collect::<Vec<_>>());
    store.checkpoint().await.expect("flushes");
    assert_eq!(ids(&store, schema.id), (0..200).collect::<Vec<_>>());
    let other = TableName::new("lab", "other");
    store.rename_table(&schema.name, &other).await.expect("renames");
    write(&store, &schema, None, &rows(200, 210)).await.expect("a writer with the old name is served");
    assert_eq!(ids(&store, schema.id).len(), 210);
    store.drop_database("lab").await.expect("drops");
    assert_eq!(store.catalog().require(&other).expect_err("gone").code, ErrorCode::UnknownDatabase);
    assert_eq!(std::fs::read_dir(dir.path().join("segments")).expect("lists").count(), 0);
}

#[tokio::test]
async fn memory_stays_bounded_and_a_restart_needs_no_more() {
    let dir = tempfile::tempdir().expect("a folder");
    let limit = 64 << 20;
    let mut bounded = options(dir.path());
    bounded.memory_limit = limit;
    bounded.seal.tick = Duration::from_millis(20);
    bounded.seal.log_bytes = 1 << 40;
    let store = Store::open(bounded.clone()).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    let block = 20_000;
    for part in 0..150 {
        write(&store, &schema, None, &rows(part * block, (part + 1) * block)).await.expect("writes");
        let stats = store.stats();
        assert!(stats.memtable_bytes <= limit as u64 / 2, "{} unflushed", stats.memtable_bytes);
    }
    store.close_without_flush().expect("closes");
    drop(store);
    let store = Store::open(bounded).expect("opens");
    let stats = store.stats();
    assert_eq!(stats.rows, 150 * block as u64);
    assert!(stats.memtable_bytes + stats.hot_bytes <= limit as u64, "{stats:?}");
}
