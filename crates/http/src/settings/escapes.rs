//! The escapes of `param_<name>`: TabSeparated's for a single value; for an array, tuple or map those of the quoted
//! texts within it, which stay as they are until its literal is read.
//!
//! The table of escapes is ClickHouse's, asked character by character.

use zepto_common::{Error, ErrorCode, Result};

/// Types whose values are literals with quotes of their own.
const CONTAINERS: &[&str] = &["Array", "Tuple", "Map", "Nested"];

/// Undoes TabSeparated's escapes: `\N` alone is NULL. A backslash before a control character, a quote, `/` or `=`
/// goes, before a letter that means nothing it stays.
///
/// # Errors
/// `CannotParseEscapeSequence` for a cut `\x`, `BadArguments` for bytes that are not UTF-8.
pub(super) fn unescape(value: &str) -> Result<Option<String>> {
    if value == "\\N" {
        return Ok(None);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'b') => out.push(0x08),
            Some(b'f') => out.push(0x0C),
            Some(b'a') => out.push(0x07),
            Some(b'v') => out.push(0x0B),
            Some(b'e') => out.push(0x1B),
            Some(b'0') => out.push(0),
            Some(b'N') => {}
            Some(b'x') => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    let text = "Cannot parse escape sequence: \\x needs two hexadecimal digits";
                    return Err(Error::new(ErrorCode::CannotParseEscapeSequence, text));
                };
                out.push((high * 16 + low) as u8);
            }
            Some(other @ (0..0x20 | b'"' | b'\'' | b'/' | b'=' | b'\\' | b'`')) => out.push(other),
            Some(other) => out.extend_from_slice(&[b'\\', other]),
            None => out.push(b'\\'),
        }
    }
    let text = String::from_utf8(out);
    text.map(Some).map_err(|_| Error::new(ErrorCode::BadArguments, "a parameter's value is not UTF-8"))
}

/// Whether the statement takes the parameter of this name as an array, a tuple or a map.
pub(super) fn is_container(statement: &str, name: &str) -> bool {
    let mut rest = statement;
    while let Some(open) = rest.find('{') {
        rest = &rest[open + 1..];
        let ty = rest.trim_start().strip_prefix(name).map(str::trim_start);
        let ty = ty.and_then(|behind| behind.strip_prefix(':')).map(str::trim_start);
        if ty.is_some_and(|ty| CONTAINERS.iter().any(|container| ty.starts_with(container))) {
            return true;
        }
    }
    false
}
