//! A request's body as it comes from the socket: bounded in size and in silence.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};
use zepto_common::limits::{BODY_BYTES_MAX, HTTP_CHUNK_BYTES, HTTP_DRAIN_BYTES_MAX, HTTP_DRAIN_TIME_MAX};
use zepto_common::{Error, ErrorCode, Result};

use crate::inflate::Inflate;

/// The bytes of a body, as sent.
pub(crate) struct RawBody {
    body: Body,
    received: u64,
    ended: bool,
    stall: Duration,
    deadline: Instant,
}

impl RawBody {
    /// A body that must give its next bytes within `stall` each, and end before `deadline`.
    ///
    /// # Errors
    /// `QueryIsTooLarge` for a declared length beyond the bound.
    pub(crate) fn new(body: Body, headers: &HeaderMap, stall: Duration, deadline: Instant) -> Result<Self> {
        let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if declared.and_then(|text| text.parse::<u64>().ok()).is_some_and(|length| length > BODY_BYTES_MAX) {
            return Err(too_large());
        }
        Ok(Self { body, received: 0, ended: false, stall, deadline })
    }

    /// Bytes that are certainly still to come; 0 where the length was not declared.
    pub(crate) fn left(&self) -> u64 {
        http_body::Body::size_hint(&self.body).lower()
    }

    /// Moves the end of the whole body.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// The next bytes as they come from the socket; None at the end.
    ///
    /// # Errors
    /// `TimeoutExceeded` when the peer is silent too long, `IncorrectData` when the body breaks off.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        while !self.ended {
            let until = self.deadline.min(Instant::now() + self.stall);
            let frame = timeout_at(until, self.body.frame()).await;
            let frame =
                frame.map_err(|_| Error::new(ErrorCode::TimeoutExceeded, "the body did not come in time"))?;
            let Some(frame) = frame else {
                self.ended = true;
                break;
            };
            let frame = frame.map_err(|error| {
                Error::new(ErrorCode::IncorrectData, format!("the body broke off: {error}"))
            })?;
            // Trailers carry nothing that is used here.
            let Ok(data) = frame.into_data() else { continue };
            self.received += data.len() as u64;
            if self.received > BODY_BYTES_MAX {
                return Err(too_large());
            }
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// Bytes gathered until there are about [`HTTP_CHUNK_BYTES`] or the body ends; None at the end.
    ///
    /// # Errors
    /// As [`Self::chunk`].
    pub(crate) async fn gather(&mut self) -> Result<Option<Bytes>> {
        let Some(first) = self.chunk().await? else { return Ok(None) };
        if first.len() >= HTTP_CHUNK_BYTES {
            return Ok(Some(first));
        }
        let Some(second) = self.chunk().await? else { return Ok(Some(first)) };
        let mut gathered = BytesMut::with_capacity(HTTP_CHUNK_BYTES.max(first.len() + second.len()));
        gathered.extend_from_slice(&first);
        gathered.extend_from_slice(&second);
        while gathered.len() < HTTP_CHUNK_BYTES {
            match self.chunk().await? {
                Some(next) => gathered.extend_from_slice(&next),
                None => break,
            }
        }
        Ok(Some(gathered.freeze()))
    }

    /// Reads and forgets the rest, within bounds, so that a client that is still sending sees the answer.
    pub(crate) async fn drain(&mut self) {
        let limit = self.received + HTTP_DRAIN_BYTES_MAX;
        let rest = async { while self.received < limit && matches!(self.chunk().await, Ok(Some(_))) {} };
        // Past the bound the connection is closed by hyper, which is all that is left to do.
        let _ = timeout(HTTP_DRAIN_TIME_MAX, rest).await;
    }
}

/// Reads and forgets a body that nobody has begun to read, within the same bounds.
pub(crate) async fn drain(body: Body) {
    let deadline = Instant::now() + HTTP_DRAIN_TIME_MAX;
    RawBody { body, received: 0, ended: false, stall: HTTP_DRAIN_TIME_MAX, deadline }.drain().await;
}

/// The decompressor that the headers ask for; with `native`, `decompress=1`, that of ClickHouse's blocks.
///
/// # Errors
/// As [`Inflate::of`]; also for a header that is not text or comes twice. `NotImplemented` for both ways at once.
pub(crate) fn inflate_for(headers: &HeaderMap, native: bool) -> Result<Inflate> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    let first = values.next().map(|value| value.to_str().unwrap_or("?"));
    if values.next().is_some() {
        return Err(Error::new(ErrorCode::UnknownCompressionMethod, "Content-Encoding was sent twice"));
    }
    let inflate = Inflate::of(first)?;
    match (native, inflate.is_identity()) {
        (false, _) => Ok(inflate),
        (true, true) => Ok(Inflate::native()),
        (true, false) => {
            let text = "decompress=1 together with Content-Encoding is not supported, use one of them";
            Err(Error::new(ErrorCode::NotImplemented, text))
        }
    }
}

fn too_large() -> Error {
    Error::new(ErrorCode::QueryIsTooLarge, format!("the body has more than {BODY_BYTES_MAX} bytes"))
}
