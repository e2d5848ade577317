//! What an ingest node remembers over its restarts, if it has a folder: the last placement, catalog and storage nodes,
//! and the number of its last start. The file `INGEST`, JSON, replaced whole.
//!
//! Promises: the file is one of one cluster; what it holds is never older than what was kept before; a start's number
//! is above those of all starts before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use zepto_common::catalog::Catalog;
use zepto_common::ids::NodeId;
use zepto_common::placement::Placement;
use zepto_common::{Error, ErrorCode, Result};

/// The version of the file that this build writes.
const FORMAT: u32 = 1;

/// Where a storage node was reached, `host:port` each; empty = not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// Statements.
    pub(crate) http: String,
    /// Rows.
    pub(crate) rpc: String,
    /// Heartbeats.
    pub(crate) heartbeat: String,
    /// Whether it takes statements.
    pub(crate) active: bool,
}

/// What is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    format: u32,
    cluster_id: String,
    /// The number of the last start.
    pub(crate) incarnation: u64,
    pub(crate) placement: Arc<Placement>,
    /// None = never told.
    pub(crate) catalog: Option<Arc<Catalog>>,
    pub(crate) nodes: BTreeMap<NodeId, Reached>,
}

impl Kept {
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }
}

/// The file; without a folder nothing is kept.
#[derive(Debug)]
pub(crate) struct Memory {
    path: Option<PathBuf>,
    kept: Mutex<Kept>,
}

impl Memory {
    /// Reads the file, or begins without one. This start has a number of its own from now on.
    ///
    /// # Errors
    /// `InvalidConfigParameter` for a file of another cluster; `CorruptedData`; the disk's.
    pub(crate) fn open(folder: Option<&Path>, cluster_id: &str) -> Result<Self> {
        let mut kept = Kept {
            format: FORMAT,
            cluster_id: cluster_id.to_owned(),
            incarnation: 0,
            placement: Arc::default(),
            catalog: None,
            nodes: BTreeMap::new(),
        };
        let Some(folder) = folder else { return Ok(Self { path: None, kept: Mutex::new(kept) }) };
        std::fs::create_dir_all(folder).map_err(|error| fault(folder, &error))?;
        let path = folder.join("INGEST");
        match std::fs::read(&path) {
            Ok(bytes) => kept = read(&path, &bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(fault(&path, &error)),
        }
        if kept.cluster_id != cluster_id {
            let message = format!(
                "{} belongs to the cluster {:?}, not to {cluster_id:?}",
                path.display(),
                kept.cluster_id
            );
            return Err(Error::new(ErrorCode::InvalidConfigParameter, message));
        }
        if kept.incarnation > 0 {
            kept.incarnation += 1;
        }
        let memory = Self { path: Some(path), kept: Mutex::new(kept) };
        memory.change(|_| ())?;
        Ok(memory)
    }

    pub(crate) fn kept(&self) -> Kept {
        self.kept.lock().clone()
    }

    /// Remembers a change. Syncs files.
    ///
    /// # Errors
    /// The disk's; what was kept stays.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Kept)) -> Result<()> {
        let mut kept = self.kept.lock();
        let mut next = kept.clone();
        change(&mut next);
        if let Some(path) = &self.path {
            let bytes = serde_json::to_vec(&next).map_err(|error| Error::internal(error.to_string()))?;
            zepto_process::file::replace(path, &bytes).map_err(|error| fault(path, &error))?;
        }
        *kept = next;
        Ok(())
    }
}

fn read(path: &Path, bytes: &[u8]) -> Result<Kept> {
    let damaged = |what: &dyn std::fmt::Display| {
        let message = format!("{}: {what}; remove it to begin anew", path.display());
        Error::new(ErrorCode::CorruptedData, message)
    };
    let kept: Kept = serde_json::from_slice(bytes).map_err(|error| damaged(&error))?;
    if kept.format != FORMAT {
        return Err(damaged(&format!("format {} is not known to this build", kept.format)));
    }
    Ok(kept)
}

fn fault(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorCode::CannotOpenFile, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use zepto_common::ids::{DiskId, Epoch, PartitionId, PlacementVersion, SetVersion};
    use zepto_common::placement::{Assignment, Grant, InSyncSet, Replica};

    use super::*;

    #[test]
    fn what_was_kept_is_there_after_a_restart_and_only_for_the_same_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let memory = Memory::open(Some(dir.path()), "a").unwrap();
        assert_eq!((memory.kept().incarnation, memory.kept().catalog.is_none()), (0, true));
        let reached = Reached { http: "h:1".to_owned(), active: true, ..Reached::default() };
        memory
            .change(|kept| {
                kept.incarnation = 7;
                kept.catalog = Some(Arc::default());
                kept.nodes.insert(NodeId(3), reached.clone());
            })
            .unwrap();
        drop(memory);
        let kept = Memory::open(Some(dir.path()), "a").unwrap().kept();
        assert_eq!((kept.incarnation, kept.nodes.get(&NodeId(3))), (8, Some(&reached)));
        assert!(kept.catalog.is_some());
        let again = Memory::open(Some(dir.path()), "a").unwrap().kept();
        assert_eq!(again.incarnation, 9, "a start that nobody gave a number has one of its own");
        let error = Memory::open(Some(dir.path()), "b").unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidConfigParameter, "{error}");
        std::fs::write(dir.path().join("INGEST"), b"{").unwrap();
        assert_eq!(Memory::open(Some(dir.path()), "a").unwrap_err().code, ErrorCode::CorruptedData);
    }

    /// The file of docs/formats/manifest.md, written by version 0.1.
    const GOLDEN: &[u8] = include_bytes!("golden/INGEST");

    #[test]
    fn the_file_is_the_documented_one_and_old_files_are_read() {
        let replica = |node, disk| Replica { node: NodeId(node), disk: DiskId(disk) };
        let set = InSyncSet { version: SetVersion(4), members: [replica(0, 10), replica(1, 11)].into() };
        let grant = Grant { partition: PartitionId(0), epoch: Epoch(6), owner: replica(0, 10), set };
        let moved = Assignment { grant, joining: [replica(2, 12)].into(), leaving: [replica(0, 10)].into() };
        let reached = |number: u32, active| Reached {
            http: format!("127.0.0.1:{number}"),
            rpc: format!("127.0.0.1:{}", number + 100),
            heartbeat: format!("127.0.0.1:{}", number + 200),
            active,
        };
        let kept = Kept {
            format: FORMAT,
            cluster_id: "plant".to_owned(),
            incarnation: 3,
            placement: Arc::new(Placement { version: PlacementVersion(17), partitions: vec![moved] }),
            catalog: Some(Arc::default()),
            nodes: [(NodeId(0), reached(1_000, true)), (NodeId(1), reached(2_000, false))].into(),
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text(&serde_json::to_vec(&kept).unwrap()), text(GOLDEN));
        let old = read(Path::new("INGEST"), GOLDEN).unwrap();
        assert_eq!((old.cluster_id(), old.incarnation, &old.placement), ("plant", 3, &kept.placement));
        assert_eq!(old.nodes, kept.nodes);
        let newer = text(GOLDEN).replacen("\"format\":1", "\"format\":2", 1);
        let error = read(Path::new("INGEST"), newer.as_bytes()).unwrap_err();
        assert_eq!(error.code, ErrorCode::CorruptedData, "{error}");
    }

    #[test]
    fn without_a_folder_nothing_is_written() {
        let memory = Memory::open(None, "a").unwrap();
        memory.change(|kept| kept.incarnation = 2).unwrap();
        assert_eq!(memory.kept().incarnation, 2);
    }
}
