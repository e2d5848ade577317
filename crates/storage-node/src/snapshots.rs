//! Snapshots of this node for backups: made, with the partitions that are whole in them, and sent file by file.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use zepto_common::ids::{Epoch, PartitionId};
use zepto_common::{Error, ErrorCode, Result};
use zepto_engine::Store;
use zepto_engine::disk::DiskFile;
use zepto_engine::store::{SnapshotFile, SnapshotInfo};
use zepto_http::StoredFile;

use crate::cluster::agreed::Agreed;

/// How long a partition may take to confirm that it is this node's; one that takes longer is not whole.
const CONFIRM_WAIT: Duration = Duration::from_secs(10);

/// Makes a snapshot. In a cluster a partition is whole in it that was this node's under one epoch from before it was begun, so that it
/// has what was acknowledged by then, until after it was made: nobody had its rows away from here meanwhile.
///
/// # Errors
/// The store's.
pub(crate) async fn make(store: &Store, agreed: Option<&Agreed>, name: &str) -> Result<SnapshotInfo> {
    let Some(agreed) = agreed else { return store.backup_snapshot(name).await };
    let before = confirmed(store, agreed).await;
    store.shared_snapshot(name).await?;
    let after = confirmed(store, agreed).await;
    let whole = before.into_iter().filter(|held| after.contains(held)).map(|(partition, _)| partition);
    store.confirm_snapshot(name, whole.collect()).await
}

/// The partitions that this node owns and shows everything of, under which epochs; ascending.
async fn confirmed(store: &Store, agreed: &Agreed) -> Vec<(PartitionId, Epoch)> {
    let confirm = |partition| async move {
        let epoch = agreed.held(partition)?;
        if store.has_copies() {
            let shows = tokio::time::timeout(CONFIRM_WAIT, store.confirm_read(partition)).await;
            shows.ok()?.ok()?;
        }
        (agreed.held(partition) == Some(epoch)).then_some((partition, epoch))
    };
    join_all(agreed.owned().into_iter().map(confirm)).await.into_iter().flatten().collect()
}

/// As the routes show it.
pub(crate) fn json(snapshot: &SnapshotInfo) -> Value {
    json!({
        "name": snapshot.name,
        "path": snapshot.path.display().to_string(),
        "catalog_version": snapshot.catalog_version,
        "rows": snapshot.rows,
        "bytes": snapshot.bytes,
        "created_nanos": snapshot.created_nanos,
        "disk": snapshot.disk,
        "whole": snapshot.whole,
    })
}

/// The same with its files.
///
/// # Errors
/// The store's.
pub(crate) fn with_files(store: &Store, name: &str) -> Result<Value> {
    let (info, files) = store.snapshot_files(name)?;
    let file = |it: &SnapshotFile| json!({"path": it.path, "bytes": it.bytes, "key": it.key});
    let mut value = json(&info);
    value["files"] = files.iter().map(file).collect();
    Ok(value)
}

/// One file on its way out.
///
/// # Errors
/// The store's.
pub(crate) fn open(store: &Store, name: &str, file: &str) -> Result<Box<dyn StoredFile>> {
    let file = store.open_snapshot_file(name, file)?;
    let bytes = file.len().map_err(|error| Error::new(ErrorCode::CannotReadAllData, error.to_string()))?;
    Ok(Box::new(SnapshotBytes { file, bytes }))
}

struct SnapshotBytes {
    file: Arc<dyn DiskFile>,
    bytes: u64,
}

impl StoredFile for SnapshotBytes {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
}
