//! The key file on disk: read whole, replaced whole, compared by its stamp.
//!
//! A change is written aside, synced and renamed over the file, so that a reader finds the old text or the new one,
//! never a part. Changes of several processes are kept apart by a lock on the file's folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use super::{KeyRecord, Keyring};
use crate::error::{Error, ErrorCode, Result};

/// Largest key file that is read.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// How long a change waits for another one.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// Time between two looks at the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

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

/// Appends a record as one line; makes the file, readable by its owner only, if there is none.
///
/// # Errors
/// `InvalidConfigParameter` when the file cannot be written, is no key file, or has this id already.
pub fn append_key(path: &Path, record: &KeyRecord) -> Result<()> {
    let line = serde_json::to_string(record).map_err(|error| fault(path, &error.to_string()))?;
    change(path, |text| {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        Ok(Some(format!("{text}{gap}{line}\n")))
    })
    .map(drop)
}

/// Replaces the file's text by what `edit` makes of it (None leaves it); gives the text in force behind that.
///
/// # Errors
/// `InvalidConfigParameter` as [`append_key`], also while another process changes the file; the error of `edit`.
pub(super) fn change(path: &Path, edit: impl FnOnce(&str) -> Result<Option<String>>) -> Result<String> {
    // A link stays a link: what it names is replaced.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let failed = |error: std::io::Error| fault(path, &error.to_string());
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = File::open(folder).map_err(failed)?;
    lock(&folder).map_err(|error| fault(path, &format!("another process changes it: {error}")))?;
    let before = if path.exists() { read(path)? } else { String::new() };
    let Some(after) = edit(&before)? else { return Ok(before) };
    Keyring::parse(&after)?;
    if after.len() as u64 > FILE_BYTES_MAX {
        return Err(fault(path, &format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    replace(path, &folder, &after).map_err(failed)?;
    Ok(after)
}

/// Takes the lock, waiting a little: a change takes milliseconds, and a process that is just being started by this
/// one holds the lock along until it runs.
#[expect(clippy::disallowed_methods, reason = "the lock of another process sends no event")]
fn lock(folder: &File) -> std::result::Result<(), TryLockError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
}

fn replace(path: &Path, folder: &File, text: &str) -> std::io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    if let Ok(known) = std::fs::metadata(path) {
        file.set_permissions(known.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&aside, path)?;
    folder.sync_all()
}

fn fault(path: &Path, what: &str) -> Error {
    Error::new(ErrorCode::InvalidConfigParameter, format!("key file {}: {what}", path.display()))
}
