//! A node that was told to end: it keeps what it has, gets nothing, and is as before when it starts again.

use super::*;
use crate::policy::steps::steps;

fn stop(state: &mut State, node: u32, start: u64) {
    accept(state, Command::ReportStopping { node: NodeId(node), incarnation: Boot(start) });
}

fn start_again(state: &mut State, node: u32, start: u64) {
    accept(state, Command::RegisterNode(Registration { incarnation: Boot(start), ..registration(node) }));
}

fn give_up(state: &State, partition: u16) -> Command {
    let item = HandoverItem { partition: PartitionId(partition), epoch: epoch(state, partition), to: None };
    Command::Handover { from: owner(state, partition), items: vec![item] }
}

fn moving_off_its_owner(state: &mut State) -> (Replica, Replica) {
    let (from, stays) = (owner(state, 0), follower(state, 0));
    let to = (0..3).map(replica).find(|it| !set(state, 0).contains(it)).expect("a third node");
    let item = MoveItem { partition: PartitionId(0), from: Some(from), to };
    accept(state, Command::StartMoves { items: vec![item] });
    assert_eq!(reason(&change(state, 0, [from, stays, to].into())), None);
    assert_eq!(state.wanted().get(&PartitionId(0)), Some(&to));
    (from, to)
}

#[test]
fn a_node_that_stops_keeps_what_it_has_and_is_given_nothing() {
    let mut state = placed(3, 8, 3);
    let stops = follower(&state, 0);
    let item = GrantItem {
        partition: PartitionId(0),
        expected: expected(state.placement().of(PartitionId(0)).expect("placed")),
        to: stops,
    };
    accept(&mut state, Command::AskHandover { items: vec![item.clone()] });
    let before = state.placement().clone();
    stop(&mut state, stops.node.0, 1);
    assert_eq!(state.placement(), &before, "copies and ownership stay");
    assert!(state.wanted().is_empty(), "what it was to be given it is not given any more");
    let grant = grant(&state, 0, stops);
    for command in [grant, Command::AskHandover { items: vec![item] }] {
        assert_eq!(reason(&apply(&mut state, command)), Some(Reason::Stopping));
    }
    let by_hand = HandoverItem { partition: PartitionId(0), epoch: Epoch(1), to: Some(stops) };
    let by_hand = Command::Handover { from: owner(&state, 0), items: vec![by_hand] };
    assert_eq!(reason(&apply(&mut state, by_hand)), Some(Reason::Stopping));
    // Whoever it was that gave the partition up: the third gets it.
    let command = give_up(&state, 0);
    accept(&mut state, command);
    assert_ne!(owner(&state, 0), stops);
}

#[test]
fn what_only_a_stopping_node_could_own_stays_where_it_is() {
    let mut state = placed(2, 4, 2);
    let stops = follower(&state, 0);
    stop(&mut state, stops.node.0, 1);
    let command = give_up(&state, 0);
    assert_eq!(reason(&apply(&mut state, command)), Some(Reason::NoSuccessor));
    let gone = owner(&state, 0).node;
    dead(&mut state, gone);
    assert!(crate::policy::failover::failover(&state, &BTreeSet::new()).is_empty());
    // It is back with its rows, and now it may.
    start_again(&mut state, stops.node.0, 2);
    assert!(!crate::policy::failover::failover(&state, &BTreeSet::new()).is_empty());
}

#[test]
fn no_copy_is_made_on_a_node_that_stops() {
    let mut state = placed(3, 8, 2);
    let to = (0..3).map(replica).find(|it| !set(&state, 0).contains(it)).expect("a third node");
    stop(&mut state, to.node.0, 1);
    let item = MoveItem { partition: PartitionId(0), from: None, to };
    let refused = apply(&mut state, Command::StartMoves { items: vec![item] });
    assert_eq!(reason(&refused), Some(Reason::Stopping));
}

#[test]
fn a_move_to_a_node_that_stops_waits_for_its_next_start() {
    let mut state = placed(3, 8, 2);
    let (from, to) = moving_off_its_owner(&mut state);
    stop(&mut state, to.node.0, 1);
    assert!(state.wanted().is_empty());
    // Neither the owner's next word nor the policy asks for it again.
    assert!(steps(&state, 0, 1_000).iter().all(|it| !matches!(it, Command::AskHandover { .. })));
    let members = set(&state, 0);
    let without = members.iter().copied().filter(|it| *it == from || *it == to).collect();
    assert_eq!(reason(&change(&mut state, 0, without)), None);
    assert!(state.wanted().is_empty() && state.moves().len() == 1);
    start_again(&mut state, to.node.0, 2);
    assert_eq!(state.wanted().get(&PartitionId(0)), Some(&to), "the move goes on");
}

#[test]
fn a_stop_belongs_to_one_start_and_to_the_agreed_state() {
    let mut state = placed(3, 8, 2);
    stop(&mut state, 1, 1);
    let again = Command::ReportStopping { node: NodeId(1), incarnation: Boot(1) };
    assert_eq!(apply(&mut state, again), Outcome::Done { changed: false });
    // Another coordinator leads, or this one has started again.
    let mut state: State = decode(&encode(&state).expect("encodes")).expect("decodes");
    assert!(state.node(NodeId(1)).expect("known").stopping);
    // The same start registers again after a verdict that it was dead.
    start_again(&mut state, 1, 1);
    assert!(state.node(NodeId(1)).expect("known").stopping);
    start_again(&mut state, 1, 2);
    assert!(!state.node(NodeId(1)).expect("known").stopping);
    let late = Command::ReportStopping { node: NodeId(1), incarnation: Boot(1) };
    assert_eq!(reason(&apply(&mut state, late)), Some(Reason::StaleIncarnation));
}

/// What was written before nodes could say that they stop.
#[test]
fn a_node_of_an_older_state_does_not_stop() {
    let state = placed(1, 1, 1);
    let mut node = serde_json::to_value(state.node(NodeId(0)).expect("known")).expect("JSON");
    node.as_object_mut().expect("an object").remove("stopping").expect("is written");
    let node: crate::state::NodeRecord = serde_json::from_value(node).expect("reads");
    assert!(!node.stopping);
}
