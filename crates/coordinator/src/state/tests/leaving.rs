//! Who may be drained, and which moves a pause is for.

use zepto_common::ids::{Boot, NodeId, PartitionId};

use super::{follower, owner, reason, set};
use crate::example::{accept, apply, placed, registration, replica};
use crate::state::command::{Command, MoveItem, Reason, Registration};
use crate::state::limits::INGEST_ID_MIN;
use crate::state::{NodeRole, State};

/// A move of partition 0 off its owner, to a node without a copy.
fn planned(state: &State) -> Command {
    let to = (0..4).map(replica).find(|it| !set(state, 0).contains(it)).expect("a node without a copy");
    let from = Some(owner(state, 0));
    Command::StartMoves { items: vec![MoveItem { partition: PartitionId(0), from, to }] }
}

#[test]
fn an_ingest_node_has_nothing_to_give_away_and_is_not_drained() {
    let mut state = placed(3, 8, 2);
    let node = NodeId(INGEST_ID_MIN);
    let (role, disk) = (NodeRole::Ingest, None);
    let ingest = Registration { role, node, disk, incarnation: Boot(0), ..registration(0) };
    accept(&mut state, Command::RegisterNode(ingest));
    assert_eq!(reason(&apply(&mut state, Command::DrainNode { node })), Some(Reason::BadNodeId));
}

/// The governor plans on a state, and a pause may be agreed on before its plan.
#[test]
fn a_move_for_balance_that_was_planned_before_a_pause_does_not_begin_after_it() {
    let mut state = placed(4, 8, 2);
    let command = planned(&state);
    accept(&mut state, Command::SetPaused(true));
    assert_eq!(reason(&apply(&mut state, command.clone())), Some(Reason::Paused));
    accept(&mut state, Command::SetPaused(false));
    accept(&mut state, command);
}

#[test]
fn moves_off_a_node_that_leaves_are_no_matter_of_balance() {
    let mut state = placed(4, 8, 2);
    let (command, node) = (planned(&state), owner(&state, 0).node);
    accept(&mut state, Command::DrainNode { node });
    accept(&mut state, Command::SetPaused(true));
    accept(&mut state, command);
    assert_eq!(state.moving_for_balance(), []);
    accept(&mut state, Command::CancelDrain { node });
    assert_eq!(state.moving_for_balance(), [PartitionId(0)]);
    assert_ne!(follower(&state, 0).node, node);
}
