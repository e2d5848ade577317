//! Health, readiness, metrics and status over HTTP.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::net::TcpListener;
use zepto_common::auth::Keyring;
use zepto_common::metric_names as names;
use zepto_common::service::Role;

use super::{Core, StartError, after_grace};

/// Media type of the Prometheus text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn serve(core: Arc<Core>, listener: TcpListener) -> Result<(), StartError> {
    let routes = Router::new()
        .route("/ping", get(async || "Ok.\n"))
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/admin/cluster", get(cluster))
        .with_state(core.clone());
    let stopped = core.stop.clone().cancelled_owned();
    let served = tokio::select! {
        served = axum::serve(listener, routes).with_graceful_shutdown(stopped).into_future() => served,
        () = after_grace(&core) => Ok(()),
    };
    served.map_err(|error| StartError::Door(error.to_string()))
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

async fn metrics(State(core): State<Arc<Core>>) -> Response {
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
    ];
    // Written here, not through the process's recorder: several coordinators may share a process.
    let mut text = String::new();
    for (name, value) in gauges {
        let _string_never_fails = writeln!(text, "# TYPE {name} gauge\n{name} {value}");
    }
    ([(header::CONTENT_TYPE, PROMETHEUS)], text).into_response()
}

async fn cluster(State(core): State<Arc<Core>>, headers: HeaderMap) -> Response {
    match allow(&core, &headers) {
        Ok(()) => Json(core.status()).into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// Admin keys may look. Before the first key is made, only a door on loopback is open.
fn allow(core: &Core, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
    let state = core.member.state();
    let lines: Vec<String> = state.keys().filter_map(|key| serde_json::to_string(key).ok()).collect();
    if lines.is_empty() {
        let open = core.options.bind.is_loopback();
        return if open { Ok(()) } else { Err((StatusCode::FORBIDDEN, "no API key was made yet\n")) };
    }
    let Some(key) = key_of(headers) else {
        return Err((StatusCode::UNAUTHORIZED, "this needs an API key\n"));
    };
    let ring = Keyring::parse(&lines.join("\n")).unwrap_or_default();
    match ring.find(&key, None) {
        Some(subject) if subject.role == Role::Admin => Ok(()),
        _ => Err((StatusCode::FORBIDDEN, "this needs an admin's API key\n")),
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
