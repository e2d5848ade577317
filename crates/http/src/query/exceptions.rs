//! `http_write_exception_in_output_format`: an exception that stands inside the answer's format, where that has a place
//! for it ([`Format::holds_exceptions`]); in all others it is told as without the setting.
//!
//! A document that ends so is whole as JSON and never as a result: it has the member, the object or the lone text of the exception.
//! Before the first byte is sent it comes with the exception's status and code.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use zepto_common::{Error, Result};
use zepto_formats::{Format, FormatSettings};

use super::Call;
use crate::deflate::Encoding;
use crate::exception::exception_words;
use crate::reply::{self, FORMAT};

const SETTING: &str = "http_write_exception_in_output_format";

/// Whether the exception of a result in this format is told inside it.
pub(super) fn stand_inside(format: Format, settings: &BTreeMap<String, String>) -> bool {
    format.holds_exceptions() && zepto_common::settings::is_on(settings, SETTING)
}

/// A result without rows that ends with the exception.
pub(super) fn document(
    format: Format,
    schema: SchemaRef,
    settings: &BTreeMap<String, String>,
    words: &str,
) -> Result<Vec<u8>> {
    let mut encoder = zepto_formats::encoder(format, schema, &FormatSettings::from_map(settings)?)?;
    let mut out = Vec::new();
    encoder.begin(&mut out)?;
    encoder.exception(words, &mut out);
    Ok(out)
}

/// Why a result ends before its end.
pub(super) struct Break {
    pub(super) error: Error,
    /// What ends it in its format; none where the format has no place for it, or the setting is off.
    pub(super) words: Option<Bytes>,
}

impl From<Error> for Break {
    fn from(error: Error) -> Self {
        Self { error, words: None }
    }
}

impl Call {
    /// The answer to a statement that failed before it had a result, told in the format of the statement's end or else the
    /// request's; None where that format has no place for it, or nobody asked for it.
    pub(super) fn told_in_format(&self, error: &Error) -> Option<Response> {
        let ending = self.ending.get().cloned().unwrap_or_default();
        let mut settings = self.settings.settings.clone();
        settings.extend(ending.settings);
        let format = self.format(ending.format.as_deref()).ok()?;
        if !stand_inside(format, &settings) {
            return None;
        }
        let words = exception_words(error, &self.service.identity().version);
        let body = document(format, Arc::new(Schema::empty()), &settings, &words).ok()?;
        Some(self.broken_in_format(error, format, body))
    }

    /// An answer with the exception's status that tells it in this body.
    pub(super) fn broken_in_format(&self, error: &Error, format: Format, body: Vec<u8>) -> Response {
        let packed = self.encoding == Encoding::Native;
        let mut response = reply::broken_reply(error, format.content_type(), body, packed);
        response.headers_mut().insert(FORMAT, HeaderValue::from_static(format.name()));
        response
    }
}
