//! Health, readiness, metrics and status over HTTP.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::net::TcpListener;
use zepto_common::auth::{Authenticator, Credentials, Keyring};
use zepto_common::metric_names as names;
use zepto_common::service::Role;
use zepto_process::gauges;
use zepto_tls::{Accepted, Incoming, Security, Tls};

use super::{Core, StartError, after_grace};

/// Media type of the Prometheus text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Distance of the looks at the key file and the certificate.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

/// The port's connections, plain or by TLS.
struct Port(Incoming);

impl Listener for Port {
    type Io = Accepted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Accepted, SocketAddr) {
        self.0.next().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

pub(super) async fn serve(
    core: Arc<Core>,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
) -> Result<(), StartError> {
    let security = tls.clone().map_or(Security::Plain, Security::Door);
    let port = Port(Incoming::new(listener, security));
    let routes = Router::new()
        .route("/ping", get(async || "Ok.\n"))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/admin/cluster", get(cluster))
        .with_state(core.clone());
    let stopped = core.stop.clone().cancelled_owned();
    let served = tokio::select! {
        served = axum::serve(port, routes).with_graceful_shutdown(stopped).into_future() => served,
        () = after_grace(&core) => Ok(()),
        () = refresh(&core, tls) => Ok(()),
    };
    served.map_err(|error| StartError::Door(error.to_string()))
}

/// Reads changed files again, for ever.
async fn refresh(core: &Arc<Core>, tls: Option<Arc<Tls>>) {
    loop {
        tokio::time::sleep(REFRESH_EVERY).await;
        let (core, tls) = (core.clone(), tls.clone());
        // Looks at files, so not on the reactor.
        let looked = tokio::task::spawn_blocking(move || {
            let keys = core.file_keys.as_ref().map_or(Ok(false), Authenticator::refresh);
            keys.and(tls.map_or(Ok(false), |tls| tls.refresh()))
        });
        if let Ok(Err(error)) = looked.await {
            tracing::error!(%error, "a changed file cannot be used; what was in force stays");
        }
    }
}

async fn health(State(core): State<Arc<Core>>) -> Response {
    let fault = core.member.fault();
    let status = if fault.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let body = json!({
        "status": if fault.is_some() { "unhealthy" } else { "healthy" },
        "role": "coordinator",
        "node_id": core.member.id(),
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": core.started.elapsed().as_secs(),
        "reason": fault,
    });
    (status, Json(body)).into_response()
}

async fn ready(State(core): State<Arc<Core>>) -> Response {
    let reasons = core.not_ready();
    if reasons.is_empty() {
        return Json(json!({"status": "ready"})).into_response();
    }
    let body = json!({"status": "not_ready", "reasons": reasons});
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

async fn metrics(State(core): State<Arc<Core>>, headers: HeaderMap) -> Response {
    if core.options.door.protect_metrics
        && let Err(refused) = allow(&core, &headers, Role::Metrics)
    {
        return refused.into_response();
    }
    let state = core.member.state();
    let gauges = [
        (names::SERVER_UP, 1),
        (names::SERVER_READY, u64::from(core.not_ready().is_empty())),
        (names::PLACEMENT_VERSION, state.placement().version.0),
        (names::CATALOG_VERSION, state.catalog().version()),
        (names::PARTITIONS_UNDER_REPLICATED, state.under_replicated() as u64),
        (names::PARTITIONS_UNAVAILABLE, crate::policy::failover::unavailable(&state) as u64),
        (names::MOVES_UNDER_WAY, state.moves().len() as u64),
        (names::COORDINATOR_LEADS, u64::from(core.member.leads())),
        (names::MEMORY_LIMIT, core.options.door.memory_limit),
        (names::MEMORY_USED, gauges::resident_bytes().unwrap_or(0)),
        (names::CPU_LIMIT, gauges::cores() as u64),
    ];
    // Written here, not through the process's recorder: several coordinators may share a process.
    let mut text = String::new();
    for (name, value) in gauges {
        let _string_never_fails = writeln!(text, "# TYPE {name} gauge\n{name} {value}");
    }
    let (name, seconds) = (names::PROCESS_CPU, gauges::cpu_time().as_secs());
    let _string_never_fails = writeln!(text, "# TYPE {name} counter\n{name} {seconds}");
    ([(header::CONTENT_TYPE, PROMETHEUS)], text).into_response()
}

async fn cluster(State(core): State<Arc<Core>>, headers: HeaderMap) -> Response {
    match allow(&core, &headers, Role::Admin) {
        Ok(()) => Json(core.status()).into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// Keys of this role may look. Before the first key is made, only a door on loopback is open.
fn allow(core: &Core, headers: &HeaderMap, least: Role) -> Result<(), (StatusCode, &'static str)> {
    if core.options.door.no_auth {
        return Ok(());
    }
    let state = core.member.state();
    let lines: Vec<String> = state.keys().filter_map(|key| serde_json::to_string(key).ok()).collect();
    if lines.is_empty() && core.file_keys.is_none() {
        let open = core.options.bind.is_loopback();
        return if open { Ok(()) } else { Err((StatusCode::FORBIDDEN, "no API key was made yet\n")) };
    }
    let Some(key) = key_of(headers) else {
        return Err((StatusCode::UNAUTHORIZED, "this needs an API key\n"));
    };
    let ring = Keyring::parse(&lines.join("\n")).unwrap_or_default();
    let of_file = || core.file_keys.as_ref()?.authenticate(&Credentials::Bearer(key.clone())).ok();
    match ring.find(&key, None).or_else(of_file) {
        Some(subject) if subject.role >= least => Ok(()),
        _ => Err((StatusCode::FORBIDDEN, "this API key may not do this\n")),
    }
}

fn key_of(headers: &HeaderMap) -> Option<String> {
    if let Some(key) = headers.get("X-ClickHouse-Key") {
        return key.to_str().ok().map(str::to_owned);
    }
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    if let Some(key) = value.strip_prefix("Bearer ") {
        return Some(key.trim().to_owned());
    }
    let decoded = STANDARD.decode(value.strip_prefix("Basic ")?.trim()).ok()?;
    let pair = String::from_utf8(decoded).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}
