//! Talking to the drain threads.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use zepto_common::{Error, Lsn, PartitionId, Result, TableId};

use super::Background;
use crate::shard::{Command, Cut};

/// How long a drain thread may take to finish its pass before the background thread gives up: a sync can be slow,
/// but a job that waits for ever would block every other.
const PATIENCE: Duration = Duration::from_secs(60);

/// The drain threads stand still while this lives.
#[derive(Debug)]
pub(crate) struct Paused {
    /// Applied lsn by partition number.
    pub(crate) applied: Vec<u64>,
    drains: Vec<SyncSender<TableId>>,
}

impl Paused {
    /// Makes every drain thread forget the tokens of a table before it goes on.
    pub(crate) fn forget_tokens(&self, table: TableId) {
        for drain in &self.drains {
            // A thread that has ended remembers nothing.
            let _ = drain.send(table);
        }
    }
}

impl Background {
    /// Stops all drain threads between two passes.
    ///
    /// # Errors
    /// One did not answer in time; all go on then.
    pub(crate) fn pause(&self) -> Result<Paused> {
        let mut paused = Paused { applied: vec![0; usize::from(self.shared.partitions)], drains: Vec::new() };
        let mut waiting = Vec::new();
        for drain in &self.shared.drains {
            let (entered, entering) = sync_channel(1);
            let (forget, forgetting) = sync_channel(1);
            drain.command(Command::Pause { entered, forget: forgetting })?;
            paused.drains.push(forget);
            waiting.push(entering);
        }
        for entering in waiting {
            let applied: Vec<(PartitionId, Lsn)> = entering.recv_timeout(PATIENCE).map_err(|_| stuck())?;
            for (partition, lsn) in applied {
                paused.applied[usize::from(partition.0)] = lsn.0;
            }
        }
        Ok(paused)
    }

    /// Closes the memtables of a shard at a pass boundary.
    ///
    /// # Errors
    /// The thread did not answer in time.
    pub(crate) fn cut(&self, shard: usize) -> Result<Cut> {
        let (answer, cut) = sync_channel(1);
        self.shared.drains[shard].command(Command::Cut(answer))?;
        cut.recv_timeout(PATIENCE).map_err(|_| stuck())
    }
}

pub(super) fn stuck() -> Error {
    Error::internal("a drain thread does not answer: the disk may hang")
}
