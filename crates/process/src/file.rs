//! Reading the YAML file so that every fault is named at once, not just the first.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_yaml_ng::{Mapping, Value};

use crate::parts::ConfigFaults;

/// Deepest nesting that a configuration has.
const DEPTH_MAX: usize = 8;

/// The file's configuration, and what is wrong with it. Keys that are at fault keep their defaults.
///
/// # Errors
/// A file that cannot be read or is no YAML mapping.
pub fn read<C: Default + Serialize + DeserializeOwned>(
    path: &Path,
) -> Result<(C, Vec<String>), ConfigFaults> {
    let fault = |what: String| ConfigFaults(vec![format!("{}: {what}", path.display())]);
    let text = std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))?;
    let document: Value = serde_yaml_ng::from_str(&text).map_err(|error| fault(error.to_string()))?;
    let given = match document {
        Value::Null => Mapping::new(),
        Value::Mapping(mapping) => mapping,
        _ => return Err(fault("the file is not a mapping of keys to values".to_owned())),
    };
    let known = serde_yaml_ng::to_value(C::default()).map_err(|error| fault(error.to_string()))?;
    let mut faults = Vec::new();
    let good = sift::<C>(&given, &known, &mut Vec::new(), &mut faults);
    let config = parse::<C>(good).map_err(|error| fault(error.to_string()))?;
    let faults = faults.into_iter().map(|fault| format!("{}: {fault}", path.display())).collect();
    Ok((config, faults))
}

fn parse<T: DeserializeOwned>(mapping: Mapping) -> Result<T, serde_yaml_ng::Error> {
    serde_yaml_ng::from_value(Value::Mapping(mapping))
}

/// The part of a mapping that is good; says what is not.
fn sift<C: DeserializeOwned>(
    given: &Mapping,
    known: &Value,
    at: &mut Vec<String>,
    faults: &mut Vec<String>,
) -> Mapping {
    let mut good = Mapping::new();
    for (key, value) in given {
        let Some(name) = key.as_str() else {
            faults.push(format!("a key is not text: {key:?}"));
            continue;
        };
        at.push(name.to_owned());
        let path = at.join(".");
        match (known.get(name), value) {
            (None, _) => faults.push(format!("unknown key {path}")),
            (Some(inner @ Value::Mapping(_)), Value::Mapping(group)) if at.len() < DEPTH_MAX => {
                good.insert(key.clone(), Value::Mapping(sift::<C>(group, inner, at, faults)));
            }
            // A group without anything below it, as an editor leaves behind.
            (Some(Value::Mapping(_)), Value::Null) => {}
            _ => match parse::<C>(alone(at, value)) {
                Ok(_) => drop(good.insert(key.clone(), value.clone())),
                Err(error) => faults.push(format!("{path}: {error}")),
            },
        }
        at.pop();
    }
    good
}

/// A document with this one key.
fn alone(at: &[String], value: &Value) -> Mapping {
    let nest = |inner: Value, key: &String| {
        Value::Mapping(Mapping::from_iter([(Value::String(key.clone()), inner)]))
    };
    match at.iter().rev().fold(value.clone(), nest) {
        Value::Mapping(mapping) => mapping,
        _ => Mapping::new(),
    }
}

/// Replaces a file whole: written beside it, synced, renamed, and the folder synced.
///
/// # Errors
/// The disk's; the file is then what it was.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let mut file = std::fs::File::create(beside)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    std::fs::rename(beside, path)?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
