//! The key file on disk: read whole, appended by line, compared by its stamp.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::time::SystemTime;

use super::{KeyRecord, Keyring};
use crate::error::{Error, ErrorCode, Result};

/// Largest key file that is read.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl FileStamp {
    /// The file's stamp now; None when there is no such file.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self { modified: metadata.modified().ok(), length: metadata.len() })
    }
}

pub(super) fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let outcome = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text));
    match outcome {
        Ok(_) if text.len() as u64 > FILE_BYTES_MAX => {
            Err(fault(path, &format!("larger than {FILE_BYTES_MAX} bytes")))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(fault(path, &error.to_string())),
    }
}

/// Appends a record as one line and syncs the file; makes the file, readable by its owner only, if there is none.
///
/// # Errors
/// `InvalidConfigParameter` when the file cannot be written, is no key file, or has this id already.
pub fn append_key(path: &Path, record: &KeyRecord) -> Result<()> {
    let before = if path.exists() { read(path)? } else { String::new() };
    let mut line = serde_json::to_string(record).map_err(|error| fault(path, &error.to_string()))?;
    line.push('\n');
    let gap = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
    Keyring::parse(&format!("{before}{gap}{line}"))?;
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(format!("{gap}{line}").as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| fault(path, &error.to_string()))
}

fn fault(path: &Path, what: &str) -> Error {
    Error::new(ErrorCode::InvalidConfigParameter, format!("key file {}: {what}", path.display()))
}
