//! Regular expressions.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringViewArray, UInt64Array};
use datafusion::common::Result;
use regex::{Match, Regex};
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::shape::check_made;
use crate::functions::more::lists;
use crate::functions::scalar::{Call, Scalar, fault};
use crate::functions::{Plan, Row, row};

/// A pattern as RE2 reads it, in ClickHouse's way.
pub(crate) fn compile(pattern: &str) -> Result<Regex> {
    // ClickHouse's `.` matches a line's end too.
    Regex::new(&format!("(?s){}", as_re2(pattern))).map_err(|error| {
        fault(ErrorCode::CannotCompileRegexp, format!("Cannot compile '{pattern}': {error}"))
    })
}

/// RE2's classes and borders of words are ASCII's, and in its brackets there are neither sets in sets nor operations of sets.
fn as_re2(pattern: &str) -> Cow<'_, str> {
    if !pattern.contains(['\\', '[']) {
        return Cow::Borrowed(pattern);
    }
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut letters = pattern.chars().peekable();
    let (mut inside, mut first) = (false, false);
    while let Some(letter) = letters.next() {
        let begins = std::mem::take(&mut first);
        match letter {
            '\\' => match letters.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str("[\\t\\n\\f\\r ]"),
                Some('S') => out.push_str("[^\\t\\n\\f\\r ]"),
                Some(border @ ('b' | 'B')) if !inside => {
                    out.extend(["(?-u:\\", border.encode_utf8(&mut [0; 4]), ")"])
                }
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '[' if inside && letters.peek() == Some(&':') => out.push('['),
            '[' if inside => out.push_str("\\["),
            '[' => {
                (inside, first) = (true, true);
                out.push('[');
                if letters.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
            }
            ']' if inside && !begins => {
                inside = false;
                out.push(']');
            }
            '&' | '~' if inside => out.extend(['\\', letter]),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// One compiled pattern per run of equal patterns: they are nearly always constant.
fn with_regex<T>(
    patterns: &StringViewArray,
    rows: usize,
    mut body: impl FnMut(&Regex, usize) -> Result<T>,
) -> Result<Vec<Option<T>>> {
    let mut last: Option<(String, Regex)> = None;
    let mut out = Vec::with_capacity(rows);
    for row in 0..rows {
        if patterns.is_null(row) {
            out.push(None);
            continue;
        }
        let pattern = patterns.value(row);
        if last.as_ref().is_none_or(|(text, _)| text != pattern) {
            last = Some((pattern.to_owned(), compile(pattern)?));
        }
        out.push(match &last {
            Some((_, regex)) => Some(body(regex, row)?),
            None => None,
        });
    }
    Ok(out)
}

pub(super) fn matches(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, patterns) = (call.texts(0)?, call.texts(1)?);
    let found = with_regex(&patterns, call.rows, |regex, row| {
        Ok(texts.is_valid(row) && regex.is_match(texts.value(row)))
    })?;
    Ok(Arc::new(BooleanArray::from(found)))
}

pub(super) fn extract(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, patterns) = (call.texts(0)?, call.texts(1)?);
    let found = with_regex(&patterns, call.rows, |regex, row| {
        let text = if texts.is_valid(row) { texts.value(row) } else { "" };
        let part = regex.captures(text).and_then(|captures| captures.get(usize::from(captures.len() > 1)));
        Ok(part.map_or_else(String::new, |part| part.as_str().to_owned()))
    })?;
    Ok(Arc::new(StringViewArray::from_iter(found)))
}

pub(super) fn replace_regex(call: &Call<'_>, all: bool) -> Result<ArrayRef> {
    let (texts, patterns, to) = (call.texts(0)?, call.texts(1)?, call.texts(2)?);
    let mut meter = call.meter();
    let made = with_regex(&patterns, call.rows, |regex, row| {
        let text = if texts.is_valid(row) { texts.value(row) } else { "" };
        // Without a pattern there is nothing to be replaced.
        if patterns.value(row).is_empty() {
            meter.take(text.len())?;
            return Ok(text.to_owned());
        }
        let to = regex_replacement(if to.is_valid(row) { to.value(row) } else { "" });
        if all {
            // Each place becomes the replacement, with its groups, none of which is longer than the place.
            let groups = to.matches("${").count();
            let made = regex.find_iter(text).map(|place| to.len() + groups * place.len());
            check_made(made.fold(text.len(), usize::saturating_add))?;
        }
        let made = if all { regex.replace_all(text, to.as_str()) } else { regex.replace(text, to.as_str()) };
        meter.take(made.len())?;
        Ok(made.into_owned())
    })?;
    Ok(Arc::new(StringViewArray::from_iter(made)))
}

/// `\1` becomes `${1}`; `$` is text.
fn regex_replacement(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                out.push_str("${");
                out.push(*digit);
                out.push('}');
                chars.next();
            }
            ('\\', Some('\\')) => {
                out.push('\\');
                chars.next();
            }
            ('$', _) => out.push_str("$$"),
            _ => out.push(c),
        }
    }
    out
}

/// `countMatches(s, pattern)`: matches of nothing do not count.
fn count_matches(call: &Call<'_>) -> Result<ArrayRef> {
    let (texts, patterns) = (call.texts(0)?, call.texts(1)?);
    let counts = with_regex(&patterns, call.rows, |regex, row| {
        let text = if texts.is_valid(row) { texts.value(row) } else { "" };
        Ok(regex.find_iter(text).filter(|found| !found.is_empty()).count() as u64)
    })?;
    Ok(Arc::new(UInt64Array::from_iter(counts)))
}

/// The groups of the first match.
fn groups(call: &Call<'_>) -> Result<ArrayRef> {
    let patterns = call.texts(1)?;
    let last: RefCell<Option<(String, Regex)>> = RefCell::new(None);
    lists(call, 0, |text, row| {
        let pattern = patterns.value(row);
        let mut last = last.borrow_mut();
        if last.as_ref().is_none_or(|(known, _)| known != pattern) {
            *last = Some((pattern.to_owned(), compile(pattern)?));
        }
        let Some((_, regex)) = last.as_ref() else { return Ok(Vec::new()) };
        if regex.captures_len() < 2 {
            let message = format!("There are no groups in the pattern '{pattern}'");
            return Err(fault(ErrorCode::BadArguments, message));
        }
        let part = |part: Option<Match<'_>>| part.map_or_else(String::new, |part| part.as_str().to_owned());
        Ok(regex.captures(text).map(|all| all.iter().skip(1).map(part).collect()).unwrap_or_default())
    })
}

/// Groups of patterns.
pub(crate) const GROUPS: &[Row] = &[
    row(
        "extractGroups",
        &[],
        "extractGroups(s, pattern)",
        "The groups of the first match.",
        Plan::Scalar(Scalar::pure((2, 2), |_| Ok(ColumnType::Array(Box::new(ColumnType::String))), groups)),
    ),
    row(
        "__count_matches",
        &[],
        "",
        "",
        Plan::Scalar(Scalar::pure((2, 2), |_| Ok(ColumnType::UInt64), count_matches)),
    ),
];
