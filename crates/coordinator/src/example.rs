//! States for tests: a founded cluster with some nodes, and owners that do what the coordinator asks of them.

use std::collections::BTreeSet;

use zepto_common::ids::{Boot, DiskId, NodeId, PartitionId};
use zepto_common::placement::Replica;

use crate::policy::failover::expected;
use crate::state::command::{Command, HandoverItem, Outcome, Proposal, Registration, SetChange};
use crate::state::{Addresses, ClusterRecord, NodeRole, State};

/// Applies a command at a time.
pub(crate) fn apply_at(state: &mut State, at_ms: u64, command: Command) -> Outcome {
    state.apply(&Proposal { at_ms, command })
}

/// Applies a command.
pub(crate) fn apply(state: &mut State, command: Command) -> Outcome {
    apply_at(state, 0, command)
}

/// Applies a command that must be accepted, each item of it too.
pub(crate) fn accept(state: &mut State, command: Command) -> Outcome {
    let shown = format!("{command:?}");
    let outcome = apply(state, command);
    let refused = match &outcome {
        Outcome::Refused(refusal) => Some(refusal.to_string()),
        Outcome::Items(items) => items.iter().find_map(|it| it.refusal.as_ref().map(ToString::to_string)),
        _ => None,
    };
    assert_eq!(refused, None, "{shown}");
    outcome
}

/// The disk of a node's first volume.
pub(crate) fn replica(node: u32) -> Replica {
    Replica { node: NodeId(node), disk: DiskId(1_000 + u128::from(node)) }
}

/// A storage node's first start.
pub(crate) fn registration(node: u32) -> Registration {
    Registration {
        cluster_id: String::new(),
        node: NodeId(node),
        role: NodeRole::Storage,
        disk: Some(replica(node).disk),
        incarnation: Boot(1),
        addresses: Addresses { rpc: format!("10.0.0.{node}:8223"), ..Addresses::default() },
        zone: String::new(),
        epochs: Vec::new(),
    }
}

/// A cluster of these sizes without nodes.
pub(crate) fn founded(partitions: u16, factor: u8, min_in_sync: u8) -> State {
    let mut state = State::default();
    let id = "test".to_owned();
    let founding = ClusterRecord { id, partitions, replication_factor: factor, min_in_sync };
    accept(&mut state, Command::Found(founding));
    state
}

/// Lets a node join.
pub(crate) fn join(state: &mut State, node: u32, zone: &str) {
    let registration = Registration { zone: zone.to_owned(), ..registration(node) };
    accept(state, Command::RegisterNode(registration));
    accept(state, Command::ActivateNode { node: NodeId(node), incarnation: Boot(1) });
}

/// A cluster with active nodes and a first placement.
pub(crate) fn placed(nodes: u32, partitions: u16, factor: u8) -> State {
    let mut state = founded(partitions, factor, 1);
    for node in 0..nodes {
        join(&mut state, node, "");
    }
    let place = crate::policy::steps::first_placement(&state).expect("there are nodes");
    accept(&mut state, place);
    state
}

/// Takes the set of a partition to other members, as its owner.
pub(crate) fn change(state: &mut State, partition: u16, members: BTreeSet<Replica>) -> Outcome {
    let assignment = state.placement().of(PartitionId(partition)).expect("placed").clone();
    let item = SetChange { partition: PartitionId(partition), expected: expected(&assignment), members };
    apply(state, Command::ChangeSets { proposer: assignment.grant.owner, items: vec![item] })
}

/// Every able owner does the next thing that it is asked for: hands over, takes a copy in, or takes one out.
/// True if any did anything.
pub(crate) fn owners_act(state: &mut State) -> bool {
    let mut did = false;
    for assignment in state.placement().partitions.clone() {
        let (grant, partition) = (&assignment.grant, assignment.grant.partition);
        if !state.is_able(grant.owner) {
            continue;
        }
        if state.wanted().contains_key(&partition) {
            let item = HandoverItem { partition, epoch: grant.epoch, to: None };
            accept(state, Command::Handover { from: grant.owner, items: vec![item] });
            did = true;
            continue;
        }
        let mut members = grant.set.members.clone();
        let entering: Vec<Replica> =
            assignment.joining.iter().copied().filter(|it| state.is_able(*it)).collect();
        members.extend(entering);
        if members == grant.set.members {
            members.retain(|it| !assignment.leaving.contains(it));
        }
        if members != grant.set.members {
            let item = SetChange { partition, expected: expected(&assignment), members };
            accept(state, Command::ChangeSets { proposer: grant.owner, items: vec![item] });
            did = true;
        }
    }
    did
}
