//! What the coordinators agree on, as a pure state machine: `apply(proposal) -> outcome`.
//!
//! Promises. The same proposals in the same order give the same state and the same outcomes in every process and
//! every build that knows the format: no clock, no randomness, no iteration over unordered maps. A refused proposal
//! changes nothing. Everything that grows has a bound in [`limits`]. Times come in proposals.
//!
//! The rules behind each check are those of replication: a replica is a node with a disk (2), only the owner proposes
//! set changes (3), a grant goes only to an in-sync disk (4), epochs change with the owner only (5), the set is never
//! shrunk below `min_in_sync` (6) and never becomes empty, a move is join, enter, grant, removal (27), nothing is
//! granted below the highest epoch ever seen (30).

pub mod command;
pub mod limits;
pub mod record;

mod catalog;
mod codec;
mod keys;
mod moves;
mod nodes;
mod ownership;
mod placement;
mod snapshots;
#[cfg(test)]
mod tests;
mod work;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use zepto_common::auth::KeyRecord;
use zepto_common::catalog::Catalog;
use zepto_common::ids::{DiskId, Epoch, NodeId, PartitionId};
use zepto_common::placement::{Assignment, Placement, Replica};

pub use codec::{CodecError, decode, encode};
pub use command::{Command, ItemOutcome, Outcome, Proposal, Reason, Refusal};
pub use record::{
    Addresses, ClusterRecord, Move, MoveEnd, MoveRecord, NodeRecord, NodeRole, NodeState, SnapshotRecord,
    Sweep, SweepKind, Work,
};

use self::catalog::RecentRequest;

/// All that is agreed on, at one position of the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Grows with every proposal that changed anything.
    pub(crate) revision: u64,
    /// The greatest time that any proposal carried, milliseconds since 1970 by the leader of that time.
    pub(crate) clock_ms: u64,
    pub(crate) cluster: Option<ClusterRecord>,
    /// The disks of the group's own members: one that comes with another has forgotten its votes.
    #[serde(default)]
    pub(crate) members: BTreeMap<u64, DiskId>,
    pub(crate) nodes: BTreeMap<NodeId, NodeRecord>,
    /// Numbers for the starts of nodes without a disk.
    pub(crate) last_incarnation: u64,
    pub(crate) placement: Placement,
    /// Per partition the highest epoch that was ever granted or reported; index = partition.
    pub(crate) highest_epochs: Vec<Epoch>,
    /// Partitions whose owner is asked to hand over, and to whom.
    pub(crate) wanted: BTreeMap<PartitionId, Replica>,
    /// Partitions whose newest grant followed a release: followers need not wait for the old owner's lease.
    pub(crate) released: BTreeSet<PartitionId>,
    pub(crate) moves: BTreeMap<PartitionId, Move>,
    pub(crate) move_history: VecDeque<MoveRecord>,
    pub(crate) paused: bool,
    pub(crate) catalog: CatalogState,
    pub(crate) keys: BTreeMap<String, KeyRecord>,
    pub(crate) keys_version: u64,
    pub(crate) works: BTreeMap<String, Work>,
    pub(crate) snapshots: BTreeMap<String, SnapshotRecord>,
    /// Overrides by hand that may have lost rows, newest last.
    pub(crate) forced: VecDeque<record::ForcedRecord>,
}

/// The catalog with what hangs on its changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CatalogState {
    pub(crate) catalog: Catalog,
    /// Answers of the newest statements, oldest first.
    pub(crate) recent: VecDeque<RecentRequest>,
    /// TRUNCATE and DROP that some partition has not committed yet, by catalog version.
    pub(crate) sweeps: BTreeMap<u64, Sweep>,
}

impl PartialEq for CatalogState {
    /// A catalog is known by its version: each change makes another.
    fn eq(&self, other: &Self) -> bool {
        self.catalog.version() == other.catalog.version()
            && self.recent == other.recent
            && self.sweeps == other.sweeps
    }
}

impl State {
    /// Grows with every proposal that changed anything.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Id, size and factor of the cluster; None before it was founded.
    #[must_use]
    pub fn cluster(&self) -> Option<&ClusterRecord> {
        self.cluster.as_ref()
    }

    /// The disk that a member of the group had at its first start.
    #[must_use]
    pub fn member_disk(&self, member: u64) -> Option<DiskId> {
        self.members.get(&member).copied()
    }

    /// All nodes, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values()
    }

    /// A node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&NodeRecord> {
        self.nodes.get(&id)
    }

    /// Who holds which partition; empty before the first placement.
    #[must_use]
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Owners that are asked to hand over, and to whom.
    #[must_use]
    pub fn wanted(&self) -> &BTreeMap<PartitionId, Replica> {
        &self.wanted
    }

    /// Whether the newest grant of a partition followed a release by the owner before.
    #[must_use]
    pub fn is_released(&self, partition: PartitionId) -> bool {
        self.released.contains(&partition)
    }

    /// Moves under way.
    #[must_use]
    pub fn moves(&self) -> &BTreeMap<PartitionId, Move> {
        &self.moves
    }

    /// The newest finished moves, oldest first.
    pub fn move_history(&self) -> impl Iterator<Item = &MoveRecord> {
        self.move_history.iter()
    }

    /// Whether moves for the sake of balance wait; repairs and drains go on.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The agreed catalog.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog.catalog
    }

    /// TRUNCATE and DROP under way.
    pub fn sweeps(&self) -> impl Iterator<Item = &Sweep> {
        self.catalog.sweeps.values()
    }

    /// API keys, by id.
    pub fn keys(&self) -> impl Iterator<Item = &KeyRecord> {
        self.keys.values()
    }

    /// Grows with every change of the keys.
    #[must_use]
    pub fn keys_version(&self) -> u64 {
        self.keys_version
    }

    /// Named works, with who does them.
    #[must_use]
    pub fn works(&self) -> &BTreeMap<String, Work> {
        &self.works
    }

    /// Snapshots for backup, by name.
    #[must_use]
    pub fn snapshots(&self) -> &BTreeMap<String, SnapshotRecord> {
        &self.snapshots
    }

    /// Partitions with fewer in-sync copies than the factor.
    #[must_use]
    pub fn under_replicated(&self) -> usize {
        let factor = self.cluster.as_ref().map_or(1, |it| usize::from(it.replication_factor));
        self.placement.partitions.iter().filter(|it| it.grant.set.members.len() < factor).count()
    }

    /// Whether this is the disk that its node has now.
    #[must_use]
    pub fn is_current(&self, replica: Replica) -> bool {
        self.nodes.get(&replica.node).is_some_and(|node| node.disk == Some(replica.disk))
    }

    /// Whether this replica could own or be copied to: its node is not dead, has this disk and a healthy log.
    #[must_use]
    pub fn is_able(&self, replica: Replica) -> bool {
        self.nodes.get(&replica.node).is_some_and(|node| {
            node.disk == Some(replica.disk) && node.state != NodeState::Dead && !node.log_failed
        })
    }

    /// Whether this replica could be given a partition: able, and not about to end.
    #[must_use]
    pub fn may_own(&self, replica: Replica) -> bool {
        self.is_able(replica) && self.nodes.get(&replica.node).is_some_and(|node| !node.stopping)
    }

    /// Takes in one agreed proposal. A refused one changes nothing but the clock.
    pub fn apply(&mut self, proposal: &Proposal) -> Outcome {
        self.clock_ms = self.clock_ms.max(proposal.at_ms);
        let before = self.placement.version;
        let changed = &mut false;
        let outcome = self.dispatch(&proposal.command, changed);
        if *changed || self.placement.version != before {
            self.revision += 1;
        }
        outcome
    }

    fn dispatch(&mut self, command: &Command, changed: &mut bool) -> Outcome {
        let result = match command {
            Command::Found(founding) => self.found(founding),
            Command::RecordMember { member, disk } => self.record_member(*member, *disk),
            Command::RegisterNode(registration) => return self.register(registration, changed),
            Command::ActivateNode { node, incarnation } => self.activate(*node, *incarnation),
            Command::MarkDead { node, incarnation } => self.mark_dead(*node, *incarnation),
            Command::ReportLogFailed { node, incarnation } => self.report_log_failed(*node, *incarnation),
            Command::ReportStopping { node, incarnation } => self.report_stopping(*node, *incarnation),
            Command::DrainNode { node } => self.drain(*node),
            Command::CancelDrain { node } => self.cancel_drain(*node),
            Command::RemoveNode { node } => self.remove_node(*node),
            Command::Place { homes } => self.place(homes),
            Command::Grant { items } => return self.each(items, changed, Self::grant),
            Command::AskHandover { items } => return self.each(items, changed, Self::ask_handover),
            Command::Handover { from, items } => {
                return self.each(items, changed, |state, item| state.hand_over(*from, item));
            }
            Command::ChangeSets { proposer, items } => {
                return self.each(items, changed, |state, item| state.change_set(*proposer, item));
            }
            Command::ForceOwner { partition, to, accept_loss } => {
                self.force_owner(*partition, *to, *accept_loss)
            }
            Command::StartMoves { items } => return self.each(items, changed, Self::start_move),
            Command::TakeOut { items } => return self.each(items, changed, Self::take_out),
            Command::CancelMoves { partitions } => return self.each(partitions, changed, Self::cancel_move),
            Command::SetPaused(paused) => Ok(self.set_paused(*paused)),
            Command::Ddl { request, statement } => return self.ddl(*request, statement, changed),
            Command::FinishSweep { version, partitions } => self.finish_sweep(*version, partitions),
            Command::PutKey(record) => self.put_key(record),
            Command::RevokeKey { id } => self.revoke_key(id),
            Command::ClaimWork { name, node, incarnation, lease_ms } => {
                return self.claim_work(name, (*node, *incarnation), *lease_ms, changed);
            }
            Command::RenewWork { name, node, term } => self.renew_work(name, *node, *term),
            Command::ReleaseWork { name, node, term } => self.release_work(name, *node, *term),
            Command::PutSnapshot(snapshot) => self.put_snapshot(snapshot),
            Command::DropSnapshot { name } => Ok(self.snapshots.remove(name).is_some()),
        };
        match result {
            Ok(did) => {
                *changed |= did;
                Outcome::Done { changed: did }
            }
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    /// Applies a list whose items succeed or fail on their own.
    fn each<T: command::OfPartition>(
        &mut self,
        items: &[T],
        changed: &mut bool,
        mut apply: impl FnMut(&mut Self, &T) -> Result<bool, Refusal>,
    ) -> Outcome {
        let mut outcomes = Vec::with_capacity(items.len());
        let mut did = false;
        for item in items {
            let partition = item.partition();
            let refusal = match apply(self, item) {
                Ok(changed) => {
                    did |= changed;
                    None
                }
                Err(refusal) => Some(refusal),
            };
            let assignment = self.placement.of(partition).cloned();
            outcomes.push(ItemOutcome { partition, refusal, assignment });
        }
        if did {
            self.placement.version.0 += 1;
            *changed = true;
        }
        Outcome::Items(outcomes)
    }

    fn assignment(&self, partition: PartitionId) -> Result<&Assignment, Refusal> {
        self.placement.of(partition).ok_or_else(|| {
            Refusal::new(
                Reason::UnknownPartition,
                format!("there is no partition {partition} in the placement"),
            )
        })
    }

    fn founded(&self) -> Result<&ClusterRecord, Refusal> {
        let unfounded = || Refusal::new(Reason::NotFounded, "the cluster was not founded yet");
        self.cluster.as_ref().ok_or_else(unfounded)
    }
}
