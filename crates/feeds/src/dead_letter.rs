//! Messages that cannot be read: each becomes a row of the dead-letter table, with where it came from and why.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use serde_json::json;
use zepto_common::clock::wall_nanos;
use zepto_common::limits::DEAD_LETTER_BYTES_MAX;
use zepto_common::schema::{Column, ColumnDefault, TableSchema};
use zepto_common::source::with_offsets;
use zepto_common::types::ColumnType;
use zepto_common::{Error, ErrorCode, Result};
use zepto_formats::{Format, FormatSettings, decoder};

use crate::decode::instant_text;
use crate::source::Message;

/// What the table must have.
pub const COLUMNS: [&str; 7] = ["feed", "topic", "partition", "offset", "time", "error", "payload"];

/// A message and why it cannot be read.
pub type DeadLetter<'a> = (&'a Message, String);

/// The statement that makes a table for them.
#[must_use]
pub fn create_statement(table: &str) -> String {
    format!(
        "CREATE TABLE {table} (feed String, topic String, partition UInt32, offset UInt64, time DateTime64(9), \
         error String, payload String) ENGINE = MergeTree ORDER BY (feed, time)"
    )
}

/// Whether a table can take them.
///
/// # Errors
/// `NoSuchColumnInTable` with the statement that makes one; `BadArguments` for a key by which a message that is read
/// again could lie elsewhere.
pub fn check(table: &TableSchema) -> Result<()> {
    let key = table.key_index().map(|at| &table.columns[at]);
    let changes = |key: &&Column| matches!(&*key.name, "time" | "error") || key.default == ColumnDefault::Now;
    if let Some(Column { name: key, .. }) = key.filter(changes) {
        let message = format!("the dead-letter table {} cannot have {key} as its partition key", table.name);
        return Err(Error::new(ErrorCode::BadArguments, message));
    }
    if let Some(column) = table.columns.iter().find(|column| !takes(column)) {
        let message = format!(
            "the dead-letter table {} cannot have a {} of this type: {}",
            table.name, column.name, column.ty
        );
        return Err(Error::new(ErrorCode::TypeMismatch, message));
    }
    match COLUMNS.iter().find(|name| table.index_of(name).is_none()) {
        None => Ok(()),
        Some(name) => {
            let statement = create_statement(&table.name.to_string());
            let message = format!("the dead-letter table {} has no column {name}: {statement}", table.name);
            Err(Error::new(ErrorCode::NoSuchColumnInTable, message))
        }
    }
}

/// Whether a column can have what it is for, of every message.
fn takes(column: &Column) -> bool {
    let ty = match &column.ty {
        ColumnType::Nullable(inner) => inner,
        other => other,
    };
    match &*column.name {
        "feed" | "topic" | "error" | "payload" => matches!(ty, ColumnType::String | ColumnType::Symbol),
        "partition" => matches!(ty, ColumnType::UInt32 | ColumnType::UInt64 | ColumnType::Int64),
        "offset" => matches!(ty, ColumnType::UInt64),
        "time" => matches!(ty, ColumnType::DateTime64(..)),
        _ => true,
    }
}

/// The rows of messages of one partition of a source, with their offsets.
///
/// # Errors
/// A table whose columns have types that do not fit.
pub fn rows(feed: &str, table: &Arc<TableSchema>, letters: &[DeadLetter<'_>]) -> Result<RecordBatch> {
    let names: Vec<String> = COLUMNS.iter().map(|name| (*name).to_owned()).collect();
    let mut reader = decoder(Format::JsonEachRow, table, Some(&names), &FormatSettings::default(), None)?;
    let mut batches = Vec::new();
    for (message, error) in letters {
        let time = message.timestamp_ms.map_or_else(wall_nanos, |ms| ms.saturating_mul(1_000_000));
        let (payload, cut) = message.payload.as_deref().map(text_of).unzip();
        let error = cut.flatten().map_or_else(|| error.clone(), |cut| format!("{error} ({cut})"));
        let row = json!({
            "feed": feed,
            "topic": &*message.topic,
            "partition": message.from.number,
            "offset": message.offset,
            "time": instant_text(time),
            "error": error,
            "payload": payload,
        });
        let mut line = row.to_string().into_bytes();
        line.push(b'\n');
        reader.push(&line, &mut batches)?;
    }
    reader.finish(&mut batches)?;
    let schema = batches.first().map(RecordBatch::schema);
    let schema = schema.ok_or_else(|| Error::internal("dead letters without rows"))?;
    let rows = arrow::compute::concat_batches(&schema, &batches)?;
    with_offsets(&rows, UInt64Array::from_iter_values(letters.iter().map(|(message, _)| message.offset)))
}

/// A payload as text: as it is, or what is no text in it escaped; and a word on what is left out, if anything is.
fn text_of(payload: &[u8]) -> (String, Option<String>) {
    let mut kept = &payload[..payload.len().min(DEAD_LETTER_BYTES_MAX)];
    if let Err(error) = std::str::from_utf8(kept)
        && error.error_len().is_none()
        && kept.len() < payload.len()
    {
        // The bound is inside a character.
        kept = &kept[..error.valid_up_to()];
    }
    let cut = (kept.len() < payload.len())
        .then(|| format!("{} bytes, the first {} are kept", payload.len(), kept.len()));
    let text = std::str::from_utf8(kept).map_or_else(|_| kept.escape_ascii().to_string(), str::to_owned);
    (text, cut)
}
