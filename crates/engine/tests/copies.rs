//! Three stores that carry copies of the same partitions, on simulated disks and a network that loses, repeats and
//! reorders: what was acknowledged survives the loss of any one of them, and is there once.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod common;
mod copies_changing;
mod copies_world;

use std::collections::BTreeMap;
use std::time::Duration;

use copies_world::{NODES, PARTITIONS, World};

/// Seeds of the long run.
const SEEDS: u64 = 40;

#[test]
fn rows_that_were_acknowledged_are_on_every_copy_and_shown_only_then() {
    let mut world = World::new(1, false);
    world.until("all partitions serve", World::all_serve);
    for round in 0..5 {
        world.write_all(round);
    }
    world.check_reads();
    assert!(world.acknowledged() >= 5 * PARTITIONS as usize);
    world.check_end();
}

#[test]
fn an_owner_without_its_follower_acknowledges_nothing_until_the_set_is_smaller() {
    let mut world = World::new(2, false);
    world.until("all partitions serve", World::all_serve);
    world.coordinator_away = true;
    world.cut_off(2, true);
    let before = world.acknowledged();
    world.begin_writes(0);
    world.run(20);
    assert_eq!(world.acknowledged(), before, "a follower in the set has not synced");
    world.coordinator_away = false;
    world.until("the set shrinks and the rows are acknowledged", |world| world.acknowledged() > before);
    world.cut_off(2, false);
    world.check_end();
}

#[test]
fn the_loss_of_any_one_node_loses_nothing_and_a_repeated_batch_is_stored_once() {
    for lost in 0..NODES {
        let mut world = World::new(10 + lost as u64, false);
        world.until("all partitions serve", World::all_serve);
        world.write_all(0);
        world.begin_writes(1);
        world.run(1);
        world.kill(lost, None);
        world.until("others took over", World::all_serve);
        // The writers repeat what they were not told about, and a batch that was acknowledged before the loss.
        world.until("all writers were answered", World::quiet);
        world.repeat_all();
        world.check_reads();
        world.start(lost);
        world.check_end();
    }
}

#[test]
fn an_owner_that_was_cut_off_is_fenced_and_its_unknown_rows_are_there_once() {
    let mut world = World::new(20, false);
    world.until("all partitions serve", World::all_serve);
    world.write_all(0);
    let owner = world.owner_of(0);
    world.cut_off(owner, true);
    world.begin_writes(1);
    world.until("somebody else owns", |world| world.owner_of(0) != owner && world.all_serve());
    assert!(!world.reads_at(owner, 0), "the old owner has no lease");
    world.until("all writers were answered", World::quiet);
    world.cut_off(owner, false);
    world.until("the old owner follows", |world| world.status(owner, 0).phase.is_none());
    world.check_end();
}

#[test]
fn a_copy_that_was_away_catches_up_from_log_files_after_a_checkpoint_and_a_restart() {
    let mut world = World::new(30, false);
    world.until("all partitions serve", World::all_serve);
    world.kill(2, None);
    for round in 0..30 {
        world.write_all(round);
    }
    let owner = world.owner_of(0);
    world.checkpoint(owner);
    world.write_all(30);
    world.checkpoint(owner);
    world.start(2);
    world.check_end();
}

#[test]
fn the_newest_grant_is_known_after_power_loss_before_anybody_says_a_word() {
    let mut world = World::new(35, false);
    world.until("all partitions serve", World::all_serve);
    world.kill(0, None);
    world.until("others took over", World::all_serve);
    world.start(0);
    world.check_end();
    // Every copy has synced rows under the grants of after the failover: each of them must be fenced by these from now on.
    world.write_all(0);
    world.check_end();
    let mut raised = 0;
    for node in 0..NODES {
        let before: Vec<_> = (0..PARTITIONS).map(|partition| world.status(node, partition)).collect();
        world.kill(node, Some(0));
        world.start(node);
        for (partition, before) in (0..PARTITIONS).zip(before) {
            let after = world.status(node, partition);
            assert_eq!(after.seen.epoch, before.seen.epoch, "node {node}, partition {partition}");
            let owner = |grant: Option<zepto_common::placement::Grant>| grant.map(|it| (it.epoch, it.owner));
            assert_eq!(owner(after.grant), owner(before.grant), "node {node}, partition {partition}");
            raised += usize::from(after.seen.epoch.0 > 1);
        }
        world.until("all partitions serve", World::all_serve);
    }
    assert!(raised > 0, "no epoch was raised: nothing was forgotten because there was nothing to know");
    world.check_end();
}

#[test]
fn positions_of_a_feed_are_told_by_the_owner_alone_and_outlive_the_loss_of_any_node() {
    const STREAM: &str = "feed/topic";
    for lost in 0..NODES {
        let mut world = World::new(50 + lost as u64, false);
        world.until("all partitions serve", World::all_serve);
        let raised = BTreeMap::from([(0, 10), (3, 7)]);
        assert_eq!(world.positions(STREAM, &[]), Some(BTreeMap::new()));
        assert_eq!(world.positions(STREAM, &[(0, 10), (3, 7)]), Some(raised.clone()));
        assert_eq!(world.positions(STREAM, &[(0, 9)]), Some(raised.clone()), "a position never falls");
        let owner = world.home(STREAM).1;
        let other = (owner + 1) % NODES;
        assert_eq!(world.positions_at(other, STREAM, &[]), None, "who does not own the home cannot know");
        world.checkpoint(owner);
        world.kill(lost, Some(0));
        world.until("others took over", World::all_serve);
        assert_eq!(world.positions(STREAM, &[]), Some(raised.clone()), "node {lost} is lost");
        assert_eq!(world.positions(STREAM, &[(3, 8)]), Some(BTreeMap::from([(0, 10), (3, 8)])));
        world.start(lost);
        world.until("all partitions serve", World::all_serve);
        // By a start from the manifest and from the log alike.
        for node in 0..NODES {
            world.kill(node, None);
            world.start(node);
            world.until("all partitions serve", World::all_serve);
            assert_eq!(world.positions(STREAM, &[]), Some(BTreeMap::from([(0, 10), (3, 8)])));
        }
        world.check_end();
    }
}

#[test]
fn a_store_alone_and_one_with_copies_do_not_open_each_other() {
    let mut world = World::new(40, false);
    let error = world.open_alone(0).expect_err("it has copies");
    assert!(error.message.contains("with copies"), "{}", error.message);
}

#[test]
fn no_schedule_of_faults_loses_doubles_or_shows_what_it_should_not() {
    let started = std::time::Instant::now();
    let (mut acknowledged, mut failovers) = (0, 0);
    for seed in 100..100 + SEEDS {
        let mut world = World::new(seed, true);
        world.until("all partitions serve", World::all_serve);
        world.faults(250);
        world.heal();
        world.check_end();
        acknowledged += world.acknowledged();
        failovers += world.failovers;
    }
    println!("{acknowledged} writes, {failovers} changes of owner in {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(60));
    let enough = acknowledged > 1_000 && failovers > 20;
    assert!(enough, "the faults leave room for little: {acknowledged} writes, {failovers} changes of owner");
}
