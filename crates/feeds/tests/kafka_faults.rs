//! Feeds while their storage, their tables and their group change under them.

#![expect(clippy::expect_used, reason = "a test")]

mod world;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use world::{World, number, trades, until};
use zepto_common::ErrorCode;
use zepto_common::schema::TableName;
use zepto_engine::catalog::{AlterOp, ColumnPosition};
use zepto_feeds::FeedConfig;
use zepto_feeds::supervisor::State;

fn name(table: &str) -> TableName {
    TableName::new("default", table)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_added_under_a_running_feed_gets_its_values() {
    let mut world = World::new().await;
    world.produce(100);
    let (feeds, status) = world.start(world.feed());
    world.complete().await;
    let column = number("extra");
    let add = AlterOp::AddColumn { column, position: ColumnPosition::Last, if_not_exists: false };
    world.store.alter_table(&name("t"), vec![add]).await.expect("alters");
    for extra in 1..=5 {
        world.send(0, format!("{{\"id\":{},\"extra\":{extra}}}", 1_000 + extra).as_bytes());
    }
    until("the rows are there", || world.rows("t") == 105).await;
    let extras: Vec<i64> = world.numbers("t", "extra").into_iter().filter(|extra| *extra != 0).collect();
    assert_eq!(extras, [1, 2, 3, 4, 5]);
    feeds.stop().await;
    assert_eq!(status.show()["restarts"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_the_same_name_is_filled_from_the_beginning_and_the_old_one_rests() {
    let mut world = World::new().await;
    for _ in 0..8 {
        world.send(0, b"nothing");
    }
    world.produce(100);
    let (feeds, status) = world.start(FeedConfig { dead_letter_limit: 20, ..world.feed() });
    world.complete().await;
    until("the dead letters are stored", || world.rows("dead") == 8).await;
    // What is durable in the old table while its positions are not is told to that one, whatever its name is by then.
    world.moods.keeps_positions.store(true, Ordering::Relaxed);
    world.produce(100);
    world.complete().await;
    world.store.rename_table(&name("t"), &name("old")).await.expect("renames");
    world.store.create_table(trades("t")).await.expect("creates");
    world.moods.keeps_positions.store(false, Ordering::Relaxed);
    until("the old table has its positions", || world.positions("old") == 208).await;
    assert_eq!(world.positions("t"), 0);
    world.produce(100);
    world.complete().await;
    assert_eq!(world.rows("old"), 200);
    assert_eq!(
        world.rows("dead"),
        16,
        "eight of the new table as well: what was a row before may be none now"
    );
    until("it runs", || status.state() == State::Running).await;
    feeds.stop().await;
    assert_eq!((world.positions("old"), world.positions("t")), (208, 308));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_disk_or_a_queue_says_pauses_the_feed_and_what_no_wait_mends_stops_it() {
    let mut world = World::new().await;
    let (feeds, status) = world.start(world.feed());
    for code in [
        ErrorCode::Overloaded,
        ErrorCode::TooManyParts,
        ErrorCode::UnknownStatusOfInsert,
        ErrorCode::TableIsReadOnly,
        ErrorCode::CannotFsync,
        ErrorCode::CannotWriteToFileDescriptor,
    ] {
        *world.moods.refuses.lock() = Some(code);
        world.produce(10);
        until("it pauses", || status.state() == State::Paused).await;
        *world.moods.refuses.lock() = None;
        world.complete().await;
    }
    assert_eq!(status.show()["restarts"], 0);
    *world.moods.refuses.lock() = Some(ErrorCode::TooManyRowsOrBytes);
    world.produce(10);
    until("it has failed", || status.state() == State::Failed).await;
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_does_not_wait_for_a_storage_that_hangs() {
    let mut world = World::new().await;
    let (feeds, _) = world.start(world.feed());
    world.moods.hangs.store(true, Ordering::Relaxed);
    world.produce(10);
    until("a write hangs", || world.moods.writes.load(Ordering::Relaxed) > 0).await;
    let begun = Instant::now();
    tokio::time::timeout(Duration::from_secs(25), feeds.stop()).await.expect("it ends");
    assert!(begun.elapsed() >= Duration::from_secs(4), "a write in hand has a while to end");
    // What was left is read again.
    world.moods.hangs.store(false, Ordering::Relaxed);
    let (feeds, _) = world.start(world.feed());
    world.complete().await;
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_without_partitions_does_not_say_that_it_runs() {
    let world = World::new().await;
    world.cluster.create_topic("single", 1, 1).expect("a topic");
    let mut config = world.feed();
    config.kafka.as_mut().expect("kafka").topics = vec!["single".to_owned()];
    let (first, status) = world.start(config.clone());
    until("the first has the partition", || status.state() == State::Running).await;
    let (second, status) = world.start(config);
    until("it has polled a few times", || status.show()["uptime_seconds"].as_u64() >= Some(3)).await;
    assert_eq!(status.state(), State::Starting, "{}", status.show());
    first.stop().await;
    until("it has the partition by now", || status.state() == State::Running).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_rested_when_another_took_it_is_read_when_it_comes_back() {
    let mut world = World::new().await;
    *world.moods.refuses.lock() = Some(ErrorCode::Overloaded);
    // More than a feed holds while it cannot write: its partitions rest.
    world.produce(80_000);
    world.produce(80_000);
    let (first, status) = world.start(world.feed());
    until("the first holds what it can", || status.state() == State::Paused).await;
    let (second, other) = world.start(world.feed());
    until("the second has some partitions", || other.state() == State::Paused).await;
    *world.moods.refuses.lock() = None;
    world.complete().await;
    second.stop().await;
    world.produce(1_000);
    world.complete().await;
    first.stop().await;
}
