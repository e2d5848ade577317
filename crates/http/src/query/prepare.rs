//! From a request's head, and the form that its body may be, to a call.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method};
use zepto_common::service::Role;
use zepto_common::{Error, ErrorCode, Result};

use super::form::{self, Form};
use super::source::Source;
use super::{Call, Head, Told, fresh_query_id};
use crate::access;
use crate::body::{RawBody, inflate_for};
use crate::connection::Flushes;
use crate::credentials::credentials;
use crate::deflate::Encoding;
use crate::door::Service;
use crate::external;
use crate::inflate::Inflate;
use crate::params::Parameters;
use crate::sessions::{Lease, Wanted};
use crate::settings::RequestSettings;

/// The call that a request makes and the text behind it; `also` names parameters that this route takes. The body is
/// left where it is when the request is refused before it was needed.
///
/// # Errors
/// Those of identity, settings, session and form.
pub(super) async fn prepare(
    service: &Arc<Service>,
    parts: Parts,
    body: &mut Option<Body>,
    also: &[&str],
    told: &mut Told,
) -> Result<(Call, Source)> {
    let headers = &parts.headers;
    let mut parameters = Parameters::parse(parts.uri.query().unwrap_or_default())?;
    told.packed = parameters.has_flag("compress");
    let subject = service.door.auth.authenticate(&credentials(headers, &parameters)?)?;
    let read_only = parts.method != Method::POST;
    let (form, no_body) = match form_type(headers) {
        Some(_) if !also.is_empty() => {
            let text = "this path takes no multipart/form-data: send the rows as the body";
            return Err(Error::new(ErrorCode::NotImplemented, text));
        }
        Some(content_type) if !read_only => {
            access::require(&subject, Role::Reader)?;
            let body = body.take().unwrap_or_default();
            (read_form(service, headers, body, content_type, &mut parameters).await?, true)
        }
        _ => (Form::default(), read_only),
    };
    let lease = match Wanted::of(&parameters)? {
        Some(wanted) => Some(Arc::new(service.sessions.take(&subject.name, wanted, Instant::now())?)),
        None => None,
    };
    let settings = read_settings(lease.as_deref(), &parameters, headers, also)?;
    let source = source(service, &settings, headers, body, no_body, parameters)?;
    let accept = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let encoding = match (settings.packed, settings.compression) {
        (true, _) => Encoding::Native,
        (false, true) => Encoding::choose(accept),
        (false, false) => Encoding::Identity,
    };
    let query_id = settings.query_id.clone().unwrap_or_else(fresh_query_id);
    told.query_id.clone_from(&query_id);
    told.cors = settings.cors;
    let flushes = parts.extensions.get::<Arc<Flushes>>().cloned().unwrap_or_default();
    let (service, started, form) = (service.clone(), Instant::now(), Arc::new(form));
    let is_form = !read_only && form_type(headers).is_some();
    let head = Arc::new(Head { uri: parts.uri, headers: parts.headers, form: is_form });
    let call = Call {
        service,
        subject,
        settings,
        query_id,
        encoding,
        read_only,
        started,
        flushes,
        form,
        lease,
        head,
        ending: Arc::default(),
    };
    Ok((call, source))
}

/// The request's settings over those of its session.
fn read_settings(
    lease: Option<&Lease>,
    parameters: &Parameters,
    headers: &HeaderMap,
    also: &[&str],
) -> Result<RequestSettings> {
    match lease {
        Some(lease) => RequestSettings::read_over(lease.remembered(), parameters, headers, also),
        None => RequestSettings::read(parameters, headers, also),
    }
}

/// The text of the request; no body when it was a form or the method has none.
fn source(
    service: &Service,
    settings: &RequestSettings,
    headers: &HeaderMap,
    body: &mut Option<Body>,
    no_body: bool,
    parameters: Parameters,
) -> Result<Source> {
    let limits = &service.door.limits;
    let time = settings.max_execution_time.unwrap_or(limits.query_time);
    let deadline = tokio::time::Instant::now() + time.min(limits.insert_time.max(limits.query_time));
    let inflate = match no_body {
        false => inflate_for(headers, parameters.has_flag("decompress"))?,
        true => Inflate::of(None)?,
    };
    let body = if no_body { None } else { body.take() };
    let raw = RawBody::new(body.unwrap_or_default(), headers, limits.stall, deadline)?;
    Ok(Source::new(raw, inflate, parameters))
}

/// Reads a form; its fields are parameters then, those about tables used up.
async fn read_form(
    service: &Service,
    headers: &HeaderMap,
    body: Body,
    content_type: &str,
    parameters: &mut Parameters,
) -> Result<Form> {
    let limits = &service.door.limits;
    let deadline = tokio::time::Instant::now() + limits.query_time;
    let inflate = inflate_for(headers, parameters.has_flag("decompress"))?;
    let mut raw = RawBody::new(body, headers, limits.stall, deadline)?;
    let form = form::read(service, &mut raw, inflate, content_type, parameters).await;
    raw.drain().await;
    parameters.retain(|name| !external::is_about_a_table(name));
    form
}

/// The `Content-Type` of a form.
fn form_type(headers: &HeaderMap) -> Option<&str> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data").then_some(kind)
}
