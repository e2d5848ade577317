//! Finds in a request what says who it is. Ways are never mixed: a request that uses two is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use zepto_common::auth::{Credentials, DEFAULT_USER};
use zepto_common::{Error, ErrorCode, Result};

use crate::params::Parameters;

const USER_HEADER: HeaderName = HeaderName::from_static("x-clickhouse-user");
const KEY_HEADER: HeaderName = HeaderName::from_static("x-clickhouse-key");

/// The credentials of a request: `Authorization`, else the ClickHouse headers, else the URL.
///
/// # Errors
/// `AuthenticationFailed` for a header that cannot be read, and for two ways at once.
pub fn credentials(headers: &HeaderMap, parameters: &Parameters) -> Result<Credentials> {
    let from_url = (parameters.get("user"), parameters.get("password"));
    let from_headers = (text(headers, &USER_HEADER)?, text(headers, &KEY_HEADER)?);
    let authorization = text(headers, &AUTHORIZATION)?;
    let ways = [authorization.is_some(), from_headers != (None, None), from_url != (None, None)];
    if ways.iter().filter(|used| **used).count() > 1 {
        return Err(failed(
            "credentials were sent in two ways: use one of Authorization, X-ClickHouse-User, URL",
        ));
    }
    if let Some(authorization) = authorization {
        return of_authorization(authorization);
    }
    let (user, password) = if ways[1] { from_headers } else { from_url };
    if (user, password) == (None, None) {
        return Ok(Credentials::None);
    }
    let user = user.unwrap_or(DEFAULT_USER).to_owned();
    Ok(Credentials::Password { user, password: password.unwrap_or_default().to_owned() })
}

fn of_authorization(value: &str) -> Result<Credentials> {
    let (scheme, rest) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Credentials::Bearer(rest.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(failed("the scheme of the Authorization header is neither Basic nor Bearer"));
    }
    let decoded = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
    let (user, password) =
        pair.ok_or_else(|| failed("the Basic credentials are not base64 of user:password"))?;
    Ok(Credentials::Password { user: user.to_owned(), password: password.to_owned() })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(failed(&format!("the header {name} was sent twice")));
    }
    value.to_str().map(Some).map_err(|_| failed(&format!("the header {name} is not printable ASCII")))
}

fn failed(what: &str) -> Error {
    Error::new(ErrorCode::AuthenticationFailed, format!("Authentication failed: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)], url: &str) -> Result<Credentials> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        credentials(&map, &Parameters::parse(url).unwrap())
    }

    fn password(user: &str, password: &str) -> Credentials {
        Credentials::Password { user: user.into(), password: password.into() }
    }

    #[test]
    fn each_way_is_understood() {
        assert_eq!(of(&[], "").unwrap(), Credentials::None);
        assert_eq!(of(&[("authorization", "Bearer zk_x")], "").unwrap(), Credentials::Bearer("zk_x".into()));
        assert_eq!(of(&[("authorization", "bAsIc ZGVmYXVsdDo=")], "").unwrap(), password("default", ""));
        assert_eq!(of(&[("authorization", "Basic YTpiOmM=")], "").unwrap(), password("a", "b:c"));
        let headers = [("x-clickhouse-user", "u"), ("x-clickhouse-key", "")];
        assert_eq!(of(&headers, "").unwrap(), password("u", ""));
        assert_eq!(of(&[("x-clickhouse-key", "k")], "").unwrap(), password("default", "k"));
        assert_eq!(of(&[], "user=u&password=p%20q").unwrap(), password("u", "p q"));
        assert_eq!(of(&[], "password=p").unwrap(), password("default", "p"));
    }

    #[test]
    fn two_ways_at_once_and_broken_headers_are_refused() {
        for (headers, url) in [
            (vec![("authorization", "Bearer x"), ("x-clickhouse-user", "u")], ""),
            (vec![("authorization", "Bearer x")], "user=u"),
            (vec![("x-clickhouse-user", "u")], "password=p"),
            (vec![("authorization", "Digest x")], ""),
            (vec![("authorization", "Basic !!!")], ""),
            (vec![("authorization", "Basic eA==")], ""),
            (vec![("authorization", "Basic /w==")], ""),
            (vec![("authorization", "Bearer x"), ("authorization", "Bearer y")], ""),
            (vec![("authorization", "Bearer \u{FC}")], ""),
            (vec![("authorization", "")], ""),
        ] {
            let error = of(&headers, url).unwrap_err();
            assert_eq!(error.code, ErrorCode::AuthenticationFailed, "{headers:?} {url}");
        }
    }
}
