//! What `/admin/rebalance/status` and `/admin/rebalance/history` show.

use serde_json::{Value, json};
use zepto_common::ids::PartitionId;

use crate::state::{Move, MoveEnd, State};

/// Moves and handovers under way, and the moves that ended, newest first.
pub(super) fn rebalance(state: &State) -> Value {
    let moves = state.moves().iter().map(|(partition, movement)| {
        json!({
            "partition": partition,
            "from": movement.from.map(|from| from.node),
            "to": movement.to.node,
            "step": step(state, *partition, movement),
            "started_ms": movement.started_ms,
        })
    });
    let handovers = state.wanted().iter().map(|(partition, to)| {
        let owner = state.placement().of(*partition).map(|it| it.grant.owner.node);
        json!({"partition": partition, "from": owner, "to": to.node})
    });
    let history = state.move_history().map(|ended| {
        json!({
            "partition": ended.partition,
            "from": ended.movement.from.map(|from| from.node),
            "to": ended.movement.to.node,
            "end": match ended.end {
                MoveEnd::Finished => "finished",
                MoveEnd::Cancelled => "cancelled",
            },
            "started_ms": ended.movement.started_ms,
            "ended_ms": ended.ended_ms,
        })
    });
    let mut history: Vec<Value> = history.collect();
    history.reverse();
    json!({
        "rebalancing": if state.is_paused() { "paused" } else { "on" },
        "moves": moves.collect::<Vec<_>>(),
        "handovers": handovers.collect::<Vec<_>>(),
        "history": history,
    })
}

/// What a move waits for: the copy, the new owner, or the end of the old copy.
fn step(state: &State, partition: PartitionId, movement: &Move) -> &'static str {
    let Some(assignment) = state.placement().of(partition) else { return "copy" };
    if !assignment.grant.set.members.contains(&movement.to) {
        "copy"
    } else if movement.from == Some(assignment.grant.owner) {
        "handover"
    } else {
        "removal"
    }
}

#[cfg(test)]
mod tests {
    use zepto_common::ids::{NodeId, PartitionId};

    use super::*;
    use crate::example::{accept, owners_act, placed, replica};
    use crate::state::Command;
    use crate::state::command::MoveItem;

    #[test]
    fn a_move_is_shown_step_by_step_and_then_in_the_history() {
        let mut state = placed(3, 8, 2);
        let grant = &state.placement().of(PartitionId(0)).expect("placed").grant;
        let (from, members) = (grant.owner, grant.set.members.clone());
        let to = (0..3).map(replica).find(|it| !members.contains(it)).expect("a third node");
        let item = MoveItem { partition: PartitionId(0), from: Some(from), to };
        accept(&mut state, Command::StartMoves { items: vec![item] });
        for step in ["copy", "handover", "removal"] {
            let shown = rebalance(&state);
            assert_eq!(shown["moves"][0]["step"], step, "{shown}");
            let (NodeId(from), NodeId(to)) = (from.node, to.node);
            assert_eq!((&shown["moves"][0]["from"], &shown["moves"][0]["to"]), (&json!(from), &json!(to)));
            let handovers = if step == "handover" {
                json!([{"partition": 0, "from": from, "to": to}])
            } else {
                json!([])
            };
            assert_eq!(shown["handovers"], handovers);
            assert_eq!(shown["history"], json!([]));
            owners_act(&mut state);
        }
        let shown = rebalance(&state);
        assert_eq!(shown["moves"], json!([]));
        assert_eq!(shown["history"][0]["end"], "finished", "{shown}");
        assert_eq!(shown["rebalancing"], "on");
        accept(&mut state, Command::SetPaused(true));
        assert_eq!(rebalance(&state)["rebalancing"], "paused");
    }
}
