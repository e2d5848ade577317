//! The state machine as openraft drives it: applies entries in memory, keeps the newest snapshot on disk, and shows
//! each new state to whoever watches.
//!
//! The state of before a crash comes back from the snapshot and the log: nothing that was committed is forgotten.

use std::io::Cursor;
use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{
    AnyError, BasicNode, Entry, EntryPayload, LogId, OptionalSend, RaftSnapshotBuilder, Snapshot,
    SnapshotMeta, StorageError, StorageIOError, StoredMembership,
};
use redb::Durability;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Disk, Group, LogError, SNAPSHOT};
use crate::state::{Outcome, State, decode};

/// The state at one position of the log.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// The last entry in it.
    pub log_id: Option<LogId<u64>>,
    /// The group's members as of then.
    pub membership: StoredMembership<u64, BasicNode>,
    /// What is agreed on.
    pub state: Arc<State>,
}

/// A snapshot as it is kept.
#[derive(Serialize, Deserialize)]
struct StoredSnapshot<S> {
    meta: SnapshotMeta<u64, BasicNode>,
    state: S,
}

/// The state machine of one member.
#[derive(Debug)]
pub struct StateMachine {
    disk: Disk,
    applied: watch::Sender<Applied>,
}

/// Makes a snapshot of the state at one position.
#[derive(Debug)]
pub struct SnapshotMaker {
    disk: Disk,
    applied: Applied,
}

impl StateMachine {
    /// The state in the newest snapshot, and where every later one is shown. Blocks.
    ///
    /// # Errors
    /// A snapshot that cannot be read.
    pub fn open(disk: Disk) -> Result<(Self, watch::Receiver<Applied>), LogError> {
        let stored: Option<StoredSnapshot<State>> = disk.get_meta(SNAPSHOT)?;
        let applied = stored.map_or_else(Applied::default, |stored| Applied {
            log_id: stored.meta.last_log_id,
            membership: stored.meta.last_membership,
            state: Arc::new(stored.state),
        });
        let (sender, receiver) = watch::channel(applied);
        Ok((Self { disk, applied: sender }, receiver))
    }
}

impl Disk {
    fn keep_snapshot(&self, meta: &SnapshotMeta<u64, BasicNode>, state: &State) -> Result<(), LogError> {
        let stored = StoredSnapshot { meta: meta.clone(), state };
        self.write(Durability::Immediate, |tables| tables.put_meta(SNAPSHOT, &stored))
    }

    fn current_snapshot(&self) -> Result<Option<Snapshot<Group>>, LogError> {
        let Some(stored) = self.get_meta::<StoredSnapshot<State>>(SNAPSHOT)? else { return Ok(None) };
        let bytes = self.encode(SNAPSHOT, &stored.state)?;
        Ok(Some(Snapshot { meta: stored.meta, snapshot: Box::new(Cursor::new(bytes)) }))
    }
}

fn snapshot_fault(error: &LogError) -> StorageError<u64> {
    StorageIOError::write_snapshot(None, AnyError::new(error)).into()
}

impl RaftSnapshotBuilder<Group> for SnapshotMaker {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Group>, StorageError<u64>> {
        let Applied { log_id, membership, state } = self.applied.clone();
        let snapshot_id =
            log_id.map_or_else(|| "empty".to_owned(), |it| format!("{}-{}", it.leader_id, it.index));
        let meta = SnapshotMeta { last_log_id: log_id, last_membership: membership, snapshot_id };
        let kept = meta.clone();
        let work = move |disk: &Disk| {
            disk.keep_snapshot(&kept, &state)?;
            disk.encode(SNAPSHOT, &*state)
        };
        let bytes = self.disk.blocking(work).await.map_err(|error| snapshot_fault(&error))?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(bytes)) })
    }
}

impl RaftStateMachine<Group> for StateMachine {
    type SnapshotBuilder = SnapshotMaker;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>), StorageError<u64>> {
        let applied = self.applied.borrow();
        Ok((applied.log_id, applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Outcome>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry<Group>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut applied = self.applied.borrow().clone();
        let mut outcomes = Vec::new();
        for entry in entries {
            applied.log_id = Some(entry.log_id);
            outcomes.push(match entry.payload {
                EntryPayload::Blank => Outcome::Done { changed: false },
                EntryPayload::Normal(proposal) => Arc::make_mut(&mut applied.state).apply(&proposal),
                EntryPayload::Membership(membership) => {
                    applied.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Outcome::Done { changed: false }
                }
            });
        }
        self.applied.send_replace(applied);
        Ok(outcomes)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotMaker {
        SnapshotMaker { disk: self.disk.clone(), applied: self.applied.borrow().clone() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError<u64>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, BasicNode>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError<u64>> {
        let bytes = snapshot.into_inner();
        let state: State = decode(&bytes).map_err(|error| {
            StorageError::from(StorageIOError::read_snapshot(Some(meta.signature()), AnyError::new(&error)))
        })?;
        let state = Arc::new(state);
        let (kept, kept_state) = (meta.clone(), state.clone());
        let keep = move |disk: &Disk| disk.keep_snapshot(&kept, &kept_state);
        self.disk.blocking(keep).await.map_err(|error| snapshot_fault(&error))?;
        let membership = meta.last_membership.clone();
        self.applied.send_replace(Applied { log_id: meta.last_log_id, membership, state });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Group>>, StorageError<u64>> {
        let read = self.disk.blocking(Disk::current_snapshot).await;
        read.map_err(|error| StorageIOError::read_snapshot(None, AnyError::new(&error)).into())
    }
}

/// A snapshot's bytes; for tests.
#[cfg(test)]
pub(super) fn bytes_of(state: &State) -> Vec<u8> {
    crate::state::encode(state).expect("a state has a JSON form")
}
