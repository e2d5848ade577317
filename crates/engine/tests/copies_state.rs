//! Whole states between three stores: a copy that lacks more than the owner's log has is replaced as a whole, at one moment,
//! and one that is not wanted any more goes without a trace.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod common;
mod copies_world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use copies_world::{NODES, PARTITIONS, World};
use zepto_common::{ErrorCode, Token};
use zepto_engine::copies::{Piece, RowChange};
use zepto_engine::disk::sim::CrashImage;

/// Seeds of the long run.
const SEEDS: u64 = 25;
/// Schedules at most, until so many whole states were fetched.
const SEEDS_MAX: u64 = 100;
const STATES_MIN: u64 = 20;
/// What a feed follows.
const STREAM: &str = "feed/topic";

/// A world whose logs are short, with rows in segments and memory of every copy.
fn with_rows(seed: u64) -> World {
    let mut world = World::with_logs(seed, false, true);
    world.until("all partitions serve", World::all_serve);
    for round in 0..4 {
        world.write_all(round);
        if round == 1 {
            (0..NODES).for_each(|node| world.checkpoint(node));
        }
    }
    world
}

/// Writes, and lets every node but `away` go of its log, until no log has what `away` lacks.
fn outgrow_logs(world: &mut World, away: usize) {
    for round in 0..40 {
        world.write_all(round);
        for node in (0..NODES).filter(|node| *node != away && round % 4 == 3) {
            world.checkpoint(node);
        }
    }
}

#[test]
fn a_node_that_lost_its_disk_gets_every_row_and_every_token_again() {
    let mut world = with_rows(1);
    outgrow_logs(&mut world, NODES);
    world.lose_disk(2);
    world.write_all(0);
    world.check_end();
    assert!(world.states_fetched() >= u64::from(PARTITIONS), "{} states", world.states_fetched());
    // Now it is the owner of all, with what it was sent: rows are there once, and a repeated batch is known.
    world.kill(0, None);
    world.until("others took over", World::all_serve);
    world.kill(1, None);
    world.until("the node that lost its disk owns all", World::all_serve);
    world.check_reads();
    world.repeat_all();
    world.check_reads();
    world.start(0);
    world.start(1);
    world.check_end();
}

#[test]
fn a_state_brings_the_offsets_that_feeds_have_stored_and_where_they_go_on() {
    let mut world = with_rows(6);
    let raised = BTreeMap::from([(0, 10), (3, 7)]);
    assert_eq!(world.positions(STREAM, &[(0, 10), (3, 7)]), Some(raised.clone()));
    outgrow_logs(&mut world, NODES);
    world.lose_disk(2);
    world.check_end();
    assert!(world.states_fetched() >= u64::from(PARTITIONS), "{} states", world.states_fetched());
    assert_eq!(world.shown_positions(2, STREAM), raised, "the new copy shows them");
    // They are in its manifest: nothing else has them after a power loss.
    world.kill(2, Some(0));
    world.start(2);
    world.check_end();
    for other in 0..2 {
        world.kill(other, None);
        world.until("others took over", World::all_serve);
    }
    assert_eq!(world.home(STREAM).1, 2, "the node that lost its disk owns all");
    assert_eq!(world.positions(STREAM, &[]), Some(raised.clone()));
    // Every message comes again: the offsets that came with the state tell that it is there.
    world.repeat_all();
    world.check_reads();
    (0..2).for_each(|other| world.start(other));
    world.check_end();
    assert_eq!(world.positions(STREAM, &[(3, 8)]), Some(BTreeMap::from([(0, 10), (3, 8)])));
}

#[test]
fn a_copy_that_goes_shows_no_positions_of_feeds_any_more() {
    let mut world = with_rows(7);
    let raised = BTreeMap::from([(1, 5)]);
    assert_eq!(world.positions(STREAM, &[(1, 5)]), Some(raised.clone()));
    world.check_end();
    let (home, owner) = world.home(STREAM);
    let node = (owner + 1) % NODES;
    assert_eq!(world.shown_positions(node, STREAM), raised);
    world.exclude(home, node, true);
    world.until("the copy is gone", |world| {
        world.copies_forgotten() > 0 && world.status(node, home).end.0 == 0
    });
    assert_eq!(world.shown_positions(node, STREAM), BTreeMap::new());
    assert_eq!(world.positions(STREAM, &[]), Some(raised.clone()), "the owner has them");
    world.exclude(home, node, false);
    world.check_end();
    assert_eq!(world.shown_positions(node, STREAM), raised, "they came back with the copy");
}

#[test]
fn a_copy_that_was_away_longer_than_the_log_is_kept_is_replaced_and_its_old_rows_are_not_there_twice() {
    let mut world = with_rows(2);
    world.kill(2, None);
    world.until("others took over", World::all_serve);
    outgrow_logs(&mut world, 2);
    world.start(2);
    world.check_end();
    assert!(world.states_fetched() > 0, "the log was enough: nothing is shown by this");
    world.write_all(0);
    world.check_end();
}

#[test]
fn a_crash_at_any_moment_of_an_installation_leaves_the_old_copy_or_the_new_one() {
    let mut world = with_rows(3);
    world.check_end();
    let old: Vec<BTreeSet<i64>> = (0..PARTITIONS).map(|p| world.rows_of(2, p)).collect();
    let old_ends: Vec<u64> = (0..PARTITIONS).map(|p| world.status(2, p).end.0).collect();
    world.kill(2, None);
    world.until("others took over", World::all_serve);
    outgrow_logs(&mut world, 2);
    world.run(50);
    let new: Vec<BTreeSet<i64>> = (0..PARTITIONS).map(|p| world.rows_of(world.owner_of(p), p)).collect();
    let new_ends: Vec<u64> =
        (0..PARTITIONS).map(|p| world.status(world.owner_of(p), p).committed.0).collect();
    world.start(2);
    world.disk(2).record();
    world.until("the copies are replaced", |world| {
        (0..PARTITIONS).all(|p| world.status(2, p).applied.0 >= new_ends[usize::from(p)])
    });
    world.run(5);
    let boundaries = world.disk(2).boundaries();
    let (mut olds, mut news, mut images) = (0, 0, 0);
    let every = boundaries.len().div_ceil(150).max(1);
    for boundary in boundaries.iter().step_by(every) {
        for image in [CrashImage::DurableOnly, CrashImage::Everything, CrashImage::Torn { seed: 7 }] {
            images += 1;
            for (p, (end, applied, ids)) in world.look_at(2, boundary.image(image)).into_iter().enumerate() {
                let once: BTreeSet<i64> = ids.iter().copied().collect();
                assert_eq!(once.len(), ids.len(), "partition {p}: a row is there twice");
                if applied >= new_ends[p] {
                    news += 1;
                    assert_eq!(once, new[p], "partition {p} at {applied} is not the new copy");
                } else {
                    olds += 1;
                    assert!(end >= old_ends[p] && applied <= end, "partition {p} ends at {end}");
                    assert_eq!(once, old[p], "partition {p} at {applied} of {end} is not the old copy");
                }
            }
        }
    }
    println!("{} syncs, {images} images, {olds} old copies, {news} new ones", boundaries.len());
    assert!(olds > 0 && news > 0, "{olds} old copies, {news} new ones");
    world.check_end();
}

#[test]
fn a_copy_that_is_not_wanted_goes_with_its_rows_and_can_come_back() {
    let mut world = with_rows(4);
    world.check_end();
    let partition = 1;
    let node = (0..NODES).find(|node| *node != world.owner_of(partition)).unwrap();
    world.exclude(partition, node, true);
    world.until("the copy is gone", |world| {
        world.copies_forgotten() > 0
            && world.rows_of(node, partition).is_empty()
            && world.status(node, partition).end.0 == 0
    });
    for other in (0..PARTITIONS).filter(|p| *p != partition) {
        assert!(!world.rows_of(node, other).is_empty(), "rows of partition {other} went too");
    }
    // What it has promised outlives the copy, also a restart.
    let seen = world.status(node, partition).seen;
    world.kill(node, Some(0));
    world.start(node);
    assert_eq!(world.status(node, partition).seen.epoch, seen.epoch);
    assert!(world.rows_of(node, partition).is_empty());
    world.write_all(0);
    world.exclude(partition, node, false);
    world.check_end();
}

#[test]
fn a_state_that_is_not_whole_or_not_the_owners_is_not_taken() {
    let mut world = with_rows(5);
    world.check_end();
    let (partition, owner) = (0, world.owner_of(0));
    let other = (owner + 1) % NODES;
    let pieces = world.pieces_of(partition);
    let rows: Vec<usize> = (0..pieces.len()).filter(|at| matches!(pieces[*at], Piece::Rows { .. })).collect();
    assert!(
        rows.len() > 1 && matches!(pieces.last(), Some(Piece::End(_))),
        "{} pieces with rows",
        rows.len()
    );
    assert!(pieces.iter().any(|piece| matches!(piece, Piece::Window { .. })), "no window");
    assert_eq!(
        world.take_in(other, partition, pieces.clone()).unwrap(),
        world.status(owner, partition).applied.0
    );
    let without = |at: usize| {
        let mut pieces = pieces.clone();
        pieces.remove(at);
        pieces
    };
    let mut doubled = pieces.clone();
    doubled.insert(rows[0], pieces[rows[0]].clone());
    for (what, pieces) in [
        ("no beginning", without(0)),
        ("rows are missing", without(rows[0])),
        ("no end", without(pieces.len() - 1)),
        ("rows are there twice", doubled),
    ] {
        let error = world.take_in(other, partition, pieces).expect_err(what);
        assert_eq!(error.code, ErrorCode::IncorrectData, "{what}: {error}");
    }
    let token = world.status(owner, partition).seen;
    let newer = Token { boot: zepto_common::Boot(token.boot.0 + 1), ..token };
    for (node, token) in [(owner, newer), (other, token)] {
        let error = world.pin_under(node, partition, token).expect_err("not the owner under this token");
        assert_eq!(error.code, ErrorCode::NotReady, "{error}");
    }
    world.pin_under(owner, partition, token).unwrap();
}

#[test]
fn no_schedule_with_short_logs_and_lost_disks_loses_or_doubles_a_row() {
    let started = Instant::now();
    let (mut acknowledged, mut states) = (0, 0);
    for seed in 500..500 + SEEDS_MAX {
        // How often a log is outgrown depends on how the threads take turns too.
        if seed >= 500 + SEEDS && states > STATES_MIN {
            break;
        }
        let mut world = World::with_logs(seed, true, true);
        world.until("all partitions serve", World::all_serve);
        world.faults(250);
        world.heal();
        world.check_end();
        world.repeat_all();
        world.check_end();
        acknowledged += world.acknowledged();
        states += world.states_fetched();
    }
    println!("{acknowledged} writes, {states} whole states in {:?}", started.elapsed());
    assert!(acknowledged > 500 && states > STATES_MIN, "{acknowledged} writes, {states} states");
}

#[test]
fn a_state_that_was_fetched_lacks_what_a_change_removed_and_knows_that_it_happened() {
    let mut world = with_rows(6);
    let change = RowChange::Truncate { mutation: world.next_mutation() };
    world.change(&change);
    outgrow_logs(&mut world, NODES);
    world.lose_disk(2);
    world.check_end();
    assert!(world.states_fetched() >= u64::from(PARTITIONS), "{} states", world.states_fetched());
    let before = world.acknowledged();
    world.kill(0, None);
    world.until("others took over", World::all_serve);
    world.kill(1, None);
    world.until("the node that lost its disk owns all", World::all_serve);
    world.repeat_change(&change);
    world.check_reads();
    world.start(0);
    world.start(1);
    world.check_end();
    assert_eq!(world.acknowledged(), before, "the change was carried out a second time");
}

#[test]
fn no_schedule_with_changes_short_logs_and_lost_disks_leaves_copies_apart() {
    let started = Instant::now();
    let (mut acknowledged, mut states, mut changes) = (0, 0, 0);
    for seed in 700..700 + SEEDS_MAX {
        if seed >= 700 + SEEDS && states > STATES_MIN {
            break;
        }
        let mut world = World::with_logs(seed, true, true);
        world.with_changes();
        world.until("all partitions serve", World::all_serve);
        world.faults(250);
        world.heal();
        world.check_end();
        acknowledged += world.acknowledged();
        states += world.states_fetched();
        changes += world.changes_done();
    }
    println!("{acknowledged} rows left, {changes} changes, {states} whole states in {:?}", started.elapsed());
    assert!(changes > 100 && states > STATES_MIN, "{changes} changes, {states} states");
}
