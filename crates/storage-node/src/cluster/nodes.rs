//! The nodes as this one sees them: what the coordinators decided, with its own suspicion and what heartbeats say.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use zepto_cluster::{Pulse, State};
use zepto_common::ids::NodeId;
use zepto_common::service::{ClusterNodes, NodeStatus};
use zepto_common::{Error, ErrorCode, Result};
use zepto_proto::coordinate as wire;

use super::agreed::Agreed;

/// Who is there.
pub(crate) struct Nodes {
    agreed: Arc<Agreed>,
    pulse: Arc<Pulse>,
}

impl Nodes {
    pub(crate) fn new(agreed: Arc<Agreed>, pulse: Arc<Pulse>) -> Self {
        Self { agreed, pulse }
    }

    /// What the coordinators say of the cluster.
    ///
    /// # Errors
    /// `NotReady` while none answers.
    pub(crate) async fn cluster(&self) -> Result<Value> {
        let away = |what: &dyn std::fmt::Display| {
            Error::new(ErrorCode::NotReady, format!("the coordinators cannot be asked: {what}"))
        };
        let reply = self.agreed.client.status(wire::StatusRequest { envelope: None }).await;
        serde_json::from_slice(&reply.map_err(|error| away(&error))?.status).map_err(|error| away(&error))
    }

    /// As [`ClusterNodes::nodes`], in JSON.
    pub(crate) fn json(&self) -> Value {
        json!({ "nodes": self.nodes() })
    }

    fn status(&self, node: &wire::Node) -> NodeStatus {
        let id = NodeId(node.node_id);
        let heard =
            self.pulse.members(|members| members.get(id).map(|it| (it.state, it.said.rows_per_second)));
        let state = match (node.state(), heard) {
            (wire::NodeState::Unspecified, _) => "UNKNOWN",
            (wire::NodeState::Joining, _) => "JOINING",
            (wire::NodeState::Active, Some((State::Suspect, _))) => "SUSPECT",
            (wire::NodeState::Active, _) => "ACTIVE",
            (wire::NodeState::Leaving, _) => "LEAVING",
            (wire::NodeState::Dead, _) => "DEAD",
        };
        // It does not hear itself.
        let rows_per_second = match id == self.agreed.me.node {
            true => Some(self.agreed.rows_per_second.load(Ordering::Relaxed)),
            false => heard.map(|(_, rows)| rows),
        };
        let role = if node.role() == wire::Role::Storage { "storage" } else { "ingest" };
        let wire::Addresses { http, rpc, .. } = node.addresses.clone().unwrap_or_default();
        NodeStatus {
            id: node.node_id,
            role: role.to_owned(),
            state: state.to_owned(),
            incarnation: node.incarnation,
            zone: node.zone.clone(),
            http,
            rpc,
            partitions_owned: self.agreed.owned_by(id),
            rows_per_second: rows_per_second.map(u64::from),
        }
    }
}

impl ClusterNodes for Nodes {
    fn nodes(&self) -> Vec<NodeStatus> {
        let nodes = self.agreed.told().borrow().nodes.clone();
        nodes.values().map(|node| self.status(node)).collect()
    }
}
