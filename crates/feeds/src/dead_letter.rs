//! Messages that cannot be read: each becomes a row of the dead-letter table, with where it came from and why.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use serde_json::json;
use zepto_common::limits::DEAD_LETTER_BYTES_MAX;
use zepto_common::schema::TableSchema;
use zepto_common::source::with_offsets;
use zepto_common::{Error, ErrorCode, Result};
use zepto_formats::{Format, FormatSettings, decoder};

use crate::decode::{instant_text, now_ns};
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
/// `NoSuchColumnInTable` with the statement that makes one.
pub fn check(table: &TableSchema) -> Result<()> {
    match COLUMNS.iter().find(|name| table.index_of(name).is_none()) {
        None => Ok(()),
        Some(name) => {
            let statement = create_statement(&table.name.to_string());
            let message = format!("the dead-letter table {} has no column {name}: {statement}", table.name);
            Err(Error::new(ErrorCode::NoSuchColumnInTable, message))
        }
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
        let time = message.timestamp_ms.map_or_else(now_ns, |ms| ms.saturating_mul(1_000_000));
        let row = json!({
            "feed": feed,
            "topic": &*message.from.topic,
            "partition": message.from.number,
            "offset": message.offset,
            "time": instant_text(time),
            "error": error,
            "payload": message.payload.as_deref().map(text_of),
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

/// A payload as text: as it is, or what is no text in it escaped.
fn text_of(payload: &[u8]) -> String {
    let kept = &payload[..payload.len().min(DEAD_LETTER_BYTES_MAX)];
    match std::str::from_utf8(kept) {
        Ok(text) => text.to_owned(),
        Err(_) => kept.escape_ascii().to_string(),
    }
}
