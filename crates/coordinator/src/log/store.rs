//! The Raft log and the vote, as openraft asks for them.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{
    AnyError, Entry, LogId, LogState, OptionalSend, RaftLogId, RaftLogReader, StorageError, StorageIOError,
    Vote,
};
use redb::{Durability, ReadableDatabase, ReadableTable};

use super::{COMMITTED, Disk, Group, LOG, LogError, PURGED, VOTE};

/// The log and the vote of one member.
#[derive(Debug, Clone)]
pub struct LogStore {
    disk: Disk,
}

impl LogStore {
    /// The log in this file.
    #[must_use]
    pub fn new(disk: Disk) -> Self {
        Self { disk }
    }
}

impl Disk {
    fn entries(&self, range: (Bound<u64>, Bound<u64>)) -> Result<Vec<Entry<Group>>, LogError> {
        let txn = self.db.begin_read().map_err(|error| self.fault(error))?;
        let table = txn.open_table(LOG).map_err(|error| self.fault(error))?;
        let mut entries = Vec::new();
        for item in table.range::<u64>(range).map_err(|error| self.fault(error))? {
            let (index, bytes) = item.map_err(|error| self.fault(error))?;
            entries.push(self.read_value(|| format!("log/{}", index.value()), bytes.value())?);
        }
        Ok(entries)
    }

    fn last_log_id(&self) -> Result<Option<LogId<u64>>, LogError> {
        let txn = self.db.begin_read().map_err(|error| self.fault(error))?;
        let table = txn.open_table(LOG).map_err(|error| self.fault(error))?;
        let Some((index, bytes)) = table.last().map_err(|error| self.fault(error))? else { return Ok(None) };
        let entry: Entry<Group> = self.read_value(|| format!("log/{}", index.value()), bytes.value())?;
        Ok(Some(*entry.get_log_id()))
    }

    /// Takes entries out, all in one transaction.
    fn remove(&self, range: (Bound<u64>, Bound<u64>), purged: Option<LogId<u64>>) -> Result<(), LogError> {
        self.write(Durability::Immediate, |tables| {
            let mut table = tables.txn.open_table(LOG).map_err(|error| self.fault(error))?;
            table.retain_in::<u64, _>(range, |_, _| false).map_err(|error| self.fault(error))?;
            match purged {
                Some(purged) => tables.put_meta(PURGED, &purged),
                None => Ok(()),
            }
        })
    }
}

fn read_logs(error: LogError) -> StorageError<u64> {
    StorageIOError::read_logs(AnyError::new(&error)).into()
}

fn write_logs(error: LogError) -> StorageError<u64> {
    StorageIOError::write_logs(AnyError::new(&error)).into()
}

impl RaftLogReader<Group> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry<Group>>, StorageError<u64>> {
        let range = (range.start_bound().cloned(), range.end_bound().cloned());
        self.disk.blocking(move |disk| disk.entries(range)).await.map_err(read_logs)
    }
}

impl RaftLogStorage<Group> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Group>, StorageError<u64>> {
        let read = |disk: &Disk| Ok((disk.get_meta(PURGED)?, disk.last_log_id()?));
        let (last_purged_log_id, last) = self.disk.blocking(read).await.map_err(read_logs)?;
        Ok(LogState { last_purged_log_id, last_log_id: last.or(last_purged_log_id) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        let vote = *vote;
        let save =
            move |disk: &Disk| disk.write(Durability::Immediate, |tables| tables.put_meta(VOTE, &vote));
        let saved = self.disk.blocking(save).await;
        saved.map_err(|error| StorageIOError::write_vote(AnyError::new(&error)).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        let read = self.disk.blocking(|disk| disk.get_meta(VOTE)).await;
        read.map_err(|error| StorageIOError::read_vote(AnyError::new(&error)).into())
    }

    async fn save_committed(&mut self, committed: Option<LogId<u64>>) -> Result<(), StorageError<u64>> {
        // Not synced: an older position only means that a start learns the newer one from the leader.
        let save =
            move |disk: &Disk| disk.write(Durability::None, |tables| tables.put_meta(COMMITTED, &committed));
        self.disk.blocking(save).await.map_err(write_logs)
    }

    async fn read_committed(&mut self) -> Result<Option<LogId<u64>>, StorageError<u64>> {
        let read = self.disk.blocking(|disk| disk.get_meta::<Option<LogId<u64>>>(COMMITTED)).await;
        read.map(Option::flatten).map_err(read_logs)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Group>) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry<Group>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry<Group>> = entries.into_iter().collect();
        let append = move |disk: &Disk| {
            disk.write(Durability::Immediate, |tables| {
                let mut table = tables.txn.open_table(LOG).map_err(|error| disk.fault(error))?;
                for entry in &entries {
                    let bytes = disk.encode("log", entry)?;
                    table.insert(entry.log_id.index, bytes.as_slice()).map_err(|error| disk.fault(error))?;
                }
                Ok(())
            })
        };
        match self.disk.blocking(append).await {
            Ok(()) => {
                callback.log_io_completed(Ok(()));
                Ok(())
            }
            Err(error) => {
                callback.log_io_completed(Err(std::io::Error::other(error.to_string())));
                Err(write_logs(error))
            }
        }
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        let range = (Bound::Included(log_id.index), Bound::Unbounded);
        self.disk.blocking(move |disk| disk.remove(range, None)).await.map_err(write_logs)
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        let range = (Bound::Unbounded, Bound::Included(log_id.index));
        self.disk.blocking(move |disk| disk.remove(range, Some(log_id))).await.map_err(write_logs)
    }
}
