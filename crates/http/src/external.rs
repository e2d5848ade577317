//! Tables that come with a request: what columns they have and how their rows are written.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use zepto_common::ids::{ColumnId, SchemaVersion, TableId};
use zepto_common::limits::{COLUMNS_MAX, NAME_BYTES_MAX};
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode, Result};
use zepto_formats::{Decoder, Format, FormatSettings};

use crate::params::Parameters;

/// Behind the name of a table: how its rows are written, its columns, the types of columns without names.
const FORMAT: &str = "_format";
const STRUCTURE: &str = "_structure";
const TYPES: &str = "_types";

/// Whether a parameter of this name says something about a table.
pub(crate) fn is_about_a_table(name: &str) -> bool {
    [FORMAT, STRUCTURE, TYPES].iter().any(|suffix| name.ends_with(suffix))
        && !name.starts_with("param_")
        && !zepto_common::settings::is_known(name)
        && name != "default_format"
}

/// Whether the parameters say what columns a table of this name has.
pub(crate) fn is_table(name: &str, parameters: &Parameters) -> bool {
    [STRUCTURE, TYPES].iter().any(|suffix| parameters.get(&format!("{name}{suffix}")).is_some())
}

/// The table of this name and the reader of its rows.
///
/// # Errors
/// `BadArguments` without columns; `UnknownFormat`, `UnknownType`, `DuplicateColumn`.
pub(crate) fn open(name: &str, parameters: &Parameters) -> Result<(Arc<TableSchema>, Box<dyn Decoder>)> {
    let of = |suffix: &str| parameters.get(&format!("{name}{suffix}"));
    let columns = match (of(STRUCTURE), of(TYPES)) {
        (Some(structure), _) => structure_of(structure)?,
        (None, Some(types)) => types_of(types)?,
        (None, None) => {
            let text = format!(
                "Neither structure nor types have been provided for external table {name}. \
                 Use fields {name}_structure or {name}_types to do so"
            );
            return Err(Error::new(ErrorCode::BadArguments, text));
        }
    };
    if name.len() > NAME_BYTES_MAX {
        return Err(bad("its name is too long"));
    }
    let format = Format::parse(of(FORMAT).filter(|format| !format.is_empty()).unwrap_or("TabSeparated"))?;
    let table = schema(name, columns)?;
    let known = |name: &str| zepto_common::settings::FORMATS.contains(&name);
    let settings: BTreeMap<_, _> = parameters.iter().filter(|(name, _)| known(name)).collect();
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let decoder = zepto_formats::decoder(format, &table, None, &FormatSettings::from_map(&settings)?, None)?;
    Ok((table, decoder))
}

fn schema(name: &str, columns: Vec<(String, ColumnType)>) -> Result<Arc<TableSchema>> {
    let mut names: Vec<_> = columns.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let text = format!("Column {} stands twice in the structure of external table {name}", twice[0]);
        return Err(Error::new(ErrorCode::DuplicateColumn, text));
    }
    let column = |(index, (name, ty))| Column {
        id: ColumnId(index as u32 + 1),
        name,
        ty,
        default: ColumnDefault::Zero,
        comment: String::new(),
    };
    Ok(Arc::new(TableSchema {
        id: TableId(0),
        version: SchemaVersion(1),
        name: TableName::new("", name),
        columns: columns.into_iter().enumerate().map(column).collect(),
        key: None,
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: "Memory".to_owned(),
        comment: String::new(),
    }))
}

/// `name Type, name Type`.
fn structure_of(text: &str) -> Result<Vec<(String, ColumnType)>> {
    split(text)?.into_iter().map(column_of).collect()
}

/// `Type, Type`: the columns are `_1`, `_2` and so on.
fn types_of(text: &str) -> Result<Vec<(String, ColumnType)>> {
    let types = split(text)?.into_iter().enumerate();
    types.map(|(index, ty)| Ok((format!("_{}", index + 1), ty.parse()?))).collect()
}

fn column_of(text: &str) -> Result<(String, ColumnType)> {
    let (name, ty) = match text.chars().next() {
        Some(quote @ ('`' | '"')) => {
            let end = text[1..].find(quote).ok_or_else(|| bad("a name's quote does not end"))?;
            (&text[1..=end], &text[end + 2..])
        }
        _ => text.split_once(char::is_whitespace).ok_or_else(|| bad("a column has no type"))?,
    };
    if name.is_empty() || name.len() > NAME_BYTES_MAX || ty.trim().is_empty() {
        return Err(bad("a column has no name or no type"));
    }
    Ok((name.to_owned(), ty.trim().parse()?))
}

/// The parts between commas that stand outside of parentheses and quotes.
fn split(text: &str) -> Result<Vec<&str>> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0usize);
    let mut quote = None;
    for (at, char) in text.char_indices() {
        match (quote, char) {
            (Some(open), _) if char == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '`' | '"') => quote = Some(char),
            (None, '(') => depth += 1,
            (None, ')') => depth = depth.checked_sub(1).ok_or_else(|| bad("a parenthesis too many"))?,
            (None, ',') if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            (None, _) => {}
        }
        if parts.len() >= COLUMNS_MAX {
            return Err(bad("too many columns"));
        }
    }
    parts.push(text[start..].trim());
    if parts.iter().any(|part| part.is_empty()) {
        return Err(bad("a column is empty"));
    }
    Ok(parts)
}

fn bad(what: &str) -> Error {
    Error::new(ErrorCode::BadArguments, format!("Error while parsing table structure: {what}"))
}
