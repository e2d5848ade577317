//! A statement that the query service runs, and its result as a stream of bytes.
//!
//! The first bytes are held back for a moment (under `wait_end_of_query` for longer): a result that ends by then
//! comes whole with its final numbers, and an error by then has its own status. Past that an error is told inside
//! the answer and the connection is dropped. Nothing is read ahead: a client that reads slowly slows the query.

mod progress;
mod rows;
mod tail;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zepto_common::limits::{QUEUE_WAIT, RESULT_HEAD_BYTES, RESULT_HEAD_TIME};
use zepto_common::service::{Answer, Progress};
use zepto_common::{Error, ErrorCode, Result};
use zepto_formats::{Format, FormatSettings};

use super::Call;
use super::exceptions::{self, Break};
use crate::deflate::{Deflate, Encoding};
use crate::exception::{exception_words, fresh_tag};
use crate::reply::{self, EXCEPTION_TAG, FORMAT, Summary};
use crate::sessions::{Lease, Remembered};
use crate::settings::DATABASE;
use crate::statement::StatementKind;
use progress::Notes;
use rows::Rows;
use tail::Tail;

/// Answers smaller than this are not worth compressing.
const COMPRESS_FROM_BYTES: usize = 1_024;

/// The plain bytes of a result.
type Plain = BoxStream<'static, Result<Bytes, Break>>;

/// The beginning of a result.
struct Head {
    bytes: Vec<u8>,
    /// It is all there is.
    whole: bool,
    /// Its end tells this error.
    fault: Option<Error>,
}

impl Call {
    /// Runs a statement and answers with its result.
    pub(super) async fn select(self: &Arc<Self>, sql: &str, kind: StatementKind) -> Result<Response> {
        let cancel = CancellationToken::new();
        // Dropped with the answer's body or with this future when the client goes: the statement then ends.
        let guard = cancel.clone().drop_guard();
        let context = self.context(sql, kind, cancel);
        let time = self.query_time();
        let answer = timeout(time + QUEUE_WAIT, self.service.door.queries.run(sql, context)).await;
        let Answer { rows, beside, format, settings, progress, warnings } = answer
            .unwrap_or_else(|_| Err(Error::new(ErrorCode::TimeoutExceeded, "the statement took too long")))?;
        let Some((schema, batches)) = rows else {
            if let Some(lease) = self.lease.as_ref().filter(|_| StatementKind::is_of_session(sql.as_bytes()))
            {
                self.keep_for_session(lease, &settings)?;
            }
            let mut response = reply::text(StatusCode::OK, reply::TEXT, "");
            Summary::of(&progress, 0, 0).put(response.headers_mut(), self.started);
            reply::put_warnings(response.headers_mut(), &warnings);
            return Ok(response);
        };
        let format = self.format(format.as_deref())?;
        let mut merged = self.settings.settings.clone();
        merged.extend(settings);
        if let Some(revision) = self.settings.native_revision {
            merged.insert("client_protocol_version".to_owned(), revision.to_string());
        }
        let encoder = zepto_formats::encoder(format, schema.clone(), &FormatSettings::from_map(&merged)?)?;
        let inside = exceptions::stand_inside(format, &merged);
        let until = tokio::time::Instant::from_std(self.started) + time + QUEUE_WAIT;
        let rows = Rows::new(self, (encoder, inside), (batches, beside), progress.clone(), until, guard);
        let mut plain = rows.into_stream();
        let mut notes = Notes::new(self.settings.progress_interval, self.started, progress.clone());
        let head = notes.during(self.head(&mut plain)).await?;
        let mut response = match &head.fault {
            Some(error) => {
                let body = match self.settings.wait_end_of_query {
                    // Who waits for the end gets no rows of a result that has none.
                    true => exceptions::document(format, schema, &merged, &self.words(error))?,
                    false => head.bytes,
                };
                self.broken_in_format(error, format, body)
            }
            None => self.respond(head, plain, &progress).await?,
        };
        let headers = response.headers_mut();
        notes.put(headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        headers.insert(FORMAT, HeaderValue::from_static(format.name()));
        reply::put_warnings(headers, &warnings);
        Ok(response)
    }

    /// FORMAT of the statement, else the request's, else TabSeparated.
    pub(super) fn format(&self, clause: Option<&str>) -> Result<Format> {
        match clause.or(self.settings.default_format.as_deref()) {
            Some(name) => Format::parse(name),
            None => Ok(Format::TabSeparated),
        }
    }

    /// Lets the session remember what `SET` or `USE` said, if a later request can be run with it.
    fn keep_for_session(&self, lease: &Lease, said: &Remembered) -> Result<()> {
        let mut settings = said.clone();
        settings.remove(DATABASE);
        let (params, settings) = settings.into_iter().partition(|(name, _)| name.starts_with("param_"));
        self.settings.with_clause(&settings)?.with_params(&params)?;
        lease.remember(said)
    }

    /// How many bytes of the answer are held back, and whether for as long as they take.
    fn hold(&self) -> (usize, bool) {
        let most = self.service.door.limits.result_wait_bytes;
        match (self.settings.wait_end_of_query, self.settings.buffer_size) {
            (true, _) => (most, true),
            (false, Some(wanted)) if wanted > 0 => {
                (usize::try_from(wanted).map_or(most, |wanted| wanted.min(most)), true)
            }
            (false, _) => (RESULT_HEAD_BYTES, false),
        }
    }

    fn words(&self, error: &Error) -> String {
        exception_words(error, &self.service.identity().version)
    }

    /// Reads the bytes that are held back.
    async fn head(&self, plain: &mut Plain) -> Result<Head> {
        let (most, wait) = self.hold();
        let mut bytes = Vec::new();
        loop {
            let next = plain.next();
            // Until there is a first byte there is nothing that the client could be shown earlier.
            let next =
                if wait || bytes.is_empty() { Ok(next.await) } else { timeout(RESULT_HEAD_TIME, next).await };
            match next {
                Ok(Some(Ok(part))) if bytes.is_empty() => bytes = part.into(),
                Ok(Some(Ok(part))) => bytes.extend_from_slice(&part),
                Ok(Some(Err(Break { words: None, error }))) => return Err(error),
                Ok(Some(Err(Break { words: Some(words), error }))) => {
                    bytes.extend_from_slice(&words);
                    return Ok(Head { bytes, whole: true, fault: Some(error) });
                }
                Ok(None) => return Ok(Head { bytes, whole: true, fault: None }),
                Err(_) => return Ok(Head { bytes, whole: false, fault: None }),
            }
            if bytes.len() > most {
                return Ok(Head { bytes, whole: false, fault: None });
            }
        }
    }

    async fn respond(&self, head: Head, plain: Plain, progress: &Progress) -> Result<Response> {
        let small = head.whole && head.bytes.len() < COMPRESS_FROM_BYTES;
        let encoding =
            if small && self.encoding != Encoding::Native { Encoding::Identity } else { self.encoding };
        let tag = fresh_tag();
        let rows = progress.result_rows.load(Ordering::Relaxed);
        let summary = Summary::of(progress, rows, head.bytes.len() as u64);
        let tail = Tail::new(self, Deflate::of(encoding)?, tag.clone());
        let body = if head.whole {
            Body::from(tail.compress_whole(head.bytes).await?)
        } else {
            Body::from_stream(self.flushes.clone().before_breaks(tail.into_stream(head.bytes, plain)))
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        reply::put(headers, EXCEPTION_TAG, &tag);
        summary.put(headers, self.started);
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        if let Some(name) = encoding.name() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        Ok(response)
    }
}
