use std::time::Duration;

use zepto_common::ids::{DiskId, NodeId, PlacementVersion};

use super::{Changed, Members, State, Timing};
use crate::heartbeat::{Heartbeat, Role};

const MS: fn(u64) -> Duration = Duration::from_millis;

fn beat(node: u32, incarnation: u64, counter: u64) -> Heartbeat {
    Heartbeat {
        cluster: "c".to_owned(),
        node: NodeId(node),
        role: Role::Storage,
        disk: DiskId(1),
        incarnation,
        counter,
        leaving: false,
        disk_stuck: false,
        host: String::new(),
        http_port: 1,
        rpc_port: 2,
        placement: PlacementVersion(0),
        catalog: 0,
        rows_per_second: 0,
        queue_permille: 0,
        sync_age_ms: 0,
        wall_ms: 0,
    }
}

/// Members of node 0 that has heard nodes 1 and 2, which are registered.
fn two() -> Members {
    let mut members = Members::new(NodeId(0), Timing::default(), MS(0));
    for node in [1, 2] {
        members.heard(MS(0), beat(node, 1, 1));
        members.decided(NodeId(node), 1, false);
    }
    members.tick(MS(0));
    members
}

fn state(members: &Members, node: u32) -> State {
    members.get(NodeId(node)).unwrap().state
}

#[test]
fn a_node_joins_is_active_when_registered_and_is_suspected_when_silent() {
    let mut members = Members::new(NodeId(0), Timing::default(), MS(0));
    let joined = members.heard(MS(10), beat(1, 1, 1));
    assert_eq!(joined, Some(Changed { node: NodeId(1), from: None, to: State::Joining }));
    members.decided(NodeId(1), 1, false);
    assert_eq!(state(&members, 1), State::Active);
    for at in (0..=3000).step_by(500) {
        assert_eq!(members.tick(MS(10 + at)), []);
    }
    let suspected = members.tick(MS(3011));
    assert_eq!(suspected, [Changed { node: NodeId(1), from: Some(State::Active), to: State::Suspect }]);
    assert_eq!(members.tick(MS(3500)), [], "it is said once");
    members.heard(MS(3600), beat(1, 1, 2));
    assert_eq!(state(&members, 1), State::Active);
}

#[test]
fn old_and_repeated_datagrams_move_nothing() {
    let mut members = two();
    members.heard(MS(100), beat(1, 1, 5));
    for old in [beat(1, 1, 5), beat(1, 1, 4), beat(1, 0, 900)] {
        assert_eq!(members.heard(MS(3000), old), None);
    }
    members.tick(MS(1500));
    members.tick(MS(3000));
    members.tick(MS(3200));
    assert_eq!(state(&members, 1), State::Suspect, "a recorded datagram keeps nobody alive");
}

#[test]
fn a_start_is_a_new_node_under_the_old_number() {
    let mut members = two();
    let restarted = members.heard(MS(100), beat(1, 2, 1));
    assert_eq!(restarted, Some(Changed { node: NodeId(1), from: None, to: State::Active }));
    assert_eq!(
        members.decided(NodeId(1), 1, true),
        None,
        "the death of an earlier incarnation is not its own"
    );
    assert_eq!(state(&members, 1), State::Active);
}

#[test]
fn who_was_declared_dead_stays_so_until_it_starts_again_or_is_registered_again() {
    let mut members = two();
    members.decided(NodeId(1), 1, true);
    members.heard(MS(100), beat(1, 1, 2));
    assert_eq!(state(&members, 1), State::Dead);
    members.heard(MS(200), beat(1, 2, 1));
    assert_eq!(state(&members, 1), State::Joining);
    members.decided(NodeId(2), 1, true);
    members.decided(NodeId(2), 1, false);
    assert_eq!(state(&members, 2), State::Active);
}

#[test]
fn an_observer_that_did_not_run_judges_nobody_for_a_while() {
    let mut members = two();
    assert_eq!(members.tick(MS(60_000)), [], "the others were silent here, not there");
    assert_eq!(members.tick(MS(62_500)), []);
    assert_eq!(members.tick(MS(63_001)).len(), 2);
}

#[test]
fn who_hears_nobody_is_cut_off_itself() {
    let mut members = two();
    for at in [1000, 2000, 3000, 3001] {
        members.heard(MS(at), beat(2, 1, at));
        members.tick(MS(at));
    }
    assert_eq!((state(&members, 1), members.cut_off()), (State::Suspect, false));
    for at in [4000, 5000, 6000, 7000] {
        members.tick(MS(at));
    }
    assert!(members.cut_off());
    members.heard(MS(7001), beat(1, 1, 9));
    assert!(!members.cut_off());
}

#[test]
fn short_times_still_need_three_misses() {
    let timing = Timing { interval: MS(1000), suspect: MS(1) };
    let mut members = Members::new(NodeId(0), timing, MS(0));
    members.heard(MS(0), beat(1, 1, 1));
    for at in [1000, 2000, 3000] {
        assert_eq!(members.tick(MS(at)), []);
    }
    assert_eq!(members.tick(MS(3001)).len(), 1);
}

#[test]
fn a_leaving_node_is_not_suspected() {
    let mut members = two();
    let mut last = beat(1, 1, 9);
    last.leaving = true;
    members.heard(MS(10), last);
    for at in [2000, 4000, 6000] {
        members.tick(MS(at));
    }
    assert_eq!(state(&members, 1), State::Leaving);
}
