use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{
    CommittedLeaderId, Entry, EntryPayload, LogId, RaftLogReader, RaftSnapshotBuilder, StorageError, Vote,
};
use tempfile::TempDir;

use super::{Disk, Group, LogError, LogStore, StateMachine, machine};
use crate::state::{ClusterRecord, Command, Proposal};

struct Builder;

impl StoreBuilder<Group, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<u64>> {
        let dir = tempfile::tempdir().expect("makes a directory");
        let (disk, _) = Disk::open(dir.path(), 1).expect("opens");
        let (machine, _) = StateMachine::open(disk.clone()).expect("opens");
        Ok((dir, LogStore::new(disk), machine))
    }
}

#[test]
fn the_store_passes_openrafts_suite() {
    Suite::test_all(Builder).expect("passes");
}

fn log_id(term: u64, index: u64) -> LogId<u64> {
    LogId::new(CommittedLeaderId::new(term, 1), index)
}

fn entry(term: u64, index: u64) -> Entry<Group> {
    let id = format!("cluster-{index}");
    let founding = ClusterRecord { id, partitions: 4, replication_factor: 1, min_in_sync: 1 };
    let proposal = Proposal { at_ms: index, command: Command::Found(founding) };
    Entry { log_id: log_id(term, index), payload: EntryPayload::Normal(proposal) }
}

#[tokio::test]
async fn a_restart_finds_log_vote_and_positions() {
    let dir = tempfile::tempdir().expect("makes a directory");
    let identity = {
        let (disk, identity) = Disk::open(dir.path(), 7).expect("opens");
        let mut log = LogStore::new(disk);
        log.save_vote(&Vote::new_committed(3, 7)).await.expect("saves");
        log.blocking_append((1..=9).map(|index| entry(3, index))).await.expect("appends");
        log.save_committed(Some(log_id(3, 8))).await.expect("saves");
        log.purge(log_id(3, 4)).await.expect("purges");
        log.truncate(log_id(3, 9)).await.expect("truncates");
        identity
    };
    let (disk, again) = Disk::open(dir.path(), 7).expect("opens again");
    assert_eq!(again, identity);
    let mut log = LogStore::new(disk);
    assert_eq!(log.read_vote().await.expect("reads"), Some(Vote::new_committed(3, 7)));
    let state = log.get_log_state().await.expect("reads");
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(log_id(3, 4)), Some(log_id(3, 8))));
    let entries = log.try_get_log_entries(0..100).await.expect("reads");
    assert_eq!(entries.iter().map(|it| it.log_id.index).collect::<Vec<_>>(), [5, 6, 7, 8]);
    assert_eq!(entries[0], entry(3, 5));
}

#[tokio::test]
async fn a_restart_finds_the_newest_snapshot() {
    let dir = tempfile::tempdir().expect("makes a directory");
    let expected = {
        let (disk, _) = Disk::open(dir.path(), 1).expect("opens");
        let (mut machine, seen) = StateMachine::open(disk).expect("opens");
        machine.apply([entry(1, 1)]).await.expect("applies");
        machine.get_snapshot_builder().await.build_snapshot().await.expect("builds");
        machine.apply([entry(1, 2)]).await.expect("applies");
        assert_eq!(seen.borrow().log_id, Some(log_id(1, 2)));
        seen.borrow().state.clone()
    };
    let (disk, _) = Disk::open(dir.path(), 1).expect("opens again");
    let (mut machine, seen) = StateMachine::open(disk).expect("opens again");
    assert_eq!(machine.applied_state().await.expect("reads").0, Some(log_id(1, 1)), "the log has the rest");
    assert_eq!(seen.borrow().state.cluster(), expected.cluster());
    let snapshot = machine.get_current_snapshot().await.expect("reads").expect("there is one");
    assert_eq!(snapshot.snapshot.into_inner(), machine::bytes_of(&seen.borrow().state));
}

#[test]
fn a_file_in_use_or_of_another_member_is_refused() {
    let dir = tempfile::tempdir().expect("makes a directory");
    let (disk, _) = Disk::open(dir.path(), 1).expect("opens");
    let second = Disk::open(dir.path(), 1).expect_err("in use");
    assert!(matches!(second, LogError::Store { .. }), "{second}");
    drop(disk);
    let other = Disk::open(dir.path(), 2).expect_err("another member's");
    assert!(matches!(other, LogError::OtherMember { theirs: 1, ours: 2, .. }), "{other}");
}

#[tokio::test]
async fn a_damaged_entry_is_named() {
    let dir = tempfile::tempdir().expect("makes a directory");
    let (disk, _) = Disk::open(dir.path(), 1).expect("opens");
    let mut log = LogStore::new(disk.clone());
    log.blocking_append([entry(1, 1)]).await.expect("appends");
    let txn = disk.db.begin_write().expect("begins");
    txn.open_table(super::LOG).expect("opens").insert(1, &b"\x01damaged"[..]).expect("writes");
    txn.commit().expect("commits");
    let error = log.try_get_log_entries(1..2).await.expect_err("damaged");
    assert!(error.to_string().contains("log/1: the checksum"), "{error}");
}
