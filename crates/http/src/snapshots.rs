//! Routes for backups: snapshots are made, listed, read file by file, and removed.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, StatusCode};

use crate::admin::{Shared, admin, answer, asked};
use crate::door::{Service, StoredFile};
use crate::params::Parameters;
use crate::reply;

/// Bytes that are read, and held, at once.
const PIECE: usize = 256 << 10;
const BINARY: &str = "application/octet-stream";

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
    let listed = asked(&service, request, |door| door.node.snapshots()).await;
    answer(&service, listed)
}

/// `GET /admin/snapshots/<name>`: the snapshot and its files.
pub(crate) async fn snapshot(State(service): Shared, Path(name): Path<String>, request: Request) -> Response {
    let listed = asked(&service, request, move |door| door.node.snapshot(&name)).await;
    answer(&service, listed)
}

/// `GET /admin/snapshots/<name>/<file>`: the bytes of a file, whose number is told: an answer that is shorter was cut.
pub(crate) async fn snapshot_file(
    State(service): Shared,
    Path((name, file)): Path<(String, String)>,
    request: Request,
) -> Response {
    let opened = asked(&service, request, move |door| door.node.snapshot_file(&name, &file)).await;
    match opened {
        Ok(file) => {
            let length = HeaderValue::from(file.bytes());
            let body = Body::from_stream(pieces(service.clone(), Arc::from(file)));
            let mut response = reply::text(StatusCode::OK, BINARY, body);
            response.headers_mut().insert(CONTENT_LENGTH, length);
            response
        }
        Err(error) => answer(&service, Err(error)),
    }
}

/// The file, a piece at a time, each read when the one before is on its way.
fn pieces(service: Arc<Service>, file: Arc<dyn StoredFile>) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(0_u64, move |offset| {
        let (service, file) = (service.clone(), file.clone());
        async move {
            let left = file.bytes().saturating_sub(offset);
            if left == 0 {
                return Ok(None);
            }
            let read = service.work(false, move || {
                let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
                let read = file.read_at(&mut piece, offset)?;
                piece.truncate(read);
                Ok::<_, io::Error>(piece)
            });
            let piece = read.await.map_err(io::Error::other)??;
            if piece.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            let next = offset + piece.len() as u64;
            Ok(Some((Bytes::from(piece), next)))
        }
    })
}

/// `DELETE /admin/snapshots/<name>`.
pub(crate) async fn remove_snapshot(
    State(service): Shared,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let allowed = admin(&service, &request);
    drop(request);
    let removed = match allowed {
        Ok(subject) => {
            let removed = service.door.node.remove_snapshot(&name).await;
            removed.inspect(|_| tracing::info!(by = %subject.name, name, "a snapshot was removed"))
        }
        Err(error) => Err(error),
    };
    answer(&service, removed)
}
