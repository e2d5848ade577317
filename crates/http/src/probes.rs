//! What orchestrators and collectors ask. None of it waits for a query or for storage.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::json;
use zepto_common::service::Role;

use crate::access;
use crate::door::Service;
use crate::reply::{self, TEXT};

/// Media type of the Prometheus text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn ping() -> Response {
    reply::text(StatusCode::OK, TEXT, "Ok.\n")
}

pub(crate) async fn health(State(service): State<Arc<Service>>) -> Response {
    let identity = service.identity();
    let fault = service.door.node.unhealthy();
    let status = if fault.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let mut body = json!({
        "status": if fault.is_some() { "unhealthy" } else { "healthy" },
        "role": identity.role,
        "node_id": identity.node_id,
        "version": identity.version,
        "uptime_seconds": identity.started.elapsed().as_secs(),
    });
    if let Some(fault) = fault {
        body["reason"] = json!(fault);
    }
    reply::json_reply(status, &body)
}

pub(crate) async fn ready(State(service): State<Arc<Service>>) -> Response {
    let mut reasons = service.door.node.not_ready();
    if reasons.is_empty() && service.shutdown.is_cancelled() {
        reasons.push("the node is shutting down".to_owned());
    }
    if reasons.is_empty() {
        return reply::json_reply(StatusCode::OK, &json!({"status": "ready"}));
    }
    let body = json!({"status": "not_ready", "reasons": reasons});
    reply::json_reply(StatusCode::SERVICE_UNAVAILABLE, &body)
}

pub(crate) async fn metrics(State(service): State<Arc<Service>>, request: Request) -> Response {
    if service.door.protect_metrics
        && let Err(error) = access::allow(&service, &request, Role::Metrics)
    {
        return reply::error_reply(&error, &service.identity().version);
    }
    service.door.node.refresh_gauges();
    reply::text(StatusCode::OK, PROMETHEUS, service.door.metrics.render())
}

pub(crate) async fn stats(State(service): State<Arc<Service>>, request: Request) -> Response {
    match access::allow_only(&service, &request, &[Role::Metrics, Role::Admin]) {
        Ok(()) => reply::json_reply(StatusCode::OK, &service.door.node.stats()),
        Err(error) => reply::error_reply(&error, &service.identity().version),
    }
}
