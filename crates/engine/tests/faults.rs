//! Disks that are full, read-only or failing: writes are refused with the right code, reads go on, and what can
//! recover by itself does.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{ids, row, trades, write};
use zepto_common::ErrorCode;
use zepto_engine::disk::SimDisk;
use zepto_engine::disk::sim::{CrashImage, Fault};
use zepto_engine::store::LogState;
use zepto_engine::{Store, StoreOptions};

fn options(disk: &Arc<SimDisk>) -> StoreOptions {
    let mut options = StoreOptions::new("/data");
    options.disk = disk.clone();
    options.exclusive = false;
    options.drain_threads = 2;
    options.partitions = Some(16);
    options.disk_reserve = 0;
    options.seal.log_file_bytes = 64 << 10;
    options.seal.tick = Duration::from_secs(3600);
    options
}

fn some(from: i64, to: i64) -> Vec<common::Row> {
    (from..to).map(|id| row(&format!("K{}", id % 50), id, id)).collect()
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_recovers_by_itself() {
    let disk = SimDisk::new();
    let store = Store::open(options(&disk)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, None, &some(0, 100)).await.expect("writes");
    disk.fail(Fault::NoSpaceAfter(0));
    let mut refused = 0;
    let mut stored = 100;
    for block in 0..40 {
        let (from, to) = (1000 + block * 100, 1100 + block * 100);
        match write(&store, &schema, Some(&format!("b{block}")), &some(from, to)).await {
            Ok(_) => stored += 100,
            Err(error) if error.code == ErrorCode::NotEnoughSpace => refused += 1,
            // One thread's part fitted into the file that it had, the other's did not.
            Err(error) => assert_eq!(error.code, ErrorCode::UnknownStatusOfInsert, "{}", error.message),
        }
    }
    assert!(refused > 0, "the disk was full and nothing was refused");
    assert!(matches!(store.stats().log_state, LogState::ReadOnly { .. }));
    assert!(!store.ready().is_empty());
    assert!(ids(&store, schema.id).len() >= stored, "reads go on");
    disk.heal();
    for block in 0..40 {
        let (from, to) = (1000 + block * 100, 1100 + block * 100);
        write(&store, &schema, Some(&format!("b{block}")), &some(from, to))
            .await
            .expect("there is room again");
    }
    assert_eq!(store.stats().log_state, LogState::Healthy);
    assert!(store.ready().is_empty());
    let expected: Vec<i64> = (0..100).chain(1000..5000).collect();
    assert_eq!(ids(&store, schema.id), expected);
    store.close_without_flush().expect("closes");
    drop(store);
    let store = Store::open(options(&disk)).expect("opens");
    assert_eq!(ids(&store, schema.id), expected);
}

#[tokio::test]
async fn the_reserve_of_the_disk_is_kept() {
    let disk = SimDisk::new();
    disk.set_capacity(64 << 20);
    let store = Store::open(StoreOptions { disk_reserve: 32 << 20, ..options(&disk) }).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, None, &some(0, 100)).await.expect("writes");
    disk.set_capacity(16 << 20);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let error = write(&store, &schema, None, &some(100, 200)).await.expect_err("the reserve is touched");
    assert_eq!(error.code, ErrorCode::NotEnoughSpace);
    assert_eq!(ids(&store, schema.id).len(), 100);
    disk.set_capacity(64 << 20);
    write(&store, &schema, None, &some(100, 200)).await.expect("there is room again");
}

#[tokio::test]
async fn a_node_that_was_not_ready_is_ready_again_though_nobody_writes() {
    let disk = SimDisk::new();
    disk.set_capacity(64 << 20);
    let store = Store::open(StoreOptions { disk_reserve: 32 << 20, ..options(&disk) }).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    let shortages: [fn(&SimDisk); 2] =
        [|disk| disk.set_capacity(16 << 20), |disk| disk.fail(Fault::NoSpaceAfter(0))];
    for (round, spoil) in shortages.into_iter().enumerate() {
        spoil(&disk);
        // Rows for both logs, until each was refused.
        let until = Instant::now() + Duration::from_secs(20);
        let mut refused = 0;
        while refused < 3 {
            assert!(Instant::now() < until, "nothing is refused in round {round}");
            let answer = write(&store, &schema, None, &some(0, 50)).await;
            refused += i32::from(answer.is_err_and(|error| error.code == ErrorCode::NotEnoughSpace));
        }
        assert!(!store.ready().is_empty());
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert!(!store.ready().is_empty(), "nothing has changed");
        disk.heal();
        disk.set_capacity(64 << 20);
        let until = Instant::now() + Duration::from_secs(20);
        while !store.ready().is_empty() {
            assert!(Instant::now() < until, "still not ready: {:?}", store.ready());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(store.stats().log_state, LogState::Healthy);
        write(&store, &schema, None, &some(0, 50)).await.expect("takes rows");
    }
}

#[tokio::test]
async fn a_read_only_disk_refuses_writes_and_ddl_and_goes_on_reading() {
    let disk = SimDisk::new();
    let store = Store::open(options(&disk)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, None, &some(0, 10)).await.expect("writes");
    disk.fail(Fault::ReadOnly);
    let ddl = store.create_table(trades("u")).await.expect_err("the catalog cannot be written");
    assert_eq!(ddl.code, ErrorCode::TableIsReadOnly);
    assert!(store.catalog().table(&zepto_common::schema::TableName::new("default", "u")).is_none());
    let refused =
        write(&store, &schema, Some("a"), &some(10, 20)).await.expect_err("the log cannot be written");
    // A log that refuses before its first byte says so; one that met it in the middle cannot know.
    assert!(
        matches!(refused.code, ErrorCode::TableIsReadOnly | ErrorCode::UnknownStatusOfInsert),
        "{refused}"
    );
    assert_ne!(store.stats().log_state, LogState::Healthy);
    assert!(!store.ready().is_empty());
    assert_eq!(ids(&store, schema.id), (0..10).collect::<Vec<_>>());
    disk.heal();
    store.create_table(trades("u")).await.expect("the disk can be written again");
    drop(store);
    let store = Store::open(options(&disk)).expect("a restart helps in every case");
    write(&store, &schema, Some("a"), &some(10, 20)).await.expect("a retry");
    assert_eq!(ids(&store, schema.id), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn after_a_disk_turned_read_only_in_a_write_rows_are_taken_again_without_a_restart() {
    for room in [100, 700, 1_500] {
        let disk = SimDisk::new();
        let store = Store::open(options(&disk)).expect("opens");
        let schema = store.create_table(trades("t")).await.expect("creates");
        write(&store, &schema, None, &some(0, 10)).await.expect("writes");
        disk.fail_on("/data/wal", Fault::ReadOnlyAfter(room));
        let refused = write(&store, &schema, Some("a"), &some(10, 200)).await.expect_err("in the middle");
        assert_eq!(refused.code, ErrorCode::UnknownStatusOfInsert, "{refused}");
        assert!(matches!(store.stats().log_state, LogState::ReadOnly { .. }));
        assert!(!store.ready().is_empty());
        assert_eq!(ids(&store, schema.id), (0..10).collect::<Vec<_>>());
        disk.heal();
        let until = Instant::now() + Duration::from_secs(20);
        while !store.ready().is_empty() {
            assert!(Instant::now() < until, "still not ready: {:?}", store.ready());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        write(&store, &schema, Some("a"), &some(10, 200)).await.expect("a retry under the same token");
        write(&store, &schema, Some("a"), &some(10, 200)).await.expect("and one more");
        assert_eq!(ids(&store, schema.id), (0..200).collect::<Vec<_>>());
        drop(store);
        let store = Store::open(options(&disk)).expect("opens again");
        assert_eq!(ids(&store, schema.id), (0..200).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn after_a_failed_sync_only_a_restart_helps_and_nothing_acknowledged_is_lost() {
    let disk = SimDisk::new();
    let store = Store::open(options(&disk)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, Some("a"), &some(0, 100)).await.expect("writes");
    disk.fail_on("/data/wal", Fault::SyncFails);
    let lost = write(&store, &schema, Some("b"), &some(100, 200)).await.expect_err("the sync fails");
    assert_eq!(lost.code, ErrorCode::UnknownStatusOfInsert);
    disk.heal();
    let refused = write(&store, &schema, Some("c"), &some(200, 300)).await.expect_err("the log has failed");
    assert_eq!(refused.code, ErrorCode::CannotFsync);
    assert!(refused.message.contains("restart"), "{}", refused.message);
    assert!(matches!(store.stats().log_state, LogState::Failed { .. }));
    assert_eq!(ids(&store, schema.id), (0..100).collect::<Vec<_>>(), "reads go on");
    drop(store);
    let store = Store::open(options(&disk)).expect("a restart helps");
    let there = ids(&store, schema.id);
    assert!(there.len() >= 100 && there[..100] == (0..100).collect::<Vec<_>>()[..]);
    write(&store, &schema, Some("a"), &some(0, 100)).await.expect("a retry");
    write(&store, &schema, Some("b"), &some(100, 200)).await.expect("a retry");
    assert_eq!(ids(&store, schema.id), (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_checkpoint_that_fails_loses_nothing_and_is_repeated() {
    let disk = SimDisk::new();
    let store = Store::open(options(&disk)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    for (round, (fragment, fault)) in [
        ("segments", Fault::NoSpaceAfter(100)),
        ("segments", Fault::SyncFails),
        ("MANIFEST", Fault::SyncFails),
        ("MANIFEST", Fault::WriteFails),
    ]
    .into_iter()
    .enumerate()
    {
        let from = round as i64 * 100;
        write(&store, &schema, None, &some(from, from + 100)).await.expect("writes");
        disk.fail_on(fragment, fault);
        assert!(store.checkpoint().await.is_err(), "{fragment} {fault:?}");
        assert_eq!(ids(&store, schema.id), (0..from + 100).collect::<Vec<_>>());
        for (image, recovered) in disk.now().images(3) {
            let copy = Store::open(options(&recovered)).unwrap_or_else(|error| panic!("{image:?}: {error}"));
            assert_eq!(
                ids(&copy, schema.id),
                (0..from + 100).collect::<Vec<_>>(),
                "{fragment} {fault:?} {image:?}"
            );
        }
        disk.heal();
    }
    store.checkpoint().await.expect("the disk is well");
    assert_eq!(store.stats().memtable_bytes, 0);
    assert_eq!(ids(&store, schema.id), (0..400).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_corrupt_small_file_or_segment_is_refused_with_file_and_offset() {
    let disk = SimDisk::new();
    let store = Store::open(options(&disk)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, None, &some(0, 1000)).await.expect("writes");
    store.close().expect("closes");
    drop(store);
    for (path, length) in disk.files() {
        let name = path.display().to_string();
        if name.contains("/wal/") {
            continue;
        }
        // The end of a segment is its footer.
        for offset in [length - 20, length / 2, 5] {
            disk.flip(&path, offset, 0x20).expect("the file exists");
            let error = Store::open(options(&disk)).expect_err("a changed byte is seen");
            assert_eq!(error.code, ErrorCode::CorruptedData, "{name} at {offset}: {}", error.message);
            let placed = error.message.contains("byte ") || error.message.contains("offset ");
            assert!(error.message.contains(&name) && placed, "{}", error.message);
            disk.flip(&path, offset, 0x20).expect("the file exists");
        }
    }
    Store::open(options(&disk)).expect("all is well again");
}

/// A store with more segments than the start has time for serves, and finds the damage soon after.
#[tokio::test]
async fn damage_that_the_start_had_no_time_to_see_is_found_while_the_store_serves() {
    let disk = SimDisk::new();
    let store = Store::open(options(&disk)).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    write(&store, &schema, None, &some(0, 1000)).await.expect("writes");
    store.close().expect("closes");
    drop(store);
    let (path, _) = disk
        .files()
        .into_iter()
        .find(|(path, _)| path.display().to_string().contains("segments"))
        .expect("one");
    disk.flip(&path, 5, 0x20).expect("the file exists");
    let mut hurried = StoreOptions { check_time: Duration::ZERO, ..options(&disk) };
    hurried.seal.tick = Duration::from_millis(5);
    let store = Store::open(hurried).expect("there was no time to look");
    let deadline = Instant::now() + Duration::from_secs(30);
    while store.stats().segments_damaged == 0 {
        assert!(Instant::now() < deadline, "the damage was not found");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Somebody removes or empties the newest log file, or the whole folder of logs, while the node is down.
#[tokio::test]
async fn a_start_misses_logs_that_are_gone() {
    use std::path::{Path, PathBuf};
    use zepto_engine::disk::Disk;
    type Harm = fn(&SimDisk, &[PathBuf]);
    let harms: [(&str, Harm); 3] = [
        ("all removed", |disk, logs| logs.iter().for_each(|log| disk.remove(log).expect("removes"))),
        ("newest removed", |disk, logs| disk.remove(&logs[logs.len() - 1]).expect("removes")),
        ("newest emptied", |disk, logs| {
            disk.open(&logs[logs.len() - 1]).expect("opens").set_len(0).expect("cuts");
        }),
    ];
    for (what, harm) in harms {
        for blocks in [1, 40] {
            let disk = SimDisk::new();
            let store = Store::open(options(&disk)).expect("opens");
            let schema = store.create_table(trades("t")).await.expect("creates");
            for block in 0..blocks {
                let rows = some(block * 1000, block * 1000 + 1000);
                write(&store, &schema, None, &rows).await.expect("writes");
            }
            let disk = disk.now().image(CrashImage::Everything);
            let folder = Path::new("/data/wal");
            let names = disk.list(folder).expect("lists");
            let logs: Vec<PathBuf> =
                names.iter().filter(|name| name.ends_with(".wal")).map(|name| folder.join(name)).collect();
            harm(&disk, &logs);
            let error = Store::open(options(&disk)).expect_err(what);
            assert_eq!(error.code, ErrorCode::CorruptedData, "{what}: {}", error.message);
            assert!(error.message.contains("/data/wal/0000"), "{what}: {}", error.message);
            let mut permitted = options(&disk);
            permitted.allow_corrupt_tail = true;
            Store::open(permitted).expect("what is lost was given up");
        }
    }
}

/// What was dropped or emptied makes room by itself: rows in logs become segments, spares go.
#[tokio::test]
async fn a_small_disk_that_ran_full_is_free_again_after_a_drop() {
    let disk = SimDisk::new();
    disk.set_capacity(100 << 20);
    let mut options = options(&disk);
    options.disk_reserve = StoreOptions::new("/data").disk_reserve;
    options.seal = zepto_engine::store::SealLimits { tick: Duration::from_millis(20), ..Default::default() };
    let store = Store::open(options).expect("opens");
    let schema = store.create_table(trades("t")).await.expect("creates");
    let mut blocks = 0;
    let error = loop {
        let rows = some(blocks * 20_000, blocks * 20_000 + 20_000);
        match write(&store, &schema, None, &rows).await {
            Ok(_) => blocks += 1,
            Err(error) => break error,
        }
        assert!(blocks < 1000, "the disk never runs full");
    };
    // Of a block for two threads one part may have found room and the other none: then its outcome is unknown.
    let refused = matches!(error.code, ErrorCode::NotEnoughSpace | ErrorCode::UnknownStatusOfInsert);
    assert!(refused, "{:?}: {}", error.code, error.message);
    assert!(ids(&store, schema.id).len() as i64 >= blocks * 20_000, "reads go on");
    store.drop_table(&zepto_common::schema::TableName::new("default", "t")).await.expect("drops");
    let patience = Instant::now() + Duration::from_secs(60);
    let schema = loop {
        // Flushing may have taken the last of the room; what was dropped goes in the background.
        match store.create_table(trades("u")).await {
            Ok(schema) => break schema,
            Err(error) => {
                assert!(Instant::now() < patience && error.code == ErrorCode::NotEnoughSpace, "{error}")
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let mut again = 0;
    while again < 10 {
        match write(&store, &schema, None, &some(again * 20_000, again * 20_000 + 20_000)).await {
            Ok(_) => again += 1,
            Err(error) => assert!(Instant::now() < patience, "the disk stays full: {}", error.message),
        }
    }
}
