//! Answers with ClickHouse's headers.

use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use zepto_common::Error;
use zepto_common::error::Retry;
use zepto_common::service::Progress;

use crate::exception::exception_text;
use crate::native;

pub(crate) const QUERY_ID: HeaderName = HeaderName::from_static("x-clickhouse-query-id");
pub(crate) const FORMAT: HeaderName = HeaderName::from_static("x-clickhouse-format");
pub(crate) const TIMEZONE: HeaderName = HeaderName::from_static("x-clickhouse-timezone");
pub(crate) const SUMMARY: HeaderName = HeaderName::from_static("x-clickhouse-summary");
/// How far the statement was when there was nothing to send yet; may come several times.
pub(crate) const PROGRESS: HeaderName = HeaderName::from_static("x-clickhouse-progress");
pub(crate) const EXCEPTION_CODE: HeaderName = HeaderName::from_static("x-clickhouse-exception-code");
pub(crate) const EXCEPTION_TAG: HeaderName = HeaderName::from_static("x-clickhouse-exception-tag");
pub(crate) const DISPLAY_NAME: HeaderName = HeaderName::from_static("x-clickhouse-server-display-name");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What of a statement was taken but not done.
pub(crate) const WARNING: HeaderName = HeaderName::from_static("x-zepto-warning");

pub(crate) const TEXT: &str = "text/plain; charset=UTF-8";
pub(crate) const JSON: &str = "application/json; charset=UTF-8";

/// Longest warning that is sent, in bytes.
const WARNING_BYTES_MAX: usize = 1_024;
/// Most warnings that are sent.
const WARNINGS_MAX: usize = 16;

/// An answer of this status and text.
pub(crate) fn text(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer in JSON, with a line feed at its end.
pub(crate) fn json_reply(status: StatusCode, value: &Value) -> Response {
    text(status, JSON, format!("{value}\n"))
}

/// The answer to a request that failed before the first byte.
pub(crate) fn error_reply(error: &Error, version: &str) -> Response {
    packed_error_reply(error, version, false)
}

/// The same, its text in native blocks if the client asked for these.
pub(crate) fn packed_error_reply(error: &Error, version: &str, packed: bool) -> Response {
    broken_reply(error, TEXT, exception_text(error, version).into_bytes(), packed)
}

/// An answer that tells an error: with its status and headers over this body.
pub(crate) fn broken_reply(
    error: &Error,
    content_type: &'static str,
    mut body: Vec<u8>,
    packed: bool,
) -> Response {
    let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if packed {
        let plain = std::mem::take(&mut body);
        native::write_blocks(&plain, &mut body);
    }
    let mut response = text(status, content_type, body);
    let headers = response.headers_mut();
    headers.insert(EXCEPTION_CODE, HeaderValue::from(error.code.number()));
    if let Retry::After(time) = error.code.retry() {
        headers.insert(RETRY_AFTER, HeaderValue::from(time.as_secs().max(1)));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"ZeptoDB\", charset=\"UTF-8\""));
    }
    response
}

/// Puts a header whose value comes from outside, without what a header cannot hold.
pub(crate) fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let printable: String = value.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
    if let Ok(value) = HeaderValue::from_str(&printable) {
        headers.append(name, value);
    }
}

/// Puts the warnings, bounded in number and length.
pub(crate) fn put_warnings(headers: &mut HeaderMap, warnings: &[String]) {
    for warning in warnings.iter().take(WARNINGS_MAX) {
        let short: String = warning.chars().take(WARNING_BYTES_MAX).collect();
        put(headers, WARNING, &short);
    }
}

/// The numbers of `X-ClickHouse-Summary`, all as strings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) read_rows: u64,
    pub(crate) read_bytes: u64,
    pub(crate) total_rows: u64,
    pub(crate) written_rows: u64,
    pub(crate) written_bytes: u64,
    pub(crate) result_rows: u64,
    pub(crate) result_bytes: u64,
    /// Rows of an INSERT that were stored before under the same token; told only when there are any.
    pub(crate) duplicate_rows: u64,
    /// Most bytes of memory that the statement held; told only when they were counted.
    pub(crate) memory_usage: u64,
}

impl Summary {
    pub(crate) fn of(progress: &Progress, result_rows: u64, result_bytes: u64) -> Self {
        let load = |value: &std::sync::atomic::AtomicU64| value.load(Ordering::Relaxed);
        Self {
            read_rows: load(&progress.read_rows),
            read_bytes: load(&progress.read_bytes),
            total_rows: load(&progress.total_rows),
            written_rows: load(&progress.written_rows),
            written_bytes: load(&progress.written_bytes),
            result_rows,
            result_bytes,
            memory_usage: load(&progress.memory_usage),
            ..Self::default()
        }
    }

    pub(crate) fn put(&self, headers: &mut HeaderMap, started: Instant) {
        headers.remove(&SUMMARY);
        put(headers, SUMMARY, &self.json(started));
    }

    /// The numbers as they stand in a header.
    pub(crate) fn json(&self, started: Instant) -> String {
        let elapsed = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut value = json!({
            "read_rows": self.read_rows.to_string(),
            "read_bytes": self.read_bytes.to_string(),
            "written_rows": self.written_rows.to_string(),
            "written_bytes": self.written_bytes.to_string(),
            "total_rows_to_read": self.total_rows.to_string(),
            "result_rows": self.result_rows.to_string(),
            "result_bytes": self.result_bytes.to_string(),
            "elapsed_ns": elapsed.to_string(),
            "real_time_microseconds": (elapsed / 1_000).to_string(),
        });
        if self.memory_usage > 0 {
            value["memory_usage"] = json!(self.memory_usage.to_string());
        }
        if self.duplicate_rows > 0 {
            value["duplicate_rows"] = json!(self.duplicate_rows.to_string());
        }
        value.to_string()
    }
}
