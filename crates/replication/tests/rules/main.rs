//! The rules of replication one by one, each as the shortest schedule that breaks without it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects")]

#[cfg(feature = "plant")]
mod plants;
mod stage;

use std::time::Duration;

use stage::{Stage, agreed, grant, replica, timing};
use zepto_common::ids::{Epoch, Lsn, SetVersion};
use zepto_replication::{Change, Message, Outcome, Phase};

fn committed(stage: &Stage, request: u64) -> bool {
    matches!(stage.answers.get(&request), Some(Outcome::Committed(_)))
}

#[test]
fn a_write_is_acknowledged_when_every_member_has_synced_it() {
    let mut stage = Stage::serving(&[1, 2, 3], 1, &[1, 2, 3]);
    stage.sides.get_mut(&3).unwrap().stuck = true;
    stage.write(1, 10);
    stage.settle();
    assert!(!stage.answers.contains_key(&10), "one follower has not synced");
    assert_eq!(stage.sides[&2].applied, 1, "nothing uncommitted is applied");
    stage.unstick(3);
    stage.settle();
    assert!(committed(&stage, 10));
}

#[test]
fn a_write_is_not_acknowledged_before_the_owner_itself_has_synced_it() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.sides.get_mut(&1).unwrap().stuck = true;
    stage.write(1, 10);
    stage.settle();
    assert!(!stage.answers.contains_key(&10));
    stage.unstick(1);
    stage.settle();
    assert!(committed(&stage, 10));
}

#[test]
fn an_owner_that_hears_nothing_reads_no_longer_than_its_lease() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.cut.extend([(1, 2), (2, 1)]);
    stage.now = stage.now.plus(timing().lease - Duration::from_millis(500));
    assert!(matches!(stage.read(1), Outcome::Readable(_)));
    stage.now = stage.now.plus(Duration::from_millis(600));
    assert_eq!(stage.read(1), Outcome::Busy);
}

#[test]
fn a_follower_follows_the_next_owner_only_when_no_lease_of_the_last_can_be_left() {
    let mut stage = Stage::serving(&[1, 2, 3], 1, &[1, 2, 3]);
    stage.cut.extend([(1, 2), (1, 3), (2, 1), (3, 1)]);
    stage.learn(&[2, 3], &agreed(grant(2, 2, 1, &[1, 2, 3]), &[]));
    stage.pass(timing().lease - Duration::from_millis(200));
    assert_eq!(stage.copy(2).phase(), Some(Phase::Waiting));
    stage.pass(Duration::from_millis(1000));
    assert_ne!(stage.copy(2).phase(), Some(Phase::Waiting));
    assert_eq!(stage.read(1), Outcome::Busy, "the two never hold a lease at once");
}

#[test]
fn a_follower_that_has_just_started_does_not_know_whom_it_answered_and_waits_too() {
    let mut stage = Stage::serving(&[1, 2, 3], 1, &[1, 2, 3]);
    stage.restart(2);
    stage.learn(&[2], &agreed(grant(2, 2, 1, &[1, 2, 3]), &[]));
    stage.cut.extend([(1, 2), (1, 3), (2, 1), (3, 1)]);
    stage.pass(timing().lease);
    assert_eq!(stage.copy(2).phase(), Some(Phase::Waiting));
}

#[test]
fn a_follower_that_has_just_started_follows_nobody_new() {
    let mut stage = Stage::serving(&[1, 2, 3], 1, &[1, 2, 3]);
    stage.restart(3);
    stage.restart(2);
    stage.cut.extend([(1, 2), (1, 3), (2, 1), (3, 1)]);
    stage.learn(&[2], &agreed(grant(2, 2, 2, &[2, 3]), &[]));
    stage.pass(timing().guard() - Duration::from_millis(300));
    stage.restart(3);
    // 2 has waited long enough and asks; 3 may have answered 1 just before its start, and hears of the new grant now.
    stage.pass(Duration::from_millis(1000));
    // To have heard of it is not to have waited.
    stage.restart(3);
    stage.pass(timing().lease - Duration::from_millis(500));
    assert_eq!(stage.copy(2).phase(), Some(Phase::Confirming));
    stage.pass(Duration::from_millis(1500));
    assert_eq!(stage.copy(2).phase(), Some(Phase::Serving));
}

#[test]
fn a_lease_that_was_given_back_lets_the_next_owner_begin_at_once() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.hand_over(1);
    assert_eq!(stage.read(1), Outcome::Busy);
    assert!(stage.proposals.iter().any(|it| matches!(it, Change::HandOver { .. })));
    stage.settle();
    stage.learn(&[1, 2], &agreed(grant(2, 2, 1, &[1, 2]), &[]));
    stage.pass(Duration::from_millis(200));
    assert!(matches!(stage.read(2), Outcome::Readable(_)));
    assert_eq!(stage.read(1), Outcome::NotOwner(Epoch(2)));
}

#[test]
fn an_owner_that_is_not_relieved_serves_on() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.hand_over(1);
    stage.pass(timing().replicate_timeout + Duration::from_millis(300));
    assert!(matches!(stage.read(1), Outcome::Readable(_)));
}

/// Asked again and again, it would refuse its writers for ever.
#[test]
fn an_owner_that_cannot_give_up_refuses_writers_for_one_timeout_however_often_it_is_asked() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.sides.get_mut(&2).unwrap().stuck = true;
    stage.write(1, 10);
    stage.hand_over(1);
    stage.write(1, 11);
    assert_eq!(stage.answers.get(&11), Some(&Outcome::Busy));
    stage.pass(timing().replicate_timeout / 2);
    stage.hand_over(1);
    stage.pass(timing().replicate_timeout / 2 + Duration::from_millis(300));
    stage.write(1, 12);
    assert_eq!(stage.answers.get(&12), None, "it is appended, and waits for the other copy");
}

#[test]
fn a_lease_that_was_taken_back_is_waited_for() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.hand_over(1);
    stage.pass(timing().replicate_timeout + Duration::from_millis(300));
    stage.cut.extend([(1, 2), (2, 1)]);
    stage.learn(&[2], &agreed(grant(2, 2, 1, &[1, 2]), &[]));
    stage.pass(timing().lease - Duration::from_millis(300));
    assert_eq!(
        stage.copy(2).phase(),
        Some(Phase::Waiting),
        "2 has answered 1 since the lease was given back"
    );
}

#[test]
fn the_highest_token_survives_a_restart() {
    let mut stage = Stage::serving(&[1, 2, 3], 1, &[1, 2, 3]);
    stage.cut.extend([(1, 2), (1, 3), (2, 1), (3, 1)]);
    stage.learn(&[2, 3], &agreed(grant(2, 2, 2, &[2, 3]), &[]));
    stage.pass(timing().guard() + Duration::from_millis(300));
    stage.write(2, 10);
    stage.settle();
    assert!(committed(&stage, 10));
    stage.restart(3);
    stage.cut.clear();
    stage.cut.extend([(1, 2), (2, 1), (2, 3), (3, 2)]);
    stage.write(1, 11);
    stage.pass(Duration::from_millis(500));
    assert!(!committed(&stage, 11), "3 follows 1 no more, although it has been started since");
    assert_eq!(stage.copy(1).phase(), None, "and 1 has heard so");
}

#[test]
fn another_sender_under_the_same_epoch_is_refused() {
    let mut stage = Stage::serving(&[1, 2, 3], 1, &[1, 2, 3]);
    let before = stage.copy(2).history().end();
    let mut forged = grant(1, 3, 1, &[1, 2, 3]);
    forged.owner = replica(3);
    let head = zepto_replication::Head {
        token: stage.copy(2).seen(),
        sequence: 1_000_000,
        grant: std::sync::Arc::new(forged),
    };
    let message = Message::Replicate { head, previous: before, entries: Vec::new(), committed: Lsn(1) };
    stage.deliver(3, 2, message);
    assert!(stage.wire.is_empty(), "it is not even answered");
}

#[test]
fn a_silent_member_is_counted_until_its_removal_was_read() {
    let mut stage = Stage::serving(&[1, 2, 3], 1, &[1, 2, 3]);
    stage.cut.extend([(1, 3), (3, 1)]);
    stage.write(1, 10);
    stage.pass(timing().replicate_timeout + Duration::from_millis(300));
    let asked = Change::Set {
        partition: zepto_common::ids::PartitionId(0),
        epoch: Epoch(1),
        version: SetVersion(1),
        members: [replica(1), replica(2)].into(),
    };
    assert!(stage.proposals.contains(&asked));
    assert!(!stage.answers.contains_key(&10));
    stage.learn(&[1], &agreed(grant(1, 1, 2, &[1, 2]), &[3]));
    stage.settle();
    assert!(committed(&stage, 10));
}

#[test]
fn a_new_member_is_counted_from_the_moment_it_is_asked_for() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1]);
    stage.learn(&[1], &agreed(grant(1, 1, 1, &[1]), &[2]));
    stage.pass(Duration::from_millis(500));
    assert!(stage.proposals.iter().any(|it| matches!(it, Change::Set { members, .. } if members.len() == 2)));
    // The coordinator may have agreed by now and promote 2 at any time: nothing may be committed without it.
    stage.cut.extend([(1, 2), (2, 1)]);
    stage.write(1, 10);
    stage.pass(Duration::from_millis(500));
    assert!(!stage.answers.contains_key(&10));
    stage.restart(1);
    stage.pass(Duration::from_millis(500));
    assert_eq!(stage.copy(1).phase(), Some(Phase::Confirming), "after a restart too");
}

#[test]
fn an_addition_that_came_to_nothing_is_outbid_and_then_forgotten() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1]);
    stage.learn(&[1], &agreed(grant(1, 1, 1, &[1]), &[2]));
    stage.pass(Duration::from_millis(500));
    stage.cut.extend([(1, 2), (2, 1)]);
    stage.write(1, 10);
    stage.proposals.clear();
    stage.pass(timing().replicate_timeout + timing().resend + Duration::from_millis(300));
    assert!(stage.proposals.iter().any(|it| matches!(it, Change::Set { members, .. } if members.len() == 1)));
    stage.learn(&[1], &agreed(grant(1, 1, 2, &[1]), &[]));
    stage.settle();
    assert!(committed(&stage, 10), "no addition that builds on the old version can be agreed on any more");
}

#[test]
fn an_addition_that_is_not_wanted_any_more_is_given_up_for_the_next_one() {
    let mut stage = Stage::serving(&[1, 2, 3], 1, &[1]);
    stage.learn(&[1], &agreed(grant(1, 1, 1, &[1]), &[2]));
    stage.pass(Duration::from_millis(500));
    assert_eq!(asked(&stage).0, [1, 2]);
    // It answers all the time, and the coordinator has another one come in.
    stage.learn(&[1], &agreed(grant(1, 1, 1, &[1]), &[3]));
    stage.write(1, 10);
    stage.pass(timing().resend + Duration::from_millis(300));
    let (members, _, version) = asked(&stage);
    assert_eq!((members, version), (vec![1], SetVersion(1)), "what is outbid first is the addition");
    stage.learn(&[1], &agreed(grant(1, 1, 2, &[1]), &[3]));
    stage.pass(Duration::from_millis(500));
    let (members, _, version) = asked(&stage);
    assert_eq!((members, version), (vec![1, 3], SetVersion(2)));
}

#[test]
fn a_restarted_owner_serves_only_when_its_set_has_confirmed() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.write(1, 10);
    stage.settle();
    stage.cut.extend([(1, 2), (2, 1)]);
    stage.restart(1);
    stage.pass(Duration::from_millis(500));
    assert_eq!(stage.read(1), Outcome::Busy);
    stage.cut.clear();
    stage.pass(Duration::from_millis(1500));
    assert_eq!(stage.read(1), Outcome::Readable(Lsn(3)), "the frame, and the beginning of the new time");
}

#[test]
fn an_owner_that_lost_the_end_of_its_log_writes_nothing_else_at_its_positions() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.sides.get_mut(&1).unwrap().stuck = true;
    stage.write(1, 10);
    stage.settle();
    assert_eq!(stage.copy(2).history().end().lsn, Lsn(2));
    stage.restart(1);
    assert_eq!(stage.copy(1).history().end().lsn, Lsn(1));
    stage.pass(Duration::from_millis(500));
    stage.write(1, 11);
    stage.settle();
    assert!(
        matches!(stage.answers[&11], Outcome::Committed(Lsn(4))),
        "behind the frame and the new beginning"
    );
    let owners = stage.copy(1).history().clone();
    assert_eq!(stage.copy(2).history(), &owners);
}

#[test]
fn a_new_owner_takes_over_what_a_member_has_more_of() {
    let mut stage = Stage::serving(&[1, 2, 3], 1, &[1, 2, 3]);
    stage.cut.extend([(1, 2)]);
    stage.write(1, 10);
    stage.settle();
    assert_eq!(stage.copy(3).history().end().lsn, Lsn(2));
    assert_eq!(stage.copy(2).history().end().lsn, Lsn(1));
    stage.cut.extend([(1, 3), (2, 1), (3, 1)]);
    stage.learn(&[2, 3], &agreed(grant(2, 2, 2, &[2, 3]), &[]));
    stage.pass(timing().guard() + Duration::from_millis(300));
    assert_eq!(stage.read(2), Outcome::Readable(Lsn(3)));
}

#[test]
fn frames_of_an_owner_that_lost_are_dropped_and_its_writers_do_not_know() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.cut.extend([(1, 2), (2, 1)]);
    stage.write(1, 10);
    stage.learn(&[2], &agreed(grant(2, 2, 2, &[2]), &[]));
    stage.pass(timing().guard() + Duration::from_millis(300));
    stage.write(2, 20);
    stage.settle();
    assert!(committed(&stage, 20));
    stage.cut.clear();
    stage.learn(&[1, 2], &agreed(grant(2, 2, 2, &[2]), &[1]));
    stage.pass(Duration::from_millis(800));
    assert_eq!(stage.answers[&10], Outcome::Unknown);
    let owners = stage.copy(2).history().clone();
    assert_eq!(stage.copy(1).history(), &owners);
}

#[test]
fn a_repetition_of_a_waiting_write_ends_as_that_write_ends() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.sides.get_mut(&2).unwrap().stuck = true;
    stage.write_as(1, 10, 7, 7, Epoch(1));
    stage.write_as(1, 11, 7, 7, Epoch(1));
    stage.write_as(1, 12, 7, 8, Epoch(1));
    stage.settle();
    assert_eq!(stage.answers.get(&12), Some(&Outcome::OtherContent));
    assert!(!stage.answers.contains_key(&10) && !stage.answers.contains_key(&11));
    stage.unstick(2);
    stage.settle();
    assert_eq!(stage.answers[&10], Outcome::Committed(Lsn(2)));
    assert_eq!(stage.answers[&11], Outcome::Duplicate);
}

#[test]
fn a_router_that_knows_a_newer_owner_is_believed_and_one_that_is_behind_is_served() {
    let mut stage = Stage::serving(&[1], 1, &[1]);
    stage.write_as(1, 10, 10, 10, Epoch(2));
    stage.write_as(1, 11, 11, 11, Epoch(0));
    assert_eq!(stage.answers[&10], Outcome::NotOwner(Epoch(1)));
    assert!(committed(&stage, 11));
}

#[test]
fn a_failed_log_leaves_writers_unknowing_and_says_nothing_more() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.sides.get_mut(&2).unwrap().stuck = true;
    stage.write(1, 10);
    stage.copy(1).log_failed();
    let effects = stage.copy(1).take_effects();
    assert!(effects.iter().any(|it| matches!(it, zepto_replication::Effect::Answer(_, Outcome::Unknown))));
    assert!(stage.copy(1).stopped());
    stage.wire.clear();
    stage.pass(Duration::from_millis(1000));
    assert!(stage.wire.is_empty());
    assert_eq!(stage.read(1), Outcome::NotOwner(Epoch(1)));
}

#[test]
fn a_copy_that_owns_nothing_takes_no_write() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.write(2, 10);
    stage.pass(Duration::from_millis(100));
    assert_eq!(stage.answers[&10], Outcome::NotOwner(Epoch(1)));
    stage.write(1, 11);
    stage.pass(Duration::from_millis(100));
    assert!(matches!(stage.answers[&11], Outcome::Committed(_)));
}

#[test]
fn more_than_a_bound_of_uncommitted_frames_is_refused() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.cut.extend([(1, 2), (2, 1)]);
    let bound = zepto_replication::machine::MAX_UNCOMMITTED as u64;
    for request in 0..=bound {
        stage.write(1, request);
        stage.wire.clear();
    }
    assert_eq!(stage.answers.get(&bound), Some(&Outcome::Busy));
    assert!(!stage.answers.contains_key(&(bound - 1)));
}

/// What the owner has asked for last: members, epoch and version.
fn asked(stage: &Stage) -> (Vec<u32>, Epoch, SetVersion) {
    let mut sets = stage.proposals.iter().filter_map(|it| match it {
        Change::Set { epoch, version, members, .. } => {
            Some((members.iter().map(|it| it.node.0).collect(), *epoch, *version))
        }
        Change::HandOver { .. } => None,
    });
    sets.next_back().unwrap()
}

#[test]
fn a_set_that_may_not_shrink_takes_nothing_new_while_a_member_is_silent() {
    let mut stage = Stage::serving(&[1, 2], 1, &[1, 2]);
    stage.cut.extend([(1, 2), (2, 1)]);
    stage.write(1, 10);
    stage.pass(timing().replicate_timeout + Duration::from_millis(300));
    let (members, epoch, version) = asked(&stage);
    assert_eq!(members, [1]);
    stage.write(1, 11);
    assert_eq!(stage.answers.get(&11), None, "until it is refused the set may have become smaller");
    stage.copy(1).may_not_shrink(epoch, SetVersion(version.0 + 1));
    stage.copy(1).may_not_shrink(Epoch(epoch.0 - 1), version);
    stage.write(1, 12);
    assert_eq!(stage.answers.get(&12), None, "what was refused of another set says nothing");
    stage.copy(1).may_not_shrink(epoch, version);
    stage.write(1, 13);
    assert_eq!(stage.answers.get(&13), Some(&Outcome::TooFewCopies));
    // A repetition of what waits is told how that ends.
    stage.write_as(1, 14, 10, 10, Epoch(1));
    assert!(!stage.answers.contains_key(&10) && !stage.answers.contains_key(&14));
    stage.cut.clear();
    stage.pass(timing().replicate_timeout);
    stage.write(1, 15);
    stage.settle();
    assert!([10, 11, 12, 15].iter().all(|it| committed(&stage, *it)), "{:?}", stage.answers);
    assert_eq!(stage.answers.get(&14), Some(&Outcome::Duplicate));
}

#[test]
fn where_a_set_may_not_shrink_one_copy_comes_in_for_another() {
    let mut stage = Stage::serving(&[1, 2, 3], 1, &[1, 2]);
    stage.cut.extend([(1, 2), (2, 1)]);
    stage.pass(timing().replicate_timeout + Duration::from_millis(300));
    let (_, epoch, version) = asked(&stage);
    stage.copy(1).may_not_shrink(epoch, version);
    stage.learn(&[1, 3], &agreed(grant(1, 1, version.0, &[1, 2]), &[3]));
    stage.pass(timing().replicate_timeout);
    assert_eq!(asked(&stage).0, [1, 3]);
    stage.write(1, 10);
    assert_eq!(stage.answers.get(&10), Some(&Outcome::TooFewCopies), "it is not agreed yet");
    stage.learn(&[1, 3], &agreed(grant(1, 1, version.0 + 1, &[1, 3]), &[]));
    stage.pass(Duration::from_millis(300));
    stage.write(1, 11);
    stage.settle();
    assert!(committed(&stage, 11), "{:?}", stage.answers);
}
