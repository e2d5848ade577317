//! Records of snapshots for backup.

use super::State;
use super::command::{Reason, Refusal};
use super::limits::SNAPSHOTS_MAX;
use super::record::SnapshotRecord;

impl State {
    pub(super) fn put_snapshot(&mut self, snapshot: &SnapshotRecord) -> Result<bool, Refusal> {
        if snapshot.name.is_empty() {
            return Err(Refusal::new(Reason::BadRequest, "a snapshot has a name"));
        }
        if self.snapshots.get(&snapshot.name) == Some(snapshot) {
            return Ok(false);
        }
        if self.snapshots.len() >= SNAPSHOTS_MAX && !self.snapshots.contains_key(&snapshot.name) {
            let message = format!("there are {SNAPSHOTS_MAX} snapshots, which is the most");
            return Err(Refusal::new(Reason::LimitReached, message));
        }
        self.snapshots.insert(snapshot.name.clone(), snapshot.clone());
        Ok(true)
    }
}
