//! Nodes come, are ready, fall silent, change their disks and leave.

use zepto_common::ids::{Boot, DiskId, Epoch, NodeId, PlacementVersion};
use zepto_common::placement::{Placement, Replica};

use super::State;
use super::command::{Outcome, Reason, Refusal, Registration};
use super::limits::{
    INGEST_ID_MIN, MEMBERS_MAX, NODES_MAX, PARTITIONS_MAX, REPLICATION_FACTOR_MAX, RETIRED_DISKS_MAX,
};
use super::record::{ClusterRecord, NodeRecord, NodeRole, NodeState};

fn refuse<T>(reason: Reason, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(reason, message))
}

impl State {
    pub(super) fn found(&mut self, founding: &ClusterRecord) -> Result<bool, Refusal> {
        if let Some(known) = &self.cluster {
            if known == founding {
                return Ok(false);
            }
            return refuse(Reason::BadFounding, format!("the cluster was founded as {}", known.id));
        }
        let factor = founding.replication_factor;
        if founding.id.is_empty()
            || !(1..=PARTITIONS_MAX).contains(&founding.partitions)
            || !(1..=REPLICATION_FACTOR_MAX).contains(&factor)
            || !(1..=factor).contains(&founding.min_in_sync)
        {
            let message = format!(
                "needs a cluster id, 1 to {PARTITIONS_MAX} partitions, a factor of 1 to {REPLICATION_FACTOR_MAX} \
                 and minInSync of 1 to the factor; got {founding:?}"
            );
            return refuse(Reason::BadFounding, message);
        }
        self.cluster = Some(founding.clone());
        self.placement = Placement { version: PlacementVersion(0), partitions: Vec::new() };
        self.highest_epochs = vec![Epoch(0); usize::from(founding.partitions)];
        Ok(true)
    }

    pub(super) fn record_member(&mut self, member: u64, disk: DiskId) -> Result<bool, Refusal> {
        match self.members.get(&member) {
            Some(known) if *known == disk => Ok(false),
            Some(_) => refuse(Reason::DiskReplaced, format!("member {member} had another disk")),
            None if self.members.len() >= MEMBERS_MAX => {
                refuse(Reason::LimitReached, format!("there were {MEMBERS_MAX} members, which is the most"))
            }
            None => {
                self.members.insert(member, disk);
                Ok(true)
            }
        }
    }

    pub(super) fn register(&mut self, registration: &Registration, changed: &mut bool) -> Outcome {
        match self.check_registration(registration) {
            Ok(()) => {}
            Err(refusal) => return Outcome::Refused(refusal),
        }
        let mut record = registration.record(self.clock_ms);
        if record.disk.is_none() && record.incarnation == Boot(0) {
            self.last_incarnation += 1;
            record.incarnation = Boot(self.last_incarnation);
        }
        if let Some(known) = self.nodes.get(&record.id).cloned() {
            record.retired.clone_from(&known.retired);
            if known.disk == record.disk {
                let same_start = known.incarnation == record.incarnation;
                record.log_failed = same_start && known.log_failed;
                record.stopping = same_start && known.stopping;
                record.state = match known.state {
                    NodeState::Leaving => NodeState::Leaving,
                    NodeState::Active if same_start => NodeState::Active,
                    _ => NodeState::Joining,
                };
                if same_start && record.state == known.state {
                    record.since_ms = known.since_ms;
                }
            } else if let Some(old) = known.replica() {
                record.retired.push((old.disk, known.incarnation));
                if record.retired.len() > RETIRED_DISKS_MAX {
                    record.retired.remove(0);
                }
                self.forget_replica(old);
            }
        }
        for &(partition, epoch) in &registration.epochs {
            if let Some(highest) = self.highest_epochs.get_mut(usize::from(partition.0)) {
                *changed |= *highest < epoch;
                *highest = epoch.max(*highest);
            }
        }
        let (node, incarnation) = (record.id, record.incarnation);
        *changed |= self.nodes.get(&node) != Some(&record);
        self.nodes.insert(node, record);
        self.settle_towards(node);
        Outcome::Registered { incarnation }
    }

    fn check_registration(&self, registration: &Registration) -> Result<(), Refusal> {
        let cluster = self.founded()?;
        if !registration.cluster_id.is_empty() && registration.cluster_id != cluster.id {
            let message = format!(
                "this disk belongs to the cluster {}, not to {}",
                registration.cluster_id, cluster.id
            );
            return refuse(Reason::WrongCluster, message);
        }
        let stateless = registration.node.0 >= INGEST_ID_MIN;
        let is_ingest = registration.role == NodeRole::Ingest;
        if stateless != is_ingest || is_ingest != registration.disk.is_none() {
            let message = format!(
                "ids from {INGEST_ID_MIN} are for ingest nodes, which have no disk, and lower ones for storage \
                 nodes, which have one; node {} is {:?}",
                registration.node, registration.role
            );
            return refuse(Reason::BadNodeId, message);
        }
        if self.nodes.len() >= NODES_MAX && !self.nodes.contains_key(&registration.node) {
            return refuse(Reason::LimitReached, format!("there are {NODES_MAX} nodes, which is the most"));
        }
        if self.placement.partitions.is_empty() && !registration.epochs.is_empty() {
            let message = "this group knows no placement, but the node has rows of a placement: the group's disks \
                           were lost, or the node is another cluster's";
            return refuse(Reason::HasData, message);
        }
        match self.nodes.get(&registration.node) {
            Some(known) if registration.role == NodeRole::Storage => check_start(known, registration),
            _ => Ok(()),
        }
    }

    /// Takes a disk that is gone out of everything; a set's last member stays, which leaves its partition unavailable.
    fn forget_replica(&mut self, gone: Replica) {
        let mut touched = false;
        for assignment in &mut self.placement.partitions {
            touched |= assignment.joining.remove(&gone);
            touched |= assignment.leaving.remove(&gone);
            let set = &mut assignment.grant.set;
            if set.members.len() > 1 && set.members.remove(&gone) {
                set.version.0 += 1;
                touched = true;
            }
        }
        self.wanted.retain(|_, to| *to != gone);
        let partitions: Vec<_> = self.moves.keys().copied().collect();
        for partition in partitions {
            if self.moves[&partition].to == gone {
                self.end_move(partition, super::record::MoveEnd::Cancelled);
            } else {
                self.settle(partition);
            }
        }
        if touched {
            self.placement.version.0 += 1;
        }
    }

    fn start_of(&mut self, node: NodeId, incarnation: Boot) -> Result<&mut NodeRecord, Refusal> {
        let Some(record) = self.nodes.get_mut(&node) else {
            return refuse(Reason::UnknownNode, format!("there is no node {node}"));
        };
        if record.incarnation != incarnation {
            let message = format!("node {node} is in its start {}, not in {incarnation}", record.incarnation);
            return refuse(Reason::StaleIncarnation, message);
        }
        Ok(record)
    }

    pub(super) fn activate(&mut self, node: NodeId, incarnation: Boot) -> Result<bool, Refusal> {
        let now = self.clock_ms;
        let record = self.start_of(node, incarnation)?;
        match record.state {
            NodeState::Joining => {
                record.enter(NodeState::Active, now);
                Ok(true)
            }
            NodeState::Active | NodeState::Leaving => Ok(false),
            NodeState::Dead => {
                refuse(Reason::NodeDead, format!("node {node} was declared dead: register again"))
            }
        }
    }

    pub(super) fn mark_dead(&mut self, node: NodeId, incarnation: Boot) -> Result<bool, Refusal> {
        let now = self.clock_ms;
        let record = self.start_of(node, incarnation)?;
        let did = record.state != NodeState::Dead;
        record.enter(NodeState::Dead, now);
        if record.role == NodeRole::Ingest {
            self.nodes.remove(&node);
        }
        for work in self.works.values_mut() {
            if work.holder.is_some_and(|(holder, _)| holder == node) {
                work.holder = None;
            }
        }
        self.wanted.retain(|_, to| to.node != node);
        Ok(did)
    }

    pub(super) fn report_log_failed(&mut self, node: NodeId, incarnation: Boot) -> Result<bool, Refusal> {
        let record = self.start_of(node, incarnation)?;
        Ok(!std::mem::replace(&mut record.log_failed, true))
    }

    /// What it was to be given, it is not given any more.
    pub(super) fn report_stopping(&mut self, node: NodeId, incarnation: Boot) -> Result<bool, Refusal> {
        let record = self.start_of(node, incarnation)?;
        let did = !std::mem::replace(&mut record.stopping, true);
        self.wanted.retain(|_, to| to.node != node);
        Ok(did)
    }

    pub(super) fn drain(&mut self, node: NodeId) -> Result<bool, Refusal> {
        let factor = usize::from(self.founded()?.replication_factor);
        let Some(record) = self.nodes.get(&node) else {
            return refuse(Reason::UnknownNode, format!("there is no node {node}"));
        };
        if record.state == NodeState::Leaving {
            return Ok(false);
        }
        if record.state == NodeState::Dead {
            let message = format!("node {node} is dead and gives nothing away: others make its copies anew");
            return refuse(Reason::NodeDead, message);
        }
        if record.role == NodeRole::Ingest {
            let message =
                format!("node {node} has nothing to give away: end its process, and it is forgotten");
            return refuse(Reason::BadNodeId, message);
        }
        let storage = self.nodes.values().filter(|it| it.role == NodeRole::Storage && it.id != node);
        let (leaving, staying): (Vec<_>, Vec<_>) = storage.partition(|it| it.state == NodeState::Leaving);
        if let Some(other) = leaving.first() {
            let message =
                format!("node {} is leaving, and nodes leave one at a time: wait until it is gone", other.id);
            return refuse(Reason::AnotherLeaves, message);
        }
        let able = staying.iter().filter(|it| it.state == NodeState::Active && !it.log_failed).count();
        if able < factor {
            let message =
                format!("{able} nodes would stay and the replication factor is {factor}: add a node first");
            return refuse(Reason::TooFewNodes, message);
        }
        let now = self.clock_ms;
        if let Some(record) = self.nodes.get_mut(&node) {
            record.enter(NodeState::Leaving, now);
        }
        Ok(true)
    }

    pub(super) fn cancel_drain(&mut self, node: NodeId) -> Result<bool, Refusal> {
        let now = self.clock_ms;
        match self.nodes.get_mut(&node) {
            None => refuse(Reason::UnknownNode, format!("there is no node {node}")),
            Some(record) if record.state == NodeState::Leaving => {
                record.enter(NodeState::Joining, now);
                Ok(true)
            }
            Some(_) => Ok(false),
        }
    }

    pub(super) fn remove_node(&mut self, node: NodeId) -> Result<bool, Refusal> {
        let Some(record) = self.nodes.get(&node) else { return Ok(false) };
        if let Some(replica) = record.replica() {
            let holds = |it: &&zepto_common::placement::Assignment| {
                it.grant.set.members.contains(&replica) || it.joining.contains(&replica)
            };
            let held = self.placement.partitions.iter().filter(holds).count();
            if held > 0 {
                return refuse(
                    Reason::StillHolds,
                    format!("node {node} still has copies of {held} partitions"),
                );
            }
        }
        self.nodes.remove(&node);
        Ok(true)
    }
}

/// Whether this start of a node with a disk may follow what is known of it.
fn check_start(known: &NodeRecord, registration: &Registration) -> Result<(), Refusal> {
    let Some(disk) = registration.disk else { return Ok(()) };
    if known.disk == Some(disk) {
        if registration.incarnation < known.incarnation {
            let message = format!("node {} is in its start {}", known.id, known.incarnation);
            return refuse(Reason::StaleIncarnation, message);
        }
        return Ok(());
    }
    match known.retired.iter().rev().find(|(retired, _)| *retired == disk) {
        Some((_, start)) if registration.incarnation <= *start => {
            refuse(Reason::DiskReplaced, format!("node {} has another disk by now", known.id))
        }
        _ => Ok(()),
    }
}

impl NodeRecord {
    fn enter(&mut self, state: NodeState, now_ms: u64) {
        if self.state != state {
            self.state = state;
            self.since_ms = now_ms;
        }
    }
}

impl Registration {
    fn record(&self, now_ms: u64) -> NodeRecord {
        NodeRecord {
            id: self.node,
            role: self.role,
            disk: self.disk,
            incarnation: self.incarnation,
            state: NodeState::Joining,
            addresses: self.addresses.clone(),
            zone: self.zone.clone(),
            log_failed: false,
            stopping: false,
            retired: Vec::new(),
            since_ms: now_ms,
        }
    }
}
