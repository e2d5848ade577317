//! Nodes that stop in order while others join, die and come back: whatever the order, nothing is given to one that stops.

use super::*;
use crate::example::{registration, replica};
use crate::state::command::{HandoverItem, Registration};

/// What may happen.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// A node is told to end.
    Stops(u32),
    /// A node that was told to end gives up all that others have too.
    GivesUp(u32),
    /// A node starts again, or for the first time.
    Starts(u32),
    /// A node is silent for too long.
    Dies(u32),
    /// The leader looks.
    Leads,
    /// The owners do what they are asked for.
    OwnersAct,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let node = 0u32..6;
    let turn = prop_oneof![
        3 => node.clone().prop_map(Turn::Stops),
        3 => node.clone().prop_map(Turn::GivesUp),
        3 => node.clone().prop_map(Turn::Starts),
        1 => node.prop_map(Turn::Dies),
        4 => Just(Turn::Leads),
        4 => Just(Turn::OwnersAct),
    ];
    proptest::collection::vec(turn, 1..60)
}

fn start_of(state: &State, node: u32) -> Boot {
    state.node(NodeId(node)).map_or(Boot(0), |it| it.incarnation)
}

fn start(state: &mut State, node: u32) {
    let incarnation = Boot(start_of(state, node).0 + 1);
    accept(state, Command::RegisterNode(Registration { incarnation, ..registration(node) }));
    accept(state, Command::ActivateNode { node: NodeId(node), incarnation });
}

fn give_up(state: &mut State, node: u32) {
    let owned = state.placement().owned_by(NodeId(node)).collect::<Vec<_>>();
    let items = owned.into_iter().map(|partition| {
        let epoch = state.placement().of(partition).expect("placed").grant.epoch;
        HandoverItem { partition, epoch, to: None }
    });
    let items = items.collect();
    // Where nobody else may own it, it stays.
    apply(state, Command::Handover { from: replica(node), items });
}

fn play(state: &mut State, turn: Turn) {
    match turn {
        Turn::Stops(node) if state.node(NodeId(node)).is_some() => {
            let incarnation = start_of(state, node);
            accept(state, Command::ReportStopping { node: NodeId(node), incarnation });
        }
        Turn::GivesUp(node) if stops(state, NodeId(node)) => give_up(state, node),
        Turn::Starts(node) => start(state, node),
        Turn::Dies(node) if state.node(NodeId(node)).is_some() => {
            let incarnation = start_of(state, node);
            accept(state, Command::MarkDead { node: NodeId(node), incarnation });
        }
        Turn::Leads => {
            let items = failover(state, &BTreeSet::new());
            accept(state, Command::Grant { items });
            for command in steps(state, 0, u64::MAX) {
                accept(state, command);
            }
        }
        Turn::OwnersAct => {
            owners_act(state);
        }
        Turn::Stops(_) | Turn::GivesUp(_) | Turn::Dies(_) => {}
    }
}

fn stops(state: &State, node: NodeId) -> bool {
    state.node(node).is_some_and(|it| it.stopping)
}

/// What a node that stops had been given by a turn.
fn check_given(before: &State, after: &State, turn: Turn) {
    for (was, now) in before.placement().partitions.iter().zip(&after.placement().partitions) {
        let (owner, partition) = (now.grant.owner, now.grant.partition);
        let given = owner != was.grant.owner && stops(after, owner.node);
        assert!(!given, "{turn:?} gave {partition} to {owner:?}, which stops");
    }
    for (partition, to) in after.wanted() {
        assert!(!stops(after, to.node), "{turn:?}: {partition} is to be given to {to:?}, which stops");
    }
    for (partition, movement) in after.moves() {
        let begun = !before.moves().contains_key(partition);
        assert!(
            !(begun && stops(after, movement.to.node)),
            "{turn:?} began {movement:?} to a node that stops"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_node_that_stops_is_given_nothing_and_all_is_even_when_all_are_back(
        nodes in 2u32..5, factor in 1u8..4, turns in turns(),
    ) {
        let mut state = placed(nodes, 24, factor);
        for turn in turns {
            let before = state.clone();
            play(&mut state, turn);
            check_given(&before, &state, turn);
            check_legal(&state, &before);
        }
        let all: Vec<u32> = state.nodes().map(|it| it.id.0).collect();
        for &node in &all {
            start(&mut state, node);
        }
        let floor: Vec<usize> = sizes(&state).into_iter().map(|it| it.min(usize::from(factor))).collect();
        converge(&mut state, 0, &floor);
        at_target(&state, 0, all.len(), usize::from(factor));
    }

    #[test]
    fn what_others_have_too_is_gone_from_a_node_that_stops_and_does_not_come_back(
        nodes in 2u32..6, factor in 2u8..4, which in 0u32..6,
    ) {
        let mut state = placed(nodes, 24, factor);
        let which = which % nodes;
        play(&mut state, Turn::Stops(which));
        give_up(&mut state, which);
        let before = state.placement().partitions.iter().map(|it| it.grant.set.clone()).collect::<Vec<_>>();
        for _ in 0..12 {
            prop_assert_eq!(state.placement().owned_by(NodeId(which)).count(), 0);
            play(&mut state, Turn::Leads);
            play(&mut state, Turn::OwnersAct);
        }
        let after = state.placement().partitions.iter().map(|it| it.grant.set.clone()).collect::<Vec<_>>();
        prop_assert_eq!(before, after, "its copies stay: the disk comes back");
        start(&mut state, which);
        let floor = sizes(&state);
        converge(&mut state, 0, &floor);
        at_target(&state, 0, nodes as usize, usize::from(factor));
    }
}
