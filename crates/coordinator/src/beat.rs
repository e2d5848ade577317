//! Heartbeats of a coordinator: it tells the nodes that it is there, and hears what they say of themselves.
//!
//! Promises: what is heard here is shown and changes nothing. A datagram can pass where calls cannot, and a node that
//! no call reaches must not be kept alive by datagrams: the detector counts calls.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use zepto_cluster::heartbeat::{MAX_TEXT, Role};
use zepto_cluster::members::Timing;
use zepto_cluster::{Heartbeat, Pulse, pulse};
use zepto_common::ids::{DiskId, NodeId};

use crate::member::Member;
use crate::options::Options;
use crate::server::StartError;
use crate::state::NodeState;

/// How often names are resolved again.
const RESOLVE_EVERY: Duration = Duration::from_secs(10);

/// Starts to say and to hear.
///
/// # Errors
/// The port is taken.
pub(crate) async fn start(
    options: &Options,
    member: &Member,
    (http, rpc): (SocketAddr, SocketAddr),
) -> Result<Arc<Pulse>, StartError> {
    let of_pulse = pulse::Options {
        bind: SocketAddr::new(options.bind, options.beat.port),
        cluster: options.cluster_id.clone(),
        secret: options.beat.secret.clone(),
        timing: Timing { interval: options.times.interval, suspect: options.times.suspect },
        peers: options.beat.peers.clone(),
        resolve_every: RESOLVE_EVERY,
    };
    let mut host = options.beat.host.clone();
    host.truncate(MAX_TEXT);
    // A group's member has no counter of its starts; the time of the start grows as one would.
    let incarnation = zepto_common::clock::wall_nanos().unsigned_abs();
    let (member, node) = (member.clone(), NodeId(options.member as u32));
    let say = move || {
        let state = member.state();
        Heartbeat {
            cluster: String::new(),
            node,
            role: Role::Coordinator,
            disk: DiskId(0),
            incarnation,
            counter: 0,
            leaving: false,
            disk_stuck: member.fault().is_some(),
            host: host.clone(),
            http_port: http.port(),
            rpc_port: rpc.port(),
            placement: state.placement().version,
            catalog: state.catalog().version(),
            rows_per_second: 0,
            queue_permille: 0,
            sync_age_ms: u32::MAX,
            // No row expires by this clock.
            wall_ms: 0,
        }
    };
    let started = Pulse::start(of_pulse, say).await;
    let (pulse, _changes) = started.map_err(|error| StartError::Options(error.to_string()))?;
    Ok(Arc::new(pulse))
}

/// Tells the pulse where the nodes are, until the process stops; then says goodbye.
pub(crate) async fn follow(
    pulse: Arc<Pulse>,
    member: Member,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let mut states = member.states();
    states.mark_changed();
    loop {
        let changed = tokio::select! {
            changed = states.changed() => changed,
            () = stop.cancelled() => break,
        };
        if changed.is_err() {
            break;
        }
        let state = states.borrow_and_update().state.clone();
        let alive = state.nodes().filter(|node| node.state != NodeState::Dead);
        let addresses = alive.map(|node| node.addresses.heartbeat.clone());
        pulse.tell_peers(addresses.filter(|address| !address.is_empty()).collect::<BTreeSet<_>>());
    }
    stop.cancelled().await;
    pulse.end().await;
    Ok(())
}
