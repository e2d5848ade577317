//! ClickHouse's exception texts: before the first byte of an answer, and in its middle.

use zepto_common::Error;
use zepto_common::limits::EXCEPTION_BYTES_MAX;

/// Characters of the tag that marks an exception inside an answer.
pub const TAG_CHARS: usize = 16;

/// `Code: N. DB::Exception: … (NAME) (version …)` and a line feed; bounded.
#[must_use]
pub fn exception_text(error: &Error, version: &str) -> String {
    let tail = " (version )\n".len() + version.len();
    let room = EXCEPTION_BYTES_MAX.saturating_sub(tail + 128);
    if error.message.len() <= room {
        return format!("{} (version {version})\n", error.clickhouse_text());
    }
    let mut end = room;
    while !error.message.is_char_boundary(end) {
        end -= 1;
    }
    let cut = Error::new(error.code, format!("{}…", &error.message[..end]));
    format!("{} (version {version})\n", cut.clickhouse_text())
}

/// The same for the inside of a format: without the line feed.
#[must_use]
pub fn exception_words(error: &Error, version: &str) -> String {
    exception_text(error, version).trim_end_matches('\n').to_owned()
}

/// A fresh tag: letters that a result holds only by a chance of one in 26^16.
#[must_use]
pub fn fresh_tag() -> String {
    let random = uuid::Uuid::new_v4().into_bytes();
    random.iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

/// What ends an answer that broke off: the text between marks, its length and the answer's tag.
#[must_use]
pub fn exception_block(error: &Error, version: &str, tag: &str) -> String {
    let text = exception_text(error, version);
    format!("\r\n__exception__\r\n{tag}\r\n{text}{} {tag}\r\n__exception__\r\n", text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zepto_common::ErrorCode;

    #[test]
    fn the_text_is_what_clients_parse() {
        let error = Error::new(ErrorCode::UnknownTable, "Table default.t does not exist");
        let text = exception_text(&error, "1.0");
        let expected =
            "Code: 60. DB::Exception: Table default.t does not exist. (UNKNOWN_TABLE) (version 1.0)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_endless_message_is_cut_at_a_character() {
        let error = Error::new(ErrorCode::SyntaxError, "ü".repeat(100_000));
        let block = exception_block(&error, "1.0", &fresh_tag());
        assert!(block.len() <= EXCEPTION_BYTES_MAX && block.len() > EXCEPTION_BYTES_MAX / 2);
        assert!(block.contains("(SYNTAX_ERROR) (version 1.0)\n"));
    }

    #[test]
    fn the_block_carries_its_tag_twice_and_the_length_of_its_text() {
        let error = Error::new(ErrorCode::QueryWasCancelled, "stop");
        let tag = fresh_tag();
        assert_eq!(tag.len(), TAG_CHARS);
        let text = exception_text(&error, "v");
        let block = exception_block(&error, "v", &tag);
        assert_eq!(
            block,
            format!("\r\n__exception__\r\n{tag}\r\n{text}{} {tag}\r\n__exception__\r\n", text.len())
        );
        assert_ne!(fresh_tag(), tag);
    }
}
