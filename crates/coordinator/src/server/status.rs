//! What `/admin/cluster` and `zepto cluster status` show.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use zepto_common::ids::NodeId;
use zepto_common::placement::Replica;
use zepto_proto::convert::bad_message;
use zepto_proto::refusal::Refused;

use super::Core;
use crate::detector::Opinion;
use crate::policy::failover::unavailable;
use crate::state::{NodeRecord, NodeState};

impl Core {
    /// The whole status, as this member knows it.
    pub(crate) fn status(&self) -> Value {
        let state = self.member.state();
        let placement = state.placement();
        let partitions: Vec<Value> = placement
            .partitions
            .iter()
            .map(|it| {
                let followers = it.grant.set.members.iter().filter(|member| **member != it.grant.owner);
                json!({
                    "partition": it.grant.partition,
                    "epoch": it.grant.epoch,
                    "owner": it.grant.owner.node,
                    "available": it.grant.set.members.iter().any(|member| state.is_able(*member)),
                    "followers": followers.map(|member| member.node).collect::<Vec<_>>(),
                    "joining": it.joining.iter().map(|member| member.node).collect::<Vec<_>>(),
                    "leaving": it.leaving.iter().map(|member| member.node).collect::<Vec<_>>(),
                })
            })
            .collect();
        json!({
            "cluster_id": state.cluster().map(|it| it.id.clone()),
            "replication_factor": state.cluster().map(|it| it.replication_factor),
            "min_in_sync": state.cluster().map(|it| it.min_in_sync),
            "group": self.member.group_status(),
            "revision": state.revision(),
            "placement_version": placement.version,
            "catalog_version": state.catalog().version(),
            "under_replicated": state.under_replicated(),
            "unavailable": unavailable(&state),
            "moves": state.moves().len(),
            "handovers": state.wanted().len(),
            "rebalancing": if state.is_paused() { "paused" } else { "on" },
            "nodes": state.nodes().map(|node| self.node_status(node)).collect::<Vec<_>>(),
            "partitions": partitions,
        })
    }

    /// A node as decided, with this member's suspicion in place of ACTIVE where it has one.
    fn node_status(&self, node: &NodeRecord) -> Value {
        let state = self.member.state();
        let suspected =
            matches!(self.observations.opinion(node.id), Some(Opinion::Suspect | Opinion::Silent));
        let shown = match node.state {
            NodeState::Joining => "JOINING",
            NodeState::Active if suspected => "SUSPECT",
            NodeState::Active => "ACTIVE",
            NodeState::Leaving => "LEAVING",
            NodeState::Dead => "DEAD",
        };
        let copies = state
            .placement()
            .partitions
            .iter()
            .filter(|it| it.grant.set.members.iter().any(|member| member.node == node.id));
        json!({
            "id": node.id,
            "role": format!("{:?}", node.role).to_lowercase(),
            "state": shown,
            "incarnation": node.incarnation,
            "zone": node.zone,
            "http": node.addresses.http,
            "rpc": node.addresses.rpc,
            "log_failed": node.log_failed,
            "stopping": node.stopping,
            "owned": state.placement().owned_by(node.id).count(),
            "copies": copies.count(),
            "rows_per_second": self.rows_per_second(node),
        })
    }

    /// The node with the disk that it has now.
    ///
    /// # Errors
    /// There is no such node, or it has none.
    pub(super) fn replica_now(&self, node: NodeId) -> Result<Replica, Refused> {
        let state = self.member.state();
        let disk = state.nodes().find(|it| it.id == node).and_then(|it| it.disk);
        let disk = disk.ok_or_else(|| bad_message(format!("there is no storage node {node}")))?;
        Ok(Replica { node, disk })
    }

    /// What the node says of itself by heartbeats; None if this start was not heard.
    fn rows_per_second(&self, node: &NodeRecord) -> Option<u32> {
        self.pulse.members(|members| {
            let heard = members.get(node.id).filter(|it| it.said.incarnation == node.incarnation.0);
            heard.map(|it| it.said.rows_per_second)
        })
    }

    /// Why this member is not ready; empty = ready.
    pub(crate) fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(fault) = self.member.fault() {
            reasons.push(format!("the group's protocol stopped: {fault}"));
        }
        if self.member.leader().is_none() {
            reasons.push("no leader is known".to_owned());
        }
        if self.member.state().cluster().is_none() {
            reasons.push("the cluster was not founded yet".to_owned());
        }
        if self.stop.is_cancelled() || self.leaving.load(Ordering::Relaxed) {
            reasons.push("the coordinator is shutting down".to_owned());
        }
        reasons
    }
}
