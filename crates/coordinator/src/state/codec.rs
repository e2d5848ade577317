//! Bytes of proposals, outcomes and the whole state, wherever they are kept or sent.
//!
//! One byte format version (1), four bytes CRC-32C of the rest (little endian), then JSON. JSON, because the catalog is
//! JSON on disk already, because a field can be added with a default and both neighbours' builds still read it, and
//! because the group agrees on a few hundred small things, not on rows: at 256 partitions a whole state is some 100 KiB.

use serde::Serialize;
use serde::de::DeserializeOwned;

const FORMAT: u8 = 1;
const HEADER: usize = 5;

/// Why bytes could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Fewer bytes than a header.
    #[error("cut within the header: {0} bytes")]
    Cut(usize),
    /// Written by a newer program.
    #[error("format {0}, which this program does not know (it knows {FORMAT})")]
    Format(u8),
    /// The checksum does not fit.
    #[error("the checksum does not fit the contents")]
    Checksum,
    /// What is inside does not fit the type.
    #[error("{0}")]
    Contents(String),
}

/// Writes a value.
///
/// # Errors
/// A value that has no JSON form.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![FORMAT, 0, 0, 0, 0];
    serde_json::to_writer(&mut bytes, value).map_err(|error| CodecError::Contents(error.to_string()))?;
    let checksum = crc32c::crc32c(&bytes[HEADER..]);
    bytes[1..HEADER].copy_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}

/// Reads a value.
///
/// # Errors
/// Bytes that are cut, damaged, of a newer format or of another type.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let Some((header, json)) = bytes.split_at_checked(HEADER) else {
        return Err(CodecError::Cut(bytes.len()));
    };
    if header[0] != FORMAT {
        return Err(CodecError::Format(header[0]));
    }
    if header[1..] != crc32c::crc32c(json).to_le_bytes() {
        return Err(CodecError::Checksum);
    }
    serde_json::from_slice(json).map_err(|error| CodecError::Contents(error.to_string()))
}
