//! JSON objects whose values lie deeper than the reader of rows looks.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;

/// An array of objects as the objects in it; anything else as it is.
pub(super) fn without_brackets(payload: &[u8]) -> Result<&[u8], String> {
    let text = payload.trim_ascii();
    match (text.first(), text.last()) {
        (Some(b'['), Some(b']')) => Ok(&text[1..text.len() - 1]),
        (Some(b'['), _) => Err("an array that does not end".to_owned()),
        _ => Ok(payload),
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
        let text = without_brackets(payload)?;
        // Commas between the objects of an array are no part of any.
        let objects: Vec<Object<'_>> = if text.len() == payload.len() {
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
