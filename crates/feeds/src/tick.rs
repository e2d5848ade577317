//! The 64-byte binary tick: a message is one or more of them, one after the other. All numbers are little-endian.
//!
//! | offset | bytes | field | |
//! |---|---|---|---|
//! | 0 | 16 | `symbol` | UTF-8, filled up with zero bytes |
//! | 16 | 8 | `time` | `i64`, nanoseconds since 1970 |
//! | 24 | 8 | `price` | `f64` |
//! | 32 | 8 | `size` | `f64` |
//! | 40 | 8 | `bid` | `f64` |
//! | 48 | 8 | `ask` | `f64` |
//! | 56 | 8 | `sequence` | `u64` |

/// Bytes of a tick.
pub const TICK_BYTES: usize = 64;
/// Its fields, in their order.
pub const FIELDS: [&str; 7] = ["symbol", "time", "price", "size", "bid", "ask", "sequence"];

/// Writes the rows of a message as RowBinary in the order of [`FIELDS`], which a String, a DateTime64(9), four Float64 and
/// a UInt64 read.
///
/// # Errors
/// A length that is no multiple of 64, or a symbol that is no text.
pub fn to_row_binary(payload: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    if payload.is_empty() || !payload.len().is_multiple_of(TICK_BYTES) {
        return Err(format!("{} bytes are no ticks of {TICK_BYTES} bytes", payload.len()));
    }
    for tick in payload.chunks_exact(TICK_BYTES) {
        let (symbol, numbers) = tick.split_at(16);
        let length = symbol.iter().position(|byte| *byte == 0).unwrap_or(symbol.len());
        let (text, rest) = symbol.split_at(length);
        if rest.iter().any(|byte| *byte != 0) || std::str::from_utf8(text).is_err() {
            return Err("the symbol of a tick is no text".to_owned());
        }
        // At most 16: one byte as a varint.
        out.push(length as u8);
        out.extend_from_slice(text);
        out.extend_from_slice(numbers);
    }
    Ok(())
}
