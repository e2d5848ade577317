//! This node's wall clock against those of its peers, as their heartbeats say. Rows expire by the owner's clock, so a clock
//! that is wrong would remove rows for good.
//!
//! Promises: while this clock differs from the median of the peers' by more than a minute, this node has no row expire, and
//! says so; nor before it has heard of one, or has found that it is alone.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use zepto_cluster::heartbeat::Role;
use zepto_cluster::{Pulse, State};
use zepto_common::clock::wall_nanos;
use zepto_common::metric_names::CLOCK_AHEAD;

use super::agreed::Agreed;

/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// What a clock may be off. Heartbeats are some seconds old.
const OFF_MAX_MS: i64 = 60_000;
/// Looks after the start until which a node that has heard nobody waits for somebody to compare with.
const ALONE_AFTER: u32 = 30;

/// This clock, as heartbeats have it.
pub(super) fn wall_ms() -> u64 {
    u64::try_from(wall_nanos() / 1_000_000).unwrap_or(0)
}

/// Compares until the node stops.
pub(super) async fn compare(agreed: Arc<Agreed>, pulse: Arc<Pulse>, stop: CancellationToken) {
    let mut judged = Judged::default();
    while tokio::time::timeout(PERIOD, stop.cancelled()).await.is_err() {
        let mine = wall_ms();
        let said = pulse.members(|members| {
            let live = members.all().filter(|it| it.state == State::Active && it.said.role == Role::Storage);
            let live = live.filter(|it| it.said.node != agreed.me.node && it.said.wall_ms != 0);
            live.map(|it| it.said.wall_ms).collect::<Vec<_>>()
        });
        let was_off = judged.off;
        let held = judged.look(ahead_of(mine, said));
        metrics::gauge!(CLOCK_AHEAD).set(judged.ahead as f64);
        if judged.off && !was_off {
            tracing::error!(
                ahead_ms = judged.ahead,
                "this node's wall clock is not that of the other nodes: no row expires by it until it is set right"
            );
        } else if was_off && !judged.off {
            tracing::info!(ahead_ms = judged.ahead, "this node's wall clock is right again: rows expire");
        }
        agreed.store.hold_expiry(held);
    }
}

/// What is known of this clock. While nobody is heard, what was known last counts: a clock does not get right by silence.
#[derive(Debug, Default)]
struct Judged {
    ahead: i64,
    off: bool,
    heard: bool,
    looks: u32,
}

impl Judged {
    /// Takes in what the peers say, if one does; whether no row may expire.
    fn look(&mut self, ahead: Option<i64>) -> bool {
        self.looks = ALONE_AFTER.min(self.looks + 1);
        if let Some(ahead) = ahead {
            (self.ahead, self.off, self.heard) = (ahead, ahead.abs() > OFF_MAX_MS, true);
        }
        self.off || !self.heard && self.looks < ALONE_AFTER
    }
}

/// Milliseconds by which a clock is ahead of the median of others; of an even number of them, of the one that is nearer.
/// None where there is nobody to compare with.
fn ahead_of(mine: u64, mut others: Vec<u64>) -> Option<i64> {
    others.sort_unstable();
    let ahead = |at: usize| others.get(at).map(|other| mine.cast_signed().wrapping_sub(other.cast_signed()));
    let (low, high) = (ahead(others.len().saturating_sub(1) / 2), ahead(others.len() / 2));
    low.into_iter().chain(high).min_by_key(|it| it.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_clock_among_others_holds_nobody_elses_expiry_and_its_own() {
        let (right, wrong) = (1_700_000_000_000, 1_700_000_200_000);
        assert_eq!(ahead_of(right, vec![]), None);
        assert_eq!(ahead_of(wrong, vec![right, right]), Some(200_000));
        assert_eq!(ahead_of(right, vec![right, wrong]), Some(0), "of two others one is right");
        assert_eq!(ahead_of(right, vec![right, wrong, right]), Some(0));
        assert_eq!(ahead_of(right, vec![wrong]), Some(-200_000), "of two clocks nobody knows which is right");
        assert!(ahead_of(wrong, vec![right, right + 1_500, right - 1_500]).unwrap() > OFF_MAX_MS);
    }
    #[test]
    fn a_clock_that_is_wrong_does_not_become_right_when_its_peers_fall_silent() {
        let mut judged = Judged::default();
        assert!(judged.look(None), "somebody may be heard yet");
        assert!(!judged.look(Some(1_000)));
        assert!(judged.look(Some(200_000)));
        for _ in 0..2 * ALONE_AFTER {
            assert!(judged.look(None));
        }
        assert!(!judged.look(Some(0)));
        assert!(!judged.look(None), "it was right when it was last compared");
        let mut alone = Judged::default();
        let held = (0..ALONE_AFTER).filter(|_| alone.look(None)).count();
        assert_eq!(held, ALONE_AFTER as usize - 1, "whoever is alone goes by its own clock");
    }
}
