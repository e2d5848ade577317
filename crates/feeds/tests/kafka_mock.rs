//! Feeds from librdkafka's mock cluster into a real store on a simulated disk.

#![expect(clippy::expect_used, reason = "a test")]

mod world;

use std::sync::atomic::Ordering;
use std::time::Instant;

use world::{PARTITIONS, PATIENCE, TOPIC, World, options, trades, until};
use zepto_common::service::RowSink;
use zepto_common::source::FeedStream;
use zepto_engine::Store;
use zepto_engine::disk::sim::Fault;
use zepto_feeds::FeedConfig;
use zepto_feeds::supervisor::State;

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_stored_once_however_often_the_feed_is_torn_away() {
    let mut world = World::new().await;
    for round in 0..4 {
        world.produce(3_000);
        let (feeds, _) = world.start(world.feed());
        let least = world.stored().len() + 1;
        until("some are stored", || world.stored().len() >= least).await;
        if round % 2 == 0 {
            // Its tasks end wherever they stand, as by kill -9.
            drop(feeds);
        } else {
            feeds.stop().await;
        }
    }
    let (feeds, status) = world.start(world.feed());
    world.complete().await;
    until("it runs", || status.state() == State::Running).await;
    feeds.stop().await;
    assert_eq!(status.state(), State::Stopped);
    assert_eq!(world.stored().len() as i64, world.produced);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_to_the_group_is_durable_and_a_restart_of_the_store_loses_nothing() {
    let mut world = World::new().await;
    world.produce(2_000);
    let (feeds, _) = world.start(world.feed());
    until("all are committed to the group", || world.committed() == 2_000).await;
    feeds.stop().await;
    world.store.close_without_flush().expect("closes");
    world.store = Store::open(options(&world.disk)).expect("opens");
    assert_eq!(world.stored().len(), 2_000);
    world.produce(2_000);
    let (feeds, status) = world.start(world.feed());
    world.complete().await;
    feeds.stop().await;
    let shown = status.show();
    assert_eq!(shown["duplicate_rows"], 0, "a clean stop leaves nothing to be read again: {shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_be_read_lie_in_the_dead_letter_table_and_harm_no_other() {
    let mut world = World::new().await;
    let bad: [&[u8]; 10] = [
        b"",
        b"{",
        b"nothing",
        b"[1,2",
        b"{\"id\":\"x\"}",
        b"{\"id\":1}{\"id\":",
        b"\xff\xfe",
        b"null",
        b"{\"id\":99999999999999999999999}",
        b"{\"symbol\":\"\xc3\x28\",\"id\":5}",
    ];
    for round in 0..10 {
        world.produce(100);
        for (at, payload) in bad.iter().enumerate() {
            world.send((round + at as i32) % PARTITIONS, payload);
        }
    }
    world.produce(100);
    // Positions that stay where they are: each feed reads all from the beginning.
    world.moods.forgets.store(true, Ordering::Relaxed);
    let (feeds, status) = world.start(FeedConfig { dead_letter_limit: 100, ..world.feed() });
    world.complete().await;
    until("the dead letters are stored", || status.show()["dead_letters"] == 100).await;
    feeds.stop().await;
    assert_eq!(world.rows("dead"), 100);
    // Read again they are known, and do not count once more.
    let (feeds, status) = world.start(FeedConfig { dead_letter_limit: 50, ..world.feed() });
    let known = world.produced;
    world.produce(10);
    world.complete().await;
    until("all were read again", || status.show()["messages"] == 100 + world.produced).await;
    feeds.stop().await;
    let shown = status.show();
    assert_eq!(shown["duplicate_rows"], known, "{shown}");
    assert_eq!(shown["dead_letters"], 0, "{shown}");
    assert_eq!(world.rows("dead"), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_dead_letters_than_the_limit_stop_the_feed_in_a_clear_state() {
    let mut world = World::new().await;
    for _ in 0..20 {
        world.send(0, b"nothing");
    }
    world.produce(10);
    let (feeds, status) = world.start(FeedConfig { dead_letter_limit: 10, ..world.feed() });
    until("it has failed", || status.state() == State::Failed).await;
    let error = status.show()["last_error"].to_string();
    assert!(error.contains("more than 10 messages cannot be read"), "{error}");
    feeds.stop().await;
    assert_eq!(status.state(), State::Failed);
    let (feeds, _) = world.start(world.feed());
    world.complete().await;
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_the_partitions_and_one_takes_over_from_the_other() {
    let mut world = World::new().await;
    world.produce(1_000);
    let (first, _) = world.start(world.feed());
    let (second, other) = world.start(world.feed());
    world.complete().await;
    let mut sent = 0;
    until("the second reads too", || {
        if sent < 20_000 {
            sent += 100;
            world.produce(100);
        }
        other.show()["rows"].as_u64() > Some(0)
    })
    .await;
    drop(first);
    world.produce(1_000);
    world.complete().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_storage_pauses_the_feed_and_it_goes_on_by_itself() {
    let mut world = World::new().await;
    world.produce(100);
    let (feeds, status) = world.start(world.feed());
    world.complete().await;
    world.disk.fail(Fault::NoSpaceAfter(0));
    world.produce(20_000);
    until("it pauses", || status.state() == State::Paused).await;
    // Tries one after the other, with waits between them: what is sent in error has time to arrive.
    let writes = || world.moods.writes.load(Ordering::Relaxed);
    let enough = writes() + 4 * PARTITIONS as u64;
    until("it tries again and again", || writes() >= enough).await;
    let (committed, stored) = (world.committed(), world.stored().len() as i64);
    assert!(committed <= stored, "{committed} are committed to the group and {stored} are durable");
    world.disk.heal();
    world.complete().await;
    until("it runs", || status.state() == State::Running).await;
    until("all are committed to the group", || world.committed() == world.produced).await;
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_and_the_feed_runs_when_it_is_there() {
    let mut world = World::new().await;
    world.produce(10);
    let (feeds, status) = world.start(FeedConfig { table: "later".to_owned(), ..world.feed() });
    let says = |text: &str| status.show()["last_error"].to_string().contains(text);
    until("the table is missing", || says("later")).await;
    assert_eq!(status.state(), State::Waiting);
    world.store.create_table(trades("later")).await.expect("creates");
    until("it runs", || status.show()["rows"] == 10).await;
    feeds.stop().await;

    let mut config = world.feed();
    config.kafka.as_mut().expect("kafka").topics = vec!["nowhere".to_owned()];
    config
        .kafka
        .as_mut()
        .expect("kafka")
        .options
        .insert("allow.auto.create.topics".to_owned(), "false".to_owned());
    config.kafka.as_mut().expect("kafka").brokers = vec!["127.0.0.1:1".to_owned()];
    let (feeds, status) = world.start(config);
    // With the reason, and not only that all brokers are down.
    let says = || status.show()["last_error"].to_string().contains("Connection refused");
    until("the broker is missing", says).await;
    until("its state says so", || status.state() == State::Waiting).await;
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_stops_the_feed() {
    let mut world = World::new().await;
    let stream = FeedStream { table: world.table("t"), name: format!("f/{TOPIC}") };
    let far = [(0, 1_000_000)].into_iter().collect();
    let deadline = Instant::now() + PATIENCE;
    RowSink::feed_positions(world.store.as_ref(), &stream, &far, deadline).await.expect("raises");
    world.produce(10);
    let (feeds, status) = world.start(world.feed());
    until("it has failed", || status.state() == State::Failed).await;
    let error = status.show()["last_error"].to_string();
    assert!(error.contains("made anew"), "{error}");
    feeds.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_begins_with_the_latest_goes_on_from_there_after_a_restart() {
    let mut world = World::new().await;
    world.produce(1_000);
    let latest = || {
        let mut config = world.feed();
        config.kafka.as_mut().expect("kafka").start = zepto_feeds::config::StartAt::Latest;
        config
    };
    let (feeds, _) = world.start(latest());
    until("its beginning is durable", || world.store.feed_positions().len() == PARTITIONS as usize).await;
    // Torn away before it has read anything: what comes now is after its beginning.
    drop(feeds);
    let config = latest();
    world.produce(100);
    let (feeds, _) = world.start(config);
    until("all after the beginning is stored", || world.stored().len() >= 100).await;
    assert_eq!(world.stored(), (1_000..1_100).collect::<Vec<_>>());
    feeds.stop().await;
}
