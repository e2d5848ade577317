//! What became of the blocks of one INSERT, and how a client is told that only some of them are stored.

use std::fmt::Write;

use crate::error::{Error, ErrorCode, Result};
use crate::service::WriteReceipt;

/// Most ranges of blocks that an error lists by number.
const RANGES_MAX: usize = 32;

/// Rows and blocks of one fate.
#[derive(Debug, Default)]
struct Fate {
    rows: u64,
    blocks: Vec<u32>,
}

/// The outcomes so far.
#[derive(Debug, Default)]
pub struct Tally {
    stored: Fate,
    refused: Fate,
    unknown: Fate,
    duplicate_rows: u64,
    stored_bytes: u64,
}

impl Tally {
    /// Notes one block's outcome and gives its error back.
    ///
    /// # Errors
    /// The outcome's.
    pub fn add(&mut self, block: u32, rows: u64, bytes: u64, outcome: Result<WriteReceipt>) -> Result<()> {
        match outcome {
            Ok(receipt) => {
                self.duplicate_rows += receipt.duplicate_rows;
                self.stored.add(block, receipt.rows);
                self.stored_bytes += if receipt.rows > 0 { bytes } else { 0 };
                Ok(())
            }
            Err(error) => {
                let fate = if leaves_doubt(error.code) { &mut self.unknown } else { &mut self.refused };
                fate.add(block, rows);
                Err(error)
            }
        }
    }

    /// Certainly no row of this request became durable by it.
    #[must_use]
    pub fn nothing_stored(&self) -> bool {
        self.stored.rows == 0 && self.unknown.rows == 0
    }

    /// The error of an INSERT that was stored in part. Codes that invite a blind repetition become 319.
    #[must_use]
    pub fn explain(&self, error: &Error, has_token: bool) -> Error {
        let blind = self.unknown.rows > 0 || matches!(error.code.http_status(), 429 | 503);
        let code = if blind { ErrorCode::UnknownStatusOfInsert } else { error.code };
        let mut text = format!("{}. The INSERT was stored in part: ", error.message.trim_end_matches('.'));
        self.stored.tell(&mut text, "stored");
        self.unknown.tell(&mut text, "perhaps stored");
        self.refused.tell(&mut text, "refused");
        text.push_str("nothing after these blocks was stored. ");
        text.push_str(if has_token {
            "Repeat it with the same insert_deduplication_token to store the rest once"
        } else {
            "Without insert_deduplication_token a repetition stores those rows twice"
        });
        Error::new(code, text)
    }

    /// Rows that this request stored.
    #[must_use]
    pub fn stored_rows(&self) -> u64 {
        self.stored.rows
    }

    /// Bytes of the blocks of which something was stored.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// Rows that were stored before.
    #[must_use]
    pub fn duplicate_rows(&self) -> u64 {
        self.duplicate_rows
    }
}

impl Fate {
    fn add(&mut self, block: u32, rows: u64) {
        self.rows += rows;
        self.blocks.push(block);
    }

    /// `stored 131072 rows (blocks 0-1), ` or nothing.
    fn tell(&self, text: &mut String, what: &str) {
        if self.rows == 0 {
            return;
        }
        let ranges = ranges(&self.blocks);
        let _ = write!(text, "{what} {} rows (blocks ", self.rows);
        for (index, (from, to)) in ranges.iter().take(RANGES_MAX).enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let _ =
                if from == to { write!(text, "{comma}{from}") } else { write!(text, "{comma}{from}-{to}") };
        }
        text.push_str(if ranges.len() > RANGES_MAX { ",…), " } else { "), " });
    }
}

/// Numbers as ascending ranges, both ends included.
fn ranges(blocks: &[u32]) -> Vec<(u32, u32)> {
    let mut sorted = blocks.to_vec();
    sorted.sort_unstable();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for block in sorted {
        match ranges.last_mut() {
            Some((_, to)) if *to + 1 == block => *to = block,
            _ => ranges.push((block, block)),
        }
    }
    ranges
}

/// Whether rows may be durable though the write failed with this code.
fn leaves_doubt(code: ErrorCode) -> bool {
    use ErrorCode as C;
    matches!(
        code,
        C::UnknownStatusOfInsert
            | C::LogicalError
            | C::TimeoutExceeded
            | C::SocketTimeout
            | C::QueryWasCancelled
    )
}
