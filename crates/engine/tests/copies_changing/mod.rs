//! TRUNCATE, DELETE and expiry in three stores that carry copies of the same partitions: each happens once, to the rows
//! before it and to no other, on every copy alike.

use std::time::Duration;

use crate::copies_world::{NODES, PARTITIONS, World};
use zepto_engine::copies::RowChange;

/// Seeds of the long run.
const SEEDS: u64 = 30;

fn serving(seed: u64) -> World {
    let mut world = World::new(seed, false);
    world.until("all partitions serve", World::all_serve);
    world
}

fn truncate(world: &World) -> RowChange {
    RowChange::Truncate { mutation: world.next_mutation() }
}

#[test]
fn a_truncate_removes_what_was_there_on_every_copy_and_keeps_what_comes_after() {
    let mut world = serving(1);
    for round in 0..4 {
        world.write_all(round);
    }
    world.checkpoint(1);
    world.write_all(4);
    let change = truncate(&world);
    world.change(&change);
    world.check_reads();
    assert_eq!(world.acknowledged(), 0, "every row is gone");
    world.write_all(5);
    world.check_end();
    assert_eq!(world.acknowledged(), 8);
}

#[test]
fn a_change_that_is_asked_for_again_after_its_answer_touches_nothing_that_came_later() {
    let mut world = serving(2);
    world.write_all(0);
    let change = truncate(&world);
    world.change(&change);
    world.write_all(1);
    let before = world.acknowledged();
    world.repeat_change(&change);
    assert_eq!(world.acknowledged(), before);
    world.check_end();
    // Nor after starts and with other owners: what was committed is remembered in log and manifest.
    for node in 0..NODES {
        world.checkpoint(node);
    }
    world.kill(0, Some(0));
    world.until("others took over", World::all_serve);
    world.repeat_change(&change);
    world.start(0);
    world.check_end();
    for node in 0..NODES {
        world.kill(node, Some(0));
        world.start(node);
        world.until("all partitions serve", World::all_serve);
    }
    world.repeat_change(&change);
    world.check_end();
    assert_eq!(world.acknowledged(), before);
}

#[test]
fn a_reload_under_the_same_tokens_is_stored_after_a_truncate() {
    let mut world = serving(3);
    world.write_all(0);
    let change = truncate(&world);
    world.change(&change);
    world.reload_all();
    world.check_end();
    assert_eq!(world.acknowledged(), 4, "every batch of a client was stored again, none of a feed");
    world.repeat_all();
    world.check_end();
}

#[test]
fn a_delete_removes_the_rows_that_meet_its_condition_and_one_that_cannot_be_judged_stays() {
    for condition in [&b"even"[..], b"even, and fail at 6"] {
        let mut world = serving(4);
        for round in 0..9 {
            world.write_all(round);
        }
        world.checkpoint(0);
        world.checkpoint(2);
        world.write_all(9);
        let change = RowChange::Delete { mutation: world.next_mutation(), condition: condition.into() };
        world.change(&change);
        world.write_all(10);
        world.check_end();
        assert!(world.removed() >= 8 * 8, "{} rows were removed", world.removed());
    }
}

#[test]
fn a_read_after_a_committed_delete_waits_until_its_rows_are_gone() {
    let mut world = serving(6);
    for round in 0..3 {
        world.write_all(round);
    }
    let mut reads = Vec::new();
    world.delete_behind_a_gate(|world| {
        reads = (0..PARTITIONS).map(|partition| (partition, world.begin_read(partition))).collect();
        world.run(30);
        assert!(reads.iter().all(|(_, read)| !read.is_finished()), "the rows are still there");
    });
    for (partition, read) in reads {
        world.end_read(partition, read);
    }
    world.check_end();
}

#[test]
fn expired_rows_go_on_every_copy_by_the_cutoff_that_the_owner_has_logged() {
    let mut world = serving(5);
    for round in 0..6 {
        world.write_all(round);
    }
    // The ids are the times.
    world.change(&RowChange::Expire { cutoff: 6 });
    world.check_end();
    assert_eq!(world.removed(), 6, "the first three batches of the first writer");
}

#[test]
fn a_change_is_carried_out_once_through_the_loss_of_any_node_at_any_moment() {
    for lost in 0..NODES {
        for steps in [0, 1, 2, 4, 8, 16] {
            let mut world = serving(10 + lost as u64);
            for round in 0..3 {
                world.write_all(round);
            }
            world.checkpoint(lost);
            let change = truncate(&world);
            world.begin(&change);
            world.begin_writes(0);
            world.run(steps);
            world.kill(lost, Some(steps as u64));
            world.until("others took over", World::all_serve);
            world.begin_writes(1);
            world.until("the change is committed", World::changes_committed);
            world.start(lost);
            world.check_end();
        }
    }
}

#[test]
fn no_schedule_of_faults_doubles_a_change_or_leaves_copies_apart() {
    let started = std::time::Instant::now();
    let (mut acknowledged, mut failovers, mut changes) = (0, 0, 0);
    for seed in 300..300 + SEEDS {
        let mut world = World::new(seed, true);
        world.with_changes();
        world.until("all partitions serve", World::all_serve);
        world.faults(250);
        world.heal();
        world.check_end();
        acknowledged += world.acknowledged();
        failovers += world.failovers;
        changes += world.changes_done();
    }
    println!(
        "{acknowledged} rows left, {changes} changes of partitions, {failovers} changes of owner in {:?}",
        started.elapsed()
    );
    assert!(started.elapsed() < Duration::from_secs(120));
    let enough = changes > 10 * usize::from(PARTITIONS) && failovers > 20;
    assert!(enough, "the faults leave room for little: {changes} changes, {failovers} changes of owner");
}
