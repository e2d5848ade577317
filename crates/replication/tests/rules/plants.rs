//! Each rule's test fails when its rule is left out.

use zepto_replication::plant::Plant;

use crate::stage::PLANT;

#[test]
fn every_planted_bug_breaks_the_test_of_its_rule() {
    let rules: [(Plant, fn()); 11] = [
        (Plant::AnswerBeforeSync, crate::a_write_is_not_acknowledged_before_the_owner_itself_has_synced_it),
        (Plant::FollowOlderEpoch, crate::the_highest_token_survives_a_restart),
        (Plant::ForgetToken, crate::the_highest_token_survives_a_restart),
        (Plant::IgnoreLease, crate::an_owner_that_hears_nothing_reads_no_longer_than_its_lease),
        (Plant::NoGuard, crate::a_follower_that_has_just_started_follows_nobody_new),
        (Plant::CountLessBeforeAgreed, crate::a_silent_member_is_counted_until_its_removal_was_read),
        (Plant::CountMoreAfterAgreed, crate::a_new_member_is_counted_from_the_moment_it_is_asked_for),
        (Plant::CommitOnFirst, crate::a_write_is_acknowledged_when_every_member_has_synced_it),
        (Plant::StaleRouting, crate::a_copy_that_owns_nothing_takes_no_write),
        (Plant::UnboundedQueue, crate::more_than_a_bound_of_uncommitted_frames_is_refused),
        (Plant::SameBoot, crate::an_owner_that_lost_the_end_of_its_log_writes_nothing_else_at_its_positions),
    ];
    for (plant, rule) in rules {
        rule();
        PLANT.set(Some(plant));
        let ended = std::panic::catch_unwind(rule);
        PLANT.set(None);
        assert!(ended.is_err(), "{plant:?} passes the test of its rule");
    }
}
