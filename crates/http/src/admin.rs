//! Routes for operators: running statements, settings, version, snapshots, and who one is.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};
use zepto_common::Result;
use zepto_common::auth::Subject;
use zepto_common::service::Role;

use crate::access;
use crate::door::Service;
use crate::params::Parameters;
use crate::reply;

type Shared = State<Arc<Service>>;

/// Answers with JSON if the sender has the role, else with the error.
fn answer(service: &Service, value: Result<Value>) -> Response {
    match value {
        Ok(value) => reply::json_reply(StatusCode::OK, &value),
        Err(error) => reply::error_reply(&error, &service.identity().version),
    }
}

fn admin(service: &Service, request: &Request) -> Result<Subject> {
    access::allow(service, request, Role::Admin)
}

pub(crate) async fn whoami(State(service): Shared, request: Request) -> Response {
    let subject = access::allow(&service, &request, Role::Metrics);
    answer(&service, subject.map(|s| json!({"subject": s.name, "role": access::name_of(s.role)})))
}

pub(crate) async fn queries(State(service): Shared, request: Request) -> Response {
    let allowed = admin(&service, &request);
    answer(&service, allowed.map(|_| json!({"queries": service.door.queries.running()})))
}

pub(crate) async fn kill(State(service): Shared, Path(id): Path<String>, request: Request) -> Response {
    if let Err(error) = admin(&service, &request) {
        return reply::error_reply(&error, &service.identity().version);
    }
    let killed = service.door.queries.kill(&id);
    let status = if killed { StatusCode::OK } else { StatusCode::NOT_FOUND };
    reply::json_reply(status, &json!({"query_id": id, "killed": killed}))
}

pub(crate) async fn settings(State(service): Shared, request: Request) -> Response {
    let allowed = admin(&service, &request);
    answer(&service, allowed.map(|_| service.door.node.settings()))
}

pub(crate) async fn version(State(service): Shared, request: Request) -> Response {
    let identity = service.identity();
    let value = json!({
        "version": identity.version,
        "role": identity.role,
        "node_id": identity.node_id,
        "uptime_seconds": identity.started.elapsed().as_secs(),
    });
    answer(&service, admin(&service, &request).map(|_| value))
}

pub(crate) async fn create_snapshot(State(service): Shared, request: Request) -> Response {
    let parameters =
        admin(&service, &request).and_then(|_| Parameters::parse(request.uri().query().unwrap_or_default()));
    // A request cannot be shared between threads, so it is gone before the wait.
    drop(request);
    let made = match parameters {
        Ok(parameters) => service.door.node.create_snapshot(parameters.get("name")).await,
        Err(error) => Err(error),
    };
    answer(&service, made)
}

pub(crate) async fn snapshots(State(service): Shared, request: Request) -> Response {
    let allowed = admin(&service, &request);
    drop(request);
    let node = service.door.node.clone();
    // Lists a folder, so not on the reactor.
    let listed = match allowed {
        Ok(_) => service.work(false, move || node.snapshots()).await.flatten(),
        Err(error) => Err(error),
    };
    answer(&service, listed)
}
