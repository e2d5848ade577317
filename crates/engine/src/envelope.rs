//! The frame around small files that are replaced whole (`DISK`, `CATALOG`, `MANIFEST`): magic, format version,
//! length and checksum, so that a torn, foreign or newer file is refused by name instead of being half understood.
//!
//! Bytes, little endian: magic (4), format version u32, payload length u64, crc32c of the payload u32, payload.

use std::path::Path;

use zepto_common::{Error, ErrorCode, Result};

use crate::disk::Disk;

const HEADER: usize = 20;

/// Puts a payload into its frame.
pub(crate) fn seal(magic: [u8; 4], format: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + payload.len());
    out.extend_from_slice(&magic);
    out.extend_from_slice(&format.to_le_bytes());
    out.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    out.extend_from_slice(payload);
    out
}

/// Takes a payload out of its frame; `path` is for the message only.
pub(crate) fn unseal(magic: [u8; 4], format: u32, bytes: &[u8], path: &Path) -> Result<Vec<u8>> {
    let corrupt = |offset: usize, what: &str| {
        Err(Error::new(ErrorCode::CorruptedData, format!("{}: byte {offset}: {what}", path.display())))
    };
    let Some((header, payload)) = bytes.split_at_checked(HEADER) else {
        return corrupt(bytes.len(), "the file ends within its header");
    };
    if header[..4] != magic {
        return corrupt(0, "not a file of this kind");
    }
    let number = |range: std::ops::Range<usize>| {
        header[range].iter().rev().fold(0u64, |sum, &byte| (sum << 8) | u64::from(byte))
    };
    if number(4..8) == 0 {
        return corrupt(4, "there is no format 0");
    }
    if number(4..8) > u64::from(format) {
        return corrupt(4, "written by a newer version of this program");
    }
    if number(8..16) != payload.len() as u64 {
        return corrupt(8, "the length does not fit the file");
    }
    if number(16..20) != u64::from(crc32c::crc32c(payload)) {
        return corrupt(16, "the checksum does not fit the contents");
    }
    Ok(payload.to_vec())
}

/// The whole file, or None when there is none.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>> {
    let broken = |error: std::io::Error| {
        Error::new(ErrorCode::CannotOpenFile, format!("cannot read {}: {error}", path.display()))
    };
    let file = match disk.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(error)),
    };
    let length = file.len().map_err(broken)?;
    let mut bytes = vec![0; length as usize];
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], done as u64).map_err(broken)? {
            0 => break,
            read => done += read,
        }
    }
    bytes.truncate(done);
    Ok(Some(bytes))
}
