//! Routes for operators: running statements, settings, version, API keys, and who one is.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use zepto_common::auth::Subject;
use zepto_common::service::Role;
use zepto_common::{Error, ErrorCode, Result};

use crate::access;
use crate::door::{Door, RebalanceChange, Service};
use crate::params::Parameters;
use crate::reply;

pub(crate) type Shared = State<Arc<Service>>;

/// Answers with JSON if the sender has the role, else with the error.
pub(crate) fn answer(service: &Service, value: Result<Value>) -> Response {
    match value {
        Ok(value) => reply::json_reply(StatusCode::OK, &value),
        Err(error) => reply::error_reply(&error, &service.identity().version),
    }
}

pub(crate) fn admin(service: &Service, request: &Request) -> Result<Subject> {
    access::allow(service, request, Role::Admin)
}

/// What an admin's question gives that reads files or folders, so not on the reactor.
pub(crate) async fn asked<T: Send + 'static>(
    service: &Service,
    request: Request,
    work: impl FnOnce(&Door) -> Result<T> + Send + 'static,
) -> Result<T> {
    let allowed = admin(service, &request);
    // A request cannot be shared between threads, so it is gone before the wait.
    drop(request);
    allowed?;
    let door = service.door.clone();
    service.work(false, move || work(&door)).await.flatten()
}

pub(crate) async fn whoami(State(service): Shared, request: Request) -> Response {
    let subject = access::allow(&service, &request, Role::Metrics);
    answer(&service, subject.map(|s| json!({"subject": s.name, "role": access::name_of(s.role)})))
}

pub(crate) async fn queries(State(service): Shared, request: Request) -> Response {
    let allowed = admin(&service, &request);
    drop(request);
    let listed = match allowed {
        Ok(_) => Ok(json!({"queries": service.door.queries.running_everywhere().await})),
        Err(error) => Err(error),
    };
    answer(&service, listed)
}

pub(crate) async fn kill(State(service): Shared, Path(id): Path<String>, request: Request) -> Response {
    if let Err(error) = admin(&service, &request) {
        return reply::error_reply(&error, &service.identity().version);
    }
    drop(request);
    let killed = service.door.queries.kill_everywhere(&id).await;
    let status = if killed { StatusCode::OK } else { StatusCode::NOT_FOUND };
    reply::json_reply(status, &json!({"query_id": id, "killed": killed}))
}

pub(crate) async fn settings(State(service): Shared, request: Request) -> Response {
    let allowed = admin(&service, &request);
    answer(&service, allowed.map(|_| service.door.node.settings()))
}

/// `GET /admin/nodes`.
pub(crate) async fn nodes(State(service): Shared, request: Request) -> Response {
    let allowed = admin(&service, &request);
    drop(request);
    let told = match allowed {
        Ok(_) => Ok(service.door.node.nodes().await),
        Err(error) => Err(error),
    };
    answer(&service, told)
}

/// `GET /admin/feeds`.
pub(crate) async fn feeds(State(service): Shared, request: Request) -> Response {
    let allowed = admin(&service, &request);
    answer(&service, allowed.map(|_| service.door.node.feeds()))
}

/// `GET /admin/cluster`.
pub(crate) async fn cluster(State(service): Shared, request: Request) -> Response {
    let allowed = admin(&service, &request);
    drop(request);
    let told = match allowed {
        Ok(_) => service.door.node.cluster().await,
        Err(error) => Err(error),
    };
    answer(&service, told)
}

/// `GET /admin/rebalance/status` and `history`: of what the coordinators tell, all but these parts.
async fn rebalance_without(service: &Service, request: Request, parts: &[&str]) -> Response {
    let allowed = admin(service, &request);
    drop(request);
    let told = match allowed {
        Ok(_) => service.door.node.rebalance().await,
        Err(error) => Err(error),
    };
    let told = told.map(|mut told| {
        if let Some(object) = told.as_object_mut() {
            object.retain(|name, _| !parts.contains(&name.as_str()));
        }
        told
    });
    answer(service, told)
}

pub(crate) async fn rebalance_status(State(service): Shared, request: Request) -> Response {
    rebalance_without(&service, request, &["history"]).await
}

pub(crate) async fn rebalance_history(State(service): Shared, request: Request) -> Response {
    rebalance_without(&service, request, &["moves", "handovers", "rebalancing"]).await
}

/// Asks the coordinators for the change that `wanted` reads off the request.
async fn change_rebalance(
    service: &Service,
    request: Request,
    wanted: impl FnOnce(&Request) -> Result<RebalanceChange>,
) -> Response {
    let wanted = admin(service, &request).and_then(|subject| Ok((subject, wanted(&request)?)));
    drop(request);
    let done = match wanted {
        Ok((subject, change)) => {
            let done = service.door.node.change_rebalance(change).await;
            done.inspect(|_| tracing::info!(by = %subject.name, ?change, "rebalancing changed"))
        }
        Err(error) => Err(error),
    };
    answer(service, done)
}

fn node_of(id: &str) -> Result<u32> {
    let wrong = |_| Error::new(ErrorCode::BadArguments, format!("a node's id is a number, not {id:.64}"));
    id.parse().map_err(wrong)
}

pub(crate) async fn pause_rebalance(State(service): Shared, request: Request) -> Response {
    change_rebalance(&service, request, |_| Ok(RebalanceChange::Pause)).await
}

/// `POST /admin/rebalance/resume` and `start`: rebalancing begins by itself, so that there is only a pause to end.
pub(crate) async fn resume_rebalance(State(service): Shared, request: Request) -> Response {
    change_rebalance(&service, request, |_| Ok(RebalanceChange::Resume)).await
}

/// `POST /admin/rebalance/cancel[?node=<id>]`: moves for balance, or the drain of this node.
pub(crate) async fn cancel_rebalance(State(service): Shared, request: Request) -> Response {
    let wanted = |request: &Request| {
        let parameters = Parameters::parse(request.uri().query().unwrap_or_default())?;
        match parameters.get("node") {
            Some(id) => Ok(RebalanceChange::Keep(node_of(id)?)),
            None => Ok(RebalanceChange::Cancel),
        }
    };
    change_rebalance(&service, request, wanted).await
}

/// `DELETE /admin/nodes/<id>`: the node gives all away. Answered when that is agreed on, not when it is done.
pub(crate) async fn drain_node(State(service): Shared, Path(id): Path<String>, request: Request) -> Response {
    change_rebalance(&service, request, |_| Ok(RebalanceChange::Drain(node_of(&id)?))).await
}

/// `POST /admin/rebalance/force-owner?partition=<number>&node=<id>&accept_loss=1`: the way out when no copy that has every row comes
/// back.
pub(crate) async fn force_owner(State(service): Shared, request: Request) -> Response {
    let wanted = |request: &Request| {
        let parameters = Parameters::parse(request.uri().query().unwrap_or_default())?;
        let number = |name: &str| {
            let missing = || Error::new(ErrorCode::BadArguments, format!("{name}=<number> is missing"));
            parameters.get(name).and_then(|text| text.parse().ok()).ok_or_else(missing)
        };
        let accept_loss = parameters.get("accept_loss").is_some_and(|it| it == "1");
        let (partition, node) = (number("partition")?, number("node")?);
        Ok(RebalanceChange::ForceOwner { partition, node, accept_loss })
    };
    change_rebalance(&service, request, wanted).await
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

/// `GET /admin/keys`: the keys without their hashes.
pub(crate) async fn keys(State(service): Shared, request: Request) -> Response {
    let listed = asked(&service, request, |door| door.auth.list()).await;
    answer(&service, listed.map(|keys| json!({ "keys": keys })))
}

/// `POST /admin/keys?name=…&role=…`: makes a key, which is in this answer and nowhere else.
pub(crate) async fn create_key(State(service): Shared, request: Request) -> Response {
    let wanted = admin(&service, &request).and_then(|subject| {
        let parameters = Parameters::parse(request.uri().query().unwrap_or_default())?;
        let missing =
            |what: &str| Error::new(ErrorCode::BadArguments, format!("the parameter {what} is missing"));
        let name = parameters.get("name").ok_or_else(|| missing("name"))?.to_owned();
        let role = access::role_named(parameters.get("role").ok_or_else(|| missing("role"))?)?;
        Ok((subject, name, role))
    });
    drop(request);
    let auth = service.door.auth.clone();
    let made = match wanted {
        Ok((subject, name, role)) => {
            let made = service.work(false, move || auth.create(&name, role)).await.flatten();
            made.inspect(|(_, key)| {
                tracing::info!(by = %subject.name, id = %key.id, name = %key.name, role = ?key.role, "API key made");
            })
        }
        Err(error) => Err(error),
    };
    let made = made.map(|(text, key)| {
        json!({"key": text, "id": key.id, "name": key.name, "role": key.role, "created": key.created})
    });
    let mut response = answer(&service, made);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `DELETE /admin/keys/<id>`: the key is refused from now on.
pub(crate) async fn revoke_key(State(service): Shared, Path(id): Path<String>, request: Request) -> Response {
    let allowed = admin(&service, &request);
    drop(request);
    let (auth, wanted) = (service.door.auth.clone(), id.clone());
    let revoked = match allowed {
        Ok(subject) => {
            let revoked = service.work(false, move || auth.revoke(&wanted)).await.flatten();
            revoked.inspect(|found| {
                tracing::info!(by = %subject.name, id = %id.escape_debug(), found, "API key revoked");
            })
        }
        Err(error) => Err(error),
    };
    match revoked {
        Ok(found) => {
            let status = if found { StatusCode::OK } else { StatusCode::NOT_FOUND };
            reply::json_reply(status, &json!({"id": id, "revoked": found}))
        }
        Err(error) => reply::error_reply(&error, &service.identity().version),
    }
}
