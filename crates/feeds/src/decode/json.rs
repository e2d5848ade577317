//! JSON objects whose values lie deeper than the reader of rows looks.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;

/// A payload without the space around it, which would wait in the reader for the next message.
///
/// # Errors
/// It begins with a comma, which the reader takes between rows: so whether it is good would depend on what is before it.
pub(super) fn alone(payload: &[u8]) -> Result<&[u8], String> {
    let text = payload.trim_ascii();
    match text.first() {
        Some(b',') => Err("a comma before the first row".to_owned()),
        _ => Ok(text),
    }
}

/// The objects of a payload, which may be in an array.
pub(super) fn objects(payload: &[u8]) -> Result<&[u8], String> {
    alone(in_array(payload)?.unwrap_or(payload))
}

/// What is between the brackets of an array; None for anything else.
fn in_array(payload: &[u8]) -> Result<Option<&[u8]>, String> {
    match payload.trim_ascii() {
        [b'[', within @ .., b']'] => Ok(Some(within)),
        [b'[', ..] => Err("an array that does not end".to_owned()),
        _ => Ok(None),
    }
}

/// Where columns are in an object.
pub(super) struct Paths(Vec<(String, Vec<String>)>);

type Object<'a> = HashMap<String, &'a RawValue>;

impl Paths {
    pub(super) fn new(fields: &BTreeMap<String, String>) -> Option<Self> {
        let path = |(column, path): (&String, &String)| {
            // A column's name as JSON; a string always has one.
            let name = serde_json::to_string(column).unwrap_or_default();
            (name, path.split('.').map(str::to_owned).collect())
        };
        (!fields.is_empty()).then(|| Self(fields.iter().map(path).collect()))
    }

    /// Writes each object of a payload with the columns as its fields.
    pub(super) fn flatten(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        // Commas between the objects of an array are no part of any.
        let objects: Vec<Object<'_>> = if in_array(payload)?.is_none() {
            let stream = serde_json::Deserializer::from_slice(payload).into_iter::<Object<'_>>();
            stream.collect::<Result<_, _>>().map_err(|error| error.to_string())?
        } else {
            serde_json::from_slice(payload).map_err(|error| error.to_string())?
        };
        for object in &objects {
            out.push(b'{');
            let mut first = true;
            for (name, path) in &self.0 {
                if let Some(value) = find(object, path)? {
                    if !first {
                        out.push(b',');
                    }
                    first = false;
                    out.extend_from_slice(name.as_bytes());
                    out.push(b':');
                    out.extend_from_slice(value.get().as_bytes());
                }
            }
            out.extend_from_slice(b"}\n");
        }
        Ok(())
    }
}

/// The value at a path; None where it ends early.
fn find<'a>(object: &Object<'a>, path: &[String]) -> Result<Option<&'a RawValue>, String> {
    let Some((name, rest)) = path.split_first() else { return Ok(None) };
    let Some(value) = object.get(name).copied() else { return Ok(None) };
    if rest.is_empty() {
        return Ok(Some(value));
    }
    match serde_json::from_str::<Object<'a>>(value.get()) {
        Ok(inner) => find(&inner, rest),
        Err(_) if value.get() == "null" => Ok(None),
        Err(_) => Err(format!("{name} is no object")),
    }
}
