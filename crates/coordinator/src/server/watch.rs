//! The watch stream: the whole view first, then what differs from the message before.

use std::sync::Arc;

use futures::Stream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tonic::Status;
use zepto_proto::coordinate as wire;

use super::Core;
use super::coordinate::{assignment_message, node_message, sweep_message};
use crate::log::Applied;
use crate::state::State;

/// One reader. It is asked for the next message only when the one before was taken: a slow reader gets the newest
/// state, not each one.
struct Reader {
    core: Arc<Core>,
    states: watch::Receiver<Applied>,
    shown: Option<Arc<State>>,
    _permit: OwnedSemaphorePermit,
}

/// Every change until the reader or the process goes.
pub(super) fn stream(
    core: Arc<Core>,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<wire::WatchReply, Status>> + Send + 'static {
    let mut states = core.member.states();
    states.mark_changed();
    let reader = Reader { core, states, shown: None, _permit: permit };
    futures::stream::unfold(reader, |mut reader| async move {
        let message = reader.next().await?;
        Some((Ok(message), reader))
    })
}

impl Reader {
    async fn next(&mut self) -> Option<wire::WatchReply> {
        loop {
            let changed = tokio::select! {
                () = self.core.stop.cancelled() => return None,
                changed = self.states.changed() => changed,
                () = tokio::time::sleep(self.core.options.times.watch_idle) => return Some(idle(&self.core)),
            };
            changed.ok()?;
            let state = self.states.borrow_and_update().state.clone();
            if self.shown.as_ref().is_some_and(|shown| shown.revision() == state.revision()) {
                continue;
            }
            if let Some(message) = changes(&self.core, self.shown.as_deref(), &state) {
                self.shown = Some(state);
                return Some(message);
            }
        }
    }
}

fn idle(core: &Core) -> wire::WatchReply {
    wire::WatchReply { envelope: Some(core.envelope()), idle: true, ..Default::default() }
}

/// What a reader that has seen `shown` must be told; None while there is nothing to tell at all.
fn changes(core: &Core, shown: Option<&State>, state: &State) -> Option<wire::WatchReply> {
    state.cluster()?;
    let mut reply = wire::WatchReply {
        envelope: Some(core.envelope_of(state)),
        revision: state.revision(),
        ..Default::default()
    };
    for assignment in &state.placement().partitions {
        let partition = assignment.grant.partition;
        let message = assignment_message(state, assignment);
        let before = shown.and_then(|shown| {
            shown.placement().of(partition).map(|assignment| assignment_message(shown, assignment))
        });
        if before.as_ref() != Some(&message) {
            reply.assignments.push(message);
        }
    }
    if shown.is_none_or(|shown| !shown.nodes().eq(state.nodes())) {
        reply.has_nodes = true;
        reply.nodes = state.nodes().map(node_message).collect();
    }
    if shown.is_none_or(|shown| shown.catalog().version() != state.catalog().version()) {
        match serde_json::to_vec(state.catalog()) {
            Ok(catalog) => reply.catalog = catalog,
            Err(error) => tracing::error!(%error, "the catalog has no JSON form: watchers do not get it"),
        }
    }
    if shown.is_none_or(|shown| !shown.sweeps().eq(state.sweeps())) {
        reply.has_sweeps = true;
        let all = state.sweeps().map(sweep_message);
        (reply.deletes, reply.sweeps) = all.partition(|sweep| !sweep.condition.is_empty());
    }
    if shown.is_none_or(|shown| shown.keys_version() != state.keys_version()) {
        reply.has_keys = true;
        reply.keys = state.keys().filter_map(|key| serde_json::to_string(key).ok()).collect();
    }
    Some(reply)
}
