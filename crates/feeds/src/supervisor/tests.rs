//! Waits and states, for every event.

use super::*;

fn waited(command: Command, now: Instant) -> Duration {
    match command {
        Command::After(at) => at - now,
        other => panic!("{other:?} is no wait"),
    }
}

#[test]
fn waits_double_up_to_their_bound_and_differ_by_chance() {
    let (mut feed, now) = (Supervisor::default(), Instant::now());
    for step in 0..40u32 {
        let wait = waited(feed.clone().on(now, Event::Fault, 1.0), now);
        let least = waited(feed.on(now, Event::Fault, 0.0), now);
        let whole = FEED_BACKOFF_MIN.saturating_mul(1 << step.min(16)).min(FEED_BACKOFF_MAX);
        assert_eq!((wait, least), (whole, whole / 2), "step {step}");
        assert_eq!(feed.state(), State::Waiting);
    }
}

#[test]
fn a_source_that_fails_after_a_little_progress_is_not_tried_at_full_speed() {
    let (mut feed, mut now) = (Supervisor::default(), Instant::now());
    let mut last = Duration::ZERO;
    for _ in 0..5 {
        let wait = waited(feed.on(now, Event::Fault, 1.0), now);
        assert!(wait > last, "{wait:?} after {last:?}");
        last = wait;
        now += wait;
        feed.begin();
        assert_eq!(feed.on(now, Event::Progress, 0.5), Command::Go);
    }
    now += FEED_CALM;
    feed.on(now, Event::Progress, 0.5);
    assert_eq!(waited(feed.on(now, Event::Fault, 1.0), now), FEED_BACKOFF_MIN);
}

#[test]
fn a_refusal_of_the_storage_pauses_and_progress_ends_the_pause() {
    let (mut feed, now) = (Supervisor::default(), Instant::now());
    feed.on(now, Event::Refused, 0.0);
    feed.on(now, Event::Refused, 0.0);
    assert_eq!(feed.state(), State::Paused);
    assert_eq!(feed.on(now, Event::Progress, 0.0), Command::Go);
    assert_eq!(feed.state(), State::Running);
    assert_eq!(waited(feed.on(now, Event::Refused, 1.0), now), FEED_BACKOFF_MIN);
}

#[test]
fn a_feed_that_failed_or_stopped_stays_so() {
    for (end, state) in [(Event::Final, State::Failed), (Event::Stop, State::Stopped)] {
        let (mut feed, now) = (Supervisor::default(), Instant::now());
        assert_eq!(feed.on(now, end, 0.5), Command::End);
        for event in [Event::Progress, Event::Refused, Event::Fault, Event::Final, Event::Stop] {
            assert_eq!(feed.on(now, event, 0.5), Command::End);
            feed.begin();
            assert_eq!(feed.state(), state);
        }
    }
}

#[test]
fn a_source_that_can_be_read_is_running_but_only_progress_makes_the_waits_short_again() {
    let (mut feed, mut now) = (Supervisor::default(), Instant::now());
    for _ in 0..3 {
        feed.on(now, Event::Fault, 1.0);
    }
    feed.begin();
    now += 2 * FEED_CALM;
    assert_eq!(feed.on(now, Event::Idle, 0.5), Command::Go);
    assert_eq!(feed.state(), State::Running);
    assert_eq!(waited(feed.on(now, Event::Fault, 1.0), now), 8 * FEED_BACKOFF_MIN);
    feed.on(now, Event::Trouble, 0.5);
    assert_eq!(feed.state(), State::Waiting);
    feed.on(now, Event::Idle, 0.5);
    assert_eq!(feed.state(), State::Running);
}
