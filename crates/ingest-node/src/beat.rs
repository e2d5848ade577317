//! This node's heartbeats: what it says of itself, to the storage nodes and coordinators.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use zepto_cluster::heartbeat::{MAX_TEXT, Role, Secret};
use zepto_cluster::members::Timing;
use zepto_cluster::write::sink::SinkCounters;
use zepto_cluster::{Heartbeat, OwnerPool, Pulse, RoutedSink, pulse};
use zepto_common::Result;
use zepto_common::ids::{DiskId, PlacementVersion};
use zepto_process::rate::Rate;

use crate::agreed::Agreed;
use crate::config::Config;

/// How often names are resolved again.
const RESOLVE_EVERY: Duration = Duration::from_secs(10);

/// Starts to send and to hear.
///
/// # Errors
/// The port is taken.
pub(crate) async fn start(
    config: &Config,
    secret: &str,
    agreed: &Arc<Agreed>,
    (sink, pool): (&Arc<RoutedSink>, &Arc<OwnerPool>),
    (http, rpc): (SocketAddr, SocketAddr),
) -> Result<Pulse> {
    let cluster = &config.cluster;
    let options = pulse::Options {
        bind: SocketAddr::new(config.bind, config.heartbeat_port()),
        cluster: cluster.id.clone(),
        secret: Secret::new(secret.trim()),
        timing: Timing {
            interval: Duration::from_millis(cluster.heartbeat_interval_ms),
            suspect: Duration::from_millis(cluster.suspect_ms),
        },
        peers: cluster.discovery.iter().map(|name| format!("{name}:{}", config.heartbeat_port())).collect(),
        resolve_every: RESOLVE_EVERY,
    };
    let mut host = cluster.advertise_host.clone().unwrap_or_else(|| config.bind.to_string());
    host.truncate(MAX_TEXT);
    let (agreed, sink, pool, rate) = (agreed.clone(), sink.clone(), pool.clone(), Mutex::new(Rate::new()));
    let say = move || {
        let (placement, catalog) = agreed.versions();
        Heartbeat {
            cluster: String::new(),
            node: agreed.me().0,
            role: Role::Ingest,
            disk: DiskId(0),
            incarnation: agreed.incarnation(),
            counter: 0,
            leaving: false,
            disk_stuck: false,
            host: host.clone(),
            http_port: http.port(),
            rpc_port: rpc.port(),
            placement: PlacementVersion(placement),
            catalog,
            rows_per_second: rate.lock().per_second(ingested(sink.counters())) as u32,
            queue_permille: pool.permille_in_flight(),
            // It has no log.
            sync_age_ms: u32::MAX,
            // No row expires by this clock.
            wall_ms: 0,
        }
    };
    let (pulse, _changes) = Pulse::start(options, say).await?;
    Ok(pulse)
}

/// Rows that came in since the start.
pub(crate) fn ingested(counters: &SinkCounters) -> u64 {
    counters.ingested.load(std::sync::atomic::Ordering::Relaxed)
}
