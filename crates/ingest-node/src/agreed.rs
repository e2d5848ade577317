//! What the coordinators have told, and what they are told: the watch of placement, catalog and nodes; registration;
//! signs of life.
//!
//! Promises: while no coordinator answers, the last placement and catalog are used, after a restart those in the memory;
//! the placement known never goes back; a table is called unknown only after
//! a coordinator was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::RwLock;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use zepto_cluster::{OwnerPool, Pulse, Tables};
use zepto_common::catalog::Catalog;
use zepto_common::ids::NodeId;
use zepto_common::placement::Placement;
use zepto_common::schema::{TableName, TableSchema};
use zepto_common::{Error, ErrorCode, Result};
use zepto_proto::client::{Condition, CoordinatorClient};
use zepto_proto::coordinate as wire;
use zepto_proto::view::{View, catalog_of};

use crate::memory::{Memory, Reached};

/// Wait after a coordinator that does not believe this node, or after a registration that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at whether a node that was asked is still believed to be alive.
const STATE_LOOK: Duration = Duration::from_secs(1);
/// How long a start with a memory waits for the coordinators before it goes on with what it remembers.
const FIRST_WORD_MAX: Duration = Duration::from_secs(3);

/// A storage node that takes statements.
pub(crate) type Doors = Arc<Vec<(NodeId, String)>>;

/// What is known now.
pub(crate) struct Agreed {
    client: CoordinatorClient,
    pool: Arc<OwnerPool>,
    me: NodeId,
    cluster_id: String,
    incarnation: AtomicU64,
    /// Storage nodes named by hand: what is said here holds.
    added: BTreeMap<NodeId, Reached>,
    placement: watch::Sender<Arc<Placement>>,
    known: RwLock<Known>,
    memory: Memory,
}

#[derive(Default)]
struct Known {
    catalog: Option<Arc<Catalog>>,
    doors: Doors,
    /// All nodes, by id, as they were told since this start.
    nodes: Arc<BTreeMap<u32, wire::Node>>,
    /// Where heartbeats go.
    beats: BTreeSet<String>,
    /// The coordinators were heard since this start, or were waited for long enough.
    begun: bool,
    /// Why the coordinators do not believe this node.
    refused: Option<String>,
}

impl Agreed {
    /// What the memory knows.
    pub(crate) fn new(
        client: CoordinatorClient,
        pool: Arc<OwnerPool>,
        me: NodeId,
        memory: Memory,
        added: BTreeMap<NodeId, Reached>,
    ) -> Arc<Self> {
        let kept = memory.kept();
        let placement = watch::Sender::new(kept.placement.clone());
        let known = Known { catalog: kept.catalog.clone(), ..Known::default() };
        let agreed = Arc::new(Self {
            client,
            pool,
            me,
            cluster_id: kept.cluster_id().to_owned(),
            incarnation: AtomicU64::new(kept.incarnation),
            added,
            placement,
            known: RwLock::new(known),
            memory,
        });
        agreed.reach(&kept.nodes);
        if let Some(catalog) = &kept.catalog {
            agreed.pool.set_catalog_version(catalog.version());
        }
        agreed
    }

    /// Who this node is: its id and its cluster.
    pub(crate) fn me(&self) -> (NodeId, &str) {
        (self.me, &self.cluster_id)
    }

    /// The number of this start, as far as it is known.
    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Relaxed)
    }

    pub(crate) fn placement(&self) -> watch::Receiver<Arc<Placement>> {
        self.placement.subscribe()
    }

    /// Storage nodes that are active, ascending.
    pub(crate) fn doors(&self) -> Doors {
        self.known.read().doors.clone()
    }

    /// The start of this node that the coordinators believe to be alive.
    pub(crate) fn alive(&self, node: NodeId) -> Option<u64> {
        let known = self.known.read();
        let node = known.nodes.get(&node.0).filter(|node| node.state() != wire::NodeState::Dead);
        node.map(|node| node.incarnation)
    }

    /// Ends when the coordinators have called this start of the node dead, have forgotten it or know another; never for
    /// one that was not alive.
    pub(crate) async fn gone(self: Arc<Self>, node: NodeId, start: Option<u64>) {
        if start.is_none() {
            std::future::pending::<()>().await;
        }
        while self.alive(node) == start {
            tokio::time::sleep(STATE_LOOK).await;
        }
    }

    /// The placement and the catalog in use.
    pub(crate) fn versions(&self) -> (u64, u64) {
        let catalog = self.known.read().catalog.as_ref().map_or(0, |it| it.version());
        (self.placement.borrow().version.0, catalog)
    }

    /// What the coordinators say of the cluster.
    ///
    /// # Errors
    /// `NotReady` while none answers.
    pub(crate) async fn cluster(&self) -> Result<Value> {
        let away = |what: &dyn std::fmt::Display| {
            Error::new(ErrorCode::NotReady, format!("the coordinators cannot be asked: {what}"))
        };
        let reply = self.client.status(wire::StatusRequest { envelope: None }).await;
        serde_json::from_slice(&reply.map_err(|error| away(&error))?.status).map_err(|error| away(&error))
    }

    /// The way to the coordinators.
    pub(crate) fn client(&self) -> &CoordinatorClient {
        &self.client
    }

    /// The nodes, as the coordinators told them last. No node's heartbeats come here: what they say of rows is asked of
    /// the coordinators, and null while those are away.
    pub(crate) async fn nodes(&self) -> Value {
        let status = self.cluster().await.unwrap_or_default();
        let heard = |id: u32| {
            let nodes = status["nodes"].as_array().into_iter().flatten();
            let mut rates = nodes.filter(|it| it["id"] == id).map(|it| it["rows_per_second"].clone());
            rates.next().unwrap_or_default()
        };
        let placement = self.placement.borrow().clone();
        let told = self.known.read().nodes.clone();
        let shown = |node: &wire::Node| {
            let wire::Addresses { http, rpc, .. } = node.addresses.clone().unwrap_or_default();
            let state = node.state().as_str_name().trim_start_matches("NODE_STATE_");
            json!({
                "id": node.node_id,
                "role": if node.role() == wire::Role::Storage { "storage" } else { "ingest" },
                "state": state,
                "incarnation": node.incarnation,
                "zone": node.zone,
                "http": http,
                "rpc": rpc,
                "partitions_owned": placement.owned_by(NodeId(node.node_id)).count(),
                "rows_per_second": heard(node.node_id),
            })
        };
        json!({ "nodes": told.values().map(shown).collect::<Vec<_>>() })
    }

    /// What is missing for requests to be taken.
    pub(crate) fn not_ready(&self) -> Vec<String> {
        let known = self.known.read();
        let mut reasons: Vec<String> = known.refused.iter().cloned().collect();
        let mut missing = |is: bool, what: &str| {
            if is {
                reasons.push(what.to_owned());
            }
        };
        missing(!known.begun, "the coordinators were not heard yet");
        missing(self.placement.borrow().partitions.is_empty(), "no placement is known");
        missing(known.catalog.is_none(), "no catalog is known");
        missing(known.doors.is_empty(), "no storage node is active");
        reasons
    }

    /// Follows the coordinators until the node stops.
    pub(crate) async fn watch(self: Arc<Self>, pulse: Arc<Pulse>, stop: CancellationToken) {
        self.tell(&pulse);
        let mut watcher = self.client.watch();
        let patience = tokio::time::sleep(FIRST_WORD_MAX);
        tokio::pin!(patience);
        loop {
            let told = tokio::select! {
                told = watcher.next() => told,
                () = &mut patience, if !self.known.read().begun => {
                    self.known.write().begun = true;
                    continue;
                }
                () = stop.cancelled() => return,
            };
            match told {
                Ok(_) => {
                    // The memory's file is synced in it.
                    tokio::task::block_in_place(|| self.take(watcher.view()));
                    self.tell(&pulse);
                }
                Err(refused) => {
                    tracing::error!(%refused, "the coordinators do not believe this node");
                    self.known.write().refused = Some(format!("a coordinator: {refused}"));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Sends heartbeats to the nodes that are known.
    fn tell(&self, pulse: &Pulse) {
        pulse.tell_peers(self.known.read().beats.clone());
    }

    /// Sends rows, statements and heartbeats there from now on.
    fn reach(&self, nodes: &BTreeMap<NodeId, Reached>) {
        let mut nodes = nodes.clone();
        for (node, reached) in &self.added {
            let active = nodes.get(node).is_none_or(|known| known.active);
            nodes.insert(*node, Reached { active, ..reached.clone() });
        }
        let present = |of: fn(&Reached) -> &String| -> BTreeMap<NodeId, String> {
            let all = nodes.iter().map(|(node, reached)| (*node, of(reached).clone()));
            all.filter(|(_, address)| !address.is_empty()).collect()
        };
        self.pool.set_addresses(&present(|it| &it.rpc));
        let doors = present(|it| &it.http).into_iter().filter(|(node, _)| nodes[node].active).collect();
        let beats = present(|it| &it.heartbeat).into_values().collect();
        let mut known = self.known.write();
        known.doors = Arc::new(doors);
        known.beats = beats;
    }

    fn take(&self, view: &View) {
        let nodes = reached(view);
        self.reach(&nodes);
        self.pool.set_catalog_version(view.catalog.version());
        let catalog = {
            let mut known = self.known.write();
            let is_newer = known.catalog.as_ref().is_none_or(|it| it.version() < view.catalog.version());
            if is_newer {
                known.catalog = Some(view.catalog.clone());
            }
            known.nodes = Arc::new(view.nodes.clone());
            known.refused = None;
            known.begun = true;
            known.catalog.clone()
        };
        // A lagging member's word brings no older placement back.
        let newer = view.placement.version > self.placement.borrow().version;
        let placement =
            if newer { Arc::new(view.placement.clone()) } else { self.placement.borrow().clone() };
        let kept = self.memory.change(|kept| {
            kept.placement = placement.clone();
            kept.catalog = catalog;
            kept.nodes = nodes;
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "what the coordinators said is not kept for a restart");
        }
        if newer {
            let (version, remote) = (placement.version, view.nodes.len());
            match self.placement.borrow().partitions.is_empty() {
                true => tracing::info!(%version, "Cluster routing: enabled ({remote} remote nodes)"),
                false => tracing::debug!(%version, remote, "rows are routed by a newer placement"),
            }
            // Last: whoever waits for a placement finds the addresses for it.
            self.placement.send_replace(placement);
        }
    }

    /// Registers, then says again and again that the node is there.
    pub(crate) async fn stay_alive(
        self: Arc<Self>,
        addresses: wire::Addresses,
        interval: Duration,
        stop: CancellationToken,
    ) {
        let work = async {
            self.register(&addresses).await;
            loop {
                // It owns nothing that it could give up: how it ends is its own affair.
                let condition = Condition { ready: self.not_ready().is_empty(), ..Condition::default() };
                let replies = self.client.keep_alive(condition).await;
                if replies.iter().flatten().any(|reply| reply.register_again) {
                    self.register(&addresses).await;
                }
                tokio::time::sleep(interval).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    /// This start has this number from now on.
    fn begin(&self, incarnation: u64) {
        self.client.set_identity(&self.cluster_id, incarnation);
        self.pool.set_incarnation(incarnation);
        self.incarnation.store(incarnation, Ordering::Relaxed);
        let kept = tokio::task::block_in_place(|| self.memory.change(|kept| kept.incarnation = incarnation));
        if let Err(error) = kept {
            tracing::warn!(%error, "the number of this start is not kept");
        }
    }

    /// Registers, however often it takes.
    async fn register(&self, addresses: &wire::Addresses) {
        loop {
            // Without a number the coordinators give this start one.
            self.client.set_identity(&self.cluster_id, 0);
            let request = wire::RegisterRequest {
                role: wire::Role::Ingest.into(),
                addresses: Some(addresses.clone()),
                ..Default::default()
            };
            let fault = match self.client.register(request).await {
                Ok(wire::RegisterReply { refusal: Some(refusal), .. }) => refusal.message,
                Ok(reply) => {
                    self.begin(reply.incarnation);
                    tracing::info!(incarnation = reply.incarnation, "registered");
                    return;
                }
                Err(error) => error.to_string(),
            };
            tracing::warn!(fault, "the node is not registered yet");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Where storage nodes are.
fn reached(view: &View) -> BTreeMap<NodeId, Reached> {
    let storage = view.nodes.values().filter(|node| node.role() == wire::Role::Storage);
    let of = |node: &wire::Node| {
        let wire::Addresses { http, rpc, heartbeat } = node.addresses.clone()?;
        let active = node.state() == wire::NodeState::Active;
        Some((NodeId(node.node_id), Reached { http, rpc, heartbeat, active }))
    };
    storage.filter_map(of).collect()
}

#[async_trait]
impl Tables for Agreed {
    async fn table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        let known = self.known.read().catalog.clone();
        if let Some(table) = known.as_ref().and_then(|it| it.table(name)) {
            return Ok(table.clone());
        }
        self.newest_table(name).await
    }

    async fn newest_table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        let known = self.known.read().catalog.clone();
        let away = |what: &dyn std::fmt::Display| {
            let message = format!("whether table {name} exists cannot be known now: {what}");
            Error::new(ErrorCode::NotReady, message)
        };
        let known_version = known.as_ref().map_or(0, |it| it.version());
        let request = wire::ReadCatalogRequest { envelope: None, known_version };
        let reply = self.client.read_catalog(request).await.map_err(|error| away(&error))?;
        let newest = match (known, reply.catalog.is_empty()) {
            (Some(known), true) => known,
            (None, true) => Arc::default(),
            (_, false) => Arc::new(catalog_of(&reply.catalog).map_err(|refused| away(&refused))?),
        };
        let table = newest.require(name).cloned();
        let mut known = self.known.write();
        if known.catalog.as_ref().is_none_or(|it| it.version() < newest.version()) {
            known.catalog = Some(newest);
        }
        table
    }
}
