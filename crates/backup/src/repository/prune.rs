//! Old backups go, and then the files that no backup names.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::ObjectStoreExt;
use zepto_common::{ErrorCode, Result};

use super::{BACKUPS, Lock, Repository, SEGMENTS};

/// What went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names of backups.
    pub backups: Vec<String>,
    /// Files.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl Repository {
    /// Keeps the newest `keep` backups. A document goes before the files that only it names, so that what is listed is whole
    /// whenever this is cut off; the next one removes what was left.
    ///
    /// # Errors
    /// The store's.
    pub async fn prune(&self, keep: usize, lock: &mut Lock) -> Result<Pruned> {
        let mut backups = self.backups().await?;
        let kept = backups.split_off(backups.len().saturating_sub(keep));
        let mut pruned = Pruned::default();
        for backup in backups {
            lock.stay().await?;
            self.remove(&Self::document(&backup.name)).await?;
            pruned.backups.push(backup.name);
        }
        let named: BTreeSet<String> = kept
            .iter()
            .flat_map(|backup| {
                let files = backup.files().into_iter().map(|file| file.at.clone());
                files.chain([Self::document(&backup.name)])
            })
            .map(|at| self.place(&at).to_string())
            .collect();
        for folder in [BACKUPS, SEGMENTS] {
            let fault = |error| self.fault(ErrorCode::CannotReadAllData, folder, &error);
            let place = self.place(folder);
            let listed: Vec<_> = self.store.list(Some(&place)).try_collect().await.map_err(fault)?;
            for object in listed.iter().filter(|object| !named.contains(object.location.as_ref())) {
                lock.stay().await?;
                self.store.delete(&object.location).await.map_err(fault)?;
                pruned.files += 1;
                pruned.bytes += object.size;
            }
        }
        Ok(pruned)
    }

    async fn remove(&self, at: &str) -> Result<()> {
        let removed = self.store.delete(&self.place(at)).await;
        removed.map_err(|error| self.fault(ErrorCode::CannotWriteToFileDescriptor, at, &error))
    }
}
