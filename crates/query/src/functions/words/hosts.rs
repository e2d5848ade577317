//! Parts of addresses as ClickHouse cuts them: by single bytes, without regard to what an address may look like. Pure.

/// Bytes that no address has in front of its path.
const NEVER: &[u8] = b" \t<>%{}|\\^~[];=&";

/// Bytes of a scheme that are looked at.
const SCHEME_BYTES_MAX: usize = 16;

/// Where the part behind `//` begins; None when the front cannot be an address.
fn authority(url: &[u8]) -> Option<usize> {
    if url.starts_with(b"//") {
        return Some(2);
    }
    let seen = &url[..url.len().min(SCHEME_BYTES_MAX)];
    let end = seen.iter().skip(1).position(|b| !b.is_ascii_alphanumeric() && !b".-+".contains(b));
    match end.map(|at| at + 1) {
        Some(at) if NEVER.contains(&url[at]) => None,
        Some(at) if seen[at..].starts_with(b"://") => Some(at + 3),
        _ => Some(0),
    }
}

/// The host with a dot in it; empty when there is none.
pub(super) fn host(url: &str) -> &str {
    let bytes = url.as_bytes();
    if bytes.is_empty() || url.ends_with('.') {
        return "";
    }
    let Some(front) = authority(bytes) else { return "" };
    let (mut start, mut dot, mut end) = (front, None, bytes.len());
    for (at, byte) in bytes.iter().enumerate().skip(front) {
        match byte {
            b'.' => dot = Some(at),
            b':' | b'/' | b'?' | b'#' => {
                end = at;
                break;
            }
            b'@' => start = at + 1,
            byte if NEVER.contains(byte) => return "",
            _ => {}
        }
    }
    match dot {
        Some(dot) if start < end && dot + 1 < end => url.get(start..end).unwrap_or(""),
        _ => "",
    }
}

/// What stands behind the host's last dot; an IPv4 address has nothing there.
pub(super) fn top_level(url: &str) -> &str {
    let last = host(url).rsplit_once('.').map_or("", |(_, last)| last);
    if last.starts_with(|first: char| first.is_ascii_digit()) { "" } else { last }
}

/// The host without its `www.`.
pub(super) fn without_www(url: &str) -> &str {
    let host = host(url);
    host.strip_prefix("www.").unwrap_or(host)
}

/// From the first slash that is not one of `//`.
pub(super) fn path_with_rest(url: &str) -> &str {
    let Some(slash) = url.find('/') else { return "" };
    let rest = match url[slash..].strip_prefix("//") {
        Some(rest) => rest,
        None => return &url[slash..],
    };
    rest.find('/').map_or("", |at| &rest[at..])
}

/// The path alone.
pub(super) fn path(url: &str) -> &str {
    path_with_rest(url).split(['?', '#']).next().unwrap_or_default()
}

/// The scheme: a letter, then letters, digits, `+`, `-` and `.`, before a colon.
pub(super) fn scheme(url: &str) -> &str {
    let Some((name, rest)) = url.split_once(':') else { return "" };
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if begins && fits && (rest.starts_with("//") || name.eq_ignore_ascii_case("mailto")) { name } else { "" }
}

/// Who and where: user, host and port, up to a byte that no address has.
pub(super) fn netloc(url: &str) -> &str {
    let rest = url.split_once("//").map_or(url, |(_, rest)| rest);
    let end = rest.bytes().position(|byte| b"/?#".contains(&byte) || NEVER.contains(&byte));
    let odd = end.is_some_and(|at| NEVER.contains(&rest.as_bytes()[at]));
    match end {
        Some(_) if odd && rest.len() == url.len() => "",
        Some(at) => &rest[..at],
        None => rest,
    }
}
