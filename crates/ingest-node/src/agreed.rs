//! What the coordinators have told, and what they are told: the watch of placement, catalog and nodes; registration;
//! signs of life.
//!
//! Promises: while no coordinator answers, the last placement and catalog are used; a table is called unknown only after
//! a coordinator was asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use zepto_cluster::{OwnerPool, Tables};
use zepto_common::catalog::Catalog;
use zepto_common::ids::NodeId;
use zepto_common::placement::Placement;
use zepto_common::schema::{TableName, TableSchema};
use zepto_common::{Error, ErrorCode, Result};
use zepto_proto::client::CoordinatorClient;
use zepto_proto::coordinate as wire;
use zepto_proto::view::{View, catalog_of};

/// Wait after a coordinator that does not believe this node, or after a registration that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// A storage node that takes statements.
pub(crate) type Doors = Arc<Vec<(NodeId, String)>>;

/// What is known now.
pub(crate) struct Agreed {
    client: CoordinatorClient,
    pool: Arc<OwnerPool>,
    cluster_id: String,
    http: String,
    placement: watch::Sender<Arc<Placement>>,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    catalog: Option<Arc<Catalog>>,
    doors: Doors,
    /// Why the coordinators do not believe this node.
    refused: Option<String>,
}

impl Agreed {
    /// Nothing is known yet. `http` is where others reach this node's door.
    pub(crate) fn new(
        client: CoordinatorClient,
        pool: Arc<OwnerPool>,
        cluster_id: String,
        http: String,
    ) -> Arc<Self> {
        let placement = watch::Sender::new(Arc::default());
        Arc::new(Self { client, pool, cluster_id, http, placement, known: RwLock::default() })
    }

    pub(crate) fn placement(&self) -> watch::Receiver<Arc<Placement>> {
        self.placement.subscribe()
    }

    /// Storage nodes that are active, ascending.
    pub(crate) fn doors(&self) -> Doors {
        self.known.read().doors.clone()
    }

    pub(crate) fn versions(&self) -> (u64, u64) {
        let catalog = self.known.read().catalog.as_ref().map_or(0, |it| it.version());
        (self.placement.borrow().version.0, catalog)
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
        missing(self.placement.borrow().partitions.is_empty(), "no placement is known");
        missing(known.catalog.is_none(), "no catalog is known");
        missing(known.doors.is_empty(), "no storage node is active");
        reasons
    }

    /// Follows the coordinators until the node stops.
    pub(crate) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut watcher = self.client.watch();
        loop {
            let told = tokio::select! {
                told = watcher.next() => told,
                () = stop.cancelled() => return,
            };
            match told {
                Ok(_) => self.take(watcher.view()),
                Err(refused) => {
                    tracing::error!(%refused, "the coordinators do not believe this node");
                    self.known.write().refused = Some(format!("a coordinator: {refused}"));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn take(&self, view: &View) {
        let storage = |node: &&wire::Node| node.role() == wire::Role::Storage;
        let addresses = |of: fn(&wire::Addresses) -> &String| -> BTreeMap<NodeId, String> {
            let nodes = view.nodes.values().filter(storage);
            let address =
                nodes.filter_map(|node| Some((NodeId(node.node_id), of(node.addresses.as_ref()?).clone())));
            address.filter(|(_, address)| !address.is_empty()).collect()
        };
        let active =
            |node: &NodeId| view.nodes.get(&node.0).is_some_and(|it| it.state() == wire::NodeState::Active);
        self.pool.set_addresses(&addresses(|it| &it.rpc));
        self.pool.set_catalog_version(view.catalog.version());
        let doors = addresses(|it| &it.http).into_iter().filter(|(node, _)| active(node)).collect();
        {
            let mut known = self.known.write();
            let is_newer = known.catalog.as_ref().is_none_or(|it| it.version() < view.catalog.version());
            if is_newer {
                known.catalog = Some(view.catalog.clone());
            }
            known.doors = Arc::new(doors);
            known.refused = None;
        }
        // Last: whoever waits for a placement finds the addresses for it.
        self.placement.send_if_modified(|placement| {
            let changed = placement.version != view.placement.version;
            if changed {
                let (version, remote) = (view.placement.version, view.nodes.len());
                match placement.partitions.is_empty() {
                    true => tracing::info!(%version, "Cluster routing: enabled ({remote} remote nodes)"),
                    false => tracing::debug!(%version, remote, "rows are routed by a newer placement"),
                }
                *placement = Arc::new(view.placement.clone());
            }
            changed
        });
    }

    /// Registers, then says again and again that the node is there.
    pub(crate) async fn stay_alive(self: Arc<Self>, interval: Duration, stop: CancellationToken) {
        let work = async {
            self.register().await;
            loop {
                let replies = self.client.keep_alive(self.not_ready().is_empty(), false).await;
                if replies.iter().flatten().any(|reply| reply.register_again) {
                    self.register().await;
                }
                tokio::time::sleep(interval).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    /// Registers, however often it takes.
    async fn register(&self) {
        loop {
            // Without a number the coordinators give this start one.
            self.client.set_identity(&self.cluster_id, 0);
            let addresses = wire::Addresses { http: self.http.clone(), ..Default::default() };
            let request = wire::RegisterRequest {
                role: wire::Role::Ingest.into(),
                addresses: Some(addresses),
                ..Default::default()
            };
            let fault = match self.client.register(request).await {
                Ok(wire::RegisterReply { refusal: Some(refusal), .. }) => refusal.message,
                Ok(reply) => {
                    self.client.set_identity(&self.cluster_id, reply.incarnation);
                    self.pool.set_incarnation(reply.incarnation);
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
