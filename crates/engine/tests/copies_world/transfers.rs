//! Whole states on their way between the stores, a few pieces per step, and the copies that are to go.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use zepto_common::{PartitionId, Result, Token};
use zepto_engine::copies::{Piece, Pieces};
use zepto_engine::disk::SimDisk;
use zepto_engine::store::Intake;

use super::{NODES, PARTITIONS, World};
use crate::common::trades;

#[derive(Debug)]
struct UnderWay {
    owner: usize,
    pieces: Pieces,
    intake: Intake,
}

#[derive(Debug, Default)]
pub(crate) struct Transfers {
    under_way: BTreeMap<(usize, u16), UnderWay>,
    pub(crate) finished: u64,
    pub(crate) broken: u64,
    pub(crate) forgotten: u64,
}

impl Transfers {
    /// What a node that goes had under way.
    pub(super) fn drop_of(&mut self, node: usize) {
        let before = self.under_way.len();
        self.under_way.retain(|(to, _), it| *to != node && it.owner != node);
        self.broken += (before - self.under_way.len()) as u64;
    }
}

impl World {
    pub(crate) fn states_fetched(&self) -> u64 {
        self.transfers.finished
    }

    pub(crate) fn copies_forgotten(&self) -> u64 {
        self.transfers.forgotten
    }

    /// One step of every transfer.
    pub(super) fn pass_states(&mut self) {
        for (node, partition, owner, token) in self.network.wanted() {
            let from = owner.node.0 as usize;
            let (Some(store), Some(source)) =
                (self.nodes[node].store.clone(), self.nodes[from].store.clone())
            else {
                continue;
            };
            let asker = self.nodes[node].replica;
            if self.transfers.under_way.contains_key(&(node, partition.0))
                || !self.alive(node)
                || !self.alive(from)
            {
                continue;
            }
            if let Ok(pinned) = self.runtime.block_on(source.pin_copy(partition, token, asker)) {
                let intake = store.take_in(partition).unwrap();
                let it = UnderWay { owner: from, pieces: pinned.pieces(), intake };
                self.transfers.under_way.insert((node, partition.0), it);
            }
        }
        let keys: Vec<_> = self.transfers.under_way.keys().copied().collect();
        for key in keys {
            let pieces = 1 + self.random.below(3);
            let Some(mut it) = self.transfers.under_way.remove(&key) else { continue };
            if self.pass_pieces(&mut it, pieces) {
                self.transfers.under_way.insert(key, it);
            } else if it.intake.finish().is_ok() {
                self.transfers.finished += 1;
            } else {
                self.transfers.broken += 1;
            }
        }
        for (node, partition, owner, leave) in self.network.unwanted() {
            let from = owner.node.0 as usize;
            let (Some(store), Some(source)) =
                (self.nodes[node].store.clone(), self.nodes[from].store.clone())
            else {
                continue;
            };
            let me = self.nodes[node].replica;
            if !self.alive(node) || !self.alive(from) {
                continue;
            }
            if let Ok(true) = self.runtime.block_on(source.does_without(partition, leave.token, me)) {
                store.forget_copy(partition, leave).unwrap();
                self.transfers.forgotten += 1;
            }
        }
    }

    /// False when there are no more pieces, or one was not taken.
    fn pass_pieces(&mut self, it: &mut UnderWay, pieces: usize) -> bool {
        for _ in 0..pieces {
            let Some(Ok(piece)) = it.pieces.next() else { return false };
            if self.runtime.block_on(it.intake.take(piece)).is_err() {
                return false;
            }
        }
        true
    }

    /// The node comes again with an empty disk, which is another one.
    pub(crate) fn lose_disk(&mut self, index: usize) {
        self.kill(index, None);
        let old = self.nodes[index].replica;
        self.network.lose(index);
        self.nodes[index].disk = SimDisk::new();
        self.nodes[index].clock.0.fetch_add(1, Ordering::SeqCst);
        self.start(index);
        let store = self.nodes[index].store.clone().unwrap();
        self.runtime.block_on(store.create_table(trades("trades"))).unwrap();
        self.coordinator.replace_disk(old, self.nodes[index].replica);
    }

    pub(super) fn lose_disk_when_level(&mut self, node: usize) {
        self.coordinator_away = false;
        (0..NODES).for_each(|index| self.cut_off(index, false));
        for _ in 0..200 {
            self.step();
            if self.all_serve() && (0..PARTITIONS).all(|p| self.is_level(p)) {
                return self.lose_disk(node);
            }
        }
    }

    /// The placement is to have no copy of a partition at a node, or again one.
    pub(crate) fn exclude(&mut self, partition: u16, node: usize, out: bool) {
        let replica = self.nodes[node].replica;
        if out {
            self.coordinator.excluded.insert((partition, replica));
        } else {
            self.coordinator.excluded.remove(&(partition, replica));
        }
    }

    pub(crate) fn disk(&self, index: usize) -> &std::sync::Arc<SimDisk> {
        &self.nodes[index].disk
    }

    /// All pieces of a partition's state at its owner.
    pub(crate) fn pieces_of(&mut self, partition: u16) -> Vec<Piece> {
        let owner = self.owner_of(partition);
        let token = self.status(owner, partition).seen;
        let (store, asker) =
            (self.nodes[owner].store.clone().unwrap(), self.nodes[(owner + 1) % NODES].replica);
        let pinned = self.runtime.block_on(store.pin_copy(PartitionId(partition), token, asker)).unwrap();
        pinned.pieces().collect::<Result<_>>().unwrap()
    }

    /// What a node says to these pieces, in this order.
    pub(crate) fn take_in(&mut self, index: usize, partition: u16, pieces: Vec<Piece>) -> Result<u64> {
        let store = self.nodes[index].store.clone().unwrap();
        let mut intake = store.take_in(PartitionId(partition))?;
        pieces.into_iter().try_for_each(|piece| self.runtime.block_on(intake.take(piece)))?;
        intake.finish().map(|lsn| lsn.0)
    }

    /// What an owner says to who asks for a state under another token.
    pub(crate) fn pin_under(&mut self, index: usize, partition: u16, token: Token) -> Result<()> {
        let (store, asker) =
            (self.nodes[index].store.clone().unwrap(), self.nodes[(index + 1) % NODES].replica);
        self.runtime.block_on(store.pin_copy(PartitionId(partition), token, asker)).map(drop)
    }

    /// Ids of a partition's rows at a node.
    pub(crate) fn rows_of(&self, index: usize, partition: u16) -> std::collections::BTreeSet<i64> {
        self.view(index, partition)
    }

    /// Opens what is left of a node's disk, alone in the world; gives each partition's last entry, what is committed, and ids.
    pub(crate) fn look_at(&self, index: usize, image: std::sync::Arc<SimDisk>) -> Vec<(u64, u64, Vec<i64>)> {
        let mut options = self.options(index);
        options.disk = image;
        let store = zepto_engine::Store::open(options).expect("what a crash leaves can be opened");
        let table = self.schema.as_ref().unwrap().id;
        let all = if store.catalog().table_by_id(table).is_some() {
            crate::common::ids(&store, table)
        } else {
            Vec::new()
        };
        let found = (0..PARTITIONS).map(|partition| {
            let status = self.runtime.block_on(store.copy_status(PartitionId(partition))).unwrap();
            let mut ids: Vec<i64> =
                all.iter().copied().filter(|id| self.partition_of(*id) == partition).collect();
            ids.sort_unstable();
            (status.end.0, status.applied.0, ids)
        });
        let found = found.collect();
        store.close_without_flush().unwrap();
        found
    }
}
