//! Paths to handlers, and what every answer gets: an id, the server's name, a count; and a caught panic.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{any, delete, get, post};
use futures::FutureExt;
use http::{HeaderName, StatusCode, Version};
use tower::ServiceExt;
use zepto_common::Error;
use zepto_common::metric_names::HTTP_REQUESTS;

use crate::connection::Flushes;
use crate::door::Service;
use crate::reply::{self, DISPLAY_NAME, REQUEST_ID};
use crate::settings::ID_BYTES_MAX;
use crate::{admin, probes, query, snapshots};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// What a client is told to idle less than it may.
const KEEP_ALIVE_MARGIN_SECONDS: u64 = 5;

/// The router of one door.
#[derive(Clone)]
pub(crate) struct Routes {
    router: Router,
    service: Arc<Service>,
}

impl Routes {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        let router = Router::new()
            .route("/", any(query::statement))
            .route("/ping", get(probes::ping))
            .route("/replicas_status", get(probes::ping))
            .route("/health", get(probes::health))
            .route("/ready", get(probes::ready))
            .route("/metrics", get(probes::metrics))
            .route("/stats", get(probes::stats))
            .route("/whoami", get(admin::whoami))
            .route("/insert/arrow", post(query::insert_arrow))
            .route("/insert/msgpack", post(query::insert_msgpack))
            .route("/admin/queries", get(admin::queries))
            .route("/admin/queries/{id}", delete(admin::kill))
            .route("/admin/keys", get(admin::keys).post(admin::create_key))
            .route("/admin/keys/{id}", delete(admin::revoke_key))
            .route("/admin/nodes", get(admin::nodes))
            .route("/admin/nodes/{id}", delete(admin::drain_node))
            .route("/admin/rebalance/status", get(admin::rebalance_status))
            .route("/admin/rebalance/history", get(admin::rebalance_history))
            .route("/admin/rebalance/start", post(admin::resume_rebalance))
            .route("/admin/rebalance/pause", post(admin::pause_rebalance))
            .route("/admin/rebalance/resume", post(admin::resume_rebalance))
            .route("/admin/rebalance/cancel", post(admin::cancel_rebalance))
            .route("/admin/rebalance/force-owner", post(admin::force_owner))
            .route("/admin/cluster", get(admin::cluster))
            .route("/admin/feeds", get(admin::feeds))
            .route("/admin/settings", get(admin::settings))
            .route("/admin/version", get(admin::version))
            .route("/admin/snapshot", post(snapshots::create_snapshot))
            .route("/admin/snapshots", get(snapshots::snapshots))
            .route("/admin/snapshots/{name}", get(snapshots::snapshot).delete(snapshots::remove_snapshot))
            .route("/admin/snapshots/{name}/{*file}", get(snapshots::snapshot_file))
            .fallback(no_handle)
            .method_not_allowed_fallback(wrong_method)
            .with_state(service.clone());
        Self { router, service }
    }

    /// Answers one request; never fails.
    pub(crate) async fn answer(&self, mut request: Request, flushes: Arc<Flushes>) -> Response {
        let id = request_id(&request);
        let label = label(request.uri().path());
        let is_http1 = request.version() < Version::HTTP_2;
        request.extensions_mut().insert(flushes);
        let answered = AssertUnwindSafe(Box::pin(self.router.clone().oneshot(request))).catch_unwind().await;
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(panic) => self.panicked(&id, &*panic),
        };
        let headers = response.headers_mut();
        reply::put(headers, REQUEST_ID, &id);
        reply::put(headers, DISPLAY_NAME, &self.service.identity().display_name);
        if is_http1 {
            // Less than the bound in force, so that a client does not send into a connection that just closes.
            let idle = self.service.door.limits.head_time.as_secs().saturating_sub(KEEP_ALIVE_MARGIN_SECONDS);
            reply::put(headers, KEEP_ALIVE, &format!("timeout={}", idle.max(1)));
        }
        let code = response.status().as_u16().to_string();
        metrics::counter!(HTTP_REQUESTS, "route" => label, "code" => code).increment(1);
        response
    }

    fn panicked(&self, id: &str, panic: &(dyn Any + Send)) -> Response {
        let what = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let what = what.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        tracing::error!(request = id, panic = %what, "a request handler panicked");
        let error = Error::internal(format!("the server made a mistake on request {id}; its log says more"));
        reply::error_reply(&error, &self.service.identity().version)
    }
}

/// The client's `X-Request-Id` when it can be echoed, else a fresh one.
fn request_id(request: &Request) -> String {
    let sent = request.headers().get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    match sent.filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX) {
        Some(id) => id.to_owned(),
        None => format!("r_{}", uuid::Uuid::new_v4().simple()),
    }
}

/// The route's name among the metrics: one of few, whatever paths are asked for.
fn label(path: &str) -> &'static str {
    const KNOWN: &[&str] = &[
        "/",
        "/ping",
        "/replicas_status",
        "/health",
        "/ready",
        "/metrics",
        "/stats",
        "/whoami",
        "/insert/arrow",
        "/insert/msgpack",
        "/admin/queries",
        "/admin/keys",
        "/admin/nodes",
        "/admin/rebalance",
        "/admin/cluster",
        "/admin/feeds",
        "/admin/settings",
        "/admin/version",
        "/admin/snapshot",
        "/admin/snapshots",
    ];
    let listed = ["/admin/queries", "/admin/keys", "/admin/nodes", "/admin/rebalance"];
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let path = match path.strip_prefix("/admin/snapshots/") {
        Some(_) => "/admin/snapshots",
        None if listed.contains(&parent) => parent,
        None => path,
    };
    KNOWN.iter().copied().find(|known| *known == path).unwrap_or("other")
}

async fn no_handle(request: Request<Body>) -> Response {
    let path: String = request.uri().path().chars().take(256).collect();
    let help = "Use / or /ping for health checks.\nOr /replicas_status for more sophisticated health checks.\n\n\
        Send queries with the POST method or by GET /?query=...\n";
    reply::text(StatusCode::NOT_FOUND, reply::TEXT, format!("There is no handle {path}\n\n{help}"))
}

async fn wrong_method(State(_service): State<Arc<Service>>, request: Request<Body>) -> Response {
    let text = format!("The path {} does not take {}\n", request.uri().path(), request.method());
    reply::text(StatusCode::METHOD_NOT_ALLOWED, reply::TEXT, text)
}
