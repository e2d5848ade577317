//! What can go wrong in storage. Each fault has one code, so doors need no knowledge of the engine.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use zepto_common::{Error, ErrorCode};

/// Result with the engine's error.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// What was tried when the disk refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoAction {
    /// Creating a file or folder.
    Create,
    /// Opening a file.
    Open,
    /// Reading a file.
    Read,
    /// Writing a file or reserving room for it.
    Write,
    /// Forcing a file or folder to the disk.
    Sync,
    /// Renaming or linking a file.
    Rename,
    /// Removing a file or folder.
    Remove,
    /// Listing a folder.
    List,
}

impl fmt::Display for IoAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::List => "list",
        })
    }
}

/// A fault of the storage engine. Cheap to clone: one fault answers all writers that waited for it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The disk refused an action for a reason without a variant of its own.
    #[error("cannot {action} {}: {message}", path.display())]
    Io {
        /// What was tried.
        action: IoAction,
        /// On what.
        path: PathBuf,
        /// The system's kind of the fault.
        kind: io::ErrorKind,
        /// The system's words.
        message: String,
    },
    /// No room on the disk. Nothing was stored; the same write succeeds once there is room.
    #[error("no space left on the disk of {}: free some space and repeat", path.display())]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The file system is mounted read-only.
    #[error("the file system of {} is read-only: mount it writable and repeat", path.display())]
    ReadOnlyDisk {
        /// The file that could not be written.
        path: PathBuf,
    },
    /// The file system became read-only in the middle of a group of frames, whose bytes cannot be cut off now. The log
    /// does so before it writes again; until then a crash may bring the group back.
    #[error("the file system of {} became read-only while rows were written: mount it writable", path.display())]
    LeftBehind {
        /// The file that holds them.
        path: PathBuf,
    },
    /// A write or sync of the log failed earlier; what is on the disk is not known until a restart reads it.
    #[error("the log in {} failed and takes no more writes until a restart: {cause}", path.display())]
    LogFailed {
        /// The log's folder.
        path: PathBuf,
        /// The first fault.
        cause: String,
    },
    /// A file holds what was never written there.
    #[error("{} is corrupt at byte {offset}: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A file was written by a newer version of this program.
    #[error("{} at byte {offset} needs a newer version of this program: {what}", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is not known here.
        what: String,
    },
    /// A frame or a group of frames is over its limit.
    #[error("{what} of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A batch id came again with other content.
    #[error(
        "batch {batch}, block {block} was sent before with other content ({what}): use a new id for new rows"
    )]
    OtherContent {
        /// The id, readable.
        batch: String,
        /// The block.
        block: u32,
        /// How it differs.
        what: String,
    },
    /// A producer's sequence lies below the window in which retries are recognised.
    #[error(
        "batch {batch}, block {block} is older than the deduplication window: whether it was stored is no longer known"
    )]
    TooOld {
        /// The id, readable.
        batch: String,
        /// The block.
        block: u32,
    },
    /// A broken invariant of ours.
    #[error("{0}")]
    Internal(String),
    /// A fault that already has its code.
    #[error(transparent)]
    Common(#[from] Error),
}

impl EngineError {
    /// The fault for a refusal of the disk: full and read-only have their own variants.
    pub fn io(action: IoAction, path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnlyDisk { path },
            kind => Self::Io { action, path, kind, message: error.to_string() },
        }
    }

    /// A corrupt place in a file.
    pub fn corrupt(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), offset, what: what.into() }
    }

    /// ClickHouse's code for it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io { action, .. } => match action {
                IoAction::Create | IoAction::Open | IoAction::List => ErrorCode::CannotOpenFile,
                IoAction::Read => ErrorCode::CannotReadAllData,
                IoAction::Write | IoAction::Rename | IoAction::Remove => {
                    ErrorCode::CannotWriteToFileDescriptor
                }
                IoAction::Sync => ErrorCode::CannotFsync,
            },
            Self::DiskFull { .. } => ErrorCode::NotEnoughSpace,
            Self::ReadOnlyDisk { .. } | Self::LeftBehind { .. } => ErrorCode::TableIsReadOnly,
            Self::LogFailed { .. } => ErrorCode::CannotFsync,
            Self::Corrupt { .. } => ErrorCode::CorruptedData,
            Self::TooNew { .. } => ErrorCode::NotImplemented,
            Self::TooLarge { .. } => ErrorCode::TooManyRowsOrBytes,
            Self::OtherContent { .. } | Self::TooOld { .. } => ErrorCode::IncorrectData,
            Self::Internal(_) => ErrorCode::LogicalError,
            Self::Common(error) => error.code,
        }
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Common(error) => error,
            other => Self::new(other.code(), other.to_string()),
        }
    }
}

impl From<arrow::error::ArrowError> for EngineError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Common(error.into())
    }
}
