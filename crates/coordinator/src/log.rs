//! What a coordinator keeps on its disk: the Raft log, the vote, and the newest snapshot of the state, in one redb file.
//!
//! Promises: what was acknowledged to the group is synced (`Durability::Immediate`) before the acknowledgement; after
//! one failed write the file refuses everything until the process starts again; what cannot be read stops the start
//! with the place named. docs/formats/raft-log.md has the bytes.

mod machine;
mod store;
#[cfg(test)]
mod tests;

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openraft::BasicNode;
use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zepto_common::ids::DiskId;

use crate::state::{CodecError, Outcome, Proposal, decode, encode};

pub use machine::{Applied, StateMachine};
pub use store::LogStore;

openraft::declare_raft_types!(
    /// The group's types: proposals in, outcomes out.
    pub Group:
        D = Proposal,
        R = Outcome,
        NodeId = u64,
        Node = BasicNode,
);

/// Index → entry.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// Name → vote, positions, snapshot, identity.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";
const SNAPSHOT: &str = "snapshot";
const IDENTITY: &str = "identity";

/// What can go wrong with the file.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// The disk's, or redb's.
    #[error("{path}: {what}")]
    Store {
        /// The file.
        path: PathBuf,
        /// What redb said.
        what: String,
    },
    /// A value that cannot be read.
    #[error("{path}: {place}: {source}")]
    Value {
        /// The file.
        path: PathBuf,
        /// Table and key.
        place: String,
        /// What is wrong with it.
        source: CodecError,
    },
    /// The disk is another member's.
    #[error("{path} belongs to member {theirs}, not to member {ours}")]
    OtherMember {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        theirs: u64,
        /// Who wants it.
        ours: u64,
    },
    /// A thread of the blocking pool did not end.
    #[error("a disk operation did not end: {0}")]
    Thread(String),
}

/// Who a data directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MemberIdentity {
    /// The member.
    pub member: u64,
    /// Random, made with the directory.
    pub disk: DiskId,
}

/// The file, shared by log and state machine.
#[derive(Clone)]
pub struct Disk {
    db: Arc<Database>,
    path: Arc<PathBuf>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Disk").field(&self.path).finish()
    }
}

impl Disk {
    /// Opens or makes `raft.redb` in a directory, which is made too. Blocks.
    ///
    /// # Errors
    /// The disk's; a file that another process has open; another member's file.
    pub fn open(data_dir: &Path, member: u64) -> Result<(Self, MemberIdentity), LogError> {
        let path = data_dir.join("raft.redb");
        let fault = |what: String| LogError::Store { path: path.clone(), what };
        std::fs::create_dir_all(data_dir).map_err(|error| fault(error.to_string()))?;
        let db = Database::create(&path).map_err(|error| fault(error.to_string()))?;
        // The file's name must survive a power cut too.
        let synced = std::fs::File::open(data_dir).and_then(|directory| directory.sync_all());
        synced.map_err(|error| fault(error.to_string()))?;
        let disk = Self { db: Arc::new(db), path: Arc::new(path) };
        let known: Option<MemberIdentity> = disk.get_meta(IDENTITY)?;
        let identity = match known {
            Some(known) if known.member != member => {
                let path = disk.path.to_path_buf();
                return Err(LogError::OtherMember { path, theirs: known.member, ours: member });
            }
            Some(known) => known,
            None => MemberIdentity { member, disk: DiskId(rand::random()) },
        };
        disk.write(Durability::Immediate, |tables| {
            tables.put_meta(IDENTITY, &identity)?;
            // Makes the table, so that readers find it.
            tables.txn.open_table(LOG).map(drop).map_err(|error| tables.disk.fault(error))
        })?;
        Ok((disk, identity))
    }

    fn fault(&self, error: impl std::fmt::Display) -> LogError {
        LogError::Store { path: self.path.to_path_buf(), what: error.to_string() }
    }

    fn read_value<T: DeserializeOwned>(
        &self,
        place: impl FnOnce() -> String,
        bytes: &[u8],
    ) -> Result<T, LogError> {
        decode(bytes).map_err(|source| LogError::Value {
            path: self.path.to_path_buf(),
            place: place(),
            source,
        })
    }

    fn encode<T: Serialize>(&self, place: &str, value: &T) -> Result<Vec<u8>, LogError> {
        let place = place.to_owned();
        encode(value).map_err(|source| LogError::Value { path: self.path.to_path_buf(), place, source })
    }

    fn get_meta<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, LogError> {
        let txn = self.db.begin_read().map_err(|error| self.fault(error))?;
        let table = match txn.open_table(META) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(self.fault(error)),
        };
        let Some(bytes) = table.get(key).map_err(|error| self.fault(error))? else { return Ok(None) };
        self.read_value(|| format!("meta/{key}"), bytes.value()).map(Some)
    }

    /// One transaction; nothing of it is there after a fault.
    fn write(
        &self,
        durability: Durability,
        change: impl FnOnce(&Tables<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let mut txn = self.db.begin_write().map_err(|error| self.fault(error))?;
        txn.set_durability(durability).map_err(|error| self.fault(error))?;
        change(&Tables { disk: self, txn: &txn })?;
        txn.commit().map_err(|error| self.fault(error))
    }

    /// Runs a disk operation where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let disk = self.clone();
        match tokio::task::spawn_blocking(move || work(&disk)).await {
            Ok(result) => result,
            Err(error) => Err(LogError::Thread(error.to_string())),
        }
    }
}

/// The tables of one transaction.
struct Tables<'a> {
    disk: &'a Disk,
    txn: &'a redb::WriteTransaction,
}

impl Tables<'_> {
    fn put_meta<T: Serialize>(&self, key: &str, value: &T) -> Result<(), LogError> {
        let bytes = self.disk.encode(key, value)?;
        let mut table = self.txn.open_table(META).map_err(|error| self.disk.fault(error))?;
        table.insert(key, bytes.as_slice()).map(drop).map_err(|error| self.disk.fault(error))
    }
}
