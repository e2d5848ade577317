//! The replication core in thousands of histories, and proof that its bugs would be seen.
//!
//! A failure names its seed; `ZEPTO_SIM_SEED=<seed>` plays that history alone. `ZEPTO_TEST_FACTOR` multiplies the number
//! of histories and `ZEPTO_TEST_SEED` begins at others, as `cargo xtask soak` asks.

#![allow(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test says what it expects, and takes its seeds from outside"
)]

use std::sync::atomic::{AtomicU64, Ordering};

use zepto_replication::plant::Plant;
use zepto_sim::{Report, Scenario, run};

/// Histories in a run of the tests.
const SEEDS: u64 = 2000;
/// Histories in which a planted bug must show.
const SEEDS_TO_CATCH: u64 = 400;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

/// Histories of several sizes: a spare node to move to, none, pairs, and many nodes.
fn scenario(seed: u64) -> Scenario {
    let (nodes, factor) = [(4, 3), (3, 3), (3, 2), (5, 2)][(seed % 4) as usize];
    // Every other history of each size lets no set shrink to one copy.
    let min_in_sync = 1 + usize::from(seed % 8 >= 4);
    Scenario { nodes, factor, min_in_sync, ..Scenario::default() }
}

/// Runs histories on two threads; the reports in no order.
fn reports(from: u64, count: u64, scenario: impl Fn(u64) -> Scenario + Sync) -> Vec<(u64, Report)> {
    let next = AtomicU64::new(from);
    let work = || {
        let mut reports = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                return reports;
            }
            reports.push((seed, run(seed, scenario(seed))));
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|it| it.join().expect("a history has panicked")).collect()
    })
}

#[test]
fn every_promise_holds_in_every_history_and_all_is_done_after_healing() {
    let (from, count) = match number("ZEPTO_SIM_SEED", 0) {
        0 => (number("ZEPTO_TEST_SEED", 0) * 1_000_000 + 1, SEEDS * number("ZEPTO_TEST_FACTOR", 1)),
        seed => (seed, 1),
    };
    let reports = reports(from, count, scenario);
    let mut sum = Report::default();
    for (seed, report) in &reports {
        assert!(report.fault.is_none(), "seed {seed}: {}", report.fault.as_deref().unwrap_or_default());
        sum.committed += report.committed;
        sum.acknowledged += report.acknowledged;
        sum.reads += report.reads;
        sum.fenced += report.fenced;
        sum.failovers += report.failovers;
        sum.crashes += report.crashes;
        sum.pauses += report.pauses;
        sum.cuts += report.cuts;
        sum.lost_disks += report.lost_disks;
        sum.moves += report.moves;
        sum.stops += report.stops;
        sum.held_sets += report.held_sets;
    }
    println!("{} histories: {sum:?}", reports.len());
    if reports.len() >= 100 {
        let happened = [
            sum.reads,
            sum.fenced,
            sum.failovers,
            sum.crashes,
            sum.pauses,
            sum.cuts,
            sum.lost_disks,
            sum.moves,
            sum.stops,
            sum.held_sets,
        ];
        assert!(happened.iter().all(|it| *it > 0), "a kind of fault never happened: {sum:?}");
    }
}

#[test]
fn one_seed_is_one_history() {
    let (first, second) = (run(7, scenario(7)), run(7, scenario(7)));
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

/// The first history in which this bug shows, and how.
fn caught(change: impl Fn(&mut Scenario) + Sync) -> Option<(u64, String)> {
    for from in (1..SEEDS_TO_CATCH).step_by(20) {
        let planted = |seed| {
            let mut it = scenario(seed);
            change(&mut it);
            it
        };
        let found =
            reports(from, 20, planted).into_iter().filter_map(|(seed, it)| Some((seed, it.fault?))).min();
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The bugs whose schedules chance finds soon; the tests of the single rules catch the others.
#[test]
fn every_planted_bug_is_caught() {
    let plants = [
        Plant::AnswerBeforeSync,
        Plant::FollowOlderEpoch,
        Plant::ForgetKeys,
        Plant::IgnoreLease,
        Plant::CountLessBeforeAgreed,
        Plant::ServeBeforeStart,
        Plant::NoPreviousCheck,
        Plant::CommitOnFirst,
        Plant::OnlyCommittedOffsets,
        Plant::StaleRouting,
    ];
    let only = std::env::var("ZEPTO_SIM_PLANT").ok();
    let mut missed = Vec::new();
    for plant in plants.into_iter().filter(|it| only.as_ref().is_none_or(|only| *only == format!("{it:?}"))) {
        match caught(|it| it.plant = Some(plant)) {
            Some((seed, how)) => println!("{plant:?}: seed {seed} {}", &how[..how.len().min(160)]),
            None => missed.push(plant),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
    let (seed, how) = caught(|it| it.new_keys = true).expect("a retry under a new key stores a row twice");
    println!("a retry under a new key: seed {seed} {how}");
}
