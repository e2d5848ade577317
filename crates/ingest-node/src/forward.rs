//! Statements to a storage node: one after the other in turn, a session always to the same while the nodes stay.
//!
//! Promises: a node that cannot be connected to is passed over, and so is one that goes, or is called dead, before its
//! answer begins if the statement only reads; a statement that may change something and was sent is not sent again; the answer streams and is
//! not looked into. An answer that breaks off there, or whose node is called dead, breaks off here, and a client that goes
//! ends the work there.

mod connect;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use futures::{StreamExt, stream};
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, Method, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use xxhash_rust::xxh3::xxh3_64;
use zepto_common::metric_names::DDL_FORWARD_FAILURES;
use zepto_common::{Error, ErrorCode, Result};
use zepto_http::statement::StatementKind;
use zepto_http::{Forward, ForwardedStatement};
use zepto_tls::PeerTls;

use crate::agreed::Agreed;
use connect::DoorConnector;

/// How long connecting to a storage node may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// Idle connections kept per storage node.
const IDLE_MAX: usize = 32;
/// How long; less than a door keeps them.
const IDLE_TIME_MAX: Duration = Duration::from_secs(20);

/// Headers that are about one connection and not about the statement.
const OF_ONE_CONNECTION: [HeaderName; 6] = [CONNECTION, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// Why a storage node's answer did not begin.
#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error("{0}")]
    Broken(hyper_util::client::legacy::Error),
    #[error("the coordinators call it dead")]
    Dead,
}

impl Silence {
    /// Whether the statement has certainly not reached it.
    fn was_not_sent(&self) -> bool {
        matches!(self, Self::Broken(error) if error.is_connect())
    }
}

/// The way to the storage nodes.
pub(crate) struct Forwarder {
    agreed: Arc<Agreed>,
    client: Client<DoorConnector, Body>,
    next: AtomicUsize,
}

impl Forwarder {
    pub(crate) fn new(agreed: Arc<Agreed>, tls: Option<Arc<PeerTls>>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIME_MAX));
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_idle_timeout(IDLE_TIME_MAX)
            .build(DoorConnector::new(connector, tls));
        Self { agreed, client, next: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Forward for Forwarder {
    async fn forward(&self, statement: ForwardedStatement) -> Result<Response<Body>> {
        let changes = StatementKind::changes_catalog(statement.sql.as_bytes());
        let answer = self.ask_in_turn(&statement).await;
        if changes && answer.is_err() {
            metrics::counter!(DDL_FORWARD_FAILURES).increment(1);
        }
        answer
    }
}

impl Forwarder {
    /// Asks one storage node after the other until an answer begins.
    async fn ask_in_turn(&self, statement: &ForwardedStatement) -> Result<Response<Body>> {
        let doors = self.agreed.doors();
        let reads = statement.read_only || StatementKind::of(statement.sql.as_bytes()).reads();
        let session = statement.session.as_ref().map(|id| xxh3_64(id.as_bytes()) as usize);
        let first = session.unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed));
        let mut last = "no storage node is active".to_owned();
        for index in 0..doors.len() {
            let (node, address) = &doors[first.wrapping_add(index) % doors.len()];
            let alive = self.agreed.alive(*node);
            let asked = self.client.request(request(statement, address)?);
            let asked = async {
                tokio::select! {
                    biased;
                    answer = asked => answer.map_err(Silence::Broken),
                    // Its connection may stand for long, and nothing comes of it any more.
                    () = self.agreed.clone().gone(*node, alive) => Err(Silence::Dead),
                }
            };
            match tokio::time::timeout_at(statement.deadline.into(), asked).await {
                Ok(Ok(answer)) => {
                    let gone = self.agreed.clone().gone(*node, alive);
                    return Ok(cleaned(answer.map(|body| while_alive(Body::new(body), gone))));
                }
                Ok(Err(error)) if reads || error.was_not_sent() => {
                    last = format!("storage node {node} cannot be reached");
                    tracing::warn!(%node, address, %error, "a storage node cannot be reached");
                }
                Ok(Err(error)) => {
                    let message =
                        format!("storage node {node} took the statement and did not answer: {error}");
                    return Err(Error::new(ErrorCode::SocketTimeout, message));
                }
                Err(_) => {
                    let message = format!("storage node {node} did not answer in time");
                    return Err(Error::new(ErrorCode::TimeoutExceeded, message));
                }
            }
        }
        Err(Error::new(ErrorCode::NotReady, format!("{last}: try again")))
    }
}

/// The body, broken off when its node is gone: whose network is cut sends no end, and the client would wait for its own
/// deadline.
fn while_alive(body: Body, gone: impl Future<Output = ()> + Send + 'static) -> Body {
    let begin = Some((body.into_data_stream(), Box::pin(gone)));
    let chunks = stream::unfold(begin, |reading| async {
        let (mut body, mut gone) = reading?;
        let next = tokio::select! {
            biased;
            next = body.next() => next?,
            () = &mut gone => Err(axum::Error::new(Silence::Dead)),
        };
        let reading = next.is_ok().then_some((body, gone));
        Some((next, reading))
    });
    Body::from_stream(chunks)
}

/// A parameter of the URL as it stands there.
fn parameter<'a>(statement: &'a ForwardedStatement, name: &str) -> Option<&'a str> {
    let pairs = statement.uri.query().unwrap_or_default().split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// The statement for a door: its text was inflated and put together from URL and body, so it goes as plain body. A form
/// goes inflated and otherwise as it came, beside the text in the URL.
fn request(statement: &ForwardedStatement, address: &str) -> Result<Request<Body>> {
    let kept = |pair: &&str| match pair.split('=').next().unwrap_or_default() {
        "query" => statement.read_only || statement.form.is_some(),
        "decompress" => statement.read_only,
        _ => true,
    };
    let mut query: Vec<&str> = statement
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|it| !it.is_empty())
        .filter(kept)
        .collect();
    let id = format!("query_id={}", statement.query_id);
    if parameter(statement, "query_id").is_none() {
        query.push(&id);
    }
    let (method, body) = match (statement.read_only, &statement.form) {
        (true, _) => (Method::GET, Body::empty()),
        (false, None) => (Method::POST, Body::from(statement.sql.clone())),
        (false, Some(form)) => {
            let chunks = form.clone().into_iter().map(Ok::<_, Infallible>);
            (Method::POST, Body::from_stream(stream::iter(chunks)))
        }
    };
    let built =
        Request::builder().method(method).uri(format!("{}/?{}", url(address), query.join("&"))).body(body);
    let mut request =
        built.map_err(|error| Error::internal(format!("a statement for {address}: {error}")))?;
    *request.headers_mut() = statement.headers.clone();
    for name in [CONTENT_LENGTH, CONTENT_ENCODING, EXPECT] {
        request.headers_mut().remove(name);
    }
    without_connection(request.headers_mut());
    Ok(request)
}

/// A node whose door speaks TLS says so in its address.
fn url(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("http://{address}") }
}

fn without_connection(headers: &mut HeaderMap) {
    for name in OF_ONE_CONNECTION {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

fn cleaned(mut answer: Response<Body>) -> Response<Body> {
    without_connection(answer.headers_mut());
    answer
}
