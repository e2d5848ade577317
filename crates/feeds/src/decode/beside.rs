//! Values that the message has beside its payload, as tab-separated text.

use crate::config::{ColumnSource, MessagePart};
use crate::decode::instant_text;
use crate::source::Message;

/// Writes the value of one column.
///
/// # Errors
/// Why the message has none.
pub(super) fn put_value(
    source: &ColumnSource,
    message: &Message,
    arrival: i64,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let text = |bytes: &[u8]| {
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "a key or header is no text")
    };
    let value = match source {
        // Read once, and not for every message.
        ColumnSource::Constant(_) => return Err("a constant is no part of a message".to_owned()),
        ColumnSource::From(MessagePart::Topic) => Some(message.topic.to_string()),
        ColumnSource::TopicLevel(level) => level_of(&message.topic, *level).map(str::to_owned),
        ColumnSource::From(MessagePart::Partition) => Some(message.from.number.to_string()),
        ColumnSource::From(MessagePart::Offset) => Some(message.offset.to_string()),
        ColumnSource::From(MessagePart::Key) => message.key.as_deref().map(text).transpose()?,
        ColumnSource::From(MessagePart::Timestamp) => {
            message.timestamp_ms.map(|ms| instant_text(ms.saturating_mul(1_000_000)))
        }
        ColumnSource::From(MessagePart::Retained) => Some(u8::from(message.retained).to_string()),
        ColumnSource::From(MessagePart::Arrival) => Some(instant_text(arrival)),
        ColumnSource::Header(name) => {
            let found = message.headers.iter().find(|(header, _)| header == name);
            found.map(|(_, value)| text(value)).transpose()?
        }
    };
    match value {
        None => out.extend_from_slice(b"\\N"),
        Some(value) => put_text(&value, out),
    }
    Ok(())
}

/// A level of a topic, counted from 1; None where it has fewer.
fn level_of(topic: &str, level: u16) -> Option<&str> {
    topic.split('/').nth(usize::from(level).checked_sub(1)?)
}

/// Writes a text with what would end a field escaped.
pub(super) fn put_text(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0 => out.extend_from_slice(b"\\0"),
            other => out.push(other),
        }
    }
}
