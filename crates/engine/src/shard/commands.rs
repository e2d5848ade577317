//! What a drain thread does for the background thread, between two passes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use bytes::Bytes;
use zepto_common::{Lsn, PartitionId, Result, TableId};

use super::{Command, Cut, LogMeter, Shard};
use crate::table::TableData;
use crate::wal::{Frame, LogPosition, Place, TtlCutoffFrame};

impl Shard {
    /// Obeys a command; true for the one that ends the thread.
    pub(super) fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Cut(answer) => {
                let cut = self.cut();
                // The background thread may have given up: then the memtables are closed for nothing, no more.
                let _ = answer.send(cut);
            }
            Command::Pause { entered, forget } => self.pause(&entered, &forget),
            Command::Release(covered) => self.release(covered),
            Command::DropSpares => {
                if let Err(error) = self.log.drop_spares() {
                    tracing::warn!(shard = self.index, %error, "log files that wait to be used again stay until the next try");
                }
            }
            Command::Expire { table, cutoff, done } => {
                let _ = done.send(self.expire(&table, cutoff));
            }
            Command::Positions(raise) => self.raise_positions(raise),
            Command::Forget(tables) => {
                for table in tables {
                    self.tables.remove(&table);
                    self.dirty.remove(&table);
                    self.shared.positions.lock().remove(&table);
                }
            }
            // Met by the loop of a store with copies alone.
            Command::Copies(_) => {}
            Command::Stop => return true,
        }
        false
    }

    fn applied(&self) -> Vec<(PartitionId, Lsn)> {
        self.owned().map(|partition| (partition, Lsn(self.lsns[usize::from(partition.0)]))).collect()
    }

    /// Closes every memtable of the shard. All that was appended is synced and applied between passes.
    fn cut(&mut self) -> Cut {
        for table in self.dirty.values() {
            let id = self.shared.next_sealed_id();
            table.cells().shards[self.index].update(&self.shared.memory, |cell| cell.seal(id));
        }
        self.dirty.clear();
        self.logged = LogMeter::new(0);
        Cut {
            applied: self.applied(),
            position: self.log.position(),
            sealed_below: self.shared.next_sealed_id(),
            windows: self.windows(),
            copies: Vec::new(),
            covers_old: true,
        }
    }

    fn windows(&self) -> Vec<(TableId, u16, Bytes)> {
        let tables = self.tables.iter().filter(|(_, memory)| !memory.window.is_empty());
        tables.map(|(&id, memory)| (id, self.index as u16, memory.window.encode())).collect()
    }

    /// Stands still until the other side lets go; forgets the tokens of the tables that it names meanwhile.
    fn pause(&mut self, entered: &SyncSender<Vec<(PartitionId, Lsn)>>, forget: &Receiver<TableId>) {
        if entered.send(self.applied()).is_ok() {
            while let Ok(table) = forget.recv() {
                if let Some(memory) = self.tables.get_mut(&table) {
                    memory.window.forget_tokens();
                }
            }
        }
    }

    pub(super) fn release(&mut self, covered: LogPosition) {
        if let Err(error) = self.log.release(covered) {
            tracing::warn!(shard = self.index, %error, "log files that are covered could not be released");
        }
    }

    /// A place at the next position of each owned partition; [`Self::advance`] makes them taken.
    pub(crate) fn places(&self) -> Vec<Place> {
        let next = |partition: PartitionId| Lsn(self.lsns[usize::from(partition.0)]).next();
        self.owned().map(|partition| Place { partition, lsn: next(partition) }).collect()
    }

    pub(crate) fn advance(&mut self, places: &[Place]) {
        for place in places {
            self.lsns[usize::from(place.partition.0)] = place.lsn.0;
        }
    }

    fn expire(&mut self, table: &Arc<TableData>, cutoff: i64) -> Result<()> {
        let places = self.places();
        let frame =
            TtlCutoffFrame { token: self.shared.token, places: places.clone(), table: table.id, cutoff };
        self.log.append(&Frame::TtlCutoff(frame))?;
        self.sync_log()?;
        self.advance(&places);
        table.cells().shards[self.index].update(&self.shared.memory, |cell| cell.raise_cutoff(cutoff));
        Ok(())
    }
}
