//! Tells a complete result from one that an error ended after its first bytes were sent.
//!
//! The server ends such a result with a block `__exception__`, the tag from the header `X-ClickHouse-Exception-Tag`, the error's
//! text, its length, and the same two in reverse order. Everything before the block is written on, the block never.

use std::io::{self, Read, Write};

/// The longest such block, bytes: the text's bound of 16 KiB and what is around it.
const BLOCK_MAX: usize = (16 << 10) + 256;
/// Word that opens and closes the block.
const MARK: &str = "__exception__";

/// Copies a result; gives back the error's text if the result ended with one.
///
/// # Errors
/// When reading or writing fails.
pub(super) fn copy(from: &mut dyn Read, to: &mut dyn Write, tag: Option<&str>) -> io::Result<Option<String>> {
    let mut held = Vec::with_capacity(BLOCK_MAX * 2);
    let mut part = vec![0; 64 << 10];
    let cut = loop {
        let length = match from.read(&mut part) {
            Ok(0) => break None,
            Ok(length) => length,
            // The server cuts the connection behind the block, so that nobody takes the result for whole.
            Err(error) => break Some(error),
        };
        held.extend_from_slice(&part[..length]);
        if tag.is_none() || held.len() > BLOCK_MAX {
            let keep = if tag.is_some() { BLOCK_MAX } else { 0 };
            let ready = held.len() - keep.min(held.len());
            to.write_all(&held[..ready])?;
            to.flush()?;
            held.drain(..ready);
        }
    };
    let found = tag.and_then(|tag| find_block(&held, tag));
    let (rows, error) = match &found {
        Some((start, text)) => (&held[..*start], Some(text.clone())),
        None => (&held[..], None),
    };
    to.write_all(rows)?;
    to.flush()?;
    match (error, cut) {
        // What came before the cut is shown; the error tells that it is not all.
        (None, Some(cut)) => Err(cut),
        (error, _) => Ok(error),
    }
}

fn find_block(held: &[u8], tag: &str) -> Option<(usize, String)> {
    let open = format!("\r\n{MARK}\r\n{tag}\r\n");
    let start = held.windows(open.len()).rposition(|window| window == open.as_bytes())?;
    let text = String::from_utf8_lossy(&held[start + open.len()..]);
    let end = text.rfind(&format!(" {tag}\r\n{MARK}")).unwrap_or(text.len());
    // Before the closing tag stands the text's length on a line of its own.
    let text = text[..end].trim_end_matches(|c: char| c.is_ascii_digit()).trim_end();
    Some((start, text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "abcdefghijklmnop";

    fn copied(result: &[u8], tag: Option<&str>) -> (Vec<u8>, Option<String>) {
        let mut out = Vec::new();
        let error = copy(&mut &result[..], &mut out, tag).expect("nothing breaks in memory");
        (out, error)
    }

    #[test]
    fn a_complete_result_is_copied_byte_for_byte() {
        for length in [0, 1, BLOCK_MAX - 1, BLOCK_MAX, BLOCK_MAX * 9 + 7] {
            let result = vec![b'x'; length];
            assert_eq!(copied(&result, Some(TAG)), (result.clone(), None));
            assert_eq!(copied(&result, None), (result, None));
        }
    }

    /// A connection that breaks behind its bytes.
    struct Broken<'a>(&'a [u8]);

    impl Read for Broken<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                length => Ok(length),
            }
        }
    }

    #[test]
    fn a_cut_behind_an_error_is_that_error_and_any_other_cut_is_told_as_one() {
        let text = "Code: 394. DB::Exception: stopped. (QUERY_WAS_CANCELLED)";
        let block = format!("rows\r\n{MARK}\r\n{TAG}\r\n{text}\n{} {TAG}\r\n{MARK}\r\n", text.len() + 1);
        let mut out = Vec::new();
        let error = copy(&mut Broken(block.as_bytes()), &mut out, Some(TAG)).expect("the server said why");
        assert_eq!((out, error), (b"rows".to_vec(), Some(text.to_owned())));
        let mut out = Vec::new();
        copy(&mut Broken(b"rows"), &mut out, Some(TAG)).expect_err("nobody said why");
        assert_eq!(out, b"rows");
    }

    #[test]
    fn an_error_behind_rows_is_told_and_not_printed() {
        let text = "Code: 159. DB::Exception: too slow. (TIMEOUT_EXCEEDED)";
        for rows in [0, 5, BLOCK_MAX * 3] {
            let mut result = vec![b'1'; rows];
            let block = format!("\r\n{MARK}\r\n{TAG}\r\n{text}\n{} {TAG}\r\n{MARK}\r\n", text.len() + 1);
            result.extend_from_slice(block.as_bytes());
            assert_eq!(copied(&result, Some(TAG)), (vec![b'1'; rows], Some(text.to_owned())));
        }
    }
}
