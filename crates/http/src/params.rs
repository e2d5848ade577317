//! The parameters of a URL: percent-decoding, strict and bounded.

use zepto_common::limits::HTTP_PARAMETERS_MAX;
use zepto_common::{Error, ErrorCode, Result};

/// Names and values in the order of the URL, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// Reads what stands after the `?`. `+` is a space; a parameter without `=` has an empty value.
    ///
    /// # Errors
    /// `BadArguments` for a broken escape, text that is not UTF-8, or too many parameters.
    pub fn parse(query: &str) -> Result<Self> {
        let mut pairs = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            if pairs.len() == HTTP_PARAMETERS_MAX {
                return Err(bad(&format!("the URL has more than {HTTP_PARAMETERS_MAX} parameters")));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((decode(name)?, decode(value)?));
        }
        Ok(Self { pairs })
    }

    /// The value of this name; of several the last.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().filter(|(key, _)| *key == name).map(|(_, value)| value).last()
    }

    /// Adds a parameter that came by another way than the URL.
    ///
    /// # Errors
    /// `BadArguments` when there are too many.
    pub fn push(&mut self, name: String, value: String) -> Result<()> {
        if self.pairs.len() == HTTP_PARAMETERS_MAX {
            return Err(bad(&format!("the request has more than {HTTP_PARAMETERS_MAX} parameters")));
        }
        self.pairs.push((name, value));
        Ok(())
    }

    /// Forgets the parameters whose names do not pass.
    pub fn retain(&mut self, pass: impl Fn(&str) -> bool) {
        self.pairs.retain(|(name, _)| pass(name));
    }

    /// Whether a flag of this name is set.
    #[must_use]
    pub fn has_flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("1" | "true"))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn decode(text: &str) -> Result<String> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Ok(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
                    _ => return Err(bad("the URL has a broken percent escape")),
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).map_err(|_| bad("the URL has a parameter that is not UTF-8"))
}

fn bad(what: &str) -> Error {
    Error::new(ErrorCode::BadArguments, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_plus_signs_are_decoded() {
        let parameters = Parameters::parse("query=SELECT%201%2B1&a=b+c&&empty&x=1=2&a=last").unwrap();
        assert_eq!(parameters.get("query"), Some("SELECT 1+1"));
        assert_eq!(parameters.get("a"), Some("last"));
        assert_eq!(parameters.get("empty"), Some(""));
        assert_eq!(parameters.get("x"), Some("1=2"));
        assert_eq!(parameters.get("none"), None);
    }

    #[test]
    fn broken_escapes_and_bytes_that_are_not_text_are_refused() {
        for query in ["a=%", "a=%4", "a=%zz", "%g0=1", "a=%ff%fe", "a=%c3"] {
            assert_eq!(Parameters::parse(query).unwrap_err().code, ErrorCode::BadArguments, "{query}");
        }
    }

    #[test]
    fn the_number_of_parameters_is_bounded() {
        assert!(Parameters::parse(&"a&".repeat(HTTP_PARAMETERS_MAX)).is_ok());
        assert!(Parameters::parse(&"a&".repeat(HTTP_PARAMETERS_MAX + 1)).is_err());
    }
}
