//! The doors of a store with copies.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

use tokio::sync::oneshot;
use zepto_common::ids::{Epoch, SetVersion};
use zepto_common::placement::{Placement, Replica};
use zepto_common::{Error, ErrorCode, Lsn, PartitionId, Result};

use super::shared::closing;
use super::{Store, StoreOptions};
use crate::copies::followers::Followers;
use crate::copies::{CopyStatus, PeerMessage};
use crate::envelope;
use crate::manifest::Manifest;
use crate::shard::Command;
use crate::shard::copies::{CopyCommand, Delivered};

impl Store {
    /// Whether a data directory was made for copies; None while no store was made in it.
    ///
    /// # Errors
    /// The disk's; a manifest that cannot be read.
    pub fn made_with_copies(options: &StoreOptions) -> Result<Option<bool>> {
        let path = options.data_dir.join("MANIFEST");
        let Some(bytes) = envelope::read(options.disk.as_ref(), &path)? else { return Ok(None) };
        Ok(Some(Manifest::decode(&bytes, &path)?.copies.is_some()))
    }

    /// Hands in messages of another node's copies: what came together is seen together. How many were lost, because too many
    /// wait or no such partition exists: the protocol repeats what matters.
    pub fn deliver(&self, from: Replica, messages: Vec<(PartitionId, PeerMessage)>) -> u64 {
        let mut lost = 0;
        let mut of_drains: Vec<Vec<Delivered>> = self.shared.drains.iter().map(|_| Vec::new()).collect();
        for (partition, message) in messages {
            let known = partition.0 < self.shared.partitions && self.shared.options.copies.is_some();
            match of_drains.get_mut(self.shared.shard_of(partition)).filter(|_| known) {
                Some(of_drain) => of_drain.push(Delivered { partition, from, message }),
                None => lost += 1,
            }
        }
        for (drain, messages) in self.shared.drains.iter().zip(of_drains) {
            if !messages.is_empty() {
                lost += drain.inbox.put(messages);
                drain.ring.wake();
            }
        }
        lost
    }

    /// Tells the copies what the coordinator has agreed on.
    ///
    /// # Errors
    /// A drain thread that takes no commands; telling it again does no harm.
    pub fn learn(&self, placement: &Arc<Placement>) -> Result<()> {
        if let Some(options) = &self.shared.options.copies {
            let me = Replica { node: options.node, disk: self.shared.disk_id };
            self.shared.followers.store(Arc::new(Followers::of(placement, me)));
        }
        for drain in &self.shared.drains {
            drain.command(Command::Copies(CopyCommand::Learn(placement.clone())))?;
        }
        Ok(())
    }

    /// Whether this node shows every row of the partition that was acknowledged before the call: gives the lsn up to
    /// which it does. A view holds all of that if it is pinned after such an answer; if there is another one after the
    /// view was pinned, nobody else has acknowledged a row in between.
    ///
    /// # Errors
    /// `NotReady` when this node does not own the partition, or holds no lease.
    pub async fn confirm_read(&self, partition: PartitionId) -> Result<Lsn> {
        let mut lsns = self.confirm_reads(&[partition]).await?;
        lsns.pop().ok_or_else(closing)
    }

    /// As [`Self::confirm_read`] for many partitions at once: each drain thread is woken once.
    ///
    /// # Errors
    /// As there, for any of them.
    pub async fn confirm_reads(&self, partitions: &[PartitionId]) -> Result<Vec<Lsn>> {
        let mut asked: Vec<Vec<_>> = self.shared.drains.iter().map(|_| Vec::new()).collect();
        let mut answers = Vec::with_capacity(partitions.len());
        for &partition in partitions {
            self.require_copy(partition)?;
            let (answer, answered) = oneshot::channel();
            asked[self.shared.shard_of(partition)].push((partition, answer));
            answers.push(answered);
        }
        for (drain, readers) in self.shared.drains.iter().zip(asked) {
            if !readers.is_empty() {
                drain.command(Command::Copies(CopyCommand::Read(readers)))?;
            }
        }
        let mut lsns = Vec::with_capacity(answers.len());
        for answered in answers {
            lsns.push(answered.await.map_err(|_| closing())??);
        }
        Ok(lsns)
    }

    /// Whether the partitions of this store may have copies on other nodes.
    #[must_use]
    pub fn has_copies(&self) -> bool {
        self.shared.options.copies.is_some()
    }

    /// How many copies of each partition there are to be: rows that fewer of them have are counted when acknowledged.
    pub fn expect_copies(&self, copies: usize) {
        self.shared.copies_expected.store(copies, Ordering::Relaxed);
    }

    /// Gives ownership of a partition to another member of its set, once nothing waits.
    ///
    /// # Errors
    /// A drain thread that takes no commands.
    pub fn hand_over(&self, partition: PartitionId) -> Result<()> {
        let drain = &self.shared.drains[self.shared.shard_of(partition)];
        drain.command(Command::Copies(CopyCommand::HandOver(partition)))
    }

    /// The coordinators have refused to make the in-sync set of this version smaller, because of `cluster.minInSync`.
    ///
    /// # Errors
    /// A drain thread that takes no commands.
    pub fn may_not_shrink(&self, partition: PartitionId, epoch: Epoch, version: SetVersion) -> Result<()> {
        self.require_copy(partition)?;
        let drain = &self.shared.drains[self.shared.shard_of(partition)];
        drain.command(Command::Copies(CopyCommand::MayNotShrink(partition, epoch, version)))
    }

    /// Where a copy stands.
    ///
    /// # Errors
    /// `NotReady` when the store closes; `BadArguments` without copies.
    pub async fn copy_status(&self, partition: PartitionId) -> Result<CopyStatus> {
        self.require_copy(partition)?;
        let (answer, answered) = oneshot::channel();
        let drain = &self.shared.drains[self.shared.shard_of(partition)];
        drain.command(Command::Copies(CopyCommand::Status(partition, answer)))?;
        answered.await.map_err(|_| closing())
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

    pub(super) fn require_copy(&self, partition: PartitionId) -> Result<()> {
        if self.shared.options.copies.is_none() || partition.0 >= self.shared.partitions {
            let message = format!("no copy of partition {partition} is here");
            return Err(Error::new(ErrorCode::BadArguments, message));
        }
        Ok(())
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
