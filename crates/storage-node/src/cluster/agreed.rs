//! What the coordinators have told, and what they are told: the catalog goes into the store, the placement to whoever
//! routes or judges rows; the node registers and says that it lives.
//!
//! Promises: the placement known never goes back; a table is called unknown only after a coordinator was asked; while
//! no coordinator answers, the last placement and catalog on the disk are used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use zepto_cluster::{OwnerPool, PeerLinks, Pulse, Tables, Verdict};
use zepto_common::ids::{DiskId, Epoch, NodeId, PartitionId, PlacementVersion};
use zepto_common::placement::{Placement, Replica};
use zepto_common::schema::{TableName, TableSchema};
use zepto_common::{Error, ErrorCode, Result};
use zepto_engine::Store;
use zepto_engine::store::LogState;
use zepto_proto::client::{Condition, CoordinatorClient};
use zepto_proto::convert::disk_bytes;
use zepto_proto::coordinate as wire;
use zepto_proto::view::{View, catalog_of};

use super::memory::{Memory, Reached, ReachedNodes};

/// Wait after what could not be done: a registration, a change of the store.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a fresh start waits for the coordinators before it goes on with what its disk knows.
const FIRST_WORD_MAX: Duration = Duration::from_secs(3);

/// Who this node is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Me {
    pub(crate) node: NodeId,
    pub(crate) disk: DiskId,
    pub(crate) incarnation: u64,
}

impl Me {
    /// This disk as the placement names it.
    pub(crate) fn replica(self) -> Replica {
        Replica { node: self.node, disk: self.disk }
    }
}

/// The ways to the other nodes.
pub(crate) struct Ways {
    pub(crate) pool: Arc<OwnerPool>,
    pub(crate) pulse: Arc<Pulse>,
    /// With copies.
    pub(crate) links: Option<PeerLinks>,
}

/// What was told since this start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// Anything at all.
    pub(crate) heard: bool,
    /// The wait for the first word is over.
    pub(crate) waited: bool,
    /// The catalog version that `sweeps` belongs to.
    pub(crate) catalog: u64,
    /// TRUNCATE, DELETE and DROP under way.
    pub(crate) sweeps: Arc<Vec<wire::Sweep>>,
    /// All nodes, by id.
    pub(crate) nodes: Arc<BTreeMap<u32, wire::Node>>,
    /// Owners that are asked to hand over, and to whom.
    pub(crate) hand_over_to: Arc<BTreeMap<PartitionId, Replica>>,
    /// The placement that this belongs to.
    pub(crate) placement: PlacementVersion,
    /// Why the coordinators and this node do not go together.
    pub(crate) refused: Option<String>,
}

/// What is agreed on, as far as this node knows.
pub(crate) struct Agreed {
    pub(crate) client: CoordinatorClient,
    pub(crate) store: Arc<Store>,
    pub(crate) memory: Memory,
    pub(crate) me: Me,
    /// Nodes named by hand: what is said here holds.
    added: ReachedNodes,
    placement: watch::Sender<Arc<Placement>>,
    told: watch::Sender<Told>,
    /// Rows per second that this node takes, as its last heartbeat said.
    pub(crate) rows_per_second: AtomicU32,
    /// The node was told to end.
    stopping: watch::Sender<bool>,
    /// Held while a catalog is taken over.
    taking: tokio::sync::Mutex<()>,
}

impl Agreed {
    /// What the disk knows.
    pub(crate) fn new(
        client: CoordinatorClient,
        store: Arc<Store>,
        memory: Memory,
        me: Me,
        added: ReachedNodes,
    ) -> Arc<Self> {
        let placement = watch::Sender::new(Arc::new(memory.placement()));
        let (told, taking) = (watch::Sender::default(), tokio::sync::Mutex::default());
        let stopping = watch::Sender::new(false);
        let rows_per_second = AtomicU32::new(0);
        Arc::new(Self {
            client,
            store,
            memory,
            me,
            added,
            placement,
            told,
            rows_per_second,
            stopping,
            taking,
        })
    }

    /// Where the storage nodes are.
    pub(crate) fn nodes(&self) -> ReachedNodes {
        self.with_added(self.memory.nodes())
    }

    fn with_added(&self, mut nodes: ReachedNodes) -> ReachedNodes {
        nodes.extend(self.added.clone());
        nodes
    }

    pub(crate) fn placement(&self) -> watch::Receiver<Arc<Placement>> {
        self.placement.subscribe()
    }

    pub(crate) fn told(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    /// Has the coordinators know from now on that this start ends: it is given nothing more.
    pub(crate) fn say_stopping(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn placement_version(&self) -> PlacementVersion {
        self.placement.borrow().version
    }

    /// What is missing for requests to be taken.
    pub(crate) fn not_ready(&self) -> Vec<String> {
        let told = self.told.borrow();
        let mut reasons: Vec<String> = told.refused.iter().cloned().collect();
        if !told.heard && !told.waited {
            reasons.push("the coordinators were not heard yet".to_owned());
        }
        if self.placement.borrow().partitions.is_empty() {
            reasons.push("no placement is known".to_owned());
        }
        reasons
    }

    /// Partitions that this disk owns, ascending.
    pub(crate) fn owned(&self) -> Vec<PartitionId> {
        let placement = self.placement.borrow();
        let mine = placement.partitions.iter().filter(|it| it.grant.owner == self.me.replica());
        mine.map(|it| it.grant.partition).collect()
    }

    /// The grant under which this disk owns the partition; None if it does not.
    pub(crate) fn held(&self, partition: PartitionId) -> Option<Epoch> {
        let placement = self.placement.borrow();
        let grant = &placement.of(partition)?.grant;
        (grant.owner == self.me.replica()).then_some(grant.epoch)
    }

    /// How many partitions a node owns.
    pub(crate) fn owned_by(&self, node: NodeId) -> u64 {
        self.placement.borrow().owned_by(node).count() as u64
    }

    /// Why rows for a partition cannot be taken; None if this disk owns it.
    pub(crate) fn judge(
        &self,
        partition: PartitionId,
        epoch: Epoch,
        theirs: PlacementVersion,
    ) -> Option<Verdict> {
        let placement = self.placement.borrow();
        let stale = Verdict::StalePlacement(placement.version);
        let Some(assignment) = placement.of(partition) else { return Some(stale) };
        let grant = &assignment.grant;
        if epoch > grant.epoch {
            return Some(stale);
        }
        if grant.owner != self.me.replica() {
            return Some(if theirs > placement.version { stale } else { Verdict::NotOwner(grant.epoch) });
        }
        // With copies the owner's token fences, below; a store without them must be the only one that has the rows.
        if grant.set.members.len() != 1 && !self.store.has_copies() {
            let message = format!(
                "partition {partition} has {} copies and this data directory was made for one: give the node an empty one",
                grant.set.members.len()
            );
            return Some(Verdict::Refused(Error::new(ErrorCode::NotReady, message)));
        }
        None
    }

    /// Waits until the coordinators were heard, or until that has taken too long.
    pub(crate) async fn first_word(&self) {
        let mut told = self.told.subscribe();
        // The sender lives as long as `self`.
        let _heard = told.wait_for(|told| told.heard || told.waited).await;
    }

    /// Takes the catalog that every acknowledged statement has left.
    ///
    /// # Errors
    /// `NotReady` while no coordinator answers; the disk's.
    pub(crate) async fn catch_up(&self) -> Result<()> {
        let known_version = self.store.catalog().version();
        let away = |what: &dyn std::fmt::Display| {
            Error::new(
                ErrorCode::NotReady,
                format!("the catalog cannot be read from the coordinators: {what}"),
            )
        };
        let request = wire::ReadCatalogRequest { envelope: None, known_version };
        let reply = self.client.read_catalog(request).await.map_err(|error| away(&error))?;
        if reply.catalog.is_empty() || reply.catalog_version <= known_version {
            return Ok(());
        }
        let catalog = catalog_of(&reply.catalog).map_err(|refused| away(&refused))?;
        let _alone = self.taking.lock().await;
        self.store.take_catalog(Arc::new(catalog)).await
    }

    /// Follows the coordinators until the node stops.
    pub(crate) async fn watch(self: Arc<Self>, ways: Ways, stop: CancellationToken) {
        // Until a coordinator says otherwise, the others are where they were.
        self.reach(&self.nodes(), &ways);
        let mut watcher = self.client.watch();
        let mut owed = false;
        let patience = tokio::time::sleep(FIRST_WORD_MAX);
        tokio::pin!(patience);
        loop {
            let told = tokio::select! {
                told = watcher.next() => told.map(drop).map_err(|refused| format!("a coordinator: {refused}")),
                () = tokio::time::sleep(PAUSE), if owed => Ok(()),
                () = &mut patience, if !self.told.borrow().waited => {
                    self.told.send_modify(|told| told.waited = true);
                    continue;
                }
                () = stop.cancelled() => return,
            };
            let taken = match told {
                Ok(()) => self.take(watcher.view(), &ways).await.map_err(|error| error.to_string()),
                Err(refused) => Err(refused),
            };
            owed = taken.is_err();
            if let Err(fault) = taken {
                tracing::error!(fault, "what the coordinators say cannot be followed");
                self.told.send_modify(|told| told.refused = Some(fault));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn take(&self, view: &View, ways: &Ways) -> Result<()> {
        {
            let _alone = self.taking.lock().await;
            self.store.take_catalog(view.catalog.clone()).await?;
        }
        let (known, first) = (self.placement.borrow().clone(), !self.told.borrow().heard);
        let newer = view.placement.version > known.version;
        let placement = if newer { &view.placement } else { &known };
        let nodes = reached(view);
        // A lagging member's word must not bring an older placement back after a restart either.
        tokio::task::block_in_place(|| self.memory.keep(placement, &nodes))?;
        self.reach(&self.with_added(nodes), ways);
        let catalog = self.store.catalog().version();
        ways.pool.set_catalog_version(catalog);
        if let Some(links) = &ways.links {
            links.set_versions(placement.version, catalog);
        }
        ways.pulse.members(|members| {
            for node in view.nodes.values() {
                let dead = node.state() == wire::NodeState::Dead;
                members.decided(NodeId(node.node_id), node.incarnation, dead);
            }
        });
        self.told.send_modify(|told| {
            told.heard = true;
            told.catalog = view.catalog.version();
            told.sweeps = Arc::new(view.sweeps.clone());
            told.nodes = Arc::new(view.nodes.clone());
            told.hand_over_to = Arc::new(view.hand_over_to.clone());
            told.placement = placement.version;
            told.refused = None;
        });
        // Last: whoever waits for a placement finds the addresses for it.
        if newer {
            let remote = view.nodes.len().saturating_sub(1);
            let version = view.placement.version;
            match first {
                true => tracing::info!(%version, "Cluster routing: enabled ({remote} remote nodes)"),
                false => tracing::debug!(%version, remote, "rows are routed by a newer placement"),
            }
            self.placement.send_replace(Arc::new(view.placement.clone()));
        }
        Ok(())
    }

    /// Sends rows, the copies' words and heartbeats there from now on.
    fn reach(&self, nodes: &ReachedNodes, ways: &Ways) {
        let of = |address: fn(&Reached) -> &String| -> BTreeMap<NodeId, String> {
            let all = nodes.iter().map(|(node, reached)| (*node, address(reached).clone()));
            all.filter(|(_, address)| !address.is_empty()).collect()
        };
        let rpc = of(|it| &it.rpc);
        ways.pool.set_addresses(&rpc);
        if let Some(links) = &ways.links {
            links.set_addresses(&rpc);
        }
        let mut beats = of(|it| &it.heartbeat);
        beats.remove(&self.me.node);
        ways.pulse.tell_peers(beats.into_values().collect::<BTreeSet<_>>());
    }

    /// Registers, then says again and again that the node is there.
    pub(crate) async fn stay_alive(
        self: Arc<Self>,
        addresses: wire::Addresses,
        zone: String,
        interval: Duration,
        stop: CancellationToken,
    ) {
        let work = async {
            let mut stopping = self.stopping.subscribe();
            self.register(&addresses, &zone).await;
            loop {
                let condition = Condition {
                    ready: self.told.borrow().heard,
                    log_failed: matches!(self.store.stats().log_state, LogState::Failed { .. }),
                    stopping: *stopping.borrow_and_update(),
                };
                let replies = self.client.keep_alive(condition).await;
                if replies.iter().flatten().any(|reply| reply.register_again) {
                    self.register(&addresses, &zone).await;
                }
                tokio::select! {
                    () = tokio::time::sleep(interval) => {}
                    // The sender lives as long as `self`.
                    _said_at_once = stopping.changed() => {}
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    /// Registers, however often it takes.
    async fn register(&self, addresses: &wire::Addresses, zone: &str) {
        loop {
            let report = |(partition, epoch): (PartitionId, Epoch)| wire::EpochReport {
                partition: partition.0.into(),
                epoch: epoch.0,
            };
            let request = wire::RegisterRequest {
                envelope: None,
                role: wire::Role::Storage.into(),
                disk_id: disk_bytes(self.me.disk),
                addresses: Some(addresses.clone()),
                zone: zone.to_owned(),
                epochs: self.memory.epochs().into_iter().map(report).collect(),
            };
            let fault = match self.client.register(request).await {
                Ok(wire::RegisterReply { refusal: Some(refusal), .. }) => refusal.message,
                Ok(reply) if reply.partitions != u32::from(self.store.partitions()) => format!(
                    "the cluster has {} partitions and this data directory {}: a fresh one must be made with the \
                     cluster's number (cluster.partitions)",
                    reply.partitions,
                    self.store.partitions()
                ),
                Ok(_) => {
                    tracing::info!(incarnation = self.me.incarnation, "registered");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the node is not registered yet");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            tracing::error!(fault, "the coordinators do not take this node");
            self.told.send_modify(|told| told.refused = Some(fault));
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Where storage nodes are.
fn reached(view: &View) -> ReachedNodes {
    let storage = view.nodes.values().filter(|node| node.role() == wire::Role::Storage);
    let of = |node: &wire::Node| {
        let addresses = node.addresses.as_ref()?;
        let reached = Reached { rpc: addresses.rpc.clone(), heartbeat: addresses.heartbeat.clone() };
        Some((NodeId(node.node_id), reached))
    };
    storage.filter_map(of).collect()
}

#[async_trait]
impl Tables for Agreed {
    async fn table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        self.first_word().await;
        if let Some(table) = self.store.catalog().table(name) {
            return Ok(table.clone());
        }
        self.newest_table(name).await
    }

    async fn newest_table(&self, name: &TableName) -> Result<Arc<TableSchema>> {
        self.catch_up().await?;
        self.store.catalog().require(name).cloned()
    }
}
