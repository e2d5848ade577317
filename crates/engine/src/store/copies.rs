//! The doors of a store with copies.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use tokio::sync::oneshot;
use zepto_common::placement::{Placement, Replica};
use zepto_common::{Error, ErrorCode, Lsn, PartitionId, Result};

use super::Store;
use super::shared::closing;
use crate::copies::{CopyStatus, PeerMessage};
use crate::shard::Command;
use crate::shard::copies::{CopyCommand, Delivered};

impl Store {
    /// Hands in a message of another node's copy. False when it was lost, because too many wait or no such partition
    /// exists: the protocol repeats what matters.
    pub fn deliver(&self, partition: PartitionId, from: Replica, message: PeerMessage) -> bool {
        if partition.0 >= self.shared.partitions || self.shared.options.copies.is_none() {
            return false;
        }
        let drain = &self.shared.drains[self.shared.shard_of(partition)];
        let taken = drain.inbox.put(Delivered { partition, from, message });
        drain.ring.wake();
        taken
    }

    /// Tells the copies what the coordinator has agreed on.
    ///
    /// # Errors
    /// A drain thread that takes no commands; telling it again does no harm.
    pub fn learn(&self, placement: &Arc<Placement>) -> Result<()> {
        for drain in &self.shared.drains {
            drain.command(Command::Copies(CopyCommand::Learn(placement.clone())))?;
        }
        Ok(())
    }

    /// Whether a view that was pinned before the call holds every row of the partition that was acknowledged before
    /// it: gives the lsn up to which it does.
    ///
    /// # Errors
    /// `NotReady` when this node does not own the partition, or holds no lease.
    pub async fn confirm_read(&self, partition: PartitionId) -> Result<Lsn> {
        self.ask(partition, |answer| CopyCommand::Read(partition, answer)).await?
    }

    /// Gives ownership of a partition to another member of its set, once nothing waits.
    ///
    /// # Errors
    /// A drain thread that takes no commands.
    pub fn hand_over(&self, partition: PartitionId) -> Result<()> {
        let drain = &self.shared.drains[self.shared.shard_of(partition)];
        drain.command(Command::Copies(CopyCommand::HandOver(partition)))
    }

    /// Where a copy stands.
    ///
    /// # Errors
    /// `NotReady` when the store closes; `BadArguments` without copies.
    pub async fn copy_status(&self, partition: PartitionId) -> Result<CopyStatus> {
        self.ask(partition, |answer| CopyCommand::Status(partition, answer)).await
    }

    /// Waits until the drain threads have nothing to do but to wait for others, or for time to pass.
    ///
    /// # Errors
    /// The store closes.
    pub fn settle(&self) -> Result<()> {
        let (done, settled) = sync_channel(self.shared.drains.len());
        for drain in &self.shared.drains {
            drain.command(Command::Copies(CopyCommand::Settle(done.clone())))?;
        }
        drop(done);
        self.shared.drains.iter().try_for_each(|_| settled.recv().map_err(|_| closing()))
    }

    async fn ask<T>(
        &self,
        partition: PartitionId,
        command: impl FnOnce(oneshot::Sender<T>) -> CopyCommand,
    ) -> Result<T> {
        if self.shared.options.copies.is_none() || partition.0 >= self.shared.partitions {
            return Err(Error::new(
                ErrorCode::BadArguments,
                format!("no copy of partition {partition} is here"),
            ));
        }
        let (answer, answered) = oneshot::channel();
        self.shared.drains[self.shared.shard_of(partition)].command(Command::Copies(command(answer)))?;
        answered.await.map_err(|_| closing())
    }

    /// Refuses what a store with copies cannot do on its own.
    pub(super) fn require_alone(&self, what: &str) -> Result<()> {
        if self.shared.options.copies.is_some() {
            let message = format!("{what} is not possible in a store whose partitions other nodes have too");
            return Err(Error::new(ErrorCode::NotImplemented, message));
        }
        Ok(())
    }
}
