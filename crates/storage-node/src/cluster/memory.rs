//! What a clustered node remembers over its restarts, in the file `CLUSTER` of its data directory: its cluster, the
//! last placement and where the nodes were, the sweeps that it has carried out. Replaced whole; JSON.
//!
//! Promises: a directory serves one cluster for ever, and never one after it was a lone node's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use zepto_common::ids::{Epoch, NodeId, PartitionId};
use zepto_common::placement::Placement;
use zepto_common::{Error, ErrorCode, Result};
use zepto_engine::Store;
use zepto_engine::disk::{RealDisk, replace_file};

/// The version of the file that this build writes.
const FORMAT: u32 = 1;

/// Where a storage node was reached, `host:port` each; empty = not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// Rows.
    pub(crate) rpc: String,
    /// Heartbeats.
    pub(crate) heartbeat: String,
}

/// The storage nodes, by id.
pub(crate) type ReachedNodes = BTreeMap<NodeId, Reached>;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Document {
    format: u32,
    cluster_id: String,
    placement: Placement,
    #[serde(default)]
    nodes: ReachedNodes,
    /// Catalog versions whose TRUNCATE was carried out here and is not finished everywhere.
    swept: BTreeSet<u64>,
}

/// The file and what it holds.
#[derive(Debug)]
pub(crate) struct Memory {
    path: PathBuf,
    /// Held while the file is written.
    document: Mutex<Document>,
}

/// The file's place.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("CLUSTER")
}

impl Memory {
    /// Reads the file, or makes it for a fresh directory.
    ///
    /// # Errors
    /// `InvalidConfigParameter` for a directory of another cluster or with tables of a lone node; the disk's.
    pub(crate) fn open(data_dir: &Path, cluster_id: &str, store: &Store) -> Result<Self> {
        let path = path(data_dir);
        let refuse = |what: String| Err(Error::new(ErrorCode::InvalidConfigParameter, what));
        let document = match std::fs::read(&path) {
            Ok(bytes) => read(&path, &bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let catalog = store.catalog();
                if catalog.version() > 1 {
                    return refuse(format!(
                        "{} has the catalog of a node that ran alone: its tables have other ids than the cluster's. \
                         Start it alone, or give this node an empty directory",
                        data_dir.display()
                    ));
                }
                let placement = Placement::default();
                Document {
                    format: FORMAT,
                    cluster_id: cluster_id.to_owned(),
                    placement,
                    nodes: ReachedNodes::new(),
                    swept: BTreeSet::new(),
                }
            }
            Err(error) => return Err(fault(&path, &error)),
        };
        if document.cluster_id != cluster_id {
            let theirs = &document.cluster_id;
            return refuse(format!(
                "{} belongs to the cluster {theirs:?}, not to {cluster_id:?}",
                path.display()
            ));
        }
        let memory = Self { path, document: Mutex::new(document) };
        memory.write(|_| ())?;
        Ok(memory)
    }

    /// The last placement known.
    pub(crate) fn placement(&self) -> Placement {
        self.document.lock().placement.clone()
    }

    /// The highest epoch known of each partition.
    pub(crate) fn epochs(&self) -> Vec<(PartitionId, Epoch)> {
        let document = self.document.lock();
        document.placement.partitions.iter().map(|it| (it.grant.partition, it.grant.epoch)).collect()
    }

    /// Where the nodes were last.
    pub(crate) fn nodes(&self) -> ReachedNodes {
        self.document.lock().nodes.clone()
    }

    /// Remembers a placement and where the nodes are, if either is news. Syncs files.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn keep(&self, placement: &Placement, nodes: &ReachedNodes) -> Result<()> {
        let is_known = {
            let document = self.document.lock();
            document.placement.version == placement.version && document.nodes == *nodes
        };
        if is_known {
            return Ok(());
        }
        self.write(|document| {
            document.placement = placement.clone();
            document.nodes = nodes.clone();
        })
    }

    /// Whether this sweep was carried out.
    pub(crate) fn has_swept(&self, version: u64) -> bool {
        self.document.lock().swept.contains(&version)
    }

    /// Remembers a sweep, and forgets those that are not `open` any more. Syncs files.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn keep_sweep(&self, version: u64, open: &BTreeSet<u64>) -> Result<()> {
        self.write(|document| {
            document.swept.retain(|it| open.contains(it));
            document.swept.insert(version);
        })
    }

    fn write(&self, change: impl FnOnce(&mut Document)) -> Result<()> {
        let mut document = self.document.lock();
        let mut next = document.clone();
        change(&mut next);
        let bytes = serde_json::to_vec(&next).map_err(|error| Error::internal(error.to_string()))?;
        replace_file(&RealDisk, &self.path, &bytes).map_err(|error| fault(&self.path, &error))?;
        *document = next;
        Ok(())
    }
}

fn read(path: &Path, bytes: &[u8]) -> Result<Document> {
    let damaged = |what: &dyn std::fmt::Display| {
        Error::new(ErrorCode::CorruptedData, format!("{}: {what}", path.display()))
    };
    let document: Document = serde_json::from_slice(bytes).map_err(|error| damaged(&error))?;
    if document.format != FORMAT {
        return Err(damaged(&format!("format {} is not known to this build", document.format)));
    }
    Ok(document)
}

fn fault(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorCode::CannotOpenFile, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use zepto_common::ids::{DiskId, PlacementVersion, SetVersion};
    use zepto_common::placement::{Assignment, Grant, InSyncSet, Replica};
    use zepto_engine::StoreOptions;

    use super::*;

    fn placement() -> Placement {
        let owner = Replica { node: NodeId(1), disk: DiskId(u128::MAX - 1) };
        let set = InSyncSet { version: SetVersion(3), members: [owner].into() };
        let grant = Grant { partition: PartitionId(0), epoch: Epoch(7), owner, set };
        let assignment = Assignment { grant, joining: [].into(), leaving: [].into() };
        Placement { version: PlacementVersion(9), partitions: vec![assignment] }
    }

    #[test]
    fn what_was_kept_is_there_after_a_restart_and_only_for_the_same_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path())).unwrap();
        let memory = Memory::open(dir.path(), "a", &store).unwrap();
        assert!(memory.placement().partitions.is_empty() && memory.epochs().is_empty());
        let reached = Reached { rpc: "a:1".to_owned(), heartbeat: "a:2".to_owned() };
        let nodes = ReachedNodes::from([(NodeId(1), reached)]);
        memory.keep(&placement(), &nodes).unwrap();
        memory.keep_sweep(4, &[4].into()).unwrap();
        memory.keep_sweep(6, &[6].into()).unwrap();
        drop(memory);
        let memory = Memory::open(dir.path(), "a", &store).unwrap();
        assert_eq!(memory.placement(), placement());
        assert_eq!(memory.nodes(), nodes);
        assert_eq!(memory.epochs(), [(PartitionId(0), Epoch(7))]);
        assert!(memory.has_swept(6) && !memory.has_swept(4));
        let error = Memory::open(dir.path(), "b", &store).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidConfigParameter, "{error}");
        std::fs::write(path(dir.path()), b"{").unwrap();
        assert_eq!(Memory::open(dir.path(), "a", &store).unwrap_err().code, ErrorCode::CorruptedData);
    }

    #[tokio::test]
    async fn a_directory_of_a_lone_node_is_not_taken_into_a_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path())).unwrap();
        store.create_database("mine").await.unwrap();
        let error = Memory::open(dir.path(), "a", &store).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidConfigParameter, "{error}");
        assert!(!path(dir.path()).exists());
    }
}
