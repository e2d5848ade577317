//! Accepts connections and drives them: HTTP/1.1 and HTTP/2, plain or TLS, bounded in number and time, finished
//! in order when the node leaves.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zepto_common::limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_STREAMS_MAX};
use zepto_common::metric_names::HTTP_SESSIONS;

use crate::connection::{Flushes, TimedIo};
use crate::door::{Door, Service};
use crate::long_uri::LongUri;
use crate::routes::Routes;

/// Wait after an accept that failed, for example because the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Distance of the looks at the key file and the certificate.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// Longest distance of the pings on an HTTP/2 connection, and longest wait for the answer to one.
const HTTP2_PING: Duration = Duration::from_secs(20);

/// Serves the door on this listener until `shutdown` fires and the requests in flight are finished, or their
/// time is over. Give it a runtime of its own: `/health` and `/metrics` then answer however busy the queries'
/// runtime is.
///
/// # Errors
/// The listener's, when it has no local address; single connections' faults end only themselves.
pub async fn serve(listener: TcpListener, door: Door, shutdown: CancellationToken) -> io::Result<()> {
    serve_until_closed(listener, door, shutdown, CancellationToken::new()).await
}

/// As [`serve`]; `closed` fires as soon as no connection is taken any more, so that another door can take over the
/// socket while this one finishes what it has begun.
///
/// # Errors
/// As [`serve`].
pub async fn serve_until_closed(
    listener: TcpListener,
    door: Door,
    shutdown: CancellationToken,
    closed: CancellationToken,
) -> io::Result<()> {
    let _closed = closed.clone().drop_guard();
    let address = listener.local_addr()?;
    tracing::info!(%address, tls = door.tls.is_some(), open = door.auth.is_open(), "HTTP door opened");
    let service = Service::new(door, shutdown.clone());
    let server =
        Arc::new(Server { routes: Routes::new(service.clone()), builder: builder(&service), service });
    let tasks = TaskTracker::new();
    tasks.spawn(server.clone().refresh());
    server.accept(&listener, &tasks).await;
    drop(listener);
    closed.cancel();
    tasks.close();
    let time = server.service.door.limits.shutdown_time;
    if timeout(time, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "closed with requests in flight: their time was over");
    }
    Ok(())
}

struct Server {
    service: Arc<Service>,
    routes: Routes,
    builder: Builder<TokioExecutor>,
}

fn builder(service: &Service) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(service.door.limits.head_time)
        .max_buf_size(HTTP_HEAD_BYTES_MAX)
        .max_headers(HTTP_HEADERS_MAX)
        .keep_alive(true);
    let ping = HTTP2_PING.min(service.door.limits.head_time);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(ping)
        .keep_alive_timeout(ping)
        .max_concurrent_streams(HTTP_STREAMS_MAX)
        .max_header_list_size(HTTP_HEAD_BYTES_MAX as u32)
        .adaptive_window(true);
    builder
}

impl Server {
    async fn accept(self: &Arc<Self>, listener: &TcpListener, tasks: &TaskTracker) {
        let permits = Arc::new(Semaphore::new(self.service.door.limits.connections));
        let shutdown = &self.service.shutdown;
        loop {
            let accepted = async {
                let permit = permits.clone().acquire_owned().await.map_err(io::Error::other)?;
                Ok::<_, io::Error>((permit, listener.accept().await?.0))
            };
            let accepted = tokio::select! {
                () = shutdown.cancelled() => return,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((permit, stream)) => {
                    let server = self.clone();
                    tasks.spawn(async move {
                        let sessions = metrics::gauge!(HTTP_SESSIONS);
                        sessions.increment(1);
                        server.connection(stream).await;
                        sessions.decrement(1);
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "accept failed");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(&self, stream: TcpStream) {
        // Answers are written whole, so nothing is won by waiting for more; a failure only costs latency.
        let _ = stream.set_nodelay(true);
        let limits = &self.service.door.limits;
        let flushes = Arc::new(Flushes::default());
        let io = TimedIo::new(stream, limits.head_time, limits.stall, flushes.clone());
        let Some(tls) = &self.service.door.tls else { return self.drive(io, flushes).await };
        match timeout(limits.handshake_time, tls.acceptor().accept(io)).await {
            Ok(Ok(io)) => self.drive(io, flushes).await,
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }

    async fn drive<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, io: T, flushes: Arc<Flushes>) {
        let handler = service_fn(|request: http::Request<hyper::body::Incoming>| {
            let (routes, flushes) = (self.routes.clone(), flushes.clone());
            async move { Ok::<_, Infallible>(routes.answer(request.map(Body::new), flushes).await) }
        });
        let io = LongUri::new(io, self.service.identity().version.clone());
        let connection = self.builder.serve_connection(TokioIo::new(io), handler);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.service.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended early");
        }
    }

    /// Looks at the key file and the certificate until shutdown.
    async fn refresh(self: Arc<Self>) {
        let mut ticks = interval(REFRESH_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.service.shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            self.service.sessions.expire(std::time::Instant::now());
            let door = self.service.door.clone();
            let looked = tokio::task::spawn_blocking(move || {
                report("API keys", door.auth.refresh());
                if let Some(tls) = &door.tls {
                    report("TLS certificate", tls.refresh());
                }
            });
            if let Err(error) = looked.await {
                tracing::error!(%error, "the look at keys and certificates failed");
            }
        }
    }
}

fn report(what: &str, outcome: zepto_common::Result<bool>) {
    match outcome {
        Ok(true) => tracing::info!("{what} read again"),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "{what} changed but cannot be used, the former ones stay"),
    }
}
