//! Tables, reading and writing in one call.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use zepto_common::schema::{Column, ColumnDefault, TableName, TableSchema};
use zepto_common::{ColumnId, Result, SchemaVersion, TableId};
use zepto_formats::{Format, FormatSettings, ResultTotals, decoder, encoder};

/// A table of columns written as in CREATE TABLE.
pub(crate) fn table(columns: &str) -> Arc<TableSchema> {
    let columns = split(columns).into_iter().enumerate().map(|(at, text)| {
        let (name, ty) = match text.strip_prefix('`') {
            Some(rest) => rest.split_once("` ").unwrap(),
            None => text.split_once(' ').unwrap(),
        };
        Column {
            id: ColumnId(at as u32),
            name: name.replace("\\t", "\t"),
            ty: ty.split(" DEFAULT ").next().unwrap().parse().unwrap(),
            default: match ty.split_once(" DEFAULT ") {
                Some((_, text)) => ColumnDefault::Constant(text.trim_matches('\'').to_owned()),
                None => ColumnDefault::Zero,
            },
            comment: String::new(),
        }
    });
    Arc::new(TableSchema {
        id: TableId(1),
        version: SchemaVersion(1),
        name: TableName::new("default", "t"),
        columns: columns.collect(),
        key: None,
        time: None,
        order_by: Vec::new(),
        ttl_seconds: None,
        engine: String::new(),
        comment: String::new(),
    })
}

fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

pub(crate) fn settings(map: &BTreeMap<String, String>) -> FormatSettings {
    FormatSettings::from_map(map).unwrap()
}

/// Reads all of `data`, pushed in pieces of this size.
pub(crate) fn read_in(
    format: Format,
    table: &Arc<TableSchema>,
    settings: &FormatSettings,
    data: &[u8],
    piece: usize,
) -> Result<Vec<RecordBatch>> {
    let mut out = Vec::new();
    let mut reader = decoder(format, table, None, settings, None)?;
    for part in data.chunks(piece.max(1)) {
        reader.push(part, &mut out)?;
    }
    reader.finish(&mut out)?;
    Ok(out)
}

pub(crate) fn read(
    format: Format,
    table: &Arc<TableSchema>,
    settings: &FormatSettings,
    data: &[u8],
) -> Result<Vec<RecordBatch>> {
    read_in(format, table, settings, data, usize::MAX)
}

pub(crate) fn write(
    format: Format,
    table: &Arc<TableSchema>,
    settings: &FormatSettings,
    batches: &[RecordBatch],
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = encoder(format, table.storage_schema(), settings).unwrap();
    writer.begin(&mut out).unwrap();
    for batch in batches {
        writer.batch(batch, &mut out).unwrap();
    }
    writer.finish(&ResultTotals::default(), &mut out).unwrap();
    out
}
