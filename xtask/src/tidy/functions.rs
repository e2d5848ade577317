//! Finds functions and their lengths in Rust source.

use super::source;

/// A function found in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// Line of its `fn`, from 1.
    pub(super) line: usize,
    /// Lines from `fn` to the closing brace.
    pub(super) lines: usize,
}

/// The functions with more lines than `limit`.
pub(super) fn longer_than(text: &str, limit: usize) -> Vec<Function> {
    let blank = source::blanked(text);
    let mut found = all(&blank);
    found.retain(|function| function.lines > limit);
    found
}

fn all(blank: &str) -> Vec<Function> {
    let bytes = blank.as_bytes();
    let mut found = Vec::new();
    for (at, _) in blank.match_indices("fn ") {
        let starts_word = at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let name: String =
            blank[at + 3..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(&bytes[at..]) {
            let line = count_lines(&bytes[..at]) + 1;
            let lines = count_lines(&bytes[at..at + end]) + 1;
            found.push(Function { name, line, lines });
        }
    }
    found
}

/// Offset of the brace that closes the body; None for a declaration without one.
fn body_end(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut nested) = (0_usize, 0_usize);
    for (i, byte) in bytes.iter().enumerate() {
        match byte {
            b'(' | b'[' if depth == 0 => nested += 1,
            b')' | b']' if depth == 0 => nested = nested.saturating_sub(1),
            b';' if depth == 0 && nested == 0 => return None,
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
    }
    None
}

fn count_lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}
