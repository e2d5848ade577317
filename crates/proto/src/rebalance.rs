//! Moves and drains as a node's door passes them on for people: asked of the coordinators, answered in JSON.
//!
//! Promises: what the coordinators refuse is an error with their reason; what is answered is agreed on.

use std::fmt::Display;

use serde_json::{Value, json};
use zepto_common::{Error, ErrorCode, Result};

use crate::client::CoordinatorClient;
use crate::coordinate as wire;
use crate::coordinate::move_request::Action;

fn away(what: &dyn Display) -> Error {
    Error::new(ErrorCode::NotReady, format!("the coordinators cannot be asked: {what}"))
}

fn accepted(refusal: Option<wire::Refusal>) -> Result<()> {
    match refusal {
        Some(refusal) => Err(Error::new(ErrorCode::BadArguments, refusal.message)),
        None => Ok(()),
    }
}

/// Moves and handovers under way, whether rebalancing is paused, and as `history` the newest moves that ended.
///
/// # Errors
/// `NotReady` while no coordinator answers.
pub async fn status(client: &CoordinatorClient) -> Result<Value> {
    let reply = client.rebalance(wire::RebalanceRequest { envelope: None }).await;
    let reply = reply.map_err(|error| away(&error))?;
    serde_json::from_slice(&reply.status).map_err(|error| away(&error))
}

/// Pauses or resumes moves for the sake of balance; repairs and drains go on.
///
/// # Errors
/// As [`status`]; the coordinators' refusal.
pub async fn pause(client: &CoordinatorClient, paused: bool) -> Result<Value> {
    moves(client, Action::Pause(paused)).await?;
    Ok(json!({"rebalancing": if paused { "paused" } else { "on" }}))
}

/// Pauses, and takes the moves under way back; repairs go on. Without the pause they would begin anew.
///
/// # Errors
/// As [`pause`].
pub async fn cancel(client: &CoordinatorClient) -> Result<Value> {
    moves(client, Action::Pause(true)).await?;
    let reply = moves(client, Action::Cancel(wire::PartitionList::default())).await?;
    let cancelled = reply.outcomes.iter().filter(|it| it.refusal.is_none()).count();
    Ok(json!({"rebalancing": "paused", "cancelled": cancelled}))
}

async fn moves(client: &CoordinatorClient, action: Action) -> Result<wire::PartitionsReply> {
    let request = wire::MoveRequest { envelope: None, action: Some(action) };
    let reply = client.move_partitions(request).await.map_err(|error| away(&error))?;
    accepted(reply.refusal.clone())?;
    Ok(reply)
}

/// Has a node give all away that it has, so that it can leave for good. Again for one that does: no change.
///
/// # Errors
/// As [`status`]; `BadArguments` if there is no such storage node, it is dead, another one leaves, or too few would stay.
pub async fn drain(client: &CoordinatorClient, node: u32) -> Result<Value> {
    change_node(client, node, wire::node_request::Action::Drain).await?;
    Ok(json!({"id": node, "state": "LEAVING"}))
}

/// Takes a drain back: the node stays, and gets its share again.
///
/// # Errors
/// As [`status`]; `BadArguments` if there is no such node.
pub async fn keep(client: &CoordinatorClient, node: u32) -> Result<Value> {
    change_node(client, node, wire::node_request::Action::CancelDrain).await?;
    Ok(json!({"id": node, "drain": "cancelled"}))
}

/// Has a node own a partition, with the disk that it has now and whatever it lacks. Again does it again.
///
/// # Errors
/// As [`status`]; `BadArguments` if loss is not accepted, or there is no such partition or healthy storage node.
pub async fn force_owner(
    client: &CoordinatorClient,
    partition: u32,
    node: u32,
    accept_loss: bool,
) -> Result<Value> {
    let to = wire::Replica { node_id: node, ..Default::default() };
    let request = wire::ForceOwnerRequest { envelope: None, partition, to: Some(to), accept_loss };
    let reply = client.force_owner(request).await.map_err(|error| away(&error))?;
    accepted(reply.refusal)?;
    Ok(json!({"partition": partition, "owner": node}))
}

async fn change_node(
    client: &CoordinatorClient,
    node: u32,
    action: wire::node_request::Action,
) -> Result<()> {
    let request = wire::NodeRequest { envelope: None, target: node, action: action.into() };
    let reply = client.change_node(request).await.map_err(|error| away(&error))?;
    accepted(reply.refusal)
}
