//! `JSON_VALUE`, `JSON_QUERY` and `JSON_EXISTS`: paths of the SQL standard as ClickHouse reads them: `$`, `.key`, `."key"`, `["key"]`,
//! `[1]`, `[0 to 2, 5]` (the end is left out), `[*]`. Places count from 0.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringViewArray};
use datafusion::common::Result;
use zepto_common::ErrorCode;
use zepto_common::types::ColumnType;

use super::value::Json;
use crate::functions::scalar::{Arguments, Call, Scalar, fault};
use crate::functions::{Plan, Row, row};

/// Most values that a path leads to on its way: one that names a place twice doubles them with each step.
const FOUND_MAX: usize = 1 << 16;

/// One step of a path.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    /// Places from the first up to the second, which is left out.
    Places(Vec<(usize, usize)>),
    All,
}

/// The steps of a path; None if it is none.
fn parse(text: &str) -> Option<Vec<Step>> {
    let mut rest = text.trim_start().strip_prefix('$')?;
    let mut steps = Vec::new();
    loop {
        rest = rest.trim_start();
        let step;
        (step, rest) = match rest.as_bytes().first() {
            None => return Some(steps),
            Some(b'.') => match rest[1..].strip_prefix('"') {
                Some(quoted) => quoted_key(quoted)?,
                None => bare_key(&rest[1..])?,
            },
            Some(b'[') => {
                let inner = rest[1..].trim_start();
                match inner.strip_prefix('"') {
                    Some(quoted) => {
                        let (key, rest) = quoted_key(quoted)?;
                        (key, rest.trim_start().strip_prefix(']')?)
                    }
                    None => {
                        let (places, rest) = inner.split_once(']')?;
                        (step_of(places)?, rest)
                    }
                }
            }
            Some(_) => return None,
        };
        steps.push(step);
    }
}

fn bare_key(text: &str) -> Option<(Step, &str)> {
    let end = text.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'));
    let (key, rest) = text.split_at(end.unwrap_or(text.len()));
    (!key.is_empty()).then(|| (Step::Key(key.to_owned()), rest))
}

fn quoted_key(text: &str) -> Option<(Step, &str)> {
    let (key, rest) = text.split_once('"')?;
    Some((Step::Key(key.to_owned()), rest))
}

fn step_of(places: &str) -> Option<Step> {
    if places.trim() == "*" {
        return Some(Step::All);
    }
    let range = |text: &str| match text.split_once(" to ") {
        Some((first, end)) => Some((first.trim().parse().ok()?, end.trim().parse().ok()?)),
        None => text.trim().parse::<usize>().ok().map(|at| (at, at.saturating_add(1))),
    };
    places.split(',').map(range).collect::<Option<Vec<_>>>().map(Step::Places)
}

/// All values that a path leads to, in order.
///
/// # Errors
/// More than [`FOUND_MAX`].
fn walk<'a>(value: &'a Json, steps: &[Step]) -> Result<Vec<&'a Json>> {
    let mut found = vec![value];
    for step in steps {
        let mut next = Vec::new();
        for value in found {
            match (step, value) {
                (Step::Key(key), value) => next.extend(value.get(key)),
                (Step::All, Json::Array(items)) => next.extend(items),
                (Step::Places(ranges), Json::Array(items)) => {
                    for (first, end) in ranges {
                        let end = (*end).min(items.len());
                        next.extend(items.get(*first..end).unwrap_or_default());
                        check(next.len())?;
                    }
                }
                _ => {}
            }
            check(next.len())?;
        }
        found = next;
    }
    Ok(found)
}

fn check(count: usize) -> Result<()> {
    if count > FOUND_MAX {
        let message = format!("A path leads to more than {FOUND_MAX} values of one JSON text");
        return Err(fault(ErrorCode::BadArguments, message));
    }
    Ok(())
}

fn steps_of(path: &str) -> Result<Vec<Step>> {
    parse(path).ok_or_else(|| fault(ErrorCode::BadArguments, format!("Unable to parse JSONPath {path}")))
}

/// Refuses what is no path while the statement is planned.
fn checked(args: &Arguments<'_>, ty: ColumnType) -> Result<ColumnType> {
    let json = args.base(0);
    if !matches!(json, ColumnType::String | ColumnType::Symbol | ColumnType::Nothing) {
        let message = format!("JSONPath functions require a text of JSON first, not {json}");
        return Err(fault(ErrorCode::IllegalTypeOfArgument, message));
    }
    match args.text(1) {
        Some(path) => steps_of(path).map(|_| ty),
        None => Err(fault(ErrorCode::IllegalColumn, "The path of a JSONPath function must be a constant")),
    }
}

/// What `body` makes of the values that the path leads to in each row's text.
fn each<T>(call: &Call<'_>, body: impl Fn(&[&Json]) -> T) -> Result<Vec<T>> {
    let texts = call.texts(0)?;
    let steps = steps_of(call.literal_text(1).unwrap_or_default())?;
    (0..call.rows)
        .map(|row| {
            let parsed = if texts.is_valid(row) { Json::parse(texts.value(row)) } else { None };
            let found = parsed.as_ref().map(|value| walk(value, &steps)).transpose()?;
            Ok(body(&found.unwrap_or_default()))
        })
        .collect()
}

fn value(found: &[&Json]) -> String {
    let single = found.iter().find(|value| !matches!(value, Json::Array(_) | Json::Object(_)));
    single.map_or_else(String::new, |value| match value {
        Json::Text(text) => text.clone(),
        other => other.raw(),
    })
}

fn query(found: &[&Json]) -> String {
    if found.is_empty() {
        return String::new();
    }
    format!("[{}]", found.iter().map(|value| value.raw()).collect::<Vec<_>>().join(", "))
}

fn texts(call: &Call<'_>, body: fn(&[&Json]) -> String) -> Result<ArrayRef> {
    Ok(Arc::new(StringViewArray::from_iter_values(each(call, body)?)))
}

/// Functions of JSON paths.
pub(crate) const PATHS: &[Row] = &[
    row(
        "JSON_VALUE",
        &[],
        "JSON_VALUE(json, path)",
        "The first value there that is no array and no object.",
        Plan::Scalar(Scalar::pure(
            (2, 2),
            |args| checked(args, ColumnType::String),
            |call| texts(call, value),
        )),
    ),
    row(
        "JSON_QUERY",
        &[],
        "JSON_QUERY(json, path)",
        "All values there, as JSON within brackets.",
        Plan::Scalar(Scalar::pure(
            (2, 2),
            |args| checked(args, ColumnType::String),
            |call| texts(call, query),
        )),
    ),
    row(
        "JSON_EXISTS",
        &[],
        "JSON_EXISTS(json, path)",
        "Whether the path leads to a value.",
        Plan::Scalar(Scalar::pure(
            (2, 2),
            |args| checked(args, ColumnType::UInt8),
            |call| {
                let held = each(call, |found| Some(!found.is_empty()))?;
                Ok(Arc::new(held.into_iter().collect::<BooleanArray>()))
            },
        )),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_doubles_with_each_step_ends_at_its_bound() {
        let mut text = "1".to_owned();
        for _ in 0..40 {
            text = format!("[{text}]");
        }
        let json = Json::parse(&text).unwrap();
        assert_eq!(walk(&json, &parse(&format!("${}", "[0]".repeat(40))).unwrap()).unwrap().len(), 1);
        assert!(walk(&json, &parse(&format!("${}", "[0,0]".repeat(40))).unwrap()).is_err());
    }

    #[test]
    fn what_is_no_path_is_none() {
        for text in
            ["", "a", "$.", "$..a", "$[", "$[-1]", "$[1", "$.a.*", "$[\"a]", "$ü", "$.é", "$[1 to]", "$[]"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(" $ . ".trim_end()), None);
        let places = Step::Places(vec![(0, 2), (5, 6)]);
        assert_eq!(parse("$[\"a b\"][0 to 2, 5]"), Some(vec![Step::Key("a b".to_owned()), places]));
    }
}
