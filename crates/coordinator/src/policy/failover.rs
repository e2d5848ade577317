//! Who takes over from an owner that is dead, has another disk, or whose log failed.

use std::collections::{BTreeMap, BTreeSet};

use zepto_common::ids::NodeId;
use zepto_common::placement::{Assignment, Replica};

use crate::state::command::{Expected, GrantItem};
use crate::state::{NodeState, State};

/// What the proposer had seen of an assignment.
#[must_use]
pub fn expected(assignment: &Assignment) -> Expected {
    Expected { epoch: assignment.grant.epoch, set_version: assignment.grant.set.version }
}

/// A grant for each partition whose owner is not able and that has another in-sync copy that is. Nodes that the
/// leader hears come first, then those that own the fewest partitions, these grants counted.
#[must_use]
pub fn failover(state: &State, heard: &BTreeSet<NodeId>) -> Vec<GrantItem> {
    let mut owned: BTreeMap<NodeId, usize> = BTreeMap::new();
    for assignment in &state.placement().partitions {
        *owned.entry(assignment.grant.owner.node).or_default() += 1;
    }
    let mut items = Vec::new();
    for assignment in &state.placement().partitions {
        let grant = &assignment.grant;
        if state.is_able(grant.owner) {
            continue;
        }
        let rank = |it: &&Replica| {
            let settled = state.node(it.node).is_some_and(|node| node.state == NodeState::Active);
            let leaving = assignment.leaving.contains(*it);
            (!heard.contains(&it.node), leaving, !settled, owned.get(&it.node).copied(), it.node)
        };
        let able = grant.set.members.iter().filter(|it| state.may_own(**it));
        let Some(&to) = able.min_by_key(rank) else { continue };
        *owned.entry(to.node).or_default() += 1;
        *owned.entry(grant.owner.node).or_default() -= 1;
        items.push(GrantItem { partition: grant.partition, expected: expected(assignment), to });
    }
    items
}

/// Partitions that nobody can own: no in-sync copy is on an able node. They wait for a disk to come back, or for
/// `force-owner`.
#[must_use]
pub fn unavailable(state: &State) -> usize {
    let has_none = |it: &&Assignment| !it.grant.set.members.iter().any(|member| state.is_able(*member));
    state.placement().partitions.iter().filter(has_none).count()
}
