//! This node's heartbeats: what it says of itself, to whom.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use zepto_cluster::heartbeat::{MAX_TEXT, Role, Secret};
use zepto_cluster::members::Timing;
use zepto_cluster::{Heartbeat, Pulse, pulse};
use zepto_engine::store::LogState;
use zepto_process::rate::Rate;

use super::agreed::Agreed;
use super::clocks;
use crate::config::Config;
use crate::node::{StartError, part};

/// How often names are resolved again.
const RESOLVE_EVERY: Duration = Duration::from_secs(10);

/// Starts to send and to hear. Its changes are logged and can be asked for; nobody needs to be woken by them.
///
/// # Errors
/// The port is taken.
pub(super) async fn start(
    config: &Config,
    secret: &str,
    agreed: &Arc<Agreed>,
    http: SocketAddr,
    rpc: SocketAddr,
) -> Result<Pulse, StartError> {
    let cluster = &config.cluster;
    let options = pulse::Options {
        bind: SocketAddr::new(config.bind, config.heartbeat_port()),
        cluster: cluster.id.clone(),
        secret: Secret::new(secret),
        timing: Timing {
            interval: Duration::from_millis(cluster.heartbeat_interval_ms),
            suspect: Duration::from_millis(cluster.suspect_ms),
        },
        peers: cluster.discovery.iter().map(|name| format!("{name}:{}", config.heartbeat_port())).collect(),
        resolve_every: RESOLVE_EVERY,
    };
    let mut host = cluster.advertise_host.clone().unwrap_or_else(|| config.bind.to_string());
    host.truncate(MAX_TEXT);
    let (agreed, rate) = (agreed.clone(), Mutex::new(Rate::new()));
    let say = move || {
        let stats = agreed.store.stats();
        let rows_per_second = rate.lock().per_second(stats.rows_ingested) as u32;
        agreed.rows_per_second.store(rows_per_second, Ordering::Relaxed);
        Heartbeat {
            cluster: String::new(),
            node: agreed.me.node,
            role: Role::Storage,
            disk: agreed.me.disk,
            incarnation: agreed.me.incarnation,
            counter: 0,
            leaving: false,
            disk_stuck: matches!(stats.log_state, LogState::Failed { .. }),
            host: host.clone(),
            http_port: http.port(),
            rpc_port: rpc.port(),
            placement: agreed.placement_version(),
            catalog: stats.catalog_version,
            rows_per_second,
            queue_permille: permille(stats.queue_rows, stats.queue_capacity),
            // No sync is timed from outside yet: it says what a node without a log says.
            sync_age_ms: u32::MAX,
            wall_ms: clocks::wall_ms(),
        }
    };
    let (pulse, _changes) = Pulse::start(options, say).await.map_err(part("heartbeats"))?;
    Ok(pulse)
}

fn permille(part: u64, whole: u64) -> u16 {
    part.saturating_mul(1000).checked_div(whole).unwrap_or(0).min(1000) as u16
}
