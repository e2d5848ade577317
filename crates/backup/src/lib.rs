//! Backups: what the storage nodes' snapshots had, in a folder or in S3, and what a restore reads from there.
//!
//! Promises: a backup exists when its document does, which is written last; a segment file is kept once for all
//! backups that have it, and what a name stands for never changes; nothing that a backup names is removed while its document
//! is there. docs/formats/backup.md has it in full.
//!
//! - [`document`]: what one backup consists of, and which node's snapshot gives which partition; pure
//! - [`repository`]: where backups lie: written, listed, read, pruned, one writer at a time
//! - [`contents`]: the rows of a backup

pub mod contents;
pub mod document;
pub mod repository;

pub use contents::{Contents, TableRows};
pub use document::{Backup, NodePart, StoredFile};
pub use repository::Repository;
