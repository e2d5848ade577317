//! Partitions that this disk gives up: those that the coordinators want elsewhere, when they ask for it; and all that others
//! have too, when the node stops.
//!
//! Promises: a partition that could not be given up is asked again after a pause, in which its writers are served; a node
//! that stops is known to stop before it gives anything up, so that nothing comes back to it; it waits for all that was
//! agreed before, and no longer than a bound.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use zepto_common::ids::{NodeId, PartitionId};
use zepto_common::placement::{Placement, Replica};
use zepto_proto::convert::disk_bytes;
use zepto_proto::coordinate as wire;

use crate::cluster::agreed::{Agreed, Told};

/// Until a partition that is still here is asked again. Its owner gives up after one replicate timeout and goes on.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How long a node that stops waits until others own its partitions.
const LEAVE_WAIT: Duration = Duration::from_secs(10);
/// Of this, how long it waits until the coordinators know that it stops.
const KNOWN_WAIT: Duration = Duration::from_secs(3);

/// When each partition was last asked to go.
#[derive(Debug, Default)]
struct Asked(BTreeMap<PartitionId, Instant>);

impl Asked {
    /// Those of `wanted` that are to be asked now. What is wanted no more is forgotten.
    fn due(&mut self, wanted: &[PartitionId], now: Instant) -> Vec<PartitionId> {
        self.0.retain(|partition, _| wanted.contains(partition));
        let due = |it: &&PartitionId| self.0.get(*it).is_none_or(|at| now.duration_since(*at) >= ASK_AGAIN);
        let due: Vec<PartitionId> = wanted.iter().filter(due).copied().collect();
        self.0.extend(due.iter().map(|partition| (*partition, now)));
        due
    }

    /// Has those that are due given up by the store.
    fn ask(&mut self, agreed: &Agreed, wanted: &[PartitionId]) {
        for partition in self.due(wanted, Instant::now()) {
            if let Err(error) = agreed.store.hand_over(partition) {
                tracing::warn!(%partition, %error, "the partition is not handed over");
            }
        }
    }
}

/// Partitions of this disk that the coordinators want elsewhere.
fn asked_for(me: Replica, placement: &Placement, told: &Told) -> Vec<PartitionId> {
    let mine = |(partition, to): &(&PartitionId, &Replica)| {
        **to != me && placement.of(**partition).is_some_and(|it| it.grant.owner == me)
    };
    told.hand_over_to.iter().filter(mine).map(|(partition, _)| *partition).collect()
}

/// Partitions of this disk that another member of their sets could own.
fn shared(me: Replica, placement: &Placement, told: &Told) -> Vec<PartitionId> {
    let may_own = |it: &Replica| {
        *it != me
            && told.nodes.get(&it.node.0).is_some_and(|node| {
                let dead = node.state() == wire::NodeState::Dead || node.log_failed;
                !dead && !node.stopping && node.disk_id == disk_bytes(it.disk)
            })
    };
    let mine = placement.partitions.iter().filter(|it| it.grant.owner == me);
    mine.filter(|it| it.grant.set.members.iter().any(may_own)).map(|it| it.grant.partition).collect()
}

/// Gives up what the coordinators ask for, until the node stops.
pub(super) async fn obey(agreed: Arc<Agreed>, stop: CancellationToken) {
    let (me, mut told, mut placement) = (agreed.me.replica(), agreed.told(), agreed.placement());
    let mut asked = Asked::default();
    loop {
        let wanted = asked_for(me, &placement.borrow_and_update(), &told.borrow_and_update());
        asked.ask(&agreed, &wanted);
        tokio::select! {
            changed = told.changed() => if changed.is_err() { return },
            changed = placement.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(ASK_AGAIN), if !wanted.is_empty() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Gives this disk's partitions to other members of their sets, as far as that goes in a bounded time: then nobody has
/// to wait for this node's lease to run out.
pub(crate) async fn leave(agreed: &Agreed) {
    let deadline = Instant::now() + LEAVE_WAIT;
    let me = agreed.me.replica();
    let (mut told, mut placement) = (agreed.told(), agreed.placement());
    agreed.say_stopping();
    let known = known_to_stop(me.node, &mut told, &mut placement);
    if tokio::time::timeout(KNOWN_WAIT, known).await.is_err() {
        tracing::warn!("the coordinators do not know yet that this node stops");
    }
    let mut asked = Asked::default();
    let mut most = 0;
    loop {
        let mine = shared(me, &placement.borrow_and_update(), &told.borrow_and_update());
        most = most.max(mine.len());
        if mine.is_empty() {
            tracing::info!(count = most, "partitions handed over");
            return;
        }
        asked.ask(agreed, &mine);
        tokio::select! {
            _changed = placement.changed() => {}
            _changed = told.changed() => {}
            () = tokio::time::sleep(ASK_AGAIN) => {}
            () = tokio::time::sleep_until(deadline) => {
                let count = mine.len();
                let what = "not all partitions were handed over: others take them when the lease is over";
                tracing::warn!(count, "{what}");
                return;
            }
        }
    }
}

/// Waits for the word that this start ends, and for the placement that was agreed on by then: no partition comes later.
async fn known_to_stop(
    me: NodeId,
    told: &mut watch::Receiver<Told>,
    placement: &mut watch::Receiver<Arc<Placement>>,
) {
    let stops = |told: &Told| told.nodes.get(&me.0).is_some_and(|node| node.stopping);
    // Both senders live as long as what is agreed on.
    let version = told.wait_for(stops).await.map(|told| told.placement);
    if let Ok(version) = version {
        let _there = placement.wait_for(|placement| placement.version >= version).await;
    }
}

#[cfg(test)]
mod tests;
