//! Who may: the subject of a request and the role that a route or a statement needs.

use axum::extract::Request;
use zepto_common::auth::Subject;
use zepto_common::service::Role;
use zepto_common::{Error, ErrorCode, Result};

use crate::credentials::credentials;
use crate::door::Service;
use crate::params::Parameters;

/// Recognises the sender of a request and checks its role.
///
/// # Errors
/// As [`zepto_common::auth::Authenticator::authenticate`] and [`require`]; `BadArguments` for a broken URL.
pub(crate) fn allow(service: &Service, request: &Request, least: Role) -> Result<Subject> {
    let parameters = Parameters::parse(request.uri().query().unwrap_or_default())?;
    let subject = service.door.auth.authenticate(&credentials(request.headers(), &parameters)?)?;
    require(&subject, least)?;
    Ok(subject)
}

/// Recognises the sender of a request and checks that its role is one of these, whatever roles are below it.
///
/// # Errors
/// As [`allow`].
pub(crate) fn allow_only(service: &Service, request: &Request, roles: &[Role]) -> Result<()> {
    let subject = allow(service, request, Role::Metrics)?;
    if roles.contains(&subject.role) {
        return Ok(());
    }
    let names: Vec<_> = roles.iter().map(|role| name_of(*role)).collect();
    let text = format!(
        "{}: Not enough privileges. One of the roles {} is needed, this key has the role {}",
        subject.name,
        names.join(", "),
        name_of(subject.role)
    );
    Err(Error::new(ErrorCode::AccessDenied, text))
}

/// Checks that the subject has this role or one above it.
///
/// # Errors
/// `AccessDenied` naming the role that is missing.
pub(crate) fn require(subject: &Subject, least: Role) -> Result<()> {
    if subject.role >= least {
        return Ok(());
    }
    let text = format!(
        "{}: Not enough privileges. The role {} is needed, this key has the role {}",
        subject.name,
        name_of(least),
        name_of(subject.role)
    );
    Err(Error::new(ErrorCode::AccessDenied, text))
}

/// The role as the key file spells it.
pub(crate) fn name_of(role: Role) -> &'static str {
    match role {
        Role::Metrics => "metrics",
        Role::Reader => "reader",
        Role::Writer => "writer",
        Role::Admin => "admin",
    }
}

/// The role of this spelling.
///
/// # Errors
/// `BadArguments` naming the roles there are.
pub(crate) fn role_named(name: &str) -> Result<Role> {
    let roles = [Role::Metrics, Role::Reader, Role::Writer, Role::Admin];
    roles.into_iter().find(|role| name_of(*role) == name).ok_or_else(|| {
        Error::new(ErrorCode::BadArguments, "the parameter role is one of metrics, reader, writer, admin")
    })
}
